/* sieve/ext_variables.c - "variables": set and string (RFC 5229)
 *
 * Values are kept in variables.c. The value of a modifier's row is its precedence; of equal
 * ones a set takes one (section 4.1).
 */
#include "sieve/extensions.h"
#include "sieve/limits.h"

static bool
is_identifier(SieveText name)
{
    if (name.len == 0 || name.len > SIEVE_MAX_VARIABLE_NAME || g_ascii_isdigit(name.bytes[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!g_ascii_isalnum(name.bytes[i]) && name.bytes[i] != '_')
            return false;
    }
    return true;
}

bool
sieve_variable_check_name(SieveCheck *check, const SieveString *string, SieveText *name_out)
{
    SieveText name = string->text;
    size_t skip = 0;

    if (name.len > 7 && g_ascii_strncasecmp(name.bytes, "global.", 7) == 0 &&
        sieve_check_is_required(check, "include"))
        skip = 7;
    if (string->pieces != NULL ||
        !is_identifier((SieveText){.bytes = name.bytes + skip, .len = name.len - skip})) {
        sieve_check_error(check, string->line, string->column,
                          "'%s' cannot be the name of a variable: it is written with letters, "
                          "digits and _, and begins with a letter",
                          name.bytes);
        return false;
    }

    g_autofree char *lower = g_ascii_strdown(name.bytes, (gssize)name.len);

    *name_out = sieve_arena_text(sieve_check_arena(check), lower, name.len);
    sieve_check_set_variable(check, *name_out); /* "global" must not declare it any more */
    return true;
}

static void
check_modifiers(SieveCheck *check, const SieveNode *node)
{
    for (size_t i = 0; i < node->tag_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (node->tags[i].tag->value == node->tags[k].tag->value)
                sieve_check_error(check, node->tags[i].line, node->tags[i].column,
                                  ":%s and :%s exclude each other", node->tags[k].tag->name,
                                  node->tags[i].tag->name);
        }
    }
}

static void
check_set(SieveCheck *check, SieveNode *node)
{
    SieveText *name = sieve_arena_new0(sieve_check_arena(check), SieveText, 1);

    check_modifiers(check, node);
    if (sieve_variable_check_name(check, &node->values[0]->strings[0], name))
        node->data = name;
}

static bool
run_set(SieveRun *run, const SieveNode *node, GError **error)
{
    const SieveText *name = node->data;
    SieveText value = sieve_run_first(run, node->values[1]);

    if (!sieve_run_step(run, 1 + value.len / 64, error) ||
        !sieve_arena_room(sieve_run_arena(run), value.len * 8, error))
        return false;
    value = sieve_variable_modify(run, node, value);
    sieve_variable_set(run, *name, value);
    if (sieve_run_is_tracing(run)) {
        SieveText now = sieve_variable_get(run, *name);

        sieve_run_trace(run, node, "set \"%s\" to \"%.*s\"", name->bytes,
                        (int)MIN(now.len, (size_t)100), now.bytes);
    }
    return true;
}

/* Section 5: empty strings do not count for :count. */
static bool
test_string(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMatching matching;
    size_t count;
    const SieveText *values = sieve_run_strings(run, node->values[0], &count);

    if (!sieve_matching_begin(run, node, node->values[1], &matching, error))
        return false;
    for (size_t i = 0; i < count && !matching.matched; i++) {
        if (node->matcher->type == SIEVE_MATCH_COUNT && values[i].len == 0)
            continue;
        if (!sieve_matching_value(&matching, values[i], error))
            return false;
    }
    return sieve_matching_end(&matching, result_out, error);
}

static const SieveCommand commands[] = {
    {.name = "set", .signature = "ss", .check = check_set, .run = run_set},
    {.name = "string",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
     .signature = "SS",
     .test = test_string},
    {0},
};

static const SieveTag tags[] = {
    {.name = "lower", .commands = {"set", "extracttext"}, .value = 40},
    {.name = "upper", .commands = {"set", "extracttext"}, .value = 40},
    {.name = "lowerfirst", .commands = {"set", "extracttext"}, .value = 30},
    {.name = "upperfirst", .commands = {"set", "extracttext"}, .value = 30},
    {.name = "quotewildcard", .commands = {"set", "extracttext"}, .value = 20},
    {.name = "length", .commands = {"set", "extracttext"}, .value = 10},
    {0},
};

const SieveExtension sieve_ext_variables = {
    .name = "variables", .commands = commands, .tags = tags};
