/* lda/delivery.c - one message to its recipients: stage, commit, publish, commit
 *
 *   check: loop, hops            a refusal ends here, for this recipient only
 *   filter: the scripts          most recipients have none
 *   stage: every copy in tmp/    its room is reserved first: a full mailbox ends here
 *   admit: the domain            has it room for the copies of this row?
 *   send: redirects              what the MTA must have taken before we say yes
 *   commit: all copies durable   <- one barrier for everybody
 *   publish: rename into new/
 *   commit: all directories durable
 *   settle: what was reserved is entered in maildirsize
 *   finish: replies and the like
 *   outcome, log line            only now is anybody told "stored"
 *
 * Every recipient has a row of its own, with its own outcome: one that failed is
 * left out of the steps that follow, the others go on. One that finds no room, or no
 * descriptors, beside others before it waits until they have ended. A process that dies at any
 * line leaves files in tmp/, or copies nobody was told of, and the MTA sends again.
 */
#include "lda/lda_private.h"

#include "lda/carry_out.h"
#include "lda/early.h"
#include "lda/identity.h"
#include "lda/room.h"
#include "lda/trace.h"

/* Copies handled at once: each keeps a handful of descriptors open, and the
 * usual limit of a process is 1024. */
enum {
    GROUP_MAX = 100,
    EFFECTS_WEIGHT = 4,                          /* scripts under way have memory of their own */
    ROOM_WEIGHT = 1,                             /* of each copy, when it is counted */
    COPIES_MAX = GROUP_MAX + EFFECTS_MAX_COPIES, /* the last row may have several */
    NAMES_AT_ONCE = 8, /* the kernel syncs as many side by side on two cores */
};

typedef struct Row {
    const LdaRecipient *recipient;
    const struct Row *first; /* for the same mailbox: its copy serves all; itself, usually */
    Maildir *maildir;        /* without scripts: one copy, and no effects */
    MaildirCopy *copy;
    Effects *effects;
    EffectsReport *report; /* of effects that are over */
    Room *room;            /* of the copies */
    char *quota;           /* what room said in the end */
    DomainHold hold;       /* the same, in the domain */
    LdaOutcome *outcome;   /* set when it is decided */
    char *note;
} Row;

