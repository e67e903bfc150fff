/* schema/mapedit.c - the administrator's side of the map
 *
 * Statements are built from the tables of columns.c; no name in them comes from
 * outside, and every value is bound. The schema's constraints are the judges of a
 * value; their sentences become the messages. Only what they cannot say well (a
 * missing domain, a domain still in use) is looked up first.
 */
#include "schema/mapedit.h"

#include <sys/stat.h>

#include "schema/columns.h"
#include "schema/database.h"
#include "schema/fold.h"
#include "schema/forwarding.h"
#include "schema/migrate.h"
#include "schema/presets.h"

#define CREATE_TIMEOUT_MS 5000

struct Mapedit {
    sqlite3 *db;
    char *path;
};

__attribute__((format(printf, 3, 4))) static bool
fail(GError **error, MailmapError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, MAILMAP_ERROR, (int)code, message);
    return false;
}

bool
mapedit_create(const char *path, GError **error)
{
    lodge_autofd fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    g_autoptr(sqlite3) db = NULL;

    if (fd < 0)
        return errno == EEXIST ? fail(error, MAILMAP_ERROR_EXISTS, "map '%s' exists already", path)
                               : fail(error, MAILMAP_ERROR_UNAVAILABLE,
                                      "cannot create map '%s': %s", path, g_strerror(errno));
    /* Whatever the umask: the group is that of Postfix's and Dovecot's lookups. */
    if (fchmod(fd, 0640) < 0) {
        (void)fail(error, MAILMAP_ERROR_UNAVAILABLE, "cannot create map '%s': %s", path,
                   g_strerror(errno));
    } else {
        db = database_open(path, true, CREATE_TIMEOUT_MS, error);
        if (db != NULL && migrate_run(db, path, error))
            return true;
    }
    (void)unlink(path); /* an empty file is no map; the error to tell is the first */
    return false;
}

Mapedit *
mapedit_open(const char *path, unsigned busy_timeout_ms, GError **error)
{
    g_autoptr(Mapedit) edit = g_new0(Mapedit, 1);

    edit->path = g_strdup(path);
    edit->db = database_open(path, true, busy_timeout_ms, error);
    /* Somebody may have switched the file to WAL, which readers without write
     * access cannot use; setting the mode it has costs nothing. */
    if (edit->db == NULL || !database_run(edit->db, path, "PRAGMA journal_mode = DELETE", error) ||
        !migrate_run(edit->db, path, error))
        return NULL;
    return g_steal_pointer(&edit);
}

Mapedit *
mapedit_open_reading(const char *path, unsigned busy_timeout_ms, GError **error)
{
    g_autoptr(Mapedit) edit = g_new0(Mapedit, 1);

    edit->path = g_strdup(path);
    edit->db = database_open(path, false, busy_timeout_ms, error);
    if (edit->db == NULL || !migrate_check(edit->db, path, error))
        return NULL;
    return g_steal_pointer(&edit);
}

void
mapedit_close(Mapedit *edit)
{
    if (edit == NULL)
        return;
    database_close(edit->db);
    g_free(edit->path);
    g_free(edit);
}

bool
mapedit_begin(Mapedit *edit, GError **error)
{
    return database_run(edit->db, edit->path, "BEGIN IMMEDIATE", error);
}

bool
mapedit_commit(Mapedit *edit, GError **error)
{
    return database_run(edit->db, edit->path, "COMMIT", error);
}

/* Turns the failure of a change into an error. Constraints are sentences: "CHECK
 * constraint failed: uid: must be ...", or the text of a trigger. */
