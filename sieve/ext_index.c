/* sieve/ext_index.c - "index": :index and :last (RFC 5260 section 6); see index.h */
#include "sieve/index.h"

#include "sieve/extensions.h"

static void
find_next(SieveIndex *index)
{
    for (;; index->name++, index->position = 0) {
        index->next = index->name == index->name_count
                          ? NULL
                          : sieve_message_next_field(index->message, index->names[index->name],
                                                     &index->position);
        if (index->next != NULL || index->name == index->name_count)
            return;
    }
}

void
sieve_index_next(SieveIndex *index)
{
    if (index->is_single)
        index->next = NULL;
    else
        find_next(index);
}

static guint64
count_all(SieveIndex index)
{
    guint64 count = 0;

    for (find_next(&index); index.next != NULL; find_next(&index))
        count++;
    return count;
}

void
sieve_index_begin(SieveIndex *index, const SieveNode *node, SieveMessage *message,
                  const SieveText *names, size_t name_count)
{
    const SieveBoundTag *tag = sieve_node_tag(node, "index");
    guint64 number = tag == NULL ? 1 : tag->value->number;

    *index = (SieveIndex){
        .message = message, .names = names, .name_count = name_count, .is_single = tag != NULL};
    if (sieve_node_tag(node, "last") != NULL) {
        guint64 count = count_all(*index);

        number = number <= count ? count + 1 - number : 0;
    }
    if (number == 0) /* of :index 0 the checker has complained */
        return;
    do
        find_next(index);
    while (--number > 0 && index->next != NULL);
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
