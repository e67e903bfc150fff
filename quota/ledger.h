/* quota/ledger.h - the file "lodge-quota": what deliveries under way have set aside
 *
 *   octet 0     256                          4096
 *         | state | slot | slot | ... | slot |
 *           ^ mutex  ^ lock of the process that owns it
 *
 * It stands beside "maildirsize", which says what is stored. Whoever looks or changes holds the
 * mutex, a lock of the first octet; it is held for microseconds, or for as long as the
 * mailbox is counted. A slot is one reservation, and its owner holds a lock on its first octet for
 * as long as it lives. The kernel drops locks of a process that is killed: a slot in use
 * without a lock is lost, and nobody knows whether its message was stored.
 *
 * The locks are those of an open file (F_OFD_SETLK): each Ledger has its own, in one process too.
 */
#ifndef LODGE_QUOTA_LEDGER_H
#define LODGE_QUOTA_LEDGER_H

#include "lodge.h"
#include "quota/quota.h"
#include "quota/warning.h"

enum { LEDGER_SLOTS = 120, LEDGER_WORDS = 512 };

typedef struct {
    gint64 refused_us;    /* the first refusal since something fitted, 0: none */
    guint64 count_inode;  /* the "maildirsize" that we wrote last, ... */
    guint64 count_octets; /* ... and its first count */
    guint64 count_messages;
    QuotaWarnings warnings;
} LedgerState;

/* One reservation. */
typedef struct {
    guint64 octets;
    guint64 folder; /* quota_name_hash() of the directory name */
    guint64 name;   /* quota_name_hash() of the file's name, 0: it has none yet */
} LedgerSlot;

typedef struct {
    int dir_fd; /* borrowed: the Maildir */
    int fd;     /* -1: not open */
    int slot;   /* ours, -1: none */
    LedgerSlot own;
    guint64 words[LEDGER_WORDS]; /* the file as read when the mutex was taken */
    LedgerState state;           /* as read under the mutex; may be changed, then ledger_save() */
    LedgerState saved;           /* as it stands in the file */
    bool is_damaged;             /* nobody knows what was set aside: to be repaired */
    LedgerSlot others[LEDGER_SLOTS]; /* what others have set aside, by ledger_survey() */
    unsigned other_count;
    uint8_t lost[LEDGER_SLOTS]; /* slots of processes that were killed */
    unsigned lost_count;
} Ledger;

#define LEDGER_CLOSED(maildir_fd) ((Ledger){.dir_fd = (maildir_fd), .fd = -1, .slot = -1})

/* Takes the mutex; opens, and makes, the file first when need be. Waits timeout_ms at most. Fails
 * with QUOTA_ERROR_BUSY or G_FILE_ERROR. */
bool ledger_enter(Ledger *ledger, unsigned timeout_ms, GError **error);

/* The same, but makes no file: *exists_out is false, and nothing locked, when there is none. */
bool ledger_enter_existing(Ledger *ledger, unsigned timeout_ms, bool *exists_out, GError **error);

void ledger_leave(Ledger *ledger);

/* Gives up whatever is held. A slot that was not released is lost from then on. */
void ledger_close(Ledger *ledger);

/* ---- under the mutex ------------------------------------------------------ */

/* Fills in others and lost. */
bool ledger_survey(Ledger *ledger, GError **error);

/* Frees the slots in lost, or makes a damaged file anew, in its place: others have it open. To be
 * called when "maildirsize" is gone, so that the next count is certain whoever is killed now. */
bool ledger_repair(Ledger *ledger, GError **error);

/* Writes state, if it was changed. */
bool ledger_save(Ledger *ledger, GError **error);

/* Takes a free slot and writes octets and folder into it. Fails with QUOTA_ERROR_BUSY when there is
 * none. */
bool ledger_take(Ledger *ledger, guint64 octets, guint64 folder, GError **error);

/* The names in all slots as they are now: hashes, room for LEDGER_SLOTS. */
bool ledger_names(Ledger *ledger, guint64 *names_out, size_t *count_out, GError **error);

/* Whether our slot says what we wrote. */
bool ledger_is_intact(const Ledger *ledger);

/* ---- without the mutex too ------------------------------------------------ */

/* Writes the name into our slot. Under the mutex a count under way would hold us up: it looks at
 * the names once more when it is done, and finds ours if it can have seen the file. */
bool ledger_set_name(Ledger *ledger, guint64 name, GError **error);

/* Frees our slot. */
bool ledger_release(Ledger *ledger, GError **error);

#endif
