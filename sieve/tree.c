/* sieve/tree.c - a script as a tree. See tree.h. */
#include "sieve/tree.h"

#include "sieve/extension.h"

size_t
sieve_slot_count(const SieveCommand *command)
{
    size_t count = 0;

    for (const char *p = command->signature; *p != '\0'; p++)
        count += *p != '?';
    return count;
}

const SieveBoundTag *
sieve_node_tag(const SieveNode *node, const char *name)
{
    for (size_t i = 0; i < node->tag_count; i++)
        if (strcmp(node->tags[i].tag->name, name) == 0)
            return &node->tags[i];
    return NULL;
}
