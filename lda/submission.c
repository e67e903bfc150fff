/* lda/submission.c - hands a message to the MTA; see submission.h
 *
 *   [submission] sendmail set --> sendmail.c
 *   otherwise:  smtp_transport.c (libcurl: connection, TLS, login)
 *               then here: EHLO, MAIL, RCPT..., DATA, message, QUIT
 *
 * libcurl's own transfer knows nothing of DSN parameters (RFC 3461) and does not tell which
 * reply it got, so it is only asked for the connection; what follows is a dialogue of
 * six commands. A 5xx to any of them but EHLO and QUIT is a refusal, unless it is about the login,
 * anything else a reason to try again. If the reply to the final dot is lost, the message may have
 * been taken: trying again may then send it twice, which is better than not at all.
 */
#include "lda/submission.h"

#include "lda/sendmail.h"
#include "lda/smtp_transport.h"

G_DEFINE_QUARK(lodge - submission - error, submission_error)

enum { MAX_REPLY = 64 * 1024, CHUNK = 64 * 1024 };

typedef struct {
    SmtpTransport *transport;
    GString *input; /* read and not used yet */
    bool dsn, smtputf8, eightbit, size;
} Dialogue;

static bool fail(GError **error, SubmissionError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool
fail(GError **error, SubmissionError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, SUBMISSION_ERROR, (int)code, text);
    return false;
}

/* ---- replies ------------------------------------------------------------- */

/* One line without its end, from arena of nobody: free with g_free(). */
static char *
read_line(Dialogue *dialogue, GError **error)
{
    char *newline;

    while ((newline = memchr(dialogue->input->str, '\n', dialogue->input->len)) == NULL) {
        char buffer[4096];
        size_t got = 0;

        if (dialogue->input->len > MAX_REPLY) {
            (void)fail(error, SUBMISSION_ERROR_LATER, "the MTA sends a line without end");
            return NULL;
        }
        if (!smtp_transport_receive(dialogue->transport, buffer, sizeof buffer, &got, error))
            return NULL;
        g_string_append_len(dialogue->input, buffer, (gssize)got);
    }
    size_t len = (size_t)(newline - dialogue->input->str);
    char *line = g_strndup(dialogue->input->str, len);
    g_string_erase(dialogue->input, 0, (gssize)len + 1);
    return g_strchomp(line);
}

/* A reply: its code, and all of its lines joined by "\n". */
static bool
read_reply(Dialogue *dialogue, unsigned *code_out, char **text_out, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (;;) {
        g_autofree char *line = read_line(dialogue, error);

        if (line == NULL)
            return false;
        if (strlen(line) < 3 || !g_ascii_isdigit(line[0]) || !g_ascii_isdigit(line[1]) ||
            !g_ascii_isdigit(line[2]) || (line[3] != '\0' && line[3] != ' ' && line[3] != '-') ||
            text->len > MAX_REPLY)
            return fail(error, SUBMISSION_ERROR_LATER, "the MTA does not speak SMTP");
        if (text->len > 0)
            g_string_append_c(text, '\n');
        g_string_append(text, line);
        if (line[3] != '-') {
            *code_out = (unsigned)(line[0] - '0') * 100 + (unsigned)(line[1] - '0') * 10 +
                        (unsigned)(line[2] - '0');
            *text_out = g_string_free(g_steal_pointer(&text), FALSE);
            return true;
        }
    }
}

/* RFC 4954 section 6: 530, 534, 535, 538 find fault with the login. That is the administrator's to
 * mend, no reason to give up the mail. */
static bool
is_refusal(unsigned code)
{
    return code / 100 == 5 && code / 10 != 53;
}

/* Reads a reply that must be of the class (2 or 3) to what. */
static bool
expect_reply(Dialogue *dialogue, unsigned class, const char *what, GError **error)
{
    g_autofree char *text = NULL;
    unsigned code = 0;

    if (!read_reply(dialogue, &code, &text, error))
        return false;
    if (code / 100 == class)
        return true;
    g_strdelimit(text, "\n", ' ');
    return fail(error, is_refusal(code) ? SUBMISSION_ERROR_REFUSED : SUBMISSION_ERROR_LATER,
                "the MTA answered %s with: %s", what, text);
}

