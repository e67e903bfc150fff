/* sieve/comparator.c - the collations of RFC 4790 and RFC 5051; see comparator.h
 *
 * Folding never depends on the locale. Text that is all ASCII is the same to
 * i;unicode-casemap as to i;ascii-casemap, and needs no tables.
 */
#include "sieve/comparator.h"

#include "sieve/unicode.h"

static int
compare_octets(SieveText a, SieveText b)
{
    size_t common = MIN(a.len, b.len);
    int order = memcmp(a.bytes, b.bytes, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static SieveText
fold_nothing(SieveArena *arena, SieveText text)
{
    (void)arena;
    return text;
}

static int
octet_compare(SieveArena *arena, SieveText a, SieveText b)
{
    (void)arena;
    return compare_octets(a, b);
}

/* RFC 4790 section 9.2: to upper case, so that "_" comes behind the letters. */
static SieveText
ascii_fold(SieveArena *arena, SieveText text)
{
    char *folded = sieve_arena_octets(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        folded[i] = g_ascii_toupper(text.bytes[i]);
    return (SieveText){.bytes = folded, .len = text.len};
}

static int
ascii_compare(SieveArena *arena, SieveText a, SieveText b)
{
    size_t common = MIN(a.len, b.len);

    (void)arena;
    for (size_t i = 0; i < common; i++) {
        uint8_t x = (uint8_t)g_ascii_toupper(a.bytes[i]);
        uint8_t y = (uint8_t)g_ascii_toupper(b.bytes[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* The digits text begins with, without leading zeros; bytes NULL when there are none. */
static SieveText
leading_number(SieveText text)
{
    size_t zeros = 0;
    size_t end;

    if (text.len == 0 || !g_ascii_isdigit(text.bytes[0]))
        return (SieveText){NULL, 0};
    while (zeros < text.len && text.bytes[zeros] == '0')
        zeros++;
    for (end = zeros; end < text.len && g_ascii_isdigit(text.bytes[end]); end++)
        ;
    return (SieveText){.bytes = text.bytes + zeros, .len = end - zeros};
}

/* RFC 4790 section 9.1: numbers of any size; what begins with no digit is infinite, and all
 * infinities are equal. */
static int
numeric_compare(SieveArena *arena, SieveText a, SieveText b)
{
    SieveText x = leading_number(a);
    SieveText y = leading_number(b);

    (void)arena;
    if (x.bytes == NULL || y.bytes == NULL)
        return (x.bytes == NULL) - (y.bytes == NULL);
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return memcmp(x.bytes, y.bytes, x.len);
}

static bool
is_ascii(SieveText text)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < text.len; i++)
        seen |= (uint8_t)text.bytes[i];
    return seen < 0x80;
}

static SieveText
unicode_fold(SieveArena *arena, SieveText text)
{
    if (is_ascii(text))
        return ascii_fold(arena, text);

    g_autoptr(GString) folded = g_string_sized_new(text.len * 2);

    sieve_unicode_casemap(text, folded, NULL);
    return sieve_arena_text(arena, folded->str, folded->len);
}

static int
unicode_compare(SieveArena *arena, SieveText a, SieveText b)
{
    if (is_ascii(a) && is_ascii(b))
        return ascii_compare(arena, a, b);
    return compare_octets(unicode_fold(arena, a), unicode_fold(arena, b));
}

const SieveComparator sieve_comparator_octet = {
    .name = "i;octet",
    .has_substrings = true,
    .fold = fold_nothing,
    .compare = octet_compare,
};

const SieveComparator sieve_comparator_ascii_casemap = {
    .name = "i;ascii-casemap",
    .has_substrings = true,
    .fold = ascii_fold,
    .compare = ascii_compare,
};

const SieveComparator sieve_comparator_ascii_numeric = {
    .name = "i;ascii-numeric",
    .needs_require = true,
    .fold = fold_nothing,
    .compare = numeric_compare,
};

const SieveComparator sieve_comparator_unicode_casemap = {
    .name = "i;unicode-casemap",
    .has_substrings = true,
    .needs_require = true,
    .fold = unicode_fold,
    .compare = unicode_compare,
};

const SieveComparator *
sieve_comparator_find(SieveText name)
{
    static const SieveComparator *const all[] = {
        &sieve_comparator_octet,
        &sieve_comparator_ascii_casemap,
        &sieve_comparator_ascii_numeric,
        &sieve_comparator_unicode_casemap,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        if (sieve_text_equal(name, sieve_text(all[i]->name)))
            return all[i];
    return NULL;
}
