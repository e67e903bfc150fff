/* quota/usage_file.c - "maildirsize" on the disk; see usage_file.h
 *
 * One open file serves a delivery from its reservation to its line, so that what it read and what
 * it adds to is the same file, or known not to be: open, its inode is nobody else's. Where other
 * hosts write too, the line goes to
 * where the file ends now and not where this host believes it ends: O_APPEND over NFS does
 * that, and overwrites; the mutex keeps those hosts that run us away.
 *
 *   condensing:   write tmp/X -> exchange it with "maildirsize" -> is X what was read? -> lines
 *                 behind what was read -> unlink X
 *
 * The exchange tells which file was replaced, which rename(2) does not: a count that another
 * program has put there meanwhile is never taken for the one that was condensed.
 */
#include "quota/usage_file.h"

#include <sys/stat.h>

#include "quota/create.h"

static const char file_name[] = "maildirsize";

enum {
    /* One read: a file to count anew, and the lines of all who may be adding to it at once. */
    READ_SIZE = 2 * MAILDIRSIZE_MAX,
    STALE_TRIES = 3 /* NFS: the file was replaced on the server between open and read */
};

void
usage_file_close(UsageFile *file)
{
    lodge_close(&file->fd);
    file->size = 0;
    file->stamp = (UsageStamp){0};
    file->has_others = false;
    file->content = (MaildirsizeContent){.is_damaged = true};
}

static bool
read_content(UsageFile *file, GError **error)
{
    char bytes[READ_SIZE];
    ssize_t size = pread(file->fd, bytes, sizeof bytes, 0);

    if (size < 0)
        return lodge_set_errno(error, "read '%s'", file_name);
    file->size = (size_t)size;
    file->content = maildirsize_parse(bytes, file->size);
    return true;
}

static gint64
nanoseconds(const struct timespec *time)
{
    return (gint64)time->tv_sec * 1000000000 + time->tv_nsec;
}

static void
set_stamp(UsageFile *file, const struct stat *status)
{
    file->device = status->st_dev;
    file->stamp = (UsageStamp){.inode = status->st_ino,
                               .size = (guint64)status->st_size,
                               .modified_ns = nanoseconds(&status->st_mtim),
                               .changed_ns = nanoseconds(&status->st_ctim)};
}

static bool
take_stamp(UsageFile *file, GError **error)
{
    struct stat status;

    if (fstat(file->fd, &status) != 0)
        return lodge_set_errno(error, "stat '%s'", file_name);
    set_stamp(file, &status);
    return true;
}

static bool
is_same_state(const UsageStamp *a, const UsageStamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

UsageKnown
usage_file_known(const UsageFile *file)
{
    UsageKnown known = {.stamp = file->stamp, .content = file->content};

    if (file->content.is_damaged || file->size != file->stamp.size)
        known.stamp.inode = 0;
    return known;
}

/* What other hosts did may not show in what this one believes of a file: it is read there. */
static bool
find_content(UsageFile *file, const UsageKnown *known, GError **error)
{
    if (!take_stamp(file, error))
        return false;
    if (known == NULL || file->is_shared || known->content.is_damaged ||
        !is_same_state(&known->stamp, &file->stamp))
        return read_content(file, error);
    file->size = (size_t)known->stamp.size;
    file->content = known->content;
    return true;
}

static int
append_flag(const UsageFile *file)
{
    return file->is_shared ? 0 : O_APPEND;
}

bool
usage_file_open(UsageFile *file, const UsageKnown *known, GError **error)
{
    for (unsigned tries = 1;; tries++) {
        usage_file_close(file);
        /* O_NONBLOCK: somebody's FIFO must not hold us up. */
        file->fd = openat(file->dir_fd, file_name,
                          O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | append_flag(file));
        if (file->fd < 0)
            return errno == ENOENT || errno == ELOOP ||
                   lodge_set_errno(error, "open '%s'", file_name);
        if (find_content(file, known, tries < STALE_TRIES ? NULL : error))
            return true;
        if (tries == STALE_TRIES) {
            usage_file_close(file);
            return false;
        }
    }
}

/* What other hosts wrote is seen for certain in a file that is opened after them (close-to-open).
 */
bool
usage_file_refresh(UsageFile *file, GError **error)
{
    UsageFile fresh = USAGE_FILE_CLOSED(file->dir_fd, file->is_shared);

    if (!file->is_shared)
        return true;
    if (!usage_file_open(&fresh, NULL, error))
        return false;
    if (fresh.stamp.inode != file->stamp.inode)
        usage_file_close(&fresh);
    usage_file_close(file);
    *file = fresh;
    return true;
}

static bool
write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    ssize_t written = write(fd, text, len);

    if (written >= 0 && (size_t)written < len)
        errno = ENOSPC;
    return written == (ssize_t)len;
}

/* In tmp/, where what a killed process leaves is swept away. Free with g_free(). */
static char *
make_temporary_name(void)
{
    return g_strdup_printf("tmp/%" G_GINT64_FORMAT ".P%dR%08x.%s",
                           g_get_real_time() / G_USEC_PER_SEC, (int)getpid(), g_random_int(),
                           file_name);
}

