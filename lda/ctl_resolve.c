/* lda/ctl_resolve.c - `lodge map resolve ADDRESS`: where would this mail go?
 *
 *   address --fold--> domain, transport --mapedit_forwardings()--> addresses that
 *   are forwarded no further --mailmap_lookup(), lda_mailbox_paths()--> mailboxes
 *
 * The first half is what Postfix does with the lookups of schema/postfix, the
 * second what lodged and `deliver` do, by the same code. With a foreign schema
 * the first half is not ours to read, and the address is looked up as it is.
 */
#include "lda/ctl.h"

#include "lda/lda.h"
#include "lda/mailbox_quota.h"
#include "lda/usage_domain.h"

#include <grp.h>
#include <pwd.h>

typedef struct {
    const LdaConfig *config;
    Mapedit *edit; /* NULL: foreign schema */
    Mailmap *map;
    GString *text; /* for people */
    GString *json;
    bool local;    /* some address is ours */
    bool failed;   /* some address gets nothing */
    bool deferred; /* and might later */
} Resolution;

/* Says one thing to people, with blanks up to the second column. */
G_GNUC_PRINTF(3, 4)
static void
say(Resolution *r, const char *what, const char *format, ...)
{
    va_list args;

    g_string_append_printf(r->text, "%-12s", what);
    va_start(args, format);
    g_string_append_vprintf(r->text, format, args);
    va_end(args);
    g_string_append_c(r->text, '\n');
}

static void
fail(Resolution *r, const GError *error)
{
    r->failed = true;
    if (g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE))
        r->deferred = true;
    say(r, "  refused", "%s", error->message);
    ctl_json_text(r->json, "error", error->message);
}

/* The row with that key as text of one column; NULL without row or value. */
static char *
column_of_row(Resolution *r, MapeditTable table, const char *key, const char *column)
{
    size_t count = 0;
    const MapeditColumn *columns = mapedit_columns(table, &count);
    g_autoptr(GPtrArray) rows = mapedit_list(r->edit, table, key, NULL, NULL);

    for (size_t i = 0; rows != NULL && i < count; i++) {
        if (strcmp(columns[i].name, column) == 0)
            return g_strdup(((char **)rows->pdata[0])[i]);
    }
    return NULL;
}

/* The domain's row, and the transport of the address or else of the domain. */
static void
describe_domain(Resolution *r, const char *address)
{
    const char *domain = strrchr(address, '@') + 1;
    g_autofree char *active = column_of_row(r, MAPEDIT_DOMAINS, domain, "active");
    g_autofree char *transport = column_of_row(r, MAPEDIT_TRANSPORT, address, "transport");

    if (transport == NULL)
        transport = column_of_row(r, MAPEDIT_TRANSPORT, domain, "transport");
    say(r, "domain", "%s%s", domain,
        active == NULL               ? ", which is not in the map"
        : strcmp(active, "yes") == 0 ? ""
                                     : ", which is not active");
    if (transport != NULL)
        say(r, "transport", "%s", transport);
    ctl_json_text(r->json, "domain", active == NULL ? NULL : domain);
    if (active == NULL)
        ctl_json_raw(r->json, "domain_active", "null");
    else
        ctl_json_raw(r->json, "domain_active", strcmp(active, "yes") == 0 ? "true" : "false");
    ctl_json_text(r->json, "transport", transport);
}

static void
describe_step(Resolution *r, const MapeditForwarding *step)
{
    g_autofree char *depth = g_strdup_printf("%u", step->depth);

    say(r, "forwarding", "%*s%s -> %s%s", (int)step->depth * 2, "", step->source, step->destination,
        step->loops ? " (again: Postfix stops here)" : "");
    ctl_json_raw(r->json, NULL, "{");
    ctl_json_raw(r->json, "depth", depth);
    ctl_json_text(r->json, "source", step->source);
    ctl_json_text(r->json, "destination", step->destination);
    ctl_json_raw(r->json, "loops", step->loops ? "true" : "false");
    g_string_append_c(r->json, '}');
}

/* Tells the forwardings of address and returns where they end. The steps come
 * depth first: one that is followed by a deeper one was forwarded on. */
