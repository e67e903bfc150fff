/* tests/quota/test_quota.c - what fits into a mailbox, and how it is told when it does not */
#include "tests/quota/mailbox.h"

#include <signal.h>
#include <sys/resource.h>

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

static void
expect_text(Mailbox *mailbox, const char *folder, guint64 octets, const char *text)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;

    assert_false(quota_reserve(quota, folder, octets, mailbox->now_us, &error));
    assert_string_equal(error->message, text);
}

static void
refusals_say_which_limit_and_how_much(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {{.pattern = ".Box", .max_octets = 1000}};
    g_autoptr(Quota) quota = NULL;

    mailbox->settings.limits = (QuotaLimits){.octets = 104857600, .messages = 2};
    mailbox->settings.max_message = 100 * 1024 * 1024;
    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    mailbox_make_folder(mailbox, ".Box");
    g_free(mailbox_put(mailbox, ".Box", 900, ":2,S"));
    expect_text(mailbox, ".Box", 101,
                "folder '.Box' is full: 900 of 1,000 octets used, the message has 101");
    expect_text(mailbox, ".Box", 1001,
                "message of 1,001 octets is larger than all that the folder may hold: 1,000");
    expect_text(mailbox, "", 104857601,
                "message of 104,857,601 octets is larger than any that the mailbox takes: "
                "104,857,600");
    mailbox->settings.max_message = 0;
    expect_text(mailbox, "", 104857601,
                "message of 104,857,601 octets is larger than all that the mailbox may hold: "
                "104,857,600");
    mailbox_deliver(mailbox, 104857600 - 900);
    expect_text(mailbox, "", 4312,
                "mailbox is full: 104,857,600 of 104,857,600 octets used, the message has 4,312");
    expect_text(mailbox, "", 0, "mailbox is full: 2 of 2 messages used");
    mailbox->settings.limits = (QuotaLimits){.octets = 104860000};
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 2000, mailbox->now_us, NULL));
    expect_text(mailbox, "", 401,
                "mailbox is full: 104,857,600 of 104,860,000 octets used, 2,000 set aside for "
                "deliveries under way, the message has 401");
}

static void
messages_are_limited_too(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.messages = 2;
    mailbox_deliver(mailbox, 1000000);
    mailbox_deliver(mailbox, 0);
    assert_int_equal(mailbox_try(mailbox, "", 0), QUOTA_ERROR_FULL);
}

static void
too_big_a_message_is_told_from_a_full_mailbox(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.max_message = 500;
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
    assert_int_equal(mailbox_try(mailbox, "", 501), QUOTA_ERROR_TOO_BIG);
    assert_int_equal(mailbox_try(mailbox, "", 1001), QUOTA_ERROR_TOO_BIG);
}

static void
grace_lets_a_delivery_pass_the_limit_by_that_much(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.grace = 100;
    mailbox_deliver(mailbox, 900);
    assert_int_equal(mailbox_try(mailbox, "", 201), QUOTA_ERROR_FULL);
    mailbox_deliver(mailbox, 200);
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_FULL);
}

/* ---- folders -------------------------------------------------------------- */

static void
folder_that_does_not_count_costs_nothing_and_takes_all(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {{.pattern = ".Junk", .is_ignored = true, .max_octets = 1}};
    g_autoptr(Quota) quota = NULL;
    QuotaChange change = {.is_counted = true};

    mailbox->settings.limits = (QuotaLimits){.octets = 1000, .messages = 1};
    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    quota = mailbox_open(mailbox);
    assert_true(quota_check(quota, ".Junk", 5000, mailbox->now_us, NULL));
    assert_true(quota_reserve(quota, ".Junk", 5000, mailbox->now_us, NULL));
    assert_true(quota_name(quota, "1.a,S=5000", NULL));
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_false(change.is_counted);
    assert_false(mailbox_has(mailbox, "maildirsize"));
    assert_false(mailbox_has(mailbox, "lodge-quota"));
    mailbox->settings.max_message = 4999;
    assert_int_equal(mailbox_try(mailbox, ".Junk", 5000), QUOTA_ERROR_TOO_BIG);
}

static void
extra_of_a_folder_is_for_what_is_put_there(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {
        {.pattern = ".Trash", .extra_octets = 50, .extra_percent = 10}};

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    mailbox_deliver(mailbox, 1000);
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_FULL);
    assert_int_equal(mailbox_try(mailbox, ".Trash", 150), -1);
    assert_int_equal(mailbox_try(mailbox, ".Trash", 151), QUOTA_ERROR_FULL);
}

