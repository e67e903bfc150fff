/* lda/outgoing_vacation.c - the answer of who is away (RFC 5230, RFC 3834) */
#include "lda/outgoing_parts.h"

#include "lda/compose.h"

static bool
is_content_field(const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);

    if (colon == NULL || g_ascii_strncasecmp(text, "content-", MIN(len, 8)) != 0)
        return false;
    for (const char *p = text; p < colon; p++) {
        if (!g_ascii_isalnum(*p) && *p != '-')
            return false;
    }
    return true;
}

/* The MIME entity of :mime (RFC 5230 section 4.4): fields of its header, a blank line, a body.
 * Without any such field all of it is the body. */
static void
append_entity(GString *out, const char *entity)
{
    size_t len = strlen(entity), at = 0;
    bool has_type = false, has_encoding = false;

    while (at < len && entity[at] != '\n') {
        size_t field = outgoing_field_length(entity + at, len - at);

        if (memchr(entity + at, ':', field) == NULL)
            break;
        if (is_content_field(entity + at, field)) {
            has_type |= outgoing_is_field(entity + at, field, "Content-Type");
            has_encoding |= outgoing_is_field(entity + at, field, "Content-Transfer-Encoding");
            g_string_append_len(out, entity + at, (gssize)field);
            if (out->str[out->len - 1] != '\n')
                g_string_append_c(out, '\n');
        }
        at += field;
    }
    if (!has_type && !has_encoding) {
        compose_text(out, entity[at] == '\n' ? entity + at + 1 : entity + at);
        return;
    }
    if (!has_type)
        g_string_append(out, "Content-Type: text/plain; charset=utf-8\n");
    if (!has_encoding && !g_str_is_ascii(entity + at))
        g_string_append(out, "Content-Transfer-Encoding: 8bit\n");
    if (at >= len || entity[at] != '\n')
        g_string_append_c(out, '\n');
    g_string_append(out, entity + at);
    if (out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
}

OutgoingMail *
outgoing_vacation(const OutgoingContext *context, const SieveAction *action)
{
    const char *from = action->from != NULL ? action->from : action->reply_from;
    bool from_recipient = context->config->sieve.vacation_send_from_recipient;
    GString *out = g_string_new(NULL);

    outgoing_append_id_and_date(out, context, "vacation", action->line, action->to);
    compose_mailboxes(out, "From", from != NULL ? from : outgoing_owner(context));
    compose_mailboxes(out, "To", action->to_header != NULL ? action->to_header : action->to);
    compose_field(out, "Subject", action->subject);
    outgoing_append_thread(out, action);
    compose_field(out, "Auto-Submitted", "auto-replied");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "X-Auto-Response-Suppress", "All");
    compose_field(out, "MIME-Version", "1.0");
    if (action->mime)
        append_entity(out, action->reason);
    else
        compose_text(out, action->reason);
    OutgoingMail *mail =
        outgoing_mail_new(g_strdup(from_recipient ? context->input->recipient : ""),
                          (const char *const[]){action->to, NULL}, out);
    mail->notify = g_strdup("NEVER"); /* RFC 5230 section 5.1 */
    return mail;
}
