/* tests/lda/test_trace.c - the header fields a delivery puts in front */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <time.h>

#include "lda/trace.h"

/* 2026-11-24 06:49:56 UTC */
#define NOW_US (G_GINT64_CONSTANT(1795502996) * G_USEC_PER_SEC)

typedef struct {
    LdaEnvelope *envelope;
    LdaRecipient *recipient; /* the envelope's */
    Message *message;
    TraceOptions options;
} Fixture;

static void
set_message(Fixture *fixture, const char *text)
{
    const MessageOptions options = {.spool_memory = 1 << 20, .spool_dir = "/nonexistent"};

    message_free(fixture->message);
    fixture->message = message_new(&options);
    message_append(fixture->message, text, strlen(text));
    assert_true(message_finish(fixture->message, NULL));
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->envelope = lda_envelope_new("bob@example.com");
    fixture->envelope->protocol = g_strdup("LMTP");
    fixture->envelope->client_name = g_strdup("mx.example.org");
    fixture->envelope->client_address = g_strdup("unix socket");
    fixture->recipient = lda_recipient_new("ana@example.org", g_new0(Mailbox, 1));
    g_ptr_array_add(fixture->envelope->recipients, fixture->recipient);
    fixture->options = (TraceOptions){.host = "mail.example.org",
                                      .transaction_id = "k3Xd9",
                                      .now_us = NOW_US,
                                      .delivered_to = DELIVERED_TO_ALWAYS,
                                      .single = true};
    set_message(fixture, "Subject: x\n\n");
    setenv("TZ", "UTC0", 1);
    tzset();
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    lda_envelope_free(fixture->envelope);
    message_free(fixture->message);
    g_free(fixture);
    return 0;
}

static char *
headers(const Fixture *fixture)
{
    return trace_headers(&fixture->options, fixture->envelope, fixture->recipient,
                         fixture->message);
}

static void
replace(char **slot, const char *value)
{
    g_free(*slot);
    *slot = g_strdup(value);
}

static void
all_fields_stand_in_dovecots_order(void **state)
{
    Fixture *fixture = *state;

    fixture->recipient->original = g_strdup("info@example.org");
    g_autofree char *text = headers(fixture);
    assert_string_equal(text, "Return-Path: <bob@example.com>\n"
                              "Delivered-To: ana@example.org\n"
                              "X-Original-To: info@example.org\n"
                              "Received: from mx.example.org (unix socket)\n"
                              "\tby mail.example.org (lodge) with LMTP id k3Xd9\n"
                              "\t(envelope-from <bob@example.com>)\n"
                              "\tfor <ana@example.org>; Tue, 24 Nov 2026 06:49:56 +0000\n");
}

static void
deliver_names_neither_client_nor_protocol(void **state)
{
    Fixture *fixture = *state;

    replace(&fixture->envelope->protocol, NULL);
    replace(&fixture->envelope->client_name, NULL);
    replace(&fixture->envelope->sender, "");
    g_autofree char *text = headers(fixture);
    assert_string_equal(text, "Return-Path: <>\n"
                              "Delivered-To: ana@example.org\n"
                              "Received: by mail.example.org (lodge) id k3Xd9\n"
                              "\t(envelope-from <>)\n"
                              "\tfor <ana@example.org>; Tue, 24 Nov 2026 06:49:56 +0000\n");
}

typedef struct {
    const char *behaviour;
    int delivered_to;
    bool single;
    bool named;
} NamingRow;

static const NamingRow naming_rows[] = {
    {"always_names_one_recipient", DELIVERED_TO_ALWAYS, true, true},
    {"always_names_each_of_many", DELIVERED_TO_ALWAYS, false, true},
    {"single_names_one_recipient", DELIVERED_TO_SINGLE, true, true},
    {"single_names_none_of_many", DELIVERED_TO_SINGLE, false, false},
    {"never_names_nobody", DELIVERED_TO_NEVER, true, false},
};

