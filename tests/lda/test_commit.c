/* tests/lda/test_commit.c - every item has its own result, no file is synced twice
 *
 * fsync(2) is replaced here by one that notes which descriptors it is given, and
 * fails for one of them.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/commit.h"

static int synced[16];
static size_t synced_count;
static int failing_fd = -1;
static int interruptions;

int fsync(int fd);

int
fsync(int fd)
{
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    synced[synced_count++] = fd;
    if (fd != failing_fd)
        return 0;
    errno = EIO;
    return -1;
}

static int
open_file(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static int
forget(void **state)
{
    (void)state;
    synced_count = 0;
    failing_fd = -1;
    interruptions = 0;
    return 0;
}

static void
one_failing_file_is_not_another_ones(void **state)
{
    lodge_autofd first = open_file();
    lodge_autofd second = open_file();
    lodge_autofd third = open_file();
    CommitItem items[] = {{first, 99}, {second, 99}, {third, 99}};

    (void)state;
    failing_fd = second;
    commit_sync(items, G_N_ELEMENTS(items));
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[1].error, EIO);
    assert_int_equal(items[2].error, 0);
    assert_int_equal(synced_count, 3);
}

static void
the_same_file_is_synced_once_and_shares_its_result(void **state)
{
    lodge_autofd directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lodge_autofd other = open_file();
    lodge_autofd again = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CommitItem items[] = {{directory, 0}, {other, 0}, {again, 0}};

    (void)state;
    failing_fd = directory;
    commit_sync(items, G_N_ELEMENTS(items));
    assert_int_equal(synced_count, 2);
    assert_int_equal(synced[0], directory);
    assert_int_equal(synced[1], other);
    assert_int_equal(items[0].error, EIO);
    assert_int_equal(items[1].error, 0);
    assert_int_equal(items[2].error, EIO);
}

static void
negative_descriptors_are_skipped(void **state)
{
    lodge_autofd file = open_file();
    CommitItem items[] = {{-1, 99}, {file, 99}, {-1, 99}};

    (void)state;
    commit_sync(items, G_N_ELEMENTS(items));
    assert_int_equal(synced_count, 1);
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[2].error, 0);
    commit_sync(NULL, 0);
}

static void
interrupted_sync_is_asked_for_again_and_a_failed_one_is_not(void **state)
{
    lodge_autofd file = open_file();
    CommitItem item = {file, 0};

    (void)state;
    interruptions = 2;
    commit_sync(&item, 1);
    assert_int_equal(item.error, 0);
    assert_int_equal(synced_count, 1);
    failing_fd = file;
    commit_sync(&item, 1);
    assert_int_equal(item.error, EIO);
    assert_int_equal(synced_count, 2);
}

static void
descriptor_that_is_not_open_is_an_error_of_its_own(void **state)
{
    lodge_autofd file = open_file();
    CommitItem items[] = {{file, 0}, {1000000, 0}};

    (void)state;
    failing_fd = 1000000;
    commit_sync(items, G_N_ELEMENTS(items));
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[1].error, EIO);
}

#define TEST(function) cmocka_unit_test_setup(function, forget)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_failing_file_is_not_another_ones),
        TEST(the_same_file_is_synced_once_and_shares_its_result),
        TEST(negative_descriptors_are_skipped),
        TEST(interrupted_sync_is_asked_for_again_and_a_failed_one_is_not),
        TEST(descriptor_that_is_not_open_is_an_error_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
