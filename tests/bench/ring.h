/* tests/bench/ring.h - many fsyncs at once, asked of the kernel in one call (io_uring)
 *
 * As little as raw_limit.c needs of io_uring(7), without liburing: fill a queue of
 * fsyncs, hand it over, wait until all are done.
 */
#ifndef LODGE_TESTS_BENCH_RING_H
#define LODGE_TESTS_BENCH_RING_H

#include "tests/bench/bench.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { RING_ENTRIES = 128 }; /* at most so many fsyncs at once */

typedef struct {
    int fd;
    struct io_uring_params params;
    uint8_t *submissions, *completions; /* the rings, shared with the kernel */
    struct io_uring_sqe *entries;
} Ring;

static inline void *
ring_map(const Ring *ring, size_t size, off_t what)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);

    if (memory == MAP_FAILED)
        bench_die("cannot map an io_uring");
    return memory;
}

/* Whoever may not use io_uring, as in many containers, ends here. */
static inline void
ring_open(Ring *ring)
{
    *ring = (Ring){0};
    ring->fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &ring->params);
    if (ring->fd < 0)
        bench_die("no io_uring");
    ring->submissions =
        ring_map(ring, ring->params.sq_off.array + ring->params.sq_entries * sizeof(unsigned),
                 IORING_OFF_SQ_RING);
    ring->completions = ring_map(
        ring, ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe),
        IORING_OFF_CQ_RING);
    ring->entries =
        ring_map(ring, ring->params.sq_entries * sizeof *ring->entries, IORING_OFF_SQES);
}

static inline unsigned *
ring_word(uint8_t *memory, unsigned offset)
{
    return (unsigned *)(void *)(memory + offset);
}

/* Makes the count files durable, count not above RING_ENTRIES. */
static inline void
ring_fsync(Ring *ring, const int *fds, unsigned count)
{
    const struct io_sqring_offsets *sq = &ring->params.sq_off;
    const struct io_cqring_offsets *cq = &ring->params.cq_off;
    unsigned tail = *ring_word(ring->submissions, sq->tail);
    unsigned head = *ring_word(ring->completions, cq->head);
    struct io_uring_cqe *done = (void *)(ring->completions + cq->cqes);

    g_assert(count <= RING_ENTRIES);
    for (unsigned i = 0; i < count; i++) {
        unsigned slot = (tail + i) & *ring_word(ring->submissions, sq->ring_mask);

        ring->entries[slot] = (struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fd = fds[i]};
        ring_word(ring->submissions, sq->array)[slot] = slot;
    }
    __atomic_store_n(ring_word(ring->submissions, sq->tail), tail + count, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring->fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0) !=
        (long)count)
        bench_die("io_uring_enter");
    for (unsigned i = 0; i < count; i++) {
        if (done[(head + i) & *ring_word(ring->completions, cq->ring_mask)].res != 0)
            bench_die("cannot sync a file");
    }
    __atomic_store_n(ring_word(ring->completions, cq->head), head + count, __ATOMIC_RELEASE);
}

#endif
