/* tests/quota/test_condense.c - a "maildirsize" that has become long, and what it costs
 *
 * The C library's functions that a count and an exchange call are replaced by ones that note it, or
 * let something happen first or right afterwards: each case is certain to meet its race.
 */
#include "tests/quota/mailbox.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "quota/maildirsize.h"

typedef enum { NEVER, BEFORE_EXCHANGE, AFTER_EXCHANGE } Moment;

static struct {
    atomic_uint *entries_read; /* of directories, by this process and its children */
    unsigned exchanges;
    int exchange_errno; /* 0: it works */
    Moment moment;
    Mailbox *mailbox;
    void (*happen)(Mailbox *mailbox);
    int old_fd; /* "maildirsize" as another program has it open; -1: it has not */
} plan;

/* ---- in place of the C library's ------------------------------------------ */

struct dirent *
readdir(DIR *dir)
{
    struct dirent *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir");

    (void)atomic_fetch_add(plan.entries_read, 1);
    return real(dir);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);

int
renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned) = dlsym(RTLD_NEXT, "renameat2");
    int result;

    plan.exchanges++;
    if (plan.exchange_errno != 0) {
        errno = plan.exchange_errno;
        return -1;
    }
    if (plan.moment == BEFORE_EXCHANGE)
        plan.happen(plan.mailbox);
    result = real(from_fd, from, to_fd, to, flags);
    if (plan.moment == AFTER_EXCHANGE)
        plan.happen(plan.mailbox);
    return result;
}

/* ---- a mailbox ------------------------------------------------------------ */

static int
setup(void **state)
{
    Mailbox *mailbox;

    assert_int_equal(mailbox_setup(state), 0);
    mailbox = *state;
    mailbox->settings.limits.octets = 1000000;
    plan.mailbox = mailbox;
    plan.old_fd = -1;
    plan.moment = NEVER;
    plan.exchange_errno = 0;
    return 0;
}

static int
teardown(void **state)
{
    if (plan.old_fd >= 0)
        (void)close(plan.old_fd);
    return mailbox_teardown(state);
}

/* Lines that change nothing. */
static void
make_long(Mailbox *mailbox)
{
    GString *lines = g_string_new(NULL);

    for (unsigned i = 0; i < MAILDIRSIZE_MAX / 4; i++)
        g_string_append(lines, "0 0\n");
    mailbox_append(mailbox, "maildirsize", lines->str);
    g_string_free(lines, TRUE);
}

/* A count of ours, 300 octets in three messages, and so many lines since that the file is long. */
static void
prepare(Mailbox *mailbox)
{
    g_free(mailbox_put(mailbox, "", 100, ""));
    g_free(mailbox_put(mailbox, "", 100, ":2,S"));
    mailbox_deliver(mailbox, 100);
    make_long(mailbox);
    plan.exchanges = 0;
    atomic_store(plan.entries_read, 0);
}

static void
assert_counted(bool expected)
{
    assert_true((atomic_load(plan.entries_read) > 0) == expected);
}

