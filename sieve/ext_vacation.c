/* sieve/ext_vacation.c - "vacation" and "vacation-seconds" (RFC 5230, RFC 6131)
 *
 *   vacation ...  -->  SieveAction  { whom to answer, with what, under which handle }
 *
 * Whether an answer is proper is decided here, by RFC 5230 sections 4.5 and 4.6 and by
 * RFC 3834 section 2: an action that must not be carried out is added all the same, with
 * the reason in action->suppressed, so that it can be logged. Whether this sender was
 * answered before is asked by whoever carries the action out: it owns the memory.
 *
 * The handle that is not given is made of the arguments as they stand in the script,
 * before variables: a subject with "${1}" in it is one response, not one for each mail
 * (RFC 5230 section 4.2).
 */
#include "sieve/extensions.h"
#include "sieve/fcc.h"
#include "sieve/reply.h"

enum {
    DAY = 24 * 60 * 60,
    DEFAULT_DAYS = 7, /* RFC 5230 section 4.1 */
};

/* ---- compile time -------------------------------------------------------- */

static const SieveString *
constant(const SieveArgument *argument)
{
    return argument != NULL && argument->strings[0].pieces == NULL ? &argument->strings[0] : NULL;
}

static bool
is_mailbox_list(SieveArena *arena, SieveText text)
{
    size_t count = 0;
    const SieveAddress *addresses = sieve_addresses_parse(arena, text, &count);

    for (size_t i = 0; i < count; i++) {
        if (!addresses[i].is_valid || addresses[i].domain.len == 0)
            return false;
    }
    return count > 0 && !sieve_reply_has_controls(text);
}

/* RFC 5230 section 5: the header of a :mime reason is ASCII. */
static bool
has_8bit_header(SieveText entity)
{
    bool line_is_blank = true;

    for (size_t i = 0; i < entity.len; i++) {
        uint8_t c = (uint8_t)entity.bytes[i];

        if (c == '\n' && line_is_blank)
            return false;
        if (c == '\n')
            line_is_blank = true;
        else if (c != '\r')
            line_is_blank = false;
        if (c >= 0x80)
            return true;
    }
    return false;
}

static void
check_vacation(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *from = sieve_node_tag(node, "from");
    const SieveBoundTag *days = sieve_node_tag(node, "days");
    const SieveString *text;

    if (from != NULL && (text = constant(from->value)) != NULL &&
        !is_mailbox_list(sieve_check_scratch(check), text->text))
        sieve_check_error(check, text->line, text->column, "'%s' is no address for :from",
                          text->text.bytes);
    if (days != NULL && days->value->number == 0)
        sieve_check_warning(check, days->line, days->column, ":days 0 is taken as :days 1");
    if (sieve_node_tag(node, "mime") != NULL && (text = constant(node->values[0])) != NULL &&
        has_8bit_header(text->text))
        sieve_check_error(check, text->line, text->column,
                          "the MIME header of the reason has characters that are not ASCII");
    sieve_fcc_check(check, node);
}

/* ---- how long, and under which handle ------------------------------------ */

static guint64
period(const SieveSettings *settings, const SieveNode *node)
{
    const SieveBoundTag *seconds = sieve_node_tag(node, "seconds");
    const SieveBoundTag *days = sieve_node_tag(node, "days");
    guint64 wanted = DEFAULT_DAYS * DAY;

    if (seconds != NULL) /* RFC 6131 section 2: 0 is allowed */
        wanted = seconds->value->number;
    else if (days != NULL)
        wanted = CLAMP(days->value->number, 1, G_MAXINT32) * DAY;
    if (settings->vacation_max_period > 0)
        wanted = MIN(wanted, settings->vacation_max_period);
    return CLAMP(wanted, settings->vacation_min_period,
                 MAX(settings->vacation_min_period, (guint64)G_MAXINT32 * DAY));
}

