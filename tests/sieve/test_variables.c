/* tests/sieve/test_variables.c - values of variables: scopes, modifiers, cuts */
#include "tests/sieve/runs.h"

typedef struct {
    const char *behaviour;
    const char *script;
    const char *expected; /* "name=value" of all, with blanks between */
} Row;

#define V "require [\"variables\", \"regex\", \"enotify\", \"imap4flags\", \"include\"];"

static const Row rows[] = {
    {"a_value_is_kept", V "set \"A\" \"x\";", "a=x"},
    {"names_have_no_case", V "set \"aB\" \"x\"; set \"Ab\" \"${AB}y\";", "ab=xy"},
    {"an_unknown_variable_is_empty", V "set \"a\" \"[${b}]\";", "a=[]"},
    {"what_is_no_reference_stays", V "set \"a\" \"&%${}! ${x-y} ${a\";", "a=&%${}! ${x-y} ${a"},
    {"a_reference_in_what_is_none",
     V "set \"company\" \"ACME\"; set \"a\" \"${BAD${Company} ${President, ${Company} Inc.}\";",
     "a=${BADACME ${President, ACME Inc.} company=ACME"},
    {"a_value_is_not_expanded_again", V "set \"d\" \"$\"; set \"a\" \"${d}{d}\";", "a=${d} d=$"},
    {"length_counts_characters", V "set :length \"a\" \"\xc3\xa4\xe2\x82\xac\x62\";", "a=3"},
    {"case_is_that_of_ascii", V "set :upper \"a\" \"x\xc3\xa4y\"; set :lower \"b\" \"X\xc3\x84Y\";",
     "a=X\xc3\xa4Y b=x\xc3\x84y"},
    {"modifiers_go_by_precedence",
     V "set :upperfirst :lower \"a\" \"juMBlEd\"; set :length :quotewildcard \"b\" \"Rock*\";",
     "a=Jumbled b=6"},
    {"wildcards_are_quoted", V "set :quotewildcard \"a\" \"a*b?c\\\\d\";", "a=a\\*b\\?c\\\\d"},
    {"expressions_are_quoted", V "set :quoteregex \"a\" \"a.b[c]\";", "a=a\\.b\\[c\\]"},
    {"urls_are_encoded", V "set :encodeurl \"a\" \"a b/\xc3\xa4~\";", "a=a%20b%2F%C3%A4~"},
    {"wildcards_are_captured", V "if header :matches \"subject\" \"h*l?\" {}", "0=hello 1=el 2=o"},
    {"a_failed_match_leaves_them",
     V "if header :matches \"subject\" \"h*\" {} if header :matches \"subject\" \"x*\" {}",
     "0=hello 1=ello"},
    {"equality_leaves_them",
     V "if header :matches \"subject\" \"h*\" {} if header :is \"subject\" \"hello\" {}",
     "0=hello 1=ello"},
    {"groups_are_captured", V "if header :regex \"subject\" \"(l+)(x)?(o)\" {}",
     "0=llo 1=ll 2= 3=o"},
    {"match_variables_beyond_the_last_are_empty",
     V "if header :matches \"subject\" \"*\" { set \"a\" \"${1}|${2}|${01}\"; }",
     "0=hello 1=hello a=hello||hello"},
    {"flags_may_be_a_variable", V "addflag \"F\" [\"a b\", \"A\"]; removeflag \"f\" \"b\";", "f=a"},
    {"a_declared_global_has_its_plain_name",
     V "global \"g\"; set \"g\" \"1\"; set \"global.h\" \"2\"; set \"i\" \"${global.g}${h}\";",
     "g=1 global.h=2 i=1"},
};

static void
append_variable(void *data, const char *name, SieveText value)
{
    GString *out = data;

    g_string_append_printf(out, "%s%s=", out->len > 0 ? " " : "", name);
    g_string_append_len(out, value.bytes, (gssize)value.len);
}

static void
look_at_variables(const SieveRun *run, void *data)
{
    sieve_run_variables(run, append_variable, data);
}

static char *
variables_of(TestRun *test)
{
    GString *out = g_string_new(NULL);
    g_autofree char *result = test_run(test, look_at_variables, out);

    assert_null(strstr(result, "failed"));
    sieve_settings_clear(&test->settings);
    return g_string_free(out, FALSE);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    TestRun test;

    test_run_init(&test);
    test.scripts[0] = row->script;

    g_autofree char *variables = variables_of(&test);

    assert_string_equal(variables, row->expected);
}

static void
a_long_value_is_cut_where_a_character_begins(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.settings.variables_max_size = 5;
    test.scripts[0] = V "set \"a\" \"1234\xe2\x82\xac\"; set \"b\" \"12345\"; set \"c\" "
                        "\"\xc3\xa4\xc3\xa4\xc3\xa4\";";

    g_autofree char *variables = variables_of(&test);

    assert_string_equal(variables, "a=1234 b=12345 c=\xc3\xa4\xc3\xa4");
}

