/* sieve/mailto.h - mailto: as a way to notify (RFC 5436, RFC 6068)
 *
 * Pure: a URI in, what it asks for out. What a URI must not decide (RFC 5436 section 2.7)
 * is dropped; nothing of it can begin a new line in a header.
 */
#ifndef LODGE_SIEVE_MAILTO_H
#define LODGE_SIEVE_MAILTO_H

#include "lodge.h"
#include "sieve/arena.h"

/* Strings come from the arena. Lists are NULL-terminated and never NULL. */
typedef struct {
    char **to; /* addresses: of the path, and of "to" */
    char **cc;
    char **fields; /* name, value, name, value, ...: other fields, unencoded UTF-8 */
    char *subject; /* NULL: none */
    char *body;    /* NULL: none; LF line ends */
} SieveMailto;

/* Whether uri begins with "mailto:". */
bool sieve_mailto_is(SieveText uri);

/* Reads a mailto URI. False: it is none, and *problem_out, from the arena, says why. */
bool sieve_mailto_parse(SieveArena *arena, SieveText uri, SieveMailto *mailto_out,
                        const char **problem_out);

#endif
