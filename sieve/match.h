/* sieve/match.h - does this value match that key?
 *
 * RFC 5228 section 2.7 (:is, :contains, :matches), RFC 5231 (:value, :count), the regex
 * draft (:regex, PCRE2). Comparators: RFC 4790 and RFC 5051 (comparator.h). :matches
 * is linear in the value for each key, whatever the pattern, and captures as RFC 5229
 * section 3.2 says (the shortest first).
 */
#ifndef LODGE_SIEVE_MATCH_H
#define LODGE_SIEVE_MATCH_H

#include "lodge.h"
#include "sieve/arena.h"
#include "sieve/comparator.h"

typedef enum {
    SIEVE_MATCH_IS,
    SIEVE_MATCH_CONTAINS,
    SIEVE_MATCH_MATCHES,
    SIEVE_MATCH_REGEX,
    SIEVE_MATCH_VALUE,
    SIEVE_MATCH_COUNT,
    SIEVE_MATCH_LIST,
} SieveMatchType;

typedef enum { SIEVE_GT, SIEVE_GE, SIEVE_LT, SIEVE_LE, SIEVE_EQ, SIEVE_NE } SieveRelation;

typedef struct SieveMatcher {
    SieveMatchType type;
    SieveRelation relation; /* of :value and :count */
    const SieveComparator *comparator;
} SieveMatcher;

/* "gt", "GE", ...; false: no such relation. */
bool sieve_relation_parse(SieveText name, SieveRelation *relation_out);

/* A key made ready for a matcher; immutable. */
typedef struct SievePattern SievePattern;

/* Fails with SIEVE_ERROR_RUNTIME for a regular expression that is none. From arena; matcher is
 * borrowed for its life. */
SievePattern *sieve_pattern_new(SieveArena *arena, const SieveMatcher *matcher, SieveText key,
                                GError **error);

/* What :matches and :regex captured: values[0] is the whole. */
typedef struct {
    SieveText values[33];
    size_t count;
} SieveCaptures;

/* *steps_inout grows with the work done. captures may be NULL; they are set on a match and
 * live as long as arena. Not for SIEVE_MATCH_COUNT and LIST. Fails with SIEVE_ERROR_LIMIT
 * when a regular expression passes its own limit. */
bool sieve_pattern_match(const SievePattern *pattern, SieveText value, SieveArena *arena,
                         SieveCaptures *captures, guint64 *steps_inout, bool *matched_out,
                         GError **error);

/* Two numbers (for :count): whether "a relation b" holds. */
bool sieve_relation_holds(SieveRelation relation, int comparison);

#endif
