/* lmtp/server.h - listen, keep workers, reload, drain
 *
 *   master (server.c) ── opens sockets ──▶ listener.c
 *     │ SIGHUP    new configuration, new workers, old ones finish their connection
 *     │ SIGUSR2   the same with a new program (server_upgrade.c)
 *     │ SIGTERM   sessions wind up, bounded by [lmtp] drain_timeout
 *     ├── fork ──▶ worker.c ── accept ──▶ session.c          (server_pool.c)
 *     ├── fork ──▶ policy_worker.c ── accept ──▶ policy_session.c   (another pool)
 *     └── fork ──▶ server_sweep.c, once a day
 */
#ifndef LODGE_LMTP_SERVER_H
#define LODGE_LMTP_SERVER_H

#include "lodge.h"
#include "lmtp/server_settings.h"

/* Borrowed for the life of the server. */
typedef struct {
    const char *config_path; /* as for server_settings_load(), for reloads */
    const char *const *overrides;
    char *const *argv; /* to start the program again; argv[0] is a path */
} ServerOptions;

/* Serves until SIGTERM or SIGINT. Takes settings. Fails, before it has served
 * anybody, with LDA_ERROR_CONFIG or G_FILE_ERROR. */
bool server_run(ServerSettings *settings, const ServerOptions *options, GError **error);

#endif
