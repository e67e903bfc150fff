/* lda/sendmail.h - hands a message to a sendmail program
 *
 *   PROGRAM -i -f SENDER -- RECIPIENT...   < message
 *
 * Run without a shell, with an empty environment but for PATH, and a time limit.
 */
#ifndef LODGE_LDA_SENDMAIL_H
#define LODGE_LDA_SENDMAIL_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/outgoing.h"

/* Runs [submission] sendmail. Fails with SUBMISSION_ERROR. */
bool sendmail_run(const LdaConfig *config, const OutgoingMail *mail, GError **error);

#endif