/* A counted string: absent, "" and what follows are never confused. */
static void
hash_argument(GChecksum *checksum, const SieveArgument *argument)
{
    guint64 len = argument == NULL ? G_MAXUINT64 : argument->strings[0].text.len;

    g_checksum_update(checksum, (const guchar *)&len, sizeof len);
    if (argument != NULL)
        g_checksum_update(checksum, (const guchar *)argument->strings[0].text.bytes, (gssize)len);
}

static const SieveArgument *
tag_value(const SieveNode *node, const char *name)
{
    const SieveBoundTag *bound = sieve_node_tag(node, name);

    return bound == NULL ? NULL : bound->value;
}

static char *
handle_of(SieveRun *run, const SieveNode *node)
{
    SieveText handle;

    if (sieve_run_tag_text(run, node, "handle", &handle))
        return sieve_reply_line(sieve_run_arena(run), handle);

    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    hash_argument(checksum, tag_value(node, "subject"));
    hash_argument(checksum, tag_value(node, "from"));
    g_checksum_update(checksum, (const guchar *)(sieve_node_tag(node, "mime") ? "m" : "-"), 1);
    hash_argument(checksum, node->values[0]);
    return sieve_arena_strdup(sieve_run_arena(run), g_checksum_get_string(checksum));
}

/* ---- the subject --------------------------------------------------------- */

/* "%{subject}" and "%$" become the subject; all else stands. */
static char *
fill_template(const char *template, const char *subject)
{
    GString *out = g_string_new(NULL);

    for (const char *p = template; *p != '\0'; p++) {
        if (g_str_has_prefix(p, "%{subject}")) {
            g_string_append(out, subject);
            p += strlen("%{subject}") - 1;
        } else if (g_str_has_prefix(p, "%$")) {
            g_string_append(out, subject);
            p++;
        } else {
            g_string_append_c(out, *p);
        }
    }
    return g_string_free(out, FALSE);
}

static char *
generate_subject(SieveRun *run)
{
    const SieveSettings *settings = sieve_run_settings(run);
    const char *original = sieve_reply_subject(run);
    g_autofree char *subject =
        original == NULL ? g_strdup(settings->vacation_default_subject)
                         : fill_template(settings->vacation_default_subject_template, original);
    size_t max = MAX(settings->vacation_max_subject, 1);

    /* All of it is valid UTF-8: sieve_reply_subject() and the configuration see to that. */
    if ((size_t)g_utf8_strlen(subject, -1) > max) {
        g_autofree char *begin = g_utf8_substring(subject, 0, (glong)max - 1);
        g_autofree char *cut = g_strconcat(begin, "\xe2\x80\xa6", NULL);

        return sieve_arena_strdup(sieve_run_arena(run), cut);
    }
    return sieve_arena_strdup(sieve_run_arena(run), subject);
}

/* ---- who am I ------------------------------------------------------------ */

/* Every address that is the user's (RFC 5230 section 4.5), most telling first. */
static GPtrArray *
own_addresses(SieveRun *run, const SieveNode *node)
{
    const SieveInput *input = sieve_run_input(run);
    const SieveSettings *settings = sieve_run_settings(run);
    const SieveArgument *more = tag_value(node, "addresses");
    GPtrArray *own = g_ptr_array_new();
    size_t count = 0;
    const SieveText *texts = more == NULL ? NULL : sieve_run_strings(run, more, &count);

    if (*settings->user_email != '\0')
        g_ptr_array_add(own, settings->user_email);
    if (*input->recipient != '\0')
        g_ptr_array_add(own, (char *)input->recipient);
    if (settings->vacation_use_original_recipient && input->original_recipient != NULL &&
        *input->original_recipient != '\0')
        g_ptr_array_add(own, (char *)input->original_recipient);
    for (size_t i = 0; i < count; i++) {
        SieveAddress address;

        if (sieve_address_parse(sieve_run_arena(run), texts[i], &address) && address.domain.len > 0)
            g_ptr_array_add(own, sieve_reply_line(sieve_run_arena(run), address.all));
    }
    for (size_t i = 0; input->own_addresses != NULL && input->own_addresses[i] != NULL; i++)
        g_ptr_array_add(own, (char *)input->own_addresses[i]);
    return own;
}

