/* tests/sieve/test_vacation.c - what lodge sieve test cannot show of vacation, and mailto URIs
 *
 * The rules themselves are cases: tests/sieve/cases/rfc5230, rfc6131, rfc5436.
 */
#include "sieve/arena.h"
#include "sieve/mailto.h"
#include "sieve/sieve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct {
    SieveSettings settings;
    SieveHost host;
    SieveInput input;
    SieveScript *script;
    SieveRun *run;
    const SieveAction *action; /* the first */
} Fixture;

static const char message[] = "From: bob@example.org\nTo: ana@example.com\nSubject: x\n\nbody\n";

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    sieve_settings_init(&fixture->settings);
    fixture->host.now_us = G_GINT64_CONSTANT(1795502996) * G_USEC_PER_SEC;
    fixture->input = (SieveInput){.bytes = (const uint8_t *)message,
                                  .len = sizeof message - 1,
                                  .virtual_size = sizeof message + 4,
                                  .sender = "bob@example.org",
                                  .recipient = "ana@example.com"};
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    sieve_run_free(fixture->run);
    sieve_script_unref(fixture->script);
    sieve_settings_clear(&fixture->settings);
    g_free(fixture);
    return 0;
}

static void
set_message(Fixture *fixture, const char *text)
{
    fixture->input.bytes = (const uint8_t *)text;
    fixture->input.len = strlen(text);
}

/* Runs text; the first action is the fixture's until the next run. */
static void
run(Fixture *fixture, const char *text)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(GError) error = NULL;

    sieve_run_free(fixture->run);
    sieve_script_unref(fixture->script);
    fixture->script =
        sieve_script_compile("main", text, strlen(text), &fixture->settings, complaints);
    assert_non_null(fixture->script);
    fixture->run = sieve_run_new(&fixture->input, &fixture->host, &fixture->settings);
    assert_true(sieve_run_script(fixture->run, fixture->script, &error));
    fixture->action = sieve_run_finish(fixture->run)->pdata[0];
}

static void
addresses_of_the_map_are_the_users_own(void **state)
{
    static const char *const own[] = {"office@example.com", "info@example.com", NULL};
    Fixture *fixture = *state;

    set_message(fixture, "From: bob@example.org\nTo: INFO@example.com\n\n");
    run(fixture, "require \"vacation\"; vacation \"a\";");
    assert_non_null(fixture->action->suppressed);
    fixture->input.own_addresses = own;
    run(fixture, "require \"vacation\"; vacation \"a\";");
    assert_null(fixture->action->suppressed);
    assert_string_equal(fixture->action->reply_from, "info@example.com");
    fixture->input.sender = "Office@example.com";
    run(fixture, "require \"vacation\"; vacation \"a\";");
    assert_non_null(strstr(fixture->action->suppressed, "own"));
}

static void
handle_that_is_given_is_the_handle(void **state)
{
    run(*state, "require \"vacation\"; vacation :handle \"h\" \"a\";");
    assert_string_equal(((Fixture *)*state)->action->handle, "h");
}

static char *
handle_of(Fixture *fixture, const char *arguments)
{
    g_autofree char *text = g_strdup_printf(
        "require [\"vacation\", \"variables\"]; set \"v\" \"1\"; vacation %s;", arguments);

    run(fixture, text);
    return g_strdup(fixture->action->handle);
}

/* RFC 5230 section 4.2: no two of these are the same response. */
static void
each_set_of_arguments_has_a_handle_of_its_own(void **state)
{
    static const char *const arguments[] = {
        "\"a\"",
        "\"b\"",
        "\"\"",
        ":subject \"a\" \"a\"",
        ":subject \"\" \"a\"",
        ":from \"a@b.example\" \"a\"",
        ":subject \"a@b.example\" \"a\"",
        ":subject \"a\" :from \"a@b.example\" \"a\"",
        ":mime \"a\"",
        "\"${v}\"",
        "\"1\"",
        ":subject \"ab\" \"c\"",
        ":subject \"a\" \"bc\"",
    };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(arguments); i++)
        assert_true(g_hash_table_add(seen, handle_of(*state, arguments[i])));
}

