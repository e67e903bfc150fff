/* lda/publish.h - one copy by itself: durable, then seen, then seen for good
 *
 * What many copies go through together is in delivery.c.
 */
#ifndef LODGE_LDA_PUBLISH_H
#define LODGE_LDA_PUBLISH_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/maildir.h"

/* As [mail] durability says. Fails with G_FILE_ERROR; the copy may be published then, and is the
 * caller's to take back. */
bool publish_durably(const LdaConfig *config, MaildirCopy *copy, GError **error);

#endif
