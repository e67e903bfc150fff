/* sieve/fuzz_script.c - any bytes as a script: lexer, parser and checker
 *
 * Besides not crashing: what does not compile has an error, and its place is one of the text; what
 * compiles has no error, compiles again to the same, and is bound to definitions everywhere.
 */
#include "lodge.h"

#include "sieve/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_complaints(const GPtrArray *complaints, unsigned lines)
{
    for (guint i = 0; i < complaints->len; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];

        g_assert(complaint->line >= 1 && complaint->line <= lines);
        g_assert(complaint->column >= 1);
        g_assert(g_utf8_validate(complaint->text, -1, NULL) && complaint->text[0] != '\0');
        g_assert(strchr(complaint->text, '\n') == NULL);
    }
}

static size_t
count_nodes(const SieveNode *node)
{
    size_t count = 0;

    for (; node != NULL; node = node->next) {
        g_assert(node->command != NULL);
        count += 1 + count_nodes(node->block);
        for (size_t i = 0; i < node->test_count; i++)
            count += count_nodes(node->tests[i]);
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    SieveSettings settings;
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(GPtrArray) again = sieve_complaints_new();
    unsigned lines = 1;

    sieve_settings_init(&settings);
    settings.programs = true;
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';

    g_autoptr(SieveScript) script =
        sieve_script_compile("fuzz", (const char *)bytes, len, &settings, complaints);
    g_autoptr(SieveScript) second =
        sieve_script_compile("fuzz", (const char *)bytes, len, &settings, again);

    g_assert((script == NULL) == (sieve_complaints_errors(complaints) > 0));
    g_assert((script == NULL) == (second == NULL) && complaints->len == again->len);
    check_complaints(complaints, lines);
    if (script != NULL)
        g_assert(count_nodes(sieve_script_first(script)) ==
                 count_nodes(sieve_script_first(second)));
    sieve_settings_clear(&settings);
    return 0;
}
