/* sieve/check.h - from a tree as written to a tree that can be run
 *
 * Finds the definition of each command, sees that what it needs was required, binds tags
 * and positional arguments, prepares constant patterns, and complains about all that
 * is wrong with line and column, going on after each error.
 */
#ifndef LODGE_SIEVE_CHECK_H
#define LODGE_SIEVE_CHECK_H

#include "lodge.h"
#include "sieve/tree.h"

typedef struct SieveCheck SieveCheck;

/* An "include" of the script. */
typedef struct {
    SieveIncludeFrom from;
    const char *name;
    bool optional, once;
    unsigned line, column;
} SieveInclude;

/* What the check found; all in the arena of the script. */
typedef struct {
    const char *const *requires; /* NULL-terminated; what they imply as well */
    SieveInclude *includes;
    size_t include_count;
} SieveChecked;

/* Checks and binds the commands that begin with first. Adds to complaints. What the tree keeps is
 * in arena; scratch, which has what was written, may go afterwards. */
void sieve_check_tree(SieveNode *first, const char *script_name, const SieveSettings *settings,
                      SieveArena *arena, SieveArena *scratch, GPtrArray *complaints,
                      SieveChecked *checked_out);

/* ---- for check() functions of extensions --------------------------------- */

void sieve_check_error(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
void sieve_check_warning(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
SieveArena *sieve_check_arena(SieveCheck *check);   /* of the script: for what node->data keeps */
SieveArena *sieve_check_scratch(SieveCheck *check); /* for what lives as long as the check */
const SieveSettings *sieve_check_settings(const SieveCheck *check);
bool sieve_check_is_required(const SieveCheck *check, const char *extension);
/* Whether a script may require it here. */
bool sieve_check_is_known(const SieveCheck *check, SieveText extension);
/* From here on extension counts as required (ihave). */
void sieve_check_require(SieveCheck *check, const char *extension);
/* The test being checked has this value for every message: what it guards against is not
 * checked (ihave). */
void sieve_check_set_value(SieveCheck *check, bool value);
/* Complains if a string of the argument has variables; what is how people call it. */
bool sieve_check_constant(SieveCheck *check, const SieveArgument *argument, const char *what);
/* How many commands of that name enclose the one being checked (foreverypart). */
unsigned sieve_check_enclosing(const SieveCheck *check, const char *command);
/* The enclosing node number depth of that name, 0 the innermost; NULL. */
const SieveNode *sieve_check_enclosing_node(const SieveCheck *check, const char *command,
                                            unsigned depth);
/* Remembers that the script includes another: for sieve_script_check_includes(). */
void sieve_check_add_include(SieveCheck *check, SieveInclude include);

/* ---- variables (RFC 5229) ------------------------------------------------- */

/* The script sets the variable here; name is lower case, without namespace. */
void sieve_check_set_variable(SieveCheck *check, SieveText name);
bool sieve_check_was_set(const SieveCheck *check, SieveText name);
/* An identifier of RFC 5228, no longer than SIEVE_MAX_VARIABLE_NAME. */
bool sieve_is_variable_name(SieveText name);

#endif
