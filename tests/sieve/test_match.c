/* tests/sieve/test_match.c - keys and values: :is, :contains, :matches, :value */
#include "lodge.h"

#include "tests/sieve/rows.h"
#include "sieve/limits.h"
#include "sieve/match.h"

#define OCTET &sieve_comparator_octet
#define ASCII &sieve_comparator_ascii_casemap
#define NUMERIC &sieve_comparator_ascii_numeric
#define UNICODE &sieve_comparator_unicode_casemap
#define E_ACUTE "\xc3\xa9"
#define E_ACUTE_UPPER "\xc3\x89"

typedef struct {
    const char *behaviour;
    const SieveComparator *comparator;
    const char *key, *value;
    const char *captures; /* "${1}|${2}|..."; NULL: no match */
} Glob;

static const Glob globs[] = {
    {"a_plain_key_must_be_the_whole", ASCII, "abc", "ABC", ""},
    {"a_plain_key_is_no_prefix", ASCII, "abc", "abcd", NULL},
    {"a_plain_key_is_no_suffix", ASCII, "abc", "xabc", NULL},
    {"case_counts_for_octets", OCTET, "abc", "ABC", NULL},
    {"the_empty_key_matches_the_empty_value", ASCII, "", "", ""},
    {"the_empty_key_matches_nothing_else", ASCII, "", "a", NULL},
    {"a_star_matches_all", ASCII, "*", "Anything", "Anything"},
    {"a_star_matches_the_empty_value", ASCII, "*", "", ""},
    {"a_star_at_the_end", ASCII, "ab*", "abcd", "cd"},
    {"a_star_at_the_start", ASCII, "*cd", "abcd", "ab"},
    {"a_star_between", ASCII, "a*d", "abcd", "bc"},
    {"a_star_matches_nothing_at_all", ASCII, "ab*cd", "abcd", ""},
    {"start_and_end_do_not_overlap", ASCII, "ab*ba", "aba", NULL},
    {"start_and_end_may_touch", ASCII, "ab*ba", "abba", ""},
    {"stars_are_as_short_as_can_be", ASCII, "*b*b*", "abcbdbe", "a|c|dbe"},
    {"the_last_star_gets_the_rest", ASCII, "**", "abc", "|abc"},
    {"three_stars_in_a_row", ASCII, "a***", "abc", "||bc"},
    {"example_of_rfc_5229", ASCII, "[fbsd-*] *", "[fbsd-ports] hello", "ports|hello"},
    {"the_end_is_found_last", ASCII, "*.com", "a.com.com", "a.com"},
    {"captures_keep_their_case", ASCII, "x*Y", "XaBy", "aB"},
    {"a_question_mark_is_one_octet", ASCII, "?", "a", "a"},
    {"a_question_mark_is_not_nothing", ASCII, "?", "", NULL},
    {"question_marks_count", ASCII, "???", "ab", NULL},
    {"question_marks_capture", ASCII, "a?c?", "abcd", "b|d"},
    {"a_question_mark_of_ascii_casemap_is_an_octet", ASCII, "?", E_ACUTE, NULL},
    {"two_octets_of_ascii_casemap", ASCII, "??", E_ACUTE, "\xc3|\xa9"},
    {"a_question_mark_of_unicode_is_a_character", UNICODE, "?", E_ACUTE, E_ACUTE},
    {"a_question_mark_of_unicode_beside_letters", UNICODE, "caf?", "caf" E_ACUTE, E_ACUTE},
    {"a_question_mark_of_unicode_is_not_two", UNICODE, "?", "ab", NULL},
    {"a_question_mark_between_stars", ASCII, "*a?c*", "xxabayazcyy", "xxabay|z|yy"},
    {"a_question_mark_at_the_start_of_a_segment", ASCII, "*?b*", "aab", "a|a|"},
    {"a_question_mark_at_the_end_of_a_segment", ASCII, "*a?*", "xay", "x|y|"},
    {"a_question_mark_of_unicode_between_stars", UNICODE, "*f?x*", "ab f" E_ACUTE "x y",
     "ab |" E_ACUTE "| y"},
    {"a_question_mark_of_unicode_ends_a_segment", UNICODE, "*f?*", "af" E_ACUTE "b",
     "a|" E_ACUTE "|b"},
    {"two_question_marks_of_unicode_are_not_one_character", UNICODE, "*f??x*", "f" E_ACUTE "x",
     NULL},
    {"only_a_question_mark_of_unicode_between_stars", UNICODE, "*?*", E_ACUTE "b",
     "|" E_ACUTE "|b"},
    {"star_and_question_mark", ASCII, "*?", "abc", "ab|c"},
    {"question_mark_and_star", ASCII, "?*", "abc", "a|bc"},
    {"star_and_question_mark_need_one", ASCII, "*?", "", NULL},
    {"an_escaped_star_is_itself", ASCII, "a\\*b", "a*b", ""},
    {"an_escaped_star_matches_nothing_else", ASCII, "a\\*b", "axb", NULL},
    {"an_escaped_question_mark_is_itself", ASCII, "\\?", "?", ""},
    {"an_escaped_question_mark_matches_nothing_else", ASCII, "\\?", "x", NULL},
    {"an_escaped_backslash_is_itself", ASCII, "a\\\\b", "a\\b", ""},
    {"an_escaped_backslash_and_a_star", ASCII, "\\\\*", "\\x", "x"},
    {"a_needless_escape_is_dropped", ASCII, "\\a", "a", ""},
    {"a_backslash_at_the_end_is_itself", ASCII, "a\\", "a\\", ""},
    {"unicode_literals_fold", UNICODE, "*" E_ACUTE "*", "x" E_ACUTE_UPPER "y", "x|y"},
    {"unicode_captures_are_of_the_value", UNICODE, "x*z", "X" E_ACUTE_UPPER "Z", E_ACUTE_UPPER},
    {"unicode_composed_matches_decomposed", UNICODE, "caf" E_ACUTE, "cafe\xcc\x81", ""},
    {"a_star_takes_no_half_of_a_character", UNICODE, "*e*", "x" E_ACUTE "y", "x|y"},
    {"overlapping_candidates", ASCII, "*aab*", "aaab", "a|"},
};

