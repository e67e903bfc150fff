/* tests/lda/test_quota_rules.c - [quota] folders */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/outcome.h"
#include "lda/quota_rules.h"

typedef struct {
    const char *behaviour;
    const char *text;
    QuotaFolderRule rule;
} Good;

static const Good good[] = {
    {"ignored_folder", "Trash=ignore", {.pattern = ".Trash", .is_ignored = true}},
    {"words_have_no_case", "Trash=IGNORE", {.pattern = ".Trash", .is_ignored = true}},
    {"percent_on_top", "Junk=+10%", {.pattern = ".Junk", .extra_percent = 10}},
    {"octets_on_top", "Junk=+50M", {.pattern = ".Junk", .extra_octets = 50 << 20}},
    {"limit_of_its_own", "Archive=max 5G", {.pattern = ".Archive", .max_octets = 5ULL << 30}},
    {"several_words",
     "Old=+1K  max\t2K +5%",
     {.pattern = ".Old", .extra_octets = 1024, .extra_percent = 5, .max_octets = 2048}},
    {"blanks_around_do_not_count", " Sent Items = ignore ", {".Sent Items", .is_ignored = true}},
    {"stars_stay", "Lists.*=ignore", {.pattern = ".Lists.*", .is_ignored = true}},
    {"question_mark_stays", "20?0?=ignore", {.pattern = ".20?0?", .is_ignored = true}},
    {"star_alone_is_also_the_inbox", "*=max 1M", {.pattern = "*", .max_octets = 1 << 20}},
    {"inbox_has_no_case", "inbox=max 1M", {.pattern = "", .max_octets = 1 << 20}},
    {"prefix_of_the_namespace_is_taken_off",
     "INBOX.Trash=ignore",
     {.pattern = ".Trash", .is_ignored = true}},
    {"name_that_is_not_ascii_is_in_modified_utf7",
     "Entwürfe=ignore",
     {.pattern = ".Entw&APw-rfe", .is_ignored = true}},
    {"wildcard_at_a_distance_from_it", "Entwürf*=ignore", {".Entw&APw-rf*", .is_ignored = true}},
    {"equals_sign_in_a_name", "a=b=ignore", {.pattern = ".a=b", .is_ignored = true}},
    {"nothing_on_top", "Junk=+0", {.pattern = ".Junk"}},
};

typedef struct {
    const char *behaviour;
    const char *text;
    const char *message;
} Bad;

static const Bad bad[] = {
    {"other_words", "Trash=gone", "rule 'Trash=gone': 'gone' is none of ignore, +SIZE"},
    {"no_words", "Trash= ", "'' is none of ignore"},
    {"size_without_plus", "Junk=10M", "'10M' is none of ignore"},
    {"size_below_nothing", "Junk=+-1", "'+-1' is none of"},
    {"plus_without_a_size", "Junk=+", "'+' is none of"},
    {"percent_without_a_number", "Junk=+%", "'+%' is none of"},
    {"percent_with_a_fraction", "Junk=+1.5%", "'+1.5%' is none of"},
    {"percent_past_all_sense", "Junk=+1001%", "'+1001%' is none of"},
    {"size_past_64_bits", "Junk=+16777217T", "'+16777217T' is none of"},
    {"max_without_a_size", "Junk=max", "'max' is none of"},
    {"max_of_nothing", "Junk=max 0", "'max 0' is none of"},
    {"ignored_and_limited", "Junk=ignore max 1M", "what is ignored has no limit to change"},
    {"no_equals_sign", "Junk", "rule 'Junk': it must be folder=rule"},
    {"no_folder", "=ignore", "rule '=ignore': folder '' cannot exist: an empty level"},
    {"slash_that_is_no_separator", "Lists/*=ignore",
     "rule 'Lists/*=ignore': folder 'Lists/*' cannot exist: '/' is not the separator"},
    {"empty_level", "Lists..x=ignore", "an empty level"},
    {"star_beside_what_is_not_ascii", "Ä*=ignore", "'*' cannot stand beside a character"},
    {"question_mark_beside_what_is_not_ascii", "?ä=ignore", "'?' cannot stand beside a character"},
};

static const MaildirLayout layout = {.separator = '.', .prefix = "INBOX."};

static void
check_good(void **state)
{
    const Good *row = *state;
    g_autoptr(GError) error = NULL;
    char *const texts[] = {(char *)row->text, NULL};
    g_autoptr(GArray) rules = quota_rules_parse(texts, &layout, &error);
    const QuotaFolderRule *rule;

    if (rules == NULL) {
        fail_msg("%s", error->message);
        return;
    }
    assert_int_equal(rules->len, 1);
    rule = &g_array_index(rules, QuotaFolderRule, 0);
    assert_string_equal(rule->pattern, row->rule.pattern);
    assert_int_equal(rule->is_ignored, row->rule.is_ignored);
    assert_int_equal(rule->extra_octets, row->rule.extra_octets);
    assert_int_equal(rule->extra_percent, row->rule.extra_percent);
    assert_int_equal(rule->max_octets, row->rule.max_octets);
}

static void
check_bad(void **state)
{
    const Bad *row = *state;
    g_autoptr(GError) error = NULL;
    char *const texts[] = {(char *)"Trash=ignore", (char *)row->text, NULL};

    assert_null(quota_rules_parse(texts, &layout, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
    if (strstr(error->message, row->message) == NULL)
        fail_msg("%s", error->message);
}

static void
rules_keep_their_order(void **state)
{
    char *const texts[] = {(char *)"b=ignore", (char *)"a=+1", (char *)"*=+2", NULL};
    g_autoptr(GArray) rules = quota_rules_parse(texts, &layout, NULL);

    (void)state;
    assert_int_equal(rules->len, 3);
    assert_string_equal(g_array_index(rules, QuotaFolderRule, 0).pattern, ".b");
    assert_string_equal(g_array_index(rules, QuotaFolderRule, 1).pattern, ".a");
    assert_string_equal(g_array_index(rules, QuotaFolderRule, 2).pattern, "*");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(good) + G_N_ELEMENTS(bad) + 1] = {
        cmocka_unit_test(rules_keep_their_order)};
    size_t count = 1;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        tests[count++] = (struct CMUnitTest){
            .name = good[i].behaviour, .test_func = check_good, .initial_state = (void *)&good[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        tests[count++] = (struct CMUnitTest){
            .name = bad[i].behaviour, .test_func = check_bad, .initial_state = (void *)&bad[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
