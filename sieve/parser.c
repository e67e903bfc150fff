/* sieve/parser.c - the grammar of a script; see parser.h
 *
 *   commands   = *command
 *   command    = identifier arguments (";" / block)
 *   arguments  = *argument [test / test-list]
 *   test       = identifier arguments
 *
 * A recursive descent whose depth SIEVE_MAX_NESTING bounds. A mistake is told where what was
 * expected is missing; then the parser goes on as if it had been there, or behind the next
 * ";" or block. To see a forgotten ";" it looks up what the names mean: by the grammar alone
 * the next command would be a test of the one before.
 *
 * Arguments, strings and tests are gathered on stacks and moved to an arena when their
 * number is known.
 */
#include "sieve/parser.h"

#include "sieve/complaints.h"
#include "sieve/extension.h"
#include "sieve/lexer.h"
#include "sieve/limits.h"

typedef struct {
    SieveLexer lexer;
    SieveArena *arena;   /* of the script: for the tree */
    SieveArena *scratch; /* of the compilation: for what was written */
    GArray *arguments;   /* of SieveArgument */
    GArray *strings;     /* of SieveString */
    GPtrArray *tests;
    unsigned depth;
    unsigned end_line, end_column; /* of the token before the current one */
    bool is_too_deep;              /* told once */
    unsigned mistakes;             /* so far */
    bool is_comma_back;            /* a comma was taken and put back: it is the current token */
} Parser;

static SieveNode *parse_commands(Parser *parser);
static SieveNode *parse_test(Parser *parser);

static SieveTokenKind
kind(const Parser *parser)
{
    return parser->is_comma_back ? SIEVE_TOKEN_COMMA : parser->lexer.token.kind;
}

static void
advance(Parser *parser)
{
    if (parser->is_comma_back) {
        parser->is_comma_back = false;
        return;
    }
    parser->end_line = parser->lexer.token.end_line;
    parser->end_column = parser->lexer.token.end_column;
    sieve_lexer_next(&parser->lexer);
}

static bool
accept(Parser *parser, SieveTokenKind wanted)
{
    if (kind(parser) != wanted)
        return false;
    advance(parser);
    return true;
}

__attribute__((format(printf, 4, 5))) static void
complain_at(Parser *parser, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;

    parser->mistakes++;
    if (sieve_complaints_has_line(parser->lexer.complaints, line))
        return; /* a second mistake in one line is mostly a consequence of the first */
    va_start(args, format);
    sieve_complaints_add_va(parser->lexer.complaints, true, parser->lexer.script_name, line, column,
                            format, args);
    va_end(args);
}

/* How a complaint names the current token. In the scratch memory. */
static const char *
describe(const Parser *parser)
{
    const SieveToken *token = &parser->lexer.token;
    g_autofree char *text = NULL;

    switch (token->kind) {
    case SIEVE_TOKEN_END:
        return "the end of the script";
    case SIEVE_TOKEN_NUMBER:
        return "a number";
    case SIEVE_TOKEN_STRING:
        return "a string";
    case SIEVE_TOKEN_IDENTIFIER:
        text = g_strdup_printf("\"%.40s\"", token->text.bytes);
        break;
    case SIEVE_TOKEN_TAG:
        text = g_strdup_printf("\":%.40s\"", token->text.bytes);
        break;
    default:
        text = g_strdup_printf("\"%c\"", (int)token->kind);
    }
    return sieve_arena_strdup(parser->scratch, text);
}

#define complain_here(parser, ...) \
    complain_at((parser), (parser)->lexer.token.line, (parser)->lexer.token.column, __VA_ARGS__)
#define complain_before(parser, ...) \
    complain_at((parser), (parser)->end_line, (parser)->end_column, __VA_ARGS__)

/* False: the limit is reached; then what stands deeper is skipped. */
static bool
enter(Parser *parser)
{
    if (parser->depth < SIEVE_MAX_NESTING) {
        parser->depth++;
        return true;
    }
    if (!parser->is_too_deep)
        complain_here(parser, "blocks and tests are nested more than %d deep here",
                      SIEVE_MAX_NESTING);
    parser->is_too_deep = true;
    return false;
}

/* ---- recovery ------------------------------------------------------------ */

