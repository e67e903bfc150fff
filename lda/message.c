/* lda/message.c - one message, received once and read by every recipient; see message.h
 *
 *   bytes --(CRLF -> LF)--> buffer --(past spool_memory)--> file
 *                             |                              |
 *                             +------- message_peek() -------+
 *
 * One pass with memchr() for LF copies lines into the buffer, drops the CR of each
 * and counts; a bare CR costs nothing and stays. Limits are looked at once for each
 * piece that came in. Once the file is in use the buffer only collects bytes for the
 * next large write. What the header says is found out by header.c when the
 * message is complete, and before that for who chooses the place of the file.
 *
 * The disk begins with a file in such a place while the message still comes in, for it is to stay.
 * The unlinked one is not: most are gone before anything of them is written.
 */
#include "lda/message.h"

#include <sys/mman.h>

#include "lda/header.h"
#include "lda/outcome.h"

enum {
    FIRST_BUFFER = 16 * 1024,
    FILE_CHUNK = 64 * 1024,        /* octets a read of the spool file, at least so many a write */
    MBOX_LINE_MAX = 1024,          /* a longer first line is no mbox "From " line */
    WRITE_AHEAD = 4 * 1024 * 1024, /* octets the disk is given to write while more come in */
};

struct Message {
    MessageOptions options;
    uint8_t *buffer; /* all of the message; or what is not yet in the file */
    size_t used;
    size_t capacity;
    int fd;          /* the file; -1: all is in memory */
    size_t lead;     /* octets of it before the message */
    guint64 started; /* octets of it the disk was given to write */

    guint64 received;   /* octets after CRLF -> LF, also those thrown away */
    guint64 bare_lines; /* LFs that W= counts twice */
    uint8_t last;       /* latest octet stored */
    bool held_cr;       /* the latest octet that came in was a CR */
    bool too_big;
    GError *failure; /* the first I/O failure */

    guint64 start; /* octets of the removed "From " line */
    char *mbox_sender;
    uint8_t *window; /* for message_peek() on a file */
    uint8_t *map;    /* of the whole file, for message_bytes(); NULL */
    size_t map_len;
    char *header_copy; /* of a message in a file; NULL: the header is in buffer */
    size_t header_len;
    Header header;
};

Message *
message_new(const MessageOptions *options)
{
    Message *message = g_new0(Message, 1);

    message->options = *options;
    message->fd = -1;
    return message;
}

/* The message is not in its place, or not any more. */
static void
leave_place(Message *message)
{
    if (message->options.place.free != NULL)
        message->options.place.free(message->options.place.data);
    message->options.place = (MessagePlace){0};
}

void
message_free(Message *message)
{
    if (message == NULL)
        return;
    leave_place(message);
    if (message->map != NULL)
        (void)munmap(message->map, message->map_len); /* cannot fail: it is what mmap gave */
    lodge_close(&message->fd);
    header_clear(&message->header);
    g_clear_error(&message->failure);
    g_free(message->mbox_sender);
    g_free(message->header_copy);
    g_free(message->window);
    g_free(message->buffer);
    g_free(message);
}

/* ---- storing -------------------------------------------------------------- */

static bool
write_all(int fd, const uint8_t *bytes, size_t len, guint64 offset)
{
    while (len > 0) {
        ssize_t done = pwrite(fd, bytes, len, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        bytes += done;
        len -= (size_t)done;
        offset += (size_t)done;
    }
    return true;
}

/* pread(2) until len octets or the end; -1 on failure. */
static ssize_t
read_at(int fd, uint8_t *buffer, size_t len, guint64 offset)
{
    size_t got = 0;

    while (got < len) {
        ssize_t done = pread(fd, buffer + got, len - got, (off_t)(offset + got));

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        if (done == 0)
            break;
        got += (size_t)done;
    }
    return (ssize_t)got;
}

/* O_TMPFILE has no name at any instant; not every file system knows it. */
static int
open_unlinked(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    g_autofree char *path = g_build_filename(directory, "lodge-XXXXXX", NULL);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path); /* a name that stays does no harm but litter */
    return fd;
}

