/* lda/state.c - what must be remembered between deliveries to one user; see state.h
 *
 *   entries(kind, key, remembered, expires)      %h/.lodge/state.db
 *   counts(kind, entries)                        kept by triggers, so that nothing is counted but
 *                                                once, in a file from before there were counts
 *
 * Nothing here is worth a wait for the disk. Killing a process loses nothing that was put: what
 * was written is the kernel's, and the journal undoes half a change. After a loss of power
 * an entry may be missing: somebody gets a second vacation reply, or an MTA that had not heard our
 * reply yet brings a message again whose redirect is then sent twice. No entry comes to be that was
 * not put, so no mail is lost; a damaged file is noticed and begun anew. A wait of two barriers for
 * each redirect would spare that second copy and nothing else. A key that is long, since
 * senders choose message-ids, is remembered by its hash.
 */
#include "lda/state.h"

#include <sqlite3.h>
#include <sys/stat.h>

enum {
    BUSY_TIMEOUT_MS = 5000, /* another delivery to the same user holds it for milliseconds */
    KEY_MAX = 200,          /* octets of a key that is stored as it is */
};

struct State {
    char *path;
    sqlite3 *db;
};

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS entries(kind INTEGER NOT NULL, key TEXT NOT NULL,"
    " remembered INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS oldest ON entries(kind, remembered);"
    "CREATE INDEX IF NOT EXISTS soonest ON entries(kind, expires);"
    "CREATE TABLE IF NOT EXISTS counts(kind INTEGER PRIMARY KEY, entries INTEGER NOT NULL);"
    "CREATE TRIGGER IF NOT EXISTS one_more AFTER INSERT ON entries BEGIN"
    " INSERT INTO counts VALUES(new.kind, 1) ON CONFLICT(kind) DO UPDATE SET entries = entries + 1;"
    " END;"
    "CREATE TRIGGER IF NOT EXISTS one_less AFTER DELETE ON entries BEGIN"
    " UPDATE counts SET entries = entries - 1 WHERE kind = old.kind;"
    " END";

static const char has_sql[] = "SELECT 1 FROM entries WHERE kind = ?1 AND key = ?2 AND expires > ?3";

/* In this order entries are read only where there are no counts. */
static const char count_sql[] =
    "INSERT INTO counts SELECT kind, count(*) FROM"
    " (SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM counts)) CROSS JOIN entries GROUP BY kind";

static const char put_sql[] =
    "INSERT INTO entries(kind, key, remembered, expires) VALUES(?1, ?2, ?3, ?4)"
    " ON CONFLICT DO UPDATE SET remembered = excluded.remembered, expires = excluded.expires";

static const char expire_sql[] = "DELETE FROM entries WHERE kind = ?1 AND expires <= ?3";

static const char bound_sql[] =
    "DELETE FROM entries WHERE kind = ?1 AND key IN (SELECT key FROM entries WHERE kind = ?1"
    " ORDER BY remembered LIMIT max(0, (SELECT entries FROM counts WHERE kind = ?1) - ?2))";

/* ---- the file ------------------------------------------------------------ */

static bool
set_error(const State *state, const char *what, GError **error)
{
    int code = sqlite3_errcode(state->db) & 0xff;
    int system = sqlite3_system_errno(state->db);

    if (system != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR || code == SQLITE_FULL)) {
        errno = code == SQLITE_FULL ? ENOSPC : system;
        return lodge_set_errno(error, "%s '%s'", what, state->path);
    }
    g_set_error(error, G_FILE_ERROR, code == SQLITE_FULL ? G_FILE_ERROR_NOSPC : G_FILE_ERROR_FAILED,
                "cannot %s '%s': %s", what, state->path,
                code == SQLITE_BUSY ? "it stayed locked by another process"
                                    : sqlite3_errmsg(state->db));
    return false;
}

