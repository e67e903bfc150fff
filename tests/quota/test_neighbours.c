/* tests/quota/test_neighbours.c - "maildirsize" in a mailbox that others use too
 *
 * What Courier, Dovecot, Exim and programs that know nothing of quotas do to it, at the moments
 * that matter.
 */
#include "tests/quota/mailbox.h"

#include "quota/maildirsize.h"

/* A mailbox of 500 octets, and "maildirsize" as somebody left it. */
static void
prepare(Mailbox *mailbox, const char *text)
{
    mailbox->settings.limits.octets = 1000;
    g_free(mailbox_put(mailbox, "", 500, ""));
    mailbox_write(mailbox, "maildirsize", text);
}

static void
make_old(const Mailbox *mailbox, gint64 age_s)
{
    time_t then = mailbox->now_us / G_USEC_PER_SEC - age_s;
    const struct timespec times[] = {{then, 0}, {then, 0}};

    assert_int_equal(utimensat(mailbox->fd, "maildirsize", times, 0), 0);
}

/* ---- believing ------------------------------------------------------------ */

static void
files_of_all_writers_are_believed(void **state)
{
    Mailbox *mailbox = *state;
    const char *const texts[] = {
        "1000S\n         100            2\n         -10           -1\n", /* Courier */
        "1000S\n100 2\n-10 -1\n",                                        /* Dovecot */
        "1000S,0C\n100 2\n-10 -1\n",                                     /* Exim */
    };

    prepare(mailbox, "");
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        mailbox_write(mailbox, "maildirsize", texts[i]);
        assert_usage(mailbox_usage(mailbox), 90, 1);
        assert_int_equal(mailbox_try(mailbox, "", 910), -1);
    }
}

static void
damage_costs_a_count(void **state)
{
    Mailbox *mailbox = *state;
    const char *const texts[] = {"",          "1000S\n",           "1000S\n100 2\n90",
                                 "100 2\n",   "1000S\n-5 1\n",     "1000S\nrubbish\n",
                                 "1000S\n\n", "1000S\n5 1\n5 -2\n"};

    prepare(mailbox, "");
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *text = NULL;

        mailbox_write(mailbox, "maildirsize", texts[i]);
        assert_usage(mailbox_usage(mailbox), 500, 1);
        text = mailbox_read(mailbox, "maildirsize");
        assert_string_equal(text, "1000S\n         500            1\n");
    }
}

static void
count_made_under_other_limits_is_made_anew(void **state)
{
    Mailbox *mailbox = *state;
    const char *const texts[] = {"999S\n5 1\n", "1000S,7C\n5 1\n", "1000C\n5 1\n", "0S\n5 1\n"};

    prepare(mailbox, "");
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        mailbox_write(mailbox, "maildirsize", texts[i]);
        assert_int_equal(mailbox_try(mailbox, "", 501), QUOTA_ERROR_FULL);
    }
}

static void
who_limits_nothing_leaves_the_limits_of_others_alone(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autofree char *text = NULL;
    g_autofree char *counted = NULL;
    QuotaUsage usage;

    prepare(mailbox, "777S,5C\n100 2\n");
    mailbox->settings.limits.octets = 0;
    assert_usage(mailbox_usage(mailbox), 100, 2);
    mailbox_deliver(mailbox, 1);
    text = mailbox_read(mailbox, "maildirsize");
    assert_string_equal(text, "777S,5C\n100 2\n           1            1\n");

    quota = mailbox_open(mailbox);
    assert_true(quota_recalculate(quota, &usage, NULL));
    assert_usage(usage, 501, 2);
    counted = mailbox_read(mailbox, "maildirsize");
    assert_string_equal(counted, "0S\n         501            2\n");
}

/* "maildirsize" with lines that take nothing, so many octets long. */
static void
write_long(Mailbox *mailbox, size_t len)
{
    GString *text = g_string_new("1000S\n100 2\n");

    while (text->len + strlen("0 0\n") < len)
        g_string_append(text, "0 0\n");
    g_string_insert_len(text, (gssize)text->len - 1, "          ", (gssize)(len - text->len));
    mailbox_write(mailbox, "maildirsize", text->str);
    g_string_free(text, TRUE);
}

static void
file_of_5120_octets_is_counted_anew(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "");
    write_long(mailbox, MAILDIRSIZE_MAX - 1);
    assert_usage(mailbox_usage(mailbox), 100, 2);
    write_long(mailbox, MAILDIRSIZE_MAX);
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

static void
many_deliveries_keep_the_file_short(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    for (unsigned i = 0; i < 500; i++) {
        g_autofree char *text = NULL;

        mailbox_deliver(mailbox, 2);
        text = mailbox_read(mailbox, "maildirsize");
        assert_true(text == NULL || strlen(text) < MAILDIRSIZE_MAX + 26);
    }
    assert_usage(mailbox_usage(mailbox), 1000, 500);
}

