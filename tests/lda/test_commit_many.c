/* tests/lda/test_commit_many.c - the barrier for so many items that threads share the work */
#include "lda/commit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "lda/journal.h"

enum { MANY = 60 };

/* Then each has to be synced. */
dev_t
journal_of(int fd)
{
    (void)fd;
    return 0;
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

static void
each_of_many_items_gets_its_own_result(void **state)
{
    CommitItem items[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        items[i] =
            (CommitItem){.fd = i % 7 == 3 ? unsyncable() : temporary_file(), .error = ENODATA};
    commit_names(items, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(items[i].error, i % 7 == 3 ? EINVAL : 0);
        (void)close(items[i].fd);
    }
}

static void
items_of_the_same_file_share_its_result(void **state)
{
    int good = temporary_file(), bad = unsyncable();
    CommitItem items[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        items[i] = (CommitItem){.fd = dup(i % 2 == 0 ? good : bad), .error = ENODATA};
    commit_names(items, MANY);
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
    commit_names(items, MANY);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    for (int i = 0; i < MANY; i++)
        (void)close(items[i].fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_items_gets_its_own_result),
        cmocka_unit_test(items_of_the_same_file_share_its_result),
        cmocka_unit_test(the_signal_mask_is_what_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
