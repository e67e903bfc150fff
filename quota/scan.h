/* quota/scan.h - counts what is in a Maildir++ */
#ifndef LODGE_QUOTA_SCAN_H
#define LODGE_QUOTA_SCAN_H

#include "lodge.h"
#include "quota/quota.h"

/* What to leave out of a count, and how to tell the time. */
typedef struct {
    const QuotaSettings *settings;
    const guint64 *except; /* hashes of names: these files are left out */
    size_t except_count;
    int clock_fd;       /* a file in the Maildir whose time may be set to now; -1: none */
    bool is_everything; /* reads also what settings leave out, for trash and deleted */
} QuotaScanRequest;

typedef struct {
    QuotaUsage counted; /* what settings count */
    QuotaUsage trash;   /* in .Trash, counted or not */
    QuotaUsage deleted; /* with the flag T elsewhere, counted or not */
    /* For quota_scan_is_stable(). */
    GArray *directories;
    guint64 folders;
    int clock_fd;
    gint64 started_ns;
} QuotaScan;

/* Adds up new/ and cur/ of the Maildir and of each of its folders. A message that is moved from
 * new/ to cur/ meanwhile is counted once; what vanishes is skipped. Fails with G_FILE_ERROR when
 * something could not be read. Release with quota_scan_clear(), which a zeroed one may meet. */
bool quota_scan(int dir_fd, const QuotaScanRequest *request, QuotaScan *scan_out, GError **error);
void quota_scan_clear(QuotaScan *scan);

/* Whether nothing changed since the scan began: else the figures may be off by what moved. */
bool quota_scan_is_stable(const QuotaScan *scan, int dir_fd);

/* The same for one folder alone, whatever settings say about it. */
bool quota_scan_folder(int dir_fd, const char *directory, const QuotaScanRequest *request,
                       QuotaUsage *usage_out, GError **error);

/* The number behind ",S=" in a file name; false: there is none that can be. */
bool quota_size_of_name(const char *name, guint64 *size_out);

/* Stands for a name up to its flags: never 0. */
guint64 quota_name_hash(const char *name);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QuotaScan, quota_scan_clear)
#endif
