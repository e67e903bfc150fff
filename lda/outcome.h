/* lda/outcome.h - how a delivery to one recipient ended
 *
 * One value with four renderings: the LMTP reply, the exit status of `deliver`,
 * the line in the deliver log, and what `lodge explain` shows. What is permanent
 * is decided in one table, in outcome.c; whatever is not in it is deferred, so
 * that a fault nobody foresaw leaves the message with the MTA.
 */
#ifndef LODGE_LDA_OUTCOME_H
#define LODGE_LDA_OUTCOME_H

#include "lodge.h"

typedef struct {
    char *status; /* RFC 3463: "2.0.0", "5.1.1", "4.3.0" */
    char *text;   /* one line, no CR or LF: "stored in INBOX", "unknown user" */
    char *folder; /* UTF-8 name as an IMAP client sees it; NULL when nothing was stored */
    char *file;   /* absolute path of the message's file; NULL when nothing was stored */
} LdaOutcome;

/* Refusals that are decisions of ours and not failures of a call. */
#define LDA_ERROR lda_error_quark()
GQuark lda_error_quark(void);
typedef enum {
    LDA_ERROR_TOO_BIG,       /* over [mail] message_size_limit: 5.2.3 */
    LDA_ERROR_TOO_MANY_HOPS, /* Received count, or our own Delivered-To: 5.4.6 */
    LDA_ERROR_EMPTY,         /* no message at all on standard input: 4.3.0 (the sender broke off) */
    LDA_ERROR_BAD_FOLDER,    /* folder name that cannot exist: 4.2.0 */
    LDA_ERROR_NOT_PERMITTED, /* the mailbox belongs to a uid we may not take: 4.3.5 */
    LDA_ERROR_CONFIG,        /* settings that cannot work: 4.3.5 */
} LdaError;

LdaOutcome *lda_outcome_stored(const char *folder, const char *file);

/* A success that text describes; folder and file as above, NULL when nothing was stored. */
LdaOutcome *lda_outcome_done(const char *text, const char *folder, const char *file);

/* The recipient's script refuses the message, for that reason: 5.7.1. */
LdaOutcome *lda_outcome_rejected(const char *reason);

/* The outcome of a failure: status from the table of permanent failures (or a
 * temporary one), text from the error's message with control characters blanked. */
LdaOutcome *lda_outcome_from_error(const GError *error);

LdaOutcome *lda_outcome_copy(const LdaOutcome *outcome);
void lda_outcome_free(LdaOutcome *outcome); /* NULL is fine */

/* RFC 5321 reply code for the status: 250, 450, 451, 452, 550, 552, 554. */
unsigned lda_outcome_reply_code(const LdaOutcome *outcome);

/* sysexits value that Postfix pipe(8) reads: 0, 67 (unknown user), 77 (refused)
 * or 75. Never anything but 75 for what a retry may cure. */
int lda_outcome_exit_status(const LdaOutcome *outcome);

static inline bool
lda_outcome_is_success(const LdaOutcome *outcome)
{
    return outcome->status[0] == '2';
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdaOutcome, lda_outcome_free)
#endif
