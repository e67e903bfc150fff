/* sieve/ext_programs.c - "vnd.dovecot.pipe", "vnd.dovecot.filter" and "vnd.dovecot.execute"
 *
 * As Pigeonhole's specification of external programs says. Names and arguments are checked
 * here; which programs there are and how they run is the host's. They exist only where the
 * administrator has set a directory of them. A program that fails changes nothing: the
 * command says so in a warning, the test is false.
 */
#include "sieve/extensions.h"
#include "sieve/limits.h"
#include "sieve/words.h"

static bool
are_available(const SieveSettings *settings)
{
    return settings->programs;
}

/* ---- names and arguments ------------------------------------------------- */

/* Section 3: UTF-8 without controls, line separators and slashes. "." and ".." are no files. */
static bool
is_program_name(SieveText name)
{
    if (name.len == 0 || !g_utf8_validate(name.bytes, (gssize)name.len, NULL) ||
        g_utf8_strlen(name.bytes, (gssize)name.len) > SIEVE_MAX_PROGRAM_NAME ||
        strcmp(name.bytes, ".") == 0 || strcmp(name.bytes, "..") == 0)
        return false;
    for (const char *p = name.bytes; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c < 0x20 || c == '/' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
            return false;
    }
    return true;
}

static void
check_program(SieveCheck *check, SieveNode *node)
{
    const SieveString *name = &node->values[0]->strings[0];
    const SieveArgument *arguments = node->values[1];

    if (name->pieces != NULL)
        sieve_check_error(check, name->line, name->column,
                          "the name of a program cannot hold variables");
    else if (!is_program_name(name->text))
        sieve_check_error(check, name->line, name->column, "\"%s\" cannot name a program",
                          name->text.bytes);
    if (arguments != NULL && arguments->string_count > SIEVE_MAX_PROGRAM_ARGUMENTS)
        sieve_check_error(check, arguments->line, arguments->column,
                          "a program takes at most %d arguments", SIEVE_MAX_PROGRAM_ARGUMENTS);
}

/* The arguments, NULL-terminated; NULL with error when one cannot be passed on. */
static char **
take_arguments(SieveRun *run, const SieveNode *node, GError **error)
{
    size_t count = 0;
    const SieveText *texts =
        node->values[1] == NULL ? NULL : sieve_run_strings(run, node->values[1], &count);
    char **arguments = sieve_arena_new0(sieve_run_arena(run), char *, count + 1);

    for (size_t i = 0; i < count; i++) {
        if (texts[i].len > SIEVE_MAX_PROGRAM_ARGUMENT) {
            (void)sieve_run_fail(run, error, "an argument of a program has more than %d octets",
                                 SIEVE_MAX_PROGRAM_ARGUMENT);
            return NULL;
        }
        arguments[i] =
            (char *)sieve_arena_text(sieve_run_arena(run), texts[i].bytes, texts[i].len).bytes;
        if (strlen(arguments[i]) != texts[i].len || strpbrk(arguments[i], "\r\n") != NULL) {
            (void)sieve_run_fail(run, error, "an argument of a program holds a line end or NUL");
            return NULL;
        }
    }
    return arguments;
}

/* ---- pipe ---------------------------------------------------------------- */

static bool
run_pipe(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_PIPE);

    action->program = (char *)node->values[0]->strings[0].text.bytes;
    action->arguments = take_arguments(run, node, error);
    if (action->arguments == NULL)
        return false;
    action->copy = sieve_node_tag(node, "copy") != NULL;
    action->try = sieve_node_tag(node, "try") != NULL;
    sieve_run_trace(run, node, "pipe \"%s\"", action->program);
    return sieve_action_add(run, action, error);
}

static const SieveCommand pipe_commands[] = {
    {.name = "pipe",
     .traits = SIEVE_TAKES_COPY,
     .signature = "s?S",
     .check = check_program,
     .run = run_pipe},
    {0},
};

static const SieveTag pipe_tags[] = {
    {.name = "try", .commands = {"pipe"}},
    {0},
};

const SieveExtension sieve_ext_vnd_dovecot_pipe = {.name = "vnd.dovecot.pipe",
                                                   .commands = pipe_commands,
                                                   .tags = pipe_tags,
                                                   .is_available = are_available};

/* ---- running them -------------------------------------------------------- */

/* Runs the program of node. *output_out is NULL when it failed; the reason is a warning then. */
static bool
call_program(SieveRun *run, const SieveNode *node, bool is_filter, SieveText input,
             GBytes **output_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    const char *program = node->values[0]->strings[0].text.bytes;
    SieveProgramCall call = {.is_filter = is_filter,
                             .program = program,
                             .arguments = (const char *const *)take_arguments(run, node, error),
                             .input = (const uint8_t *)input.bytes,
                             .input_len = input.len};
    g_autoptr(GBytes) output = NULL;
    int status = 0;

    *output_out = NULL;
    if (call.arguments == NULL || !sieve_run_step(run, 1, error))
        return false;
    if (host->run_program == NULL)
        return sieve_run_fail(run, error, "there is no program \"%s\"", program);
    if (!host->run_program(host->data, &call, &status, &output, error))
        return sieve_run_host_failed(run, error);
    if (sieve_run_is_tracing(run))
        sieve_run_trace(run, node, "program \"%s\" ended with status %d", program, status);
    if (status == 0)
        *output_out = output == NULL ? g_bytes_new_static("", 0) : g_steal_pointer(&output);
    return true;
}

