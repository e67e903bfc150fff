/* lda/decimal.c - numbers as text; see decimal.h */
#include "lda/decimal.h"

void
decimal_append(GString *out, guint64 number, unsigned width)
{
    char digits[20]; /* of 2^64 - 1 */
    unsigned len = 0;

    g_assert(width <= sizeof digits);
    for (; number > 0 || len < MAX(width, 1U); number /= 10)
        digits[sizeof digits - ++len] = (char)('0' + number % 10);
    g_string_append_len(out, digits + sizeof digits - len, (gssize)len);
}