static void
assert_file(const Mailbox *mailbox, const char *expected)
{
    g_autofree char *text = mailbox_read(mailbox, "maildirsize");

    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void
assert_nothing_is_left(const Mailbox *mailbox)
{
    g_autofree char *path = g_build_filename(mailbox->path, "tmp", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    assert_non_null(dir);
    assert_null(g_dir_read_name(dir));
}

static void
remove_all(Mailbox *mailbox, const char *part)
{
    g_autofree char *path = g_build_filename(mailbox->path, part, NULL);

    scratch_remove(path);
    assert_int_equal(mkdirat(mailbox->fd, part, 0700), 0);
}

/* ---- what it costs -------------------------------------------------------- */

static void
many_deliveries_read_no_folder(void **state)
{
    Mailbox *mailbox = *state;
    QuotaReport report;
    g_autoptr(Quota) quota = mailbox_open(mailbox);

    mailbox_make_folder(mailbox, ".Sent");
    g_free(mailbox_put(mailbox, ".Sent", 7, ":2,S"));
    mailbox_deliver(mailbox, 100);
    plan.exchanges = 0;
    atomic_store(plan.entries_read, 0);
    for (unsigned i = 0; i < 500; i++)
        mailbox_deliver(mailbox, 2);
    assert_counted(false);
    assert_true(plan.exchanges >= 2);
    assert_usage(mailbox_usage(mailbox), 1107, 502);
    assert_true(quota_verify(quota, &report, NULL));
    assert_usage(report.counted, 1107, 502);
    assert_int_equal(report.file_octets, 1107);
    assert_nothing_is_left(mailbox);
}

static void
condensed_file_has_the_count_and_the_changes_apart(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_counted(false);
    assert_file(mailbox, "1000000S\n"
                         "         200            2\n"
                         "         100            1\n");
    assert_nothing_is_left(mailbox);
}

/* ---- when it is counted all the same -------------------------------------- */

static void
condensed_file_is_no_ground_for_a_refusal(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    assert_usage(mailbox_usage(mailbox), 300, 3);
    remove_all(mailbox, "new"); /* by somebody who enters nothing */
    assert_counted(false);
    assert_int_equal(mailbox_try(mailbox, "", 999900), -1);
    assert_counted(true);
    assert_usage(mailbox_usage(mailbox), 100, 1);
}

static void
long_file_is_counted_a_day_after_the_last_count(void **state)
{
    Mailbox *mailbox = *state;
    const gint64 day_us = (gint64)24 * 3600 * G_USEC_PER_SEC;

    prepare(mailbox);
    mailbox->now_us += day_us - G_USEC_PER_SEC;
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
    assert_counted(false);
    assert_int_equal(plan.exchanges, 1);
    mailbox->now_us += 2 * G_USEC_PER_SEC;
    make_long(mailbox);
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
    assert_counted(true);
}

static void
long_file_is_counted_when_the_last_count_was_in_the_future(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    mailbox->now_us -= (gint64)3600 * G_USEC_PER_SEC;
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
    assert_counted(true);
}

static void
long_file_of_another_program_is_counted(void **state)
{
    Mailbox *mailbox = *state;
    g_autofree char *text = NULL;

    prepare(mailbox);
    text = mailbox_read(mailbox, "maildirsize");
    mailbox_write(mailbox, "new file", text);
    assert_int_equal(renameat(mailbox->fd, "new file", mailbox->fd, "maildirsize"), 0);
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_counted(true);
}

static void
long_file_is_counted_when_limits_have_changed(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    mailbox->settings.limits.octets = 999999;
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_counted(true);
    assert_file(mailbox, "999999S\n         300            3\n");
}

static void
long_file_is_counted_where_it_is_shared_with_other_hosts(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    mailbox->settings.shared_storage = true;
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_counted(true);
    assert_int_equal(plan.exchanges, 0);
}

static void
long_file_is_counted_where_files_cannot_be_exchanged(void **state)
{
    Mailbox *mailbox = *state;

    prepare(mailbox);
    plan.exchange_errno = EINVAL;
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_counted(true);
    assert_file(mailbox, "1000000S\n         300            3\n");
    assert_nothing_is_left(mailbox);
}

/* ---- others at the same time ---------------------------------------------- */

static void
append_line(Mailbox *mailbox)
{
    mailbox_append(mailbox, "maildirsize", "50 1\n");
}

static void
append_to_old(Mailbox *mailbox)
{
    (void)mailbox;
    assert_int_equal(write(plan.old_fd, "50 1\n", 5), 5);
}

static void
tear(Mailbox *mailbox)
{
    mailbox_append(mailbox, "maildirsize", "50");
}

static void
replace(Mailbox *mailbox)
{
    mailbox_write(mailbox, "new file", "1000000S\n77 1\n");
    assert_int_equal(renameat(mailbox->fd, "new file", mailbox->fd, "maildirsize"), 0);
}

static void
remove_file(Mailbox *mailbox)
{
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
}

static const struct {
    void (*happen)(Mailbox *mailbox);
    guint64 octets, messages; /* that the mailbox holds then */
    Moment moment;
    bool is_counted;
} races[] = {
    {append_line, 350, 4, BEFORE_EXCHANGE, false},   {append_line, 350, 4, AFTER_EXCHANGE, false},
    {append_to_old, 350, 4, BEFORE_EXCHANGE, false}, {append_to_old, 350, 4, AFTER_EXCHANGE, false},
    {tear, 300, 3, BEFORE_EXCHANGE, true},           {tear, 300, 3, AFTER_EXCHANGE, true},
    {replace, 300, 3, BEFORE_EXCHANGE, true},        {remove_file, 300, 3, BEFORE_EXCHANGE, true},
};

static void
what_others_do_at_the_same_time_is_kept_or_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(races); i++) {
        void *another;
        Mailbox *mailbox;

        assert_int_equal(setup(&another), 0);
        mailbox = another;
        prepare(mailbox);
        plan.old_fd = openat(mailbox->fd, "maildirsize", O_WRONLY | O_APPEND | O_CLOEXEC);
        plan.moment = races[i].moment;
        plan.happen = races[i].happen;
        assert_usage(mailbox_usage(mailbox), races[i].octets, races[i].messages);
        assert_counted(races[i].is_counted);
        assert_int_equal(plan.exchanges, 1);
        plan.moment = NEVER;
        assert_usage(mailbox_usage(mailbox), races[i].octets, races[i].messages);
        assert_nothing_is_left(mailbox);
        assert_int_equal(teardown(&another), 0);
    }
}

