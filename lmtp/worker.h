/* lmtp/worker.h - the process that serves connections, one at a time
 *
 *   server_pool.c --(fork)--> worker.c --(accepted socket)--> session.c
 *
 * A worker accepts by itself, so that no descriptor is passed around and a slow
 * master delays nobody. What it tells the master is its slot of the scoreboard.
 */
#ifndef LODGE_LMTP_WORKER_H
#define LODGE_LMTP_WORKER_H

#include "lodge.h"
#include "lda/log.h"
#include "lmtp/server_settings.h"

#include <stdatomic.h>

typedef enum {
    WORKER_NONE, /* the slot is free */
    WORKER_STARTING,
    WORKER_IDLE, /* waiting for a connection */
    WORKER_BUSY, /* has one */
} WorkerState;

/* Lies in memory shared with the master. Each worker writes its own slot. The
 * master only counts with what it reads here: process ids it keeps to itself. */
typedef struct {
    _Atomic int state;            /* WorkerState */
    _Atomic gint64 busy_since_us; /* monotonic; when the latest connection was accepted */
} WorkerSlot;

typedef struct {
    _Atomic guint64 served;  /* connections or requests brought to their end, by all together */
    _Atomic bool needs_mime; /* of one of them at least: lda_needs_mime() */
    guint slot_count;
    WorkerSlot slots[];
} Scoreboard;

/* Everything borrowed for the life of the process. */
typedef struct {
    const ServerSettings *settings;
    Log *log;
    const GPtrArray *listeners; /* of Listener */
    Scoreboard *board;
    guint slot;
    int stop_fd; /* readable, at its end, when the server stops or is gone */
    int kick_fd; /* eventfd: the last idle worker has become busy, or needs_mime is new */
} WorkerContext;

/* First thing in a worker of any kind: drops rights and opens *term_fd_out, where SIGTERM
 * is read. Returns an exit status, after it has logged what went wrong. */
int worker_prepare(const WorkerContext *context, int *term_fd_out);

/* Serves until the server stops (stop_fd: sessions wind up) or SIGTERM asks this
 * worker to go once its connection has ended. SIGTERM must be blocked. Returns the
 * exit status of the process. */
int worker_run(const WorkerContext *context);

#endif
