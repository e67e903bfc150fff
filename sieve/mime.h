/* sieve/mime.h - the parts of a message
 *
 * Parsed at the first question only: RFC 5173 body tests and RFC 5703 loops. Where the parts
 * lie is found in one pass over the message, which is not copied; what their headers say,
 * transfer encodings and charsets are GMime's. Depth, number of parts, parameters and decoded
 * size are bounded (limits.h). Texts that are slices of the message are not NUL-terminated.
 */
#ifndef LODGE_SIEVE_MIME_H
#define LODGE_SIEVE_MIME_H

#include "lodge.h"
#include "sieve/message.h"

typedef struct SieveMime SieveMime;
typedef struct SievePart SievePart;

/* The parts of message as it is now. From arena. */
SieveMime *sieve_mime_parse(SieveArena *arena, SieveMessage *message);

/* Parts in the order of the message, depth first; number 0 is the message itself. NULL: no more. */
SievePart *sieve_mime_part(const SieveMime *mime, size_t number);

SievePart *sieve_part_parent(const SievePart *part);
size_t sieve_part_number(const SievePart *part);
size_t sieve_part_end(const SievePart *part); /* number of the first part behind its children */
SieveMessage *sieve_part_header(SievePart *part);
SieveText sieve_part_type(const SievePart *part);    /* "text", lower case; RFC 2045 section 5.2 */
SieveText sieve_part_subtype(const SievePart *part); /* "plain" */
bool sieve_part_is_multipart(const SievePart *part);
bool sieve_part_is_message(const SievePart *part); /* has a message as its only child */
bool sieve_part_is_text(const SievePart *part);
/* False: the header ends without a blank line. */
bool sieve_part_has_body(const SievePart *part);
/* What separates the parts of a multipart, without "--"; "" for others. */
SieveText sieve_part_boundary(const SievePart *part);

/* The content as it stands in the message, encoded; of a multipart with all of its parts. */
SieveText sieve_part_raw(const SievePart *part);
/* Before the first and behind the last boundary of a multipart. */
SieveText sieve_part_prologue(const SievePart *part);
SieveText sieve_part_epilogue(const SievePart *part);
/* The same part with its header, in the message: where it begins and ends in
 * sieve_message_body(). Not of part 0. */
void sieve_part_extent(const SievePart *part, size_t *start_out, size_t *end_out);

/* Transfer encoding undone; text also converted to UTF-8 with LF line ends. Cut at
 * SIEVE_MAX_BODY_TEXT. *is_sound_out (may be NULL) is false when encoding or charset are
 * unknown or the content is not valid in them; then what can be read is returned. False with
 * SIEVE_ERROR_LIMIT when the memory of the run does not suffice. */
bool sieve_part_content(SievePart *part, SieveText *content_out, bool *is_sound_out,
                        GError **error);
/* As a reader sees it: HTML without its markup and with entities resolved. */
bool sieve_part_text(SievePart *part, SieveText *text_out, GError **error);

/* ---- structured fields (RFC 2045 section 5.1, RFC 2183), folded or not: mime_field.c ---- */

/* "Text/Plain; charset=x" gives "text" and "plain", lower case; a field without slash (a
 * Content-Disposition) an empty subtype. False: it does not begin with a token. */
bool sieve_mime_type_parse(SieveArena *arena, SieveText field, SieveText *type_out,
                           SieveText *subtype_out);
/* The first token of a field, lower case; "" when it does not begin with one. */
SieveText sieve_mime_token(SieveArena *arena, SieveText field);
/* The parameter of that name, RFC 2231 and RFC 2047 decoded to UTF-8; false: absent. */
bool sieve_mime_parameter(SieveArena *arena, SieveText field, SieveText name, SieveText *value_out);

/* Undoes a transfer encoding ("" is 7bit), and of text the charset ("" is us-ascii): see
 * sieve_part_content(). */
bool sieve_mime_decode(SieveArena *arena, SieveText raw, SieveText encoding, bool is_text,
                       SieveText charset, SieveText *content_out, bool *is_sound_out,
                       GError **error);

/* ---- for replace and enclose ---------------------------------------------- */

/* A text/plain entity with its header, encoded so that no line of it is a boundary. */
GString *sieve_mime_text_entity(SieveText text);

/* HTML to text, for any UTF-8. From arena. */
SieveText sieve_html_to_text(SieveArena *arena, SieveText html);

#endif
