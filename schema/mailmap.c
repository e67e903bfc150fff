/* schema/mailmap.c - whose mailbox is this address?
 *
 *   address --fold.c--> local, detail, domain --query.c--> row --> Mailbox
 *
 * The map is opened and its query prepared once; a lookup then costs SQLite's
 * shared lock, one read of the change counter, and one stat() to see whether the
 * file is still the one we opened: a map may be replaced by a rename. An address
 * that was found lately costs the stat() and one read (answers.c). The up to
 * three questions of a lookup are asked in one transaction and so of one state.
 * "Unknown" is only ever the answer of a query that ran to its end.
 */
#include "schema/mailmap.h"

#include <sys/stat.h>

#include "schema/answers.h"
#include "schema/database.h"
#include "schema/fold.h"
#include "schema/forwarding.h"
#include "schema/migrate.h"
#include "schema/presets.h"
#include "schema/query.h"

G_DEFINE_QUARK(lodge_mailmap_error, mailmap_error)

/* One opened file. */
typedef struct {
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *end;
    MailboxQuery *query;
    sqlite3_stmt *destinations; /* NULL until needed */
    Answers *answers;
    dev_t dev;
    ino_t ino;
} Connection;

struct Mailmap {
    MailmapOptions options;
    const Preset *preset;
    Connection *connection;
};

Mailbox *
mailbox_copy(const Mailbox *mailbox)
{
    Mailbox *copy = g_new(Mailbox, 1);

    *copy = *mailbox;
    copy->address = g_strdup(mailbox->address);
    copy->user = g_strdup(mailbox->user);
    copy->detail = g_strdup(mailbox->detail);
    copy->home = g_strdup(mailbox->home);
    copy->maildir = g_strdup(mailbox->maildir);
    copy->sieve = g_strdup(mailbox->sieve);
    return copy;
}

void
mailbox_free(Mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    g_free(mailbox->address);
    g_free(mailbox->user);
    g_free(mailbox->detail);
    g_free(mailbox->home);
    g_free(mailbox->maildir);
    g_free(mailbox->sieve);
    g_free(mailbox);
}

static void
connection_close(Connection *connection)
{
    if (connection == NULL)
        return;
    answers_free(connection->answers);
    query_free(connection->query);
    database_finalize(connection->destinations);
    database_finalize(connection->begin);
    database_finalize(connection->end);
    database_close(connection->db);
    g_free(connection);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Connection, connection_close)

static bool
stat_map(const char *path, struct stat *info_out, GError **error)
{
    if (stat(path, info_out) == 0)
        return true;
    g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE, "cannot open map '%s': %s", path,
                g_strerror(errno));
    return false;
}

static bool
run_control(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    (void)sqlite3_reset(stmt);
    return rc == SQLITE_DONE;
}

/* The identity is taken before the file is opened: replaced in between, the next
 * lookup sees a difference and opens again. */
static Connection *
connection_open(const Mailmap *map, GError **error)
{
    g_autoptr(Connection) connection = g_new0(Connection, 1);
    const char *path = map->options.path;
    const char *own = map->options.mailbox_query;
    const char *sql = own != NULL && *own != '\0' ? own : map->preset->query;
    struct stat info;

    if (!stat_map(path, &info, error))
        return NULL;
    connection->dev = info.st_dev;
    connection->ino = info.st_ino;
    connection->db = database_open(path, false, map->options.busy_timeout_ms, error);
    if (connection->db == NULL)
        return NULL;
    connection->begin = database_prepare(connection->db, path, "BEGIN", error);
    if (connection->begin == NULL)
        return NULL;
    connection->end = database_prepare(connection->db, path, "COMMIT", error);
    if (connection->end == NULL)
        return NULL;
    /* In one transaction: outside of one each statement takes SQLite's locks, nine system calls,
     * and `deliver` opens the map for each message. */
    if (!run_control(connection->begin))
        return (database_set_error(connection->db, path, "read", error), NULL);
    if (sql == map->preset->query && map->preset->own_schema &&
        !migrate_check(connection->db, path, error))
        return NULL;
    connection->query = query_new(connection->db, path, sql, error);
    if (connection->query == NULL)
        return NULL;
    (void)run_control(connection->end); /* it only read */
    connection->answers = answers_new(connection->db);
    return g_steal_pointer(&connection);
}

