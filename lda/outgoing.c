/* lda/outgoing.c - composes what a delivery sends; see outgoing.h
 *
 *   SieveAction + message + envelope --> OutgoingMail { envelope, bytes }
 *
 * Here: what all of them have, and the notice. Each kind of action has a file of its own:
 * outgoing_redirect.c, outgoing_vacation.c, outgoing_reject.c, outgoing_notify.c.
 *
 * Loops are what these files fear most. RFC 3834: whatever answers has the null sender and
 * Auto-Submitted; RFC 5436: so has whatever notifies, and a null sender stays null;
 * a redirected message names who redirected it, and is not redirected by him again.
 *
 * What comes from scripts and messages is written by compose.h only, which lets no value
 * begin a new line. The exception is the MIME entity of vacation :mime, of which only
 * fields named Content-... are taken.
 */
#include "lda/outgoing.h"

#include "lda/compose.h"
#include "lda/outgoing_parts.h"

G_DEFINE_QUARK(lodge - outgoing - error, outgoing_error)

void
outgoing_mail_free(OutgoingMail *mail)
{
    if (mail == NULL)
        return;
    g_free(mail->from);
    g_strfreev(mail->to);
    if (mail->bytes != NULL)
        g_bytes_unref(mail->bytes);
    g_free(mail->ret);
    g_free(mail->notify);
    g_free(mail);
}

static bool
is_utf8(const OutgoingMail *mail)
{
    bool ascii = g_str_is_ascii(mail->from);

    for (size_t i = 0; mail->to[i] != NULL; i++)
        ascii = ascii && g_str_is_ascii(mail->to[i]);
    return !ascii;
}

OutgoingMail *
outgoing_mail_new(char *from, const char *const *to, GString *out)
{
    OutgoingMail *mail = g_new0(OutgoingMail, 1);

    mail->from = from;
    mail->to = g_strdupv((char **)to);
    mail->bytes = g_string_free_to_bytes(out);
    mail->is_utf8 = is_utf8(mail);
    return mail;
}

/* ---- what all composed messages have ------------------------------------- */

char *
outgoing_message_id(const OutgoingContext *context, const char *what, unsigned line, const char *to)
{
    g_autofree char *all =
        g_strdup_printf("%s\n%s\n%s\n%u\n%s\n%" G_GINT64_FORMAT, context->transaction_id,
                        context->input->recipient, what, line, to, context->now_us);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, all, -1);

    hash[16] = '\0';
    return g_strdup_printf("<%s.%s@%s>", hash, context->transaction_id, context->hostname);
}

void
outgoing_append_id_and_date(GString *out, const OutgoingContext *context, const char *what,
                            unsigned line, const char *to)
{
    g_autofree char *id = outgoing_message_id(context, what, line, to);
    g_autofree char *date = compose_date(context->now_us);

    compose_words(out, "Message-ID", (const char *const[]){id, NULL}, "");
    compose_field(out, "Date", date);
}

void
outgoing_append_thread(GString *out, const SieveAction *action)
{
    if (action->in_reply_to != NULL)
        compose_words(out, "In-Reply-To", (const char *const[]){action->in_reply_to, NULL}, "");
    if (action->references != NULL) {
        g_auto(GStrv) ids = g_strsplit(action->references, " ", -1);
        compose_words(out, "References", (const char *const *)ids, "");
    }
}

void
outgoing_append_postmaster(GString *out, const OutgoingContext *context)
{
    g_autofree char *postmaster = outgoing_postmaster(context);
    g_autofree char *from = strchr(postmaster, '<') != NULL
                                ? g_strdup(postmaster)
                                : g_strdup_printf("Postmaster <%s>", postmaster);

    compose_mailboxes(out, "From", from);
}

/* ---- header fields of the original ---------------------------------------- */

size_t
outgoing_field_length(const char *text, size_t len)
{
    size_t at = 0;

    do {
        const char *newline = memchr(text + at, '\n', len - at);

        at = newline == NULL ? len : (size_t)(newline + 1 - text);
    } while (at < len && (text[at] == ' ' || text[at] == '\t'));
    return at;
}

bool
outgoing_is_field(const char *text, size_t len, const char *name)
{
    size_t name_len = strlen(name), at = name_len;

    if (len <= name_len || g_ascii_strncasecmp(text, name, name_len) != 0)
        return false;
    while (at < len && (text[at] == ' ' || text[at] == '\t'))
        at++;
    return at < len && text[at] == ':';
}

/* ---- public -------------------------------------------------------------- */

bool
outgoing_wants_reports(const OutgoingMail *mail)
{
    return *mail->from != '\0' && (mail->ret != NULL || mail->notify != NULL);
}

OutgoingMail *
outgoing_compose(const OutgoingContext *context, const SieveAction *action, char **suppressed_out,
                 GError **error)
{
    *suppressed_out = NULL;
    switch (action->kind) {
    case SIEVE_ACTION_REDIRECT:
        return outgoing_redirect(context, action, suppressed_out, error);
    case SIEVE_ACTION_VACATION:
        return outgoing_vacation(context, action);
    case SIEVE_ACTION_REJECT:
        return outgoing_rejection(context, action, suppressed_out);
    case SIEVE_ACTION_NOTIFY:
        return outgoing_notification(context, action, error);
    default:
        g_assert_not_reached();
    }
}

OutgoingMail *
outgoing_notice(const OutgoingContext *context, const char *script, const char *text)
{
    const char *owner = outgoing_owner(context);
    g_autofree char *subject = g_strdup_printf("Your Sieve script '%s' failed", script);
    g_autofree char *body = g_strdup_printf(
        "A message could not be sorted by your Sieve script '%s':\n\n%s\n\n"
        "The message is in your inbox. This notice is sent once for each version of the\n"
        "script; until it is corrected, mail goes to your inbox whenever it fails.\n",
        script, text);
    GString *out = g_string_new(NULL);

    outgoing_append_id_and_date(out, context, "notice", 0, script);
    outgoing_append_postmaster(out, context);
    compose_mailboxes(out, "To", owner);
    compose_field(out, "Subject", subject);
    compose_field(out, "Auto-Submitted", "auto-generated");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "MIME-Version", "1.0");
    compose_text(out, body);
    OutgoingMail *mail = outgoing_mail_new(g_strdup(""), (const char *const[]){owner, NULL}, out);
    mail->notify = g_strdup("NEVER");
    return mail;
}
