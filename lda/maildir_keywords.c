/* lda/maildir_keywords.c - IMAP keywords as letters of the file name
 *
 *   dovecot-keywords: "0 $Junk\n1 todo\n"  -->  letters "a", "b"  -->  cur/NAME:2,Sb
 *
 * A keyword that the file knows needs no lock: an index is never given to another
 * word while messages carry it. A new one is entered under dovecot-uidlist.lock, the
 * lock Dovecot takes for it, by a new file and a rename, and is durable before a
 * message bears its letter: a lost line would give the letter to another word.
 */
#include "lda/maildir_parts.h"

#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_LOCK "dovecot-uidlist.lock"

enum { KEYWORDS = 26, KEYWORD_MAX = 200, FILE_MAX = 64 * 1024 };

/* What the folder's file says: the word of each letter, or NULL. */
typedef struct {
    char *words[KEYWORDS];
} Keywords;

static void
keywords_free(Keywords *keywords)
{
    for (size_t i = 0; i < KEYWORDS; i++)
        g_free(keywords->words[i]);
    g_free(keywords);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keywords, keywords_free)

static bool
set_damaged(GError **error, const char *line)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                "'" KEYWORDS_FILE "' is damaged, line '%s'", line);
    return false;
}

static bool
parse_line(Keywords *keywords, char *line, GError **error)
{
    char *blank = strchr(line, ' ');
    guint64 index;

    if (blank == NULL || blank[1] == '\0')
        return set_damaged(error, line);
    *blank = '\0';
    /* Dovecot keeps words past the letters in its index only, but may list them. */
    if (!g_ascii_string_to_unsigned(line, 10, 0, G_MAXINT, &index, NULL))
        return set_damaged(error, line);
    if (index < KEYWORDS && keywords->words[index] == NULL)
        keywords->words[index] = g_strdup(blank + 1);
    return true;
}

static Keywords *
read_keywords(int folder_fd, GError **error)
{
    g_autoptr(Keywords) keywords = g_new0(Keywords, 1);
    g_autoptr(GString) text = maildir_read_file(folder_fd, KEYWORDS_FILE, FILE_MAX);

    if (text == NULL && errno == ENOENT)
        return g_steal_pointer(&keywords);
    if (text == NULL) {
        lodge_set_errno(error, "read '" KEYWORDS_FILE "'");
        return NULL;
    }

    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        if (**line != '\0' && !parse_line(keywords, *line, error))
            return NULL;
    }
    return g_steal_pointer(&keywords);
}

/* IMAP compares keywords without regard to case. Returns the index, or -1. */
static int
find_word(const Keywords *keywords, const char *word)
{
    for (int i = 0; i < KEYWORDS; i++) {
        if (keywords->words[i] != NULL && g_ascii_strcasecmp(keywords->words[i], word) == 0)
            return i;
    }
    return -1;
}

/* RFC 3501 "flag-keyword" is an atom. */
static bool
is_atom(const char *word)
{
    size_t len = strlen(word);

    if (len == 0 || len > KEYWORD_MAX)
        return false;
    for (const char *p = word; *p != '\0'; p++) {
        if (!g_ascii_isgraph(*p) || strchr("(){%*\"\\]", *p) != NULL)
            return false;
    }
    return true;
}

/* Enters what fits of the missing words; true when there is anything to write. */
static bool
add_words(Keywords *keywords, const char *const *words)
{
    bool added = false;

    for (; *words != NULL; words++) {
        if (!is_atom(*words) || find_word(keywords, *words) >= 0)
            continue;
        for (int i = 0; i < KEYWORDS; i++) {
            if (keywords->words[i] == NULL) {
                keywords->words[i] = g_strdup(*words);
                added = true;
                break;
            }
        }
    }
    return added;
}

static bool
write_file(int fd, const Keywords *keywords)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < KEYWORDS; i++) {
        if (keywords->words[i] != NULL)
            g_string_append_printf(text, "%d %s\n", i, keywords->words[i]);
    }
    return maildir_write_all(fd, text->str, text->len) && fsync(fd) == 0;
}

