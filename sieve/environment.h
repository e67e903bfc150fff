/* sieve/environment.h - what is known of where a script runs (RFC 5183) */
#ifndef LODGE_SIEVE_ENVIRONMENT_H
#define LODGE_SIEVE_ENVIRONMENT_H

#include "lodge.h"
#include "sieve/run.h"

/* The value of an item, in any case of letters; NULL: unknown. Lives as long as the run. */
const char *sieve_environment_get(SieveRun *run, SieveText item);
/* The item that the variable ${env.name} names. */
const char *sieve_environment_variable(SieveRun *run, SieveText name);

#endif
