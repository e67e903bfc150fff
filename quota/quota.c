/* quota/quota.c - is there room in this mailbox? See quota.h
 *
 *   usage in "maildirsize" + what others have set aside + this <= what is allowed
 *
 * "maildirsize" is believed as Maildir++ has it (Courier's README.maildirquota): not when it is
 * missing, long, damaged or made under other limits; and what it says is no ground for a refusal
 * unless it is a count of its own, at most 15 minutes old. Then the mailbox is counted. It is also
 * counted when a delivery was killed: its message may be there, or not. All decisions are made
 * under the mutex of the ledger, so a count is made by one process and waited for by the others.
 */
#include "quota/quota.h"

#include "quota/count.h"
#include "quota/ledger.h"
#include "quota/rules.h"
#include "quota/scan.h"
#include "quota/usage_file.h"
#include "quota/verify.h"
#include "quota/warning.h"

G_DEFINE_QUARK(lodge_quota_error, quota_error)

struct Quota {
    QuotaSettings settings;
    Ledger ledger;
    UsageFile file; /* the one that the reservation was decided on */
    QuotaUsage usage;
    QuotaUsage own;    /* set aside by the same delivery */
    guint64 octets;    /* of the reservation */
    bool is_uncounted; /* it is for a folder that does not count */
};

/* Why something does not fit. */
typedef struct {
    const char *folder; /* its own limit; NULL: that of the mailbox */
    const char *unit;
    guint64 used;
    guint64 set_aside;
    guint64 own; /* of that, by this delivery */
    guint64 wanted;
    guint64 allowed;
} Refusal;

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
    Quota *quota = g_new0(Quota, 1);

    quota->settings = *settings;
    /* What "maildirsize" can say. */
    quota->settings.limits.octets = MIN(settings->limits.octets, G_MAXINT64);
    quota->settings.limits.messages = MIN(settings->limits.messages, G_MAXINT64);
    quota->ledger = LEDGER_CLOSED(dir_fd);
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

/* Where we have no limits, those of others are left alone. */
static bool
is_believable(const Quota *quota, const UsageFile *file)
{
    const QuotaLimits *ours = &quota->settings.limits;
    const QuotaLimits *theirs = &file->content.limits;

    return file->fd >= 0 && !file->content.is_damaged && file->size < MAILDIRSIZE_MAX &&
           ((ours->octets == 0 && ours->messages == 0) ||
            (ours->octets == theirs->octets && ours->messages == theirs->messages));
}

static QuotaUsage
usage_in(const UsageFile *file)
{
    return (QuotaUsage){.octets = (guint64)file->content.sum.octets,
                        .messages = (guint64)file->content.sum.messages};
}

static bool
find_usage(Quota *quota, UsageFile *file, QuotaUsage *usage_out, GError **error)
{
    if (!usage_file_open(file, error))
        return false;
    if (!is_believable(quota, file))
        return quota_count(&quota->ledger, &quota->settings, file, usage_out, error);
    *usage_out = usage_in(file);
    return true;
}

/* Whether a refusal may not be based on it. */
static bool
is_stale(const UsageFile *file, gint64 now_us)
{
    const gint64 limit_us = (gint64)15 * 60 * G_USEC_PER_SEC;

    return file->fd >= 0 &&
           (file->content.lines > 1 || ABS(now_us - usage_file_time_us(file)) > limit_us);
}

/* ---- decisions ------------------------------------------------------------ */

static bool
fits(const Refusal *sum)
{
    return sum->allowed == 0 ||
           quota_add(quota_add(sum->used, sum->set_aside), sum->wanted) <= sum->allowed;
}

static guint64
octets_set_aside(const Quota *quota, const char *folder)
{
    guint64 hash = folder != NULL ? quota_name_hash(folder) : 0;
    guint64 sum = 0;

    for (unsigned i = 0; i < quota->ledger.other_count; i++) {
        const LedgerSlot *other = &quota->ledger.others[i];

        if (folder == NULL || other->folder == hash)
            sum = quota_add(sum, other->octets);
    }
    return sum;
}

/* True: usage leaves room in the mailbox; else refusal_out says what is in the way. */
static bool
fits_mailbox(const Quota *quota, const QuotaUsage *usage, const char *directory, guint64 octets,
             Refusal *refusal_out)
{
    *refusal_out = (Refusal){.unit = "octets",
                             .used = usage->octets,
                             .set_aside = octets_set_aside(quota, NULL),
                             .own = quota->own.octets,
                             .wanted = octets,
                             .allowed = quota_allowed_octets(&quota->settings, directory)};
    if (!fits(refusal_out))
        return false;
    *refusal_out = (Refusal){.unit = "messages",
                             .used = usage->messages,
                             .set_aside = quota->ledger.other_count,
                             .own = quota->own.messages,
                             .wanted = 1,
                             .allowed = quota->settings.limits.messages};
    return fits(refusal_out);
}

static guint64
folder_limit(const Quota *quota, const char *directory)
{
    const QuotaFolderRule *rule = quota_rule_for(&quota->settings, directory);

    return rule != NULL ? rule->max_octets : 0;
}

