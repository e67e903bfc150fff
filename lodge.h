/* lodge.h - what every file may assume
 *
 * Include it before anything else. It brings GLib, bool and fixed-width
 * integers, the cleanup for file descriptors, and takes away the C functions
 * that have cost other mail programs a security release. No state, no policy.
 */
#ifndef LODGE_H
#define LODGE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

/* Closes *fd unless it is negative; errno survives, so a cleanup on the way
 * out of a failed function does not hide why it failed. */
static inline void
lodge_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd); /* nothing to do about a failure: data was synced or is not needed */
    *fd = -1;
    errno = saved;
}

/* Hands the descriptor over: the caller of this function becomes the owner. */
static inline int
lodge_steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* A local descriptor that is closed on every path out of its block. */
#define lodge_autofd __attribute__((cleanup(lodge_close))) int

/* Sets error (domain G_FILE_ERROR, code from errno) to "cannot <what>: <why>",
 * where <what> is the formatted text and <why> strerror(errno). Always returns
 * false, so that a failing call can be left with `return lodge_set_errno(...)`. */
__attribute__((format(printf, 2, 3))) static inline bool
lodge_set_errno(GError **error, const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(saved), "cannot %s: %s", what,
                g_strerror(saved));
    errno = saved;
    return false;
}

#ifndef LODGE_NO_BANNED
#define LODGE_BANNED(function) lodge_banned_##function
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef atol
#undef gets
#define strcpy(...) LODGE_BANNED(strcpy)
#define strcat(...) LODGE_BANNED(strcat)
#define strncpy(...) LODGE_BANNED(strncpy)
#define strncat(...) LODGE_BANNED(strncat)
#define sprintf(...) LODGE_BANNED(sprintf)
#define vsprintf(...) LODGE_BANNED(vsprintf)
#define strtok(...) LODGE_BANNED(strtok)
#define atoi(...) LODGE_BANNED(atoi)
#define atol(...) LODGE_BANNED(atol)
#define gets(...) LODGE_BANNED(gets)
#endif

#endif
