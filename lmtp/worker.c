/* lmtp/worker.c - the process that serves connections, one at a time; see worker.h
 *
 * All idle workers wait on all listeners with EPOLLEXCLUSIVE: a connection wakes
 * one of them and not the herd. SIGTERM is read from a descriptor and looked at
 * before any listener; as a signal it could interrupt a delivery, or lose the
 * race against the next connection.
 */
#include "lmtp/worker.h"

#include "lda/lda.h"
#include "lmtp/peer.h"
#include "lmtp/session.h"

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>

#define TAG_LEAVE G_MAXUINT32 /* else the index of a listener */

/* Without a connection for so long, memory goes back to the system: the heap keeps
 * the buffer of the largest message otherwise. Not after each connection, since the
 * next one would have to fault all of it in again. */
#define IDLE_TRIM_MS 5000

typedef struct {
    const WorkerContext *context;
    WorkerSlot *slot;
    Lda *lda;
    int epoll_fd;
    guint first; /* listener to look at first, so that a busy one cannot starve the others */
} Worker;

static bool
watch(int epoll_fd, int fd, guint32 events, guint32 tag, GError **error)
{
    struct epoll_event event = {.events = events, .data.u32 = tag};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ||
           lodge_set_errno(error, "watch descriptor %d", fd);
}

static int
open_epoll(const WorkerContext *context, int term_fd, GError **error)
{
    lodge_autofd fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0) {
        lodge_set_errno(error, "create an epoll descriptor");
        return -1;
    }
    if (!watch(fd, term_fd, EPOLLIN, TAG_LEAVE, error) ||
        !watch(fd, context->stop_fd, EPOLLIN, TAG_LEAVE, error))
        return -1;
    for (guint i = 0; i < context->listeners->len; i++) {
        if (!watch(fd, listener_fd(g_ptr_array_index(context->listeners, i)),
                   EPOLLIN | EPOLLEXCLUSIVE, i, error))
            return -1;
    }
    return lodge_steal_fd(&fd);
}

int
worker_prepare(const WorkerContext *context, int *term_fd_out)
{
    g_autoptr(GError) error = NULL;
    bool keep_switching = context->settings->config->mail.per_user_ids;
    sigset_t term;

    if (context->settings->privileges != NULL &&
        !privileges_drop(context->settings->privileges, keep_switching, &error)) {
        g_critical("worker: %s", error->message);
        return EX_NOPERM;
    }
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    *term_fd_out = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*term_fd_out >= 0)
        return EX_OK;
    g_critical("worker: cannot open a signal descriptor: %s", g_strerror(errno));
    return EX_OSERR;
}

/* Opens what the worker needs for all its life. Returns an exit status. */
static int
prepare(Worker *worker, const WorkerContext *context)
{
    g_autoptr(GError) error = NULL;
    int term_fd = -1;
    int status = worker_prepare(context, &term_fd);

    if (status != EX_OK)
        return status;
    /* Mail is for the group of its Maildir if that is; chmod(2) for each message would do as well.
     */
    umask(007);
    worker->epoll_fd = open_epoll(context, term_fd, &error);
    if (worker->epoll_fd < 0) {
        g_critical("worker: %s", error->message);
        return EX_OSERR;
    }
    worker->lda = lda_new(context->settings->config, context->log);
    return EX_OK;
}

/* Waits for a connection. The index of a listener that has one, or TAG_LEAVE. */
static guint32
wait_for_connection(Worker *worker)
{
    struct epoll_event events[64];
    int timeout_ms = IDLE_TRIM_MS;

    for (;;) {
        guint32 best = TAG_LEAVE;
        guint count = worker->context->listeners->len;
        int ready = epoll_wait(worker->epoll_fd, events, G_N_ELEMENTS(events), timeout_ms);

        if (ready == 0) {
            (void)malloc_trim(0);
            timeout_ms = -1;
        }
        for (int i = 0; i < ready; i++) {
            guint32 tag = events[i].data.u32;

            if (tag == TAG_LEAVE)
                return TAG_LEAVE;
            if (best == TAG_LEAVE ||
                (tag + count - worker->first) % count < (best + count - worker->first) % count)
                best = tag;
        }
        if (best != TAG_LEAVE)
            return best;
    }
}

static void
kick_master(const Worker *worker)
{
    guint64 one = 1;

    /* A full counter wakes the master just as well. */
    (void)!write(worker->context->kick_fd, &one, sizeof one);
}

/* Tells the master when nobody is left to take the next connection. */
static void
become_busy(Worker *worker)
{
    const Scoreboard *board = worker->context->board;

    atomic_store(&worker->slot->busy_since_us, g_get_monotonic_time());
    atomic_store(&worker->slot->state, WORKER_BUSY);
    for (guint i = 0; i < board->slot_count; i++) {
        int state = atomic_load(&board->slots[i].state);

        if (state == WORKER_STARTING || state == WORKER_IDLE)
            return;
    }
    kick_master(worker);
}

static void
serve(Worker *worker, int fd, const struct sockaddr_storage *peer)
{
    const ServerSettings *settings = worker->context->settings;
    const struct sockaddr *address = (const struct sockaddr *)peer;
    g_autofree char *description = peer_describe(address);
    LmtpConnection connection = {
        .fd = fd,
        .stop_fd = worker->context->stop_fd,
        .peer = description,
        .trusted = peer_is_trusted(address, settings->networks),
    };

    lmtp_session_run(worker->lda, settings->config, &connection);
    if (lda_needs_mime() && !atomic_exchange(&worker->context->board->needs_mime, true))
        kick_master(worker);
    atomic_fetch_add(&worker->context->board->served, 1);
}

static void
take_connection(Worker *worker, const Listener *listener)
{
    struct sockaddr_storage peer;
    lodge_autofd fd = listener_accept(listener, &peer);

    if (fd >= 0) {
        become_busy(worker);
        serve(worker, fd, &peer);
        atomic_store(&worker->slot->state, WORKER_IDLE);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        g_warning("cannot accept a connection: %s", g_strerror(errno));
        g_usleep(G_USEC_PER_SEC / 10); /* the connection waits; do not spin until there is room */
    }
}

int
worker_run(const WorkerContext *context)
{
    Worker worker = {.context = context, .slot = &context->board->slots[context->slot]};
    int status = prepare(&worker, context);

    if (status != EX_OK)
        return status;
    atomic_store(&worker.slot->state, WORKER_IDLE);
    for (;;) {
        guint32 index = wait_for_connection(&worker);

        if (index == TAG_LEAVE)
            break;
        take_connection(&worker, g_ptr_array_index(context->listeners, index));
        worker.first = (index + 1) % context->listeners->len;
    }
    lda_free(worker.lda);
    return EX_OK;
}
