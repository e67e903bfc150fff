/* schema/migrate.h - brings a map to the current schema
 *
 * The numbered files schema/NNN_*.sql, compiled into the program. A map says in
 * its header that it is ours (PRAGMA application_id) and how many of them it has
 * (PRAGMA user_version).
 */
#ifndef LODGE_SCHEMA_MIGRATE_H
#define LODGE_SCHEMA_MIGRATE_H

#include "lodge.h"

#include <sqlite3.h>

typedef struct {
    int version;
    const char *name; /* the file's, for messages */
    const char *sql;
} Migration;

extern const Migration migrate_files[]; /* in order, from 1 without gaps */
extern const size_t migrate_file_count;

/* Checks that db (the file at path) is a map with the current schema; writes
 * nothing. Fails with MAILMAP_ERROR_SCHEMA or _UNAVAILABLE. */
bool migrate_check(sqlite3 *db, const char *path, GError **error);

/* Applies what is missing, each file in a transaction of its own. Refuses a map
 * that is newer than this program, and a database of something else. */
bool migrate_run(sqlite3 *db, const char *path, GError **error);

#endif
