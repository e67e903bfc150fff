/* lda/ctl_quota_walk.c - the mailboxes that a `lodge quota` command is about
 *
 *   "ana@example.org"  one; with '@', whatever the schema of the map
 *   "example.org"      those of a domain      --all  those of the map
 *
 * The lists leave out users who are switched off: where their mail is, is nothing that the map
 * tells. A Maildir that does not exist is an empty one, and is not made.
 */
#include "lda/ctl_quota.h"

#include "lda/lda.h"
#include "lda/mailbox_quota.h"

static void
note_failure(QuotaWalk *walk, const char *user, const GError *error, int status)
{
    const CtlCommand *command = walk->ctl->command;

    (void)fprintf(stderr, "lodge %s %s: %s: %s\n", command->noun, command->verb, user,
                  error->message);
    ctl_json_raw(walk->json, NULL, "{");
    ctl_json_text(walk->json, "user", user);
    ctl_json_text(walk->json, "message", error->message);
    g_string_append_c(walk->json, '}');
    walk->status = MAX(walk->status, status);
}

static bool
open_maildir(const char *path, int *fd_out, GError **error)
{
    *fd_out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd_out >= 0 || errno == ENOENT || lodge_set_errno(error, "open the Maildir '%s'", path);
}

static bool
work_on_maildir(QuotaWalk *walk, QuotaMailbox *mailbox, const char *path, GError **error)
{
    lodge_autofd fd = -1;

    if (!open_maildir(path, &fd, error))
        return false;
    g_autoptr(Quota) quota = fd < 0 ? NULL : quota_open(fd, mailbox->settings);
    mailbox->dir_fd = fd;
    mailbox->quota = quota;
    return walk->work(walk, mailbox, error);
}

static bool
work_on_row(QuotaWalk *walk, const Mailbox *row, GError **error)
{
    g_autoptr(MailboxQuota) rules = mailbox_quota_new(walk->config, row, error);
    g_autoptr(Privileges) owner = NULL;
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;

    if (rules == NULL || !lda_mailbox_paths(walk->config, row, &home, &maildir, error))
        return false;
    QuotaMailbox mailbox = {.user = row->user, .settings = mailbox_quota_settings(rules)};
    /* Without root there is nobody else's right to take. */
    if (geteuid() != 0)
        return work_on_maildir(walk, &mailbox, maildir, error);
    owner = ctl_mailbox_owner(walk->config, row, error);
    if (owner == NULL || !privileges_borrow(owner, error))
        return false;
    bool done = work_on_maildir(walk, &mailbox, maildir, error);
    privileges_return();
    return done;
}

/* False when the map cannot be used: then nothing can. */
static bool
work_on_user(QuotaWalk *walk, const char *address, bool is_named)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) row = mailmap_lookup(walk->map, address, &error);

    if (row != NULL) {
        if (!work_on_row(walk, row, &error))
            note_failure(walk, row->user, error, CTL_TEMPORARY);
        return true;
    }
    if (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE)) {
        walk->status = ctl_fail(walk->ctl, error);
        return false;
    }
    if (is_named || !g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE))
        note_failure(walk, address, error, CTL_REFUSED);
    return true;
}

/* Of a domain, or of all when it is NULL; NULL and *error, also when there is no such domain. */
static GPtrArray *
list_users(QuotaWalk *walk, const char *domain, GError **error)
{
    g_autoptr(Mapedit) edit = ctl_read_map(walk->ctl, error);
    g_autoptr(GPtrArray) row = NULL;

    if (edit == NULL)
        return NULL;
    if (domain != NULL) {
        row = mapedit_list(edit, MAPEDIT_DOMAINS, domain, NULL, error);
        if (row == NULL)
            return NULL;
    }
    return mapedit_list(edit, MAPEDIT_USERS, NULL, domain, error);
}

static bool
work_on_list(QuotaWalk *walk, const char *domain)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rows = list_users(walk, domain, &error);

    if (rows == NULL && g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_MISSING)) {
        note_failure(walk, domain, error, CTL_REFUSED);
        return true;
    }
    if (rows == NULL) {
        walk->status = ctl_fail(walk->ctl, error);
        return false;
    }
    for (unsigned i = 0; i < rows->len; i++) {
        if (!work_on_user(walk, ((char **)rows->pdata[i])[0], false))
            return false;
    }
    return true;
}

bool
quota_walk(QuotaWalk *walk, char **names, gboolean all)
{
    g_autoptr(GError) error = NULL;

    walk->json = g_string_new(NULL);
    if (all == (*names != NULL)) {
        walk->status = ctl_usage(walk->ctl, all ? "--all is instead of names"
                                                : "for which user or domain? "
                                                  "--all is for everybody");
        return false;
    }
    walk->map = ctl_open_mailmap(walk->ctl, &error);
    if (walk->map == NULL) {
        walk->status = ctl_fail(walk->ctl, error);
        return false;
    }
    walk->config = ctl_config(walk->ctl, NULL); /* read by now */
    if (all)
        return work_on_list(walk, NULL);
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strchr(names[i], '@') == NULL ? !work_on_list(walk, names[i])
                                          : !work_on_user(walk, names[i], true))
            return false;
    }
    return true;
}

void
quota_walk_clear(QuotaWalk *walk)
{
    g_clear_pointer(&walk->map, mailmap_close);
    if (walk->json != NULL)
        (void)g_string_free(walk->json, TRUE); /* returns NULL then */
    walk->json = NULL;
}

int
quota_walk_print(QuotaWalk *walk, GString *json, GString *text)
{
    int status = CTL_OK;

    ctl_json_raw(json, "errors", "[");
    g_string_append_printf(json, "%s]}", walk->json->str);
    if (walk->ctl->json)
        status = ctl_print(walk->ctl, json->str);
    else if (text->len > 0)
        status = ctl_print(walk->ctl, g_strchomp(text->str));
    return MAX(status, walk->status);
}
