/* lda/usage_domain.c - may a domain take this message? See usage_domain.h
 *
 *   usage_admit() ── admitted ──▶ go on
 *      ▲   ├── never counted ──▶ count all mailboxes ─┐
 *      │   ├── an hour ago ────▶ look at all of them ─┤
 *      │   └── full ───────────▶ the same, once a minute, and count old ones anew
 *      └──────────────────────────────────────────────┘   still full: refused
 *
 * Looking at a mailbox is a stat(2) of its "maildirsize", which is read if it is not the one that
 * the row was made from. Mail that is deleted by a program that knows nothing of "maildirsize"
 * shows in a count alone; Maildir++ has one made before a refusal when the file is older than
 * 15 minutes, and so have we, for as many mailboxes as a second allows: those counted are
 * not old any more, and the next refusal goes on with the others.
 */
#include "lda/usage_domain.h"

#include "lda/identity.h"
#include "lda/lda.h"
#include "lda/mailbox_quota.h"
#include "lda/maildir_parts.h"

#include <sys/stat.h>

enum {
    MAX_AGE_S = 3600,     /* what mail clients store is seen after so long at the latest */
    REFUSAL_AGE_S = 60,   /* and deleted mail after so long, when a message does not fit */
    COUNT_S = 30,         /* then the delivery is put off, and the next one goes on counting */
    QUESTION_COUNT_S = 1, /* the first time, for a question before there is a message */
    OLD_S = 15 * 60,      /* a "maildirsize" that is no ground for a refusal */
    RECOUNT_US = 1000000, /* for counting old ones anew */
    ROWS_AT_ONCE = 100,   /* written in one transaction */
    TRIES = 6,            /* others may change what we have just counted */
};

/* One look at all mailboxes of a domain. */
typedef struct {
    const UsageDomain *context;
    const char *name;
    GHashTable *stamps;      /* of the rows, by user */
    bool is_full;            /* old ones are to be counted anew ... */
    gint64 recount_until_us; /* ... until then; monotonic */
    gint64 until_us;         /* no longer than that; monotonic */
    unsigned noted;
    unsigned failed;
    char *failure; /* the first */
} Refresh;

/* Who wants to know whether there is room. */
typedef struct {
    bool (*ask)(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out,
                GError **error);
    gint64 max_age_s; /* of the last comparison; 0: any */
    gint64 first_count_s;
} Asker;

static const Asker delivery = {usage_admit, MAX_AGE_S, COUNT_S};
static const Asker question = {usage_ask, 0, QUESTION_COUNT_S};

bool
usage_domain_has_total(const Mailbox *mailbox)
{
    return mailbox->domain_quota_bytes != 0 || mailbox->domain_quota_messages != 0;
}

/* ---- one mailbox ---------------------------------------------------------- */

/* The Maildir, or -1 with error set; without error when there is none yet. */
static int
open_mailbox(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;
    g_autofree char *root_path = g_canonicalize_filename(config->mail.root, "/");
    const char *relative;
    lodge_autofd root = -1;
    int fd;

    if (!lda_mailbox_paths(config, mailbox, &home, &path, error))
        return -1;
    root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return lodge_set_errno(error, "open '%s'", root_path), -1;
    relative = path + strlen(root_path); /* below it, as lda_mailbox_paths() has seen to */
    fd = maildir_open_beneath(root, relative + strspn(relative, "/"), O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 && errno != ENOENT)
        lodge_set_errno(error, "open '%s'", path);
    return fd;
}

/* Another one after any change of "maildirsize". */
static char *
take_stamp(int dir_fd, gint64 *age_s_out, gint64 now_us)
{
    struct stat info;

    *age_s_out = 0;
    if (fstatat(dir_fd, "maildirsize", &info, AT_SYMLINK_NOFOLLOW) != 0)
        return g_strdup("none");
    *age_s_out = now_us / G_USEC_PER_SEC - info.st_mtim.tv_sec;
    return g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT ".%09ld",
                           (guint64)info.st_ino, (gint64)info.st_size, (gint64)info.st_mtim.tv_sec,
                           info.st_mtim.tv_nsec);
}

