/* sieve/eval.c - walks a checked tree
 *
 * Knows the control structures of RFC 5228 section 3; everything else is a row of an
 * extension's table. Blocks and tests recurse no deeper than SIEVE_MAX_NESTING, which the
 * parser has seen to, and includes no deeper than [sieve] include_max_depth.
 */
#include "sieve/extension.h"
#include "sieve/libsieve.h"
#include "sieve/modules.h"
#include "sieve/run_private.h"

/* ---- tests -------------------------------------------------------------------- */

/* allof and anyof: stop at the first test that is decisive. */
static bool
eval_list(SieveRun *run, const SieveNode *node, bool decisive, bool *result_out, GError **error)
{
    for (size_t i = 0; i < node->test_count; i++) {
        bool result;

        if (!sieve_eval_test(run, node->tests[i], &result, error))
            return false;
        if (result == decisive) {
            *result_out = decisive;
            return true;
        }
    }
    *result_out = !decisive;
    return true;
}

static bool
eval_control_test(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    const char *name = node->command->name;

    if (strcmp(name, "allof") == 0)
        return eval_list(run, node, false, result_out, error);
    if (strcmp(name, "anyof") == 0)
        return eval_list(run, node, true, result_out, error);
    g_assert(strcmp(name, "not") == 0);
    if (!sieve_eval_test(run, node->tests[0], result_out, error))
        return false;
    *result_out = !*result_out;
    return true;
}

bool
sieve_eval_test(SieveRun *run, const SieveNode *test, bool *result_out, GError **error)
{
    run->line = test->line;
    if (!sieve_run_step(run, 1, error))
        return false;
    if (test->command->traits & SIEVE_IS_CONTROL)
        return eval_control_test(run, test, result_out, error);
    if (!test->command->test(run, test, result_out, error))
        return false;
    if (sieve_run_is_tracing(run)) {
        g_autofree char *text = sieve_node_text(test);

        sieve_run_trace(run, test, "%s: %s", text, *result_out ? "true" : "false");
    }
    return true;
}

/* ---- commands ----------------------------------------------------------------- */

/* An if with its elsifs and else; *last_out is the last of them. */
static bool
eval_if(SieveRun *run, const SieveNode *node, const SieveNode **last_out, GError **error)
{
    bool is_done = false;

    for (;;) {
        bool is_else = strcmp(node->command->name, "else") == 0;
        bool result = is_else;

        if (!is_done && !is_else && !sieve_eval_test(run, node->tests[0], &result, error))
            return false;
        if (!is_done && result) {
            is_done = true;
            if (!sieve_eval_block(run, node->block, error))
                return false;
        }
        *last_out = node;
        node = node->next;
        if (node == NULL ||
            (strcmp(node->command->name, "elsif") != 0 && strcmp(node->command->name, "else") != 0))
            return true;
    }
}

static bool
eval_command(SieveRun *run, const SieveNode **node_inout, GError **error)
{
    const SieveNode *node = *node_inout;
    const char *name = node->command->name;

    run->line = node->line;
    if (!sieve_run_step(run, 1, error))
        return false;
    if ((node->command->traits & SIEVE_IS_CONTROL) == 0)
        return node->command->run(run, node, error);
    if (strcmp(name, "if") == 0)
        return eval_if(run, node, node_inout, error);
    if (strcmp(name, "stop") == 0) {
        sieve_run_trace(run, node, "stop");
        run->flow = SIEVE_FLOW_STOP;
    }
    return true; /* require: its work was done by the checker */
}

bool
sieve_eval_block(SieveRun *run, const SieveNode *first, GError **error)
{
    for (const SieveNode *node = first; node != NULL && run->flow == SIEVE_FLOW_ON;
         node = node->next) {
        if (!eval_command(run, &node, error))
            return false;
    }
    return true;
}

/* ---- scripts ------------------------------------------------------------------ */

static bool
eval_script(SieveRun *run, SieveScript *script, GError **error)
{
    SieveScope *scope = g_new0(SieveScope, 1);

    scope->script = sieve_script_ref(script);
    scope->has_variables = sieve_script_has_required(script, "variables");
    scope->outer = run->scope;
    run->scope = scope;
    if (run->host->libsieve != NULL)
        return sieve_libsieve_eval(run, script, error);
    return sieve_eval_block(run, sieve_script_first(script), error);
}

/* Leaves the innermost scope; the caller owns it then. */
static SieveScope *
leave_scope(SieveRun *run)
{
    SieveScope *scope = run->scope;

    run->scope = scope->outer;
    scope->outer = NULL;
    return scope;
}

/* Puts the place in front of the message of error. */
static void
add_place(const SieveRun *run, GError **error)
{
    if (error == NULL || *error == NULL)
        return;
    g_prefix_error(error, "%s:%u: ", sieve_script_name(run->scope->script), run->line);
}

bool
sieve_run_include(SieveRun *run, SieveScript *script, bool once, GError **error)
{
    if (sieve_run_was_included(run, script)) {
        if (once)
            return true;
    } else {
        if (run->included->len >= run->settings->include_max_scripts) {
            g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                        "more than %" G_GUINT64_FORMAT " scripts are included",
                        run->settings->include_max_scripts);
            return false;
        }
        g_ptr_array_add(run->included, sieve_script_ref(script));
    }
    if (run->include_depth >= run->settings->include_max_depth) {
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "scripts include each other more than %" G_GUINT64_FORMAT " deep",
                    run->settings->include_max_depth);
        return false;
    }
    run->include_depth++;
    /* A failure leaves the scope: the place in its message is that of the inner script. */
    if (!eval_script(run, script, error))
        return false;
    run->include_depth--;
    sieve_scope_free(leave_scope(run));
    if (run->flow == SIEVE_FLOW_RETURN)
        run->flow = SIEVE_FLOW_ON;
    return true;
}

bool
sieve_run_was_included(const SieveRun *run, const SieveScript *script)
{
    for (guint i = 0; i < run->included->len; i++) {
        if (run->included->pdata[i] == script)
            return true;
    }
    return false;
}

bool
sieve_run_script(SieveRun *run, SieveScript *script, GError **error)
{
    bool done;

    sieve_scope_free(run->last);
    run->last = NULL;
    run->flow = SIEVE_FLOW_ON;
    sieve_actions_begin_script(run);
    g_ptr_array_add(run->chain, sieve_script_ref(script));
    g_hash_table_remove_all(run->globals);
    sieve_modules_begin();
    done = eval_script(run, script, error) && sieve_run_step(run, 0, error) &&
           sieve_modules_check(error);
    if (!done) {
        add_place(run, error);
        run->failed = true;
    }
    while (run->scope->outer != NULL)
        sieve_scope_free(leave_scope(run));
    run->last = leave_scope(run);
    run->include_depth = 0;
    run->mime.loop = NULL;
    return done;
}
