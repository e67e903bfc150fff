/* quota/usage_file.c - "maildirsize" on the disk; see usage_file.h
 *
 * One open file serves a delivery from its reservation to its line, so that what it read and what
 * it adds to is the same file, or known not to be. Where other hosts write too, the line goes to
 * where the file ends now and not where this host believes it ends: O_APPEND over NFS does
 * that, and overwrites; the mutex keeps those hosts that run us away.
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

guint64
usage_file_inode(const UsageFile *file)
{
    struct stat status;

    return file->fd < 0 || fstat(file->fd, &status) != 0 ? 0 : (guint64)status.st_ino;
}

static int
append_flag(const UsageFile *file)
{
    return file->is_shared ? 0 : O_APPEND;
}

bool
usage_file_open(UsageFile *file, GError **error)
{
    for (unsigned tries = 1;; tries++) {
        usage_file_close(file);
        /* O_NONBLOCK: somebody's FIFO must not hold us up. */
        file->fd = openat(file->dir_fd, file_name,
                          O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | append_flag(file));
        if (file->fd < 0)
            return errno == ENOENT || errno == ELOOP ||
                   lodge_set_errno(error, "open '%s'", file_name);
        if (read_content(file, tries < STALE_TRIES ? NULL : error))
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
    if (!usage_file_open(&fresh, error))
        return false;
    if (usage_file_inode(&fresh) != usage_file_inode(file))
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

bool
usage_file_write(UsageFile *file, const QuotaLimits *limits, const QuotaUsage *usage,
                 GError **error)
{
    /* In tmp/, where what a killed process leaves is swept away. */
    g_autofree char *name =
        g_strdup_printf("tmp/%" G_GINT64_FORMAT ".P%dR%08x.%s", g_get_real_time() / G_USEC_PER_SEC,
                        (int)getpid(), g_random_int(), file_name);
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
    return true;
}

/* Fails with errno when it cannot be told: taken for another file, it would get the line twice. */
static bool
look_if_current(const UsageFile *file, size_t *size_out, bool *is_current_out)
{
    struct stat opened = {0};
    struct stat found;
    bool looked = fstat(file->fd, &opened) == 0 &&
                  fstatat(file->dir_fd, file_name, &found, AT_SYMLINK_NOFOLLOW) == 0;

    *size_out = (size_t)opened.st_size;
    *is_current_out = looked && opened.st_ino == found.st_ino && opened.st_dev == found.st_dev;
    return looked || errno == ENOENT || errno == ESTALE;
}

static bool
write_line(const UsageFile *file, const char *line)
{
    return file->is_shared ? lseek(file->fd, 0, SEEK_END) >= 0 && write_all(file->fd, line) &&
                                 fsync(file->fd) == 0
                           : write_all(file->fd, line);
}

/* When the file has grown by our line alone, what it says is known without reading it. */
static bool
follow_content(UsageFile *file, size_t size, size_t len, const MaildirsizeSum *change,
               GError **error)
{
    MaildirsizeContent *content = &file->content;

    if (content->is_damaged || size != file->size + len ||
        __builtin_add_overflow(content->sum.octets, change->octets, &content->sum.octets) ||
        __builtin_add_overflow(content->sum.messages, change->messages, &content->sum.messages))
        return read_content(file, error);
    content->lines++;
    file->size = size;
    return true;
}

bool
usage_file_append(UsageFile *file, gint64 octets, gint64 messages, bool *is_current_out,
                  GError **error)
{
    const MaildirsizeSum change = {.octets = octets, .messages = messages};
    g_autofree char *line = maildirsize_format_change(octets, messages);
    size_t size;

    /* One write: writers may interleave lines but never halves of them. */
    if (!write_line(file, line) && errno != ESTALE)
        return lodge_set_errno(error, "append to '%s'", file_name);
    if (!look_if_current(file, &size, is_current_out))
        return lodge_set_errno(error, "find '%s'", file_name);
    return !*is_current_out || follow_content(file, size, strlen(line), &change, error);
}

bool
usage_file_remove(const UsageFile *file, GError **error)
{
    return unlinkat(file->dir_fd, file_name, 0) == 0 || errno == ENOENT ||
           lodge_set_errno(error, "remove '%s'", file_name);
}

gint64
usage_file_time_us(const UsageFile *file)
{
    struct stat status;

    if (file->fd < 0 || fstat(file->fd, &status) != 0)
        return 0;
    return (gint64)status.st_mtim.tv_sec * G_USEC_PER_SEC + status.st_mtim.tv_nsec / 1000;
}
