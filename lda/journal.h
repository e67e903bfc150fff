/* lda/journal.h - whether a file system makes a name durable only after what it names
 *
 * Such a file system keeps two promises that POSIX does not make:
 *
 *   1. A file whose data sync_file_range(2) has written and waited for is whole after a crash
 *      wherever a name is found that it was given afterwards.
 *   2. Names become durable in the order in which they were changed, in whatever directory;
 *      fsync(2) of a directory makes its last change durable, and with it all before.
 *
 * Then a delivery needs one flush of the drive's cache and not two: see commit.c. Whose
 * promises they are (tried on a drive that loses its cache: tests/faults/crash_drive.py,
 * doc/performance.md):
 *
 *   ext4      sync_file_range returns when blocks are allocated, written and marked as written:
 *             extents and size are in the running transaction or an earlier one, and rename(2)
 *             joins that one or a later one. Transactions are committed whole and in order, each
 *             after a flush of the drive's cache, with all data written by then. fast_commit writes
 *             everything that changed since the last commit, and flushes as well.
 *   XFS       the size is logged before the wait for the data ends; the log keeps its order,
 *             and each write to it flushes the drive's cache first.
 *
 * and whose they are not:
 *
 *   ext4 without a journal       fsync of a directory writes that directory, and neither
 *                                size nor blocks of the file
 *   ext4, journal elsewhere      a name could be seen that was durable before the cache of the
 *                                file system's own drive was flushed
 *   ext4, other than data=ordered   not studied; who asks for it wants something else
 *   XFS, log or data elsewhere   fsync of a directory does not flush a device for data
 *   btrfs                        what fsync of a directory logs of a file is what its tree knows,
 *                                later than sync_file_range waits for
 *   overlayfs, NFS, FUSE, ...    sync_file_range does nothing, or nothing is known
 */
#ifndef LODGE_LDA_JOURNAL_H
#define LODGE_LDA_JOURNAL_H

#include "lodge.h"

#include <sys/types.h>

struct statx;

/* The device whose journal orders the file system of an open file or directory as said above;
 * 0 when it does not, or when the kernel does not tell (Linux before 5.8; no /proc or /sys). Asked
 * anew after ten seconds: another file system may be mounted there by then. Not for threads. info:
 * what statx(2) said of it when asked for STATX_MNT_ID; NULL: nobody has asked. */
dev_t journal_of(int fd, const struct statx *info);

#endif
