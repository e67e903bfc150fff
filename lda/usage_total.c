/* lda/usage_total.c - may a domain take that much more? See usage.h
 *
 *   stage ──▶ usage_admit(): BEGIN, notes, sum of the domain, quota_holds, COMMIT
 *
 * What was noted is written in the same transaction, before it is summed up.
 */
#include "lda/usage_parts.h"

/* What is known of the domain; has no row: *refreshed_us_out is 0. */
static bool
get_domain(Usage *usage, const char *domain, gint64 *refreshed_us_out, gint64 *full_since_us_out)
{
    sqlite3_stmt *stmt = usage_start(usage, SQL_GET_DOMAIN, "t", domain);
    int code = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;

    *refreshed_us_out = *full_since_us_out = 0;
    if (code == SQLITE_ROW) {
        *refreshed_us_out = sqlite3_column_int64(stmt, 0);
        *full_since_us_out = sqlite3_column_int64(stmt, 1);
    }
    if (stmt != NULL)
        usage_reset(stmt);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool
has_user(Usage *usage, const char *user, bool *has_out)
{
    sqlite3_stmt *stmt = usage_start(usage, SQL_HAS_USER, "t", user);
    int code = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;

    if (stmt != NULL)
        usage_reset(stmt);
    *has_out = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static guint64
to_count(double total)
{
    return (guint64)MIN(total, (double)(G_MAXINT64 / 4));
}

static bool
sum(Usage *usage, UsageStatement which, const char *domain, QuotaUsage *used_out)
{
    sqlite3_stmt *stmt = usage_start(usage, which, "t", domain);
    bool done = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;

    if (done) {
        used_out->octets = to_count(sqlite3_column_double(stmt, 0));
        used_out->messages = to_count(sqlite3_column_double(stmt, 1));
    }
    if (stmt != NULL)
        usage_reset(stmt);
    return done;
}

static bool
fits(guint64 used, guint64 held, guint64 wanted, guint64 total)
{
    return total == 0 || (wanted <= total && used + held <= total - wanted);
}

/* Within a transaction: is there room? */
static bool
find_room(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    const QuotaUsage *used = &verdict->used;
    const QuotaUsage *held = &verdict->held;
    const QuotaUsage *wanted = &request->wanted;

    if (!sum(usage, SQL_SUM, domain, &verdict->used) ||
        !sum(usage, SQL_SUM_HOLDS, domain, &verdict->held))
        return false;
    verdict->answer =
        fits(used->octets, held->octets, wanted->octets, request->total.octets) &&
                fits(used->messages, held->messages, wanted->messages, request->total.messages)
            ? USAGE_ADMITTED
            : USAGE_FULL;
    return true;
}

static bool
answer(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    gint64 refreshed_us = 0;
    bool is_known = false;

    if (!get_domain(usage, domain, &refreshed_us, &verdict->full_since_us) ||
        !has_user(usage, request->user, &is_known))
        return false;
    verdict->answer = refreshed_us == 0 ? USAGE_UNKNOWN : USAGE_UNKNOWN_USER;
    if (refreshed_us == 0 || !is_known)
        return true;
    verdict->answer = USAGE_STALE;
    if (request->max_age_s > 0 &&
        ABS(request->now_us - refreshed_us) > request->max_age_s * G_USEC_PER_SEC)
        return true;
    return find_room(usage, request, domain, verdict);
}

/* Remembers the first refusal, from which on owners have time to make room. */
static bool
record_refusal(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    if (verdict->answer != USAGE_FULL || verdict->full_since_us != 0)
        return true;
    verdict->full_since_us = request->now_us;
    return usage_run(usage, SQL_SET_FULL, "ti", domain, request->now_us);
}

static bool
set_aside(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    if (verdict->answer != USAGE_ADMITTED)
        return true;
    if (verdict->full_since_us != 0 &&
        !usage_run(usage, SQL_SET_FULL, "ti", domain, G_GINT64_CONSTANT(0)))
        return false;
    if (!usage_run(usage, SQL_ADD_HOLD, "ittii", usage->owner, request->user, domain,
                   usage_to_number(request->wanted.octets),
                   usage_to_number(request->wanted.messages)))
        return false;
    verdict->hold = sqlite3_last_insert_rowid(usage->db);
    return true;
}

bool
usage_admit(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out, GError **error)
{
    g_autofree char *domain = usage_domain(request->user);
    UsageVerdict verdict = {0};

    if (!usage_begin(usage, usage->timeout_ms, error) ||
        !usage_end(usage,
                   usage_write_notes(usage) && answer(usage, request, domain, &verdict) &&
                       record_refusal(usage, request, domain, &verdict) &&
                       set_aside(usage, request, domain, &verdict),
                   error))
        return false;
    usage_forget_notes(usage);
    *verdict_out = verdict;
    return true;
}

bool
usage_ask(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out, GError **error)
{
    g_autofree char *domain = usage_domain(request->user);
    UsageVerdict verdict = {0};

    if (!usage_flush(usage, usage->timeout_ms, error) || !usage_begin_reading(usage, error) ||
        !usage_end(usage, answer(usage, request, domain, &verdict), error))
        return false;
    /* Only the first refusal is written; what was true before is asked again. */
    if (verdict.answer == USAGE_FULL && verdict.full_since_us == 0 &&
        (!usage_begin(usage, usage->timeout_ms, error) ||
         !usage_end(usage,
                    answer(usage, request, domain, &verdict) &&
                        record_refusal(usage, request, domain, &verdict),
                    error)))
        return false;
    *verdict_out = verdict;
    return true;
}

bool
usage_sum(Usage *usage, const char *domain, QuotaUsage *used_out, GError **error)
{
    QuotaUsage used = {0};

    if (!usage_flush(usage, usage->timeout_ms, error) || !usage_begin_reading(usage, error) ||
        !usage_end(usage, sum(usage, SQL_SUM, domain, &used), error))
        return false;
    *used_out = used;
    return true;
}

/* When the last refresh began. Reads only: of those who are refused hardly anybody has to do more,
 * and they wait for no delivery then. */
static bool
look_up_refresh(Usage *usage, const char *domain, gint64 *refreshed_us_out, GError **error)
{
    gint64 full_since_us;

    return usage_begin_reading(usage, error) &&
           usage_end(usage, get_domain(usage, domain, refreshed_us_out, &full_since_us), error);
}

bool
usage_claim_refresh(Usage *usage, const char *domain, gint64 now_us, gint64 interval_s,
                    bool *claimed_out, GError **error)
{
    const gint64 interval_us = interval_s * G_USEC_PER_SEC;
    gint64 refreshed_us = 0, full_since_us = 0;
    bool claimed = false;
    bool done;

    if (!look_up_refresh(usage, domain, &refreshed_us, error))
        return false;
    *claimed_out = false;
    if (refreshed_us != 0 && refreshed_us >= now_us - interval_us && refreshed_us <= now_us)
        return true;
    if (!usage_begin(usage, usage->timeout_ms, error))
        return false;
    done = get_domain(usage, domain, &refreshed_us, &full_since_us) &&
           usage_run(usage, SQL_CLAIM, "tii", domain, now_us, interval_us);
    claimed = done && (refreshed_us == 0 || sqlite3_changes(usage->db) > 0);
    if (!usage_end(usage, done, error))
        return false;
    *claimed_out = claimed;
    return true;
}

GHashTable *
usage_stamps(Usage *usage, const char *domain, GError **error)
{
    g_autoptr(GHashTable) stamps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    sqlite3_stmt *stmt;
    int code = SQLITE_ERROR;

    if (!usage_begin(usage, usage->timeout_ms, error))
        return NULL;
    stmt = usage_start(usage, SQL_STAMPS, "t", domain);
    while (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        g_hash_table_insert(stamps, g_strdup((const char *)sqlite3_column_text(stmt, 0)),
                            g_strdup((const char *)sqlite3_column_text(stmt, 1)));
    if (stmt != NULL)
        usage_reset(stmt);
    return usage_end(usage, code == SQLITE_DONE, error) ? g_steal_pointer(&stamps) : NULL;
}

bool
usage_forget(Usage *usage, const char *user, GError **error)
{
    return usage_begin(usage, usage->timeout_ms, error) &&
           usage_end(usage, usage_run(usage, SQL_FORGET, "t", user), error);
}

/* Owners of holds of the domain that are no more. NULL after an error. */
static GArray *
find_dead(Usage *usage, const char *domain)
{
    g_autoptr(GArray) dead = g_array_new(FALSE, FALSE, sizeof(gint64));
    sqlite3_stmt *stmt = usage_start(usage, SQL_OWNERS, "t", domain);
    int code = SQLITE_ERROR;

    while (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        gint64 owner = sqlite3_column_int64(stmt, 0);

        if (!usage_owner_is_alive(usage, owner))
            g_array_append_val(dead, owner);
    }
    if (stmt != NULL)
        usage_reset(stmt);
    return code == SQLITE_DONE ? g_steal_pointer(&dead) : NULL;
}

static bool
drop_dead(Usage *usage, const char *domain)
{
    g_autoptr(GArray) dead = find_dead(usage, domain);
    bool done = dead != NULL;

    for (guint i = 0; done && i < dead->len; i++)
        done = usage_run(usage, SQL_DROP_OWNER, "i", g_array_index(dead, gint64, i));
    return done;
}

bool
usage_refreshed(Usage *usage, const char *domain, gint64 now_us, GError **error)
{
    if (!usage_begin(usage, usage->timeout_ms, error) ||
        !usage_end(usage,
                   usage_write_notes(usage) && drop_dead(usage, domain) &&
                       usage_run(usage, SQL_ADD_UP, "t", domain) &&
                       usage_run(usage, SQL_REFRESHED, "ti", domain, now_us),
                   error))
        return false;
    usage_forget_notes(usage);
    return true;
}