static GPtrArray *
describe_forwardings(Resolution *r, const char *address, GError **error)
{
    g_autoptr(GPtrArray) steps =
        mapedit_forwardings(r->edit, address, r->config->map.recipient_delimiter, error);
    g_autoptr(GPtrArray) ends = g_ptr_array_new_with_free_func(g_free);

    if (steps == NULL)
        return NULL;
    ctl_json_raw(r->json, "forwardings", "[");
    for (unsigned i = 0; i < steps->len; i++) {
        const MapeditForwarding *step = steps->pdata[i];
        const MapeditForwarding *next = i + 1 < steps->len ? steps->pdata[i + 1] : NULL;

        describe_step(r, step);
        if ((next == NULL || next->depth <= step->depth) &&
            !g_ptr_array_find_with_equal_func(ends, step->destination, g_str_equal, NULL))
            g_ptr_array_add(ends, g_strdup(step->destination));
    }
    g_string_append_c(r->json, ']');
    if (ends->len == 0)
        g_ptr_array_add(ends, g_strdup(address));
    return g_steal_pointer(&ends);
}

static const char *
match_text(const Mailbox *mailbox)
{
    static const char *const texts[] = {
        [MAILMAP_MATCH_ADDRESS] = "full address",
        [MAILMAP_MATCH_WITHOUT_DETAIL] = "without detail",
        [MAILMAP_MATCH_CATCH_ALL] = "catch-all",
    };

    return texts[mailbox->match];
}

/* Whose rights a delivery takes: "vmail:vmail", or numbers that have no name. */
static char *
rights_of(const LdaConfig *config, const Mailbox *mailbox)
{
    const struct passwd *user = NULL;
    const struct group *group = NULL;
    g_autofree char *uid = NULL;
    g_autofree char *gid = NULL;

    if (!config->mail.per_user_ids || mailbox->uid < 0) {
        uid = g_strdup(config->mail.user);
    } else {
        user = getpwuid((uid_t)mailbox->uid);
        uid = user != NULL ? g_strdup(user->pw_name)
                           : g_strdup_printf("%" G_GINT64_FORMAT, mailbox->uid);
    }
    if (config->mail.per_user_ids && mailbox->gid >= 0) {
        group = getgrgid((gid_t)mailbox->gid);
        gid = group != NULL ? g_strdup(group->gr_name)
                            : g_strdup_printf("%" G_GINT64_FORMAT, mailbox->gid);
    } else if (*config->mail.group != '\0') {
        gid = g_strdup(config->mail.group);
    } else {
        user = getpwnam(uid);
        group = user == NULL ? NULL : getgrgid(user->pw_gid);
        if (user == NULL)
            return g_strdup_printf("%s, a user that does not exist", uid);
        gid = group != NULL ? g_strdup(group->gr_name)
                            : g_strdup_printf("%u", (unsigned)user->pw_gid);
    }
    return g_strconcat(uid, ":", gid, NULL);
}

/* The active script, or NULL where the row names none. */
static char *
sieve_path(const Mailbox *mailbox, const char *home, GError **error)
{
    if (mailbox->sieve == NULL)
        return NULL;
    g_autofree char *expanded = config_expand(mailbox->sieve, mailbox->user, home, error);
    if (expanded == NULL || *expanded == '/')
        return g_steal_pointer(&expanded);
    return g_build_filename(home, expanded, NULL);
}

/* ---- the quota ------------------------------------------------------------ */

/* Who says what holds: the row, its domain, or [quota]. */
static const char *
origin_of(Resolution *r, const Mailbox *mailbox, bool is_said, const char *column)
{
    if (!is_said)
        return "[quota]";
    if (r->edit == NULL)
        return "map";

    g_autofree char *own = column_of_row(r, MAPEDIT_USERS, mailbox->user, column);

    return own != NULL ? "user" : "domain";
}

/* One limit, and as NAME and NAME_from for programs. text is for people. */
static void
describe_limit(Resolution *r, const char *name, guint64 limit, const char *text, const char *origin)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, limit);
    g_autofree char *from = g_strconcat(name, "_from", NULL);

    if (limit > 0)
        say(r, "  quota", "%s (%s)", text, origin);
    ctl_json_raw(r->json, name, number);
    ctl_json_text(r->json, from, origin);
}

