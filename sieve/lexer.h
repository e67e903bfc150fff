/* sieve/lexer.h - the tokens of a script (RFC 5228 section 8.1)
 *
 * The text is taken over: line ends become CRLF, as the RFC has them, and strings are
 * unescaped where they stand, so that their texts need no memory of their own.
 * Mistakes become complaints, and lexing goes on behind them.
 */
#ifndef LODGE_SIEVE_LEXER_H
#define LODGE_SIEVE_LEXER_H

#include "lodge.h"
#include "sieve/arena.h"

typedef enum {
    SIEVE_TOKEN_END,
    SIEVE_TOKEN_IDENTIFIER,
    SIEVE_TOKEN_TAG, /* text without the colon */
    SIEVE_TOKEN_NUMBER,
    SIEVE_TOKEN_STRING, /* quoted or multi-line; text is its value */
    SIEVE_TOKEN_SEMICOLON = ';',
    SIEVE_TOKEN_COMMA = ',',
    SIEVE_TOKEN_OPEN_LIST = '[',
    SIEVE_TOKEN_CLOSE_LIST = ']',
    SIEVE_TOKEN_OPEN_TESTS = '(',
    SIEVE_TOKEN_CLOSE_TESTS = ')',
    SIEVE_TOKEN_OPEN_BLOCK = '{',
    SIEVE_TOKEN_CLOSE_BLOCK = '}',
} SieveTokenKind;

typedef struct {
    SieveTokenKind kind;
    SieveText text; /* as in the arena */
    guint64 number;
    unsigned line, column;         /* where it begins; characters, from 1 */
    unsigned end_line, end_column; /* behind its last character */
} SieveToken;

typedef struct {
    SieveToken token; /* the current one */

    /* private */
    const char *script_name;
    SieveArena *arena;
    GPtrArray *complaints;
    char *at, *end;
    unsigned line, column; /* of counted */
    const char *counted;
    bool lacks_text_end; /* no line with a single dot follows any more */
} SieveLexer;

/* Ready to read len octets of text; sieve_lexer_next() gets the first token. */
void sieve_lexer_init(SieveLexer *lexer, const char *script_name, const char *text, size_t len,
                      SieveArena *arena, GPtrArray *complaints);

/* To the next token. At the end it stays SIEVE_TOKEN_END. */
void sieve_lexer_next(SieveLexer *lexer);

#endif
