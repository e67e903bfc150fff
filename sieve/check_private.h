/* sieve/check_private.h - what the files of the checker share
 *
 *   check.c          walks the tree: require, flow, what extensions ask
 *   check_bind.c     arguments of one command
 *   check_strings.c  encoded characters and variables in strings
 */
#ifndef LODGE_SIEVE_CHECK_PRIVATE_H
#define LODGE_SIEVE_CHECK_PRIVATE_H

#include "lodge.h"
#include "sieve/check.h"
#include "sieve/extension.h"

/* What is known of a test before any message comes (RFC 5463). */
typedef enum { SIEVE_VALUE_UNKNOWN, SIEVE_VALUE_TRUE, SIEVE_VALUE_FALSE } SieveStaticValue;

struct SieveCheck {
    const char *script_name;
    const SieveSettings *settings;
    SieveArena *arena;   /* of the script */
    SieveArena *scratch; /* of this compilation */
    GPtrArray *complaints;
    size_t extension_count;
    bool *required;         /* by the index in sieve_extensions */
    bool *told;             /* that require lacks this one */
    const char *unknown;    /* first unknown extension that was required; NULL */
    GHashTable *told_names; /* unknown commands and tests: each is told once */
    GHashTable *variables;  /* names that "set" was given so far, lower case */
    bool is_require_over;   /* something else than require was seen */
    bool has_ihave;
    bool is_outdated; /* an extension with another name now was required */
    bool has_variables, has_encoded, has_global; /* how strings are read */
    SieveStaticValue value;                      /* of the test whose check() was just called */
    GPtrArray *enclosing;                        /* of SieveNode, outermost first */
    GArray *includes;                            /* of SieveInclude */
};

/* Binds what node has as arguments to the definition in node->command. False: it complained, and
 * the node is not fit for check() functions. */
bool sieve_check_bind(SieveCheck *check, SieveNode *node);

/* Resolves encoded characters and finds variables. */
void sieve_check_string(SieveCheck *check, SieveString *string);

/* A copy of an argument, no tag, that lives as long as the script. */
const SieveArgument *sieve_check_keep(SieveCheck *check, const SieveArgument *argument);

/* Sees that the extension with that index is required; if not, complains once that prefix
 * and name ("" "fileinto", ":" "copy") need it. */
void sieve_check_needs(SieveCheck *check, unsigned extension, unsigned line, unsigned column,
                       const char *prefix, const char *name);
bool sieve_check_is_offered(const SieveCheck *check, const SieveExtension *extension);

#endif
