/* tests/lmtp/fake_lda.h - delivery that remembers instead of storing
 *
 * Stands in for lda/ behind lda.h, so that the protocol is tested alone. The
 * local part of a recipient says what becomes of it: unknown, inactive and locked
 * are refused at RCPT; full and later after the data; every other is stored.
 * The message itself is the real one. Include it once in a test program.
 */
#ifndef LODGE_TESTS_LMTP_FAKE_LDA_H
#define LODGE_TESTS_LMTP_FAKE_LDA_H

#include "lodge.h"

#include "lda/lda.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

struct Lda {
    const LdaConfig *config;
    unsigned transactions;
    GPtrArray *envelopes; /* one line for each delivery */
    GPtrArray *contents;  /* of GBytes, the message of each delivery */
    GPtrArray *refusals;  /* "address status" */
};

Lda *
lda_new(const LdaConfig *config, Log *log)
{
    Lda *lda = g_new0(Lda, 1);

    (void)log;
    lda->config = config;
    lda->envelopes = g_ptr_array_new_with_free_func(g_free);
    lda->contents = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    lda->refusals = g_ptr_array_new_with_free_func(g_free);
    return lda;
}

void
lda_free(Lda *lda)
{
    if (lda == NULL)
        return;
    g_ptr_array_unref(lda->envelopes);
    g_ptr_array_unref(lda->contents);
    g_ptr_array_unref(lda->refusals);
    g_free(lda);
}

bool
lda_has_chores(const Lda *lda)
{
    (void)lda;
    return false;
}

void
lda_do_chores(Lda *lda, bool is_idle)
{
    (void)lda;
    (void)is_idle;
}

const char *
lda_hostname(const Lda *lda)
{
    return lda->config->mail.hostname;
}

Message *
lda_message_new(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope)
{
    (void)transaction_id;
    (void)envelope;
    return message_new(&(MessageOptions){
        .spool_memory = lda->config->mail.spool_memory,
        .spool_dir = lda->config->mail.spool_dir,
        .size_limit = lda->config->mail.message_size_limit,
    });
}

char *
lda_transaction_id(Lda *lda)
{
    return g_strdup_printf("T%u", ++lda->transactions);
}

static LdaOutcome *
fake_refusal(GQuark domain, int code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(domain, code, text);

    return lda_outcome_from_error(error);
}

LdaRecipient *
lda_resolve(Lda *lda, const char *address, LdaOutcome **outcome_out)
{
    static const struct {
        const char *prefix;
        MailmapError code;
        const char *text;
    } refused[] = {
        {"unknown@", MAILMAP_ERROR_UNKNOWN_ADDRESS, "unknown user"},
        {"inactive@", MAILMAP_ERROR_INACTIVE, "user is inactive"},
        {"locked@", MAILMAP_ERROR_UNAVAILABLE, "cannot read 'map.db': database is locked"},
    };

    (void)lda;
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (!g_str_has_prefix(address, refused[i].prefix))
            continue;
        *outcome_out = fake_refusal(MAILMAP_ERROR, refused[i].code, refused[i].text);
        return NULL;
    }
    return lda_recipient_new(address, NULL);
}

LdaOutcome *
lda_check_declared(Lda *lda, const LdaRecipient *recipient, guint64 declared)
{
    (void)lda;
    if (g_str_has_prefix(recipient->address, "small@") && declared > 1000)
        return fake_refusal(QUOTA_ERROR, QUOTA_ERROR_FULL, "message is larger than the mailbox");
    return NULL;
}

static LdaOutcome *
fake_outcome(const LdaRecipient *recipient, const GError *failure)
{
    if (failure != NULL)
        return lda_outcome_from_error(failure);
    if (g_str_has_prefix(recipient->address, "full@"))
        return fake_refusal(QUOTA_ERROR, QUOTA_ERROR_FULL, "mailbox is full");
    if (g_str_has_prefix(recipient->address, "later@"))
        return fake_refusal(G_FILE_ERROR, G_FILE_ERROR_NOSPC, "cannot write: no space left");
    if (g_str_has_prefix(recipient->address, "lists@"))
        return lda_outcome_stored("Entw\303\274rfe", "/fake");
    return lda_outcome_stored("INBOX", "/fake");
}

static void
fake_describe(GString *line, const char *name, const char *value)
{
    if (value != NULL)
        g_string_append_printf(line, " %s=%s", name, value);
}

/* "from=<a> to=<b> to=<c> protocol=LMTP client=host peer=unix socket ...", with
 * the attributes of XFORWARD in a fixed order. */
static char *
fake_envelope_line(const LdaEnvelope *envelope)
{
    static const char *const attributes[] = {"NAME", "ADDR",  "PORT",  "PROTO",
                                             "HELO", "IDENT", "SOURCE"};
    GString *line = g_string_new(NULL);

    g_string_append_printf(line, "from=<%s>", envelope->sender);
    for (guint i = 0; i < envelope->recipients->len; i++) {
        const LdaRecipient *recipient = g_ptr_array_index(envelope->recipients, i);

        g_string_append_printf(line, " to=<%s>", recipient->address);
        fake_describe(line, "orcpt", recipient->original);
        fake_describe(line, "notify", recipient->notify);
    }
    fake_describe(line, "protocol", envelope->protocol);
    fake_describe(line, "client", envelope->client_name);
    fake_describe(line, "peer", envelope->client_address);
    fake_describe(line, "ret", envelope->ret);
    fake_describe(line, "envid", envelope->envid);
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++)
        fake_describe(line, attributes[i], g_hash_table_lookup(envelope->forwarded, attributes[i]));
    return g_string_free(line, FALSE);
}

/* Nothing of a message over 8 MiB: tests with such care for memory. */
static GBytes *
fake_content(Message *message)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    const uint8_t *window;
    size_t len;

    if (message_size(message) > 8 * 1024 * 1024)
        return g_bytes_new(NULL, 0);
    while ((window = message_peek(message, content->len, 65536, &len, NULL)) != NULL && len > 0)
        g_byte_array_append(content, window, (guint)len);
    return g_byte_array_free_to_bytes(g_steal_pointer(&content));
}

GPtrArray *
lda_deliver(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope, Message *message,
            const GError *failure)
{
    GPtrArray *outcomes = g_ptr_array_new_with_free_func((GDestroyNotify)lda_outcome_free);

    (void)transaction_id;
    for (guint i = 0; i < envelope->recipients->len; i++)
        g_ptr_array_add(outcomes,
                        fake_outcome(g_ptr_array_index(envelope->recipients, i), failure));
    if (failure == NULL) {
        g_ptr_array_add(lda->envelopes, fake_envelope_line(envelope));
        g_ptr_array_add(lda->contents, fake_content(message));
    }
    return outcomes;
}

void
lda_log_refusal(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope,
                const char *address, const LdaOutcome *outcome)
{
    (void)transaction_id;
    (void)envelope;
    g_ptr_array_add(lda->refusals, g_strdup_printf("%s %s", address, outcome->status));
}

#endif
