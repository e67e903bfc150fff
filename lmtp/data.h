/* lmtp/data.h - where the message ends on the wire
 *
 * A pure state machine: it is fed bytes in pieces of any size, hands on the
 * content and says how many bytes belonged to the message. What follows them is
 * the next command and stays with the caller.
 */
#ifndef LODGE_LMTP_DATA_H
#define LODGE_LMTP_DATA_H

#include "lodge.h"

/* Takes len octets of content, CRLF line ends untouched. */
typedef void (*LmtpDataSink)(const uint8_t *bytes, size_t len, void *user_data);

typedef enum {
    LMTP_DATA_LINE_START, /* at the beginning, or after CRLF */
    LMTP_DATA_TEXT,
    LMTP_DATA_CR,     /* after a CR that is part of the content */
    LMTP_DATA_DOT,    /* after a dot at the start of a line, held back */
    LMTP_DATA_DOT_CR, /* after such a dot and CR, both held back */
    LMTP_DATA_CHUNK,  /* in a chunk of BDAT */
    LMTP_DATA_DONE,
} LmtpDataState;

/* Body public so that it can lie in the session; only data.c looks inside. */
typedef struct {
    LmtpDataState state;
    guint64 remaining; /* octets of the chunk still to come */
} LmtpData;

/* Begins a message after DATA. It ends with CRLF.CRLF and nothing else; its dots
 * are unstuffed (RFC 5321 section 4.5.2). */
void lmtp_data_begin(LmtpData *data);

/* Begins a chunk of size octets after BDAT (RFC 3030 section 2); 0 is done at once. */
void lmtp_data_begin_chunk(LmtpData *data, guint64 size);

static inline bool
lmtp_data_is_done(const LmtpData *data)
{
    return data->state == LMTP_DATA_DONE;
}

/* Reads len bytes, or fewer when the end is among them, and returns how many. */
size_t lmtp_data_feed(LmtpData *data, const uint8_t *bytes, size_t len, LmtpDataSink sink,
                      void *user_data);

#endif
