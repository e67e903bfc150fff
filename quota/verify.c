/* quota/verify.c - what "maildirsize" says, and what is there; see verify.h
 *
 * Writes nothing, not even a ledger where there is none: deliveries that begin meanwhile are then
 * the drift that is reported.
 */
#include "quota/verify.h"

#include "quota/scan.h"
#include "quota/usage_file.h"

static bool
read_file(const Ledger *ledger, const QuotaSettings *settings, QuotaReport *report, GError **error)
{
    UsageFile file = USAGE_FILE_CLOSED(ledger->dir_fd, settings->shared_storage);
    const MaildirsizeContent *content = &file.content;

    if (!usage_file_open(&file, NULL, error))
        return false;
    report->has_file = file.fd >= 0;
    report->is_damaged = report->has_file && content->is_damaged;
    report->limits_differ = report->has_file && !content->is_damaged &&
                            !maildirsize_limits_agree(&content->limits, &settings->limits);
    report->lines = content->lines;
    report->file_octets = content->sum.octets;
    report->file_messages = content->sum.messages;
    usage_file_close(&file);
    return true;
}

/* The files of reservations are not in "maildirsize" yet; those of killed deliveries are mail. */
static size_t
live_names(const Ledger *ledger, guint64 *names)
{
    size_t count = 0;

    for (unsigned i = 0; i < ledger->other_count; i++) {
        if (ledger->others[i].name != 0)
            names[count++] = ledger->others[i].name;
    }
    return count;
}

bool
quota_verify_mailbox(Ledger *ledger, const QuotaSettings *settings, QuotaReport *report_out,
                     GError **error)
{
    g_auto(QuotaScan) scan = {0};
    QuotaReport report = {0};
    guint64 names[LEDGER_SLOTS];
    QuotaScanRequest request = {
        .settings = settings, .except = names, .clock_fd = -1, .is_everything = true};
    bool exists;

    if (!ledger_enter_existing(ledger, settings->lock_timeout_ms, &exists, error) ||
        (exists && !ledger_survey(ledger, error)) || !read_file(ledger, settings, &report, error))
        return false;
    request.except_count = live_names(ledger, names);
    if (!quota_scan(ledger->dir_fd, &request, &scan, error))
        return false;
    report.counted = scan.counted;
    report.trash = scan.trash;
    report.deleted = scan.deleted;
    report.lost = ledger->lost_count;
    *report_out = report;
    return true;
}
