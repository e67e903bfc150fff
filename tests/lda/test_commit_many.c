/* tests/lda/test_commit_many.c - the barrier for so many items that others share the work
 *
 * The kernel, by io_uring, which here may be missing or take less than it is asked for; or else
 * threads. Where the kernel of the machine has none it is always the threads.
 */
#include "lda/commit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lda/journal.h"
#include "tests/syscall_arguments.h"

enum { MANY = 60, MORE_THAN_A_RING_TAKES = 300 };

/* Then each has to be synced. */
dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    (void)fd;
    return 0;
}

typedef struct {
    const char *behaviour;
    long failing; /* the call that fails with error; 0: none */
    int error;
    unsigned failures; /* so often */
    unsigned taken;    /* entries that the kernel takes at once; 0: all */
    bool has_commit;
} Way;

static const Way ways[] = {
    {"by_the_kernel", .has_commit = true},
    {"by_threads_where_none_is_kept", .has_commit = false},
    {"by_threads_where_io_uring_is_missing", SYS_io_uring_setup, ENOSYS, 1, 0, true},
    {"by_threads_where_io_uring_is_forbidden", SYS_io_uring_setup, EPERM, 1, 0, true},
    {"by_threads_where_the_kernel_takes_nothing", SYS_io_uring_enter, EAGAIN, 1, 0, true},
    {"by_threads_where_a_filter_forbids_to_ask", SYS_io_uring_enter, EPERM, 3, 0, true},
    {"by_the_kernel_and_here_where_it_takes_few", .has_commit = true, .taken = 5},
};

static Way way; /* of the test; failures counts down */
static long calls_to_enter;
static bool is_deaf; /* the kernel takes all, does nothing of it, and refuses to be waited for */

long syscall(long number, ...);

/* The C library's, in front of which this stands for ring.c. */
long
syscall(long number, ...)
{
    static long (*real)(long, long, long, long, long, long, long);
    long arguments[6];
    va_list list;

    va_start(list, number);
    syscall_arguments(number, list, arguments);
    va_end(list);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    if (way.failing == number && way.failures > 0) {
        way.failures--;
        errno = way.error;
        return -1;
    }
    calls_to_enter += number == SYS_io_uring_enter;
    if (number == SYS_io_uring_enter && is_deaf) {
        errno = EPERM;
        return arguments[1] > 0 ? arguments[1] : -1;
    }
    if (number == SYS_io_uring_enter && way.taken > 0)
        arguments[1] = MIN(arguments[1], (long)way.taken);
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

static int
temporary_file(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

/* fsync(2) fails on it with EINVAL. */
static int
unsyncable(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)close(ends[1]);
    return ends[0];
}

/* Items of which every seventh fails; of several barriers, one after the other. */
static void
each_of_many_items_gets_its_own_result(void **state)
{
    const Way *row = *state;
    Commit *commit = row->has_commit ? commit_new() : NULL;

    way = *row;
    for (int round = 0; round < 3; round++) {
        CommitItem items[MANY];

        for (int i = 0; i < MANY; i++)
            items[i] =
                (CommitItem){.fd = i % 7 == 3 ? unsyncable() : temporary_file(), .error = ENODATA};
        commit_names(commit, items, MANY);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(items[i].error, i % 7 == 3 ? EINVAL : 0);
            (void)close(items[i].fd);
        }
    }
    commit_free(commit);
    way = (Way){0};
}

static void
more_items_than_a_ring_takes_are_all_synced(void **state)
{
    Commit *commit = commit_new();
    CommitItem items[MORE_THAN_A_RING_TAKES];

    (void)state;
    for (int i = 0; i < MORE_THAN_A_RING_TAKES; i++)
        items[i] =
            (CommitItem){.fd = i % 7 == 3 ? unsyncable() : temporary_file(), .error = ENODATA};
    commit_names(commit, items, MORE_THAN_A_RING_TAKES);
    for (int i = 0; i < MORE_THAN_A_RING_TAKES; i++) {
        assert_int_equal(items[i].error, i % 7 == 3 ? EINVAL : 0);
        (void)close(items[i].fd);
    }
    commit_free(commit);
}

