/* lmtp/server.c - the master: listen, keep workers, reload, drain; see server.h
 *
 * A loop around poll(2) that never reads a byte of a client. Signals arrive as
 * descriptors, so nothing ever happens between two lines of this file.
 *
 * All workers hold one end of a socket pair, the master the other: when the
 * master closes its end, or dies, their sessions wind up. A reload must not
 * disturb sessions, so there SIGTERM only tells each worker to go after its
 * connection. Only the master draws no random numbers: children would share its seed.
 */
#include "lmtp/server.h"

#include "lda/log.h"
#include "lda/outcome.h"
#include "lmtp/policy_worker.h"
#include "lmtp/server_listeners.h"
#include "lmtp/server_pool.h"
#include "lmtp/server_sweep.h"
#include "lmtp/server_upgrade.h"
#include "lmtp/systemd.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define REPLY_BUSY "421 4.3.2 all workers are busy, try again later\r\n"
#define REPLY_STOPPING "421 4.3.2 the server is shutting down\r\n"
#define SWEEP_INTERVAL_US (G_GINT64_CONSTANT(24) * 3600 * G_USEC_PER_SEC)

typedef struct {
    const ServerOptions *options;
    ServerSettings *settings;
    Log *log;
    GPtrArray *listeners; /* of Listener */
    Pool *pools[LISTENER_SERVICES];
    GArray *retired; /* of pid_t: workers of former pools and former programs */
    int signal_fd;
    int kick_fd;
    int stop_read_fd;
    int stop_write_fd;
    gint64 waiting_since_us; /* a connection was seen waiting while all workers were busy */
    gint64 sweep_at_us;
    pid_t sweep_pid;   /* 0: none */
    pid_t upgrade_pid; /* of the check before an upgrade; 0: none */
    bool stopping;
    gint64 kill_at_us;
} Server;

/* ---- starting ------------------------------------------------------------ */

