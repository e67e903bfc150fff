/* lmtp/server_settings.h - the configuration, read and understood
 *
 * Everything that can be wrong with a configuration file is found here, before any
 * of it is put to use: at start, by `lodged -t`, and when SIGHUP asks for a new one.
 */
#ifndef LODGE_LMTP_SERVER_SETTINGS_H
#define LODGE_LMTP_SERVER_SETTINGS_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/privileges.h"
#include "lmtp/listener.h"

/* Sockets of one service: [lmtp] or [policy] listen, socket_mode ... */
typedef struct {
    GArray *addresses; /* of ListenerAddress */
    ListenerPermissions permissions;
} ServerSockets;

typedef struct {
    LdaConfig *config;
    ServerSockets sockets[LISTENER_SERVICES];
    GArray *networks;       /* of PeerNetwork; [lmtp] trusted_networks */
    Privileges *privileges; /* NULL when not started as root: nothing to become */
} ServerSettings;

/* path and overrides as in config_load(). Fails with CONFIG_ERROR or LDA_ERROR_CONFIG. */
ServerSettings *server_settings_load(const char *path, const char *const *overrides,
                                     GError **error);
void server_settings_free(ServerSettings *settings); /* NULL is fine */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ServerSettings, server_settings_free)
#endif
