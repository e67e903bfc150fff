/* sieve/ext_foreverypart.c - "foreverypart" with break, and "extracttext" (RFC 5703 sections 3, 7)
 *
 * A loop keeps the number of its part, not the part: loop.h.
 */
#include "sieve/loop.h"

#include "sieve/extensions.h"
#include "sieve/mime.h"

SievePart *
sieve_run_part(SieveRun *run)
{
    SieveLoop *loop = sieve_run_mime_state(run)->loop;

    return loop == NULL ? NULL : sieve_mime_part(sieve_run_mime(run), loop->current);
}

void
sieve_loop_skip_children(SieveRun *run)
{
    SieveLoop *loop = sieve_run_mime_state(run)->loop;

    if (loop != NULL)
        loop->next = sieve_part_end(sieve_run_part(run));
}

void
sieve_loop_shift(SieveRun *run, size_t count)
{
    for (SieveLoop *loop = sieve_run_mime_state(run)->loop; loop != NULL; loop = loop->outer) {
        loop->root += count;
        loop->current += count;
        loop->next += count;
    }
}

/* ---- foreverypart and break ---------------------------------------------- */

/* The next part of the innermost loop becomes the current one; false: it was the last. */
static bool
advance(SieveRun *run)
{
    SieveLoop *loop = sieve_run_mime_state(run)->loop;
    SieveMime *mime = sieve_run_mime(run);
    SievePart *root = sieve_mime_part(mime, loop->root);

    if (root == NULL || loop->next >= sieve_part_end(root))
        return false;
    loop->current = loop->next++;
    return true;
}

/* Whether break, stop or return end this loop; the flow goes on behind it when it was this
 * one that break meant. */
static bool
is_left(SieveRun *run, const SieveNode *node)
{
    SieveRunMime *state = sieve_run_mime_state(run);
    SieveFlow flow = sieve_run_flow(run);

    if (flow == SIEVE_FLOW_BREAK && state->breaking == node) {
        state->breaking = NULL;
        sieve_run_set_flow(run, SIEVE_FLOW_ON);
    }
    return flow != SIEVE_FLOW_ON;
}

static bool
run_foreverypart(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveRunMime *state = sieve_run_mime_state(run);
    SieveLoop *outer = state->loop;
    SieveLoop loop = {.outer = outer, .node = node};
    bool is_good = true;

    if (outer != NULL) {
        loop.root = outer->current;
        loop.next = outer->current + 1;
    }
    state->loop = &loop;
    while (is_good && advance(run)) {
        is_good = sieve_run_step(run, 1, error) && sieve_eval_block(run, node->block, error);
        if (is_good && is_left(run, node))
            break;
    }
    state->loop = outer;
    return is_good;
}

/* The name of a loop or break; NULL: it has none. */
static const SieveString *
name_of(const SieveNode *node)
{
    const SieveBoundTag *tag = sieve_node_tag(node, "name");

    return tag == NULL ? NULL : &tag->value->strings[0];
}

static void
check_name(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    (void)node;
    if (bound->value->strings[0].pieces != NULL)
        sieve_check_error(check, bound->line, bound->column,
                          "the name of a loop cannot hold variables");
}

/* The loop that a break ends: data of its node. */
static void
check_break(SieveCheck *check, SieveNode *node)
{
    const SieveString *name = name_of(node);
    const SieveNode *loop;

    for (unsigned depth = 0;
         (loop = sieve_check_enclosing_node(check, "foreverypart", depth)) != NULL; depth++) {
        const SieveString *loop_name = name_of(loop);

        if (name == NULL || (loop_name != NULL && sieve_text_equal(name->text, loop_name->text))) {
            node->data = (void *)loop;
            return;
        }
    }
    if (name == NULL)
        sieve_check_error(check, node->line, node->column,
                          "\"break\" stands outside of any \"foreverypart\"");
    else
        sieve_check_error(check, name->line, name->column,
                          "no \"foreverypart\" around this \"break\" is named \"%s\"",
                          name->text.bytes);
}

static bool
run_break(SieveRun *run, const SieveNode *node, GError **error)
{
    (void)error;
    sieve_run_mime_state(run)->breaking = node->data;
    sieve_run_set_flow(run, SIEVE_FLOW_BREAK);
    return true;
}

static const SieveCommand commands[] = {
    {.name = "foreverypart", .traits = SIEVE_TAKES_BLOCK, .signature = "", .run = run_foreverypart},
    {.name = "break", .signature = "", .check = check_break, .run = run_break},
    {0},
};

static const SieveTag tags[] = {
    {.name = "name", .commands = {"foreverypart", "break"}, .argument = 's', .check = check_name},
    {0},
};

const SieveExtension sieve_ext_foreverypart = {
    .name = "foreverypart", .commands = commands, .tags = tags};

/* ---- extracttext --------------------------------------------------------- */

/* The name of the variable: data of the node. */
static void
check_extracttext(SieveCheck *check, SieveNode *node)
{
    SieveText *name = sieve_arena_new0(sieve_check_arena(check), SieveText, 1);

    node->data = name;
    if (!sieve_check_is_required(check, "variables"))
        sieve_check_error(check, node->line, node->column,
                          "\"extracttext\" needs the extension \"variables\"");
    else if (sieve_check_enclosing(check, "foreverypart") == 0)
        sieve_check_error(check, node->line, node->column,
                          "\"extracttext\" stands outside of any \"foreverypart\"");
    (void)sieve_variable_check_name(check, &node->values[0]->strings[0], name);
}

/* The first characters of UTF-8. */
static SieveText
first_characters(SieveArena *arena, SieveText text, guint64 characters)
{
    const char *p = text.bytes, *end = text.bytes + text.len;

    for (; p < end && characters > 0; characters--)
        p += g_utf8_skip[(unsigned char)*p];
    return sieve_arena_text(arena, text.bytes, (size_t)(MIN(p, end) - text.bytes));
}

/* RFC 5703 section 7: what is no text, or cannot be decoded, is the empty string. */
static bool
run_extracttext(SieveRun *run, const SieveNode *node, GError **error)
{
    const SieveText *name = node->data;
    const SieveBoundTag *first = sieve_node_tag(node, "first");
    SievePart *part = sieve_run_part(run);
    SieveText text = sieve_text("");
    bool is_sound = false;

    if (part != NULL && sieve_part_is_text(part) &&
        !sieve_part_content(part, &text, &is_sound, error))
        return false;
    if (!is_sound)
        text = sieve_text("");
    /* Pieces of the message are not NUL-terminated; values are. */
    text = first_characters(sieve_run_arena(run), text,
                            first == NULL ? G_MAXUINT64 : first->value->number);
    sieve_variable_set(run, *name, sieve_variable_modify(run, node, text));
    return true;
}

static const SieveCommand extracttext_commands[] = {
    {.name = "extracttext", .signature = "s", .check = check_extracttext, .run = run_extracttext},
    {0},
};

static const SieveTag extracttext_tags[] = {
    {.name = "first", .commands = {"extracttext"}, .argument = 'n'},
    {0},
};

const SieveExtension sieve_ext_extracttext = {
    .name = "extracttext", .commands = extracttext_commands, .tags = extracttext_tags};
