/* sieve/check.c - from a tree as written to a tree that can be run; see check.h
 *
 *   for each command: its definition -> required? -> arguments (check_bind.c)
 *                     -> its tests -> its own check() -> its block
 *
 * Commands are rows of the extensions' tables. By name this file knows only the control
 * structures of RFC 5228 section 3 and the tests with which they combine, because of
 * "ihave" (RFC 5463): what "if ihave" guards may be unknown here and is not checked then.
 * ihave does not depend on the message, so that this can be decided now; the same answer is
 * given when the script runs.
 */
#include "sieve/check_private.h"
#include "sieve/complaints.h"
#include "sieve/limits.h"

static bool check_commands(SieveCheck *check, SieveNode *first);
static SieveStaticValue check_test(SieveCheck *check, SieveNode *node);

static bool
is_named(const SieveNode *node, const char *name)
{
    return node->command != NULL && strcmp(node->command->name, name) == 0;
}

/* Whether there are so many complaints that no more are kept. */
static bool
is_full(const SieveCheck *check)
{
    return check->complaints->len >= SIEVE_MAX_COMPLAINTS &&
           sieve_complaints_errors(check->complaints) >= SIEVE_MAX_COMPLAINTS;
}

/* ---- extensions ---------------------------------------------------------- */

bool
sieve_check_is_offered(const SieveCheck *check, const SieveExtension *extension)
{
    return extension->refusal == NULL &&
           (extension->is_available == NULL || extension->is_available(check->settings));
}

static unsigned
index_of(const SieveExtension *extension)
{
    unsigned i = 0;

    while (sieve_extensions[i] != extension)
        i++;
    return i;
}

static void
mark_required(SieveCheck *check, const SieveExtension *extension)
{
    unsigned i = index_of(extension);

    if (check->required[i])
        return;
    check->required[i] = true;
    for (const char *const *name = extension->implies; name != NULL && *name != NULL; name++) {
        const SieveExtension *implied = sieve_extension_find(sieve_text(*name));

        if (implied != NULL)
            mark_required(check, implied);
    }
    check->has_variables = sieve_check_is_required(check, "variables");
    check->has_encoded = sieve_check_is_required(check, "encoded-character");
    check->has_global = sieve_check_is_required(check, "include");
    check->has_ihave = sieve_check_is_required(check, "ihave");
}

void
sieve_check_needs(SieveCheck *check, unsigned extension, unsigned line, unsigned column,
                  const char *prefix, const char *name)
{
    const char *owner = sieve_extensions[extension]->name;

    if (check->required[extension] || check->told[extension])
        return;
    check->told[extension] = true;
    if (!sieve_check_is_offered(check, sieve_extensions[extension]))
        sieve_check_error(check, line, column,
                          "\"%s%s\" belongs to the extension \"%s\", which is not offered on this "
                          "server",
                          prefix, name, owner);
    else
        sieve_check_error(check, line, column,
                          "\"%s%s\" needs the extension \"%s\": add require [\"%s\"]; at the top "
                          "of the script",
                          prefix, name, owner, owner);
}

static void
complain_unknown_extension(SieveCheck *check, const SieveString *name)
{
    SieveNearest nearest = sieve_nearest_begin(name->text);

    if (sieve_command_exists(name->text, false) || sieve_command_exists(name->text, true)) {
        size_t count;
        const SieveName *rows = sieve_command_names(name->text, &count);
        const SieveExtension *owner = sieve_extensions[rows[0].extension];

        if (owner->name == NULL)
            sieve_check_error(check, name->line, name->column,
                              "\"%s\" is part of the language: it needs no require",
                              name->text.bytes);
        else
            sieve_check_error(check, name->line, name->column,
                              "\"%s\" belongs to the extension \"%s\": require that one",
                              name->text.bytes, owner->name);
        return;
    }
    for (size_t i = 0; i < check->extension_count; i++)
        if (sieve_extensions[i]->name != NULL && sieve_check_is_offered(check, sieve_extensions[i]))
            sieve_nearest_try(&nearest, sieve_extensions[i]->name);
    if (nearest.name != NULL) {
        sieve_check_error(check, name->line, name->column,
                          "unknown extension \"%.60s\": is \"%s\" meant?", name->text.bytes,
                          nearest.name);
        sieve_check_require(check, nearest.name); /* so that this is told once */
        return;
    }
    sieve_check_error(check, name->line, name->column,
                      "the extension \"%.60s\" is not known on this server", name->text.bytes);
    if (check->unknown == NULL)
        check->unknown = name->text.bytes;
}

