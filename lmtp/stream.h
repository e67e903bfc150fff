/* lmtp/stream.h - buffered lines and bytes on one non-blocking socket
 *
 * Input is read in large pieces and nothing read ahead is lost. Replies collect
 * and are written when the session would wait for input. A client that sends a
 * lot before it reads a single reply is served all the same, up to
 * LMTP_STREAM_UNWRITTEN_MAX octets of replies; then it has until the deadline.
 * Replies are held back no longer than LMTP_STREAM_HOLD_US: fifty RCPTs that each
 * wait for a locked map must not look like a dead server.
 */
#ifndef LODGE_LMTP_STREAM_H
#define LODGE_LMTP_STREAM_H

#include "lodge.h"

/* Longest command line, CRLF included. RFC 5321 section 4.5.3.1.4 wants 512 and
 * each extension adds (RFC 3461 alone 500 for ORCPT); XFORWARD has seven values
 * of 255 characters, in xtext up to three times as long. */
#define LMTP_LINE_MAX 8192

#define LMTP_STREAM_INPUT_SIZE 65536
#define LMTP_STREAM_UNWRITTEN_MAX 262144
#define LMTP_STREAM_HOLD_US G_USEC_PER_SEC

typedef enum {
    LMTP_STREAM_READY,
    LMTP_STREAM_LINE_TOO_LONG, /* a line over LMTP_LINE_MAX was read to its end and dropped */
    LMTP_STREAM_CLOSED,        /* the client is gone; includes every error of the socket */
    LMTP_STREAM_TIMEOUT,
    LMTP_STREAM_STOPPED, /* stop_fd became readable */
} LmtpStreamResult;

typedef struct {
    int fd;
    int stop_fd;      /* -1: none */
    GString *replies; /* append here */
    gint64 held_us;   /* since when there are replies, roughly; 0: not noticed any */
    size_t start;     /* unread input is input[start] to input[end - 1] */
    size_t end;
    bool dropping_line; /* in the middle of a line that is too long */
    uint8_t input[LMTP_STREAM_INPUT_SIZE];
} LmtpStream;

/* Until when to wait, in microseconds of g_get_monotonic_time(), and whether
 * stop_fd ends the waiting. */
typedef struct {
    gint64 deadline_us;
    bool may_stop;
} LmtpWait;

/* fd and stop_fd stay the caller's. */
LmtpStream *lmtp_stream_new(int fd, int stop_fd);
void lmtp_stream_free(LmtpStream *stream); /* NULL is fine */

/* Waits for a line that ends with CRLF, which is left out. Valid until the next
 * call. A bare CR or LF is part of the line. */
LmtpStreamResult lmtp_stream_read_line(LmtpStream *stream, LmtpWait wait, const char **line_out,
                                       size_t *len_out);

/* Waits for input and adds it to what is unread; there must be room. */
LmtpStreamResult lmtp_stream_fill(LmtpStream *stream, LmtpWait wait);

/* Writes the replies as far as the socket takes them at once; false: the client is gone. */
bool lmtp_stream_write(LmtpStream *stream);

/* Writes all replies, waiting until the deadline for a client that does not read. */
LmtpStreamResult lmtp_stream_flush(LmtpStream *stream, gint64 deadline_us);

/* Ends our side, and throws away what the client has sent and we will not read:
 * closing with unread input resets the connection, and the last reply with it. */
void lmtp_stream_shutdown(LmtpStream *stream);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LmtpStream, lmtp_stream_free)
#endif
