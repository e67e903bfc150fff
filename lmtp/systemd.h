/* lmtp/systemd.h - the two protocols systemd speaks with a service
 *
 * sd_notify(3) and sd_listen_fds(3), by hand: both are documented as stable wire
 * protocols of a few lines, and libsystemd would add its memory and its
 * dependencies (compression, crypto) to every worker.
 */
#ifndef LODGE_LMTP_SYSTEMD_H
#define LODGE_LMTP_SYSTEMD_H

#include "lodge.h"

#define SYSTEMD_FIRST_FD 3

/* Sends "READY=1\nSTATUS=..." and the like to the service manager; does nothing
 * when there is none. A lost notice is nothing we could mend. */
void systemd_notify(const char *state);

/* "RELOADING=1" with the time stamp that Type=notify-reload wants. */
void systemd_notify_reloading(void);

/* How many sockets were passed to this very process, from SYSTEMD_FIRST_FD on; they
 * become close-on-exec. Their names (FileDescriptorName=), as far as there are any, in
 * *names_out, to be freed with g_strfreev(). The variables are removed: no child may take
 * them for its own. */
unsigned systemd_listen_fds(char ***names_out);

#endif
