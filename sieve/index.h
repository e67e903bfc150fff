/* sieve/index.h - which fields a test or command is about, with :index and :last
 *
 * RFC 5260 section 6, and RFC 5293 section 5 for deleteheader.
 */
#ifndef LODGE_SIEVE_INDEX_H
#define LODGE_SIEVE_INDEX_H

#include "lodge.h"
#include "sieve/extension.h"

/* The fields of message with these names, in the order of the names and then of the message;
 * with :index only the one it says, or none. From the run's arena; *count_out of them. */
SieveField *const *sieve_index_fields(SieveRun *run, const SieveNode *node, SieveMessage *message,
                                      const SieveText *names, size_t name_count, size_t *count_out);

/* For check(): :last needs :index, and :index 0 is nothing. */
void sieve_index_check(SieveCheck *check, SieveNode *node);

#endif
