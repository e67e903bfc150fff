/* lda/privileges.h - become the user who owns the mail
 *
 * A program started as root keeps that right only as long as it must: to open
 * sockets. Whatever reads a message runs as [mail] user, who is never root. The
 * user is looked up once, before there are children, so that no worker needs NSS.
 */
#ifndef LODGE_LDA_PRIVILEGES_H
#define LODGE_LDA_PRIVILEGES_H

#include "lodge.h"

#include <sys/types.h>

typedef struct {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary ones, gid among them */
    size_t group_count;
} Privileges;

/* Looks up user and group ("": the user's primary group), each a name or a
 * number. Fails with LDA_ERROR_CONFIG when there is no such user or when it is
 * root: mail is never delivered as root. */
Privileges *privileges_find(const char *user, const char *group, GError **error);
void privileges_free(Privileges *privileges); /* NULL is fine */

/* Becomes that user for good, if this process is root, and gives up every way
 * to more rights (no_new_privs). With keep_switching it keeps CAP_SETUID and
 * CAP_SETGID, for [mail] per_user_ids; without, it proves that root cannot be
 * had again. Fails with G_FILE_ERROR, or with
 * LDA_ERROR_NOT_PERMITTED for uid 0; the process must then end. */
bool privileges_drop(const Privileges *privileges, bool keep_switching, GError **error);

/* For a master that has to stay root: keeps only the capabilities to open
 * sockets, to set their owner, and to start and stop children of another user. */
bool privileges_limit_root(GError **error);

/* Acts as that user, for creating a file that must be theirs, until
 * privileges_return(). Does nothing when this process is not root. */
bool privileges_borrow(const Privileges *privileges, GError **error);

/* The same, able to take the rights of others over files, for [mail] per_user_ids. */
bool privileges_borrow_switching(const Privileges *privileges, GError **error);
void privileges_return(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Privileges, privileges_free)
#endif
