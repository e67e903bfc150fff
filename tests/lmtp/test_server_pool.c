/* tests/lmtp/test_server_pool.c - how many workers, and how soon after a death */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lmtp/server_pool.h"

typedef struct {
    const char *behaviour;
    unsigned busy;
    unsigned minimum;
    unsigned maximum;
    unsigned wanted;
} Row;

static const Row rows[] = {
    {"idle_server_keeps_the_minimum", 0, 4, 64, 4},
    {"one_connection_still_fits_the_minimum", 1, 4, 64, 4},
    {"full_minimum_gets_a_spare_worker", 4, 4, 64, 6},
    {"spare_workers_grow_with_the_load", 40, 4, 64, 51},
    {"maximum_is_never_exceeded", 64, 4, 64, 64},
    {"one_worker_may_be_all", 1, 1, 1, 1},
    {"single_minimum_has_a_spare_one", 1, 1, 2, 2},
};

static void
check_row(void **state)
{
    const Row *row = *state;

    assert_int_equal(pool_wanted(row->busy, row->minimum, row->maximum), row->wanted);
}

static void
first_death_is_replaced_at_once(void **state)
{
    (void)state;
    assert_int_equal(pool_backoff_us(0), 0);
    assert_int_equal(pool_backoff_us(1), 0);
}

static void
deaths_in_a_row_wait_longer_each_time_up_to_ten_seconds(void **state)
{
    (void)state;
    assert_int_equal(pool_backoff_us(2), 100000);
    for (unsigned deaths = 2; deaths < 8; deaths++)
        assert_int_equal(pool_backoff_us(deaths + 1), 2 * pool_backoff_us(deaths));
    assert_int_equal(pool_backoff_us(9), 10000000);
    assert_int_equal(pool_backoff_us(G_MAXUINT), 10000000);
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(first_death_is_replaced_at_once),
        cmocka_unit_test(deaths_in_a_row_wait_longer_each_time_up_to_ten_seconds),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
