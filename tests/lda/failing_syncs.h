/* tests/lda/failing_syncs.h - fsync(2) of the program fails when a test asks for it */
#ifndef LODGE_TESTS_LDA_FAILING_SYNCS_H
#define LODGE_TESTS_LDA_FAILING_SYNCS_H

#include "lodge.h"

#include <sys/syscall.h>

static unsigned failing_syncs; /* the next ones */

int fsync(int fd);

int
fsync(int fd)
{
    if (failing_syncs == 0)
        return (int)syscall(SYS_fsync, fd);
    failing_syncs--;
    errno = EIO;
    return -1;
}

#endif
