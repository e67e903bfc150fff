/* tests/lda/test_outcome.c - what is permanent, and how it is said */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/config.h"
#include "lda/outcome.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

typedef struct {
    const char *behaviour;
    GQuark (*domain)(void);
    int code;
    const char *status;
    unsigned reply_code;
    int exit_status;
} Row;

static const Row rows[] = {
    {"unknown_address", mailmap_error_quark, MAILMAP_ERROR_UNKNOWN_ADDRESS, "5.1.1", 550, 67},
    {"inactive_user", mailmap_error_quark, MAILMAP_ERROR_INACTIVE, "5.2.1", 550, 77},
    {"bad_address", mailmap_error_quark, MAILMAP_ERROR_BAD_ADDRESS, "5.1.3", 550, 77},
    {"nonsense_row_is_temporary", mailmap_error_quark, MAILMAP_ERROR_BAD_ROW, "4.3.5", 451, 75},
    {"locked_map_is_temporary", mailmap_error_quark, MAILMAP_ERROR_UNAVAILABLE, "4.3.0", 451, 75},
    {"wrong_schema_is_temporary", mailmap_error_quark, MAILMAP_ERROR_SCHEMA, "4.3.5", 451, 75},
    {"larger_than_the_quota", quota_error_quark, QUOTA_ERROR_FULL, "5.2.2", 552, 77},
    {"full_for_now_is_temporary", quota_error_quark, QUOTA_ERROR_FULL_FOR_NOW, "4.2.2", 452, 75},
    {"larger_than_the_user_takes", quota_error_quark, QUOTA_ERROR_TOO_BIG, "5.2.3", 552, 77},
    {"locked_mailbox_is_temporary", quota_error_quark, QUOTA_ERROR_BUSY, "4.3.0", 451, 75},
    {"larger_than_the_limit", lda_error_quark, LDA_ERROR_TOO_BIG, "5.2.3", 552, 77},
    {"mail_loop", lda_error_quark, LDA_ERROR_TOO_MANY_HOPS, "5.4.6", 554, 77},
    {"empty_message_is_temporary", lda_error_quark, LDA_ERROR_EMPTY, "4.3.0", 451, 75},
    {"bad_folder_is_temporary", lda_error_quark, LDA_ERROR_BAD_FOLDER, "4.2.0", 451, 75},
    {"foreign_uid_is_temporary", lda_error_quark, LDA_ERROR_NOT_PERMITTED, "4.3.5", 451, 75},
    {"bad_setting_is_temporary", config_error_quark, CONFIG_ERROR_VALUE, NULL, 451, 75},
    {"full_disk_is_temporary", g_file_error_quark, G_FILE_ERROR_NOSPC, "4.3.1", 452, 75},
    {"missing_right_is_temporary", g_file_error_quark, G_FILE_ERROR_ACCES, "4.3.0", 451, 75},
    {"what_nobody_foresaw_is_temporary", g_key_file_error_quark, 12345, "4.3.0", 451, 75},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = g_error_new_literal(row->domain(), row->code, "because");
    g_autoptr(LdaOutcome) outcome = lda_outcome_from_error(error);

    if (row->status != NULL)
        assert_string_equal(outcome->status, row->status);
    assert_int_equal(lda_outcome_reply_code(outcome), row->reply_code);
    assert_int_equal(lda_outcome_exit_status(outcome), row->exit_status);
    assert_string_equal(outcome->text, "because");
    assert_false(lda_outcome_is_success(outcome));
    assert_null(outcome->file);
}

static void
stored_is_a_success_that_says_where(void **state)
{
    g_autoptr(LdaOutcome) outcome = lda_outcome_stored("Lists.ietf", "/mail/x");
    g_autoptr(LdaOutcome) copy = lda_outcome_copy(outcome);

    (void)state;
    assert_true(lda_outcome_is_success(copy));
    assert_int_equal(lda_outcome_reply_code(copy), 250);
    assert_int_equal(lda_outcome_exit_status(copy), 0);
    assert_string_equal(copy->text, "stored in Lists.ietf");
    assert_string_equal(copy->file, "/mail/x");
    assert_string_equal(copy->folder, "Lists.ietf");
}

static void
text_is_one_line_of_valid_utf8_and_bounded(void **state)
{
    g_autofree char *filler = g_strnfill(298, 'x');
    g_autofree char *text = g_strconcat(filler, "\xc3\xa9\xc3\xa9 and more", NULL);
    g_autoptr(GError) error =
        g_error_new_literal(LDA_ERROR, LDA_ERROR_CONFIG, "a\r\n250 b\x01\xff");
    g_autoptr(GError) long_error = g_error_new_literal(LDA_ERROR, LDA_ERROR_CONFIG, text);
    g_autoptr(LdaOutcome) outcome = lda_outcome_from_error(error);
    g_autoptr(LdaOutcome) cut = lda_outcome_from_error(long_error);

    (void)state;
    assert_string_equal(outcome->text, "a  250 b \xef\xbf\xbd");
    assert_true(g_utf8_validate(cut->text, -1, NULL));
    assert_in_range(strlen(cut->text), 296, 300);
}

int
main(void)
{
    struct CMUnitTest tests[2 + G_N_ELEMENTS(rows)] = {
        cmocka_unit_test(stored_is_a_success_that_says_where),
        cmocka_unit_test(text_is_one_line_of_valid_utf8_and_bounded),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[2 + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