/* ---- refusing ------------------------------------------------------------- */

static void
refusal_on_changes_is_checked_by_a_count(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "1000S\n990 2\n5 1\n"); /* somebody removed mail and did not say so */
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

static void
refusal_on_an_old_count_is_checked_by_a_count(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "1000S\n995 3\n");
    make_old(mailbox, 15 * 60 + 2);
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
}

static void
refusal_on_a_count_from_the_future_is_checked_by_a_count(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "1000S\n995 3\n");
    make_old(mailbox, -(gint64)3600);
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
}

static void
refusal_on_a_fresh_count_stands(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "1000S\n995 3\n");
    make_old(mailbox, 15 * 60 - 2);
    assert_int_equal(mailbox_try(mailbox, "", 500), QUOTA_ERROR_FULL);
}

static void
usage_over_the_limit_is_counted_before_it_is_told(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, "1000S\n1000 2\n5 1\n");
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

/* ---- between reservation and settlement ----------------------------------- */

typedef struct {
    const char *behaviour;
    const char *rewritten; /* NULL: not */
    const char *appended;
    bool is_removed;
    bool is_counted_by_us;
    const char *expected; /* NULL: "maildirsize" is gone */
} Row;

/* 500 octets are there, 100 more are published by us when it happens. */
static const Row rows[] = {
    {"nothing_happens", NULL, NULL, false, false, "1000S\n500 1\n         100            1\n"},
    {"line_of_another_one_is_kept", NULL, "7 1\n", false, false,
     "1000S\n500 1\n7 1\n         100            1\n"},
    {"count_of_another_one_may_know_of_us_and_goes", "1000S\n600 2\n", NULL, false, false, NULL},
    {"count_of_another_one_may_not_know_of_us_and_goes", "1000S\n500 1\n", NULL, false, false,
     NULL},
    {"file_that_another_one_removed_stays_away", NULL, NULL, true, false, NULL},
    {"count_of_ours_does_not_know_of_us_and_is_added_to", NULL, NULL, true, true,
     "1000S\n         500            1\n         100            1\n"},
    {"count_of_ours_over_one_of_another_is_added_to", "1000S\nrubbish\n", NULL, false, true,
     "1000S\n         500            1\n         100            1\n"},
    {"torn_line_of_another_one_costs_a_count", NULL, "7", false, false,
     "1000S\n500 1\n7         100            1\n"},
};

static void
do_to_file(Mailbox *mailbox, const Row *row)
{
    if (row->rewritten != NULL)
        mailbox_write(mailbox, "maildirsize", row->rewritten);
    if (row->appended != NULL)
        mailbox_append(mailbox, "maildirsize", row->appended);
    if (row->is_removed)
        assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    if (row->is_counted_by_us)
        assert_usage(mailbox_usage(mailbox), 500, 1);
}

static void
check_row_with(const Row *row, bool is_shared)
{
    void *state;
    Mailbox *mailbox;
    Quota *quota;
    g_autofree char *text = NULL;
    QuotaChange change;

    assert_int_equal(mailbox_setup(&state), 0);
    mailbox = state;
    mailbox->settings.shared_storage = is_shared;
    prepare(mailbox, "1000S\n500 1\n");
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 100, mailbox->now_us, NULL));
    g_free(mailbox_publish(mailbox, quota, 100));
    do_to_file(mailbox, row);
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    quota_free(quota);

    text = mailbox_read(mailbox, "maildirsize");
    if (row->expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, row->expected);
    if (row->appended == NULL) /* else what was appended is not there */
        assert_usage(mailbox_usage(mailbox), 600, 2);
    assert_int_equal(mailbox_teardown(&state), 0);
}

static void
check_row(void **state)
{
    check_row_with(*state, false);
    check_row_with(*state, true);
}

static void
message_that_a_reader_moved_before_we_settled_counts_once(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autofree char *name = NULL;
    g_autofree char *moved = NULL;
    QuotaChange change;

    prepare(mailbox, "1000S\n500 1\n");
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 100, mailbox->now_us, NULL));
    name = mailbox_publish(mailbox, quota, 100);
    moved = g_strdup_printf("cur/%s:2,S", name + strlen("new/"));
    assert_int_equal(renameat(mailbox->fd, name, mailbox->fd, moved), 0);
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    assert_usage(mailbox_usage(mailbox), 500, 1);
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_usage(mailbox_usage(mailbox), 600, 2);
    /* The second time it has no reservation any more. */
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    assert_usage(mailbox_usage(mailbox), 600, 2);
}

/* ---- what is no file of this kind ----------------------------------------- */

