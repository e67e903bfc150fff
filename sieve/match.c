/* sieve/match.c - match types; see match.h
 *
 * A key is folded once, when its pattern is made; a value when it is matched, into a View: the
 * octets as the comparator sees them, and where each comes from. Then everything is
 * octets against octets.
 *
 * :matches cuts its key at each "*" into segments. The first must stand at the start, the
 * last at the end, and each between them is taken where it is found first: nothing ever needs
 * to be tried again, which is why no pattern is slow, and it is what makes each "*"
 * as short as can be (RFC 5229 section 3.2). A segment without "?" is found by memmem(); one
 * with "?" by an automaton whose states are the bits of machine words (Shift-And):
 *
 *   state bit i: the octets up to here end with items 0 to i of the segment
 *
 * What "?" matches the comparator says (RFC 5228 section 2.7.1): one octet, or with
 * i;unicode-casemap one character, which may be many octets in folded form.
 */
#include "sieve/match.h"

#include "sieve/limits.h"
#include "sieve/regex.h"
#include "sieve/unicode.h"

/* A key cut at its "*". Items: an octet, or "?". */
typedef struct {
    size_t start, count; /* of its items */
    bool has_any;        /* a "?" */
} Segment;

typedef struct {
    const char *octets;    /* one for each item; of "?" it is unused */
    const uint8_t *is_any; /* the item is "?" */
    Segment *segments;     /* one more than there are "*" */
    size_t segment_count;
} Glob;

struct SievePattern {
    const SieveMatcher *matcher;
    union {            /* as the type of the matcher says */
        SieveText key; /* folded, but for i;ascii-numeric */
        Glob *glob;
        SieveRegex *regex;
    };
};

/* ---- a value as a comparator sees it -------------------------------------- */

typedef struct {
    const char *bytes;
    size_t len;
    const guint32 *origins; /* offsets in the value; NULL: octet i is octet i of the value */
    SieveText value;
    char small[1024]; /* storage for most values */
    char *large;
    GString *folded;
    GArray *folded_origins;
} View;

static void
view_clear(View *view)
{
    g_free(view->large);
    if (view->folded != NULL)
        g_string_free(view->folded, TRUE);
    if (view->folded_origins != NULL)
        g_array_unref(view->folded_origins);
}

static void
fold_ascii(View *view)
{
    char *folded = view->small;

    if (view->value.len > sizeof view->small)
        folded = view->large = g_malloc(view->value.len);
    for (size_t i = 0; i < view->value.len; i++) {
        char octet = view->value.bytes[i];

        folded[i] = (char)(octet - ((octet >= 'a' && octet <= 'z') ? 'a' - 'A' : 0));
    }
    view->bytes = folded;
}

static bool
is_ascii(SieveText text)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < text.len; i++)
        seen |= (uint8_t)text.bytes[i];
    return seen < 0x80;
}

static void
view_init(View *view, const SieveComparator *comparator, SieveText value)
{
    view->bytes = value.bytes;
    view->len = value.len;
    view->origins = NULL;
    view->value = value;
    view->large = NULL;
    view->folded = NULL;
    view->folded_origins = NULL;
    if (comparator == &sieve_comparator_ascii_casemap ||
        (comparator == &sieve_comparator_unicode_casemap && is_ascii(value))) {
        fold_ascii(view);
    } else if (comparator == &sieve_comparator_unicode_casemap) {
        view->folded = g_string_sized_new(value.len * 2);
        view->folded_origins = g_array_new(FALSE, FALSE, sizeof(guint32));
        sieve_unicode_casemap(value, view->folded, view->folded_origins);
        view->bytes = view->folded->str;
        view->len = view->folded->len;
        view->origins = (const guint32 *)(const void *)view->folded_origins->data;
    }
}

/* Whether a character goes on at offset i: "?" does not begin there. */
static inline bool
is_inside(const View *view, size_t i)
{
    return view->origins != NULL && i > 0 && i < view->len &&
           view->origins[i] == view->origins[i - 1];
}

/* The offset in the value of offset i, up to the next start of a character. */
static size_t
origin_of(const View *view, size_t i)
{
    while (is_inside(view, i))
        i++;
    if (i >= view->len)
        return view->value.len;
    return view->origins == NULL ? i : view->origins[i];
}

/* ---- :matches: the key ----------------------------------------------------- */

typedef struct {
    SieveArena *arena;
    const SieveComparator *comparator;
    GString *run; /* literal octets, not folded yet */
    GString *octets;
    GByteArray *is_any;
    GArray *segments; /* of Segment */
    Segment segment;
} GlobBuilder;

