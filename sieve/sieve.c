/* sieve/sieve.c - the list of actions without a script. See sieve.h. */
#include "sieve/sieve.h"

GPtrArray *
sieve_implicit_keep(void)
{
    static SieveAction keep = {.kind = SIEVE_ACTION_KEEP, .implicit = true};
    GPtrArray *actions = g_ptr_array_new();

    g_ptr_array_add(actions, &keep);
    return actions;
}

G_DEFINE_QUARK(lodge_sieve_error, sieve_error)
