/* tests/sieve/rows.h - tables whose rows are tests of their own */
#ifndef LODGE_TESTS_SIEVE_ROWS_H
#define LODGE_TESTS_SIEVE_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/arena.h"

/* Appends a test for each row of a table; its name is the row's first member, a string. */
static inline void
add_rows(GArray *tests, const void *rows, size_t count, size_t size, CMUnitTestFunction check)
{
    for (size_t i = 0; i < count; i++) {
        const char *row = (const char *)rows + i * size;
        struct CMUnitTest test = {
            .name = *(const char *const *)(const void *)row,
            .test_func = check,
            .initial_state = (void *)row,
        };

        g_array_append_val(tests, test);
    }
}

#define ADD_ROWS(tests, rows, check) \
    add_rows((tests), (rows), G_N_ELEMENTS(rows), sizeof *(rows), (check))

static inline GArray *
new_tests(void)
{
    return g_array_new(FALSE, TRUE, sizeof(struct CMUnitTest));
}

/* Runs and frees them. */
static inline int
run_rows(const char *name, GArray *tests)
{
    int failed = _cmocka_run_group_tests(name, (struct CMUnitTest *)(void *)tests->data, tests->len,
                                         NULL, NULL);

    g_array_unref(tests);
    return failed;
}

static inline void
assert_text(SieveText text, const char *expected)
{
    assert_int_equal(text.bytes[text.len], 0);
    assert_string_equal(text.bytes, expected);
    assert_int_equal(text.len, strlen(expected));
}

#endif
