/* lda/carry_out.h - turns what should be done with a message into files
 *
 * Takes the list of actions of sieve/sieve.h and stages a copy for each. Keep is
 * the fallback of everything: a folder that cannot be had is no reason not to
 * deliver, the message goes to INBOX and the log says why.
 */
#ifndef LODGE_LDA_CARRY_OUT_H
#define LODGE_LDA_CARRY_OUT_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/envelope.h"
#include "lda/maildir.h"
#include "lda/message.h"
#include "sieve/sieve.h"

typedef struct {
    const LdaConfig *config;
    const LdaRecipient *recipient;
    Message *message;
    const char *headers; /* prepended */
    MaildirNamer *namer;
    gint64 now_us;
} CarryOut;

/* Stages what actions ask for in maildir. *note_out is set to why the copy is not
 * in the folder that was asked for, NULL when it is. Fails as maildir_stage(). */
MaildirCopy *carry_out(const CarryOut *delivery, Maildir *maildir, const GPtrArray *actions,
                       char **note_out, GError **error);

#endif
