/* lda/ctl_quota_walk.c - the mailboxes that a `lodge quota` command is about
 *
 *   "ana@example.org"  one; whatever the map has for a schema
 *   "example.org"      those of a domain; not where mailbox_query is the administrator's own
 *   --all              those of the map; where it has our own schema
 *
 * The lists leave out users who are switched off: where their mail is, is nothing that the map
 * tells. A Maildir that does not exist is an empty one, and is not made.
 */
#include "lda/ctl_quota.h"

#include "lda/lda.h"
#include "lda/mailbox_quota.h"
#include "lda/usage_domain.h"

void
quota_walk_fail(QuotaWalk *walk, const char *name, const GError *error, int status)
{
    const CtlCommand *command = walk->ctl->command;

    (void)fprintf(stderr, "lodge %s %s: %s: %s\n", command->noun, command->verb, name,
                  error->message);
    ctl_json_raw(walk->json, NULL, "{");
    ctl_json_text(walk->json, "user", name);
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
    QuotaMailbox mailbox = {.user = row->user,
                            .settings = mailbox_quota_settings(rules),
                            .is_kept = mailbox_quota_is_kept(walk->config, row, rules)};
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

static void
note_total(QuotaWalk *walk, const Mailbox *row)
{
    const QuotaLimits total = {.octets = row->domain_quota_bytes,
                               .messages = row->domain_quota_messages};

    if (usage_domain_has_total(row))
        g_tree_replace(walk->totals, usage_domain(row->user), g_memdup2(&total, sizeof total));
}

/* There is no such mailbox. False when the map cannot be used: then nothing can. */
static bool
pass_over(QuotaWalk *walk, const char *name, const GError *error)
{
    if (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE)) {
        walk->status = ctl_fail(walk->ctl, error);
        return false;
    }
    quota_walk_fail(walk, name, error, CTL_REFUSED);
    return true;
}

static void
work_on_mailbox(QuotaWalk *walk, const Mailbox *row)
{
    g_autoptr(GError) error = NULL;

    if (!work_on_row(walk, row, &error))
        quota_walk_fail(walk, row->user, error, CTL_TEMPORARY);
}

/* The mailbox where mail for the address ends. The key of a catch-all is no address. */
static Mailbox *
look_up(Mailmap *map, const char *address, GError **error)
{
    g_autofree char *domain = NULL;
    g_autofree char *key = NULL;

    if (*address != '@')
        return mailmap_lookup(map, address, error);
    domain = mailmap_fold_domain(address + 1, error);
    if (domain == NULL)
        return NULL;
    key = g_strconcat("@", domain, NULL);
    return mailmap_user(map, key, error);
}

static bool
work_on_named(QuotaWalk *walk, const char *address)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) row = look_up(walk->map, address, &error);

    if (row == NULL)
        return pass_over(walk, address, error);
    work_on_mailbox(walk, row);
    return true;
}

static bool
work_on_listed(QuotaWalk *walk, const char *user)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) row = mailmap_user(walk->map, user, &error);

    if (row == NULL)
        return g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE) ||
               pass_over(walk, user, error);
    note_total(walk, row);
    work_on_mailbox(walk, row);
    return true;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In a schema of others. */
static char **
list_foreign_users(QuotaWalk *walk, const char *name, GError **error)
{
    g_autofree char *domain = mailmap_fold_domain(name, error);
    g_auto(GStrv) users = NULL;

    if (domain == NULL || !mailmap_users(walk->map, domain, &users, error))
        return NULL;
    if (*users == NULL) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_MISSING,
                    "there is no mailbox in the domain '%s'", domain);
        return NULL;
    }
    qsort(users, g_strv_length(users), sizeof *users, compare_names);
    return g_steal_pointer(&users);
}

static char **
list_own_users(QuotaWalk *walk, const char *domain, GError **error)
{
    g_autoptr(Mapedit) edit = ctl_read_map(walk->ctl, error);
    g_autoptr(GPtrArray) domain_row = NULL;
    g_autoptr(GPtrArray) rows = NULL;
    g_autoptr(GStrvBuilder) users = g_strv_builder_new();

    if (edit == NULL)
        return NULL;
    if (domain != NULL) {
        domain_row = mapedit_list(edit, MAPEDIT_DOMAINS, domain, NULL, error);
        if (domain_row == NULL)
            return NULL;
    }
    rows = mapedit_list(edit, MAPEDIT_USERS, NULL, domain, error);
    if (rows == NULL)
        return NULL;
    for (unsigned i = 0; i < rows->len; i++)
        g_strv_builder_add(users, ((char **)rows->pdata[i])[0]);
    return g_strv_builder_end(users);
}

/* Keys of the mailboxes of a domain, or of all when it is NULL. NULL and *error, also when there is
 * no such domain. */
static char **
list_users(QuotaWalk *walk, const char *domain, GError **error)
{
    bool has_own_query = *walk->config->map.mailbox_query != '\0';

    if (domain != NULL && !ctl_is_own_schema(walk->config) && !has_own_query)
        return list_foreign_users(walk, domain, error);
    return list_own_users(walk, domain, error);
}

static bool
work_on_list(QuotaWalk *walk, const char *domain)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) users = list_users(walk, domain, &error);

    if (users == NULL && domain != NULL &&
        (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_MISSING) ||
         g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ADDRESS))) {
        quota_walk_fail(walk, domain, error, CTL_REFUSED);
        return true;
    }
    if (users == NULL) {
        walk->status = ctl_fail(walk->ctl, error);
        return false;
    }
    for (size_t i = 0; users[i] != NULL; i++) {
        if (!work_on_listed(walk, users[i]))
            return false;
    }
    return true;
}

/* For g_tree_new_full(). */
static int
compare_domains(const void *a, const void *b, void *data)
{
    (void)data;
    return strcmp(a, b);
}

bool
quota_walk(QuotaWalk *walk, char **names, gboolean all)
{
    g_autoptr(GError) error = NULL;

    walk->json = g_string_new(NULL);
    walk->totals = g_tree_new_full(compare_domains, NULL, g_free, g_free);
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
                                          : !work_on_named(walk, names[i]))
            return false;
    }
    return true;
}

void
quota_walk_clear(QuotaWalk *walk)
{
    g_clear_pointer(&walk->map, mailmap_close);
    g_clear_pointer(&walk->totals, g_tree_unref);
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
