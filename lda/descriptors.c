/* lda/descriptors.c - how many files may be open at once
 *
 * The usual soft limit of 1024 is there for programs that select(2). A copy under way has six
 * descriptors or so, and a master one for each worker.
 */
#include "lda/descriptors.h"

#include <sys/resource.h>

enum { ENOUGH = 65536 }; /* some systems have a hard limit of a thousand million */

void
descriptors_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= ENOUGH)
        return;
    limit.rlim_cur = MIN(limit.rlim_max, ENOUGH);
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* the one there is will do for less */
}
