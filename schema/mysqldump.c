/* schema/mysqldump.c - reads what mysqldump writes; see mysqldump.h
 *
 *   CREATE TABLE `users` (`email` varchar(80), ...)   -> a table and its columns
 *   INSERT INTO `users` VALUES ('a@b','$6$...'),(...) -> rows
 *   SET, USE, DROP TABLE, LOCK TABLES, ...            -> skipped up to the ';'
 *
 * A recursive descent over the tokens of sqllex.c with one token of look-ahead: each
 * function begins on its first token and ends on the one after its last.
 */
#include "schema/mysqldump.h"

#include "schema/sqllex.h"
#include "schema/sqlvalue.h"

G_DEFINE_QUARK(lodge_mysqldump_error, mysqldump_error)

static void
value_clear(gpointer value)
{
    g_free(((MysqldumpValue *)value)->text);
}

static void
row_free(gpointer data)
{
    MysqldumpRow *row = data;

    g_array_unref(row->values);
    g_free(row);
}

static void
names_free(gpointer names)
{
    g_strfreev(names);
}

static void
table_free(gpointer data)
{
    MysqldumpTable *table = data;

    g_free(table->name);
    g_strfreev(table->columns);
    g_ptr_array_unref(table->rows);
    g_ptr_array_unref(table->row_columns);
    g_free(table);
}

/* An identifier; "..." is one too in ANSI mode. */
static char *
read_name(SqlLexer *lexer, GError **error)
{
    if (lexer->token.type == SQL_SIGN || lexer->token.type == SQL_END) {
        sqllex_unexpected(lexer, "a name", error);
        return NULL;
    }

    g_autofree char *name = g_strdup(lexer->token.text->str);

    return sqllex_next(lexer, error) ? g_steal_pointer(&name) : NULL;
}

/* `table` or `database`.`table`. */
static char *
read_table_name(SqlLexer *lexer, GError **error)
{
    g_autofree char *name = read_name(lexer, error);

    if (name == NULL || !sqllex_is_sign(lexer, '.'))
        return g_steal_pointer(&name);
    return sqllex_next(lexer, error) ? read_name(lexer, error) : NULL;
}

/* To the next ',' or ')' outside of inner brackets, or ';'. */
static bool
skip_item(SqlLexer *lexer, GError **error)
{
    unsigned depth = 0;

    for (;;) {
        if (lexer->token.type == SQL_END || sqllex_is_sign(lexer, ';'))
            return true;
        if (depth == 0 && (sqllex_is_sign(lexer, ',') || sqllex_is_sign(lexer, ')')))
            return true;
        if (sqllex_is_sign(lexer, '('))
            depth++;
        else if (sqllex_is_sign(lexer, ')'))
            depth--;
        if (!sqllex_next(lexer, error))
            return false;
    }
}

/* Modes that change what a string or a quote means would make us misread the rest. */
static bool
check_mode(const SqlLexer *lexer, GError **error)
{
    static const char *const modes[] = {"NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"};

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (lexer->token.type == SQL_STRING && strstr(lexer->token.text->str, modes[i]) != NULL)
            return sqllex_fail(error, MYSQLDUMP_ERROR_UNKNOWN, lexer->token.line,
                               "sql_mode %s is not understood; dump without it", modes[i]);
    }
    return true;
}

static bool
skip_statement(SqlLexer *lexer, GError **error)
{
    while (lexer->token.type != SQL_END && !sqllex_is_sign(lexer, ';')) {
        if (!check_mode(lexer, error) || !sqllex_next(lexer, error))
            return false;
    }
    return true;
}

/* ---- CREATE TABLE -------------------------------------------------------- */

static bool
begins_with_column(const SqlLexer *lexer)
{
    static const char *const others[] = {"PRIMARY", "KEY",      "UNIQUE",  "INDEX", "CONSTRAINT",
                                         "FOREIGN", "FULLTEXT", "SPATIAL", "CHECK", "PERIOD"};

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (sqllex_is_word(lexer, others[i]))
            return false;
    }
    return true;
}

