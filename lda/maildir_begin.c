/* lda/maildir_begin.c - a file in tmp/ for a copy whose message is still on its way
 *
 *   maildir_twin_begin()   tmp/NAME, empty, with the owner and mode of a copy
 *   (the message arrives and is written there, behind room for headers)
 *   maildir_stage()        writes the headers before it and renames it to what the copy is called
 *
 * It has a name from the start, and is not made with O_TMPFILE: what a crash may do to it is what
 * it may do to any copy that is staged (commit.c). Nothing is made for it but the file: a
 * Maildir that is not there yet comes with the delivery.
 */
#include "lda/maildir_parts.h"

bool
maildir_twin_begin(MaildirTwin *twin, const char *path, const char *root, MaildirNamer *namer,
                   gint64 now_us)
{
    lodge_autofd maildir_fd = -1;
    MaildirAccess access;

    maildir_twin_init(twin);
    if (!maildir_open_directory(path, root, &maildir_fd, NULL) || maildir_fd < 0 ||
        !maildir_access_read(maildir_fd, &access))
        return false;
    twin->base_fd = maildir_open_beneath(maildir_fd, "tmp", O_PATH | O_DIRECTORY, 0);
    if (twin->base_fd < 0)
        return false;
    twin->name = maildir_name_new(namer, now_us, 0, 0); /* the size is not known */
    twin->mode = access.mode & 0666;
    twin->gid = access.gid;
    twin->fd =
        openat(twin->base_fd, twin->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (twin->fd >= 0 && maildir_access_apply_to_file(twin->fd, &access))
        return true;
    maildir_twin_clear(twin);
    return false;
}
