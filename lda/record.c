/* lda/record.c - lines of the deliver log, one for each recipient
 *
 * event=deliver: a message came in and this is how it ended. event=refuse: the
 * recipient was turned away before there was a message. The fields are the same
 * and in the same order, as far as they are known.
 */
#include "lda/lda_private.h"

/* XFORWARD values that say "not known" (Postfix XFORWARD_README). */
static const char *
forwarded(const LdaEnvelope *envelope, const char *attribute)
{
    const char *value = g_hash_table_lookup(envelope->forwarded, attribute);

    if (value == NULL || g_ascii_strcasecmp(value, "[UNAVAILABLE]") == 0 ||
        g_ascii_strcasecmp(value, "[TEMPUNAVAIL]") == 0)
        return NULL;
    return value;
}

/* The host the message came from: what the MTA says, else our own peer. */
static char *
client(const LdaEnvelope *envelope)
{
    const char *name = forwarded(envelope, "NAME");
    const char *address = forwarded(envelope, "ADDR");
    const char *port = forwarded(envelope, "PORT");

    if (address != NULL)
        return g_strdup_printf("%s[%s]%s%s", name != NULL ? name : "unknown", address,
                               port != NULL ? ":" : "", port != NULL ? port : "");
    return g_strdup(envelope->client_address);
}

static const char *
queue_id(const LdaEnvelope *envelope, const Message *message)
{
    const char *ident = forwarded(envelope, "IDENT");

    if (ident != NULL || message == NULL)
        return ident;
    return message_queue_id(message);
}

static void
add_outcome(LogLine *line, const LdaOutcome *outcome)
{
    log_line_add(line, "folder", outcome->folder);
    log_line_add(line, "file", outcome->file);
    log_line_add(line, "status", outcome->status);
    log_line_add(line, "text", outcome->text);
}

static void
add_report(LogLine *line, const EffectsReport *report)
{
    log_line_add(line, "script", report->script);
    if (report->line > 0)
        log_line_add_number(line, "line", report->line);
    log_line_add(line, "actions", report->actions);
    log_line_add(line, "script_error", report->failure);
    log_line_add(line, "note", report->note);
}

static LogLine *
begin(Log *log, const char *event, const Record *record, const char *to, const char *original)
{
    const LdaEnvelope *envelope = record->envelope;
    LogLine *line = log_line_new(log, event);
    g_autofree char *from_host = client(envelope);

    log_line_add(line, "id", record->transaction_id);
    log_line_add(line, "queue_id", queue_id(envelope, record->message));
    log_line_add(line, "message_id", record->message != NULL ? message_id(record->message) : NULL);
    log_line_add(line, "from", envelope->sender);
    log_line_add(line, "to", to);
    log_line_add(line, "orig_to", original);
    log_line_add(line, "client", from_host);
    log_line_add(line, "helo", forwarded(envelope, "HELO"));
    log_line_add(line, "proto", forwarded(envelope, "PROTO"));
    log_line_add(line, "source", forwarded(envelope, "SOURCE"));
    log_line_add(line, "envid", envelope->envid);
    log_line_add(line, "ret", envelope->ret);
    return line;
}

void
record_delivery(Log *log, const Record *record, const LdaRecipient *recipient,
                const LdaOutcome *outcome, const EffectsReport *report, const char *note,
                const char *quota)
{
    LogLine *line = begin(log, "deliver", record, recipient->address, recipient->original);

    log_line_add(line, "notify", recipient->notify);
    log_line_add(line, "user", recipient->mailbox->user);
    if (record->message != NULL)
        log_line_add_number(line, "size", (gint64)message_size(record->message));
    add_outcome(line, outcome);
    log_line_add(line, "quota", quota);
    if (report != NULL)
        add_report(line, report);
    else
        log_line_add(line, "note", note);
    log_line_add_number(line, "ms", (g_get_monotonic_time() - record->started_us + 500) / 1000);
    log_line_write(line);
}

void
lda_log_refusal(Lda *lda, const char *transaction_id, const LdaEnvelope *envelope,
                const char *address, const LdaOutcome *outcome)
{
    const Record record = {.transaction_id = transaction_id, .envelope = envelope};
    LogLine *line = begin(lda->log, "refuse", &record, address, NULL);

    add_outcome(line, outcome);
    log_line_write(line);
}
