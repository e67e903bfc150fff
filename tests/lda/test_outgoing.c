/* tests/lda/test_outgoing.c - what is sent: redirects, replies, rejections, notifications */
#include "lda/outgoing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define NOW_US (G_GINT64_CONSTANT(1795502996) * G_USEC_PER_SEC)

static const char message[] = "Return-Path: <bob@example.org>\n"
                              "Received: from a\n"
                              "\tby b\n"
                              "From: Bob <bob@example.org>\n"
                              "Subject: hello\n"
                              "\n"
                              "body\n";

static char *none[] = {NULL};

typedef struct {
    LdaConfig *config;
    SieveInput input;
    SieveAction action;
    OutgoingContext context;
    char *sent; /* of the last mail */
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->config = config_load(NULL, NULL, NULL);
    fixture->input = (SieveInput){.bytes = (const uint8_t *)message,
                                  .len = sizeof message - 1,
                                  .sender = "bob@example.org",
                                  .recipient = "ana@example.com"};
    fixture->action = (SieveAction){.line = 7,
                                    .flags = none,
                                    .options = none,
                                    .fields = none,
                                    .notify_to = none,
                                    .notify_cc = none};
    fixture->context = (OutgoingContext){.config = fixture->config,
                                         .input = &fixture->input,
                                         .hostname = "mx.example.com",
                                         .transaction_id = "k3Xd9",
                                         .now_us = NOW_US};
    setenv("TZ", "UTC0", 1);
    tzset();
    *state = fixture;
    return fixture->config == NULL;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    config_free(fixture->config);
    g_free(fixture->sent);
    g_free(fixture);
    return 0;
}

static void
set(char **slot, const char *value)
{
    g_free(*slot);
    *slot = g_strdup(value);
}

/* Composes; the text is the fixture's. */
static OutgoingMail *
compose(Fixture *fixture)
{
    char *suppressed = NULL;
    g_autoptr(GError) error = NULL;
    OutgoingMail *mail = outgoing_compose(&fixture->context, &fixture->action, &suppressed, &error);
    size_t len = 0;

    assert_null(error);
    assert_null(suppressed);
    assert_non_null(mail);
    const char *bytes = g_bytes_get_data(mail->bytes, &len);
    g_free(fixture->sent);
    fixture->sent = g_strndup(bytes, len);
    assert_int_equal(strlen(fixture->sent), len);
    return mail;
}

/* The same where only the text matters. */
static void
compose_text(Fixture *fixture)
{
    outgoing_mail_free(compose(fixture));
}

static char *
compose_suppressed(Fixture *fixture)
{
    char *suppressed = NULL;
    g_autoptr(GError) error = NULL;

    assert_null(outgoing_compose(&fixture->context, &fixture->action, &suppressed, &error));
    assert_null(error);
    assert_non_null(suppressed);
    return suppressed;
}

static void
assert_has(const Fixture *fixture, const char *text)
{
    if (strstr(fixture->sent, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, fixture->sent);
}

static void
assert_hasnt(const Fixture *fixture, const char *text)
{
    if (strstr(fixture->sent, text) != NULL)
        fail_msg("'%s' is in:\n%s", text, fixture->sent);
}

/* No line of the header begins with name. */
static void
assert_no_field(const Fixture *fixture, const char *name)
{
    g_autofree char *header =
        g_strndup(fixture->sent, (size_t)(strstr(fixture->sent, "\n\n") + 1 - fixture->sent));
    g_autofree char *line = g_strconcat("\n", name, ":", NULL);

    if (g_str_has_prefix(header, line + 1) || strstr(header, line) != NULL)
        fail_msg("%s is in:\n%s", name, header);
}

/* ---- redirect ------------------------------------------------------------ */

static void
redirect_to(Fixture *fixture, const char *address)
{
    fixture->action.kind = SIEVE_ACTION_REDIRECT;
    fixture->action.address = (char *)address;
}

static void
redirect_sends_the_message_with_a_loop_field(void **state)
{
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "bob@example.org");
    assert_string_equal(mail->to[0], "carl@example.net");
    assert_null(mail->to[1]);
    assert_null(mail->notify);
    assert_string_equal(fixture->sent, "X-Sieve-Redirected-From: ana@example.com\n"
                                       "Received: from a\n\tby b\n"
                                       "From: Bob <bob@example.org>\nSubject: hello\n\nbody\n");
}

