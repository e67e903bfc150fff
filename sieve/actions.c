/* sieve/actions.c - the list of what a script wants done
 *
 * Every action passes sieve_action_add(): duplicates of an earlier one are dropped (RFC 5228
 * section 2.10.3), what cannot stand together is an error (RFC 5429 section 2.4, RFC 5230
 * section 4.7), and numbers are bounded. The implicit keep is decided in the end
 * (section 2.10.2): it is no entry of the list until sieve_run_finish().
 *
 * In a chain of scripts, a keep of any but the last means "go on with the next script": it leaves
 * the list when that begins. Conflicts are those of one script; what an earlier one asked
 * for is compatible with a later reject (draft-degener-sieve-multiscript sections 3 and 4).
 */
#include "sieve/extension.h"
#include "sieve/limits.h"
#include "sieve/run_private.h"

/* ---- flags (RFC 5232) --------------------------------------------------------- */

static bool
has_flag(const GPtrArray *flags, const char *flag)
{
    for (guint i = 0; i < flags->len; i++) {
        if (g_ascii_strcasecmp(flags->pdata[i], flag) == 0)
            return true;
    }
    return false;
}

static char **
flags_of(SieveArena *arena, const GPtrArray *flags)
{
    char **list = sieve_arena_new0(arena, char *, flags->len + 1);

    for (guint i = 0; i < flags->len; i++)
        list[i] = flags->pdata[i];
    return list;
}

char **
sieve_flags_normalize(SieveArena *arena, const SieveText *texts, size_t count)
{
    g_autoptr(GPtrArray) flags = g_ptr_array_new();

    for (size_t i = 0; i < count; i++) {
        const char *end = texts[i].bytes + texts[i].len;

        for (const char *at = texts[i].bytes; at < end;) {
            const char *start = at;

            while (at < end && *at != ' ' && *at != '\0')
                at++;
            if (at > start && flags->len < SIEVE_MAX_FLAGS) {
                char *flag = (char *)sieve_arena_text(arena, start, (size_t)(at - start)).bytes;

                if (!has_flag(flags, flag))
                    g_ptr_array_add(flags, flag);
            }
            at++;
        }
    }
    return flags_of(arena, flags);
}

char **
sieve_run_flags(SieveRun *run)
{
    return run->flags;
}

void
sieve_run_set_flags(SieveRun *run, char **flags)
{
    run->flags = flags;
    run->kept_flags = NULL;
}

/* RFC 3501 section 9: an atom, or one of the system flags that may be set. */
static bool
is_flag(const char *flag)
{
    static const char *const system_flags[] = {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen",
                                               "\\Draft"};

    if (*flag == '\\') {
        for (size_t i = 0; i < G_N_ELEMENTS(system_flags); i++) {
            if (g_ascii_strcasecmp(flag, system_flags[i]) == 0)
                return true;
        }
        return false;
    }
    for (; *flag != '\0'; flag++) {
        if (*flag <= ' ' || *flag > '~' || strchr("(){%*\"\\]", *flag) != NULL)
            return false;
    }
    return true;
}

char **
sieve_flags_valid(SieveRun *run, const SieveNode *node, const SieveText *texts, size_t count)
{
    char **flags = sieve_flags_normalize(run->arena, texts, count);
    size_t kept = 0;

    for (size_t i = 0; flags[i] != NULL; i++) {
        if (is_flag(flags[i]))
            flags[kept++] = flags[i];
        else
            sieve_run_warn(run, node, "'%s' is no flag that can be set and is ignored", flags[i]);
    }
    flags[kept] = NULL;
    return flags;
}

/* ---- making ------------------------------------------------------------------- */

/* An action, and what only this file wants to know of it. */
typedef struct {
    SieveAction action;
    const char
        *target; /* the mailbox that keep and fileinto mean in the end; "INBOX" in capitals */
} Asked;

