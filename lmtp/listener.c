/* lmtp/listener.c - one listening socket; see listener.h
 *
 * The delicate part is a unix socket's file. It may be left from a server that
 * was killed (replace it) or belong to one that lives (leave it): only connect(2)
 * tells. Two servers that start at once must not each find the other's fresh
 * socket "stale", so the look and the bind happen under a lock on the directory.
 * The owner is set through an O_PATH descriptor of what was just bound, because
 * the directory may belong to someone who can swap the name in between.
 */
#include "lmtp/listener.h"

#include "lda/outcome.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Waiting connections are the queue in front of busy workers; the kernel caps it
 * at net.core.somaxconn. */
#define BACKLOG 4096

struct Listener {
    int fd;
    bool is_ours;
    ListenerService service;
    ListenerAddress address;
    struct stat file; /* unix: what we bound, so that nothing else is ever removed */
};

/* ---- addresses ----------------------------------------------------------- */

static bool
set_address_error(GError **error, const char *text, const char *why)
{
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "listen: '%s': %s", text, why);
    return false;
}

static bool
parse_unix(const char *text, const char *path, ListenerAddress *out, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (path[0] != '/')
        return set_address_error(error, text, "the path of a unix socket begins with '/'");
    if (len >= sizeof address.sun_path)
        return set_address_error(error, text, "the path of a unix socket has at most 107 octets");
    memcpy(address.sun_path, path, len);
    memcpy(&out->address, &address, sizeof address);
    out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

static bool
fill_ip(const char *host, in_port_t port, ListenerAddress *out)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = port};
    size_t len = strlen(host);

    if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1) {
        memcpy(&out->address, &ipv4, sizeof ipv4);
        out->length = sizeof ipv4;
        return true;
    }
    out->dual_stack = strcmp(host, "*") == 0; /* the any address is all zero */
    if (!out->dual_stack) {
        if (len < 4 || host[0] != '[' || host[len - 1] != ']')
            return false;
        g_autofree char *bare = g_strndup(host + 1, len - 2);
        if (inet_pton(AF_INET6, bare, &ipv6.sin6_addr) != 1)
            return false;
    }
    memcpy(&out->address, &ipv6, sizeof ipv6);
    out->length = sizeof ipv6;
    return true;
}

static bool
parse_inet(const char *text, const char *rest, ListenerAddress *out, GError **error)
{
    const char *colon = strrchr(rest, ':');
    guint64 port;

    if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        return set_address_error(error, text, "a port from 1 to 65535 must follow the last ':'");
    g_autofree char *host = g_strndup(rest, (size_t)(colon - rest));
    if (!fill_ip(host, htons((in_port_t)port), out))
        return set_address_error(error, text,
                                 "the host must be a number: '127.0.0.1', '[::1]', or '*' for all");
    return true;
}

bool
listener_parse(const char *text, ListenerAddress *out, GError **error)
{
    ListenerAddress parsed = {0};
    bool good;

    if (g_str_has_prefix(text, "unix:"))
        good = parse_unix(text, text + strlen("unix:"), &parsed, error);
    else if (g_str_has_prefix(text, "inet:"))
        good = parse_inet(text, text + strlen("inet:"), &parsed, error);
    else
        good = set_address_error(error, text, "expected 'unix:/path' or 'inet:host:port'");
    if (good)
        *out = parsed;
    return good;
}

static const char *
unix_path(const ListenerAddress *address)
{
    return ((const struct sockaddr_un *)&address->address)->sun_path;
}

char *
listener_address_format(const ListenerAddress *address)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address->address;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address->address;

    switch (address->address.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof text);
        return g_strdup_printf("inet:%s:%u", text, ntohs(ipv4->sin_port));
    case AF_INET6:
        if (address->dual_stack)
            return g_strdup_printf("inet:*:%u", ntohs(ipv6->sin6_port));
        inet_ntop(AF_INET6, &ipv6->sin6_addr, text, sizeof text);
        return g_strdup_printf("inet:[%s]:%u", text, ntohs(ipv6->sin6_port));
    default:
        return g_strdup_printf("unix:%s", unix_path(address));
    }
}

