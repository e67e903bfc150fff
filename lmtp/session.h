/* lmtp/session.h - one LMTP connection, from greeting to QUIT (RFC 2033)
 *
 *   server.c --(accepted socket)--> session.c --> lda_resolve(), lda_deliver() --> replies
 *
 * Blocking, one connection at a time in its process. Knows nothing of workers,
 * listeners or privileges: any stream socket will do, which is how the tests run
 * their transcripts.
 */
#ifndef LODGE_LMTP_SESSION_H
#define LODGE_LMTP_SESSION_H

#include "lodge.h"
#include "lda/lda.h"

typedef struct {
    int fd;           /* the connection, non-blocking; stays the caller's */
    int stop_fd;      /* readable when the worker should wind up: an idle session gets
                         421 4.3.2, a transaction in progress is finished first; -1: none */
    const char *peer; /* as in Received: "unix socket", "[127.0.0.1]", "[IPv6:::1]" */
    bool trusted;     /* may use XFORWARD */
} LmtpConnection;

/* Speaks LMTP until the client quits, breaks off, or a limit of config->lmtp is
 * reached. Every fault is answered on the connection or logged; nothing is left
 * for the caller to do but to close it. */
void lmtp_session_run(Lda *lda, const LdaConfig *config, const LmtpConnection *connection);

#endif