static bool
command(Dialogue *dialogue, const char *line, unsigned class, const char *what, GError **error)
{
    g_autofree char *sent = g_strconcat(line, "\r\n", NULL);

    return smtp_transport_send(dialogue->transport, sent, strlen(sent), error) &&
           expect_reply(dialogue, class, what, error);
}

/* ---- what the MTA can do ------------------------------------------------- */

static bool
has_keyword(const char *reply, const char *keyword)
{
    g_auto(GStrv) lines = g_strsplit(reply, "\n", -1);
    size_t len = strlen(keyword);

    for (size_t i = 1; lines[0] != NULL && lines[i] != NULL; i++) {
        const char *text = lines[i] + MIN(strlen(lines[i]), 4);

        if (g_ascii_strncasecmp(text, keyword, len) == 0 && (text[len] == '\0' || text[len] == ' '))
            return true;
    }
    return false;
}

/* libcurl has said EHLO for its login; what was answered it keeps to itself. */
static bool
ask_capabilities(Dialogue *dialogue, const char *hostname, GError **error)
{
    g_autofree char *line = g_strdup_printf("EHLO %s\r\n", hostname);
    g_autofree char *text = NULL;
    unsigned code = 0;

    if (!smtp_transport_send(dialogue->transport, line, strlen(line), error) ||
        !read_reply(dialogue, &code, &text, error))
        return false;
    if (code / 100 != 2)
        return fail(error, SUBMISSION_ERROR_LATER, "the MTA answered EHLO with: %s", text);
    dialogue->dsn = has_keyword(text, "DSN");
    dialogue->smtputf8 = has_keyword(text, "SMTPUTF8");
    dialogue->eightbit = has_keyword(text, "8BITMIME");
    dialogue->size = has_keyword(text, "SIZE");
    return true;
}

/* ---- the envelope -------------------------------------------------------- */

/* Nothing but an address goes between "<" and ">". */
static bool
is_safe(const char *address)
{
    for (const char *p = address; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p) || *p == '<' || *p == '>')
            return false;
    }
    return true;
}

static bool
check_envelope(const OutgoingMail *mail, GError **error)
{
    bool safe = is_safe(mail->from);

    for (size_t i = 0; mail->to[i] != NULL; i++)
        safe = safe && *mail->to[i] != '\0' && is_safe(mail->to[i]);
    return (safe && mail->to[0] != NULL) ||
           fail(error, SUBMISSION_ERROR_REFUSED, "the envelope has no good address in it");
}

static bool
has_8bit(GBytes *bytes)
{
    size_t len = 0;
    const char *data = g_bytes_get_data(bytes, &len);

    for (size_t i = 0; i < len; i++) {
        if ((signed char)data[i] < 0)
            return true;
    }
    return false;
}

static bool
send_mail_from(Dialogue *dialogue, const OutgoingMail *mail, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);

    if (mail->is_utf8 && !dialogue->smtputf8)
        return fail(error, SUBMISSION_ERROR_REFUSED,
                    "the MTA does not take addresses with other characters than ASCII");
    g_string_printf(line, "MAIL FROM:<%s>", mail->from);
    if (dialogue->size)
        g_string_append_printf(line, " SIZE=%zu", g_bytes_get_size(mail->bytes));
    if (dialogue->eightbit && has_8bit(mail->bytes))
        g_string_append(line, " BODY=8BITMIME");
    if (mail->is_utf8)
        g_string_append(line, " SMTPUTF8");
    if (dialogue->dsn && mail->ret != NULL)
        g_string_append_printf(line, " RET=%s", mail->ret);
    return command(dialogue, line->str, 2, "MAIL", error);
}