static void
add_item(GlobBuilder *builder, char octet, uint8_t is_any)
{
    g_string_append_c(builder->octets, octet);
    g_byte_array_append(builder->is_any, &is_any, 1);
    builder->segment.count++;
    builder->segment.has_any |= is_any != 0;
}

static void
end_run(GlobBuilder *builder)
{
    SieveText run = {.bytes = builder->run->str, .len = builder->run->len};
    SieveText folded = builder->comparator->fold(builder->arena, run);

    for (size_t i = 0; i < folded.len; i++)
        add_item(builder, folded.bytes[i], 0);
    g_string_truncate(builder->run, 0);
}

static void
end_segment(GlobBuilder *builder)
{
    end_run(builder);
    g_array_append_val(builder->segments, builder->segment);
    builder->segment = (Segment){.start = builder->octets->len};
}

static void
read_key(GlobBuilder *builder, SieveText key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.bytes[i] == '*') {
            end_segment(builder);
        } else if (key.bytes[i] == '?') {
            end_run(builder);
            add_item(builder, '?', 1);
        } else {
            /* What a backslash is in front of stands for itself; a last one for itself. */
            if (key.bytes[i] == '\\' && i + 1 < key.len)
                i++;
            g_string_append_c(builder->run, key.bytes[i]);
        }
    }
    end_segment(builder);
}

static bool
glob_is_searchable(const Glob *glob, GError **error)
{
    for (size_t i = 1; i + 1 < glob->segment_count; i++) {
        if (glob->segments[i].has_any && glob->segments[i].count > SIEVE_MAX_WILD_SEGMENT) {
            g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                        "more than %d characters with '?' between two '*' of a pattern",
                        SIEVE_MAX_WILD_SEGMENT);
            return false;
        }
    }
    return true;
}

static bool
glob_init(Glob *glob, SieveArena *arena, const SieveComparator *comparator, SieveText key,
          GError **error)
{
    GlobBuilder builder = {
        .arena = arena,
        .comparator = comparator,
        .run = g_string_new(NULL),
        .octets = g_string_new(NULL),
        .is_any = g_byte_array_new(),
        .segments = g_array_new(FALSE, FALSE, sizeof(Segment)),
    };

    read_key(&builder, key);
    *glob = (Glob){
        .octets = sieve_arena_text(arena, builder.octets->str, builder.octets->len).bytes,
        .is_any = (const uint8_t *)sieve_arena_text(arena, (const char *)builder.is_any->data,
                                                    builder.is_any->len)
                      .bytes,
        .segments = sieve_arena_new0(arena, Segment, builder.segments->len),
        .segment_count = builder.segments->len,
    };
    memcpy(glob->segments, builder.segments->data, sizeof(Segment) * builder.segments->len);
    g_string_free(builder.run, TRUE);
    g_string_free(builder.octets, TRUE);
    g_byte_array_unref(builder.is_any);
    g_array_unref(builder.segments);
    return glob_is_searchable(glob, error);
}

/* ---- :matches: one segment ------------------------------------------------- */

/* Whether segment stands at offset at; then *end_out is behind it. */
static bool
stands_at(const Glob *glob, const Segment *segment, const View *view, size_t at, size_t *end_out)
{
    for (size_t i = segment->start; i < segment->start + segment->count; i++) {
        if (at >= view->len || (!glob->is_any[i] && view->bytes[at] != glob->octets[i]))
            return false;
        at++;
        while (glob->is_any[i] && is_inside(view, at))
            at++;
    }
    *end_out = at;
    return true;
}

/* Whether segment ends at offset end, and begins not before least; then *start_out is where. */
static bool
ends_at(const Glob *glob, const Segment *segment, const View *view, size_t end, size_t least,
        size_t *start_out)
{
    for (size_t i = segment->start + segment->count; i > segment->start; i--) {
        if (end <= least || (!glob->is_any[i - 1] && view->bytes[end - 1] != glob->octets[i - 1]))
            return false;
        end--;
        while (glob->is_any[i - 1] && is_inside(view, end) && end > least)
            end--;
    }
    *start_out = end;
    return true;
}

/* Words of bits; masks has one row for each octet, and a last one for "?". */
static guint64 *
make_masks(const Glob *glob, const Segment *segment, size_t words)
{
    guint64 *masks = g_new0(guint64, 257 * words);

    for (size_t i = 0; i < segment->count; i++) {
        guint64 bit = G_GUINT64_CONSTANT(1) << (i % 64);
        size_t word = i / 64;

        if (!glob->is_any[segment->start + i]) {
            masks[(uint8_t)glob->octets[segment->start + i] * words + word] |= bit;
            continue;
        }
        for (size_t row = 0; row <= 256; row++)
            masks[row * words + word] |= bit;
    }
    return masks;
}

