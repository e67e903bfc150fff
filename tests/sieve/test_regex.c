/* tests/sieve/test_regex.c - POSIX extended regular expressions over PCRE2 */
#include "lodge.h"

#include "tests/sieve/rows.h"
#include "sieve/limits.h"
#include "sieve/regex.h"

typedef struct {
    const char *behaviour;
    SieveRegexCase letter_case;
    const char *pattern, *value;
    const char *captures; /* "${0}|${1}|..."; NULL: no match */
} Row;

#define EXACT SIEVE_REGEX_EXACT
#define ASCII SIEVE_REGEX_ASCII_CASE
#define UNICODE SIEVE_REGEX_UNICODE_CASE

static const Row rows[] = {
    {"a_match_may_be_anywhere", EXACT, "b+", "abbc", "bb"},
    {"anchors", EXACT, "^a.c$", "abc", "abc"},
    {"anchors_bind", EXACT, "^b", "abc", NULL},
    {"anchors_match_at_lines", EXACT, "^b$", "a\nb\nc", "b"},
    {"a_dot_is_no_line_end", EXACT, "a.b", "a\nb", NULL},
    {"a_dot_is_a_character_of_utf8", EXACT, "^.$", "\xc3\xa9", "\xc3\xa9"},
    {"groups_capture", EXACT, "(a+)(b*)", "xaab", "aab|aa|b"},
    {"groups_that_did_not_take_part_are_empty", EXACT, "(a)|(b)", "b", "b||b"},
    {"alternatives", EXACT, "cat|dog", "hotdog", "dog"},
    {"the_longest_alternative_wins", EXACT, "(a|ab)(c|bcd)?", "abcd", "abcd|a|bcd"},
    {"the_longest_match_wins", EXACT, "x(a|ab)", "xab", "xab|ab"},
    {"the_leftmost_match_wins", EXACT, "b|a+", "aab", "aa"},
    {"counts", EXACT, "^a{2,3}$", "aaa", "aaa"},
    {"counts_bind", EXACT, "^a{2,3}$", "aaaa", NULL},
    {"a_count_from_nothing", EXACT, "^a{,2}$", "aa", "aa"},
    {"a_count_without_end", EXACT, "^a{2,}$", "aaaaa", "aaaaa"},
    {"an_exact_count", EXACT, "^a{3}$", "aaa", "aaa"},
    {"a_second_repetition_repeats_the_first", EXACT, "^a+?$", "aaa", "aaa"},
    {"a_lazy_looking_star_is_greedy", EXACT, "a(.*?)b", "axbxb", "axbxb|xbx"},
    {"repeated_groups", EXACT, "^(ab)*$", "ababab", "ababab|ab"},
    {"brackets", EXACT, "[a-c]+", "xxabcx", "abc"},
    {"brackets_negated", EXACT, "[^a-c]+", "abxyc", "xy"},
    {"a_closing_bracket_first", EXACT, "[]a]+", "]a]", "]a]"},
    {"a_closing_bracket_first_negated", EXACT, "[^]a]+", "]bc", "bc"},
    {"a_hyphen_last", EXACT, "^[a-]+$", "a-a", "a-a"},
    {"a_backslash_in_brackets_is_itself", EXACT, "^[\\w]+$", "\\w", "\\w"},
    {"a_caret_in_brackets", EXACT, "[a^]", "^", "^"},
    {"special_characters_in_brackets", EXACT, "^[.*$()+?{|[]+$", ".*$()+?{|[", ".*$()+?{|["},
    {"classes", EXACT, "[[:digit:]]+", "abc123", "123"},
    {"digits_are_ascii", EXACT, "[[:digit:]]", "\xd9\xa3", NULL},
    {"letters_are_unicode", EXACT, "^[[:alpha:]]+$", "\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
    {"classes_beside_others", EXACT, "^[[:alpha:]_0-9]+$", "a_1", "a_1"},
    {"classes_negated", EXACT, "[^[:space:]]+", "  ab  ", "ab"},
    {"all_upper_case_example_of_the_draft", EXACT, "^[^[:lower:]]+$", "BUY NOW!", "BUY NOW!"},
    {"all_upper_case_with_lower_case", EXACT, "^[^[:lower:]]+$", "Buy now!", NULL},
    {"upper_means_any_case_where_case_does_not_count", ASCII, "^[[:upper:]]+$", "aB", "aB"},
    {"not_lower_means_no_letter_where_case_does_not_count", ASCII, "^[^[:lower:]]+$", "BUY", NULL},
    {"equivalents", EXACT, "[[=a=]]", "a", "a"},
    {"collating_elements", EXACT, "[[.-.]]", "-", "-"},
    {"a_range_of_collating_elements", EXACT, "^[[.a.]-[.c.]]+$", "abc", "abc"},
    {"ranges_of_unicode", EXACT, "^[\xc3\xa0-\xc3\xbf]$", "\xc3\xa9", "\xc3\xa9"},
    {"escaped_specials_are_themselves", EXACT, "a\\.b\\*c\\(", "a.b*c(", "a.b*c("},
    {"an_escaped_dot_is_no_other", EXACT, "a\\.b", "axb", NULL},
    {"word_characters", EXACT, "\\w+", " foo ", "foo"},
    {"word_boundaries", EXACT, "\\bfoo\\b", "a foo b", "foo"},
    {"word_boundaries_bind", EXACT, "\\bfoo\\b", "afoob", NULL},
    {"starts_of_words", EXACT, "\\<foo", "foo", "foo"},
    {"ends_of_words", EXACT, "foo\\>", "a foo", "foo"},
    {"digits_of_perl", EXACT, "\\d+", "a12", "12"},
    {"groups_of_perl_do_not_capture", EXACT, "(?:a)(b)", "ab", "ab|b"},
    {"case_option_of_perl", EXACT, "(?i)abc", "ABC", "ABC"},
    {"lookahead_of_perl", EXACT, "a(?=b)", "acab", "a"},
    {"case_counts", EXACT, "abc", "ABC", NULL},
    {"case_of_ascii_does_not_count", ASCII, "aBc", "AbC", "AbC"},
    {"case_of_ascii_in_ranges_does_not_count", ASCII, "^[a-c]+$", "AbC", "AbC"},
    {"case_of_other_letters_counts", ASCII, "\xc3\xa9", "\xc3\x89", NULL},
    {"the_sign_of_kelvin_is_no_k", ASCII, "k", "\xe2\x84\xaa", NULL},
    {"case_of_unicode_does_not_count", UNICODE, "\xc3\xa9", "\xc3\x89", "\xc3\x89"},
    {"an_empty_pattern_matches_all", EXACT, "", "abc", ""},
    {"an_empty_alternative", EXACT, "^(a|)$", "", "|"},
    {"an_empty_group", EXACT, "a()b", "ab", "ab|"},
    {"a_value_that_is_no_utf8_is_latin1", EXACT, "^a.c$",
     "a\xe9"
     "c",
     "a\xc3\xa9"
     "c"},
    {"example_of_the_draft", ASCII, "me(\\+.*)?@company\\.com", "me+x@company.com",
     "me+x@company.com|+x"},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) joined = g_string_new(NULL);
    SieveRegex *regex = sieve_regex_new(arena, sieve_text(row->pattern), row->letter_case, &error);
    SieveCaptures captures;
    bool matched = false;

    assert_non_null(regex);
    assert_true(
        sieve_regex_match(regex, sieve_text(row->value), arena, &captures, &matched, &error));
    assert_int_equal(matched, row->captures != NULL);
    if (!matched)
        return;
    for (size_t i = 0; i < captures.count; i++)
        g_string_append_printf(joined, "%s%s", i > 0 ? "|" : "", captures.values[i].bytes);
    assert_string_equal(joined->str, row->captures);
}

