/* quota/quota.c - is there room in this mailbox? See quota.h. */
#include "quota/quota.h"

G_DEFINE_QUARK(lodge_quota_error, quota_error)

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
