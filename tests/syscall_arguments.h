/* tests/syscall_arguments.h - for tests that put their own syscall(3) before the C library's
 *
 * How many arguments were given is nowhere told. Only io_uring_enter(2) has six of those that are
 * called so; five are in registers, more would be read from whatever lies on the stack.
 */
#ifndef LODGE_TESTS_SYSCALL_ARGUMENTS_H
#define LODGE_TESTS_SYSCALL_ARGUMENTS_H

#include <stdarg.h>
#include <sys/syscall.h>

static inline void
syscall_arguments(long number, va_list list, long arguments_out[6])
{
    int count = number == SYS_io_uring_enter ? 6 : 5;

    for (int i = 0; i < 6; i++)
        arguments_out[i] = i < count ? va_arg(list, long) : 0;
}

#endif
