/* sieve/run.c - one message, one recipient: the state of a run, and its limits; see run.h
 *
 * Everything a run makes comes from one arena and dies with it. Whatever a script or a
 * message can make long costs steps, and every few thousand steps the CPU clock of the
 * process is read: a run ends by its limits, whatever it is fed.
 */
#include "sieve/run.h"

#include <time.h>

#include "sieve/limits.h"
#include "sieve/run_private.h"

enum { STEPS_BETWEEN_CLOCKS = 4096 };

/* The next number of steps to look at the limits at. */
static void
set_clock(SieveRun *run)
{
    run->steps_at_clock = run->steps + STEPS_BETWEEN_CLOCKS;
    if (run->settings->max_steps != 0 && run->settings->max_steps < run->steps_at_clock)
        run->steps_at_clock = run->settings->max_steps + 1;
}

static gint64
cpu_time_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

SieveRun *
sieve_run_new(const SieveInput *input, const SieveHost *host, const SieveSettings *settings)
{
    static char *no_flags[] = {NULL};
    SieveRun *run = g_new0(SieveRun, 1);

    run->input = input;
    run->host = host;
    run->settings = settings;
    run->arena = sieve_arena_new(SIEVE_MAX_RUN_MEMORY);
    run->message = sieve_message_new(run->arena, input->bytes, input->len);
    run->globals = g_hash_table_new(sieve_text_hash, sieve_text_equal_pointers);
    run->chain = g_ptr_array_new_with_free_func((GDestroyNotify)sieve_script_unref);
    run->included = g_ptr_array_new_with_free_func((GDestroyNotify)sieve_script_unref);
    run->actions = g_ptr_array_new();
    run->duplicates = g_ptr_array_new();
    run->implicit_keep = true;
    run->flags = no_flags;
    set_clock(run);
    return run;
}

void
sieve_scope_free(SieveScope *scope)
{
    while (scope != NULL) {
        SieveScope *outer = scope->outer;

        if (scope->variables != NULL)
            g_hash_table_destroy(scope->variables);
        if (scope->global_names != NULL)
            g_hash_table_destroy(scope->global_names);
        sieve_script_unref(scope->script);
        g_free(scope);
        scope = outer;
    }
}

void
sieve_run_free(SieveRun *run)
{
    if (run == NULL)
        return;
    sieve_scope_free(run->scope);
    sieve_scope_free(run->last);
    g_hash_table_destroy(run->globals);
    g_ptr_array_unref(run->chain);
    g_ptr_array_unref(run->included);
    g_ptr_array_unref(run->actions);
    g_ptr_array_unref(run->duplicates);
    sieve_arena_free(run->arena);
    g_free(run);
}

const SieveInput *
sieve_run_input(const SieveRun *run)
{
    return run->input;
}

const SieveHost *
sieve_run_host(const SieveRun *run)
{
    return run->host;
}

const SieveSettings *
sieve_run_settings(const SieveRun *run)
{
    return run->settings;
}

SieveArena *
sieve_run_arena(SieveRun *run)
{
    return run->arena;
}

SieveMessage *
sieve_run_message(SieveRun *run)
{
    return run->message;
}

const SieveScript *
sieve_run_script_now(const SieveRun *run)
{
    return run->scope->script;
}

SieveRunMime *
sieve_run_mime_state(SieveRun *run)
{
    return &run->mime;
}

SieveFlow
sieve_run_flow(const SieveRun *run)
{
    return run->flow;
}

void
sieve_run_set_flow(SieveRun *run, SieveFlow flow)
{
    run->flow = flow;
}

/* ---- limits ----------------------------------------------------------------- */

static bool
check_clock(SieveRun *run, GError **error)
{
    gint64 now_us = cpu_time_us();

    /* Most runs end before they look at the clock, which is a system call. */
    if (run->cpu_started_us == 0)
        run->cpu_started_us = now_us;

    gint64 used_us = now_us - run->cpu_started_us;

    set_clock(run);
    if (run->settings->max_cpu_time == 0 ||
        used_us / G_USEC_PER_SEC < (gint64)run->settings->max_cpu_time)
        return true;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                "the script took more than %" G_GUINT64_FORMAT " seconds of CPU time",
                run->settings->max_cpu_time);
    return false;
}

