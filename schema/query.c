/* schema/query.c - the mailbox query: checked once, run for each lookup
 *
 * The query may be an administrator's own, over tables that people edit by hand.
 * So everything about its form is checked when it is prepared, and every value
 * when it is read: NULL and "" are "not set", blanks around a text do not count,
 * and what cannot be meant (a home with "..", uid 0, a negative quota) is an error
 * that holds the mail rather than a guess where to put it.
 */
#include "schema/query.h"

typedef enum {
    COLUMN_USER,
    COLUMN_ACTIVE,
    COLUMN_HOME,
    COLUMN_MAILDIR,
    COLUMN_SIEVE,
    COLUMN_UID,
    COLUMN_GID,
    COLUMN_QUOTA_BYTES,
    COLUMN_QUOTA_MESSAGES,
    COLUMN_MAX_MESSAGE_BYTES,
    COLUMN_DOMAIN_QUOTA_BYTES,
    COLUMN_DOMAIN_QUOTA_MESSAGES,
    COLUMN_QUOTA_OVER,
    COLUMNS
} Column;

/* The first three are required: who leaves out "active" by mistake would deliver
 * to the switched off, and "NULL AS home" says that the default is meant. */
static const char *const column_names[COLUMNS] = {
    "user",
    "active",
    "home",
    "maildir",
    "sieve",
    "uid",
    "gid",
    "quota_bytes",
    "quota_messages",
    "max_message_bytes",
    "domain_quota_bytes",
    "domain_quota_messages",
    "quota_over",
};
#define COLUMNS_REQUIRED 3

struct MailboxQuery {
    sqlite3 *db;
    const char *path;
    sqlite3_stmt *stmt;
    int at[COLUMNS]; /* index of each in the result; -1: not there */
    int address;     /* index of each parameter; 0: not used */
    int local;
    int domain;
    bool is_repeatable;
};

/* Functions that look at their arguments alone. Of one that is not here we suppose
 * that its result may change without the map, as that of date('now') does. */
static const char *const pure_functions[] = {
    "abs",    "coalesce", "count",     "glob",  "group_concat", "ifnull", "iif",    "instr",
    "length", "like",     "lower",     "ltrim", "max",          "min",    "nullif", "replace",
    "rtrim",  "substr",   "substring", "sum",   "trim",         "upper",  NULL,
};

__attribute__((format(printf, 2, 3))) static bool
wrong_query(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *why = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA, "mailbox_query: %s", why);
    return false;
}

static bool
check_columns(MailboxQuery *query, GError **error)
{
    for (size_t i = 0; i < COLUMNS; i++)
        query->at[i] = -1;
    for (int c = 0; c < sqlite3_column_count(query->stmt); c++) {
        const char *name = sqlite3_column_name(query->stmt, c);
        size_t i = 0;

        while (i < COLUMNS && g_ascii_strcasecmp(column_names[i], name) != 0)
            i++;
        if (i == COLUMNS)
            return wrong_query(error,
                               "it returns a column '%s', which is none of user, active, home, "
                               "maildir, sieve, uid, gid, quota_bytes, quota_messages, "
                               "max_message_bytes, domain_quota_bytes, domain_quota_messages, "
                               "quota_over",
                               name);
        if (query->at[i] >= 0)
            return wrong_query(error, "it returns the column '%s' twice", name);
        query->at[i] = c;
    }
    for (size_t i = 0; i < COLUMNS_REQUIRED; i++)
        if (query->at[i] < 0)
            return wrong_query(error, "it must return a column '%s' (write: ... AS %s)",
                               column_names[i], column_names[i]);
    return true;
}

static bool
check_parameters(const MailboxQuery *query, GError **error)
{
    int count = sqlite3_bind_parameter_count(query->stmt);

    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(query->stmt, i);

        if (i != query->address && i != query->local && i != query->domain)
            return wrong_query(error,
                               "it uses a parameter '%s', which is none of :address, :local, "
                               ":domain",
                               name != NULL ? name : "?");
    }
    if (query->address == 0 && query->local == 0)
        return wrong_query(error, "it uses neither :address nor :local, so that every address "
                                  "would have the same mailbox");
    return true;
}

/* What is left after the first statement may be blanks, ";" and comments. */
static bool
check_single(const MailboxQuery *query, const char *rest, GError **error)
{
    while (*rest != '\0') {
        g_autoptr(sqlite3_stmt) second = NULL;

        if (sqlite3_prepare_v2(query->db, rest, -1, &second, &rest) != SQLITE_OK || second != NULL)
            return wrong_query(error, "it must be a single statement");
    }
    return true;
}

static bool
prepare(MailboxQuery *query, const char *sql, GError **error)
{
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(query->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->stmt, &rest);

    if ((rc & 0xff) == SQLITE_ERROR)
        return wrong_query(error, "%s (in '%s')", sqlite3_errmsg(query->db), query->path);
    if (rc != SQLITE_OK)
        return database_set_error(query->db, query->path, "read", error);
    if (query->stmt == NULL)
        return wrong_query(error, "it is empty");
    if (sqlite3_column_count(query->stmt) == 0 || !sqlite3_stmt_readonly(query->stmt))
        return wrong_query(error, "it must be a SELECT");
    return check_single(query, rest, error);
}

