/* lda/lda_private.h - what lda.c, delivery.c and record.c share of an Lda */
#ifndef LODGE_LDA_LDA_PRIVATE_H
#define LODGE_LDA_LDA_PRIVATE_H

#include "lda/lda.h"
#include "lda/maildir.h"

struct Lda {
    const LdaConfig *config;
    Log *log;
    char *hostname;
    Mailmap *map;       /* NULL until needed, and again after a failure */
    MaildirNamer namer; /* of the process namer.pid; see lda_namer() */
    gint64 last_id;
};

/* The namer of this process, also after a fork. */
MaildirNamer *lda_namer(Lda *lda);

/* ---- record.c: lines of the deliver log ---------------------------------- */

typedef struct {
    const char *transaction_id;
    const LdaEnvelope *envelope;
    const Message *message; /* NULL when it could not be received */
    gint64 started_us;      /* monotonic */
} Record;

/* How the delivery to recipient ended. note, may be NULL, is what an administrator
 * should know besides. */
void record_delivery(Log *log, const Record *record, const LdaRecipient *recipient,
                     const LdaOutcome *outcome, const char *note);

#endif
