/* lda/carry_out.c - turns what should be done with a message into files; see carry_out.h
 *
 *   keep --> deliver -m FOLDER, else the folder of the +detail, else INBOX
 *
 * A folder named by the sender (the detail, or -m ${extension}) is made only where
 * [mail] detail_folder = create says so: strangers could fill a mailbox with folders.
 */
#include "lda/carry_out.h"

/* The detail as the sender wrote it: folders are case-sensitive, but the map folds. */
static const char *
detail_as_written(const LdaRecipient *recipient, char **copy_out)
{
    const char *detail = recipient->mailbox->detail;
    const char *at = strrchr(recipient->address, '@');
    size_t len = strlen(detail);

    if (at == NULL || (size_t)(at - recipient->address) < len ||
        g_ascii_strncasecmp(at - len, detail, len) != 0)
        return detail;
    return *copy_out = g_strndup(at - len, len);
}

static MaildirCopy *
stage(const CarryOut *delivery, Maildir *maildir, const char *folder, GError **error)
{
    const LdaConfig *config = delivery->config;
    MaildirStageFlags flags = config->mail.compress == COMPRESS_GZIP ? MAILDIR_GZIP : 0;

    if (config->mail.detail_folder == DETAIL_FOLDER_CREATE)
        flags |= MAILDIR_CREATE_FOLDER;
    const MaildirCopyOptions options = {
        .folder = folder,
        .headers = delivery->headers,
        .flags = "",
        .stage_flags = flags,
        .gzip_level = (int)config->mail.compress_level,
        .now_us = delivery->now_us,
    };
    return maildir_stage(maildir, delivery->namer, delivery->message, &options, error);
}

/* Stages in the default folder of this delivery. */
static MaildirCopy *
keep(const CarryOut *delivery, Maildir *maildir, char **note_out, GError **error)
{
    const LdaRecipient *recipient = delivery->recipient;
    const char *folder = recipient->folder;
    g_autofree char *written = NULL;
    g_autoptr(GError) reason = NULL;

    if (folder == NULL && recipient->mailbox->detail != NULL &&
        delivery->config->mail.detail_folder != DETAIL_FOLDER_NO)
        folder = detail_as_written(recipient, &written);
    if (folder == NULL || *folder == '\0')
        return stage(delivery, maildir, NULL, error);

    MaildirCopy *copy = stage(delivery, maildir, folder, &reason);
    if (copy != NULL)
        return copy;
    copy = stage(delivery, maildir, NULL, error);
    if (copy != NULL)
        *note_out = g_strdup_printf("not in '%s': %s", folder, reason->message);
    return copy;
}

MaildirCopy *
carry_out(const CarryOut *delivery, Maildir *maildir, const GPtrArray *actions, char **note_out,
          GError **error)
{
    /* Until scripts are run, the list is the implicit keep and nothing else. */
    g_assert(actions->len == 1);
    g_assert(((const SieveAction *)actions->pdata[0])->kind == SIEVE_ACTION_KEEP);
    return keep(delivery, maildir, note_out, error);
}
