/* lda/lda_private.h - what lda.c, delivery.c and record.c share of an Lda */
#ifndef LODGE_LDA_LDA_PRIVATE_H
#define LODGE_LDA_LDA_PRIVATE_H

#include "lda/carry_out.h"
#include "lda/lda.h"
#include "lda/maildir.h"
#include "lda/scripts.h"

struct Lda {
    const LdaConfig *config;
    Log *log;
    char *hostname;
    Mailmap *map;       /* NULL until needed, and again after a failure */
    Scripts *scripts;   /* NULL until needed */
    MaildirNamer namer; /* of the process namer.pid; see lda_namer() */
    gint64 last_id;
};

/* The namer of this process, also after a fork. */
MaildirNamer *lda_namer(Lda *lda);

/* Opens the map unless it is open. */
bool lda_open_map(Lda *lda, GError **error);

/* Closes it after a failure that a new one might not have; error may be NULL. */
void lda_forget_map(Lda *lda, const GError *error);

/* ---- record.c: lines of the deliver log ---------------------------------- */

typedef struct {
    const char *transaction_id;
    const LdaEnvelope *envelope;
    const Message *message; /* NULL when it could not be received */
    gint64 started_us;      /* monotonic */
} Record;

/* How the delivery to recipient ended. report is what its scripts did, NULL without any; note, may
 * be NULL, is what an administrator should know besides; quota, may be NULL, what the mailbox
 * holds. */
void record_delivery(Log *log, const Record *record, const LdaRecipient *recipient,
                     const LdaOutcome *outcome, const EffectsReport *report, const char *note,
                     const char *quota);

#endif