static bool
block_signals(Server *server, GError **error)
{
    static const int numbers[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        sigaddset(&set, numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file over our size limit fails like one on a full disk */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return lodge_set_errno(error, "receive signals");
    return true;
}

/* A socket pair and not a pipe: at the end of a pipe poll(2) says POLLHUP alone,
 * at that of a socket POLLIN as well. */
static bool
open_channels(Server *server, const Handover *handover, GError **error)
{
    int pair[2] = {handover->stop_read_fd, handover->stop_write_fd};

    if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return lodge_set_errno(error, "create a socket pair");
    server->stop_read_fd = pair[0];
    server->stop_write_fd = pair[1];
    server->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return server->kick_fd >= 0 || lodge_set_errno(error, "create an eventfd");
}

/* The log belongs to the user who writes it later, here and in `deliver`. */
static Log *
open_log(const ServerSettings *settings, GError **error)
{
    if (settings->privileges != NULL && !privileges_borrow(settings->privileges, error))
        return NULL;
    Log *log = log_open(settings->config, "lodged");
    if (settings->privileges != NULL)
        privileges_return();
    return log;
}

/* First thing in a child: what only the master may hold. */
static void
after_fork(void *data)
{
    Server *server = data;

    lodge_close(&server->signal_fd);
    lodge_close(&server->stop_write_fd);
}

static bool
has_service(const Server *server, ListenerService service)
{
    for (guint i = 0; i < server->listeners->len; i++) {
        if (listener_service(g_ptr_array_index(server->listeners, i)) == service)
            return true;
    }
    return false;
}

/* A pool for each service; one that has no socket gets no workers. */
static bool
new_pools(Server *server, const ServerSettings *settings, Log *log, Pool **pools_out,
          GError **error)
{
    const LdaConfig *config = settings->config;
    unsigned policy_workers =
        has_service(server, LISTENER_POLICY) ? (unsigned)config->policy.workers : 0;
    PoolParent parent = {
        .name = "worker",
        .service = LISTENER_LMTP,
        .minimum = (unsigned)config->lmtp.min_workers,
        .maximum = (unsigned)config->lmtp.max_workers,
        .run = worker_run,
        .settings = settings,
        .log = log,
        .listeners = server->listeners,
        .stop_fd = server->stop_read_fd,
        .kick_fd = server->kick_fd,
        .after_fork = after_fork,
        .data = server,
    };
    g_autoptr(Pool) lmtp = pool_new(&parent, error);

    parent.name = "policy worker";
    parent.service = LISTENER_POLICY;
    parent.minimum = parent.maximum = policy_workers;
    parent.run = policy_worker_run;
    Pool *policy = lmtp != NULL ? pool_new(&parent, error) : NULL;
    if (policy == NULL)
        return false;
    pools_out[LISTENER_LMTP] = g_steal_pointer(&lmtp);
    pools_out[LISTENER_POLICY] = policy;
    return true;
}

static void
start_workers(Pool *const *pools)
{
    for (int i = 0; i < LISTENER_SERVICES; i++)
        (void)pool_adjust(pools[i], g_get_monotonic_time()); /* the loop asks for the time again */
}

static void
signal_workers(const Server *server, int signal_number, GArray *pids)
{
    for (int i = 0; i < LISTENER_SERVICES; i++)
        pool_signal(server->pools[i], signal_number, pids);
}

static unsigned
count_workers(const Server *server)
{
    unsigned count = server->retired->len;

    for (int i = 0; i < LISTENER_SERVICES; i++)
        count += pool_size(server->pools[i]);
    return count;
}

static void
notify_ready(const Server *server)
{
    g_autofree char *where = server_listeners_format(server->listeners);
    g_autofree char *state = g_strdup_printf("READY=1\nSTATUS=serving %s with %" G_GUINT64_FORMAT
                                             " to %" G_GUINT64_FORMAT " workers",
                                             where, server->settings->config->lmtp.min_workers,
                                             server->settings->config->lmtp.max_workers);

    systemd_notify(state);
}

static void
retire_workers(const GArray *pids)
{
    for (guint i = 0; i < pids->len; i++)
        (void)kill(g_array_index(pids, pid_t, i), SIGTERM); /* our own, not waited for */
}

static bool
start(Server *server, GError **error)
{
    g_autoptr(GPtrArray) gone = NULL;
    Handover handover = {0};

    server->listeners = server_listeners_new();
    if (!upgrade_inherit(server->listeners, &handover, error))
        return false;
    server->retired = handover.pids;
    if (!server_listeners_adopt_passed(server->listeners, error) ||
        !server_listeners_follow(server->listeners, server->settings, &gone, error) ||
        !open_channels(server, &handover, error) || !block_signals(server, error) ||
        (server->log = open_log(server->settings, error)) == NULL || !privileges_limit_root(error))
        return false;
    log_capture_messages(server->log);
    if (!new_pools(server, server->settings, server->log, server->pools, error))
        return false;
    start_workers(server->pools);
    retire_workers(server->retired);
    server_listeners_shut_down(gone, REPLY_STOPPING);

    g_autofree char *where = server_listeners_format(server->listeners);
    g_message("lodged " LODGE_VERSION " serves %s", where);
    notify_ready(server);
    return true;
}

/* ---- reload, upgrade, stop ----------------------------------------------- */

/* New workers first, then the old ones are told to go: at no time does nobody
 * accept. settings may be those we have: then only log and workers are new. */
static bool
replace_workers(Server *server, ServerSettings *settings, GError **error)
{
    Pool *pools[LISTENER_SERVICES];
    g_autoptr(GPtrArray) gone = NULL;
    g_autoptr(Log) log = open_log(settings, error);

    if (log == NULL || !server_listeners_follow(server->listeners, settings, &gone, error))
        return false;
    if (!new_pools(server, settings, log, pools, error))
        return false;
    log_close(server->log); /* first: no new worker shall hold the old file */
    server->log = g_steal_pointer(&log);
    log_capture_messages(server->log);
    start_workers(pools);
    signal_workers(server, SIGTERM, server->retired);
    server_listeners_shut_down(gone, REPLY_STOPPING);

    for (int i = 0; i < LISTENER_SERVICES; i++) {
        pool_free(server->pools[i]);
        server->pools[i] = pools[i];
    }
    if (settings != server->settings)
        server_settings_free(server->settings);
    server->settings = settings;
    return true;
}

static void
reload(Server *server)
{
    g_autoptr(GError) complaint = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(ServerSettings) settings =
        server_settings_load(server->options->config_path, server->options->overrides, &complaint);

    systemd_notify_reloading();
    if (settings != NULL && replace_workers(server, settings, &complaint)) {
        settings = NULL; /* taken */
        g_message("configuration reloaded");
    } else {
        /* The log was rotated all the same, perhaps: that needs new workers too. */
        if (!replace_workers(server, server->settings, &error))
            g_warning("the workers stay as they were: %s", error->message);
        g_warning("the configuration stays as it was: %s", complaint->message);
    }
    notify_ready(server);
}

static void
begin_upgrade(Server *server)
{
    if (server->upgrade_pid != 0)
        return;
    pid_t pid = upgrade_start_check(server->options->argv);
    if (pid < 0)
        g_warning("cannot check the new program: %s", g_strerror(errno));
    else
        server->upgrade_pid = pid;
}

/* The check has ended: become the new program, or say why not. */
static void
finish_upgrade(Server *server, int status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    Handover handover = {
        .stop_read_fd = server->stop_read_fd,
        .stop_write_fd = server->stop_write_fd,
        .pids = pids,
    };

    if (server->stopping)
        return;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        g_warning("not upgraded: '%s -t' failed", server->options->argv[0]);
        return;
    }
    g_array_append_vals(pids, server->retired->data, server->retired->len);
    signal_workers(server, 0, pids); /* signal 0: only their process ids */
    g_message("upgrading: starting '%s'", server->options->argv[0]);
    systemd_notify_reloading();
    (void)upgrade_exec(server->options->argv, server->listeners, &handover, &error);
    g_warning("not upgraded: %s", error->message);
    notify_ready(server);
}

static void
stop(Server *server)
{
    guint64 seconds = server->settings->config->lmtp.drain_timeout;

    if (server->stopping)
        return;
    g_message("stopping: transactions in progress have %" G_GUINT64_FORMAT " s to end", seconds);
    systemd_notify("STOPPING=1\nSTATUS=waiting for transactions in progress");
    server->stopping = true;
    server->kill_at_us = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    server_listeners_shut_down(server->listeners, REPLY_STOPPING);
    lodge_close(&server->stop_write_fd);
    if (server->sweep_pid != 0)
        (void)kill(server->sweep_pid, SIGTERM);
}

/* ---- children ------------------------------------------------------------ */

static bool
forget_retired(Server *server, pid_t pid)
{
    for (guint i = 0; i < server->retired->len; i++) {
        if (g_array_index(server->retired, pid_t, i) == pid) {
            g_array_remove_index_fast(server->retired, i);
            return true;
        }
    }
    return false;
}

static void
reap(Server *server)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == server->sweep_pid) {
            server->sweep_pid = 0;
        } else if (pid == server->upgrade_pid) {
            server->upgrade_pid = 0;
            finish_upgrade(server, status);
        } else if (forget_retired(server, pid)) {
            if (WIFSIGNALED(status) && !server->stopping)
                g_warning("worker %d, on its last connection, was killed by signal %d (%s)",
                          (int)pid, WTERMSIG(status), g_strsignal(WTERMSIG(status)));
        } else {
            /* Not ours at all: the child of a sweep or check from before an upgrade. */
            for (int i = 0; i < LISTENER_SERVICES; i++)
                if (pool_reap(server->pools[i], pid, status, g_get_monotonic_time()))
                    break;
        }
    }
}

