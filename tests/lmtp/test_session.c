/* tests/lmtp/test_session.c - what transcripts cannot show: time, the stop, slow readers
 *
 * A time limit of 0 seconds, which no configuration allows, is over at once: so
 * the limits are tested without waiting.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lmtp/session.h"
#include "tests/lmtp/fake_lda.h"

#define TO_RCPT "LHLO c\r\nMAIL FROM:<bo@example.net>\r\nRCPT TO:<ana@example.org>\r\n"
enum { LONG_S = 20, NOOPS = 20000 };

typedef struct {
    Lda *lda;
    LdaConfig config;
    LmtpConnection connection;
    int client;
    int stop; /* write here to stop the session */
    GThread *thread;
    GString *received;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    int stop[2];

    fixture->config = (LdaConfig){
        .mail = {.hostname = (char *)"mx.example.org",
                 .spool_memory = 65536,
                 .spool_dir = (char *)g_get_tmp_dir()},
        .lmtp = {.max_recipients = 10,
                 .max_errors = 10,
                 .command_timeout = LONG_S,
                 .data_timeout = LONG_S,
                 .transaction_timeout = LONG_S},
    };
    if (pipe(stop) != 0)
        return -1;
    fixture->stop = stop[1];
    fixture->connection = (LmtpConnection){.fd = -1, .stop_fd = stop[0], .peer = "unix socket"};
    fixture->lda = lda_new(&fixture->config, NULL);
    fixture->received = g_string_new(NULL);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    lda_free(fixture->lda);
    g_string_free(fixture->received, TRUE);
    lodge_close(&fixture->client);
    lodge_close(&fixture->stop);
    lodge_close(&fixture->connection.stop_fd);
    g_free(fixture);
    return 0;
}

static gpointer
serve(gpointer data)
{
    Fixture *fixture = data;

    lmtp_session_run(fixture->lda, &fixture->config, &fixture->connection);
    lodge_close(&fixture->connection.fd);
    return NULL;
}

/* Starts the session on a socket of type, as in socket(2). */
static void
start(Fixture *fixture, int type)
{
    int sockets[2];
    struct timeval patience = {.tv_sec = LONG_S};

    assert_int_equal(socketpair(AF_UNIX, type, 0, sockets), 0);
    fixture->client = sockets[0];
    fixture->connection.fd = sockets[1];
    assert_int_equal(
        setsockopt(fixture->client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    fixture->thread = g_thread_new("session", serve, fixture);
}

static void
say(const Fixture *fixture, const char *text)
{
    (void)!send(fixture->client, text, strlen(text), MSG_NOSIGNAL);
}

static bool
hear(Fixture *fixture)
{
    char bytes[65536];
    ssize_t got = recv(fixture->client, bytes, sizeof bytes, 0);

    if (got > 0)
        g_string_append_len(fixture->received, bytes, got);
    return got > 0;
}

static void
hear_until(Fixture *fixture, const char *text)
{
    while (strstr(fixture->received->str, text) == NULL) {
        if (!hear(fixture))
            fail_msg("no \"%s\" in \"%s\"", text, fixture->received->str);
    }
}

/* Everything up to the end of the session, which has to come. */
static void
hear_the_rest(Fixture *fixture)
{
    while (hear(fixture))
        ;
    g_thread_join(fixture->thread);
}

static void
idle_session_is_stopped_with_421(void **state)
{
    Fixture *fixture = *state;

    start(fixture, SOCK_STREAM);
    hear_until(fixture, "220 ");
    assert_int_equal(write(fixture->stop, "", 1), 1);
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "\r\n421 4.3.2 mx.example.org "));
}

static void
transaction_in_progress_is_finished_before_the_stop(void **state)
{
    Fixture *fixture = *state;

    start(fixture, SOCK_STREAM);
    say(fixture, TO_RCPT "DATA\r\n");
    hear_until(fixture, "\r\n354 ");
    assert_int_equal(write(fixture->stop, "", 1), 1);
    say(fixture, "x\r\n.\r\n");
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "stored in INBOX\r\n421 4.3.2 "));
    assert_int_equal(fixture->lda->envelopes->len, 1);
}

static void
idle_client_is_told_421_and_hung_up_on(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.command_timeout = 0;
    start(fixture, SOCK_STREAM);
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "421 4.4.2 mx.example.org "));
}

static void
stalled_data_is_given_up_and_nothing_delivered(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.data_timeout = 0;
    start(fixture, SOCK_SEQPACKET);
    say(fixture, TO_RCPT "DATA\r\nhalf a line");
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "\r\n354 "));
    assert_non_null(strstr(fixture->received->str, "\r\n421 4.4.2 "));
    assert_int_equal(fixture->lda->envelopes->len, 0);
}

