/* schema/sqllex.h - MySQL's SQL as tokens
 *
 * Only what dumps are made of. Comments are skipped; what stands in the executable
 * ones (MySQL's version comments, MariaDB's own) counts as if it stood outside.
 */
#ifndef LODGE_SCHEMA_SQLLEX_H
#define LODGE_SCHEMA_SQLLEX_H

#include "lodge.h"
#include "schema/mysqldump.h"

typedef enum {
    SQL_END,    /* of the input */
    SQL_WORD,   /* keyword, plain identifier or number */
    SQL_NAME,   /* identifier in backquotes, without them */
    SQL_STRING, /* in quotes; text holds what they mean */
    SQL_SIGN,   /* one character of punctuation */
} SqlTokenType;

typedef struct {
    SqlTokenType type;
    unsigned line; /* where it begins */
    GString *text;
} SqlToken;

typedef struct {
    const char *at;
    const char *end;
    unsigned line;
    bool executable; /* inside an executable comment */
    SqlToken token;  /* the current one */
} SqlLexer;

/* bytes are borrowed. */
void sqllex_init(SqlLexer *lexer, const char *bytes, size_t len);
void sqllex_clear(SqlLexer *lexer);

/* Reads the next token. Fails with MYSQLDUMP_ERROR_SYNTAX. */
bool sqllex_next(SqlLexer *lexer, GError **error);

/* Whether the current token is that word (in any case), or that sign. */
bool sqllex_is_word(const SqlLexer *lexer, const char *word);
bool sqllex_is_sign(const SqlLexer *lexer, char sign);

/* Steps over the sign, which must stand here; over the word, if it does. */
bool sqllex_expect_sign(SqlLexer *lexer, char sign, GError **error);
bool sqllex_skip_word(SqlLexer *lexer, const char *word, GError **error);

/* Sets error to "line N: ...", for the current token or as said. Always false. */
bool sqllex_unexpected(const SqlLexer *lexer, const char *expected, GError **error);
bool sqllex_fail(GError **error, MysqldumpError code, unsigned line, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

#endif
