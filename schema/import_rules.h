/* schema/import_rules.h - what an import does with each table of a foreign schema
 *
 * Internal to schema/: import.c walks the rules, import_rules.c has them.
 */
#ifndef LODGE_SCHEMA_IMPORT_RULES_H
#define LODGE_SCHEMA_IMPORT_RULES_H

#include "lodge.h"
#include "schema/import.h"
#include "schema/mysqldump.h"

typedef struct Import Import;

typedef struct {
    const char *table;
    const char *columns; /* all that may be there, "+" before those that must */
    bool (*run)(Import *import, const MysqldumpRow *row, GError **error);
    const char *left_out; /* run NULL: what it holds that delivery does not need */
} ImportRule;

typedef struct {
    const char *name;
    const char *marks[2];    /* tables that tell the schema from the others */
    const ImportRule *rules; /* in the order they must run; ends with a NULL table */
} ImportSchema;

extern const ImportSchema import_schemas[]; /* ends with a NULL name */

/* The text of a column; NULL when it is NULL, empty or not there. */
const char *import_text(const MysqldumpRow *row, const char *column);

/* A column of ours and its text; NULL text leaves the default. */
typedef struct {
    const char *column;
    const char *text;
} ImportValue;

/* Adds a row to our map; values end with a NULL column. */
bool import_add(Import *import, MapeditTable table, const char *key, const ImportValue *values,
                GError **error);

/* Remembers destinations of source; all of one source become one row at the end. */
bool import_forward(Import *import, const MysqldumpRow *row, const char *source,
                    const char *destination, GError **error);

/* Remembers the limit of users, which holds only when all are there. */
void import_limit_users(Import *import, const MysqldumpRow *row, const char *domain,
                        const char *max_users);

/* Domains whose rows are left out. */
void import_leave_domain(Import *import, const char *domain);
bool import_is_left(const Import *import, const char *domain);

void import_note(Import *import, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool import_refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
