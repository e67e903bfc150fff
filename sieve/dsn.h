/* sieve/dsn.h - delivery status notifications in the envelope and in redirect (RFC 6009) */
#ifndef LODGE_SIEVE_DSN_H
#define LODGE_SIEVE_DSN_H

#include "lodge.h"
#include "sieve/run.h"

/* :ret and :notify of redirect into action; fails the run for a value of a variable that is none.
 */
bool sieve_redirect_take_dsn(SieveRun *run, const SieveNode *node, SieveAction *action,
                             GError **error);

/* Whether part, in any case, is one that "envelope-dsn" adds. */
bool sieve_envelope_dsn_is_part(SieveText part);

/* The values of such a part, none when the envelope does not have it; lives as long as the run. */
const SieveText *sieve_envelope_dsn_values(SieveRun *run, SieveText part, size_t *count_out);

#endif
