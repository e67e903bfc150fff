/* quota/warning.h - is it time to tell the owner? A pure function. */
#ifndef LODGE_QUOTA_WARNING_H
#define LODGE_QUOTA_WARNING_H

#include "lodge.h"
#include "quota/quota.h"

/* When one threshold was last told of; microseconds since 1970, 0: never. */
typedef struct {
    guint64 percent;
    gint64 up_us;
    gint64 down_us;
} QuotaWarned;

/* What is kept between deliveries. Stamps are found by percent: thresholds may be changed. */
typedef struct {
    guint64 level; /* the highest threshold that the last delivery found reached; 0: none */
    QuotaWarned warned[QUOTA_MAX_WARNINGS];
} QuotaWarnings;

/* Looks at the usage that a delivery left. Writes the threshold that was passed since the last one,
 * and which way, into change_out: the highest on the way up, the lowest on the way down, 0
 * when there is none or it was told within a day. Brings warnings up to date. */
void quota_warning_decide(QuotaWarnings *warnings, const QuotaSettings *settings,
                          const QuotaUsage *usage, gint64 now_us, QuotaChange *change_out);

#endif
