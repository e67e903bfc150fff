/* lda/ctl_quota.h - what the commands of `lodge quota` share
 *
 *   USER, DOMAIN or --all --map--> mailboxes --quota_walk()--> work on each
 *                                     |
 *                           totals of domains --quota_domains_measure()--> rows
 *
 * A mailbox that cannot be looked at is a line on stderr and an element of "errors" in JSON, and
 * the next one's turn. Files are read and written with the rights of the mailbox's owner.
 */
#ifndef LODGE_LDA_CTL_QUOTA_H
#define LODGE_LDA_CTL_QUOTA_H

#include "lodge.h"
#include "lda/ctl.h"
#include "quota/quota.h"

/* One mailbox, open while it is worked on. */
typedef struct {
    const char *user;
    const QuotaSettings *settings;
    bool is_kept; /* "maildirsize" is: mailbox_quota_is_kept() */
    int dir_fd;   /* of the Maildir; -1: no mail was ever stored */
    Quota *quota; /* NULL likewise */
} QuotaMailbox;

typedef struct QuotaWalk QuotaWalk;
typedef bool QuotaWork(QuotaWalk *walk, const QuotaMailbox *mailbox, GError **error);

struct QuotaWalk {
    CtlContext *ctl;
    const LdaConfig *config;
    Mailmap *map;
    QuotaWork *work;
    void *data;    /* for work */
    GTree *totals; /* domain -> QuotaLimits: of the lists worked on, those that have a total */
    GString *json; /* elements of "errors" */
    int status;    /* CTL_REFUSED: a name is not there; CTL_TEMPORARY: a mailbox was not readable */
};

/* Works on the mailboxes that names, or all, stand for. False when it could not even begin or had
 * to stop, and has said why; always sets walk->status. The walk is {.ctl, .work, .data}; to be
 * cleared after either. */
bool quota_walk(QuotaWalk *walk, char **names, gboolean all);
void quota_walk_clear(QuotaWalk *walk);

/* Says on stderr and in "errors" what is wrong with a mailbox or domain. */
void quota_walk_fail(QuotaWalk *walk, const char *name, const GError *error, int status);

/* Prints json, which is a whole object but for its end, with the errors added; or text, unless it
 * is empty. Returns the exit status. */
int quota_walk_print(QuotaWalk *walk, GString *json, GString *text);

/* What a mailbox, or all of a domain together, hold and may hold. */
typedef struct {
    char *name;
    QuotaUsage usage;
    QuotaLimits limits;
} QuotaRow;

GPtrArray *quota_rows_new(void);
void quota_rows_add(GPtrArray *rows, const char *name, const QuotaUsage *usage,
                    const QuotaLimits *limits);

/* Rows to read, below their heading; the sizes as people read them. */
void quota_rows_append_table(GString *out, const char *heading, GPtrArray *rows);

/* As that member of json, each with its name as key. */
void quota_rows_append_json(GString *json, const char *member, const char *key, GPtrArray *rows);

/* ctl_quota_domains.c: a row for each of walk->totals, as the next delivery would find it. One that
 * cannot be told is quota_walk_fail()'s. */
GPtrArray *quota_domains_measure(QuotaWalk *walk);

/* Of a limit that is used, rounded down; 0 without limit. */
unsigned quota_percent(guint64 used, guint64 limit);

/* The higher of both. */
unsigned quota_row_percent(const QuotaRow *row);

/* "1.2G": three digits at most, and a unit. Free with g_free(). */
char *quota_human_size(guint64 octets);

void quota_json_number(GString *json, const char *name, guint64 number);

#endif
