/* lda/ctl_quota_domains.c - what domains with a total hold, for `lodge quota get` and `recalc`
 *
 *   walk->totals --usage_domain_measure()--> rows
 *
 * From the database of usage that deliveries decide on, which is compared with all mailboxes of the
 * domain first, those of users who are switched off among them. It belongs to the mail user: what
 * root would make there, deliveries could not write.
 */
#include "lda/ctl_quota.h"

#include "lda/usage_domain.h"

typedef struct {
    QuotaWalk *walk;
    Usage *usage;
    GPtrArray *rows;
} Measurement;

static gboolean
measure(void *key, void *value, void *data)
{
    const char *name = key;
    const Measurement *measurement = data;
    QuotaWalk *walk = measurement->walk;
    const UsageDomain domain = {.config = walk->config,
                                .map = walk->map,
                                .usage = measurement->usage,
                                .now_us = g_get_real_time()};
    QuotaUsage used;
    g_autoptr(GError) error = NULL;

    if (usage_domain_measure(&domain, name, &used, &error))
        quota_rows_add(measurement->rows, name, &used, value);
    else
        quota_walk_fail(walk, name, error, CTL_TEMPORARY);
    return FALSE; /* go on */
}

static void
measure_all(QuotaWalk *walk, GPtrArray *rows)
{
    g_autoptr(Usage) usage = usage_new(walk->config->quota.database, USAGE_TIMEOUT_MS);
    Measurement measurement = {.walk = walk, .usage = usage, .rows = rows};

    g_tree_foreach(walk->totals, measure, &measurement);
}

/* As a worker of lodged has them. */
static bool
take_rights(const LdaConfig *config, GError **error)
{
    g_autoptr(Privileges) owner = privileges_find(config->mail.user, config->mail.group, error);

    if (owner == NULL)
        return false;
    return config->mail.per_user_ids ? privileges_borrow_switching(owner, error)
                                     : privileges_borrow(owner, error);
}

GPtrArray *
quota_domains_measure(QuotaWalk *walk)
{
    GPtrArray *rows = quota_rows_new();
    g_autoptr(GError) error = NULL;

    if (g_tree_nnodes(walk->totals) == 0)
        return rows;
    if (!take_rights(walk->config, &error)) {
        quota_walk_fail(walk, "domains", error, CTL_TEMPORARY);
        return rows;
    }
    measure_all(walk, rows);
    privileges_return();
    return rows;
}
