/* tests/lda/test_mailbox_quota.c - what holds for a mailbox: its row, else [quota] */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/mailbox_quota.h"

static const Mailbox says_nothing = {
    .quota_bytes = -1, .quota_messages = -1, .max_message_bytes = -1};

static LdaConfig *
load(const char *const *settings)
{
    g_autoptr(GError) error = NULL;
    LdaConfig *config = config_load("/dev/null", settings, &error);

    if (config == NULL)
        fail_msg("%s", error->message);
    return config;
}

static const char *const presets[] = {"quota.bytes=10M",
                                      "quota.messages=100",
                                      "quota.max_message=1M",
                                      "quota.over=ramp",
                                      "quota.ramp_time=2d",
                                      "quota.grace=5K",
                                      "quota.folders=Trash=ignore; Junk=+10%",
                                      "quota.count_trash=no",
                                      "quota.count_deleted=no",
                                      "quota.shared_storage=yes",
                                      "quota.lock_timeout=7s",
                                      "quota.warn=50 99",
                                      NULL};

static void
mailbox_that_says_nothing_has_what_the_configuration_says(void **state)
{
    g_autoptr(LdaConfig) config = load(presets);
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(config, &says_nothing, NULL);
    const QuotaSettings *settings = mailbox_quota_settings(quota);

    (void)state;
    assert_int_equal(settings->limits.octets, 10 << 20);
    assert_int_equal(settings->limits.messages, 100);
    assert_int_equal(settings->max_message, 1 << 20);
    assert_int_equal(settings->over, QUOTA_OVER_RAMP);
    assert_int_equal(settings->ramp_s, 2 * 86400);
    assert_int_equal(settings->grace, 5 << 10);
    assert_int_equal(settings->folder_count, 2);
    assert_string_equal(settings->folders[0].pattern, ".Trash");
    assert_int_equal(settings->folders[1].extra_percent, 10);
    assert_true(settings->ignore_trash);
    assert_true(settings->ignore_deleted);
    assert_true(settings->shared_storage);
    assert_int_equal(settings->lock_timeout_ms, 7000);
    assert_int_equal(settings->warn_count, 2);
    assert_int_equal(settings->warn_at[0], 50);
    assert_int_equal(settings->warn_at[1], 99);
}

static void
what_the_row_says_comes_first(void **state)
{
    const Mailbox row = {.quota_bytes = 7,
                         .quota_messages = -1,
                         .max_message_bytes = 8,
                         .quota_over = MAILMAP_OVER_DEFER};
    g_autoptr(LdaConfig) config = load(presets);
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(config, &row, NULL);
    const QuotaSettings *settings = mailbox_quota_settings(quota);

    (void)state;
    assert_int_equal(settings->limits.octets, 7);
    assert_int_equal(settings->limits.messages, 100);
    assert_int_equal(settings->max_message, 8);
    assert_int_equal(settings->over, QUOTA_OVER_DEFER);
}

static void
row_without_limit_ends_the_search(void **state)
{
    const Mailbox row = {.quota_over = MAILMAP_OVER_REJECT};
    g_autoptr(LdaConfig) config = load(presets);
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(config, &row, NULL);
    const QuotaSettings *settings = mailbox_quota_settings(quota);

    (void)state;
    assert_int_equal(settings->limits.octets, 0);
    assert_int_equal(settings->limits.messages, 0);
    assert_int_equal(settings->max_message, 0);
    assert_int_equal(settings->over, QUOTA_OVER_REJECT);
}

static void
nothing_is_limited_by_default(void **state)
{
    const char *const none[] = {NULL};
    g_autoptr(LdaConfig) config = load(none);
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(config, &says_nothing, NULL);
    const QuotaSettings *settings = mailbox_quota_settings(quota);

    (void)state;
    assert_int_equal(settings->limits.octets, 0);
    assert_int_equal(settings->limits.messages, 0);
    assert_int_equal(settings->max_message, 0);
    assert_int_equal(settings->over, QUOTA_OVER_REJECT);
    assert_int_equal(settings->folder_count, 0);
    assert_false(settings->ignore_trash);
    assert_false(settings->ignore_deleted);
}

typedef struct {
    const char *behaviour;
    const char *settings[4];
    guint64 least;
    int code; /* of QUOTA_ERROR; -1: it may fit */
} Least;

static const Least leasts[] = {
    {"as_large_as_the_mailbox_may_fit", {"quota.bytes=100"}, 100, -1},
    {"larger_than_the_mailbox_does_not", {"quota.bytes=100"}, 101, QUOTA_ERROR_FULL},
    {"grace_is_room", {"quota.bytes=100", "quota.grace=5"}, 105, -1},
    {"and_no_more", {"quota.bytes=100", "quota.grace=5"}, 106, QUOTA_ERROR_FULL},
    {"folder_with_a_rule_may_have_room", {"quota.bytes=100", "quota.folders=a=ignore"}, 101, -1},
    {"trash_that_does_not_count_has_room", {"quota.bytes=100", "quota.count_trash=no"}, 101, -1},
    {"as_large_as_one_message_may_be", {"quota.max_message=100"}, 100, -1},
    {"larger_than_one_message_may_be", {"quota.max_message=100"}, 101, QUOTA_ERROR_TOO_BIG},
    {"in_any_folder",
     {"quota.max_message=100", "quota.folders=a=ignore"},
     101,
     QUOTA_ERROR_TOO_BIG},
    {"without_limits_all_may_fit", {NULL}, G_MAXUINT64, -1},
};

static void
check_least(void **state)
{
    const Least *row = *state;
    g_autoptr(LdaConfig) config = load(row->settings);
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(config, &says_nothing, NULL);
    g_autoptr(GError) error = NULL;

    assert_int_equal(mailbox_quota_check_least(quota, row->least, &error), row->code < 0);
    if (row->code >= 0)
        assert_true(g_error_matches(error, QUOTA_ERROR, row->code));
}

int
main(void)
{
    struct CMUnitTest rows[G_N_ELEMENTS(leasts)];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_that_says_nothing_has_what_the_configuration_says),
        cmocka_unit_test(what_the_row_says_comes_first),
        cmocka_unit_test(row_without_limit_ends_the_search),
        cmocka_unit_test(nothing_is_limited_by_default),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(leasts); i++)
        rows[i] = (struct CMUnitTest){.name = leasts[i].behaviour,
                                      .test_func = check_least,
                                      .initial_state = (void *)&leasts[i]};
    return cmocka_run_group_tests(tests, NULL, NULL) | cmocka_run_group_tests(rows, NULL, NULL);
}
