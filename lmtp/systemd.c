/* lmtp/systemd.c - the two protocols systemd speaks with a service; see systemd.h */
#include "lmtp/systemd.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* More than this is not from a socket unit but a damaged variable. */
#define MAX_PASSED_FDS 512

void
systemd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;

    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* abstract: a NUL stands where the text has '@' */

    lodge_autofd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

void
systemd_notify_reloading(void)
{
    g_autofree char *state =
        g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());

    systemd_notify(state);
}

unsigned
systemd_listen_fds(char ***names_out)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    guint64 pid = 0;
    guint64 count = 0;
    bool ours = pid_text != NULL && count_text != NULL &&
                g_ascii_string_to_unsigned(pid_text, 10, 1, G_MAXINT32, &pid, NULL) &&
                pid == (guint64)getpid() &&
                g_ascii_string_to_unsigned(count_text, 10, 0, MAX_PASSED_FDS, &count, NULL);

    *names_out = g_strsplit(ours && names != NULL ? names : "", ":", -1);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!ours)
        return 0;
    for (int fd = SYSTEMD_FIRST_FD; fd < SYSTEMD_FIRST_FD + (int)count; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* a bad one is refused when it is adopted */
    return (unsigned)count;
}