static bool
starts_command(const Parser *parser)
{
    return kind(parser) == SIEVE_TOKEN_IDENTIFIER &&
           sieve_command_exists(parser->lexer.token.text, false) &&
           !sieve_command_exists(parser->lexer.token.text, true); /* "execute" is both */
}

/* To the ";", "{" or "}" that ends or begins something, or to what is certainly a command. Does not
 * pass it. */
static void
skip_to_end_of_command(Parser *parser)
{
    while (kind(parser) != SIEVE_TOKEN_END && kind(parser) != SIEVE_TOKEN_SEMICOLON &&
           kind(parser) != SIEVE_TOKEN_OPEN_BLOCK && kind(parser) != SIEVE_TOKEN_CLOSE_BLOCK &&
           !starts_command(parser))
        advance(parser);
}

/* To the "," or ")" that ends a test in a list, or to what ends the list by force. */
static void
skip_to_end_of_test(Parser *parser)
{
    unsigned depth = 0;

    while (kind(parser) != SIEVE_TOKEN_END && kind(parser) != SIEVE_TOKEN_SEMICOLON &&
           kind(parser) != SIEVE_TOKEN_OPEN_BLOCK && kind(parser) != SIEVE_TOKEN_CLOSE_BLOCK) {
        if (kind(parser) == SIEVE_TOKEN_OPEN_TESTS)
            depth++;
        if (depth == 0 &&
            (kind(parser) == SIEVE_TOKEN_COMMA || kind(parser) == SIEVE_TOKEN_CLOSE_TESTS))
            return;
        if (kind(parser) == SIEVE_TOKEN_CLOSE_TESTS)
            depth--;
        advance(parser);
    }
}

/* Past the block that begins here, without recursion: it is nested too deeply. */
static void
skip_block(Parser *parser)
{
    unsigned depth = 0;

    do {
        if (kind(parser) == SIEVE_TOKEN_OPEN_BLOCK)
            depth++;
        if (kind(parser) == SIEVE_TOKEN_CLOSE_BLOCK)
            depth--;
        advance(parser);
    } while (depth > 0 && kind(parser) != SIEVE_TOKEN_END);
}

/* ---- arguments ----------------------------------------------------------- */

static void
push_string(Parser *parser)
{
    const SieveToken *token = &parser->lexer.token;
    SieveString string = {.text = token->text, .line = token->line, .column = token->column};

    g_array_append_val(parser->strings, string);
    advance(parser);
}

/* A list with something else in it than strings: told, and passed over. */
static void
skip_list(Parser *parser)
{
    complain_here(parser, "a list holds strings only, and this is %s", describe(parser));
    while (kind(parser) != SIEVE_TOKEN_CLOSE_LIST && kind(parser) != SIEVE_TOKEN_SEMICOLON &&
           kind(parser) != SIEVE_TOKEN_END)
        advance(parser);
    accept(parser, SIEVE_TOKEN_CLOSE_LIST);
}

/* Behind a string in a list: whether another one follows. */
static bool
another_string(Parser *parser)
{
    if (accept(parser, SIEVE_TOKEN_COMMA)) {
        if (kind(parser) == SIEVE_TOKEN_STRING)
            return true;
        if (kind(parser) != SIEVE_TOKEN_CLOSE_LIST) {
            skip_list(parser);
            return false;
        }
        complain_here(parser, "a string is missing between \",\" and \"]\"");
    } else if (kind(parser) == SIEVE_TOKEN_STRING) {
        complain_before(parser, "a comma is missing between two strings of a list");
        return true;
    }
    if (!accept(parser, SIEVE_TOKEN_CLOSE_LIST))
        complain_before(parser, "this list has no end: \"]\" is missing");
    return false;
}

static void
parse_string_list(Parser *parser)
{
    advance(parser);
    if (kind(parser) == SIEVE_TOKEN_CLOSE_LIST) {
        complain_here(parser, "a list of strings cannot be empty");
        advance(parser);
    } else if (kind(parser) != SIEVE_TOKEN_STRING) {
        skip_list(parser);
    } else {
        do
            push_string(parser);
        while (another_string(parser));
    }
}

