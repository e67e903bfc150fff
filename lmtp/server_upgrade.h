/* lmtp/server_upgrade.h - a new program takes over the sockets of the old one
 *
 * The master replaces itself by execve(2), so its process id, its children and its
 * sockets stay; connections that arrive meanwhile wait in the backlog. What the
 * new program must know about the inherited descriptors and children travels in
 * one environment variable.
 */
#ifndef LODGE_LMTP_SERVER_UPGRADE_H
#define LODGE_LMTP_SERVER_UPGRADE_H

#include "lodge.h"

/* What the new master finds from the old one. */
typedef struct {
    int stop_read_fd; /* -1: this is no upgrade but a fresh start */
    int stop_write_fd;
    GArray *pids; /* of pid_t: workers that end when their connection does */
} Handover;

/* Reads and removes the variable; adds the sockets to listeners (of Listener). */
bool upgrade_inherit(GPtrArray *listeners, Handover *out, GError **error);

/* Starts `program argument... -t`, which says by its exit status whether the new
 * program can start with the configuration as it is now. Returns its process id, or -1. */
pid_t upgrade_start_check(char *const *argv);

/* Becomes the new program. Returns only on failure, with everything as it was. */
bool upgrade_exec(char *const *argv, const GPtrArray *listeners, const Handover *handover,
                  GError **error);

#endif