static void
fail(Message *message)
{
    (void)lodge_set_errno(&message->failure, "store the message in the spool directory '%s'",
                          message->options.spool_dir);
}

/* Opens the file in its place, if there is one: its headers depend on ours. -1: there is none. */
static int
open_in_place(Message *message)
{
    const MessagePlace *place = &message->options.place;
    size_t all = MIN(message->used, (size_t)MESSAGE_HEADER_LIMIT);
    int fd;

    if (place->open == NULL)
        return -1;
    message->header_len = header_length((const char *)message->buffer, all);
    header_scan(&message->header, (const char *)message->buffer, message->header_len);
    fd = place->open(place->data, message, &message->lead);
    header_clear(&message->header); /* it may have come in part only */
    message->header_len = 0;
    return fd;
}

static void
open_file(Message *message)
{
    message->fd = open_in_place(message);
    if (message->fd >= 0)
        return;
    leave_place(message);
    message->lead = 0;
    message->fd = open_unlinked(message->options.spool_dir);
}

/* Octets of the message that are in the file. */
static guint64
stored(const Message *message)
{
    return message->received - message->used;
}

static bool
write_buffer(const Message *message)
{
    return message->fd >= 0 &&
           write_all(message->fd, message->buffer, message->used, message->lead + stored(message));
}

/* Moves what is in the file to spool_dir: where it is no more can be written. */
static bool
leave_full_place(Message *message)
{
    lodge_autofd from = lodge_steal_fd(&message->fd);
    g_autofree uint8_t *chunk = g_malloc(FILE_CHUNK);
    guint64 end = stored(message);
    size_t part;
    bool good;
    int saved;

    message->fd = open_unlinked(message->options.spool_dir);
    good = message->fd >= 0;
    for (guint64 at = 0; good && at < end; at += part) {
        part = (size_t)MIN((guint64)FILE_CHUNK, end - at);
        good = read_at(from, chunk, part, message->lead + at) == (ssize_t)part &&
               write_all(message->fd, chunk, part, at);
    }
    message->lead = 0;
    saved = errno;
    leave_place(message);
    errno = saved;
    return good;
}

/* Only a hint: whether it worked, is told by who waits. */
static void
write_ahead(Message *message)
{
    guint64 end = message->lead + message->received;

    if (message->options.place.open == NULL || end - message->started < WRITE_AHEAD)
        return;
    (void)sync_file_range(message->fd, (off_t)message->started, (off_t)(end - message->started),
                          SYNC_FILE_RANGE_WRITE);
    message->started = end;
}

/* Moves the buffer into the file, which is made if there is none yet. */
static void
flush(Message *message)
{
    if (message->fd < 0)
        open_file(message);
    if (!write_buffer(message) && (message->options.place.open == NULL ||
                                   !leave_full_place(message) || !write_buffer(message)))
        fail(message);
    write_ahead(message);
    message->used = 0;
    if (message->capacity > 2 * FILE_CHUNK) { /* what a file does not need */
        g_clear_pointer(&message->buffer, g_free);
        message->capacity = 0;
    }
}

/* Makes room in the buffer for len octets more. */
static void
make_room(Message *message, size_t len)
{
    size_t capacity = MAX(message->capacity, FIRST_BUFFER);

    while (capacity < message->used + len)
        capacity *= 2;
    if (capacity > message->capacity) {
        message->buffer = g_realloc(message->buffer, capacity);
        message->capacity = capacity;
    }
}

/* The limit is for the message without its "From " line, whose length is not known yet. */
static bool
passes_limit(const Message *message)
{
    guint64 limit = message->options.size_limit;

    return limit == 0 || message->received <= limit || message->received - limit <= MBOX_LINE_MAX;
}

/* Copies bytes to the end of the buffer, where there is room, with CRLF as LF. A CR
 * at their end is held back. */
