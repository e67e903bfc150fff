/* sieve/actions.c - the list of what a script wants done
 *
 * Every action passes sieve_action_add(): duplicates of an earlier one are dropped (RFC 5228
 * section 2.10.3), what cannot stand together is an error (RFC 5429 section 2.4, RFC 5230
 * section 4.7), and numbers are bounded. The implicit keep is decided in the end
 * (section 2.10.2): it is no entry of the list until sieve_run_finish().
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
}

/* ---- making ------------------------------------------------------------------- */

SieveAction *
sieve_action_new(SieveRun *run, const SieveNode *node, SieveActionKind kind)
{
    static char *nothing[] = {NULL};
    SieveAction *action = sieve_arena_new0(run->arena, SieveAction, 1);

    action->kind = kind;
    action->script = sieve_arena_strdup(run->arena, sieve_script_name(sieve_run_script_now(run)));
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

    return sieve_flags_normalize(run->arena, texts, count);
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

static bool
is_inbox(const SieveAction *action)
{
    return action->kind == SIEVE_ACTION_KEEP ||
           (action->kind == SIEVE_ACTION_FILEINTO && action->special_use == NULL &&
            action->mailboxid == NULL && g_ascii_strcasecmp(action->mailbox, "INBOX") == 0);
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
    if (is_inbox(a) && is_inbox(b))
        return true;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case SIEVE_ACTION_FILEINTO:
        return strcmp(a->mailbox, b->mailbox) == 0 &&
               g_strcmp0(a->special_use, b->special_use) == 0 &&
               g_strcmp0(a->mailboxid, b->mailboxid) == 0;
    case SIEVE_ACTION_REDIRECT:
        return is_same_address(a->address, b->address);
    case SIEVE_ACTION_DISCARD:
    case SIEVE_ACTION_KEEP:
        return true;
    case SIEVE_ACTION_REJECT:
    case SIEVE_ACTION_VACATION:
    case SIEVE_ACTION_NOTIFY:
    case SIEVE_ACTION_PIPE:
        break;
    }
    return false;
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
    if (a->kind != SIEVE_ACTION_REJECT && b->kind != SIEVE_ACTION_REJECT)
        return false;

    const SieveAction *other = a->kind == SIEVE_ACTION_REJECT ? b : a;

    return other->kind != SIEVE_ACTION_DISCARD && other->kind != SIEVE_ACTION_NOTIFY;
}

static bool
check_against(SieveRun *run, const SieveAction *action, bool *is_duplicate_out, GError **error)
{
    *is_duplicate_out = false;
    for (guint i = 0; i < run->actions->len; i++) {
        const SieveAction *earlier = run->actions->pdata[i];

        if (is_equal(earlier, action)) {
            *is_duplicate_out = true;
            return true;
        }
        if (conflicts(earlier, action))
            return sieve_run_fail(run, error,
                                  "\"%s\" cannot be combined with the \"%s\" of line %u",
                                  name_of(action), name_of(earlier), earlier->line);
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

    if (settings->max_actions != 0 &&
        !check_limit(run->actions->len, settings->max_actions, "actions", error))
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
    bool is_duplicate;

    if (!sieve_run_step(run, 1 + run->actions->len, error) ||
        !check_against(run, action, &is_duplicate, error))
        return false;
    if (cancels_implicit_keep(action))
        run->implicit_keep = false;
    if (is_duplicate)
        return true;
    if (!check_limits(run, action, error))
        return false;
    g_ptr_array_add(run->actions, action);
    return true;
}

void
sieve_run_cancel_implicit_keep(SieveRun *run)
{
    run->implicit_keep = false;
}

/* ---- the end ------------------------------------------------------------------ */

bool
sieve_run_keep_in_force(const SieveRun *run)
{
    if (run->failed)
        return false;
    for (guint i = 0; i < run->actions->len; i++) {
        if (((const SieveAction *)run->actions->pdata[i])->kind == SIEVE_ACTION_KEEP)
            return true;
    }
    return run->implicit_keep;
}

const GPtrArray *
sieve_run_finish(SieveRun *run)
{
    SieveAction *keep;

    if (!run->failed && !run->implicit_keep)
        return run->actions;
    keep = sieve_arena_new0(run->arena, SieveAction, 1);
    *keep = (SieveAction){.kind = SIEVE_ACTION_KEEP, .implicit = true};
    keep->script = "";
    keep->flags = run->failed ? sieve_flags_normalize(run->arena, NULL, 0) : run->flags;
    keep->edition = run->failed ? NULL : sieve_run_edition(run, SIEVE_ACTION_KEEP);
    keep->options = keep->arguments = keep->fcc.flags = keep->notify_to = keep->notify_cc =
        keep->fields = sieve_flags_normalize(run->arena, NULL, 0);
    if (run->failed)
        g_ptr_array_set_size(run->actions, 0);
    g_ptr_array_add(run->actions, keep);
    return run->actions;
}