static bool
set_change_error(const Mapedit *edit, MapeditTable table, const char *key, GError **error)
{
    const char *message = sqlite3_errmsg(edit->db);
    const char *column;

    switch (sqlite3_extended_errcode(edit->db)) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE:
        return fail(error, MAILMAP_ERROR_EXISTS, "%s '%s' exists already", columns_noun(table),
                    key);
    case SQLITE_CONSTRAINT_CHECK:
        if (g_str_has_prefix(message, "CHECK constraint failed: "))
            message += strlen("CHECK constraint failed: ");
        return fail(error, MAILMAP_ERROR_REFUSED, "%s '%s': %s", columns_noun(table), key, message);
    case SQLITE_CONSTRAINT_TRIGGER:
        return fail(error, MAILMAP_ERROR_REFUSED, "%s '%s': %s", columns_noun(table), key, message);
    case SQLITE_CONSTRAINT_NOTNULL:
        column = strrchr(message, '.');
        return fail(error, MAILMAP_ERROR_REFUSED, "%s '%s': %s: must have a value",
                    columns_noun(table), key, column != NULL ? column + 1 : message);
    default:
        return database_set_error(edit->db, edit->path, "change", error);
    }
}

/* The columns of values as an array in the table's order; NULL when one is not of
 * the table. */
static GPtrArray *
pick_columns(MapeditTable table, GHashTable *values, GError **error)
{
    g_autoptr(GPtrArray) picked = g_ptr_array_new();
    size_t count;
    const MapeditColumn *columns = mapedit_columns(table, &count);
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, values);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (columns_find(table, name) == NULL)
            return (fail(error, MAILMAP_ERROR_REFUSED, "%s: there is no such column in table %s",
                         (const char *)name, columns_table(table)),
                    NULL);
    for (size_t i = 1; i < count; i++)
        if (g_hash_table_contains(values, columns[i].name))
            g_ptr_array_add(picked, (gpointer)&columns[i]);
    return g_steal_pointer(&picked);
}

/* Parameter 1 is the key, 2 the U-label of a domain, from 3 on the picked columns. */
#define FIRST_VALUE 3

static char *
insert_sql(MapeditTable table, const GPtrArray *picked)
{
    size_t count;
    const MapeditColumn *columns = mapedit_columns(table, &count);
    const bool domains = table == MAPEDIT_DOMAINS;
    g_autoptr(GString) names = g_string_new(columns[0].name);
    g_autoptr(GString) marks = g_string_new("?1");

    if (domains) {
        g_string_append(names, ", domain_utf8");
        g_string_append(marks, ", ?2");
    }
    for (guint i = 0; i < picked->len; i++) {
        const MapeditColumn *column = g_ptr_array_index(picked, i);

        g_string_append_printf(names, ", %s", column->name);
        g_string_append_printf(marks, ", ?%u", i + FIRST_VALUE);
    }
    return g_strdup_printf("INSERT INTO %s (%s) VALUES (%s)", columns_table(table), names->str,
                           marks->str);
}

static char *
update_sql(MapeditTable table, const GPtrArray *picked)
{
    size_t count;
    const char *key = mapedit_columns(table, &count)[0].name;
    g_autoptr(GString) sql = g_string_new(NULL);

    /* Setting the key to itself makes a statement of an empty list of changes. */
    g_string_printf(sql, "UPDATE %s SET %s = ?1", columns_table(table), key);
    for (guint i = 0; i < picked->len; i++) {
        const MapeditColumn *column = g_ptr_array_index(picked, i);

        g_string_append_printf(sql, ", %s = ?%u", column->name, i + FIRST_VALUE);
    }
    g_string_append_printf(sql, " WHERE %s = ?1", key);
    return g_strdup(sql->str);
}

static bool
missing(MapeditTable table, const char *key, GError **error)
{
    return fail(error, MAILMAP_ERROR_MISSING, "there is no %s '%s'", columns_noun(table), key);
}

