/* tests/quota/test_warning.c - when the owner is told, as tables of deliveries */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "quota/warning.h"

enum { MAX_STEPS = 8 };

/* One delivery: what it left, when, and what is expected. */
typedef struct {
    guint64 octets;
    guint64 messages;
    gint64 hour;
    unsigned warning;
    bool is_down;
} Step;

typedef struct {
    const char *behaviour;
    unsigned warn_at[QUOTA_MAX_WARNINGS + 1]; /* up to a 0 */
    QuotaLimits limits;
    Step steps[MAX_STEPS]; /* up to hour 0 */
} Row;

#define THRESHOLDS  \
    {               \
        80, 90, 100 \
    }

static const Row rows[] = {
    {"below_all_thresholds_nothing_is_told", THRESHOLDS, {1000, 0}, {{799, 1, 1, 0, false}}},
    {"threshold_is_passed_when_it_is_reached", THRESHOLDS, {1000, 0}, {{800, 1, 1, 80, false}}},
    {"it_is_told_once_while_usage_stays_there",
     THRESHOLDS,
     {1000, 0},
     {{850, 1, 1, 80, false}, {860, 1, 2, 0, false}, {870, 1, 100, 0, false}}},
    {"highest_threshold_passed_is_told", THRESHOLDS, {1000, 0}, {{999, 1, 1, 90, false}}},
    {"each_threshold_has_its_turn",
     THRESHOLDS,
     {1000, 0},
     {{800, 1, 1, 80, false}, {900, 1, 2, 90, false}, {1000, 1, 3, 100, false}}},
    {"way_down_tells_the_lowest_threshold_passed",
     THRESHOLDS,
     {1000, 0},
     {{1000, 1, 1, 100, false}, {100, 1, 2, 80, true}}},
    {"way_down_past_one_threshold_tells_that_one",
     THRESHOLDS,
     {1000, 0},
     {{1000, 1, 1, 100, false}, {950, 1, 2, 100, true}, {899, 1, 3, 90, true}}},
    {"same_threshold_is_told_upwards_once_a_day",
     THRESHOLDS,
     {1000, 0},
     {{800, 1, 1, 80, false},
      {100, 1, 2, 80, true},
      {800, 1, 3, 0, false},
      {100, 1, 4, 0, true},
      {800, 1, 25, 80, false},
      {100, 1, 26, 80, true}}},
    {"another_threshold_is_told_on_the_same_day",
     THRESHOLDS,
     {1000, 0},
     {{950, 1, 1, 90, false},
      {850, 1, 2, 90, true},
      {900, 1, 3, 0, false},
      {1000, 1, 4, 100, false}}},
    {"messages_count_as_octets_do",
     THRESHOLDS,
     {1000, 10},
     {{0, 8, 1, 80, false}, {0, 7, 2, 80, true}}},
    {"fuller_of_both_limits_decides", THRESHOLDS, {1000, 10}, {{990, 8, 1, 90, false}}},
    {"without_limits_nothing_is_told", THRESHOLDS, {0, 0}, {{G_MAXINT64, 1000, 1, 0, false}}},
    {"without_thresholds_nothing_is_told", {0}, {1000, 0}, {{1000, 1, 1, 0, false}}},
    {"percent_is_rounded_up", {33}, {1000, 3}, {{329, 0, 1, 0, false}, {330, 0, 2, 33, false}}},
    {"one_percent_of_a_small_limit_is_not_nothing",
     {1},
     {3, 0},
     {{0, 0, 1, 0, false}, {1, 0, 2, 1, false}}},
    {"largest_limit_has_thresholds",
     {50, 100},
     {G_MAXINT64, 0},
     {{G_MAXINT64 / 2, 1, 1, 0, false},
      {G_MAXINT64 / 2 + 1, 1, 2, 50, false},
      {G_MAXINT64, 1, 3, 100, false}}},
    {"threshold_past_what_can_be_is_never_reached",
     {300},
     {G_MAXINT64, 0},
     {{G_MAXINT64, 1, 1, 0, false}}},
    {"clock_set_back_does_not_silence",
     THRESHOLDS,
     {1000, 0},
     {{800, 1, 1000, 80, false}, {100, 1, 1001, 80, true}, {800, 1, 5, 80, false}}},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    QuotaSettings settings = {.limits = row->limits, .warn_at = row->warn_at};
    QuotaWarnings warnings = {0};

    while (row->warn_at[settings.warn_count] != 0)
        settings.warn_count++;
    for (size_t i = 0; i < MAX_STEPS && row->steps[i].hour != 0; i++) {
        const Step *step = &row->steps[i];
        const QuotaUsage usage = {step->octets, step->messages};
        QuotaChange change = {0};

        quota_warning_decide(&warnings, &settings, &usage, step->hour * 3600 * G_USEC_PER_SEC,
                             &change);
        if (change.warning != step->warning ||
            (change.warning != 0 && change.is_down != step->is_down))
            fail_msg("step %zu: told of %u%s", i + 1, change.warning,
                     change.is_down ? " downwards" : "");
    }
}

static void
changed_thresholds_keep_the_stamps_of_those_that_stay(void **state)
{
    const unsigned before[] = {10, 20, 30, 40, 50, 60, 70, 80};
    const unsigned after[] = {15, 25, 35, 45, 55, 65, 75, 80};
    QuotaSettings settings = {.limits = {100, 0}, .warn_at = before, .warn_count = 8};
    QuotaWarnings warnings = {0};
    QuotaChange change;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        quota_warning_decide(&warnings, &settings, &(QuotaUsage){before[i], 1}, 1000 + (gint64)i,
                             &change);
        assert_int_equal(change.warning, before[i]);
    }
    settings.warn_at = after;
    quota_warning_decide(&warnings, &settings, &(QuotaUsage){0, 1}, 2000, &change);
    assert_int_equal(change.warning, 15);
    assert_true(change.is_down);
    for (size_t i = 0; i < 8; i++) {
        quota_warning_decide(&warnings, &settings, &(QuotaUsage){after[i], 1}, 3000 + (gint64)i,
                             &change);
        assert_int_equal(change.warning, after[i] == 80 ? 0 : after[i]);
    }
}

static void
level_of_a_threshold_that_is_gone_is_left_quietly(void **state)
{
    const unsigned before[] = {80};
    const unsigned after[] = {90};
    QuotaSettings settings = {.limits = {100, 0}, .warn_at = before, .warn_count = 1};
    QuotaWarnings warnings = {0};
    QuotaChange change;

    (void)state;
    quota_warning_decide(&warnings, &settings, &(QuotaUsage){85, 1}, 1000, &change);
    assert_int_equal(change.warning, 80);
    settings.warn_at = after;
    quota_warning_decide(&warnings, &settings, &(QuotaUsage){86, 1}, 2000, &change);
    assert_int_equal(change.warning, 0);
    quota_warning_decide(&warnings, &settings, &(QuotaUsage){90, 1}, 3000, &change);
    assert_int_equal(change.warning, 90);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 2] = {
        cmocka_unit_test(changed_thresholds_keep_the_stamps_of_those_that_stay),
        cmocka_unit_test(level_of_a_threshold_that_is_gone_is_left_quietly),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i + 2] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
