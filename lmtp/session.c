/* lmtp/session.c - one LMTP connection; see session.h
 *
 *   stream.c --line--> command.c --command--> handler (table below) --> replies
 *            --bytes-> data.c --content--> lda/message.c --> lda_deliver()
 *
 *   greeting --LHLO--> ready --MAIL--> transaction --RCPT...--> --DATA or BDAT LAST--> ready
 *                        ^                  |
 *                        +------- RSET -----+      (an envelope exists in a transaction only)
 *
 * RFC 2033, with RFC 5321 wherever that refers to SMTP. After the data there is
 * exactly one reply for each recipient that was accepted, in the order of RCPT;
 * one too many or too few, and the MTA would take our replies for answers to the
 * wrong commands from then on. For the same reason whatever the client announced
 * (a long line, a chunk, the data) is read to its end before it is refused.
 */
#include "lmtp/session.h"

#include "lmtp/command.h"
#include "lmtp/data.h"
#include "lmtp/reply.h"
#include "lmtp/stream.h"

#define LAST_REPLIES_S 30 /* the usual patience_s */
#define CHORES_AFTER_S 1  /* without a command from the client */

typedef struct {
    Lda *lda;
    const LdaConfig *config;
    const LmtpConnection *connection;
    LmtpStream *stream;
    GString *replies; /* the stream's */
    unsigned faults;
    bool closing;
    guint64 patience_s;    /* how long the client may take to read our last replies */
    char *client_name;     /* of LHLO; NULL before it */
    GHashTable *forwarded; /* of XFORWARD, for the next transaction */

    /* One transaction, from MAIL to the end of the data; envelope NULL without. */
    LdaEnvelope *envelope;
    char *transaction_id;
    gint64 transaction_deadline_us;
    guint64 declared; /* SIZE= of MAIL; 0: none */
    LmtpBody body;
    bool utf8;
    Message *message; /* since DATA, or the first BDAT */
} Session;