/* The new file begins in tmp/, where whatever a crash leaves is swept up. */
static bool
replace_file(int folder_fd, const MaildirAccess *access, const Keywords *keywords,
             const char *unique, GError **error)
{
    g_autofree char *temporary = g_strconcat("tmp/", unique, NULL);
    lodge_autofd fd = maildir_open_beneath(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);

    if (fd < 0)
        return lodge_set_errno(error, "create a new '" KEYWORDS_FILE "'");
    if (!maildir_access_apply_to_file(fd, access) || !write_file(fd, keywords) ||
        renameat(folder_fd, temporary, folder_fd, KEYWORDS_FILE) != 0) {
        lodge_set_errno(error, "write '" KEYWORDS_FILE "'");
        (void)unlinkat(folder_fd, temporary, 0); /* the failure is reported already */
        return false;
    }
    return maildir_sync_directory(folder_fd) ||
           lodge_set_errno(error, "make '" KEYWORDS_FILE "' durable");
}

/* Reads again under the lock, adds and writes; *keywords is replaced on success. */
static bool
enter_words(int folder_fd, const MaildirAccess *access, const char *const *words,
            const char *unique, Keywords **keywords, GError **error)
{
    g_autoptr(Keywords) fresh = read_keywords(folder_fd, error);

    if (fresh == NULL)
        return false;
    if (add_words(fresh, words) && !replace_file(folder_fd, access, fresh, unique, error))
        return false;
    keywords_free(*keywords);
    *keywords = g_steal_pointer(&fresh);
    return true;
}

static bool
enter_words_locked(int folder_fd, const MaildirAccess *access, const char *const *words,
                   MaildirNamer *namer, const MaildirLockRequest *request, Keywords **keywords,
                   GError **error)
{
    g_autofree char *unique = maildir_name_new(namer, request->now_us, 0, 0);
    g_autofree char *owner = g_strdup_printf("%d:%s", (int)namer->pid, namer->host);
    lodge_autofd lock = maildir_lock(folder_fd, KEYWORDS_LOCK, request);

    if (lock < 0)
        return lodge_set_errno(error, "lock '" KEYWORDS_LOCK "'");

    bool done = (maildir_write_all(lock, owner, strlen(owner)) ||
                 lodge_set_errno(error, "write '" KEYWORDS_LOCK "'")) &&
                enter_words(folder_fd, access, words, unique, keywords, error);

    (void)unlinkat(folder_fd, KEYWORDS_LOCK, 0); /* broken as stale by another: gone already */
    return done;
}

static bool
all_known(const Keywords *keywords, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (find_word(keywords, *words) < 0)
            return false;
    }
    return true;
}

static char *
letters_of(const Keywords *keywords, const char *const *words, GError **error)
{
    char present[KEYWORDS + 1] = "";
    g_autoptr(GString) letters = g_string_new(NULL);

    for (; *words != NULL; words++) {
        int index = find_word(keywords, *words);

        if (index >= 0)
            present[index] = 1;
        else if (error != NULL && *error == NULL)
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                        is_atom(*words) ? "keyword '%s' would be the twenty-seventh"
                                        : "keyword '%s' is not an IMAP atom",
                        *words);
    }
    for (int i = 0; i < KEYWORDS; i++) {
        if (present[i])
            g_string_append_c(letters, (char)('a' + i));
    }
    return g_string_free(g_steal_pointer(&letters), FALSE);
}

char *
maildir_keywords_letters(int folder_fd, const MaildirAccess *access, const char *const *keywords,
                         MaildirNamer *namer, gint64 now_us, unsigned wait_ms, GError **error)
{
    const MaildirLockRequest request = {.owner = namer, .now_us = now_us, .wait_ms = wait_ms};
    g_autoptr(Keywords) known = read_keywords(folder_fd, error);

    if (known == NULL)
        return g_strdup("");
    if (!all_known(known, keywords))
        (void)enter_words_locked(folder_fd, access, keywords, namer, &request, &known,
                                 error); /* then without the new ones; *error says why */
    return letters_of(known, keywords, error);
}
