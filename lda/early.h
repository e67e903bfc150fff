/* lda/early.h - the first copy of a large message is written while the message arrives
 *
 *   lda_message_new() --> early_place()     what message.c asks for a file
 *   lda_deliver()     --> early_take()      the file may become the first recipient's copy
 *
 * A message that does not fit into memory has to lie in a file. That file can be the one in the
 * first recipient's mailbox: the octets are written once instead of twice, and the disk works while
 * the client sends. The headers before it name time and recipient, but how long they are is known
 * before the end of the message; if in the end they are not of that length, the copy is made as any
 * other.
 */
#ifndef LODGE_LDA_EARLY_H
#define LODGE_LDA_EARLY_H

#include "lda/lda.h"
#include "lda/maildir.h"

/* The place for the message of this transaction; {0} when it has none, or no envelope yet. All is
 * borrowed until the message is freed. */
MessagePlace early_place(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope);

/* The copy that was begun while the message arrived, for the caller to clear; else an empty twin.
 * Returns whose it is to be, NULL. */
const Mailbox *early_take(const Message *message, MaildirTwin *twin_out);

#endif
