/* lda/check_room.c - would a message for this address find room? See check_room.h
 *
 *   address --mailmap_destinations()--> ends --mailmap_lookup()--> mailboxes --> room in each, and
 *                                                                                in its domain?
 *
 * Of several refusals one that may pass counts more than one for good: as long as one of
 * the mailboxes might take the message later, it is put off.
 */
#include "lda/check_room.h"

#include "lda/identity.h"
#include "lda/lda_private.h"
#include "lda/mailbox_quota.h"
#include "lda/usage_domain.h"
#include "quota/quota.h"

/* The directory of the folder where a delivery without scripts would put it ([mail]
 * detail_folder); "" is INBOX. Free with g_free(). */
static char *
directory_for(const LdaConfig *config, const Mailbox *mailbox, int maildir_fd)
{
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    g_autofree char *directory = NULL;

    if (mailbox->detail != NULL && config->mail.detail_folder != DETAIL_FOLDER_NO)
        directory = maildir_folder_to_directory(&layout, mailbox->detail, NULL);
    if (directory == NULL ||
        (config->mail.detail_folder == DETAIL_FOLDER_EXISTING && *directory != '\0' &&
         (maildir_fd < 0 || faccessat(maildir_fd, directory, F_OK, 0) != 0)))
        return g_strdup("");
    return g_steal_pointer(&directory);
}

/* With the rights of the mailbox in force. A Maildir that is not there yet is empty. *counts_out:
 * the message would count. */
static bool
check_maildir(const LdaConfig *config, const Mailbox *mailbox, const QuotaSettings *settings,
              guint64 octets, bool *counts_out, GError **error)
{
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;
    lodge_autofd fd = -1;

    if (!lda_mailbox_paths(config, mailbox, &home, &path, error) ||
        !maildir_open_directory(path, config->mail.root, &fd, error))
        return false;

    g_autofree char *directory = directory_for(config, mailbox, fd);

    *counts_out = quota_folder_counts(settings, directory);
    if (!quota_is_limited(settings))
        return true;
    if (fd < 0)
        return quota_room_is_possible(settings, directory, octets, error);
    g_autoptr(Quota) quota = quota_open(fd, settings);
    return quota_check(quota, directory, octets, g_get_real_time(), error);
}

/* In the order of a delivery: the mailbox, and then its domain. */
static bool
check_mailbox(Lda *lda, const Mailbox *mailbox, guint64 octets, GError **error)
{
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(lda->config, mailbox, error);
    Identity identity = {0};
    bool counts = false;

    if (quota == NULL)
        return false;
    const QuotaSettings *settings = mailbox_quota_settings(quota);
    if (!quota_is_limited(settings) && !usage_domain_has_total(mailbox))
        return true;
    bool has_room = identity_take(&identity, lda->config, mailbox, error) &&
                    check_maildir(lda->config, mailbox, settings, octets, &counts, error);
    identity_give_back(&identity);
    return has_room && (!counts || chores_check(lda, mailbox, octets, g_get_real_time(), error));
}

/* Not in the map, not an address, or not to receive anything: for others to judge. */
static bool
is_no_mailbox(const GError *error)
{
    return g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNKNOWN_ADDRESS) ||
           g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE) ||
           g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ADDRESS);
}

/* Whether a message may go to that end of the forwardings. */
static bool
check_end(Lda *lda, const char *address, guint64 octets, char **user_out, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Mailbox) mailbox = mailmap_lookup(lda->map, address, &failure);

    if (mailbox == NULL && is_no_mailbox(failure))
        return true;
    if (mailbox == NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (check_mailbox(lda, mailbox, octets, error))
        return true;
    *user_out = g_strdup(mailbox->user);
    return false;
}

/* What is known of a refusal so far. */
typedef struct {
    LdaOutcome *outcome; /* NULL: none */
    char *user;          /* whose mailbox refuses; NULL when it is none's */
} Refusal;

static void
refusal_clear(Refusal *refusal)
{
    g_clear_pointer(&refusal->outcome, lda_outcome_free);
    g_clear_pointer(&refusal->user, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Refusal, refusal_clear)

static bool
is_temporary(const Refusal *refusal)
{
    return refusal->outcome != NULL && refusal->outcome->status[0] == '4';
}

static void
note(Refusal *refusal, const GError *error, char *user)
{
    g_auto(Refusal) other = {lda_outcome_from_error(error), user};

    if (refusal->outcome == NULL || (is_temporary(&other) && !is_temporary(refusal))) {
        Refusal former = *refusal;

        *refusal = other;
        other = former;
    }
}

/* Looks for one end of the forwardings that does not refuse. */
static void
ask(Lda *lda, const RoomQuestion *question, Refusal *refusal)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) ends = NULL;
    bool is_all = true;

    if (lda_open_map(lda, &error))
        ends = mailmap_destinations(lda->map, question->address, &is_all, &error);
    if (ends == NULL && is_no_mailbox(error))
        return;
    if (ends == NULL)
        note(refusal, error, NULL);
    for (char **end = ends; end != NULL && *end != NULL; end++) {
        g_autoptr(GError) failure = NULL;
        char *user = NULL;

        if (check_end(lda, *end, question->octets, &user, &failure)) {
            refusal_clear(refusal);
            return;
        }
        note(refusal, failure, user);
        if (error == NULL)
            error = g_steal_pointer(&failure);
    }
    if (!is_all)
        refusal_clear(refusal); /* the others may have room */
    lda_forget_map(lda, error);
}

static const char *
known(const char *text)
{
    return text != NULL && *text != '\0' && strcmp(text, "unknown") != 0 ? text : NULL;
}

static void
log_refusal(Lda *lda, const RoomQuestion *question, const Refusal *refusal)
{
    LogLine *line = log_line_new(lda->log, "policy");
    g_autofree char *client = NULL;

    if (known(question->client_address) != NULL)
        client = g_strdup_printf(
            "%s[%s]", known(question->client_name) != NULL ? question->client_name : "unknown",
            question->client_address);
    log_line_add(line, "queue_id", known(question->queue_id));
    log_line_add(line, "from", question->sender);
    log_line_add(line, "to", question->address);
    log_line_add(line, "client", client);
    log_line_add(line, "helo", known(question->helo));
    log_line_add(line, "proto", known(question->protocol));
    log_line_add(line, "user", refusal->user);
    log_line_add_number(line, "size", (gint64)question->octets);
    log_line_add(line, "status", refusal->outcome->status);
    log_line_add(line, "text", refusal->outcome->text);
    log_line_write(line);
}

LdaOutcome *
lda_check_room(Lda *lda, const RoomQuestion *question)
{
    g_auto(Refusal) refusal = {0};

    ask(lda, question, &refusal);
    if (refusal.outcome != NULL)
        log_refusal(lda, question, &refusal);
    return g_steal_pointer(&refusal.outcome);
}
