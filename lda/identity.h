/* lda/identity.h - whose rights a delivery runs with
 *
 * One user owns all mail, or ([mail] per_user_ids = yes) each mailbox has its own
 * uid and gid. Then the rights over files, and nothing else, change hands for as
 * long as a mailbox is worked on. Nothing is ever delivered as root.
 */
#ifndef LODGE_LDA_IDENTITY_H
#define LODGE_LDA_IDENTITY_H

#include "lodge.h"
#include "lda/config.h"
#include "schema/mailmap.h"

typedef struct {
    bool taken;
} Identity;

/* Takes the rights needed for mailbox, for this thread's file operations. Fails
 * with LDA_ERROR_NOT_PERMITTED; the message says what to change. */
bool identity_take(Identity *identity, const LdaConfig *config, const Mailbox *mailbox,
                   GError **error);

/* Gives them back; safe after a failed or missing identity_take() on {0}. */
void identity_give_back(Identity *identity);

/* ---- becoming somebody for good: a process that was started as root -------- */

typedef struct {
    uid_t uid;
    gid_t gid;
    char *name; /* for its supplementary groups; NULL: none. Owned by the holder */
} IdentityUser;

/* The user and group of [mail] user and group. Fails with LDA_ERROR_CONFIG. */
bool identity_find_mail_user(const LdaConfig *config, IdentityUser *user_out, GError **error);

/* Gives up root and becomes user, with no way back. Fails with LDA_ERROR_NOT_PERMITTED,
 * always for uid 0. */
bool identity_become(const IdentityUser *user, GError **error);

#endif
