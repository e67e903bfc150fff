/* sieve/ext_imap4flags.c - "imap4flags": IMAP flags and keywords (RFC 5232)
 *
 * Flags live in the run's internal variable, or, with "variables", in a variable as one
 * string with blanks between. keep and fileinto take :flags, else the internal variable.
 */
#include "sieve/extensions.h"

static void
check_flags(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *name = node->values[0];
    SieveText *lower = NULL;

    if (name == NULL || (node->command->traits & SIEVE_TEST) != 0)
        return;
    if (!sieve_check_is_required(check, "variables")) {
        sieve_check_error(check, name->line, name->column,
                          "flags in a variable need require \"variables\"");
        return;
    }
    lower = sieve_arena_new0(sieve_check_arena(check), SieveText, 1);
    if (sieve_variable_check_name(check, &name->strings[0], lower))
        node->data = lower;
}

/* A hasflag names any number of variables. */
static void
check_hasflag(SieveCheck *check, SieveNode *node)
{
    if (node->values[0] != NULL && !sieve_check_is_required(check, "variables"))
        sieve_check_error(check, node->values[0]->line, node->values[0]->column,
                          "flags in a variable need require \"variables\"");
}

static char **
flags_in_variable(SieveRun *run, SieveText name)
{
    SieveText value = sieve_variable_get(run, name);

    return sieve_flags_normalize(sieve_run_arena(run), &value, 1);
}

static char **
current_flags(SieveRun *run, const SieveNode *node)
{
    return node->data == NULL ? sieve_run_flags(run)
                              : flags_in_variable(run, *(const SieveText *)node->data);
}

static void
store(SieveRun *run, const SieveNode *node, char **flags)
{
    if (node->data == NULL) {
        sieve_run_set_flags(run, flags);
    } else {
        g_autofree char *joined = g_strjoinv(" ", flags);

        sieve_variable_set(run, *(const SieveText *)node->data, sieve_text(joined));
    }
    if (sieve_run_is_tracing(run)) {
        g_autofree char *joined = g_strjoinv(" ", flags);

        sieve_run_trace(run, node, "%s: flags are now \"%s\"", node->command->name, joined);
    }
}

/* The flags of the argument that are flags. */
static char **
argument_flags(SieveRun *run, const SieveNode *node)
{
    size_t count;
    const SieveText *texts = sieve_run_strings(run, node->values[1], &count);

    return sieve_flags_valid(run, node, texts, count);
}

static bool
run_setflag(SieveRun *run, const SieveNode *node, GError **error)
{
    store(run, node, argument_flags(run, node));
    return sieve_run_step(run, node->values[1]->string_count, error);
}

static bool
run_addflag(SieveRun *run, const SieveNode *node, GError **error)
{
    char **old = current_flags(run, node);
    char **new = argument_flags(run, node);
    size_t old_count = g_strv_length(old), new_count = g_strv_length(new);
    SieveText *both = sieve_arena_new0(sieve_run_arena(run), SieveText, old_count + new_count);

    for (size_t i = 0; i < old_count; i++)
        both[i] = sieve_text(old[i]);
    for (size_t i = 0; i < new_count; i++)
        both[old_count + i] = sieve_text(new[i]);
    store(run, node, sieve_flags_normalize(sieve_run_arena(run), both, old_count + new_count));
    return sieve_run_step(run, old_count + new_count, error);
}

static bool
has_flag(char **flags, const char *flag)
{
    for (; *flags != NULL; flags++) {
        if (g_ascii_strcasecmp(*flags, flag) == 0)
            return true;
    }
    return false;
}

static bool
run_removeflag(SieveRun *run, const SieveNode *node, GError **error)
{
    char **old = current_flags(run, node);
    char **gone = argument_flags(run, node);
    char **left = sieve_arena_new0(sieve_run_arena(run), char *, g_strv_length(old) + 1);
    size_t count = 0;

    for (size_t i = 0; old[i] != NULL; i++) {
        if (!has_flag(gone, old[i]))
            left[count++] = old[i];
    }
    store(run, node, left);
    return sieve_run_step(run, count + 1, error);
}

static bool
match_flags(SieveMatching *matching, char **flags, GError **error)
{
    for (; *flags != NULL && !matching->matched; flags++) {
        if (!sieve_matching_value(matching, sieve_text(*flags), error))
            return false;
    }
    return true;
}

/* The keys of hasflag are lists of flags with blanks between, like those of setflag; they may
 * be patterns. */
static const SieveArgument *
split_keys(SieveRun *run, const SieveNode *node)
{
    SieveArena *arena = sieve_run_arena(run);
    SieveArgument *keys = sieve_arena_new0(arena, SieveArgument, 1);
    size_t count;
    const SieveText *texts = sieve_run_strings(run, node->values[1], &count);
    char **flags = sieve_flags_normalize(arena, texts, count);

    *keys = *node->values[1];
    keys->string_count = g_strv_length(flags);
    keys->strings = sieve_arena_new0(arena, SieveString, keys->string_count + 1);
    for (size_t i = 0; i < keys->string_count; i++)
        keys->strings[i].text = sieve_text(flags[i]);
    return keys;
}

/* Whether a key is no single flag: RFC 5232 section 2 ignores empty ones. */
static bool
has_lists(const SieveArgument *keys)
{
    for (size_t i = 0; i < keys->string_count; i++) {
        SieveText text = keys->strings[i].text;

        if (text.len == 0 || memchr(text.bytes, ' ', text.len) != NULL)
            return true;
    }
    return false;
}

static bool
begin_hasflag(SieveRun *run, const SieveNode *node, SieveMatching *matching, GError **error)
{
    bool is_count = node->matcher->type == SIEVE_MATCH_COUNT;

    if (is_count || (node->patterns != NULL && !has_lists(node->values[1])))
        return sieve_matching_begin(run, node, node->values[1], matching, error);

    SieveNode *split = sieve_arena_new0(sieve_run_arena(run), SieveNode, 1);

    *split = *node;
    split->patterns = NULL;
    return sieve_matching_begin(run, split, split_keys(run, node), matching, error);
}

static bool
test_hasflag(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMatching matching;

    if (!begin_hasflag(run, node, &matching, error))
        return false;
    if (node->values[0] == NULL) {
        if (!match_flags(&matching, sieve_run_flags(run), error))
            return false;
        return sieve_matching_end(&matching, result_out, error);
    }

    size_t count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *lower = g_ascii_strdown(names[i].bytes, -1);

        if (!match_flags(&matching, flags_in_variable(run, sieve_text(lower)), error))
            return false;
    }
    return sieve_matching_end(&matching, result_out, error);
}

static const SieveCommand commands[] = {
    {.name = "setflag", .signature = "?sS", .check = check_flags, .run = run_setflag},
    {.name = "addflag", .signature = "?sS", .check = check_flags, .run = run_addflag},
    {.name = "removeflag", .signature = "?sS", .check = check_flags, .run = run_removeflag},
    {.name = "hasflag",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
     .signature = "?SS",
     .check = check_hasflag,
     .test = test_hasflag},
    {0},
};

static const SieveTag tags[] = {
    {.name = "flags", .traits = SIEVE_TAKES_FLAGS | SIEVE_TAKES_FCC, .argument = 'S'},
    {0},
};

const SieveExtension sieve_ext_imap4flags = {
    .name = "imap4flags", .commands = commands, .tags = tags};
