/* tests/sieve/test_run.c - one run: limits, what the host is asked, what is told in a trace */
#include "tests/sieve/runs.h"

static void
assert_result(TestRun *test, const char *expected)
{
    g_autofree char *result = test_run(test, NULL, NULL);

    if (g_str_has_suffix(expected, "..."))
        assert_memory_equal(result, expected, strlen(expected) - 3);
    else
        assert_string_equal(result, expected);
    sieve_settings_clear(&test->settings);
}

/* ---- limits ------------------------------------------------------------------- */

static void
too_many_steps_end_the_run(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.settings.max_steps = 20;
    test.scripts[0] = "keep; keep; keep; keep;\nif header \"subject\" [\"a\", \"b\", \"c\", "
                      "\"d\", \"e\"] {}";
    assert_result(&test, "keep implicit; failed: s0:2: the script took more than 20 steps");
}

/* Each of many names is looked for among many fields. */
static void
names_times_fields_are_bounded(void **state)
{
    g_autoptr(GString) script = g_string_new("if exists [");
    g_autoptr(GString) message = g_string_new(NULL);
    TestRun test;

    (void)state;
    for (int i = 0; i < 50 * 1000; i++)
        g_string_append_printf(message, "a%d: x\n", i);
    g_string_append(message, "\nbody\n");
    for (int i = 0; i < 50 * 1000; i++)
        g_string_append_printf(script, "%s\"a%d\"", i > 0 ? "," : "", i);
    g_string_append(script, "] {}");
    test_run_init(&test);
    test.message = message->str;
    test.scripts[0] = script->str;
    assert_result(&test, "keep implicit; failed: s0:1: the script took more than...");
}

static void
cpu_time_is_bounded(void **state)
{
    g_autoptr(GString) script = g_string_new(NULL);
    g_autofree char *message = g_strnfill(4 * 1000 * 1000, 'a');
    TestRun test;

    (void)state;
    message = memcpy(message, "Subject: ", 9);
    for (int i = 0; i < 5000; i++)
        g_string_append(script, "if header :contains \"subject\" \"aaaaaaaaaaab\" {}\n");
    test_run_init(&test);
    test.settings.max_cpu_time = 1;
    test.settings.max_steps = 0;
    test.message = message;
    test.scripts[0] = script->str;

    g_autofree char *result = test_run(&test, NULL, NULL);

    assert_non_null(strstr(result, "seconds of CPU time"));
    sieve_settings_clear(&test.settings);
}

/* ---- lists (RFC 6134) --------------------------------------------------------- */

#define LISTS "require [\"extlists\", \"variables\", \"fileinto\", \"envelope\"];"

static bool
list_known(void *data, const char *list)
{
    (void)data;
    return strcmp(list, "tag:x:mine") == 0 || strcmp(list, ":addrbook:Home") == 0;
}

static bool
list_contains(void *data, const char *list, const char *value, bool *contains_out, GError **error)
{
    (void)data;
    (void)error;
    assert_true(list_known(NULL, list));
    *contains_out = strcmp(value, "hello") == 0;
    return true;
}

static bool
list_members(void *data, const char *list, char ***members_out, GError **error)
{
    (void)data;
    (void)error;
    assert_true(list_known(NULL, list));
    *members_out = g_strsplit("a@x.y b@x.y", " ", 0);
    return true;
}

static void
list_row(const char *script, const char *expected)
{
    TestRun test;
    g_autofree char *whole = g_strconcat(LISTS, script, NULL);

    test_run_init(&test);
    test.host.list_known = list_known;
    test.host.list_contains = list_contains;
    test.host.list_members = list_members;
    test.scripts[0] = whole;
    assert_result(&test, expected);
}

static void
a_value_on_a_list_matches_and_is_match_variable_0(void **state)
{
    (void)state;
    list_row("if header :list \"subject\" \"tag:x:mine\" { fileinto \"${0}\"; }", "fileinto hello");
    list_row("if header :list \"from\" \"tag:x:mine\" { discard; }", "keep implicit");
}

static void
a_name_with_a_colon_in_front_is_short_for_its_urn(void **state)
{
    (void)state;
    list_row("if header :list \"subject\" \"urn:ietf:params:sieve:addrbook:Home\" { discard; }",
             "discard");
    list_row("if valid_ext_list [\"URN:ietf:params:sieve:addrbook:Home\", \"tag:x:mine\"] "
             "{ discard; }",
             "discard");
    list_row("if valid_ext_list [\"tag:x:mine\", \":addrbook:home\"] { discard; }",
             "keep implicit");
}

