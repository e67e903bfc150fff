/* schema/database.h - SQLite, with our errors and cleanups
 *
 * Internal to schema/. Every function that takes a path does so for its message.
 */
#ifndef LODGE_SCHEMA_DATABASE_H
#define LODGE_SCHEMA_DATABASE_H

#include "lodge.h"

#include <sqlite3.h>

/* Opens the file at path, which must exist, and reads its schema: a lock or a
 * damaged file shows itself here. */
sqlite3 *database_open(const char *path, bool writable, unsigned busy_timeout_ms, GError **error);

/* Sets MAILMAP_ERROR_UNAVAILABLE from the last failure on db: "cannot <what> map
 * '<path>': <cause>". Always returns false. */
bool database_set_error(sqlite3 *db, const char *path, const char *what, GError **error);

/* Runs one or more statements without results. */
bool database_run(sqlite3 *db, const char *path, const char *sql, GError **error);

/* The first column of the first row. */
bool database_get_number(sqlite3 *db, const char *path, const char *sql, gint64 *number_out,
                         GError **error);

/* Prepares one statement of ours. */
sqlite3_stmt *database_prepare(sqlite3 *db, const char *path, const char *sql, GError **error);

static inline void
database_finalize(sqlite3_stmt *stmt)
{
    (void)sqlite3_finalize(stmt); /* repeats the error of the last step, which was told */
}

static inline void
database_close(sqlite3 *db)
{
    (void)sqlite3_close_v2(db); /* cannot fail */
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3, database_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, database_finalize)
#endif
