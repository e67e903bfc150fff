/* sieve/mime.h - the parts of a message (GMime)
 *
 * The one file that calls GMime for structure. Parsed at the first question only, from the
 * message as it was received: RFC 5173 body tests and RFC 5703 loops. Depth, number of parts
 * and decoded size are bounded (limits.h).
 */
#ifndef LODGE_SIEVE_MIME_H
#define LODGE_SIEVE_MIME_H

#include "lodge.h"
#include "sieve/message.h"

typedef struct SieveMime SieveMime;
typedef struct SievePart SievePart;

/* Parses len octets; the message is borrowed. From arena. */
SieveMime *sieve_mime_parse(SieveArena *arena, const uint8_t *bytes, size_t len);

/* Parts in the order of the message, depth first; number 0 is the message itself. NULL: no more. */
SievePart *sieve_mime_part(SieveMime *mime, size_t number);

SievePart *sieve_part_parent(const SievePart *part);
size_t sieve_part_number(const SievePart *part);
size_t sieve_part_end(const SievePart *part); /* number of the first part behind its children */
SieveMessage *sieve_part_header(SievePart *part);
SieveText sieve_part_type(SievePart *part);    /* "text", lower case; defaults of RFC 2045 5.2 */
SieveText sieve_part_subtype(SievePart *part); /* "plain" */
/* Parameter of Content-Type or Content-Disposition (RFC 2231 decoded); false: absent. */
bool sieve_part_parameter(SievePart *part, const char *header, const char *name,
                          SieveText *value_out);
bool sieve_part_is_multipart(const SievePart *part);

/* The content as it stands in the message, encoded. */
SieveText sieve_part_raw(SievePart *part);
/* Transfer encoding undone; text also converted from its charset to UTF-8. Cut at
 * SIEVE_MAX_BODY_TEXT. */
SieveText sieve_part_content(SievePart *part);
/* As a reader sees it: HTML without its markup and with entities resolved. */
SieveText sieve_part_text(SievePart *part);

/* HTML to text, for any UTF-8. From arena. */
SieveText sieve_html_to_text(SieveArena *arena, SieveText html);

#endif
