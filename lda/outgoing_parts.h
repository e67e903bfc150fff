/* lda/outgoing_parts.h - what the files behind outgoing.h share */
#ifndef LODGE_LDA_OUTGOING_PARTS_H
#define LODGE_LDA_OUTGOING_PARTS_H

#include "lodge.h"
#include "lda/outgoing.h"

/* ---- one for each kind of action: as outgoing_compose() ------------------- */

OutgoingMail *outgoing_redirect(const OutgoingContext *context, const SieveAction *action,
                                char **suppressed_out, GError **error);
OutgoingMail *outgoing_vacation(const OutgoingContext *context, const SieveAction *action);
OutgoingMail *outgoing_rejection(const OutgoingContext *context, const SieveAction *action,
                                 char **suppressed_out);
OutgoingMail *outgoing_notification(const OutgoingContext *context, const SieveAction *action,
                                    GError **error);

/* ---- outgoing_envelope.c -------------------------------------------------- */

/* The user's own address, of whom a script is. */
const char *outgoing_owner(const OutgoingContext *context);
char *outgoing_postmaster(const OutgoingContext *context); /* may have a phrase: "Me <a@b>" */

/* The address within a mailbox such as "Ana <ana@example.org>"; NULL: there is none. */
char *outgoing_bare_address(const char *mailbox);

/* The address that a setting of envelope senders means. A null sender stays null: what answers
 * to it may be in a loop. */
char *outgoing_envelope_from(const OutgoingContext *context, const char *setting, GError **error);

/* ---- outgoing.c ----------------------------------------------------------- */

/* Takes from and out over. */
OutgoingMail *outgoing_mail_new(char *from, const char *const *to, GString *out);

/* Unique to transaction, recipient and action; the same when a delivery is tried again. */
char *outgoing_message_id(const OutgoingContext *context, const char *what, unsigned line,
                          const char *to);
void outgoing_append_id_and_date(GString *out, const OutgoingContext *context, const char *what,
                                 unsigned line, const char *to);
void outgoing_append_thread(GString *out, const SieveAction *action); /* In-Reply-To, References */
void outgoing_append_postmaster(GString *out, const OutgoingContext *context); /* From */

/* Octets of the field at text, which ends where the next line does not begin with a blank. */
size_t outgoing_field_length(const char *text, size_t len);
bool outgoing_is_field(const char *text, size_t len, const char *name);

#endif
