/* lda/user_log.h - what a user can read about the failures of his script
 *
 * A text file in his home, as Pigeonhole's .dovecot.sieve.log: never large, and the one before
 * is kept beside it.
 */
#ifndef LODGE_LDA_USER_LOG_H
#define LODGE_LDA_USER_LOG_H

#include "lodge.h"

enum { USER_LOG_MAX = 10 * 1024 }; /* octets; past them it becomes PATH.0 */

/* Appends lines (of char *), each with the time now (seconds). Call with the rights of the user.
 * Fails with G_FILE_ERROR. */
bool user_log_write(const char *path, gint64 now, const GPtrArray *lines, GError **error);

#endif