Mailmap *
mailmap_open(const MailmapOptions *options, GError **error)
{
    g_autoptr(Mailmap) map = g_new0(Mailmap, 1);

    map->options = *options;
    map->preset = preset_find(options->preset);
    if (map->preset == NULL) {
        g_autofree char *names = preset_names();

        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA,
                    "there is no preset '%s' of the map; there are: %s", options->preset, names);
        return NULL;
    }
    map->connection = connection_open(map, error);
    if (map->connection == NULL)
        return NULL;
    return g_steal_pointer(&map);
}

void
mailmap_close(Mailmap *map)
{
    if (map == NULL)
        return;
    connection_close(map->connection);
    g_free(map);
}

static bool
is_same_file(const Connection *connection, const struct stat *info)
{
    return info->st_dev == connection->dev && info->st_ino == connection->ino;
}

/* Opens the map again when its name leads to another file. The old one is kept
 * until the new one is open, so that a broken one is tried again each time. */
static bool
follow_file(Mailmap *map, GError **error)
{
    Connection *fresh;
    struct stat info;

    if (!stat_map(map->options.path, &info, error))
        return false;
    if (is_same_file(map->connection, &info))
        return true;
    fresh = connection_open(map, error);
    if (fresh == NULL)
        return false;
    connection_close(map->connection);
    map->connection = fresh;
    return true;
}

/* Asks for the three forms of the address; *mailbox_out is NULL when none has a row. */
static bool
find_row(const Mailmap *map, const FoldedAddress *address, Mailbox **mailbox_out, GError **error)
{
    MailboxQuery *query = map->connection->query;
    g_autofree char *base = NULL;
    g_autofree char *detail = NULL;
    g_autoptr(Mailbox) mailbox = NULL;
    MailmapMatch match = MAILMAP_MATCH_ADDRESS;
    bool split;

    if (!query_run(query, address->local, address->domain, &mailbox, error))
        return false;
    split = mailbox == NULL && fold_split_detail(address, map->options.recipient_delimiter,
                                                 map->options.fold_local_part, &base, &detail);
    if (split) {
        match = MAILMAP_MATCH_WITHOUT_DETAIL;
        if (!query_run(query, base, address->domain, &mailbox, error))
            return false;
    }
    if (mailbox == NULL) {
        match = MAILMAP_MATCH_CATCH_ALL;
        if (!query_run(query, "", address->domain, &mailbox, error))
            return false;
    }
    if (mailbox != NULL) {
        mailbox->match = match;
        mailbox->detail = g_steal_pointer(&detail);
    }
    *mailbox_out = g_steal_pointer(&mailbox);
    return true;
}

/* Asks in one transaction; *mailbox_out as above. */
static bool
ask(const Mailmap *map, const char *address, const FoldedAddress *folded, Mailbox **mailbox_out,
    GError **error)
{
    Connection *connection = map->connection;
    bool done;

    if (!run_control(connection->begin))
        return database_set_error(connection->db, map->options.path, "read", error);
    done = find_row(map, folded, mailbox_out, error);
    if (done && *mailbox_out != NULL) {
        (*mailbox_out)->address = g_strconcat(folded->local, "@", folded->domain, NULL);
        if (query_is_repeatable(connection->query))
            answers_add(connection->answers, address, *mailbox_out);
    }
    /* Ends a transaction that only read; after an error SQLite may have done so itself. */
    (void)run_control(connection->end);
    return done;
}

/* What the map said of address lately, if it would say the same now; else NULL. */
static Mailbox *
recall(const Mailmap *map, const char *address)
{
    const Connection *connection = map->connection;
    const Mailbox *known = answers_find(connection->answers, address);
    struct stat info;

    if (known == NULL || stat(map->options.path, &info) != 0 || !is_same_file(connection, &info) ||
        !answers_hold(connection->answers))
        return NULL;
    return mailbox_copy(known);
}

Mailbox *
mailmap_lookup(Mailmap *map, const char *address, GError **error)
{
    g_auto(FoldedAddress) folded = {0};
    Mailbox *mailbox = recall(map, address);

    if (mailbox != NULL)
        return mailbox;
    if (!fold_address(address, map->options.fold_local_part, false, &folded, error) ||
        !follow_file(map, error) || !ask(map, address, &folded, &mailbox, error))
        return NULL;
    if (mailbox == NULL)
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNKNOWN_ADDRESS,
                    "'%s@%s' has no mailbox here", folded.local, folded.domain);
    return mailbox;
}

/* ---- forwardings ---------------------------------------------------------- */

static bool
has_own_query(const Mailmap *map)
{
    return map->options.mailbox_query != NULL && *map->options.mailbox_query != '\0';
}

