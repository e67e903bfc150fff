/* sieve/sieve.c - the domain of the engine's errors, which its modules share. See sieve.h. */
#include "sieve/sieve.h"

G_DEFINE_QUARK(lodge_sieve_error, sieve_error)