static bool
is_damaged(const State *state)
{
    int code = sqlite3_errcode(state->db) & 0xff;

    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

static void
close_file(State *state)
{
    (void)sqlite3_close_v2(state->db); /* cannot fail */
    state->db = NULL;
}

static bool
open_file(State *state, GError **error)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(state->path, &state->db, flags, NULL) != SQLITE_OK)
        return set_error(state, "open", error);
    /* These cannot fail: they only set what the connection will do. */
    (void)sqlite3_busy_timeout(state->db, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(state->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(state->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sqlite3_exec(state->db,
                        "PRAGMA synchronous = OFF; PRAGMA cache_size = -64;"
                        "PRAGMA temp_store = MEMORY",
                        NULL, NULL, NULL) == SQLITE_OK &&
                   sqlite3_exec(state->db, schema_sql, NULL, NULL, NULL) == SQLITE_OK
               ? true
               : set_error(state, "open", error);
}

/* Sets the damaged file aside and begins a new one. */
static bool
renew(State *state, GError **error)
{
    g_autofree char *aside = g_strconcat(state->path, ".damaged", NULL);
    g_autofree char *journal = g_strconcat(state->path, "-journal", NULL);

    close_file(state);
    if (rename(state->path, aside) != 0)
        return lodge_set_errno(error, "set the damaged '%s' aside", state->path);
    (void)unlink(journal); /* it belongs to the damaged file, if there is one */
    g_warning("'%s' was damaged: it is '%s' now, and a new one was begun", state->path, aside);
    return open_file(state, error);
}

/* A link could lead to a file of somebody else. */
static bool
check_path(const State *state, GError **error)
{
    struct stat info;

    if (lstat(state->path, &info) != 0 || S_ISREG(info.st_mode))
        return true;
    errno = ELOOP;
    return lodge_set_errno(error, "open '%s', which is not a regular file", state->path);
}

State *
state_open(const char *directory, GError **error)
{
    g_autoptr(State) state = g_new0(State, 1);
    g_autoptr(GError) failure = NULL;

    state->path = g_build_filename(directory, "state.db", NULL);
    if (g_mkdir_with_parents(directory, 0700) != 0) {
        (void)lodge_set_errno(error, "create the directory '%s'", directory);
        return NULL;
    }
    if (!check_path(state, error))
        return NULL;
    if (open_file(state, &failure))
        return g_steal_pointer(&state);
    if (state->db != NULL && is_damaged(state)) {
        if (renew(state, error))
            return g_steal_pointer(&state);
        return NULL;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

void
state_free(State *state)
{
    if (state == NULL)
        return;
    close_file(state);
    g_free(state->path);
    g_free(state);
}

/* ---- entries ------------------------------------------------------------- */

static char *
stored_key(const char *key)
{
    g_autofree char *hash = NULL;

    if (strlen(key) <= KEY_MAX && g_utf8_validate(key, -1, NULL))
        return g_strdup(key);
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
    return g_strconcat("sha256:", hash, NULL);
}

/* Runs one statement; the code of its last step. */
static int
run(State *state, const char *sql, StateKind kind, const char *key, gint64 third, gint64 fourth)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(state->db, sql, -1, &stmt, NULL);

    if (code != SQLITE_OK)
        return code;
    /* A statement without that parameter refuses the value, which does not matter. */
    (void)sqlite3_bind_int(stmt, 1, (int)kind);
    if (key != NULL)
        (void)sqlite3_bind_text(stmt, 2, key, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_int(stmt, 2, STATE_MAX_ENTRIES);
    (void)sqlite3_bind_int64(stmt, 3, third);
    (void)sqlite3_bind_int64(stmt, 4, fourth);
    code = sqlite3_step(stmt);
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    return code;
}

bool
state_has(State *state, StateKind kind, const char *key, gint64 now, bool *has_out, GError **error)
{
    g_autofree char *stored = stored_key(key);
    int code = run(state, has_sql, kind, stored, now, 0);

    if (code != SQLITE_ROW && code != SQLITE_DONE && is_damaged(state)) {
        if (!renew(state, error))
            return false;
        code = run(state, has_sql, kind, stored, now, 0);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return set_error(state, "read", error);
    *has_out = code == SQLITE_ROW;
    return true;
}

static bool
put_all(State *state, StateKind kind, const char *stored, gint64 now, gint64 expires)
{
    bool done = sqlite3_exec(state->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
                run(state, count_sql, kind, NULL, 0, 0) == SQLITE_DONE &&
                run(state, put_sql, kind, stored, now, expires) == SQLITE_DONE &&
                run(state, expire_sql, kind, "", now, 0) == SQLITE_DONE &&
                run(state, bound_sql, kind, NULL, 0, 0) == SQLITE_DONE &&
                sqlite3_exec(state->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;

    return done;
}

bool
state_put(State *state, StateKind kind, const char *key, gint64 now, guint64 seconds,
          GError **error)
{
    g_autofree char *stored = stored_key(key);
    gint64 expires = now + (gint64)MIN(seconds, (guint64)G_MAXINT64 / 2);

    if (put_all(state, kind, stored, now, expires))
        return true;
    if (is_damaged(state))
        return renew(state, error) &&
               (put_all(state, kind, stored, now, expires) || set_error(state, "write", error));
    (void)set_error(state, "write", error);
    /* Fails where nothing was begun, which is as well. */
    (void)sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}
