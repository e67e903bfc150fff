/* schema/import.c - another program's tables into our map; see import.h
 *
 *   tables of the dump --(which schema?)--> its rules --(one row each)--> mapedit
 *
 * Rules run in their own order, domains before users, whatever the order of the
 * dump. Forwardings come last: several rows of a dump can be one row of ours.
 */
#include "schema/import.h"

#include "schema/columns.h"
#include "schema/import_rules.h"

/* Something that can only be done at the end, and the line that asked for it. */
typedef struct {
    unsigned line;
    char *key;
    GString *text; /* destinations, or the number of users */
} Later;

struct Import {
    Mapedit *edit;
    ImportSummary *summary;
    GPtrArray *forwardings; /* of Later, in the order of their first lines */
    GHashTable *by_source;  /* folded source -> Later of forwardings */
    GPtrArray *limits;      /* of Later */
    GHashTable *left;       /* domains that are left out */
};

static void
later_free(gpointer data)
{
    Later *later = data;

    g_free(later->key);
    g_string_free(later->text, TRUE);
    g_free(later);
}

static Later *
add_later(GPtrArray *list, const MysqldumpRow *row, const char *key, const char *text)
{
    Later *later = g_new0(Later, 1);

    later->line = row->line;
    later->key = g_strdup(key);
    later->text = g_string_new(text);
    g_ptr_array_add(list, later);
    return later;
}

/* ---- for the rules ------------------------------------------------------- */

bool
import_refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *valid = g_utf8_make_valid(text, -1); /* names in it are the file's bytes */

    g_set_error_literal(error, MAILMAP_ERROR, MAILMAP_ERROR_REFUSED, valid);
    return false;
}