static void
loop_field_names_the_users_own_address(void **state)
{
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    fixture->context.user_email = "ana@home.example";
    compose_text(fixture);
    assert_true(g_str_has_prefix(fixture->sent, "X-Sieve-Redirected-From: ana@home.example\n"));
}

static void
what_we_redirected_before_is_not_redirected_again(void **state)
{
    static const char *const loops[] = {
        "X-Sieve-Redirected-From: ana@example.com\n\n",
        "x-sieve-redirected-from:ANA@example.com\n\n",
        "Subject: x\nX-Sieve-Redirected-From:\n\tana@example.com \n\n",
        ("X-Sieve-Redirected-From: other@example.com\nX-Sieve-Redirected-From: "
         "<ana@example.com>\n\n"),
        "X-Sieve-Redirected-From: ana@example.com\r\n\r\nbody\r\n",
        "X-Sieve-Redirected-From: ana@example.com",
    };
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    for (size_t i = 0; i < G_N_ELEMENTS(loops); i++) {
        fixture->input.bytes = (const uint8_t *)loops[i];
        fixture->input.len = strlen(loops[i]);
        g_autofree char *suppressed = compose_suppressed(fixture);
        assert_non_null(strstr(suppressed, "ana@example.com"));
    }
}

static void
what_others_redirected_is_redirected(void **state)
{
    static const char *const chains[] = {
        "X-Sieve-Redirected-From: bana@example.com\n\nx\n",
        "Subject: X-Sieve-Redirected-From: ana@example.com\n\nx\n",
        "\nX-Sieve-Redirected-From: ana@example.com\n",
        "X-Sieve-Redirected-From-: ana@example.com\n\nx\n",
    };
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    for (size_t i = 0; i < G_N_ELEMENTS(chains); i++) {
        fixture->input.bytes = (const uint8_t *)chains[i];
        fixture->input.len = strlen(chains[i]);
        compose_text(fixture);
        assert_true(g_str_has_suffix(fixture->sent, chains[i]));
    }
}

static void
empty_message_is_redirected_as_it_is(void **state)
{
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    fixture->input.bytes = NULL;
    fixture->input.len = 0;
    compose_text(fixture);
    assert_string_equal(fixture->sent, "X-Sieve-Redirected-From: ana@example.com\n");
}

static void
edited_message_is_what_is_redirected(void **state)
{
    Fixture *fixture = *state;
    SieveEdition edition = {.header = g_bytes_new_static("Subject: new\n\n", 14)};

    redirect_to(fixture, "carl@example.net");
    fixture->action.edition = &edition;
    compose_text(fixture);
    assert_string_equal(fixture->sent,
                        "X-Sieve-Redirected-From: ana@example.com\nSubject: new\n\nbody\n");
    edition.body = g_bytes_new_static("other\n", 6);
    compose_text(fixture);
    assert_true(g_str_has_suffix(fixture->sent, "Subject: new\n\nother\n"));
    g_bytes_unref(edition.header);
    g_bytes_unref(edition.body);
}

typedef struct {
    const char *setting;
    const char *sender;
    const char *expected;
} SenderRow;

