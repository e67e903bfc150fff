/* tests/quota/test_reserved.c - what others are told of a delivery: its share, and its moment */
#include "tests/quota/mailbox.h"

static void
what_is_set_aside_is_told_until_it_is_settled(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;
    Quota *quota;

    mailbox->settings.limits.octets = 1000;
    quota = mailbox_open(mailbox);
    assert_int_equal(quota_reserved(quota).octets, 0);
    assert_int_equal(quota_reserved(quota).messages, 0);
    assert_true(quota_reserve(quota, "", 600, mailbox->now_us, NULL));
    assert_int_equal(quota_reserved(quota).octets, 600);
    assert_int_equal(quota_reserved(quota).messages, 1);
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_int_equal(quota_reserved(quota).messages, 0);
    quota_free(quota);
}

static void
nothing_is_set_aside_for_a_folder_that_does_not_count(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rule = {.pattern = ".Spam", .is_ignored = true};
    Quota *quota;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.folders = &rule;
    mailbox->settings.folder_count = 1;
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, ".Spam", 600, mailbox->now_us, NULL));
    assert_int_equal(quota_reserved(quota).octets, 0);
    assert_int_equal(quota_reserved(quota).messages, 0);
    quota_free(quota);
}

static void
later_settlement_has_the_higher_moment(void **state)
{
    Mailbox *mailbox = *state;
    gint64 before_us = g_get_real_time();
    QuotaChange changes[2];
    Quota *quotas[2];

    mailbox->settings.limits.octets = 1000;
    for (size_t i = 0; i < 2; i++) {
        quotas[i] = mailbox_open(mailbox);
        assert_true(quota_reserve(quotas[i], "", 100, mailbox->now_us, NULL));
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(quota_settle(quotas[i], mailbox->now_us, &changes[i], NULL));
        quota_free(quotas[i]);
    }
    assert_true(changes[0].at_us >= before_us);
    assert_true(changes[1].at_us >= changes[0].at_us);
    assert_int_equal(changes[1].after.octets, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(what_is_set_aside_is_told_until_it_is_settled),
        mailbox_test(nothing_is_set_aside_for_a_folder_that_does_not_count),
        mailbox_test(later_settlement_has_the_higher_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