/* Runs a statement of the two above with its values. */
static bool
run_change(const Mapedit *edit, MapeditTable table, const char *sql, const char *key,
           const GPtrArray *picked, GHashTable *values, GError **error)
{
    g_autoptr(sqlite3_stmt) stmt = database_prepare(edit->db, edit->path, sql, error);
    g_autofree char *utf8 = table == MAPEDIT_DOMAINS ? fold_domain_utf8(key) : NULL;

    if (stmt == NULL)
        return false;
    if (sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC) != SQLITE_OK)
        return database_set_error(edit->db, edit->path, "change", error);
    if (utf8 != NULL && sqlite3_bind_parameter_count(stmt) >= 2)
        (void)sqlite3_bind_text(stmt, 2, utf8, -1, SQLITE_STATIC); /* there is a parameter 2 */
    for (guint i = 0; i < picked->len; i++) {
        const MapeditColumn *column = g_ptr_array_index(picked, i);
        const char *text = g_hash_table_lookup(values, column->name);

        if (!columns_bind(stmt, (int)i + FIRST_VALUE, column, text != NULL ? text : "", error))
            return false;
    }
    if (sqlite3_step(stmt) != SQLITE_DONE)
        return set_change_error(edit, table, key, error);
    if (sqlite3_changes(edit->db) == 0)
        return missing(table, key, error);
    return true;
}

