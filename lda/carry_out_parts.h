/* lda/carry_out_parts.h - what the files behind carry_out.h share */
#ifndef LODGE_LDA_CARRY_OUT_PARTS_H
#define LODGE_LDA_CARRY_OUT_PARTS_H

#include "lodge.h"
#include "lda/carry_out.h"
#include "lda/outgoing.h"

struct Effects {
    CarryOut delivery;
    char *headers;
    Maildir *maildir;
    Filter *filter;
    const GPtrArray *actions;
    char **results;             /* of each action, for the log; NULL: as asked for */
    GPtrArray *copies;          /* of MaildirCopy */
    GHashTable *messages;       /* SieveEdition -> Message */
    GPtrArray *remembered;      /* keys of what is sent, to be forgotten where no MTA retries */
    const SieveAction *refusal; /* reject, told in SMTP; NULL */
    bool in_inbox;              /* a copy for the default folder is among them */
    unsigned redirected, piped, reported;
    GString *notes;
};

/* ---- carry_out.c ---------------------------------------------------------- */

/* What a copy is, besides its folder. Borrowed. */
typedef struct {
    Message *message;
    const char *headers;
    char *const *flags; /* of Sieve: "\\Seen", keywords; NULL: none */
    MaildirStageFlags stage_flags;
} CarryOutCopy;

/* Reserves room for the copy, where delivery has a Room, and stages it. Fails as maildir_stage()
 * and room_reserve(). */
MaildirCopy *carry_out_stage(const CarryOut *delivery, Maildir *maildir, const char *folder,
                             const CarryOutCopy *copy, GError **error);

/* Where a mailbox with an id or attribute lies, and how it is to be made. Free with g_free(). */
char *effects_find_folder(Effects *effects, const char *name, const char *special_use,
                          const char *mailboxid, bool create, MaildirStageFlags *flags_out,
                          GError **error);

/* The message as it was at that edition, NULL the original; belongs to effects. */
Message *effects_message(Effects *effects, const SieveEdition *edition, GError **error);

/* Stages into the default folder, unless that was done. */
bool effects_keep(Effects *effects, const SieveAction *action, GError **error);

/* Stages into the mailbox that name, attribute or id lead to, else into the default folder. */
bool effects_file(Effects *effects, const SieveAction *action, GError **error);

G_GNUC_PRINTF(2, 3)
void effects_note(Effects *effects, const char *format, ...);

/* ---- carry_out_store.c ---------------------------------------------------- */

/* Stores bytes, which are no copy of the message, and makes them durable at once: a copy that fcc
 * asks for, or a notice to the owner, NULL. Called with our own rights. */
bool effects_store(Effects *effects, GBytes *bytes, const SieveFcc *fcc, GError **error);

#endif
