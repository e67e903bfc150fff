/* sieve/regex.h - regular expressions of the regex draft
 *
 * POSIX extended regular expressions, with the escapes of GNU (\w \s \b ...) and what real
 * scripts use of Perl's: (?i) (?:...) (?=...) (?!...). Anything else is refused at compile
 * time. UTF-8; a dot matches no line end; ^ and $ match at every line.
 */
#ifndef LODGE_SIEVE_REGEX_H
#define LODGE_SIEVE_REGEX_H

#include "lodge.h"
#include "sieve/arena.h"
#include "sieve/match.h"

typedef struct SieveRegex SieveRegex;

typedef enum {
    SIEVE_REGEX_EXACT,        /* i;octet */
    SIEVE_REGEX_ASCII_CASE,   /* i;ascii-casemap: letters of ASCII without regard to case */
    SIEVE_REGEX_UNICODE_CASE, /* i;unicode-casemap: all letters */
} SieveRegexCase;

/* Fails with SIEVE_ERROR_RUNTIME when text is no regular expression. From arena. */
SieveRegex *sieve_regex_new(SieveArena *arena, SieveText text, SieveRegexCase letter_case,
                            GError **error);

/* Leftmost; captures, when wanted, are of the longest match, as POSIX has it. Fails with
 * SIEVE_ERROR_LIMIT when the match takes too long. */
bool sieve_regex_match(const SieveRegex *regex, SieveText value, SieveArena *arena,
                       SieveCaptures *captures, bool *matched_out, GError **error);

#endif