static void
folder_has_a_limit_of_its_own(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {{.pattern = ".Box*", .max_octets = 1000}};
    g_autoptr(Quota) first = NULL;
    g_autoptr(Quota) second = NULL;
    QuotaChange change;

    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    assert_true(quota_is_limited(&mailbox->settings));
    mailbox_make_folder(mailbox, ".Box1");
    mailbox_make_folder(mailbox, ".Box2");
    g_free(mailbox_put(mailbox, ".Box1", 400, ":2,S"));
    assert_int_equal(mailbox_try(mailbox, ".Box1", 601), QUOTA_ERROR_FULL);
    assert_int_equal(mailbox_try(mailbox, "", 5000), -1);

    first = mailbox_open(mailbox);
    assert_true(quota_reserve(first, ".Box1", 500, mailbox->now_us, NULL));
    second = mailbox_open(mailbox);
    assert_true(quota_reserve(second, ".Box2", 900, mailbox->now_us, NULL));
    assert_int_equal(mailbox_try(mailbox, ".Box1", 101), QUOTA_ERROR_FULL_FOR_NOW);
    assert_int_equal(mailbox_try(mailbox, ".Box1", 100), -1);

    /* Published, not settled: there, and set aside, but not both. */
    assert_true(quota_name(first, "9.mine,S=500", NULL));
    mailbox_write(mailbox, ".Box1/cur/9.mine,S=500:2,F", "");
    assert_int_equal(mailbox_try(mailbox, ".Box1", 100), -1);
    assert_true(quota_settle(first, mailbox->now_us, &change, NULL));
    assert_int_equal(mailbox_try(mailbox, ".Box1", 101), QUOTA_ERROR_FULL);
    assert_int_equal(mailbox_try(mailbox, ".Box1", 100), -1);
}

/* ---- refusals ------------------------------------------------------------- */

static void
full_mailbox_may_be_a_matter_of_time(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 1000);
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_FULL);
    mailbox->settings.over = QUOTA_OVER_DEFER;
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_FULL_FOR_NOW);
    /* No time will make this one fit. */
    assert_int_equal(mailbox_try(mailbox, "", 1001), QUOTA_ERROR_FULL);
}

static void
ramp_is_temporary_at_first_and_begins_anew_with_what_fits(void **state)
{
    Mailbox *mailbox = *state;
    gint64 start_us = mailbox->now_us;
    const struct {
        gint64 at_s;
        guint64 octets;
        int expected;
    } steps[] = {
        {0, 101, QUOTA_ERROR_FULL_FOR_NOW},
        {3599, 101, QUOTA_ERROR_FULL_FOR_NOW},
        {3600, 101, QUOTA_ERROR_FULL},
        {4000, 101, QUOTA_ERROR_FULL},
        {4001, 100, -1},
        {4002, 101, QUOTA_ERROR_FULL_FOR_NOW},
        {7601, 101, QUOTA_ERROR_FULL_FOR_NOW},
        {7602, 101, QUOTA_ERROR_FULL},
        {60, 101, QUOTA_ERROR_FULL_FOR_NOW}, /* the clock was set back: it begins anew */
        {3659, 101, QUOTA_ERROR_FULL_FOR_NOW},
        {3660, 101, QUOTA_ERROR_FULL},
    };

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.over = QUOTA_OVER_RAMP;
    mailbox->settings.ramp_s = 3600;
    mailbox_deliver(mailbox, 900);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        mailbox->now_us = start_us + steps[i].at_s * G_USEC_PER_SEC;

        int code = mailbox_try(mailbox, "", steps[i].octets);

        if (code != steps[i].expected)
            fail_msg("step %zu: %d", i, code);
    }
}

static void
check_begins_a_ramp_and_sets_nothing_aside(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autoptr(GError) error = NULL;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.over = QUOTA_OVER_RAMP;
    mailbox->settings.ramp_s = 3600;
    mailbox_deliver(mailbox, 900);
    quota = mailbox_open(mailbox);
    assert_true(quota_check(quota, "", 100, mailbox->now_us, NULL));
    assert_int_equal(mailbox_try(mailbox, "", 100), -1);
    assert_false(quota_check(quota, "", 101, mailbox->now_us, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW));
    /* What fits for now does not end it: it is asked with a size that is made up, too. */
    assert_true(quota_check(quota, "", 0, mailbox->now_us, NULL));
    mailbox->now_us += (gint64)3600 * G_USEC_PER_SEC;
    assert_int_equal(mailbox_try(mailbox, "", 101), QUOTA_ERROR_FULL);
}

static void
waiting_for_others_does_not_begin_a_ramp(void **state)
{
    Mailbox *mailbox = *state;
    Quota *quota;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.over = QUOTA_OVER_RAMP;
    mailbox->settings.ramp_s = 0;
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 900, mailbox->now_us, NULL));
    assert_int_equal(mailbox_try(mailbox, "", 101), QUOTA_ERROR_FULL_FOR_NOW);
    quota_free(quota);
    mailbox_deliver(mailbox, 900);
    assert_int_equal(mailbox_try(mailbox, "", 101), QUOTA_ERROR_FULL);
}

/* ---- settling ------------------------------------------------------------- */

