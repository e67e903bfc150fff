/* lda/identity.c - whose rights a delivery runs with; see identity.h
 *
 * setfsuid(2) and setfsgid(2) change the rights over files for one thread and leave
 * the process's identity alone, so that nothing but file access is at stake, and a
 * worker needs no more than CAP_SETUID and CAP_SETGID. They report no failure: each
 * is asked again, with an id that cannot be, for the id now in force.
 */
#include "lda/identity.h"

#include <sys/fsuid.h>

#include "lda/outcome.h"

static bool
has_taken(uid_t uid, gid_t gid)
{
    return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

static bool
refuse(GError **error, const Mailbox *mailbox, const char *hint)
{
    g_set_error(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED,
                "mailbox '%s' belongs to uid %" G_GINT64_FORMAT ", we run as uid %u: %s",
                mailbox->user, mailbox->uid, (unsigned)geteuid(), hint);
    return false;
}

/* What forbids delivery whatever the system would allow. */
static bool
check_rules(const LdaConfig *config, const Mailbox *mailbox, uid_t self, GError **error)
{
    if (self == 0) {
        g_set_error_literal(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED,
                            "mail is never delivered as root: set [mail] user");
        return false;
    }
    if (mailbox->uid == 0)
        return refuse(error, mailbox, "mail is never delivered to root: change uid in the map");
    if (mailbox->uid > 0 && (uid_t)mailbox->uid != self && !config->mail.per_user_ids)
        return refuse(error, mailbox,
                      "set [mail] per_user_ids = yes, or remove uid from the map's row");
    return true;
}

bool
identity_take(Identity *identity, const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    return identity_take_as(identity, geteuid(), config, mailbox, error);
}

bool
identity_take_as(Identity *identity, uid_t self, const LdaConfig *config, const Mailbox *mailbox,
                 GError **error)
{
    if (!check_rules(config, mailbox, self, error))
        return false;
    if (!config->mail.per_user_ids)
        return true;
    uid_t uid = mailbox->uid < 0 ? self : (uid_t)mailbox->uid;
    gid_t gid = mailbox->gid < 0 ? getegid() : (gid_t)mailbox->gid;
    identity->taken = true;
    identity->former_gid = (gid_t)setfsgid(gid); /* has_taken() tells whether it worked */
    identity->former_uid = (uid_t)setfsuid(uid);
    if (has_taken(uid, gid))
        return true;
    identity_give_back(identity);
    return refuse(error, mailbox, "the server must be started as root to take other uids");
}

bool
identity_take_again(Identity *identity, const LdaConfig *config, const Mailbox *mailbox,
                    GError **error)
{
    return !config->mail.per_user_ids || identity_take(identity, config, mailbox, error);
}

void
identity_give_back(Identity *identity)
{
    if (!identity->taken)
        return;
    identity->taken = false;
    (void)setfsuid(identity->former_uid);
    (void)setfsgid(identity->former_gid);
    bool as_before = has_taken(identity->former_uid, identity->former_gid);
    g_assert(as_before); /* who could leave these rights can take them again */
}
