/* lda/sendmail.h - hands a message to a sendmail program
 *
 *   PROGRAM -i [-N NOTIFY] [-R RET] -f SENDER -- RECIPIENT...   < message
 *
 * Run without a shell, with an empty environment but for PATH, and a time limit.
 */
#ifndef LODGE_LDA_SENDMAIL_H
#define LODGE_LDA_SENDMAIL_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/outgoing.h"

/* Runs [submission] sendmail. Fails with SUBMISSION_ERROR. *remark_out as submission_send(). */
bool sendmail_run(const LdaConfig *config, const OutgoingMail *mail, char **remark_out,
                  GError **error);

#endif