/* SQLite's authorizer, which sees all that a statement uses, also inside of views, and
 * also when SQLite prepares it again because the schema has changed. Forbids nothing. */
static int
watch(void *data, int action, const char *first, const char *name, const char *database,
      const char *view)
{
    MailboxQuery *query = data;

    (void)first;
    (void)database;
    (void)view;
    if (action == SQLITE_FUNCTION && !g_strv_contains(pure_functions, name))
        query->is_repeatable = false;
    return SQLITE_OK;
}

bool
query_is_repeatable(const MailboxQuery *query)
{
    return query->is_repeatable;
}

MailboxQuery *
query_new(sqlite3 *db, const char *path, const char *sql, GError **error)
{
    g_autoptr(MailboxQuery) query = g_new0(MailboxQuery, 1);

    query->db = db;
    query->path = path;
    query->is_repeatable = true;
    (void)sqlite3_set_authorizer(db, watch, query); /* fails only without a db */
    if (!prepare(query, sql, error))
        return NULL;
    query->address = sqlite3_bind_parameter_index(query->stmt, ":address");
    query->local = sqlite3_bind_parameter_index(query->stmt, ":local");
    query->domain = sqlite3_bind_parameter_index(query->stmt, ":domain");
    if (!check_columns(query, error) || !check_parameters(query, error))
        return NULL;
    return g_steal_pointer(&query);
}

void
query_free(MailboxQuery *query)
{
    if (query == NULL)
        return;
    (void)sqlite3_set_authorizer(query->db, NULL, NULL);
    database_finalize(query->stmt);
    g_free(query);
}

/* A row under the reader's hand: where its complaints go. */
typedef struct {
    const MailboxQuery *query;
    const char *address;
    GError **error;
} Row;

__attribute__((format(printf, 2, 3))) static bool
bad_row(const Row *row, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *why = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(row->error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ROW,
                "the row for '%s' in map '%s' is wrong: %s", row->address, row->query->path, why);
    return false;
}

/* Text without the blanks around it; NULL when there is nothing. */
static bool
read_text(const Row *row, Column column, char **text_out)
{
    sqlite3_stmt *stmt = row->query->stmt;
    int at = row->query->at[column];
    g_autofree char *copy = NULL;

    *text_out = NULL;
    if (at < 0 || sqlite3_column_type(stmt, at) == SQLITE_NULL)
        return true;
    const char *text = (const char *)sqlite3_column_text(stmt, at);
    if (text == NULL) /* a value that could not be converted is not one that is not set */
        return bad_row(row, "%s cannot be read: out of memory", column_names[column]);
    if (strlen(text) != (size_t)sqlite3_column_bytes(stmt, at) || !g_utf8_validate(text, -1, NULL))
        return bad_row(row, "%s is not text", column_names[column]);
    copy = g_strstrip(g_strdup(text));
    for (const char *c = copy; *c != '\0'; c++)
        if (g_ascii_iscntrl(*c))
            return bad_row(row, "%s has control characters", column_names[column]);
    if (*copy != '\0')
        *text_out = g_steal_pointer(&copy);
    return true;
}

static bool
read_path(const Row *row, Column column, char **path_out)
{
    g_autofree char *path = NULL;

    if (!read_text(row, column, &path))
        return false;
    if (path != NULL) {
        g_auto(GStrv) parts = g_strsplit(path, "/", -1);

        if (g_strv_contains((const char *const *)parts, ".."))
            return bad_row(row, "%s '%s' contains '..'", column_names[column], path);
    }
    *path_out = g_steal_pointer(&path);
    return true;
}

/* A whole number of at least min; absent when there is none. Numbers may be
 * stored as text: columns of many schemas have no type to speak of in SQLite. */
static bool
read_number(const Row *row, Column column, gint64 min, gint64 max, gint64 absent,
            gint64 *number_out)
{
    g_autofree char *text = NULL;
    gint64 number;

    if (!read_text(row, column, &text))
        return false;
    if (text == NULL) {
        *number_out = absent;
        return true;
    }
    if (!g_ascii_string_to_signed(text, 10, min, max, &number, NULL))
        return bad_row(row, "%s is '%s', which is not a whole number from %" G_GINT64_FORMAT,
                       column_names[column], text, min);
    *number_out = number;
    return true;
}

/* Anything but a clear yes or no is an error: taking it for "no" would bounce mail
 * for good. */
static bool
read_active(const Row *row, bool *active_out)
{
    static const char *const yes[] = {"1", "2", "t", "true", "y", "yes", NULL};
    static const char *const no[] = {"0", "f", "false", "n", "no", NULL};
    g_autofree char *text = NULL;
    g_autofree char *lower = NULL;

    if (!read_text(row, COLUMN_ACTIVE, &text))
        return false;
    lower = g_ascii_strdown(text != NULL ? text : "", -1);
    *active_out = g_strv_contains(yes, lower);
    if (!*active_out && !g_strv_contains(no, lower))
        return bad_row(row, "active is '%s', which is neither 1 nor 0", lower);
    return true;
}