static bool
count(const UsageDomain *context, const Mailbox *mailbox, int dir_fd, bool anew,
      QuotaUsage *stored_out, GError **error)
{
    g_autoptr(MailboxQuota) settings = mailbox_quota_new(context->config, mailbox, error);
    g_autoptr(Quota) quota = NULL;

    if (settings == NULL)
        return false;
    quota = quota_open(dir_fd, mailbox_quota_settings(settings));
    return anew ? quota_recalculate(quota, stored_out, error)
                : quota_usage(quota, stored_out, error);
}

/* With the rights of the mailbox. known is the stamp of its row; may_recount: an old count is made
 * anew. */
static bool
look(const UsageDomain *context, const Mailbox *mailbox, const char *known, bool may_recount,
     GError **error)
{
    UsageRow row = {.user = mailbox->user, .measured_us = g_get_real_time()};
    g_autoptr(GError) failure = NULL;
    g_autofree char *stamp = NULL;
    gint64 age_s = 0;
    lodge_autofd fd = open_mailbox(context->config, mailbox, &failure);

    if (failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    stamp = fd >= 0 ? take_stamp(fd, &age_s, context->now_us) : g_strdup("none");

    bool is_old = may_recount && ABS(age_s) > OLD_S;

    if (!is_old && known != NULL && strcmp(stamp, known) == 0)
        return true;
    if (fd >= 0 && !count(context, mailbox, fd, is_old, &row.stored, error))
        return false;
    /* What was written by the count itself is looked at once more, next time. */
    row.stamp = stamp;
    usage_note(context->usage, &row, 0);
    return true;
}

static bool
look_as_owner(const UsageDomain *context, const Mailbox *mailbox, const char *known,
              bool may_recount, GError **error)
{
    Identity identity = {0};
    bool done = identity_take(&identity, context->config, mailbox, error) &&
                look(context, mailbox, known, may_recount, error);

    identity_give_back(&identity);
    return done;
}

/* ---- all of them ---------------------------------------------------------- */

/* One that cannot be counted must not hold up the mail of all others: what was known of it
 * holds, or nothing. */
static void
skip(Refresh *refresh, const char *user, const GError *error)
{
    if (refresh->failed++ == 0)
        refresh->failure = g_strdup_printf("%s: %s", user, error->message);
}

static void
refresh_mailbox(Refresh *refresh, const char *user)
{
    bool may_recount = refresh->is_full && g_get_monotonic_time() < refresh->recount_until_us;
    const char *known = g_hash_table_lookup(refresh->stamps, user);
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) mailbox = mailmap_user(refresh->context->map, user, &error);

    /* Switched off: its mail is what it was. */
    if (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE))
        return;
    if (mailbox == NULL || !look_as_owner(refresh->context, mailbox, known, may_recount, &error))
        skip(refresh, user, error);
}

/* Rows of mailboxes that the map does not have any more. */
static bool
forget_others(Refresh *refresh, char *const *users, GError **error)
{
    g_autoptr(GHashTable) set = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter rows;
    void *user;

    for (; *users != NULL; users++)
        g_hash_table_add(set, *users);
    g_hash_table_iter_init(&rows, refresh->stamps);
    while (g_hash_table_iter_next(&rows, &user, NULL)) {
        if (!g_hash_table_contains(set, user) &&
            !usage_forget(refresh->context->usage, user, error))
            return false;
    }
    return true;
}

/* An administrator's own query cannot be asked for all users: those that had mail are known. */
static char **
known_users(const Refresh *refresh)
{
    g_autofree void **keys = g_hash_table_get_keys_as_array(refresh->stamps, NULL);

    return g_strdupv((char **)keys);
}

