/* tests/lmtp/test_stream.c - when replies leave, and what is left of the input */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "lmtp/stream.h"

typedef struct {
    LmtpStream *stream;
    int ours;
    int client;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    int sockets[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        return -1;
    fixture->ours = sockets[0];
    fixture->client = sockets[1];
    fixture->stream = lmtp_stream_new(fixture->ours, -1);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    lmtp_stream_free(fixture->stream);
    lodge_close(&fixture->ours);
    lodge_close(&fixture->client);
    g_free(fixture);
    return 0;
}

static void
say(const Fixture *fixture, const char *text)
{
    assert_int_equal(send(fixture->client, text, strlen(text), 0), strlen(text));
}

static void
expect_line(const Fixture *fixture, const char *expected)
{
    LmtpWait wait = {.deadline_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC};
    const char *line = NULL;
    size_t len = 0;

    assert_int_equal(lmtp_stream_read_line(fixture->stream, wait, &line, &len), LMTP_STREAM_READY);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(line, expected, len);
}

static void
expect_heard(const Fixture *fixture, const char *expected)
{
    char bytes[100] = "";

    (void)recv(fixture->client, bytes, sizeof bytes - 1, MSG_DONTWAIT);
    assert_string_equal(bytes, expected);
}

static void
replies_wait_while_there_are_commands_to_read(void **state)
{
    Fixture *fixture = *state;

    say(fixture, "ONE\r\nTWO\r\n");
    expect_line(fixture, "ONE");
    g_string_append(fixture->stream->replies, "250 1\r\n");
    expect_line(fixture, "TWO");
    expect_heard(fixture, "");
    say(fixture, "THREE\r\n");
    g_string_append(fixture->stream->replies, "250 2\r\n");
    expect_line(fixture, "THREE");
    expect_heard(fixture, "250 1\r\n250 2\r\n");
}

static void
reply_that_was_held_for_too_long_goes_out(void **state)
{
    Fixture *fixture = *state;

    say(fixture, "ONE\r\nTWO\r\n");
    expect_line(fixture, "ONE");
    g_string_append(fixture->stream->replies, "250 1\r\n");
    fixture->stream->held_us = g_get_monotonic_time() - 2 * LMTP_STREAM_HOLD_US;
    expect_line(fixture, "TWO");
    expect_heard(fixture, "250 1\r\n");
}

static void
input_already_read_is_used_before_a_deadline_in_the_past(void **state)
{
    Fixture *fixture = *state;
    const char *line = NULL;
    size_t len = 0;

    say(fixture, "ONE\r\nTWO\r\n");
    expect_line(fixture, "ONE");
    assert_int_equal(lmtp_stream_read_line(fixture->stream, (LmtpWait){0}, &line, &len),
                     LMTP_STREAM_READY);
    assert_int_equal(lmtp_stream_read_line(fixture->stream, (LmtpWait){0}, &line, &len),
                     LMTP_STREAM_TIMEOUT);
}

static void
last_reply_reaches_a_client_whose_input_was_not_read(void **state)
{
    Fixture *fixture = *state;

    say(fixture, "ONE\r\nTWO\r\n");
    expect_line(fixture, "ONE");
    say(fixture, "THREE\r\n");
    g_string_append(fixture->stream->replies, "421 bye\r\n");
    assert_int_equal(lmtp_stream_flush(fixture->stream, 0), LMTP_STREAM_READY);
    lmtp_stream_shutdown(fixture->stream);
    lodge_close(&fixture->ours);
    expect_heard(fixture, "421 bye\r\n");
    /* Not ECONNRESET, which unread input would have caused. */
    assert_int_equal(recv(fixture->client, &(char){0}, 1, 0), 0);
}

#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(replies_wait_while_there_are_commands_to_read),
        STREAM_TEST(reply_that_was_held_for_too_long_goes_out),
        STREAM_TEST(input_already_read_is_used_before_a_deadline_in_the_past),
        STREAM_TEST(last_reply_reaches_a_client_whose_input_was_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
