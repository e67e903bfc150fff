/* lmtp/reply.h - reply lines of RFC 5321 section 4.2 with RFC 2034 codes
 *
 * Replies collect in a buffer that the session writes in one go, before it would
 * wait for the client: pipelined commands are answered in one write.
 */
#ifndef LODGE_LMTP_REPLY_H
#define LODGE_LMTP_REPLY_H

#include "lodge.h"
#include "lda/outcome.h"

/* Why a command is not carried out. Code, status and text of each stand in one
 * table in reply.c. LMTP_ACCEPTED is the absence of a refusal. */
typedef enum {
    LMTP_ACCEPTED,
    LMTP_UNKNOWN_COMMAND,
    LMTP_NOT_IMPLEMENTED,
    LMTP_SMTP_GREETING,
    LMTP_LINE_TOO_LONG,
    LMTP_BAD_CHARACTER,
    LMTP_NO_ARGUMENT_ALLOWED,
    LMTP_LHLO_SYNTAX,
    LMTP_VRFY_SYNTAX,
    LMTP_MAIL_SYNTAX,
    LMTP_RCPT_SYNTAX,
    LMTP_BDAT_SYNTAX,
    LMTP_XFORWARD_SYNTAX,
    LMTP_BAD_SENDER,
    LMTP_BAD_RECIPIENT,
    LMTP_BAD_PARAMETER,
    LMTP_REPEATED_PARAMETER,
    LMTP_UNKNOWN_PARAMETER,
    LMTP_NEEDS_SMTPUTF8,
    LMTP_NEEDS_LHLO,
    LMTP_NEEDS_MAIL,
    LMTP_NEEDS_RECIPIENT,
    LMTP_NEEDS_BDAT,
    LMTP_IN_TRANSACTION,
    LMTP_IN_BDAT,
    LMTP_NOT_TRUSTED,
    LMTP_TOO_MANY_RECIPIENTS,
    LMTP_TOO_BIG,
} LmtpRefusal;

/* "250 2.1.0 text\r\n". status may be NULL where RFC 2034 section 4 wants none
 * (greeting, LHLO, 354). */
void lmtp_reply(GString *replies, unsigned code, const char *status, const char *text);

/* "250-first\r\n250-second\r\n250 last\r\n"; lines ends with NULL. */
void lmtp_reply_multiline(GString *replies, unsigned code, const char *const *lines);

/* The reply for a refusal; never call it with LMTP_ACCEPTED. */
void lmtp_reply_refusal(GString *replies, LmtpRefusal refusal);

/* The refusal as the outcome for one recipient, for the log. */
LdaOutcome *lmtp_refusal_outcome(LmtpRefusal refusal);

/* True for a fault of the client, which counts towards [lmtp] max_errors; false
 * for what a correct client may meet. */
bool lmtp_refusal_is_fault(LmtpRefusal refusal);

/* The reply for one recipient: "250 2.0.0 <ana@example.org> k3Xd9 stored in INBOX",
 * cut to the 512 octets of RFC 5321 section 4.5.3.1.5. Without utf8 (RFC 6531
 * section 3.7.4.2: the client did not ask for it) what is not ASCII becomes "?". */
void lmtp_reply_outcome(GString *replies, const char *recipient, const char *transaction_id,
                        const LdaOutcome *outcome, bool utf8);

#endif
