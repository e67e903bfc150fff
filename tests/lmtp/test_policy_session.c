/* tests/lmtp/test_policy_session.c - plays tests/transcripts-policy/ against a session
 *
 * See the README there. A session never waits, so no thread is needed: after each piece of
 * input it is served until it has read all of it. Behind it stands a fake of lda/check_room.h:
 * the local part says what becomes of a message.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "lda/check_room.h"
#include "lmtp/policy_session.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

typedef enum { WHOLE, LINE_AT_A_TIME, BYTE_AT_A_TIME, WAYS } Way;

static const char *const way_names[] = {"whole", "line by line", "byte by byte"};

struct Lda {
    GString *asked;
};

LdaOutcome *
lda_check_room(Lda *lda, const RoomQuestion *question)
{
    static const struct {
        const char *prefix;
        GQuark (*domain)(void);
        int code;
    } refused[] = {
        {"full@", quota_error_quark, QUOTA_ERROR_FULL},
        {"later@", quota_error_quark, QUOTA_ERROR_FULL_FOR_NOW},
        {"large@", quota_error_quark, QUOTA_ERROR_TOO_BIG},
        {"locked@", mailmap_error_quark, MAILMAP_ERROR_UNAVAILABLE},
    };

    g_string_append_printf(lda->asked, "%s %" G_GUINT64_FORMAT " from=%s client=%s[%s]\n",
                           question->address, question->octets, question->sender,
                           question->client_name, question->client_address);
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (g_str_has_prefix(question->address, refused[i].prefix)) {
            g_autoptr(GError) error =
                g_error_new_literal(refused[i].domain(), refused[i].code, "1000 of 1000 octets");

            return lda_outcome_from_error(error);
        }
    }
    return NULL;
}

typedef struct {
    char *name;
    GString *input;
    GString *asked;   /* Q: lines */
    GString *answers; /* as they come over the wire */
    bool ends;
    Way way;
} Transcript;

static void
transcript_free(Transcript *transcript)
{
    g_free(transcript->name);
    g_string_free(transcript->input, TRUE);
    g_string_free(transcript->asked, TRUE);
    g_string_free(transcript->answers, TRUE);
    g_free(transcript);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Transcript, transcript_free)

static void
read_line(Transcript *transcript, const char *line)
{
    const char *text = line[0] != '\0' && line[1] == ':' && line[2] == ' ' ? line + 3 : "";
    g_autofree char *octets = g_strcompress(text);

    switch (line[0]) {
    case 'C':
        g_string_append_printf(transcript->input, "%s\n", text);
        break;
    case 'c':
        g_string_append(transcript->input, octets);
        break;
    case 'Q':
        g_string_append_printf(transcript->asked, "%s\n", text);
        break;
    case 'A':
        g_string_append_printf(transcript->answers, "action=%s\n\n", text);
        break;
    case 'E':
        transcript->ends = true;
        break;
    default:
        if (line[0] != '#' && line[0] != '\0')
            g_error("not a line of a transcript: %s", line);
    }
}

static Transcript *
transcript_read(const char *name)
{
    Transcript *transcript = g_new0(Transcript, 1);
    g_autofree char *path = g_strconcat(TESTS_DIR "/transcripts-policy/", name, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        g_error("cannot read %s", path);
    transcript->name = g_strdup(name);
    transcript->input = g_string_new(NULL);
    transcript->asked = g_string_new(NULL);
    transcript->answers = g_string_new(NULL);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        read_line(transcript, *line);
    return transcript;
}

/* ---- a client and a session, in one thread ------------------------------- */

typedef struct {
    Lda lda;
    PolicySession *session;
    int fd;
    GString *received;
    bool is_closed;
} Client;

static void
client_open(Client *client)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client->lda.asked = g_string_new(NULL);
    client->session = policy_session_new(pair[1], "unix socket", &client->lda);
    client->fd = pair[0];
    client->received = g_string_new(NULL);
    client->is_closed = false;
}

static void
client_close(Client *client)
{
    policy_session_free(client->session);
    lodge_close(&client->fd);
    g_string_free(client->received, TRUE);
    g_string_free(client->lda.asked, TRUE);
}

static void
receive(Client *client)
{
    char bytes[4096];
    ssize_t got;

    while ((got = recv(client->fd, bytes, sizeof bytes, 0)) > 0)
        g_string_append_len(client->received, bytes, got);
}

/* Serves until the session has nothing to do; what it wrote is received. */
static PolicyWait
serve(Client *client)
{
    PolicyWait wait;

    do {
        wait = policy_session_serve(client->session);
        receive(client);
    } while (wait == POLICY_SERVED || wait == POLICY_WAIT_WRITE);
    client->is_closed = wait == POLICY_CLOSED;
    return wait;
}

/* Sends len bytes at text in pieces, serving after each. */
static void
send_in_pieces(Client *client, const char *text, size_t len, Way way)
{
    while (len > 0 && !client->is_closed) {
        const char *lf = memchr(text, '\n', len);
        size_t piece = way == WHOLE            ? len
                       : way == BYTE_AT_A_TIME ? 1
                       : lf != NULL            ? (size_t)(lf + 1 - text)
                                               : len;
        ssize_t sent = send(client->fd, text, piece, MSG_NOSIGNAL);

        assert_true(sent > 0);
        text += sent;
        len -= (size_t)sent;
        (void)serve(client);
    }
}