static void
delivery_that_began_before_is_entered_once(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    QuotaChange change;

    prepare(mailbox);
    quota = mailbox_open(mailbox);
    assert_true(quota_reserve(quota, "", 50, mailbox->now_us, NULL));
    make_long(mailbox);
    plan.exchanges = 0;
    assert_usage(mailbox_usage(mailbox), 300, 3);
    assert_int_equal(plan.exchanges, 1);
    g_free(mailbox_publish(mailbox, quota, 50));
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_usage(change.after, 350, 4);
    assert_file(mailbox, "1000000S\n"
                         "         200            2\n"
                         "         100            1\n"
                         "          50            1\n");
    assert_counted(false);
}

enum { PROCESSES = 4, EACH = 120 };

static pid_t
start_deliveries(Mailbox *mailbox, unsigned process)
{
    pid_t pid = fork();

    if (pid == 0) {
        mailbox->made = 1000 * (process + 1); /* names of its own */
        for (unsigned i = 0; i < EACH; i++)
            mailbox_deliver(mailbox, 2);
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void
deliveries_of_many_processes_are_exact_and_read_no_folder(void **state)
{
    Mailbox *mailbox = *state;
    pid_t pids[PROCESSES];
    int status;

    mailbox_deliver(mailbox, 2);
    atomic_store(plan.entries_read, 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = start_deliveries(mailbox, i);
    for (unsigned i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_usage(mailbox_usage(mailbox), 2 * (PROCESSES * EACH + 1), PROCESSES * EACH + 1);
    assert_counted(false);
    assert_nothing_is_left(mailbox);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(many_deliveries_read_no_folder),
        test(condensed_file_has_the_count_and_the_changes_apart),
        test(condensed_file_is_no_ground_for_a_refusal),
        test(long_file_is_counted_a_day_after_the_last_count),
        test(long_file_is_counted_when_the_last_count_was_in_the_future),
        test(long_file_of_another_program_is_counted),
        test(long_file_is_counted_when_limits_have_changed),
        test(long_file_is_counted_where_it_is_shared_with_other_hosts),
        test(long_file_is_counted_where_files_cannot_be_exchanged),
        cmocka_unit_test(what_others_do_at_the_same_time_is_kept_or_counted),
        test(delivery_that_began_before_is_entered_once),
        test(deliveries_of_many_processes_are_exact_and_read_no_folder),
    };

    plan.entries_read = mmap(NULL, sizeof *plan.entries_read, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan.entries_read == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
