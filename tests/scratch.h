/* tests/scratch.h - what tests of all folders do with the directory they work in */
#ifndef LODGE_TESTS_SCRATCH_H
#define LODGE_TESTS_SCRATCH_H

#include "lodge.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static inline int
scratch_remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* With all that is in it; links in it are not followed. One that is not there is fine. */
static inline void
scratch_remove(const char *dir)
{
    if (nftw(dir, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        assert_int_equal(errno, ENOENT);
}

#endif
