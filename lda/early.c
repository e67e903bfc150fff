/* lda/early.c - the first copy of a large message is written while the message arrives; see early.h
 *
 * It is not done when it could not stay: a copy that is compressed. Nor where mailboxes have owners
 * of their own ([mail] per_user_ids): the owner may write to his file, and while the message is
 * read from there, for his scripts and for the copies of others, nobody else must.
 *
 * What the copy is to be called, what it is to hold, whether there is room for it and whether it
 * is to be at all is decided as ever, when the message is complete. Without a taker the file is
 * removed.
 */
#include "lda/early.h"

#include "lda/lda_private.h"
#include "lda/trace.h"

typedef struct {
    Lda *lda;
    const char *transaction_id;
    const LdaEnvelope *envelope;
    MaildirTwin twin;
} Early;

static const LdaRecipient *
first_recipient(const Early *early)
{
    return early->envelope->recipients->pdata[0];
}

/* As long as those that the delivery will write. */
static size_t
headers_length(const Early *early, const Message *message, gint64 now_us)
{
    const TraceOptions trace = {.host = early->lda->hostname,
                                .transaction_id = early->transaction_id,
                                .now_us = now_us,
                                .delivered_to = early->lda->config->mail.delivered_to,
                                .single = early->envelope->recipients->len == 1};
    g_autofree char *headers =
        trace_headers(&trace, early->envelope, first_recipient(early), message);

    return strlen(headers);
}

static int
begin(void *data, const Message *message, size_t *lead_out)
{
    Early *early = data;
    const LdaConfig *config = early->lda->config;
    gint64 now_us = g_get_real_time();
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;

    if (!lda_mailbox_paths(config, first_recipient(early)->mailbox, &home, &path, NULL) ||
        !maildir_twin_begin(&early->twin, path, config->mail.root, lda_namer(early->lda), now_us))
        return -1;
    early->twin.message = message;
    early->twin.lead = *lead_out = headers_length(early, message, now_us);
    return fcntl(early->twin.fd, F_DUPFD_CLOEXEC, 0);
}

static void
end(void *data)
{
    Early *early = data;

    maildir_twin_clear(&early->twin);
    g_free(early);
}

MessagePlace
early_place(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope)
{
    Early *early;

    if (envelope == NULL || lda->config->mail.per_user_ids ||
        lda->config->mail.compress == COMPRESS_GZIP)
        return (MessagePlace){0};
    early = g_new0(Early, 1);
    *early = (Early){.lda = lda, .transaction_id = transaction_id, .envelope = envelope};
    maildir_twin_init(&early->twin);
    return (MessagePlace){.open = begin, .free = end, .data = early};
}

const Mailbox *
early_take(const Message *message, MaildirTwin *twin_out)
{
    Early *early = message_place(message);

    maildir_twin_init(twin_out);
    if (early == NULL)
        return NULL;
    *twin_out = early->twin;
    maildir_twin_init(&early->twin);
    return first_recipient(early)->mailbox;
}
