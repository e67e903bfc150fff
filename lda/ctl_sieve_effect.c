/* lda/ctl_sieve_effect.c - what would become of the message: actions -> stored and sent
 *
 * Messages that are sent are composed by lda/outgoing.h, as delivery does it. A mailbox that
 * delivery would create is created in the world of this run; one that cannot be had makes
 * the message end in INBOX, with a failure that says why.
 */
#include "lda/ctl_sieve.h"

#include "lda/header.h"

typedef struct {
    TrialEffect *effect;
    TrialWorld *world;
    const OutgoingContext *context;
} Carry;

static void
free_stored(void *data)
{
    TrialStored *stored = data;

    g_free(stored->mailbox);
    g_strfreev(stored->flags);
    g_bytes_unref(stored->bytes);
    g_free(stored);
}

static void
free_mail(void *mail)
{
    outgoing_mail_free(mail);
}

void
trial_effect_init(TrialEffect *effect)
{
    *effect = (TrialEffect){
        .outgoing = g_ptr_array_new_with_free_func(free_mail),
        .stored = g_ptr_array_new_with_free_func(free_stored),
        .created = g_ptr_array_new_with_free_func(g_free),
        .failures = sieve_complaints_new(),
        .suppressed = g_hash_table_new_full(NULL, NULL, NULL, g_free),
    };
}

void
trial_effect_clear(TrialEffect *effect)
{
    if (effect->outgoing == NULL)
        return;
    g_ptr_array_unref(effect->outgoing);
    g_ptr_array_unref(effect->stored);
    g_ptr_array_unref(effect->created);
    g_ptr_array_unref(effect->failures);
    g_hash_table_unref(effect->suppressed);
}

const char *
trial_effect_suppressed(const TrialEffect *effect, const SieveAction *action)
{
    const char *reason = g_hash_table_lookup(effect->suppressed, action);

    return reason != NULL ? reason : action->suppressed;
}

static void
fail(Carry *carry, const SieveAction *action, const char *text)
{
    const char *script = action->script != NULL ? action->script : "";

    g_ptr_array_add(carry->effect->failures, trial_complaint_new(true, script, action->line, text));
}

/* The message as it was when the action was asked for. */
static GBytes *
message_of(const Carry *carry, const SieveAction *action)
{
    const SieveInput *input = carry->context->input;
    const SieveEdition *edition = action->edition;
    size_t header_len = 0, body_len = 0;

    if (edition == NULL)
        return g_bytes_new(input->bytes, input->len);
    const char *header = g_bytes_get_data(edition->header, &header_len);
    size_t start = header_length((const char *)input->bytes, input->len);
    const char *body = (const char *)input->bytes + start;
    body_len = input->len - start;
    if (edition->body != NULL)
        body = g_bytes_get_data(edition->body, &body_len);
    GByteArray *whole = g_byte_array_new();
    g_byte_array_append(whole, (const uint8_t *)header, (unsigned)header_len);
    if (body_len > 0)
        g_byte_array_append(whole, (const uint8_t *)body, (unsigned)body_len);
    return g_byte_array_free_to_bytes(whole);
}

/* Takes bytes. A mailbox gets one copy, however many actions lead there. */
static void
store(Carry *carry, const char *mailbox, char **flags, GBytes *bytes)
{
    const char *name = g_ascii_strcasecmp(mailbox, "INBOX") == 0 ? "INBOX" : mailbox;
    TrialStored *stored = g_new0(TrialStored, 1);
    char *none[] = {NULL};

    *stored = (TrialStored){.mailbox = g_strdup(name),
                            .flags = g_strdupv(flags != NULL ? flags : none),
                            .bytes = bytes};
    g_ptr_array_add(carry->effect->stored, stored);
}

static void
store_in_inbox(Carry *carry, const SieveAction *action)
{
    for (unsigned i = 0; i < carry->effect->stored->len; i++) {
        const TrialStored *stored = carry->effect->stored->pdata[i];

        if (strcmp(stored->mailbox, "INBOX") == 0)
            return;
    }
    store(carry, "INBOX", action->flags, message_of(carry, action));
}

/* The mailbox that name, special use and id lead to (RFC 8579 section 4.1, RFC 9042 section
 * 4.1), made if it is to be. False with error: it cannot be had. */