/* *fits_out tells of the folder's own limit, and *refusal_out why not. */
static bool
look_into_folder(Quota *quota, const char *directory, guint64 octets, bool *fits_out,
                 Refusal *refusal_out, GError **error)
{
    QuotaUsage usage;
    guint64 limit = folder_limit(quota, directory);

    *fits_out = true;
    if (limit == 0)
        return true;
    if (!quota_count_folder(&quota->ledger, &quota->settings, directory, &usage, error))
        return false;
    *refusal_out = (Refusal){.folder = directory,
                             .unit = "octets",
                             .used = usage.octets,
                             .set_aside = octets_set_aside(quota, directory),
                             .wanted = octets,
                             .allowed = limit};
    *fits_out = fits(refusal_out);
    return true;
}

/* Only what others have set aside is in the way, and may yet be given back. */
static bool
is_a_matter_of_time(const Refusal *refusal)
{
    return quota_add(quota_add(refusal->used, refusal->own), refusal->wanted) <= refusal->allowed;
}

/* "104,857,600", whatever the locale. Free with g_free(). */
static char *
format_number(guint64 number)
{
    g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    GString *text = g_string_new(NULL);
    size_t len = strlen(digits);

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            g_string_append_c(text, ',');
        g_string_append_c(text, digits[i]);
    }
    return g_string_free(text, FALSE);
}

static char *
describe(const Refusal *refusal)
{
    GString *text = g_string_new("mailbox is full: ");
    g_autofree char *used = format_number(refusal->used);
    g_autofree char *set_aside = format_number(refusal->set_aside);
    g_autofree char *wanted = format_number(refusal->wanted);
    g_autofree char *allowed = format_number(refusal->allowed);

    if (refusal->folder != NULL)
        g_string_printf(
            text, "folder '%s' is full: ", *refusal->folder == '\0' ? "INBOX" : refusal->folder);
    g_string_append_printf(text, "%s of %s %s used", used, allowed, refusal->unit);
    if (refusal->set_aside > 0)
        g_string_append_printf(text, ", %s set aside for deliveries under way", set_aside);
    if (g_str_equal(refusal->unit, "octets"))
        g_string_append_printf(text, ", the message has %s", wanted);
    return g_string_free(text, FALSE);
}

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
refusal_code(Quota *quota, const Refusal *refusal, gint64 now_us)
{
    if (is_a_matter_of_time(refusal))
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
refuse(Quota *quota, const Refusal *refusal, gint64 now_us, GError **error)
{
    g_autofree char *text = describe(refusal);
    QuotaError code = refusal_code(quota, refusal, now_us);

    if (ledger_save(&quota->ledger, error))
        g_set_error_literal(error, QUOTA_ERROR, (int)code, text);
    return false;
}

/* What needs no look at the mailbox: no waiting will make it fit. */
static bool
can_ever_fit(const Quota *quota, const char *directory, guint64 octets, GError **error)
{
    guint64 allowed = quota_allowed_octets(&quota->settings, directory);
    guint64 folder_allowed = folder_limit(quota, directory);
    guint64 least = quota->settings.max_message;
    QuotaError code = QUOTA_ERROR_TOO_BIG;
    const char *what = "what the mailbox takes in one message";

    if (least == 0 || octets <= least) {
        code = QUOTA_ERROR_FULL;
        what = folder_allowed != 0 && octets > folder_allowed ? "the whole folder may hold"
                                                              : "the whole mailbox may hold";
        least = folder_allowed != 0 && octets > folder_allowed ? folder_allowed : allowed;
    }
    if (least == 0 || octets <= least)
        return true;

    g_autofree char *size = format_number(octets);
    g_autofree char *limit = format_number(least);

    g_set_error(error, QUOTA_ERROR, (int)code, "message of %s octets is more than %s: %s", size,
                what, limit);
    return false;
}

/* Takes the mutex and finds room for octets, in file and quota->usage. */
static bool
find_room(Quota *quota, UsageFile *file, const char *directory, guint64 octets, gint64 now_us,
          GError **error)
{
    Refusal refusal;
    QuotaUsage usage;
    bool has_room;

    if (!enter(quota, error) || !find_usage(quota, file, &usage, error))
        return false;
    has_room = fits_mailbox(quota, &usage, directory, octets, &refusal);
    if (!has_room && !is_a_matter_of_time(&refusal) && is_stale(file, now_us)) {
        if (!quota_count(&quota->ledger, &quota->settings, file, &usage, error))
            return false;
        has_room = fits_mailbox(quota, &usage, directory, octets, &refusal);
    }
    if (has_room && !look_into_folder(quota, directory, octets, &has_room, &refusal, error))
        return false;
    quota->usage = usage;
    return has_room || refuse(quota, &refusal, now_us, error);
}

/* ---- public --------------------------------------------------------------- */

bool
quota_usage(Quota *quota, QuotaUsage *usage_out, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);
    Refusal refusal;
    bool done = enter(quota, error) && find_usage(quota, &file, usage_out, error);

    /* Over quota: what "maildirsize" says is not enough, as for a refusal. */
    if (done && !fits_mailbox(quota, usage_out, "", 0, &refusal) &&
        is_stale(&file, g_get_real_time()))
        done = quota_count(&quota->ledger, &quota->settings, &file, usage_out, error);
    done = done && ledger_save(&quota->ledger, error);
    ledger_leave(&quota->ledger);
    usage_file_close(&file);
    return done;
}

