/* lda/room.h - room in one mailbox for the copies of one message
 *
 *   room_new()      what holds for the mailbox (mailbox_quota.h)
 *   room_reserve()  for one copy, before it is staged
 *   room_settle()   all copies are published and durable: they are entered
 *   room_free()     what was not settled is given back
 *
 * Of a mailbox without limits nothing is read or written, unless what it holds matters to others:
 * its domain has a total, or usage is published.
 */
#ifndef LODGE_LDA_ROOM_H
#define LODGE_LDA_ROOM_H

#include "lodge.h"
#include "lda/config.h"
#include "quota/quota.h"
#include "schema/mailmap.h"

typedef struct Room Room;

/* All borrowed; dir_fd is that of the Maildir. Fails with LDA_ERROR_CONFIG. All but this and
 * room_free() are called with the rights of the recipient. */
Room *room_new(const LdaConfig *config, const Mailbox *mailbox, int dir_fd, GError **error);
void room_free(Room *room); /* NULL is fine */

/* Whether anything will be looked at. */
bool room_is_limited(const Room *room);

typedef struct {
    const char *directory; /* of the folder */
    const char *name;      /* that the file will have, without its flags */
    guint64 octets;
} RoomCopy;

/* Sets room aside for one more copy. Fails as quota_reserve(). */
bool room_reserve(Room *room, const RoomCopy *copy, gint64 now_us, GError **error);

/* The copy of the latest room_reserve() came to nothing. */
void room_cancel(Room *room);

/* Enters all that is set aside; what cannot be entered is counted by the next delivery, and the
 * first such failure is told. */
bool room_settle(Room *room, gint64 now_us, GError **error);

/* All that is set aside for the message and counts. */
QuotaUsage room_reserved(const Room *room);

/* What room_settle() has entered: the mailbox as it is behind the last copy, and the highest
 * warning. NULL when nothing of it counts. */
const QuotaChange *room_change(const Room *room);

/* Of the mailbox; belongs to room. */
const QuotaLimits *room_limits(const Room *room);

/* What the mailbox holds and may hold, as last seen: "5120/10485760 octets, 3 messages". NULL when
 * nothing was looked at. Free with g_free(). */
char *room_describe(const Room *room);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Room, room_free)
#endif
