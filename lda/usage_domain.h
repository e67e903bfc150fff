/* lda/usage_domain.h - may a domain take this message? Its total, enforced
 *
 * The sum of what its mailboxes hold is taken from the database of usage (usage.h), whose rows are
 * copies. So they are compared with the mailboxes themselves: all of them before the first
 * delivery that a total matters for, then once an hour, and before a refusal, at most once a
 * minute, since owners delete mail without telling us.
 */
#ifndef LODGE_LDA_USAGE_DOMAIN_H
#define LODGE_LDA_USAGE_DOMAIN_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/usage.h"
#include "schema/mailmap.h"

/* Borrowed. */
typedef struct {
    const LdaConfig *config;
    Mailmap *map; /* where the other mailboxes of the domain are */
    Usage *usage;
    gint64 now_us;
} UsageDomain;

bool usage_domain_has_total(const Mailbox *mailbox);

/* Sets wanted, all copies of one message for mailbox, aside in its domain: *hold_out is to be given
 * to usage_note() or usage_release(). To be called with our own rights; takes those of the
 * mailboxes it looks at. Fails with QUOTA_ERROR_FULL or QUOTA_ERROR_FULL_FOR_NOW as the mailbox's
 * settings have it, or with what hindered it, which is temporary. */
bool usage_domain_admit(const UsageDomain *domain, const Mailbox *mailbox, const QuotaUsage *wanted,
                        gint64 *hold_out, GError **error);

/* Whether it would be admitted, for one who has others waiting: sets nothing aside, counts a domain
 * for a second at a time, and leaves the hourly comparison to deliveries. Otherwise the same. */
bool usage_domain_check(const UsageDomain *domain, const Mailbox *mailbox, const QuotaUsage *wanted,
                        GError **error);

/* What all mailboxes of the domain (in lower case) hold: compares all of them, however long it
 * takes. */
bool usage_domain_measure(const UsageDomain *domain, const char *name, QuotaUsage *used_out,
                          GError **error);

#endif
