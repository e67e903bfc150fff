/* lmtp/reply.h - reply lines of RFC 5321 section 4.2 with RFC 2034 codes
 *
 * Replies collect in a buffer that the session writes in one go, before it would
 * wait for the client: pipelined commands are answered in one write.
 */
#ifndef LODGE_LMTP_REPLY_H
#define LODGE_LMTP_REPLY_H

#include "lodge.h"
#include "lda/outcome.h"

/* "250 2.1.0 text\r\n". status may be NULL where RFC 2034 section 4 wants none
 * (greeting, LHLO, 354). */
void lmtp_reply(GString *replies, unsigned code, const char *status, const char *text);

/* "250-first\r\n250-second\r\n250 last\r\n"; lines ends with NULL. */
void lmtp_reply_multiline(GString *replies, unsigned code, const char *const *lines);

/* The reply for one recipient: "250 2.0.0 <ana@example.org> k3Xd9 stored in INBOX". */
void lmtp_reply_outcome(GString *replies, const char *recipient, const char *transaction_id,
                        const LdaOutcome *outcome);

#endif
