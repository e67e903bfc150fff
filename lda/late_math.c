/* lda/late_math.c - the mathematical functions of SQLite's SQL, without libm at the start
 *
 *   SELECT pow(...) --SQLite--> pow(), here --dlopen(), once--> libm
 *
 * `deliver` starts once a message. SQLite, linked in, refers to libm for functions that only a
 * mailbox_query of the administrator's own would call; finding, mapping and relocating it would
 * cost each start sixty touched pages and nine page faults. So what SQLite refers to is here, and
 * the library is opened when one of the functions is called. Where it cannot be, the process ends
 * by a signal: the MTA tries again.
 *
 * Exact for each function of one or two doubles: errno, exceptions and rounding are libm's.
 */
#include "lodge.h"

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <math.h>

static void *
find(const char *name)
{
    /* Never closed; a second time finds it open. */
    void *library = dlopen(LIBM_SO, RTLD_NOW | RTLD_LOCAL);
    void *function = library != NULL ? dlsym(library, name) : NULL;

    if (function == NULL)
        g_error("cannot open '" LIBM_SO "' for %s()", name);
    return function;
}

#define LATE(name)                                   \
    double name(double x)                            \
    {                                                \
        return ((double (*)(double))find(#name))(x); \
    }
#define LATE_OF_TWO(name)                                       \
    double name(double x, double y)                             \
    {                                                           \
        return ((double (*)(double, double))find(#name))(x, y); \
    }

LATE(acos)
LATE(acosh)
LATE(asin)
LATE(asinh)
LATE(atan)
LATE(atanh)
LATE(cos)
LATE(cosh)
LATE(exp)
LATE(log)
LATE(sin)
LATE(sinh)
LATE(sqrt)
LATE(tan)
LATE(tanh)
LATE(trunc)
LATE_OF_TWO(atan2)
LATE_OF_TWO(fmod)
LATE_OF_TWO(pow)
