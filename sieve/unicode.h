/* sieve/unicode.h - what must know the tables of Unicode
 *
 * The one subject that needs ICU. Nothing here is called for text that is all ASCII.
 */
#ifndef LODGE_SIEVE_UNICODE_H
#define LODGE_SIEVE_UNICODE_H

#include "lodge.h"
#include "sieve/sieve.h"

/* Appends the form of text in which i;unicode-casemap compares octets (RFC 5051 section 2).
 * Text that is no UTF-8 is appended as it is. For each octet appended, origins (of guint32,
 * may be NULL) gets the offset in text of the character it comes from. */
void sieve_unicode_casemap(SieveText text, GString *folded, GArray *origins);

#endif