/* *is_whole_out is false when the time was over before all had been looked at. */
static bool
refresh_mailboxes(Refresh *refresh, char *const *users, bool *is_whole_out, GError **error)
{
    size_t i = 0;

    for (; users[i] != NULL && g_get_monotonic_time() < refresh->until_us; i++) {
        refresh_mailbox(refresh, users[i]);
        if (i % ROWS_AT_ONCE == ROWS_AT_ONCE - 1 &&
            !usage_flush(refresh->context->usage, USAGE_TIMEOUT_MS, error))
            return false;
    }
    *is_whole_out = users[i] == NULL;
    return true;
}

static bool
run_refresh(Refresh *refresh, bool *is_whole_out, GError **error)
{
    const UsageDomain *context = refresh->context;
    g_auto(GStrv) users = NULL;

    refresh->stamps = usage_stamps(context->usage, refresh->name, error);
    if (refresh->stamps == NULL || !mailmap_users(context->map, refresh->name, &users, error))
        return false;
    if (users != NULL && !forget_others(refresh, users, error))
        return false;
    if (users == NULL)
        users = known_users(refresh);
    return refresh_mailboxes(refresh, users, is_whole_out, error) &&
           (!*is_whole_out ||
            usage_refreshed(context->usage, refresh->name, context->now_us, error));
}

/* Brings the rows of the domain up to date, or those that it comes to in count_s. */
static bool
refresh_domain(const UsageDomain *context, const char *name, bool is_full, gint64 count_s,
               bool *is_whole_out, GError **error)
{
    gint64 start_us = g_get_monotonic_time();
    Refresh refresh = {
        .context = context,
        .name = name,
        .is_full = is_full,
        .recount_until_us = start_us + RECOUNT_US,
        .until_us = start_us + count_s * G_USEC_PER_SEC,
    };
    bool done = run_refresh(&refresh, is_whole_out, error);

    if (refresh.failed > 0)
        g_warning("%u mailboxes of domain %s cannot be counted, the first is %s", refresh.failed,
                  name, refresh.failure);
    g_clear_pointer(&refresh.stamps, g_hash_table_unref);
    g_free(refresh.failure);
    return done;
}

/* ---- the decision --------------------------------------------------------- */

static bool
is_in_the_way(guint64 used, guint64 wanted, guint64 total)
{
    return total != 0 && (wanted > total || used > total - wanted);
}

/* Larger than all that the domain may hold: to try again would be in vain. */
static bool
can_never_fit(const UsageRequest *request)
{
    return is_in_the_way(0, request->wanted.octets, request->total.octets) ||
           is_in_the_way(0, request->wanted.messages, request->total.messages);
}

/* Only what others have set aside is in the way, and may yet be given back. */
static bool
may_pass(const UsageRequest *request, const UsageVerdict *verdict)
{
    return !is_in_the_way(verdict->used.octets, request->wanted.octets, request->total.octets) &&
           !is_in_the_way(verdict->used.messages, request->wanted.messages,
                          request->total.messages);
}

static QuotaError
refusal_code(const UsageDomain *context, const QuotaSettings *settings, const UsageRequest *request,
             const UsageVerdict *verdict)
{
    if (can_never_fit(request))
        return QUOTA_ERROR_FULL;
    if (may_pass(request, verdict))
        return QUOTA_ERROR_FULL_FOR_NOW;
    switch (settings->over) {
    case QUOTA_OVER_DEFER:
        return QUOTA_ERROR_FULL_FOR_NOW;
    case QUOTA_OVER_RAMP:
        return context->now_us - verdict->full_since_us < settings->ramp_s * G_USEC_PER_SEC
                   ? QUOTA_ERROR_FULL_FOR_NOW
                   : QUOTA_ERROR_FULL;
    case QUOTA_OVER_REJECT:
        break;
    }
    return QUOTA_ERROR_FULL;
}

