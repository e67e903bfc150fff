/* sieve/message.h - a message as tests see it, and as a script edits it
 *
 * The bytes are the caller's and are not copied. The header is split into fields at the
 * first question; a field is unfolded and decoded (RFC 2047, to UTF-8) when it is asked
 * for, once. Broken headers are read as far as they go: a line that is no field belongs
 * to none. Edits (RFC 5293) work on the list of fields.
 */
#ifndef LODGE_SIEVE_MESSAGE_H
#define LODGE_SIEVE_MESSAGE_H

#include "lodge.h"
#include "sieve/address.h"
#include "sieve/arena.h"
#include "sieve/words.h"

typedef struct SieveMessage SieveMessage;

typedef struct SieveField {
    SieveText name; /* as written; bytes[len] need not be NUL */
    SieveText raw;  /* after the colon up to the line's end, folded as in the message */
    /* private: use sieve_field_value(), sieve_field_unfolded() and sieve_field_addresses() */
    SieveText unfolded, decoded;
    SieveText source; /* the whole field with its last LF, for writing it again */
    const SieveAddress *addresses;
    size_t address_count;
    guint hash; /* of the name, without regard to case */
} SieveField;

/* Borrows bytes; allocates from arena. */
SieveMessage *sieve_message_new(SieveArena *arena, const uint8_t *bytes, size_t len);

/* Splits a header block of any entity (a MIME part's, RFC 5703) in the same way. */
SieveMessage *sieve_message_new_part(SieveArena *arena, const uint8_t *header, size_t header_len,
                                     const uint8_t *body, size_t body_len);

/* The fields in order; *count_out of them. Valid until the next edit. */
SieveField *const *sieve_message_fields(SieveMessage *message, size_t *count_out);

/* The next field of that name (without regard to case) at or after *position_inout, which is
 * set behind it; NULL: no more. Start with 0. */
SieveField *sieve_message_next_field(SieveMessage *message, SieveText name, size_t *position_inout);

SieveText sieve_field_unfolded(SieveMessage *message, SieveField *field); /* blanks trimmed */
SieveText sieve_field_value(SieveMessage *message, SieveField *field);    /* and decoded */

/* Every address of the field, parsed once; *count_out of them. */
const SieveAddress *sieve_field_addresses(SieveMessage *message, SieveField *field,
                                          size_t *count_out);

/* The body, in LF form; bytes[len] need not be NUL. Valid for the life of the message or to the
 * next replacement. */
SieveText sieve_message_body(SieveMessage *message);
/* False: the header ends with the message, without a blank line (RFC 5173 section 4). */
bool sieve_message_has_body(SieveMessage *message);

/* ---- edits --------------------------------------------------------------- */

/* To be asked before addheader and deleteheader: SIEVE_ERROR_LIMIT past SIEVE_MAX_HEADER_EDITS. */
bool sieve_message_count_edit(SieveMessage *message, GError **error);

/* Adds a field at the top, or at the end of the header. value is UTF-8, unencoded, without
 * line ends; it is encoded (RFC 2047) and folded. */
void sieve_message_add_field(SieveMessage *message, SieveText name, SieveText value, bool last);
/* Removes count fields, in the order of the message. */
void sieve_message_delete_fields(SieveMessage *message, SieveField *const *fields, size_t count);
/* The whole message is this now (replace, enclose, filter). Takes a reference. */
void sieve_message_replace(SieveMessage *message, GBytes *bytes);

/* NULL while nothing was edited; else the message as it is now. The same pointer until
 * the next edit. Belongs to the arena. */
const SieveEdition *sieve_message_edition(SieveMessage *message);

#endif
