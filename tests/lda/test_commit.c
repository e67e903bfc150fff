/* tests/lda/test_commit.c - every item has its own result, no file is synced twice
 *
 * fsync(2) and sync_file_range(2) are replaced here by functions that note which descriptors they
 * are given, and fail for one of them. Descriptors below ordered_below are on a file system that
 * keeps names in order.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/commit.h"
#include "lda/journal.h"

static int synced[16];
static size_t synced_count;
static int failing_fd = -1;
static int interruptions;
static int waited_for[16];
static size_t waited_count;
static int ordered_below;

int fsync(int fd);

dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    return fd < ordered_below ? 1 : 0;
}

int
sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    assert_true(offset == 0 && count == 0);
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) == 0)
        return 0;
    assert_int_equal(flags, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER);
    waited_for[waited_count++] = fd;
    if (fd != failing_fd)
        return 0;
    errno = EIO;
    return -1;
}

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
    waited_count = 0;
    ordered_below = 0;
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
    CommitItem items[] = {
        {.fd = first, .error = 99}, {.fd = second, .error = 99}, {.fd = third, .error = 99}};

    (void)state;
    failing_fd = second;
    commit_contents(NULL, items, G_N_ELEMENTS(items));
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
    CommitItem items[] = {
        {.fd = directory, .error = 0}, {.fd = other, .error = 0}, {.fd = again, .error = 0}};

    (void)state;
    failing_fd = directory;
    commit_names(NULL, items, G_N_ELEMENTS(items));
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
    CommitItem items[] = {
        {.fd = -1, .error = 99}, {.fd = file, .error = 99}, {.fd = -1, .error = 99}};

    (void)state;
    commit_contents(NULL, items, G_N_ELEMENTS(items));
    assert_int_equal(synced_count, 1);
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[2].error, 0);
    commit_contents(NULL, NULL, 0);
}

static void
interrupted_sync_is_asked_for_again_and_a_failed_one_is_not(void **state)
{
    lodge_autofd file = open_file();
    CommitItem item = {.fd = file, .error = 0};

    (void)state;
    interruptions = 2;
    commit_contents(NULL, &item, 1);
    assert_int_equal(item.error, 0);
    assert_int_equal(synced_count, 1);
    failing_fd = file;
    commit_contents(NULL, &item, 1);
    assert_int_equal(item.error, EIO);
    assert_int_equal(synced_count, 2);
}

static void
descriptor_that_is_not_open_is_an_error_of_its_own(void **state)
{
    lodge_autofd file = open_file();
    CommitItem items[] = {{.fd = file, .error = 0}, {.fd = 1000000, .error = 0}};

    (void)state;
    failing_fd = 1000000;
    commit_contents(NULL, items, G_N_ELEMENTS(items));
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[1].error, EIO);
}

static void
contents_are_waited_for_and_not_synced_where_names_come_later(void **state)
{
    lodge_autofd first = open_file();
    lodge_autofd second = open_file();
    lodge_autofd elsewhere = open_file();
    CommitItem items[] = {{.fd = first, .error = 99},
                          {.fd = -1, .error = 99},
                          {.fd = second, .error = 99},
                          {.fd = elsewhere, .error = 99}};

    (void)state;
    ordered_below = elsewhere;
    failing_fd = second;
    commit_contents(NULL, items, G_N_ELEMENTS(items));
    assert_int_equal(waited_count, 2);
    assert_int_equal(waited_for[0], first);
    assert_int_equal(waited_for[1], second);
    assert_int_equal(synced_count, 1);
    assert_int_equal(synced[0], elsewhere);
    assert_int_equal(items[0].error, 0);
    assert_int_equal(items[1].error, 0);
    assert_int_equal(items[2].error, EIO);
    assert_int_equal(items[3].error, 0);
}

static void
one_sync_of_the_last_directory_is_for_all_where_names_keep_their_order(void **state)
{
    lodge_autofd first = open_file();
    lodge_autofd second = open_file();
    lodge_autofd elsewhere = open_file();
    CommitItem items[] = {{.fd = first, .error = 99},
                          {.fd = elsewhere, .error = 99},
                          {.fd = second, .error = 99},
                          {.fd = -1, .error = 99}};

    (void)state;
    ordered_below = elsewhere;
    commit_names(NULL, items, G_N_ELEMENTS(items));
    assert_int_equal(synced_count, 2);
    assert_int_equal(synced[0], elsewhere);
    assert_int_equal(synced[1], second);
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++)
        assert_int_equal(items[i].error, 0);
}

static void
failure_of_the_one_sync_for_all_is_everyones(void **state)
{
    lodge_autofd first = open_file();
    lodge_autofd second = open_file();
    lodge_autofd elsewhere = open_file();
    CommitItem items[] = {
        {.fd = first, .error = 0}, {.fd = second, .error = 0}, {.fd = elsewhere, .error = 99}};

    (void)state;
    ordered_below = elsewhere;
    failing_fd = second;
    commit_names(NULL, items, G_N_ELEMENTS(items));
    assert_int_equal(items[0].error, EIO);
    assert_int_equal(items[1].error, EIO);
    assert_int_equal(items[2].error, 0);
}

static void
single_name_is_always_synced(void **state)
{
    lodge_autofd directory = open_file();
    CommitItem item = {.fd = directory, .error = 99};

    (void)state;
    ordered_below = directory + 1;
    commit_names(NULL, &item, 1);
    assert_int_equal(synced_count, 1);
    assert_int_equal(waited_count, 0);
    assert_int_equal(item.error, 0);
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
        TEST(contents_are_waited_for_and_not_synced_where_names_come_later),
        TEST(one_sync_of_the_last_directory_is_for_all_where_names_keep_their_order),
        TEST(failure_of_the_one_sync_for_all_is_everyones),
        TEST(single_name_is_always_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
