/* lda/identity.c - whose rights a delivery runs with; see identity.h
 *
 * setfsuid(2) and setfsgid(2) change the rights over files for one thread and leave
 * the process's identity alone, so that nothing but file access is at stake, and a
 * worker needs no more than CAP_SETUID and CAP_SETGID. They report no failure: each
 * is asked again, with an id that cannot be, for the id now in force.
 */
#include "lda/identity.h"

#include <grp.h>
#include <pwd.h>
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
check_rules(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    if (geteuid() == 0) {
        g_set_error_literal(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED,
                            "mail is never delivered as root: set [mail] user");
        return false;
    }
    if (mailbox->uid == 0)
        return refuse(error, mailbox, "mail is never delivered to root: change uid in the map");
    if (mailbox->uid > 0 && (uid_t)mailbox->uid != geteuid() && !config->mail.per_user_ids)
        return refuse(error, mailbox,
                      "set [mail] per_user_ids = yes, or remove uid from the map's row");
    return true;
}

bool
identity_take(Identity *identity, const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    uid_t uid = mailbox->uid < 0 ? geteuid() : (uid_t)mailbox->uid;
    gid_t gid = mailbox->gid < 0 ? getegid() : (gid_t)mailbox->gid;

    if (!check_rules(config, mailbox, error))
        return false;
    if (!config->mail.per_user_ids || (uid == geteuid() && gid == getegid()))
        return true;
    identity->taken = true;
    (void)setfsgid(gid); /* has_taken() tells */
    (void)setfsuid(uid);
    if (has_taken(uid, gid))
        return true;
    identity_give_back(identity);
    return refuse(error, mailbox, "the server must be started as root to take other uids");
}

void
identity_give_back(Identity *identity)
{
    if (!identity->taken)
        return;
    identity->taken = false;
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    bool own_again = has_taken(geteuid(), getegid()); /* own ids may always be taken */
    g_assert(own_again);
}

bool
identity_find_mail_user(const LdaConfig *config, IdentityUser *user_out, GError **error)
{
    const char *group_name = config->mail.group;
    const struct passwd *user = getpwnam(config->mail.user);
    const struct group *group = *group_name != '\0' ? getgrnam(group_name) : NULL;

    if (user == NULL) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                    "there is no user '%s': make it, or set [mail] user", config->mail.user);
        return false;
    }
    if (group == NULL && *group_name != '\0') {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                    "there is no group '%s': make it, or set [mail] group", group_name);
        return false;
    }
    *user_out = (IdentityUser){.uid = user->pw_uid,
                               .gid = group != NULL ? group->gr_gid : user->pw_gid,
                               .name = g_strdup(user->pw_name)};
    return true;
}

bool
identity_become(const IdentityUser *user, GError **error)
{
    if (user->uid == 0) {
        g_set_error_literal(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED,
                            "mail is never delivered as root: set [mail] user");
        return false;
    }
    if ((user->name != NULL ? initgroups(user->name, user->gid) : setgroups(1, &user->gid)) != 0 ||
        setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED, "cannot become uid %u, gid %u: %s",
                    (unsigned)user->uid, (unsigned)user->gid, g_strerror(errno));
        return false;
    }
    bool root_again = setuid(0) == 0;
    g_assert(!root_again);
    return true;
}
