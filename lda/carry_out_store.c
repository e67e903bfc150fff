/* lda/carry_out_store.c - mail of ours in the mailbox: copies that :fcc asks for, and notices
 *
 *   stage --> the domain: room? --> commit, publish, commit --> settle --> chores
 *
 * It counts like any other message, for the mailbox and for its domain. What the owner must know
 * is stored even where there is no room, without a line in "maildirsize", like a warning
 * (quota_warning.h).
 */
#include "lda/carry_out_parts.h"

#include "lda/identity.h"
#include "lda/lda_private.h"
#include "lda/publish.h"

/* One message on its way. */
typedef struct {
    Message *message;
    const SieveFcc *fcc; /* NULL: a notice */
    Room *room;          /* NULL: it is not counted */
    DomainHold hold;
    MaildirCopy *copy;
} Parcel;

/* ---- with the rights of the recipient ------------------------------------- */

static bool
stage(Effects *effects, Parcel *parcel, GError **error)
{
    const SieveFcc *fcc = parcel->fcc;
    CarryOut delivery = effects->delivery;
    g_autofree char *folder = NULL;
    CarryOutCopy copy = {
        .message = parcel->message, .headers = "", .flags = fcc != NULL ? fcc->flags : NULL};

    if (fcc != NULL) {
        folder = effects_find_folder(effects, fcc->mailbox, fcc->special_use, fcc->mailboxid,
                                     fcc->create, &copy.stage_flags, error);
        if (folder == NULL)
            return false;
    }
    delivery.room = parcel->room;
    parcel->copy = carry_out_stage(&delivery, effects->maildir, folder, &copy, error);
    return parcel->copy != NULL;
}

static bool
stage_counted(Effects *effects, Parcel *parcel, GError **error)
{
    const CarryOut *delivery = &effects->delivery;

    parcel->room = room_new(delivery->config, delivery->recipient->mailbox,
                            maildir_fd(effects->maildir), error);
    return parcel->room != NULL && stage(effects, parcel, error);
}

static bool
publish(Effects *effects, Parcel *parcel, GError **error)
{
    return publish_durably(effects->delivery.config, parcel->copy, error);
}

static bool
settle(Effects *effects, Parcel *parcel, GError **error)
{
    return parcel->room == NULL || room_settle(parcel->room, effects->delivery.now_us, error);
}

typedef bool (*Step)(Effects *effects, Parcel *parcel, GError **error);

static bool
as_recipient(Step step, Effects *effects, Parcel *parcel, GError **error)
{
    const CarryOut *delivery = &effects->delivery;
    Identity identity = {0};
    bool done =
        identity_take_again(&identity, delivery->config, delivery->recipient->mailbox, error) &&
        step(effects, parcel, error);

    identity_give_back(&identity);
    return done;
}

/* ---- with our own --------------------------------------------------------- */

/* Fails where there is no room, with the copy staged if it is for the domain only. */
static bool
find_room(Effects *effects, Parcel *parcel, GError **error)
{
    const CarryOut *delivery = &effects->delivery;

    return as_recipient(stage_counted, effects, parcel, error) &&
           chores_admit(delivery->lda, delivery->recipient->mailbox, parcel->room, delivery->now_us,
                        &parcel->hold, error);
}

static bool
prepare(Effects *effects, Parcel *parcel, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (find_room(effects, parcel, &reason))
        return true;
    if (parcel->fcc != NULL || reason->domain != QUOTA_ERROR) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return false;
    }
    g_clear_pointer(&parcel->room, room_free);
    return parcel->copy != NULL || as_recipient(stage, effects, parcel, error);
}

/* It is stored, whatever comes of it. */
static void
enter(Effects *effects, Parcel *parcel)
{
    const CarryOut *delivery = &effects->delivery;
    g_autoptr(GError) error = NULL;
    bool settled = as_recipient(settle, effects, parcel, &error);

    if (!settled)
        effects_note(effects, "%s", error->message);

    const Settled result = {.mailbox = delivery->recipient->mailbox,
                            .room = parcel->room,
                            .hold = parcel->hold.id,
                            .is_entered = settled,
                            .transaction_id = delivery->transaction_id,
                            .now_us = delivery->now_us};

    if (parcel->room != NULL)
        chores_settled(delivery->lda, &result);
}

static bool
remove_copy(Effects *effects G_GNUC_UNUSED, Parcel *parcel, GError **error G_GNUC_UNUSED)
{
    if (parcel->copy != NULL)
        maildir_withdraw(parcel->copy);
    g_clear_pointer(&parcel->copy, maildir_copy_free);
    return true;
}

/* A file in tmp/ at worst, as far as the copy goes; the sweep of old ones takes it. */
static void
give_up(Effects *effects, Parcel *parcel)
{
    (void)as_recipient(remove_copy, effects, parcel, NULL);
    chores_dropped(effects->delivery.lda, parcel->hold.id);
}

bool
effects_store(Effects *effects, GBytes *bytes, const SieveFcc *fcc, GError **error)
{
    const LdaConfig *config = effects->delivery.config;
    const MessageOptions options = {.spool_memory = (size_t)config->mail.spool_memory,
                                    .spool_dir = config->mail.spool_dir};
    g_autoptr(Message) message = message_new(&options);
    Parcel parcel = {.message = message, .fcc = fcc};
    size_t len = 0;
    const void *data = g_bytes_get_data(bytes, &len);
    bool stored;

    message_append(message, data, len);
    stored = message_finish(message, error) && prepare(effects, &parcel, error) &&
             as_recipient(publish, effects, &parcel, error);
    if (stored)
        enter(effects, &parcel);
    else
        give_up(effects, &parcel);
    maildir_copy_free(parcel.copy);
    room_free(parcel.room);
    return stored;
}