static char *
join(const SieveCaptures *captures)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 1; i < captures->count; i++)
        g_string_append_printf(out, "%s%s", i > 1 ? "|" : "", captures->values[i].bytes);
    return g_string_free(out, FALSE);
}

static bool
match(SieveArena *arena, SieveMatcher matcher, SieveText key, SieveText value,
      SieveCaptures *captures)
{
    g_autoptr(GError) error = NULL;
    SievePattern *pattern = sieve_pattern_new(arena, &matcher, key, &error);
    guint64 steps = 0;
    bool matched = false;

    assert_non_null(pattern);
    assert_true(sieve_pattern_match(pattern, value, arena, captures, &steps, &matched, &error));
    assert_true(steps > 0);
    return matched;
}

static void
check_glob(void **state)
{
    const Glob *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = row->comparator};
    SieveText key = sieve_text(row->key), value = sieve_text(row->value);
    SieveCaptures captures;

    assert_int_equal(match(arena, matcher, key, value, NULL), row->captures != NULL);
    assert_int_equal(match(arena, matcher, key, value, &captures), row->captures != NULL);
    if (row->captures == NULL)
        return;

    g_autofree char *joined = join(&captures);

    assert_text(captures.values[0], row->value);
    assert_string_equal(joined, row->captures);
}

typedef struct {
    const char *behaviour;
    SieveMatcher matcher;
    const char *key, *value;
    bool matches;
} Row;

