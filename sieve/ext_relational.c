/* sieve/ext_relational.c - "relational": :value and :count (RFC 5231)
 *
 * The relation is part of the script: it cannot come from a variable, which RFC 5229
 * section 3 rules out by its grammar ("relational-match").
 */
#include "sieve/extensions.h"

static void
check_relation(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    const SieveString *name = &bound->value->strings[0];
    SieveRelation relation;

    (void)node;
    if (name->pieces != NULL || !sieve_relation_parse(name->text, &relation))
        sieve_check_error(check, name->line, name->column,
                          "'%s' is no relation: one of \"gt\", \"ge\", \"lt\", \"le\", \"eq\" and "
                          "\"ne\" must follow :%s",
                          name->text.bytes, bound->tag->name);
}

static const SieveTag tags[] = {
    {
        .name = "value",
        .traits = SIEVE_TAKES_MATCH,
        .group = SIEVE_GROUP_MATCH_TYPE,
        .argument = 's',
        .value = SIEVE_MATCH_VALUE,
        .check = check_relation,
    },
    {
        .name = "count",
        .traits = SIEVE_TAKES_MATCH,
        .group = SIEVE_GROUP_MATCH_TYPE,
        .argument = 's',
        .value = SIEVE_MATCH_COUNT,
        .check = check_relation,
    },
    {.name = NULL},
};

const SieveExtension sieve_ext_relational = {.name = "relational", .tags = tags};
