/* sieve/ext_extlists.c - "extlists": lists kept elsewhere (RFC 6134)
 *
 * A list is named by a URI; which there are, and who is on them, the host knows. :list is a
 * match type, matching.c asks for each value.
 */
#include "sieve/extlists.h"

#include "sieve/extensions.h"
#include "sieve/match.h"

#define URN "urn:ietf:params:sieve:"
#define DEFAULT_BOOK "addrbook:default"

static bool
host_knows(SieveRun *run, const char *name)
{
    const SieveHost *host = sieve_run_host(run);

    return host->list_known != NULL && host->list_known(host->data, name);
}

/* Section 2.5: ":x" is short for the URN of x, and the default address book is known by its name
 * in any case and encoding. NULL when name is no such URN. */
static const char *
urn_parameter(SieveRun *run, const char *name)
{
    SieveArena *arena = sieve_run_arena(run);
    const char *parameter = NULL;

    if (*name == ':')
        parameter = name + 1;
    else if (g_ascii_strncasecmp(name, URN, strlen(URN)) == 0)
        parameter = name + strlen(URN);
    if (parameter == NULL)
        return NULL;

    g_autofree char *decoded = g_uri_unescape_string(parameter, NULL);

    if (decoded != NULL && g_ascii_strcasecmp(decoded, DEFAULT_BOOK) == 0)
        return DEFAULT_BOOK;
    return sieve_arena_strdup(arena, parameter);
}

/* *name_out is what the host calls the list. False: there is none. */
static bool
find_list(SieveRun *run, SieveText text, const char **name_out)
{
    SieveArena *arena = sieve_run_arena(run);
    const char *parameter;

    if (strlen(text.bytes) != text.len)
        return false;
    if (host_knows(run, text.bytes)) {
        *name_out = text.bytes;
        return true;
    }
    parameter = urn_parameter(run, text.bytes);
    if (parameter == NULL)
        return false;

    g_autofree char *short_name = g_strconcat(":", parameter, NULL);
    g_autofree char *long_name = g_strconcat(URN, parameter, NULL);

    *name_out = NULL;
    if (host_knows(run, short_name))
        *name_out = sieve_arena_strdup(arena, short_name);
    else if (host_knows(run, long_name))
        *name_out = sieve_arena_strdup(arena, long_name);
    return *name_out != NULL || strcmp(parameter, DEFAULT_BOOK) == 0;
}

bool
sieve_list_find(SieveRun *run, SieveText name, const char **name_out, GError **error)
{
    return find_list(run, name, name_out) ||
           sieve_run_fail(run, error, "there is no list '%s'", name.bytes);
}

static bool
test_valid_ext_list(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    size_t count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &count);

    *result_out = true;
    for (size_t i = 0; i < count && *result_out; i++) {
        const char *name;

        *result_out = find_list(run, names[i], &name);
    }
    return sieve_run_step(run, count, error);
}

bool
sieve_redirect_to_list(SieveRun *run, const SieveNode *node, SieveText list, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    g_auto(GStrv) members = NULL;
    const char *name = NULL;

    if (!sieve_list_find(run, list, &name, error))
        return false;
    if (name == NULL || host->list_members == NULL)
        return sieve_run_fail(run, error, "the members of list '%s' are not known", list.bytes);
    if (!host->list_members(host->data, name, &members, error))
        return sieve_run_host_failed(run, error);
    for (size_t i = 0; members != NULL && members[i] != NULL; i++) {
        SieveText member = sieve_arena_text(sieve_run_arena(run), members[i], strlen(members[i]));

        if (!sieve_redirect_add(run, node, member, error))
            return false;
    }
    return true;
}

/* Section 2.2: how a list compares is its own matter. */
static void
check_list(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    if (sieve_node_tag(node, "comparator") != NULL)
        sieve_check_error(check, bound->line, bound->column, ":list takes no comparator");
}

static const SieveCommand commands[] = {
    {.name = "valid_ext_list", .traits = SIEVE_TEST, .signature = "S", .test = test_valid_ext_list},
    {0},
};

static const SieveTag tags[] = {
    {.name = "list",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_MATCH_TYPE,
     .value = SIEVE_MATCH_LIST,
     .check = check_list},
    {.name = "list", .traits = SIEVE_IS_REDIRECT},
    {0},
};

const SieveExtension sieve_ext_extlists = {.name = "extlists", .commands = commands, .tags = tags};
