/* tests/bench/policy_load.c - asks the policy service as fast as it answers
 *
 * N connections in one process, each with one request under way, as N processes of
 * smtpd(8) would have. An answer other than DUNNO is an error and shown.
 */
#include "tests/bench/bench.h"

#include <sys/epoll.h>

static char *address, *recipient_pattern;
static int connections = 1, users = 400;
static double seconds = 2;

static const GOptionEntry options[] = {
    {"to", 0, 0, G_OPTION_ARG_STRING, &address, "unix:PATH or inet:IPV4:PORT", "ADDRESS"},
    {"connections", 'c', 0, G_OPTION_ARG_INT, &connections, "connections at once", "N"},
    {"users", 0, 0, G_OPTION_ARG_INT, &users, "recipients to take in turn", "N"},
    {"recipient", 0, 0, G_OPTION_ARG_STRING, &recipient_pattern,
     "address, # is the user's number (user#@example.org)", "PATTERN"},
    {"seconds", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "how long", "S"},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    int fd;
    gint64 started_us;
} Connection;

typedef struct {
    GArray *latencies; /* gint64, microseconds a request */
    int user;
    int errors;
    char first_error[80];
} Load;

static void
ask(Load *load, Connection *connection)
{
    g_auto(GStrv) parts = g_strsplit(recipient_pattern, "#", 2);
    g_autofree char *request = g_strdup_printf(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
        "client_address=192.0.2.1\nclient_name=mail.example.net\nclient_port=51234\n"
        "reverse_client_name=mail.example.net\nserver_address=192.0.2.2\nserver_port=25\n"
        "helo_name=mail.example.net\nsender=bench@example.net\nrecipient=%s%d%s\n"
        "recipient_count=0\nqueue_id=\ninstance=1a2b.65e5a1b2.3c4d.0\nsize=4096\netrn_domain=\n"
        "stress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
        "ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n"
        "encryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n",
        parts[0], load->user++ % users, parts[1] != NULL ? parts[1] : "");
    size_t len = strlen(request);

    connection->started_us = g_get_monotonic_time();
    if (send(connection->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        bench_die("cannot send a request");
}

/* An answer is written in one piece, and so read. */
static void
take_answer(Load *load, const Connection *connection)
{
    char answer[1024];
    ssize_t got = recv(connection->fd, answer, sizeof answer - 1, 0);
    gint64 latency_us = g_get_monotonic_time() - connection->started_us;

    if (got <= 0)
        bench_die("the connection was closed");
    answer[got] = '\0';
    g_array_append_val(load->latencies, latency_us);
    if (strcmp(answer, "action=DUNNO\n\n") == 0)
        return;
    load->errors++;
    g_strlcpy(load->first_error, answer, sizeof load->first_error);
    g_strdelimit(load->first_error, "\"\\\r\n", ' ');
}

static void
run(Load *load)
{
    g_autofree Connection *all = g_new0(Connection, (size_t)connections);
    gint64 end_us = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
    lodge_autofd epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64];
    int open = connections;

    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};

        all[i].fd = bench_connect(address);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &event) != 0)
            bench_die("epoll_ctl");
        ask(load, &all[i]);
    }
    while (open > 0) {
        int count = epoll_wait(epoll_fd, events, G_N_ELEMENTS(events), 60000);

        if (count == 0)
            bench_die("no answer for a minute");
        for (int i = 0; i < count; i++) {
            Connection *connection = events[i].data.ptr;

            take_answer(load, connection);
            if (g_get_monotonic_time() < end_us) {
                ask(load, connection);
            } else {
                lodge_close(&connection->fd);
                open--;
            }
        }
    }
}

int
main(int argc, char **argv)
{
    recipient_pattern = g_strdup("user#@example.org");
    bench_parse_options(options, "Asks a policy service.", &argc, &argv);
    if (address == NULL || connections < 1 || users < 1)
        bench_die("--to is needed");
    (void)setpriority(PRIO_PROCESS, 0, -10); /* as in lmtp_load.c */
    g_autoptr(GArray) latencies = g_array_new(FALSE, FALSE, sizeof(gint64));
    Load load = {.latencies = latencies};
    gint64 start_us = g_get_monotonic_time();

    run(&load);
    double elapsed = (double)(g_get_monotonic_time() - start_us) / 1e6;
    g_autofree char *percentiles = bench_percentiles(latencies);

    printf("{\"requests\": %u, \"seconds\": %.3f, \"rate\": %.1f, \"errors\": %d, "
           "\"first_error\": \"%s\"%s}\n",
           latencies->len, elapsed, latencies->len / elapsed, load.errors, load.first_error,
           percentiles);
    return 0;
}
