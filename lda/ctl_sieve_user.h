/* lda/ctl_sieve_user.h - the scripts of one user, as `lodge sieve` commands find them
 *
 *   %h/sieve/NAME.sieve   [sieve] script_dir: every script of the user
 *   %h/.dovecot.sieve     [sieve] script, or the row's: the active one, a link to one of them
 *
 * The layout of Dovecot, so that its ManageSieve server sees the same. Files are read and written
 * with the rights of the mailbox: nothing a user has put there leads elsewhere.
 */
#ifndef LODGE_LDA_CTL_SIEVE_USER_H
#define LODGE_LDA_CTL_SIEVE_USER_H

#include "lodge.h"
#include "lda/ctl.h"

typedef struct {
    Mailbox *mailbox;
    char *home;
    char *active;    /* path of the link */
    char *directory; /* of the scripts */
    Privileges *owner;
} UserScripts;

/* Where the scripts of address are. Fails with MAILMAP_ERROR, LDA_ERROR or CONFIG_ERROR. */
UserScripts *user_scripts_find(const LdaConfig *config, Mailmap *map, const char *address,
                               GError **error);
void user_scripts_free(UserScripts *scripts); /* NULL is fine */

/* Names of the scripts, sorted; none if there is no directory. Fails with G_FILE_ERROR. */
GPtrArray *user_scripts_list(const UserScripts *scripts, GError **error);

/* Path of the script of that name. Fails with CONFIG_ERROR_VALUE for what is no name. */
char *user_scripts_path(const UserScripts *scripts, const char *name, GError **error);

/* Name of the active script; NULL: none, or not one of the directory. */
char *user_scripts_active(const UserScripts *scripts);

/* The complaints about len octets of text, as sieve_script_compile() has them, includes with them.
 */
GPtrArray *user_scripts_check(const UserScripts *scripts, const LdaConfig *config, const char *name,
                              const char *text, size_t len);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(UserScripts, user_scripts_free)
#endif
