/* tests/sieve/runs.h - scripts run over a message, and what came of it as one line of text */
#ifndef LODGE_TESTS_SIEVE_RUNS_H
#define LODGE_TESTS_SIEVE_RUNS_H

#include "tests/sieve/rows.h"

#include "sieve/sieve.h"

/* A run that tests make: up to three scripts in a chain, and what the host knows. */
typedef struct {
    const char *scripts[3]; /* NULL-padded */
    const char *message;    /* NULL: a short one */
    SieveHost host;
    SieveSettings settings;
} TestRun;

static inline void
test_run_init(TestRun *test)
{
    *test = (TestRun){.host = {.now_us = G_GINT64_CONSTANT(1700000000000000)}};
    sieve_settings_init(&test->settings);
}

static inline SieveScript *
test_compile(const char *name, const char *text, const SieveSettings *settings)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveScript *script = sieve_script_compile(name, text, strlen(text), settings, complaints);

    for (guint i = 0; i < complaints->len; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];

        if (complaint->is_error)
            print_error("%s:%u: %s\n", name, complaint->line, complaint->text);
    }
    assert_non_null(script);
    return script;
}

static inline void
append_action(GString *out, const SieveAction *action)
{
    static const char *const names[] = {"keep",   "fileinto", "redirect", "discard",
                                        "reject", "vacation", "notify",   "pipe"};

    g_string_append_printf(out, "%s%s", out->len > 0 ? ", " : "", names[action->kind]);
    if (action->mailbox != NULL)
        g_string_append_printf(out, " %s", action->mailbox);
    if (action->address != NULL)
        g_string_append_printf(out, " %s", action->address);
    for (size_t i = 0; action->flags[i] != NULL; i++)
        g_string_append_printf(out, "%s%s", i == 0 ? " [" : " ", action->flags[i]);
    g_string_append(out, action->flags[0] != NULL ? "]" : "");
    g_string_append(out, action->copy ? " copy" : "");
    g_string_append(out, action->create ? " create" : "");
    g_string_append(out, action->implicit ? " implicit" : "");
    g_string_append(out, action->suppressed != NULL ? " suppressed" : "");
}

/* Runs the chain, each script while a keep is in force. The list of actions, behind "failed: "
 * and the message when a script failed; free with g_free(). look, when not NULL, sees the run
 * before it is freed. */
static inline char *
test_run(const TestRun *test, void (*look)(const SieveRun *run, void *data), void *data)
{
    const char *message = test->message != NULL ? test->message
                                                : "From: ana@example.org\nTo: ben@example.com\n"
                                                  "Subject: hello\nMessage-ID: <1@x>\n\nbody\n";
    const SieveInput input = {.bytes = (const uint8_t *)message,
                              .len = strlen(message),
                              .virtual_size = strlen(message),
                              .sender = "ana@example.org",
                              .recipient = "ben@example.com"};
    g_autoptr(SieveRun) run = sieve_run_new(&input, &test->host, &test->settings);
    g_autoptr(GError) error = NULL;
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(test->scripts) && test->scripts[i] != NULL; i++) {
        g_autofree char *name = g_strdup_printf("s%zu", i);
        g_autoptr(SieveScript) script = test_compile(name, test->scripts[i], &test->settings);

        if (!sieve_run_keep_in_force(run) || !sieve_run_script(run, script, &error))
            break;
    }

    const GPtrArray *actions = sieve_run_finish(run);

    for (guint i = 0; i < actions->len; i++)
        append_action(out, actions->pdata[i]);
    if (error != NULL) {
        assert_int_equal(error->domain, SIEVE_ERROR);
        g_string_append_printf(out, "; failed: %s", error->message);
    }
    assert_ptr_equal(sieve_run_finish(run), actions);
    if (look != NULL)
        look(run, data);
    return g_string_free(out, FALSE);
}

#endif
