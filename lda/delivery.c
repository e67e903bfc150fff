/* lda/delivery.c - one message to its recipients: stage, commit, publish, commit
 *
 *   check: loop, hops, quota     a refusal ends here, for this recipient only
 *   stage: every copy in tmp/
 *   commit: all copies durable   <- one barrier for everybody
 *   publish: rename into new/
 *   commit: all directories durable
 *   outcome, log line            only now is anybody told "stored"
 *
 * Every recipient has a row of its own, with its own outcome: one that failed is
 * left out of the steps that follow, the others go on. A process that dies at any
 * line leaves files in tmp/, or copies nobody was told of, and the MTA sends again.
 */
#include "lda/lda_private.h"

#include "lda/carry_out.h"
#include "lda/commit.h"
#include "lda/identity.h"
#include "lda/trace.h"
#include "quota/quota.h"

/* Recipients handled at once: each keeps a handful of descriptors open, and the
 * usual limit of a process is 1024. */
enum { GROUP_MAX = 100 };

typedef struct Row {
    const LdaRecipient *recipient;
    const struct Row *first; /* for the same mailbox: its copy serves all; itself, usually */
    MaildirCopy *copy;
    LdaOutcome *outcome; /* set when it is decided */
    char *note;
} Row;

typedef struct {
    Lda *lda;
    const LdaEnvelope *envelope;
    Message *message;
    TraceOptions trace;
} Transaction;

static void
decide(Row *row, const GError *error)
{
    g_assert(row->outcome == NULL);
    row->outcome = lda_outcome_from_error(error);
}

/* ---- check ---------------------------------------------------------------- */

static bool
check_loop(const LdaConfig *config, const LdaRecipient *recipient, const Message *message,
           GError **error)
{
    unsigned hops = message_received_count(message);

    if (hops > config->mail.hopcount_limit) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_TOO_MANY_HOPS,
                    "mail loop: %u Received fields, the limit is %" G_GUINT64_FORMAT, hops,
                    config->mail.hopcount_limit);
        return false;
    }
    if (message_was_delivered_to(message, recipient->address) ||
        message_was_delivered_to(message, recipient->mailbox->address)) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_TOO_MANY_HOPS,
                    "mail loop: the message has been delivered to <%s> before", recipient->address);
        return false;
    }
    return true;
}

static bool
check(const Transaction *transaction, const LdaRecipient *recipient, GError **error)
{
    const QuotaLimits limits = {.octets = recipient->mailbox->quota_bytes,
                                .messages = recipient->mailbox->quota_messages};

    return check_loop(transaction->lda->config, recipient, transaction->message, error) &&
           quota_check_size(&limits, message_size(transaction->message), error);
}

/* ---- stage ---------------------------------------------------------------- */

static Maildir *
open_maildir(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;

    if (!lda_mailbox_paths(config, mailbox, &home, &path, error))
        return NULL;
    return maildir_open(path, config->mail.root, &layout, error);
}

static MaildirCopy *
stage_copy(Transaction *transaction, Row *row, GError **error)
{
    const LdaRecipient *recipient = row->recipient;
    Lda *lda = transaction->lda;
    g_autoptr(Maildir) maildir = open_maildir(lda->config, recipient->mailbox, error);
    g_autoptr(GPtrArray) actions = NULL;
    g_autofree char *headers = NULL;

    if (maildir == NULL)
        return NULL;
    headers =
        trace_headers(&transaction->trace, transaction->envelope, recipient, transaction->message);
    actions = sieve_implicit_keep();
    const CarryOut delivery = {
        .config = lda->config,
        .recipient = recipient,
        .message = transaction->message,
        .headers = headers,
        .namer = lda_namer(lda),
        .now_us = transaction->trace.now_us,
    };
    return carry_out(&delivery, maildir, actions, &row->note, error);
}

static void
stage(Transaction *transaction, Row *row)
{
    const Mailbox *mailbox = row->recipient->mailbox;
    Identity identity = {0};
    g_autoptr(GError) error = NULL;

    if (check(transaction, row->recipient, &error) &&
        identity_take(&identity, transaction->lda->config, mailbox, &error))
        row->copy = stage_copy(transaction, row, &error);
    identity_give_back(&identity);
    if (row->copy == NULL)
        decide(row, error);
}

/* ---- publish -------------------------------------------------------------- */

/* Removes what is left of the copy of a row that has failed. */
static void
drop(const LdaConfig *config, Row *row, bool published)
{
    Identity identity = {0};

    if (row->copy == NULL)
        return;
    /* A failure leaves a file in tmp/ at worst; the sweep of old ones takes it. */
    (void)identity_take_again(&identity, config, row->recipient->mailbox, NULL);
    if (published)
        maildir_withdraw(row->copy);
    g_clear_pointer(&row->copy, maildir_copy_free);
    identity_give_back(&identity);
}