static GHashTable *
new_attributes(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* Forgets the transaction, and what XFORWARD said of it: as in Postfix it holds
 * for one message. */
static void
end_transaction(Session *session)
{
    g_clear_pointer(&session->message, message_free); /* it borrows from the others */
    g_clear_pointer(&session->envelope, lda_envelope_free);
    g_clear_pointer(&session->transaction_id, g_free);
    g_hash_table_remove_all(session->forwarded);
}

/* ---- time, and the end of the session -------------------------------------- */

/* timeout_s from now, in microseconds of the clock that never steps. */
static gint64
deadline_after(guint64 timeout_s)
{
    return g_get_monotonic_time() + (gint64)timeout_s * G_USEC_PER_SEC;
}

/* RFC 5321 section 4.2.3: 421 may answer anything, and names the host. */
static void
close_with(Session *session, const char *status, const char *text)
{
    g_autofree char *line = g_strdup_printf("%s %s", lda_hostname(session->lda), text);

    lmtp_reply(session->replies, 421, status, line);
    session->closing = true;
}

/* The client will send no more, or will not be waited for any longer. */
static void
end_of_input(Session *session, LmtpStreamResult result)
{
    if (result == LMTP_STREAM_STOPPED)
        close_with(session, "4.3.2", "is stopping, closing the connection");
    else if (result == LMTP_STREAM_TIMEOUT)
        close_with(session, "4.4.2", "waited too long, closing the connection");
    session->closing = true;
    if (result == LMTP_STREAM_TIMEOUT)
        session->patience_s = 0; /* perhaps it was for reading that we waited */
    if (session->envelope != NULL)
        g_message("%s: client %s in transaction %s, nothing delivered", session->connection->peer,
                  result == LMTP_STREAM_TIMEOUT ? "stalled" : "lost", session->transaction_id);
}

/* ---- data ------------------------------------------------------------------ */

static void
keep(const uint8_t *bytes, size_t len, void *message)
{
    message_append(message, bytes, len);
}

static void
discard(const uint8_t *bytes, size_t len, void *nothing)
{
    (void)bytes;
    (void)len;
    (void)nothing;
}

/* Reads to the end of data; into message, or nowhere when it is NULL. False when
 * the client did not get there. */
static bool
receive(Session *session, LmtpData *data, Message *message)
{
    LmtpStream *stream = session->stream;
    gint64 deadline_us = session->envelope != NULL
                             ? session->transaction_deadline_us
                             : deadline_after(session->config->lmtp.transaction_timeout);

    while (!lmtp_data_is_done(data)) {
        if (stream->start == stream->end) {
            gint64 stalled_us = deadline_after(session->config->lmtp.data_timeout);
            LmtpStreamResult result =
                lmtp_stream_fill(stream, (LmtpWait){.deadline_us = MIN(deadline_us, stalled_us)});

            if (result != LMTP_STREAM_READY) {
                end_of_input(session, result);
                return false;
            }
        }
        stream->start +=
            lmtp_data_feed(data, stream->input + stream->start, stream->end - stream->start,
                           message != NULL ? keep : discard, message);
    }
    return true;
}

/* The message is complete: delivers it, answers for each recipient, and ends the
 * transaction. Earlier replies go out first: the disk may take its time. */
static void
deliver(Session *session)
{
    LdaEnvelope *envelope = session->envelope;
    g_autoptr(GError) failure = NULL;

    (void)lmtp_stream_write(session->stream); /* a client that is gone shows when we read */
    (void)message_finish(session->message, &failure);

    g_autoptr(GPtrArray) outcomes =
        lda_deliver(session->lda, session->transaction_id, envelope, session->message, failure);

    g_assert(outcomes->len == envelope->recipients->len);
    for (guint i = 0; i < outcomes->len; i++) {
        const LdaRecipient *recipient = g_ptr_array_index(envelope->recipients, i);

        lmtp_reply_outcome(session->replies, recipient->address, session->transaction_id,
                           g_ptr_array_index(outcomes, i), session->utf8);
    }
    end_transaction(session);
    if (lda_has_chores(session->lda)) {
        (void)lmtp_stream_write(session->stream); /* nobody must wait for those */
        lda_do_chores(session->lda, false);
    }
}

/* ---- commands -------------------------------------------------------------- */

static LmtpRefusal
handle_lhlo(Session *session, const LmtpCommand *command)
{
    g_autofree char *size =
        session->config->mail.message_size_limit > 0
            ? g_strdup_printf("SIZE %" G_GUINT64_FORMAT, session->config->mail.message_size_limit)
            : g_strdup("SIZE");
    const char *lines[] = {
        lda_hostname(session->lda),
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        size,
        "CHUNKING",
        "BINARYMIME",
        session->connection->trusted ? "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" : NULL,
        NULL,
    };

    end_transaction(session); /* RFC 5321 section 4.1.4: as if RSET */
    g_free(session->client_name);
    session->client_name = g_strdup(command->text);
    lmtp_reply_multiline(session->replies, 250, lines);
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_xforward(Session *session, const LmtpCommand *command)
{
    GHashTableIter iter;
    gpointer name, value;

    if (!session->connection->trusted)
        return LMTP_NOT_TRUSTED;
    if (session->envelope != NULL)
        return LMTP_IN_TRANSACTION;
    g_hash_table_iter_init(&iter, command->attributes);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        if (*(const char *)value != '\0')
            g_hash_table_replace(session->forwarded, g_strdup(name), g_strdup(value));
        else
            g_hash_table_remove(session->forwarded, name);
    }
    lmtp_reply(session->replies, 250, "2.0.0", "ok");
    return LMTP_ACCEPTED;
}

static void
begin_transaction(Session *session, const LmtpCommand *command)
{
    session->transaction_deadline_us = deadline_after(session->config->lmtp.transaction_timeout);
    session->transaction_id = lda_transaction_id(session->lda);
    session->declared = command->size;
    session->body = command->body;
    session->utf8 = command->utf8;

    LdaEnvelope *envelope = lda_envelope_new(command->address);

    envelope->protocol = g_strdup(command->utf8 ? "UTF8LMTP" : "LMTP"); /* RFC 6531 section 4.3 */
    envelope->client_name = g_strdup(session->client_name);
    envelope->client_address = g_strdup(session->connection->peer);
    envelope->ret = g_strdup(command->ret);
    envelope->envid = g_strdup(command->envid);
    /* What XFORWARD said changes places with the envelope's empty table. */
    GHashTable *empty = envelope->forwarded;
    envelope->forwarded = session->forwarded;
    session->forwarded = empty;
    session->envelope = envelope;
}

static LmtpRefusal
handle_mail(Session *session, const LmtpCommand *command)
{
    guint64 limit = session->config->mail.message_size_limit;

    if (session->client_name == NULL)
        return LMTP_NEEDS_LHLO;
    if (session->envelope != NULL)
        return LMTP_IN_TRANSACTION;
    if (!command->utf8 && !g_str_is_ascii(command->address))
        return LMTP_NEEDS_SMTPUTF8;
    if (limit > 0 && command->size > limit)
        return LMTP_TOO_BIG;
    begin_transaction(session, command);
    lmtp_reply(session->replies, 250, "2.1.0", "ok");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_rcpt(Session *session, const LmtpCommand *command)
{
    LdaEnvelope *envelope = session->envelope;
    g_autoptr(LdaOutcome) outcome = NULL;

    if (envelope == NULL)
        return LMTP_NEEDS_MAIL;
    if (session->message != NULL)
        return LMTP_IN_BDAT;
    if (!session->utf8 && !g_str_is_ascii(command->address))
        return LMTP_NEEDS_SMTPUTF8;
    if (envelope->recipients->len >= session->config->lmtp.max_recipients)
        return LMTP_TOO_MANY_RECIPIENTS;

    g_autoptr(LdaRecipient) recipient = lda_resolve(session->lda, command->address, &outcome);

    if (recipient != NULL)
        outcome = lda_check_declared(session->lda, recipient, session->declared);
    if (recipient == NULL || outcome != NULL) {
        lda_log_refusal(session->lda, session->transaction_id, envelope, command->address, outcome);
        lmtp_reply_outcome(session->replies, command->address, session->transaction_id, outcome,
                           session->utf8);
        return LMTP_ACCEPTED; /* the answer is given */
    }
    recipient->original = g_strdup(command->original);
    recipient->notify = g_strdup(command->notify);
    g_ptr_array_add(envelope->recipients, g_steal_pointer(&recipient));
    lmtp_reply(session->replies, 250, "2.1.5", "ok");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_data(Session *session, const LmtpCommand *command)
{
    LmtpData data;

    (void)command;
    if (session->envelope == NULL)
        return LMTP_NEEDS_MAIL;
    if (session->envelope->recipients->len == 0)
        return LMTP_NEEDS_RECIPIENT; /* RFC 2033 section 4.2 */
    if (session->message != NULL)
        return LMTP_IN_BDAT; /* RFC 3030 section 2 */
    if (session->body == LMTP_BODY_BINARYMIME)
        return LMTP_NEEDS_BDAT; /* RFC 3030 section 3 */
    lmtp_reply(session->replies, 354, NULL, "end data with <CR><LF>.<CR><LF>");
    session->message = lda_message_new(session->lda, session->transaction_id, session->envelope);
    lmtp_data_begin(&data);
    if (receive(session, &data, session->message))
        deliver(session);
    return LMTP_ACCEPTED;
}

/* The chunk follows its command without waiting for us, so it is read in any case. */
static LmtpRefusal
handle_bdat(Session *session, const LmtpCommand *command)
{
    LmtpData data;
    LmtpRefusal refusal = session->envelope == NULL                 ? LMTP_NEEDS_MAIL
                          : session->envelope->recipients->len == 0 ? LMTP_NEEDS_RECIPIENT
                                                                    : LMTP_ACCEPTED;

    if (refusal == LMTP_ACCEPTED && session->message == NULL)
        session->message =
            lda_message_new(session->lda, session->transaction_id, session->envelope);
    lmtp_data_begin_chunk(&data, command->size);
    if (!receive(session, &data, refusal == LMTP_ACCEPTED ? session->message : NULL))
        return LMTP_ACCEPTED;
    if (refusal != LMTP_ACCEPTED)
        return refusal;
    if (command->last)
        deliver(session);
    else
        lmtp_reply(session->replies, 250, "2.0.0", "chunk received");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_rset(Session *session, const LmtpCommand *command)
{
    (void)command;
    end_transaction(session);
    lmtp_reply(session->replies, 250, "2.0.0", "ok");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_noop(Session *session, const LmtpCommand *command)
{
    (void)command;
    lmtp_reply(session->replies, 250, "2.0.0", "ok");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_vrfy(Session *session, const LmtpCommand *command)
{
    (void)command;
    lmtp_reply(session->replies, 252, "2.0.0", "not verified, try RCPT");
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_help(Session *session, const LmtpCommand *command)
{
    g_autoptr(GString) names = g_string_new("commands:");

    (void)command;
    for (unsigned verb = 0; verb < LMTP_VERBS; verb++)
        g_string_append_printf(names, " %s", lmtp_verb_name(verb));
    lmtp_reply(session->replies, 214, "2.0.0", names->str);
    return LMTP_ACCEPTED;
}

static LmtpRefusal
handle_quit(Session *session, const LmtpCommand *command)
{
    (void)command;
    lmtp_reply(session->replies, 221, "2.0.0", "bye");
    end_transaction(session);
    session->closing = true;
    return LMTP_ACCEPTED;
}

static LmtpRefusal (*const handlers[LMTP_VERBS])(Session *session, const LmtpCommand *command) = {
    [LMTP_LHLO] = handle_lhlo, [LMTP_MAIL] = handle_mail,         [LMTP_RCPT] = handle_rcpt,
    [LMTP_DATA] = handle_data, [LMTP_BDAT] = handle_bdat,         [LMTP_RSET] = handle_rset,
    [LMTP_NOOP] = handle_noop, [LMTP_VRFY] = handle_vrfy,         [LMTP_HELP] = handle_help,
    [LMTP_QUIT] = handle_quit, [LMTP_XFORWARD] = handle_xforward,
};

/* ---- the loop -------------------------------------------------------------- */

static void
refuse(Session *session, LmtpRefusal refusal)
{
    lmtp_reply_refusal(session->replies, refusal);
    if (!lmtp_refusal_is_fault(refusal))
        return;
    session->faults++;
    if (session->faults >= session->config->lmtp.max_errors) {
        close_with(session, "4.7.0", "too many errors, closing the connection");
        g_message("%s: hung up on after %u errors", session->connection->peer, session->faults);
    }
}

/* A recipient that did not get as far as lda_resolve() is in the deliver log all the
 * same: somebody will look for that mail. */
static void
log_refused_recipient(const Session *session, const LmtpCommand *command, LmtpRefusal refusal)
{
    g_autoptr(LdaOutcome) outcome = lmtp_refusal_outcome(refusal);

    lda_log_refusal(session->lda, session->transaction_id, session->envelope, command->address,
                    outcome);
}

static void
handle_line(Session *session, const char *line, size_t len)
{
    g_autoptr(LmtpCommand) command = lmtp_command_parse(line, len);
    LmtpRefusal refusal = command->refusal;

    if (refusal == LMTP_ACCEPTED)
        refusal = handlers[command->verb](session, command);
    if (refusal == LMTP_ACCEPTED)
        return;
    if (command->verb == LMTP_RCPT && command->address != NULL && session->envelope != NULL)
        log_refused_recipient(session, command, refusal);
    refuse(session, refusal);
    /* A chunk of unknown size follows: taken for commands, it could be anything. */
    if (command->verb == LMTP_BDAT && command->refusal != LMTP_ACCEPTED && !session->closing)
        close_with(session, "4.5.0", "cannot tell where the chunk ends");
}

/* The next line. A client that keeps us waiting gives time for what deliveries have left to do. */
static LmtpStreamResult
read_line(Session *session, LmtpWait wait, const char **line_out, size_t *len_out)
{
    if (lda_has_chores(session->lda)) {
        const LmtpWait moment = {.deadline_us =
                                     MIN(wait.deadline_us, deadline_after(CHORES_AFTER_S)),
                                 .may_stop = wait.may_stop};
        LmtpStreamResult result = lmtp_stream_read_line(session->stream, moment, line_out, len_out);

        if (result != LMTP_STREAM_TIMEOUT)
            return result;
        lda_do_chores(session->lda, true);
    }
    return lmtp_stream_read_line(session->stream, wait, line_out, len_out);
}

static void
handle_next(Session *session)
{
    const char *line;
    size_t len;
    LmtpWait wait = {
        .deadline_us = deadline_after(session->config->lmtp.command_timeout),
        .may_stop = session->envelope == NULL,
    };

    if (session->envelope != NULL)
        wait.deadline_us = MIN(wait.deadline_us, session->transaction_deadline_us);

    LmtpStreamResult result = read_line(session, wait, &line, &len);

    /* Lines that were read already never wait, but each RCPT may, for a locked map. */
    if (session->envelope != NULL && g_get_monotonic_time() >= session->transaction_deadline_us)
        result = LMTP_STREAM_TIMEOUT;
    if (result == LMTP_STREAM_READY)
        handle_line(session, line, len);
    else if (result == LMTP_STREAM_LINE_TOO_LONG)
        refuse(session, LMTP_LINE_TOO_LONG);
    else
        end_of_input(session, result);
}

void
lmtp_session_run(Lda *lda, const LdaConfig *config, const LmtpConnection *connection)
{
    g_autoptr(LmtpStream) stream = lmtp_stream_new(connection->fd, connection->stop_fd);
    Session session = {
        .lda = lda,
        .config = config,
        .connection = connection,
        .stream = stream,
        .replies = stream->replies,
        .forwarded = new_attributes(),
        .patience_s = LAST_REPLIES_S,
    };
    g_autofree char *greeting = g_strdup_printf("%s lodge LMTP", lda_hostname(lda));

    lmtp_reply(session.replies, 220, NULL, greeting);
    while (!session.closing)
        handle_next(&session);
    end_transaction(&session);
    (void)lmtp_stream_flush(stream, deadline_after(session.patience_s));
    lda_do_chores(lda, true);
    lmtp_stream_shutdown(stream);
    g_hash_table_unref(session.forwarded);
    g_free(session.client_name);
}
