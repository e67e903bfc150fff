/* lmtp/policy_worker.h - the process that answers policy requests
 *
 *   server_pool.c --(fork)--> policy_worker.c --(ready socket)--> policy_session.c
 *
 * Each process smtpd(8) of Postfix keeps a connection for minutes after its last request,
 * and there may be hundreds of them: so here one process serves all connections that it
 * accepted, in turn, apart from the workers of LMTP. There are a few such processes, and
 * one that waits for a locked map holds up only its own connections.
 */
#ifndef LODGE_LMTP_POLICY_WORKER_H
#define LODGE_LMTP_POLICY_WORKER_H

#include "lodge.h"
#include "lmtp/worker.h"

/* Serves until the server stops or SIGTERM, which must be blocked, asks this worker to go:
 * then what has been asked is answered and all connections are closed; Postfix opens new
 * ones. Returns the exit status of the process. */
int policy_worker_run(const WorkerContext *context);

#endif
