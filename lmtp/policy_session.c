/* lmtp/policy_session.c - one connection of a policy client; see policy_session.h
 *
 *   RCPT            size= is what the client announced (MAIL ... SIZE=), 0 when it did not
 *   END-OF-MESSAGE  size= is what came; the recipient is there only if it was the only one
 *   any other       nothing is asked that we could know: DUNNO
 *
 * What the sender is told is that the mailbox is full, not how full: the figures stand
 * in the log. Mail that we cannot judge is put off, as its delivery would be.
 */
#include "lmtp/policy_session.h"

#include "lda/check_room.h"
#include "lmtp/policy.h"

#include <sys/socket.h>

#define NO_OBJECTION "DUNNO"
#define CANNOT_TELL "DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable"

struct PolicySession {
    int fd;
    char *peer;
    Lda *lda;
    PolicyParser *parser;
    GString *answers; /* not written yet */
    bool is_closing;  /* once they are */
};

/* The refusals that are decisions; whatever else lda_check_room() says is trouble of ours. */
static const struct {
    const char *status;
    const char *text;
} refusals[] = {
    {"5.2.2", "Mailbox is full"},
    {"4.2.2", "Mailbox is full, try again later"},
    {"5.2.3", "Message is too large for this mailbox"},
};

PolicySession *
policy_session_new(int fd, const char *peer, Lda *lda)
{
    PolicySession *session = g_new0(PolicySession, 1);

    session->fd = fd;
    session->peer = g_strdup(peer);
    session->lda = lda;
    session->parser = policy_parser_new();
    session->answers = g_string_new(NULL);
    return session;
}

void
policy_session_free(PolicySession *session)
{
    if (session == NULL)
        return;
    lodge_close(&session->fd);
    policy_parser_free(session->parser);
    g_string_free(session->answers, TRUE);
    g_free(session->peer);
    g_free(session);
}

static char *
describe_refusal(const LdaOutcome *outcome)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (strcmp(outcome->status, refusals[i].status) == 0)
            return g_strdup_printf("%u %s %s", lda_outcome_reply_code(outcome), outcome->status,
                                   refusals[i].text);
    }
    return g_strdup(CANNOT_TELL);
}

static char *
decide(Lda *lda, const PolicyRequest *request)
{
    const RoomQuestion question = {
        .address = request->recipient,
        .octets = MAX(request->size, 1),
        .sender = request->sender,
        .client_name = request->client_name,
        .client_address = request->client_address,
        .helo = request->helo,
        .protocol = request->protocol,
        .queue_id = request->queue_id,
    };
    bool is_asked =
        strcmp(request->state, "RCPT") == 0 || strcmp(request->state, "END-OF-MESSAGE") == 0;

    if (!is_asked || *request->recipient == '\0')
        return g_strdup(NO_OBJECTION);
    g_autoptr(LdaOutcome) refusal = lda_check_room(lda, &question);
    return refusal != NULL ? describe_refusal(refusal) : g_strdup(NO_OBJECTION);
}

/* Answers all that is complete in these bytes. */
static void
answer(PolicySession *session, const char *bytes, size_t len)
{
    for (size_t done = 0; done < len && !session->is_closing;) {
        size_t used;
        PolicyResult result = policy_parser_feed(session->parser, bytes + done, len - done, &used);

        done += used;
        if (result == POLICY_REQUEST) {
            g_autofree char *action = decide(session->lda, policy_parser_request(session->parser));

            policy_answer(session->answers, action);
        } else if (result == POLICY_GARBAGE) {
            g_warning("%s: not a request of the policy protocol, closing the connection",
                      session->peer);
            policy_answer(session->answers, CANNOT_TELL);
            session->is_closing = true;
        }
    }
}

/* False: the client is gone. */
static bool
write_answers(PolicySession *session)
{
    GString *answers = session->answers;
    size_t done = 0;

    while (done < answers->len) {
        ssize_t sent = send(session->fd, answers->str + done, answers->len - done,
                            MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0)
            break;
        done += (size_t)sent;
    }
    g_string_erase(answers, 0, (gssize)done);
    return true;
}

static ssize_t
read_some(const PolicySession *session, char *bytes)
{
    ssize_t got;

    do {
        got = recv(session->fd, bytes, POLICY_SESSION_READ, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Closing with unread input would reset the connection, and our answer with it. Bounded:
 * a client that sends without end is not worth more of our time. */
static void
discard_input(const PolicySession *session)
{
    enum { DISCARD_READS = 64 };
    char bytes[POLICY_SESSION_READ];

    (void)shutdown(session->fd, SHUT_WR); /* it may be gone already */
    for (unsigned i = 0; i < DISCARD_READS && read_some(session, bytes) > 0; i++)
        ;
}

PolicyWait
policy_session_serve(PolicySession *session)
{
    char bytes[POLICY_SESSION_READ];
    PolicyWait wait = POLICY_SERVED;

    if (session->answers->len == 0) {
        ssize_t got = read_some(session, bytes);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            return POLICY_CLOSED;
        if (got < 0)
            wait = POLICY_WAIT_INPUT;
        else
            answer(session, bytes, (size_t)got);
    }
    if (!write_answers(session))
        return POLICY_CLOSED;
    if (session->answers->len > 0)
        return POLICY_WAIT_WRITE;
    if (!session->is_closing)
        return wait;
    discard_input(session);
    return POLICY_CLOSED;
}