bool
sieve_run_step(SieveRun *run, guint64 steps, GError **error)
{
    run->steps += steps;
    if (run->steps < run->steps_at_clock)
        return true;
    if (run->settings->max_steps != 0 && run->steps > run->settings->max_steps) {
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "the script took more than %" G_GUINT64_FORMAT " steps",
                    run->settings->max_steps);
        return false;
    }
    return check_clock(run, error) &&
           sieve_arena_room(run->arena, run->exhausted ? SIEVE_MAX_RUN_MEMORY : 0, error);
}

void
sieve_run_exhaust(SieveRun *run)
{
    run->exhausted = true;
    run->steps_at_clock = 0;
}

/* ---- errors, warnings, trace ------------------------------------------------ */

bool
sieve_run_fail(SieveRun *run, GError **error, const char *format, ...)
{
    va_list args;

    (void)run;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME, text);
    return false;
}

bool
sieve_run_host_failed(SieveRun *run, GError **error)
{
    (void)run;
    if (error != NULL && *error != NULL && (*error)->domain != SIEVE_ERROR) {
        (*error)->domain = SIEVE_ERROR;
        (*error)->code = SIEVE_ERROR_TEMPORARY;
    }
    return false;
}

void
sieve_run_warn(SieveRun *run, const SieveNode *node, const char *format, ...)
{
    va_list args;

    if (run->host->warn == NULL)
        return;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    run->host->warn(run->host->data, sieve_script_name(run->scope->script), node->line, text);
}

bool
sieve_run_is_tracing(const SieveRun *run)
{
    return run->host->trace != NULL;
}

void
sieve_run_trace(SieveRun *run, const SieveNode *node, const char *format, ...)
{
    va_list args;

    if (run->host->trace == NULL)
        return;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    run->host->trace(run->host->data, sieve_script_name(run->scope->script), node->line, text);
}

/* ---- values of arguments ---------------------------------------------------- */

SieveText
sieve_run_first(SieveRun *run, const SieveArgument *argument)
{
    return sieve_run_string(run, &argument->strings[0]);
}

const SieveText *
sieve_run_strings(SieveRun *run, const SieveArgument *argument, size_t *count_out)
{
    SieveText *texts = sieve_arena_new0(run->arena, SieveText, argument->string_count + 1);

    for (size_t i = 0; i < argument->string_count; i++)
        texts[i] = sieve_run_string(run, &argument->strings[i]);
    *count_out = argument->string_count;
    return texts;
}

bool
sieve_run_tag_text(SieveRun *run, const SieveNode *node, const char *tag, SieveText *text_out)
{
    const SieveBoundTag *bound = sieve_node_tag(node, tag);

    if (bound == NULL)
        return false;
    *text_out = sieve_run_first(run, bound->value);
    return true;
}

/* ---- what to remember ------------------------------------------------------- */

void
sieve_run_remember(SieveRun *run, const char *key, guint64 seconds)
{
    SieveDuplicate *duplicate;

    /* RFC 7352 section 3.3: of two tests for one thing, the last decides for how long. */
    for (guint i = 0; i < run->duplicates->len; i++) {
        duplicate = run->duplicates->pdata[i];
        if (strcmp(duplicate->key, key) == 0) {
            duplicate->seconds = seconds;
            return;
        }
    }
    duplicate = sieve_arena_new0(run->arena, SieveDuplicate, 1);
    duplicate->key = sieve_arena_strdup(run->arena, key);
    duplicate->seconds = seconds;
    g_ptr_array_add(run->duplicates, duplicate);
}

const GPtrArray *
sieve_run_duplicates(const SieveRun *run)
{
    return run->duplicates;
}
