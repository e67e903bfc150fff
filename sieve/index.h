/* sieve/index.h - which fields a test or command is about, with :index and :last
 *
 * RFC 5260 section 6, and RFC 5293 section 5 for deleteheader.
 */
#ifndef LODGE_SIEVE_INDEX_H
#define LODGE_SIEVE_INDEX_H

#include "lodge.h"
#include "sieve/extension.h"

/* The fields of message with these names, in the order of the names and then of the message;
 * with :index only the one it says, or none. No list is made of them: names and fields can both be
 * thousands. The header must not change meanwhile. */
typedef struct {
    SieveField *next; /* NULL: no more */

    /* private */
    SieveMessage *message;
    const SieveText *names;
    size_t name_count, name, position;
    bool is_single;
} SieveIndex;

void sieve_index_begin(SieveIndex *index, const SieveNode *node, SieveMessage *message,
                       const SieveText *names, size_t name_count);
void sieve_index_next(SieveIndex *index);

/* For check(): :last needs :index, and :index 0 is nothing. */
void sieve_index_check(SieveCheck *check, SieveNode *node);

#endif
