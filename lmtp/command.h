/* lmtp/command.h - a line of LMTP is a command
 *
 * A pure parser: no I/O, no state of a session. Whether the command may be given
 * now is the session's question. Grammar of RFC 5321 section 4.1.1 with the
 * parameters of RFC 1870, 3030, 3461, 6152 and 6531 and Postfix's XFORWARD;
 * tolerant of blanks where MTAs are.
 */
#ifndef LODGE_LMTP_COMMAND_H
#define LODGE_LMTP_COMMAND_H

#include "lodge.h"
#include "lmtp/reply.h"

typedef enum {
    LMTP_LHLO,
    LMTP_MAIL,
    LMTP_RCPT,
    LMTP_DATA,
    LMTP_BDAT,
    LMTP_RSET,
    LMTP_NOOP,
    LMTP_VRFY,
    LMTP_HELP,
    LMTP_QUIT,
    LMTP_XFORWARD,
    LMTP_VERBS, /* how many there are; also: not a command we carry out */
} LmtpVerb;

typedef enum { LMTP_BODY_7BIT, LMTP_BODY_8BITMIME, LMTP_BODY_BINARYMIME } LmtpBody;

/* What a line says. Strings are owned, NULL when absent. */
typedef struct {
    LmtpVerb verb;          /* known even when the rest is refused */
    LmtpRefusal refusal;    /* LMTP_ACCEPTED, or why nothing of the rest counts */
    char *text;             /* LHLO: the name */
    char *address;          /* MAIL, RCPT; "" is the null sender */
    guint64 size;           /* MAIL: SIZE=, 0 when absent; BDAT: octets of the chunk */
    bool last;              /* BDAT */
    LmtpBody body;          /* MAIL */
    bool utf8;              /* MAIL: SMTPUTF8 */
    char *ret;              /* MAIL: RET=, upper case */
    char *envid;            /* MAIL: ENVID=, decoded */
    char *original;         /* RCPT: the address in ORCPT= */
    char *notify;           /* RCPT: NOTIFY= as given */
    GHashTable *attributes; /* XFORWARD: upper-case name -> decoded value, "" for unavailable */
} LmtpCommand;

/* Parses the len bytes at line, which do not include its CRLF. Addresses may be
 * UTF-8 here; whether that is allowed depends on the transaction. */
LmtpCommand *lmtp_command_parse(const char *line, size_t len);
void lmtp_command_free(LmtpCommand *command); /* NULL is fine */

/* Name of a verb, for HELP. */
const char *lmtp_verb_name(LmtpVerb verb);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LmtpCommand, lmtp_command_free)
#endif
