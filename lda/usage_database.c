/* lda/usage_database.c - the file of usage.h, and the statements that are made on it
 *
 * Transactions that write are IMMEDIATE: what was read is still so when it is written upon, and
 * those who come at once wait for each other at the start, where SQLite waits. Not synchronous:
 * after a loss of power rows may be old, which the next delivery or refresh mends.
 *
 * Who has set something aside holds a lock on one octet of FILE.lock, chosen at random, as long
 * as the process lives: the lock goes with it, however it ends, and with it what it had
 * set aside is known to be nobody's.
 *
 * What the mailboxes of a domain hold together is kept by triggers, in the transaction that changes
 * a row, whoever makes it: nothing is added up but when the file is made or brought up to date,
 * and once an hour, when all mailboxes have been looked at. The write-ahead log is kept when the
 * last one closes the file, so that a panel with no right to write can read it.
 */
#include "lda/usage_parts.h"

#include <sys/stat.h>

enum { VERSION = 2 };

/* A clock that was set back must not leave a row as it is for ever. */
#define CLOCK_BACK_US "3600000000"

/* The numbers of a row, or old. or new. before them, may be nonsense of others: of the largest that
 * count, a thousand can be added. */
#define ADD_UP                                                             \
    "INSERT OR REPLACE INTO quota_totals"                                  \
    " SELECT domain, CAST(total(min(max(bytes, 0), 1 << 50)) AS INTEGER)," \
    " CAST(total(min(max(messages, 0), 1 << 50)) AS INTEGER) FROM quota_usage"
#define TAKE_OLD                                                                \
    " UPDATE quota_totals SET bytes = bytes - min(max(old.bytes, 0), 1 << 50)," \
    " messages = messages - min(max(old.messages, 0), 1 << 50)"                 \
    " WHERE domain = old.domain;"
#define ADD_NEW                                                                     \
    " INSERT INTO quota_totals SELECT new.domain, min(max(new.bytes, 0), 1 << 50)," \
    " min(max(new.messages, 0), 1 << 50) WHERE new.domain IS NOT NULL"              \
    " ON CONFLICT(domain) DO UPDATE"                                                \
    " SET bytes = bytes + excluded.bytes, messages = messages + excluded.messages;"

static const char *const statements[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_BEGIN_READING] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PUT] = "INSERT INTO quota_usage(username, domain, bytes, messages, measured_us, stamp)"
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(username) DO UPDATE SET"
                " bytes = ?3, messages = ?4, measured_us = ?5, stamp = ?6"
                " WHERE measured_us IS NULL OR measured_us <= ?5"
                " OR measured_us > ?5 + " CLOCK_BACK_US,
    /* By itself: the index would be written for a domain that is set to what it was. */
    [SQL_PUT_DOMAIN] = "UPDATE quota_usage SET domain = ?2 WHERE username = ?1"
                       " AND domain IS NOT ?2",
    [SQL_GROW] = "UPDATE quota_usage SET stamp = NULL,"
                 " bytes = bytes + (SELECT bytes FROM quota_holds WHERE id = ?1),"
                 " messages = messages + (SELECT messages FROM quota_holds WHERE id = ?1)"
                 " WHERE username = (SELECT username FROM quota_holds WHERE id = ?1)",
    [SQL_END_HOLD] = "DELETE FROM quota_holds WHERE id = ?1",
    [SQL_GET_DOMAIN] = "SELECT refreshed_us, full_since_us FROM quota_domains WHERE domain = ?1",
    [SQL_HAS_USER] = "SELECT 1 FROM quota_usage WHERE username = ?1",
    /* total() does not fail for numbers of others that are nonsense, is exact to 2^53, and 0 where
     * there are none. */
    [SQL_SUM] = "SELECT total(bytes), total(messages) FROM quota_totals WHERE domain = ?1",
    [SQL_ADD_UP] = ADD_UP " WHERE domain = ?1 GROUP BY domain",
    [SQL_SUM_HOLDS] = "SELECT total(bytes), total(messages) FROM quota_holds WHERE domain = ?1",
    [SQL_ADD_HOLD] = "INSERT INTO quota_holds(owner, username, domain, bytes, messages)"
                     " VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_SET_FULL] = "UPDATE quota_domains SET full_since_us = ?2 WHERE domain = ?1",
    [SQL_CLAIM] = "UPDATE quota_domains SET refreshed_us = ?2 WHERE domain = ?1"
                  " AND refreshed_us NOT BETWEEN ?2 - ?3 AND ?2",
    /* What is set aside may have been stored by a process that was killed before it said so. */
    [SQL_STAMPS] = "SELECT username, CASE WHEN username IN"
                   " (SELECT username FROM quota_holds WHERE domain = ?1)"
                   " THEN '' ELSE coalesce(stamp, '') END FROM quota_usage WHERE domain = ?1",
    [SQL_FORGET] = "DELETE FROM quota_usage WHERE username = ?1",
    [SQL_REFRESHED] = "INSERT INTO quota_domains(domain, refreshed_us) VALUES(?1, ?2)"
                      " ON CONFLICT(domain) DO UPDATE SET refreshed_us = ?2",
    [SQL_OWNERS] = "SELECT DISTINCT owner FROM quota_holds WHERE domain = ?1",
    [SQL_DROP_OWNER] = "DELETE FROM quota_holds WHERE owner = ?1",
};

