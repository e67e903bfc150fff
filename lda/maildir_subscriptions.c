/* lda/maildir_subscriptions.c - which folders an IMAP client shows
 *
 *   version 2: "V\t2\n\n" then "Lists\tietf\n"      version 1: "Lists.ietf\n"
 *
 * Dovecot's file in the main Maildir; names as on disk. A file of the old version
 * is kept in it, since the reader decides by the first line. As Dovecot does it,
 * the lock subscriptions.lock is the new file itself: written, then renamed over
 * the old one, which releases it.
 */
#include "lda/maildir_parts.h"

#define SUBSCRIPTIONS "subscriptions"
#define SUBSCRIPTIONS_LOCK "subscriptions.lock"
#define VERSION_2 "V\t2\n"

enum { FILE_MAX = 1024 * 1024 };

static bool
has_line(const GString *text, const char *line)
{
    size_t len = strlen(line);

    for (const char *p = text->str; (p = strstr(p, line)) != NULL; p++) {
        if ((p == text->str || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
            return true;
    }
    return false;
}

/* The text of the file with the folder in it; NULL when it is there already. */
static GString *
with_folder(const GString *old, const char *directory)
{
    bool version_2 = old->len == 0 || g_str_has_prefix(old->str, VERSION_2);
    g_autofree char *line = g_strdup(directory + 1);

    if (version_2)
        g_strdelimit(line, ".", '\t');
    if (has_line(old, line))
        return NULL;

    GString *text = g_string_new(old->len == 0 ? VERSION_2 "\n" : old->str);

    if (text->str[text->len - 1] != '\n')
        g_string_append_c(text, '\n');
    g_string_append_printf(text, "%s\n", line);
    return text;
}

static GString *
read_subscriptions(int maildir_fd)
{
    GString *text = maildir_read_file(maildir_fd, SUBSCRIPTIONS, FILE_MAX);

    if (text == NULL && errno == ENOENT)
        return g_string_new(NULL);
    if (text != NULL && strlen(text->str) != text->len) {
        g_string_free(text, TRUE);
        return errno = EINVAL, NULL;
    }
    return text;
}

/* Under the lock, which is the new file. */
static bool
write_new(int maildir_fd, int lock_fd, const MaildirAccess *access, const GString *text)
{
    return maildir_access_apply_to_file(lock_fd, access) &&
           maildir_write_all(lock_fd, text->str, text->len) && fsync(lock_fd) == 0 &&
           renameat(maildir_fd, SUBSCRIPTIONS_LOCK, maildir_fd, SUBSCRIPTIONS) == 0;
}

static bool
rewrite(int maildir_fd, int lock_fd, const MaildirAccess *access, const char *directory)
{
    g_autoptr(GString) old = read_subscriptions(maildir_fd);
    g_autoptr(GString) text = old != NULL ? with_folder(old, directory) : NULL;

    if (text != NULL && write_new(maildir_fd, lock_fd, access, text))
        return true;

    int saved = errno;

    (void)unlinkat(maildir_fd, SUBSCRIPTIONS_LOCK, 0); /* nothing to do if it is gone */
    errno = saved;
    return old != NULL && text == NULL; /* there already */
}

bool
maildir_subscribe(int maildir_fd, const MaildirAccess *access, const char *directory,
                  const MaildirLockRequest *request, GError **error)
{
    lodge_autofd lock = maildir_lock(maildir_fd, SUBSCRIPTIONS_LOCK, request);

    if (lock < 0)
        return lodge_set_errno(error, "lock '" SUBSCRIPTIONS "'");
    return rewrite(maildir_fd, lock, access, directory) ||
           lodge_set_errno(error, "write '" SUBSCRIPTIONS "'");
}