static void
time_and_own_addresses_do_not_change_the_handle(void **state)
{
    g_autofree char *plain = handle_of(*state, "\"a\"");
    g_autofree char *days = handle_of(*state, ":days 3 \"a\"");
    g_autofree char *addresses = handle_of(*state, ":addresses \"x@y\" \"a\"");

    assert_string_equal(plain, days);
    assert_string_equal(plain, addresses);
}

static void
subject_with_nul_and_controls_is_one_line(void **state)
{
    static const char text[] = "From: bob@example.org\nTo: ana@example.com\n"
                               "Subject: a\0b\x01\x7f\xff"
                               "c\n\n";
    Fixture *fixture = *state;

    fixture->input.bytes = (const uint8_t *)text;
    fixture->input.len = sizeof text - 1;
    run(fixture, "require [\"vacation\", \"variables\"];"
                 "if header :matches \"subject\" \"*\" { vacation :subject \"${1}\" \"${1}\"; }");
    assert_true(g_utf8_validate(fixture->action->subject, -1, NULL));
    for (const char *p = fixture->action->subject; *p != '\0'; p++)
        assert_false(g_ascii_iscntrl(*p));
    assert_true(g_utf8_validate(fixture->action->reason, -1, NULL));
}

static void
references_of_a_long_thread_keep_the_first_and_the_latest(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) text = g_string_new("To: ana@example.com\nMessage-ID: <me@x>\nReferences:");

    for (unsigned i = 0; i < 10000; i++)
        g_string_append_printf(text, "\n <r%u@x>", i);
    g_string_append(text, "\n\n");
    set_message(fixture, text->str);
    run(fixture, "require \"vacation\"; vacation \"a\";");
    assert_true(g_str_has_prefix(fixture->action->references, "<r0@x> "));
    assert_true(g_str_has_suffix(fixture->action->references, " <r9998@x> <r9999@x> <me@x>"));
    assert_true(strlen(fixture->action->references) < 1000);
}

static void
message_ids_are_found_in_rubbish(void **state)
{
    static const struct {
        const char *field, *expected;
    } rows[] = {
        {"<a@x>", "<a@x>"},  {"(comment) <a@x> trailing", "<a@x>"},
        {"<<a@x>", "<a@x>"}, {"< a@x> <b@x>", "<b@x>"},
        {"<>", NULL},        {"<a@x", NULL},
        {"a@x", NULL},       {"<\xc3\xa4@x>", NULL},
        {"", NULL},
    };
    Fixture *fixture = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text =
            g_strdup_printf("To: ana@example.com\nMessage-ID: %s\n\n", rows[i].field);

        set_message(fixture, text);
        run(fixture, "require \"vacation\"; vacation \"a\";");
        if (rows[i].expected == NULL)
            assert_null(fixture->action->in_reply_to);
        else
            assert_string_equal(fixture->action->in_reply_to, rows[i].expected);
    }
}

static void
a_hundred_thousand_addresses_are_looked_through(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) text = g_string_new("To: x@y");

    for (unsigned i = 0; i < 100000; i++)
        g_string_append_printf(text, ",\n u%u@example.org", i);
    g_string_append(text, ", ana@example.com\n\n");
    set_message(fixture, text->str);
    run(fixture, "require \"vacation\"; vacation \"a\";");
    assert_null(fixture->action->suppressed);
}

static void
notification_carries_what_its_uri_says(void **state)
{
    Fixture *fixture = *state;

    run(fixture, "require \"enotify\";"
                 "notify :options [\"a=b\"] \"mailto:a@x.example?cc=c@x.example&x-y=z&body=b\";");
    assert_string_equal(fixture->action->notify_to[0], "a@x.example");
    assert_null(fixture->action->notify_to[1]);
    assert_string_equal(fixture->action->notify_cc[0], "c@x.example");
    assert_string_equal(fixture->action->fields[0], "X-Y");
    assert_string_equal(fixture->action->fields[1], "z");
    assert_null(fixture->action->fields[2]);
    assert_string_equal(fixture->action->body, "b");
    assert_string_equal(fixture->action->options[0], "a=b");
}

