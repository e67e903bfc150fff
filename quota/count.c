/* quota/count.c - counts a mailbox while others use it; see count.h
 *
 *   names of reservations -> scan -> names once more -> write, rename -> look at the times again
 *
 * A delivery of ours gives its file's name before the file can be seen, and cannot settle before we
 * are done: what the scan can have seen has its name in the ledger when the scan ends. Such
 * files are left out, and settle adds them. What readers and other programs move shows in the
 * times of directories, which are compared before the file is in place and after.
 */
#include "quota/count.h"

#include "quota/scan.h"

enum {
    TRIES = 4,
    TICK_US = 10 * 1000 /* after this, a change has another time than the last one */
};

typedef struct {
    guint64 hashes[LEDGER_SLOTS];
    size_t count;
} Names;

/* Whether a name is in b that is not in a. */
static bool
has_more(const Names *b, const Names *a)
{
    for (size_t i = 0; i < b->count; i++) {
        bool found = false;

        for (size_t j = 0; j < a->count && !found; j++)
            found = b->hashes[i] == a->hashes[j];
        if (!found)
            return true;
    }
    return false;
}

static QuotaScanRequest
request_for(const Ledger *ledger, const QuotaSettings *settings, const Names *names)
{
    return (QuotaScanRequest){.settings = settings,
                              .except = names->hashes,
                              .except_count = names->count,
                              .clock_fd = ledger->fd};
}

typedef enum { COUNT_DONE, COUNT_MOVED, COUNT_NOT_WRITTEN } CountResult;

/* One look at everything. */
static bool
try_count(Ledger *ledger, const QuotaSettings *settings, UsageFile *file, QuotaUsage *usage_out,
          CountResult *result_out, GError **error)
{
    g_auto(QuotaScan) scan = {0};
    Names names;
    Names names_after;

    if (!ledger_names(ledger, names.hashes, &names.count, error))
        return false;

    QuotaScanRequest request = request_for(ledger, settings, &names);

    if (!quota_scan(ledger->dir_fd, &request, &scan, error) ||
        !ledger_names(ledger, names_after.hashes, &names_after.count, error))
        return false;
    *usage_out = scan.counted;
    *result_out = COUNT_MOVED;
    if (has_more(&names_after, &names) || !quota_scan_is_stable(&scan, ledger->dir_fd))
        return true;
    /* A full disk holds nobody up: the figures are good. */
    if (!usage_file_write(file, &settings->limits, usage_out, NULL))
        *result_out = COUNT_NOT_WRITTEN;
    else if (quota_scan_is_stable(&scan, ledger->dir_fd))
        *result_out = COUNT_DONE;
    return true;
}

bool
quota_count(Ledger *ledger, const QuotaSettings *settings, UsageFile *file, gint64 now_us,
            QuotaUsage *usage_out, GError **error)
{
    CountResult result = COUNT_MOVED;

    for (unsigned tries = 0; tries < TRIES && result == COUNT_MOVED; tries++) {
        if (tries > 0)
            g_usleep(TICK_US);
        if (!try_count(ledger, settings, file, usage_out, &result, error))
            return false;
    }
    if (result != COUNT_DONE) {
        usage_file_close(file);
        return usage_file_remove(file, error);
    }
    ledger->state.count_inode = file->stamp.inode;
    ledger->state.count_octets = usage_out->octets;
    ledger->state.count_messages = usage_out->messages;
    ledger->state.counted_us = now_us;
    return true;
}

bool
quota_count_folder(Ledger *ledger, const QuotaSettings *settings, const char *directory,
                   QuotaUsage *usage_out, GError **error)
{
    Names names;
    Names names_after;
    unsigned tries = 0;

    if (!ledger_names(ledger, names_after.hashes, &names_after.count, error))
        return false;
    do {
        names = names_after;

        QuotaScanRequest request = request_for(ledger, settings, &names);

        if (!quota_scan_folder(ledger->dir_fd, directory, &request, usage_out, error) ||
            !ledger_names(ledger, names_after.hashes, &names_after.count, error))
            return false;
    } while (has_more(&names_after, &names) && ++tries < TRIES);
    return true;
}
