/* tests/lda/test_quota_cause.c - what `lodge quota verify` makes of figures that do not agree
 *
 * That the figures are right is tested in tests/quota.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/quota_cause.h"

/* What is counted is 5 messages of 500 octets. */
#define COUNTED .counted = {500, 5}
#define FILE_SAYS(octets, messages) \
    COUNTED, .has_file = true, .lines = 3, .file_octets = (octets), .file_messages = (messages)

typedef struct {
    const char *behaviour;
    QuotaReport report;
    const char *drift; /* ids, the first of which is the cause */
    const char *notes; /* ids of what is to be known besides */
    bool is_unkept;
    bool ignores_trash;
    bool ignores_deleted;
    bool has_marker;
    bool has_dot_file;
} Row;

static const Row rows[] = {
    {.behaviour = "file_that_says_what_is_there_is_right", .report = {FILE_SAYS(500, 5)}},
    {.behaviour = "no_file_is_no_drift", .report = {COUNTED}},
    {.behaviour = "messages_nobody_entered_were_added",
     .report = {FILE_SAYS(300, 3)},
     .drift = "added"},
    {.behaviour = "messages_nobody_took_out_were_removed",
     .report = {FILE_SAYS(700, 7)},
     .drift = "removed"},
    {.behaviour = "as_many_messages_have_other_sizes",
     .report = {FILE_SAYS(700, 5)},
     .drift = "sizes"},
    {.behaviour = "as_many_messages_missing_as_deliveries_were_killed",
     .report = {FILE_SAYS(300, 3), .lost = 2},
     .drift = "killed",
     .notes = "lost_reservations"},
    {.behaviour = "fewer_messages_missing_than_deliveries_were_killed",
     .report = {FILE_SAYS(400, 4), .lost = 2},
     .drift = "killed",
     .notes = "lost_reservations"},
    {.behaviour = "more_messages_missing_than_killed_deliveries_explain",
     .report = {FILE_SAYS(200, 2), .lost = 2},
     .drift = "added",
     .notes = "lost_reservations"},
    {.behaviour = "killed_delivery_explains_no_message_that_is_gone",
     .report = {FILE_SAYS(700, 7), .lost = 2},
     .drift = "removed",
     .notes = "lost_reservations"},
    {.behaviour = "killed_before_it_stored_anything_is_no_drift",
     .report = {FILE_SAYS(500, 5), .lost = 1},
     .notes = "lost_reservations"},
    {.behaviour = "killed_deliveries_are_told_of_without_a_file",
     .report = {COUNTED, .lost = 1},
     .notes = "lost_reservations"},
    {.behaviour = "marker_explains_what_is_missing_before_killed_deliveries_do",
     .report = {FILE_SAYS(400, 4), .lost = 1},
     .drift = "entered_above",
     .notes = "lost_reservations root_marker",
     .has_marker = true},
    {.behaviour = "trash_left_out",
     .report = {FILE_SAYS(400, 4), .trash = {100, 1}},
     .drift = "trash_left_out"},
    {.behaviour = "trash_counted_where_we_do_not",
     .report = {FILE_SAYS(600, 6), .trash = {100, 1}},
     .drift = "trash_counted",
     .ignores_trash = true},
    {.behaviour = "deleted_left_out",
     .report = {FILE_SAYS(400, 4), .deleted = {100, 1}},
     .drift = "deleted_left_out"},
    {.behaviour = "deleted_counted_where_we_do_not",
     .report = {FILE_SAYS(600, 6), .deleted = {100, 1}},
     .drift = "deleted_counted",
     .ignores_deleted = true},
    {.behaviour = "trash_and_deleted_left_out",
     .report = {FILE_SAYS(200, 2), .trash = {100, 1}, .deleted = {200, 2}},
     .drift = "trash_and_deleted"},
    {.behaviour = "what_lies_in_trash_explains_more_than_killed_deliveries",
     .report = {FILE_SAYS(400, 4), .trash = {100, 1}, .lost = 1},
     .drift = "trash_left_out",
     .notes = "lost_reservations"},
    {.behaviour = "count_under_other_limits_is_old",
     .report = {COUNTED, .has_file = true, .lines = 1, .limits_differ = true},
     .drift = "old_count",
     .notes = "other_limits"},
    {.behaviour = "other_limits_alone_are_no_drift",
     .report = {FILE_SAYS(500, 5), .limits_differ = true},
     .notes = "other_limits"},
    {.behaviour = "damaged_file_says_nothing_of_its_limits",
     .report = {COUNTED, .has_file = true, .is_damaged = true},
     .drift = "damaged"},
    {.behaviour = "file_that_nobody_keeps_is_no_drift",
     .report = {FILE_SAYS(300, 3)},
     .notes = "not_kept",
     .is_unkept = true},
    {.behaviour = "all_that_can_be_said_at_once",
     .report = {FILE_SAYS(300, 3), .limits_differ = true, .lost = 1},
     .drift = "entered_above",
     .notes = "other_limits lost_reservations root_marker dot_file",
     .has_marker = true,
     .has_dot_file = true},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    const QuotaSettings settings = {.ignore_trash = row->ignores_trash,
                                    .ignore_deleted = row->ignores_deleted};
    const QuotaEvidence evidence = {.settings = &settings,
                                    .report = &row->report,
                                    .is_kept = !row->is_unkept,
                                    .has_marker = row->has_marker,
                                    .has_dot_file = row->has_dot_file};
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    QuotaVerdict verdict;

    quota_find_causes(&evidence, &verdict);
    for (size_t i = 0; i < verdict.count; i++) {
        assert_true(*verdict.findings[i].text != '\0');
        g_ptr_array_add(ids, (char *)verdict.findings[i].id);
    }
    g_ptr_array_add(ids, NULL);

    const char *expected_ids[] = {row->drift != NULL ? row->drift : row->notes,
                                  row->drift != NULL ? row->notes : NULL, NULL};
    g_autofree char *found = g_strjoinv(" ", (char **)ids->pdata);
    g_autofree char *expected = g_strjoinv(" ", (char **)expected_ids);

    assert_string_equal(found, expected);
    assert_int_equal(verdict.has_drift, row->drift != NULL);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
