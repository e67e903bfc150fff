/* sieve/matching.c - the values of one test against its keys; see run.h
 *
 * Constant keys were made ready by the checker; others are made ready here, once a test.
 * :count counts, and compares in the end (RFC 5231 section 4.2); :list asks the host.
 */
#include "sieve/extension.h"
#include "sieve/extlists.h"
#include "sieve/libsieve.h"
#include "sieve/limits.h"
#include "sieve/run_private.h"

/* The keys of :list are names of lists: those the host knows. */
static bool
find_lists(SieveMatching *matching, GError **error)
{
    SieveRun *run = matching->run;
    SieveText *names =
        sieve_arena_new0(run->arena, SieveText, MAX(matching->pattern_count, (size_t)1));
    size_t count = 0;

    for (size_t i = 0; i < matching->pattern_count; i++) {
        const char *name;

        if (!sieve_list_find(run, matching->keys[i], &name, error))
            return false;
        if (name != NULL)
            names[count++] = sieve_text(name);
    }
    matching->keys = names;
    matching->pattern_count = count;
    return true;
}

bool
sieve_matching_begin(SieveRun *run, const SieveNode *node, const SieveArgument *keys,
                     SieveMatching *matching, GError **error)
{
    SieveMatchType type = node->matcher->type;

    *matching = (SieveMatching){
        .run = run, .node = node, .pattern_count = keys->string_count, .written = keys};
    bool asks_patterns = type != SIEVE_MATCH_COUNT && type != SIEVE_MATCH_LIST;

    if (asks_patterns && node->patterns != NULL) {
        matching->patterns = node->patterns;
        return true;
    }
    matching->keys = sieve_run_strings(run, keys, &matching->pattern_count);
    if (type == SIEVE_MATCH_LIST)
        return find_lists(matching, error);
    if (type == SIEVE_MATCH_COUNT)
        return true;
    matching->patterns =
        sieve_arena_new0(run->arena, SievePattern *, MAX(matching->pattern_count, (size_t)1));
    for (size_t i = 0; i < matching->pattern_count; i++) {
        if (!sieve_run_step(run, 1 + matching->keys[i].len / 64, error) ||
            !sieve_arena_room(run->arena, matching->keys[i].len, error))
            return false;

        SieveText key = (node->command->traits & SIEVE_MATCHES_LINES) != 0
                            ? sieve_arena_lf(run->arena, matching->keys[i])
                            : matching->keys[i];

        matching->patterns[i] = sieve_pattern_new(run->arena, node->matcher, key, error);
        if (matching->patterns[i] == NULL)
            return false;
    }
    return true;
}

/* key: the number of the key that matched; past the last: none did. */
static void
trace_value(const SieveMatching *matching, SieveText value, size_t key)
{
    SieveRun *run = matching->run;

    if (!sieve_run_is_tracing(run))
        return;

    g_autoptr(GString) text = g_string_new(NULL);

    sieve_trace_quote(text, value);
    g_string_append(text, matching->matched ? " matches" : " does not match");
    if (matching->matched && key < matching->pattern_count) {
        g_string_append_c(text, ' ');
        sieve_trace_quote(text, matching->keys != NULL ? matching->keys[key]
                                                       : matching->written->strings[key].text);
    }
    sieve_run_trace(run, matching->node, "%s: %s", matching->node->command->name, text->str);
}

static bool
ask_lists(SieveMatching *matching, SieveText value, GError **error)
{
    SieveRun *run = matching->run;
    const SieveHost *host = run->host;
    SieveText copy;
    size_t i;

    if (!sieve_run_step(run, 1 + value.len / 64, error) ||
        !sieve_arena_room(run->arena, value.len, error))
        return false;
    copy = sieve_arena_text(run->arena, value.bytes, value.len);
    for (i = 0; i < matching->pattern_count && !matching->matched; i++) {
        if (host->list_contains == NULL || strlen(copy.bytes) != copy.len)
            continue;
        if (!sieve_run_step(run, 1, error))
            return false;
        if (!host->list_contains(host->data, matching->keys[i].bytes, copy.bytes,
                                 &matching->matched, error))
            return sieve_run_host_failed(run, error);
    }
    trace_value(matching, value, i - 1);
    /* RFC 6134 section 2.2: ${0} is the value that was found. */
    if (matching->matched)
        sieve_match_variables_set(run, &copy, 1);
    return true;
}

static bool
try_patterns(SieveMatching *matching, SieveText value, GError **error)
{
    SieveRun *run = matching->run;
    bool wants_captures = run->scope->has_variables && !matching->no_variables;
    size_t i;

    for (i = 0; i < matching->pattern_count && !matching->matched; i++) {
        SieveCaptures captures = {.count = 0};
        guint64 steps = 1;

        if (!sieve_pattern_match(matching->patterns[i], value, run->arena,
                                 wants_captures ? &captures : NULL, &steps, &matching->matched,
                                 error) ||
            !sieve_run_step(run, steps, error))
            return false;
        if (matching->matched && captures.count > 0)
            sieve_match_variables_set(run, captures.values, captures.count);
    }
    trace_value(matching, value, i - 1);
    return true;
}

bool
sieve_matching_value(SieveMatching *matching, SieveText value, GError **error)
{
    SieveMatchType type = matching->node->matcher->type;

    if (matching->run->collected != NULL)
        return sieve_libsieve_collect(matching->run, value, error);
    if (type == SIEVE_MATCH_COUNT) {
        matching->count++;
        return sieve_run_step(matching->run, 1, error);
    }
    return type == SIEVE_MATCH_LIST ? ask_lists(matching, value, error)
                                    : try_patterns(matching, value, error);
}

bool
sieve_matching_end(SieveMatching *matching, bool *result_out, GError **error)
{
    const SieveMatcher *matcher = matching->node->matcher;
    SieveArena *arena = matching->run->arena;

    (void)error;
    if (matcher->type == SIEVE_MATCH_COUNT) {
        g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, matching->count);

        size_t i;

        /* RFC 5231 section 4.2 compares numbers, whatever the comparator: "10" is more than "9". */
        for (i = 0; i < matching->pattern_count && !matching->matched; i++)
            matching->matched = sieve_relation_holds(
                matcher->relation, sieve_comparator_ascii_numeric.compare(arena, sieve_text(digits),
                                                                          matching->keys[i]));
        trace_value(matching, sieve_text(digits), i - 1);
    }
    *result_out = matching->matched;
    return true;
}
