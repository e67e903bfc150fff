/* sieve/sieve.c - action lists. See sieve.h. */
#include "sieve/sieve.h"

GArray *
sieve_implicit_keep(void)
{
    GArray *actions = g_array_new(false, false, sizeof(SieveAction));
    const SieveAction keep = {.kind = SIEVE_ACTION_KEEP};

    g_array_append_val(actions, keep);
    return actions;
}
