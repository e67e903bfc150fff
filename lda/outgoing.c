/* lda/outgoing.c - composes what a delivery sends; see outgoing.h
 *
 *   SieveAction + message + envelope --> OutgoingMail { envelope, bytes }
 *
 * Loops are what this file fears most. RFC 3834: whatever answers has the null sender and
 * Auto-Submitted; RFC 5436: so has whatever notifies, and a null sender stays null;
 * a redirected message names who redirected it, and is not redirected by him again.
 *
 * What comes from scripts and messages is written by compose.h only, which lets no value
 * begin a new line. The exception is the MIME entity of vacation :mime, of which only
 * fields named Content-... are taken.
 */
#include "lda/outgoing.h"

#include "lda/address.h"
#include "lda/compose.h"
#include "lda/header.h"
#include "lda/srs.h"

#define LOOP_FIELD "X-Sieve-Redirected-From"

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

/* Takes from and out over. */
static OutgoingMail *
make_mail(char *from, const char *const *to, GString *out)
{
    OutgoingMail *mail = g_new0(OutgoingMail, 1);

    mail->from = from;
    mail->to = g_strdupv((char **)to);
    mail->bytes = g_string_free_to_bytes(out);
    mail->is_utf8 = is_utf8(mail);
    return mail;
}

/* ---- addresses ----------------------------------------------------------- */

static const char *
owner_of(const OutgoingContext *context)
{
    if (context->user_email != NULL && *context->user_email != '\0')
        return context->user_email;
    return context->input->recipient;
}

static char *
postmaster_of(const OutgoingContext *context)
{
    const char *address = context->config->sieve.postmaster_address;

    return *address != '\0' ? g_strdup(address)
                            : g_strconcat("postmaster@", context->hostname, NULL);
}

/* The address within a mailbox such as "Ana <ana@example.org>". */
static char *
bare_address(const char *mailbox)
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

/* The address that a setting of envelope senders means. A null sender stays null: what answers
 * to it may be in a loop. */
static char *
envelope_from(const OutgoingContext *context, const char *setting, GError **error)
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
        return g_strdup(owner_of(context));
    if (strcmp(word, "postmaster") == 0) {
        g_autofree char *postmaster = postmaster_of(context);
        char *bare = bare_address(postmaster);

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

/* ---- what all composed messages have ------------------------------------- */

/* Unique to transaction, recipient and action; the same when a delivery is tried again. */
static char *
message_id(const OutgoingContext *context, const char *what, unsigned line, const char *to)
{
    g_autofree char *all =
        g_strdup_printf("%s\n%s\n%s\n%u\n%s\n%" G_GINT64_FORMAT, context->transaction_id,
                        context->input->recipient, what, line, to, context->now_us);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, all, -1);

    hash[16] = '\0';
    return g_strdup_printf("<%s.%s@%s>", hash, context->transaction_id, context->hostname);
}

static void
append_id_and_date(GString *out, const OutgoingContext *context, const char *what, unsigned line,
                   const char *to)
{
    g_autofree char *id = message_id(context, what, line, to);
    g_autofree char *date = compose_date(context->now_us);

    compose_words(out, "Message-ID", (const char *const[]){id, NULL}, "");
    compose_field(out, "Date", date);
}

static void
append_thread(GString *out, const SieveAction *action)
{
    if (action->in_reply_to != NULL)
        compose_words(out, "In-Reply-To", (const char *const[]){action->in_reply_to, NULL}, "");
    if (action->references != NULL) {
        g_auto(GStrv) ids = g_strsplit(action->references, " ", -1);
        compose_words(out, "References", (const char *const *)ids, "");
    }
}

static void
append_postmaster(GString *out, const OutgoingContext *context)
{
    g_autofree char *postmaster = postmaster_of(context);
    g_autofree char *from = strchr(postmaster, '<') != NULL
                                ? g_strdup(postmaster)
                                : g_strdup_printf("Postmaster <%s>", postmaster);

    compose_mailboxes(out, "From", from);
}

/* ---- redirect ------------------------------------------------------------ */

/* Octets of the field at text, which ends where the next line does not begin with a blank. */
static size_t
field_length(const char *text, size_t len)
{
    size_t at = 0;

    do {
        const char *newline = memchr(text + at, '\n', len - at);

        at = newline == NULL ? len : (size_t)(newline + 1 - text);
    } while (at < len && (text[at] == ' ' || text[at] == '\t'));
    return at;
}