static void
check_naming(void **state)
{
    const NamingRow *row = *state;
    void *fresh = NULL;

    assert_int_equal(set_up(&fresh), 0);
    Fixture *fixture = fresh;
    fixture->options.delivered_to = row->delivered_to;
    fixture->options.single = row->single;
    fixture->recipient->original = g_strdup("info@example.org");
    g_autofree char *text = headers(fixture);
    assert_int_equal(strstr(text, "Delivered-To: ana@example.org\n") != NULL, row->named);
    assert_int_equal(strstr(text, "X-Original-To: info@example.org\n") != NULL, row->named);
    assert_int_equal(strstr(text, "\tfor <ana@example.org>; ") != NULL, row->named);
    assert_int_equal(strstr(text, "example.org>") != NULL, row->named);
    tear_down(&fresh);
}

static void
fields_of_the_mta_are_not_repeated(void **state)
{
    Fixture *fixture = *state;

    fixture->recipient->original = g_strdup("info@example.org");
    set_message(fixture, "Return-Path: <b@x>\nX-Original-To: i@x\nDelivered-To: a@x\n"
                         "Received: by x; date\n\n");
    g_autofree char *text = headers(fixture);
    assert_true(g_str_has_prefix(text, "Received: "));
    set_message(fixture, "Received: by x; date\nReturn-Path: <b@x>\nDelivered-To: a@x\n\n");
    g_autofree char *all = headers(fixture);
    assert_non_null(strstr(all, "Return-Path: "));
    assert_non_null(strstr(all, "Delivered-To: "));
    assert_non_null(strstr(all, "X-Original-To: "));
}

static void
no_value_starts_a_line_of_its_own(void **state)
{
    Fixture *fixture = *state;
    const char *evil = "a\nX-Evil: 1\r\n\r\nb\x01@example.org";

    replace(&fixture->envelope->sender, evil);
    replace(&fixture->envelope->client_name, evil);
    replace(&fixture->envelope->client_address, evil);
    replace(&fixture->recipient->address, evil);
    fixture->recipient->original = g_strdup(evil);
    fixture->options.host = evil;
    g_autofree char *text = headers(fixture);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    assert_int_equal(g_strv_length(lines), 8); /* as many as without; the last is empty */
    for (size_t i = 0; lines[i] != NULL; i++)
        assert_false(g_str_has_prefix(lines[i], "X-Evil"));
    assert_null(strpbrk(text, "\r\x01"));
}

static void
parentheses_do_not_end_the_comment(void **state)
{
    Fixture *fixture = *state;

    replace(&fixture->envelope->sender, "\"a) for <x@y\"@example.com");
    replace(&fixture->envelope->client_name, "mx) (evil");
    g_autofree char *text = headers(fixture);
    assert_non_null(strstr(text, "(envelope-from <\"a\\) for <x@y\"@example.com>)"));
    assert_non_null(strstr(text, "from mx???evil ("));
}

static void
utf8_addresses_stay_utf8(void **state)
{
    Fixture *fixture = *state;

    replace(&fixture->envelope->sender, "ünïcode@exämple.com");
    replace(&fixture->envelope->protocol, "UTF8LMTP");
    g_autofree char *text = headers(fixture);
    assert_non_null(strstr(text, "Return-Path: <ünïcode@exämple.com>\n"));
    assert_non_null(strstr(text, " with UTF8LMTP id "));
}

static void
date_is_local_with_its_offset(void **state)
{
    Fixture *fixture = *state;

    setenv("TZ", "XXX-5:30", 1);
    tzset();
    g_autofree char *east = headers(fixture);
    assert_non_null(strstr(east, "; Tue, 24 Nov 2026 12:19:56 +0530\n"));
    setenv("TZ", "YYY8", 1);
    tzset();
    g_autofree char *west = headers(fixture);
    assert_non_null(strstr(west, "; Mon, 23 Nov 2026 22:49:56 -0800\n"));
}

int
main(void)
{
    struct CMUnitTest tests[7 + G_N_ELEMENTS(naming_rows)] = {
        cmocka_unit_test_setup_teardown(all_fields_stand_in_dovecots_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deliver_names_neither_client_nor_protocol, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fields_of_the_mta_are_not_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_value_starts_a_line_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parentheses_do_not_end_the_comment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(utf8_addresses_stay_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(date_is_local_with_its_offset, set_up, tear_down),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(naming_rows); i++)
        tests[7 + i] = (struct CMUnitTest){.name = naming_rows[i].behaviour,
                                           .test_func = check_naming,
                                           .initial_state = (void *)&naming_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
