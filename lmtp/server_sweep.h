/* lmtp/server_sweep.h - remove what killed deliveries left in tmp/
 *
 * Runs in a child of its own, with the rights of a worker and the lowest
 * priority, when the server starts and once a day.
 */
#ifndef LODGE_LMTP_SERVER_SWEEP_H
#define LODGE_LMTP_SERVER_SWEEP_H

#include "lodge.h"
#include "lmtp/server_settings.h"

/* Walks the mailboxes of the map. Returns the exit status of the process. */
int server_sweep(const ServerSettings *settings);

#endif