static void
the_default_address_book_is_always_there(void **state)
{
    (void)state;
    list_row("if not header :list \"subject\" \":AddrBook:%44%65%66ault\" { discard; }", "discard");
    list_row("if valid_ext_list \"urn:ietf:params:sieve:ADDRBOOK:DEFAULT\" { discard; }",
             "discard");
}

static void
an_unknown_list_fails_the_run(void **state)
{
    (void)state;
    list_row("if header :list \"subject\" \"tag:x:other\" { discard; }",
             "keep implicit; failed: s0:1: there is no list 'tag:x:other'");
    list_row("redirect :list \"tag:x:other\";",
             "keep implicit; failed: s0:1: there is no list 'tag:x:other'");
}

static void
a_list_is_redirected_to_each_member(void **state)
{
    (void)state;
    list_row("redirect :list \"tag:x:mine\";", "redirect a@x.y, redirect b@x.y");
}

/* ---- duplicate (RFC 7352) ----------------------------------------------------- */

typedef struct {
    GPtrArray *asked; /* keys */
    bool answer;
    GString *remembered; /* seconds of each */
} Memory;

static bool
is_duplicate(void *data, const char *key, bool *duplicate_out, GError **error)
{
    Memory *memory = data;

    (void)error;
    g_ptr_array_add(memory->asked, g_strdup(key));
    *duplicate_out = memory->answer;
    return true;
}

static void
look_at_duplicates(const SieveRun *run, void *data)
{
    Memory *memory = data;
    const GPtrArray *duplicates = sieve_run_duplicates(run);

    for (guint i = 0; i < duplicates->len; i++)
        g_string_append_printf(memory->remembered, "%" G_GUINT64_FORMAT " ",
                               ((SieveDuplicate *)duplicates->pdata[i])->seconds);
}

/* Runs script; the keys it asked for, and what is to be remembered. */
static Memory
remember(const char *script, bool answer)
{
    Memory memory = {.asked = g_ptr_array_new_with_free_func(g_free),
                     .answer = answer,
                     .remembered = g_string_new(NULL)};
    TestRun test;

    test_run_init(&test);
    test.host.is_duplicate = is_duplicate;
    test.host.data = &memory;
    test.scripts[0] = script;
    g_free(test_run(&test, look_at_duplicates, &memory));
    sieve_settings_clear(&test.settings);
    return memory;
}

static void
assert_remembered(const char *script, bool answer, const char *expected)
{
    Memory memory = remember(script, answer);

    assert_string_equal(memory.remembered->str, expected);
    g_string_free(memory.remembered, TRUE);
    g_ptr_array_unref(memory.asked);
}

#define DUPLICATE "require [\"duplicate\", \"variables\", \"reject\"];"

static void
what_was_not_seen_is_remembered(void **state)
{
    (void)state;
    assert_remembered(DUPLICATE "if duplicate {}", false, "604800 ");
    assert_remembered(DUPLICATE "if duplicate :seconds 60 {}", false, "60 ");
    assert_remembered(DUPLICATE "if duplicate {}", true, "");
    assert_remembered(DUPLICATE "if duplicate :last :seconds 60 {}", true, "60 ");
    assert_remembered(DUPLICATE "if duplicate :seconds 1000000000 {}", false, "7776000 ");
    assert_remembered(DUPLICATE "if duplicate :seconds 0 {}", false, "");
    assert_remembered(DUPLICATE "if duplicate :header \"x-none\" {}", false, "");
    assert_remembered(DUPLICATE "if duplicate :header \"x none\" {}", false, "");
}

static void
of_two_tests_for_one_thing_the_last_says_how_long(void **state)
{
    (void)state;
    assert_remembered(DUPLICATE "if duplicate :seconds 1 {} if duplicate :seconds 2 {}", false,
                      "2 ");
    assert_remembered(DUPLICATE "if duplicate :seconds 1 {} if duplicate :handle \"h\" {}", false,
                      "1 604800 ");
}

static void
a_failed_run_remembers_nothing(void **state)
{
    (void)state;
    assert_remembered(DUPLICATE "if duplicate {} keep; reject \"no\";", false, "");
}

