/* sieve/script.h - a compiled script, as the evaluator sees it (script.c) */
#ifndef LODGE_SIEVE_SCRIPT_H
#define LODGE_SIEVE_SCRIPT_H

#include "lodge.h"
#include "sieve/tree.h"

/* The first command; NULL: an empty script. Lives as long as the script. */
const SieveNode *sieve_script_first(const SieveScript *script);

bool sieve_script_has_required(const SieveScript *script, const char *extension);

#endif
