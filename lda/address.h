/* lda/address.h - mail addresses as the envelope carries them
 *
 * Pure parsers of RFC 5321 section 4.1.2 paths, with RFC 6531's UTF-8 where
 * allowed. An address is held as UTF-8 text "local@domain", the local part
 * unquoted when it needs no quotes; the null sender is "".
 */
#ifndef LODGE_LDA_ADDRESS_H
#define LODGE_LDA_ADDRESS_H

#include "lodge.h"

typedef enum {
    ADDRESS_NULL = 1 << 0,       /* "<>" is allowed (reverse-path) */
    ADDRESS_UTF8 = 1 << 1,       /* SMTPUTF8 was asked for */
    ADDRESS_LOCAL_ONLY = 1 << 2, /* a bare local part is allowed ("postmaster", deliver -a) */
} AddressFlags;

/* Parses "<path>" at the start of the len bytes at text: source routes are
 * accepted and dropped (RFC 5321 section 4.1.1.3), quoted strings, quoted pairs
 * and address literals understood. Returns the address and stores the number of
 * bytes up to and including ">" in *used_out; NULL when it is not a path. */
char *address_parse_path(const char *text, size_t len, AddressFlags flags, size_t *used_out);

/* Parses the whole of text as an address with or without brackets, as on a
 * command line. NULL when it is not one. */
char *address_parse(const char *text, AddressFlags flags);

/* Decodes RFC 3461 section 4 xtext ("+2B"); NULL when malformed or when the
 * result contains NUL. */
char *address_decode_xtext(const char *text, size_t len);

/* Decodes the value of ORCPT ("rfc822;ana@example.org" in xtext, "utf-8;..." in
 * RFC 6533 section 3 form) to the address it names; NULL when malformed. */
char *address_decode_orcpt(const char *text, size_t len);

#endif
