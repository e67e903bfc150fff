/* lmtp/server_pool.c - the workers of one configuration; see server_pool.h
 *
 * Growth is driven by the workers: the one that takes the last idle place kicks
 * the master, which starts the next before anybody has to wait. Shrinking is slow
 * on purpose, half of the surplus every few seconds: mail comes in bursts.
 *
 * A worker that dies is replaced at once. Only when workers keep dying and none
 * serves a connection to its end is there a fault in all of them (a library, a
 * limit), and then starting more without pause would only take the machine down.
 */
#include "lmtp/server_pool.h"

#include "lda/lda.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>

#define SHRINK_INTERVAL_US (5 * G_USEC_PER_SEC)
#define BACKOFF_FIRST_US (G_USEC_PER_SEC / 10)
#define BACKOFF_MAX_US (10 * G_USEC_PER_SEC)

struct Pool {
    PoolParent parent;
    unsigned minimum;
    unsigned maximum;
    Scoreboard *board;
    size_t board_size;
    pid_t *pids;     /* a slot each; 0: free */
    bool *dismissed; /* a slot each: its worker was asked to go */
    guint64 served_at_last_death;
    unsigned deaths; /* in a row */
    gint64 start_after_us;
    gint64 shrink_at_us; /* 0: no surplus */
    gint64 empty_since_us;
};

typedef struct {
    unsigned alive; /* not counting those asked to go */
    unsigned busy;
    gint64 latest_busy_us;
} PoolCount;

unsigned
pool_wanted(unsigned busy, unsigned minimum, unsigned maximum)
{
    return CLAMP(busy + 1 + busy / 4, minimum, maximum);
}

gint64
pool_backoff_us(unsigned deaths)
{
    if (deaths < 2)
        return 0;
    return MIN(BACKOFF_FIRST_US << MIN(deaths - 2, 10), BACKOFF_MAX_US);
}

Pool *
pool_new(const PoolParent *parent, GError **error)
{
    g_autoptr(Pool) pool = g_new0(Pool, 1);
    void *memory;

    pool->parent = *parent;
    pool->minimum = parent->minimum;
    pool->maximum = parent->maximum;
    pool->board_size = sizeof(Scoreboard) + pool->maximum * sizeof(WorkerSlot);
    memory =
        mmap(NULL, pool->board_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        lodge_set_errno(error, "map %zu octets for the scoreboard", pool->board_size);
        return NULL;
    }
    pool->board = memory;
    pool->board->slot_count = pool->maximum;
    pool->empty_since_us = g_get_monotonic_time();
    pool->pids = g_new0(pid_t, pool->maximum);
    pool->dismissed = g_new0(bool, pool->maximum);
    return g_steal_pointer(&pool);
}

void
pool_free(Pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->board != NULL)
        munmap(pool->board, pool->board_size);
    g_free(pool->pids);
    g_free(pool->dismissed);
    g_free(pool);
}

static PoolCount
count_workers(const Pool *pool)
{
    PoolCount count = {0};

    for (guint i = 0; i < pool->maximum; i++) {
        const WorkerSlot *slot = &pool->board->slots[i];

        if (pool->pids[i] == 0 || pool->dismissed[i])
            continue;
        count.alive++;
        if (atomic_load(&slot->state) == WORKER_BUSY) {
            count.busy++;
            count.latest_busy_us = MAX(count.latest_busy_us, atomic_load(&slot->busy_since_us));
        }
    }
    return count;
}

/* ---- starting ------------------------------------------------------------ */

static GPtrArray *
own_listeners(const PoolParent *parent)
{
    GPtrArray *own = g_ptr_array_new();

    for (guint i = 0; i < parent->listeners->len; i++) {
        if (listener_service(g_ptr_array_index(parent->listeners, i)) == parent->service)
            g_ptr_array_add(own, g_ptr_array_index(parent->listeners, i));
    }
    return own;
}

G_GNUC_NORETURN static void
run_child(const Pool *pool, guint index)
{
    g_autoptr(GPtrArray) listeners = own_listeners(&pool->parent);
    WorkerContext context = {
        .settings = pool->parent.settings,
        .log = pool->parent.log,
        .listeners = listeners,
        .board = pool->board,
        .slot = index,
        .stop_fd = pool->parent.stop_fd,
        .kick_fd = pool->parent.kick_fd,
    };

    pool->parent.after_fork(pool->parent.data);
    /* No exit handlers and no flush: what is buffered is the master's. */
    _exit(pool->parent.run(&context));
}

static bool
start_worker(Pool *pool, guint index)
{
    WorkerSlot *slot = &pool->board->slots[index];

    atomic_store(&slot->state, WORKER_STARTING);
    atomic_store(&slot->busy_since_us, 0);
    pool->dismissed[index] = false;
    pid_t pid = fork();
    if (pid < 0) {
        g_warning("cannot start a %s: %s", pool->parent.name, g_strerror(errno));
        atomic_store(&slot->state, WORKER_NONE);
        return false;
    }
    if (pid == 0)
        run_child(pool, index);
    pool->pids[index] = pid;
    return true;
}