/* Compares what an administrator can name: not the flow label or padding. */
static bool
same_address(const ListenerAddress *a, const ListenerAddress *b)
{
    g_autofree char *a_text = listener_address_format(a);
    g_autofree char *b_text = listener_address_format(b);

    return strcmp(a_text, b_text) == 0;
}

/* ---- opening ------------------------------------------------------------- */

/* Does a server answer at path? Only a refused connection says no for certain. */
static bool
is_answered(const ListenerAddress *address)
{
    lodge_autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ||
           connect(fd, (const struct sockaddr *)&address->address, address->length) == 0 ||
           errno != ECONNREFUSED;
}

/* Removes the file of a dead server. Fails with the errno of what stands there. */
static bool
remove_stale(const ListenerAddress *address)
{
    struct stat file;

    if (lstat(unix_path(address), &file) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(file.st_mode)) {
        errno = EEXIST;
        return false;
    }
    if (is_answered(address)) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(unix_path(address)) == 0;
}

static bool
bind_unix(int fd, const ListenerAddress *address)
{
    g_autofree char *folder = g_path_get_dirname(unix_path(address));
    /* The lock goes with the descriptor. Without the right to read the directory
     * there is no lock, and only two simultaneous starts could notice. */
    lodge_autofd lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (lock >= 0)
        (void)flock(lock, LOCK_EX);
    if (!remove_stale(address))
        return false;

    /* Closed to everyone else until listener_set_permissions(). */
    mode_t previous = umask(0177);
    bool bound = bind(fd, (const struct sockaddr *)&address->address, address->length) == 0;
    umask(previous);
    /* Listening before the lock is gone, or the next server would find us dead. */
    return bound && listen(fd, BACKLOG) == 0;
}

static bool
bind_inet(int fd, const ListenerAddress *address)
{
    int on = 1;
    int only_ipv6 = address->dual_stack ? 0 : 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return false;
    if (address->address.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof only_ipv6) != 0)
        return false;
    return bind(fd, (const struct sockaddr *)&address->address, address->length) == 0 &&
           listen(fd, BACKLOG) == 0;
}

Listener *
listener_open(const ListenerAddress *address, const ListenerPermissions *permissions,
              GError **error)
{
    g_autofree char *text = listener_address_format(address);
    g_autoptr(Listener) listener = g_new0(Listener, 1);
    bool is_unix = address->address.ss_family == AF_UNIX;

    listener->is_ours = true;
    listener->address = *address;
    listener->fd =
        socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 ||
        !(is_unix ? bind_unix(listener->fd, address) : bind_inet(listener->fd, address))) {
        const char *hint = errno == EADDRINUSE ? " (is another server running?)"
                           : errno == EEXIST   ? " (the file is not a socket)"
                                               : "";
        lodge_set_errno(error, "listen on '%s'%s", text, hint);
        return NULL;
    }
    if (is_unix && lstat(unix_path(address), &listener->file) != 0) {
        lodge_set_errno(error, "find the socket '%s' again", text);
        return NULL;
    }
    if (!listener_set_permissions(listener, permissions, error)) {
        (void)unlink(unix_path(address)); /* of no use to anybody */
        return NULL;
    }
    return g_steal_pointer(&listener);
}

Listener *
listener_adopt(int fd, bool is_ours, GError **error)
{
    g_autoptr(Listener) listener = g_new0(Listener, 1);
    int listening = 0;
    int type = 0;
    int only_ipv6 = 0;
    socklen_t length = sizeof(int);

    listener->fd = -1; /* until it is known to be what we take it for */
    listener->is_ours = is_ours;
    listener->address.length = sizeof listener->address.address;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM ||
        getsockname(fd, (struct sockaddr *)&listener->address.address, &listener->address.length) !=
            0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                    "descriptor %d was passed to us but is not a listening stream socket", fd);
        return NULL;
    }
    if (listener->address.address.ss_family == AF_INET6)
        listener->address.dual_stack =
            getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, &length) == 0 && only_ipv6 == 0;
    else if (listener->address.address.ss_family == AF_UNIX)
        (void)lstat(unix_path(&listener->address), &listener->file); /* gone: nothing to remove */
    listener->fd = fd;
    return g_steal_pointer(&listener);
}

