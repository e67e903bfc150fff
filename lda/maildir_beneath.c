/* lda/maildir_beneath.c - files below a directory, and no way out of it
 *
 * A user may own his Maildir and put symbolic links into it; what is written
 * there must stay there. openat2(2) with RESOLVE_BENEATH says so to the kernel in
 * one call, and still follows links that stay inside. Before Linux 5.6, and where
 * a container's filter forbids the call (EPERM), each step is taken with
 * O_NOFOLLOW instead: stricter, and one call a step. A path on which there is no link at
 * all leads nowhere else, so the usual Maildir is opened without the mail root.
 */
#include "lda/maildir_parts.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { OPEN_TRIES = 100 };

int
maildir_open_nofollow(int dir_fd, const char *path, int flags, mode_t mode)
{
    lodge_autofd step = -1;
    int at = dir_fd;

    for (;;) {
        const char *slash = strchr(path, '/');

        if (slash == NULL)
            break;

        g_autofree char *level = g_strndup(path, (gsize)(slash - path));
        int next = strcmp(level, "..") == 0
                       ? (errno = EXDEV, -1)
                       : openat(at, level, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (next < 0)
            return -1;
        lodge_close(&step);
        at = step = next;
        path = slash + 1;
    }
    if (strcmp(path, "..") == 0 || path[0] == '\0')
        return errno = EXDEV, -1;
    return openat(at, path, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

static int
open_resolved(int dir_fd, const char *path, int flags, mode_t mode, guint64 resolve)
{
    const struct open_how how = {
        .flags = (guint64)(unsigned)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = resolve,
    };
    int fd = -1;

    /* EAGAIN: a rename somewhere crossed a "..", and the kernel wants to look again. */
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return fd;
}

int
maildir_open_without_links(const char *path, int flags)
{
    return open_resolved(AT_FDCWD, path, flags, 0, RESOLVE_NO_SYMLINKS);
}

int
maildir_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
    int fd = open_resolved(dir_fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = maildir_open_nofollow(dir_fd, path, flags, mode);
    return fd;
}

bool
maildir_sync_directory(int dir_fd)
{
    lodge_autofd fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0;
}

GString *
maildir_read_file(int dir_fd, const char *name, size_t limit)
{
    /* O_NONBLOCK: a FIFO of that name must not hold us up before fstat() sees it. */
    lodge_autofd fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || (guint64)st.st_size > limit)
        return errno = EFBIG, NULL;
    for (;;) {
        char buffer[4096];
        ssize_t got = read(fd, buffer, sizeof buffer);

        if (got == 0)
            return g_steal_pointer(&text);
        if (got < 0 && errno != EINTR)
            return NULL;
        if (got > 0)
            g_string_append_len(text, buffer, got);
        if (text->len > limit)
            return errno = EFBIG, NULL;
    }
}

bool
maildir_write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);

        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0) {
            bytes += put;
            len -= (size_t)put;
        }
    }
    return true;
}

/* The first directory on the way to path that we may not search, or may not write
 * though the next level is to be made in it; NULL when none is in the way. */
static char *
directory_in_the_way(const char *path, struct stat *st_out)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL;) {
        const char *end = strchr(slash + 1, '/');
        g_autofree char *directory = g_strndup(path, (gsize)(slash - path));
        g_autofree char *next = end != NULL ? g_strndup(path, (gsize)(end - path)) : g_strdup(path);
        struct stat st;
        int needed = lstat(next, &st) != 0 && errno == ENOENT ? W_OK | X_OK : X_OK;

        if (faccessat(AT_FDCWD, directory, needed, AT_EACCESS) != 0 && stat(directory, st_out) == 0)
            return g_steal_pointer(&directory);
        slash = end;
    }
    return NULL;
}

/* ": we are ...", when that is why; "" otherwise. */
static char *
explain_refusal(const char *path)
{
    struct stat st;
    g_autofree char *directory = directory_in_the_way(path, &st);

    if (directory == NULL)
        return g_strdup("");
    return g_strdup_printf(": we are uid %u, gid %u; '%s' is of uid %u, gid %u, mode %04o",
                           (unsigned)geteuid(), (unsigned)getegid(), directory, (unsigned)st.st_uid,
                           (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777));
}

bool
maildir_set_errno(GError **error, const char *what, const char *path)
{
    int saved = errno;
    /* GLib has no code for EDQUOT; to us it is a full disk. */
    GFileError code = g_file_error_from_errno(saved == EDQUOT ? ENOSPC : saved);
    const char *why =
        saved == EXDEV ? "a symbolic link leads out of the mail root" : g_strerror(saved);
    g_autofree char *refusal = saved == EACCES ? explain_refusal(path) : g_strdup("");

    g_set_error(error, G_FILE_ERROR, (int)code, "cannot %s '%s': %s%s", what, path, why, refusal);
    errno = saved;
    return false;
}
