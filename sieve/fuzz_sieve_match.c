/* sieve/fuzz_sieve_match.c - any key against any value, by every match type and comparator
 *
 *   first octet: match type and comparator; key up to the first LF; the rest is the value
 *
 * Beyond "no crash": :matches agrees with :contains and :is where they mean the same, and its
 * captures are pieces of the value, one behind the other.
 */
#include "sieve/match.h"
#include "sieve/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const SieveComparator *const comparators[] = {
    &sieve_comparator_octet,
    &sieve_comparator_ascii_casemap,
    &sieve_comparator_unicode_casemap,
    &sieve_comparator_ascii_numeric,
};

static bool
match(SieveArena *arena, const SieveMatcher *matcher, SieveText key, SieveText value,
      SieveCaptures *captures)
{
    SievePattern *pattern = sieve_pattern_new(arena, matcher, key, NULL);
    guint64 steps = 0;
    bool matched = false;

    if (pattern == NULL)
        return false;
    (void)sieve_pattern_match(pattern, value, arena, captures, &steps, &matched, NULL);
    return matched;
}

static SieveText
quote(SieveArena *arena, SieveText key, const char *around)
{
    g_autoptr(GString) quoted = g_string_new(around);

    for (size_t i = 0; i < key.len; i++) {
        if (strchr("*?\\", key.bytes[i]) != NULL && key.bytes[i] != '\0')
            g_string_append_c(quoted, '\\');
        g_string_append_c(quoted, key.bytes[i]);
    }
    g_string_append(quoted, around);
    return sieve_arena_text(arena, quoted->str, quoted->len);
}

/* "*key*" is :contains, "key" is :is; keys that are no UTF-8 fold otherwise in pieces. */
static void
check_agreement(SieveArena *arena, const SieveComparator *comparator, SieveText key,
                SieveText value)
{
    SieveMatcher matches = {.type = SIEVE_MATCH_MATCHES, .comparator = comparator};
    SieveMatcher contains = {.type = SIEVE_MATCH_CONTAINS, .comparator = comparator};
    SieveMatcher is = {.type = SIEVE_MATCH_IS, .comparator = comparator};

    g_assert(match(arena, &matches, quote(arena, key, "*"), value, NULL) ==
             match(arena, &contains, key, value, NULL));
    g_assert(match(arena, &matches, quote(arena, key, ""), value, NULL) ==
             match(arena, &is, key, value, NULL));
}

static void
check_captures(const SieveCaptures *captures, SieveText value)
{
    size_t total = 0;

    g_assert(captures->count >= 1);
    for (size_t i = 1; i < captures->count; i++) {
        g_assert(captures->values[i].bytes[captures->values[i].len] == '\0');
        total += captures->values[i].len;
    }
    g_assert(total <= value.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    const uint8_t *lf = size < 1 ? NULL : memchr(data + 1, '\n', size - 1);

    if (lf == NULL)
        return 0;

    SieveText key = sieve_arena_text(arena, (const char *)data + 1, (size_t)(lf - data) - 1);
    SieveText value = sieve_arena_text(arena, (const char *)lf + 1, (size_t)(data + size - lf) - 1);
    SieveMatcher matcher = {
        .type = (SieveMatchType)(data[0] & 7) % SIEVE_MATCH_COUNT,
        .relation = (SieveRelation)((data[0] >> 5) % 6),
        .comparator = comparators[(data[0] >> 3) & 3],
    };
    SieveCaptures captures;

    if (!matcher.comparator->has_substrings && matcher.type != SIEVE_MATCH_IS)
        matcher.type = SIEVE_MATCH_VALUE;
    if (match(arena, &matcher, key, value, &captures) && matcher.type == SIEVE_MATCH_MATCHES)
        check_captures(&captures, value);
    if (matcher.comparator->has_substrings && sieve_text_is_utf8(key))
        check_agreement(arena, matcher.comparator, key, value);
    return 0;
}