static void
envelope_sender_is_what_is_set(void **state)
{
    static const SenderRow rows[] = {
        {"sender", "bob@example.org", "bob@example.org"},
        {" recipient ", "bob@example.org", "ana@example.com"},
        {"orig_recipient", "bob@example.org", "info@example.com"},
        {"user_email", "bob@example.org", "ana@home.example"},
        {"postmaster", "bob@example.org", "postmaster@mx.example.com"},
        {"<boss@example.com>", "bob@example.org", "boss@example.com"},
        {"<>", "bob@example.org", ""},
        {"recipient", "", ""},
        {"<boss@example.com>", "", ""},
        {"postmaster", "", ""},
        {"srs", "", ""},
    };
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    fixture->context.user_email = "ana@home.example";
    fixture->input.original_recipient = "info@example.com";
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        set(&fixture->config->sieve.redirect_envelope_from, rows[i].setting);
        fixture->input.sender = rows[i].sender;
        g_autoptr(OutgoingMail) mail = compose(fixture);
        assert_string_equal(mail->from, rows[i].expected);
        assert_true(outgoing_is_path_setting(rows[i].setting, true));
    }
}

static void
settings_that_are_no_sender_are_told(void **state)
{
    static const char *const settings[] = {"", "senders", "a@b", "<a", "<a@b> x", "srs0"};
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
        char *suppressed = NULL;
        g_autoptr(GError) error = NULL;

        set(&fixture->config->sieve.redirect_envelope_from, settings[i]);
        assert_null(outgoing_compose(&fixture->context, &fixture->action, &suppressed, &error));
        assert_true(g_error_matches(error, OUTGOING_ERROR, OUTGOING_ERROR_SETTING));
        assert_false(outgoing_is_path_setting(settings[i], true));
    }
    assert_false(outgoing_is_path_setting("srs", false));
}

static void
sender_is_rewritten_with_the_secret_or_not_sent(void **state)
{
    Fixture *fixture = *state;
    char *suppressed = NULL, *path = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("srs-XXXXXX", &path, NULL);

    assert_int_equal(write(fd, "secret\n", 7), 7);
    (void)close(fd);
    redirect_to(fixture, "carl@example.net");
    set(&fixture->config->sieve.redirect_envelope_from, "srs");
    set(&fixture->config->sieve.srs_secrets, path);
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_true(g_str_has_prefix(mail->from, "SRS0="));
    assert_true(g_str_has_suffix(mail->from, "=example.org=bob@mx.example.com"));
    (void)unlink(path);
    g_free(path);
    assert_null(outgoing_compose(&fixture->context, &fixture->action, &suppressed, &error));
    assert_non_null(error);
}

/* RFC 6009 section 6.1. */
static void
reports_asked_for_by_the_owner_go_to_the_owner(void **state)
{
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    fixture->action.ret = (char *)"HDRS";
    fixture->action.notify = (char *)"SUCCESS,DELAY";
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "ana@example.com");
    assert_string_equal(mail->ret, "HDRS");
    assert_string_equal(mail->notify, "SUCCESS,DELAY");
    fixture->input.sender = "";
    g_autoptr(OutgoingMail) null = compose(fixture);
    assert_string_equal(null->from, "");
}

static void
only_addresses_that_are_not_ascii_need_smtputf8(void **state)
{
    Fixture *fixture = *state;

    redirect_to(fixture, "carl@example.net");
    g_autoptr(OutgoingMail) plain = compose(fixture);
    assert_false(plain->is_utf8);
    redirect_to(fixture, "j\xc3\xb6rg@example.net");
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_true(mail->is_utf8);
}

/* ---- vacation ------------------------------------------------------------ */

static void
be_on_vacation(Fixture *fixture)
{
    fixture->action.kind = SIEVE_ACTION_VACATION;
    fixture->action.to = (char *)"bob@example.org";
    fixture->action.to_header = (char *)"\"Bob\" <bob@example.org>";
    fixture->action.reply_from = (char *)"ana@example.com";
    fixture->action.subject = (char *)"Auto: hello";
    fixture->action.reason = (char *)"I am away.\n";
}