static const Row rows[] = {
    {"is_needs_the_whole", {SIEVE_MATCH_IS, 0, ASCII}, "abc", "ABC", true},
    {"is_with_another_length", {SIEVE_MATCH_IS, 0, ASCII}, "abc", "abcd", false},
    {"is_of_octets", {SIEVE_MATCH_IS, 0, OCTET}, "abc", "ABC", false},
    {"is_of_numbers", {SIEVE_MATCH_IS, 0, NUMERIC}, "010", "10", true},
    {"is_of_no_numbers", {SIEVE_MATCH_IS, 0, NUMERIC}, "abc", "xyz", true},
    {"is_of_unicode_with_other_lengths",
     {SIEVE_MATCH_IS, 0, UNICODE},
     "cafe\xcc\x81",
     "CAF" E_ACUTE,
     true},
    {"is_of_empty_strings", {SIEVE_MATCH_IS, 0, ASCII}, "", "", true},
    {"contains_inside", {SIEVE_MATCH_CONTAINS, 0, ASCII}, "CD", "abcde", true},
    {"contains_of_octets", {SIEVE_MATCH_CONTAINS, 0, OCTET}, "CD", "abcde", false},
    {"contains_not", {SIEVE_MATCH_CONTAINS, 0, ASCII}, "dc", "abcde", false},
    {"the_empty_key_is_contained_in_all", {SIEVE_MATCH_CONTAINS, 0, ASCII}, "", "abc", true},
    {"the_empty_key_is_contained_in_nothing", {SIEVE_MATCH_CONTAINS, 0, ASCII}, "", "", true},
    {"contains_does_not_know_wildcards", {SIEVE_MATCH_CONTAINS, 0, ASCII}, "*", "abc", false},
    {"contains_of_unicode", {SIEVE_MATCH_CONTAINS, 0, UNICODE}, E_ACUTE_UPPER, "caf" E_ACUTE, true},
    {"ascii_casemap_folds_no_unicode",
     {SIEVE_MATCH_CONTAINS, 0, ASCII},
     E_ACUTE_UPPER,
     "caf" E_ACUTE,
     false},
    {"value_gt", {SIEVE_MATCH_VALUE, SIEVE_GT, NUMERIC}, "5", "10", true},
    {"value_gt_of_equals", {SIEVE_MATCH_VALUE, SIEVE_GT, NUMERIC}, "10", "10", false},
    {"value_ge_of_equals", {SIEVE_MATCH_VALUE, SIEVE_GE, NUMERIC}, "10", "10", true},
    {"value_lt", {SIEVE_MATCH_VALUE, SIEVE_LT, NUMERIC}, "5", "4", true},
    {"value_le", {SIEVE_MATCH_VALUE, SIEVE_LE, NUMERIC}, "5", "6", false},
    {"value_eq", {SIEVE_MATCH_VALUE, SIEVE_EQ, NUMERIC}, "5", "05", true},
    {"value_ne", {SIEVE_MATCH_VALUE, SIEVE_NE, NUMERIC}, "5", "05", false},
    {"value_of_strings", {SIEVE_MATCH_VALUE, SIEVE_LT, ASCII}, "5", "10", true},
    {"value_ignores_case_as_its_comparator", {SIEVE_MATCH_VALUE, SIEVE_EQ, ASCII}, "A", "a", true},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    assert_int_equal(match(arena, row->matcher, sieve_text(row->key), sieve_text(row->value), NULL),
                     row->matches);
}

static void
nul_is_a_character(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText value = {.bytes = "a\0b", .len = 3};
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = ASCII};

    (void)state;
    assert_true(match(arena, matcher, sieve_text("a?b"), value, NULL));
    assert_false(match(arena, matcher, sieve_text("a"), value, NULL));
    matcher.type = SIEVE_MATCH_CONTAINS;
    assert_true(match(arena, matcher, sieve_text("b"), value, NULL));
}

/* Every pattern over every value of a small alphabet, against the obvious recursion. */
static bool
slow_match(const char *key, const char *value)
{
    if (*key == '\0')
        return *value == '\0';
    if (*key == '*')
        return slow_match(key + 1, value) || (*value != '\0' && slow_match(key, value + 1));
    return *value != '\0' && (*key == '?' || *key == *value) && slow_match(key + 1, value + 1);
}