/* Follows in one transaction, and so in one state of the map. */
static GPtrArray *
follow_forwardings(const Mailmap *map, const char *address, GError **error)
{
    Connection *connection = map->connection;
    const char *path = map->options.path;
    GPtrArray *steps;

    if (connection->destinations == NULL)
        connection->destinations =
            database_prepare(connection->db, path, map->preset->destinations, error);
    if (connection->destinations == NULL)
        return NULL;
    if (!run_control(connection->begin)) {
        (void)database_set_error(connection->db, path, "read", error);
        return NULL;
    }
    steps = forwarding_follow(connection->destinations, path, address,
                              map->options.recipient_delimiter, error);
    (void)run_control(connection->end); /* as in ask() */
    return steps;
}

char **
mailmap_destinations(Mailmap *map, const char *address, bool *is_all_out, GError **error)
{
    g_autoptr(GPtrArray) steps = NULL;

    if (has_own_query(map)) {
        steps = g_ptr_array_new();
    } else {
        if (!follow_file(map, error))
            return NULL;
        steps = follow_forwardings(map, address, error);
        if (steps == NULL)
            return NULL;
    }
    *is_all_out = steps->len < FORWARDING_STEPS_MAX;
    return forwarding_ends(steps, address);
}

/* ---- the other way: what leads to a user ---------------------------------- */

/* The first comparison is the cheap one: it leaves few rows to the exact one. */
static char *
aliases_sql(const char *forwardings)
{
    return g_strdup_printf(
        "WITH RECURSIVE steps(source, destinations) AS (%s), own(address) AS (VALUES(lower(?1))"
        " UNION SELECT lower(steps.source) FROM own JOIN steps"
        " ON instr(lower(steps.destinations), own.address) > 0"
        " AND instr(',' || replace(lower(steps.destinations), ' ', '') || ',',"
        " ',' || own.address || ',') > 0 WHERE substr(steps.source, 1, 1) <> '@' LIMIT %d)"
        " SELECT address FROM own WHERE address <> lower(?1)",
        forwardings, MAILMAP_ALIASES_MAX + 1);
}

static bool
collect(const Mailmap *map, sqlite3_stmt *stmt, GStrvBuilder *texts, GError **error)
{
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        g_strv_builder_add(texts, (const char *)sqlite3_column_text(stmt, 0));
    return rc == SQLITE_DONE ||
           database_set_error(map->connection->db, map->options.path, "read", error);
}

char **
mailmap_aliases(Mailmap *map, const char *user, GError **error)
{
    g_autoptr(GStrvBuilder) aliases = g_strv_builder_new();
    g_autoptr(sqlite3_stmt) stmt = NULL;
    g_autofree char *sql = NULL;

    if (has_own_query(map))
        return g_strv_builder_end(aliases);
    if (!follow_file(map, error))
        return NULL;
    sql = aliases_sql(map->preset->forwardings);
    stmt = database_prepare(map->connection->db, map->options.path, sql, error);
    if (stmt == NULL)
        return NULL;
    (void)sqlite3_bind_text(stmt, 1, user, -1, SQLITE_STATIC); /* fails in the step */
    return collect(map, stmt, aliases, error) ? g_strv_builder_end(aliases) : NULL;
}

/* ---- all of a domain ------------------------------------------------------ */

bool
mailmap_users(Mailmap *map, const char *domain, char ***users_out, GError **error)
{
    g_autoptr(GStrvBuilder) users = g_strv_builder_new();
    g_autoptr(sqlite3_stmt) stmt = NULL;

    *users_out = NULL;
    if (has_own_query(map))
        return true;
    if (!follow_file(map, error))
        return false;
    stmt = database_prepare(map->connection->db, map->options.path, map->preset->users, error);
    if (stmt == NULL)
        return false;
    (void)sqlite3_bind_text(stmt, 1, domain, -1, SQLITE_STATIC); /* fails in the step */
    if (!collect(map, stmt, users, error))
        return false;
    *users_out = g_strv_builder_end(users);
    return true;
}

Mailbox *
mailmap_user(Mailmap *map, const char *user, GError **error)
{
    const char *at = strrchr(user, '@');
    g_autofree char *local = g_strndup(user, at != NULL ? (gsize)(at - user) : 0);
    Mailbox *mailbox = NULL;

    if (!follow_file(map, error) ||
        !query_run(map->connection->query, local, at != NULL ? at + 1 : user, &mailbox, error))
        return NULL;
    if (mailbox == NULL)
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNKNOWN_ADDRESS, "there is no mailbox '%s'",
                    user);
    else
        mailbox->address = g_strdup(mailbox->user);
    return mailbox;
}