static bool
find_mailbox(Carry *carry, const char *name, const char *attribute, const char *id, bool create,
             char **mailbox_out, GError **error)
{
    const SieveHost *host = trial_world_host(carry->world);
    g_autofree char *found = NULL;
    g_autoptr(GError) bad_name = NULL;

    if (id != NULL && !host->mailbox_by_id(host->data, id, &found, error))
        return false;
    if (found == NULL && attribute != NULL &&
        !host->special_use(host->data, attribute, &found, error))
        return false;
    if (found == NULL)
        found = g_strdup(name);
    if (!trial_world_has_mailbox(carry->world, found, &bad_name)) {
        if (bad_name != NULL) {
            g_propagate_error(error, g_steal_pointer(&bad_name));
            return false;
        }
        if (!create && !carry->context->config->sieve.mailbox_autocreate) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "there is no mailbox '%s'", found);
            return false;
        }
        trial_world_add_mailbox(carry->world, found);
        g_ptr_array_add(carry->effect->created, g_strdup(found));
    }
    *mailbox_out = g_steal_pointer(&found);
    return true;
}

static void
file_into(Carry *carry, const SieveAction *action)
{
    g_autofree char *mailbox = NULL;
    g_autoptr(GError) error = NULL;

    if (find_mailbox(carry, action->mailbox, action->special_use, action->mailboxid, action->create,
                     &mailbox, &error)) {
        store(carry, mailbox, action->flags, message_of(carry, action));
        return;
    }
    fail(carry, action, error->message);
    store_in_inbox(carry, action);
}

/* RFC 8580: a copy of what was sent. */
static void
file_carbon_copy(Carry *carry, const SieveAction *action, const OutgoingMail *mail)
{
    const SieveFcc *fcc = &action->fcc;
    g_autofree char *mailbox = NULL;
    g_autoptr(GError) error = NULL;

    if (fcc->mailbox == NULL)
        return;
    if (find_mailbox(carry, fcc->mailbox, fcc->special_use, fcc->mailboxid, fcc->create, &mailbox,
                     &error))
        store(carry, mailbox, fcc->flags, g_bytes_ref(mail->bytes));
    else
        fail(carry, action, error->message);
}

static void
suppress(Carry *carry, const SieveAction *action, char *reason)
{
    g_hash_table_insert(carry->effect->suppressed, (void *)action, reason);
}

static bool
send_mail(Carry *carry, const SieveAction *action, GError **error)
{
    g_autofree char *reason = NULL;
    g_autoptr(GError) failure = NULL;
    bool answered = false;

    if (action->suppressed != NULL)
        return true;
    if (action->kind == SIEVE_ACTION_VACATION &&
        !trial_world_answered(carry->world, action, &answered, error))
        return false;
    if (answered) {
        suppress(carry, action, g_strdup_printf("'%s' was answered lately", action->to));
        return true;
    }
    OutgoingMail *mail = outgoing_compose(carry->context, action, &reason, &failure);
    if (mail != NULL) {
        g_ptr_array_add(carry->effect->outgoing, mail);
        file_carbon_copy(carry, action, mail);
    } else if (failure != NULL) {
        fail(carry, action, failure->message);
        store_in_inbox(carry, action);
    } else if (reason != NULL) {
        suppress(carry, action, g_steal_pointer(&reason));
    }
    return true;
}

static bool
carry_out_one(Carry *carry, const SieveAction *action, GError **error)
{
    switch (action->kind) {
    case SIEVE_ACTION_KEEP:
        store_in_inbox(carry, action);
        return true;
    case SIEVE_ACTION_FILEINTO:
        file_into(carry, action);
        return true;
    case SIEVE_ACTION_REJECT:
        /* Otherwise the refusal is the answer to the MTA. */
        return carry->context->config->sieve.reject_method != REJECT_MDN ||
               send_mail(carry, action, error);
    case SIEVE_ACTION_REDIRECT:
    case SIEVE_ACTION_VACATION:
    case SIEVE_ACTION_NOTIFY:
        return send_mail(carry, action, error);
    case SIEVE_ACTION_DISCARD:
    case SIEVE_ACTION_PIPE: /* programs are not run */
        return true;
    }
    return true;
}

bool
trial_effect_carry_out(TrialEffect *effect, TrialWorld *world, const OutgoingContext *context,
                       const GPtrArray *actions, GError **error)
{
    Carry carry = {effect, world, context};

    for (unsigned i = 0; i < actions->len; i++) {
        if (!carry_out_one(&carry, actions->pdata[i], error))
            return false;
    }
    return true;
}