static void
require_one(SieveCheck *check, const SieveString *name)
{
    const SieveExtension *extension = sieve_extension_find(name->text);

    if (extension == NULL) {
        complain_unknown_extension(check, name);
        return;
    }
    check->is_outdated = check->is_outdated || extension->refusal != NULL;
    if (extension->refusal != NULL)
        sieve_check_error(check, name->line, name->column, "%s", extension->refusal);
    else if (!sieve_check_is_offered(check, extension))
        sieve_check_error(check, name->line, name->column,
                          "the extension \"%s\" is not offered on this server", extension->name);
    mark_required(check, extension);
}

static void
check_require(SieveCheck *check, const SieveNode *node)
{
    if (check->is_require_over)
        sieve_check_error(check, node->line, node->column,
                          "\"require\" must stand at the top of the script, before any other "
                          "command");
    for (size_t i = 0; i < node->values[0]->string_count && !is_full(check); i++)
        require_one(check, &node->values[0]->strings[i]);
}

/* ---- definitions --------------------------------------------------------- */

/* The row of a command or test: of an extension that is required, or else of one that is not. */
static const SieveName *
find_definition(const SieveCheck *check, SieveText name, bool is_test)
{
    size_t count;
    const SieveName *rows = sieve_command_names(name, &count);
    const SieveName *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (((rows[i].command->traits & SIEVE_TEST) != 0) != is_test)
            continue;
        if (check->required[rows[i].extension])
            return &rows[i];
        if (found == NULL)
            found = &rows[i];
    }
    return found;
}

static void
complain_unknown(SieveCheck *check, const SieveNode *node, bool is_test)
{
    const char *what = is_test ? "test" : "command";
    SieveNearest nearest = sieve_nearest_begin(node->written->name);
    g_autofree char *key = g_strdup_printf("%s %.200s", what, node->written->name.bytes);
    size_t count, tags;
    const SieveName *rows = sieve_all_command_names(&count);

    if (!g_hash_table_add(check->told_names, g_ascii_strdown(key, -1)))
        return;
    if (sieve_command_exists(node->written->name, !is_test)) {
        sieve_check_error(check, node->line, node->column,
                          is_test ? "\"%s\" is a command: a test is expected here"
                                  : "\"%s\" is a test: it stands behind \"if\", as in if %s ... "
                                    "{ ... }",
                          node->written->name.bytes, node->written->name.bytes);
        return;
    }
    (void)sieve_tag_names(node->written->name, &tags);
    for (size_t i = 0; i < count; i++)
        if (((rows[i].command->traits & SIEVE_TEST) != 0) == is_test)
            sieve_nearest_try(&nearest, rows[i].name);
    if (nearest.name != NULL)
        sieve_check_error(check, node->line, node->column, "unknown %s \"%.60s\": is \"%s\" meant?",
                          what, node->written->name.bytes, nearest.name);
    else if (tags > 0)
        sieve_check_error(check, node->line, node->column,
                          "unknown %s \"%s\": is the tag \":%s\" meant?", what,
                          node->written->name.bytes, node->written->name.bytes);
    else if (check->unknown != NULL)
        sieve_check_error(check, node->line, node->column,
                          "unknown %s \"%.60s\": perhaps it belongs to \"%s\", which is not known "
                          "here",
                          what, node->written->name.bytes, check->unknown);
    else
        sieve_check_error(check, node->line, node->column, "unknown %s \"%.60s\"", what,
                          node->written->name.bytes);
}

/* Finds the definition of node. False: there is none, and that was told. */
static bool
define(SieveCheck *check, SieveNode *node, bool is_test)
{
    const SieveName *row = find_definition(check, node->written->name, is_test);

    if (row == NULL) {
        complain_unknown(check, node, is_test);
        return false;
    }
    node->command = row->command;
    sieve_check_needs(check, row->extension, node->line, node->column, "", row->command->name);
    return true;
}

/* ---- tests --------------------------------------------------------------- */