/* Version 1 had no totals, and what it added up in an index. */
static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS quota_usage(username TEXT NOT NULL PRIMARY KEY,"
    " bytes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,"
    " domain TEXT, measured_us INTEGER, stamp TEXT) WITHOUT ROWID;"
    "DROP INDEX IF EXISTS quota_usage_domain;"
    "CREATE INDEX IF NOT EXISTS quota_usage_of_domain ON quota_usage(domain);"
    "CREATE TABLE IF NOT EXISTS quota_totals(domain TEXT NOT NULL PRIMARY KEY,"
    " bytes INTEGER NOT NULL, messages INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TRIGGER IF NOT EXISTS quota_usage_comes"
    " AFTER INSERT ON quota_usage BEGIN" ADD_NEW " END;"
    "CREATE TRIGGER IF NOT EXISTS quota_usage_goes"
    " AFTER DELETE ON quota_usage BEGIN" TAKE_OLD " END;"
    "CREATE TRIGGER IF NOT EXISTS quota_usage_changes"
    " AFTER UPDATE OF domain, bytes, messages ON quota_usage BEGIN" TAKE_OLD ADD_NEW " END;"
    "CREATE TABLE IF NOT EXISTS quota_holds(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " owner INTEGER NOT NULL, username TEXT NOT NULL, domain TEXT NOT NULL,"
    " bytes INTEGER NOT NULL, messages INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS quota_holds_domain ON quota_holds(domain, bytes, messages);"
    "CREATE TABLE IF NOT EXISTS quota_domains(domain TEXT NOT NULL PRIMARY KEY,"
    " refreshed_us INTEGER NOT NULL, full_since_us INTEGER NOT NULL DEFAULT 0)"
    " WITHOUT ROWID;" ADD_UP " WHERE domain IS NOT NULL GROUP BY domain;"
    "PRAGMA user_version = 2;"
    "COMMIT";

/* ---- the file ------------------------------------------------------------ */

static bool
set_error(const Usage *usage, const char *what, GError **error)
{
    int code = sqlite3_errcode(usage->db) & 0xff;
    int system = sqlite3_system_errno(usage->db);

    if (system != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR)) {
        errno = system;
        return lodge_set_errno(error, "%s '%s'", what, usage->path);
    }
    g_set_error(error, G_FILE_ERROR, code == SQLITE_FULL ? G_FILE_ERROR_NOSPC : G_FILE_ERROR_FAILED,
                "cannot %s '%s': %s", what, usage->path,
                code == SQLITE_BUSY ? "it stayed locked by another process"
                                    : sqlite3_errmsg(usage->db));
    return false;
}

void
usage_close(Usage *usage)
{
    for (size_t i = 0; i < SQL_STATEMENTS; i++) {
        (void)sqlite3_finalize(usage->prepared[i]); /* repeats the error of its last step */
        usage->prepared[i] = NULL;
    }
    (void)sqlite3_close_v2(usage->db); /* cannot fail */
    usage->db = NULL;
}

/* An empty file is an empty database. Its log and what is shared get the same mode: who is in
 * the group of the file may read it. */
static bool
create_file(const Usage *usage, GError **error)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    lodge_autofd fd = open(usage->path, flags, 0640);

    if (fd < 0 && errno == ENOENT) {
        g_autofree char *directory = g_path_get_dirname(usage->path);

        if (g_mkdir_with_parents(directory, 0750) != 0)
            return lodge_set_errno(error, "create the directory '%s'", directory);
        fd = open(usage->path, flags, 0640);
    }
    if (fd < 0)
        return errno == EEXIST || lodge_set_errno(error, "create '%s'", usage->path);
    (void)fchmod(fd, 0640); /* whatever the umask; without it a panel cannot read, no more */
    return true;
}

/* Locks an octet of our own, and keeps it: what we have set aside is ours even if the database
 * must be opened again. Two processes with the same one would need two equal numbers of 62
 * bits. */
static bool
take_owner(Usage *usage, GError **error)
{
    g_autofree char *path = g_strconcat(usage->path, ".lock", NULL);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    if (usage->lock_fd >= 0)
        return true;
    usage->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (usage->lock_fd < 0)
        return lodge_set_errno(error, "open '%s'", path);
    /* Not GLib's numbers: those of processes that were forked from one are the same. */
    if (getentropy(&usage->owner, sizeof usage->owner) != 0)
        usage->owner = g_get_real_time();
    usage->owner &= G_MAXINT64 / 2;
    lock.l_start = usage->owner;
    if (fcntl(usage->lock_fd, F_OFD_SETLK, &lock) == 0)
        return true;
    lodge_close(&usage->lock_fd);
    return lodge_set_errno(error, "lock '%s'", path);
}

