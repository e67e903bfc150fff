/* tests/lda/test_libsieve_child.c - [sieve] engine = libsieve: what it does, and how it fails */
#include "sieve_fixture.h"

#include <dlfcn.h>
#include <sieve2.h>

#include "lda/cage.h"
#include "lda/libsieve_child.h"

/* ---- the library itself, with what crashes it --------------------------------- */

/* A script and a message that libsieve gets as they are. */
typedef struct {
    const char *behaviour;
    const char *script;
    const char *field;
    char *values[2];
    void *library;
} Crash;

static const Crash *now; /* in the child */

static void
set(sieve2_context_t *context, const char *name, const char *value)
{
    int (*set_string)(sieve2_context_t *, const char *, const char *) =
        (int (*)(sieve2_context_t *, const char *, const char *))dlsym(now->library,
                                                                       "sieve2_setvalue_string");

    set_string(context, name, value);
}

static int
on_script(sieve2_context_t *context, void *data)
{
    (void)data;
    set(context, "script", now->script);
    return SIEVE2_OK;
}

static int
on_envelope(sieve2_context_t *context, void *data)
{
    (void)data;
    set(context, "from", "bob@example.com");
    set(context, "to", "ana@example.org");
    return SIEVE2_OK;
}

static int
on_header(sieve2_context_t *context, void *data)
{
    char *(*get)(sieve2_context_t *, const char *) =
        (char *(*)(sieve2_context_t *, const char *))dlsym(now->library, "sieve2_getvalue_string");
    int (*set_list)(sieve2_context_t *, const char *, char *const *) =
        (int (*)(sieve2_context_t *, const char *, char *const *))dlsym(
            now->library, "sieve2_setvalue_stringlist");
    const char *name = get(context, "header");

    (void)data;
    if (name != NULL && g_ascii_strcasecmp(name, now->field) == 0)
        set_list(context, "body", now->values);
    return SIEVE2_OK;
}

static int
on_anything(sieve2_context_t *context, void *data)
{
    (void)context;
    (void)data;
    return SIEVE2_OK;
}

static void
open_raw(void *data)
{
    ((Crash *)data)->library = dlopen("libsieve.so.1", RTLD_NOW | RTLD_LOCAL);
}

static void
run_raw(void *data, GByteArray *answer)
{
    sieve2_callback_t callbacks[] = {
        {SIEVE2_SCRIPT_GETSCRIPT, on_script},      {SIEVE2_MESSAGE_GETHEADER, on_header},
        {SIEVE2_MESSAGE_GETENVELOPE, on_envelope}, {SIEVE2_MESSAGE_GETSIZE, on_anything},
        {SIEVE2_ACTION_VACATION, on_anything},     {SIEVE2_ACTION_KEEP, on_anything},
        {SIEVE2_ACTION_DISCARD, on_anything},      {SIEVE2_VALUE_FIRST, NULL},
    };
    sieve2_context_t *context = NULL;

    now = data;
    if (now->library == NULL)
        return;

    int (*alloc)(sieve2_context_t **) =
        (int (*)(sieve2_context_t **))dlsym(now->library, "sieve2_alloc");
    int (*add)(sieve2_context_t *, sieve2_callback_t *) =
        (int (*)(sieve2_context_t *, sieve2_callback_t *))dlsym(now->library, "sieve2_callbacks");
    int (*execute)(sieve2_context_t *, void *) =
        (int (*)(sieve2_context_t *, void *))dlsym(now->library, "sieve2_execute");
    int (*release)(sieve2_context_t **) =
        (int (*)(sieve2_context_t **))dlsym(now->library, "sieve2_free");

    alloc(&context);
    add(context, callbacks);
    execute(context, NULL);
    release(&context);
    g_byte_array_append(answer, (const guint8 *)"done", 4);
}