/* Whether node has as many tests as its definition says. */
static bool
check_test_count(SieveCheck *check, const SieveNode *node)
{
    unsigned traits = node->command->traits;
    const char *name = node->command->name;

    if ((traits & SIEVE_TAKES_TESTS) != 0 && !node->written->is_test_list && node->test_count == 1)
        sieve_check_error(check, node->line, node->column,
                          "the tests of \"%s\" stand in parentheses: %s (...)", name, name);
    else if ((traits & (SIEVE_TAKES_TESTS | SIEVE_TAKES_TEST)) != 0 && node->test_count == 0)
        sieve_check_error(check, node->line, node->column, "a test is missing behind \"%s\"", name);
    else if ((traits & SIEVE_TAKES_TEST) != 0 && node->test_count > 1)
        sieve_check_error(check, node->line, node->column,
                          "\"%s\" takes one test: join several with anyof (...) or allof (...)",
                          name);
    else if ((traits & SIEVE_TAKES_TEST) != 0 && node->written->is_test_list)
        sieve_check_error(check, node->line, node->column,
                          "the test of \"%s\" stands without parentheses", name);
    else if ((traits & (SIEVE_TAKES_TESTS | SIEVE_TAKES_TEST)) == 0 && node->test_count > 0)
        sieve_check_error(check, node->tests[0]->line, node->tests[0]->column,
                          "\"%s\" takes no test: is a semicolon (;) missing before \"%.40s\"?",
                          name, node->tests[0]->written->name.bytes);
    else
        return true;
    return false;
}

static SieveStaticValue
negate(SieveStaticValue value)
{
    return value == SIEVE_VALUE_TRUE    ? SIEVE_VALUE_FALSE
           : value == SIEVE_VALUE_FALSE ? SIEVE_VALUE_TRUE
                                        : SIEVE_VALUE_UNKNOWN;
}

/* Checks the tests of a list up to the one that decides it: no later one is ever evaluated. */
static SieveStaticValue
check_list(SieveCheck *check, SieveNode *node, SieveStaticValue deciding)
{
    SieveStaticValue value = negate(deciding);

    for (size_t i = 0; i < node->test_count; i++) {
        SieveStaticValue one = check_test(check, node->tests[i]);

        if (one == deciding && check->has_ihave) {
            node->test_count = i + 1;
            return deciding;
        }
        if (one == SIEVE_VALUE_UNKNOWN)
            value = SIEVE_VALUE_UNKNOWN;
    }
    return value;
}

/* The tests below node. */
static SieveStaticValue
check_tests(SieveCheck *check, SieveNode *node)
{
    if (is_named(node, "anyof"))
        return check_list(check, node, SIEVE_VALUE_TRUE);
    if (is_named(node, "allof"))
        return check_list(check, node, SIEVE_VALUE_FALSE);

    SieveStaticValue value = SIEVE_VALUE_UNKNOWN;

    for (size_t i = 0; i < node->test_count; i++)
        value = check_test(check, node->tests[i]);
    return is_named(node, "not") ? negate(value) : value;
}

/* Calls what extensions add to the checks of a node whose arguments are bound. */
static void
call_checks(SieveCheck *check, SieveNode *node)
{
    for (size_t i = 0; i < node->tag_count; i++)
        if (node->tags[i].tag->check != NULL)
            node->tags[i].tag->check(check, node, &node->tags[i]);
    if (node->command->check != NULL)
        node->command->check(check, node);
}

static SieveStaticValue
check_written_test(SieveCheck *check, SieveNode *node)
{
    if (!define(check, node, true)) {
        (void)check_tests(check, node);
        return SIEVE_VALUE_UNKNOWN;
    }

    bool is_good = sieve_check_bind(check, node);

    is_good = (node->written->is_broken || check_test_count(check, node)) && is_good;

    SieveStaticValue value = check_tests(check, node);

    if (is_named(node, "true"))
        value = SIEVE_VALUE_TRUE;
    else if (is_named(node, "false"))
        value = SIEVE_VALUE_FALSE;
    check->value = SIEVE_VALUE_UNKNOWN;
    if (is_good)
        call_checks(check, node);
    return check->value != SIEVE_VALUE_UNKNOWN ? check->value : value;
}

static SieveStaticValue
check_test(SieveCheck *check, SieveNode *node)
{
    SieveStaticValue value = check_written_test(check, node);

    node->written = NULL;
    return value;
}

/* ---- commands ------------------------------------------------------------ */

static bool
check_block_presence(SieveCheck *check, const SieveNode *node)
{
    bool takes_block = (node->command->traits & SIEVE_TAKES_BLOCK) != 0;

    if (node->written->is_broken || takes_block == node->written->has_block)
        return true;
    sieve_check_error(check, node->line, node->column,
                      takes_block ? "\"%s\" must be followed by a block: { ... }"
                                  : "\"%s\" takes no block: it ends with a semicolon (;)",
                      node->command->name);
    return false;
}