SieveAction *
sieve_action_new(SieveRun *run, const SieveNode *node, SieveActionKind kind)
{
    static char *nothing[] = {NULL};
    Asked *asked = (Asked *)run->spare;

    if (asked == NULL)
        asked = sieve_arena_new0(run->arena, Asked, 1);
    *asked = (Asked){.action = {.kind = kind}};
    run->spare = NULL;

    SieveAction *action = &asked->action;

    action->script = sieve_script_name(sieve_run_script_now(run)); /* the run keeps the script */
    action->line = node->line;
    action->edition = sieve_run_edition(run, kind);
    action->flags = action->options = action->arguments = action->fcc.flags = nothing;
    action->notify_to = action->notify_cc = action->fields = nothing;
    return action;
}

/* A C string: a name with NUL in it is cut there, and then found not to exist. */
static char *
take_string(SieveRun *run, const SieveNode *node, const char *tag)
{
    SieveText text;

    if (!sieve_run_tag_text(run, node, tag, &text))
        return NULL;
    return (char *)sieve_arena_text(run->arena, text.bytes, text.len).bytes;
}

static char **
take_flags(SieveRun *run, const SieveNode *node, char **otherwise)
{
    const SieveBoundTag *bound = sieve_node_tag(node, "flags");
    size_t count;

    if (bound == NULL)
        return otherwise;

    const SieveText *texts = sieve_run_strings(run, bound->value, &count);

    return sieve_flags_valid(run, node, texts, count);
}

bool
sieve_action_take_tags(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    static char *nothing[] = {NULL};

    (void)error;
    if (node->command->traits & SIEVE_TAKES_FCC) {
        action->fcc.mailbox = take_string(run, node, "fcc");
        action->fcc.flags = take_flags(run, node, nothing);
        action->fcc.create = sieve_node_tag(node, "create") != NULL;
        action->fcc.special_use = take_string(run, node, "specialuse");
        action->fcc.mailboxid = take_string(run, node, "mailboxid");
        return true;
    }
    if (node->command->traits & SIEVE_TAKES_FLAGS)
        action->flags = take_flags(run, node, run->flags);
    action->copy = sieve_node_tag(node, "copy") != NULL;
    action->create = sieve_node_tag(node, "create") != NULL;
    action->special_use = take_string(run, node, "specialuse");
    action->mailboxid = take_string(run, node, "mailboxid");
    return true;
}

/* ---- adding ------------------------------------------------------------------- */

static const char *
target_of(const SieveAction *action)
{
    return ((const Asked *)action)->target;
}

/* Two names may mean one mailbox, which gets one copy (RFC 5228 section 2.10.3): special use (RFC
 * 8579 section 4) and id (RFC 9042 section 4) go before the name, where the host finds them. */
static bool
find_target(SieveRun *run, SieveAction *action, GError **error)
{
    const SieveHost *host = run->host;
    g_autofree char *found = NULL;
    const char *mailbox = action->mailbox;

    if (action->kind == SIEVE_ACTION_KEEP) {
        ((Asked *)action)->target = "INBOX";
        return true;
    }
    if (action->kind != SIEVE_ACTION_FILEINTO)
        return true;
    if (action->special_use != NULL && host->special_use != NULL &&
        !host->special_use(host->data, action->special_use, &found, error))
        return sieve_run_host_failed(run, error);
    if (action->mailboxid != NULL && host->mailbox_by_id != NULL &&
        !host->mailbox_by_id(host->data, action->mailboxid, &found, error))
        return sieve_run_host_failed(run, error);
    if (found != NULL)
        mailbox = sieve_arena_strdup(run->arena, found);
    ((Asked *)action)->target = g_ascii_strcasecmp(mailbox, "INBOX") == 0 ? "INBOX" : mailbox;
    return true;
}

/* The local part as written, the domain without regard to case. */
static bool
is_same_address(const char *a, const char *b)
{
    const char *at = strrchr(a, '@');

    return at == NULL ? strcmp(a, b) == 0
                      : strncmp(a, b, (size_t)(at - a) + 1) == 0 &&
                            g_ascii_strcasecmp(at, b + (at - a)) == 0;
}

