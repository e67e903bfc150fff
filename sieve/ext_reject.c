/* sieve/ext_reject.c - "reject" and "ereject" (RFC 5429)
 *
 * Both refuse the message. Whether that is said in SMTP, or by a message of our own, is
 * decided where the action is carried out: only there it is known how the message came.
 * That neither goes with vacation, nor with another of its kind, is seen to by
 * sieve_action_add().
 */
#include "sieve/extensions.h"
#include "sieve/reply.h"

static bool
run_reject(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_REJECT);

    action->ereject = strcmp(node->command->name, "ereject") == 0;
    action->reason = sieve_reply_lines(sieve_run_arena(run), sieve_run_first(run, node->values[0]));
    action->in_reply_to = sieve_reply_message_id(run);
    action->references = sieve_reply_references(run);
    sieve_run_trace(run, node, "%s", node->command->name);
    return sieve_action_add(run, action, error);
}

static const SieveCommand reject_commands[] = {
    {.name = "reject", .signature = "s", .run = run_reject},
    {0},
};

static const SieveCommand ereject_commands[] = {
    {.name = "ereject", .signature = "s", .run = run_reject},
    {0},
};

const SieveExtension sieve_ext_reject = {.name = "reject", .commands = reject_commands};
const SieveExtension sieve_ext_ereject = {.name = "ereject", .commands = ereject_commands};