typedef struct {
    Lda *lda;
    const LdaEnvelope *envelope;
    Message *message;
    TraceOptions trace;
    MaildirTwin twin;          /* of copies that do not name their recipients; or begun early */
    const Mailbox *early;      /* whose copy that is; NULL: none was */
    const Mailbox *twin_owner; /* with whose rights it was made; NULL: nobody's yet */
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

/* ---- stage ---------------------------------------------------------------- */

static Maildir *
open_maildir(const LdaConfig *config, const Mailbox *mailbox, char **home_out, GError **error)
{
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;

    if (!lda_mailbox_paths(config, mailbox, &home, &path, error))
        return NULL;
    *home_out = g_steal_pointer(&home);
    return maildir_open(path, config->mail.root, &layout, error);
}

/* Runs the scripts; NULL without error when there are none. */
static Filter *
filter(const Transaction *transaction, const LdaRecipient *recipient, Maildir *maildir,
       const char *home, GError **error)
{
    Lda *lda = transaction->lda;

    if (lda->scripts == NULL)
        lda->scripts = scripts_new(lda->config);

    const FilterContext context = {
        .config = lda->config,
        .envelope = transaction->envelope,
        .recipient = recipient,
        .message = transaction->message,
        .maildir = maildir,
        .scripts = lda->scripts,
        .map = lda->map,
        .home = home,
        .hostname = lda->hostname,
        .now_us = transaction->trace.now_us,
    };

    return filter_run(&context, error);
}

/* With scripts: the copies they ask for. */
static bool
stage_effects(const CarryOut *delivery, Row *row, Maildir *maildir, Filter *filtered,
              GError **error)
{
    row->effects = effects_stage(delivery, maildir, filtered, error);
    return row->effects != NULL;
}

static bool
is_utf8(const LdaEnvelope *envelope)
{
    return envelope->protocol != NULL && strncmp(envelope->protocol, "UTF8", 4) == 0;
}

/* Copies that name their recipients are all different, and a file has one owner. */
static MaildirTwin *
twin_for(Transaction *transaction, const Mailbox *mailbox)
{
    const LdaConfig *config = transaction->lda->config;
    const Mailbox *owner = transaction->twin_owner;

    if (transaction->trace.single || config->mail.delivered_to == DELIVERED_TO_ALWAYS)
        return transaction->early == mailbox ? &transaction->twin : NULL;
    if (owner != NULL && config->mail.per_user_ids &&
        (owner->uid != mailbox->uid || owner->gid != mailbox->gid))
        maildir_twin_clear(&transaction->twin);
    transaction->twin_owner = mailbox;
    return &transaction->twin;
}

static bool
stage_copies(Transaction *transaction, Row *row, GError **error)
{
    const LdaRecipient *recipient = row->recipient;
    Lda *lda = transaction->lda;
    g_autofree char *home = NULL;
    g_autoptr(Maildir) maildir = open_maildir(lda->config, recipient->mailbox, &home, error);
    g_autoptr(GError) failure = NULL;
    g_autofree char *headers = NULL;
    Filter *filtered;

    if (maildir == NULL)
        return false;
    row->room = room_new(lda->config, recipient->mailbox, maildir_fd(maildir), error);
    if (row->room == NULL)
        return false;
    filtered = filter(transaction, recipient, maildir, home, &failure);
    if (failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    headers =
        trace_headers(&transaction->trace, transaction->envelope, recipient, transaction->message);
    const CarryOut delivery = {
        .lda = lda,
        .config = lda->config,
        .recipient = recipient,
        .message = transaction->message,
        .headers = headers,
        .namer = lda_namer(lda),
        .room = row->room,
        .twin = twin_for(transaction, recipient->mailbox),
        .now_us = transaction->trace.now_us,
        .hostname = lda->hostname,
        .transaction_id = transaction->trace.transaction_id,
        .utf8 = is_utf8(transaction->envelope),
    };
    if (filtered != NULL)
        return stage_effects(&delivery, row, g_steal_pointer(&maildir), filtered, error);
    row->copy = carry_out_keep(&delivery, maildir, &row->note, error);
    row->maildir = g_steal_pointer(&maildir);
    return row->copy != NULL;
}

/* Ends what is under way, with what is to be said of it. */
static void
close_row(Row *row)
{
    if (row->room != NULL)
        row->quota = room_describe(row->room);
    if (row->effects != NULL)
        row->report = effects_report(row->effects);
    g_clear_pointer(&row->copy, maildir_copy_free);
    /* After the copies: what is not there any more is given back. */
    g_clear_pointer(&row->room, room_free);
    g_clear_pointer(&row->effects, effects_free);
    g_clear_pointer(&row->maildir, maildir_free);
}

/* Removes what is left of the copies of a row that has failed. */
static void
drop(const LdaConfig *config, Row *row, bool published)
{
    Identity identity = {0};

    if (row->room == NULL) /* it was not begun */
        return;
    /* A failure leaves a file in tmp/ at worst; the sweep of old ones takes it. */
    (void)identity_take_again(&identity, config, row->recipient->mailbox, NULL);
    if (published && row->copy != NULL)
        maildir_withdraw(row->copy);
    if (published && row->effects != NULL)
        effects_withdraw(row->effects);
    close_row(row);
    identity_give_back(&identity);
}

static bool
admit(const Transaction *transaction, Row *row, GError **error)
{
    return chores_admit(transaction->lda, row->recipient->mailbox, row->room,
                        transaction->trace.now_us, &row->hold, error);
}

/* The same in all deliveries of a process: asked once. */
static uid_t
own_uid(Lda *lda)
{
    if (!lda->uid_is_known)
        lda->uid = geteuid();
    lda->uid_is_known = true;
    return lda->uid;
}

/* Stages and sends; what it leaves behind when it fails is for the caller to drop. */
static bool
stage(Transaction *transaction, Row *row, GError **error)
{
    const LdaConfig *config = transaction->lda->config;
    Identity identity = {0};
    bool staged = check_loop(config, row->recipient, transaction->message, error) &&
                  identity_take_as(&identity, own_uid(transaction->lda), config,
                                   row->recipient->mailbox, error) &&
                  stage_copies(transaction, row, error);

    identity_give_back(&identity);
    staged = staged && admit(transaction, row, error);
    /* What a redirect is kept as that nobody takes needs room too. */
    if (staged && row->effects != NULL)
        staged = effects_send(row->effects, error) && admit(transaction, row, error);
    return staged;
}

/* Copies of a row that is under way. */
static size_t
copy_count(const Row *row)
{
    if (row->effects != NULL)
        return effects_copies(row->effects)->len;
    return row->copy != NULL ? 1 : 0;
}

static size_t
count_copies(const Row *rows, size_t count)
{
    size_t copies = 0;

    for (size_t i = 0; i < count; i++)
        copies += copy_count(&rows[i]);
    return copies;
}

/* Whether both are in one mailbox, whatever their names. */
static bool
is_same_mailbox(const LdaConfig *config, const Mailbox *a, const Mailbox *b)
{
    g_autofree char *home_a = NULL, *home_b = NULL;
    g_autofree char *path_a = NULL, *path_b = NULL;

    return lda_mailbox_paths(config, a, &home_a, &path_a, NULL) &&
           lda_mailbox_paths(config, b, &home_b, &path_b, NULL) && strcmp(path_a, path_b) == 0;
}

static bool
is_same_domain(const Mailbox *a, const Mailbox *b)
{
    g_autofree char *domain_a = usage_domain(a->user);
    g_autofree char *domain_b = usage_domain(b->user);

    return strcmp(domain_a, domain_b) == 0;
}

/* Whether there is no room for a row because of one before it that is under way: for the same
 * mailbox by another name, or in the same domain. Whether that one keeps its room is known when it
 * has ended; then the question has an answer. */
static bool
lacks_room(const LdaConfig *config, const Row *rows, size_t index)
{
    const Mailbox *mailbox = rows[index].recipient->mailbox;

    for (size_t i = 0; i < index; i++) {
        const Mailbox *other = rows[i].recipient->mailbox;

        if ((copy_count(&rows[i]) > 0 && is_same_mailbox(config, mailbox, other)) ||
            (rows[i].hold.id != 0 && is_same_domain(mailbox, other)))
            return true;
    }
    return false;
}

/* Descriptors, that those before it hold. */
static bool
lacks_descriptors(const Row *rows, size_t index, const GError *error)
{
    return (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_MFILE) ||
            g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NFILE)) &&
           count_copies(rows, index) > 0;
}

