/* sieve/ext_environment.c - "environment" (RFC 5183), and what Dovecot's scripts know of theirs
 *
 * vnd.dovecot.environment adds items, and the variables ${env.NAME}; vnd.dovecot.debug
 * writes a line for people.
 */
#include "sieve/environment.h"
#include "sieve/extensions.h"
#include "sieve/script.h"

const char *
sieve_environment_get(SieveRun *run, SieveText item)
{
    static const struct {
        const char *item;
        const char *value;
    } own[] = {
        {"name", "lodge"},
        {"version", LODGE_VERSION},
        {"location", "MS"},  /* section 4.1: while the message is stored */
        {"phase", "during"}, /* of delivery */
        {"vnd.dovecot.default-mailbox", "INBOX"},
    };
    const SieveHost *host = sieve_run_host(run);
    g_autofree char *lower = g_ascii_strdown(item.bytes, (gssize)item.len);

    if (g_str_has_prefix(lower, "vnd.dovecot.") &&
        !sieve_script_has_required(sieve_run_script_now(run), "vnd.dovecot.environment"))
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        if (strcmp(own[i].item, lower) == 0)
            return own[i].value;
    }
    return host->environment != NULL ? host->environment(host->data, lower) : NULL;
}

/* Names of variables have no "-": items have it where the variable has "_"
 * (spec-bosch-sieve-dovecot-environment section 4). */
const char *
sieve_environment_variable(SieveRun *run, SieveText name)
{
    const char *value = sieve_environment_get(run, name);
    g_autofree char *item = g_strndup(name.bytes, name.len);

    if (value != NULL || strchr(item, '_') == NULL)
        return value;
    g_strdelimit(item, "_", '-');
    return sieve_environment_get(run, sieve_text(item));
}

/* An unknown item never matches, not even :count "0"; the count of an empty one is 0
 * (section 4). */
static bool
test_environment(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMatching matching;
    const char *value = sieve_environment_get(run, sieve_run_first(run, node->values[0]));

    *result_out = false;
    if (value == NULL)
        return true;
    if (!sieve_matching_begin(run, node, node->values[1], &matching, error))
        return false;
    if ((node->matcher->type != SIEVE_MATCH_COUNT || *value != '\0') &&
        !sieve_matching_value(&matching, sieve_text(value), error))
        return false;
    return sieve_matching_end(&matching, result_out, error);
}

static bool
run_debug_log(SieveRun *run, const SieveNode *node, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    SieveText text = sieve_run_first(run, node->values[0]);

    (void)error;
    sieve_run_trace(run, node, "debug_log \"%s\"", text.bytes);
    if (host->debug != NULL)
        host->debug(host->data, text.bytes);
    return true;
}

static const SieveCommand environment_commands[] = {
    {.name = "environment",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
     .signature = "sS",
     .test = test_environment},
    {0},
};

const SieveExtension sieve_ext_environment = {.name = "environment",
                                              .commands = environment_commands};

static const char *const environment_only[] = {"environment", NULL};

const SieveExtension sieve_ext_vnd_dovecot_environment = {.name = "vnd.dovecot.environment",
                                                          .implies = environment_only};

static const SieveCommand debug_commands[] = {
    {.name = "debug_log", .signature = "s", .run = run_debug_log}, {0}};

const SieveExtension sieve_ext_vnd_dovecot_debug = {.name = "vnd.dovecot.debug",
                                                    .commands = debug_commands};