static void
link_is_replaced_and_not_followed(void **state)
{
    Mailbox *mailbox = *state;
    g_autofree char *elsewhere = NULL;
    struct stat status;

    prepare(mailbox, "");
    mailbox_write(mailbox, "elsewhere", "1000S\n5 1\n");
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    assert_int_equal(symlinkat("elsewhere", mailbox->fd, "maildirsize"), 0);
    mailbox_deliver(mailbox, 1);
    assert_usage(mailbox_usage(mailbox), 501, 2);
    assert_int_equal(fstatat(mailbox->fd, "maildirsize", &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(status.st_mode));
    elsewhere = mailbox_read(mailbox, "elsewhere");
    assert_string_equal(elsewhere, "1000S\n5 1\n");
}

static void
what_cannot_be_read_is_an_error_and_never_a_yes(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;

    prepare(mailbox, "");
    quota = mailbox_open(mailbox);
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        QuotaUsage usage;

        assert_int_equal(i == 0 ? mkdirat(mailbox->fd, "maildirsize", 0700)
                                : mkfifoat(mailbox->fd, "maildirsize", 0600),
                         0);
        assert_false(quota_reserve(quota, "", 1, mailbox->now_us, &error));
        assert_true(error->domain == G_FILE_ERROR);
        assert_false(quota_check(quota, "", 1, mailbox->now_us, NULL));
        assert_false(quota_usage(quota, &usage, NULL));
        assert_int_equal(unlinkat(mailbox->fd, "maildirsize", i == 0 ? AT_REMOVEDIR : 0), 0);
    }
}

/* ---- verify --------------------------------------------------------------- */

static void
report_tells_what_differs_and_changes_nothing(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autofree char *text = NULL;
    QuotaReport report;

    prepare(mailbox, "999S\n300 1\n4 1\n");
    mailbox->settings.ignore_trash = true;
    mailbox_make_folder(mailbox, ".Trash");
    g_free(mailbox_put(mailbox, ".Trash", 20, ":2,S"));
    g_free(mailbox_put(mailbox, "", 7, ":2,T"));
    quota = mailbox_open(mailbox);
    assert_true(quota_verify(quota, &report, NULL));
    assert_true(report.has_file && !report.is_damaged && report.limits_differ);
    assert_int_equal(report.lines, 2);
    assert_int_equal(report.file_octets, 304);
    assert_int_equal(report.file_messages, 2);
    assert_usage(report.counted, 507, 2);
    assert_usage(report.trash, 20, 1);
    assert_usage(report.deleted, 7, 1);
    assert_int_equal(report.lost, 0);
    text = mailbox_read(mailbox, "maildirsize");
    assert_string_equal(text, "999S\n300 1\n4 1\n");
    assert_false(mailbox_has(mailbox, "lodge-quota"));

    mailbox_write(mailbox, "maildirsize", "rubbish");
    assert_true(quota_verify(quota, &report, NULL));
    assert_true(report.has_file && report.is_damaged && !report.limits_differ);
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    assert_true(quota_verify(quota, &report, NULL));
    assert_true(!report.has_file && !report.is_damaged && !report.limits_differ);
}

static void
report_leaves_out_what_is_being_delivered(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    g_autoptr(Quota) other = NULL;
    QuotaReport report;

    prepare(mailbox, "1000S\n500 1\n");
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 100, mailbox->now_us, NULL));
    g_free(mailbox_publish(mailbox, quota, 100));
    other = mailbox_open(mailbox);
    assert_true(quota_verify(other, &report, NULL));
    assert_usage(report.counted, 500, 1);
    assert_int_equal(report.lost, 0);
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        mailbox_test(files_of_all_writers_are_believed),
        mailbox_test(damage_costs_a_count),
        mailbox_test(count_made_under_other_limits_is_made_anew),
        mailbox_test(who_limits_nothing_leaves_the_limits_of_others_alone),
        mailbox_test(file_of_5120_octets_is_counted_anew),
        mailbox_test(many_deliveries_keep_the_file_short),
        mailbox_test(refusal_on_changes_is_checked_by_a_count),
        mailbox_test(refusal_on_an_old_count_is_checked_by_a_count),
        mailbox_test(refusal_on_a_count_from_the_future_is_checked_by_a_count),
        mailbox_test(refusal_on_a_fresh_count_stands),
        mailbox_test(usage_over_the_limit_is_counted_before_it_is_told),
        mailbox_test(message_that_a_reader_moved_before_we_settled_counts_once),
        mailbox_test(link_is_replaced_and_not_followed),
        mailbox_test(what_cannot_be_read_is_an_error_and_never_a_yes),
        mailbox_test(report_tells_what_differs_and_changes_nothing),
        mailbox_test(report_leaves_out_what_is_being_delivered),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(others) + G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        tests[i] = others[i];
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[G_N_ELEMENTS(others) + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
