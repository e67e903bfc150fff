/* sieve/libsieve.h - scripts that are run by libsieve in the stead of this engine
 *
 *   libsieve_subset.c   what of the language libsieve may be given
 *   libsieve_run.c      a script put in its words, and its answer taken back
 */
#ifndef LODGE_SIEVE_LIBSIEVE_H
#define LODGE_SIEVE_LIBSIEVE_H

#include "lodge.h"
#include "sieve/run.h"

/* As the tree walk of eval.c, for a script that sieve_libsieve_check() has found good and a host
 * that has libsieve. */
bool sieve_libsieve_eval(SieveRun *run, const SieveScript *script, GError **error);

/* For sieve_matching_value() while the run collects: takes the value to be compared later. */
bool sieve_libsieve_collect(SieveRun *run, SieveText value, GError **error);

#endif
