/* lda/check_room.h - would a message for this address find room?
 *
 * For the policy service, which is asked before there is a message: the same map, the same
 * rules and the same arithmetic as the delivery, the total of the domain included, and nothing
 * written but what counting mailboxes anew writes.
 */
#ifndef LODGE_LDA_CHECK_ROOM_H
#define LODGE_LDA_CHECK_ROOM_H

#include "lodge.h"
#include "lda/lda.h"

/* All but the first two are for the log; NULL or "" where nothing is known. */
typedef struct {
    const char *address; /* as the MTA has it, before it follows forwardings */
    guint64 octets;
    const char *sender; /* NULL is not known, "" the null sender */
    const char *client_name;
    const char *client_address;
    const char *helo;
    const char *protocol;
    const char *queue_id;
} RoomQuestion;

/* NULL when nothing speaks against the message: there is room, or the mailbox is not here.
 * Else the refusal that its delivery would end with: 5.2.2, 4.2.2 or 5.2.3, or any other
 * status when we cannot tell. It is logged.
 *
 * An address that is forwarded is refused only if each of its destinations is a mailbox here
 * that would refuse: mail must not be withheld from those who have room because somebody on
 * the list has none. What is kept from the full one then is a matter of its delivery. The scripts
 * of the owners are not asked: what they would do depends on the message. */
LdaOutcome *lda_check_room(Lda *lda, const RoomQuestion *question);

#endif
