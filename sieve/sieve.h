/* sieve/sieve.h - what should be done with this message?
 *
 * The answer is a list of actions, carried out by lda/carry_out.c only when the
 * whole script has ended. Without a script it is the implicit keep (RFC 5228
 * section 2.10.2) alone.
 */
#ifndef LODGE_SIEVE_SIEVE_H
#define LODGE_SIEVE_SIEVE_H

#include "lodge.h"

typedef enum {
    SIEVE_ACTION_KEEP, /* into the default folder of the delivery */
} SieveActionKind;

typedef struct {
    SieveActionKind kind;
} SieveAction;

/* The implicit keep, as a list of one action. Free with g_array_unref(). */
GArray *sieve_implicit_keep(void);

#endif