/* The branches of one if, elsif, else, as they are met. */
typedef struct {
    bool is_open;     /* an elsif or else may follow */
    bool is_decided;  /* a branch before is always taken: later ones never are */
    bool is_excluded; /* no branch before is ever taken */
} Chain;

/* RFC 5228 section 3.1: "an elsif or else MUST only follow an if or elsif". */
static void
check_chain(SieveCheck *check, const SieveNode *node, Chain *chain)
{
    bool is_first = is_named(node, "if");
    bool is_later = is_named(node, "elsif") || is_named(node, "else");

    if (is_later && !chain->is_open)
        sieve_check_error(check, node->line, node->column,
                          "\"%s\" must follow the block of \"if\" or \"elsif\"",
                          node->command->name);
    if (!is_later)
        *chain = (Chain){.is_excluded = true};
    chain->is_open = is_first || is_named(node, "elsif") || (is_later && !chain->is_open);
}

/* Walks the block of node. True: nothing behind node is ever reached. */
static bool
check_block(SieveCheck *check, SieveNode *node, SieveStaticValue value, Chain *chain)
{
    bool is_branch = is_named(node, "if") || is_named(node, "elsif") || is_named(node, "else");
    bool is_always = is_branch && (is_named(node, "else") || value == SIEVE_VALUE_TRUE);
    bool ends;

    if (is_branch && check->has_ihave && value == SIEVE_VALUE_FALSE) {
        node->block = NULL;
        return false;
    }
    g_ptr_array_add(check->enclosing, node);
    ends = check_commands(check, node->block);
    g_ptr_array_set_size(check->enclosing, (gint)check->enclosing->len - 1);
    if (!check->has_ihave)
        return false;

    bool is_end = ends && is_always && chain->is_excluded;

    chain->is_decided = chain->is_decided || is_always;
    chain->is_excluded = false;
    return is_end;
}

/* Of a branch that is never reached only the name is needed: the evaluator passes over it. */
static bool
is_dead_branch(SieveNode *node, const Chain *chain)
{
    if (!chain->is_decided || !(is_named(node, "elsif") || is_named(node, "else")))
        return false;
    node->block = NULL;
    node->test_count = 0;
    return true;
}

/* The commands that end a script, for what "if not ihave ... { stop; }" guards. */
static bool
ends_script(const SieveNode *node)
{
    return is_named(node, "stop") || is_named(node, "return") || is_named(node, "error");
}

/* True: nothing behind node is ever reached. */
static bool
check_written_command(SieveCheck *check, SieveNode *node, Chain *chain)
{
    if (!define(check, node, false)) {
        (void)check_tests(check, node);
        *chain = (Chain){.is_open = true}; /* perhaps it was to be an "if" */
        check->is_require_over = true;
        (void)check_block(check, node, SIEVE_VALUE_UNKNOWN, chain);
        return false;
    }
    if (is_dead_branch(node, chain))
        return false;
    check_chain(check, node, chain);

    bool is_good = sieve_check_bind(check, node);

    is_good = (node->written->is_broken || check_test_count(check, node)) && is_good;
    is_good = check_block_presence(check, node) && is_good;
    if (is_named(node, "require")) {
        if (is_good)
            check_require(check, node);
        return false;
    }
    check->is_require_over = true;

    SieveStaticValue value = check_tests(check, node);

    if (is_good)
        call_checks(check, node);
    return node->written->has_block && check_block(check, node, value, chain);
}

/* True: nothing behind node is ever reached. */
static bool
check_command(SieveCheck *check, SieveNode *node, Chain *chain)
{
    bool is_end = check_written_command(check, node, chain);

    node->written = NULL;
    return is_end;
}

/* True: the commands always end the script. */
static bool
check_commands(SieveCheck *check, SieveNode *first)
{
    Chain chain = {0};
    bool ends = false;

    for (SieveNode *node = first; node != NULL && !is_full(check); node = node->next) {
        if (check_command(check, node, &chain)) {
            node->next = NULL; /* what is never reached was not checked */
            return true;
        }
        ends = ends || ends_script(node);
    }
    return ends;
}

/* ---- the script ---------------------------------------------------------- */

static const char *const *
list_required(const SieveCheck *check)
{
    const char **all = sieve_arena_new0(check->scratch, const char *, check->extension_count);
    size_t count = 0;

    for (size_t i = 0; i < check->extension_count; i++)
        if (check->required[i] && sieve_extensions[i]->name != NULL)
            all[count++] = sieve_extensions[i]->name;

    const char **names = sieve_arena_new0(check->arena, const char *, count + 1);

    memcpy(names, all, count * sizeof *all);
    return names;
}