static void
settling_tells_usage_before_and_after(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100);
    change = mailbox_deliver(mailbox, 200);
    assert_true(change.is_counted);
    assert_usage(change.before, 100, 1);
    assert_usage(change.after, 300, 2);
    assert_int_equal(change.warning, 0);
}

static void
thresholds_are_told_once_whoever_delivers(void **state)
{
    Mailbox *mailbox = *state;
    const unsigned warn_at[] = {80, 95};
    QuotaChange change;
    g_autofree char *name = NULL;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.warn_at = warn_at;
    mailbox->settings.warn_count = 2;
    assert_int_equal(mailbox_deliver(mailbox, 799).warning, 0);
    assert_int_equal(mailbox_deliver(mailbox, 1).warning, 80);
    assert_int_equal(mailbox_deliver(mailbox, 1).warning, 0);
    name = mailbox_put(mailbox, "", 149, "");
    mailbox_append(mailbox, "maildirsize", "149 1\n");
    change = mailbox_deliver(mailbox, 1);
    assert_int_equal(change.warning, 95);
    assert_false(change.is_down);
    assert_int_equal(unlinkat(mailbox->fd, name, 0), 0);
    mailbox_append(mailbox, "maildirsize", "-149 -1\n");
    change = mailbox_deliver(mailbox, 1);
    assert_int_equal(change.warning, 95);
    assert_true(change.is_down);
}

static void
threshold_that_another_delivery_passed_meanwhile_is_told_once(void **state)
{
    Mailbox *mailbox = *state;
    const unsigned warn_at[] = {80};
    g_autoptr(Quota) quota = NULL;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.warn_at = warn_at;
    mailbox->settings.warn_count = 1;
    mailbox_deliver(mailbox, 1);
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 1, mailbox->now_us, NULL));
    assert_int_equal(mailbox_deliver(mailbox, 800).warning, 80);
    g_free(mailbox_publish(mailbox, quota, 1));
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_usage(change.after, 802, 3);
    assert_int_equal(change.warning, 0);
    assert_int_equal(mailbox_deliver(mailbox, 1).warning, 0);
}

static void
every_failure_to_write_ends_in_a_count(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autoptr(GError) error = NULL;
    struct rlimit unlimited;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100);
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 200, mailbox->now_us, NULL));
    g_free(mailbox_publish(mailbox, quota, 200));

    /* No file may be longer than this: as if the disk were full. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){8, unlimited.rlim_max}), 0);
    bool done = quota_settle(quota, mailbox->now_us, &change, &error);
    g_autoptr(Quota) other = mailbox_open(mailbox);
    bool reserved = quota_reserve(other, "", 1, mailbox->now_us, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);

    assert_false(done);
    assert_true(error->domain == G_FILE_ERROR);
    assert_false(reserved);
    assert_usage(mailbox_usage(mailbox), 300, 2);
    assert_int_equal(mailbox_try(mailbox, "", 700), -1);
}

static void
count_that_cannot_be_written_is_used_all_the_same(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    g_free(mailbox_put(mailbox, "", 100, ""));
    assert_int_equal(unlinkat(mailbox->fd, "tmp", AT_REMOVEDIR), 0);
    assert_int_equal(mailbox_try(mailbox, "", 901), QUOTA_ERROR_FULL);
    change = mailbox_deliver(mailbox, 200);
    assert_usage(change.before, 100, 1);
    assert_usage(change.after, 300, 2);
    assert_false(mailbox_has(mailbox, "maildirsize"));
    assert_usage(mailbox_usage(mailbox), 300, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(nothing_is_limited_without_limits),
        mailbox_test(message_that_fills_the_mailbox_fits_and_one_octet_more_is_full),
        mailbox_test(delivery_adds_one_line),
        mailbox_test(reservation_that_is_freed_gives_its_room_back),
        mailbox_test(what_the_same_delivery_has_set_aside_is_not_waited_for),
        mailbox_test(refusals_say_which_limit_and_how_much),
        mailbox_test(messages_are_limited_too),
        mailbox_test(too_big_a_message_is_told_from_a_full_mailbox),
        mailbox_test(grace_lets_a_delivery_pass_the_limit_by_that_much),
        mailbox_test(folder_that_does_not_count_costs_nothing_and_takes_all),
        mailbox_test(extra_of_a_folder_is_for_what_is_put_there),
        mailbox_test(folder_has_a_limit_of_its_own),
        mailbox_test(full_mailbox_may_be_a_matter_of_time),
        mailbox_test(ramp_is_temporary_at_first_and_begins_anew_with_what_fits),
        mailbox_test(check_begins_a_ramp_and_sets_nothing_aside),
        mailbox_test(waiting_for_others_does_not_begin_a_ramp),
        mailbox_test(settling_tells_usage_before_and_after),
        mailbox_test(thresholds_are_told_once_whoever_delivers),
        mailbox_test(threshold_that_another_delivery_passed_meanwhile_is_told_once),
        mailbox_test(every_failure_to_write_ends_in_a_count),
        mailbox_test(count_that_cannot_be_written_is_used_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