static bool
refuse(const UsageDomain *context, const UsageRequest *request, const char *name,
       const Mailbox *mailbox, const UsageVerdict *verdict, GError **error)
{
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(context->config, mailbox, error);
    bool of_octets = is_in_the_way(verdict->used.octets + verdict->held.octets,
                                   request->wanted.octets, request->total.octets);
    g_autofree char *used =
        quota_format_number(of_octets ? verdict->used.octets : verdict->used.messages);
    g_autofree char *wanted =
        quota_format_number(of_octets ? request->wanted.octets : request->wanted.messages);
    g_autofree char *total =
        quota_format_number(of_octets ? request->total.octets : request->total.messages);

    if (quota == NULL)
        return false;
    g_set_error(error, QUOTA_ERROR,
                (int)refusal_code(context, mailbox_quota_settings(quota), request, verdict),
                "the domain %s is full: %s of %s %s used, the message has %s", name, used, total,
                of_octets ? "octets" : "messages", wanted);
    return false;
}

/* Does what has to be done before the same question is asked again; *again_out is false when there
 * is nothing. */
static bool
prepare(const UsageDomain *context, const Asker *asker, UsageRequest *request, const char *name,
        const Mailbox *mailbox, UsageAnswer answer, bool *again_out, GError **error)
{
    bool is_whole = true;
    bool claimed = false;

    *again_out = true;
    switch (answer) {
    case USAGE_UNKNOWN:
        if (!refresh_domain(context, name, false, asker->first_count_s, &is_whole, error))
            return false;
        if (is_whole)
            return true;
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "the mailboxes of domain %s are still being counted", name);
        return false;
    case USAGE_UNKNOWN_USER:
        return look_as_owner(context, mailbox, NULL, false, error);
    case USAGE_STALE:
        request->max_age_s = 0;
        break;
    default:
        break;
    }
    if (!usage_claim_refresh(context->usage, name, context->now_us,
                             answer == USAGE_STALE ? MAX_AGE_S : REFUSAL_AGE_S, &claimed, error))
        return false;
    *again_out = claimed || answer == USAGE_STALE;
    return !claimed ||
           refresh_domain(context, name, answer == USAGE_FULL, COUNT_S, &is_whole, error);
}

static bool
decide(const UsageDomain *context, const Asker *asker, const Mailbox *mailbox,
       const QuotaUsage *wanted, UsageVerdict *verdict_out, GError **error)
{
    g_autofree char *name = usage_domain(mailbox->user);
    UsageRequest request = {.user = mailbox->user,
                            .wanted = *wanted,
                            .total = {.octets = mailbox->domain_quota_bytes,
                                      .messages = mailbox->domain_quota_messages},
                            .now_us = context->now_us,
                            .max_age_s = asker->max_age_s};
    UsageVerdict verdict = {0};
    bool again = true;

    for (unsigned tries = 0; again && tries < TRIES; tries++) {
        if (!asker->ask(context->usage, &request, &verdict, error))
            return false;
        if (verdict.answer == USAGE_ADMITTED) {
            *verdict_out = verdict;
            return true;
        }
        if (!prepare(context, asker, &request, name, mailbox, verdict.answer, &again, error))
            return false;
    }
    if (verdict.answer == USAGE_FULL)
        return refuse(context, &request, name, mailbox, &verdict, error);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                "what the mailboxes of domain %s hold cannot be told", name);
    return false;
}

bool
usage_domain_admit(const UsageDomain *context, const Mailbox *mailbox, const QuotaUsage *wanted,
                   gint64 *hold_out, GError **error)
{
    UsageVerdict verdict;

    if (!decide(context, &delivery, mailbox, wanted, &verdict, error))
        return false;
    *hold_out = verdict.hold;
    return true;
}

bool
usage_domain_check(const UsageDomain *context, const Mailbox *mailbox, const QuotaUsage *wanted,
                   GError **error)
{
    UsageVerdict verdict;

    return decide(context, &question, mailbox, wanted, &verdict, error);
}

bool
usage_domain_measure(const UsageDomain *context, const char *name, QuotaUsage *used_out,
                     GError **error)
{
    const gint64 for_ever_s = G_GINT64_CONSTANT(1) << 32;
    bool is_whole;

    return refresh_domain(context, name, false, for_ever_s, &is_whole, error) &&
           usage_sum(context->usage, name, used_out, error);
}
