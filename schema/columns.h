/* schema/columns.h - the columns of the map's tables, and their values as text
 *
 * Internal to schema/: mapedit.c walks these tables to build its statements.
 */
#ifndef LODGE_SCHEMA_COLUMNS_H
#define LODGE_SCHEMA_COLUMNS_H

#include "lodge.h"
#include "schema/database.h"
#include "schema/mapedit.h"

/* Name of a table, and what one of its rows is called in messages. */
const char *columns_table(MapeditTable table);
const char *columns_noun(MapeditTable table);

/* The column of that name, not the key; NULL when the table has none. */
const MapeditColumn *columns_find(MapeditTable table, const char *name);

/* Folds the key of a row as it is stored. Fails with BAD_ADDRESS. */
char *columns_fold_key(MapeditTable table, const char *key, GError **error);

/* Binds text, as typed, to parameter number index of stmt in the column's type;
 * "" is NULL. Fails with REFUSED or BAD_ADDRESS. */
bool columns_bind(sqlite3_stmt *stmt, int index, const MapeditColumn *column, const char *text,
                  GError **error);

/* The addresses of a destination, divided by commas or blanks outside of quotes. */
GPtrArray *columns_split_destinations(const char *text); /* of char * */

/* A destination as it is stored. Fails with BAD_ADDRESS. */
char *columns_fold_destinations(const char *text, GError **error);

/* Column number index of the current row as text; NULL for NULL. */
char *columns_format(sqlite3_stmt *stmt, int index, const MapeditColumn *column);

#endif
