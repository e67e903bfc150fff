/* lda/outgoing_envelope.c - in whose name a message is sent; see outgoing_parts.h
 *
 *   [sieve] redirect_envelope_from, notify_envelope_from + envelope --> address
 */
#include "lda/outgoing_parts.h"

#include "lda/address.h"
#include "lda/srs.h"

const char *
outgoing_owner(const OutgoingContext *context)
{
    if (context->user_email != NULL && *context->user_email != '\0')
        return context->user_email;
    return context->input->recipient;
}

char *
outgoing_postmaster(const OutgoingContext *context)
{
    const char *address = context->config->sieve.postmaster_address;

    return *address != '\0' ? g_strdup(address)
                            : g_strconcat("postmaster@", context->hostname, NULL);
}

char *
outgoing_bare_address(const char *mailbox)
{
    const char *open = strrchr(mailbox, '<');

    return address_parse(open == NULL ? mailbox : open, ADDRESS_UTF8);
}

static bool
is_explicit(const char *text)
{
    g_autofree char *address = NULL;

    if (strcmp(text, "<>") == 0)
        return true;
    address = *text == '<' ? address_parse(text, ADDRESS_UTF8) : NULL;
    return address != NULL;
}

bool
outgoing_is_path_setting(const char *text, bool srs)
{
    static const char *const words[] = {"sender",     "recipient",  "orig_recipient",
                                        "user_email", "postmaster", NULL};
    g_autofree char *word = g_strstrip(g_strdup(text));

    return g_strv_contains(words, word) || (srs && strcmp(word, "srs") == 0) || is_explicit(word);
}

static char *
rewrite_sender(const OutgoingContext *context, GError **error)
{
    const char *domain = context->config->sieve.srs_domain;
    char **secrets = srs_secrets_load(context->config->sieve.srs_secrets, error);
    char *address;

    if (secrets == NULL)
        return NULL;
    address = srs_forward(context->input->sender, *domain == '\0' ? context->hostname : domain,
                          (const char *const *)secrets, context->now_us / G_USEC_PER_SEC);
    srs_secrets_free(secrets);
    return address;
}

char *
outgoing_envelope_from(const OutgoingContext *context, const char *setting, GError **error)
{
    const SieveInput *input = context->input;
    g_autofree char *word = g_strstrip(g_strdup(setting));

    if (*input->sender == '\0' || strcmp(word, "<>") == 0)
        return g_strdup("");
    if (strcmp(word, "sender") == 0)
        return g_strdup(input->sender);
    if (strcmp(word, "recipient") == 0)
        return g_strdup(input->recipient);
    if (strcmp(word, "orig_recipient") == 0)
        return g_strdup(input->original_recipient != NULL ? input->original_recipient
                                                          : input->recipient);
    if (strcmp(word, "user_email") == 0)
        return g_strdup(outgoing_owner(context));
    if (strcmp(word, "postmaster") == 0) {
        g_autofree char *postmaster = outgoing_postmaster(context);
        char *bare = outgoing_bare_address(postmaster);

        return bare != NULL ? bare : g_steal_pointer(&postmaster);
    }
    if (strcmp(word, "srs") == 0)
        return rewrite_sender(context, error);
    char *address = *word == '<' ? address_parse(word, ADDRESS_UTF8) : NULL;
    if (address == NULL)
        g_set_error(error, OUTGOING_ERROR, OUTGOING_ERROR_SETTING,
                    "'%s' is no setting of an envelope sender", setting);
    return address;
}
