/* lmtp/reply.c - outcome and texts to reply lines; see reply.h */
#include "lmtp/reply.h"

void
lmtp_reply(GString *replies, unsigned code, const char *status, const char *text)
{
    if (status != NULL)
        g_string_append_printf(replies, "%u %s %s\r\n", code, status, text);
    else
        g_string_append_printf(replies, "%u %s\r\n", code, text);
}

void
lmtp_reply_multiline(GString *replies, unsigned code, const char *const *lines)
{
    for (; *lines != NULL; lines++)
        g_string_append_printf(replies, "%u%c%s\r\n", code, lines[1] != NULL ? '-' : ' ', *lines);
}

void
lmtp_reply_outcome(GString *replies, const char *recipient, const char *transaction_id,
                   const LdaOutcome *outcome)
{
    g_string_append_printf(replies, "%u %s <%s> %s %s\r\n", lda_outcome_reply_code(outcome),
                           outcome->status, recipient, transaction_id, outcome->text);
}
