/* lda/usage.h - what mailboxes hold, all in one database: for panels, and for totals of domains
 *
 *   quota_usage(username, bytes, messages, ...)    a row for each mailbox, for others to read
 *   quota_holds                                    what deliveries under way have set aside
 *   quota_totals(domain, bytes, messages)          their sums, kept by triggers
 *   quota_domains                                  since when all mailboxes of a domain are in it
 *
 *   usage_note()    a mailbox holds that much now; in memory
 *   usage_flush()   writes what was noted: one transaction for all of it
 *   usage_admit()   does the domain have room? sets it aside until a note or usage_release()
 *   usage_ask()     the same question, of one who stores nothing
 *
 * What mailboxes hold is the truth of their "maildirsize"; this is a copy of it. A row is that of
 * the latest moment it was measured at, whoever comes first to write it. It is the truth only
 * for what a domain may hold together: the sum of its rows and of what is set aside is never
 * less than what deliveries have stored.
 */
#ifndef LODGE_LDA_USAGE_H
#define LODGE_LDA_USAGE_H

#include "lodge.h"
#include "quota/quota.h"

typedef struct Usage Usage; /* of one process: not to be carried over a fork */

/* What a delivery waits for others, whose transactions take a millisecond. */
enum { USAGE_TIMEOUT_MS = 5000 };

/* Opens nothing yet; the file is made when it is first needed. A call fails when others have held
 * the file for timeout_ms. */
Usage *usage_new(const char *path, unsigned timeout_ms);
void usage_free(Usage *usage); /* what was not written is lost; NULL is fine */

/* Opens the file with the rights in force now, which need not be those of later calls. Fails with
 * G_FILE_ERROR that names it, as all below do. */
bool usage_open(Usage *usage, GError **error);

/* The domain of a user of the map, in lower case. Free with g_free(). */
char *usage_domain(const char *user);

/* ---- rows ---------------------------------------------------------------- */

/* One mailbox at one moment. Borrowed by the functions below. */
typedef struct {
    const char *user;
    QuotaUsage stored;
    gint64 measured_us; /* before that moment nothing was stored that it does not hold */
    const char *stamp;  /* state of its maildirsize then; NULL: not known */
} UsageRow;

/* To be written by the next usage_flush() or usage_admit(). hold, unless 0, ends with it. */
void usage_note(Usage *usage, const UsageRow *row, gint64 hold);

/* The same for a delivery that was stored while what the mailbox holds cannot be told: its row
 * grows by the hold. */
void usage_note_held(Usage *usage, gint64 hold);

/* A delivery that came to nothing gives back what it had set aside; 0 is fine. */
void usage_release(Usage *usage, gint64 hold);

bool usage_has_notes(const Usage *usage);

/* What could not be written stays noted. Here timeout_ms is the caller's: it is no delivery that
 * waits. */
bool usage_flush(Usage *usage, unsigned timeout_ms, GError **error);

/* ---- totals of domains --------------------------------------------------- */

typedef struct {
    const char *user;
    QuotaUsage wanted; /* all copies of the message for that user */
    QuotaLimits total; /* what all mailboxes of the user's domain may hold together */
    gint64 now_us;
    gint64 max_age_s; /* since the last usage_refreshed(); 0: any */
} UsageRequest;

typedef enum {
    USAGE_ADMITTED,     /* hold is set */
    USAGE_FULL,         /* used, held and full_since_us are set */
    USAGE_UNKNOWN,      /* the domain was never refreshed */
    USAGE_UNKNOWN_USER, /* the mailbox has no row */
    USAGE_STALE,        /* the last refresh was longer ago than max_age_s */
} UsageAnswer;

typedef struct {
    UsageAnswer answer;
    gint64 hold;
    QuotaUsage used;      /* stored in all mailboxes of the domain */
    QuotaUsage held;      /* set aside by deliveries under way */
    gint64 full_since_us; /* the first refusal since the last delivery that fitted */
} UsageVerdict;

bool usage_admit(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out,
                 GError **error);

/* Sets nothing aside: hold stays 0. Like usage_admit() it remembers the first refusal; else it only
 * reads, and waits for no delivery. */
bool usage_ask(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out,
               GError **error);

/* What all mailboxes of a domain (in lower case) hold, as their rows have it. Costs the same for
 * any number of them, as usage_admit() and usage_ask() do. */
bool usage_sum(Usage *usage, const char *domain, QuotaUsage *used_out, GError **error);

/* *claimed_out: the last refresh began more than interval_s before now, and the caller is the one
 * to do the next. A domain that was never refreshed is everybody's. */
bool usage_claim_refresh(Usage *usage, const char *domain, gint64 now_us, gint64 interval_s,
                         bool *claimed_out, GError **error);

/* Stamps of the rows of a domain by user; "" for one that has none, and for a mailbox that
 * something is set aside for: what it holds is to be asked for. */
GHashTable *usage_stamps(Usage *usage, const char *domain, GError **error);

/* A mailbox that the map has no more. */
bool usage_forget(Usage *usage, const char *user, GError **error);

/* All mailboxes of the domain have rows. Adds them up anew, and drops what killed processes had set
 * aside. */
bool usage_refreshed(Usage *usage, const char *domain, gint64 now_us, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Usage, usage_free)
#endif