/* Without regard to case, also in the local part: no site tells Ana from ana. */
static bool
is_address(SieveText text, const char *address)
{
    return text.len == strlen(address) && g_ascii_strncasecmp(text.bytes, address, text.len) == 0;
}

/* Whether address is own with a detail (RFC 5233) in its local part: ana+news@ is ana@. */
static bool
is_detail_of(const SieveSettings *settings, const SieveAddress *address, const char *own)
{
    const char *at = strrchr(own, '@');
    size_t len = at == NULL ? 0 : (size_t)(at - own);

    return len > 0 && address->local_part.len > len && address->local_part.bytes[len] != '\0' &&
           is_address(address->domain, at + 1) &&
           strchr(settings->recipient_delimiter, address->local_part.bytes[len]) != NULL &&
           g_ascii_strncasecmp(address->local_part.bytes, own, len) == 0;
}

static const char *
find_own(SieveRun *run, const GPtrArray *own, const SieveAddress *address)
{
    for (guint i = 0; i < own->len; i++) {
        if (is_address(address->all, own->pdata[i]) ||
            is_detail_of(sieve_run_settings(run), address, own->pdata[i]))
            return own->pdata[i];
    }
    return NULL;
}

/* The address of the user that a field of the message names, in *found_out; NULL: none. */
static bool
find_in_field(SieveRun *run, const GPtrArray *own, SieveText name, const char **found_out,
              GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    size_t position = 0;
    SieveField *field;

    while ((field = sieve_message_next_field(message, name, &position)) != NULL) {
        size_t count = 0;
        const SieveAddress *addresses = sieve_addresses_parse(
            sieve_run_arena(run), sieve_field_unfolded(message, field), &count);

        if (!sieve_run_step(run, 1 + (guint64)count * own->len, error))
            return false;
        for (size_t i = 0; i < count && *found_out == NULL; i++)
            *found_out = find_own(run, own, &addresses[i]);
        if (*found_out != NULL)
            break;
    }
    return true;
}

static bool
find_me(SieveRun *run, const GPtrArray *own, const char **found_out, GError **error)
{
    static const char *const names[] = {"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"};

    *found_out = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(names) && *found_out == NULL; i++) {
        if (!find_in_field(run, own, sieve_text(names[i]), found_out, error))
            return false;
    }
    return true;
}

/* ---- when not to answer -------------------------------------------------- */

/* Local parts that are programs (RFC 5230 section 4.6, RFC 3834 section 2). Postmaster is a person.
 */
static const char *const programs[] = {
    "mailer-daemon", "listserv", "listserver",   "majordomo",   "mailman",      "noreply",
    "no-reply",      "no_reply", "do-not-reply", "donotreply",  "do_not_reply", "mailer",
    "bounce",        "bounces",  "owner-*",      "*-request",   "*-owner",      "*-bounce",
    "*-bounces",     "bounce-*", "bounces-*",    "*-bounces+*", "*-confirm+*",  "*-relay",
    "*-outgoing",    "bounce+*", "bounces+*",    "noreply-*",   "no-reply-*",
};

static bool
is_program(const char *sender)
{
    const char *at = strrchr(sender, '@');
    g_autofree char *local = g_strndup(sender, at == NULL ? strlen(sender) : (size_t)(at - sender));
    g_autofree char *lower = g_ascii_strdown(local, -1);

    for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
        if (g_pattern_match_simple(programs[i], lower))
            return true;
    }
    return false;
}

