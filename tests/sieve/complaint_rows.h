/* tests/sieve/complaint_rows.h - scripts and what the compiler says about them, as rows */
#ifndef LODGE_TESTS_SIEVE_COMPLAINT_ROWS_H
#define LODGE_TESTS_SIEVE_COMPLAINT_ROWS_H

#include "sieve/sieve.h"

/* Each complaint that is expected, in order: "line:column: " and the beginning of its text. None:
 * the script is good. */
typedef struct {
    const char *behaviour;
    const char *script;
    const char *complaints[6];
} ComplaintRow;

static inline void
check_complaint_row(void **state)
{
    const ComplaintRow *row = *state;
    SieveSettings settings;
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();

    sieve_settings_init(&settings);

    g_autoptr(SieveScript) script =
        sieve_script_compile("main", row->script, strlen(row->script), &settings, complaints);
    size_t expected = 0;

    while (expected < G_N_ELEMENTS(row->complaints) && row->complaints[expected] != NULL)
        expected++;
    for (guint i = 0; i < MAX(complaints->len, expected); i++) {
        const SieveComplaint *complaint = i < complaints->len ? complaints->pdata[i] : NULL;
        g_autofree char *text =
            complaint == NULL
                ? g_strdup("nothing")
                : g_strdup_printf("%u:%u: %s", complaint->line, complaint->column, complaint->text);

        if (i >= expected || !g_str_has_prefix(text, row->complaints[i]))
            fail_msg("expected: %s\n    said: %s", i < expected ? row->complaints[i] : "nothing",
                     text);
    }
    assert_int_equal(script == NULL, sieve_complaints_errors(complaints) > 0);
    sieve_settings_clear(&settings);
}

#define RUN_COMPLAINT_ROWS(rows)                                                     \
    do {                                                                             \
        static struct CMUnitTest row_tests[G_N_ELEMENTS(rows)];                      \
                                                                                     \
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)                              \
            row_tests[i] = (struct CMUnitTest){.name = (rows)[i].behaviour,          \
                                               .test_func = check_complaint_row,     \
                                               .initial_state = (void *)&(rows)[i]}; \
        failed += cmocka_run_group_tests(row_tests, NULL, NULL);                     \
    } while (0)

#endif
