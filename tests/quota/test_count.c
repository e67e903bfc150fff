/* tests/quota/test_count.c - a mailbox that changes at the worst moment of a count
 *
 * The C library's functions that a count calls are replaced by ones that let something happen
 * first, or right afterwards: each case is certain to meet its race.
 */
#include "tests/quota/mailbox.h"

#include <dirent.h>
#include <dlfcn.h>

#include "quota/ledger.h"

typedef enum { NEVER, BEFORE_SCAN, IN_CUR, AFTER_RENAME } Moment;

static struct {
    Moment moment;
    unsigned times; /* how often it happens yet */
    Mailbox *mailbox;
    void (*happen)(Mailbox *mailbox);
    bool is_long_ago;
    char *message; /* what it happens to */
    Quota *quota;
} plan;

static void
let_happen(Moment moment)
{
    if (plan.moment != moment || plan.times == 0)
        return;
    plan.times--;
    plan.moment = NEVER; /* what happens may come by here again */
    plan.happen(plan.mailbox);
    plan.moment = moment;
}

/* ---- in place of the C library's ------------------------------------------ */

struct dirent *
readdir(DIR *dir)
{
    struct dirent *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir");
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", dirfd(dir));
    g_autofree char *path = g_file_read_link(link, NULL);

    if (path != NULL && g_str_has_suffix(path, "/cur"))
        let_happen(IN_CUR);
    return real(dir);
}

int
futimens(int fd, const struct timespec times[2])
{
    int (*real)(int, const struct timespec *) = dlsym(RTLD_NEXT, "futimens");

    let_happen(BEFORE_SCAN);
    return real(fd, times);
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    int (*real)(int, const char *, int, const char *) = dlsym(RTLD_NEXT, "renameat");
    int result = real(from_fd, from, to_fd, to);

    if (g_str_equal(to, "maildirsize"))
        let_happen(AFTER_RENAME);
    return result;
}

/* ---- what happens --------------------------------------------------------- */

static void
remove_message(Mailbox *mailbox)
{
    assert_int_equal(unlinkat(mailbox->fd, plan.message, 0), 0);
}

/* As if a reader had set flags in cur/. */
static void
disturb(Mailbox *mailbox)
{
    assert_int_equal(utimensat(mailbox->fd, "cur", NULL, 0), 0);
}

/* As if it had been a while ago: times of directories tell nothing of it. */
static void
publish(Mailbox *mailbox)
{
    const struct timespec past[] = {{1000000, 0}, {1000000, 0}};

    g_free(mailbox_publish(mailbox, plan.quota, 100));
    if (plan.is_long_ago)
        assert_int_equal(utimensat(mailbox->fd, "new", past, 0), 0);
}

/* A mailbox of 500 octets in one message, plan.message, whose next user counts. */
static void
prepare(Mailbox *mailbox, Moment moment, unsigned times, void (*happen)(Mailbox *mailbox))
{
    mailbox->settings.limits.octets = 1000;
    plan.mailbox = mailbox;
    plan.moment = moment;
    plan.times = times;
    plan.happen = happen;
    plan.message = mailbox_put(mailbox, "", 500, "");
}

static int
teardown(void **state)
{
    plan.moment = NEVER;
    plan.is_long_ago = false;
    g_clear_pointer(&plan.message, g_free);
    g_clear_pointer(&plan.quota, quota_free);
    return mailbox_teardown(state);
}

static void
assert_file(const Mailbox *mailbox, const char *expected)
{
    g_autofree char *text = mailbox_read(mailbox, "maildirsize");

    assert_non_null(text);
    assert_string_equal(text, expected);
}

/* ---- tests ---------------------------------------------------------------- */

static void
message_removed_after_it_was_counted_does_not_count(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, IN_CUR, 1, remove_message);
    assert_usage(mailbox_usage(mailbox), 0, 0);
    assert_int_equal(plan.times, 0);
}

static void
message_removed_as_the_file_was_put_in_place_does_not_count(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, AFTER_RENAME, 1, remove_message);
    assert_usage(mailbox_usage(mailbox), 0, 0);
    assert_int_equal(plan.times, 0);
    assert_file(mailbox, "1000S\n           0            0\n");
}