typedef struct {
    const char *behaviour;
    const char *pattern;
} BadRow;

static const BadRow bad_rows[] = {
    {"an_open_group_is_refused", "(a"},
    {"a_closed_group_is_refused", "a)"},
    {"an_open_bracket_is_refused", "[a"},
    {"an_open_class_is_refused", "[[:alpha"},
    {"an_unknown_class_is_refused", "[[:foo:]]"},
    {"an_unknown_collating_element_is_refused", "[[.foo.]]"},
    {"a_range_backwards_is_refused", "[z-a]"},
    {"a_star_at_the_start_is_refused", "*a"},
    {"a_star_after_a_bar_is_refused", "a|*b"},
    {"a_star_in_a_group_is_refused", "(*a)"},
    {"a_star_after_an_anchor_is_refused", "^*"},
    {"a_brace_without_count_is_refused", "a{x}"},
    {"an_open_brace_is_refused", "a{2"},
    {"a_count_backwards_is_refused", "a{3,2}"},
    {"a_count_too_large_is_refused", "a{99999}"},
    {"a_backslash_at_the_end_is_refused", "a\\"},
    {"a_back_reference_is_refused", "(a)\\1"},
    {"an_unknown_escape_is_refused", "\\q"},
    {"lookbehind_is_refused", "(?<=a)b"},
    {"recursion_is_refused", "(?R)"},
    {"no_utf8_is_refused", "\xff"},
};

static void
check_bad_row(void **state)
{
    const BadRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GError) error = NULL;

    assert_null(sieve_regex_new(arena, sieve_text(row->pattern), SIEVE_REGEX_EXACT, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME));
}

static void
a_pattern_past_its_limit_is_refused(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autofree char *pattern = g_strnfill(SIEVE_MAX_REGEX_LENGTH + 1, 'a');

    (void)state;
    assert_null(sieve_regex_new(arena, sieve_text(pattern), SIEVE_REGEX_EXACT, NULL));
    pattern[SIEVE_MAX_REGEX_LENGTH] = '\0';
    assert_non_null(sieve_regex_new(arena, sieve_text(pattern), SIEVE_REGEX_EXACT, NULL));
}

static void
an_exponential_match_is_stopped(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GError) error = NULL;
    g_autofree char *value = g_strnfill(5000, 'a');
    SieveRegex *regex = sieve_regex_new(arena, sieve_text("^((a+)*b|(a*)*c)+$"), EXACT, &error);
    bool matched;

    (void)state;
    assert_non_null(regex);
    assert_false(sieve_regex_match(regex, sieve_text(value), arena, NULL, &matched, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT));
}

static void
nul_in_a_value_is_a_character(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveRegex *regex = sieve_regex_new(arena, sieve_text("^a.b$"), EXACT, NULL);
    SieveText value = {.bytes = "a\0b", .len = 3};
    SieveCaptures captures;
    bool matched = false;

    (void)state;
    assert_true(sieve_regex_match(regex, value, arena, &captures, &matched, NULL));
    assert_true(matched);
    assert_int_equal(captures.values[0].len, 3);
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_pattern_past_its_limit_is_refused),
        cmocka_unit_test(an_exponential_match_is_stopped),
        cmocka_unit_test(nul_in_a_value_is_a_character),
    };

    ADD_ROWS(tests, rows, check_row);
    ADD_ROWS(tests, bad_rows, check_bad_row);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("regex", tests);
}