bool
usage_file_write(UsageFile *file, const QuotaLimits *limits, const QuotaUsage *usage,
                 GError **error)
{
    g_autofree char *name = make_temporary_name();
    g_autofree char *first = maildirsize_format_limits(limits);
    g_autofree char *second =
        maildirsize_format_change((gint64)usage->octets, (gint64)usage->messages);
    g_autofree char *text = g_strconcat(first, second, NULL);

    usage_file_close(file);
    file->fd = quota_create_file(file->dir_fd, name, append_flag(file));
    if (file->fd < 0)
        return lodge_set_errno(error, "make '%s'", name);
    if (!write_all(file->fd, text) || (file->is_shared && fsync(file->fd) != 0) ||
        renameat(file->dir_fd, name, file->dir_fd, file_name) != 0) {
        lodge_set_errno(error, "write '%s'", file_name);
        (void)unlinkat(file->dir_fd, name, 0); /* of no use */
        usage_file_close(file);
        return false;
    }
    file->size = strlen(text);
    file->content = maildirsize_parse(text, file->size);
    return take_stamp(file, error);
}

/* Free with g_free(). */
static char *
format_condensed(const MaildirsizeContent *content)
{
    const MaildirsizeSum *counted = &content->counted;
    g_autofree char *first = maildirsize_format_limits(&content->limits);
    g_autofree char *second = maildirsize_format_change(counted->octets, counted->messages);
    MaildirsizeSum changes;

    if (__builtin_sub_overflow(content->sum.octets, counted->octets, &changes.octets) ||
        __builtin_sub_overflow(content->sum.messages, counted->messages, &changes.messages))
        return NULL;

    g_autofree char *third = maildirsize_format_change(changes.octets, changes.messages);

    return g_strconcat(first, second, third, NULL);
}

/* Whether what stands under that name is the file that was read. */
static bool
is_same_file(const UsageFile *file, const char *name)
{
    struct stat found;

    return fstatat(file->dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           found.st_ino == file->stamp.inode && found.st_dev == file->device;
}

/* Adds to fresh what stands in old behind what was read of it. */
static bool
take_over_lines(const UsageFile *old, const UsageFile *fresh)
{
    char bytes[READ_SIZE];
    ssize_t len = pread(old->fd, bytes, sizeof bytes, (off_t)old->size);

    return len >= 0 && len < (ssize_t)sizeof bytes &&
           (len == 0 || write(fresh->fd, bytes, (size_t)len) == len);
}

/* Puts fresh, which has that name, in the place of file. */
static bool
exchange(const UsageFile *file, UsageFile *fresh, const char *name)
{
    if (renameat2(file->dir_fd, name, file->dir_fd, file_name, RENAME_EXCHANGE) != 0)
        return false;
    if (is_same_file(file, name) && take_over_lines(file, fresh) && find_content(fresh, NULL, NULL))
        return true;
    (void)usage_file_remove(file, NULL); /* the count that is to come replaces it as well */
    return false;
}

bool
usage_file_condense(UsageFile *file)
{
    UsageFile fresh = USAGE_FILE_CLOSED(file->dir_fd, file->is_shared);
    g_autofree char *name = make_temporary_name();
    g_autofree char *text = format_condensed(&file->content);

    if (text == NULL || file->is_shared || file->size >= READ_SIZE)
        return false;
    fresh.fd = quota_create_file(file->dir_fd, name, append_flag(file));
    if (fresh.fd < 0)
        return false;

    bool done = write_all(fresh.fd, text) && exchange(file, &fresh, name);

    (void)unlinkat(file->dir_fd, name, 0); /* whichever it is by now; else swept away */
    usage_file_close(done ? file : &fresh);
    if (done)
        *file = fresh;
    return done;
}

/* Fails with errno when it cannot be told: taken for another file, it would get the line twice. */
static bool
look_if_current(UsageFile *file, bool *is_current_out)
{
    struct stat found;

    if (fstatat(file->dir_fd, file_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
        *is_current_out = false;
        return errno == ENOENT || errno == ESTALE;
    }
    *is_current_out = file->stamp.inode == found.st_ino && file->device == found.st_dev;
    if (*is_current_out)
        set_stamp(file, &found);
    return true;
}

/* *is_gone_out: other hosts have removed the file, and the line is nowhere. */
static bool
write_line(const UsageFile *file, const char *line, bool *is_gone_out)
{
    bool written = file->is_shared ? lseek(file->fd, 0, SEEK_END) >= 0 &&
                                         write_all(file->fd, line) && fsync(file->fd) == 0
                                   : write_all(file->fd, line);

    *is_gone_out = !written && errno == ESTALE;
    return written || *is_gone_out;
}

/* When the file has grown by our line alone, what it says is known without reading it. */
static bool
follow_content(UsageFile *file, size_t len, const MaildirsizeSum *change, GError **error)
{
    MaildirsizeContent *content = &file->content;

    file->has_others = file->stamp.size != file->size + len;
    if (content->is_damaged || file->has_others ||
        __builtin_add_overflow(content->sum.octets, change->octets, &content->sum.octets) ||
        __builtin_add_overflow(content->sum.messages, change->messages, &content->sum.messages))
        return read_content(file, error);
    content->lines++;
    file->size += len;
    return true;
}

bool
usage_file_append(UsageFile *file, gint64 octets, gint64 messages, bool *is_current_out,
                  GError **error)
{
    const MaildirsizeSum change = {.octets = octets, .messages = messages};
    g_autofree char *line = maildirsize_format_change(octets, messages);
    bool is_gone;

    *is_current_out = false;
    /* One write: writers may interleave lines but never halves of them. */
    if (!write_line(file, line, &is_gone))
        return lodge_set_errno(error, "append to '%s'", file_name);
    if (is_gone)
        return true;
    if (!look_if_current(file, is_current_out))
        return lodge_set_errno(error, "find '%s'", file_name);
    return !*is_current_out || follow_content(file, strlen(line), &change, error);
}

bool
usage_file_remove(const UsageFile *file, GError **error)
{
    return unlinkat(file->dir_fd, file_name, 0) == 0 || errno == ENOENT ||
           lodge_set_errno(error, "remove '%s'", file_name);
}
