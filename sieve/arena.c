/* sieve/arena.c - memory that lives and dies together; see arena.h
 *
 * Blocks of growing size, filled from the front; what is too large for a block gets one of
 * its own. New memory is zeroed by calloc(), which costs nothing for fresh pages.
 */
#include "sieve/arena.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Nothing here needs more alignment than a pointer. */
enum {
    FIRST_BLOCK = 4096,
    SMALLEST_BLOCK = 1024,
    LARGEST_BLOCK = 256 * 1024,
    ALIGNMENT = sizeof(void *)
};

typedef struct Block {
    struct Block *previous;
    size_t size, used;
    _Alignas(void *) char bytes[];
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
    bool is_tight;             /* next_size is an eighth of what is held */
    size_t allocated, ceiling; /* what was asked for */
    size_t held;               /* what blocks and owned objects take */
};

SieveArena *
sieve_arena_new(size_t ceiling)
{
    SieveArena *arena = g_new0(SieveArena, 1);

    arena->next_size = FIRST_BLOCK;
    arena->ceiling = ceiling;
    return arena;
}

SieveArena *
sieve_arena_new_tight(void)
{
    SieveArena *arena = sieve_arena_new(0);

    arena->next_size = SMALLEST_BLOCK;
    arena->is_tight = true;
    return arena;
}

size_t
sieve_arena_size(const SieveArena *arena)
{
    return sizeof *arena + arena->held;
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

/* A block that will be filled gets its pages at once. A fault for each page costs as much as what
 * the compiler does with it, in a virtual machine ten times that. An old kernel refuses, and they
 * come one by one. */
static void
populate(Block *block, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skipped = -(uintptr_t)block & (page - 1);

    if (size > skipped)
        (void)madvise((char *)block + skipped, (size - skipped) & ~(page - 1), MADV_POPULATE_WRITE);
#endif
}

static size_t
next_size(const SieveArena *arena)
{
    return arena->is_tight ? CLAMP(arena->held / 8, (size_t)SMALLEST_BLOCK, (size_t)LARGEST_BLOCK)
                           : MIN(arena->next_size * 2, (size_t)LARGEST_BLOCK);
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
    arena->held += sizeof *block + block_size;
    if (block_size >= LARGEST_BLOCK)
        populate(block, block_size);
    if (is_large && arena->block != NULL) {
        block->previous = arena->block->previous;
        arena->block->previous = block;
        return block;
    }
    block->previous = arena->block;
    arena->block = block;
    arena->next_size = next_size(arena);
    return block;
}

char *
sieve_arena_octets(SieveArena *arena, size_t size)
{
    Block *block = arena->block;

    g_assert(size <= SIZE_MAX / 2);
    if (block == NULL || block->size - block->used < size)
        block = add_block(arena, size);

    char *memory = block->bytes + block->used;

    block->used += size;
    arena->allocated += size;
    return memory;
}

void *
sieve_arena_alloc(SieveArena *arena, size_t size)
{
    Block *block = arena->block;

    if (block != NULL)
        block->used = MIN((block->used + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1), block->size);
    return sieve_arena_octets(arena, MAX(size, (size_t)1));
}

SieveText
sieve_arena_text(SieveArena *arena, const char *bytes, size_t len)
{
    char *copy = sieve_arena_octets(arena, len + 1);

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
sieve_arena_own(SieveArena *arena, void *object, size_t size, void (*release)(void *object))
{
    Owned *owned = sieve_arena_new0(arena, Owned, 1);

    *owned = (Owned){.previous = arena->owned, .object = object, .release = release};
    arena->owned = owned;
    arena->allocated += size;
    arena->held += size;
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
