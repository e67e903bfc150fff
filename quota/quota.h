/* quota/quota.h - is there room in this mailbox?
 *
 * So far the one answer that needs no accounting: a message larger than the
 * whole quota never fits, whatever is deleted. The Maildir++ accounting joins
 * behind the same call.
 */
#ifndef LODGE_QUOTA_QUOTA_H
#define LODGE_QUOTA_QUOTA_H

#include "lodge.h"

/* Zero means no limit. */
typedef struct {
    guint64 octets;
    guint64 messages;
} QuotaLimits;

#define QUOTA_ERROR quota_error_quark()
GQuark quota_error_quark(void);
typedef enum {
    QUOTA_ERROR_FULL, /* the message does not fit: permanent */
} QuotaError;

/* True when a message of size octets can fit under limits at all; otherwise
 * fails with QUOTA_ERROR_FULL. */
bool quota_check_size(const QuotaLimits *limits, guint64 size, GError **error);

#endif