static void
vacation_reply_is_as_rfc_5230_section_5_wants_it(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.in_reply_to = (char *)"<b@x>";
    fixture->action.references = (char *)"<a@x> <b@x>";
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "");
    assert_string_equal(mail->to[0], "bob@example.org");
    assert_string_equal(mail->notify, "NEVER");
    assert_true(g_str_has_prefix(fixture->sent, "Message-ID: <"));
    assert_has(fixture, ".k3Xd9@mx.example.com>\n");
    assert_has(fixture, "\nDate: Tue, 24 Nov 2026 06:49:56 +0000\n"
                        "From: ana@example.com\nTo: Bob <bob@example.org>\nSubject: Auto: hello\n"
                        "In-Reply-To: <b@x>\nReferences: <a@x> <b@x>\n"
                        "Auto-Submitted: auto-replied\n");
    assert_true(g_str_has_suffix(fixture->sent, "MIME-Version: 1.0\n"
                                                "Content-Type: text/plain; charset=utf-8\n"
                                                "Content-Transfer-Encoding: 7bit\n\n"
                                                "I am away.\n"));
}

static void
reply_without_message_id_has_no_thread(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    compose_text(fixture);
    assert_no_field(fixture, "In-Reply-To");
    assert_no_field(fixture, "References");
}

static void
vacation_sender_can_be_the_recipient(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->config->sieve.vacation_send_from_recipient = true;
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "ana@example.com");
}

static void
text_that_is_not_ascii_is_quoted_printable(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.reason = (char *)"Gr\xc3\xbc\xc3\x9f"
                                     "e = gut \n\nx";
    compose_text(fixture);
    assert_true(g_str_has_suffix(fixture->sent, "Content-Transfer-Encoding: quoted-printable\n\n"
                                                "Gr=C3=BC=C3=9Fe =3D gut=20\n\nx\n"));
}

static void
no_line_of_a_reply_is_too_long(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = g_strnfill(5000, 'x'), *spaced = g_strnfill(3000, ' ');
    g_autofree char *subject = g_strconcat("a b ", text, " \xc3\xa4", NULL);

    be_on_vacation(fixture);
    fixture->action.reason = text;
    fixture->action.subject = subject;
    for (size_t i = 0; i < 3000; i += 7)
        spaced[i] = 'x';
    fixture->action.references = spaced;
    compose_text(fixture);
    g_auto(GStrv) lines = g_strsplit(fixture->sent, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++)
        assert_true(strlen(lines[i]) <= 78);
}

typedef struct {
    const char *name;
    const char *subject;
    const char *expected;
} SubjectRow;

static void
subject_is_encoded_if_and_only_if_it_must_be(void **state)
{
    static const SubjectRow rows[] = {
        {"plain", "Hello  world", "\nSubject: Hello  world\n"},
        {"umlauts", "Bin im B\xc3\xbcro", "\nSubject: =?utf-8?q?Bin_im_B=C3=BCro?=\n"},
        {"mostly other", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
         "\nSubject: =?utf-8?b?0J/RgNC40LLQtdGC?=\n"},
        {"looks encoded", "=?utf-8?q?x?=", "\nSubject: =?utf-8?"},
        {"empty", "", "\nSubject: \n"},
    };
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        fixture->action.subject = (char *)rows[i].subject;
        compose_text(fixture);
        assert_has(fixture, rows[i].expected);
    }
}

static void
names_are_encoded_and_addresses_are_not(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.from =
        (char *)"\"M\xc3\xbcller, Ana\" <ana@example.com>, Bob J. <b@x>, \"a,b\" <c@d>, e@f";
    compose_text(fixture);
    assert_has(fixture,
               "\nFrom: =?utf-8?q?M=C3=BCller=2C_Ana?= <ana@example.com>, \"Bob J.\" <b@x>,\n"
               " \"a,b\" <c@d>, e@f\n");
}

