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

/* Checks and binds the commands that begin with first. Adds to complaints. Sets
 * *requires_out (in the arena, NULL-terminated). */
void sieve_check_tree(SieveNode *first, const char *script_name, const SieveSettings *settings,
                      SieveArena *arena, GPtrArray *complaints, const char *const **requires_out);

/* ---- for check() functions of extensions --------------------------------- */

void sieve_check_error(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
void sieve_check_warning(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
SieveArena *sieve_check_arena(SieveCheck *check); /* of the script */
const SieveSettings *sieve_check_settings(const SieveCheck *check);
bool sieve_check_is_required(const SieveCheck *check, const char *extension);
/* From here on extension counts as required (ihave). */
void sieve_check_require(SieveCheck *check, const char *extension);
/* How many commands of that name enclose the one being checked (foreverypart). */
unsigned sieve_check_enclosing(const SieveCheck *check, const char *command);
/* The enclosing node number depth of that name, 0 the innermost; NULL. */
const SieveNode *sieve_check_enclosing_node(const SieveCheck *check, const char *command,
                                            unsigned depth);
/* The command before this one in its block; NULL: it is the first. */
const SieveNode *sieve_check_previous(const SieveCheck *check);
/* Remembers that the script includes another: for sieve_script_check_includes(). */
void sieve_check_add_include(SieveCheck *check, SieveIncludeFrom from, const char *name,
                             bool optional, unsigned line);

#endif
