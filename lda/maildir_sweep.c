/* lda/maildir_sweep.c - deliveries that were abandoned
 *
 * Whoever is killed between staging and publishing leaves a file in tmp/. After 36
 * hours nobody can still be writing it: the Maildir specification lets any reader or
 * writer remove it.
 */
#include "lda/maildir_parts.h"

#include <dirent.h>
#include <sys/stat.h>

/* ctime, and not mtime, which whoever appends a message sets to its date. */
static bool
is_abandoned(int tmp_fd, const char *name, gint64 now_us)
{
    struct stat st;

    return fstatat(tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
           st.st_ctim.tv_sec + MAILDIR_TMP_AGE_S < now_us / G_USEC_PER_SEC;
}

static DIR *
open_listing(int dir_fd, const char *path)
{
    lodge_autofd fd = maildir_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;

    if (listing != NULL)
        (void)lodge_steal_fd(&fd); /* closedir() closes it */
    return listing;
}

unsigned
maildir_sweep_tmp(int folder_fd, gint64 now_us)
{
    DIR *listing = open_listing(folder_fd, "tmp");
    unsigned removed = 0;

    if (listing == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (is_abandoned(dirfd(listing), entry->d_name, now_us) &&
            unlinkat(dirfd(listing), entry->d_name, 0) == 0)
            removed++;
    }
    (void)closedir(listing); /* was only read */
    return removed;
}

unsigned
maildir_sweep_all(int maildir_fd, gint64 now_us)
{
    DIR *listing = open_listing(maildir_fd, ".");
    unsigned removed = maildir_sweep_tmp(maildir_fd, now_us);

    if (listing == NULL)
        return removed;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] != '.' || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;

        lodge_autofd folder_fd =
            maildir_open_beneath(maildir_fd, entry->d_name, O_PATH | O_DIRECTORY, 0);

        if (folder_fd >= 0)
            removed += maildir_sweep_tmp(folder_fd, now_us);
    }
    (void)closedir(listing); /* was only read */
    return removed;
}
