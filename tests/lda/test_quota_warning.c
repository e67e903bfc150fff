/* tests/lda/test_quota_warning.c - what the owner of a mailbox that fills up is told */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/quota_warning.h"

static const gint64 now_us = G_GINT64_CONSTANT(1700000000000042);

static const Mailbox ana = {.user = "ana@example.org", .address = "ana+x@example.org"};
static const QuotaLimits limits = {.octets = 100 * 1024 * 1024, .messages = 500};
static const QuotaChange change = {
    .is_counted = true, .after = {.octets = 85 * 1024 * 1024, .messages = 33}, .warning = 80};

static QuotaWarning *
make(const Mailbox *mailbox, const QuotaLimits *its_limits, const QuotaChange *its_change)
{
    return quota_warning_new(mailbox, its_limits, its_change, "k3Xd9", now_us);
}

static LdaConfig *
load(const char *extra)
{
    const char *overrides[] = {extra, NULL};
    LdaConfig *config = config_load("/dev/null", overrides, NULL);

    assert_non_null(config);
    return config;
}

static char *
compose(const char *template)
{
    g_autoptr(QuotaWarning) warning = make(&ana, &limits, &change);
    g_autoptr(LdaConfig) config = load(NULL);

    return quota_warning_compose(warning, config, "mx.example.org", template);
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void
change_without_a_warning_makes_none(void **state)
{
    const QuotaChange quiet = {.is_counted = true, .after = {.octets = 1}};

    (void)state;
    assert_null(make(&ana, &limits, &quiet));
}

static void
built_in_text_says_who_and_how_full(void **state)
{
    g_autofree char *text = compose(NULL);

    (void)state;
    assert_has(text, "\nSubject: Your mailbox is 80% full\n");
    assert_has(text, "\nTo: ana@example.org\n");
    assert_has(text, "\nFrom: Postmaster <postmaster@mx.example.org>\n");
    assert_has(text, "85.0 MiB of 100.0 MiB\n");
    assert_has(text, " 33 of 500\n");
    assert_null(strstr(text, "%{"));
}

static void
message_is_one_that_nobody_answers(void **state)
{
    g_autofree char *text = compose(NULL);

    (void)state;
    assert_has(text, "Message-ID: <lodge.quota.k3Xd9.80@mx.example.org>\n");
    assert_has(text, "\nAuto-Submitted: auto-generated\n");
    assert_has(text, "\nDate: ");
    assert_has(text, "\nMIME-Version: 1.0\n");
}

static void
template_has_every_variable_and_what_is_none_stays(void **state)
{
    g_autofree char *text = compose("%{user} %{domain} %{percent} %{direction} %{used} %{limit} "
                                    "%{used_bytes} %{limit_bytes}\n%{used_messages} "
                                    "%{limit_messages} %{hostname} 80% %{nobody} %{open\n");

    (void)state;
    assert_has(text, "\n\nana@example.org example.org 80 up 85.0 MiB 100.0 MiB 89128960 104857600\n"
                     "33 500 mx.example.org 80% %{nobody} %{open\n");
}

static void
template_may_begin_with_subject_and_from(void **state)
{
    g_autofree char *text =
        compose("From: Hilfe <help@example.org>\nSUBJECT: Fast voll: %{percent}%\n\nHallo\n");

    (void)state;
    assert_has(text, "\nFrom: Hilfe <help@example.org>\n");
    assert_has(text, "\nSubject: Fast voll: 80%\n");
    assert_has(text, "\n\nHallo\n");
    assert_null(strstr(text, "SUBJECT"));
}

static void
template_without_fields_is_text_from_its_first_line_on(void **state)
{
    g_autofree char *text = compose("Subjects: none\n\nHallo\n");

    (void)state;
    assert_has(text, "\n\nSubjects: none\n\nHallo\n");
    assert_has(text, "\nSubject: Your mailbox is 80% full\n");
}

static void
template_in_utf8_is_encoded(void **state)
{
    g_autofree char *text = compose("Subject: Postfach läuft über\n\nGrüße\n");

    (void)state;
    assert_has(text, "\nSubject: =?utf-8?q?Postfach_l=C3=A4uft_=C3=BCber?=\n");
    assert_has(text, "Gr=C3=BC=C3=9Fe\n");
    assert_true(g_str_is_ascii(text));
}

static void
empty_template_is_a_message_without_text(void **state)
{
    g_autofree char *text = compose("");

    (void)state;
    assert_has(text, "\nSubject: Your mailbox is 80% full\n");
}

static void
catch_all_is_addressed_as_the_sender_did(void **state)
{
    const Mailbox all = {.user = "@example.org", .address = "who@example.org"};
    g_autoptr(QuotaWarning) warning = make(&all, &limits, &change);
    g_autoptr(LdaConfig) config = load("sieve.postmaster_address=help@example.org");
    g_autofree char *text = quota_warning_compose(warning, config, "mx", NULL);

    (void)state;
    assert_has(text, "\nTo: who@example.org\n");
    assert_has(text, "\nFrom: help@example.org\n");
}

static void
limit_that_is_none_is_said_to_be_none(void **state)
{
    const QuotaLimits only_messages = {.messages = 40};
    const QuotaChange small = {.after = {.octets = 1000, .messages = 33}, .warning = 80};
    g_autoptr(QuotaWarning) warning = make(&ana, &only_messages, &small);
    g_autoptr(LdaConfig) config = load(NULL);
    g_autofree char *text = quota_warning_compose(warning, config, "mx", "%{used} of %{limit}");

    (void)state;
    assert_has(text, "1000 octets of unlimited\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change_without_a_warning_makes_none),
        cmocka_unit_test(built_in_text_says_who_and_how_full),
        cmocka_unit_test(message_is_one_that_nobody_answers),
        cmocka_unit_test(template_has_every_variable_and_what_is_none_stays),
        cmocka_unit_test(template_may_begin_with_subject_and_from),
        cmocka_unit_test(template_without_fields_is_text_from_its_first_line_on),
        cmocka_unit_test(template_in_utf8_is_encoded),
        cmocka_unit_test(empty_template_is_a_message_without_text),
        cmocka_unit_test(catch_all_is_addressed_as_the_sender_did),
        cmocka_unit_test(limit_that_is_none_is_said_to_be_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
