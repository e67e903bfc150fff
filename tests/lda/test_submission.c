/* tests/lda/test_submission.c - a message is handed over, or it is known why not
 *
 * Against an SMTP server in the test, and against programs that stand for sendmail.
 */
#include "lda/submission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/lda/smtp_fixture.h"

typedef struct {
    LdaConfig *config;
    OutgoingMail mail;
    char *to[4];
    char *remark;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    static const char *const overrides[] = {"mail.hostname=mx.example.com", NULL};

    fixture->config = config_load(NULL, overrides, NULL);
    fixture->to[0] = (char *)"bob@example.org";
    fixture->mail.from = (char *)"ana@example.com";
    fixture->mail.to = fixture->to;
    fixture->mail.bytes = g_bytes_new_static("Subject: x\n\nhello\n", 18);
    *state = fixture;
    return fixture->config == NULL;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    config_free(fixture->config);
    g_bytes_unref(fixture->mail.bytes);
    g_free(fixture->remark);
    g_free(fixture);
    return 0;
}

static void
set(char **slot, const char *value)
{
    g_free(*slot);
    *slot = g_strdup(value);
}

static void
set_message(Fixture *fixture, const char *text)
{
    g_bytes_unref(fixture->mail.bytes);
    fixture->mail.bytes = g_bytes_new(text, strlen(text));
}

static bool
submit(Fixture *fixture, GError **error)
{
    g_free(fixture->remark);
    return submission_send(fixture->config, &fixture->mail, &fixture->remark, error);
}

/* Sends to server; what the client said is in *said_out. */
static bool
send_to(Fixture *fixture, SmtpServer *server, char **said_out, GError **error)
{
    g_autofree char *url = NULL;
    bool sent;

    smtp_start(server);
    url = g_strdup_printf("smtp://127.0.0.1:%u", server->port);
    set(&fixture->config->submission.url, url);
    sent = submit(fixture, error);
    *said_out = smtp_stop(server);
    return sent;
}

/* The part of said behind the EHLO that is ours. */
static const char *
dialogue(const char *said)
{
    const char *mail = strstr(said, "MAIL FROM");

    return mail == NULL ? "" : mail;
}

static void
expect_dialogue(Fixture *fixture, const char *capabilities, const char *expected)
{
    SmtpServer server = {.capabilities = capabilities};
    g_autofree char *said = NULL;

    assert_true(send_to(fixture, &server, &said, NULL));
    assert_true(g_str_has_prefix(said, "EHLO mx.example.com\r\n"));
    assert_string_equal(dialogue(said), expected);
}