static void
publish(const LdaConfig *config, Row *row)
{
    Identity identity = {0};
    g_autoptr(GError) error = NULL;
    bool published = false;

    if (identity_take_again(&identity, config, row->recipient->mailbox, &error))
        published = maildir_publish(row->copy, &error);
    identity_give_back(&identity);
    if (!published) {
        decide(row, error);
        drop(config, row, false);
    }
}

/* ---- commit --------------------------------------------------------------- */

/* Makes one descriptor of every staged copy durable. A row whose descriptor was
 * not has failed: after a failed fsync nobody knows what is on the disk. */
static void
commit(const LdaConfig *config, Row *rows, size_t count, bool published)
{
    CommitItem items[GROUP_MAX];

    if (config->mail.durability == DURABILITY_NONE)
        return;
    for (size_t i = 0; i < count; i++) {
        items[i] = (CommitItem){.fd = -1};
        if (rows[i].copy != NULL)
            items[i].fd =
                published ? maildir_copy_directory_fd(rows[i].copy) : maildir_copy_fd(rows[i].copy);
    }
    commit_sync(items, count);
    for (size_t i = 0; i < count; i++) {
        g_autoptr(GError) error = NULL;

        if (items[i].error == 0)
            continue;
        errno = items[i].error;
        (void)lodge_set_errno(&error, "make '%s' durable", maildir_copy_path(rows[i].copy));
        decide(&rows[i], error);
        drop(config, &rows[i], published);
    }
}

/* ---- the transaction ------------------------------------------------------ */

static void
settle(Row *row)
{
    if (row->copy == NULL)
        return;
    row->outcome = lda_outcome_stored(maildir_copy_folder(row->copy), maildir_copy_path(row->copy));
    g_clear_pointer(&row->copy, maildir_copy_free);
}

static void
deliver_group(Transaction *transaction, Row *rows, size_t count)
{
    const LdaConfig *config = transaction->lda->config;

    for (size_t i = 0; i < count; i++) {
        if (rows[i].first == &rows[i])
            stage(transaction, &rows[i]);
    }
    commit(config, rows, count, false);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].copy != NULL)
            publish(config, &rows[i]);
    }
    commit(config, rows, count, true);
    for (size_t i = 0; i < count; i++)
        settle(&rows[i]);
}

/* Finds the first of each row; returns how many there are. */
static size_t
find_firsts(Row *rows, size_t count)
{
    if (count == 1) { /* nearly every message */
        rows[0].first = &rows[0];
        return 1;
    }

    g_autoptr(GHashTable) firsts = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < count; i++) {
        char *address = rows[i].recipient->mailbox->address;

        rows[i].first = g_hash_table_lookup(firsts, address);
        if (rows[i].first == NULL) {
            rows[i].first = &rows[i];
            g_hash_table_insert(firsts, address, &rows[i]);
        }
    }
    return g_hash_table_size(firsts);
}

static void
deliver_all(Transaction *transaction, Row *rows, size_t count)
{
    transaction->trace.single = find_firsts(rows, count) == 1;
    for (size_t i = 0; i < count; i += GROUP_MAX)
        deliver_group(transaction, rows + i, MIN(count - i, (size_t)GROUP_MAX));
    for (size_t i = 0; i < count; i++) {
        if (rows[i].outcome == NULL)
            rows[i].outcome = lda_outcome_copy(rows[i].first->outcome);
    }
}

/* Logs every row and hands its outcome over. */
static GPtrArray *
report(Log *log, const Record *record, Row *rows, size_t count)
{
    GPtrArray *outcomes = g_ptr_array_new_with_free_func((GDestroyNotify)lda_outcome_free);

    for (size_t i = 0; i < count; i++) {
        record_delivery(log, record, rows[i].recipient, rows[i].outcome, rows[i].note);
        g_ptr_array_add(outcomes, g_steal_pointer(&rows[i].outcome));
        g_free(rows[i].note);
    }
    return outcomes;
}

GPtrArray *
lda_deliver(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope, Message *message,
            const GError *failure)
{
    size_t count = envelope->recipients->len;
    g_autofree Row *rows = g_new0(Row, count);
    const Record record = {.transaction_id = transaction_id,
                           .envelope = envelope,
                           .message = failure == NULL ? message : NULL,
                           .started_us = g_get_monotonic_time()};
    Transaction transaction = {.lda = lda, .envelope = envelope, .message = message};

    transaction.trace = (TraceOptions){.host = lda->hostname,
                                       .transaction_id = transaction_id,
                                       .now_us = g_get_real_time(),
                                       .delivered_to = lda->config->mail.delivered_to};
    for (size_t i = 0; i < count; i++) {
        rows[i].recipient = envelope->recipients->pdata[i];
        if (failure != NULL)
            decide(&rows[i], failure);
    }
    if (failure == NULL)
        deliver_all(&transaction, rows, count);
    return report(lda->log, &record, rows, count);
}