static void
parse_strings(Parser *parser, SieveArgument *argument)
{
    guint first = parser->strings->len;

    argument->kind = SIEVE_STRINGS;
    argument->is_list = kind(parser) == SIEVE_TOKEN_OPEN_LIST;
    if (argument->is_list)
        parse_string_list(parser);
    else
        push_string(parser);

    guint count = parser->strings->len - first;

    if (count == 0) { /* complained about; a list is never empty in the tree */
        SieveString empty = {
            .text = {.bytes = "", .len = 0}, .line = argument->line, .column = argument->column};

        g_array_append_val(parser->strings, empty);
        count = 1;
    }
    argument->strings = sieve_arena_new0(parser->scratch, SieveString, count);
    argument->string_count = count;
    memcpy(argument->strings, &g_array_index(parser->strings, SieveString, first),
           count * sizeof(SieveString));
    g_array_set_size(parser->strings, first);
}

static bool
parse_argument(Parser *parser)
{
    const SieveToken *token = &parser->lexer.token;
    SieveArgument argument = {.line = token->line, .column = token->column};

    switch (kind(parser)) {
    case SIEVE_TOKEN_NUMBER:
        argument.kind = SIEVE_NUMBER;
        argument.number = token->number;
        advance(parser);
        break;
    case SIEVE_TOKEN_TAG:
        argument.kind = SIEVE_TAG;
        argument.tag = token->text.bytes;
        advance(parser);
        break;
    case SIEVE_TOKEN_STRING:
    case SIEVE_TOKEN_OPEN_LIST:
        parse_strings(parser, &argument);
        break;
    default:
        return false;
    }
    g_array_append_val(parser->arguments, argument);
    return true;
}

/* A comma behind an argument: told, when what follows shows that brackets were forgotten; else put
 * back. */
static bool
skip_comma(Parser *parser)
{
    unsigned line = parser->lexer.token.line, column = parser->lexer.token.column;

    if (!accept(parser, SIEVE_TOKEN_COMMA))
        return false;
    if (kind(parser) != SIEVE_TOKEN_STRING && kind(parser) != SIEVE_TOKEN_OPEN_LIST) {
        parser->is_comma_back = true;
        return false;
    }
    complain_at(parser, line, column,
                "a comma stands between the strings of a list in brackets: [\"a\", \"b\"]; "
                "otherwise leave it out");
    return true;
}

static void
parse_arguments(Parser *parser, SieveWritten *written)
{
    guint first = parser->arguments->len;

    do {
        while (parse_argument(parser))
            ;
    } while (parser->arguments->len > first && skip_comma(parser));
    written->argument_count = parser->arguments->len - first;
    if (written->argument_count > 0) {
        written->arguments =
            sieve_arena_new0(parser->scratch, SieveArgument, written->argument_count);
        memcpy(written->arguments, &g_array_index(parser->arguments, SieveArgument, first),
               written->argument_count * sizeof(SieveArgument));
    }
    g_array_set_size(parser->arguments, first);
}

/* ---- tests --------------------------------------------------------------- */

static SieveNode *
new_node(Parser *parser)
{
    static const SieveArgument *nothing[SIEVE_MAX_POSITIONAL]; /* nobody writes to it */
    SieveNode *node = sieve_arena_new0(parser->arena, SieveNode, 1);

    node->values = nothing;
    node->written = sieve_arena_new0(parser->scratch, SieveWritten, 1);
    node->written->name = parser->lexer.token.text;
    node->line = parser->lexer.token.line;
    node->column = parser->lexer.token.column;
    return node;
}

static void
take_tests(Parser *parser, SieveNode *node, guint first)
{
    node->test_count = parser->tests->len - first;
    node->tests = sieve_arena_new0(parser->arena, SieveNode *, node->test_count);
    if (node->test_count > 0)
        memcpy(node->tests, parser->tests->pdata + first, node->test_count * sizeof(SieveNode *));
    g_ptr_array_set_size(parser->tests, (gint)first);
}

/* One test of a list; something else is told and skipped. */
static void
parse_list_member(Parser *parser)
{
    SieveNode *test = NULL;

    if (kind(parser) == SIEVE_TOKEN_IDENTIFIER) {
        test = parse_test(parser);
    } else {
        complain_here(parser, "a test is expected here, and this is %s", describe(parser));
        skip_to_end_of_test(parser);
    }
    if (test != NULL)
        g_ptr_array_add(parser->tests, test);
}

