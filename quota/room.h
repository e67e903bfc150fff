/* quota/room.h - does it fit? Pure functions: figures in, an answer and its words out. */
#ifndef LODGE_QUOTA_ROOM_H
#define LODGE_QUOTA_ROOM_H

#include "lodge.h"
#include "quota/ledger.h"
#include "quota/quota.h"

/* Why something does not fit: used + set_aside + wanted is more than allowed. */
typedef struct {
    const char *folder; /* it is that folder's own limit; NULL: the mailbox's. Borrowed. */
    bool is_messages;   /* what is counted, else octets */
    guint64 used;
    guint64 set_aside;
    guint64 own; /* of that, by this very delivery: for the caller to set */
    guint64 wanted;
    guint64 allowed; /* 0: no limit */
} QuotaRefusal;

/* Whether usage and what others have set aside in ledger leave room for octets, to be put into that
 * folder; else why not. */
bool quota_room_in_mailbox(const QuotaSettings *settings, const Ledger *ledger,
                           const QuotaUsage *usage, const char *directory, guint64 octets,
                           QuotaRefusal *refusal_out);

/* The same for the folder's own limit; usage is that of the folder. */
bool quota_room_in_folder(const QuotaSettings *settings, const Ledger *ledger,
                          const QuotaUsage *usage, const char *directory, guint64 octets,
                          QuotaRefusal *refusal_out);

/* Only what others have set aside is in the way, and may yet be given back. */
bool quota_refusal_may_pass(const QuotaRefusal *refusal);

/* For the administrator and the sender. Free with g_free(). */
char *quota_refusal_describe(const QuotaRefusal *refusal);

#endif
