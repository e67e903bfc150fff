/* lda/maildir_write.c - the bytes of one copy into its file
 *
 * Headers and the first window of the message go out in one writev(2), so that an
 * ordinary message costs one call; a large one is read and written window by
 * window, and memory does not grow with it. A full disk shows here.
 *
 * The disk begins with a large message while the rest of it is still being copied: the
 * fsync that follows then waits for the last part and not for all of it (25 MB on ext4: 21
 * instead of 58 ms, two thirds of the time from spool to stable storage).
 */
#include "lda/maildir_parts.h"

#include <sys/uio.h>

#include <zlib.h>

#include "lda/outcome.h"

enum {
    WINDOW = 256 * 1024,
    GZIP_BUFFER = 64 * 1024,
    WRITE_AHEAD = 4 * 1024 * 1024, /* octets the disk is given to write while more are copied */
};

/* writev(2) until all is written. */
static bool
write_vector(int fd, struct iovec *vector, int count)
{
    while (count > 0) {
        ssize_t put = writev(fd, vector, count);

        if (put < 0 && errno != EINTR)
            return false;
        for (; count > 0 && put >= (ssize_t)vector->iov_len; vector++, count--)
            put -= (ssize_t)vector->iov_len;
        if (count > 0 && put > 0) {
            vector->iov_base = (char *)vector->iov_base + put;
            vector->iov_len -= (size_t)put;
        }
    }
    return true;
}

/* A window of the message; whatever happens it is not empty on success. */
static const uint8_t *
peek(Message *message, guint64 offset, size_t *len_out, GError **error)
{
    const uint8_t *window = message_peek(message, offset, WINDOW, len_out, error);

    if (window == NULL || *len_out > 0)
        return window;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "the spooled message ends early");
    return NULL;
}

/* Lets the disk start with what was written since *started, if it is worth it. Only a hint: whether
 * it worked, fsync tells. */
static void
write_ahead(int fd, guint64 *started, guint64 written)
{
    if (written - *started < WRITE_AHEAD)
        return;
    (void)sync_file_range(fd, (off_t)*started, (off_t)(written - *started), SYNC_FILE_RANGE_WRITE);
    *started = written;
}

static bool
write_plain(int fd, const char *headers, Message *message, GError **error)
{
    size_t headers_len = strlen(headers);
    guint64 started = 0;

    for (guint64 offset = 0; offset < message_size(message);) {
        size_t len;
        const uint8_t *window = peek(message, offset, &len, error);
        struct iovec vector[] = {{(char *)headers, headers_len}, {(uint8_t *)window, len}};

        if (window == NULL)
            return false;
        if (!write_vector(fd, vector, G_N_ELEMENTS(vector)))
            return false;
        headers_len = 0;
        offset += len;
        write_ahead(fd, &started, offset);
    }
    return true;
}

/* Compresses len bytes into the file; finish ends the stream. */
static bool
deflate_to(z_stream *stream, int fd, const void *bytes, size_t len, bool finish)
{
    g_autofree uint8_t *buffer = g_malloc(GZIP_BUFFER);

    stream->next_in = (Bytef *)bytes;
    stream->avail_in = (uInt)len;
    do {
        stream->next_out = buffer;
        stream->avail_out = GZIP_BUFFER;
        (void)deflate(stream, finish ? Z_FINISH : Z_NO_FLUSH); /* has room: cannot fail */
        if (!maildir_write_all(fd, (const char *)buffer, GZIP_BUFFER - stream->avail_out))
            return false;
    } while (stream->avail_out == 0);
    return true;
}

static bool
deflate_all(z_stream *stream, int fd, const char *headers, Message *message, GError **error)
{
    bool good = deflate_to(stream, fd, headers, strlen(headers), false);

    for (guint64 offset = 0; good && offset < message_size(message);) {
        size_t len;
        const uint8_t *window = peek(message, offset, &len, error);

        if (window == NULL)
            return false;
        good = deflate_to(stream, fd, window, len, false);
        offset += len;
    }
    return good && deflate_to(stream, fd, NULL, 0, true);
}

/* A gzip file, which Dovecot's zlib plugin knows by its first bytes. */
static bool
write_gzip(int fd, const MaildirCopyOptions *options, Message *message, GError **error)
{
    enum { GZIP_WINDOW_BITS = 15 + 16 };
    z_stream stream = {0};

    if (deflateInit2(&stream, options->gzip_level, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "zlib refuses compression level %d",
                    options->gzip_level);
        return false;
    }

    bool good = deflate_all(&stream, fd, options->headers, message, error);

    (void)deflateEnd(&stream); /* frees; its verdict was deflate()'s */
    return good;
}

bool
maildir_write_message(int fd, const MaildirCopyOptions *options, Message *message, GError **error)
{
    if ((options->stage_flags & MAILDIR_GZIP) != 0)
        return write_gzip(fd, options, message, error);
    return write_plain(fd, options->headers, message, error);
}