static void
transaction_past_its_time_is_given_up(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.transaction_timeout = 0;
    start(fixture, SOCK_STREAM);
    say(fixture, "LHLO c\r\nMAIL FROM:<bo@example.net>\r\n");
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "\r\n250 2.1.0 "));
    assert_non_null(strstr(fixture->received->str, "\r\n421 4.4.2 "));
}

/* Each RCPT may wait for a locked map; a few thousand of them fit into the buffer. */
static void
transaction_past_its_time_is_given_up_though_its_commands_are_read(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.transaction_timeout = 0;
    start(fixture, SOCK_SEQPACKET);
    say(fixture, TO_RCPT);
    hear_the_rest(fixture);
    assert_null(strstr(fixture->received->str, "\r\n250 2.1.5 "));
    assert_non_null(strstr(fixture->received->str, "\r\n421 4.4.2 "));
}

/* A chunk outside a transaction is read to be refused; that has an end too. */
static void
refused_chunk_that_trickles_in_is_given_up(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.transaction_timeout = 0;
    start(fixture, SOCK_SEQPACKET);
    say(fixture, "BDAT 1000000\r\n");
    say(fixture, "x");
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "\r\n421 4.4.2 "));
}

static void
client_that_sends_much_before_it_reads_gets_every_reply(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) noops = g_string_new(NULL);
    unsigned replies = 0;

    for (int i = 0; i < NOOPS; i++)
        g_string_append(noops, "NOOP\r\n");
    start(fixture, SOCK_STREAM);
    assert_int_equal(send(fixture->client, noops->str, noops->len, MSG_NOSIGNAL), noops->len);
    (void)shutdown(fixture->client, SHUT_WR);
    hear_the_rest(fixture);
    for (const char *p = fixture->received->str; (p = strstr(p, "250 2.0.0 ok\r\n")) != NULL; p++)
        replies++;
    assert_int_equal(replies, NOOPS);
}

static void
client_that_never_reads_is_hung_up_on(void **state)
{
    Fixture *fixture = *state;

    fixture->config.lmtp.command_timeout = 1;
    start(fixture, SOCK_STREAM);
    while (send(fixture->client, "NOOP\r\nNOOP\r\nNOOP\r\n", 18, MSG_NOSIGNAL) == 18)
        ;
    assert_true(errno == EPIPE || errno == ECONNRESET);
    g_thread_join(fixture->thread);
}

static void
client_that_is_gone_does_not_kill_the_process(void **state)
{
    Fixture *fixture = *state;

    start(fixture, SOCK_STREAM);
    say(fixture, TO_RCPT "DATA\r\nx\r\n.\r\nQUIT\r\n");
    lodge_close(&fixture->client);
    g_thread_join(fixture->thread); /* SIGPIPE would have ended the program */
}

static long
peak_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void
memory_does_not_grow_with_the_message(void **state)
{
    enum { PIECE = 1024 * 1024, PIECES = 64, ALLOWED_KIB = 4096 };
    Fixture *fixture = *state;
    g_autofree char *piece = g_malloc(PIECE);

    memset(piece, 'x', PIECE);
    for (size_t i = 0; i + 78 < PIECE; i += 78)
        memcpy(piece + i, "\r\n", 2);
    start(fixture, SOCK_STREAM);
    say(fixture, TO_RCPT "DATA\r\n");
    hear_until(fixture, "\r\n354 ");

    long before_kib = peak_kib();

    for (int i = 0; i < PIECES; i++)
        assert_int_equal(send(fixture->client, piece, PIECE, MSG_NOSIGNAL), PIECE);
    say(fixture, "\r\n.\r\nQUIT\r\n");
    hear_the_rest(fixture);
    assert_non_null(strstr(fixture->received->str, "stored in INBOX\r\n221 "));
    assert_true(peak_kib() - before_kib < ALLOWED_KIB);
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    (void)domain, (void)level, (void)text, (void)data;
}

#define SESSION_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(idle_session_is_stopped_with_421),
        SESSION_TEST(transaction_in_progress_is_finished_before_the_stop),
        SESSION_TEST(idle_client_is_told_421_and_hung_up_on),
        SESSION_TEST(stalled_data_is_given_up_and_nothing_delivered),
        SESSION_TEST(transaction_past_its_time_is_given_up),
        SESSION_TEST(transaction_past_its_time_is_given_up_though_its_commands_are_read),
        SESSION_TEST(refused_chunk_that_trickles_in_is_given_up),
        SESSION_TEST(client_that_sends_much_before_it_reads_gets_every_reply),
        SESSION_TEST(client_that_never_reads_is_hung_up_on),
        SESSION_TEST(client_that_is_gone_does_not_kill_the_process),
        SESSION_TEST(memory_does_not_grow_with_the_message),
    };

    g_log_set_handler(NULL, G_LOG_LEVEL_MESSAGE, ignore_message, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
