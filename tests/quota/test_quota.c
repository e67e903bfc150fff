/* tests/quota/test_quota.c - what can be told without counting */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "quota/quota.h"

static void
no_limit_lets_every_size_pass(void **state)
{
    (void)state;
    assert_true(quota_check_size(&(QuotaLimits){0}, G_MAXUINT64, NULL));
}

static void
message_as_large_as_the_quota_passes_and_one_octet_more_is_full(void **state)
{
    const QuotaLimits limits = {.octets = 1000};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(quota_check_size(&limits, 1000, &error));
    assert_false(quota_check_size(&limits, 1001, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_lets_every_size_pass),
        cmocka_unit_test(message_as_large_as_the_quota_passes_and_one_octet_more_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