static void
redirect_carries_its_dsn_parameters(void **state)
{
    Fixture *fixture = *state;

    run(fixture, "require \"redirect-dsn\";"
                 "redirect :ret \"hdrs\" :notify \"success,delay\" \"c@x.example\";");
    assert_string_equal(fixture->action->ret, "HDRS");
    assert_string_equal(fixture->action->notify, "SUCCESS,DELAY");
}

static void
conditions_of_notify_are_tested_one_by_one(void **state)
{
    Fixture *fixture = *state;

    fixture->input.notify = "SUCCESS,DELAY";
    fixture->input.ret = "FULL";
    fixture->input.envid = "id 1";
    run(fixture, "require [\"envelope\", \"envelope-dsn\", \"relational\","
                 "\"comparator-i;ascii-numeric\", \"fileinto\"];"
                 "if allof(envelope \"notify\" \"SUCCESS\", envelope \"NOTIFY\" \"delay\","
                 "not envelope \"notify\" \"FAILURE\", envelope \"ret\" \"full\","
                 "envelope \"envid\" \"id 1\", not exists \"x\","
                 "envelope :comparator \"i;ascii-numeric\" :count \"eq\" \"notify\" \"2\")"
                 "{ fileinto \"good\"; }");
    assert_string_equal(fixture->action->mailbox, "good");
}

/* ---- mailto -------------------------------------------------------------- */

static bool
parse(SieveArena *arena, const char *uri, SieveMailto *mailto)
{
    const char *problem = NULL;
    bool good = sieve_mailto_parse(arena, sieve_text(uri), mailto, &problem);

    assert_int_equal(good, problem == NULL);
    return good;
}

static void
only_so_many_recipients_and_fields_are_taken(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) many = g_string_new("mailto:a@x"), fields = g_string_new("mailto:a@x?z=1");
    SieveMailto mailto;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        g_string_append_printf(many, ",b%u@x", i);
        g_string_append_printf(fields, "&x%u=1", i);
    }
    assert_false(parse(arena, many->str, &mailto));
    assert_false(parse(arena, fields->str, &mailto));
}

static void
commas_separate_addresses_encoded_or_not(void **state)
{
    static const char *const uris[] = {"mailto:a@x,b@y", "mailto:a@x%2Cb@y", "mailto:a@x%2C%20b@y",
                                       "mailto:?to=a@x,b@y", "mailto:a@x?to=b@y"};
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
        SieveMailto mailto;

        assert_true(parse(arena, uris[i], &mailto));
        assert_string_equal(mailto.to[0], "a@x");
        assert_string_equal(mailto.to[1], "b@y");
        assert_null(mailto.to[2]);
    }
}

static void
first_subject_and_body_hold(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMailto mailto;

    (void)state;
    assert_true(parse(arena, "mailto:a@x?subject=1&SUBJECT=2&body=%00a%01%0D%0Ab&body=c", &mailto));
    assert_string_equal(mailto.subject, "1");
    assert_string_equal(mailto.body, " a\nb");
    assert_null(mailto.fields[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_of_the_map_are_the_users_own),
        TEST(handle_that_is_given_is_the_handle),
        TEST(each_set_of_arguments_has_a_handle_of_its_own),
        TEST(time_and_own_addresses_do_not_change_the_handle),
        TEST(subject_with_nul_and_controls_is_one_line),
        TEST(references_of_a_long_thread_keep_the_first_and_the_latest),
        TEST(message_ids_are_found_in_rubbish),
        TEST(a_hundred_thousand_addresses_are_looked_through),
        TEST(notification_carries_what_its_uri_says),
        TEST(redirect_carries_its_dsn_parameters),
        TEST(conditions_of_notify_are_tested_one_by_one),
        cmocka_unit_test(only_so_many_recipients_and_fields_are_taken),
        cmocka_unit_test(commas_separate_addresses_encoded_or_not),
        cmocka_unit_test(first_subject_and_body_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