static void
parse_test_list(Parser *parser, SieveNode *node)
{
    guint first = parser->tests->len;

    node->written->is_test_list = true;
    advance(parser);
    for (;;) {
        parse_list_member(parser);
        if (accept(parser, SIEVE_TOKEN_COMMA))
            continue;
        if (accept(parser, SIEVE_TOKEN_CLOSE_TESTS))
            break;
        if (kind(parser) == SIEVE_TOKEN_IDENTIFIER && !starts_command(parser)) {
            complain_before(parser, "a comma is missing between two tests");
            continue;
        }
        complain_before(parser, "\")\" is missing: this list of tests has no end");
        break;
    }
    take_tests(parser, node, first);
}

/* Whether the identifier here is a test that belongs to node, rather than the next command behind
 * a forgotten ";" or block. */
static bool
takes_this_test(const Parser *parser, const SieveNode *node, bool is_test)
{
    if (starts_command(parser) || sieve_command_takes_no_test(node->written->name, is_test))
        return false;
    return true;
}

/* The test, or list of tests, that follows the arguments of node. */
static void
parse_tests(Parser *parser, SieveNode *node, bool is_test)
{
    bool is_list = kind(parser) == SIEVE_TOKEN_OPEN_TESTS;

    if (!is_list &&
        (kind(parser) != SIEVE_TOKEN_IDENTIFIER || !takes_this_test(parser, node, is_test)))
        return;
    if (!enter(parser)) {
        skip_to_end_of_test(parser);
        return;
    }
    if (is_list) {
        parse_test_list(parser, node);
    } else {
        guint first = parser->tests->len;

        g_ptr_array_add(parser->tests, parse_test(parser));
        take_tests(parser, node, first);
    }
    parser->depth--;
}

static SieveNode *
parse_test(Parser *parser)
{
    SieveNode *node = new_node(parser);
    unsigned mistakes = parser->mistakes;

    advance(parser);
    parse_arguments(parser, node->written);
    parse_tests(parser, node, true);
    node->written->is_broken = parser->mistakes > mistakes;
    return node;
}

/* ---- commands ------------------------------------------------------------ */

static void
parse_block(Parser *parser, SieveNode *node)
{
    unsigned line = parser->lexer.token.line, column = parser->lexer.token.column;

    node->written->has_block = true;
    if (!enter(parser)) {
        skip_block(parser);
        return;
    }
    advance(parser);
    node->block = parse_commands(parser);
    parser->depth--;
    if (!accept(parser, SIEVE_TOKEN_CLOSE_BLOCK))
        complain_at(parser, line, column, "this block has no end: \"}\" is missing");
}

/* "else if" is what other languages write. */
static void
mend_else_if(Parser *parser, SieveNode *node)
{
    if (kind(parser) != SIEVE_TOKEN_IDENTIFIER ||
        g_ascii_strcasecmp(parser->lexer.token.text.bytes, "if") != 0 ||
        g_ascii_strcasecmp(node->written->name.bytes, "else") != 0)
        return;
    complain_at(parser, node->line, node->column, "\"else if\" is written \"elsif\"");
    node->written->name = sieve_text("elsif");
    advance(parser);
}

/* What ends a command is missing, and what was wrong in it is told already. */
static void
skip_end(Parser *parser, SieveNode *node)
{
    skip_to_end_of_command(parser);
    if (kind(parser) == SIEVE_TOKEN_OPEN_BLOCK)
        parse_block(parser, node);
    else
        accept(parser, SIEVE_TOKEN_SEMICOLON);
}

