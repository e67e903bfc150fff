/* sieve/ext_include.c - "include": include, return and global (RFC 6609)
 *
 * The host finds scripts by name; a name never has a part of a path. An included script has
 * variables of its own; those declared "global", and "${global.x}", are shared (variables.c).
 * A script that includes itself, at whatever distance, is an error when it happens.
 */
#include "sieve/extensions.h"
#include "sieve/run_private.h"

/* ---- include ------------------------------------------------------------- */

/* RFC 5804 section 1.6: no control characters, no line separators; and, since names become
 * files, no slash. */
static bool
is_script_name(SieveText name)
{
    const char *end = name.bytes + name.len;

    if (name.len == 0 || name.len > 512 || !g_utf8_validate_len(name.bytes, name.len, NULL))
        return false;
    for (const char *p = name.bytes; p < end; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == '/')
            return false;
    }
    return name.bytes[0] != '.';
}

static SieveIncludeFrom
location(const SieveNode *node)
{
    return sieve_node_tag(node, "global") != NULL ? SIEVE_INCLUDE_GLOBAL : SIEVE_INCLUDE_PERSONAL;
}

static void
check_include(SieveCheck *check, SieveNode *node)
{
    const SieveString *name = &node->values[0]->strings[0];

    if (!sieve_check_constant(check, node->values[0], "the name of an included script"))
        return;
    if (!is_script_name(name->text)) {
        sieve_check_error(check, name->line, name->column,
                          "\"%.100s\" cannot be the name of a script", name->text.bytes);
        return;
    }
    sieve_check_add_include(check,
                            (SieveInclude){.from = location(node),
                                           .name = name->text.bytes,
                                           .optional = sieve_node_tag(node, "optional") != NULL,
                                           .once = sieve_node_tag(node, "once") != NULL,
                                           .line = node->line,
                                           .column = node->column});
}

static bool
is_running(const SieveRun *run, const SieveScript *script)
{
    for (const SieveScope *scope = run->scope; scope != NULL; scope = scope->outer)
        if (scope->script == script)
            return true;
    return false;
}

/* NULL with no error: the host has no such script, or it does not compile. */
static bool
find_script(SieveRun *run, const SieveNode *node, SieveScript **script_out, GPtrArray *complaints,
            GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    const char *name = node->values[0]->strings[0].text.bytes;

    *script_out = NULL;
    if (host->include != NULL &&
        !host->include(host->data, location(node), name, script_out, complaints, error))
        return sieve_run_host_failed(run, error);
    return true;
}

/* Why there is no script to include. */
static bool
fail_without_script(SieveRun *run, const SieveNode *node, const GPtrArray *complaints,
                    GError **error)
{
    const char *name = node->values[0]->strings[0].text.bytes;

    for (guint i = 0; i < complaints->len; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];

        if (complaint->is_error)
            return sieve_run_fail(run, error,
                                  "the included script \"%.100s\" has an error: "
                                  "line %u: %s",
                                  name, complaint->line, complaint->text);
    }
    if (sieve_node_tag(node, "optional") != NULL) {
        sieve_run_trace(run, node, "include \"%.100s\": there is none, which is allowed", name);
        return true;
    }
    return sieve_run_fail(run, error, "there is no %s script \"%.100s\" to include",
                          location(node) == SIEVE_INCLUDE_GLOBAL ? "global" : "personal", name);
}

static bool
run_include(SieveRun *run, const SieveNode *node, GError **error)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(SieveScript) script = NULL;
    bool once = sieve_node_tag(node, "once") != NULL;

    if (!find_script(run, node, &script, complaints, error))
        return false;
    if (script == NULL)
        return fail_without_script(run, node, complaints, error);
    if (is_running(run, script)) {
        if (once)
            return true; /* RFC 6609 section 3.2: it counts as included already */
        return sieve_run_fail(run, error, "the script \"%.100s\" includes itself",
                              sieve_script_name(script));
    }
    sieve_run_trace(run, node, "include \"%.100s\"", sieve_script_name(script));
    return sieve_run_include(run, script, once, error);
}

/* ---- return and global --------------------------------------------------- */

static bool
run_return(SieveRun *run, const SieveNode *node, GError **error)
{
    (void)error;
    sieve_run_trace(run, node, "return");
    sieve_run_set_flow(run, SIEVE_FLOW_RETURN);
    return true;
}

static SieveText
lower_name(SieveCheck *check, SieveText name)
{
    g_autofree char *lower = g_ascii_strdown(name.bytes, (gssize)name.len);

    return sieve_arena_text(sieve_check_arena(check), lower, name.len);
}

/* The names in lower case become node->data, for run_global(). */
static void
check_global(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *names = node->values[0];
    SieveText *lower = sieve_arena_new0(sieve_check_arena(check), SieveText, names->string_count);

    if (!sieve_check_is_required(check, "variables")) {
        sieve_check_error(check, node->line, node->column,
                          "\"global\" needs the extension \"variables\" too: add require "
                          "[\"variables\"]; at the top of the script");
        return;
    }
    if (!sieve_check_constant(check, names, "the name of a variable"))
        return;
    for (size_t i = 0; i < names->string_count; i++) {
        const SieveString *name = &names->strings[i];

        lower[i] = lower_name(check, name->text);
        if (!sieve_is_variable_name(name->text))
            sieve_check_error(check, name->line, name->column,
                              "\"%.100s\" cannot be the name of a global variable: it has letters, "
                              "digits and \"_\" only, and does not begin with a digit",
                              name->text.bytes);
        else if (sieve_check_was_set(check, lower[i]))
            sieve_check_error(check, name->line, name->column,
                              "the variable \"%s\" was set before: \"global\" must stand in front "
                              "of that",
                              lower[i].bytes);
    }
    node->data = lower;
}

static bool
run_global(SieveRun *run, const SieveNode *node, GError **error)
{
    const SieveText *names = node->data;

    (void)error;
    for (size_t i = 0; i < node->values[0]->string_count; i++)
        sieve_variable_make_global(run, names[i]);
    return true;
}

static const SieveCommand commands[] = {
    {.name = "include", .signature = "s", .check = check_include, .run = run_include},
    {.name = "return", .signature = "", .run = run_return},
    {.name = "global", .signature = "S", .check = check_global, .run = run_global},
    {.name = NULL},
};

static const SieveTag tags[] = {
    {.name = "personal", .commands = {"include"}, .group = SIEVE_GROUP_1},
    {.name = "global", .commands = {"include"}, .group = SIEVE_GROUP_1},
    {.name = "once", .commands = {"include"}},
    {.name = "optional", .commands = {"include"}},
    {.name = NULL},
};

const SieveExtension sieve_ext_include = {
    .name = "include",
    .commands = commands,
    .tags = tags,
};
