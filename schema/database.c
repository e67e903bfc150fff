/* schema/database.c - SQLite, with our errors and cleanups
 *
 * Whatever SQLite says about a file that we could not use is one error to our
 * callers, MAILMAP_ERROR_UNAVAILABLE: the mail waits. The message names the file
 * and, where the system gave one, its reason.
 */
#include "schema/database.h"
#include "schema/mailmap.h"

#include <limits.h>

/* Small on purpose, in KiB: a lookup touches a handful of pages, and each worker
 * process has its own cache. */
#define CACHE_KIB "64"

bool
database_set_error(sqlite3 *db, const char *path, const char *what, GError **error)
{
    int code = sqlite3_errcode(db) & 0xff;
    int system = sqlite3_system_errno(db);

    if (sqlite3_extended_errcode(db) == SQLITE_READONLY_ROLLBACK) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE,
                    "cannot %s map '%s': a change to it was interrupted, and undoing it needs the "
                    "right to write; run `lodge domain list` once",
                    what, path);
        return false;
    }
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE,
                    "cannot %s map '%s': it stayed locked by another process", what, path);
    else if ((code == SQLITE_CANTOPEN || code == SQLITE_IOERR) && system != 0)
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE, "cannot %s map '%s': %s (%s)",
                    what, path, sqlite3_errmsg(db), g_strerror(system));
    else
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE, "cannot %s map '%s': %s", what,
                    path, sqlite3_errmsg(db));
    return false;
}

/* Opens and sets up; NULL with the error, and *interrupted_out when a change was. */
static sqlite3 *
open_once(const char *path, int flags, unsigned busy_timeout_ms, bool *interrupted_out,
          GError **error)
{
    g_autoptr(sqlite3) db = NULL;

    /* Nobody asks how much memory SQLite uses, and counting takes a mutex for each piece. Of the
     * pages that it would prepare at once, 80 KiB, a lookup needs the smaller half. Both are
     * refused once SQLite has begun, which is as good. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return (database_set_error(db, path, "open", error), NULL);
    /* These cannot fail: they only set what the connection will do. */
    (void)sqlite3_busy_timeout(db, (int)MIN(busy_timeout_ms, (unsigned)INT_MAX));
    (void)sqlite3_extended_result_codes(db, 1);
    /* A map is data: no function called by its triggers or views may have effects. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Setting the cache's size reads the file: a lock or damage shows itself here. */
    if (database_run(db, path,
                     "PRAGMA cache_size = -" CACHE_KIB "; PRAGMA temp_store = MEMORY;"
                     "PRAGMA foreign_keys = ON",
                     error))
        return g_steal_pointer(&db);
    *interrupted_out = sqlite3_extended_errcode(db) == SQLITE_READONLY_ROLLBACK;
    return NULL;
}

/* A change that was cut short (the power, a kill) leaves a journal that the next to
 * open the file has to undo, which a reader cannot. Where the process has the
 * right, it is done here, so that mail does not wait for an administrator. */
sqlite3 *
database_open(const char *path, bool writable, unsigned busy_timeout_ms, GError **error)
{
    const int flags = writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    g_autoptr(GError) first = NULL;
    bool interrupted = false;
    sqlite3 *db = open_once(path, flags, busy_timeout_ms, &interrupted, &first);

    if (db == NULL && interrupted) {
        database_close(open_once(path, SQLITE_OPEN_READWRITE, busy_timeout_ms, &interrupted, NULL));
        g_clear_error(&first);
        db = open_once(path, flags, busy_timeout_ms, &interrupted, &first);
    }
    if (db == NULL)
        g_propagate_error(error, g_steal_pointer(&first));
    return db;
}

bool
database_run(sqlite3 *db, const char *path, const char *sql, GError **error)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return database_set_error(db, path, "use", error);
    return true;
}

sqlite3_stmt *
database_prepare(sqlite3 *db, const char *path, const char *sql, GError **error)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
        (void)database_set_error(db, path, "read", error);
    return stmt;
}

bool
database_get_number(sqlite3 *db, const char *path, const char *sql, gint64 *number_out,
                    GError **error)
{
    g_autoptr(sqlite3_stmt) stmt = database_prepare(db, path, sql, error);

    if (stmt == NULL)
        return false;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return database_set_error(db, path, "read", error);
    *number_out = sqlite3_column_int64(stmt, 0);
    return true;
}
