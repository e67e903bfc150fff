/* tests/sieve/test_parser.c - the grammar of a script (RFC 5228 section 8.2), and its mistakes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sieve/complaint_rows.h"

static const ComplaintRow rows[] = {
    {"empty_script", "", {NULL}},
    {"only_comments", "# a\n/* b */\n", {NULL}},
    {"case_does_not_matter",
     "IF TRUE { KEEP; } ELSIF Not False { StOp; } Else { discard; }",
     {NULL}},
    {"empty_blocks", "if true {} elsif true {} else {}", {NULL}},
    {"lists_and_single_strings", "if header [\"a\"] [\"b\", \"c\"] { keep; }", {NULL}},
    {"nested_tests", "if anyof (not allof (true, exists \"a\"), size :over 1K) { keep; }", {NULL}},
    {"comments_between_all_tokens",
     "if/*a*/header/*b*/:is/*c*/[/*d*/\"a\"/*e*/,\"b\"]/*f*/\"c\"#g\n{/*h*/keep/*i*/;}",
     {NULL}},

    {"semicolon_missing_before_a_command", "keep\ndiscard;", {"1:5: a semicolon (;) is missing"}},
    {"semicolon_missing_before_if", "keep\nif true { stop; }", {"1:5: a semicolon"}},
    {"semicolon_missing_at_the_end_of_a_block",
     "if true { keep }\nstop;",
     {"1:15: a semicolon (;) is missing behind \"keep\""}},
    {"semicolon_missing_at_the_end", "keep", {"1:5: a semicolon"}},
    {"semicolon_missing_behind_require",
     "require \"fileinto\"\nfileinto \"a\";",
     {"1:19: a semicolon (;) is missing behind \"require\""}},
    {"semicolon_too_many", "keep;;\nstop;", {"1:6: this semicolon (;) ends no command"}},
    {"semicolon_behind_a_block", "if true { keep; };", {"1:18: this semicolon"}},

    {"block_missing", "if true keep;", {"1:8: \"{\" is missing behind the test of \"if\""}},
    {"block_without_end", "if true {\nkeep;", {"1:9: this block has no end"}},
    {"block_that_was_not_opened", "keep;\n}\nstop;", {"2:1: this \"}\" closes nothing"}},
    {"block_of_nothing", "{ keep; }", {"1:1: a block belongs to a command"}},

    {"else_if", "if true {} else if false { keep; }", {"1:12: \"else if\" is written \"elsif\""}},

    {"comma_missing_in_a_list",
     "if header [\"a\" \"b\"] \"c\" {}",
     {"1:15: a comma is missing between two strings"}},
    {"comma_too_many_in_a_list",
     "if header [\"a\",] \"c\" {}",
     {"1:16: a string is missing between \",\" and \"]\""}},
    {"empty_list", "if header [] \"c\" {}", {"1:12: a list of strings cannot be empty"}},
    {"list_with_a_number", "if header [\"a\", 5] \"c\" {}", {"1:17: a list holds strings only"}},
    {"list_without_end", "if header [\"a\", \"b\" {}", {"1:20: this list has no end"}},
    {"list_without_brackets",
     "if header \"a\", \"b\" \"c\" {}",
     {"1:14: a comma stands between the strings of a list in brackets"}},
    {"list_without_brackets_in_a_list_of_tests",
     "if anyof (header \"a\", \"b\" \"c\", true) { keep; }\nstop;",
     {"1:21: a comma stands between the strings of a list in brackets"}},

    {"parenthesis_missing",
     "if anyof (true, false {}",
     {"1:22: \")\" is missing: this list of tests has no end"}},
    {"parenthesis_too_many", "if true) {}", {"1:8: this \")\" closes nothing"}},
    {"comma_missing_between_tests",
     "if anyof (true false) {}",
     {"1:15: a comma is missing between two tests"}},
    {"test_missing_behind_a_comma", "if anyof (true,) {}", {"1:16: a test is expected here"}},
    {"tests_without_parentheses",
     "if true, false { keep; }",
     {"1:8: a comma stands between tests in parentheses"}},

    {"command_begins_with_a_string", "\"a\" keep;\nstop;", {"1:1: a command is expected here"}},
    {"two_mistakes_are_both_told",
     "keep\nstop;\nif true {\ndiscard\n}",
     {"1:5: a semicolon", "4:8: a semicolon"}},
    {"mistakes_of_grammar_and_of_meaning_come_in_order",
     "frobnicate;\nkeep\nstop;\nfoo;",
     {"1:1: unknown command \"frobnicate\"", "2:5: a semicolon", "4:1: unknown command \"foo\""}},
};

/* A script that nests something count times. */
static char *
nest(const char *before, const char *open, const char *middle, const char *close, unsigned count)
{
    GString *text = g_string_new(before);

    for (unsigned i = 0; i < count; i++)
        g_string_append(text, open);
    g_string_append(text, middle);
    for (unsigned i = 0; i < count; i++)
        g_string_append(text, close);
    return g_string_free(text, FALSE);
}

static void
check_nesting(const char *before, const char *open, const char *middle, const char *close,
              const char *after, size_t where)
{
    static const unsigned counts[] = {15, 90, 1000, 20000};

    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autofree char *nested = nest(before, open, middle, close, counts[i]);
        g_autofree char *text = g_strconcat(nested, after, NULL);
        ComplaintRow row = {.script = text};
        g_autofree char *complaint = NULL;
        void *state = &row;

        if (counts[i] > 100) {
            complaint = g_strdup_printf("1:%zu: blocks and tests are nested more than 100 deep",
                                        strlen(before) + 100 * strlen(open) + where);
            row.complaints[0] = complaint;
        }
        check_complaint_row(&state);
    }
}

static void
fifteen_levels_of_blocks_are_supported_and_thousands_told(void **state)
{
    (void)state;
    check_nesting("", "if true {", "keep;", "}", "", strlen("if t"));
    check_nesting("if ", "not ", "true", "", " { keep; }", 1);
}

static void
many_complaints_end_with_one_that_says_so(void **state)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveSettings settings;

    (void)state;
    for (unsigned i = 0; i < 500; i++)
        g_string_append_printf(text, "unknown%u;\n", i);
    sieve_settings_init(&settings);
    assert_null(sieve_script_compile("main", text->str, text->len, &settings, complaints));
    assert_int_equal(complaints->len, 100);
    assert_string_equal(((SieveComplaint *)complaints->pdata[99])->text,
                        "too many errors: no more are listed");
    sieve_settings_clear(&settings);
}

static void
script_past_the_limit_is_refused(void **state)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveSettings settings;

    (void)state;
    sieve_settings_init(&settings);
    settings.max_script_size = 5;

    SieveScript *script = sieve_script_compile("main", "keep;", 5, &settings, complaints);

    assert_non_null(script);
    sieve_script_unref(script);
    assert_null(sieve_script_compile("main", "keep; ", 6, &settings, complaints));
    assert_int_equal(complaints->len, 1);
    sieve_settings_clear(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifteen_levels_of_blocks_are_supported_and_thousands_told),
        cmocka_unit_test(many_complaints_end_with_one_that_says_so),
        cmocka_unit_test(script_past_the_limit_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    RUN_COMPLAINT_ROWS(rows);
    return failed;
}
