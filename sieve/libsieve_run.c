/* sieve/libsieve_run.c - a script put in the words of libsieve; see libsieve.h
 *
 *   if address :domain "from" "example.com"      if header :is "0" "example.com"
 *   { fileinto "Work"; }                         { fileinto "0"; }
 *   elsif size :over 1M { discard; }             elsif size :over 1048576 { fileinto "1"; }
 *
 * libsieve decides which way a script goes, and it compares. All else stays here, for what it
 * reads itself it reads badly: strings with escapes, addresses (its parser crashes, and loses
 * those of "John Q. Public"), the null sender, reject and vacation. What a test looks at, our
 * own test finds; libsieve is given it as the values of a header field. An action is a number,
 * and our own command carries it out: to go wrong, libsieve can but choose the wrong ones of the
 * script. There are no loops, so their numbers only grow.
 */
#include "sieve/libsieve.h"

#include "sieve/extension.h"
#include "sieve/run_private.h"

typedef struct {
    SieveRun *run;
    GString *text;
    unsigned line;      /* of the end of text: that of the script, so that errors are at home */
    GPtrArray *fields;  /* of GPtrArray: values */
    GPtrArray *actions; /* of SieveNode */
} Restating;

/* ---- what tests look at -------------------------------------------------- */

bool
sieve_libsieve_collect(SieveRun *run, SieveText value, GError **error)
{
    if (memchr(value.bytes, '\0', value.len) != NULL)
        return sieve_run_fail(run, error, "the message has NUL in what is to be compared");
    if (!sieve_run_step(run, 1, error) || !sieve_arena_room(run->arena, value.len, error))
        return false;
    g_ptr_array_add(run->collected,
                    (char *)sieve_arena_text(run->arena, value.bytes, value.len).bytes);
    return true;
}

/* A field of that number follows in fields. */
static GPtrArray *
begin_field(Restating *restating)
{
    GPtrArray *values = g_ptr_array_new();

    g_string_append_printf(restating->text, "\"%u\"", restating->fields->len);
    g_ptr_array_add(restating->fields, values);
    return values;
}

/* header, address and envelope: their own code finds the values. */
static bool
restate_values(Restating *restating, const SieveNode *test, GError **error)
{
    SieveRun *run = restating->run;
    GPtrArray *values = begin_field(restating);
    bool result, done;

    run->line = test->line;
    run->collected = values;
    done = test->command->test(run, test, &result, error);
    run->collected = NULL;
    g_ptr_array_add(values, NULL);
    return done;
}

static void
restate_names(Restating *restating, const SieveNode *exists)
{
    const SieveArgument *names = exists->values[0];
    SieveMessage *message = restating->run->message;

    for (size_t i = 0; i < names->string_count; i++) {
        size_t position = 0;

        g_string_append_c(restating->text, i == 0 ? '[' : ',');
        GPtrArray *values = begin_field(restating);

        if (sieve_message_next_field(message, names->strings[i].text, &position) != NULL)
            g_ptr_array_add(values, "");
        g_ptr_array_add(values, NULL);
    }
    g_string_append_c(restating->text, ']');
}

/* ---- the script ---------------------------------------------------------- */

static void
go_to_line(Restating *restating, unsigned line)
{
    for (; restating->line < line; restating->line++)
        g_string_append_c(restating->text, '\n');
}

/* The subset sees to it that nothing in a key needs an escape. */
static void
restate_keys(Restating *restating, const SieveArgument *keys)
{
    for (size_t i = 0; i < keys->string_count; i++) {
        SieveText key = keys->strings[i].text;

        g_string_append(restating->text, i == 0 ? "[\"" : ",\"");
        g_string_append_len(restating->text, key.bytes, (gssize)key.len);
        g_string_append_c(restating->text, '"');
        for (size_t k = 0; k < key.len; k++)
            restating->line += key.bytes[k] == '\n';
    }
    g_string_append_c(restating->text, ']');
}

static const char *
match_type(const SieveMatcher *matcher)
{
    switch (matcher->type) {
    case SIEVE_MATCH_CONTAINS:
        return "contains";
    case SIEVE_MATCH_MATCHES:
        return "matches";
    case SIEVE_MATCH_REGEX:
        return "regex";
    default:
        g_assert(matcher->type == SIEVE_MATCH_IS);
        return "is";
    }
}

