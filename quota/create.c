/* quota/create.c - a file of the mailbox, with the rights of the mailbox; see create.h */
#include "quota/create.h"

#include <sys/stat.h>

/* The mode is set only after the group: it would let in the wrong one for a moment. */
static bool
take_rights(int fd, int dir_fd)
{
    struct stat dir;
    struct stat file;

    if (fstat(dir_fd, &dir) != 0 || fstat(fd, &file) != 0)
        return false;
    if (file.st_gid != dir.st_gid && fchown(fd, (uid_t)-1, dir.st_gid) != 0)
        return errno == EPERM; /* nobody but the owner, then */
    return fchmod(fd, dir.st_mode & 0666) == 0;
}

int
quota_create_file(int dir_fd, const char *name, int flags)
{
    lodge_autofd fd =
        openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags, 0600);

    if (fd >= 0 && !take_rights(fd, dir_fd)) {
        int saved = errno;

        (void)unlinkat(dir_fd, name, 0); /* of no use */
        errno = saved;
        return -1;
    }
    return lodge_steal_fd(&fd);
}
