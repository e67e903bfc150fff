/* schema/answers.h - mailboxes found lately, for as long as the map is unchanged
 *
 * Internal to schema/. Belongs to one connection and dies with it, so that a map
 * replaced by another file begins with none. Only mailboxes are kept, never a
 * refusal or a failure: those are asked anew each time.
 */
#ifndef LODGE_SCHEMA_ANSWERS_H
#define LODGE_SCHEMA_ANSWERS_H

#include "lodge.h"
#include "schema/database.h"
#include "schema/mailmap.h"

/* How many are kept, about 240 KiB of a worker; one more, and all are forgotten. Fewer
 * than the mailboxes that get mail in turn would help little: a question costs eight
 * system calls more, half of them for locks that all workers want. */
#define ANSWERS_MAX 1024

typedef struct Answers Answers;

/* db must outlive the result. */
Answers *answers_new(sqlite3 *db);
void answers_free(Answers *answers); /* NULL is fine */

/* The mailbox kept for address, spelt the same; NULL for none. It is the answer only
 * if answers_hold(), which reads the file, and borrowed until answers_add(). */
const Mailbox *answers_find(const Answers *answers, const char *address);
bool answers_hold(const Answers *answers);

/* Keeps a copy of mailbox. To be called in the transaction that found it. */
void answers_add(Answers *answers, const char *address, const Mailbox *mailbox);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Answers, answers_free)
#endif