static void
no_value_can_add_a_line(void **state)
{
    static char evil[] = "x\r\nBcc: evil@example.org\r\n\r\nbody\x01\x7f";
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.subject = fixture->action.from = fixture->action.to_header =
        fixture->action.in_reply_to = fixture->action.references = evil;
    compose_text(fixture);
    assert_no_field(fixture, "Bcc");
    assert_no_field(fixture, "body");
}

static void
entity_gives_its_own_type(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.mime = true;
    fixture->action.reason = (char *)"Content-Type: multipart/alternative;\n boundary=foo\n"
                                     "Bcc: evil@example.org\nX: y\nSubject: other\n\n"
                                     "--foo\n\nhi\n--foo--\n";
    compose_text(fixture);
    assert_true(g_str_has_suffix(fixture->sent,
                                 "MIME-Version: 1.0\nContent-Type: multipart/alternative;\n"
                                 " boundary=foo\n\n--foo\n\nhi\n--foo--\n"));
    assert_no_field(fixture, "Bcc");
}

static void
entity_without_header_is_text(void **state)
{
    static const char *const entities[] = {"\nhello\n", "hello\n", "X-Y: z\n\nhello\n"};
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.mime = true;
    for (size_t i = 0; i < G_N_ELEMENTS(entities); i++) {
        fixture->action.reason = (char *)entities[i];
        compose_text(fixture);
        assert_true(g_str_has_suffix(fixture->sent, "Content-Type: text/plain; charset=utf-8\n"
                                                    "Content-Transfer-Encoding: 7bit\n\nhello\n"));
    }
}

static void
entity_of_eight_bits_says_so(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    fixture->action.mime = true;
    fixture->action.reason = (char *)"Content-Type: text/html; charset=utf-8\n\n\xc3\xa4\n";
    compose_text(fixture);
    assert_has(fixture, "charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa4\n");
}

static void
message_id_is_the_same_when_tried_again_and_no_other(void **state)
{
    Fixture *fixture = *state;

    be_on_vacation(fixture);
    compose_text(fixture);
    g_autofree char *text = g_strdup(fixture->sent);
    compose_text(fixture);
    assert_string_equal(fixture->sent, text);
    fixture->input.recipient = "other@example.com";
    compose_text(fixture);
    assert_int_not_equal(strncmp(fixture->sent, text, strcspn(text, "\n")), 0);
}

/* ---- rejection ----------------------------------------------------------- */

static void
reject(Fixture *fixture, bool ereject)
{
    fixture->action.kind = SIEVE_ACTION_REJECT;
    fixture->action.ereject = ereject;
    fixture->action.reason = (char *)"Your message is too big.\nSorry.";
    fixture->action.in_reply_to = (char *)"<m@x>";
    fixture->action.references = (char *)"<m@x>";
}

static void
rejection_is_a_disposition_notification(void **state)
{
    Fixture *fixture = *state;

    reject(fixture, false);
    fixture->input.original_recipient = "info@example.com";
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "");
    assert_string_equal(mail->to[0], "bob@example.org");
    assert_has(fixture, "\nFrom: Postmaster <postmaster@mx.example.com>\nTo: bob@example.org\n");
    assert_has(fixture, "\nAuto-Submitted: auto-replied\n");
    assert_has(fixture,
               "\nContent-Type: multipart/report; report-type=disposition-notification;\n");
    assert_has(fixture, "\n\nYour message is too big.\nSorry.\n");
    assert_has(fixture, "\nContent-Type: message/disposition-notification\n\n"
                        "Reporting-UA: mx.example.com; lodge\n"
                        "Original-Recipient: rfc822;info@example.com\n"
                        "Final-Recipient: rfc822;ana@example.com\n"
                        "Original-Message-ID: <m@x>\n"
                        "Disposition: automatic-action/MDN-sent-automatically; deleted\n\n--");
    assert_has(fixture, "\nContent-Type: text/rfc822-headers\n\nReturn-Path: <bob@example.org>\n");
    assert_hasnt(fixture, "\nbody\n"); /* what was sent is not sent on */
}

