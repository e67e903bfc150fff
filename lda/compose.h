/* lda/compose.h - pieces of a message: header fields and text, encoded
 *
 * Everything is appended to a GString, with LF line ends. Values are UTF-8; whatever they
 * hold, they end where their field or part ends: no value can add a line.
 */
#ifndef LODGE_LDA_COMPOSE_H
#define LODGE_LDA_COMPOSE_H

#include "lodge.h"

/* An unstructured field: RFC 2047 words if and only if value needs them; folded. */
void compose_field(GString *out, const char *name, const char *value);

/* A field whose value is a list of mailboxes, "Ana <ana@example.org>, b@c": only display names
 * are encoded. */
void compose_mailboxes(GString *out, const char *name, const char *value);

/* A field of words that are never encoded (Message-IDs, addresses), joined by separator. */
void compose_words(GString *out, const char *name, const char *const *words, const char *separator);

/* Content-Type, Content-Transfer-Encoding, a blank line, and text, which gets a last LF. */
void compose_text(GString *out, const char *text);

/* RFC 5322 section 3.3, in the local zone. Free with g_free(). */
char *compose_date(gint64 now_us);

#endif
