/* schema/sqlvalue.h - one value of an INSERT */
#ifndef LODGE_SCHEMA_SQLVALUE_H
#define LODGE_SCHEMA_SQLVALUE_H

#include "schema/mysqldump.h"
#include "schema/sqllex.h"

/* Reads the value that begins at the current token, up to the token behind it. Fails
 * with MYSQLDUMP_ERROR. */
bool sqlvalue_read(SqlLexer *lexer, MysqldumpValue *value_out, GError **error);

#endif
