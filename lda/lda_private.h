/* lda/lda_private.h - what lda.c, delivery.c and record.c share of an Lda */
#ifndef LODGE_LDA_LDA_PRIVATE_H
#define LODGE_LDA_LDA_PRIVATE_H

#include "lda/carry_out.h"
#include "lda/commit.h"
#include "lda/lda.h"
#include "lda/maildir.h"
#include "lda/scripts.h"
#include "lda/usage.h"

struct Lda {
    const LdaConfig *config;
    Log *log;
    char *hostname;
    uid_t uid; /* of the process, once a delivery has asked */
    bool uid_is_known;
    Mailmap *map;       /* NULL until needed, and again after a failure */
    Scripts *scripts;   /* NULL until needed */
    Commit *commit;     /* what the barrier keeps */
    MaildirNamer namer; /* of the process namer.pid; see lda_namer() */
    gint64 last_id;
    Usage *usage;            /* NULL until needed */
    gint64 usage_written_us; /* monotonic */
    bool usage_failed;       /* and it was said */
    GPtrArray *warnings;     /* of QuotaWarning, to be carried out; NULL until needed */
};

/* The namer of this process, also after a fork. */
MaildirNamer *lda_namer(Lda *lda);

/* Opens the map unless it is open. */
bool lda_open_map(Lda *lda, GError **error);

/* Closes it after a failure that a new one might not have; error may be NULL. */
void lda_forget_map(Lda *lda, const GError *error);

/* ---- chores.c: what others want to know of a delivery --------------------- */

/* What a delivery has set aside in its domain. */
typedef struct {
    gint64 id; /* 0: nothing */
    QuotaUsage wanted;
} DomainHold;

/* Whether the domain of the mailbox has room for all that the copies need by now; hold is what was
 * set aside for them before, and is set anew. It stays 0 when the domain has no total. Fails as
 * usage_domain_admit(), and is called with the same rights. */
bool chores_admit(Lda *lda, const Mailbox *mailbox, const Room *room, gint64 now_us,
                  DomainHold *hold, GError **error);

/* The same for one copy that may come, in a folder that counts: sets nothing aside. */
bool chores_check(Lda *lda, const Mailbox *mailbox, guint64 octets, gint64 now_us, GError **error);

/* A delivery as it ended. */
typedef struct {
    const Mailbox *mailbox;
    const Room *room;
    gint64 hold;
    bool is_entered; /* room_settle() entered all of it */
    const char *transaction_id;
    gint64 now_us;
} Settled;
void chores_settled(Lda *lda, const Settled *settled);

/* A delivery that came to nothing; hold 0 is fine. */
void chores_dropped(Lda *lda, gint64 hold);

/* ---- record.c: lines of the deliver log ---------------------------------- */

typedef struct {
    const char *transaction_id;
    const LdaEnvelope *envelope;
    const Message *message; /* NULL when it could not be received */
    gint64 started_us;      /* monotonic */
} Record;

/* How the delivery to recipient ended. report is what its scripts did, NULL without any; note, may
 * be NULL, is what an administrator should know besides; quota, may be NULL, what the mailbox
 * holds. */
void record_delivery(Log *log, const Record *record, const LdaRecipient *recipient,
                     const LdaOutcome *outcome, const EffectsReport *report, const char *note,
                     const char *quota);

#endif
