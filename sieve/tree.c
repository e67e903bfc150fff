/* sieve/tree.c - a script as a tree. See tree.h. */
#include "sieve/tree.h"

#include "sieve/extension.h"

const SieveBoundTag *
sieve_node_tag(const SieveNode *node, const char *name)
{
    for (size_t i = 0; i < node->tag_count; i++)
        if (strcmp(node->tags[i].tag->name, name) == 0)
            return &node->tags[i];
    return NULL;
}
