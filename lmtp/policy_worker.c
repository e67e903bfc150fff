/* lmtp/policy_worker.c - the process that answers policy requests; see policy_worker.h
 *
 * A loop around epoll(7). Each turn serves every connection that is ready once, and then
 * accepts one new connection from each listener: so workers share them. Connections stand
 * in a queue in the order of their last sign of life; its head is closed when it has been
 * silent for too long, or when there is no room for another.
 */
#include "lmtp/policy_worker.h"

#include "lda/lda.h"
#include "lmtp/peer.h"
#include "lmtp/policy_session.h"

#include <sys/epoll.h>
#include <sysexits.h>

/* Below the usual limit of 1024 descriptors a process. Of two workers, 1800 processes smtpd. */
#define CONNECTIONS_MAX 900

/* A map or a mailbox that stays locked is waited for so long, not for [map] busy_timeout or
 * [quota] lock_timeout: others wait behind that request, and to be put off at RCPT costs nobody
 * anything. */
#define WAIT_S 1

/* How much of one connection is answered before the worker goes. */
#define LAST_READS 64

typedef enum { SOURCE_LEAVE, SOURCE_LISTENER, SOURCE_CONNECTION } SourceKind;

/* What an event of epoll points to: first member of what it stands for. */
typedef struct {
    SourceKind kind;
} Source;

typedef struct {
    Source source;
    const Listener *listener;
} ListenerSource;

typedef struct {
    Source source;
    int fd; /* the session's */
    PolicySession *session;
    bool is_writing; /* waits for the client to read */
    gint64 active_us;
    GList link; /* in Worker.connections */
} Connection;

typedef struct {
    const WorkerContext *context;
    Lda *lda;
    int epoll_fd;
    Source leave;
    ListenerSource *listeners;
    GQueue connections; /* of Connection; the one silent for longest is the head */
} Worker;

static bool
watch(const Worker *worker, int operation, int fd, guint32 events, void *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    return epoll_ctl(worker->epoll_fd, operation, fd, &event) == 0;
}

static bool
watch_all(Worker *worker, int term_fd)
{
    const WorkerContext *context = worker->context;

    if (!watch(worker, EPOLL_CTL_ADD, term_fd, EPOLLIN, &worker->leave) ||
        !watch(worker, EPOLL_CTL_ADD, context->stop_fd, EPOLLIN, &worker->leave))
        return false;
    worker->listeners = g_new0(ListenerSource, context->listeners->len);
    for (guint i = 0; i < context->listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(context->listeners, i);

        worker->listeners[i] = (ListenerSource){{SOURCE_LISTENER}, listener};
        if (!watch(worker, EPOLL_CTL_ADD, listener_fd(listener), EPOLLIN | EPOLLEXCLUSIVE,
                   &worker->listeners[i]))
            return false;
    }
    return true;
}

/* Opens what the worker needs for all its life. Returns an exit status. */
static int
prepare(Worker *worker)
{
    LdaConfig *config = worker->context->settings->config; /* ours alone since the fork */
    int term_fd = -1;
    int status = worker_prepare(worker->context, &term_fd);

    if (status != EX_OK)
        return status;
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll_fd < 0 || !watch_all(worker, term_fd)) {
        g_critical("policy worker: cannot watch sockets: %s", g_strerror(errno));
        return EX_OSERR;
    }
    config->map.busy_timeout = MIN(config->map.busy_timeout, WAIT_S);
    config->quota.lock_timeout = MIN(config->quota.lock_timeout, WAIT_S);
    worker->lda = lda_new(config, worker->context->log);
    return EX_OK;
}

/* ---- connections ---------------------------------------------------------- */

static void
connection_close(Worker *worker, Connection *connection)
{
    g_queue_unlink(&worker->connections, &connection->link);
    policy_session_free(connection->session); /* closed, it leaves the epoll set */
    g_free(connection);
}

static void
close_longest_silent(Worker *worker)
{
    if (worker->connections.head != NULL)
        connection_close(worker, worker->connections.head->data);
}

