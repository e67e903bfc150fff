/* lmtp/stream.c - one socket, one read and one write a pipeline; see stream.h
 *
 *   socket --recv--> input --(lines, bytes)--> session
 *   socket <--send-- replies <---------------- session
 *
 * All waiting happens in wait_for(). After a write it polls before it reads: the
 * client cannot have answered yet. In the midst of data it reads first: more is
 * probably there, and the poll would be wasted.
 */
#include "lmtp/stream.h"

#include <poll.h>
#include <sys/socket.h>

LmtpStream *
lmtp_stream_new(int fd, int stop_fd)
{
    LmtpStream *stream = g_new(LmtpStream, 1);

    /* The input buffer is left as it is: 64 KiB of zeros help nobody. */
    stream->fd = fd;
    stream->stop_fd = stop_fd;
    stream->replies = g_string_new(NULL);
    stream->held_us = 0;
    stream->start = 0;
    stream->end = 0;
    stream->dropping_line = false;
    return stream;
}

void
lmtp_stream_free(LmtpStream *stream)
{
    if (stream == NULL)
        return;
    g_string_free(stream->replies, TRUE);
    g_free(stream);
}

bool
lmtp_stream_write(LmtpStream *stream)
{
    size_t done = 0;

    while (done < stream->replies->len) {
        ssize_t sent = send(stream->fd, stream->replies->str + done, stream->replies->len - done,
                            MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0)
            break;
        done += (size_t)sent;
    }
    if (done > 0)
        g_string_erase(stream->replies, 0, (gssize)done);
    stream->held_us = 0;
    return true;
}

/* Waits for events on the socket, or for the stop when it may interrupt. */
static LmtpStreamResult
wait_for(const LmtpStream *stream, short events, LmtpWait wait)
{
    struct pollfd polled[] = {
        {.fd = stream->fd, .events = events},
        {.fd = wait.may_stop ? stream->stop_fd : -1, .events = POLLIN},
    };

    for (;;) {
        gint64 left_us = wait.deadline_us - g_get_monotonic_time();
        int timeout_ms = (int)CLAMP((left_us + 999) / 1000, 0, G_MAXINT);
        int ready = poll(polled, G_N_ELEMENTS(polled), timeout_ms);

        if (ready < 0 && errno != EINTR)
            return LMTP_STREAM_CLOSED;
        if (ready > 0 && polled[1].revents != 0)
            return LMTP_STREAM_STOPPED;
        if (ready > 0)
            return LMTP_STREAM_READY;
        if (ready == 0 && g_get_monotonic_time() >= wait.deadline_us)
            return LMTP_STREAM_TIMEOUT;
    }
}

/* READY when something was read, TIMEOUT when there is nothing yet. */
static LmtpStreamResult
read_some(LmtpStream *stream)
{
    ssize_t got;

    do {
        got = recv(stream->fd, stream->input + stream->end, sizeof stream->input - stream->end,
                   MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return LMTP_STREAM_TIMEOUT;
    if (got <= 0)
        return LMTP_STREAM_CLOSED;
    stream->end += (size_t)got;
    return LMTP_STREAM_READY;
}

static void
make_room(LmtpStream *stream)
{
    if (stream->start == stream->end) {
        stream->start = stream->end = 0;
    } else if (stream->start > 0 && stream->end == sizeof stream->input) {
        memmove(stream->input, stream->input + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
    }
}

LmtpStreamResult
lmtp_stream_fill(LmtpStream *stream, LmtpWait wait)
{
    bool read_first = stream->replies->len == 0 && !wait.may_stop;

    make_room(stream);
    g_assert(stream->end < sizeof stream->input);
    /* A client that sends all the time never makes us wait, but time passes. */
    if (g_get_monotonic_time() >= wait.deadline_us)
        return LMTP_STREAM_TIMEOUT;
    for (;; read_first = true) {
        if (read_first) {
            LmtpStreamResult result = read_some(stream);

            if (result != LMTP_STREAM_TIMEOUT)
                return result;
        }
        if (!lmtp_stream_write(stream))
            return LMTP_STREAM_CLOSED;

        LmtpStreamResult result =
            wait_for(stream, stream->replies->len > 0 ? POLLIN | POLLOUT : POLLIN, wait);

        if (result != LMTP_STREAM_READY)
            return result;
    }
}

LmtpStreamResult
lmtp_stream_flush(LmtpStream *stream, gint64 deadline_us)
{
    for (;;) {
        if (!lmtp_stream_write(stream))
            return LMTP_STREAM_CLOSED;
        if (stream->replies->len == 0)
            return LMTP_STREAM_READY;

        LmtpStreamResult result = wait_for(stream, POLLOUT, (LmtpWait){.deadline_us = deadline_us});

        if (result != LMTP_STREAM_READY)
            return result;
    }
}

/* Takes the line that ends with the LF at lf. */
static LmtpStreamResult
take_line(LmtpStream *stream, const uint8_t *lf, const char **line_out, size_t *len_out)
{
    const uint8_t *line = stream->input + stream->start;
    size_t len = (size_t)(lf + 1 - line);
    bool too_long = stream->dropping_line || len > LMTP_LINE_MAX;

    stream->start += len;
    stream->dropping_line = false;
    if (too_long)
        return LMTP_STREAM_LINE_TOO_LONG;
    *line_out = (const char *)line;
    *len_out = len - strlen("\r\n");
    return LMTP_STREAM_READY;
}

/* A line without an end has reached the limit: keeps only what may be half of its CRLF. */
static void
drop_partial_line(LmtpStream *stream)
{
    if (stream->end - stream->start < LMTP_LINE_MAX)
        return;
    stream->dropping_line = true;
    stream->start = stream->input[stream->end - 1] == '\r' ? stream->end - 1 : stream->end;
}

/* Sees to it that replies neither pile up nor wait for long. */
static LmtpStreamResult
release_replies(LmtpStream *stream, gint64 deadline_us)
{
    gint64 now_us = g_get_monotonic_time();

    if (stream->replies->len > LMTP_STREAM_UNWRITTEN_MAX)
        return lmtp_stream_flush(stream, deadline_us);
    if (stream->replies->len == 0)
        return LMTP_STREAM_READY;
    if (stream->held_us == 0)
        stream->held_us = now_us;
    if (now_us - stream->held_us > LMTP_STREAM_HOLD_US && !lmtp_stream_write(stream))
        return LMTP_STREAM_CLOSED;
    return LMTP_STREAM_READY;
}

LmtpStreamResult
lmtp_stream_read_line(LmtpStream *stream, LmtpWait wait, const char **line_out, size_t *len_out)
{
    LmtpStreamResult released = release_replies(stream, wait.deadline_us);

    if (released != LMTP_STREAM_READY)
        return released;
    for (;;) {
        const uint8_t *unread = stream->input + stream->start;
        const uint8_t *crlf = memmem(unread, stream->end - stream->start, "\r\n", 2);

        if (crlf != NULL)
            return take_line(stream, crlf + 1, line_out, len_out);
        drop_partial_line(stream);

        LmtpStreamResult result = lmtp_stream_fill(stream, wait);

        if (result != LMTP_STREAM_READY)
            return result;
    }
}

void
lmtp_stream_shutdown(LmtpStream *stream)
{
    /* Bounded: a client that sends without end is not worth more of our time. */
    enum { DISCARD_READS = 64 };

    (void)shutdown(stream->fd, SHUT_WR); /* it may be gone already */
    for (unsigned i = 0; i < DISCARD_READS; i++) {
        stream->start = stream->end = 0;
        if (read_some(stream) != LMTP_STREAM_READY)
            return;
    }
}
