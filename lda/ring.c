/* lda/ring.c - many fsyncs at once, asked of the kernel in one call; see ring.h
 *
 *   entries[]      what is to be done, filled here
 *   submissions    their numbers, up to a tail that we move
 *   completions    results, up to a tail that the kernel moves, from a head that we move
 *
 * All three are memory shared with the kernel (io_uring(7)), and so with whoever else has it
 * mapped: a child of fork() could change what we are about to ask for. It does not get it.
 */
#include "lda/ring.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

typedef struct {
    uint8_t *memory; /* NULL: not mapped */
    size_t size;
} Mapping;

struct Ring {
    int fd;
    pid_t owner;
    struct io_uring_params params;
    Mapping submissions, completions, entries;
};

static bool
map(Ring *ring, Mapping *mapping, size_t size, off_t what)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);

    if (memory == MAP_FAILED)
        return false;
    *mapping = (Mapping){.memory = memory, .size = size};
    return madvise(memory, size, MADV_DONTFORK) == 0;
}

static bool
map_all(Ring *ring)
{
    const struct io_uring_params *params = &ring->params;

    return map(ring, &ring->submissions,
               params->sq_off.array + params->sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING) &&
           map(ring, &ring->completions,
               params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe),
               IORING_OFF_CQ_RING) &&
           map(ring, &ring->entries, params->sq_entries * sizeof(struct io_uring_sqe),
               IORING_OFF_SQES);
}

Ring *
ring_new(void)
{
    g_autoptr(Ring) ring = g_new0(Ring, 1);

    ring->owner = getpid();
    ring->fd = (int)syscall(SYS_io_uring_setup, RING_MAX, &ring->params); /* close-on-exec */
    if (ring->fd < 0 || !map_all(ring))
        return NULL;
    return g_steal_pointer(&ring);
}

static void
unmap(const Ring *ring, Mapping *mapping)
{
    if (mapping->memory != NULL && ring->owner == getpid())
        (void)munmap(mapping->memory, mapping->size); /* cannot fail: it is what mmap gave */
}

void
ring_free(Ring *ring)
{
    if (ring == NULL)
        return;
    int saved = errno;

    unmap(ring, &ring->submissions);
    unmap(ring, &ring->completions);
    unmap(ring, &ring->entries);
    lodge_close(&ring->fd);
    g_free(ring);
    errno = saved;
}

static unsigned *
word(const Mapping *mapping, unsigned offset)
{
    return (unsigned *)(void *)(mapping->memory + offset);
}

static long
enter(const Ring *ring, unsigned submit, unsigned wait)
{
    return syscall(SYS_io_uring_enter, ring->fd, submit, wait,
                   wait > 0 ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

size_t
ring_start(Ring *ring, const int *fds, size_t count, size_t under_way)
{
    const struct io_sqring_offsets *offsets = &ring->params.sq_off;
    struct io_uring_sqe *entries = (void *)ring->entries.memory;
    unsigned wanted = (unsigned)MIN(count, (size_t)RING_MAX - under_way);

    if (ring->owner != getpid() || wanted == 0)
        return 0;

    unsigned *tail = word(&ring->submissions, offsets->tail);
    unsigned mask = *word(&ring->submissions, offsets->ring_mask);
    unsigned first = *tail;

    for (unsigned i = 0; i < wanted; i++) {
        unsigned slot = (first + i) & mask;

        entries[slot] = (struct io_uring_sqe){
            .opcode = IORING_OP_FSYNC, .fd = fds[i], .user_data = under_way + i};
        word(&ring->submissions, offsets->array)[slot] = slot;
    }
    __atomic_store_n(tail, first + wanted, __ATOMIC_RELEASE);

    long taken = enter(ring, wanted, 0);
    unsigned started = taken > 0 ? (unsigned)taken : 0;

    /* Without a thread of the kernel's own on the queue nobody looks at it but in a call of ours:
     * what was not taken is taken back. */
    __atomic_store_n(tail, first + started, __ATOMIC_RELEASE);
    return started;
}

/* Takes the results that are there. */
static size_t
take_results(Ring *ring, int *errors, size_t count)
{
    const struct io_cqring_offsets *offsets = &ring->params.cq_off;
    unsigned *head = word(&ring->completions, offsets->head);
    unsigned tail = __atomic_load_n(word(&ring->completions, offsets->tail), __ATOMIC_ACQUIRE);
    unsigned mask = *word(&ring->completions, offsets->ring_mask);
    const struct io_uring_cqe *results = (void *)(ring->completions.memory + offsets->cqes);
    unsigned at = *head;

    for (; at != tail; at++) {
        const struct io_uring_cqe *result = &results[at & mask];

        g_assert(result->user_data < count);
        errors[result->user_data] = -result->res;
    }

    size_t taken = at - *head;

    __atomic_store_n(head, at, __ATOMIC_RELEASE);
    return taken;
}

void
ring_wait(Ring *ring, int *errors, size_t count)
{
    for (size_t done = 0; done < count;) {
        done += take_results(ring, errors, count);
        if (done == count || enter(ring, 0, (unsigned)(count - done)) >= 0)
            continue;
        /* A signal, or the kernel is short of memory: what is under way ends all the same. */
        g_assert(errno == EINTR || errno == EAGAIN || errno == EBUSY);
    }
}