static void
kill_stragglers(Server *server)
{
    g_warning("%u workers did not end in time and are killed; their clients try again",
              count_workers(server));
    signal_workers(server, SIGKILL, NULL);
    for (guint i = 0; i < server->retired->len; i++)
        (void)kill(g_array_index(server->retired, pid_t, i), SIGKILL);
    server->kill_at_us = G_MAXINT64;
}

static void
start_sweep(Server *server, gint64 now_us)
{
    server->sweep_at_us = now_us + SWEEP_INTERVAL_US;
    if (server->sweep_pid != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        after_fork(server);
        _exit(server_sweep(server->settings));
    }
    if (pid < 0)
        g_warning("cannot start the sweep of old files in tmp/: %s", g_strerror(errno));
    else
        server->sweep_pid = pid;
}

/* ---- the loop ------------------------------------------------------------ */

static void
handle_signals(Server *server)
{
    struct signalfd_siginfo info;

    while (read(server->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(server);
            break;
        case SIGHUP:
            if (!server->stopping)
                reload(server);
            break;
        case SIGUSR2:
            if (!server->stopping)
                begin_upgrade(server);
            break;
        default:
            stop(server);
        }
    }
}

/* Sleeps until due_us at most. True when a connection of LMTP waits and watch_listeners
 * asked for that. */
