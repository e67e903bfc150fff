/* quota/quota.h - is there room in this mailbox?
 *
 *   quota_open()     the Maildir, its limits and rules
 *   quota_name()     what the file will be called; at the latest before it is published
 *   quota_reserve()  before the copy is staged: sets room aside, or says that there is none
 *   quota_settle()   after it is published: a line in "maildirsize"
 *   quota_free()     without quota_settle(): gives the room back
 *
 * Exact: deliveries at the same time, by any number of processes, never pass the limit
 * together and never refuse what fits; a process that is killed leaves nothing set aside.
 * "maildirsize" is that of Courier, Dovecot and Exim, and may be changed by them at any time.
 * What is set aside, and when the owner was last warned, stands beside it in "lodge-quota".
 */
#ifndef LODGE_QUOTA_QUOTA_H
#define LODGE_QUOTA_QUOTA_H

#include "lodge.h"

/* Zero means no limit. */
typedef struct {
    guint64 octets;
    guint64 messages;
} QuotaLimits;

typedef struct {
    guint64 octets;
    guint64 messages;
} QuotaUsage;

/* What holds for folders whose directory matches. The first rule that matches counts. */
typedef struct {
    const char *pattern;    /* directory name: ".Trash", ".Lists.*", with * and ?; "" is INBOX */
    bool is_ignored;        /* neither counted nor limited */
    guint64 extra_octets;   /* the limit of octets is higher by this for what is put there */
    unsigned extra_percent; /* and by this part of it */
    guint64 max_octets; /* what this folder alone may hold; 0: no limit of its own. Each delivery
                           there reads the names in it. */
} QuotaFolderRule;

typedef enum { QUOTA_OVER_REJECT, QUOTA_OVER_DEFER, QUOTA_OVER_RAMP } QuotaOver;

/* All borrowed for the life of the Quota. */
typedef struct {
    QuotaLimits limits;
    guint64 grace;       /* octets that a delivery may pass the limit by */
    guint64 max_message; /* octets of the largest message; 0: no limit */
    const QuotaFolderRule *folders;
    size_t folder_count;
    bool ignore_trash;   /* .Trash does not count, as Courier has it */
    bool ignore_deleted; /* mail with the flag T does not count, likewise */
    QuotaOver over;
    gint64 ramp_s;           /* QUOTA_OVER_RAMP: how long after the first refusal it is temporary */
    const unsigned *warn_at; /* percent of either limit, ascending */
    size_t warn_count;       /* at most QUOTA_MAX_WARNINGS */
    bool shared_storage;     /* other hosts write too: appends are not to be trusted */
    unsigned lock_timeout_ms; /* how long others may hold the mailbox */
} QuotaSettings;

enum { QUOTA_MAX_WARNINGS = 8 };

/* Whether anything is limited at all: else no Quota need be opened. */
bool quota_is_limited(const QuotaSettings *settings);

#define QUOTA_ERROR quota_error_quark()
GQuark quota_error_quark(void);
typedef enum {
    QUOTA_ERROR_FULL,         /* it does not fit: permanent, 5.2.2 */
    QUOTA_ERROR_FULL_FOR_NOW, /* the same, but over says to try again, or only what other
                                 deliveries have set aside is in the way: 4.2.2 */
    QUOTA_ERROR_TOO_BIG,      /* larger than max_message: permanent, 5.2.3 */
    QUOTA_ERROR_BUSY,         /* the mailbox stayed locked, or has too many deliveries: temporary */
} QuotaError;

/* "104,857,600", whatever the locale, as refusals have it. Free with g_free(). */
char *quota_format_number(guint64 number);

/* Whether mail in the folder with that directory name ("": INBOX) counts at all. */
bool quota_folder_counts(const QuotaSettings *settings, const char *directory);

typedef struct Quota Quota; /* one mailbox, open for one copy */