/* What ends a command is missing. */
static void
mend_end(Parser *parser, SieveNode *node)
{
    bool takes_block = sieve_command_takes_block(node->written->name);

    if (node->written->is_broken) {
        skip_end(parser, node);
        return;
    }
    if (kind(parser) == SIEVE_TOKEN_IDENTIFIER || kind(parser) == SIEVE_TOKEN_END ||
        kind(parser) == SIEVE_TOKEN_CLOSE_BLOCK) {
        complain_before(parser,
                        takes_block ? "\"{\" is missing behind the test of \"%.40s\""
                                    : "a semicolon (;) is missing behind \"%.40s\"",
                        node->written->name.bytes);
        node->written->is_broken = takes_block;
        return; /* as if it had been there */
    }
    if (kind(parser) == SIEVE_TOKEN_COMMA && node->test_count > 0)
        complain_here(parser, "a comma stands between tests in parentheses: anyof (..., ...)");
    else if (kind(parser) == SIEVE_TOKEN_CLOSE_TESTS || kind(parser) == SIEVE_TOKEN_CLOSE_LIST)
        complain_here(parser, "this \"%c\" closes nothing", (int)kind(parser));
    else
        complain_here(parser, "%s is not expected here: %s ends \"%.40s\"", describe(parser),
                      takes_block ? "a block in \"{ }\"" : "a semicolon (;)",
                      node->written->name.bytes);
    node->written->is_broken = true;
    skip_end(parser, node);
}

static SieveNode *
parse_command(Parser *parser)
{
    SieveNode *node = new_node(parser);
    unsigned mistakes = parser->mistakes;

    advance(parser);
    mend_else_if(parser, node);
    parse_arguments(parser, node->written);
    parse_tests(parser, node, false);
    node->written->is_broken = parser->mistakes > mistakes;
    if (kind(parser) == SIEVE_TOKEN_OPEN_BLOCK)
        parse_block(parser, node);
    else if (!accept(parser, SIEVE_TOKEN_SEMICOLON))
        mend_end(parser, node);
    return node;
}

/* What cannot begin a command. */
static void
skip_non_command(Parser *parser)
{
    if (kind(parser) == SIEVE_TOKEN_OPEN_BLOCK) {
        complain_here(parser, "a block belongs to a command, such as \"if\"");
        SieveWritten nothing = {0};
        SieveNode ignored = {.written = &nothing};

        parse_block(parser, &ignored);
        return;
    }
    if (kind(parser) == SIEVE_TOKEN_SEMICOLON) {
        complain_here(parser, "this semicolon (;) ends no command");
        advance(parser);
        return;
    }
    complain_here(parser, "a command is expected here, and this is %s", describe(parser));
    while (kind(parser) != SIEVE_TOKEN_IDENTIFIER && kind(parser) != SIEVE_TOKEN_END &&
           kind(parser) != SIEVE_TOKEN_SEMICOLON && kind(parser) != SIEVE_TOKEN_OPEN_BLOCK &&
           kind(parser) != SIEVE_TOKEN_CLOSE_BLOCK)
        advance(parser);
    accept(parser, SIEVE_TOKEN_SEMICOLON);
}

static SieveNode *
parse_commands(Parser *parser)
{
    SieveNode *first = NULL;
    SieveNode **link = &first;

    while (kind(parser) != SIEVE_TOKEN_END && kind(parser) != SIEVE_TOKEN_CLOSE_BLOCK) {
        if (kind(parser) != SIEVE_TOKEN_IDENTIFIER) {
            skip_non_command(parser);
            continue;
        }
        *link = parse_command(parser);
        link = &(*link)->next;
    }
    return first;
}

SieveNode *
sieve_parse(const char *script_name, const char *text, size_t len, SieveArena *arena,
            SieveArena *scratch, GPtrArray *complaints)
{
    g_autoptr(GArray) arguments = g_array_new(FALSE, FALSE, sizeof(SieveArgument));
    g_autoptr(GArray) strings = g_array_new(FALSE, FALSE, sizeof(SieveString));
    g_autoptr(GPtrArray) tests = g_ptr_array_new();
    Parser parser = {.arena = arena,
                     .scratch = scratch,
                     .arguments = arguments,
                     .strings = strings,
                     .tests = tests};
    SieveNode *first = NULL;
    SieveNode **link = &first;

    sieve_lexer_init(&parser.lexer, script_name, text, len, scratch, complaints);
    sieve_lexer_next(&parser.lexer);
    for (;;) {
        *link = parse_commands(&parser);
        while (*link != NULL)
            link = &(*link)->next;
        if (kind(&parser) == SIEVE_TOKEN_END)
            return first;
        complain_here(&parser, "this \"}\" closes nothing");
        advance(&parser);
    }
}
