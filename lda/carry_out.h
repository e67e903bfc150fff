/* lda/carry_out.h - turns what should be done with a message into files and mail
 *
 *   no script      carry_out_keep(): one copy, nothing else
 *   with scripts   effects_stage()    copies in tmp/, one for each mailbox
 *                  effects_send()     redirects, reports and programs: what must succeed
 *                  (commit, publish, commit)
 *                  effects_finish()   replies, notifications, what is to be remembered
 *
 * Keep is the fallback of everything: a folder that cannot be had is no reason not to
 * deliver, the message goes to INBOX and the log says why. One that has no room is: nothing of
 * the message is stored then, and nothing sent.
 */
#ifndef LODGE_LDA_CARRY_OUT_H
#define LODGE_LDA_CARRY_OUT_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/envelope.h"
#include "lda/filter.h"
#include "lda/lda.h"
#include "lda/maildir.h"
#include "lda/message.h"
#include "lda/outcome.h"
#include "lda/room.h"

/* Borrowed until all is done, but headers only for the call. */
typedef struct {
    Lda *lda; /* for its chores */
    const LdaConfig *config;
    const LdaRecipient *recipient;
    Message *message;
    const char *headers; /* prepended */
    MaildirNamer *namer;
    Room *room;        /* NULL: nothing is limited */
    MaildirTwin *twin; /* of copies of message, with the rights of this recipient */
    gint64 now_us;
    const char *hostname;
    const char *transaction_id;
    bool utf8; /* a reply may hold UTF-8 (RFC 6531) */
} CarryOut;

/* Stages the copy of a recipient without scripts. *note_out is set to why it is not in the
 * folder that was asked for, NULL when it is. Fails as maildir_stage() and room_reserve(). */
MaildirCopy *carry_out_keep(const CarryOut *delivery, Maildir *maildir, char **note_out,
                            GError **error);

enum {
    EFFECTS_MAX_COPIES = 100
}; /* of one message for one recipient; scripts that ask for more fail */

typedef struct Effects Effects; /* of the actions of one recipient's scripts */

/* Stages a copy for each mailbox. Takes maildir and filter, also when it fails. Fails as
 * maildir_stage() and room_reserve(). */
Effects *effects_stage(const CarryOut *delivery, Maildir *maildir, Filter *filter, GError **error);
void effects_free(Effects *effects); /* removes what is staged; NULL is fine */

/* Hands over what must not be lost: redirects, reports of rejection, what goes into programs. What
 * the MTA has taken is remembered, so that a retry does not send it again. Fails when it
 * is to be tried again. Calls with our own rights, and takes those of the recipient for files. */
bool effects_send(Effects *effects, GError **error);

/* The copies, of MaildirCopy; belong to effects. */
const GPtrArray *effects_copies(const Effects *effects);

/* Adds to the note of the report. */
void effects_remark(Effects *effects, const char *text);

/* After all copies are durable, or after a refusal: what may fail without harm. */
void effects_finish(Effects *effects);

/* After a failure with copies gone: takes back what was published. */
void effects_withdraw(Effects *effects);

/* The outcome once all is done: a success, or the refusal of a reject. Copies that scripts before
 * the rejecting one asked for (an archive) are stored all the same (RFC 5429 section 2.4). */
LdaOutcome *effects_outcome(const Effects *effects);

/* For the log; owns its strings, which may be NULL. */
typedef struct {
    char *script;  /* path */
    gint64 line;   /* of the action that decided; 0: the implicit keep */
    char *actions; /* "fileinto Lists, vacation bob@example.com (not done: answered lately)" */
    char *failure; /* of a script */
    char *note;    /* what was done otherwise */
} EffectsReport;

EffectsReport *effects_report(const Effects *effects);
void effects_report_free(EffectsReport *report); /* NULL is fine */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Effects, effects_free)
#endif
