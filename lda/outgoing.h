/* lda/outgoing.h - messages that a delivery sends: composed here, sent by submission.h
 *
 *   redirect      the message itself with a loop header (RFC 5228 section 4.2)
 *   vacation      RFC 5230 and RFC 3834
 *   rejection     a disposition notification (RFC 8098), where the refusal cannot be told in SMTP
 *   notification  mailto: (RFC 5436)
 *   notice        to the owner: the script failed
 *
 * Pure: a value in, a value out. `lodge sieve test` shows exactly what delivery would send.
 */
#ifndef LODGE_LDA_OUTGOING_H
#define LODGE_LDA_OUTGOING_H

#include "lodge.h"
#include "lda/config.h"
#include "sieve/sieve.h"

#define OUTGOING_ERROR outgoing_error_quark()
GQuark outgoing_error_quark(void);
typedef enum {
    OUTGOING_ERROR_SETTING, /* a setting that is needed cannot be used */
} OutgoingError;

typedef struct {
    char *from;    /* envelope sender; "" is the null sender */
    char **to;     /* envelope recipients; one or more */
    GBytes *bytes; /* the whole message, LF line ends */
    char *ret;     /* DSN parameters (RFC 3461); NULL: none */
    char *notify;
    bool is_utf8; /* needs SMTPUTF8 */
} OutgoingMail;

/* What composing needs to know besides the action. Borrowed. */
typedef struct {
    const LdaConfig *config;
    const SieveInput *input; /* the message and its envelope */
    const char *user_email;  /* the user's own address; NULL or "": the final recipient */
    const char *hostname;
    const char *transaction_id; /* in Message-IDs */
    gint64 now_us;
} OutgoingContext;

/* The message of an action of kind REDIRECT, VACATION, REJECT or NOTIFY. NULL with no error when
 * nothing is to be sent (a redirect in a loop: *suppressed_out says why); NULL with error when it
 * cannot be composed. */
OutgoingMail *outgoing_compose(const OutgoingContext *context, const SieveAction *action,
                               char **suppressed_out, GError **error);

/* The copy of a vacation or notification that fcc files (RFC 8580): the same bytes. */

/* What [sieve] redirect_envelope_from and notify_envelope_from may hold: sender, recipient,
 * orig_recipient, user_email, postmaster, srs (for redirect only), an address in angle brackets,
 * or "<>". Blanks around are ignored. True when text is one. */
bool outgoing_is_path_setting(const char *text, bool srs);

/* To the owner of a script that failed: what, where, and what happened to the mail. */
OutgoingMail *outgoing_notice(const OutgoingContext *context, const char *script, const char *text);

/* Whether the mail has DSN parameters that matter: to the null sender no report is ever sent. */
bool outgoing_wants_reports(const OutgoingMail *mail);

void outgoing_mail_free(OutgoingMail *mail); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutgoingMail, outgoing_mail_free)
#endif
