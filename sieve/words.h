/* sieve/words.h - encoded words of header fields (RFC 2047), and UTF-8 out of anything
 *
 * Texts with NUL are read to their end, and so are encoded words that decode to NUL.
 */
#ifndef LODGE_SIEVE_WORDS_H
#define LODGE_SIEVE_WORDS_H

#include "lodge.h"
#include "sieve/arena.h"

/* Whether text is UTF-8; NUL is a character like others. */
bool sieve_text_is_utf8(SieveText text);

/* Text itself when it is UTF-8; else read as ISO 8859-1, so that values are always UTF-8. */
SieveText sieve_text_to_utf8(SieveArena *arena, SieveText text);

/* Encoded words decoded to UTF-8, also where they touch other text; text itself (made UTF-8)
 * where there are none. Octets that are none of the charset become U+FFFD. */
SieveText sieve_decode_words(SieveArena *arena, SieveText text);

/* Appends UTF-8 text as it may stand in a header field: words with anything but printable
 * ASCII are encoded. */
void sieve_encode_words(SieveText text, GString *out);

/* Appends UTF-8 text as a display name (RFC 5322 phrase): quoted, or all of it encoded. */
void sieve_encode_phrase(SieveText text, GString *out);

#endif
