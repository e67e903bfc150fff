/* sieve/core_commands.c - the commands of RFC 5228 sections 3 and 4, and "fileinto"
 *
 * require, if, elsif, else and stop are here as rows of the table only: eval.c and check.c
 * know them. The actions make a SieveAction each.
 */
#include "sieve/dsn.h"
#include "sieve/extensions.h"
#include "sieve/extlists.h"

static bool
run_keep(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_KEEP);

    sieve_run_trace(run, node, "keep");
    return sieve_action_take_tags(run, node, action, error) && sieve_action_add(run, action, error);
}

static bool
run_discard(SieveRun *run, const SieveNode *node, GError **error)
{
    sieve_run_trace(run, node, "discard");
    return sieve_action_add(run, sieve_action_new(run, node, SIEVE_ACTION_DISCARD), error);
}

static void
check_fileinto(SieveCheck *check, SieveNode *node)
{
    const SieveString *mailbox = &node->values[0]->strings[0];

    if (mailbox->pieces == NULL && mailbox->text.len == 0)
        sieve_check_error(check, mailbox->line, mailbox->column,
                          "fileinto needs the name of a mailbox");
}

static bool
run_fileinto(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_FILEINTO);
    SieveText mailbox = sieve_run_first(run, node->values[0]);

    if (strlen(mailbox.bytes) != mailbox.len)
        return sieve_run_fail(run, error, "the name of a mailbox cannot contain NUL");
    action->mailbox = (char *)mailbox.bytes;
    sieve_run_trace(run, node, "fileinto \"%s\"", action->mailbox);
    return sieve_action_take_tags(run, node, action, error) && sieve_action_add(run, action, error);
}

/* ---- redirect ----------------------------------------------------------------- */

static void
check_redirect(SieveCheck *check, SieveNode *node)
{
    const SieveString *text = &node->values[0]->strings[0];
    SieveAddress address;

    if (text->pieces != NULL || sieve_node_tag(node, "list") != NULL)
        return;
    if (!sieve_address_parse(sieve_check_scratch(check), text->text, &address) ||
        address.domain.len == 0)
        sieve_check_error(check, text->line, text->column,
                          "'%s' is no address to redirect to: it is written like "
                          "\"ana@example.org\"",
                          text->text.bytes);
}

bool
sieve_redirect_add(SieveRun *run, const SieveNode *node, SieveText to, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_REDIRECT);
    SieveAddress address;

    if (!sieve_address_parse(sieve_run_arena(run), to, &address) || address.domain.len == 0)
        return sieve_run_fail(run, error, "'%s' is no address to redirect to", to.bytes);

    g_autofree char *formatted = sieve_address_format(&address);

    action->address = sieve_arena_strdup(sieve_run_arena(run), formatted);
    sieve_run_trace(run, node, "redirect \"%s\"", action->address);
    return sieve_action_take_tags(run, node, action, error) &&
           sieve_redirect_take_dsn(run, node, action, error) &&
           sieve_action_add(run, action, error);
}

static bool
run_redirect(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveText to = sieve_run_first(run, node->values[0]);

    if (sieve_node_tag(node, "list") != NULL)
        return sieve_redirect_to_list(run, node, to, error);
    return sieve_redirect_add(run, node, to, error);
}

/* ---- tables ------------------------------------------------------------------- */

static const SieveCommand commands[] = {
    {.name = "require", .traits = SIEVE_IS_CONTROL, .signature = "S"},
    {.name = "if",
     .traits = SIEVE_IS_CONTROL | SIEVE_TAKES_TEST | SIEVE_TAKES_BLOCK,
     .signature = ""},
    {.name = "elsif",
     .traits = SIEVE_IS_CONTROL | SIEVE_TAKES_TEST | SIEVE_TAKES_BLOCK,
     .signature = ""},
    {.name = "else", .traits = SIEVE_IS_CONTROL | SIEVE_TAKES_BLOCK, .signature = ""},
    {.name = "stop", .traits = SIEVE_IS_CONTROL, .signature = ""},
    {.name = "keep", .traits = SIEVE_TAKES_FLAGS, .signature = "", .run = run_keep},
    {.name = "discard", .signature = "", .run = run_discard},
    {.name = "redirect",
     .traits = SIEVE_TAKES_COPY | SIEVE_IS_REDIRECT,
     .signature = "s",
     .check = check_redirect,
     .run = run_redirect},
    {0},
};

const SieveExtension sieve_ext_core_commands = {.commands = commands};

static const SieveCommand fileinto_commands[] = {
    {.name = "fileinto",
     .traits = SIEVE_TAKES_FLAGS | SIEVE_TAKES_COPY | SIEVE_STORES,
     .signature = "s",
     .check = check_fileinto,
     .run = run_fileinto},
    {0},
};

const SieveExtension sieve_ext_fileinto = {.name = "fileinto", .commands = fileinto_commands};