static bool
send_recipients(Dialogue *dialogue, const OutgoingMail *mail, GError **error)
{
    for (size_t i = 0; mail->to[i] != NULL; i++) {
        g_autoptr(GString) line = g_string_new(NULL);

        g_string_printf(line, "RCPT TO:<%s>", mail->to[i]);
        if (dialogue->dsn && mail->notify != NULL)
            g_string_append_printf(line, " NOTIFY=%s", mail->notify);
        if (!command(dialogue, line->str, 2, "RCPT", error))
            return false;
    }
    return true;
}

/* ---- the message --------------------------------------------------------- */

/* A CR that is no line end becomes a blank: RFC 5321 section 2.3.8 forbids to send it, and a
 * server that takes it for a line end sees commands where we sent text. */
static void
append_line(GString *out, const char *data, size_t at, size_t len, size_t end, bool has_newline)
{
    size_t from = out->len;

    g_string_append_len(out, data + at, (gssize)len);
    for (size_t i = 0; i < len; i++) {
        if (data[at + i] == '\r' && (at + i + 1 < end || !has_newline))
            out->str[from + i] = ' ';
    }
}

/* CRLF line ends and dots stuffed (RFC 5321 section 4.5.2). */
static bool
send_message(Dialogue *dialogue, GBytes *bytes, GError **error)
{
    g_autoptr(GString) chunk = g_string_sized_new(CHUNK + 16);
    size_t len = 0;
    const char *data = g_bytes_get_data(bytes, &len);
    bool at_start = true;

    for (size_t at = 0; at < len;) {
        const char *newline = memchr(data + at, '\n', len - at);
        size_t end = newline == NULL ? len : (size_t)(newline - data);
        size_t line = MIN(end - at, CHUNK);

        if (at_start && data[at] == '.')
            g_string_append_c(chunk, '.');
        append_line(chunk, data, at, line, end, newline != NULL);
        at += line;
        at_start = at == end;
        if (at_start) {
            /* Of a line that ends with CR LF already, the CR is there. */
            bool has_cr = newline != NULL && end > 0 && data[end - 1] == '\r';

            g_string_append(chunk, has_cr ? "\n" : "\r\n");
            at += newline != NULL;
        }
        if (chunk->len >= CHUNK) {
            if (!smtp_transport_send(dialogue->transport, chunk->str, chunk->len, error))
                return false;
            g_string_truncate(chunk, 0);
        }
    }
    g_string_append(chunk, ".\r\n");
    return smtp_transport_send(dialogue->transport, chunk->str, chunk->len, error);
}

static bool
converse(Dialogue *dialogue, const char *hostname, const OutgoingMail *mail, GError **error)
{
    return ask_capabilities(dialogue, hostname, error) && send_mail_from(dialogue, mail, error) &&
           send_recipients(dialogue, mail, error) && command(dialogue, "DATA", 3, "DATA", error) &&
           send_message(dialogue, mail->bytes, error) &&
           expect_reply(dialogue, 2, "the message", error);
}

static bool
send_by_smtp(const LdaConfig *config, const OutgoingMail *mail, char **remark_out, GError **error)
{
    Dialogue dialogue = {0};
    const char *hostname =
        *config->mail.hostname != '\0' ? config->mail.hostname : g_get_host_name();
    bool done;

    dialogue.transport = smtp_transport_open(config, hostname, error);
    if (dialogue.transport == NULL)
        return false;
    dialogue.input = g_string_new(NULL);
    done = converse(&dialogue, hostname, mail, error);
    if (done) /* it is the MTA's already, whatever it says to this */
        (void)smtp_transport_send(dialogue.transport, "QUIT\r\n", 6, NULL);
    smtp_transport_close(dialogue.transport);
    g_string_free(dialogue.input, TRUE);
    if (done && !dialogue.dsn && outgoing_wants_reports(mail))
        *remark_out = g_strdup("the MTA does not offer DSN: NOTIFY and RET are left out");
    return done;
}

bool
submission_send(const LdaConfig *config, const OutgoingMail *mail, char **remark_out,
                GError **error)
{
    *remark_out = NULL;
    if (!check_envelope(mail, error))
        return false;
    return *config->submission.sendmail != '\0' ? sendmail_run(config, mail, remark_out, error)
                                                : send_by_smtp(config, mail, remark_out, error);
}