/* The end of the first place between from and limit where segment ends. */
static bool
find_end(const Glob *glob, const Segment *segment, const View *view, size_t from, size_t limit,
         size_t *end_out)
{
    size_t words = (segment->count + 63) / 64;
    g_autofree guint64 *masks = make_masks(glob, segment, words);
    g_autofree guint64 *state = g_new0(guint64, words);
    const guint64 *any = masks + 256 * words;
    guint64 last = G_GUINT64_CONSTANT(1) << ((segment->count - 1) % 64);

    for (size_t at = from; at < limit; at++) {
        const guint64 *mask = masks + (uint8_t)view->bytes[at] * words;
        bool inside = is_inside(view, at);
        guint64 carry = 1;

        for (size_t word = 0; word < words; word++) {
            guint64 before = state[word];
            guint64 entered = ((before << 1) | carry) & mask[word];

            carry = before >> 63;
            state[word] = inside ? (entered & ~any[word]) | (before & any[word]) : entered;
        }
        if (state[words - 1] & last) {
            *end_out = at + 1;
            return true;
        }
    }
    return false;
}

/* The first place of segment between from and limit. */
static bool
find_segment(const Glob *glob, const Segment *segment, const View *view, size_t from, size_t limit,
             size_t *start_out, size_t *end_out)
{
    if (!segment->has_any) {
        const char *found =
            memmem(view->bytes + from, limit - from, glob->octets + segment->start, segment->count);

        if (found == NULL)
            return false;
        *start_out = (size_t)(found - view->bytes);
        *end_out = *start_out + segment->count;
        return true;
    }

    size_t end;

    if (!find_end(glob, segment, view, from, limit, &end))
        return false;
    while (is_inside(view, end) && end < limit && glob->is_any[segment->start + segment->count - 1])
        end++;
    *end_out = end;
    return ends_at(glob, segment, view, end, from, start_out);
}

/* ---- :matches: captures ------------------------------------------------------ */

static void
capture(SieveCaptures *captures, SieveArena *arena, const View *view, size_t from, size_t to)
{
    size_t start = origin_of(view, from);
    size_t end = MAX(start, origin_of(view, to));

    if (captures == NULL || captures->count == G_N_ELEMENTS(captures->values))
        return;
    captures->values[captures->count++] =
        sieve_arena_text(arena, view->value.bytes + start, end - start);
}

/* What each "?" of a segment that begins at offset at stands for. */
static void
capture_segment(SieveCaptures *captures, SieveArena *arena, const Glob *glob,
                const Segment *segment, const View *view, size_t at)
{
    if (captures == NULL || !segment->has_any)
        return;
    for (size_t i = segment->start; i < segment->start + segment->count; i++) {
        size_t from = at++;

        if (!glob->is_any[i])
            continue;
        while (is_inside(view, at))
            at++;
        capture(captures, arena, view, from, MIN(at, view->len));
    }
}

static bool
glob_matches(const Glob *glob, const View *view, SieveArena *arena, SieveCaptures *captures)
{
    const Segment *first = &glob->segments[0];
    const Segment *last = &glob->segments[glob->segment_count - 1];
    size_t end, tail;

    if (captures != NULL)
        *captures = (SieveCaptures){.values = {view->value}, .count = 1};
    if (!stands_at(glob, first, view, 0, &end))
        return false;
    capture_segment(captures, arena, glob, first, view, 0);
    if (glob->segment_count == 1)
        return end == view->len;
    if (!ends_at(glob, last, view, view->len, end, &tail))
        return false;
    for (const Segment *segment = first + 1; segment < last; segment++) {
        size_t before = end, start;

        if (!find_segment(glob, segment, view, before, tail, &start, &end))
            return false;
        capture(captures, arena, view, before, start);
        capture_segment(captures, arena, glob, segment, view, start);
    }
    capture(captures, arena, view, end, tail);
    capture_segment(captures, arena, glob, last, view, tail);
    return true;
}

/* ---- relations ------------------------------------------------------------- */

bool
sieve_relation_parse(SieveText name, SieveRelation *relation_out)
{
    static const char *const names[] = {
        [SIEVE_GT] = "gt", [SIEVE_GE] = "ge", [SIEVE_LT] = "lt",
        [SIEVE_LE] = "le", [SIEVE_EQ] = "eq", [SIEVE_NE] = "ne",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (name.len == 2 && g_ascii_strncasecmp(name.bytes, names[i], 2) == 0) {
            *relation_out = (SieveRelation)i;
            return true;
        }
    }
    return false;
}

