/* quota/quota.c - is there room in this mailbox? See quota.h
 *
 *   usage in "maildirsize" + what others have set aside + this <= what is allowed
 *
 * "maildirsize" is believed as Maildir++ has it (Courier's README.maildirquota): not when it is
 * missing, long, damaged or made under other limits; and what it says is no ground for a refusal
 * unless it is a count of its own, at most 15 minutes old. Then the mailbox is counted. It is also
 * counted when a delivery was killed: its message may be there, or not. All decisions are made
 * under the mutex of the ledger, so a count is made by one process and waited for by the others.
 *
 * A file that is long and nothing else is condensed instead, if the folders were counted within a
 * day for it: a count reads every name in the mailbox, and would come every 200 deliveries. So what
 * others did without a line is noticed after a day, or before a refusal.
 */
#include "quota/quota.h"

#include "quota/count.h"
#include "quota/ledger.h"
#include "quota/room.h"
#include "quota/rules.h"
#include "quota/scan.h"
#include "quota/usage_file.h"
#include "quota/verify.h"
#include "quota/warning.h"

G_DEFINE_QUARK(lodge_quota_error, quota_error)

struct Quota {
    QuotaSettings settings;
    UsageFile file; /* the one that the reservation was decided on */
    QuotaUsage usage;
    QuotaUsage own;    /* set aside by the same delivery */
    guint64 octets;    /* of the reservation */
    guint64 name;      /* hash; 0: not known yet */
    bool is_uncounted; /* it is for a folder that does not count */
    Ledger ledger;     /* the last: it is large, and clears what it needs itself */
};

/* ---- opening -------------------------------------------------------------- */

bool
quota_is_limited(const QuotaSettings *settings)
{
    for (size_t i = 0; i < settings->folder_count; i++) {
        if (settings->folders[i].max_octets != 0)
            return true;
    }
    return settings->limits.octets != 0 || settings->limits.messages != 0 ||
           settings->max_message != 0;
}

Quota *
quota_open(int dir_fd, const QuotaSettings *settings)
{
    Quota *quota = g_new(Quota, 1);

    memset(quota, 0, offsetof(Quota, ledger));
    ledger_init(&quota->ledger, dir_fd);
    quota->settings = *settings;
    /* What "maildirsize" can say. */
    quota->settings.limits.octets = MIN(settings->limits.octets, G_MAXINT64);
    quota->settings.limits.messages = MIN(settings->limits.messages, G_MAXINT64);
    quota->settings.warn_count = MIN(settings->warn_count, QUOTA_MAX_WARNINGS);
    quota->file = USAGE_FILE_CLOSED(dir_fd, settings->shared_storage);
    return quota;
}

/* Ends a reservation; one that could not be cleared is found lost, and the mailbox counted. */
static void
let_go(Quota *quota)
{
    (void)ledger_release(&quota->ledger, NULL);
    ledger_close(&quota->ledger);
    usage_file_close(&quota->file);
}

void
quota_free(Quota *quota)
{
    if (quota == NULL)
        return;
    let_go(quota);
    g_free(quota);
}

void
quota_set_own(Quota *quota, QuotaUsage own)
{
    quota->own = own;
}

/* ---- usage ---------------------------------------------------------------- */

/* Takes the mutex. What nobody knows the end of is counted: "maildirsize" goes first, so that
 * this holds if we are killed here. */
static bool
enter(Quota *quota, GError **error)
{
    Ledger *ledger = &quota->ledger;

    return ledger_enter(ledger, quota->settings.lock_timeout_ms, error) &&
           ledger_survey(ledger, error) &&
           ((!ledger->is_damaged && ledger->lost_count == 0) ||
            (usage_file_remove(&quota->file, error) && ledger_repair(ledger, error)));
}

static bool
is_believable(const Quota *quota, const UsageFile *file)
{
    return file->fd >= 0 && !file->content.is_damaged && file->size < MAILDIRSIZE_MAX &&
           maildirsize_limits_agree(&file->content.limits, &quota->settings.limits);
}

static QuotaUsage
usage_in(const UsageFile *file)
{
    return (QuotaUsage){.octets = (guint64)file->content.sum.octets,
                        .messages = (guint64)file->content.sum.messages};
}

