/* lda/user_log.c - what a user can read about the failures of his script; see user_log.h */
#include "lda/user_log.h"

#include <sys/stat.h>

/* A link in its place could make us write elsewhere, a FIFO wait. */
static int
open_log(const char *path)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

    return open(path, flags, 0600);
}

static void
turn_over(const char *path, int *fd)
{
    g_autofree char *old = NULL;
    struct stat info;

    if (fstat(*fd, &info) != 0 || info.st_size < USER_LOG_MAX)
        return;
    old = g_strconcat(path, ".0", NULL);
    if (rename(path, old) != 0)
        return; /* it grows a little more */
    lodge_close(fd);
    *fd = open_log(path);
}

bool
user_log_write(const char *path, gint64 now, const GPtrArray *lines, GError **error)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(now);
    g_autofree char *stamp = g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
    g_autoptr(GString) text = g_string_new(NULL);
    lodge_autofd fd = open_log(path);

    for (guint i = 0; i < lines->len; i++)
        g_string_append_printf(text, "%s %s\n", stamp, (const char *)lines->pdata[i]);
    if (fd >= 0)
        turn_over(path, &fd);
    /* One write: lines of two deliveries do not mix. What does not fit on the disk is lost. */
    if (fd < 0 || write(fd, text->str, text->len) < 0)
        return lodge_set_errno(error, "write the log of Sieve '%s'", path);
    return true;
}
