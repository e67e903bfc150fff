/* sieve/unicode_casemap.c - RFC 5051 by the tables of ICU: the module lodge-unicode.so
 *
 * modules.h says how it is loaded.
 *
 * Character by character: the titlecase mapping of UnicodeData.txt, then its
 * compatibility decomposition, recursively. Marks are not put in order: RFC 5051 section 4
 * leaves that open, and so each character folds alone, which keeps substrings substrings.
 */
#include "sieve/modules.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

/* No character of Unicode decomposes into more UTF-16 units (U+FDFA: 18). */
enum { LONGEST_DECOMPOSITION = 32 };

static const UNormalizer2 *
compatibility(void)
{
    UErrorCode status = U_ZERO_ERROR;

    return unorm2_getNFKDInstance(&status); /* a singleton of ICU; NULL when it has no data */
}

static void
append_folded(const UNormalizer2 *normalizer, UChar32 character, GString *folded)
{
    UChar units[LONGEST_DECOMPOSITION];
    UErrorCode status = U_ZERO_ERROR;
    UChar32 title = u_totitle(character);
    int32_t count = normalizer == NULL ? -1
                                       : unorm2_getDecomposition(normalizer, title, units,
                                                                 LONGEST_DECOMPOSITION, &status);

    if (count < 0 || U_FAILURE(status)) {
        g_string_append_unichar(folded, (gunichar)title);
        return;
    }
    for (int32_t i = 0; i < count;) {
        UChar32 part;

        U16_NEXT(units, i, count, part);
        g_string_append_unichar(folded, (gunichar)part);
    }
}

static void
append_origins(GArray *origins, size_t count, size_t origin)
{
    guint32 offset = (guint32)origin;

    for (size_t i = 0; origins != NULL && i < count; i++)
        g_array_append_val(origins, offset);
}

static void
append_as_is(SieveText text, GString *folded, GArray *origins)
{
    g_string_append_len(folded, text.bytes, (gssize)text.len);
    for (size_t i = 0; i < text.len; i++)
        append_origins(origins, 1, i);
}

static void
casemap(SieveText text, GString *folded, GArray *origins)
{
    const UNormalizer2 *normalizer = compatibility();
    size_t folded_before = folded->len;
    guint origins_before = origins == NULL ? 0 : origins->len;
    int32_t len = (int32_t)MIN(text.len, (size_t)G_MAXINT32);

    for (int32_t i = 0; i < len;) {
        int32_t start = i;
        size_t before = folded->len;
        UChar32 character;

        U8_NEXT(text.bytes, i, len, character);
        if (character < 0) {
            /* RFC 5051 section 2 (1)(b): "any partial preparation results are discarded". */
            g_string_truncate(folded, folded_before);
            if (origins != NULL)
                g_array_set_size(origins, origins_before);
            append_as_is(text, folded, origins);
            return;
        }
        append_folded(normalizer, character, folded);
        append_origins(origins, folded->len - before, (size_t)start);
    }
}

const SieveUnicodeModule sieve_unicode_module = {.version = LODGE_VERSION, .casemap = casemap};
