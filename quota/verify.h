/* quota/verify.h - what "maildirsize" says, and what is there */
#ifndef LODGE_QUOTA_VERIFY_H
#define LODGE_QUOTA_VERIFY_H

#include "lodge.h"
#include "quota/ledger.h"
#include "quota/quota.h"

/* quota_verify() with a ledger. Leaves the mutex taken, if there was one to take. */
bool quota_verify_mailbox(Ledger *ledger, const QuotaSettings *settings, QuotaReport *report_out,
                          GError **error);

#endif
