/* tests/bench/lmtp_load.c - sends mail by LMTP as fast as it is taken
 *
 * N connections in one process with epoll(7), each a small state machine that
 * behaves as Postfix's lmtp(8) does: MAIL, all RCPT and DATA in one write, the
 * message when their replies are there, and the next transaction on the same
 * connection when every recipient has its reply:
 *
 *   GREETING -> LHLO -> ENVELOPE -> BODY -> ENVELOPE -> …
 *
 * Each message has a Message-ID of its own, as mail has.
 *
 * A recipient counts as a delivery only when its reply after the data is 2xx;
 * anything else is an error and shown. Lost connections are errors as well, and
 * are opened again.
 *
 * Where it may (as root), it runs at a higher priority than what it measures: a
 * client is on another machine, or is twenty processes; this one process, waiting
 * for its turn among the workers on two cores, would be what is measured.
 */
#include "tests/bench/bench.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char *address, *recipient_pattern;
static int connections = 1, recipients = 1, users = 400, size = 4096, transactions, reuse, first;
static double seconds = 2;

static const GOptionEntry options[] = {
    {"to", 0, 0, G_OPTION_ARG_STRING, &address, "unix:PATH or inet:IPV4:PORT", "ADDRESS"},
    {"connections", 'c', 0, G_OPTION_ARG_INT, &connections, "connections at once", "N"},
    {"recipients", 'r', 0, G_OPTION_ARG_INT, &recipients, "recipients of each message", "N"},
    {"users", 0, 0, G_OPTION_ARG_INT, &users, "recipients to take in turn", "N"},
    {"first", 0, 0, G_OPTION_ARG_INT, &first, "recipient to begin with", "N"},
    {"recipient", 0, 0, G_OPTION_ARG_STRING, &recipient_pattern,
     "address, # is the user's number (user#@example.org)", "PATTERN"},
    {"size", 's', 0, G_OPTION_ARG_INT, &size, "octets of the message", "N"},
    {"seconds", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "how long", "S"},
    {"transactions", 'n', 0, G_OPTION_ARG_INT, &transactions, "stop after so many", "N"},
    {"reuse", 0, 0, G_OPTION_ARG_INT, &reuse, "transactions on a connection (0: no limit)", "N"},
    G_OPTION_ENTRY_NULL,
};

typedef enum { GREETING, LHLO, ENVELOPE, BODY, CLOSED } State;

typedef struct {
    int fd;
    State state;
    GString *in;         /* replies, as far as read */
    struct iovec out[2]; /* yet to be sent: a command, or the two parts of a message */
    bool is_waiting;     /* for room to send */
    GString *envelope;
    GString *message_id; /* the first line of the message */
    int replies;         /* seen in this state */
    int accepted;        /* recipients, in this transaction */
    int done;            /* transactions on this connection */
    gint64 started_us;
} Connection;

typedef struct {
    int epoll_fd;
    GString *message;
    GArray *latencies; /* gint64, microseconds a transaction */
    gint64 end_us;
    gint64 deliveries;
    int started, errors, user;
    bool size_offered; /* SIZE= may be given to MAIL */
    char *first_error;
} Load;

static void
note_error(Load *load, const char *text, int count)
{
    load->errors += count;
    if (load->first_error == NULL) {
        load->first_error = g_strdup(text);
        g_strdelimit(g_strchomp(load->first_error), "\"\\\r\n", '\'');
    }
}

static void
watch(Load *load, Connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (epoll_ctl(load->epoll_fd, operation, connection->fd, &event) != 0)
        bench_die("epoll_ctl");
}

