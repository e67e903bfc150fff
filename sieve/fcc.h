/* sieve/fcc.h - a copy of what an action sends (RFC 8580)
 *
 * The tags are bound by the tables and read by sieve_action_take_tags(); what a table
 * cannot say is checked here, for the commands that send messages.
 */
#ifndef LODGE_SIEVE_FCC_H
#define LODGE_SIEVE_FCC_H

#include "lodge.h"
#include "sieve/check.h"

/* Complains about tags on node that only make sense beside :fcc. */
void sieve_fcc_check(SieveCheck *check, const SieveNode *node);

#endif
