/* lda/outgoing_redirect.c - the message itself, sent on (RFC 5228 section 4.2, RFC 6009)
 *
 * With a field that names who redirected it: one that names him already is in a loop.
 */
#include "lda/outgoing_parts.h"

#include "lda/compose.h"
#include "lda/header.h"

#define LOOP_FIELD "X-Sieve-Redirected-From"

/* Whether a loop field of the header names address. */
static bool
was_redirected_by(const char *header, size_t len, const char *address)
{
    for (size_t at = 0, field; at < len; at += field) {
        field = outgoing_field_length(header + at, len - at);
        if (!outgoing_is_field(header + at, field, LOOP_FIELD))
            continue;
        const char *colon = memchr(header + at, ':', field);
        size_t value_at = (size_t)(colon + 1 - (header + at));
        g_autofree char *value = g_strndup(colon + 1, field - value_at);
        char *begin = g_strstrip(value);
        size_t end = strlen(begin);

        if (begin[0] == '<' && end > 1 && begin[end - 1] == '>') {
            begin[end - 1] = '\0';
            begin++;
        }
        if (g_ascii_strcasecmp(begin, address) == 0)
            return true;
    }
    return false;
}

/* Return-Path is what the last MTA makes of the envelope (RFC 5321 section 4.4): no message
 * goes out with one. */
static void
append_header(GString *out, const char *header, size_t len)
{
    for (size_t at = 0, field; at < len; at += field) {
        field = outgoing_field_length(header + at, len - at);
        if (!outgoing_is_field(header + at, field, "Return-Path"))
            g_string_append_len(out, header + at, (gssize)field);
    }
}

/* Header and body of the message at the time of the action. */
static void
message_parts(const OutgoingContext *context, const SieveAction *action, const char **parts,
              size_t *lens)
{
    const SieveInput *input = context->input;
    const SieveEdition *edition = action->edition;
    const char *bytes = input->len == 0 ? "" : (const char *)input->bytes;

    parts[0] = bytes;
    lens[0] = header_length(bytes, input->len);
    parts[1] = bytes + lens[0];
    lens[1] = input->len - lens[0];
    if (edition != NULL && edition->header != NULL)
        parts[0] = g_bytes_get_data(edition->header, &lens[0]);
    if (edition != NULL && edition->body != NULL)
        parts[1] = g_bytes_get_data(edition->body, &lens[1]);
}

OutgoingMail *
outgoing_redirect(const OutgoingContext *context, const SieveAction *action, char **suppressed_out,
                  GError **error)
{
    const char *owner = outgoing_owner(context);
    const char *parts[2];
    size_t lens[2];
    /* RFC 6009 section 6.1: with :notify or :ret, reports go to the owner of the script. */
    bool reports = action->ret != NULL || action->notify != NULL;
    const char *setting = context->config->sieve.redirect_envelope_from;

    message_parts(context, action, parts, lens);
    if (was_redirected_by(parts[0], lens[0], owner)) {
        *suppressed_out = g_strdup_printf("loop: the message was redirected by %s before", owner);
        return NULL;
    }
    char *from = outgoing_envelope_from(context, reports ? "user_email" : setting, error);
    if (from == NULL)
        return NULL;

    GString *out = g_string_sized_new(lens[0] + lens[1] + 256);
    compose_words(out, LOOP_FIELD, (const char *const[]){owner, NULL}, "");
    append_header(out, parts[0], lens[0]);
    if (out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
    g_string_append_len(out, parts[1], (gssize)lens[1]);
    OutgoingMail *mail = outgoing_mail_new(from, (const char *const[]){action->address, NULL}, out);
    mail->ret = g_strdup(action->ret);
    mail->notify = g_strdup(action->notify);
    return mail;
}
