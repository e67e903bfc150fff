/* lmtp/policy.h - requests of Postfix's policy delegation protocol
 *
 *   name=value LF ... LF LF --policy_parser_feed()--> PolicyRequest
 *   "DUNNO"                 --policy_answer()-------> action=DUNNO LF LF
 *
 * SMTPD_POLICY_README of Postfix: attributes in any order, those we do not know are
 * ignored, an empty line ends the request; many requests may follow each other on one
 * connection. Pure: bytes in, values out.
 */
#ifndef LODGE_LMTP_POLICY_H
#define LODGE_LMTP_POLICY_H

#include "lodge.h"

/* Postfix cuts each value at 2048 (line_length_limit) and sends about forty of them. */
#define POLICY_LINE_MAX 8192
#define POLICY_REQUEST_MAX 65536

/* What we want to know of a request. Strings are UTF-8, and "" where Postfix knows nothing. */
typedef struct {
    char *request; /* "smtpd_access_policy" */
    char *state;   /* protocol_state: "RCPT", "END-OF-MESSAGE" ... */
    char *sender;
    char *recipient;
    char *client_name; /* "unknown" without a name */
    char *client_address;
    char *helo;
    char *protocol; /* "ESMTP" */
    char *queue_id;
    guint64 size; /* octets with CRLF; 0: not announced */
} PolicyRequest;

typedef enum {
    POLICY_MORE,    /* all was taken, the request is not complete */
    POLICY_REQUEST, /* complete: policy_parser_request() */
    POLICY_GARBAGE, /* not this protocol: nothing that follows can be understood */
} PolicyResult;

typedef struct PolicyParser PolicyParser;

PolicyParser *policy_parser_new(void);
void policy_parser_free(PolicyParser *parser); /* NULL is fine */

/* Takes bytes as far as the end of a request; *used_out says how many. A line may end with
 * CRLF: so does what people type. */
PolicyResult policy_parser_feed(PolicyParser *parser, const char *bytes, size_t len,
                                size_t *used_out);

/* The request just completed. Valid until the parser is fed again. */
const PolicyRequest *policy_parser_request(const PolicyParser *parser);

/* Appends the answer. Control characters in action become blanks. */
void policy_answer(GString *answers, const char *action);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyParser, policy_parser_free)
#endif
