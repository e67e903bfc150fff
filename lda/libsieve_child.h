/* lda/libsieve_child.h - [sieve] engine = libsieve: scripts run by Debian's libsieve, in a cage
 *
 *   sieve/libsieve_run.c --task--> libsieve_evaluate() --cage.c--> libsieve.so.1
 *                                        numbers of actions <------'
 *
 * libsieve 2.2.6 crashes on what senders can write, and takes exponential time for :matches. It is
 * here for administrators whose scripts were written for it. A process for each message: slow, but
 * a crash costs that message no more than its filing.
 */
#ifndef LODGE_LDA_LIBSIEVE_CHILD_H
#define LODGE_LDA_LIBSIEVE_CHILD_H

#include "lodge.h"
#include "sieve/sieve.h"

/* Whether lodge was built with the header of libsieve. */
bool libsieve_is_built(void);

/* As SieveHost.libsieve; data is not looked at. Fails with SIEVE_ERROR_RUNTIME for whatever goes
 * wrong in libsieve, with SIEVE_ERROR_LIMIT when it takes too long, and with
 * SIEVE_ERROR_TEMPORARY when the library is not there or no process can be started. */
bool libsieve_evaluate(void *data, SieveLibsieveTask *task, GError **error);

#endif