static void
connection_open(Worker *worker, int fd, const struct sockaddr_storage *peer)
{
    g_autofree char *name = peer_describe((const struct sockaddr *)peer);
    Connection *connection = g_new0(Connection, 1);

    connection->source.kind = SOURCE_CONNECTION;
    connection->fd = fd;
    connection->session = policy_session_new(fd, name, worker->lda);
    connection->active_us = g_get_monotonic_time();
    connection->link.data = connection;
    g_queue_push_tail_link(&worker->connections, &connection->link);
    if (!watch(worker, EPOLL_CTL_ADD, fd, EPOLLIN, connection))
        connection_close(worker, connection); /* the client tries another */
}

static void
accept_one(Worker *worker, const Listener *listener)
{
    struct sockaddr_storage peer;
    int fd;

    if (worker->connections.length >= CONNECTIONS_MAX)
        close_longest_silent(worker);
    fd = listener_accept(listener, &peer);
    if (fd >= 0) {
        connection_open(worker, fd, &peer);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        g_warning("cannot accept a connection: %s", g_strerror(errno));
        close_longest_silent(worker);
        g_usleep(G_USEC_PER_SEC / 10); /* the connection waits; do not spin until there is room */
    }
}

static void
serve(Worker *worker, Connection *connection)
{
    PolicyWait wait = policy_session_serve(connection->session);
    bool is_writing = wait == POLICY_WAIT_WRITE;

    if (wait == POLICY_CLOSED) {
        connection_close(worker, connection);
        return;
    }
    connection->active_us = g_get_monotonic_time();
    g_queue_unlink(&worker->connections, &connection->link);
    g_queue_push_tail_link(&worker->connections, &connection->link);
    atomic_fetch_add(&worker->context->board->served, 1);
    if (is_writing == connection->is_writing)
        return;
    connection->is_writing = is_writing;
    if (!watch(worker, EPOLL_CTL_MOD, connection->fd, is_writing ? EPOLLOUT : EPOLLIN, connection))
        connection_close(worker, connection);
}

/* Closes what has been silent for too long. Returns how long to wait for the next, in
 * milliseconds. */
static int
close_idle(Worker *worker)
{
    gint64 limit_us =
        (gint64)worker->context->settings->config->policy.idle_timeout * G_USEC_PER_SEC;
    gint64 now_us = g_get_monotonic_time();

    while (worker->connections.head != NULL) {
        const Connection *first = worker->connections.head->data;
        gint64 left_us = first->active_us + limit_us - now_us;

        if (left_us > 0)
            return (int)MIN(left_us / 1000 + 1, G_MAXINT);
        close_longest_silent(worker);
    }
    return -1;
}

/* What has been asked is answered; the rest Postfix asks elsewhere. */
static void
close_all(Worker *worker)
{
    while (worker->connections.head != NULL) {
        Connection *connection = worker->connections.head->data;

        for (int i = 0; i < LAST_READS; i++) {
            if (policy_session_serve(connection->session) != POLICY_SERVED)
                break;
        }
        connection_close(worker, connection);
    }
}

/* ---- the loop -------------------------------------------------------------- */

/* One turn. False: it is time to go. Connections first: to accept may close one, whose
 * event must not be looked at any more. */
static bool
turn(Worker *worker)
{
    struct epoll_event events[64];
    int ready = epoll_wait(worker->epoll_fd, events, G_N_ELEMENTS(events), close_idle(worker));
    bool stay = true;

    for (int i = 0; i < ready; i++) {
        Source *source = events[i].data.ptr;

        if (source->kind == SOURCE_CONNECTION)
            serve(worker, events[i].data.ptr);
        else if (source->kind == SOURCE_LEAVE)
            stay = false;
        else
            continue;
        events[i].data.ptr = NULL;
    }
    for (int i = 0; stay && i < ready; i++) {
        const ListenerSource *source = events[i].data.ptr;

        if (source != NULL)
            accept_one(worker, source->listener);
    }
    return stay;
}

int
policy_worker_run(const WorkerContext *context)
{
    Worker worker = {
        .context = context, .epoll_fd = -1, .leave = {SOURCE_LEAVE}, .connections = G_QUEUE_INIT};
    int status = prepare(&worker);

    if (status != EX_OK)
        return status;
    atomic_store(&context->board->slots[context->slot].state, WORKER_IDLE);
    while (turn(&worker))
        ;
    close_all(&worker);
    lda_free(worker.lda);
    return EX_OK;
}