/* Whether file is the last count of ours, with changes since. */
static bool
is_our_count(const Quota *quota, const UsageFile *file)
{
    const LedgerState *state = &quota->ledger.state;

    return file->fd >= 0 && file->stamp.inode == state->count_inode &&
           (guint64)file->content.counted.octets == state->count_octets &&
           (guint64)file->content.counted.messages == state->count_messages;
}

static bool
was_counted_lately(const Quota *quota, const UsageFile *file, gint64 now_us)
{
    const gint64 day_us = (gint64)24 * 3600 * G_USEC_PER_SEC;
    gint64 counted_us = quota->ledger.state.counted_us;

    return is_our_count(quota, file) && counted_us > 0 && counted_us <= now_us &&
           now_us - counted_us < day_us;
}

/* Leaves file as it is when it cannot be done, or is not to be. */
static void
condense(Quota *quota, UsageFile *file, gint64 now_us)
{
    if (!file->content.is_damaged && file->size >= MAILDIRSIZE_MAX &&
        was_counted_lately(quota, file, now_us) && usage_file_condense(file))
        quota->ledger.state.count_inode = file->stamp.inode;
}

static bool
find_usage(Quota *quota, UsageFile *file, gint64 now_us, QuotaUsage *usage_out, GError **error)
{
    if (!usage_file_open(file, &quota->ledger.known, error))
        return false;
    condense(quota, file, now_us);
    if (!is_believable(quota, file))
        return quota_count(&quota->ledger, &quota->settings, file, now_us, usage_out, error);
    *usage_out = usage_in(file);
    return true;
}

/* Whether a refusal may not be based on it. */
static bool
is_stale(const UsageFile *file, gint64 now_us)
{
    const gint64 limit_us = (gint64)15 * 60 * G_USEC_PER_SEC;

    return file->fd >= 0 &&
           (file->content.lines > 1 || ABS(now_us - file->stamp.modified_ns / 1000) > limit_us);
}

/* ---- decisions ------------------------------------------------------------ */

/* Whether the owner's time to make room is over. Begins it with the first refusal. */
static bool
ramp_is_over(Quota *quota, gint64 now_us)
{
    gint64 *first_us = &quota->ledger.state.refused_us;

    if (*first_us <= 0 || *first_us > now_us) /* the latter: a clock went wrong */
        *first_us = now_us;
    return now_us - *first_us >= quota->settings.ramp_s * G_USEC_PER_SEC;
}

static QuotaError
refusal_code(Quota *quota, const QuotaRefusal *refusal, gint64 now_us)
{
    if (quota_refusal_may_pass(refusal))
        return QUOTA_ERROR_FULL_FOR_NOW;
    switch (quota->settings.over) {
    case QUOTA_OVER_DEFER:
        return QUOTA_ERROR_FULL_FOR_NOW;
    case QUOTA_OVER_RAMP:
        return ramp_is_over(quota, now_us) ? QUOTA_ERROR_FULL : QUOTA_ERROR_FULL_FOR_NOW;
    case QUOTA_OVER_REJECT:
        break;
    }
    return QUOTA_ERROR_FULL;
}

/* Always false. */
static bool
refuse(Quota *quota, const QuotaRefusal *refusal, gint64 now_us, GError **error)
{
    g_autofree char *text = quota_refusal_describe(refusal);
    QuotaError code = refusal_code(quota, refusal, now_us);

    if (ledger_save(&quota->ledger, error))
        g_set_error_literal(error, QUOTA_ERROR, (int)code, text);
    return false;
}

/* Whether usage leaves room in the mailbox; else why not. */
static bool
fits_mailbox(const Quota *quota, const QuotaUsage *usage, const char *directory, guint64 octets,
             QuotaRefusal *refusal_out)
{
    bool done = quota_room_in_mailbox(&quota->settings, &quota->ledger, usage, directory, octets,
                                      refusal_out);

    refusal_out->own = refusal_out->is_messages ? quota->own.messages : quota->own.octets;
    return done;
}

/* *fits_out tells of the folder's own limit, if it has one. */
static bool
look_into_folder(Quota *quota, const char *directory, guint64 octets, bool *fits_out,
                 QuotaRefusal *refusal_out, GError **error)
{
    QuotaUsage usage = {0};

    if (quota_folder_limit(&quota->settings, directory) != 0 &&
        !quota_count_folder(&quota->ledger, &quota->settings, directory, &usage, error))
        return false;
    *fits_out = quota_room_in_folder(&quota->settings, &quota->ledger, &usage, directory, octets,
                                     refusal_out);
    return true;
}