static bool
is_equal(const SieveAction *a, const SieveAction *b)
{
    if (target_of(a) != NULL && target_of(b) != NULL)
        return strcmp(target_of(a), target_of(b)) == 0;
    if (a->kind != b->kind)
        return false;
    if (a->kind == SIEVE_ACTION_REDIRECT)
        return is_same_address(a->address, b->address);
    return a->kind == SIEVE_ACTION_DISCARD;
}

static const char *
name_of(const SieveAction *action)
{
    static const char *const names[] = {
        [SIEVE_ACTION_KEEP] = "keep",         [SIEVE_ACTION_FILEINTO] = "fileinto",
        [SIEVE_ACTION_REDIRECT] = "redirect", [SIEVE_ACTION_DISCARD] = "discard",
        [SIEVE_ACTION_REJECT] = "reject",     [SIEVE_ACTION_VACATION] = "vacation",
        [SIEVE_ACTION_NOTIFY] = "notify",     [SIEVE_ACTION_PIPE] = "pipe",
    };

    return action->ereject ? "ereject" : names[action->kind];
}

/* A refused message is not delivered as well: the sender would be told the wrong thing. */
static bool
conflicts(const SieveAction *a, const SieveAction *b)
{
    if (a->kind == SIEVE_ACTION_VACATION && b->kind == SIEVE_ACTION_VACATION)
        return true;
    /* Once a script for each program, says the specification of "pipe". */
    if (a->kind == SIEVE_ACTION_PIPE && b->kind == SIEVE_ACTION_PIPE)
        return strcmp(a->program, b->program) == 0;
    if (a->kind != SIEVE_ACTION_REJECT && b->kind != SIEVE_ACTION_REJECT)
        return false;

    const SieveAction *other = a->kind == SIEVE_ACTION_REJECT ? b : a;

    return other->kind != SIEVE_ACTION_DISCARD && other->kind != SIEVE_ACTION_NOTIFY;
}

/* What was asked for again: the last flags win (RFC 5232 section 3), and what is no mere copy
 * once is none. */
static void
merge(SieveAction *earlier, const SieveAction *again)
{
    if (target_of(earlier) != NULL)
        earlier->flags = again->flags;
    earlier->copy = earlier->copy && again->copy;
    earlier->create = earlier->create || again->create;
}

/* An action of an earlier script of the chain and one of this script that answer the sender both:
 * the refusal goes out, and of two vacations the first. */
static bool
yields(SieveRun *run, SieveAction *earlier, const SieveAction *action)
{
    if (earlier->kind == SIEVE_ACTION_VACATION && action->kind == SIEVE_ACTION_REJECT)
        earlier->suppressed = sieve_arena_strdup(run->arena, "the message is refused");
    return earlier->kind == SIEVE_ACTION_VACATION && action->kind == SIEVE_ACTION_VACATION;
}

/* *is_done_out: an earlier action stands for this one. */
static bool
check_against(SieveRun *run, const SieveAction *action, bool *is_done_out, GError **error)
{
    *is_done_out = false;
    for (guint i = 0; i < run->actions->len && !*is_done_out; i++) {
        SieveAction *earlier = run->actions->pdata[i];

        if (is_equal(earlier, action)) {
            merge(earlier, action);
            *is_done_out = true;
        } else if (i < run->first_action) {
            *is_done_out = yields(run, earlier, action);
        } else if (conflicts(earlier, action)) {
            return sieve_run_fail(run, error,
                                  "\"%s\" cannot be combined with the \"%s\" of line %u",
                                  name_of(action), name_of(earlier), earlier->line);
        }
    }
    return true;
}

static bool
check_limit(guint64 count, guint64 limit, const char *what, GError **error)
{
    if (count < limit)
        return true;
    if (limit == 0)
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT, "%s are prohibited here", what);
    else
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "more than %" G_GUINT64_FORMAT " %s are not allowed", limit, what);
    return false;
}

