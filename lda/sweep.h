/* lda/sweep.h - remove what killed deliveries left behind
 *
 * A delivery that was killed leaves a file in some tmp/, and nothing anywhere else.
 * Nobody can still be writing it after MAILDIR_TMP_AGE_S.
 */
#ifndef LODGE_LDA_SWEEP_H
#define LODGE_LDA_SWEEP_H

#include "lodge.h"
#include "lda/config.h"

/* Walks every Maildir below [mail] root and removes what is too old in its tmp/
 * directories; returns how many files. now_us: microseconds since the epoch. What
 * cannot be read is skipped: the next delivery there will complain. */
unsigned lda_sweep(const LdaConfig *config, gint64 now_us);

#endif