/* Whether a row that failed may find what it lacks when those before it have ended. */
static bool
has_to_wait(const LdaConfig *config, const Row *rows, size_t index, const GError *error)
{
    return (g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW) &&
            lacks_room(config, rows, index)) ||
           lacks_descriptors(rows, index, error);
}

/* As if it had not been begun. */
static void
put_back(Transaction *transaction, Row *row)
{
    drop(transaction->lda->config, row, false);
    chores_dropped(transaction->lda, row->hold.id);
    row->hold = (DomainHold){0};
    g_clear_pointer(&row->quota, g_free);
    g_clear_pointer(&row->note, g_free);
    g_clear_pointer(&row->report, effects_report_free);
}

/* False: it has to wait for rows before it, and was not begun. */
static bool
begin_row(Transaction *transaction, Row *rows, size_t index)
{
    const LdaConfig *config = transaction->lda->config;
    Row *row = &rows[index];
    g_autoptr(GError) error = NULL;

    if (stage(transaction, row, &error))
        return true;
    if (has_to_wait(config, rows, index, error)) {
        put_back(transaction, row);
        return false;
    }
    decide(row, error);
    drop(config, row, false);
    return true;
}

/* ---- publish -------------------------------------------------------------- */

static MaildirCopy *
copy_of(const Row *row, size_t index)
{
    return row->effects != NULL ? effects_copies(row->effects)->pdata[index] : row->copy;
}

static bool
publish_copies(Row *row, GError **error)
{
    for (size_t i = 0; i < copy_count(row); i++) {
        if (!maildir_publish(copy_of(row, i), error))
            return false;
    }
    return true;
}

static void
publish(const LdaConfig *config, Row *row)
{
    Identity identity = {0};
    g_autoptr(GError) error = NULL;
    bool published = false;

    if (identity_take_again(&identity, config, row->recipient->mailbox, &error))
        published = publish_copies(row, &error);
    identity_give_back(&identity);
    if (!published) {
        decide(row, error);
        drop(config, row, true);
    }
}

/* ---- commit --------------------------------------------------------------- */

/* Whether all copies of the row are durable; items are theirs. */
static bool
check_items(const Row *row, const CommitItem *items, GError **error)
{
    for (size_t i = 0; i < copy_count(row); i++) {
        if (items[i].error == 0)
            continue;
        errno = items[i].error;
        return lodge_set_errno(error, "make '%s' durable", maildir_copy_path(copy_of(row, i)));
    }
    return true;
}

/* A row whose descriptor was not made durable has failed: after a failed fsync nobody knows what is
 * on the disk. */
static void
check_rows(const LdaConfig *config, Row *rows, size_t count, const CommitItem *items,
           bool published)
{
    for (size_t i = 0; i < count; i++) {
        size_t copies = copy_count(&rows[i]);
        g_autoptr(GError) error = NULL;

        if (!check_items(&rows[i], items, &error)) {
            decide(&rows[i], error);
            drop(config, &rows[i], published);
        }
        items += copies;
    }
}