static bool
apply_permissions(int path_fd, const ListenerPermissions *permissions)
{
    /* fchmod(2) does not take an O_PATH descriptor; its name in /proc does. */
    g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", path_fd);

    if ((permissions->uid != (uid_t)-1 || permissions->gid != (gid_t)-1) &&
        fchownat(path_fd, "", permissions->uid, permissions->gid, AT_EMPTY_PATH) != 0)
        return false;
    return chmod(name, permissions->mode) == 0;
}

/* The file at our path, if it is still the one we bound. */
static int
open_own_file(const Listener *listener)
{
    struct stat file;
    lodge_autofd fd = open(unix_path(&listener->address), O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &file) != 0)
        return -1;
    if (file.st_dev != listener->file.st_dev || file.st_ino != listener->file.st_ino) {
        errno = ESTALE;
        return -1;
    }
    return lodge_steal_fd(&fd);
}

bool
listener_set_permissions(const Listener *listener, const ListenerPermissions *permissions,
                         GError **error)
{
    if (!listener->is_ours || listener->address.address.ss_family != AF_UNIX)
        return true;

    lodge_autofd fd = open_own_file(listener);
    if (fd < 0 || !apply_permissions(fd, permissions))
        return lodge_set_errno(error, "set owner and mode %04o of '%s'",
                               (unsigned)permissions->mode, unix_path(&listener->address));
    return true;
}

int
listener_fd(const Listener *listener)
{
    return listener->fd;
}

bool
listener_is_ours(const Listener *listener)
{
    return listener->is_ours;
}

ListenerService
listener_service(const Listener *listener)
{
    return listener->service;
}

void
listener_set_service(Listener *listener, ListenerService service)
{
    listener->service = service;
}

bool
listener_is_at(const Listener *listener, const ListenerAddress *address)
{
    return same_address(&listener->address, address);
}

char *
listener_format(const Listener *listener)
{
    return listener_address_format(&listener->address);
}

/* ---- connections --------------------------------------------------------- */

int
listener_accept(const Listener *listener, struct sockaddr_storage *peer_out)
{
    int on = 1;
    socklen_t length = sizeof *peer_out;
    int fd;

    peer_out->ss_family = AF_UNSPEC;
    fd = accept4(listener->fd, (struct sockaddr *)peer_out, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && length < sizeof(sa_family_t))
        peer_out->ss_family = AF_UNIX; /* an unnamed peer may come back without a family */
    /* Replies are written whole; waiting to fill a segment would only delay them. */
    if (fd >= 0 && peer_out->ss_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

unsigned
listener_refuse_waiting(const Listener *listener, const char *reply)
{
    unsigned count = 0;

    /* Bounded: clients that connect as fast as we refuse must not keep us here. */
    for (; count < BACKLOG; count++) {
        struct sockaddr_storage peer;
        lodge_autofd fd = listener_accept(listener, &peer);

        if (fd < 0)
            break;
        /* A fresh socket's buffer holds it; a client that is gone does not mind. */
        if (reply != NULL)
            (void)send(fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return count;
}

void
listener_shut_down(const Listener *listener, const char *reply)
{
    if (!listener->is_ours)
        return;
    if (listener->address.address.ss_family == AF_UNIX) {
        lodge_autofd fd = open_own_file(listener);

        if (fd >= 0)
            (void)unlink(unix_path(&listener->address)); /* the next start replaces it otherwise */
    }
    (void)listener_refuse_waiting(listener, reply);
    (void)shutdown(listener->fd, SHUT_RDWR);
}

void
listener_free(Listener *listener)
{
    if (listener == NULL)
        return;
    lodge_close(&listener->fd);
    g_free(listener);
}
