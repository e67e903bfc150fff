/* lmtp/server_pool.h - the workers of one service and one configuration
 *
 * Keeps between minimum and maximum processes: always some that are idle,
 * more under load, fewer when it is over. A pool is given up, not changed, when the
 * configuration changes; its processes then only have to be waited for.
 */
#ifndef LODGE_LMTP_SERVER_POOL_H
#define LODGE_LMTP_SERVER_POOL_H

#include "lodge.h"
#include "lmtp/worker.h"

typedef struct Pool Pool;

/* What a worker inherits; all borrowed for the life of the pool. */
typedef struct {
    const char *name; /* of a worker, for the log */
    ListenerService service;
    unsigned minimum;
    unsigned maximum; /* 0: a pool without workers */
    int (*run)(const WorkerContext *context);
    const ServerSettings *settings;
    Log *log;
    const GPtrArray *listeners; /* of Listener */
    int stop_fd;
    int kick_fd;
    /* Called first thing in the child, to close what is only the master's. */
    void (*after_fork)(void *data);
    void *data;
} PoolParent;

Pool *pool_new(const PoolParent *parent, GError **error);
void pool_free(Pool *pool); /* the processes live on; NULL is fine */

/* Starts or dismisses workers as the load asks. Returns when to call again
 * (monotonic, microseconds), or G_MAXINT64 for "when something happens". */
gint64 pool_adjust(Pool *pool, gint64 now_us);

/* Takes note that a child has ended, and logs it unless it was asked to. Returns
 * false when it is none of this pool. */
bool pool_reap(Pool *pool, pid_t pid, int status, gint64 now_us);

/* Since when no connection could be taken because every worker that may exist is
 * busy (monotonic, microseconds); 0 when one could. Each connection that is taken
 * begins the count again: the queue moves. */
gint64 pool_stuck_since(const Pool *pool);

/* Sends signal to every worker; adds the process ids to pids (of pid_t) unless NULL. */
void pool_signal(const Pool *pool, int signal_number, GArray *pids);

unsigned pool_size(const Pool *pool);

/* How many idle workers there should be beside busy ones. Pure. */
unsigned pool_wanted(unsigned busy, unsigned minimum, unsigned maximum);

/* How long to wait before the next start, in microseconds, after that many deaths
 * in a row without one served connection between them. Pure. */
gint64 pool_backoff_us(unsigned deaths);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pool, pool_free)
#endif