static void
delivery_published_during_a_count_is_entered_once(void **state)
{
    const Moment moments[] = {BEFORE_SCAN, IN_CUR, AFTER_RENAME};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(moments); i++) {
        Mailbox *mailbox;
        QuotaChange change;
        void *another;

        assert_int_equal(mailbox_setup(&another), 0);
        mailbox = another;
        prepare(mailbox, moments[i], 1, publish);
        plan.quota = mailbox_open(mailbox);
        plan.moment = NEVER;
        assert_true(quota_reserve(plan.quota, "", 100, mailbox->now_us, NULL));
        assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
        plan.moment = moments[i];
        plan.is_long_ago = moments[i] == BEFORE_SCAN;
        assert_usage(mailbox_usage(mailbox), 500, 1);
        assert_int_equal(plan.times, 0);
        assert_true(quota_settle(plan.quota, mailbox->now_us, &change, NULL));
        assert_file(mailbox, "1000S\n         500            1\n         100            1\n");
        assert_int_equal(teardown(&another), 0);
    }
}

static void
mailbox_that_never_keeps_still_is_counted_each_time(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox, IN_CUR, G_MAXUINT, disturb);
    mailbox_write(mailbox, "maildirsize", "999S\n5 1\n");
    assert_int_equal(mailbox_try(mailbox, "", 501), QUOTA_ERROR_FULL);
    assert_false(mailbox_has(mailbox, "maildirsize"));
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
    plan.moment = NEVER;
    assert_int_equal(mailbox_usage(mailbox).octets, 500);
    assert_true(mailbox_has(mailbox, "maildirsize"));
}

static void
another_count_put_in_place_of_ours_is_not_taken_for_ours(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    /* We count and settle; before that, Dovecot counted and saw our message. */
    prepare(mailbox, NEVER, 0, NULL);
    plan.quota = mailbox_open(mailbox);
    assert_true(quota_reserve(plan.quota, "", 100, mailbox->now_us, NULL));
    publish(mailbox);
    mailbox_write(mailbox, "maildirsize", "1000S\n         500            1\n");
    assert_true(quota_settle(plan.quota, mailbox->now_us, &change, NULL));
    assert_false(mailbox_has(mailbox, "maildirsize"));
}

static void
inode_of_a_count_of_ours_may_be_that_of_another_by_now(void **state)
{
    Mailbox *mailbox = *state;
    Ledger ledger;
    QuotaChange change;
    struct stat status;

    prepare(mailbox, NEVER, 0, NULL);
    plan.quota = mailbox_open(mailbox);
    assert_true(quota_reserve(plan.quota, "", 100, mailbox->now_us, NULL));
    publish(mailbox);
    mailbox_write(mailbox, "maildirsize", "1000S\n600 2\n");
    assert_int_equal(fstatat(mailbox->fd, "maildirsize", &status, 0), 0);
    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
    ledger.state.count_inode = status.st_ino;
    assert_true(ledger_save(&ledger, NULL));
    ledger_close(&ledger);
    assert_true(quota_settle(plan.quota, mailbox->now_us, &change, NULL));
    assert_false(mailbox_has(mailbox, "maildirsize"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(message_removed_after_it_was_counted_does_not_count,
                                        mailbox_setup, teardown),
        cmocka_unit_test_setup_teardown(message_removed_as_the_file_was_put_in_place_does_not_count,
                                        mailbox_setup, teardown),
        cmocka_unit_test(delivery_published_during_a_count_is_entered_once),
        cmocka_unit_test_setup_teardown(mailbox_that_never_keeps_still_is_counted_each_time,
                                        mailbox_setup, teardown),
        cmocka_unit_test_setup_teardown(inode_of_a_count_of_ours_may_be_that_of_another_by_now,
                                        mailbox_setup, teardown),
        cmocka_unit_test_setup_teardown(another_count_put_in_place_of_ours_is_not_taken_for_ours,
                                        mailbox_setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