/* Takes the mutex and finds room for octets, in file and quota->usage. */
static bool
find_room(Quota *quota, UsageFile *file, const char *directory, guint64 octets, gint64 now_us,
          GError **error)
{
    QuotaUsage *usage = &quota->usage;
    QuotaRefusal refusal;
    bool has_room;

    if (!enter(quota, error) || !find_usage(quota, file, now_us, usage, error))
        return false;
    has_room = fits_mailbox(quota, usage, directory, octets, &refusal);
    if (!has_room && is_stale(file, now_us)) {
        if (!quota_count(&quota->ledger, &quota->settings, file, now_us, usage, error))
            return false;
        has_room = fits_mailbox(quota, usage, directory, octets, &refusal);
    }
    if (has_room && !look_into_folder(quota, directory, octets, &has_room, &refusal, error))
        return false;
    return has_room || refuse(quota, &refusal, now_us, error);
}

/* ---- public --------------------------------------------------------------- */

bool
quota_usage(Quota *quota, QuotaUsage *usage_out, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);
    gint64 now_us = g_get_real_time();
    QuotaRefusal refusal;
    bool done = enter(quota, error) && find_usage(quota, &file, now_us, usage_out, error);

    /* Over quota: what "maildirsize" says is not enough, as for a refusal. */
    if (done && !fits_mailbox(quota, usage_out, "", 0, &refusal) &&
        !quota_refusal_may_pass(&refusal) && is_stale(&file, now_us))
        done = quota_count(&quota->ledger, &quota->settings, &file, now_us, usage_out, error);
    done = done && ledger_save(&quota->ledger, error);
    ledger_leave(&quota->ledger);
    usage_file_close(&file);
    return done;
}

bool
quota_recalculate(Quota *quota, QuotaUsage *usage_out, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);
    bool done =
        enter(quota, error) &&
        quota_count(&quota->ledger, &quota->settings, &file, g_get_real_time(), usage_out, error) &&
        ledger_save(&quota->ledger, error);

    ledger_leave(&quota->ledger);
    usage_file_close(&file);
    return done;
}

bool
quota_check(Quota *quota, const char *directory, guint64 octets, gint64 now_us, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);

    if (!quota_room_is_possible(&quota->settings, directory, octets, error))
        return false;
    if (!quota_folder_counts(&quota->settings, directory))
        return true;

    bool done = find_room(quota, &file, directory, octets, now_us, error) &&
                ledger_save(&quota->ledger, error);

    ledger_leave(&quota->ledger);
    usage_file_close(&file);
    return done;
}

bool
quota_reserve(Quota *quota, const char *directory, guint64 octets, gint64 now_us, GError **error)
{
    Ledger *ledger = &quota->ledger;

    let_go(quota);
    quota->is_uncounted = !quota_folder_counts(&quota->settings, directory);
    if (!quota_room_is_possible(&quota->settings, directory, octets, error))
        return false;
    if (quota->is_uncounted)
        return true;
    if (find_room(quota, &quota->file, directory, octets, now_us, error)) {
        ledger->state.refused_us = 0;

        const LedgerSlot reservation = {
            .octets = octets, .folder = quota_name_hash(directory), .name = quota->name};

        if (ledger_save(ledger, error) && ledger_take(ledger, &reservation, error)) {
            quota->octets = MIN(octets, G_MAXINT64); /* what "maildirsize" can say */
            ledger_leave(ledger);
            return true;
        }
    }
    let_go(quota);
    return false;
}

QuotaUsage
quota_reserved(const Quota *quota)
{
    if (quota->ledger.slot < 0)
        return (QuotaUsage){0};
    return (QuotaUsage){.octets = quota->octets, .messages = 1};
}

/* Other hosts see what was written under the mutex only. */
static bool
write_name(Quota *quota, GError **error)
{
    Ledger *ledger = &quota->ledger;
    bool needs_mutex = quota->settings.shared_storage;

    if (needs_mutex && !ledger_enter(ledger, quota->settings.lock_timeout_ms, error))
        return false;

    bool done = ledger_set_name(ledger, quota->name, error);

    if (needs_mutex)
        ledger_leave(ledger);
    return done;
}

bool
quota_name(Quota *quota, const char *name, GError **error)
{
    quota->name = quota_name_hash(name);
    return quota->ledger.slot < 0 || write_name(quota, error);
}