static void
describe_limits(Resolution *r, const Mailbox *mailbox, const QuotaSettings *settings)
{
    g_autofree char *octets = ctl_format_size(settings->limits.octets);
    g_autofree char *octets_text = g_strconcat(octets, " octets", NULL);
    g_autofree char *messages_text =
        g_strdup_printf("%" G_GUINT64_FORMAT " messages", settings->limits.messages);
    g_autofree char *largest = ctl_format_size(settings->max_message);
    g_autofree char *largest_text = g_strconcat(largest, " octets in one message", NULL);

    describe_limit(r, "quota_bytes", settings->limits.octets, octets_text,
                   origin_of(r, mailbox, mailbox->quota_bytes >= 0, "quota_bytes"));
    describe_limit(r, "quota_messages", settings->limits.messages, messages_text,
                   origin_of(r, mailbox, mailbox->quota_messages >= 0, "quota_messages"));
    describe_limit(r, "max_message_bytes", settings->max_message, largest_text,
                   origin_of(r, mailbox, mailbox->max_message_bytes >= 0, "max_message_bytes"));
}

/* What all mailboxes of the domain share. */
static void
describe_total(Resolution *r, const Mailbox *mailbox)
{
    const char *domain = strrchr(mailbox->user, '@') + 1;
    const char *origin = r->edit != NULL ? "domain" : "map";
    g_autofree char *octets = ctl_format_size(mailbox->domain_quota_bytes);
    g_autofree char *octets_text = g_strdup_printf("%s octets in all of %s", octets, domain);
    g_autofree char *messages_text = g_strdup_printf("%" G_GUINT64_FORMAT " messages in all of %s",
                                                     mailbox->domain_quota_messages, domain);

    describe_limit(r, "domain_quota_bytes", mailbox->domain_quota_bytes, octets_text, origin);
    describe_limit(r, "domain_quota_messages", mailbox->domain_quota_messages, messages_text,
                   origin);
}

/* What happens at the limit, and in which folders it is another one. */
static void
describe_rules(Resolution *r, const Mailbox *mailbox, const QuotaSettings *settings)
{
    static const char *const words[] = {
        [QUOTA_OVER_REJECT] = "reject", [QUOTA_OVER_DEFER] = "defer", [QUOTA_OVER_RAMP] = "ramp"};
    const char *over_origin =
        origin_of(r, mailbox, mailbox->quota_over != MAILMAP_OVER_DEFAULT, "quota_over");
    g_autofree char *grace = ctl_format_size(settings->grace);
    g_autofree char *rules = g_strjoinv("; ", r->config->quota.folders);

    if (quota_is_limited(settings) || usage_domain_has_total(mailbox)) {
        say(r, "  when full", "%s (%s)", words[settings->over], over_origin);
        if (settings->grace > 0 && settings->limits.octets > 0)
            say(r, "  grace", "%s octets ([quota])", grace);
        if (settings->folder_count > 0)
            say(r, "  folders", "%s ([quota])", rules);
        if (settings->ignore_trash)
            say(r, "  uncounted", "Trash ([quota])");
        if (settings->ignore_deleted)
            say(r, "  uncounted", "mail flagged as deleted ([quota])");
    }
    ctl_json_text(r->json, "quota_over", words[settings->over]);
    ctl_json_text(r->json, "quota_over_from", over_origin);
    ctl_json_text(r->json, "quota_folders", rules);
}

static void
describe_quota(Resolution *r, const Mailbox *mailbox)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MailboxQuota) quota = mailbox_quota_new(r->config, mailbox, &error);

    if (quota == NULL) {
        fail(r, error);
        return;
    }
    describe_limits(r, mailbox, mailbox_quota_settings(quota));
    describe_total(r, mailbox);
    describe_rules(r, mailbox, mailbox_quota_settings(quota));
}

/* ---- the mailbox ---------------------------------------------------------- */

