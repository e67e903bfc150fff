/* lda/envelope.h - what is known about a message besides its bytes
 *
 * Filled in by lmtp/session.c from the MAIL, RCPT and XFORWARD commands, or by
 * deliver.c from the command line. All strings are owned by the envelope and
 * may be NULL where the comment says so.
 */
#ifndef LODGE_LDA_ENVELOPE_H
#define LODGE_LDA_ENVELOPE_H

#include "lodge.h"
#include "schema/mailmap.h"

typedef struct {
    char *address;  /* as the MTA gave it, canonical text (address.h); in replies and logs */
    char *original; /* ORCPT or deliver -a; NULL when unknown */
    char *notify;   /* NOTIFY= as given; NULL */
    char *folder;   /* deliver -m; NULL: the default */
    Mailbox *mailbox;
} LdaRecipient;

LdaRecipient *lda_recipient_new(const char *address, Mailbox *mailbox); /* takes the mailbox */
void lda_recipient_free(LdaRecipient *recipient);                       /* NULL is fine */

typedef struct {
    char *sender;          /* "" is the null sender */
    char *protocol;        /* "LMTP", "UTF8LMTP" (RFC 6531), or NULL for deliver */
    char *client_name;     /* name given at LHLO; NULL */
    char *client_address;  /* "[127.0.0.1]" or "unix socket" as in Received; NULL */
    char *ret;             /* RET=; NULL */
    char *envid;           /* ENVID=, decoded; NULL */
    GHashTable *forwarded; /* XFORWARD attribute in upper case -> decoded value; may be empty */
    GPtrArray *recipients; /* of LdaRecipient, in the order of RCPT; owned */
} LdaEnvelope;

LdaEnvelope *lda_envelope_new(const char *sender);
void lda_envelope_free(LdaEnvelope *envelope); /* NULL is fine */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdaRecipient, lda_recipient_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdaEnvelope, lda_envelope_free)
#endif
