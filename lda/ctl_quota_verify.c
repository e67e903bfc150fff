/* lda/ctl_quota_verify.c - `lodge quota verify`: does "maildirsize" say what is there?
 *
 *   quota_verify() --quota_cause.c--> drift, probable cause --(--repair)--> quota_recalculate()
 *
 * Nothing is changed without --repair. A mailbox that nothing limits has no "maildirsize" that
 * anybody keeps: what it says is told, and is no drift.
 */
#include "lda/ctl_quota.h"
#include "lda/quota_cause.h"

#include <dirent.h>
#include <sys/stat.h>

typedef struct {
    GString *text;
    GString *json; /* of "mailboxes" */
    gboolean repair;
    bool is_brief; /* not for one mailbox alone: those that are right are not listed */
    guint64 mailboxes, drifted, repaired;
} Verify;

static bool
is_plain_dot_file(int dir_fd, const struct dirent *entry)
{
    struct stat status;

    /* ".nfs" is what NFS makes of a file that is removed while somebody has it open. */
    if (entry->d_name[0] != '.' || entry->d_type == DT_DIR || entry->d_type == DT_LNK ||
        g_str_has_prefix(entry->d_name, ".nfs"))
        return false;
    return entry->d_type == DT_REG ||
           (fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode));
}

static bool
has_dot_file(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    bool found = false;

    if (dir == NULL) {
        lodge_close(&fd);
        return false; /* quota_verify() has read it: it was removed just now */
    }
    while (!found && (entry = readdir(dir)) != NULL)
        found = is_plain_dot_file(dir_fd, entry);
    (void)closedir(dir); /* only read */
    return found;
}

/* ---- for people -------------------------------------------------------------- */

static void
append_usage(GString *text, gint64 messages, gint64 octets)
{
    g_autofree char *size = quota_human_size(octets < 0 ? 0 : (guint64)octets);

    g_string_append_printf(text, "%" G_GINT64_FORMAT " message%s of %" G_GINT64_FORMAT " octets",
                           messages, messages == 1 ? "" : "s", octets);
    if (octets >= 1024)
        g_string_append_printf(text, " (%s)", size);
}

static void
append_text(Verify *verify, const QuotaMailbox *mailbox, const QuotaReport *r,
            const QuotaVerdict *verdict)
{
    GString *text = verify->text;

    if (verify->is_brief && !verdict->has_drift && verdict->count == 0)
        return;
    g_string_append_printf(text, "%s: %s: ", mailbox->user, verdict->has_drift ? "drift" : "ok");
    append_usage(text, (gint64)r->counted.messages, (gint64)r->counted.octets);
    if (r->is_damaged) {
        g_string_append(text, ", but \"maildirsize\" is damaged");
    } else if (verdict->has_drift) {
        g_string_append(text, ", but \"maildirsize\" says ");
        append_usage(text, r->file_messages, r->file_octets);
    }
    g_string_append_c(text, '\n');
    for (size_t i = 0; i < verdict->count; i++)
        g_string_append_printf(text, "    %s: %s\n",
                               verdict->has_drift && i == 0 ? "probably" : "note",
                               verdict->findings[i].text);
}

/* ---- as JSON ----------------------------------------------------------------- */

static void
append_pair(GString *json, const char *name, gint64 octets, gint64 messages)
{
    g_autofree char *raw = g_strdup_printf(
        "{\"bytes\":%" G_GINT64_FORMAT ",\"messages\":%" G_GINT64_FORMAT "}", octets, messages);

    ctl_json_raw(json, name, raw);
}

static void
append_file(GString *json, const QuotaReport *r)
{
    if (!r->has_file) {
        ctl_json_raw(json, "file", "null");
        return;
    }
    ctl_json_raw(json, "file", "{");
    if (r->is_damaged) {
        ctl_json_raw(json, "bytes", "null");
        ctl_json_raw(json, "messages", "null");
    } else {
        g_autofree char *octets = g_strdup_printf("%" G_GINT64_FORMAT, r->file_octets);
        g_autofree char *messages = g_strdup_printf("%" G_GINT64_FORMAT, r->file_messages);

        ctl_json_raw(json, "bytes", octets);
        ctl_json_raw(json, "messages", messages);
    }
    quota_json_number(json, "lines", r->lines);
    g_string_append_c(json, '}');
}