static void
check_transcript(void **state)
{
    const Transcript *transcript = *state;
    Client client;

    client_open(&client);
    send_in_pieces(&client, transcript->input->str, transcript->input->len, transcript->way);
    assert_string_equal(client.received->str, transcript->answers->str);
    assert_string_equal(client.lda.asked->str, transcript->asked->str);
    assert_int_equal(client.is_closed, transcript->ends);
    client_close(&client);
}

/* ---- what no transcript can show ------------------------------------------ */

static const char request[] =
    "request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=full@example.org\n\n";
#define ANSWER "action=552 5.2.2 Mailbox is full\n\n"

static void
client_that_ends_is_closed(void **state)
{
    Client client;

    (void)state;
    client_open(&client);
    assert_int_equal(send(client.fd, request, strlen(request), 0), strlen(request));
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    assert_int_equal(serve(&client), POLICY_CLOSED);
    assert_string_equal(client.received->str, ANSWER);
    client_close(&client);
}

static void
client_that_is_gone_is_closed(void **state)
{
    Client client;

    (void)state;
    client_open(&client);
    assert_int_equal(send(client.fd, request, strlen(request), 0), strlen(request));
    lodge_close(&client.fd);
    assert_int_equal(policy_session_serve(client.session), POLICY_CLOSED);
    client_close(&client);
}

static void
client_that_does_not_read_is_not_read_from(void **state)
{
    g_autoptr(GString) many = g_string_new(NULL);
    Client client;
    PolicyWait wait = POLICY_SERVED;
    int size = 1;
    size_t requests = 0;

    (void)state;
    client_open(&client);
    assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    while (wait != POLICY_WAIT_WRITE) {
        if (send(client.fd, request, strlen(request), 0) == (ssize_t)strlen(request))
            requests++;
        wait = policy_session_serve(client.session);
        assert_int_not_equal(wait, POLICY_CLOSED);
    }
    /* Whatever more comes stays in the socket. */
    for (int i = 0; i < 100; i++) {
        if (send(client.fd, request, strlen(request), 0) != (ssize_t)strlen(request))
            break;
        requests++;
        assert_int_equal(policy_session_serve(client.session), POLICY_WAIT_WRITE);
    }
    receive(&client);
    assert_int_equal(serve(&client), POLICY_WAIT_INPUT);
    for (size_t i = 0; i < requests; i++)
        g_string_append(many, ANSWER);
    assert_string_equal(client.received->str, many->str);
    client_close(&client);
}

static void
many_pipelined_requests_are_answered_in_turns(void **state)
{
    g_autoptr(GString) many = g_string_new(NULL);
    g_autoptr(GString) answers = g_string_new(NULL);
    Client client;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        g_string_append(many, request);
        g_string_append(answers, ANSWER);
    }
    client_open(&client);
    assert_int_equal(send(client.fd, many->str, many->len, 0), many->len);
    assert_int_equal(policy_session_serve(client.session), POLICY_SERVED);
    receive(&client);
    assert_in_range(client.received->len / strlen(ANSWER), 1,
                    POLICY_SESSION_READ / strlen(request));
    assert_int_equal(serve(&client), POLICY_WAIT_INPUT);
    assert_string_equal(client.received->str, answers->str);
    client_close(&client);
}

static void
answer_to_garbage_arrives_though_more_of_it_was_sent(void **state)
{
    g_autofree char *garbage = g_strnfill(100000, 'x');
    Client client;

    (void)state;
    client_open(&client);
    assert_int_equal(send(client.fd, garbage, 100000, 0), 100000);
    assert_int_equal(policy_session_serve(client.session), POLICY_SERVED);
    while (policy_session_serve(client.session) != POLICY_CLOSED)
        ;
    g_clear_pointer(&client.session, policy_session_free);
    receive(&client);
    assert_string_equal(client.received->str,
                        "action=DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable\n\n");
    client_close(&client);
}

static GPtrArray *
read_all(void)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)transcript_free);
    g_autoptr(GDir) dir = g_dir_open(TESTS_DIR "/transcripts-policy", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        for (int way = 0; way < WAYS && g_str_has_suffix(name, ".txt"); way++) {
            Transcript *transcript = transcript_read(name);

            transcript->way = (Way)way;
            g_ptr_array_add(all, transcript);
        }
    }
    return all;
}

static int
play_all(void)
{
    g_autoptr(GPtrArray) all = read_all();
    g_autofree struct CMUnitTest *tests = g_new0(struct CMUnitTest, all->len);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    g_assert(all->len > 0);
    for (guint i = 0; i < all->len; i++) {
        Transcript *transcript = g_ptr_array_index(all, i);
        char *name = g_strdup_printf("%s (%s)", transcript->name, way_names[transcript->way]);

        g_ptr_array_add(names, name);
        tests[i] = (struct CMUnitTest){
            .name = name, .test_func = check_transcript, .initial_state = transcript};
    }
    return _cmocka_run_group_tests("transcripts", tests, all->len, NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_that_ends_is_closed),
        cmocka_unit_test(client_that_is_gone_is_closed),
        cmocka_unit_test(client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(many_pipelined_requests_are_answered_in_turns),
        cmocka_unit_test(answer_to_garbage_arrives_though_more_of_it_was_sent),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    return failed + play_all();
}