static void
interrupted_wait_goes_on(void **state)
{
    Commit *commit = commit_new();
    CommitItem items[] = {{.fd = temporary_file(), .error = ENODATA},
                          {.fd = temporary_file(), .error = ENODATA}};

    (void)state;
    commit_names(commit, items, G_N_ELEMENTS(items)); /* the ring is there now, if there is one */
    way = (Way){.failing = SYS_io_uring_enter, .error = EINTR, .failures = 3};
    items[0].error = items[1].error = ENODATA;
    commit_names(commit, items, G_N_ELEMENTS(items));
    way = (Way){0};
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        assert_int_equal(items[i].error, 0);
        (void)close(items[i].fd);
    }
    commit_free(commit);
}

/* Nobody knows then what is on the disk: an end without a reply costs a retry, a guess a message.
 */
static void
wait_that_fails_for_no_known_reason_ends_the_process(void **state)
{
    Commit *commit = commit_new();
    CommitItem items[] = {{.fd = temporary_file(), .error = ENODATA},
                          {.fd = temporary_file(), .error = ENODATA}};
    int status = -1;

    (void)state;

    pid_t child = fork();

    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(nowhere, STDOUT_FILENO); /* GLib's last words would end this test, too */
        (void)dup2(nowhere, STDERR_FILENO);
        calls_to_enter = 0;
        is_deaf = true;
        commit_names(commit, items, G_N_ELEMENTS(items));
        _exit(calls_to_enter > 0 ? 1 : 0); /* 0: there is no io_uring here, and no wait for it */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 0);
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++)
        (void)close(items[i].fd);
    commit_free(commit);
}

static bool
has_memory_of_a_ring(void)
{
    g_autofree char *maps = NULL;

    return !g_file_get_contents("/proc/self/maps", &maps, NULL, NULL) ||
           strstr(maps, "[io_uring]") != NULL;
}

/* What the parent asks of the kernel is no memory of a child that was taken over. */
static void
child_of_a_fork_syncs_without_the_ring_of_its_parent(void **state)
{
    Commit *commit = commit_new();
    CommitItem items[] = {{.fd = temporary_file(), .error = ENODATA},
                          {.fd = temporary_file(), .error = ENODATA}};
    int status = -1;

    (void)state;
    commit_names(commit, items, G_N_ELEMENTS(items));

    pid_t child = fork();

    if (child == 0) {
        calls_to_enter = 0;
        items[0].error = items[1].error = ENODATA;
        commit_names(commit, items, G_N_ELEMENTS(items));
        commit_free(commit);
        _exit(items[0].error == 0 && items[1].error == 0 && calls_to_enter == 0 &&
                      !has_memory_of_a_ring()
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    commit_names(commit, items, G_N_ELEMENTS(items));
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        assert_int_equal(items[i].error, 0);
        (void)close(items[i].fd);
    }
    commit_free(commit);
}

static void
items_of_the_same_file_share_its_result(void **state)
{
    int good = temporary_file(), bad = unsyncable();
    CommitItem items[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        items[i] = (CommitItem){.fd = dup(i % 2 == 0 ? good : bad), .error = ENODATA};
    commit_names(NULL, items, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(items[i].error, i % 2 == 0 ? 0 : EINVAL);
        (void)close(items[i].fd);
    }
    (void)close(good);
    (void)close(bad);
}

static void
the_signal_mask_is_what_it_was(void **state)
{
    CommitItem items[MANY];
    sigset_t before, after;

    (void)state;
    for (int i = 0; i < MANY; i++)
        items[i] = (CommitItem){.fd = temporary_file()};
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    commit_names(NULL, items, MANY);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    for (int i = 0; i < MANY; i++)
        (void)close(items[i].fd);
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(more_items_than_a_ring_takes_are_all_synced),
        cmocka_unit_test(interrupted_wait_goes_on),
        cmocka_unit_test(wait_that_fails_for_no_known_reason_ends_the_process),
        cmocka_unit_test(child_of_a_fork_syncs_without_the_ring_of_its_parent),
        cmocka_unit_test(items_of_the_same_file_share_its_result),
        cmocka_unit_test(the_signal_mask_is_what_it_was),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(ways) + G_N_ELEMENTS(others)];

    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++)
        tests[i] = (struct CMUnitTest){.name = ways[i].behaviour,
                                       .test_func = each_of_many_items_gets_its_own_result,
                                       .initial_state = (void *)&ways[i]};
    memcpy(tests + G_N_ELEMENTS(ways), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