bool
usage_owner_is_alive(const Usage *usage, gint64 owner)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1};

    /* A lock of ours is not told; one that cannot be asked for is left alone. */
    return owner == usage->owner || owner < 0 || fcntl(usage->lock_fd, F_OFD_GETLK, &lock) != 0 ||
           lock.l_type != F_UNLCK;
}

static bool
has_schema(const Usage *usage)
{
    sqlite3_stmt *stmt = NULL;
    bool has = sqlite3_prepare_v2(usage->db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0) >= VERSION;

    (void)sqlite3_finalize(stmt);
    return has;
}

static bool
prepare_file(Usage *usage)
{
    static const char settings[] = "PRAGMA synchronous = OFF; PRAGMA cache_size = -256;"
                                   "PRAGMA temp_store = MEMORY";
    int keep_log = 1;

    /* These only set what the connection will do. */
    (void)sqlite3_busy_timeout(usage->db, (int)usage->timeout_ms);
    (void)sqlite3_db_config(usage->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(usage->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_file_control(usage->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
    if (sqlite3_exec(usage->db, settings, NULL, NULL, NULL) != SQLITE_OK)
        return false;
    if (has_schema(usage))
        return true;
    /* Another process may be at it too; without the log it is slower, no more. */
    (void)sqlite3_exec(usage->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    return sqlite3_exec(usage->db, schema_sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The identity is taken before the file is opened: replaced in between, the next transaction
 * sees a difference and opens again. */
static bool
open_file(Usage *usage, GError **error)
{
    struct stat info;

    if (!create_file(usage, error))
        return false;
    if (stat(usage->path, &info) != 0)
        return lodge_set_errno(error, "open '%s'", usage->path);
    usage->dev = info.st_dev;
    usage->ino = info.st_ino;
    if (!take_owner(usage, error))
        return false;
    if (sqlite3_open_v2(usage->path, &usage->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        !prepare_file(usage))
        return set_error(usage, "open", error);
    return true;
}

bool
usage_open(Usage *usage, GError **error)
{
    struct stat info;

    if (usage->db != NULL &&
        (stat(usage->path, &info) != 0 || info.st_dev != usage->dev || info.st_ino != usage->ino)) {
        usage_close(usage); /* it was removed or replaced, and what was set aside with it */
        lodge_close(&usage->lock_fd);
    }
    if (usage->db != NULL || open_file(usage, error))
        return true;
    usage_close(usage);
    return false;
}

/* ---- statements ---------------------------------------------------------- */

static sqlite3_stmt *
start_va(Usage *usage, UsageStatement which, const char *types, va_list values)
{
    sqlite3_stmt **stmt = &usage->prepared[which];
    int code = SQLITE_OK;

    if (*stmt == NULL)
        code = sqlite3_prepare_v3(usage->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, stmt,
                                  NULL);
    /* NOLINTBEGIN(clang-analyzer-valist.Uninitialized): the caller has started it. */
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++) {
        if (types[i] == 't')
            code = sqlite3_bind_text(*stmt, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
        else
            code = sqlite3_bind_int64(*stmt, i + 1, va_arg(values, gint64));
    }
    /* NOLINTEND(clang-analyzer-valist.Uninitialized) */
    return code == SQLITE_OK ? *stmt : NULL;
}

sqlite3_stmt *
usage_start(Usage *usage, UsageStatement which, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    sqlite3_stmt *stmt = start_va(usage, which, types, values);
    va_end(values);
    return stmt;
}

void
usage_reset(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
}

bool
usage_run(Usage *usage, UsageStatement which, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    sqlite3_stmt *stmt = start_va(usage, which, types, values);
    va_end(values);

    bool done = stmt != NULL && sqlite3_step(stmt) == SQLITE_DONE;

    if (stmt != NULL)
        usage_reset(stmt);
    return done;
}

bool
usage_begin(Usage *usage, unsigned timeout_ms, GError **error)
{
    if (!usage_open(usage, error))
        return false;
    (void)sqlite3_busy_timeout(usage->db, (int)timeout_ms); /* cannot fail */
    return usage_run(usage, SQL_BEGIN, "") || set_error(usage, "write", error);
}

bool
usage_begin_reading(Usage *usage, GError **error)
{
    if (!usage_open(usage, error))
        return false;
    (void)sqlite3_busy_timeout(usage->db, (int)usage->timeout_ms); /* cannot fail */
    return usage_run(usage, SQL_BEGIN_READING, "") || set_error(usage, "read", error);
}

bool
usage_end(Usage *usage, bool done, GError **error)
{
    if (done && usage_run(usage, SQL_COMMIT, ""))
        return true;
    (void)set_error(usage, "write", error);
    (void)usage_run(usage, SQL_ROLLBACK, ""); /* SQLite may have done so itself */
    usage_close(usage);
    return false;
}
