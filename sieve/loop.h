/* sieve/loop.h - a foreverypart that is running, as replace and enclose move it
 *
 * Parts are known by their numbers, so that a loop goes on in the new structure when the
 * message was changed under it.
 */
#ifndef LODGE_SIEVE_LOOP_H
#define LODGE_SIEVE_LOOP_H

#include "lodge.h"
#include "sieve/run.h"

struct SieveLoop {
    SieveLoop *outer;
    const SieveNode *node;
    size_t root; /* the part that is iterated; itself too in the outermost loop */
    size_t current, next;
};

/* The current part was replaced: its new children are not gone into (RFC 5703 section 5). */
void sieve_loop_skip_children(SieveRun *run);
/* count parts were put in front of all. */
void sieve_loop_shift(SieveRun *run, size_t count);

#endif
