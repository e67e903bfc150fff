/* lda/quota_cause.c - why "maildirsize" says something else than what is there
 *
 * A guess from figures, in the order of how much each explains: a difference that is exactly what
 * lies in .Trash, or what has the flag T, tells by whose rules the count was made (Courier leaves
 * both out, Dovecot and Exim count them); what is left is the sign of it, messages that nobody
 * entered or nobody took out. Pure: the evidence comes from quota_verify() and a look at the
 * Maildir.
 */
#include "lda/quota_cause.h"

static void
tell(QuotaVerdict *out, const char *id, const char *text)
{
    g_assert(out->count < QUOTA_MAX_FINDINGS);
    out->findings[out->count++] = (QuotaFinding){id, text};
}

/* Without a file there is nothing wrong: whoever needs it first makes it. */
static bool
differs(const QuotaReport *report)
{
    if (!report->has_file)
        return false;
    return report->is_damaged || report->file_octets != (gint64)report->counted.octets ||
           report->file_messages != (gint64)report->counted.messages;
}

/* Whether the file says what is counted, with so much more (sign 1) or less (-1) of each. */
static bool
file_is(const QuotaReport *r, int trash_sign, int deleted_sign)
{
    gint64 octets = (gint64)r->counted.octets + trash_sign * (gint64)r->trash.octets +
                    deleted_sign * (gint64)r->deleted.octets;
    gint64 messages = (gint64)r->counted.messages + trash_sign * (gint64)r->trash.messages +
                      deleted_sign * (gint64)r->deleted.messages;

    return r->file_octets == octets && r->file_messages == messages;
}

/* By the rules of somebody else. What we count they leave out, and the other way round. */
static bool
find_other_rules(const QuotaEvidence *evidence, QuotaVerdict *out)
{
    const QuotaReport *r = evidence->report;
    int trash = evidence->settings->ignore_trash ? 1 : -1;
    int deleted = evidence->settings->ignore_deleted ? 1 : -1;

    if (r->trash.messages > 0 && file_is(r, trash, 0)) {
        if (trash < 0)
            tell(out, "trash_left_out",
                 "whoever counted leaves out .Trash, as Courier and maildrop do: set [quota] "
                 "count_trash = no to do the same");
        else
            tell(out, "trash_counted",
                 "whoever counted also counts .Trash, as Dovecot does: set [quota] count_trash = "
                 "yes to do the same");
    } else if (r->deleted.messages > 0 && file_is(r, 0, deleted)) {
        if (deleted < 0)
            tell(out, "deleted_left_out",
                 "whoever counted leaves out mail with the flag T, as Courier and maildrop do: set "
                 "[quota] count_deleted = no to do the same");
        else
            tell(out, "deleted_counted",
                 "whoever counted also counts mail with the flag T, as Dovecot and Exim do: set "
                 "[quota] count_deleted = yes to do the same");
    } else if (r->trash.messages > 0 && r->deleted.messages > 0 && file_is(r, trash, deleted)) {
        tell(out, "trash_and_deleted",
             "whoever counted has other rules for .Trash and mail with the flag T: Courier and "
             "maildrop leave both out, Dovecot counts both; see [quota] count_trash and "
             "count_deleted");
    } else {
        return false;
    }
    return true;
}

static void
find_unentered(const QuotaEvidence *evidence, gint64 missing, QuotaVerdict *out)
{
    if (evidence->has_marker)
        tell(out, "entered_above",
             "messages are missing in the file: maildrop and Courier took the mailbox for a "
             "folder, since there is a file \"maildirfolder\" in it, and entered theirs one "
             "level up");
    else if (missing <= (gint64)evidence->report->lost)
        tell(out, "killed",
             "deliveries were killed after they had stored the message and before they could "
             "enter it");
    else
        tell(out, "added",
             "messages were put here by something that does not enter them: virtual(8) of "
             "Postfix, cp, rsync, an IMAP server without quota, or lodge while there was no limit");
}

static void
find_drift(const QuotaEvidence *evidence, QuotaVerdict *out)
{
    const QuotaReport *r = evidence->report;
    gint64 missing = (gint64)r->counted.messages - r->file_messages;

    if (r->is_damaged)
        tell(out, "damaged",
             "the file cannot be read as Maildir++ has it: torn by a full disk or an append over "
             "NFS, or written by something else");
    else if (find_other_rules(evidence, out))
        return;
    else if (r->limits_differ && r->lines == 1)
        tell(out, "old_count",
             "the file is a count made under other limits and was not kept since then");
    else if (missing > 0)
        find_unentered(evidence, missing, out);
    else if (missing < 0)
        tell(out, "removed",
             "messages were removed by something that does not take them out: find -delete, rm, "
             "rsync --delete, an IMAP server without quota");
    else
        tell(out, "sizes",
             "as many messages, of other sizes: some were added and as many removed without a "
             "line, or a name has a wrong size behind S=");
}

/* What is no cause of drift, and to be known all the same. */
static void
find_notes(const QuotaEvidence *evidence, QuotaVerdict *out)
{
    const QuotaReport *r = evidence->report;

    if (r->has_file && !r->is_damaged && r->limits_differ)
        tell(out, "other_limits",
             "the file was made under other limits: the next delivery counts anew");
    if (r->lost > 0)
        tell(out, "lost_reservations",
             "killed deliveries have left reservations: the next delivery drops them");
    if (evidence->has_marker)
        tell(out, "root_marker",
             "there is a file \"maildirfolder\" in the mailbox itself, which makes maildrop and "
             "Courier look for its quota one level up: remove it");
    if (evidence->has_dot_file)
        tell(out, "dot_file",
             "there is a plain file whose name begins with a dot, which others take for a folder "
             "and fail to count: move it elsewhere");
}

void
quota_find_causes(const QuotaEvidence *evidence, QuotaVerdict *verdict_out)
{
    bool is_wrong = differs(evidence->report);

    *verdict_out = (QuotaVerdict){.has_drift = evidence->is_kept && is_wrong};
    if (verdict_out->has_drift)
        find_drift(evidence, verdict_out);
    else if (is_wrong)
        tell(verdict_out, "not_kept",
             "there is a \"maildirsize\" that says something else; without a limit lodge does not "
             "keep it");
    find_notes(evidence, verdict_out);
}
