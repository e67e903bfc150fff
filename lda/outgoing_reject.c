/* lda/outgoing_reject.c - the report to the sender that a message was rejected (RFC 5429)
 *
 * Where the refusal could not be told in SMTP.
 */
#include "lda/outgoing_parts.h"

#include "lda/compose.h"
#include "lda/header.h"

/* reject: a disposition notification (RFC 8098); ereject: a delivery status notification
 * (RFC 3464), which is what RFC 5429 sections 2.2.1 and 2.1.2 ask for. */
static const struct {
    const char *report_type;
    const char *content_type;
} reports[] = {
    {"disposition-notification", "message/disposition-notification"},
    {"delivery-status", "message/delivery-status"},
};

static void
append_typed_address(GString *out, const char *field, const char *address)
{
    g_autofree char *line =
        g_strconcat(g_str_is_ascii(address) ? "rfc822;" : "utf-8;", address, NULL);

    compose_words(out, field, (const char *const[]){line, NULL}, "");
}

static void
append_status(GString *out, const OutgoingContext *context, const SieveAction *action)
{
    const SieveInput *input = context->input;

    if (action->ereject) {
        g_string_append_printf(out, "Reporting-MTA: dns;%s\n\n", context->hostname);
    } else {
        g_string_append_printf(out, "Reporting-UA: %s; lodge\n", context->hostname);
    }
    if (input->original_recipient != NULL && *input->original_recipient != '\0')
        append_typed_address(out, "Original-Recipient", input->original_recipient);
    append_typed_address(out, "Final-Recipient", input->recipient);
    if (action->ereject) {
        g_string_append(out, "Action: failed\nStatus: 5.7.1\n");
        return;
    }
    if (action->in_reply_to != NULL)
        compose_words(out, "Original-Message-ID", (const char *const[]){action->in_reply_to, NULL},
                      "");
    g_string_append(out, "Disposition: automatic-action/MDN-sent-automatically; deleted\n");
}

/* The header of the original is returned, not its body: a rejection is no way to have somebody
 * else's server carry a message to a forged sender. */
static void
append_original_header(GString *out, const SieveInput *input)
{
    const char *bytes = input->len == 0 ? "" : (const char *)input->bytes;
    size_t len = header_length(bytes, input->len);

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\0' && !(bytes[i] == '\r' && (i + 1 == len || bytes[i + 1] == '\n')))
            g_string_append_c(out, bytes[i]);
    }
}

OutgoingMail *
outgoing_rejection(const OutgoingContext *context, const SieveAction *action, char **suppressed_out)
{
    const SieveInput *input = context->input;
    const char *content_type = reports[action->ereject].content_type;
    g_autofree char *id = NULL;
    g_autofree char *text = g_strdup_printf(
        "Your message to <%s> was refused by the recipient's mail filtering program.\n"
        "The reason given was as follows:\n\n%s\n",
        input->recipient, action->reason);

    if (*input->sender == '\0') { /* RFC 5429 sections 2.1.2 and 2.2.1 */
        *suppressed_out = g_strdup("no rejection is sent to the null sender");
        return NULL;
    }
    id = outgoing_message_id(context, "boundary", action->line, input->sender);
    g_autofree char *boundary = g_strndup(id + 1, 16);

    GString *out = g_string_new(NULL);
    outgoing_append_id_and_date(out, context, "reject", action->line, input->sender);
    outgoing_append_postmaster(out, context);
    compose_mailboxes(out, "To", input->sender);
    compose_field(out, "Subject", "Automatically rejected mail");
    outgoing_append_thread(out, action);
    compose_field(out, "Auto-Submitted", "auto-replied");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "MIME-Version", "1.0");
    g_string_append_printf(
        out, "Content-Type: multipart/report; report-type=%s;\n boundary=\"=_%s\"\n\n--=_%s\n",
        reports[action->ereject].report_type, boundary, boundary);
    compose_text(out, text);
    g_string_append_printf(out, "\n--=_%s\nContent-Type: %s\n\n", boundary, content_type);
    append_status(out, context, action);
    g_string_append_printf(out, "\n--=_%s\nContent-Type: text/rfc822-headers\n\n", boundary);
    append_original_header(out, input);
    g_string_append_printf(out, "\n--=_%s--\n", boundary);
    OutgoingMail *mail =
        outgoing_mail_new(g_strdup(""), (const char *const[]){input->sender, NULL}, out);
    mail->notify = g_strdup("NEVER");
    return mail;
}
