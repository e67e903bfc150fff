/* lmtp/server_listeners.h - the set of sockets we serve
 *
 * Sockets passed by the service manager are served as they are: the policy protocol on
 * those named "policy" (FileDescriptorName=), LMTP on others. For a service that has such
 * a socket, listen in its section is not used: who configures a socket unit decides there.
 * Otherwise the set follows [lmtp] listen and [policy] listen, at the start and at each reload.
 */
#ifndef LODGE_LMTP_SERVER_LISTENERS_H
#define LODGE_LMTP_SERVER_LISTENERS_H

#include "lodge.h"
#include "lmtp/listener.h"
#include "lmtp/server_settings.h"

/* An empty set. Free with g_ptr_array_unref(), which closes. */
GPtrArray *server_listeners_new(void); /* of Listener */

/* Adds the sockets of systemd's protocol. */
bool server_listeners_adopt_passed(GPtrArray *listeners, GError **error);

/* Brings the set in line with settings: opens what is new, keeps what stays, and
 * moves what is no longer wanted to *gone_out, still open, for
 * server_listeners_shut_down(). On failure nothing has changed. */
bool server_listeners_follow(GPtrArray *listeners, const ServerSettings *settings,
                             GPtrArray **gone_out, GError **error);

/* Ends every socket of the set that is ours (see listener_shut_down()). reply is for
 * clients of LMTP; may be NULL. */
void server_listeners_shut_down(const GPtrArray *listeners, const char *reply);

/* "unix:/run/lodge/lmtp unix:/run/lodge/policy (policy)", for the log. */
char *server_listeners_format(const GPtrArray *listeners);

#endif
