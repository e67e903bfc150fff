/* sieve/extlists.h - redirect to every member of an external list (RFC 6134 section 2.4) */
#ifndef LODGE_SIEVE_EXTLISTS_H
#define LODGE_SIEVE_EXTLISTS_H

#include "lodge.h"
#include "sieve/run.h"

/* What the host calls the list of that name; NULL: the address book that is always there, and is
 * empty. Fails the run when there is no such list (section 2.2). */
bool sieve_list_find(SieveRun *run, SieveText name, const char **name_out, GError **error);

bool sieve_redirect_to_list(SieveRun *run, const SieveNode *node, SieveText list, GError **error);

/* One redirect of node: core_commands.c. */
bool sieve_redirect_add(SieveRun *run, const SieveNode *node, SieveText to, GError **error);

#endif