static void
append_findings(GString *json, const QuotaVerdict *verdict)
{
    ctl_json_raw(json, "findings", "[");
    for (size_t i = 0; i < verdict->count; i++) {
        ctl_json_raw(json, NULL, "{");
        ctl_json_text(json, "id", verdict->findings[i].id);
        ctl_json_text(json, "text", verdict->findings[i].text);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
}

static void
append_json(GString *json, const char *user, const QuotaReport *r, const QuotaVerdict *verdict)
{
    ctl_json_raw(json, NULL, "{");
    ctl_json_text(json, "user", user);
    ctl_json_raw(json, "drift", verdict->has_drift ? "true" : "false");
    append_file(json, r);
    append_pair(json, "counted", (gint64)r->counted.octets, (gint64)r->counted.messages);
    append_pair(json, "trash", (gint64)r->trash.octets, (gint64)r->trash.messages);
    append_pair(json, "deleted", (gint64)r->deleted.octets, (gint64)r->deleted.messages);
    append_findings(json, verdict);
    g_string_append_c(json, '}');
}

/* ---- one mailbox ------------------------------------------------------------- */

static bool
examine(const QuotaMailbox *mailbox, QuotaReport *report, QuotaVerdict *verdict_out, GError **error)
{
    struct stat status;

    if (!quota_verify(mailbox->quota, report, error))
        return false;
    const QuotaEvidence evidence = {
        .settings = mailbox->settings,
        .report = report,
        .is_kept = mailbox->is_kept,
        .has_marker = fstatat(mailbox->dir_fd, "maildirfolder", &status, AT_SYMLINK_NOFOLLOW) == 0,
        .has_dot_file = has_dot_file(mailbox->dir_fd),
    };
    quota_find_causes(&evidence, verdict_out);
    return true;
}

static bool
repair(Verify *verify, const QuotaMailbox *mailbox, GError **error)
{
    QuotaUsage usage;

    if (!quota_recalculate(mailbox->quota, &usage, error))
        return false;
    g_string_append(verify->text, "    repaired\n");
    verify->repaired++;
    return true;
}

static bool
verify_mailbox(QuotaWalk *walk, const QuotaMailbox *mailbox, GError **error)
{
    Verify *verify = walk->data;
    QuotaReport report = {0};
    QuotaVerdict verdict = {0};

    if (mailbox->quota != NULL && !examine(mailbox, &report, &verdict, error))
        return false;
    verify->mailboxes++;
    verify->drifted += verdict.has_drift;
    append_text(verify, mailbox, &report, &verdict);
    append_json(verify->json, mailbox->user, &report, &verdict);
    return !verify->repair || !verdict.has_drift || repair(verify, mailbox, error);
}

static int
print(QuotaWalk *walk, Verify *verify)
{
    GString *text = verify->text;

    g_string_append_c(verify->json, ']');
    quota_json_number(verify->json, "drifted", verify->drifted);
    quota_json_number(verify->json, "repaired", verify->repaired);
    if (verify->is_brief)
        g_string_append_printf(text,
                               "%" G_GUINT64_FORMAT " mailboxes, %" G_GUINT64_FORMAT
                               " with drift, %" G_GUINT64_FORMAT " repaired",
                               verify->mailboxes, verify->drifted, verify->repaired);
    int status = quota_walk_print(walk, verify->json, text);
    return status == CTL_OK && verify->drifted > verify->repaired ? CTL_REFUSED : status;
}

int
ctl_quota_verify(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) json = g_string_new("{\"mailboxes\":[");
    Verify verify = {.text = text, .json = json};
    QuotaWalk walk = {.ctl = ctl, .work = verify_mailbox, .data = &verify};
    gboolean all = FALSE;
    int status = CTL_OK;
    const GOptionEntry entries[] = {
        {"all", 'a', 0, G_OPTION_ARG_NONE, &all, "All mailboxes of the map", NULL},
        {"repair", 0, 0, G_OPTION_ARG_NONE, &verify.repair, "Write what is really there", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (!ctl_parse(ctl, &argc, &argv, entries, 0, G_MAXINT, &status))
        return status;
    verify.is_brief = argc != 2 || strchr(argv[1], '@') == NULL;
    status = quota_walk(&walk, argv + 1, all) ? print(&walk, &verify) : walk.status;
    quota_walk_clear(&walk);
    return status;
}