static bool
wait_for_events(Server *server, gint64 due_us, bool watch_listeners)
{
    guint count = 2 + (watch_listeners ? server->listeners->len : 0);
    g_autofree struct pollfd *fds = g_new0(struct pollfd, count);
    gint64 timeout_us = due_us - g_get_monotonic_time();
    int timeout_ms = due_us == G_MAXINT64 ? -1 : (int)CLAMP(timeout_us / 1000 + 1, 0, G_MAXINT);
    bool waiting = false;
    guint64 kicks;

    fds[0] = (struct pollfd){.fd = server->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = server->kick_fd, .events = POLLIN};
    for (guint i = 2; i < count; i++) {
        const Listener *listener = g_ptr_array_index(server->listeners, i - 2);

        fds[i] = (struct pollfd){.fd = listener_fd(listener), .events = POLLIN};
        if (listener_service(listener) != LISTENER_LMTP)
            fds[i].fd = -1;
    }
    if (poll(fds, count, timeout_ms) <= 0)
        return false;
    for (guint i = 2; i < count; i++)
        waiting = waiting || fds[i].revents != 0;
    if (fds[1].revents != 0)
        (void)!read(server->kick_fd, &kicks, sizeof kicks); /* the loop looks anyway */
    if (fds[0].revents != 0)
        handle_signals(server);
    return waiting;
}

static void
refuse_waiting(Server *server)
{
    unsigned count = 0;

    for (guint i = 0; i < server->listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(server->listeners, i);

        if (listener_service(listener) == LISTENER_LMTP)
            count += listener_refuse_waiting(listener, REPLY_BUSY);
    }
    server->waiting_since_us = 0;
    if (count > 0)
        g_warning("none of %u workers is free: refused %u connections",
                  pool_size(server->pools[LISTENER_LMTP]), count);
}

/* Connections that no worker takes wait in the backlog; after busy_wait seconds in
 * which not one was taken, all that wait are refused. Returns when to look again;
 * *watch_out is set when a connection that waits should be reported. */
static gint64
watch_backlog(Server *server, gint64 now_us, bool *watch_out)
{
    gint64 stuck_since_us = pool_stuck_since(server->pools[LISTENER_LMTP]);

    *watch_out = false;
    if (stuck_since_us == 0) {
        server->waiting_since_us = 0;
        return G_MAXINT64;
    }
    if (server->waiting_since_us == 0) {
        *watch_out = true;
        return G_MAXINT64;
    }
    gint64 due_us = MAX(server->waiting_since_us, stuck_since_us) +
                    (gint64)server->settings->config->lmtp.busy_wait * G_USEC_PER_SEC;
    if (now_us < due_us)
        return due_us;
    refuse_waiting(server);
    *watch_out = true;
    return G_MAXINT64;
}

static void
serve(Server *server)
{
    while (!server->stopping) {
        gint64 now_us = g_get_monotonic_time();
        bool watch;

        if (now_us >= server->sweep_at_us)
            start_sweep(server, now_us);
        gint64 due_us = server->sweep_at_us;
        for (int i = 0; i < LISTENER_SERVICES; i++)
            due_us = MIN(due_us, pool_adjust(server->pools[i], now_us));
        due_us = MIN(due_us, watch_backlog(server, now_us, &watch));
        if (wait_for_events(server, due_us, watch))
            server->waiting_since_us = g_get_monotonic_time();
    }
    while (count_workers(server) > 0) {
        if (g_get_monotonic_time() >= server->kill_at_us)
            kill_stragglers(server);
        (void)wait_for_events(server, server->kill_at_us, false);
    }
    g_message("stopped");
}

bool
server_run(ServerSettings *settings, const ServerOptions *options, GError **error)
{
    Server server = {
        .options = options,
        .settings = settings,
        .signal_fd = -1,
        .kick_fd = -1,
        .stop_read_fd = -1,
        .stop_write_fd = -1,
    };
    bool started = start(&server, error);

    if (started)
        serve(&server);
    for (int i = 0; i < LISTENER_SERVICES; i++)
        pool_free(server.pools[i]);
    log_close(server.log);
    g_clear_pointer(&server.listeners, g_ptr_array_unref);
    g_clear_pointer(&server.retired, g_array_unref);
    server_settings_free(server.settings);
    lodge_close(&server.signal_fd);
    lodge_close(&server.kick_fd);
    lodge_close(&server.stop_read_fd);
    lodge_close(&server.stop_write_fd);
    return started;
}
