/* lda/ring.h - many fsyncs at once, asked of the kernel in one call (io_uring)
 *
 * The kernel's threads do the waiting, up to four for each core, and stay for a few seconds
 * for the next batch. Without liburing, of whose many calls this needs one.
 */
#ifndef LODGE_LDA_RING_H
#define LODGE_LDA_RING_H

#include "lodge.h"

typedef struct Ring Ring;

enum { RING_MAX = 256 }; /* fsyncs under way */

/* NULL and errno where io_uring is missing (ENOSYS) or forbidden (EPERM), as in many containers.
 * Only the process that made it may use it; a child of fork() does not even have its memory. */
Ring *ring_new(void);
void ring_free(Ring *ring); /* NULL is fine */

/* Starts an fsync of each descriptor, in order, beside as many that are under way, and returns of
 * how many: fewer than count when there are RING_MAX, or the kernel takes no more. Sooner or later
 * ring_wait() must follow. */
size_t ring_start(Ring *ring, const int *fds, size_t count, size_t under_way);

/* Waits for all that is under way since the latest wait, count of them, in the order of their
 * starts; errors are 0 or errno, of each. ECANCELED, EAGAIN and EINTR: it was not synced, and may
 * be asked for again. Anything else is final. */
void ring_wait(Ring *ring, int *errors, size_t count);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ring, ring_free)
#endif