static void
commit(Lda *lda, Row *rows, size_t count)
{
    CommitItem items[COPIES_MAX];
    size_t used = 0;

    if (lda->config->mail.durability == DURABILITY_NONE)
        return;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < copy_count(&rows[i]); j++) {
            const MaildirCopy *copy = copy_of(&rows[i], j);

            items[used++] =
                (CommitItem){.fd = maildir_copy_fd(copy), .info = maildir_copy_info(copy)};
        }
    }
    commit_contents(lda->commit, items, used);
    check_rows(lda->config, rows, count, items, false);
}

/* The disk begins with the names of some while others get theirs. */
static void
publish_and_commit(Lda *lda, Row *rows, size_t count)
{
    bool is_durable = lda->config->mail.durability != DURABILITY_NONE;
    CommitItem items[COPIES_MAX];
    size_t used = 0, begun = 0;

    for (size_t i = 0; i < count; i++) {
        if (copy_count(&rows[i]) > 0)
            publish(lda->config, &rows[i]);
        for (size_t j = 0; j < copy_count(&rows[i]); j++)
            items[used++] = (CommitItem){.fd = maildir_copy_directory_fd(copy_of(&rows[i], j))};
        if (is_durable && used - begun >= NAMES_AT_ONCE) {
            commit_names_begin(lda->commit, items, used);
            begun = used;
        }
    }
    if (!is_durable)
        return;
    commit_names(lda->commit, items, used);
    check_rows(lda->config, rows, count, items, true);
}

/* ---- the transaction ------------------------------------------------------ */

/* Enters the copies in the accounts of the mailbox. They are stored, whatever comes of it. */
static void
settle_room(const Transaction *transaction, Row *row)
{
    Identity identity = {0};
    g_autoptr(GError) error = NULL;
    bool settled =
        identity_take_again(&identity, transaction->lda->config, row->recipient->mailbox, &error) &&
        room_settle(row->room, transaction->trace.now_us, &error);

    identity_give_back(&identity);
    chores_settled(transaction->lda, &(Settled){.mailbox = row->recipient->mailbox,
                                                .room = row->room,
                                                .hold = row->hold.id,
                                                .is_entered = settled,
                                                .transaction_id = transaction->trace.transaction_id,
                                                .now_us = transaction->trace.now_us});
    if (settled)
        return;
    if (row->effects != NULL) {
        effects_remark(row->effects, error->message);
    } else {
        g_autofree char *note = row->note;

        row->note = g_strjoin("; ", error->message, note, NULL);
    }
}

/* The copies are safe, or there are none to be kept. */
static void
settle(const Transaction *transaction, Row *row)
{
    if (copy_count(row) > 0)
        settle_room(transaction, row);
    else
        chores_dropped(transaction->lda, row->hold.id);
    if (row->effects != NULL) {
        row->outcome = effects_outcome(row->effects);
        effects_finish(row->effects);
    } else if (row->copy != NULL) {
        row->outcome =
            lda_outcome_stored(maildir_copy_folder(row->copy), maildir_copy_path(row->copy));
    }
    close_row(row);
}

/* Stages rows until enough copies are under way, or one has to wait for them; returns how many
 * rows, at least one. */
static size_t
stage_some(Transaction *transaction, Row *rows, size_t count)
{
    size_t copies = 0;
    size_t i = 0;

    for (; i < count && copies < GROUP_MAX; i++) {
        if (rows[i].first == &rows[i] && !begin_row(transaction, rows, i))
            break;
        copies += copy_count(&rows[i]);
        copies += rows[i].effects != NULL ? EFFECTS_WEIGHT : 0;
        copies += rows[i].room != NULL && room_is_limited(rows[i].room)
                      ? copy_count(&rows[i]) * ROOM_WEIGHT
                      : 0;
    }
    return i;
}

/* Returns how many of the rows were delivered. */
static size_t
deliver_group(Transaction *transaction, Row *rows, size_t count)
{
    size_t staged = stage_some(transaction, rows, count);

    maildir_twin_clear(&transaction->twin);
    commit(transaction->lda, rows, staged);
    publish_and_commit(transaction->lda, rows, staged);
    for (size_t i = 0; i < staged; i++)
        settle(transaction, &rows[i]);
    return staged;
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
    for (size_t i = 0; i < count;)
        i += deliver_group(transaction, rows + i, count - i);
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
        record_delivery(log, record, rows[i].recipient, rows[i].outcome, rows[i].report,
                        rows[i].note, rows[i].quota);
        g_ptr_array_add(outcomes, g_steal_pointer(&rows[i].outcome));
        g_free(rows[i].note);
        g_free(rows[i].quota);
        effects_report_free(rows[i].report);
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

    maildir_twin_init(&transaction.twin);
    if (failure == NULL)
        transaction.early = early_take(message, &transaction.twin);
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
