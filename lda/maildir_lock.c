/* lda/maildir_lock.c - Dovecot's dotlocks
 *
 * A lock is a file NAME.lock made with O_EXCL that says "pid:host". It is stale
 * when that process is gone from this host, or when it has not been touched for two
 * minutes. Breaking one looks again at what it removes; the moment in between is
 * there in Dovecot too, and costs at worst a label or a subscription.
 */
#include "lda/maildir_parts.h"

#include <signal.h>
#include <sys/stat.h>

enum { STEP_MS = 10, OWNER_MAX = 1024 };

/* True when the lock names a process of this host that is no more. */
static bool
owner_is_gone(int dir_fd, const char *name, const char *host)
{
    g_autoptr(GString) text = maildir_read_file(dir_fd, name, OWNER_MAX);
    char *colon = text != NULL ? strchr(text->str, ':') : NULL;
    gint64 pid;

    if (colon == NULL || strcmp(colon + 1, host) != 0)
        return false;
    *colon = '\0';
    return g_ascii_string_to_signed(text->str, 10, 1, G_MAXINT, &pid, NULL) &&
           kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void
break_stale(int dir_fd, const char *name, const MaildirLockRequest *request)
{
    struct stat seen, now;

    if (fstatat(dir_fd, name, &seen, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (seen.st_mtim.tv_sec + MAILDIR_LOCK_STALE_S >= request->now_us / G_USEC_PER_SEC &&
        !owner_is_gone(dir_fd, name, request->owner->host))
        return;
    if (fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == seen.st_ino &&
        now.st_mtim.tv_sec == seen.st_mtim.tv_sec)
        (void)unlinkat(dir_fd, name, 0); /* somebody else may have been faster */
}

int
maildir_lock(int dir_fd, const char *name, const MaildirLockRequest *request)
{
    for (unsigned waited_ms = 0;; waited_ms += STEP_MS) {
        int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd >= 0 || errno != EEXIST)
            return fd;
        break_stale(dir_fd, name, request);
        fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
        if (waited_ms >= request->wait_ms)
            return errno = EAGAIN, -1;
        g_usleep(STEP_MS * 1000);
    }
}
