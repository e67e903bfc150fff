/* tests/lda/no_io_uring.h - for programs that watch fsync(2): nothing is synced past them
 *
 * syscall(3) is replaced here by one for which there is no io_uring.
 */
#ifndef LODGE_TESTS_LDA_NO_IO_URING_H
#define LODGE_TESTS_LDA_NO_IO_URING_H

#include "lodge.h"

#include <dlfcn.h>
#include <sys/syscall.h>

#include "tests/syscall_arguments.h"

long syscall(long number, ...);

long
syscall(long number, ...)
{
    static long (*real)(long, long, long, long, long, long, long);
    long words[6];
    va_list list;

    if (number == SYS_io_uring_setup) {
        errno = ENOSYS;
        return -1;
    }
    va_start(list, number);
    syscall_arguments(number, list, words);
    va_end(list);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

#endif