void
import_note(Import *import, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(import->summary->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

const char *
import_text(const MysqldumpRow *row, const char *column)
{
    const MysqldumpValue *value = mysqldump_value(row, column);

    return value != NULL && value->len > 0 ? value->text : NULL;
}

bool
import_add(Import *import, MapeditTable table, const char *key, const ImportValue *values,
           GError **error)
{
    g_autoptr(GHashTable) columns = g_hash_table_new(g_str_hash, g_str_equal);

    for (; values->column != NULL; values++) {
        if (values->text != NULL)
            g_hash_table_insert(columns, (char *)values->column, (char *)values->text);
    }
    if (!mapedit_add(import->edit, table, key, columns, error))
        return false;
    import->summary->added[table]++;
    g_ptr_array_add(import->summary->changes, g_strdup_printf("%s %s", columns_noun(table), key));
    return true;
}

bool
import_forward(Import *import, const MysqldumpRow *row, const char *source, const char *destination,
               GError **error)
{
    g_autofree char *folded = mailmap_fold_address(source, true, error);
    /* Now, while the line is known: several become one row. */
    g_autofree char *list = folded != NULL ? columns_fold_destinations(destination, error) : NULL;

    if (list == NULL)
        return false;
    if (*list == '\0')
        return import_refuse(error, "forwarding '%s' has no destination", source);

    Later *later = g_hash_table_lookup(import->by_source, folded);

    if (later != NULL) {
        g_string_append_printf(later->text, ",%s", list);
        return true;
    }
    later = add_later(import->forwardings, row, folded, list);
    g_hash_table_insert(import->by_source, later->key, later);
    return true;
}

void
import_limit_users(Import *import, const MysqldumpRow *row, const char *domain,
                   const char *max_users)
{
    (void)add_later(import->limits, row, domain, max_users);
}

void
import_leave_domain(Import *import, const char *domain)
{
    g_hash_table_add(import->left, g_ascii_strdown(domain, -1));
}

bool
import_is_left(const Import *import, const char *domain)
{
    g_autofree char *folded = domain != NULL ? g_ascii_strdown(domain, -1) : NULL;

    return folded != NULL && g_hash_table_contains(import->left, folded);
}

/* ---- tables and columns -------------------------------------------------- */

static const MysqldumpTable *
find_table(const GPtrArray *tables, const char *name)
{
    for (guint i = 0; i < tables->len; i++) {
        const MysqldumpTable *table = g_ptr_array_index(tables, i);

        if (strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

static const ImportSchema *
find_schema(const GPtrArray *tables, GError **error)
{
    for (const ImportSchema *schema = import_schemas; schema->name != NULL; schema++) {
        if (find_table(tables, schema->marks[0]) != NULL &&
            find_table(tables, schema->marks[1]) != NULL)
            return schema;
    }
    import_refuse(error, "these are not the tables of the tutorial (domains, users), of ISPmail "
                         "(virtual_domains, virtual_users) or of PostfixAdmin (domain, mailbox)");
    return NULL;
}

static bool
has_column(char **columns, const char *name)
{
    for (; *columns != NULL; columns++) {
        if (g_ascii_strcasecmp(*columns, name) == 0)
            return true;
    }
    return false;
}

/* Every column is known, and the needed ones are there. */
static bool
check_columns(const MysqldumpTable *table, char **columns, const ImportRule *rule, GError **error)
{
    g_auto(GStrv) known = g_strsplit(rule->columns, " ", -1);

    for (char **name = known; *name != NULL; name++) {
        bool needed = **name == '+';

        if (needed)
            memmove(*name, *name + 1, strlen(*name));
        if (needed && !has_column(columns, *name))
            return import_refuse(error, "line %u: table '%s' has no column '%s'", table->line,
                                 table->name, *name);
    }
    for (char **column = columns; *column != NULL; column++) {
        if (!has_column(known, *column))
            return import_refuse(error,
                                 "line %u: column '%s' of table '%s' is not understood; if it "
                                 "means nothing for mail, dump without it",
                                 table->line, *column, table->name);
    }
    return true;
}

static bool
check_row_columns(const MysqldumpTable *table, const ImportRule *rule, GError **error)
{
    if (table->columns != NULL && !check_columns(table, table->columns, rule, error))
        return false;
    for (guint i = 0; i < table->row_columns->len; i++) {
        if (!check_columns(table, g_ptr_array_index(table->row_columns, i), rule, error))
            return false;
    }
    return true;
}

static bool
has_nul(const MysqldumpRow *row)
{
    for (guint i = 0; i < row->values->len; i++) {
        const MysqldumpValue *value = &g_array_index(row->values, MysqldumpValue, i);

        if (value->text != NULL && strlen(value->text) != value->len)
            return true;
    }
    return false;
}

/* A row that was refused may have been right before it was dumped as Latin-1. */
static void
explain_row(const MysqldumpRow *row, GError **error)
{
    for (guint i = 0; i < row->values->len; i++) {
        const MysqldumpValue *value = &g_array_index(row->values, MysqldumpValue, i);

        if (value->text != NULL && !g_utf8_validate(value->text, (gssize)value->len, NULL)) {
            g_autofree char *text = g_strdup((*error)->message);

            g_free((*error)->message);
            (*error)->message = g_strconcat(
                text, "; the row is not in UTF-8: dump with --default-character-set=utf8mb4", NULL);
            break;
        }
    }
    g_prefix_error(error, "line %u: ", row->line);
}

static bool
run_rule(Import *import, const MysqldumpTable *table, const ImportRule *rule, GError **error)
{
    if (table->rows->len == 0)
        return true;
    if (rule->run == NULL) {
        import_note(import, "table '%s' (rows: %u) left out: %s", table->name, table->rows->len,
                    rule->left_out);
        return true;
    }
    if (!check_row_columns(table, rule, error))
        return false;
    for (guint i = 0; i < table->rows->len; i++) {
        const MysqldumpRow *row = g_ptr_array_index(table->rows, i);

        if (has_nul(row) ? !import_refuse(error, "a value has a NUL character in it")
                         : !rule->run(import, row, error)) {
            explain_row(row, error);
            return false;
        }
    }
    return true;
}

/* A table without a rule may hold what mail depends on, unless it is empty. */
static bool
check_tables(const ImportSchema *schema, const GPtrArray *tables, GError **error)
{
    for (guint i = 0; i < tables->len; i++) {
        const MysqldumpTable *table = g_ptr_array_index(tables, i);
        const ImportRule *rule = schema->rules;

        while (rule->table != NULL && strcmp(rule->table, table->name) != 0)
            rule++;
        if (rule->table == NULL && table->rows->len > 0)
            return import_refuse(error,
                                 "line %u: table '%s' is none of the schema '%s'; if it means "
                                 "nothing for mail, dump without it",
                                 table->line, table->name, schema->name);
    }
    return true;
}

/* ---- what comes last ----------------------------------------------------- */

/* A row that sends an address to itself only is how Postfix is told that it exists:
 * our users say so themselves. */
static bool
is_to_itself(const Later *forwarding)
{
    g_autoptr(GPtrArray) list = columns_split_destinations(forwarding->text->str);

    return list->len == 1 && g_ascii_strcasecmp(g_ptr_array_index(list, 0), forwarding->key) == 0;
}

static bool
add_forwardings(Import *import, GError **error)
{
    for (guint i = 0; i < import->forwardings->len; i++) {
        const Later *later = g_ptr_array_index(import->forwardings, i);

        if (is_to_itself(later))
            continue;

        const ImportValue values[] = {{"destination", later->text->str}, {NULL, NULL}};

        if (!import_add(import, MAPEDIT_FORWARDINGS, later->key, values, error)) {
            g_prefix_error(error, "line %u: ", later->line);
            return false;
        }
    }
    return true;
}

static bool
set_limits(Import *import, GError **error)
{
    for (guint i = 0; i < import->limits->len; i++) {
        const Later *later = g_ptr_array_index(import->limits, i);
        g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);

        g_hash_table_insert(values, (char *)"max_users", later->text->str);
        if (!mapedit_set(import->edit, MAPEDIT_DOMAINS, later->key, values, error)) {
            g_prefix_error(error, "line %u: ", later->line);
            return false;
        }
    }
    return true;
}

/* ---- public -------------------------------------------------------------- */

static bool
run_schema(Import *import, const ImportSchema *schema, const GPtrArray *tables, GError **error)
{
    if (!check_tables(schema, tables, error))
        return false;
    for (const ImportRule *rule = schema->rules; rule->table != NULL; rule++) {
        const MysqldumpTable *table = find_table(tables, rule->table);

        if (table != NULL && !run_rule(import, table, rule, error))
            return false;
    }
    return add_forwardings(import, error) && set_limits(import, error);
}

ImportSummary *
import_tables(Mapedit *edit, const GPtrArray *tables, GError **error)
{
    const ImportSchema *schema = find_schema(tables, error);
    g_autoptr(ImportSummary) summary = g_new0(ImportSummary, 1);
    g_autoptr(GPtrArray) forwardings = g_ptr_array_new_with_free_func(later_free);
    g_autoptr(GPtrArray) limits = g_ptr_array_new_with_free_func(later_free);
    g_autoptr(GHashTable) by_source = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) left = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Import import = {edit, summary, forwardings, by_source, limits, left};

    if (schema == NULL)
        return NULL;
    summary->schema = schema->name;
    summary->changes = g_ptr_array_new_with_free_func(g_free);
    summary->notes = g_ptr_array_new_with_free_func(g_free);
    return run_schema(&import, schema, tables, error) ? g_steal_pointer(&summary) : NULL;
}

void
import_summary_free(ImportSummary *summary)
{
    if (summary == NULL)
        return;
    g_clear_pointer(&summary->changes, g_ptr_array_unref);
    g_clear_pointer(&summary->notes, g_ptr_array_unref);
    g_free(summary);
}