bool
quota_recalculate(Quota *quota, QuotaUsage *usage_out, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);
    bool done = enter(quota, error) &&
                quota_count(&quota->ledger, &quota->settings, &file, usage_out, error) &&
                ledger_save(&quota->ledger, error);

    ledger_leave(&quota->ledger);
    usage_file_close(&file);
    return done;
}

bool
quota_check(Quota *quota, const char *directory, guint64 octets, gint64 now_us, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(quota->ledger.dir_fd, quota->settings.shared_storage);

    if (!can_ever_fit(quota, directory, octets, error))
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
    if (!can_ever_fit(quota, directory, octets, error))
        return false;
    if (quota->is_uncounted)
        return true;
    if (find_room(quota, &quota->file, directory, octets, now_us, error)) {
        ledger->state.refused_us = 0;
        if (ledger_save(ledger, error) &&
            ledger_take(ledger, octets, quota_name_hash(directory), error)) {
            quota->octets = octets;
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

bool
quota_name(Quota *quota, const char *name, GError **error)
{
    return quota->is_uncounted || ledger_set_name(&quota->ledger, quota_name_hash(name), error);
}

/* Whether file is the last count of ours, made since we reserved: it does not know of this
 * message. One that another program made may know of it, or not. */
static bool
is_our_count(const Quota *quota, const UsageFile *file)
{
    const LedgerState *state = &quota->ledger.state;

    return file->fd >= 0 && ledger_is_intact(&quota->ledger) &&
           usage_file_inode(file) == state->count_inode &&
           (guint64)file->content.counted.octets == state->count_octets &&
           (guint64)file->content.counted.messages == state->count_messages;
}

/* Adds the line to the file that the reservation was decided on, or to the count that one of us has
 * put in its place. *is_entered_out is false when it cannot be told where it belongs. */
static bool
enter_line(Quota *quota, bool *is_entered_out, GError **error)
{
    UsageFile *file = &quota->file;
    gint64 octets = (gint64)quota->octets;

    *is_entered_out = false;
    if (file->fd >= 0) {
        if (!usage_file_read(file, error))
            return false;
        if (!file->content.is_damaged)
            quota->usage = usage_in(file);
        if (!usage_file_append(file, octets, 1, is_entered_out, error))
            return false;
        if (*is_entered_out)
            return true;
    }
    if (!usage_file_open(file, error))
        return false;
    if (!is_our_count(quota, file))
        return true;
    quota->usage = usage_in(file);
    return usage_file_append(file, octets, 1, is_entered_out, error);
}

/* What the owner is to be told. State that cannot be kept tells nothing: else it would each time.
 */
static void
decide_warning(Quota *quota, gint64 now_us, QuotaChange *change)
{
    quota_warning_decide(&quota->ledger.state.warnings, &quota->settings, &change->after, now_us,
                         change);
    if (!ledger_save(&quota->ledger, NULL))
        change->warning = 0;
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
    if (!ledger_enter(&quota->ledger, quota->settings.lock_timeout_ms, error)) {
        ledger_close(&quota->ledger); /* the slot is lost now: the next one counts */
        usage_file_close(&quota->file);
        return false;
    }
    done = enter_line(quota, &is_entered, error);
    if (!is_entered && !usage_file_remove(&quota->file, done ? error : NULL)) {
        ledger_close(&quota->ledger); /* likewise */
        usage_file_close(&quota->file);
        return false;
    }
    if (done) {
        change_out->is_counted = true;
        change_out->at_us = g_get_real_time(); /* under the mutex: no other one is between */
        change_out->before = quota->usage;
        change_out->after = (QuotaUsage){.octets = quota_add(quota->usage.octets, quota->octets),
                                         .messages = quota_add(quota->usage.messages, 1)};
        if (quota->settings.warn_count > 0)
            decide_warning(quota, now_us, change_out);
    }
    let_go(quota);
    return done;
}

bool
quota_verify(Quota *quota, QuotaReport *report_out, GError **error)
{
    bool done = quota_verify_mailbox(&quota->ledger, &quota->settings, report_out, error);

    ledger_leave(&quota->ledger);
    return done;
}

bool
quota_check_size(const QuotaLimits *limits, guint64 size, GError **error)
{
    if (limits->octets == 0 || size <= limits->octets)
        return true;
    g_set_error(error, QUOTA_ERROR, QUOTA_ERROR_FULL,
                "message of %" G_GUINT64_FORMAT
                " octets is larger than the whole quota of %" G_GUINT64_FORMAT,
                size, limits->octets);
    return false;
}
