/* lda/submission.h - hands an outgoing message to the MTA
 *
 * By SMTP through libcurl ([submission] url), or to a sendmail program ([submission]
 * sendmail). libcurl is loaded only when something is sent. Success means that the MTA has
 * taken the message.
 */
#ifndef LODGE_LDA_SUBMISSION_H
#define LODGE_LDA_SUBMISSION_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/outgoing.h"

#define SUBMISSION_ERROR submission_error_quark()
GQuark submission_error_quark(void);
typedef enum {
    SUBMISSION_ERROR_REFUSED, /* the MTA said no for ever: 5xx */
    SUBMISSION_ERROR_LATER,   /* anything else: not reachable, 4xx, time-out */
} SubmissionError;

/* *remark_out: what the mail asked for and went without, as the way out does not know it (RFC 6009
 * section 6: no error); NULL: nothing. */
bool submission_send(const LdaConfig *config, const OutgoingMail *mail, char **remark_out,
                     GError **error);

#endif