#define NINE "abcdefghi"
#define LABEL NINE NINE NINE NINE NINE NINE NINE
#define LONG_DOMAIN LABEL "." LABEL "." LABEL "." LABEL /* 255 octets */

#define VACATION "vacation :addresses \"alt@example.org\" \"gone\";"

static const Crash crashes[] = {
    {.behaviour = "what_does_not_crash_it_is_done",
     .script = "require \"vacation\"; " VACATION,
     .field = "to",
     .values = {"ana@example.org"}},
    {.behaviour = "comment_without_end_crashes_it_alone",
     .script = "require \"vacation\"; " VACATION,
     .field = "to",
     .values = {"a@b ("}},
};

static void
check_crash(void **state)
{
    const Crash *row = *state;
    Crash crash = *row;
    const CageTask task = {.open = open_raw, .work = run_raw, .data = &crash};
    const CageLimits limits = {
        .cpu_time = 100, .memory = 64 << 20, .timeout_ms = 1000 * 1000, .max_answer = 100};
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GError) error = NULL;

    if (cage_run(&task, &limits, &answer, &error)) {
        assert_ptr_equal(row, &crashes[0]);
        assert_int_equal(g_bytes_get_size(answer), 4);
    } else {
        if (row == &crashes[0])
            fail_msg("%s", error->message);
        assert_true(g_error_matches(error, CAGE_ERROR, CAGE_ERROR_DIED));
    }
}

/* ---- as an engine ------------------------------------------------------------- */

static void
use_libsieve(Fixture *fixture, const char *script)
{
    start(fixture, "engine = libsieve\n");
    write_script(fixture, script);
}

/* The same headers as above, from a sender, and what the script should do. */
static void
headers_that_crash_libsieve_do_not_reach_its_parser(void **state)
{
    Fixture *fixture = *state;

    use_libsieve(fixture, "require [\"fileinto\", \"vacation\"];\n" VACATION "\n"
                          "if address :localpart \"from\" \"userabcd\" { fileinto \"Found\"; }");
    deliver_text(fixture, "bob@example.com", "ana@example.org",
                 "From: userabcd@" LONG_DOMAIN "\nTo: a@b (\nCc: ana@example.org\n\nbody\n");
    assert_false(log_has(fixture, "crashed"));
    assert_int_equal(count_in(fixture, ".Found/new"), 1);
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_int_equal(count_sent(fixture), 1); /* the vacation reply */
}

/* No header crashes it any more: this one leaves it no time. */
static void
exponential_pattern_is_ended_and_the_message_kept(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *as = g_strnfill(500, 'a');
    g_autofree char *message = g_strdup_printf("From: bob@example.com\nSubject: %s\n\nbody\n", as);
    const LdaOutcome *outcome;

    use_libsieve(fixture, "require \"fileinto\"; fileinto \"A\";\n"
                          "if header :matches \"subject\" \"*a*a*a*a*a*a*a*a*b\" { discard; }");
    outcome = deliver_text(fixture, "bob@example.com", "ana@example.org", message);
    assert_string_equal(outcome->status, "2.0.0");
    assert_int_equal(count_in(fixture, ".A/new"), 0);
    assert_int_equal(count_in(fixture, "new"), 2); /* with the notice to its owner */
    assert_true(log_has(fixture, "libsieve took more than 2 seconds of CPU time"));
}

static void
script_outside_of_the_subset_fails_and_the_message_is_kept(void **state)
{
    Fixture *fixture = *state;

    use_libsieve(fixture, "require [\"fileinto\", \"copy\"];\nfileinto :copy \"A\"; discard;");
    deliver(fixture);
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_true(log_has(fixture, "the engine libsieve does not support the extension"));
}

static void
scripts_of_the_administrator_are_looked_at_too(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *settings =
        g_strdup_printf("engine = libsieve\nbefore = %s/before.sieve\n", fixture->dir);

    start(fixture, settings);
    write_below(fixture, "before.sieve", "require \"imap4flags\"; addflag \"x\";");
    write_script(fixture, "discard;");
    deliver(fixture);
    assert_true(log_has(fixture, "does not support the extension"));
    assert_int_equal(count_in(fixture, "new"), 1);
}

