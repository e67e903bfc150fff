/* sieve/trace.c - a test as people read it in a trace
 *
 *   header :contains "subject" ["offer", "win"]
 *
 * As the script wrote it, on one line, long lists and strings cut. Values are traced by
 * matching.c, results by eval.c.
 */
#include "sieve/extension.h"
#include "sieve/run_private.h"

enum { SHOWN_STRINGS = 4, SHOWN_OCTETS = 60 };

void
sieve_trace_quote(GString *out, SieveText text)
{
    size_t len = MIN(text.len, (size_t)SHOWN_OCTETS);

    while (len > 0 && len < text.len && ((uint8_t)text.bytes[len] & 0xC0) == 0x80)
        len--;
    g_string_append_c(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text.bytes[i] == '"' || text.bytes[i] == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, (uint8_t)text.bytes[i] < ' ' ? ' ' : text.bytes[i]);
    }
    g_string_append(out, len < text.len ? "...\"" : "\"");
}

static void
append_strings(GString *out, const SieveArgument *argument)
{
    g_string_append(out, argument->is_list ? "[" : "");
    for (size_t i = 0; i < argument->string_count; i++) {
        if (i > 0)
            g_string_append(out, ", ");
        if (i == SHOWN_STRINGS) {
            g_string_append(out, "...");
            break;
        }
        sieve_trace_quote(out, argument->strings[i].text);
    }
    g_string_append(out, argument->is_list ? "]" : "");
}

static void
append_value(GString *out, const SieveArgument *argument)
{
    if (argument == NULL)
        return;
    g_string_append_c(out, ' ');
    if (argument->kind == SIEVE_NUMBER)
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, argument->number);
    else
        append_strings(out, argument);
}

char *
sieve_node_text(const SieveNode *node)
{
    GString *out = g_string_new(node->command->name);

    for (size_t i = 0; i < node->tag_count; i++) {
        g_string_append_printf(out, " :%s", node->tags[i].tag->name);
        append_value(out, node->tags[i].value);
    }
    for (size_t i = 0; i < sieve_slot_count(node->command); i++)
        append_value(out, node->values[i]);
    return g_string_free(out, FALSE);
}