static bool
count_rows(const Mapedit *edit, const char *sql, const char *key, gint64 *count_out, GError **error)
{
    g_autoptr(sqlite3_stmt) stmt = database_prepare(edit->db, edit->path, sql, error);

    if (stmt == NULL)
        return false;
    if (sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        return database_set_error(edit->db, edit->path, "read", error);
    *count_out = sqlite3_column_int64(stmt, 0);
    return true;
}

/* The trigger says the same, but cannot name the domain. */
static bool
check_domain_exists(const Mapedit *edit, MapeditTable table, const char *key, GError **error)
{
    const char *domain = strrchr(key, '@');
    gint64 count = 0;

    if ((table != MAPEDIT_USERS && table != MAPEDIT_FORWARDINGS) || domain == NULL)
        return true;
    if (!count_rows(edit, "SELECT count(*) FROM domains WHERE domain = ?1", domain + 1, &count,
                    error))
        return false;
    return count > 0 || fail(error, MAILMAP_ERROR_REFUSED,
                             "%s '%s': domain '%s' is not in the map; add it first: "
                             "lodge domain add %s",
                             columns_noun(table), key, domain + 1, domain + 1);
}

bool
mapedit_add(Mapedit *edit, MapeditTable table, const char *key, GHashTable *values, GError **error)
{
    g_autofree char *folded = columns_fold_key(table, key, error);
    g_autoptr(GPtrArray) picked = folded != NULL ? pick_columns(table, values, error) : NULL;
    g_autofree char *sql = NULL;

    if (picked == NULL || !check_domain_exists(edit, table, folded, error))
        return false;
    sql = insert_sql(table, picked);
    return run_change(edit, table, sql, folded, picked, values, error);
}

bool
mapedit_set(Mapedit *edit, MapeditTable table, const char *key, GHashTable *values, GError **error)
{
    g_autofree char *folded = columns_fold_key(table, key, error);
    g_autoptr(GPtrArray) picked = folded != NULL ? pick_columns(table, values, error) : NULL;
    g_autofree char *sql = NULL;

    if (picked == NULL)
        return false;
    sql = update_sql(table, picked);
    return run_change(edit, table, sql, folded, picked, values, error);
}

static bool
check_domain_unused(const Mapedit *edit, const char *domain, GError **error)
{
    gint64 users = 0;
    gint64 aliases = 0;

    if (!count_rows(edit, "SELECT count(*) FROM users WHERE domain = ?1", domain, &users, error) ||
        !count_rows(edit, "SELECT count(*) FROM forwardings WHERE domain = ?1", domain, &aliases,
                    error))
        return false;
    return users + aliases == 0 ||
           fail(error, MAILMAP_ERROR_REFUSED,
                "domain '%s' still has %" G_GINT64_FORMAT " users and %" G_GINT64_FORMAT
                " aliases; remove them first",
                domain, users, aliases);
}

bool
mapedit_remove(Mapedit *edit, MapeditTable table, const char *key, GError **error)
{
    g_autofree char *folded = columns_fold_key(table, key, error);
    g_autofree char *sql = NULL;
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    size_t count;

    if (folded == NULL || (table == MAPEDIT_DOMAINS && !check_domain_unused(edit, folded, error)))
        return false;
    sql = g_strdup_printf("DELETE FROM %s WHERE %s = ?1", columns_table(table),
                          mapedit_columns(table, &count)[0].name);
    return run_change(edit, table, sql, folded, none, NULL, error);
}

/* ?1 is the key or NULL, ?2 the domain or NULL. A transport may be keyed by an
 * address: its domain is what follows the "@". */
static char *
select_sql(MapeditTable table)
{
    size_t count;
    const MapeditColumn *columns = mapedit_columns(table, &count);
    g_autoptr(GString) sql = g_string_new("SELECT ");

    for (size_t i = 0; i < count; i++)
        g_string_append_printf(sql, "%s%s", i > 0 ? ", " : "", columns[i].name);
    g_string_append_printf(sql,
                           " FROM %s WHERE (?1 IS NULL OR %s = ?1)"
                           " AND (?2 IS NULL OR domain = ?2%s) ORDER BY %s",
                           columns_table(table), columns[0].name,
                           table == MAPEDIT_TRANSPORT ? " OR domain GLOB '*@' || ?2" : "",
                           columns[0].name);
    return g_strdup(sql->str);
}

/* One block of pointers and texts, so that g_free() is enough: NULL is a value here
 * and cannot mark the end. */
static char **
format_row(sqlite3_stmt *stmt, MapeditTable table)
{
    size_t count;
    const MapeditColumn *columns = mapedit_columns(table, &count);
    const size_t head = count * sizeof(char *);
    g_autoptr(GString) texts = g_string_new(NULL);
    g_autofree gssize *offsets = g_new(gssize, count);
    char **row;

    for (size_t i = 0; i < count; i++) {
        g_autofree char *text = columns_format(stmt, (int)i, &columns[i]);

        offsets[i] = text != NULL ? (gssize)texts->len : -1;
        if (text != NULL)
            g_string_append_len(texts, text, (gssize)strlen(text) + 1);
    }
    row = g_malloc(head + texts->len);
    memcpy((char *)row + head, texts->str, texts->len);
    for (size_t i = 0; i < count; i++)
        row[i] = offsets[i] >= 0 ? (char *)row + head + offsets[i] : NULL;
    return row;
}

GPtrArray *
mapedit_list(Mapedit *edit, MapeditTable table, const char *key, const char *domain, GError **error)
{
    g_autofree char *key_folded = key != NULL ? columns_fold_key(table, key, error) : NULL;
    g_autofree char *domain_folded = NULL;
    g_autofree char *sql = select_sql(table);
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(sqlite3_stmt) stmt = NULL;
    int rc;

    if (key != NULL && key_folded == NULL)
        return NULL;
    if (domain != NULL && (domain_folded = mailmap_fold_domain(domain, error)) == NULL)
        return NULL;
    stmt = database_prepare(edit->db, edit->path, sql, error);
    if (stmt == NULL)
        return NULL;
    if (sqlite3_bind_text(stmt, 1, key_folded, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 2, domain_folded, -1, SQLITE_STATIC) != SQLITE_OK)
        return (database_set_error(edit->db, edit->path, "read", error), NULL);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        g_ptr_array_add(rows, format_row(stmt, table));
    if (rc != SQLITE_DONE)
        return (database_set_error(edit->db, edit->path, "read", error), NULL);
    if (key != NULL && rows->len == 0)
        return (missing(table, key_folded, error), NULL);
    return g_steal_pointer(&rows);
}

GPtrArray *
mapedit_forwardings(Mapedit *edit, const char *address, const char *recipient_delimiter,
                    GError **error)
{
    g_autoptr(sqlite3_stmt) find =
        database_prepare(edit->db, edit->path, preset_find("lodge")->destinations, error);

    if (find == NULL)
        return NULL;
    return forwarding_follow(find, edit->path, address, recipient_delimiter, error);
}
