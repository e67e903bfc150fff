/* sieve/ext_ihave.c - "ihave": the test ihave and the command error (RFC 5463)
 *
 * What ihave answers is known when the script is compiled; check.c then leaves out what an
 * extension guards that is not here. RFC 5463 section 4: a true ihave counts as a require
 * from there on; extensions that change how the script itself is read are never enabled by
 * it.
 */
#include "sieve/extensions.h"

static bool
is_available(SieveCheck *check, SieveText name)
{
    static const char *const changing_the_language[] = {"variables", "encoded-character"};

    for (size_t i = 0; i < G_N_ELEMENTS(changing_the_language); i++)
        if (sieve_text_equal(name, sieve_text(changing_the_language[i])))
            return sieve_check_is_required(check, changing_the_language[i]);
    return sieve_check_is_known(check, name);
}

static void
check_ihave(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *names = node->values[0];
    bool is_true = true;

    if (!sieve_check_constant(check, names, "the name of an extension"))
        return;
    for (size_t i = 0; i < names->string_count; i++)
        is_true = is_true && is_available(check, names->strings[i].text);
    for (size_t i = 0; is_true && i < names->string_count; i++)
        sieve_check_require(check, names->strings[i].text.bytes);
    sieve_check_set_value(check, is_true);
    node->data = is_true ? node : NULL;
}

static bool
test_ihave(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    (void)run;
    (void)error;
    *result_out = node->data != NULL;
    return true;
}

static bool
run_error(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveText message = sieve_run_first(run, node->values[0]);

    return sieve_run_fail(run, error, "%s", message.bytes);
}

static const SieveCommand commands[] = {
    {
        .name = "ihave",
        .traits = SIEVE_TEST,
        .signature = "S",
        .check = check_ihave,
        .test = test_ihave,
    },
    {.name = "error", .signature = "s", .run = run_error},
    {.name = NULL},
};

const SieveExtension sieve_ext_ihave = {.name = "ihave", .commands = commands};