static void
ereject_is_a_delivery_status_notification(void **state)
{
    Fixture *fixture = *state;

    reject(fixture, true);
    compose_text(fixture);
    assert_has(fixture, "report-type=delivery-status;\n");
    assert_has(fixture, "\nContent-Type: message/delivery-status\n\n"
                        "Reporting-MTA: dns;mx.example.com\n\n"
                        "Final-Recipient: rfc822;ana@example.com\nAction: failed\n"
                        "Status: 5.7.1\n\n--");
}

static void
null_sender_gets_no_rejection(void **state)
{
    Fixture *fixture = *state;

    fixture->input.sender = "";
    for (int ereject = 0; ereject < 2; ereject++) {
        reject(fixture, ereject);
        g_autofree char *suppressed = compose_suppressed(fixture);
        assert_non_null(strstr(suppressed, "null sender"));
    }
}

static void
postmaster_address_is_what_is_set(void **state)
{
    Fixture *fixture = *state;

    reject(fixture, false);
    set(&fixture->config->sieve.postmaster_address, "mail@example.com");
    compose_text(fixture);
    assert_has(fixture, "\nFrom: Postmaster <mail@example.com>\n");
}

/* ---- notification -------------------------------------------------------- */

static void
notify(Fixture *fixture)
{
    static char *to[] = {(char *)"0123456789@sms.example.net", (char *)"backup@example.com", NULL};

    fixture->action.kind = SIEVE_ACTION_NOTIFY;
    fixture->action.method = (char *)"mailto:...";
    fixture->action.importance = (char *)"2";
    fixture->action.notify_to = to;
    fixture->action.subject = (char *)"From Knitting list: A new sweater";
    fixture->action.body = (char *)"hello\n";
}

/* RFC 5436 section 3. */
static void
notification_is_as_rfc_5436_shows_it(void **state)
{
    Fixture *fixture = *state;

    notify(fixture);
    fixture->input.recipient = "recipient@example.org";
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_string_equal(mail->from, "bob@example.org");
    assert_string_equal(mail->to[0], "0123456789@sms.example.net");
    assert_string_equal(mail->to[1], "backup@example.com");
    assert_null(mail->to[2]);
    assert_true(g_str_has_prefix(
        fixture->sent, "Auto-Submitted: auto-notified; owner-email=\"recipient@example.org\"\n"));
    assert_has(fixture, "\nFrom: recipient@example.org\n"
                        "To: 0123456789@sms.example.net, backup@example.com\n"
                        "Subject: From Knitting list: A new sweater\n");
    assert_no_field(fixture, "Importance");
}

static void
notification_sender_is_from_or_what_is_set(void **state)
{
    static const struct {
        const char *setting, *from, *sender, *expected;
    } rows[] = {
        {"sender", NULL, "bob@example.org", "bob@example.org"},
        {"sender", "Ana <me@example.com>", "bob@example.org", "me@example.com"},
        {"recipient", "Ana <me@example.com>", "bob@example.org", "ana@example.com"},
        {"<>", NULL, "bob@example.org", ""},
        {"sender", "Ana <me@example.com>", "", ""}, /* a null sender stays null */
        {"recipient", NULL, "", ""},
    };
    Fixture *fixture = *state;

    notify(fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        set(&fixture->config->sieve.notify_envelope_from, rows[i].setting);
        fixture->action.from = (char *)rows[i].from;
        fixture->input.sender = rows[i].sender;
        g_autoptr(OutgoingMail) mail = compose(fixture);
        assert_string_equal(mail->from, rows[i].expected);
    }
}

