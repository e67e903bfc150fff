/* sieve/parser.h - the grammar of a script (RFC 5228 section 8.2) */
#ifndef LODGE_SIEVE_PARSER_H
#define LODGE_SIEVE_PARSER_H

#include "lodge.h"
#include "sieve/tree.h"

/* The first command of the script; NULL when there is none. The tree is in arena, what was written
 * in scratch. Adds complaints; what is wrong is left out of the tree, or as it was probably
 * meant. */
SieveNode *sieve_parse(const char *script_name, const char *text, size_t len, SieveArena *arena,
                       SieveArena *scratch, GPtrArray *complaints);

#endif