bool
sieve_relation_holds(SieveRelation relation, int comparison)
{
    switch (relation) {
    case SIEVE_GT:
        return comparison > 0;
    case SIEVE_GE:
        return comparison >= 0;
    case SIEVE_LT:
        return comparison < 0;
    case SIEVE_LE:
        return comparison <= 0;
    case SIEVE_EQ:
        return comparison == 0;
    case SIEVE_NE:
        return comparison != 0;
    }
    g_assert_not_reached();
}

/* ---- patterns ---------------------------------------------------------------- */

static SieveRegexCase
regex_case(const SieveComparator *comparator)
{
    if (comparator == &sieve_comparator_ascii_casemap)
        return SIEVE_REGEX_ASCII_CASE;
    return comparator == &sieve_comparator_unicode_casemap ? SIEVE_REGEX_UNICODE_CASE
                                                           : SIEVE_REGEX_EXACT;
}

SievePattern *
sieve_pattern_new(SieveArena *arena, const SieveMatcher *matcher, SieveText key, GError **error)
{
    SievePattern *pattern = sieve_arena_new0(arena, SievePattern, 1);

    pattern->matcher = matcher;
    if (matcher->type == SIEVE_MATCH_REGEX) {
        pattern->regex = sieve_regex_new(arena, key, regex_case(matcher->comparator), error);
        return pattern->regex == NULL ? NULL : pattern;
    }
    if (matcher->type == SIEVE_MATCH_MATCHES) {
        pattern->glob = sieve_arena_new0(arena, Glob, 1);
        return glob_init(pattern->glob, arena, matcher->comparator, key, error) ? pattern : NULL;
    }
    pattern->key = matcher->comparator->fold(arena, key);
    return pattern;
}

/* Order of the folded value and the folded key. */
static int
compare_view(const View *view, SieveText key)
{
    int order = memcmp(view->bytes, key.bytes, MIN(view->len, key.len));

    return order != 0 ? order : (view->len > key.len) - (view->len < key.len);
}

static int
compare(const SievePattern *pattern, SieveText value)
{
    View view;

    if (pattern->matcher->comparator == &sieve_comparator_ascii_numeric)
        return sieve_comparator_ascii_numeric.compare(NULL, value, pattern->key);
    view_init(&view, pattern->matcher->comparator, value);

    int order = compare_view(&view, pattern->key);

    view_clear(&view);
    return order;
}

static bool
is_equal(const SievePattern *pattern, SieveText value)
{
    const SieveComparator *comparator = pattern->matcher->comparator;

    /* Most values are of another length: no need to look at them. */
    if (value.len != pattern->key.len &&
        (comparator == &sieve_comparator_octet || comparator == &sieve_comparator_ascii_casemap))
        return false;
    return compare(pattern, value) == 0;
}

static bool
contains(const SievePattern *pattern, SieveText value)
{
    View view;

    view_init(&view, pattern->matcher->comparator, value);

    bool found = memmem(view.bytes, view.len, pattern->key.bytes, pattern->key.len) != NULL;

    view_clear(&view);
    return found;
}

static bool
matches(const SievePattern *pattern, SieveText value, SieveArena *arena, SieveCaptures *captures)
{
    View view;

    view_init(&view, pattern->matcher->comparator, value);

    bool matched = glob_matches(pattern->glob, &view, arena, captures);

    view_clear(&view);
    return matched;
}

bool
sieve_pattern_match(const SievePattern *pattern, SieveText value, SieveArena *arena,
                    SieveCaptures *captures, guint64 *steps_inout, bool *matched_out,
                    GError **error)
{
    *steps_inout += 1 + value.len / 64;
    switch (pattern->matcher->type) {
    case SIEVE_MATCH_IS:
        *matched_out = is_equal(pattern, value);
        return true;
    case SIEVE_MATCH_CONTAINS:
        *matched_out = contains(pattern, value);
        return true;
    case SIEVE_MATCH_MATCHES:
        *matched_out = matches(pattern, value, arena, captures);
        return true;
    case SIEVE_MATCH_VALUE:
        *matched_out = sieve_relation_holds(pattern->matcher->relation, compare(pattern, value));
        return true;
    case SIEVE_MATCH_REGEX: {
        gint64 begun = g_get_monotonic_time();
        bool ok = sieve_regex_match(pattern->regex, value, arena, captures, matched_out, error);

        /* PCRE2 does not tell how far it went; so that slow patterns are noticed, a tenth of a
         * millisecond counts as ten steps. */
        *steps_inout += (guint64)(g_get_monotonic_time() - begun) / 10;
        return ok;
    }
    case SIEVE_MATCH_COUNT:
    case SIEVE_MATCH_LIST:
        break;
    }
    g_assert_not_reached();
}