static void
convert(Message *message, const uint8_t *bytes, size_t len)
{
    uint8_t *out = message->buffer + message->used;
    const uint8_t *end = bytes + len;
    uint8_t last = message->last;
    const uint8_t *lf;

    while ((lf = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        size_t line = (size_t)(lf - bytes);

        line -= line > 0 && lf[-1] == '\r';
        memcpy(out, bytes, line);
        out += line;
        last = line > 0 ? out[-1] : last;
        /* A CR that stays before the LF makes a whole CRLF: W= counts it as it is. */
        message->bare_lines += last != '\r';
        *out++ = last = '\n';
        bytes = lf + 1;
    }
    message->held_cr = end > bytes && end[-1] == '\r';
    end -= message->held_cr;
    memcpy(out, bytes, (size_t)(end - bytes));
    out += end - bytes;
    message->last = end > bytes ? end[-1] : last;
    message->used = (size_t)(out - message->buffer);
}

static void
release_held_cr(Message *message)
{
    if (!message->held_cr)
        return;
    message->buffer[message->used++] = message->last = '\r';
    message->held_cr = false;
}

/* Adds the next bytes; none: no more will come. */
static void
add(Message *message, const uint8_t *bytes, size_t len)
{
    if (message->too_big || message->failure != NULL)
        message->used = 0; /* what comes is only counted */

    size_t before = message->used;

    make_room(message, len + strlen("\r"));
    if (len == 0 || *bytes != '\n')
        release_held_cr(message);
    convert(message, bytes, len);
    message->received += message->used - before;
    message->too_big = message->too_big || !passes_limit(message);
    if (message->too_big || message->failure != NULL)
        return;
    if (message->used > (message->fd < 0 ? message->options.spool_memory : FILE_CHUNK))
        flush(message);
}

void
message_append(Message *message, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    /* In parts, so that the buffer is no larger than it must be. */
    for (size_t part; len > 0; from += part, len -= part) {
        part = MIN(len, (size_t)FILE_CHUNK);
        add(message, from, part);
    }
}

/* ---- reading -------------------------------------------------------------- */

guint64
message_size(const Message *message)
{
    return message->received - message->start;
}

guint64
message_virtual_size(const Message *message)
{
    return message_size(message) + message->bare_lines;
}

/* Reads exactly len octets of the message in the file: less is a failure, never a
 * shorter copy in somebody's mailbox. */
static bool
read_spool(const Message *message, uint8_t *buffer, size_t len, guint64 offset, GError **error)
{
    ssize_t got = read_at(message->fd, buffer, len, message->lead + message->start + offset);

    if (got >= 0 && (size_t)got < len) {
        errno = EIO;
        got = -1;
    }
    if (got < 0)
        return lodge_set_errno(error, "read the message back from the spool directory '%s'",
                               message->options.spool_dir);
    return true;
}

const uint8_t *
message_peek(Message *message, guint64 offset, size_t len, size_t *len_out, GError **error)
{
    guint64 size = message_size(message);
    size_t part = (size_t)MIN((guint64)len, size - MIN(offset, size));

    if (message->fd < 0) {
        *len_out = part;
        return message->buffer + message->start + MIN(offset, size);
    }
    if (message->window == NULL)
        message->window = g_malloc(FILE_CHUNK);
    part = MIN(part, (size_t)FILE_CHUNK);
    if (!read_spool(message, message->window, part, offset, error))
        return NULL;
    *len_out = part;
    return message->window;
}

const uint8_t *
message_bytes(Message *message, GError **error)
{
    void *map;

    if (message->fd < 0)
        return message->buffer + message->start;
    if (message->map != NULL)
        return message->map + message->lead + message->start;
    message->map_len = message->lead + (size_t)message->received;
    map = mmap(NULL, message->map_len, PROT_READ, MAP_PRIVATE, message->fd, 0);
    if (map == MAP_FAILED) {
        (void)lodge_set_errno(error, "map the message in the spool directory '%s'",
                              message->options.spool_dir);
        return NULL;
    }
    message->map = map;
    return message->map + message->lead + message->start;
}

void
message_rest(Message *message)
{
    if (message->map != NULL) /* they come back from the file */
        (void)madvise(message->map, message->map_len, MADV_DONTNEED);
}

void *
message_place(const Message *message)
{
    return message->fd >= 0 && message->start == 0 ? message->options.place.data : NULL;
}

/* ---- finishing ------------------------------------------------------------ */

/* Forgets a leading mbox "From " line, but keeps the sender it names. */
static bool
remove_mbox_line(Message *message, GError **error)
{
    size_t len = 0;
    const char *line = (const char *)message_peek(message, 0, MBOX_LINE_MAX, &len, error);

    if (line == NULL)
        return false;
    if (len < 5 || memcmp(line, "From ", 5) != 0)
        return true;
    const char *lf = memchr(line, '\n', len);
    if (lf == NULL)
        return true;
    const char *word = line + 5;
    size_t word_len = 0;
    while (!g_ascii_isspace(word[word_len]))
        word_len++;
    message->mbox_sender = word_len > 0 ? g_strndup(word, word_len) : NULL;
    message->bare_lines -= lf[-1] != '\r';
    message->start = (guint64)(lf - line) + 1;
    return true;
}

/* Reads the header of a message in the file, as far as it is looked at: in steps,
 * since most headers are small and most messages here are large. */
static bool
copy_header(Message *message, GError **error)
{
    size_t all = (size_t)MIN(message_size(message), (guint64)MESSAGE_HEADER_LIMIT);
    size_t have = 0;

    while (have < all && message->header_len == have) {
        size_t part = MIN(MAX(have, (size_t)FIRST_BUFFER), all - have);

        message->header_copy = g_realloc(message->header_copy, have + part);
        if (!read_spool(message, (uint8_t *)message->header_copy + have, part, have, error))
            return false;
        have += part;
        message->header_len = header_length(message->header_copy, have);
    }
    return true;
}

static bool
scan_header(Message *message, GError **error)
{
    if (message->fd >= 0) {
        if (!copy_header(message, error))
            return false;
    } else {
        size_t all = (size_t)MIN(message_size(message), (guint64)MESSAGE_HEADER_LIMIT);

        message->header_len = header_length((char *)message->buffer + message->start, all);
    }
    header_scan(&message->header, message_header(message, NULL), message->header_len);
    return true;
}

bool
message_finish(Message *message, GError **error)
{
    guint64 limit = message->options.size_limit;

    add(message, (const uint8_t *)"", 0);
    if (message->failure == NULL && !message->too_big && message->fd >= 0)
        flush(message); /* remembers its failure */
    if (message->failure != NULL) {
        g_propagate_error(error, g_error_copy(message->failure));
        return false;
    }
    if (!message->too_big && message->received > 0 && !remove_mbox_line(message, error))
        return false;
    if (message->too_big || (limit > 0 && message_size(message) > limit)) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_TOO_BIG,
                    "message of %" G_GUINT64_FORMAT
                    " octets exceeds the limit of %" G_GUINT64_FORMAT,
                    message_size(message), limit);
        return false;
    }
    if (message_size(message) == 0) {
        g_set_error_literal(error, LDA_ERROR, LDA_ERROR_EMPTY, "the message is empty");
        return false;
    }
    return scan_header(message, error);
}

const char *
message_header(const Message *message, size_t *len_out)
{
    if (len_out != NULL)
        *len_out = message->header_len;
    if (message->header_copy != NULL)
        return message->header_copy;
    return (const char *)message->buffer + message->start;
}

const char *
message_id(const Message *message)
{
    return message->header.message_id;
}

const char *
message_queue_id(const Message *message)
{
    return message->header.queue_id;
}

const char *
message_mbox_sender(const Message *message)
{
    return message->mbox_sender;
}

unsigned
message_received_count(const Message *message)
{
    return message->header.received_count;
}

bool
message_has_prepended(const Message *message, const char *field)
{
    return header_has_prepended(&message->header, field);
}

bool
message_was_delivered_to(const Message *message, const char *address)
{
    return header_was_delivered_to(&message->header, address);
}
