/* sieve/ext_extlists.c - "extlists": lists kept elsewhere (RFC 6134)
 *
 * A list is named by a URI; which there are, and who is on them, the host knows. :list is a
 * match type, matching.c asks for each value.
 */
#include "sieve/extlists.h"

#include "sieve/extensions.h"
#include "sieve/match.h"

static bool
test_valid_ext_list(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    size_t count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &count);

    *result_out = host->list_known != NULL;
    for (size_t i = 0; i < count && *result_out; i++)
        *result_out = host->list_known(host->data, names[i].bytes);
    return sieve_run_step(run, count, error);
}

bool
sieve_redirect_to_list(SieveRun *run, const SieveNode *node, SieveText list, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    g_auto(GStrv) members = NULL;

    if (host->list_members == NULL || host->list_known == NULL ||
        !host->list_known(host->data, list.bytes))
        return sieve_run_fail(run, error, "there is no list '%s'", list.bytes);
    if (!host->list_members(host->data, list.bytes, &members, error))
        return sieve_run_host_failed(run, error);
    for (size_t i = 0; members != NULL && members[i] != NULL; i++) {
        SieveText member = sieve_arena_text(sieve_run_arena(run), members[i], strlen(members[i]));

        if (!sieve_redirect_add(run, node, member, error))
            return false;
    }
    return true;
}

static const SieveCommand commands[] = {
    {.name = "valid_ext_list", .traits = SIEVE_TEST, .signature = "S", .test = test_valid_ext_list},
    {0},
};

static const SieveTag tags[] = {
    {.name = "list",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_MATCH_TYPE,
     .value = SIEVE_MATCH_LIST},
    {.name = "list", .traits = SIEVE_IS_REDIRECT},
    {0},
};

const SieveExtension sieve_ext_extlists = {.name = "extlists", .commands = commands, .tags = tags};
