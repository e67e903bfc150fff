/* tests/lda/test_commit_ring.c - what the kernel says of an fsync that it was asked for at once
 * with others
 *
 * The ring is the test's: of each descriptor it tells what the test wants, and syncs nothing.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/commit.h"
#include "lda/journal.h"
#include "lda/ring.h"

static dev_t journal; /* whatever the machine has; 0: each file is synced */

dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    (void)fd;
    return journal;
}

struct Ring {
    int told; /* of each descriptor */
};

static struct Ring the_ring;
static int synced; /* how often fsync(2) was called */
static int failing_fd;
static size_t asked; /* fsyncs of the ring that nobody has waited for */
static int taken_at_once;

Ring *
ring_new(void)
{
    return &the_ring;
}

void
ring_free(Ring *ring)
{
    assert_true(ring == NULL || ring == &the_ring);
}

size_t
ring_start(Ring *ring, const int *fds, size_t count, size_t under_way)
{
    (void)ring;
    (void)fds;
    assert_int_equal(under_way, asked);
    count = MIN(count, (size_t)taken_at_once);
    asked += count;
    return count;
}

void
ring_wait(Ring *ring, int *errors, size_t count)
{
    assert_int_equal(count, asked);
    asked = 0;
    for (size_t i = 0; i < count; i++)
        errors[i] = ring->told;
}

int fsync(int fd);

int
fsync(int fd)
{
    synced++;
    errno = EIO;
    return fd == failing_fd ? -1 : 0;
}

enum { ITEMS = 4 };

/* The last is synced here, whatever the ring says; with so many begun before. */
static void
commit_after(size_t begun, int told, CommitItem *items)
{
    Commit *commit = commit_new();

    the_ring.told = told;
    synced = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = (CommitItem){.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                                .error = ENODATA};
        assert_true(items[i].fd >= 0);
    }
    failing_fd = items[1].fd;
    for (size_t i = 1; i <= begun; i++)
        commit_names_begin(commit, items, i);
    commit_names(commit, items, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(close(items[i].fd), 0);
    assert_int_equal(asked, 0);
    commit_free(commit);
}

static void
commit_while(int told, CommitItem *items)
{
    taken_at_once = ITEMS;
    commit_after(0, told, items);
}

static void
what_the_kernel_has_not_begun_is_synced_here(void **state)
{
    static const int unsynced[] = {ECANCELED, EAGAIN, EINTR};
    CommitItem items[ITEMS];

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(unsynced); i++) {
        commit_while(unsynced[i], items);
        assert_int_equal(synced, ITEMS);
        for (size_t j = 0; j < ITEMS; j++)
            assert_int_equal(items[j].error, j == 1 ? EIO : 0);
    }
}

/* A second fsync would lie. */
static void
what_has_failed_is_not_asked_for_again(void **state)
{
    CommitItem items[ITEMS];

    (void)state;
    commit_while(ENOSPC, items);
    assert_int_equal(synced, 1);
    for (size_t j = 0; j < ITEMS; j++)
        assert_int_equal(items[j].error, j == ITEMS - 1 ? 0 : ENOSPC);
}

static void
what_was_begun_before_is_waited_for_and_not_synced_again(void **state)
{
    CommitItem items[ITEMS];

    (void)state;
    for (size_t begun = 1; begun <= ITEMS; begun++) {
        taken_at_once = ITEMS;
        commit_after(begun, ENOSPC, items);
        assert_int_equal(synced, begun < ITEMS);
        for (size_t j = 0; j < ITEMS; j++)
            assert_int_equal(items[j].error, j == ITEMS - 1 && begun < ITEMS ? 0 : ENOSPC);
    }
}

static void
what_the_kernel_did_not_take_when_it_was_begun_is_synced_here(void **state)
{
    CommitItem items[ITEMS];

    (void)state;
    taken_at_once = 0;
    commit_after(ITEMS, ENOSPC, items);
    assert_int_equal(synced, ITEMS);
    for (size_t j = 0; j < ITEMS; j++)
        assert_int_equal(items[j].error, j == 1 ? EIO : 0);
}

/* One fsync after the last change is for all: an early one would be one more. */
static void
nothing_is_begun_where_a_journal_keeps_the_order(void **state)
{
    CommitItem items[ITEMS];

    (void)state;
    taken_at_once = ITEMS;
    journal = 1;
    commit_after(ITEMS - 1, ENOSPC, items);
    journal = 0;
    assert_int_equal(synced, 1);
    for (size_t j = 0; j < ITEMS; j++)
        assert_int_equal(items[j].error, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_has_not_begun_is_synced_here),
        cmocka_unit_test(what_has_failed_is_not_asked_for_again),
        cmocka_unit_test(what_was_begun_before_is_waited_for_and_not_synced_again),
        cmocka_unit_test(what_the_kernel_did_not_take_when_it_was_begun_is_synced_here),
        cmocka_unit_test(nothing_is_begun_where_a_journal_keeps_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