static bool
check_limits(SieveRun *run, const SieveAction *action, GError **error)
{
    const SieveSettings *settings = run->settings;

    if (action->kind == SIEVE_ACTION_DISCARD)
        return true; /* does nothing */
    if (settings->max_actions != 0 &&
        !check_limit(run->action_count++, settings->max_actions, "actions", error))
        return false;
    if (action->kind == SIEVE_ACTION_REDIRECT)
        return check_limit(run->redirects++, settings->max_redirects, "redirects", error);
    if (action->kind == SIEVE_ACTION_NOTIFY)
        return check_limit(run->notifications++, settings->max_notifications, "notifications",
                           error);
    return true;
}

static bool
cancels_implicit_keep(const SieveAction *action)
{
    return !action->copy && action->kind != SIEVE_ACTION_VACATION &&
           action->kind != SIEVE_ACTION_NOTIFY;
}

bool
sieve_action_add(SieveRun *run, SieveAction *action, GError **error)
{
    bool is_done;

    if (!sieve_run_step(run, 1 + run->actions->len, error) || !find_target(run, action, error) ||
        !check_against(run, action, &is_done, error))
        return false;
    if (cancels_implicit_keep(action))
        run->implicit_keep = false;
    if (action->kind == SIEVE_ACTION_KEEP)
        run->explicit_keep = true;
    if (is_done) {
        run->spare = action;
        return true;
    }
    if (!check_limits(run, action, error))
        return false;
    g_ptr_array_add(run->actions, action);
    return true;
}

/* ---- chain and end ------------------------------------------------------------ */

void
sieve_actions_begin_script(SieveRun *run)
{
    if (run->explicit_keep)
        run->implicit_keep = true;
    run->explicit_keep = false;
    for (guint i = 0; i < run->actions->len;) {
        const SieveAction *action = run->actions->pdata[i];

        if (action->kind == SIEVE_ACTION_KEEP) {
            run->kept_flags = action->flags;
            g_ptr_array_remove_index(run->actions, i);
            run->action_count--;
        } else {
            i++;
        }
    }
    run->first_action = run->actions->len;
    run->first_duplicate = run->duplicates->len;
}

bool
sieve_run_keep_in_force(const SieveRun *run)
{
    return !run->failed && (run->implicit_keep || run->explicit_keep);
}

/* A fileinto "INBOX" with :copy has stored the message there already. */
static bool
is_in_inbox(const SieveRun *run)
{
    for (guint i = 0; i < run->actions->len; i++) {
        if (g_strcmp0(target_of(run->actions->pdata[i]), "INBOX") == 0)
            return true;
    }
    return false;
}

static SieveAction *
implicit_keep(SieveRun *run)
{
    static char *nothing[] = {NULL};
    SieveAction *keep = &sieve_arena_new0(run->arena, Asked, 1)->action;

    keep->kind = SIEVE_ACTION_KEEP;
    keep->implicit = true;
    keep->script = "";
    keep->flags = keep->options = keep->arguments = keep->fcc.flags = nothing;
    keep->notify_to = keep->notify_cc = keep->fields = nothing;
    if (run->failed)
        return keep; /* the message as it was received */
    keep->flags = run->kept_flags != NULL ? run->kept_flags : run->flags;
    keep->edition = sieve_run_edition(run, SIEVE_ACTION_KEEP);
    return keep;
}

const GPtrArray *
sieve_run_finish(SieveRun *run)
{
    if (run->finished)
        return run->actions;
    run->finished = true;
    /* What a script that failed has asked for is void; scripts before it have ended, and what an
     * administrator's asked for holds. */
    if (run->failed) {
        g_ptr_array_set_size(run->actions, (int)run->first_action);
        g_ptr_array_set_size(run->duplicates, (int)run->first_duplicate);
    }
    if ((run->failed || run->implicit_keep) && !is_in_inbox(run))
        g_ptr_array_add(run->actions, implicit_keep(run));
    return run->actions;
}
