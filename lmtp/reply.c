/* lmtp/reply.c - refusals, outcomes and texts to reply lines; see reply.h
 *
 * The table is the only place that says which code goes with which refusal. Reply
 * codes after RFC 5321 section 4.2.3 and the RFC of each extension, enhanced codes
 * after RFC 5248. The texts go into the MTA's log, so each says what was wrong.
 *
 * Expected are limits, addresses that the MTA only passes on, and what follows in
 * a pipeline from an earlier refusal: DATA when every RCPT was refused.
 */
#include "lmtp/reply.h"

/* RFC 5321 section 4.5.3.1.5: a reply line, CRLF included. */
#define REPLY_LINE_MAX 512

static const struct {
    unsigned code;
    bool is_expected; /* a correct client may meet it, so it is no fault */
    const char *status;
    const char *text;
} refusals[] = {
    [LMTP_UNKNOWN_COMMAND] = {500, false, "5.5.1", "unknown command"},
    [LMTP_NOT_IMPLEMENTED] = {502, false, "5.5.1", "command not implemented"},
    [LMTP_SMTP_GREETING] = {500, false, "5.5.1", "this is LMTP, say LHLO"},
    [LMTP_LINE_TOO_LONG] = {500, false, "5.5.2", "line too long"},
    [LMTP_BAD_CHARACTER] = {500, false, "5.5.2", "control character in the command line"},
    [LMTP_NO_ARGUMENT_ALLOWED] = {501, false, "5.5.4", "this command takes no argument"},
    [LMTP_LHLO_SYNTAX] = {501, false, "5.5.4", "syntax: LHLO hostname"},
    [LMTP_VRFY_SYNTAX] = {501, false, "5.5.4", "syntax: VRFY address"},
    [LMTP_MAIL_SYNTAX] = {501, false, "5.5.4", "syntax: MAIL FROM:<address> [parameters]"},
    [LMTP_RCPT_SYNTAX] = {501, false, "5.5.4", "syntax: RCPT TO:<address> [parameters]"},
    [LMTP_BDAT_SYNTAX] = {501, false, "5.5.4", "syntax: BDAT size [LAST]"},
    [LMTP_XFORWARD_SYNTAX] = {501, false, "5.5.4", "syntax: XFORWARD attribute=value..."},
    [LMTP_BAD_SENDER] = {501, true, "5.1.7", "bad sender address"},
    [LMTP_BAD_RECIPIENT] = {501, true, "5.1.3", "bad recipient address"},
    [LMTP_BAD_PARAMETER] = {501, false, "5.5.4", "bad value of a parameter"},
    [LMTP_REPEATED_PARAMETER] = {501, false, "5.5.4", "parameter given twice"},
    [LMTP_UNKNOWN_PARAMETER] = {555, false, "5.5.4", "unsupported parameter"},
    [LMTP_NEEDS_SMTPUTF8] = {553, false, "5.6.7", "address needs SMTPUTF8"},
    [LMTP_NEEDS_LHLO] = {503, false, "5.5.1", "say LHLO first"},
    [LMTP_NEEDS_MAIL] = {503, true, "5.5.1", "need MAIL first"},
    [LMTP_NEEDS_RECIPIENT] = {503, true, "5.5.1", "no valid recipients"},
    [LMTP_NEEDS_BDAT] = {503, false, "5.5.1", "BODY=BINARYMIME needs BDAT"},
    [LMTP_IN_TRANSACTION] = {503, false, "5.5.1", "not within a mail transaction"},
    [LMTP_IN_BDAT] = {503, false, "5.5.1", "not after BDAT"},
    [LMTP_NOT_TRUSTED] = {550, false, "5.7.0", "not permitted from here"},
    [LMTP_TOO_MANY_RECIPIENTS] = {452, true, "4.5.3", "too many recipients"},
    [LMTP_TOO_BIG] = {552, true, "5.2.3", "message exceeds the size limit"},
};

/* Appends the three digits of code and what stands between them and the text. */
static void
append_code(GString *replies, unsigned code, char separator)
{
    const char digits[] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
                           (char)('0' + code % 10), separator};

    g_string_append_len(replies, digits, sizeof digits);
}

void
lmtp_reply(GString *replies, unsigned code, const char *status, const char *text)
{
    append_code(replies, code, ' ');
    if (status != NULL) {
        g_string_append(replies, status);
        g_string_append_c(replies, ' ');
    }
    g_string_append(replies, text);
    g_string_append_len(replies, "\r\n", 2);
}

void
lmtp_reply_multiline(GString *replies, unsigned code, const char *const *lines)
{
    for (; *lines != NULL; lines++) {
        append_code(replies, code, lines[1] != NULL ? '-' : ' ');
        g_string_append(replies, *lines);
        g_string_append_len(replies, "\r\n", 2);
    }
}

void
lmtp_reply_refusal(GString *replies, LmtpRefusal refusal)
{
    lmtp_reply(replies, refusals[refusal].code, refusals[refusal].status, refusals[refusal].text);
}

LdaOutcome *
lmtp_refusal_outcome(LmtpRefusal refusal)
{
    LdaOutcome *outcome = g_new0(LdaOutcome, 1);

    outcome->status = g_strdup(refusals[refusal].status);
    outcome->text = g_strdup(refusals[refusal].text);
    return outcome;
}

bool
lmtp_refusal_is_fault(LmtpRefusal refusal)
{
    return refusal != LMTP_ACCEPTED && !refusals[refusal].is_expected;
}

/* Makes the line that starts at start fit for the wire. Cutting never splits a
 * character. */
static void
tame_line(GString *replies, size_t start, bool utf8)
{
    const size_t longest = REPLY_LINE_MAX - strlen("\r\n");

    for (char *p = replies->str + start; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p))
            *p = ' ';
        else if (!utf8 && (uint8_t)*p >= 0x80)
            *p = '?';
    }
    if (replies->len - start > longest) {
        const char *cut = replies->str + start + longest;

        while (((uint8_t)*cut & 0xc0) == 0x80)
            cut--;
        g_string_truncate(replies, (size_t)(cut - replies->str));
    }
}

void
lmtp_reply_outcome(GString *replies, const char *recipient, const char *transaction_id,
                   const LdaOutcome *outcome, bool utf8)
{
    size_t start = replies->len;

    append_code(replies, lda_outcome_reply_code(outcome), ' ');
    g_string_append(replies, outcome->status);
    g_string_append_len(replies, " <", 2);
    g_string_append(replies, recipient);
    g_string_append_len(replies, "> ", 2);
    g_string_append(replies, transaction_id);
    g_string_append_c(replies, ' ');
    g_string_append(replies, outcome->text);
    tame_line(replies, start, utf8);
    g_string_append_len(replies, "\r\n", 2);
}
