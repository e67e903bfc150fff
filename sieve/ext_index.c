/* sieve/ext_index.c - "index": :index and :last (RFC 5260 section 6); see index.h */
#include "sieve/index.h"

#include "sieve/extensions.h"

/* Those of one name, into fields; NULL: only counted. */
static size_t
collect(SieveMessage *message, SieveText name, SieveField **fields)
{
    size_t position = 0, count = 0;
    SieveField *field;

    while ((field = sieve_message_next_field(message, name, &position)) != NULL) {
        if (fields != NULL)
            fields[count] = field;
        count++;
    }
    return count;
}

SieveField *const *
sieve_index_fields(SieveRun *run, const SieveNode *node, SieveMessage *message,
                   const SieveText *names, size_t name_count, size_t *count_out)
{
    const SieveBoundTag *index = sieve_node_tag(node, "index");
    bool is_last = sieve_node_tag(node, "last") != NULL;
    size_t total = 0, at = 0;

    for (size_t i = 0; i < name_count; i++)
        total += collect(message, names[i], NULL);

    SieveField **fields = sieve_arena_new0(sieve_run_arena(run), SieveField *, total);

    for (size_t i = 0; i < name_count; i++)
        at += collect(message, names[i], fields + at);
    *count_out = total;
    if (index == NULL)
        return fields;

    guint64 number = index->value->number;

    *count_out = number >= 1 && number <= total;
    if (*count_out == 0)
        return fields;
    return fields + (is_last ? total - number : number - 1);
}

void
sieve_index_check(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *index = sieve_node_tag(node, "index");
    const SieveBoundTag *last = sieve_node_tag(node, "last");

    if (last != NULL && index == NULL)
        sieve_check_error(check, last->line, last->column, ":last needs :index");
    if (index != NULL && index->value->number == 0)
        sieve_check_error(check, index->line, index->column, ":index counts from 1");
}

static const SieveTag tags[] = {
    {.name = "index", .traits = SIEVE_TAKES_INDEX, .argument = 'n'},
    {.name = "last", .traits = SIEVE_TAKES_INDEX},
    {.name = NULL},
};

const SieveExtension sieve_ext_index = {.name = "index", .tags = tags};