/* A field, whatever its value, or with one of the words in it, that no person's mail has. */
static const struct {
    const char *name;
    const char *words; /* separated by blanks; NULL: any */
} automatic_fields[] = {
    {"list-id", NULL},
    {"list-help", NULL},
    {"list-subscribe", NULL},
    {"list-unsubscribe", NULL},
    {"list-post", NULL},
    {"list-owner", NULL},
    {"list-archive", NULL},
    {"precedence", "bulk junk list"},
    {"x-auto-response-suppress", "all oof"},
    {"x-autoreply", "yes"},
    {"x-autorespond", NULL},
};

static bool
has_word(const char *value, const char *words)
{
    g_auto(GStrv) have = g_strsplit_set(value, " \t,;", -1);
    g_auto(GStrv) wanted = g_strsplit(words, " ", -1);

    for (size_t i = 0; have[i] != NULL; i++) {
        g_autofree char *word = g_ascii_strdown(have[i], -1);

        if (g_strv_contains((const char *const *)wanted, word))
            return true;
    }
    return false;
}

/* The reason, from the arena, why this message was not written by a person to be answered. */
static char *
automatic_reason(SieveRun *run)
{
    SieveArena *arena = sieve_run_arena(run);
    const char *submitted = sieve_reply_auto_submitted(run);

    for (size_t i = 0; i < G_N_ELEMENTS(automatic_fields); i++) {
        const char *name = automatic_fields[i].name, *words = automatic_fields[i].words;
        size_t position = 0;
        const char *value = sieve_reply_header(run, name);

        if (words == NULL &&
            sieve_message_next_field(sieve_run_message(run), sieve_text(name), &position) != NULL) {
            g_autofree char *reason = g_strdup_printf("the message has a %s field", name);
            return sieve_arena_strdup(arena, reason);
        }
        if (words != NULL && value != NULL && has_word(value, words)) {
            g_autofree char *reason = g_strdup_printf("the message has \"%s: %s\"", name, value);
            return sieve_arena_strdup(arena, reason);
        }
    }
    if (submitted != NULL) {
        g_autofree char *reason =
            g_strdup_printf("the message has \"auto-submitted: %s\"", submitted);
        return sieve_arena_strdup(arena, reason);
    }
    return NULL;
}

static char *
suppression(SieveRun *run, const GPtrArray *own, const char *me)
{
    SieveArena *arena = sieve_run_arena(run);
    const char *sender = sieve_run_input(run)->sender;
    char *reason;

    if (*sender == '\0')
        return sieve_arena_strdup(arena, "the sender is the null address");
    for (guint i = 0; i < own->len; i++) {
        if (g_ascii_strcasecmp(sender, own->pdata[i]) == 0)
            return sieve_arena_strdup(arena, "the sender is the user's own address");
    }
    if (strchr(sender, '@') == NULL)
        return sieve_arena_strdup(arena, "the sender is no complete address");
    if (is_program(sender))
        return sieve_arena_strdup(arena, "the sender is a program");
    if ((reason = automatic_reason(run)) != NULL)
        return reason;
    if (me == NULL && sieve_run_settings(run)->vacation_check_recipient)
        return sieve_arena_strdup(
            arena, "none of the user's addresses is in To, Cc, Bcc or their Resent- fields");
    return NULL;
}

/* ---- to whom ------------------------------------------------------------- */

/* "Ana <ana@example.org>" for To: of the one field that names the sender, so that the answer
 * shows a name; with vacation_to_header_ignore_envelope of whatever address that field has. */
static char *
to_header(SieveRun *run)
{
    static const char *const names[] = {"sender", "resent-from", "from"};
    SieveMessage *message = sieve_run_message(run);
    const char *sender = sieve_run_input(run)->sender;
    bool any = sieve_run_settings(run)->vacation_to_header_ignore_envelope;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        size_t position = 0, count = 0;
        SieveField *field = sieve_message_next_field(message, sieve_text(names[i]), &position);
        const SieveAddress *found;

        if (field == NULL)
            continue;
        found = sieve_addresses_parse(sieve_run_arena(run), sieve_field_unfolded(message, field),
                                      &count);
        for (size_t j = 0; j < count; j++) {
            if (found[j].domain.len > 0 && (any || is_address(found[j].all, sender)))
                return sieve_reply_mailbox(sieve_run_arena(run), &found[j]);
        }
    }
    return sieve_arena_strdup(sieve_run_arena(run), sender);
}

