/* schema/mysqldump.h - reads what mysqldump writes
 *
 * Bytes in, tables with their rows out, or the line that is not understood. Knows
 * CREATE TABLE, INSERT and the statements around them that carry no data; anything
 * else (a trigger, a view, an UPDATE) is refused, since leaving it out could change
 * what the rows mean. Pure: no I/O, and no SQL is run.
 */
#ifndef LODGE_SCHEMA_MYSQLDUMP_H
#define LODGE_SCHEMA_MYSQLDUMP_H

#include "lodge.h"

#define MYSQLDUMP_ERROR mysqldump_error_quark()
GQuark mysqldump_error_quark(void);
typedef enum {
    MYSQLDUMP_ERROR_SYNTAX,  /* broken off, or not SQL */
    MYSQLDUMP_ERROR_UNKNOWN, /* SQL that is not understood here */
} MysqldumpError;

/* A value is bytes; text is NULL for NULL and else ends in a NUL that len leaves out. */
typedef struct {
    char *text;
    size_t len;
} MysqldumpValue;

typedef struct {
    unsigned line;
    char **columns; /* borrowed: the INSERT's list, or the table's */
    GArray *values; /* of MysqldumpValue, as many as columns */
} MysqldumpRow;

typedef struct {
    char *name;
    unsigned line;          /* of its CREATE TABLE, or of its first INSERT */
    char **columns;         /* NULL when there is no CREATE TABLE */
    GPtrArray *rows;        /* of MysqldumpRow, in the order of the file */
    GPtrArray *row_columns; /* of char **: the lists that INSERTs brought */
} MysqldumpTable;

/* The tables of the dump in the order of the file. The message of an error begins
 * with "line N: ". */
GPtrArray *mysqldump_parse(const char *bytes, size_t len, GError **error);

/* Whether the dump ends as mysqldump ends one. A file without that mark that could be
 * read was written by something else or with fewer comments, or was cut off between two
 * statements: only one that begins as mysqldump begins is refused for it. */
bool mysqldump_is_complete(const char *bytes, size_t len);

/* The value of a column, whose name has no case; NULL when the row has none. */
const MysqldumpValue *mysqldump_value(const MysqldumpRow *row, const char *column);

#endif
