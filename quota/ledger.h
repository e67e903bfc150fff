/* quota/ledger.h - the file "lodge-quota": what deliveries under way have set aside
 *
 *   octet 0     256    352                          4096
 *         | state | file | slot | slot | ... | slot |
 *                       ^ mutex
 *                         ^ lock of the process that owns it
 *
 * It stands beside "maildirsize", which says what is stored. Whoever looks or changes holds the
 * mutex, a lock of the last octet before the slots; it is held for microseconds, or for as long as
 * the mailbox is counted. A slot is one reservation, and its owner holds a lock on its first octet
 * for as long as it lives. The kernel drops locks of a process that is killed: a slot in use
 * without a lock is lost, and nobody knows whether its message was stored.
 *
 * Most deliveries are alone in their mailbox. They take mutex and first slot with one call, read
 * the first slots only, and know from "file" what "maildirsize" holds, as long as nobody has
 * written to it since.
 *
 * The locks are those of an open file (F_OFD_SETLK): each Ledger has its own, in one process too.
 */
#ifndef LODGE_QUOTA_LEDGER_H
#define LODGE_QUOTA_LEDGER_H

#include "lodge.h"
#include "quota/quota.h"
#include "quota/usage_file.h"
#include "quota/warning.h"

enum { LEDGER_SLOTS = 117, LEDGER_WORDS = 512 };

typedef struct {
    gint64 refused_us;    /* the first refusal since something fitted, 0: none */
    guint64 count_inode;  /* the "maildirsize" that we wrote last, ... */
    guint64 count_octets; /* ... and its first count */
    guint64 count_messages;
    gint64 counted_us; /* when the folders were counted for it; 0: not known */
    QuotaWarnings warnings;
    guint64 top; /* slots from here on are free; 0: those that are not read at first are */
} LedgerState;

/* One reservation. */
typedef struct {
    guint64 octets;
    guint64 folder; /* quota_name_hash() of the directory name */
    guint64 name;   /* quota_name_hash() of the file's name, 0: it has none yet */
} LedgerSlot;

typedef struct {
    int dir_fd;     /* borrowed: the Maildir */
    int fd;         /* -1: not open */
    int slot;       /* ours, -1: none */
    bool has_first; /* the lock of the first slot, which may be ours or free */
    LedgerSlot own;
    LedgerState state; /* as read under the mutex; may be changed, then ledger_save() */
    LedgerState saved; /* as it stands in the file */
    UsageKnown known;  /* "maildirsize" when a delivery of ours last added to it */
    bool is_damaged;   /* nobody knows what was set aside: to be repaired */
    unsigned other_count;
    unsigned lost_count;
    unsigned slot_count; /* in words; those behind them are free */
    /* Not cleared by ledger_init(): they are large. */
    guint64 words[LEDGER_WORDS];     /* the file as read when the mutex was taken */
    LedgerSlot others[LEDGER_SLOTS]; /* what others have set aside, by ledger_survey() */
    uint8_t lost[LEDGER_SLOTS];      /* slots of processes that were killed */
} Ledger;

void ledger_init(Ledger *ledger, int maildir_fd);

/* Takes the mutex; opens, and makes, the file first when need be. Waits timeout_ms at most. Fails
 * with QUOTA_ERROR_BUSY or G_FILE_ERROR. */
bool ledger_enter(Ledger *ledger, unsigned timeout_ms, GError **error);

/* The same, but makes no file: *exists_out is false, and nothing locked, when there is none. */
bool ledger_enter_existing(Ledger *ledger, unsigned timeout_ms, bool *exists_out, GError **error);

/* For who has a slot: takes the mutex again, and reads nothing. */
bool ledger_enter_again(Ledger *ledger, unsigned timeout_ms, GError **error);

void ledger_leave(Ledger *ledger);

/* Gives up whatever is held. A slot that was not released is lost from then on. */
void ledger_close(Ledger *ledger);

/* ---- under the mutex ------------------------------------------------------ */

/* Fills in others and lost. */
bool ledger_survey(Ledger *ledger, GError **error);

/* Frees the slots in lost, or makes a damaged file anew, in its place: others have it open. To be
 * called when "maildirsize" is gone, so that the next count is certain whoever is killed now. */
bool ledger_repair(Ledger *ledger, GError **error);

/* Reads the file once more: others had the mutex since. */
bool ledger_read(Ledger *ledger, GError **error);

/* Writes state, if it was changed. */
bool ledger_save(Ledger *ledger, GError **error);
bool ledger_is_changed(const Ledger *ledger);

/* Takes a free slot and writes the reservation into it. Fails with QUOTA_ERROR_BUSY when there is
 * none. */
bool ledger_take(Ledger *ledger, const LedgerSlot *reservation, GError **error);

/* Frees our slot, and notes what "maildirsize" holds now. */
bool ledger_settle(Ledger *ledger, const UsageKnown *known, GError **error);

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
