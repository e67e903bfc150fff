/* sieve/arena.c - memory that lives and dies together; see arena.h
 *
 * Blocks of growing size, filled from the front; what is too large for a block gets one of
 * its own. New memory is zeroed by calloc(), which costs nothing for fresh pages.
 */
#include "sieve/arena.h"

#include <stddef.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 256 * 1024, ALIGNMENT = _Alignof(max_align_t) };

typedef struct Block {
    struct Block *previous;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
} Block;

typedef struct Owned {
    struct Owned *previous;
    void *object;
    void (*release)(void *object);
} Owned;

struct SieveArena {
    Block *block; /* the one being filled */
    Owned *owned;
    size_t next_size;
    size_t allocated, ceiling;
};

SieveArena *
sieve_arena_new(size_t ceiling)
{
    SieveArena *arena = g_new0(SieveArena, 1);

    arena->next_size = FIRST_BLOCK;
    arena->ceiling = ceiling;
    return arena;
}

void
sieve_arena_free(SieveArena *arena)
{
    if (arena == NULL)
        return;
    for (Owned *owned = arena->owned; owned != NULL; owned = owned->previous)
        owned->release(owned->object);
    while (arena->block != NULL) {
        Block *previous = arena->block->previous;

        g_free(arena->block);
        arena->block = previous;
    }
    g_free(arena);
}

/* A block with room for size octets. A large one goes behind the block being filled, whose
 * rest stays in use. */
static Block *
add_block(SieveArena *arena, size_t size)
{
    bool is_large = size > arena->next_size / 4;
    size_t block_size = is_large ? size : arena->next_size;
    Block *block = g_malloc0(sizeof *block + block_size);

    block->size = block_size;
    if (is_large && arena->block != NULL) {
        block->previous = arena->block->previous;
        arena->block->previous = block;
        return block;
    }
    block->previous = arena->block;
    arena->block = block;
    arena->next_size = MIN(arena->next_size * 2, (size_t)LARGEST_BLOCK);
    return block;
}

void *
sieve_arena_alloc(SieveArena *arena, size_t size)
{
    g_assert(size <= SIZE_MAX / 2);
    size = (MAX(size, (size_t)1) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

    Block *block = arena->block;

    if (block == NULL || block->size - block->used < size)
        block = add_block(arena, size);

    void *memory = block->bytes + block->used;

    block->used += size;
    arena->allocated += size;
    return memory;
}

SieveText
sieve_arena_text(SieveArena *arena, const char *bytes, size_t len)
{
    char *copy = sieve_arena_alloc(arena, len + 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    return (SieveText){.bytes = copy, .len = len};
}

char *
sieve_arena_strdup(SieveArena *arena, const char *text)
{
    return text == NULL ? NULL : (char *)sieve_arena_text(arena, text, strlen(text)).bytes;
}

SieveText
sieve_arena_lf(SieveArena *arena, SieveText text)
{
    if (memmem(text.bytes, text.len, "\r\n", 2) == NULL)
        return text;

    SieveText copy = sieve_arena_text(arena, text.bytes, text.len);
    char *to = (char *)copy.bytes;

    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] != '\r' || i + 1 == text.len || text.bytes[i + 1] != '\n')
            *to++ = text.bytes[i];
    *to = '\0';
    copy.len = (size_t)(to - copy.bytes);
    return copy;
}

void
sieve_arena_own(SieveArena *arena, void *object, void (*release)(void *object))
{
    Owned *owned = sieve_arena_new0(arena, Owned, 1);

    *owned = (Owned){.previous = arena->owned, .object = object, .release = release};
    arena->owned = owned;
}

bool
sieve_arena_room(const SieveArena *arena, size_t size, GError **error)
{
    if (arena->ceiling == 0 ||
        (size <= arena->ceiling && arena->allocated <= arena->ceiling - size))
        return true;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT, "more than %zu octets of memory are needed",
                arena->ceiling);
    return false;
}