static char **
finish_names(GPtrArray *names)
{
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

/* "(definition, ...)" */
static char **
read_definitions(SqlLexer *lexer, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    do {
        if (!sqllex_next(lexer, error))
            return NULL;
        if (begins_with_column(lexer)) {
            char *name = read_name(lexer, error);

            if (name == NULL)
                return NULL;
            g_ptr_array_add(names, name);
        }
        if (!skip_item(lexer, error))
            return NULL;
    } while (sqllex_is_sign(lexer, ','));
    return sqllex_expect_sign(lexer, ')', error) ? finish_names(names) : NULL;
}

static MysqldumpTable *
find_table(GPtrArray *tables, const char *name)
{
    for (guint i = 0; i < tables->len; i++) {
        MysqldumpTable *table = g_ptr_array_index(tables, i);

        if (strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

static MysqldumpTable *
add_table(GPtrArray *tables, const char *name, unsigned line)
{
    MysqldumpTable *table = g_new0(MysqldumpTable, 1);

    table->name = g_strdup(name);
    table->line = line;
    table->rows = g_ptr_array_new_with_free_func(row_free);
    table->row_columns = g_ptr_array_new_with_free_func(names_free);
    g_ptr_array_add(tables, table);
    return table;
}

static bool
parse_create_table(SqlLexer *lexer, GPtrArray *tables, unsigned line, GError **error)
{
    if (!sqllex_next(lexer, error) || !sqllex_skip_word(lexer, "IF", error) ||
        !sqllex_skip_word(lexer, "NOT", error) || !sqllex_skip_word(lexer, "EXISTS", error))
        return false;

    g_autofree char *name = read_table_name(lexer, error);

    if (name == NULL)
        return false;
    if (find_table(tables, name) != NULL)
        return sqllex_fail(error, MYSQLDUMP_ERROR_UNKNOWN, line,
                           "table '%s' for the second time; dump one database", name);
    if (!sqllex_is_sign(lexer, '('))
        return sqllex_unexpected(lexer, "'('", error);

    MysqldumpTable *table = add_table(tables, name, line);

    table->columns = read_definitions(lexer, error);
    return table->columns != NULL && skip_statement(lexer, error);
}

static bool
refuse_code(unsigned line, GError **error)
{
    return sqllex_fail(
        error, MYSQLDUMP_ERROR_UNKNOWN, line,
        "only CREATE TABLE is understood, no views, triggers or procedures; dump with "
        "--skip-triggers and name the tables");
}

/* CREATE DATABASE is of no interest; a view, a trigger or a procedure is none of ours. */
static bool
parse_create(SqlLexer *lexer, GPtrArray *tables, unsigned line, GError **error)
{
    if (!sqllex_next(lexer, error))
        return false;
    if (sqllex_is_word(lexer, "TABLE"))
        return parse_create_table(lexer, tables, line, error);
    if (sqllex_is_word(lexer, "DATABASE") || sqllex_is_word(lexer, "SCHEMA"))
        return skip_statement(lexer, error);
    return refuse_code(line, error);
}

/* ---- INSERT -------------------------------------------------------------- */

static bool
add_value(SqlLexer *lexer, GArray *values, GError **error)
{
    MysqldumpValue value = {0};

    if (!sqlvalue_read(lexer, &value, error))
        return false;
    g_array_append_val(values, value);
    return true;
}

/* "(value, ...)" */
static bool
parse_row(SqlLexer *lexer, MysqldumpTable *table, char **columns, GError **error)
{
    MysqldumpRow *row = g_new0(MysqldumpRow, 1);

    row->line = lexer->token.line;
    row->columns = columns;
    row->values = g_array_new(FALSE, FALSE, sizeof(MysqldumpValue));
    g_array_set_clear_func(row->values, value_clear);
    g_ptr_array_add(table->rows, row);
    if (!sqllex_is_sign(lexer, '('))
        return sqllex_unexpected(lexer, "'('", error);
    do {
        if (!sqllex_next(lexer, error) || !add_value(lexer, row->values, error))
            return false;
    } while (sqllex_is_sign(lexer, ','));
    if (!sqllex_expect_sign(lexer, ')', error))
        return false;
    if (row->values->len != g_strv_length(columns))
        return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, row->line,
                           "%u values for the %u columns of table '%s'", row->values->len,
                           g_strv_length(columns), table->name);
    return true;
}

/* The optional "(column, ...)" before VALUES; the table's columns without one. */
static char **
read_insert_columns(SqlLexer *lexer, MysqldumpTable *table, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (!sqllex_is_sign(lexer, '(')) {
        if (table->columns == NULL)
            sqllex_fail(
                error, MYSQLDUMP_ERROR_UNKNOWN, lexer->token.line,
                "the columns of table '%s' are not known: its CREATE TABLE is not in the file; "
                "dump with it, or with --complete-insert",
                table->name);
        return table->columns;
    }
    do {
        char *name = sqllex_next(lexer, error) ? read_name(lexer, error) : NULL;

        if (name == NULL)
            return NULL;
        g_ptr_array_add(names, name);
    } while (sqllex_is_sign(lexer, ','));
    if (!sqllex_expect_sign(lexer, ')', error))
        return NULL;
    g_ptr_array_add(table->row_columns, finish_names(names));
    return g_ptr_array_index(table->row_columns, table->row_columns->len - 1);
}

static bool
parse_insert(SqlLexer *lexer, GPtrArray *tables, unsigned line, GError **error)
{
    if (!sqllex_next(lexer, error) || !sqllex_skip_word(lexer, "DELAYED", error) ||
        !sqllex_skip_word(lexer, "IGNORE", error) || !sqllex_skip_word(lexer, "INTO", error))
        return false;

    g_autofree char *name = read_table_name(lexer, error);

    if (name == NULL)
        return false;

    MysqldumpTable *table = find_table(tables, name);

    if (table == NULL)
        table = add_table(tables, name, line);

    char **columns = read_insert_columns(lexer, table, error);

    if (columns == NULL)
        return false;
    if (!sqllex_is_word(lexer, "VALUES") && !sqllex_is_word(lexer, "VALUE"))
        return sqllex_unexpected(lexer, "VALUES", error);
    do {
        if (!sqllex_next(lexer, error) || !parse_row(lexer, table, columns, error))
            return false;
    } while (sqllex_is_sign(lexer, ','));
    return true;
}

/* ---- the rest ------------------------------------------------------------ */

/* phpMyAdmin adds keys behind the data. Any other change of a table would make its
 * columns others than we have read. */
static bool
parse_alter(SqlLexer *lexer, unsigned line, GError **error)
{
    static const char *const harmless[] = {"DISABLE", "ENABLE", "MODIFY", "AUTO_INCREMENT"};
    g_autofree char *name = NULL;

    if (!sqllex_next(lexer, error) || !sqllex_skip_word(lexer, "TABLE", error))
        return false;
    name = read_table_name(lexer, error);
    if (name == NULL)
        return false;
    for (;;) {
        bool known = false;

        for (size_t i = 0; i < G_N_ELEMENTS(harmless); i++)
            known = known || sqllex_is_word(lexer, harmless[i]);
        if (sqllex_is_word(lexer, "ADD")) {
            if (!sqllex_next(lexer, error))
                return false;
            known = lexer->token.type == SQL_WORD && !begins_with_column(lexer);
        }
        if (!known)
            return sqllex_fail(error, MYSQLDUMP_ERROR_UNKNOWN, line,
                               "this change of table '%s' is not understood", name);
        if (!skip_item(lexer, error))
            return false;
        if (!sqllex_is_sign(lexer, ','))
            return true;
        if (!sqllex_next(lexer, error))
            return false;
    }
}

static bool
carries_no_data(const SqlLexer *lexer)
{
    static const char *const words[] = {"SET",   "USE",   "DROP",   "LOCK",  "UNLOCK",
                                        "START", "BEGIN", "COMMIT", "CHANGE"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (sqllex_is_word(lexer, words[i]))
            return true;
    }
    return false;
}

static bool
parse_statement(SqlLexer *lexer, GPtrArray *tables, GError **error)
{
    unsigned line = lexer->token.line;

    if (sqllex_is_word(lexer, "CREATE"))
        return parse_create(lexer, tables, line, error);
    if (sqllex_is_word(lexer, "INSERT") || sqllex_is_word(lexer, "REPLACE"))
        return parse_insert(lexer, tables, line, error);
    if (sqllex_is_word(lexer, "ALTER"))
        return parse_alter(lexer, line, error);
    if (sqllex_is_word(lexer, "DELIMITER")) /* the client's, before a trigger or a procedure */
        return refuse_code(line, error);
    if (carries_no_data(lexer))
        return skip_statement(lexer, error);
    if (lexer->token.type != SQL_WORD)
        return sqllex_unexpected(lexer, "a statement", error);
    return sqllex_fail(error, MYSQLDUMP_ERROR_UNKNOWN, line, "the statement %s is not understood",
                       lexer->token.text->str);
}

static bool
parse_statements(SqlLexer *lexer, GPtrArray *tables, GError **error)
{
    if (!sqllex_next(lexer, error))
        return false;
    while (lexer->token.type != SQL_END) {
        if (!sqllex_is_sign(lexer, ';') && !parse_statement(lexer, tables, error))
            return false;
        if (!sqllex_expect_sign(lexer, ';', error))
            return false;
    }
    return true;
}

bool
mysqldump_is_complete(const char *bytes, size_t len)
{
    enum { END_MAX = 200 };
    size_t tail = MIN(len, END_MAX);

    return g_strstr_len(bytes + len - tail, (gssize)tail, "-- Dump completed") != NULL;
}

/* mysqldump writes its first lines and its last one by the same option. */
static bool
check_end(const SqlLexer *lexer, const char *bytes, size_t len, GError **error)
{
    enum { BEGIN_MAX = 200 };
    static const char *const headers[] = {"-- MySQL dump ", "-- MariaDB dump "};

    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        if (g_strstr_len(bytes, (gssize)MIN(len, BEGIN_MAX), headers[i]) != NULL &&
            !mysqldump_is_complete(bytes, len))
            return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->token.line,
                               "the file ends without \"-- Dump completed\": it was cut off");
    }
    return true;
}

GPtrArray *
mysqldump_parse(const char *bytes, size_t len, GError **error)
{
    g_autoptr(GPtrArray) tables = g_ptr_array_new_with_free_func(table_free);
    SqlLexer lexer;

    sqllex_init(&lexer, bytes, len);

    bool good = parse_statements(&lexer, tables, error) && check_end(&lexer, bytes, len, error);

    sqllex_clear(&lexer);
    return good ? g_steal_pointer(&tables) : NULL;
}

const MysqldumpValue *
mysqldump_value(const MysqldumpRow *row, const char *column)
{
    for (guint i = 0; row->columns[i] != NULL; i++) {
        if (g_ascii_strcasecmp(row->columns[i], column) == 0)
            return &g_array_index(row->values, MysqldumpValue, i);
    }
    return NULL;
}
