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

/* What a character becomes, in UTF-8. */
typedef struct {
    char octets[LONGEST_DECOMPOSITION * U8_MAX_LENGTH];
    int32_t len;
} Folded;

static void
append_character(Folded *folded, UChar32 character)
{
    U8_APPEND_UNSAFE(folded->octets, folded->len, character);
}

static void
fold(const UNormalizer2 *normalizer, UChar32 character, Folded *folded)
{
    UChar units[LONGEST_DECOMPOSITION];
    UErrorCode status = U_ZERO_ERROR;
    UChar32 title = u_totitle(character);
    int32_t count = normalizer == NULL ? -1
                                       : unorm2_getDecomposition(normalizer, title, units,
                                                                 LONGEST_DECOMPOSITION, &status);

    folded->len = 0;
    if (count < 0 || U_FAILURE(status)) {
        append_character(folded, title);
        return;
    }
    for (int32_t i = 0; i < count;) {
        UChar32 part;

        U16_NEXT(units, i, count, part);
        append_character(folded, part);
    }
}

static bool
casemap(SieveText text, void (*take)(const char *octets, size_t len, size_t origin, void *data),
        void *data)
{
    const UNormalizer2 *normalizer = compatibility();
    int32_t len = (int32_t)MIN(text.len, (size_t)G_MAXINT32);
    Folded folded;

    for (int32_t i = 0; i < len;) {
        int32_t start = i;
        UChar32 character;

        U8_NEXT(text.bytes, i, len, character);
        if (character < 0)
            return false;
        fold(normalizer, character, &folded);
        take(folded.octets, (size_t)folded.len, (size_t)start, data);
    }
    return true;
}

const SieveUnicodeModule sieve_unicode_module = {.version = LODGE_VERSION, .casemap = casemap};
