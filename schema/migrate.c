/* schema/migrate.c - brings a map to the current schema
 *
 * Each file is one transaction together with the number it leaves in the
 * header: a map is always at one version, whatever is killed half-way. A number
 * higher than we know is refused even for reading: a newer schema may have moved
 * the meaning of a column, and a wrong answer costs mail.
 */
#include "schema/migrate.h"
#include "schema/database.h"
#include "schema/mailmap.h"

#define APPLICATION_ID 0x6c6f6467 /* "lodg" */

typedef struct {
    gint64 application_id;
    gint64 version;
    gint64 objects; /* tables and the like */
} MapHeader;

static bool
read_header(sqlite3 *db, const char *path, MapHeader *header_out, GError **error)
{
    MapHeader header;

    if (!database_get_number(db, path, "PRAGMA application_id", &header.application_id, error) ||
        !database_get_number(db, path, "PRAGMA user_version", &header.version, error) ||
        !database_get_number(db, path, "SELECT count(*) FROM sqlite_master", &header.objects,
                             error))
        return false;
    *header_out = header;
    return true;
}

static bool
check_not_newer(const MapHeader *header, const char *path, GError **error)
{
    if (header->application_id != APPLICATION_ID && header->objects > 0) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA,
                    "'%s' is a database, but not a lodge map; for another schema set preset or "
                    "mailbox_query in [map]",
                    path);
        return false;
    }
    if (header->version > (gint64)migrate_file_count) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA,
                    "map '%s' has schema version %" G_GINT64_FORMAT
                    ", this program knows versions up to %zu: upgrade lodge",
                    path, header->version, migrate_file_count);
        return false;
    }
    return true;
}

bool
migrate_check(sqlite3 *db, const char *path, GError **error)
{
    MapHeader header;

    if (!read_header(db, path, &header, error) || !check_not_newer(&header, path, error))
        return false;
    if (header.version < (gint64)migrate_file_count) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_SCHEMA,
                    "map '%s' has schema version %" G_GINT64_FORMAT
                    " and needs %zu: run `lodge domain list` once, which brings it up to date",
                    path, header.version, migrate_file_count);
        return false;
    }
    return true;
}

/* In its own transaction; the version is read again under the lock, because
 * another process may have been faster. */
static bool
apply(sqlite3 *db, const char *path, const Migration *migration, GError **error)
{
    g_autofree char *stamp =
        g_strdup_printf("PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                        APPLICATION_ID, migration->version);
    MapHeader header;

    if (!database_run(db, path, "BEGIN IMMEDIATE", error))
        return false;
    if (read_header(db, path, &header, error) && check_not_newer(&header, path, error)) {
        if (header.version >= migration->version)
            return database_run(db, path, "COMMIT", error);
        if (database_run(db, path, migration->sql, error) && database_run(db, path, stamp, error))
            return true;
        g_prefix_error(error, "%s: ", migration->name);
    }
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the first error is the one to tell */
    return false;
}

bool
migrate_run(sqlite3 *db, const char *path, GError **error)
{
    MapHeader header;

    if (!read_header(db, path, &header, error) || !check_not_newer(&header, path, error))
        return false;
    for (size_t i = 0; i < migrate_file_count; i++)
        if (migrate_files[i].version > header.version && !apply(db, path, &migrate_files[i], error))
            return false;
    return true;
}
