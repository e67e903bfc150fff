/* tests/quota/test_rules.c - rules of folders, and what they allow */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "quota/rules.h"

typedef struct {
    const char *behaviour;
    const char *pattern;
    const char *name;
    bool matches;
} Row;

static const Row rows[] = {
    {"name_matches_itself", ".Trash", ".Trash", true},
    {"prefix_is_not_enough", ".Trash", ".Trash.old", false},
    {"pattern_longer_than_the_name_does_not_match", ".Trash", ".Tras", false},
    {"case_is_kept", ".trash", ".Trash", false},
    {"empty_pattern_is_the_inbox", "", "", true},
    {"empty_pattern_is_nothing_else", "", ".A", false},
    {"star_is_everything", "*", ".Lists.ietf", true},
    {"star_is_nothing_too", "*", "", true},
    {"star_at_the_end", ".Lists.*", ".Lists.ietf", true},
    {"star_stands_for_what_follows_only", ".Lists.*", ".Lists", false},
    {"star_at_the_start", "*.Spam", ".a.b.Spam", true},
    {"star_in_the_middle_goes_back", ".a*b.c", ".a.b.xb.c", true},
    {"star_in_the_middle_fails", ".a*b.c", ".a.b.cx", false},
    {"two_stars", "*a*b*", "xxaxxbxx", true},
    {"two_stars_in_order", "*a*b", "ba", false},
    {"question_mark_is_one_octet", ".20??", ".2024", true},
    {"question_mark_is_not_none", ".20??", ".202", false},
    {"brackets_are_letters", ".[Gmail]*", ".[Gmail].Spam", true},
    {"backslash_is_a_letter", ".\\*", ".\\x", true},
};

static void
check_row(void **state)
{
    const Row *row = *state;

    assert_int_equal(quota_pattern_matches(row->pattern, row->name), row->matches);
}

/* Without end when a matcher tries each star at each place. */
static void
many_stars_are_no_trouble(void **state)
{
    g_autofree char *name = g_strnfill(255, 'a');
    GString *pattern = g_string_new(NULL);

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        g_string_append(pattern, "*a");
    g_string_append_c(pattern, 'b');
    assert_false(quota_pattern_matches(pattern->str, name));
    g_string_free(pattern, TRUE);
}

static void
first_rule_that_matches_counts(void **state)
{
    const QuotaFolderRule rules[] = {
        {.pattern = ".Lists.keep"},
        {.pattern = ".Lists.*", .is_ignored = true},
    };
    const QuotaSettings settings = {.folders = rules, .folder_count = 2};

    (void)state;
    assert_true(quota_folder_counts(&settings, ".Lists.keep"));
    assert_false(quota_folder_counts(&settings, ".Lists.drop"));
    assert_true(quota_folder_counts(&settings, ".Other"));
}

static void
trash_alone_is_left_out_as_courier_has_it(void **state)
{
    const QuotaSettings courier = {.ignore_trash = true};
    const QuotaSettings dovecot = {.ignore_trash = false};

    (void)state;
    assert_false(quota_folder_counts(&courier, ".Trash"));
    assert_true(quota_folder_counts(&courier, ".Trash.old"));
    assert_true(quota_folder_counts(&dovecot, ".Trash"));
}

static void
grace_and_extra_add_to_the_limit(void **state)
{
    const QuotaFolderRule rules[] = {
        {.pattern = ".Trash", .extra_octets = 50, .extra_percent = 10},
        {.pattern = ".Big", .extra_percent = 4000000000U},
    };
    QuotaSettings settings = {.limits = {1005, 0}, .grace = 7, .folders = rules, .folder_count = 2};

    (void)state;
    assert_int_equal(quota_allowed_octets(&settings, ""), 1012);
    assert_int_equal(quota_allowed_octets(&settings, ".Trash"), 1012 + 50 + 100);
    settings.limits.octets = 0; /* grace and extra of nothing are no limit */
    assert_int_equal(quota_allowed_octets(&settings, ".Trash"), 0);
    settings.limits.octets = G_MAXINT64 - 1;
    assert_int_equal(quota_allowed_octets(&settings, ""), G_MAXINT64);
    assert_int_equal(quota_allowed_octets(&settings, ".Big"), G_MAXINT64);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 4] = {
        cmocka_unit_test(many_stars_are_no_trouble),
        cmocka_unit_test(first_rule_that_matches_counts),
        cmocka_unit_test(trash_alone_is_left_out_as_courier_has_it),
        cmocka_unit_test(grace_and_extra_add_to_the_limit),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i + 4] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