static bool
restate_test(Restating *restating, const SieveNode *test, GError **error)
{
    const char *name = test->command->name;

    go_to_line(restating, test->line);
    if (test->matcher != NULL) {
        g_string_append_printf(restating->text, "header :%s :comparator \"%s\" ",
                               match_type(test->matcher), test->matcher->comparator->name);
        if (!restate_values(restating, test, error))
            return false;
        restate_keys(restating, test->values[1]);
        return true;
    }
    g_string_append_printf(restating->text, "%s ", name);
    if (strcmp(name, "exists") == 0)
        restate_names(restating, test);
    if (strcmp(name, "size") == 0)
        g_string_append_printf(restating->text, ":%s %" G_GUINT64_FORMAT, test->tags[0].tag->name,
                               test->values[0]->number);
    bool is_list = (test->command->traits & SIEVE_TAKES_TESTS) != 0;

    for (size_t i = 0; i < test->test_count; i++) {
        if (is_list)
            g_string_append_c(restating->text, i == 0 ? '(' : ',');
        if (!restate_test(restating, test->tests[i], error))
            return false;
    }
    if (is_list)
        g_string_append_c(restating->text, ')');
    return true;
}

static bool
restate_commands(Restating *restating, const SieveNode *node, GError **error)
{
    for (; node != NULL; node = node->next) {
        const char *name = node->command->name;

        go_to_line(restating, node->line);
        if ((node->command->traits & SIEVE_IS_CONTROL) == 0) {
            g_string_append_printf(restating->text, "fileinto \"%u\";", restating->actions->len);
            g_ptr_array_add(restating->actions, (SieveNode *)node);
        } else if (strcmp(name, "stop") == 0) {
            g_string_append(restating->text, "stop;");
        } else if (strcmp(name, "require") != 0) { /* if, elsif, else */
            g_string_append_printf(restating->text, "%s ", name);
            for (size_t i = 0; i < node->test_count; i++) {
                if (!restate_test(restating, node->tests[i], error))
                    return false;
            }
            g_string_append_c(restating->text, '{');
            if (!restate_commands(restating, node->block, error))
                return false;
            g_string_append_c(restating->text, '}');
        }
    }
    return true;
}

static bool
restate(Restating *restating, const SieveScript *script, GError **error)
{
    g_string_append(restating->text, "require [\"fileinto\",\"regex\"];");
    if (!restate_commands(restating, sieve_script_first(script), error))
        return false;
    g_string_append(restating->text, "stop;"); /* it wants one command at least */
    return true;
}

/* ---- the answer ---------------------------------------------------------- */

static bool
carry_back(Restating *restating, const GArray *numbers, GError **error)
{
    SieveRun *run = restating->run;

    for (guint i = 0; i < numbers->len; i++) {
        guint32 number = g_array_index(numbers, guint32, i);

        if (number >= restating->actions->len ||
            (i > 0 && number <= g_array_index(numbers, guint32, i - 1)))
            return sieve_run_fail(run, error, "libsieve has answered what cannot be");

        const SieveNode *node = restating->actions->pdata[number];

        run->line = node->line;
        if (!node->command->run(run, node, error))
            return false;
    }
    return true;
}

static bool
ask(Restating *restating, GError **error)
{
    SieveRun *run = restating->run;
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(guint32));
    const char ***fields = sieve_arena_new0(run->arena, const char **, restating->fields->len + 1);
    SieveLibsieveTask task = {
        .text = restating->text->str,
        .fields = (const char *const *const *)fields,
        .field_count = restating->fields->len,
        .size = run->input->virtual_size,
        .max_cpu_time = run->settings->max_cpu_time,
        .actions = numbers,
        .line = 1,
    };

    for (guint i = 0; i < restating->fields->len; i++)
        fields[i] = (const char **)((GPtrArray *)restating->fields->pdata[i])->pdata;
    if (!run->host->libsieve(run->host->data, &task, error)) {
        run->line = task.line;
        return sieve_run_host_failed(run, error);
    }
    return carry_back(restating, numbers, error);
}

bool
sieve_libsieve_eval(SieveRun *run, const SieveScript *script, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GPtrArray) actions = g_ptr_array_new();
    Restating restating = {
        .run = run, .text = text, .line = 1, .fields = fields, .actions = actions};

    if (run->input->virtual_size > G_MAXINT)
        return sieve_run_fail(run, error, "the message is too large for libsieve");
    return restate(&restating, script, error) && ask(&restating, error);
}