static void
one_value_has_one_key_wherever_it_comes_from(void **state)
{
    Memory memory = remember(DUPLICATE "if duplicate {} if duplicate :header \"MESSAGE-ID\" {}"
                                       "if duplicate :uniqueid \"<1@x>\" {}"
                                       "if duplicate :handle \"h\" {}"
                                       "if duplicate :uniqueid \"<1@X>\" {}"
                                       "if duplicate :handle \"h<\" :uniqueid \"1@x>\" {}",
                             false);

    (void)state;
    assert_int_equal(memory.asked->len, 6);
    assert_string_equal(memory.asked->pdata[0], memory.asked->pdata[1]);
    assert_string_equal(memory.asked->pdata[0], memory.asked->pdata[2]);
    assert_string_not_equal(memory.asked->pdata[0], memory.asked->pdata[3]);
    assert_string_not_equal(memory.asked->pdata[0], memory.asked->pdata[4]);
    assert_string_not_equal(memory.asked->pdata[3], memory.asked->pdata[5]);
    g_string_free(memory.remembered, TRUE);
    g_ptr_array_unref(memory.asked);
}

/* ---- errors and traces -------------------------------------------------------- */

static bool
fail_exists(void *data, const char *mailbox, bool *exists_out, GError **error)
{
    (void)data;
    (void)mailbox;
    (void)exists_out;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "no disk");
    return false;
}

static void
an_error_of_the_host_is_temporary_and_has_its_place(void **state)
{
    g_autoptr(GError) error = NULL;
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.host.mailbox_exists = fail_exists;

    const SieveInput input = {
        .bytes = (const uint8_t *)"", .sender = "", .recipient = "b@example.org"};
    g_autoptr(SieveRun) run = sieve_run_new(&input, &test.host, &test.settings);
    g_autoptr(SieveScript) script =
        test_compile("main", "require \"mailbox\";\n\nif mailboxexists \"A\" {}", &test.settings);

    assert_false(sieve_run_script(run, script, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY));
    assert_string_equal(error->message, "main:3: no disk");
    assert_false(sieve_run_keep_in_force(run));
    sieve_settings_clear(&test.settings);
}

static void
append_trace(void *data, const char *script, unsigned line, const char *text)
{
    g_string_append_printf(data, "%s:%u: %s\n", script, line, text);
}

static void
a_trace_shows_tests_values_and_actions(void **state)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.host.trace = append_trace;
    test.host.data = trace;
    test.scripts[0] = "if allof (header :contains [\"from\", \"subject\"] [\"x\\\"\", \"ell\"],\n"
                      " not size :over 1K)\n"
                      "{ redirect \"a@b.c\"; }";
    assert_result(&test, "redirect a@b.c");
    assert_string_equal(
        trace->str, "s0:1: header: \"ana@example.org\" does not match\n"
                    "s0:1: header: \"hello\" matches \"ell\"\n"
                    "s0:1: header :contains [\"from\", \"subject\"] [\"x\\\"\", \"ell\"]: true\n"
                    "s0:2: size :over 1024: false\n"
                    "s0:3: redirect \"a@b.c\"\n");
}

static void
a_trace_cuts_long_values_where_a_character_begins(void **state)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.message = "Subject: x\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
                   "\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
                   "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
                   "\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\n\n";
    test.host.trace = append_trace;
    test.host.data = trace;
    test.scripts[0] = "if header \"subject\" \"y\" {}";
    assert_result(&test, "keep implicit");
    assert_true(g_utf8_validate(trace->str, -1, NULL));
    assert_non_null(strstr(trace->str, "...\" does not match"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_many_steps_end_the_run),
        cmocka_unit_test(names_times_fields_are_bounded),
        cmocka_unit_test(cpu_time_is_bounded),
        cmocka_unit_test(a_value_on_a_list_matches_and_is_match_variable_0),
        cmocka_unit_test(a_name_with_a_colon_in_front_is_short_for_its_urn),
        cmocka_unit_test(the_default_address_book_is_always_there),
        cmocka_unit_test(an_unknown_list_fails_the_run),
        cmocka_unit_test(a_list_is_redirected_to_each_member),
        cmocka_unit_test(what_was_not_seen_is_remembered),
        cmocka_unit_test(of_two_tests_for_one_thing_the_last_says_how_long),
        cmocka_unit_test(a_failed_run_remembers_nothing),
        cmocka_unit_test(one_value_has_one_key_wherever_it_comes_from),
        cmocka_unit_test(an_error_of_the_host_is_temporary_and_has_its_place),
        cmocka_unit_test(a_trace_shows_tests_values_and_actions),
        cmocka_unit_test(a_trace_cuts_long_values_where_a_character_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
