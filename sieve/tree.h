/* sieve/tree.h - a script as a tree
 *
 *   parser.c makes SieveNodes with their arguments as written;
 *   check.c finds the command of each and binds arguments to its definition;
 *   eval.c walks what check.c has bound.
 *
 * What is evaluated lives in the arena of its script, which a server keeps for each of its users:
 * that is why fields have their order and width. What was written lives in the scratch memory of
 * the compilation; check.c copies what is needed of it.
 */
#ifndef LODGE_SIEVE_TREE_H
#define LODGE_SIEVE_TREE_H

#include "lodge.h"
#include "sieve/arena.h"

typedef struct SieveCommand SieveCommand; /* extension.h */
typedef struct SieveTag SieveTag;
typedef struct SieveMatcher SieveMatcher; /* match.h */
typedef struct SievePattern SievePattern;

/* A piece of a string with variables (RFC 5229 section 3). */
typedef struct {
    enum { SIEVE_PIECE_TEXT, SIEVE_PIECE_VARIABLE, SIEVE_PIECE_MATCH } kind;
    SieveText text;  /* the text, or the name in lower case, with its namespace: "global.x" */
    unsigned number; /* of a match variable */
} SievePiece;

typedef struct {
    size_t count;
    SievePiece items[];
} SievePieces;

/* A string of the script, escapes and encoded characters resolved. */
typedef struct {
    SieveText text;      /* the value when there are no pieces; its line ends are CRLF */
    SievePieces *pieces; /* NULL: constant */
    unsigned line, column;
} SieveString;

typedef enum { SIEVE_NUMBER, SIEVE_STRINGS, SIEVE_TAG } SieveArgumentKind;

typedef struct {
    uint8_t kind; /* SieveArgumentKind */
    bool is_list; /* written with brackets */
    guint32 string_count;
    unsigned line, column;
    union { /* as the kind says */
        guint64 number;
        SieveString *strings; /* one or more; a single string is a list of one */
        const char *tag;      /* without its colon, as written */
    };
} SieveArgument;

/* A tag found on a command, with its argument. */
typedef struct {
    const SieveTag *tag;
    const SieveArgument *value; /* NULL: it takes none */
    unsigned line, column;
} SieveBoundTag;

enum { SIEVE_MAX_POSITIONAL = 5 };

/* A command or a test as written: what only the compiler asks. */
typedef struct {
    SieveText name;
    SieveArgument *arguments; /* tags included */
    size_t argument_count;
    bool is_test_list; /* with parentheses */
    bool has_block;
    bool is_broken; /* the parser has complained: what is missing is not told again */
} SieveWritten;

/* A command or a test. A script can have hundreds of thousands: there is no padding in it. */
typedef struct SieveNode {
    unsigned line, column;
    struct SieveNode **tests; /* test list, or one test */
    struct SieveNode *block;  /* first command; NULL when empty */
    struct SieveNode *next;   /* next command of the same block */
    guint32 test_count, tag_count;
    SieveWritten *written; /* NULL once check.c is through */

    /* set by check.c */
    const SieveCommand *command;
    const SieveArgument *
        *values; /* one for each letter of the signature, in its order; NULL: omitted */
    SieveBoundTag *tags;
    const SieveMatcher *matcher; /* of commands with SIEVE_TAKES_MATCH */
    SievePattern *
        *patterns; /* of constant keys, made ready; NULL: at least one key is no constant */
    void *data;    /* what the command's own check() keeps; in the arena */
} SieveNode;

/* The tag of that name on node; NULL: not given. Name without colon, lower case. */
const SieveBoundTag *sieve_node_tag(const SieveNode *node, const char *name);

#endif
