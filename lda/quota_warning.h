/* lda/quota_warning.h - tells the owner that the mailbox fills up
 *
 *   quota_settle() ──▶ QuotaWarning ──(after the reply)──▶ a message in INBOX, a program
 *
 * The message is for thresholds that are passed upwards, the program for both directions. Neither
 * can fail a delivery or hold up its reply. The message is stored without asking whether
 * there is room, and without a line in "maildirsize": it must come just when there is none. A
 * later count finds it in the mailbox and counts it, as every mail reader does.
 *
 * A template is a text in UTF-8 with variables such as %{percent}; lines "Subject:" and "From:" at
 * its start, with a blank line behind them, are fields of the message.
 */
#ifndef LODGE_LDA_QUOTA_WARNING_H
#define LODGE_LDA_QUOTA_WARNING_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/log.h"
#include "lda/maildir.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

typedef struct QuotaWarning QuotaWarning; /* owns all that it needs after the delivery */

/* NULL when change has nothing to tell. */
QuotaWarning *quota_warning_new(const Mailbox *mailbox, const QuotaLimits *limits,
                                const QuotaChange *change, const char *transaction_id,
                                gint64 now_us);
void quota_warning_free(QuotaWarning *warning); /* NULL is fine */

/* Borrowed. */
typedef struct {
    const LdaConfig *config;
    Log *log;
    MaildirNamer *namer;
    const char *hostname;
} QuotaWarningContext;

/* Stores the message and runs the program, as configured, and logs it. To be called with our own
 * rights. */
void quota_warning_carry_out(const QuotaWarning *warning, const QuotaWarningContext *context);

/* The message: template with its variables, NULL for the text we have. Free with g_free(). */
char *quota_warning_compose(const QuotaWarning *warning, const LdaConfig *config,
                            const char *hostname, const char *template);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QuotaWarning, quota_warning_free)
#endif
