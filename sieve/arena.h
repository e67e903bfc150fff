/* sieve/arena.h - memory that lives and dies together
 *
 * The nodes of a script, and the values of one run, each come from one arena: none is
 * freed alone. An arena has a ceiling; what would pass it is refused by
 * sieve_arena_room(), which whoever lets a script or message choose a size asks first.
 */
#ifndef LODGE_SIEVE_ARENA_H
#define LODGE_SIEVE_ARENA_H

#include "lodge.h"
#include "sieve/sieve.h"

typedef struct SieveArena SieveArena;

SieveArena *sieve_arena_new(size_t ceiling); /* octets in all; 0: none */
SieveArena *sieve_arena_new_tight(void);     /* for what is kept long: little of it stays unused */
void sieve_arena_free(SieveArena *arena);    /* NULL is fine */

/* Zeroed memory, aligned for pointers and numbers; for octets only, which need no alignment. */
char *sieve_arena_octets(SieveArena *arena, size_t size);
void *sieve_arena_alloc(SieveArena *arena, size_t size);
#define sieve_arena_new0(arena, type, count) \
    ((type *)sieve_arena_alloc((arena), sizeof(type) * (size_t)(count)))

/* Copies, NUL-terminated. */
SieveText sieve_arena_text(SieveArena *arena, const char *bytes, size_t len);
char *sieve_arena_strdup(SieveArena *arena, const char *text); /* NULL gives NULL */

/* A copy with LF for each CRLF; text itself when there is none. */
SieveText sieve_arena_lf(SieveArena *arena, SieveText text);

/* Calls release(object) when the arena is freed: for what libraries allocate. size is what it takes
 * of memory, as far as that is worth counting. */
void sieve_arena_own(SieveArena *arena, void *object, size_t size, void (*release)(void *object));

/* Octets of memory that the arena and what it owns take, unused rests included. */
size_t sieve_arena_size(const SieveArena *arena);

/* False with SIEVE_ERROR_LIMIT when size more octets would pass the ceiling. */
bool sieve_arena_room(const SieveArena *arena, size_t size, GError **error);

/* A text with the characters of a C string; borrowed. */
static inline SieveText
sieve_text(const char *string)
{
    return (SieveText){.bytes = string, .len = strlen(string)};
}

static inline bool
sieve_text_equal(SieveText a, SieveText b)
{
    return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SieveArena, sieve_arena_free)
#endif