static void
start_workers(Pool *pool, unsigned count, gint64 now_us)
{
    for (guint i = 0; i < pool->maximum && count > 0; i++) {
        if (pool->pids[i] != 0)
            continue;
        if (!start_worker(pool, i)) {
            pool->start_after_us = now_us + BACKOFF_MAX_US / 10;
            return;
        }
        count--;
    }
}

/* ---- dismissing ---------------------------------------------------------- */

/* The worker ends at once, or, had it just taken a connection, after that one. */
static void
dismiss_idle(Pool *pool, unsigned count)
{
    for (guint i = pool->maximum; i > 0 && count > 0; i--) {
        int state = atomic_load(&pool->board->slots[i - 1].state);

        if (pool->pids[i - 1] == 0 || pool->dismissed[i - 1] || state != WORKER_IDLE)
            continue;
        pool->dismissed[i - 1] = true;
        (void)kill(pool->pids[i - 1], SIGTERM); /* our own child, not waited for: it is there */
        count--;
    }
}

static void
shrink(Pool *pool, unsigned surplus, gint64 now_us)
{
    if (surplus == 0) {
        pool->shrink_at_us = 0;
    } else if (pool->shrink_at_us == 0) {
        pool->shrink_at_us = now_us + SHRINK_INTERVAL_US;
    } else if (now_us >= pool->shrink_at_us) {
        dismiss_idle(pool, (surplus + 1) / 2);
        pool->shrink_at_us = now_us + SHRINK_INTERVAL_US;
    }
}

gint64
pool_adjust(Pool *pool, gint64 now_us)
{
    PoolCount count = count_workers(pool);
    unsigned wanted = pool_wanted(count.busy, pool->minimum, pool->maximum);
    gint64 next_us = G_MAXINT64;

    if (atomic_load(&pool->board->needs_mime))
        lda_load_mime();
    if (count.alive < wanted && now_us >= pool->start_after_us)
        start_workers(pool, wanted - count.alive, now_us);
    if (now_us < pool->start_after_us)
        next_us = pool->start_after_us;
    shrink(pool, count.alive > wanted ? count.alive - wanted : 0, now_us);
    if (pool->shrink_at_us != 0)
        next_us = MIN(next_us, pool->shrink_at_us);
    else if (count.alive > pool->minimum) /* nobody tells when they become idle */
        next_us = MIN(next_us, now_us + SHRINK_INTERVAL_US);
    return next_us;
}

/* ---- the end of a worker ------------------------------------------------- */

static void
log_death(const char *name, pid_t pid, int status, bool busy)
{
    const char *harm = busy ? "; its client gets no reply and tries again" : "";

    if (WIFSIGNALED(status))
        g_warning("%s %d was killed by signal %d (%s)%s", name, (int)pid, WTERMSIG(status),
                  g_strsignal(WTERMSIG(status)), harm);
    else
        g_warning("%s %d ended with status %d%s", name, (int)pid, WEXITSTATUS(status), harm);
}

static void
back_off(Pool *pool, gint64 now_us)
{
    guint64 served = atomic_load(&pool->board->served);

    pool->deaths = served == pool->served_at_last_death ? pool->deaths + 1 : 1;
    pool->served_at_last_death = served;
    gint64 delay_us = pool_backoff_us(pool->deaths);
    if (delay_us > 0) {
        pool->start_after_us = now_us + delay_us;
        g_warning("%u %ss died in a row; the next start is in %.1f s", pool->deaths,
                  pool->parent.name, (double)delay_us / G_USEC_PER_SEC);
    }
}

bool
pool_reap(Pool *pool, pid_t pid, int status, gint64 now_us)
{
    for (guint i = 0; i < pool->maximum; i++) {
        if (pool->pids[i] != pid)
            continue;
        int state = atomic_exchange(&pool->board->slots[i].state, WORKER_NONE);
        pool->pids[i] = 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EX_OK) {
            log_death(pool->parent.name, pid, status, state == WORKER_BUSY);
            back_off(pool, now_us);
        }
        if (count_workers(pool).alive == 0)
            pool->empty_since_us = now_us;
        return true;
    }
    return false;
}

gint64
pool_stuck_since(const Pool *pool)
{
    PoolCount count = count_workers(pool);

    if (count.alive == 0)
        return pool->empty_since_us;
    return count.busy == count.alive && count.alive == pool->maximum ? count.latest_busy_us : 0;
}

void
pool_signal(const Pool *pool, int signal_number, GArray *pids)
{
    for (guint i = 0; i < pool->maximum; i++) {
        if (pool->pids[i] == 0)
            continue;
        (void)kill(pool->pids[i], signal_number); /* our own child, not waited for: it is there */
        if (pids != NULL)
            g_array_append_val(pids, pool->pids[i]);
    }
}

unsigned
pool_size(const Pool *pool)
{
    unsigned size = 0;

    for (guint i = 0; i < pool->maximum; i++)
        size += pool->pids[i] != 0;
    return size;
}
