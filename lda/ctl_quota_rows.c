/* lda/ctl_quota_rows.c - usage and limits of mailboxes and domains, for people and as JSON
 *
 *   mailbox          size  of  %   messages  of    %
 *   ana@example.org  1.2G  2G  60  4711      -     -
 *
 * People get sizes they can compare at a glance, programs get octets. A mailbox is at 100 percent
 * when it is full and not before.
 */
#include "lda/ctl_quota.h"

enum { COLUMNS = 7 };

unsigned
quota_percent(guint64 used, guint64 limit)
{
    if (limit == 0)
        return 0;
    /* Divided first where the product would not fit. */
    guint64 percent = used <= G_MAXUINT64 / 100 ? used * 100 / limit : used / MAX(limit / 100, 1);
    return (unsigned)MIN(percent, G_MAXUINT);
}

unsigned
quota_row_percent(const QuotaRow *row)
{
    return MAX(quota_percent(row->usage.octets, row->limits.octets),
               quota_percent(row->usage.messages, row->limits.messages));
}

char *
quota_human_size(guint64 octets)
{
    static const char units[] = "KMGTPE";

    if (octets < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT, octets);
    for (unsigned unit = 0;; unit++) {
        guint64 size = (guint64)1 << (10 * (unit + 1));
        guint64 whole = octets / size + (octets % size >= size / 2);
        guint64 tenths = octets / size * 10 + (octets % size * 10 + size / 2) / size;

        if (tenths < 100 && tenths % 10 != 0)
            return g_strdup_printf("%" G_GUINT64_FORMAT ".%u%c", tenths / 10,
                                   (unsigned)(tenths % 10), units[unit]);
        if (whole < 1024)
            return g_strdup_printf("%" G_GUINT64_FORMAT "%c", whole, units[unit]);
    }
}

void
quota_json_number(GString *json, const char *name, guint64 number)
{
    char text[32];

    (void)g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, number);
    ctl_json_raw(json, name, text);
}

/* null: no limit. */
static void
add_limit(GString *json, const char *limit_name, const char *percent_name, guint64 used,
          guint64 limit)
{
    if (limit == 0) {
        ctl_json_raw(json, limit_name, "null");
        ctl_json_raw(json, percent_name, "null");
        return;
    }
    quota_json_number(json, limit_name, limit);
    quota_json_number(json, percent_name, quota_percent(used, limit));
}

static void
row_free(void *data)
{
    QuotaRow *row = data;

    g_free(row->name);
    g_free(row);
}

GPtrArray *
quota_rows_new(void)
{
    return g_ptr_array_new_with_free_func(row_free);
}

void
quota_rows_add(GPtrArray *rows, const char *name, const QuotaUsage *usage,
               const QuotaLimits *limits)
{
    QuotaRow *row = g_new0(QuotaRow, 1);

    row->name = g_strdup(name);
    row->usage = *usage;
    row->limits = *limits;
    g_ptr_array_add(rows, row);
}

void
quota_rows_append_json(GString *json, const char *member, const char *key, GPtrArray *rows)
{
    ctl_json_raw(json, member, "[");
    for (unsigned i = 0; i < rows->len; i++) {
        const QuotaRow *row = rows->pdata[i];

        ctl_json_raw(json, NULL, "{");
        ctl_json_text(json, key, row->name);
        quota_json_number(json, "bytes", row->usage.octets);
        add_limit(json, "bytes_limit", "bytes_percent", row->usage.octets, row->limits.octets);
        quota_json_number(json, "messages", row->usage.messages);
        add_limit(json, "messages_limit", "messages_percent", row->usage.messages,
                  row->limits.messages);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
}

static char *
number_or_dash(guint64 limit, guint64 number)
{
    return limit == 0 ? g_strdup("-") : g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

/* Free with g_strfreev(). */
static char **
format_cells(const QuotaRow *row)
{
    const QuotaUsage *usage = &row->usage;
    const QuotaLimits *limits = &row->limits;
    char **cells = g_new0(char *, COLUMNS + 1);

    cells[0] = g_strdup(row->name);
    cells[1] = quota_human_size(usage->octets);
    cells[2] = limits->octets == 0 ? g_strdup("-") : quota_human_size(limits->octets);
    cells[3] = number_or_dash(limits->octets, quota_percent(usage->octets, limits->octets));
    cells[4] = g_strdup_printf("%" G_GUINT64_FORMAT, usage->messages);
    cells[5] = number_or_dash(limits->messages, limits->messages);
    cells[6] = number_or_dash(limits->messages, quota_percent(usage->messages, limits->messages));
    return cells;
}

static void
append_line(GString *out, const char *const *cells, const int *widths)
{
    for (int i = 0; i < COLUMNS; i++) {
        int blanks = widths[i] - (int)g_utf8_strlen(cells[i], -1);

        if (i == 0) /* the name to the left, numbers to the right */
            g_string_append_printf(out, "%s%*s", cells[i], blanks, "");
        else
            g_string_append_printf(out, "  %*s%s", blanks, "", cells[i]);
    }
    g_string_append_c(out, '\n');
}

void
quota_rows_append_table(GString *out, const char *heading, GPtrArray *rows)
{
    const char *const headings[COLUMNS] = {heading, "size", "of", "%", "messages", "of", "%"};
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    int widths[COLUMNS];

    for (int i = 0; i < COLUMNS; i++)
        widths[i] = (int)strlen(headings[i]);
    for (unsigned r = 0; r < rows->len; r++) {
        char **cells = format_cells(rows->pdata[r]);

        g_ptr_array_add(lines, cells);
        for (int i = 0; i < COLUMNS; i++)
            widths[i] = MAX(widths[i], (int)g_utf8_strlen(cells[i], -1));
    }
    append_line(out, headings, widths);
    for (unsigned r = 0; r < rows->len; r++)
        append_line(out, lines->pdata[r], widths);
}
