/* sieve/ext_fcc.c - "fcc": file a copy of what vacation and notify send (RFC 8580)
 *
 * One tag. Its companions (:flags, :create, :specialuse, :mailboxid) are those of
 * fileinto and come from their own extensions; sieve_action_take_tags() reads them all
 * into action->fcc, and lda/ files the bytes that were sent.
 */
#include "sieve/fcc.h"

#include "sieve/extensions.h"

void
sieve_fcc_check(SieveCheck *check, const SieveNode *node)
{
    static const char *const companions[] = {"flags", "create", "specialuse", "mailboxid"};

    if (sieve_node_tag(node, "fcc") != NULL)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(companions); i++) {
        const SieveBoundTag *bound = sieve_node_tag(node, companions[i]);

        /* RFC 8580 section 3.2: FCC is ":fcc" with its options. */
        if (bound != NULL)
            sieve_check_error(check, bound->line, bound->column, ":%s of \"%s\" needs :fcc",
                              companions[i], node->command->name);
    }
}

static const SieveTag tags[] = {
    {.name = "fcc", .traits = SIEVE_TAKES_FCC, .argument = 's'},
    {0},
};

const SieveExtension sieve_ext_fcc = {.name = "fcc", .tags = tags};
