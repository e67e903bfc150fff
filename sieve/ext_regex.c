/* sieve/ext_regex.c - "regex": the match type :regex (draft-murchison-sieve-regex); regex.h */
#include "sieve/extensions.h"

static const SieveTag tags[] = {
    {
        .name = "regex",
        .traits = SIEVE_TAKES_MATCH,
        .group = SIEVE_GROUP_MATCH_TYPE,
        .value = SIEVE_MATCH_REGEX,
    },
    /* Draft section 4: beside "variables". */
    {.name = "quoteregex", .commands = {"set", "extracttext"}, .value = 20},
    {.name = NULL},
};

const SieveExtension sieve_ext_regex = {.name = "regex", .tags = tags};
