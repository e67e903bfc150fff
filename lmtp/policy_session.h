/* lmtp/policy_session.h - one connection of a policy client, among many
 *
 *   policy_worker.c --(socket is ready)--> policy_session_serve() --> lda_check_room()
 *
 * Never waits for the client: it takes what is there, answers it, and says what to wait
 * for. Answers only ever refuse or leave the decision to the next restriction (DUNNO):
 * never OK, which would open what others of Postfix's restrictions close, and never for
 * an address that is not ours.
 */
#ifndef LODGE_LMTP_POLICY_SESSION_H
#define LODGE_LMTP_POLICY_SESSION_H

#include "lodge.h"
#include "lda/lda.h"

typedef struct PolicySession PolicySession;

typedef enum {
    POLICY_SERVED,     /* something was read; there may be more */
    POLICY_WAIT_INPUT, /* there was nothing to read */
    POLICY_WAIT_WRITE, /* the client must read answers before we read more from it */
    POLICY_CLOSED,     /* the client is gone, or was told that we do not understand it */
} PolicyWait;

/* fd is non-blocking and becomes the session's; lda is borrowed. peer is for the log. */
PolicySession *policy_session_new(int fd, const char *peer, Lda *lda);
void policy_session_free(PolicySession *session); /* closes; NULL is fine */

/* Reads once, no more than POLICY_SESSION_READ octets, and answers the requests in it:
 * so connections that send without end are served in turn with others. */
#define POLICY_SESSION_READ 4096
PolicyWait policy_session_serve(PolicySession *session);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicySession, policy_session_free)
#endif
