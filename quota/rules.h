/* quota/rules.h - what the rules say about one folder */
#ifndef LODGE_QUOTA_RULES_H
#define LODGE_QUOTA_RULES_H

#include "lodge.h"
#include "quota/quota.h"

/* How much the mailbox may hold when a copy for that folder is put there, with grace and extra;
 * 0: no limit. */
guint64 quota_allowed_octets(const QuotaSettings *settings, const char *directory);

/* What that folder alone may hold; 0: no limit of its own. */
guint64 quota_folder_limit(const QuotaSettings *settings, const char *directory);

/* Whether name matches pattern, in which '*' is any run of characters and '?' any one octet.
 * Takes at most length of name times length of pattern steps. */
bool quota_pattern_matches(const char *pattern, const char *name);

/* a + b, or the largest number that "maildirsize" can hold. */
guint64 quota_add(guint64 a, guint64 b);

#endif