/* ---- one task ----------------------------------------------------------------- */

static bool
evaluate(const char *text, GArray *actions, unsigned *line_out, GError **error)
{
    const char *const values[] = {"hello", NULL};
    const char *const *const fields[] = {values};
    SieveLibsieveTask task = {
        .text = text, .fields = fields, .field_count = 1, .size = 100, .actions = actions};
    bool done = libsieve_evaluate(NULL, &task, error);

    *line_out = task.line;
    return done;
}

static void
numbers_of_actions_come_back_in_their_order(void **state)
{
    g_autoptr(GArray) actions = g_array_new(FALSE, FALSE, sizeof(guint32));
    unsigned line;

    (void)state;
    assert_true(evaluate("require \"fileinto\"; if header \"0\" \"hello\" { fileinto \"0\"; } "
                         "if size :over 100 { fileinto \"1\"; } fileinto \"70000\"; stop; "
                         "fileinto \"3\";",
                         actions, &line, NULL));
    assert_int_equal(actions->len, 2);
    assert_int_equal(g_array_index(actions, guint32, 0), 0);
    assert_int_equal(g_array_index(actions, guint32, 1), 70000);
}

typedef struct {
    const char *behaviour;
    const char *text;
    unsigned line;
    const char *message;
} Failing;

static const Failing failing[] = {
    /* libsieve says OK, and does what follows. */
    {"syntax_error_is_an_error_with_its_line",
     "require \"fileinto\";\n\nbogus \"x\";\nfileinto \"0\";", 3, "libsieve: "},
    {"question_that_nobody_asked_is_an_error",
     "require \"fileinto\"; if header \"1\" \"x\" {} fileinto \"0\";", 1,
     "libsieve: it asked for what is not in the script"},
    {"action_that_is_no_number_is_an_error", "require \"fileinto\"; fileinto \"x\";", 1,
     "libsieve: it asked for what is not in the script"},
};

static void
check_failing(void **state)
{
    const Failing *row = *state;
    g_autoptr(GArray) actions = g_array_new(FALSE, FALSE, sizeof(guint32));
    g_autoptr(GError) error = NULL;
    unsigned line;

    assert_false(evaluate(row->text, actions, &line, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME));
    if (!g_str_has_prefix(error->message, row->message))
        fail_msg("expected: %s\n    said: %s", row->message, error->message);
    assert_int_equal(line, row->line);
    assert_int_equal(actions->len, 0);
}

int
main(void)
{
    const struct CMUnitTest single[] = {
        TEST(headers_that_crash_libsieve_do_not_reach_its_parser),
        TEST(exponential_pattern_is_ended_and_the_message_kept),
        TEST(script_outside_of_the_subset_fails_and_the_message_is_kept),
        TEST(scripts_of_the_administrator_are_looked_at_too),
        cmocka_unit_test(numbers_of_actions_come_back_in_their_order),
    };
    enum { SINGLE = G_N_ELEMENTS(single), CRASHES = G_N_ELEMENTS(crashes) };
    struct CMUnitTest tests[SINGLE + CRASHES + G_N_ELEMENTS(failing)];

    become_nobody();
    memcpy(tests, single, sizeof single);
    for (size_t i = 0; i < CRASHES; i++)
        tests[SINGLE + i] = (struct CMUnitTest){.name = crashes[i].behaviour,
                                                .test_func = check_crash,
                                                .initial_state = (void *)&crashes[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(failing); i++)
        tests[SINGLE + CRASHES + i] = (struct CMUnitTest){.name = failing[i].behaviour,
                                                          .test_func = check_failing,
                                                          .initial_state = (void *)&failing[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
