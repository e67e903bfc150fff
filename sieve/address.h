/* sieve/address.h - addresses out of header fields and envelopes
 *
 * RFC 5322 section 3.4 with the obsolete forms of 4.4: display names, comments, groups,
 * quoted local parts, source routes; RFC 6532 UTF-8. What is no address is skipped to the next
 * comma: one bad address does not hide the others.
 */
#ifndef LODGE_SIEVE_ADDRESS_H
#define LODGE_SIEVE_ADDRESS_H

#include "lodge.h"
#include "sieve/arena.h"

typedef struct {
    SieveText all;        /* local@domain, or local alone; quoted where it must be */
    SieveText local_part; /* unquoted */
    SieveText domain;     /* "" for a bare local part */
    SieveText name;       /* display name, decoded; "" for none */
    bool is_valid;        /* false: all is the unparsable text, the parts are "" */
} SieveAddress;

/* Every address in the unfolded text of a header field. From arena. */
const SieveAddress *sieve_addresses_parse(SieveArena *arena, SieveText text, size_t *count_out);

/* One address as in redirect or :from: "a@b" or "Name <a@b>". False: it is not exactly one. */
bool sieve_address_parse(SieveArena *arena, SieveText text, SieveAddress *address_out);

/* An envelope path as SMTP carries it: brackets and source route optional, "" and "<>" the null
 * path (all parts ""). False: broken. */
bool sieve_path_parse(SieveArena *arena, SieveText text, SieveAddress *address_out);

/* RFC 5233: what is before and behind the first of the delimiters (each character is one). False:
 * there is no detail, user is all of local_part. As Postfix, a delimiter at the very start
 * is none. */
bool sieve_address_detail(SieveArena *arena, SieveText local_part, const char *delimiters,
                          SieveText *user_out, SieveText *detail_out);

/* local_part ready to be written in a message or in SMTP: quoted where it must be. */
char *sieve_address_format(const SieveAddress *address);

#endif