/* As a command: a failure is told, a false test is not worth a word. */
static void
warn_failed(SieveRun *run, const SieveNode *node, bool is_done)
{
    if (!is_done)
        sieve_run_warn(run, node, "program \"%s\" failed: nothing was changed",
                       node->values[0]->strings[0].text.bytes);
}

/* ---- filter -------------------------------------------------------------- */

static bool
test_filter(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    g_autoptr(GBytes) message = sieve_run_whole_message(run), output = NULL;
    SieveText input = {.bytes = g_bytes_get_data(message, NULL), .len = g_bytes_get_size(message)};

    if (!call_program(run, node, true, input, &output, error))
        return false;
    *result_out = output != NULL && g_bytes_get_size(output) > 0;
    return !*result_out || sieve_run_set_message(run, output, error);
}

static bool
run_filter(SieveRun *run, const SieveNode *node, GError **error)
{
    bool is_done;

    if (!test_filter(run, node, &is_done, error))
        return false;
    warn_failed(run, node, is_done);
    return true;
}

static const SieveCommand filter_commands[] = {
    {.name = "filter", .signature = "s?S", .check = check_program, .run = run_filter},
    {.name = "filter",
     .traits = SIEVE_TEST,
     .signature = "s?S",
     .check = check_program,
     .test = test_filter},
    {0},
};

const SieveExtension sieve_ext_vnd_dovecot_filter = {
    .name = "vnd.dovecot.filter", .commands = filter_commands, .is_available = are_available};

/* ---- execute ------------------------------------------------------------- */

/* The name of the variable of :output: data of the node. */
static void
check_execute(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *output = sieve_node_tag(node, "output");

    check_program(check, node);
    if (output == NULL)
        return;
    node->data = sieve_arena_new0(sieve_check_arena(check), SieveText, 1);
    if (!sieve_check_is_required(check, "variables"))
        sieve_check_error(check, output->line, output->column,
                          "\":output\" needs the extension \"variables\"");
    (void)sieve_variable_check_name(check, &output->value->strings[0], node->data);
}

/* At most size octets, between two characters: longer values are cut anyway. */
static SieveText
cut(SieveText text, guint64 size)
{
    if (text.len <= size)
        return text;
    text.len = size;
    while (text.len > 0 && ((unsigned char)text.bytes[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

static bool
test_execute(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    g_autoptr(GBytes) message = NULL, output = NULL;
    SieveText input = {0};

    if (sieve_node_tag(node, "pipe") != NULL) {
        message = sieve_run_whole_message(run);
        input =
            (SieveText){.bytes = g_bytes_get_data(message, NULL), .len = g_bytes_get_size(message)};
    } else {
        (void)sieve_run_tag_text(run, node, "input", &input);
    }
    if (!call_program(run, node, false, input, &output, error))
        return false;
    *result_out = output != NULL;
    if (output != NULL && node->data != NULL) {
        SieveText text = {.bytes = g_bytes_get_data(output, NULL), .len = g_bytes_get_size(output)};
        SieveArena *arena = sieve_run_arena(run);

        text = cut(text, sieve_run_settings(run)->variables_max_size);
        sieve_variable_set(
            run, *(const SieveText *)node->data,
            sieve_text_to_utf8(arena, sieve_arena_text(arena, text.bytes, text.len)));
    }
    return true;
}

static bool
run_execute(SieveRun *run, const SieveNode *node, GError **error)
{
    bool is_done;

    if (!test_execute(run, node, &is_done, error))
        return false;
    warn_failed(run, node, is_done);
    return true;
}

static const SieveCommand execute_commands[] = {
    {.name = "execute", .signature = "s?S", .check = check_execute, .run = run_execute},
    {.name = "execute",
     .traits = SIEVE_TEST,
     .signature = "s?S",
     .check = check_execute,
     .test = test_execute},
    {0},
};

static const SieveTag execute_tags[] = {
    {.name = "input", .commands = {"execute"}, .group = SIEVE_GROUP_1, .argument = 's'},
    {.name = "pipe", .commands = {"execute"}, .group = SIEVE_GROUP_1},
    {.name = "output", .commands = {"execute"}, .argument = 's'},
    {0},
};

const SieveExtension sieve_ext_vnd_dovecot_execute = {.name = "vnd.dovecot.execute",
                                                      .commands = execute_commands,
                                                      .tags = execute_tags,
                                                      .is_available = are_available};