static bool
is_field(const char *text, size_t len, const char *name)
{
    size_t name_len = strlen(name), at = name_len;

    if (len <= name_len || g_ascii_strncasecmp(text, name, name_len) != 0)
        return false;
    while (at < len && (text[at] == ' ' || text[at] == '\t'))
        at++;
    return at < len && text[at] == ':';
}

/* Whether a loop field of the header names address. */
static bool
was_redirected_by(const char *header, size_t len, const char *address)
{
    for (size_t at = 0, field; at < len; at += field) {
        field = field_length(header + at, len - at);
        if (!is_field(header + at, field, LOOP_FIELD))
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
        field = field_length(header + at, len - at);
        if (!is_field(header + at, field, "Return-Path"))
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

static OutgoingMail *
compose_redirect(const OutgoingContext *context, const SieveAction *action, char **suppressed_out,
                 GError **error)
{
    const char *owner = owner_of(context);
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
    char *from = envelope_from(context, reports ? "user_email" : setting, error);
    if (from == NULL)
        return NULL;

    GString *out = g_string_sized_new(lens[0] + lens[1] + 256);
    compose_words(out, LOOP_FIELD, (const char *const[]){owner, NULL}, "");
    append_header(out, parts[0], lens[0]);
    if (out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
    g_string_append_len(out, parts[1], (gssize)lens[1]);
    OutgoingMail *mail = make_mail(from, (const char *const[]){action->address, NULL}, out);
    mail->ret = g_strdup(action->ret);
    mail->notify = g_strdup(action->notify);
    return mail;
}

/* ---- vacation ------------------------------------------------------------ */

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
        size_t field = field_length(entity + at, len - at);

        if (memchr(entity + at, ':', field) == NULL)
            break;
        if (is_content_field(entity + at, field)) {
            has_type |= is_field(entity + at, field, "Content-Type");
            has_encoding |= is_field(entity + at, field, "Content-Transfer-Encoding");
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

static OutgoingMail *
compose_vacation(const OutgoingContext *context, const SieveAction *action)
{
    const char *from = action->from != NULL ? action->from : action->reply_from;
    bool from_recipient = context->config->sieve.vacation_send_from_recipient;
    GString *out = g_string_new(NULL);

    append_id_and_date(out, context, "vacation", action->line, action->to);
    compose_mailboxes(out, "From", from != NULL ? from : owner_of(context));
    compose_mailboxes(out, "To", action->to_header != NULL ? action->to_header : action->to);
    compose_field(out, "Subject", action->subject);
    append_thread(out, action);
    compose_field(out, "Auto-Submitted", "auto-replied");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "X-Auto-Response-Suppress", "All");
    compose_field(out, "MIME-Version", "1.0");
    if (action->mime)
        append_entity(out, action->reason);
    else
        compose_text(out, action->reason);
    OutgoingMail *mail = make_mail(g_strdup(from_recipient ? context->input->recipient : ""),
                                   (const char *const[]){action->to, NULL}, out);
    mail->notify = g_strdup("NEVER"); /* RFC 5230 section 5.1 */
    return mail;
}

/* ---- rejection ----------------------------------------------------------- */

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

static OutgoingMail *
compose_rejection(const OutgoingContext *context, const SieveAction *action, char **suppressed_out)
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
    id = message_id(context, "boundary", action->line, input->sender);
    g_autofree char *boundary = g_strndup(id + 1, 16);

    GString *out = g_string_new(NULL);
    append_id_and_date(out, context, "reject", action->line, input->sender);
    append_postmaster(out, context);
    compose_mailboxes(out, "To", input->sender);
    compose_field(out, "Subject", "Automatically rejected mail");
    append_thread(out, action);
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
    OutgoingMail *mail = make_mail(g_strdup(""), (const char *const[]){input->sender, NULL}, out);
    mail->notify = g_strdup("NEVER");
    return mail;
}

/* ---- notification -------------------------------------------------------- */

/* Not of the RFC, but what mail programs show (RFC 5436 section 2.4). */
static void
append_importance(GString *out, const SieveAction *action)
{
    const char *importance = action->importance;

    for (size_t i = 0; action->fields[i] != NULL; i += 2) {
        if (strcmp(action->fields[i], "Importance") == 0 ||
            strcmp(action->fields[i], "X-Priority") == 0)
            return;
    }
    if (g_strcmp0(importance, "1") == 0)
        g_string_append(out, "X-Priority: 1 (Highest)\nImportance: High\n");
    if (g_strcmp0(importance, "3") == 0)
        g_string_append(out, "X-Priority: 5 (Lowest)\nImportance: Low\n");
}

/* "Auto-Submitted: auto-notified; owner-email=..." (RFC 5436 section 2.7.1). */
static void
append_auto_notified(GString *out, const OutgoingContext *context)
{
    GString *owner = g_string_new("owner-email=\"");

    for (const char *p = owner_of(context); *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(owner, '\\');
        g_string_append_c(owner, *p);
    }
    g_string_append_c(owner, '"');
    compose_words(out, "Auto-Submitted", (const char *const[]){"auto-notified;", owner->str, NULL},
                  "");
    g_string_free(owner, TRUE);
}

/* RFC 5436 section 2.7: null for null; else :from, unless the administrator wants another. */
static char *
notification_sender(const OutgoingContext *context, const SieveAction *action, GError **error)
{
    const char *setting = context->config->sieve.notify_envelope_from;
    char *from = NULL;

    if (action->from != NULL && *context->input->sender != '\0' && strcmp(setting, "sender") == 0)
        from = bare_address(action->from);
    return from != NULL ? from : envelope_from(context, setting, error);
}

static char **
all_recipients(const SieveAction *action)
{
    GPtrArray *all = g_ptr_array_new();

    for (size_t i = 0; action->notify_to[i] != NULL; i++)
        g_ptr_array_add(all, action->notify_to[i]);
    for (size_t i = 0; action->notify_cc[i] != NULL; i++)
        g_ptr_array_add(all, action->notify_cc[i]);
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

static OutgoingMail *
compose_notification(const OutgoingContext *context, const SieveAction *action, GError **error)
{
    g_autofree char **to = all_recipients(action); /* the strings are the action's */
    char *from = notification_sender(context, action, error);

    if (from == NULL)
        return NULL;
    GString *out = g_string_new(NULL);
    append_auto_notified(out, context);
    append_id_and_date(out, context, "notify", action->line, action->method);
    compose_mailboxes(out, "From", action->from != NULL ? action->from : owner_of(context));
    if (action->notify_to[0] != NULL)
        compose_words(out, "To", (const char *const *)action->notify_to, ",");
    if (action->notify_cc[0] != NULL)
        compose_words(out, "Cc", (const char *const *)action->notify_cc, ",");
    compose_field(out, "Subject", action->subject != NULL ? action->subject : "Notification");
    append_thread(out, action);
    append_importance(out, action);
    for (size_t i = 0; action->fields[i] != NULL; i += 2) {
        if (strcmp(action->fields[i], "Reply-To") == 0)
            compose_mailboxes(out, action->fields[i], action->fields[i + 1]);
        else
            compose_field(out, action->fields[i], action->fields[i + 1]);
    }
    compose_field(out, "MIME-Version", "1.0");
    compose_text(out, action->body);
    return make_mail(from, (const char *const *)to, out);
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
        return compose_redirect(context, action, suppressed_out, error);
    case SIEVE_ACTION_VACATION:
        return compose_vacation(context, action);
    case SIEVE_ACTION_REJECT:
        return compose_rejection(context, action, suppressed_out);
    case SIEVE_ACTION_NOTIFY:
        return compose_notification(context, action, error);
    default:
        g_assert_not_reached();
    }
}

OutgoingMail *
outgoing_notice(const OutgoingContext *context, const char *script, const char *text)
{
    const char *owner = owner_of(context);
    g_autofree char *subject = g_strdup_printf("Your Sieve script '%s' failed", script);
    g_autofree char *body = g_strdup_printf(
        "A message could not be sorted by your Sieve script '%s':\n\n%s\n\n"
        "The message is in your inbox. This notice is sent once for each version of the\n"
        "script; until it is corrected, mail goes to your inbox whenever it fails.\n",
        script, text);
    GString *out = g_string_new(NULL);

    append_id_and_date(out, context, "notice", 0, script);
    append_postmaster(out, context);
    compose_mailboxes(out, "To", owner);
    compose_field(out, "Subject", subject);
    compose_field(out, "Auto-Submitted", "auto-generated");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "MIME-Version", "1.0");
    compose_text(out, body);
    OutgoingMail *mail = make_mail(g_strdup(""), (const char *const[]){owner, NULL}, out);
    mail->notify = g_strdup("NEVER");
    return mail;
}
