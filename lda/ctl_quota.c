/* lda/ctl_quota.c - `lodge quota get|recalc|top`: who holds how much?
 *
 *   quota_walk() --quota_usage() or quota_recalculate()--> rows --> table or JSON
 *        |         quota_domains_measure()                  ^
 *        +--totals of domains-------------------------------+
 *
 * The figures are those that the next delivery decides on. A mailbox that nothing limits has no
 * "maildirsize" that anybody keeps, so it is counted.
 */
#include "lda/ctl_quota.h"

static bool
count_now(Quota *quota, QuotaUsage *usage_out, GError **error)
{
    QuotaReport report;

    if (!quota_verify(quota, &report, error))
        return false;
    *usage_out = report.counted;
    return true;
}

typedef bool Measure(Quota *quota, QuotaUsage *usage_out, GError **error);

static bool
add_row(QuotaWalk *walk, const QuotaMailbox *mailbox, Measure *measure, GError **error)
{
    const QuotaLimits *limits = &mailbox->settings->limits;
    QuotaUsage usage = {0};

    if (mailbox->quota != NULL &&
        !(mailbox->is_kept ? measure : count_now)(mailbox->quota, &usage, error))
        return false;
    quota_rows_add(walk->data, mailbox->user, &usage, limits);
    return true;
}

static bool
get(QuotaWalk *walk, const QuotaMailbox *mailbox, GError **error)
{
    return add_row(walk, mailbox, quota_usage, error);
}

static bool
recalculate(QuotaWalk *walk, const QuotaMailbox *mailbox, GError **error)
{
    return add_row(walk, mailbox, quota_recalculate, error);
}

/* domains may be NULL: they are no matter of the command. */
static int
print_rows(QuotaWalk *walk, GPtrArray *mailboxes, GPtrArray *domains)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) json = g_string_new("{");

    if (mailboxes->len > 0)
        quota_rows_append_table(text, "mailbox", mailboxes);
    quota_rows_append_json(json, "mailboxes", "user", mailboxes);
    if (domains != NULL && domains->len > 0) {
        g_string_append_c(text, '\n');
        quota_rows_append_table(text, "domain", domains);
    }
    if (domains != NULL)
        quota_rows_append_json(json, "domains", "domain", domains);
    return quota_walk_print(walk, json, text);
}

static int
print_with_domains(QuotaWalk *walk, GPtrArray *mailboxes)
{
    g_autoptr(GPtrArray) domains = quota_domains_measure(walk);

    return print_rows(walk, mailboxes, domains);
}

static int
run(CtlContext *ctl, int argc, char **argv, QuotaWork *work)
{
    g_autoptr(GPtrArray) rows = quota_rows_new();
    QuotaWalk walk = {.ctl = ctl, .work = work, .data = rows};
    gboolean all = FALSE;
    int status = CTL_OK;
    const GOptionEntry entries[] = {
        {"all", 'a', 0, G_OPTION_ARG_NONE, &all, "All mailboxes of the map", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (!ctl_parse(ctl, &argc, &argv, entries, 0, G_MAXINT, &status))
        return status;
    status = quota_walk(&walk, argv + 1, all) ? print_with_domains(&walk, rows) : walk.status;
    quota_walk_clear(&walk);
    return status;
}

int
ctl_quota_get(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, get);
}

int
ctl_quota_recalc(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, recalculate);
}

/* ---- top ------------------------------------------------------------------- */

static guint64
octets_of(const QuotaRow *row)
{
    return row->usage.octets;
}

static guint64
messages_of(const QuotaRow *row)
{
    return row->usage.messages;
}

static guint64
percent_of(const QuotaRow *row)
{
    return quota_row_percent(row);
}

typedef guint64 Rank(const QuotaRow *row);

static const struct {
    const char *name;
    Rank *rank;
} orders[] = {
    {"octets", octets_of},
    {"percent", percent_of},
    {"messages", messages_of},
};

static Rank *
find_order(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        if (strcmp(orders[i].name, name) == 0)
            return orders[i].rank;
    }
    return NULL;
}

typedef struct {
    Rank *rank;
} Order;

/* The highest first; those that are equal by name. */
static int
compare_rows(const void *a, const void *b, void *data)
{
    const QuotaRow *left = *(QuotaRow *const *)a;
    const QuotaRow *right = *(QuotaRow *const *)b;
    Rank *rank = ((Order *)data)->rank;

    if (rank(left) != rank(right))
        return rank(left) > rank(right) ? -1 : 1;
    return strcmp(left->name, right->name);
}

int
ctl_quota_top(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GPtrArray) rows = quota_rows_new();
    QuotaWalk walk = {.ctl = ctl, .work = get, .data = rows};
    g_autofree char *by = NULL;
    int count = 10;
    int status = CTL_OK;
    const GOptionEntry entries[] = {
        {"number", 'n', 0, G_OPTION_ARG_INT, &count, "How many, instead of 10", "N"},
        {"by", 0, 0, G_OPTION_ARG_FILENAME, &by, "What comes first, instead of octets",
         "octets|percent|messages"},
        G_OPTION_ENTRY_NULL,
    };

    if (!ctl_parse(ctl, &argc, &argv, entries, 0, 1, &status))
        return status;
    Order order = {find_order(by == NULL ? "octets" : by)};
    if (order.rank == NULL)
        return ctl_usage(ctl, "--by is octets, percent or messages, not '%s'", by);
    if (count < 1)
        return ctl_usage(ctl, "-n is 1 or more");
    if (argc > 1 && strchr(argv[1], '@') != NULL)
        return ctl_usage(ctl, "'%s' is no domain", argv[1]);
    bool done = quota_walk(&walk, argv + 1, argc == 1);
    g_ptr_array_sort_with_data(rows, compare_rows, &order);
    if (rows->len > (unsigned)count)
        g_ptr_array_set_size(rows, count);
    status = done ? print_rows(&walk, rows, NULL) : walk.status;
    quota_walk_clear(&walk);
    return status;
}
