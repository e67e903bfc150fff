/* lmtp/data.c - the end of DATA and of BDAT chunks
 *
 *   session.c --(bytes as they arrive)--> data.c --(content)--> lda/message.c
 *
 *                    "."                CR              LF
 *   LINE_START ------------> DOT ------------> DOT_CR ------> DONE
 *     ^    \ other          /  other            /  other
 *     |LF   \              v                   v
 *     CR <------------- TEXT <--- (dot dropped, CR kept)
 *            CR
 *
 * Only CR and LF together end a line. A server that also believes in a bare LF or
 * CR lets a sender hide a second message, with an envelope of its own, in the
 * first one ("SMTP smuggling", 2023): the MTA before us saw one message. So a dot
 * after anything but CRLF, or before anything but CRLF, is content.
 *
 * Content is handed on in runs as long as possible: up to the next line that
 * starts with a dot, not line by line.
 */
#include "lmtp/data.h"

void
lmtp_data_begin(LmtpData *data)
{
    *data = (LmtpData){.state = LMTP_DATA_LINE_START};
}

void
lmtp_data_begin_chunk(LmtpData *data, guint64 size)
{
    *data = (LmtpData){.state = size > 0 ? LMTP_DATA_CHUNK : LMTP_DATA_DONE, .remaining = size};
}

/* True when CRLF stands right before at; its CR may have been the last byte before bytes. */
static bool
follows_crlf(const uint8_t *at, const uint8_t *bytes, bool cr_before)
{
    if (at == bytes || at[-1] != '\n')
        return false;
    return at - bytes > 1 ? at[-2] == '\r' : cr_before;
}

/* Length of the content at the start of the len bytes, len > 0, up to and
 * including the CRLF before a line that starts with a dot. Looks for dots: text
 * has fewer of them than lines, and base64 none. */
static size_t
scan_text(LmtpData *data, const uint8_t *bytes, size_t len)
{
    bool cr_before = data->state == LMTP_DATA_CR;
    const uint8_t *end = bytes + len;
    const uint8_t *dot = memchr(bytes, '.', len);

    while (dot != NULL && !follows_crlf(dot, bytes, cr_before))
        dot = memchr(dot + 1, '.', (size_t)(end - dot - 1));
    if (dot != NULL || follows_crlf(end, bytes, cr_before))
        data->state = LMTP_DATA_LINE_START;
    else
        data->state = end[-1] == '\r' ? LMTP_DATA_CR : LMTP_DATA_TEXT;
    return dot != NULL ? (size_t)(dot - bytes) : len;
}

/* Handles one byte in a state where every byte counts; true when it was taken,
 * false when it is to be looked at again as text. */
static bool
step(LmtpData *data, uint8_t byte, LmtpDataSink sink, void *user_data)
{
    switch (data->state) {
    case LMTP_DATA_LINE_START:
        data->state = byte == '.' ? LMTP_DATA_DOT : LMTP_DATA_TEXT;
        return byte == '.';
    case LMTP_DATA_DOT:
        data->state = byte == '\r' ? LMTP_DATA_DOT_CR : LMTP_DATA_TEXT;
        return byte == '\r';
    default: /* LMTP_DATA_DOT_CR */
        if (byte == '\n') {
            data->state = LMTP_DATA_DONE;
            return true;
        }
        sink((const uint8_t *)"\r", 1, user_data);
        data->state = LMTP_DATA_CR;
        return false;
    }
}

static size_t
feed_chunk(LmtpData *data, const uint8_t *bytes, size_t len, LmtpDataSink sink, void *user_data)
{
    size_t used = data->remaining < len ? (size_t)data->remaining : len;

    if (used > 0)
        sink(bytes, used, user_data);
    data->remaining -= used;
    if (data->remaining == 0)
        data->state = LMTP_DATA_DONE;
    return used;
}

size_t
lmtp_data_feed(LmtpData *data, const uint8_t *bytes, size_t len, LmtpDataSink sink, void *user_data)
{
    size_t used = 0;

    if (data->state == LMTP_DATA_CHUNK)
        return feed_chunk(data, bytes, len, sink, user_data);
    while (used < len && data->state != LMTP_DATA_DONE) {
        if (data->state == LMTP_DATA_TEXT || data->state == LMTP_DATA_CR) {
            size_t run = scan_text(data, bytes + used, len - used);

            sink(bytes + used, run, user_data);
            used += run;
        } else if (step(data, bytes[used], sink, user_data)) {
            used++;
        }
    }
    return used;
}
