/* lda/declared.c - SIZE= of MAIL says more than the recipient can ever store; see lda.h
 *
 * Saves the way of the data where its end is known: no script could discard or redirect the
 * message, and no folder has room for it. What is declared has two octets at the end of each line
 * and what is stored has one (RFC 1870 section 5), so at least half of it is left.
 */
#include "lda/lda_private.h"

#include "lda/identity.h"
#include "lda/mailbox_quota.h"

/* Whether scripts have a say. When that cannot be told, they may have. */
static bool
has_scripts(Lda *lda, const Mailbox *mailbox)
{
    Identity identity = {0};
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;
    g_autoptr(GPtrArray) chain = NULL;
    g_autoptr(GError) error = NULL;

    if (!lda_mailbox_paths(lda->config, mailbox, &home, &maildir, &error))
        return true;
    if (lda->scripts == NULL)
        lda->scripts = scripts_new(lda->config);
    if (identity_take(&identity, lda->config, mailbox, &error))
        chain = scripts_chain(lda->scripts, mailbox, home, &error);
    identity_give_back(&identity);
    return error != NULL || (chain != NULL && chain->len > 0);
}

LdaOutcome *
lda_check_declared(Lda *lda, const LdaRecipient *recipient, guint64 declared)
{
    const Mailbox *mailbox = recipient->mailbox;
    guint64 least = declared / 2;
    g_autoptr(GError) error = NULL;
    g_autoptr(MailboxQuota) quota = NULL;

    if (least == 0)
        return NULL;
    quota = mailbox_quota_new(lda->config, mailbox, NULL);
    /* An error comes again, and is told, when it is to be delivered. */
    if (quota == NULL || mailbox_quota_check_least(quota, least, &error) ||
        has_scripts(lda, mailbox))
        return NULL;
    return lda_outcome_from_error(error);
}