/* Adds the line to file, and finds what the mailbox held without it. */
static bool
append_line(Quota *quota, bool *is_entered_out, GError **error)
{
    const MaildirsizeContent *content = &quota->file.content;

    if (!usage_file_append(&quota->file, (gint64)quota->octets, 1, is_entered_out, error))
        return false;
    if (*is_entered_out && !content->is_damaged) {
        quota->usage.octets = (guint64)MAX(content->sum.octets - (gint64)quota->octets, 0);
        quota->usage.messages = (guint64)MAX(content->sum.messages - 1, 0);
    }
    return true;
}

/* Adds the line to the file that the reservation was decided on. *is_entered_out is false when the
 * Maildir has another one by now. */
static bool
enter_line_in_ours(Quota *quota, bool *is_entered_out, GError **error)
{
    UsageFile *file = &quota->file;

    *is_entered_out = false;
    if (file->fd >= 0 && !usage_file_refresh(file, error))
        return false;
    return file->fd < 0 || append_line(quota, is_entered_out, error);
}

/* To that one, or to the one that one of us has put in its place since we reserved: it does not
 * know of this message. One that another program made may know of it, or not: *is_entered_out is
 * false when it cannot be told where the line belongs. */
static bool
enter_line(Quota *quota, bool *is_entered_out, GError **error)
{
    UsageFile *file = &quota->file;

    if (!enter_line_in_ours(quota, is_entered_out, error))
        return false;
    if (*is_entered_out)
        return true;
    if (!ledger_read(&quota->ledger, error) || !usage_file_open(file, NULL, error))
        return false;
    return !ledger_is_intact(&quota->ledger) || !is_our_count(quota, file) ||
           append_line(quota, is_entered_out, error);
}

/* What the owner was told is kept as it was when we reserved, unless another delivery has added
 * its line since. Else, and when it is to be changed, what stands in the file counts. */
static void
decide_warning(Quota *quota, gint64 now_us, QuotaChange *change)
{
    Ledger *ledger = &quota->ledger;
    const QuotaSettings *settings = &quota->settings;

    if (!quota->file.has_others && !settings->shared_storage) {
        quota_warning_decide(&ledger->state.warnings, settings, &change->after, now_us, change);
        if (!ledger_is_changed(ledger))
            return;
    }
    /* State that cannot be kept tells nothing: else it would each time. */
    if (ledger_read(ledger, NULL)) {
        quota_warning_decide(&ledger->state.warnings, settings, &change->after, now_us, change);
        if (ledger_save(ledger, NULL))
            return;
    }
    change->warning = 0;
}

/* Without clearing the slot: it is lost from then on, and the next one counts. */
static void
abandon(Quota *quota)
{
    ledger_close(&quota->ledger);
    usage_file_close(&quota->file);
}

static void
tell_change(Quota *quota, gint64 now_us, QuotaChange *change)
{
    change->is_counted = true;
    change->at_us = g_get_real_time(); /* under the mutex: no other one is between */
    change->before = quota->usage;
    change->after = (QuotaUsage){.octets = quota_add(quota->usage.octets, quota->octets),
                                 .messages = quota_add(quota->usage.messages, 1)};
    if (quota->settings.warn_count > 0)
        decide_warning(quota, now_us, change);
}

bool
quota_settle(Quota *quota, gint64 now_us, QuotaChange *change_out, GError **error)
{
    bool is_entered;
    bool done;

    *change_out = (QuotaChange){0};
    if (quota->is_uncounted)
        return true;
    g_assert(quota->ledger.slot >= 0);
    if (!ledger_enter_again(&quota->ledger, quota->settings.lock_timeout_ms, error)) {
        abandon(quota);
        return false;
    }
    done = enter_line(quota, &is_entered, error);
    if (!is_entered && !usage_file_remove(&quota->file, done ? error : NULL)) {
        abandon(quota);
        return false;
    }
    if (done)
        tell_change(quota, now_us, change_out);

    const UsageKnown known = is_entered ? usage_file_known(&quota->file) : (UsageKnown){0};

    (void)ledger_settle(&quota->ledger, &known, NULL); /* as in let_go() */
    abandon(quota);
    return done;
}

bool
quota_verify(Quota *quota, QuotaReport *report_out, GError **error)
{
    bool done = quota_verify_mailbox(&quota->ledger, &quota->settings, report_out, error);

    ledger_leave(&quota->ledger);
    return done;
}