void
sieve_check_tree(SieveNode *first, const char *script_name, const SieveSettings *settings,
                 SieveArena *arena, SieveArena *scratch, GPtrArray *complaints,
                 SieveChecked *checked_out)
{
    g_autoptr(GHashTable) told_names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) variables = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) enclosing = g_ptr_array_new();
    g_autoptr(GArray) includes = g_array_new(FALSE, FALSE, sizeof(SieveInclude));
    SieveCheck check = {.script_name = script_name,
                        .settings = settings,
                        .arena = arena,
                        .scratch = scratch,
                        .complaints = complaints,
                        .told_names = told_names,
                        .variables = variables,
                        .enclosing = enclosing,
                        .includes = includes};

    while (sieve_extensions[check.extension_count] != NULL)
        check.extension_count++;
    check.required = sieve_arena_new0(scratch, bool, check.extension_count);
    check.told = sieve_arena_new0(scratch, bool, check.extension_count);
    for (size_t i = 0; i < check.extension_count; i++)
        check.required[i] = sieve_extensions[i]->name == NULL; /* the core */
    (void)check_commands(&check, first);

    checked_out->requires = list_required(&check);
    checked_out->include_count = includes->len;
    checked_out->includes = sieve_arena_new0(arena, SieveInclude, includes->len);
    if (includes->len > 0)
        memcpy(checked_out->includes, includes->data, includes->len * sizeof(SieveInclude));
}

/* ---- what extensions ask ------------------------------------------------- */

void
sieve_check_error(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sieve_complaints_add_va(check->complaints, true, check->script_name, line, column, format,
                            args);
    va_end(args);
}

void
sieve_check_warning(SieveCheck *check, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sieve_complaints_add_va(check->complaints, false, check->script_name, line, column, format,
                            args);
    va_end(args);
}

SieveArena *
sieve_check_arena(SieveCheck *check)
{
    return check->arena;
}

SieveArena *
sieve_check_scratch(SieveCheck *check)
{
    return check->scratch;
}

const SieveSettings *
sieve_check_settings(const SieveCheck *check)
{
    return check->settings;
}

bool
sieve_check_is_required(const SieveCheck *check, const char *name)
{
    const SieveExtension *extension = sieve_extension_find(sieve_text(name));

    return extension != NULL && check->required[index_of(extension)];
}

bool
sieve_check_is_known(const SieveCheck *check, SieveText name)
{
    const SieveExtension *extension = sieve_extension_find(name);

    return extension != NULL && sieve_check_is_offered(check, extension);
}

void
sieve_check_require(SieveCheck *check, const char *name)
{
    const SieveExtension *extension = sieve_extension_find(sieve_text(name));

    if (extension != NULL)
        mark_required(check, extension);
}

void
sieve_check_set_value(SieveCheck *check, bool value)
{
    check->value = value ? SIEVE_VALUE_TRUE : SIEVE_VALUE_FALSE;
}

bool
sieve_check_constant(SieveCheck *check, const SieveArgument *argument, const char *what)
{
    for (size_t i = 0; i < argument->string_count; i++) {
        const SieveString *string = &argument->strings[i];

        if (string->pieces == NULL)
            continue;
        sieve_check_error(check, string->line, string->column,
                          "%s cannot come from a variable: write it out", what);
        return false;
    }
    return true;
}

const SieveNode *
sieve_check_enclosing_node(const SieveCheck *check, const char *command, unsigned depth)
{
    for (guint i = check->enclosing->len; i > 0; i--) {
        const SieveNode *node = check->enclosing->pdata[i - 1];

        if (is_named(node, command) && depth-- == 0)
            return node;
    }
    return NULL;
}

unsigned
sieve_check_enclosing(const SieveCheck *check, const char *command)
{
    unsigned count = 0;

    while (sieve_check_enclosing_node(check, command, count) != NULL)
        count++;
    return count;
}

void
sieve_check_add_include(SieveCheck *check, SieveInclude include)
{
    g_array_append_val(check->includes, include);
}

/* ---- variables ----------------------------------------------------------- */

void
sieve_check_set_variable(SieveCheck *check, SieveText name)
{
    g_hash_table_add(check->variables, (char *)name.bytes);
}

bool
sieve_check_was_set(const SieveCheck *check, SieveText name)
{
    return g_hash_table_contains(check->variables, name.bytes);
}
