/* lmtp/listener.h - one listening socket
 *
 * Opened from a line of [lmtp] or [policy] listen, or adopted: passed by systemd, or by the
 * program this one replaced. Several processes accept on it.
 */
#ifndef LODGE_LMTP_LISTENER_H
#define LODGE_LMTP_LISTENER_H

#include "lodge.h"

#include <sys/socket.h>
#include <sys/types.h>

typedef struct {
    struct sockaddr_storage address;
    socklen_t length;
    bool dual_stack; /* "inet:*:24": IPv6 and IPv4 on one socket */
} ListenerAddress;

/* Parses "unix:/path", "inet:127.0.0.1:24", "inet:[::1]:24" or "inet:*:24" (every
 * address of this host). Numbers only: names would make the start depend on DNS.
 * Fails with LDA_ERROR_CONFIG. Pure. */
bool listener_parse(const char *text, ListenerAddress *out, GError **error);

/* The same text for an address, for the log. */
char *listener_address_format(const ListenerAddress *address);

/* Of a unix socket; (uid_t)-1 and (gid_t)-1 leave the owner alone. */
typedef struct {
    mode_t mode;
    uid_t uid;
    gid_t gid;
} ListenerPermissions;

/* What is spoken on a socket: LMTP until listener_set_service() says otherwise. */
typedef enum { LISTENER_LMTP, LISTENER_POLICY, LISTENER_SERVICES } ListenerService;

typedef struct Listener Listener;

/* Listens at address. The file of a unix socket that nobody answers on is
 * replaced; one that is answered on, or that is no socket, is left alone. Fails
 * with G_FILE_ERROR naming the address. */
Listener *listener_open(const ListenerAddress *address, const ListenerPermissions *permissions,
                        GError **error);

/* Takes a listening socket over. is_ours: lodged opened it, so lodged removes it;
 * otherwise it belongs to the service manager and outlives us. Fails with
 * LDA_ERROR_CONFIG when fd is not a listening stream socket. */
Listener *listener_adopt(int fd, bool is_ours, GError **error);

/* Sets mode and owner of a unix socket of ours; nothing to do for others. */
bool listener_set_permissions(const Listener *listener, const ListenerPermissions *permissions,
                              GError **error);

int listener_fd(const Listener *listener);
bool listener_is_ours(const Listener *listener);
ListenerService listener_service(const Listener *listener);
void listener_set_service(Listener *listener, ListenerService service);
bool listener_is_at(const Listener *listener, const ListenerAddress *address);
char *listener_format(const Listener *listener);

/* Accepts a connection, non-blocking, with TCP_NODELAY; its peer in *peer_out. -1 and
 * errno on failure, EAGAIN when another process was faster. */
int listener_accept(const Listener *listener, struct sockaddr_storage *peer_out);

/* Accepts whatever waits, sends reply, unless it is NULL, and closes. Never blocks. Returns how
 * many. */
unsigned listener_refuse_waiting(const Listener *listener, const char *reply);

/* Stops listening for good: removes the file of a unix socket of ours, refuses who
 * waits, and ends the socket in every process that shares it. A socket that is not
 * ours is only left: connections wait in it for our successor. */
void listener_shut_down(const Listener *listener, const char *reply);

void listener_free(Listener *listener); /* closes; NULL is fine */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listener, listener_free)
#endif
