/* lda/chores.c - what others want to know of a delivery: its domain, panels, its owner
 *
 *   before  chores_admit()     the total of the domain            usage_domain.h
 *           chores_check()     the same before there is a message
 *   after   chores_settled()   notes what the mailbox holds       usage.h
 *                              notes that a limit was passed      quota_warning.h
 *   then    lda_do_chores()    writes the one, tells the other: after the reply
 *
 * The database is opened for domains with a total and for [quota] publish, else never. What is
 * noted is written in one transaction for all deliveries of a second, so that many workers do
 * not wait for each other after each of theirs.
 */
#include "lda/lda_private.h"

#include "lda/quota_warning.h"
#include "lda/usage_domain.h"

enum {
    WRITE_INTERVAL_US = 1000000,
    WRITE_TIMEOUT_MS = 100, /* what cannot be written now is written with the next */
};

static Usage *
usage_of(Lda *lda)
{
    guint64 timeout_ms = MIN(lda->config->quota.lock_timeout * 1000, USAGE_TIMEOUT_MS);

    if (lda->usage == NULL)
        lda->usage = usage_new(lda->config->quota.database, (unsigned)timeout_ms);
    return lda->usage;
}

/* Needs the map. */
static UsageDomain
domain_of(Lda *lda, gint64 now_us)
{
    return (UsageDomain){
        .config = lda->config, .map = lda->map, .usage = usage_of(lda), .now_us = now_us};
}

static bool
is_same(const QuotaUsage *a, const QuotaUsage *b)
{
    return a->octets == b->octets && a->messages == b->messages;
}

bool
chores_admit(Lda *lda, const Mailbox *mailbox, const Room *room, gint64 now_us, DomainHold *hold,
             GError **error)
{
    const QuotaUsage wanted = room_reserved(room);

    if (!usage_domain_has_total(mailbox) || is_same(&wanted, &hold->wanted))
        return true;
    if (!lda_open_map(lda, error))
        return false;

    const UsageDomain domain = domain_of(lda, now_us);

    /* Both in one transaction: nobody comes in between. */
    usage_release(domain.usage, hold->id);
    *hold = (DomainHold){0};
    if (wanted.messages > 0 && !usage_domain_admit(&domain, mailbox, &wanted, &hold->id, error))
        return false;
    hold->wanted = wanted;
    return true;
}

bool
chores_check(Lda *lda, const Mailbox *mailbox, guint64 octets, gint64 now_us, GError **error)
{
    const QuotaUsage wanted = {.octets = octets, .messages = 1};

    if (!usage_domain_has_total(mailbox))
        return true;
    if (!lda_open_map(lda, error))
        return false;

    const UsageDomain domain = domain_of(lda, now_us);

    return usage_domain_check(&domain, mailbox, &wanted, error);
}

/* What the mailbox holds now, for the database. */
static void
note_usage(Lda *lda, const Settled *settled)
{
    const QuotaChange *change = room_change(settled->room);
    UsageRow row = {.user = settled->mailbox->user};

    if (!settled->is_entered || change == NULL) {
        if (settled->hold != 0)
            usage_note_held(usage_of(lda), settled->hold);
        return;
    }
    row.stored = change->after;
    row.measured_us = change->at_us;
    usage_note(usage_of(lda), &row, settled->hold);
}

void
chores_settled(Lda *lda, const Settled *settled)
{
    const QuotaChange *change = room_change(settled->room);
    QuotaWarning *warning = NULL;

    if (settled->hold != 0 || lda->config->quota.publish)
        note_usage(lda, settled);
    if (change != NULL)
        warning = quota_warning_new(settled->mailbox, room_limits(settled->room), change,
                                    settled->transaction_id, settled->now_us);
    if (warning == NULL)
        return;
    if (lda->warnings == NULL)
        lda->warnings = g_ptr_array_new_with_free_func((GDestroyNotify)quota_warning_free);
    g_ptr_array_add(lda->warnings, warning);
}

void
chores_dropped(Lda *lda, gint64 hold)
{
    if (hold != 0)
        usage_release(lda->usage, hold);
}

/* ---- after the replies ---------------------------------------------------- */

bool
lda_has_chores(const Lda *lda)
{
    return (lda->warnings != NULL && lda->warnings->len > 0) ||
           (lda->usage != NULL && usage_has_notes(lda->usage));
}

static void
carry_out_warnings(Lda *lda)
{
    const QuotaWarningContext context = {
        .config = lda->config, .log = lda->log, .namer = lda_namer(lda), .hostname = lda->hostname};
    GPtrArray *warnings = lda->warnings;

    for (guint i = 0; i < warnings->len; i++)
        quota_warning_carry_out(warnings->pdata[i], &context);
    g_ptr_array_set_size(warnings, 0);
}

/* Trouble with the database is said once, until it is over. */
static void
write_usage(Lda *lda)
{
    g_autoptr(GError) error = NULL;
    bool written = usage_flush(lda->usage, WRITE_TIMEOUT_MS, &error);

    lda->usage_written_us = g_get_monotonic_time();
    if (!written && !lda->usage_failed)
        g_warning("what mailboxes hold is not published: %s", error->message);
    lda->usage_failed = !written;
}

void
lda_do_chores(Lda *lda, bool is_idle)
{
    if (lda->warnings != NULL && lda->warnings->len > 0)
        carry_out_warnings(lda);
    if (lda->usage != NULL && usage_has_notes(lda->usage) &&
        (is_idle || g_get_monotonic_time() - lda->usage_written_us >= WRITE_INTERVAL_US))
        write_usage(lda);
}
