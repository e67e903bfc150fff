/* quota/warning.c - is it time to tell the owner? See warning.h
 *
 *   percent   0 ------ 80 ------ 90 ------ 100
 *   level          0        80        90       100     the threshold at or below the usage
 *
 * Compared are the level that this delivery leaves and the one that the last delivery left, so
 * that what was stored or removed by other programs in between counts too: an IMAP client
 * that uploads mail past a threshold is told of by the next delivery.
 */
#include "quota/warning.h"

/* Whether used is at least percent of limit. */
static bool
is_reached(guint64 used, guint64 limit, unsigned percent)
{
    /* In two parts: the product would not fit. */
    return limit > 0 && limit / 100 <= G_MAXINT64 / MAX(percent, 1) &&
           used >= limit / 100 * percent + (limit % 100 * percent + 99) / 100;
}

/* How many of the thresholds are reached. */
static size_t
count_reached(const QuotaSettings *settings, const QuotaUsage *usage)
{
    size_t reached = 0;

    for (size_t i = 0; i < settings->warn_count; i++) {
        if (is_reached(usage->octets, settings->limits.octets, settings->warn_at[i]) ||
            is_reached(usage->messages, settings->limits.messages, settings->warn_at[i]))
            reached = i + 1;
    }
    return reached;
}

static bool
is_a_threshold(const QuotaSettings *settings, guint64 percent)
{
    for (size_t i = 0; i < settings->warn_count; i++) {
        if (settings->warn_at[i] == percent)
            return true;
    }
    return false;
}

/* The stamps of percent; those of a threshold that is no longer set make room. */
static QuotaWarned *
find_stamps(QuotaWarnings *warnings, const QuotaSettings *settings, guint64 percent)
{
    QuotaWarned *unused = NULL;

    for (size_t i = 0; i < QUOTA_MAX_WARNINGS; i++) {
        QuotaWarned *stamps = &warnings->warned[i];

        if (stamps->percent == percent)
            return stamps;
        if (!is_a_threshold(settings, stamps->percent))
            unused = stamps;
    }
    g_assert(unused != NULL); /* there are no more thresholds than stamps */
    *unused = (QuotaWarned){.percent = percent};
    return unused;
}

/* False when it was told within a day. A stamp in the future is one of a clock that went wrong. */
static bool
take_turn(gint64 *stamp_us, gint64 now_us)
{
    const gint64 day_us = (gint64)24 * 3600 * G_USEC_PER_SEC;

    if (*stamp_us > 0 && *stamp_us <= now_us && now_us - *stamp_us < day_us)
        return false;
    *stamp_us = now_us;
    return true;
}

void
quota_warning_decide(QuotaWarnings *warnings, const QuotaSettings *settings,
                     const QuotaUsage *usage, gint64 now_us, QuotaChange *change_out)
{
    size_t reached = count_reached(settings, usage);
    unsigned level = reached > 0 ? settings->warn_at[reached - 1] : 0;
    bool is_down = level < warnings->level;
    unsigned passed = level;

    change_out->warning = 0;
    change_out->is_down = false;
    if (level == warnings->level)
        return;
    if (is_down && reached < settings->warn_count && settings->warn_at[reached] <= warnings->level)
        passed = settings->warn_at[reached];
    else if (is_down)
        passed = 0; /* the threshold that was passed is set no longer */
    warnings->level = level;
    if (passed == 0)
        return;

    QuotaWarned *stamps = find_stamps(warnings, settings, passed);

    if (take_turn(is_down ? &stamps->down_us : &stamps->up_us, now_us)) {
        change_out->warning = passed;
        change_out->is_down = is_down;
    }
}
