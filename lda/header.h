/* lda/header.h - the few header fields that delivery itself looks at
 *
 * Pure functions over the bytes of a header block with LF line ends. They expect
 * nothing of it: folded, broken, binary or empty, it is scanned all the same.
 */
#ifndef LODGE_LDA_HEADER_H
#define LODGE_LDA_HEADER_H

#include "lodge.h"

/* Octets up to and including the first blank line, or len when there is none. A
 * line that holds nothing but a CR is blank too. */
size_t header_length(const char *text, size_t len);

/* See message.h for the meaning of each. */
typedef struct {
    char *message_id; /* NULL */
    char *queue_id;   /* NULL */
    unsigned received_count;
    unsigned prepended;       /* fields above the topmost Received, a bit each */
    GHashTable *delivered_to; /* addresses in Delivered-To below it, in lower case; NULL: none */
} Header;

/* Scans the header block of len octets at text into *header. */
void header_scan(Header *header, const char *text, size_t len);
void header_clear(Header *header);

bool header_has_prepended(const Header *header, const char *field);
bool header_was_delivered_to(const Header *header, const char *address);

#endif
