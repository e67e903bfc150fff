/* lda/ctl_mailbox.c - the mailboxes of the map, as subcommands work on them
 *
 * By the code that delivery asks, whatever schema the map has. An administrator is root, or the
 * user who owns the mail: what root makes in a mailbox must belong to its owner, and nothing that
 * an owner has put there may lead root elsewhere.
 */
#include "lda/ctl.h"

Mailmap *
ctl_open_mailmap(CtlContext *ctl, GError **error)
{
    const LdaConfig *config = ctl_config(ctl, error);

    if (config == NULL)
        return NULL;
    const MailmapOptions options = {
        .path = config->map.path,
        .preset = config->map.preset,
        .mailbox_query = config->map.mailbox_query,
        .recipient_delimiter = config->map.recipient_delimiter,
        .fold_local_part = config->map.fold_local_part,
        .busy_timeout_ms = (unsigned)config->map.busy_timeout * 1000,
    };
    return mailmap_open(&options, error);
}

Privileges *
ctl_mailbox_owner(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    bool own = config->mail.per_user_ids;
    g_autofree char *user = own && mailbox->uid >= 0
                                ? g_strdup_printf("%" G_GINT64_FORMAT, mailbox->uid)
                                : g_strdup(config->mail.user);
    g_autofree char *group = own && mailbox->gid >= 0
                                 ? g_strdup_printf("%" G_GINT64_FORMAT, mailbox->gid)
                                 : g_strdup(config->mail.group);

    return privileges_find(user, group, error);
}