/* ---- the action ---------------------------------------------------------- */

static bool
fill_from(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    SieveText from;

    if (!sieve_run_tag_text(run, node, "from", &from))
        return true;
    if (!is_mailbox_list(sieve_run_arena(run), from))
        return sieve_run_fail(run, error, "'%s' is no address for :from of vacation",
                              sieve_reply_line(sieve_run_arena(run), from));
    action->from = sieve_reply_line(sieve_run_arena(run), from);
    return true;
}

static bool
fill_reason(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    SieveText reason = sieve_run_first(run, node->values[0]);

    action->mime = sieve_node_tag(node, "mime") != NULL;
    if (action->mime && has_8bit_header(reason))
        return sieve_run_fail(run, error, "the MIME header of the vacation reason is not ASCII");
    action->reason = sieve_reply_lines(sieve_run_arena(run), reason);
    return true;
}

static void
fill_subject(SieveRun *run, const SieveNode *node, SieveAction *action)
{
    SieveText subject;

    action->subject = sieve_run_tag_text(run, node, "subject", &subject)
                          ? sieve_reply_line(sieve_run_arena(run), subject)
                          : generate_subject(run);
}

static bool
run_vacation(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_VACATION);
    g_autoptr(GPtrArray) own = own_addresses(run, node);
    const char *me = NULL;

    if (!find_me(run, own, &me, error) || !fill_from(run, node, action, error) ||
        !fill_reason(run, node, action, error) || !sieve_action_take_tags(run, node, action, error))
        return false;
    fill_subject(run, node, action);
    action->to = sieve_arena_strdup(sieve_run_arena(run), sieve_run_input(run)->sender);
    action->to_header = to_header(run);
    action->handle = handle_of(run, node);
    action->seconds = period(sieve_run_settings(run), node);
    action->in_reply_to = sieve_reply_message_id(run);
    action->references = sieve_reply_references(run);
    action->suppressed = suppression(run, own, me);
    action->reply_from =
        sieve_arena_strdup(sieve_run_arena(run), me != NULL || own->len == 0 ? me : own->pdata[0]);
    if (action->suppressed != NULL)
        sieve_run_trace(run, node, "vacation: no answer: %s", action->suppressed);
    else
        sieve_run_trace(run, node, "vacation to \"%s\"", action->to);
    return sieve_action_add(run, action, error);
}

static const SieveCommand commands[] = {
    {.name = "vacation",
     .traits = SIEVE_TAKES_FCC,
     .signature = "s",
     .check = check_vacation,
     .run = run_vacation},
    {0},
};

static const SieveTag tags[] = {
    {.name = "days", .commands = {"vacation"}, .group = SIEVE_GROUP_1, .argument = 'n'},
    {.name = "subject", .commands = {"vacation"}, .argument = 's'},
    {.name = "from", .commands = {"vacation"}, .argument = 's'},
    {.name = "addresses", .commands = {"vacation"}, .argument = 'S'},
    {.name = "mime", .commands = {"vacation"}},
    {.name = "handle", .commands = {"vacation"}, .argument = 's'},
    {0},
};

const SieveExtension sieve_ext_vacation = {.name = "vacation", .commands = commands, .tags = tags};

/* RFC 6131 section 2: only one of :days and :seconds. */
static const SieveTag seconds_tags[] = {
    {.name = "seconds", .commands = {"vacation"}, .group = SIEVE_GROUP_1, .argument = 'n'},
    {0},
};

static const char *const seconds_implies[] = {"vacation", NULL};

const SieveExtension sieve_ext_vacation_seconds = {
    .name = "vacation-seconds", .tags = seconds_tags, .implies = seconds_implies};