static void
connection_open(Load *load, Connection *connection)
{
    connection->fd = bench_connect(address);
    connection->state = GREETING;
    connection->replies = connection->done = 0;
    connection->is_waiting = false;
    g_string_truncate(connection->in, 0);
    watch(load, connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void
connection_shut(Connection *connection)
{
    lodge_close(&connection->fd); /* leaves the epoll set with its last descriptor */
    connection->state = CLOSED;
}

static void
connection_lost(Load *load, Connection *connection, const char *why)
{
    note_error(load, why, connection->state == BODY ? connection->accepted : recipients);
    connection_shut(connection);
    if (load->errors > 1000)
        bench_die("too many errors, the first: %s", load->first_error);
    if (g_get_monotonic_time() < load->end_us)
        connection_open(load, connection);
}

/* Takes n octets off the front of what is to be sent. */
static void
take_sent(Connection *connection, size_t n)
{
    for (size_t i = 0; i < G_N_ELEMENTS(connection->out); i++) {
        struct iovec *part = &connection->out[i];
        size_t sent = MIN(n, part->iov_len);

        part->iov_base = (char *)part->iov_base + sent;
        part->iov_len -= sent;
        n -= sent;
    }
}

static void
connection_flush(Load *load, Connection *connection)
{
    struct msghdr header = {.msg_iov = connection->out,
                            .msg_iovlen = G_N_ELEMENTS(connection->out)};
    ssize_t n = sendmsg(connection->fd, &header, MSG_NOSIGNAL);

    if (n > 0)
        take_sent(connection, (size_t)n);
    bool is_short = connection->out[0].iov_len + connection->out[1].iov_len > 0;
    if (is_short != connection->is_waiting)
        watch(load, connection, EPOLL_CTL_MOD, is_short ? EPOLLIN | EPOLLOUT : EPOLLIN);
    connection->is_waiting = is_short;
}

/* Sends head and, unless it is NULL, body; both stay the caller's until they are sent. */
static void
connection_send(Load *load, Connection *connection, const GString *head, const GString *body,
                State next)
{
    connection->out[0] = (struct iovec){head->str, head->len};
    connection->out[1] = body != NULL ? (struct iovec){body->str, body->len} : (struct iovec){0};
    connection->replies = 0;
    connection->state = next;
    connection_flush(load, connection);
}

static bool
is_over(const Load *load)
{
    if (transactions > 0)
        return load->started >= transactions;
    if (load->started < connections) /* one each, however short the time */
        return false;
    return g_get_monotonic_time() >= load->end_us;
}

static void
start_transaction(Load *load, Connection *connection)
{
    g_auto(GStrv) parts = g_strsplit(recipient_pattern, "#", 2);

    g_string_assign(connection->envelope, "MAIL FROM:<bench@example.net>");
    if (load->size_offered)
        g_string_append_printf(connection->envelope, " SIZE=%zu", load->message->len);
    g_string_append(connection->envelope, "\r\n");
    for (int i = 0; i < recipients; i++)
        g_string_append_printf(connection->envelope, "RCPT TO:<%s%d%s>\r\n", parts[0],
                               load->user++ % users, parts[1] != NULL ? parts[1] : "");
    g_string_append(connection->envelope, "DATA\r\n");
    g_string_printf(connection->message_id, "Message-ID: <%d.%d.bench@example.net>\r\n",
                    (int)getpid(), load->started++);
    connection->accepted = 0;
    connection->started_us = g_get_monotonic_time();
    connection_send(load, connection, connection->envelope, NULL, ENVELOPE);
}

static void
next_transaction(Load *load, Connection *connection)
{
    static const GString quit = {.str = (char *)"QUIT\r\n", .len = 6};
    bool over = is_over(load);

    if (!over && (reuse == 0 || connection->done < reuse)) {
        start_transaction(load, connection);
        return;
    }
    connection_send(load, connection, &quit, NULL, CLOSED);
    connection_shut(connection);
    if (!over)
        connection_open(load, connection);
}

static void
on_envelope_reply(Load *load, Connection *connection, const char *line)
{
    int index = connection->replies++;

    if (index > 0 && index <= recipients) {
        if (line[0] == '2')
            connection->accepted++;
        else
            note_error(load, line, 1);
    } else if (index > recipients && line[0] == '3') {
        connection_send(load, connection, connection->message_id, load->message, BODY);
    } else if (line[0] != '2') {
        connection_lost(load, connection, line);
    }
}

static void
on_body_reply(Load *load, Connection *connection, const char *line)
{
    connection->replies++;
    if (line[0] == '2')
        load->deliveries++;
    else
        note_error(load, line, 1);
    if (connection->replies < connection->accepted)
        return;
    gint64 latency_us = g_get_monotonic_time() - connection->started_us;

    g_array_append_val(load->latencies, latency_us);
    connection->done++;
    next_transaction(load, connection);
}

static void
on_reply(Load *load, Connection *connection, const char *line)
{
    static const GString lhlo = {.str = (char *)"LHLO bench.example.net\r\n", .len = 24};

    switch (connection->state) {
    case GREETING:
        if (line[0] == '2')
            connection_send(load, connection, &lhlo, NULL, LHLO);
        else
            connection_lost(load, connection, line);
        break;
    case LHLO:
        next_transaction(load, connection);
        break;
    case ENVELOPE:
        on_envelope_reply(load, connection, line);
        break;
    case BODY:
        on_body_reply(load, connection, line);
        break;
    case CLOSED:
        break;
    }
}

/* Takes whole lines off the buffer; of a reply only the last line counts, but for SIZE. */
static void
on_input(Load *load, Connection *connection)
{
    char *end;
    int fd = connection->fd;

    while (connection->fd == fd && (end = strstr(connection->in->str, "\r\n")) != NULL) {
        size_t length = (size_t)(end - connection->in->str);
        g_autofree char *line = g_strndup(connection->in->str, length);

        g_string_erase(connection->in, 0, (gssize)length + 2);
        if (connection->state == LHLO && length > 4 && g_str_has_prefix(line + 4, "SIZE"))
            load->size_offered = true;
        if (length >= 3 && line[3] != '-')
            on_reply(load, connection, line);
    }
}

static void
on_event(Load *load, Connection *connection, uint32_t events)
{
    char buffer[16384];

    if (connection->state == CLOSED)
        return;
    if (events & EPOLLOUT)
        connection_flush(load, connection);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = read(connection->fd, buffer, sizeof buffer);
    if (n > 0) {
        g_string_append_len(connection->in, buffer, n);
        on_input(load, connection);
    } else if (n == 0 || errno != EAGAIN) {
        connection_lost(load, connection, n == 0 ? "connection closed" : g_strerror(errno));
    }
}

static bool
is_any_open(const Connection *all)
{
    for (int i = 0; i < connections; i++) {
        if (all[i].state != CLOSED)
            return true;
    }
    return false;
}

static void
run(Load *load)
{
    g_autofree Connection *all = g_new0(Connection, (size_t)connections);
    struct epoll_event events[64];

    for (int i = 0; i < connections; i++) {
        all[i].in = g_string_new(NULL);
        all[i].envelope = g_string_new(NULL);
        all[i].message_id = g_string_new(NULL);
        connection_open(load, &all[i]);
    }
    while (is_any_open(all)) {
        int count = epoll_wait(load->epoll_fd, events, G_N_ELEMENTS(events), 60000);

        if (count == 0)
            bench_die("no reply for a minute; first error: %s", load->first_error);
        for (int i = 0; i < count; i++)
            on_event(load, events[i].data.ptr, events[i].events);
    }
    for (int i = 0; i < connections; i++) {
        g_string_free(all[i].in, TRUE);
        g_string_free(all[i].envelope, TRUE);
        g_string_free(all[i].message_id, TRUE);
    }
}

int
main(int argc, char **argv)
{
    recipient_pattern = g_strdup("user#@example.org");
    bench_parse_options(options, "Sends mail by LMTP.", &argc, &argv);
    if (address == NULL || connections < 1 || recipients < 1 || users < 1)
        bench_die("--to is needed");
    (void)setpriority(PRIO_PROCESS, 0, -10); /* as said above: only root may */
    g_autoptr(GArray) latencies = g_array_new(FALSE, FALSE, sizeof(gint64));
    Load load = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                 .message = bench_message((guint64)size, "\r\n"),
                 .latencies = latencies,
                 .user = first};

    g_string_append(load.message, ".\r\n");
    gint64 start_us = g_get_monotonic_time();

    load.end_us = start_us + (gint64)(seconds * G_USEC_PER_SEC);
    run(&load);
    double elapsed = (double)(g_get_monotonic_time() - start_us) / 1e6;
    g_autofree char *percentiles = bench_percentiles(latencies);

    printf("{\"deliveries\": %" G_GINT64_FORMAT ", \"seconds\": %.3f, \"rate\": %.1f, "
           "\"own_cpu_us\": %.1f, \"errors\": %d, \"first_error\": \"%s\"%s}\n",
           load.deliveries, elapsed, (double)load.deliveries / elapsed,
           (double)bench_cpu_us(RUSAGE_SELF) / (double)MAX(load.deliveries, 1), load.errors,
           load.first_error != NULL ? load.first_error : "", percentiles);
    g_string_free(load.message, TRUE);
    g_free(load.first_error);
    (void)close(load.epoll_fd);
    return 0;
}
