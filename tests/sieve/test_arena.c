/* tests/sieve/test_arena.c - memory that lives and dies together */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/arena.h"

static void
memory_is_zeroed_aligned_and_does_not_overlap(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GPtrArray) pieces = g_ptr_array_new();

    (void)state;
    for (size_t size = 1; size < 20000; size = size * 3 + 1) {
        uint8_t *piece = sieve_arena_alloc(arena, size);

        assert_int_equal((uintptr_t)piece % sizeof(void *), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, (int)pieces->len + 1, size);
        g_ptr_array_add(pieces, piece);
    }
    size_t size = 1;
    for (guint i = 0; i < pieces->len; i++, size = size * 3 + 1) {
        const uint8_t *piece = pieces->pdata[i];

        assert_int_equal(piece[0], i + 1);
        assert_int_equal(piece[size - 1], i + 1);
    }
}

static void
room_ends_at_the_ceiling(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(1000);
    g_autoptr(GError) error = NULL;

    (void)state;
    (void)sieve_arena_alloc(arena, 400);
    assert_true(sieve_arena_room(arena, 600, &error));
    assert_false(sieve_arena_room(arena, 601, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT));
    assert_false(sieve_arena_room(arena, SIZE_MAX, NULL));
}

static void
count_release(void *object)
{
    ++*(int *)object;
}

static void
owned_objects_are_released_once(void **state)
{
    SieveArena *arena = sieve_arena_new(0);
    int released = 0;

    (void)state;
    sieve_arena_own(arena, &released, 0, count_release);
    assert_int_equal(released, 0);
    sieve_arena_free(arena);
    assert_int_equal(released, 1);
}

static void
tight_arena_takes_little_more_than_what_is_in_it(void **state)
{
    (void)state;
    for (size_t octets = 100; octets < 1000 * 1000; octets *= 10) {
        g_autoptr(SieveArena) arena = sieve_arena_new_tight();

        for (size_t done = 0; done < octets; done += 40)
            (void)sieve_arena_alloc(arena, 40);
        assert_true(sieve_arena_size(arena) >= octets);
        assert_true(sieve_arena_size(arena) < octets + octets / 5 + 1500);
    }
}

static void
size_counts_what_is_owned(void **state)
{
    SieveArena *arena = sieve_arena_new_tight();
    int released = 0;

    (void)state;
    sieve_arena_own(arena, &released, 0, count_release);

    size_t before = sieve_arena_size(arena);

    sieve_arena_own(arena, &released, 12345, count_release);
    assert_int_equal(sieve_arena_size(arena), before + 12345);
    sieve_arena_free(arena);
    assert_int_equal(released, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_does_not_overlap),
        cmocka_unit_test(room_ends_at_the_ceiling),
        cmocka_unit_test(owned_objects_are_released_once),
        cmocka_unit_test(tight_arena_takes_little_more_than_what_is_in_it),
        cmocka_unit_test(size_counts_what_is_owned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
