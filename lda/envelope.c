/* lda/envelope.c - ownership of an envelope; see envelope.h */
#include "lda/envelope.h"

LdaRecipient *
lda_recipient_new(const char *address, Mailbox *mailbox)
{
    LdaRecipient *recipient = g_new0(LdaRecipient, 1);

    recipient->address = g_strdup(address);
    recipient->mailbox = mailbox;
    return recipient;
}

void
lda_recipient_free(LdaRecipient *recipient)
{
    if (recipient == NULL)
        return;
    g_free(recipient->address);
    g_free(recipient->original);
    g_free(recipient->notify);
    g_free(recipient->folder);
    mailbox_free(recipient->mailbox);
    g_free(recipient);
}

LdaEnvelope *
lda_envelope_new(const char *sender)
{
    LdaEnvelope *envelope = g_new0(LdaEnvelope, 1);

    envelope->sender = g_strdup(sender);
    envelope->forwarded = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    envelope->recipients = g_ptr_array_new_with_free_func((GDestroyNotify)lda_recipient_free);
    return envelope;
}

void
lda_envelope_free(LdaEnvelope *envelope)
{
    if (envelope == NULL)
        return;
    g_free(envelope->sender);
    g_free(envelope->protocol);
    g_free(envelope->client_name);
    g_free(envelope->client_address);
    g_free(envelope->ret);
    g_free(envelope->envid);
    g_hash_table_unref(envelope->forwarded);
    g_ptr_array_unref(envelope->recipients);
    g_free(envelope);
}
