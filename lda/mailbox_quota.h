/* lda/mailbox_quota.h - what may be in this mailbox: the row of the map, its domain and [quota]
 *
 * A limit is that of the user's row, else the default of its domain, else [quota]; 0 ends the
 * search: no limit.
 */
#ifndef LODGE_LDA_MAILBOX_QUOTA_H
#define LODGE_LDA_MAILBOX_QUOTA_H

#include "lodge.h"
#include "lda/config.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

typedef struct MailboxQuota MailboxQuota;

/* config and mailbox are borrowed for the life of the result. Fails with LDA_ERROR_CONFIG when a
 * rule for folders cannot be read. */
MailboxQuota *mailbox_quota_new(const LdaConfig *config, const Mailbox *mailbox, GError **error);
void mailbox_quota_free(MailboxQuota *quota); /* NULL is fine */

/* For quota_open(); belongs to quota. */
const QuotaSettings *mailbox_quota_settings(const MailboxQuota *quota);

/* Whether lodge keeps "maildirsize" of the mailbox: something of it is limited, or what it holds
 * matters to others, since its domain has a total or usage is published. */
bool mailbox_quota_is_kept(const LdaConfig *config, const Mailbox *mailbox,
                           const MailboxQuota *quota);

/* False with QUOTA_ERROR_TOO_BIG or _FULL when it is certain that no message of at least that many
 * octets fits into any folder, however empty the mailbox. */
bool mailbox_quota_check_least(const MailboxQuota *quota, guint64 least, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MailboxQuota, mailbox_quota_free)
#endif
