/* lda/privileges.c - become the user who owns the mail; see privileges.h
 *
 * The order is what matters: groups first, while we still may; then the uid;
 * then the capabilities that survived. libcap would be two more pages in every
 * worker for one system call, so capset(2) is called as it is.
 */
#include "lda/privileges.h"

#include "lda/outcome.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define CAP_BIT(capability) (G_GUINT64_CONSTANT(1) << (capability))

/* What the master uses as root: bind below 1024, in directories of others, give
 * sockets away, become the mail user, signal the workers. */
#define MASTER_CAPABILITIES                                                           \
    (CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_CHOWN) | \
     CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_KILL))
#define SWITCHING_CAPABILITIES (CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID))

static bool
set_config_error(GError **error, const char *what, const char *name, const char *why)
{
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[mail] %s = '%s': %s", what, name, why);
    return false;
}

static bool
find_group(const char *name, gid_t *gid_out, GError **error)
{
    guint64 number;
    const struct group *entry = getgrnam(name);

    if (entry != NULL)
        *gid_out = entry->gr_gid;
    else if (g_ascii_string_to_unsigned(name, 10, 0, G_MAXUINT32 - 1, &number, NULL))
        *gid_out = (gid_t)number;
    else
        return set_config_error(error, "group", name, "no such group");
    return true;
}

/* A number needs no entry in passwd; its group must then be named. */
static bool
find_user(const char *name, const char *group, Privileges *found, GError **error)
{
    guint64 number = 0;
    const struct passwd *entry = getpwnam(name);

    if (entry == NULL && g_ascii_string_to_unsigned(name, 10, 0, G_MAXUINT32 - 1, &number, NULL))
        entry = getpwuid((uid_t)number);
    if (entry != NULL) {
        found->uid = entry->pw_uid;
        found->gid = entry->pw_gid;
    } else if (number > 0 && group[0] != '\0') {
        found->uid = (uid_t)number;
    } else {
        return set_config_error(error, "user", name, "no such user; create it or name another");
    }
    if (found->uid == 0)
        return set_config_error(error, "user", name, "mail is never delivered as root");
    return group[0] == '\0' || find_group(group, &found->gid, error);
}

static void
find_supplementary_groups(const char *name, Privileges *found)
{
    int count = 64;
    gid_t *groups = g_new(gid_t, count);

    if (getgrouplist(name, found->gid, groups, &count) < 0) {
        groups = g_renew(gid_t, groups, count);
        /* A group added in this very moment is left out: fewer rights, not more. */
        (void)getgrouplist(name, found->gid, groups, &count);
    }
    found->groups = groups;
    found->group_count = (size_t)count;
}

Privileges *
privileges_find(const char *user, const char *group, GError **error)
{
    g_autoptr(Privileges) found = g_new0(Privileges, 1);

    if (!find_user(user, group, found, error))
        return NULL;
    find_supplementary_groups(user, found);
    endpwent();
    endgrent();
    return g_steal_pointer(&found);
}

void
privileges_free(Privileges *privileges)
{
    if (privileges == NULL)
        return;
    g_free(privileges->groups);
    g_free(privileges);
}

static bool
set_capabilities(guint64 capabilities, GError **error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    for (size_t i = 0; i < G_N_ELEMENTS(data); i++)
        data[i].effective = data[i].permitted = (guint32)(capabilities >> (32 * i));
    if (syscall(SYS_capset, &header, data) != 0)
        return lodge_set_errno(error, "reduce capabilities");
    return true;
}

static bool
become(const Privileges *privileges, bool keep_switching, GError **error)
{
    if (setgroups(privileges->group_count, privileges->groups) != 0)
        return lodge_set_errno(error, "set the groups of uid %u", (unsigned)privileges->uid);
    if (keep_switching && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return lodge_set_errno(error, "keep capabilities");
    if (setresgid(privileges->gid, privileges->gid, privileges->gid) != 0)
        return lodge_set_errno(error, "become gid %u", (unsigned)privileges->gid);
    if (setresuid(privileges->uid, privileges->uid, privileges->uid) != 0)
        return lodge_set_errno(error, "become uid %u", (unsigned)privileges->uid);
    return set_capabilities(keep_switching ? SWITCHING_CAPABILITIES : 0, error);
}

bool
privileges_drop(const Privileges *privileges, bool keep_switching, GError **error)
{
    if (privileges->uid == 0) {
        g_set_error_literal(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED,
                            "mail is never delivered as root");
        return false;
    }
    if (geteuid() == 0) {
        if (!become(privileges, keep_switching, error))
            return false;
        /* A kernel or a container that only pretended would show here. */
        if (!keep_switching && (setuid(0) == 0 || geteuid() == 0)) {
            errno = EPERM;
            return lodge_set_errno(error, "give up root for good");
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return lodge_set_errno(error, "set no_new_privs");
    return true;
}

bool
privileges_limit_root(GError **error)
{
    return geteuid() != 0 || set_capabilities(MASTER_CAPABILITIES, error);
}

bool
privileges_borrow(const Privileges *privileges, GError **error)
{
    if (geteuid() != 0)
        return true;
    if (setgroups(privileges->group_count, privileges->groups) != 0 ||
        setegid(privileges->gid) != 0 || seteuid(privileges->uid) != 0) {
        lodge_set_errno(error, "act as uid %u", (unsigned)privileges->uid);
        privileges_return();
        return false;
    }
    return true;
}

/* What root may do stays permitted as long as the real uid is 0; in force is nothing of it. */
static bool
raise_switching(GError **error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) != 0)
        return lodge_set_errno(error, "read capabilities");
    data[0].effective |= SWITCHING_CAPABILITIES;
    return syscall(SYS_capset, &header, data) == 0 ||
           lodge_set_errno(error, "keep the right to take other uids");
}

bool
privileges_borrow_switching(const Privileges *privileges, GError **error)
{
    if (geteuid() != 0)
        return true;
    if (!privileges_borrow(privileges, error))
        return false;
    if (raise_switching(error))
        return true;
    privileges_return();
    return false;
}

void
privileges_return(void)
{
    if (getuid() != 0)
        return;
    /* Root's own right to do this cannot be missing: the real uid is still 0. */
    if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(0, NULL) != 0)
        g_error("cannot return to root: %s", g_strerror(errno));
}
