/* lda/lda.h - deliver one message to its recipients
 *
 *   lda_resolve()   at RCPT: whose mailbox is it, may it receive?
 *   lda_deliver()   after the data: stage every copy, commit, publish, commit
 *
 * Used by lmtp/session.c for `lodged` and by deliver.c. An Lda lives as long as
 * its process and holds what is opened once: configuration, map, log.
 */
#ifndef LODGE_LDA_LDA_H
#define LODGE_LDA_LDA_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/envelope.h"
#include "lda/log.h"
#include "lda/message.h"
#include "lda/outcome.h"

typedef struct Lda Lda;

/* config and log are borrowed for the life of the result, and the process keeps its user from the
 * first lda_deliver() on. The map is opened at the first lda_resolve(), and again after a failure:
 * a broken map is a temporary failure of each delivery, not a reason not to start. */
Lda *lda_new(const LdaConfig *config, Log *log);
void lda_free(Lda *lda); /* NULL is fine */

/* Host name for greetings, Received and file names. Lives as long as lda. */
const char *lda_hostname(const Lda *lda);

/* Message for one transaction, with the configured spool and limits. A large one may be written to
 * the mailbox of the first recipient of envelope while it arrives, unless that is NULL; all is
 * borrowed until the message is freed. */
Message *lda_message_new(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope);

/* Looks address up. Returns a recipient for the envelope, or NULL with the
 * refusal in *outcome_out. The caller logs a refusal with lda_log_refusal(). */
LdaRecipient *lda_resolve(Lda *lda, const char *address, LdaOutcome **outcome_out);

/* Whether recipient can store a message that SIZE= declares to be that large (RFC 1870), 0: not
 * declared. NULL: perhaps; else it never fits into any folder, and no script would send it
 * elsewhere. The caller logs it as above. */
LdaOutcome *lda_check_declared(Lda *lda, const LdaRecipient *recipient, guint64 declared);

/* A new transaction id: short, unique across processes and time, [0-9A-Za-z]. */
char *lda_transaction_id(Lda *lda);

/* Delivers the finished message to every recipient of the envelope. Returns one
 * LdaOutcome for each, in their order; never fewer. Each is logged. Equal
 * recipients get one copy and the same outcome. failure, when not NULL, is why
 * the message could not be received (message_finish()): every recipient gets it. */
GPtrArray *lda_deliver(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope,
                       Message *message, const GError *failure);

/* What deliveries have left to do and nobody must wait for: warnings to owners of mailboxes that
 * fill up, and what mailboxes hold for the database of usage. The latter is written once a second
 * at most, or at once when is_idle says that nothing else is to be done. To be called after the
 * replies, while there are any; lda_free() does what is left. */
bool lda_has_chores(const Lda *lda);
void lda_do_chores(Lda *lda, bool is_idle);

/* What scripts that look into MIME need is loaded at their first use: 15 ms of CPU and 0.5 MiB in
 * each process. A server whose workers have come to need it loads it once, for those it forks from
 * then on; where no script needs it, nobody pays. */
bool lda_needs_mime(void);
void lda_load_mime(void);

/* Logs a recipient that was refused before there was a message. */
void lda_log_refusal(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope,
                     const char *address, const LdaOutcome *outcome);

/* Opens the Maildir of a mailbox and gives its absolute paths; for `lodge map
 * resolve` and the sweep of old files in tmp/. Fails with LDA_ERROR or CONFIG_ERROR. */
bool lda_mailbox_paths(const LdaConfig *config, const Mailbox *mailbox, char **home_out,
                       char **maildir_out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lda, lda_free)
#endif
