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
    uid_t former_uid; /* rights in force before, given back afterwards */
    gid_t former_gid;
} Identity;

/* Takes the rights needed for mailbox, for this thread's file operations. Fails
 * with LDA_ERROR_NOT_PERMITTED; the message says what to change. */
bool identity_take(Identity *identity, const LdaConfig *config, const Mailbox *mailbox,
                   GError **error);

/* The same for a process that knows its own uid, self, and does not change it. */
bool identity_take_as(Identity *identity, uid_t self, const LdaConfig *config,
                      const Mailbox *mailbox, GError **error);

/* The same, later in a delivery whose identity_take() did not fail: our own uid is
 * not looked at again. */
bool identity_take_again(Identity *identity, const LdaConfig *config, const Mailbox *mailbox,
                         GError **error);

/* Gives them back, to what held before that identity_take(): they may be nested. Safe
 * after a failed or missing identity_take() on {0}. */
void identity_give_back(Identity *identity);

#endif