static void
spell(char *out, unsigned number, unsigned len, const char *alphabet)
{
    unsigned base = (unsigned)strlen(alphabet);

    for (unsigned i = 0; i < len; i++, number /= base)
        out[i] = alphabet[number % base];
    out[len] = '\0';
}

static void
all_short_patterns_agree_with_the_definition(void **state)
{
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = OCTET};

    (void)state;
    for (unsigned key = 0; key < 4 * 4 * 4 * 4 * 4; key++) {
        g_autoptr(SieveArena) arena = sieve_arena_new(0);
        char key_text[8], value_text[8];

        spell(key_text, key, 5, "ab*?");
        for (unsigned value = 0; value < 64; value++) {
            spell(value_text, value, 6, "ab");
            assert_int_equal(
                match(arena, matcher, sieve_text(key_text), sieve_text(value_text), NULL),
                slow_match(key_text, value_text));
        }
    }
}

static void
long_segments_with_question_marks_are_found(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) key = g_string_new("*");
    g_autoptr(GString) value = g_string_new("zz");
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = ASCII};
    SieveCaptures captures;

    (void)state;
    for (int i = 0; i < 100; i++) {
        g_string_append(key, "a?");
        g_string_append(value, "ab");
    }
    g_string_append(key, "c*");
    g_string_append(value, "cyy");

    SieveText text = {.bytes = value->str, .len = value->len};

    assert_true(match(arena, matcher, sieve_text(key->str), text, &captures));
    assert_int_equal(captures.count, 33);
    assert_text(captures.values[1], "zz");
    assert_text(captures.values[2], "b");
    g_string_erase(value, 100, 1);
    text.len--;
    assert_false(match(arena, matcher, sieve_text(key->str), text, NULL));
}

static void
no_pattern_is_slow(void **state)
{
    static const char *const keys[] = {"*a*a*a*a*a*a*a*a*a*a*b", "*a?a?a?a?a?a?a?b*",
                                       "*aaaaaaaaab*"};
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    size_t len = 1024 * 1024;
    g_autofree char *value = g_strnfill(len, 'a');
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = ASCII};
    gint64 begun = g_get_monotonic_time();

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        assert_false(match(arena, matcher, sieve_text(keys[i]),
                           (SieveText){.bytes = value, .len = len}, NULL));
    /* Milliseconds; backtracking would take longer than the universe is old. */
    assert_true(g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC);
}

static void
too_many_question_marks_between_stars_are_refused(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GError) error = NULL;
    g_autofree char *key = g_strnfill(SIEVE_MAX_WILD_SEGMENT + 3, '?');
    SieveMatcher matcher = {.type = SIEVE_MATCH_MATCHES, .comparator = ASCII};

    (void)state;
    key[0] = key[SIEVE_MAX_WILD_SEGMENT + 2] = '*';
    assert_null(sieve_pattern_new(arena, &matcher, sieve_text(key), &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT));
}

static void
relations_have_names_without_regard_to_case(void **state)
{
    SieveRelation relation;

    (void)state;
    assert_true(sieve_relation_parse(sieve_text("GE"), &relation));
    assert_int_equal(relation, SIEVE_GE);
    assert_false(sieve_relation_parse(sieve_text("eqq"), &relation));
    assert_false(sieve_relation_parse(sieve_text(""), &relation));
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(nul_is_a_character),
        cmocka_unit_test(all_short_patterns_agree_with_the_definition),
        cmocka_unit_test(long_segments_with_question_marks_are_found),
        cmocka_unit_test(no_pattern_is_slow),
        cmocka_unit_test(too_many_question_marks_between_stars_are_refused),
        cmocka_unit_test(relations_have_names_without_regard_to_case),
    };

    ADD_ROWS(tests, globs, check_glob);
    ADD_ROWS(tests, rows, check_row);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("match", tests);
}
