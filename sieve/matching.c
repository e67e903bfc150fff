/* sieve/matching.c - the values of one test against its keys; see run.h
 *
 * Constant keys were made ready by the checker; others are made ready here, once a test.
 * :count counts, and compares in the end (RFC 5231 section 4.2); :list asks the host.
 */
#include "sieve/extension.h"
#include "sieve/limits.h"
#include "sieve/run_private.h"

enum { TRACED_OCTETS = 100 };

bool
sieve_matching_begin(SieveRun *run, const SieveNode *node, const SieveArgument *keys,
                     SieveMatching *matching, GError **error)
{
    SieveMatchType type = node->matcher->type;

    *matching = (SieveMatching){.run = run, .node = node, .pattern_count = keys->string_count};
    bool asks_patterns = type != SIEVE_MATCH_COUNT && type != SIEVE_MATCH_LIST;

    if (asks_patterns && node->patterns != NULL) {
        matching->patterns = node->patterns;
        return true;
    }
    matching->keys = sieve_run_strings(run, keys, &matching->pattern_count);
    if (!asks_patterns)
        return true;
    matching->patterns =
        sieve_arena_new0(run->arena, SievePattern *, MAX(matching->pattern_count, (size_t)1));
    for (size_t i = 0; i < matching->pattern_count; i++) {
        if (!sieve_run_step(run, 1 + matching->keys[i].len / 64, error) ||
            !sieve_arena_room(run->arena, matching->keys[i].len, error))
            return false;
        matching->patterns[i] =
            sieve_pattern_new(run->arena, node->matcher, matching->keys[i], error);
        if (matching->patterns[i] == NULL)
            return false;
    }
    return true;
}

static void
trace_value(const SieveMatching *matching, SieveText value, bool matched)
{
    SieveRun *run = matching->run;

    if (!sieve_run_is_tracing(run))
        return;
    sieve_run_trace(run, matching->node, "%s: \"%.*s\"%s %s", matching->node->command->name,
                    (int)MIN(value.len, (size_t)TRACED_OCTETS), value.bytes,
                    value.len > TRACED_OCTETS ? "..." : "", matched ? "matches" : "does not match");
}

static bool
ask_list(SieveMatching *matching, SieveText value, GError **error)
{
    const SieveHost *host = matching->run->host;
    SieveText copy = sieve_arena_text(matching->run->arena, value.bytes, value.len);

    for (size_t i = 0; i < matching->pattern_count && !matching->matched; i++) {
        if (host->list_contains == NULL || strlen(copy.bytes) != copy.len)
            continue;
        if (!host->list_contains(host->data, matching->keys[i].bytes, copy.bytes,
                                 &matching->matched, error))
            return sieve_run_host_failed(matching->run, error);
    }
    if (matching->matched)
        sieve_match_variables_set(matching->run, &copy, 1);
    return true;
}

static bool
try_patterns(SieveMatching *matching, SieveText value, GError **error)
{
    SieveRun *run = matching->run;
    bool wants_captures = run->scope->has_variables && !matching->no_variables;

    for (size_t i = 0; i < matching->pattern_count && !matching->matched; i++) {
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
    return true;
}

bool
sieve_matching_value(SieveMatching *matching, SieveText value, GError **error)
{
    SieveMatchType type = matching->node->matcher->type;

    if (type == SIEVE_MATCH_COUNT) {
        matching->count++;
        return sieve_run_step(matching->run, 1, error);
    }
    if (!(type == SIEVE_MATCH_LIST ? ask_list(matching, value, error)
                                   : try_patterns(matching, value, error)))
        return false;
    trace_value(matching, value, matching->matched);
    return true;
}

bool
sieve_matching_end(SieveMatching *matching, bool *result_out, GError **error)
{
    const SieveMatcher *matcher = matching->node->matcher;
    SieveArena *arena = matching->run->arena;

    (void)error;
    if (matcher->type == SIEVE_MATCH_COUNT) {
        g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, matching->count);

        for (size_t i = 0; i < matching->pattern_count && !matching->matched; i++)
            matching->matched = sieve_relation_holds(
                matcher->relation,
                matcher->comparator->compare(arena, sieve_text(digits), matching->keys[i]));
        trace_value(matching, sieve_text(digits), matching->matched);
    }
    *result_out = matching->matched;
    return true;
}