static bool
read_over(const Row *row, MailmapOver *over_out)
{
    static const char *const words[] = {"reject", "defer", "ramp"};
    g_autofree char *text = NULL;

    *over_out = MAILMAP_OVER_DEFAULT;
    if (!read_text(row, COLUMN_QUOTA_OVER, &text))
        return false;
    if (text == NULL)
        return true;
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0) {
            *over_out = (MailmapOver)(MAILMAP_OVER_REJECT + i);
            return true;
        }
    }
    return bad_row(row, "quota_over is '%s', which is none of reject, defer and ramp", text);
}

static bool
read_quota(const Row *row, Mailbox *mailbox)
{
    gint64 bytes = 0;
    gint64 messages = 0;

    if (!read_number(row, COLUMN_QUOTA_BYTES, 0, G_MAXINT64, -1, &mailbox->quota_bytes) ||
        !read_number(row, COLUMN_QUOTA_MESSAGES, 0, G_MAXINT64, -1, &mailbox->quota_messages) ||
        !read_number(row, COLUMN_MAX_MESSAGE_BYTES, 0, G_MAXINT64, -1,
                     &mailbox->max_message_bytes) ||
        !read_number(row, COLUMN_DOMAIN_QUOTA_BYTES, 0, G_MAXINT64, 0, &bytes) ||
        !read_number(row, COLUMN_DOMAIN_QUOTA_MESSAGES, 0, G_MAXINT64, 0, &messages))
        return false;
    mailbox->domain_quota_bytes = (guint64)bytes;
    mailbox->domain_quota_messages = (guint64)messages;
    return read_over(row, &mailbox->quota_over);
}

/* The key names the mailbox: %u, %n and %d of every path come from it. */
static bool
check_user(const Row *row, const Mailbox *mailbox)
{
    const char *at = mailbox->user != NULL ? strrchr(mailbox->user, '@') : NULL;

    if (at == NULL || at[1] == '\0')
        return bad_row(row, "user is '%s', which is not local@domain",
                       mailbox->user != NULL ? mailbox->user : "");
    /* The home of a catch-all by the usual default would hold all homes of the domain. */
    if (at == mailbox->user && (mailbox->home == NULL || strstr(mailbox->home, "%n") != NULL))
        return bad_row(row, "a catch-all needs a home of its own, without %%n");
    return true;
}

static bool
read_row(const Row *row, Mailbox *mailbox)
{
    if (!read_text(row, COLUMN_USER, &mailbox->user) ||
        !read_path(row, COLUMN_HOME, &mailbox->home) ||
        !read_path(row, COLUMN_MAILDIR, &mailbox->maildir) ||
        !read_path(row, COLUMN_SIEVE, &mailbox->sieve) ||
        !read_number(row, COLUMN_UID, 1, G_MAXUINT32 - 1, -1, &mailbox->uid) ||
        !read_number(row, COLUMN_GID, 1, G_MAXUINT32 - 1, -1, &mailbox->gid) ||
        !read_quota(row, mailbox))
        return false;
    return check_user(row, mailbox);
}

static bool
read_mailbox(const MailboxQuery *query, const char *address, Mailbox **mailbox_out, GError **error)
{
    const Row row = {.query = query, .address = address, .error = error};
    g_autoptr(Mailbox) mailbox = g_new0(Mailbox, 1);
    bool active;

    if (!read_active(&row, &active))
        return false;
    if (!active) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE, "mailbox '%s' is switched off",
                    address);
        return false;
    }
    if (!read_row(&row, mailbox))
        return false;
    *mailbox_out = g_steal_pointer(&mailbox);
    return true;
}

static bool
step(const MailboxQuery *query, const char *address, Mailbox **mailbox_out, GError **error)
{
    switch (sqlite3_step(query->stmt)) {
    case SQLITE_ROW:
        return read_mailbox(query, address, mailbox_out, error);
    case SQLITE_DONE:
        *mailbox_out = NULL;
        return true;
    default:
        return database_set_error(query->db, query->path, "read", error);
    }
}

/* The only failure of a binding is one of memory or length; the statement would
 * then run with NULL and find nothing, which is a wrong answer. */
static bool
bind(const MailboxQuery *query, int index, const char *text)
{
    return index == 0 ||
           sqlite3_bind_text(query->stmt, index, text, -1, SQLITE_STATIC) == SQLITE_OK;
}

bool
query_run(MailboxQuery *query, const char *local, const char *domain, Mailbox **mailbox_out,
          GError **error)
{
    g_autofree char *address = g_strconcat(local, "@", domain, NULL);
    bool done;

    if (!bind(query, query->address, address) || !bind(query, query->local, local) ||
        !bind(query, query->domain, domain))
        done = database_set_error(query->db, query->path, "ask", error);
    else
        done = step(query, address, mailbox_out, error);
    (void)sqlite3_reset(query->stmt); /* repeats the error of the step */
    (void)sqlite3_clear_bindings(query->stmt);
    return done;
}