/* Opens the quota of the Maildir at dir_fd, which stays the caller's and must outlive the
 * result, as settings must. Reads nothing yet. */
Quota *quota_open(int dir_fd, const QuotaSettings *settings);
void quota_free(Quota *quota); /* NULL is fine */

/* What the same delivery has set aside in that mailbox by other Quotas: a refusal that only this
 * is in the way of is as permanent as over says. To be called before quota_reserve(). */
void quota_set_own(Quota *quota, QuotaUsage own);

/* What is stored now, without what is set aside. Counts anew where "maildirsize" cannot be
 * believed. Fails with G_FILE_ERROR or QUOTA_ERROR_BUSY. */
bool quota_usage(Quota *quota, QuotaUsage *usage_out, GError **error);

/* Counts the folders anew, whatever "maildirsize" says, and writes it. Fails likewise. */
bool quota_recalculate(Quota *quota, QuotaUsage *usage_out, GError **error);

/* Whether octets would fit into that folder of a mailbox that is empty, as one that is not there
 * yet: no look at it is needed to say no. Fails with QUOTA_ERROR_FULL or QUOTA_ERROR_TOO_BIG. */
bool quota_room_is_possible(const QuotaSettings *settings, const char *directory, guint64 octets,
                            GError **error);

/* Whether octets would fit now into the folder with that directory name ("": INBOX), what others
 * have set aside included. Sets nothing aside, but counts anew and begins a ramp as
 * quota_reserve() does. Fails with any QUOTA_ERROR and G_FILE_ERROR. */
bool quota_check(Quota *quota, const char *directory, guint64 octets, gint64 now_us,
                 GError **error);

/* The name of the file, without directory and flags: a count made meanwhile by another process
 * leaves it to this reservation. Best before quota_reserve(), which then writes it; else before
 * the file can be seen: then it fails with G_FILE_ERROR, and on shared storage with
 * QUOTA_ERROR_BUSY. */
bool quota_name(Quota *quota, const char *name, GError **error);

/* Sets octets and one message aside for that folder. Fails as quota_check(). */
bool quota_reserve(Quota *quota, const char *directory, guint64 octets, gint64 now_us,
                   GError **error);

/* What is set aside: nothing for a folder that does not count. */
QuotaUsage quota_reserved(const Quota *quota);

typedef struct {
    bool is_counted;   /* false: it lies in a folder that does not count, and the rest is 0 */
    QuotaUsage before; /* without this copy */
    QuotaUsage after;
    gint64 at_us; /* when that was so: of two deliveries to a mailbox the later has the higher */
    unsigned warning; /* percent of warn_at that was passed, once a day for each; 0: none */
    bool is_down;     /* it was passed downwards, since the last delivery */
} QuotaChange;

/* The file is in its place: enters it in "maildirsize" and ends the reservation. A failure costs
 * the next delivery a count, nothing else. Only on shared storage is the line durable: one that is
 * lost with the power is missed until the next count, which comes before a refusal
 * (doc/quota.md). */
bool quota_settle(Quota *quota, gint64 now_us, QuotaChange *change_out, GError **error);

/* ---- for `lodge quota verify` -------------------------------------------- */

/* "maildirsize" as it is, and what is really there. */
typedef struct {
    bool has_file;
    bool is_damaged;
    bool limits_differ; /* made under other limits */
    unsigned lines;
    gint64 file_octets;
    gint64 file_messages;
    QuotaUsage counted;
    QuotaUsage trash;   /* of that, or besides, in .Trash ... */
    QuotaUsage deleted; /* ... and with the flag T elsewhere: which of them the file leaves out
                           tells whose count it is */
    unsigned lost;      /* reservations of processes that were killed */
} QuotaReport;

/* Changes nothing. Fails with G_FILE_ERROR or QUOTA_ERROR_BUSY. */
bool quota_verify(Quota *quota, QuotaReport *report_out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Quota, quota_free)
#endif
