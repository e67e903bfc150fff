/* sieve/comparator.h - equality, order and substrings of strings
 *
 * i;octet, i;ascii-casemap, i;ascii-numeric (RFC 4790), i;unicode-casemap (RFC 5051).
 */
#ifndef LODGE_SIEVE_COMPARATOR_H
#define LODGE_SIEVE_COMPARATOR_H

#include "lodge.h"
#include "sieve/arena.h"

typedef struct {
    const char *name;
    bool has_substrings; /* RFC 4790: i;ascii-numeric has none */
    bool needs_require;  /* "comparator-" and its name (RFC 5228 section 2.7.3) */
    /* The form in which equal strings have equal octets and order is that of octets; for
     * ascii-numeric only compare() is right. Text itself, or from arena. */
    SieveText (*fold)(SieveArena *arena, SieveText text);
    int (*compare)(SieveArena *arena, SieveText a, SieveText b);
} SieveComparator;

extern const SieveComparator sieve_comparator_octet, sieve_comparator_ascii_casemap,
    sieve_comparator_ascii_numeric, sieve_comparator_unicode_casemap;

const SieveComparator *sieve_comparator_find(SieveText name); /* NULL: unknown */

#endif
