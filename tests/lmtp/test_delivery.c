/* tests/lmtp/test_delivery.c - a session in front of the real map, Maildirs and log
 *
 * The other tests of this folder have a fake behind the protocol; this one shows
 * that the two sides fit: what is answered is what lies in the Maildir.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <grp.h>
#include <sqlite3.h>
#include <sys/socket.h>

#include "lmtp/session.h"
#include "schema/mapedit.h"
#include "tests/scratch.h"

#define TO_RCPT                                                                          \
    "LHLO client.example\r\nXFORWARD IDENT=4Zk1xH0sQz\r\nMAIL FROM:<bo@example.net>\r\n" \
    "RCPT TO:<ana@example.org>\r\n"

typedef struct {
    char *dir;
    LdaConfig *config;
    Log *log;
    Lda *lda;
} Fixture;

static void
make_map(const char *path)
{
    sqlite3 *db = NULL;

    assert_true(mapedit_create(path, NULL));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO domains (domain) VALUES ('example.org');"
                                  "INSERT INTO users (email, password) VALUES"
                                  " ('ana@example.org', 'x'), ('cy@example.org', 'x');",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-lmtp-XXXXXX", NULL);

    g_autofree char *file = g_build_filename(fixture->dir, "lodge.conf", NULL);
    g_autofree char *map = g_build_filename(fixture->dir, "map.db", NULL);
    g_autofree char *text =
        g_strdup_printf("[mail]\nroot = %1$s\nhostname = mx.example.org\nspool_dir = %1$s\n"
                        "message_size_limit = 1000\n[map]\npath = %1$s/map.db\n"
                        "[log]\ntarget = file\npath = %1$s/deliver.log\n",
                        fixture->dir);
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(file, text, -1, NULL));
    make_map(map);
    fixture->config = config_load(file, NULL, &error);
    if (fixture->config == NULL)
        fail_msg("%s", error->message);
    fixture->log = log_open(fixture->config, "test");
    fixture->lda = lda_new(fixture->config, fixture->log);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

/* The replies to input, which has to fit the buffer of the socket: the session runs
 * after the client has said all. */
static char *
replies_to(Fixture *fixture, const char *input)
{
    g_autoptr(GString) replies = g_string_new(NULL);
    char bytes[4096];
    ssize_t got;
    int sockets[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    assert_int_equal(send(sockets[0], input, strlen(input), 0), strlen(input));
    (void)shutdown(sockets[0], SHUT_WR);
    lmtp_session_run(
        fixture->lda, fixture->config,
        &(LmtpConnection){.fd = sockets[1], .stop_fd = -1, .peer = "unix socket", .trusted = true});
    lodge_close(&sockets[1]);
    while ((got = recv(sockets[0], bytes, sizeof bytes, 0)) > 0)
        g_string_append_len(replies, bytes, got);
    lodge_close(&sockets[0]);
    return g_string_free(g_steal_pointer(&replies), FALSE);
}

/* The only message in new/ of a user, or NULL when there is none. */
static char *
stored_for(const Fixture *fixture, const char *user)
{
    g_autofree char *path =
        g_build_filename(fixture->dir, "example.org", user, "Maildir", "new", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name = directory != NULL ? g_dir_read_name(directory) : NULL;
    char *content = NULL;

    if (name == NULL)
        return NULL;

    g_autofree char *file = g_build_filename(path, name, NULL);

    assert_true(g_file_get_contents(file, &content, NULL, NULL));
    assert_null(g_dir_read_name(directory));
    return content;
}

static void
message_answered_with_250_lies_in_the_maildir_of_each_recipient(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *replies =
        replies_to(fixture, TO_RCPT "RCPT TO:<eve@example.org>\r\nRCPT TO:<cy@example.org>\r\n"
                                    "DATA\r\nSubject: x\r\n\r\n..body\r\n.\r\nQUIT\r\n");
    g_autofree char *ana = stored_for(fixture, "ana");
    g_autofree char *cy = stored_for(fixture, "cy");

    assert_non_null(strstr(replies, "\r\n550 5.1.1 <eve@example.org> "));
    assert_true(g_pattern_match_simple("*\r\n354 *\r\n250 2.0.0 <ana@example.org> * stored in INBOX"
                                       "\r\n250 2.0.0 <cy@example.org> * stored in INBOX"
                                       "\r\n221 2.0.0 bye\r\n",
                                       replies));
    assert_non_null(ana);
    assert_non_null(cy);
    assert_true(g_str_has_prefix(ana, "Return-Path: <bo@example.net>\nDelivered-To: ana@"));
    assert_true(g_str_has_suffix(ana, "\nSubject: x\n\n.body\n"));
    assert_true(g_str_has_suffix(cy, "\nSubject: x\n\n.body\n"));
}

static void
too_big_message_is_stored_nowhere(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *body = g_strnfill(2000, 'x');
    g_autofree char *input =
        g_strdup_printf(TO_RCPT "DATA\r\nSubject: x\r\n\r\n%s\r\n.\r\nQUIT\r\n", body);
    g_autofree char *replies = replies_to(fixture, input);

    assert_true(
        g_pattern_match_simple("*\r\n354 *\r\n552 5.2.3 <ana@example.org> *\r\n221 *", replies));
    assert_null(stored_for(fixture, "ana"));
}

static void
lost_client_leaves_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *replies = replies_to(fixture, TO_RCPT "DATA\r\nSubject: x\r\n\r\nbody\r\n");

    assert_true(g_str_has_suffix(replies, "end data with <CR><LF>.<CR><LF>\r\n"));
    assert_null(stored_for(fixture, "ana"));
}

static void
log_joins_queue_id_transaction_and_refusals(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *replies = replies_to(fixture, TO_RCPT "RCPT TO:<eve@example.org>\r\n"
                                                           "DATA\r\nSubject: x\r\n\r\n.\r\n");
    g_autofree char *path = g_build_filename(fixture->dir, "deliver.log", NULL);
    g_autofree char *log = NULL;

    assert_non_null(strstr(replies, "stored in INBOX"));
    assert_true(g_file_get_contents(path, &log, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(log), "\n", -1);

    assert_int_equal(g_strv_length(lines), 2);
    assert_non_null(strstr(lines[0], "eve@example.org"));
    assert_non_null(strstr(lines[0], "5.1.1"));
    assert_non_null(strstr(lines[1], "ana@example.org"));
    assert_non_null(strstr(lines[1], "4Zk1xH0sQz"));
}

/* Nothing is ever delivered as root, in a test neither. */
static void
stop_being_root(void)
{
    enum { NOBODY = 65534 };

    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) != 0))
        g_error("cannot stop being root");
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    (void)domain, (void)level, (void)text, (void)data;
}

#define DELIVERY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DELIVERY_TEST(message_answered_with_250_lies_in_the_maildir_of_each_recipient),
        DELIVERY_TEST(too_big_message_is_stored_nowhere),
        DELIVERY_TEST(lost_client_leaves_nothing),
        DELIVERY_TEST(log_joins_queue_id_transaction_and_refusals),
    };

    g_log_set_handler(NULL, G_LOG_LEVEL_MESSAGE, ignore_message, NULL);
    stop_being_root();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