static void
keep_log(void *data, const char *text)
{
    g_string_append(data, text);
}

static void
what_the_script_wrote_is_not_cut(void **state)
{
    g_autoptr(GString) log = g_string_new(NULL);
    g_autofree char *filler = g_strnfill(100 * 1000, 'x');
    g_autofree char *script = g_strdup_printf(
        "require [\"variables\", \"vnd.dovecot.debug\"]; set \"a\" \"AB\"; debug_log \"%s${a}\";",
        filler);
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.scripts[0] = script;
    test.host.debug = keep_log;
    test.host.data = log;

    g_free(variables_of(&test));
    assert_int_equal(log->len, 100 * 1000 + 2);
    assert_string_equal(log->str + 100 * 1000, "AB");
}

/* 4 KiB a variable, thousands of references in each of many strings: some GiB, if made. */
static void
a_script_cannot_multiply_itself_into_memory(void **state)
{
    g_autoptr(GString) script = g_string_new("require [\"variables\"]; set \"a\" \"");
    TestRun test;

    (void)state;
    for (int i = 0; i < 4096; i++)
        g_string_append_c(script, 'x');
    g_string_append(script, "\"; if string :is [");
    for (int i = 0; i < 4000; i++) {
        g_string_append(script, i == 0 ? "\"" : "\", \"");
        for (int k = 0; k < 40; k++)
            g_string_append(script, "${a}");
    }
    g_string_append(script, "\"] \"b\" {}");
    test_run_init(&test);
    test.settings.max_steps = 0;
    test.scripts[0] = script->str;

    g_autofree char *result = test_run(&test, NULL, NULL);

    assert_non_null(strstr(result, "octets of memory are needed"));
    sieve_settings_clear(&test.settings);
}

static const char *
environment(void *data, const char *item)
{
    (void)data;
    if (strcmp(item, "vnd.dovecot.config.a_b") == 0)
        return "underscore";
    return strcmp(item, "remote-ip") == 0 ? "192.0.2.1" : NULL;
}

static void
items_of_the_environment_are_variables(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.host.environment = environment;
    test.scripts[0] = "require [\"variables\", \"vnd.dovecot.environment\"];"
                      "set \"a\" \"${env.remote_ip} ${env.vnd.dovecot.default_mailbox} "
                      "${env.vnd.dovecot.config.a_b} ${env.nothing} ${env.location}\";";

    g_autofree char *variables = variables_of(&test);

    assert_string_equal(variables, "a=192.0.2.1 INBOX underscore  MS");
}

static void
the_next_script_of_a_chain_starts_without_variables(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.scripts[0] = V "global \"g\"; set \"g\" \"1\"; set \"a\" \"1\";"
                        "if header :matches \"subject\" \"*\" {}";
    test.scripts[1] = V "global \"g\"; set \"b\" \"[${g}${a}${1}]\";";

    g_autofree char *variables = variables_of(&test);

    assert_string_equal(variables, "b=[]");
}

static bool
include(void *data, SieveIncludeFrom from, const char *name, SieveScript **script_out,
        GPtrArray *complaints, GError **error)
{
    const TestRun *test = data;

    (void)from;
    (void)complaints;
    (void)error;
    *script_out = test_compile(name,
                               V "global \"g\"; set \"g\" \"${g}+\"; set \"a\" \"inner\";"
                                 "if header :matches \"subject\" \"*\" { set \"global.m\" "
                                 "\"${1}\"; }",
                               &test->settings);
    return true;
}

static void
scripts_that_include_share_only_what_is_global(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.host.include = include;
    test.host.data = &test;
    test.scripts[0] = V "global \"g\"; set \"g\" \"1\"; set \"a\" \"outer\"; include \"x\";"
                        "include \"x\"; set \"b\" \"[${1}]\";";

    g_autofree char *variables = variables_of(&test);

    assert_string_equal(variables, "a=outer b=[] g=1++ global.m=hello");
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_long_value_is_cut_where_a_character_begins),
        cmocka_unit_test(what_the_script_wrote_is_not_cut),
        cmocka_unit_test(a_script_cannot_multiply_itself_into_memory),
        cmocka_unit_test(items_of_the_environment_are_variables),
        cmocka_unit_test(the_next_script_of_a_chain_starts_without_variables),
        cmocka_unit_test(scripts_that_include_share_only_what_is_global),
    };
    GArray *tests = new_tests();

    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    ADD_ROWS(tests, rows, check_row);
    return run_rows("variables", tests);
}