static void
notification_has_the_fields_of_its_uri(void **state)
{
    static char *fields[] = {(char *)"X-Alarm", (char *)"loud\r\nBcc: evil@x", (char *)"Reply-To",
                             (char *)"J\xc3\xb6rg <j@x>", NULL};
    static char *cc[] = {(char *)"c@x", NULL};
    Fixture *fixture = *state;

    notify(fixture);
    fixture->action.fields = fields;
    fixture->action.notify_cc = cc;
    fixture->action.importance = (char *)"1";
    g_autoptr(OutgoingMail) mail = compose(fixture);
    assert_has(fixture, "\nX-Alarm: loud  Bcc: evil@x\nReply-To: =?utf-8?q?J=C3=B6rg?= <j@x>\n");
    assert_has(fixture, "\nCc: c@x\n");
    assert_has(fixture, "\nX-Priority: 1 (Highest)\nImportance: High\n");
    assert_string_equal(mail->to[2], "c@x");
    assert_no_field(fixture, "Bcc");
}

static void
importance_of_the_uri_stands_alone(void **state)
{
    static char *fields[] = {(char *)"Importance", (char *)"Normal", NULL};
    Fixture *fixture = *state;

    notify(fixture);
    fixture->action.fields = fields;
    fixture->action.importance = (char *)"3";
    compose_text(fixture);
    assert_has(fixture, "\nImportance: Normal\n");
    assert_hasnt(fixture, "Low");
}

/* ---- notice -------------------------------------------------------------- */

static void
owner_is_told_what_failed(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(OutgoingMail) mail =
        outgoing_notice(&fixture->context, "main\nBcc: x@y", "main:3: it went wrong");
    size_t len = 0;
    const char *bytes = g_bytes_get_data(mail->bytes, &len);

    fixture->sent = g_strndup(bytes, len);
    assert_string_equal(mail->from, "");
    assert_string_equal(mail->to[0], "ana@example.com");
    assert_has(fixture, "\nSubject: Your Sieve script 'main Bcc: x@y' failed\n");
    assert_has(fixture, "\nAuto-Submitted: auto-generated\n");
    assert_has(fixture, "\n\nmain:3: it went wrong\n\n");
    assert_no_field(fixture, "Bcc");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(redirect_sends_the_message_with_a_loop_field),
        TEST(loop_field_names_the_users_own_address),
        TEST(what_we_redirected_before_is_not_redirected_again),
        TEST(what_others_redirected_is_redirected),
        TEST(empty_message_is_redirected_as_it_is),
        TEST(edited_message_is_what_is_redirected),
        TEST(envelope_sender_is_what_is_set),
        TEST(settings_that_are_no_sender_are_told),
        TEST(sender_is_rewritten_with_the_secret_or_not_sent),
        TEST(reports_asked_for_by_the_owner_go_to_the_owner),
        TEST(only_addresses_that_are_not_ascii_need_smtputf8),
        TEST(vacation_reply_is_as_rfc_5230_section_5_wants_it),
        TEST(reply_without_message_id_has_no_thread),
        TEST(vacation_sender_can_be_the_recipient),
        TEST(text_that_is_not_ascii_is_quoted_printable),
        TEST(no_line_of_a_reply_is_too_long),
        TEST(subject_is_encoded_if_and_only_if_it_must_be),
        TEST(names_are_encoded_and_addresses_are_not),
        TEST(no_value_can_add_a_line),
        TEST(entity_gives_its_own_type),
        TEST(entity_without_header_is_text),
        TEST(entity_of_eight_bits_says_so),
        TEST(message_id_is_the_same_when_tried_again_and_no_other),
        TEST(rejection_is_a_disposition_notification),
        TEST(ereject_is_a_delivery_status_notification),
        TEST(null_sender_gets_no_rejection),
        TEST(postmaster_address_is_what_is_set),
        TEST(notification_is_as_rfc_5436_shows_it),
        TEST(notification_sender_is_from_or_what_is_set),
        TEST(notification_has_the_fields_of_its_uri),
        TEST(importance_of_the_uri_stands_alone),
        TEST(owner_is_told_what_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
