/* schema/import.h - another program's tables into our map
 *
 * Knows the schemas of the classic tutorial, of ISPmail and of PostfixAdmin. All or
 * nothing: what is not understood (a table, a column, a value) refuses the dump and
 * names its line, since a row that is left out silently is somebody's lost mail.
 */
#ifndef LODGE_SCHEMA_IMPORT_H
#define LODGE_SCHEMA_IMPORT_H

#include "lodge.h"
#include "schema/mapedit.h"

typedef struct {
    const char *schema;             /* "tutorial", "ISPmail", "PostfixAdmin" */
    unsigned added[MAPEDIT_TABLES]; /* rows */
    GPtrArray *changes;             /* of char *: "user ana@example.org", as they were made */
    GPtrArray *notes; /* of char *: what was left out on purpose, what now is different */
} ImportSummary;

/* Adds what tables (of MysqldumpTable, mysqldump.h) hold to the map, within the
 * transaction the caller has begun and commits, or not. Fails with MAILMAP_ERROR; the
 * message begins with "line N: " where a line is to blame. */
ImportSummary *import_tables(Mapedit *edit, const GPtrArray *tables, GError **error);
void import_summary_free(ImportSummary *summary); /* NULL is fine */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImportSummary, import_summary_free)
#endif
