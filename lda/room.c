/* lda/room.c - room in one mailbox for the copies of one message; see room.h
 *
 * Each copy has a reservation of its own. They are made one after the other, and the later ones are
 * told of the earlier ones: a message that does not fit because of its own other copy will not
 * fit when it is tried again.
 */
#include "lda/room.h"

#include "lda/decimal.h"
#include "lda/mailbox_quota.h"

struct Room {
    MailboxQuota *quota;
    int dir_fd;
    GPtrArray *reservations; /* of Quota; NULL: nobody wants to know what the mailbox holds */
    QuotaUsage own;          /* what they hold */
    guint64 latest;          /* octets of the latest */
    QuotaUsage seen;         /* stored in the mailbox */
    bool has_seen;
    QuotaChange change; /* of all copies, when one is counted */
};

static void
free_reservation(void *quota)
{
    quota_free(quota);
}

Room *
room_new(const LdaConfig *config, const Mailbox *mailbox, int dir_fd, GError **error)
{
    MailboxQuota *quota = mailbox_quota_new(config, mailbox, error);
    Room *room;

    if (quota == NULL)
        return NULL;
    room = g_new0(Room, 1);
    room->quota = quota;
    room->dir_fd = dir_fd;
    if (mailbox_quota_is_kept(config, mailbox, quota))
        room->reservations = g_ptr_array_new_with_free_func(free_reservation);
    return room;
}

void
room_free(Room *room)
{
    if (room == NULL)
        return;
    g_clear_pointer(&room->reservations, g_ptr_array_unref);
    mailbox_quota_free(room->quota);
    g_free(room);
}

bool
room_is_limited(const Room *room)
{
    return room->reservations != NULL;
}

/* For the log: a refusal is to be understood without a look at the mailbox. */
static void
look(Room *room, Quota *quota)
{
    room->has_seen = quota_usage(quota, &room->seen, NULL); /* what failed is in the refusal */
}

bool
room_reserve(Room *room, const RoomCopy *copy, gint64 now_us, GError **error)
{
    g_autoptr(Quota) quota = NULL;
    g_autoptr(GError) refusal = NULL;

    if (room->reservations == NULL)
        return true;
    quota = quota_open(room->dir_fd, mailbox_quota_settings(room->quota));
    quota_set_own(quota, room->own);
    if (!quota_name(quota, copy->name, error))
        return false;
    if (!quota_reserve(quota, copy->directory, copy->octets, now_us, &refusal)) {
        if (g_error_matches(refusal, QUOTA_ERROR, QUOTA_ERROR_FULL) ||
            g_error_matches(refusal, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW))
            look(room, quota);
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    room->own.octets += copy->octets;
    room->own.messages++;
    room->latest = copy->octets;
    g_ptr_array_add(room->reservations, g_steal_pointer(&quota));
    return true;
}

void
room_cancel(Room *room)
{
    if (room->reservations == NULL)
        return;
    g_ptr_array_remove_index(room->reservations, room->reservations->len - 1);
    room->own.octets -= room->latest;
    room->own.messages--;
}

static void
add_change(Room *room, const QuotaChange *change)
{
    bool is_higher = change->warning > room->change.warning;
    unsigned warning = is_higher ? change->warning : room->change.warning;
    bool is_down = is_higher ? change->is_down : room->change.is_down;

    room->seen = change->after;
    room->has_seen = true;
    room->change = *change;
    room->change.warning = warning;
    room->change.is_down = is_down;
}

bool
room_settle(Room *room, gint64 now_us, GError **error)
{
    GError **first = error;
    bool done = true;

    for (guint i = 0; room->reservations != NULL && i < room->reservations->len; i++) {
        QuotaChange change;

        if (!quota_settle(room->reservations->pdata[i], now_us, &change, first)) {
            done = false;
            first = NULL;
        } else if (change.is_counted) {
            add_change(room, &change);
        }
    }
    if (room->reservations != NULL)
        g_ptr_array_set_size(room->reservations, 0);
    room->own = (QuotaUsage){0};
    return done;
}

QuotaUsage
room_reserved(const Room *room)
{
    QuotaUsage sum = {0};

    for (guint i = 0; room->reservations != NULL && i < room->reservations->len; i++) {
        QuotaUsage one = quota_reserved(room->reservations->pdata[i]);

        sum.octets += one.octets;
        sum.messages += one.messages;
    }
    return sum;
}

const QuotaChange *
room_change(const Room *room)
{
    return room->change.is_counted ? &room->change : NULL;
}

const QuotaLimits *
room_limits(const Room *room)
{
    return &mailbox_quota_settings(room->quota)->limits;
}

/* Without printf(3), which each delivery would notice. */
static void
describe(GString *text, guint64 used, guint64 limit, const char *unit)
{
    if (text->len > 0)
        g_string_append(text, ", ");
    decimal_append(text, used, 1);
    if (limit > 0) {
        g_string_append_c(text, '/');
        decimal_append(text, limit, 1);
    }
    g_string_append_c(text, ' ');
    g_string_append(text, unit);
}

char *
room_describe(const Room *room)
{
    const QuotaLimits *limits = room_limits(room);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!room->has_seen)
        return NULL;
    describe(text, room->seen.octets, limits->octets, "octets");
    describe(text, room->seen.messages, limits->messages, "messages");
    return g_string_free(g_steal_pointer(&text), FALSE);
}
