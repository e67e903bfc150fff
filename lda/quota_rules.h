/* lda/quota_rules.h - [quota] folders: what holds for some folders of every mailbox
 *
 *   Trash=ignore; Junk=+10%; Lists.*=+50M; Archive=max 5G; Old=+1G max 2G
 *
 * A folder is named as its owner sees it, with the separator and the prefix of [mail], or by a
 * pattern: "*" is any text, also across levels, "?" one ASCII character; "*" alone is every
 * folder, INBOX included. Of several rules that match, the first counts.
 */
#ifndef LODGE_LDA_QUOTA_RULES_H
#define LODGE_LDA_QUOTA_RULES_H

#include "lodge.h"
#include "lda/maildir.h"
#include "quota/quota.h"

/* texts: "folder=rule", NULL-terminated. Returns an array of QuotaFolderRule that owns the
 * patterns; free with g_array_unref(). Fails with LDA_ERROR_CONFIG; the message has the text of
 * the rule. */
GArray *quota_rules_parse(char *const *texts, const MaildirLayout *layout, GError **error);

#endif
