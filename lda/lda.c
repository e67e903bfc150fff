/* lda/lda.c - what a process that delivers holds open; see lda.h
 *
 * The map is opened when the first address is looked up and closed again when it
 * fails, so that a map that was replaced, migrated or freed of a lock is found
 * without a restart. The deliveries themselves are in delivery.c.
 */
#include "lda/lda_private.h"

#include "lda/early.h"

#include <pthread.h>

/* 2024-01-01: what transaction ids count from, to have eight digits until 2093. */
#define ID_EPOCH_US (G_GINT64_CONSTANT(1704067200) * G_USEC_PER_SEC)

/* This process, which each delivery asks for twice: a system call each. 0: not asked since the
 * start, or the fork. */
static pid_t known_pid;

static void
forget_pid(void)
{
    known_pid = 0;
}

static pid_t
own_pid(void)
{
    static gsize is_watched; /* 1: a child is told that it is one, 2: it cannot be */

    if (g_once_init_enter(&is_watched))
        g_once_init_leave(&is_watched, pthread_atfork(NULL, NULL, forget_pid) == 0 ? 1 : 2);
    if (known_pid == 0 || is_watched != 1)
        known_pid = getpid();
    return known_pid;
}

static char *
own_hostname(const LdaConfig *config)
{
    char name[256] = "";

    if (*config->mail.hostname != '\0')
        return g_strdup(config->mail.hostname);
    if (gethostname(name, sizeof name - 1) != 0 || *name == '\0')
        return g_strdup("localhost");
    return g_strdup(name);
}

Lda *
lda_new(const LdaConfig *config, Log *log)
{
    Lda *lda = g_new0(Lda, 1);

    lda->config = config;
    lda->log = log;
    lda->hostname = own_hostname(config);
    lda->commit = commit_new();
    return lda;
}

void
lda_free(Lda *lda)
{
    if (lda == NULL)
        return;
    lda_do_chores(lda, true);
    usage_free(lda->usage);
    g_clear_pointer(&lda->warnings, g_ptr_array_unref);
    mailmap_close(lda->map);
    scripts_free(lda->scripts);
    commit_free(lda->commit);
    if (lda->namer.host != NULL)
        maildir_namer_clear(&lda->namer);
    g_free(lda->hostname);
    g_free(lda);
}

const char *
lda_hostname(const Lda *lda)
{
    return lda->hostname;
}

Message *
lda_message_new(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope)
{
    const MessageOptions options = {
        .spool_memory = (size_t)lda->config->mail.spool_memory,
        .spool_dir = lda->config->mail.spool_dir,
        .size_limit = lda->config->mail.message_size_limit,
        .place = early_place(lda, transaction_id, envelope),
    };

    return message_new(&options);
}

MaildirNamer *
lda_namer(Lda *lda)
{
    pid_t pid = own_pid();

    if (lda->namer.host != NULL && lda->namer.pid == pid)
        return &lda->namer;
    if (lda->namer.host != NULL)
        maildir_namer_clear(&lda->namer);
    maildir_namer_init(&lda->namer, lda->hostname, pid, g_random_int());
    return &lda->namer;
}

/* ---- the map -------------------------------------------------------------- */

bool
lda_open_map(Lda *lda, GError **error)
{
    const LdaConfig *config = lda->config;
    const MailmapOptions options = {
        .path = config->map.path,
        .preset = config->map.preset,
        .mailbox_query = config->map.mailbox_query,
        .recipient_delimiter = config->map.recipient_delimiter,
        .fold_local_part = config->map.fold_local_part,
        .busy_timeout_ms = (unsigned)config->map.busy_timeout * 1000,
    };

    if (lda->map == NULL)
        lda->map = mailmap_open(&options, error);
    return lda->map != NULL;
}

void
lda_forget_map(Lda *lda, const GError *error)
{
    if (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE) ||
        g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA))
        g_clear_pointer(&lda->map, mailmap_close);
}

LdaRecipient *
lda_resolve(Lda *lda, const char *address, LdaOutcome **outcome_out)
{
    g_autoptr(GError) error = NULL;
    Mailbox *mailbox = NULL;

    if (lda_open_map(lda, &error))
        mailbox = mailmap_lookup(lda->map, address, &error);
    if (mailbox != NULL)
        return lda_recipient_new(address, mailbox);
    lda_forget_map(lda, error);
    *outcome_out = lda_outcome_from_error(error);
    return NULL;
}

/* ---- transaction ids ------------------------------------------------------ */

/* Writes number in base 62, with leading zeroes: ids sort by time. */
static void
write_base62(char *digits, int count, guint64 number)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (int i = count - 1; i >= 0; i--) {
        digits[i] = alphabet[number % 62];
        number /= 62;
    }
}

/* Eight digits of time in units of 10 us, never the same twice in a process, and
 * four of the process id, which Linux keeps below 2^22. */
char *
lda_transaction_id(Lda *lda)
{
    char digits[13] = "";
    gint64 now = (g_get_real_time() - ID_EPOCH_US) / 10;

    lda->last_id = MAX(now, lda->last_id + 1);
    write_base62(digits, 8, (guint64)lda->last_id);
    write_base62(digits + 8, 4, (guint64)own_pid());
    return g_strdup(digits);
}

bool
lda_needs_mime(void)
{
    return sieve_mime_is_loaded();
}

void
lda_load_mime(void)
{
    sieve_mime_load();
}