/* The first test, as libcurl stays once it was loaded. */
static void
library_that_could_not_be_loaded_is_tried_again(void **state)
{
    Fixture *fixture = *state;
    SmtpServer server = {.rows = NULL};
    struct rlimit limit, none = {.rlim_cur = 0};
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool sent = submit(fixture, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_false(sent);
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    assert_non_null(strstr(error->message, "libcurl.so.4: "));
    assert_true(send_to(fixture, &server, &said, NULL));
}

static void
message_is_handed_over(void **state)
{
    expect_dialogue(*state, "PIPELINING",
                    "MAIL FROM:<ana@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
                    "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
}

static void
null_sender_and_several_recipients(void **state)
{
    Fixture *fixture = *state;

    fixture->mail.from = (char *)"";
    fixture->to[1] = (char *)"c@d";
    expect_dialogue(fixture, "X",
                    "MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
                    "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
}

static void
dsn_parameters_go_to_who_knows_them(void **state)
{
    Fixture *fixture = *state;

    fixture->mail.ret = (char *)"HDRS";
    fixture->mail.notify = (char *)"NEVER";
    expect_dialogue(fixture, "DSN SIZE",
                    "MAIL FROM:<ana@example.com> SIZE=18 RET=HDRS\r\n"
                    "RCPT TO:<bob@example.org> NOTIFY=NEVER\r\nDATA\r\n"
                    "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    assert_null(fixture->remark);
    expect_dialogue(fixture, "X",
                    "MAIL FROM:<ana@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
                    "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    assert_non_null(strstr(fixture->remark, "does not offer DSN"));
}

static void
lines_with_dots_are_stuffed_and_carriage_returns_tamed(void **state)
{
    Fixture *fixture = *state;

    set_message(fixture, ".\n..a\nb.\n\r\n.\r\nc\rd\n\r.\r\nx\r");
    expect_dialogue(fixture, "X",
                    "MAIL FROM:<ana@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
                    "..\r\n...a\r\nb.\r\n\r\n..\r\nc d\r\n .\r\nx \r\n.\r\nQUIT\r\n");
}

static void
eight_bit_text_is_announced(void **state)
{
    Fixture *fixture = *state;

    set_message(fixture, "\n\xc3\xa4\n");
    expect_dialogue(fixture, "8BITMIME",
                    "MAIL FROM:<ana@example.com> BODY=8BITMIME\r\nRCPT TO:<bob@example.org>\r\n"
                    "DATA\r\n\r\n\xc3\xa4\r\n.\r\nQUIT\r\n");
}

static void
large_message_arrives_whole(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) text = g_string_new(NULL), expected = g_string_new(NULL);
    SmtpServer server = {.capabilities = "X"};
    g_autofree char *said = NULL;

    for (unsigned i = 0; i < 200000; i++) {
        g_string_append_printf(text, ".line %u\n", i);
        g_string_append_printf(expected, "..line %u\r\n", i);
    }
    for (unsigned i = 0; i < 200000; i++)
        g_string_append_c(text, 'x');
    g_string_append_len(expected, text->str + text->len - 200000, 200000);
    g_string_append(expected, "\r\n.\r\nQUIT\r\n");
    set_message(fixture, text->str);
    assert_true(send_to(fixture, &server, &said, NULL));
    assert_string_equal(strstr(said, "DATA\r\n") + strlen("DATA\r\n"), expected->str);
}

static void
utf8_address_needs_smtputf8(void **state)
{
    Fixture *fixture = *state;
    SmtpServer server = {.capabilities = "DSN"};
    g_autofree char *said = NULL;
    g_autoptr(GError) error = NULL;

    fixture->mail.from = (char *)"j\xc3\xb6rg@example.com";
    fixture->mail.is_utf8 = true;
    expect_dialogue(fixture, "SMTPUTF8",
                    "MAIL FROM:<j\xc3\xb6rg@example.com> SMTPUTF8\r\n"
                    "RCPT TO:<bob@example.org>\r\nDATA\r\n"
                    "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    assert_false(send_to(fixture, &server, &said, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_REFUSED));
    assert_string_equal(dialogue(said), "");
}

static void
address_cannot_add_a_command(void **state)
{
    static const char *const bad[] = {"a@b>\r\nRCPT TO:<c@d", "a@b\nX", "a@b> X", "", "<a@b"};
    Fixture *fixture = *state;

    set(&fixture->config->submission.url, "smtp://127.0.0.1:1");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        fixture->to[0] = (char *)bad[i];
        assert_false(submit(fixture, &error));
        assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_REFUSED));
    }
}

/* ---- failing at each step ------------------------------------------------ */

typedef struct {
    const char *behaviour;
    SmtpRow rows[2];
    SubmissionError code;
    const char *text; /* in the message of the error */
} Failure;

static const Failure failures[] = {
    {"mail_refused_for_ever",
     {{"MAIL", 0, "550 5.7.1 not you\r\n"}},
     SUBMISSION_ERROR_REFUSED,
     "MAIL with: 550 5.7.1 not you"},
    {"mail_refused_for_now",
     {{"MAIL", 0, "450 4.7.1 wait\r\n"}},
     SUBMISSION_ERROR_LATER,
     "450 4.7.1 wait"},
    {"hung_up_after_mail", {{"MAIL", 0, ""}}, SUBMISSION_ERROR_LATER, "hear"},
    {"recipient_refused_for_ever",
     {{"RCPT", 0, "550-5.1.1 no\r\n550 5.1.1 such user\r\n"}},
     SUBMISSION_ERROR_REFUSED,
     "550-5.1.1 no 550 5.1.1 such user"},
    {"second_recipient_refused",
     {{"RCPT", 1, "550 5.1.1 no\r\n"}},
     SUBMISSION_ERROR_REFUSED,
     "RCPT"},
    {"recipient_refused_for_now",
     {{"RCPT", 0, "451 4.2.0 later\r\n"}},
     SUBMISSION_ERROR_LATER,
     "RCPT"},
    {"hung_up_after_rcpt", {{"RCPT", 0, ""}}, SUBMISSION_ERROR_LATER, "hear"},
    {"data_refused_for_ever", {{"DATA", 0, "554 5.5.1 no\r\n"}}, SUBMISSION_ERROR_REFUSED, "DATA"},
    {"data_answered_with_250", {{"DATA", 0, "250 ok\r\n"}}, SUBMISSION_ERROR_LATER, "DATA"},
    {"hung_up_after_data", {{"DATA", 0, ""}}, SUBMISSION_ERROR_LATER, "hear"},
    {"message_refused_for_ever",
     {{".", 0, "554 5.7.1 spam\r\n"}},
     SUBMISSION_ERROR_REFUSED,
     "the message with: 554 5.7.1 spam"},
    {"message_refused_for_now", {{".", 0, "452 4.3.1 disk\r\n"}}, SUBMISSION_ERROR_LATER, "452"},
    {"hung_up_after_the_message", {{".", 0, ""}}, SUBMISSION_ERROR_LATER, "hear"},
    {"greeting_is_a_refusal",
     {{"greeting", 0, "554 go away\r\n"}},
     SUBMISSION_ERROR_LATER,
     "connect"},
    {"hung_up_before_the_greeting", {{"greeting", 0, ""}}, SUBMISSION_ERROR_LATER, "connect"},
    {"first_ehlo_refused", {{"EHLO", 0, "502 5.5.1 no\r\n"}}, SUBMISSION_ERROR_LATER, ""},
    {"second_ehlo_refused", {{"EHLO", 1, "502 5.5.1 no\r\n"}}, SUBMISSION_ERROR_LATER, "EHLO"},
    {"hung_up_after_ehlo", {{"EHLO", 1, ""}}, SUBMISSION_ERROR_LATER, "hear"},
    {"reply_is_no_smtp", {{"MAIL", 0, "hello there\r\n"}}, SUBMISSION_ERROR_LATER, "speak SMTP"},
    {"reply_is_a_blank_line", {{"MAIL", 0, "\r\n"}}, SUBMISSION_ERROR_LATER, "speak SMTP"},
    {"nothing_is_said_at_all", {{"MAIL", 0, "-"}}, SUBMISSION_ERROR_LATER, "timed out"},
};

static void
check_failure(void **state)
{
    const Failure *failure = *state;
    SmtpRow rows[3] = {failure->rows[0], failure->rows[1], {0}};
    SmtpServer server = {.rows = rows};
    g_autofree char *said = NULL;
    g_autoptr(GError) error = NULL;
    void *fixture = NULL;

    assert_int_equal(set_up(&fixture), 0);
    ((Fixture *)fixture)->to[1] = (char *)"second@example.org";
    ((Fixture *)fixture)->config->submission.timeout = 1;
    assert_false(send_to(fixture, &server, &said, &error));
    assert_int_equal(error->domain, SUBMISSION_ERROR);
    assert_int_equal(error->code, failure->code);
    assert_non_null(strstr(error->message, failure->text));
    if (strcmp(failure->rows[0].command, ".") != 0) /* nothing was handed over by half */
        assert_null(strstr(said, "\r\n.\r\n"));
    (void)tear_down(&fixture);
}

static void
what_is_said_to_quit_does_not_matter(void **state)
{
    static const SmtpRow rows[] = {{"QUIT", 0, ""}, {0}};
    SmtpServer server = {.rows = rows};
    g_autofree char *said = NULL;

    assert_true(send_to(*state, &server, &said, NULL));
}

static void
nobody_listens(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    set(&fixture->config->submission.url, "smtp://127.0.0.1:1");
    assert_false(submit(fixture, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
}

static void
other_protocols_are_not_spoken(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1", "file:///etc/passwd", "", "imap://x"};
    Fixture *fixture = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_autoptr(GError) error = NULL;

        set(&fixture->config->submission.url, urls[i]);
        assert_false(submit(fixture, &error));
        assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    }
}

static void
tls_that_is_demanded_and_not_offered_stops_the_mail(void **state)
{
    Fixture *fixture = *state;
    SmtpServer server = {0};
    g_autofree char *said = NULL;
    g_autoptr(GError) error = NULL;

    fixture->config->submission.tls = SUBMISSION_TLS_YES;
    assert_false(send_to(fixture, &server, &said, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    assert_string_equal(dialogue(said), "");
}

static void
tls_that_is_only_tried_may_be_missing(void **state)
{
    Fixture *fixture = *state;
    SmtpServer server = {0};
    g_autofree char *said = NULL;

    fixture->config->submission.tls = SUBMISSION_TLS_TRY;
    assert_true(send_to(fixture, &server, &said, NULL));
}

static char *
temporary_file(const char *text, unsigned mode)
{
    char *path = NULL;
    int fd = g_file_open_tmp("lodge-XXXXXX", &path, NULL);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

static void
login_is_told_to_the_server(void **state)
{
    Fixture *fixture = *state;
    SmtpServer server = {.capabilities = "AUTH_PLAIN"};
    g_autofree char *said = NULL, *path = temporary_file("secret\n", 0600);

    set(&fixture->config->submission.user, "lodge");
    set(&fixture->config->submission.password_file, path);
    assert_true(send_to(fixture, &server, &said, NULL));
    assert_non_null(strstr(said, "AUTH PLAIN AGxvZGdlAHNlY3JldA==\r\n")); /* \0lodge\0secret */
    (void)unlink(path);
}

static void
refused_login_is_a_reason_to_try_again(void **state)
{
    static const SmtpRow rows[] = {{"AUTH", 0, "535 5.7.8 wrong\r\n"}, {0}};
    Fixture *fixture = *state;
    SmtpServer server = {.rows = rows, .capabilities = "AUTH_PLAIN"};
    g_autofree char *said = NULL, *path = temporary_file("secret\n", 0600);
    g_autoptr(GError) error = NULL;

    set(&fixture->config->submission.user, "lodge");
    set(&fixture->config->submission.password_file, path);
    assert_false(send_to(fixture, &server, &said, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    (void)unlink(path);
}

static void
missing_password_is_a_reason_to_try_again(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    set(&fixture->config->submission.user, "lodge");
    set(&fixture->config->submission.password_file, "/nonexistent/password");
    assert_false(submit(fixture, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    assert_non_null(strstr(error->message, "password"));
}

/* ---- a sendmail program -------------------------------------------------- */

static bool
run_program(Fixture *fixture, const char *script, GError **error)
{
    g_autofree char *path = temporary_file(script, 0700);
    bool sent;

    set(&fixture->config->submission.sendmail, path);
    sent = submit(fixture, error);
    (void)unlink(path);
    return sent;
}

static void
program_gets_addresses_as_arguments_and_the_message_as_input(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *out = temporary_file("", 0600), *script = NULL, *text = NULL;

    script = g_strdup_printf("#!/bin/sh\nfor a; do echo \"$a\"; done > %s\ncat >> %s\n", out, out);
    fixture->to[0] = (char *)"-oX$(id)@example.org";
    fixture->to[1] = (char *)"c@d";
    assert_true(run_program(fixture, script, NULL));
    assert_true(g_file_get_contents(out, &text, NULL, NULL));
    assert_string_equal(text, "-i\n-f\nana@example.com\n--\n-oX$(id)@example.org\nc@d\n"
                              "Subject: x\n\nhello\n");
    (void)unlink(out);
}

static void
program_gets_dsn_parameters_as_options(void **state)
{
    Fixture *fixture = *state;

    fixture->mail.ret = (char *)"HDRS";
    fixture->mail.notify = (char *)"SUCCESS,DELAY";
    assert_true(run_program(fixture,
                            "#!/bin/sh\ntest \"$*\" = \"-i -N success,delay -R hdrs -f "
                            "ana@example.com -- bob@example.org\"\n",
                            NULL));
    assert_null(fixture->remark);
    fixture->mail.ret = NULL;
    fixture->mail.notify = (char *)"NEVER";
    fixture->mail.from = (char *)""; /* no report could come */
    assert_true(
        run_program(fixture, "#!/bin/sh\ntest \"$*\" = \"-i -f <> -- bob@example.org\"\n", NULL));
}

/* Its "-N" delivers nothing. */
static void
exim_gets_no_dsn_parameters_and_it_is_said(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *dir = g_dir_make_tmp("lodge-submission-XXXXXX", NULL);
    g_autofree char *exim = g_build_filename(dir, "exim4", NULL);
    g_autofree char *link = g_build_filename(dir, "sendmail", NULL);

    assert_true(g_file_set_contents(exim, "#!/bin/sh\ntest \"$1 $2\" = \"-i -f\"\n", -1, NULL));
    assert_int_equal(chmod(exim, 0700), 0);
    assert_int_equal(symlink("exim4", link), 0);
    set(&fixture->config->submission.sendmail, link);
    fixture->mail.notify = (char *)"SUCCESS";
    assert_true(submit(fixture, NULL));
    assert_non_null(strstr(fixture->remark, "is Exim"));
    assert_int_equal(unlink(link) + unlink(exim) + rmdir(dir), 0);
}

static void
null_sender_of_a_program_is_in_brackets(void **state)
{
    Fixture *fixture = *state;

    fixture->mail.from = (char *)"";
    assert_true(run_program(fixture, "#!/bin/sh\ntest \"$2 $3\" = \"-f <>\"\n", NULL));
}

static void
program_that_reads_nothing_is_no_trouble(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = g_strnfill(1 << 20, 'x');

    set_message(fixture, text);
    assert_true(run_program(fixture, "#!/bin/sh\nexit 0\n", NULL));
}

static void
exit_status_tells_never_from_later(void **state)
{
    static const struct {
        int status;
        SubmissionError code;
    } rows[] = {
        {1, SUBMISSION_ERROR_LATER},    {65, SUBMISSION_ERROR_REFUSED},
        {67, SUBMISSION_ERROR_REFUSED}, {68, SUBMISSION_ERROR_REFUSED},
        {69, SUBMISSION_ERROR_LATER},   {75, SUBMISSION_ERROR_LATER},
        {77, SUBMISSION_ERROR_REFUSED}, {127, SUBMISSION_ERROR_LATER},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *script =
            g_strdup_printf("#!/bin/sh\necho what is wrong >&2\nexit %d\n", rows[i].status);
        g_autoptr(GError) error = NULL;

        assert_false(run_program(*state, script, &error));
        assert_int_equal(error->code, rows[i].code);
        assert_non_null(strstr(error->message, "what is wrong"));
    }
}

static void
program_that_is_killed_or_missing_is_tried_again(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    assert_false(run_program(fixture, "#!/bin/sh\nkill -9 $$\n", &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    g_clear_error(&error);
    set(&fixture->config->submission.sendmail, "/nonexistent/sendmail");
    assert_false(submit(fixture, &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
}

static void
program_that_hangs_is_killed(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    fixture->config->submission.timeout = 0; /* no wait at all */
    assert_false(run_program(fixture, "#!/bin/sh\nexec cat /dev/zero > /dev/null\n", &error));
    assert_true(g_error_matches(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER));
    assert_non_null(strstr(error->message, "timed out"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(library_that_could_not_be_loaded_is_tried_again),
        TEST(message_is_handed_over),
        TEST(null_sender_and_several_recipients),
        TEST(dsn_parameters_go_to_who_knows_them),
        TEST(lines_with_dots_are_stuffed_and_carriage_returns_tamed),
        TEST(eight_bit_text_is_announced),
        TEST(large_message_arrives_whole),
        TEST(utf8_address_needs_smtputf8),
        TEST(address_cannot_add_a_command),
        TEST(what_is_said_to_quit_does_not_matter),
        TEST(nobody_listens),
        TEST(other_protocols_are_not_spoken),
        TEST(tls_that_is_demanded_and_not_offered_stops_the_mail),
        TEST(tls_that_is_only_tried_may_be_missing),
        TEST(login_is_told_to_the_server),
        TEST(refused_login_is_a_reason_to_try_again),
        TEST(missing_password_is_a_reason_to_try_again),
        TEST(program_gets_addresses_as_arguments_and_the_message_as_input),
        TEST(program_gets_dsn_parameters_as_options),
        TEST(exim_gets_no_dsn_parameters_and_it_is_said),
        TEST(null_sender_of_a_program_is_in_brackets),
        TEST(program_that_reads_nothing_is_no_trouble),
        TEST(exit_status_tells_never_from_later),
        TEST(program_that_is_killed_or_missing_is_tried_again),
        TEST(program_that_hangs_is_killed),
    };
    struct CMUnitTest failing[G_N_ELEMENTS(failures)];

    for (size_t i = 0; i < G_N_ELEMENTS(failures); i++)
        failing[i] = (struct CMUnitTest){.name = failures[i].behaviour,
                                         .test_func = check_failure,
                                         .initial_state = (void *)&failures[i]};
    return cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(failing, NULL, NULL);
}
