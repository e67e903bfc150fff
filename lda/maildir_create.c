/* lda/maildir_create.c - Maildirs and folders that are not there yet
 *
 * Every directory gets the group of its parent and its mode for owner and group
 * (setgid with it), whatever our umask. Rights of everybody else are never handed
 * down: /var/vmail is often 0755, and mail is not for all users of a host. The order
 * is the point:
 *
 *   each level: mkdir, fsync the parent   then cur, new, fsync   and last tmp
 *   a folder: mkdir, cur, new, fsync   subscribe   fsync the Maildir   and last tmp
 *
 * A delivery begins in tmp/. So whoever finds a tmp/ may rely on all above it being
 * durable, even when another process made it a moment ago; whoever finds none
 * comes here and syncs the whole path himself. The subscription of a new folder is
 * made before its tmp/ as well: a killed process leaves it to the next.
 */
#include "lda/maildir_parts.h"

#include <sys/stat.h>

bool
maildir_access_read(int dir_fd, MaildirAccess *access_out)
{
    struct stat st;

    if (fstat(dir_fd, &st) != 0)
        return false;
    /* In a sticky directory ("/tmp") the group's rights mean nothing in particular. */
    mode_t handed_down = (st.st_mode & S_ISVTX) != 0 ? 0 : st.st_mode & 02070;
    *access_out = (MaildirAccess){.mode = handed_down | 0700, .gid = st.st_gid};
    return true;
}

/* umask may have taken bits, and without setgid the group is ours and not the
 * parent's. When we may not give that group away, its rights go: they were not
 * meant for another group. */
static bool
apply_access(int fd, const MaildirAccess *had, mode_t mode, gid_t gid)
{
    if (had->gid != gid && (mode & 077) != 0 && fchown(fd, (uid_t)-1, gid) != 0)
        mode &= (mode_t)~02070;
    return (had->mode & 07777) == mode || fchmod(fd, mode) == 0;
}

static bool
find_and_apply_access(int fd, mode_t mode, gid_t gid)
{
    struct stat st;

    if ((mode & 077) == 0)
        return true;
    return fstat(fd, &st) == 0 &&
           apply_access(fd, &(MaildirAccess){.mode = st.st_mode, .gid = st.st_gid}, mode, gid);
}

bool
maildir_access_apply_to_file(int fd, const MaildirAccess *access)
{
    return find_and_apply_access(fd, access->mode & 0666, access->gid);
}

bool
maildir_access_apply_to_known(int fd, mode_t mode, gid_t gid, const MaildirAccess *access)
{
    return apply_access(fd, &(MaildirAccess){.mode = mode, .gid = gid}, access->mode & 0666,
                        access->gid);
}

/* One directory in parent_fd. True also when it is there already. */
static bool
make_directory(int parent_fd, const char *name, bool *made_out)
{
    MaildirAccess access;

    *made_out = mkdirat(parent_fd, name, 0700) == 0;
    if (!*made_out)
        return errno == EEXIST;
    if (!maildir_access_read(parent_fd, &access))
        return false;

    lodge_autofd fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && find_and_apply_access(fd, access.mode, access.gid);
}

/* One level of the path: made, durable in its parent, and opened. */
static int
make_level(int base_fd, int parent_fd, const char *path, const char *level)
{
    bool made;

    if (!make_directory(parent_fd, level, &made))
        return -1;
    /* A parent that we may search but not read cannot be synced; nor is anything of
     * ours new in it when we have made nothing. */
    if (!maildir_sync_directory(parent_fd) && (made || errno != EACCES))
        return -1;
    return maildir_open_beneath(base_fd, path, O_PATH | O_DIRECTORY, 0);
}

static int
make_path(int base_fd, const char *path)
{
    g_auto(GStrv) levels = g_strsplit(path, "/", -1);
    g_autoptr(GString) done = g_string_new(NULL);
    lodge_autofd at = maildir_open_beneath(base_fd, ".", O_PATH | O_DIRECTORY, 0);

    for (char **level = levels; *level != NULL && at >= 0; level++) {
        lodge_autofd parent = lodge_steal_fd(&at);

        g_string_append_printf(done, "%s%s", done->len > 0 ? "/" : "", *level);
        at = make_level(base_fd, parent, done->str, *level);
    }
    return lodge_steal_fd(&at);
}

/* Courier's mark: this is a folder, quota and subscriptions lie one level up. */
static bool
mark_folder(int folder_fd)
{
    lodge_autofd fd = openat(folder_fd, "maildirfolder",
                             O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    MaildirAccess access;

    return fd >= 0 && maildir_access_read(folder_fd, &access) &&
           maildir_access_apply_to_file(fd, &access);
}

static bool
make_boxes(int fd)
{
    bool made;

    return make_directory(fd, "cur", &made) && make_directory(fd, "new", &made);
}

bool
maildir_create(int base_fd, const char *path)
{
    lodge_autofd fd = make_path(base_fd, path);

    return fd >= 0 && make_boxes(fd) && maildir_sync_directory(fd);
}

bool
maildir_create_folder(int maildir_fd, const char *directory)
{
    bool made;

    if (!make_directory(maildir_fd, directory, &made))
        return false;

    lodge_autofd fd = maildir_open_beneath(maildir_fd, directory, O_PATH | O_DIRECTORY, 0);

    return fd >= 0 && make_boxes(fd) && mark_folder(fd) && maildir_sync_directory(fd);
}

bool
maildir_complete(int base_fd, const char *path)
{
    lodge_autofd fd = maildir_open_beneath(base_fd, path, O_PATH | O_DIRECTORY, 0);
    bool made;

    return fd >= 0 && make_directory(fd, "tmp", &made);
}

bool
maildir_is_complete(int fd)
{
    lodge_autofd tmp_fd = maildir_open_beneath(fd, "tmp", O_PATH | O_DIRECTORY, 0);

    return tmp_fd >= 0;
}
