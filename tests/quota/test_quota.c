/* tests/quota/test_quota.c - what fits into a mailbox, and what is entered afterwards */
#include "tests/quota/mailbox.h"

static void
nothing_is_limited_without_limits(void **state)
{
    Mailbox *mailbox = *state;

    assert_false(quota_is_limited(&mailbox->settings));
    mailbox->settings.max_message = 1;
    assert_true(quota_is_limited(&mailbox->settings));
}

static void
message_that_fills_the_mailbox_fits_and_one_octet_more_is_full(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 400);
    assert_int_equal(mailbox_try(mailbox, "", 600), -1);
    assert_int_equal(mailbox_try(mailbox, "", 601), QUOTA_ERROR_FULL);
}

static void
delivery_adds_one_line(void **state)
{
    Mailbox *mailbox = *state;
    g_autofree char *text = NULL;

    mailbox->settings.limits = (QuotaLimits){.octets = 1000, .messages = 7};
    mailbox_deliver(mailbox, 400);
    text = mailbox_read(mailbox, "maildirsize");
    assert_string_equal(text, "1000S,7C\n           0            0\n         400            1\n");
}

static void
message_as_large_as_the_quota_passes_and_one_octet_more_is_full(void **state)
{
    const QuotaLimits limits = {.octets = 1000};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(quota_check_size(&limits, 1000, &error));
    assert_false(quota_check_size(&limits, 1001, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL));
}

static void
reservation_that_is_freed_gives_its_room_back(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(GError) error = NULL;
    Quota *quota;

    mailbox->settings.limits.octets = 1000;
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 600, mailbox->now_us, &error));
    assert_int_equal(mailbox_try(mailbox, "", 401), QUOTA_ERROR_FULL_FOR_NOW);
    assert_int_equal(mailbox_try(mailbox, "", 400), -1);
    quota_free(quota);
    assert_int_equal(mailbox_try(mailbox, "", 1000), -1);
    assert_usage(mailbox_usage(mailbox), 0, 0);
}

static void
what_the_same_delivery_has_set_aside_is_not_waited_for(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(GError) error = NULL;

    mailbox->settings.limits = (QuotaLimits){.octets = 1000, .messages = 2};
    g_autoptr(Quota) first = mailbox_open(mailbox);
    g_autoptr(Quota) second = mailbox_open(mailbox);
    assert_true(quota_reserve(first, "", 600, mailbox->now_us, &error));
    quota_set_own(second, (QuotaUsage){.octets = 600, .messages = 1});
    assert_false(quota_reserve(second, "", 401, mailbox->now_us, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL));
    g_clear_error(&error);
    assert_true(quota_reserve(second, "", 400, mailbox->now_us, &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(nothing_is_limited_without_limits),
        mailbox_test(message_that_fills_the_mailbox_fits_and_one_octet_more_is_full),
        mailbox_test(delivery_adds_one_line),
        mailbox_test(message_as_large_as_the_quota_passes_and_one_octet_more_is_full),
        mailbox_test(reservation_that_is_freed_gives_its_room_back),
        mailbox_test(what_the_same_delivery_has_set_aside_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