static void
describe_mailbox(Resolution *r, const Mailbox *mailbox)
{
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;
    g_autofree char *rights = rights_of(r->config, mailbox);
    g_autoptr(GError) error = NULL;

    say(r, "  user", "%s (%s)", mailbox->user, match_text(mailbox));
    ctl_json_text(r->json, "user", mailbox->user);
    ctl_json_text(r->json, "match", match_text(mailbox));
    if (mailbox->detail != NULL)
        say(r, "  detail", "%s", mailbox->detail);
    ctl_json_text(r->json, "detail", mailbox->detail);
    if (!lda_mailbox_paths(r->config, mailbox, &home, &maildir, &error)) {
        fail(r, error);
        return;
    }
    g_autofree char *sieve = sieve_path(mailbox, home, &error);
    if (error != NULL) {
        fail(r, error);
        return;
    }
    say(r, "  home", "%s", home);
    say(r, "  maildir", "%s", maildir);
    if (sieve != NULL)
        say(r, "  sieve", "%s", sieve);
    say(r, "  rights", "%s", rights);
    ctl_json_text(r->json, "home", home);
    ctl_json_text(r->json, "maildir", maildir);
    ctl_json_text(r->json, "sieve", sieve);
    ctl_json_text(r->json, "rights", rights);
    describe_quota(r, mailbox);
}

/* Where the forwardings end: a mailbox of ours, or another host's business. */
static void
describe_end(Resolution *r, const char *address)
{
    const char *at = strrchr(address, '@');
    g_autofree char *known = r->edit == NULL || at == NULL || at[1] == '\0'
                                 ? NULL
                                 : column_of_row(r, MAPEDIT_DOMAINS, at + 1, "domain");
    g_autoptr(GError) error = NULL;

    ctl_json_raw(r->json, NULL, "{");
    ctl_json_text(r->json, "address", address);
    if (r->edit != NULL && known == NULL) {
        say(r, "elsewhere", "%s: its domain is not in the map", address);
        ctl_json_raw(r->json, "elsewhere", "true");
    } else {
        g_autoptr(Mailbox) mailbox = mailmap_lookup(r->map, address, &error);

        r->local = true;
        say(r, "mailbox", "%s", address);
        ctl_json_raw(r->json, "elsewhere", "false");
        if (mailbox == NULL)
            fail(r, error);
        else
            describe_mailbox(r, mailbox);
    }
    g_string_append_c(r->json, '}');
}

static bool
resolve(Resolution *r, const char *asked, GError **error)
{
    g_autofree char *address = mailmap_fold_address(asked, r->config->map.fold_local_part, error);
    g_autoptr(GPtrArray) ends = g_ptr_array_new_with_free_func(g_free);

    if (address == NULL)
        return false;
    say(r, "address", "%s", address);
    ctl_json_raw(r->json, NULL, "{");
    ctl_json_text(r->json, "address", address);
    if (r->edit == NULL) {
        g_ptr_array_add(ends, g_strdup(address));
    } else {
        describe_domain(r, address);
        g_ptr_array_unref(ends);
        ends = describe_forwardings(r, address, error);
        if (ends == NULL)
            return false;
    }
    ctl_json_raw(r->json, "destinations", "[");
    for (unsigned i = 0; i < ends->len; i++)
        describe_end(r, ends->pdata[i]);
    g_string_append(r->json, "]}");
    /* Forwarded to elsewhere is an answer; not ours at all is none. */
    if (!r->local && strcmp(ends->pdata[0], address) == 0)
        r->failed = true;
    return true;
}

static bool
open_maps(CtlContext *ctl, Resolution *r, GError **error)
{
    r->config = ctl_config(ctl, error);
    if (r->config == NULL)
        return false;
    r->map = ctl_open_mailmap(ctl, error);
    if (r->map == NULL)
        return false;
    if (ctl_is_own_schema(r->config))
        r->edit = ctl_read_map(ctl, error);
    return r->edit != NULL || !ctl_is_own_schema(r->config);
}

int
ctl_map_resolve(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) json = g_string_new(NULL);
    Resolution r = {.text = text, .json = json};
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 1, 1, &status))
        return status;
    bool done = open_maps(ctl, &r, &error) && resolve(&r, argv[1], &error);
    mailmap_close(r.map);
    mapedit_close(r.edit);
    if (!done)
        return ctl_fail(ctl, error);
    status = ctl_print(ctl, ctl->json ? json->str : g_strchomp(text->str));
    if (status == CTL_OK && r.failed)
        status = r.deferred ? CTL_TEMPORARY : CTL_REFUSED;
    return status;
}
