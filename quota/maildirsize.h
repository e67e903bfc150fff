/* quota/maildirsize.h - the format of Maildir++'s file "maildirsize"
 *
 *   1000000S,500C      the limits this count was made under
 *   123456 78          what a count of all folders found
 *   4312 1             and every change since: a delivery
 *   -4312 -1           a removal
 *
 * Courier pads numbers to 12 columns, Dovecot writes them plain, Exim always writes both
 * limits; an unterminated last line is one that is still being written, or was torn. Pure:
 * bytes in, a value out.
 */
#ifndef LODGE_QUOTA_MAILDIRSIZE_H
#define LODGE_QUOTA_MAILDIRSIZE_H

#include "lodge.h"
#include "quota/quota.h"

/* From this size on the file is too long (Maildir++: one read is enough): counted anew, or
 * condensed. */
enum { MAILDIRSIZE_MAX = 5120 };

typedef struct {
    gint64 octets;
    gint64 messages;
} MaildirsizeSum;

typedef struct {
    QuotaLimits limits;
    MaildirsizeSum counted; /* the first line behind the limits */
    MaildirsizeSum sum;     /* of all lines behind the limits */
    unsigned lines;         /* their number */
    bool is_damaged;        /* not to be believed: count anew; the sums are 0 */
} MaildirsizeContent;

/* Reads len octets. Damaged are: no limits in the first line, a limit that is none, a line that is
 * not two numbers, NUL, an unterminated end, a sum that is negative or past 63 bits. */
MaildirsizeContent maildirsize_parse(const char *bytes, size_t len);

/* Whether a count made under theirs is one for ours. Those who limit nothing leave the limits of
 * others alone. */
bool maildirsize_limits_agree(const QuotaLimits *theirs, const QuotaLimits *ours);

/* The first line, with its line end; "0S" when nothing is limited, as Dovecot has it. Free with
 * g_free(). */
char *maildirsize_format_limits(const QuotaLimits *limits);

/* One change, with its line end, padded as Courier does: what a torn append over NFS
 * overwrites is blanks, mostly. Free with g_free(). */
char *maildirsize_format_change(gint64 octets, gint64 messages);

#endif
