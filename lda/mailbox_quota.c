/* lda/mailbox_quota.c - the row of the map, its domain and [quota] in one QuotaSettings
 *
 * The row comes with its domain's values filled in (schema/mailmap.h); what both leave open is
 * filled in here.
 */
#include "lda/mailbox_quota.h"

#include "lda/maildir.h"
#include "lda/quota_rules.h"
#include "lda/usage_domain.h"

struct MailboxQuota {
    QuotaSettings settings;
    GArray *rules; /* of QuotaFolderRule */
    unsigned warn_at[QUOTA_MAX_WARNINGS];
};

static guint64
limit(gint64 own, guint64 preset)
{
    return own >= 0 ? (guint64)own : preset;
}

static QuotaOver
over(const LdaConfig *config, const Mailbox *mailbox)
{
    switch (mailbox->quota_over) {
    case MAILMAP_OVER_REJECT:
        return QUOTA_OVER_REJECT;
    case MAILMAP_OVER_DEFER:
        return QUOTA_OVER_DEFER;
    case MAILMAP_OVER_RAMP:
        return QUOTA_OVER_RAMP;
    default:
        return (QuotaOver)config->quota.over;
    }
}

static size_t
read_warnings(const LdaConfig *config, unsigned *warn_at)
{
    size_t count = 0;

    for (; count < QUOTA_MAX_WARNINGS && config->quota.warn[count] != NULL; count++)
        warn_at[count] = (unsigned)g_ascii_strtoull(config->quota.warn[count], NULL, 10);
    return count;
}

MailboxQuota *
mailbox_quota_new(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    GArray *rules = quota_rules_parse(config->quota.folders, &layout, error);
    MailboxQuota *quota;

    if (rules == NULL)
        return NULL;
    quota = g_new0(MailboxQuota, 1);
    quota->rules = rules;
    quota->settings = (QuotaSettings){
        .limits = {.octets = limit(mailbox->quota_bytes, config->quota.bytes),
                   .messages = limit(mailbox->quota_messages, config->quota.messages)},
        .grace = config->quota.grace,
        .max_message = limit(mailbox->max_message_bytes, config->quota.max_message),
        .folders = (const QuotaFolderRule *)(const void *)rules->data,
        .folder_count = rules->len,
        .ignore_trash = !config->quota.count_trash,
        .ignore_deleted = !config->quota.count_deleted,
        .over = over(config, mailbox),
        .ramp_s = (gint64)config->quota.ramp_time,
        .warn_at = quota->warn_at,
        .warn_count = read_warnings(config, quota->warn_at),
        .shared_storage = config->quota.shared_storage,
        .lock_timeout_ms = (unsigned)config->quota.lock_timeout * 1000,
    };
    return quota;
}

void
mailbox_quota_free(MailboxQuota *quota)
{
    if (quota == NULL)
        return;
    g_array_unref(quota->rules);
    g_free(quota);
}

const QuotaSettings *
mailbox_quota_settings(const MailboxQuota *quota)
{
    return &quota->settings;
}

bool
mailbox_quota_is_kept(const LdaConfig *config, const Mailbox *mailbox, const MailboxQuota *quota)
{
    return quota_is_limited(&quota->settings) || usage_domain_has_total(mailbox) ||
           config->quota.publish;
}

/* What the mailbox may hold; 0: nobody knows, since rules may give room to some folders. */
static guint64
most(const QuotaSettings *settings)
{
    if (settings->limits.octets == 0 || settings->folder_count > 0 || settings->ignore_trash)
        return 0;
    return settings->limits.octets + settings->grace; /* both below 2^63 */
}

bool
mailbox_quota_check_least(const MailboxQuota *quota, guint64 least, GError **error)
{
    guint64 largest = quota->settings.max_message;
    QuotaError code = QUOTA_ERROR_TOO_BIG;
    const char *what = "any that the mailbox takes";

    if (largest == 0 || least <= largest) {
        largest = most(&quota->settings);
        code = QUOTA_ERROR_FULL;
        what = "all that the mailbox may hold";
    }
    if (largest == 0 || least <= largest)
        return true;
    g_set_error(error, QUOTA_ERROR, (int)code,
                "message of at least %" G_GUINT64_FORMAT
                " octets is larger than %s: %" G_GUINT64_FORMAT,
                least, what, largest);
    return false;
}
