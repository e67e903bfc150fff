/* sieve/ext_body.c - "body" (RFC 5173)
 *
 *   :raw      the body as it stands in the message, one string
 *   :content  each part of the types listed, decoded; of a multipart what is before its first and
 *             behind its last part, of a message the header of what it holds
 *   :text     each text part as a reader sees it: HTML without markup (section 5.3 allows that)
 *
 * A message that ends with its header has no body at all: not even "" is in it (section 4).
 */
#include "sieve/extensions.h"
#include "sieve/mime.h"

static void
check_body(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *content = sieve_node_tag(node, "content");

    for (size_t i = 0; content != NULL && i < content->value->string_count; i++) {
        const SieveString *type = &content->value->strings[i];
        const char *slash = memchr(type->text.bytes, '/', type->text.len);

        if (type->pieces != NULL || slash == NULL)
            continue;
        if (slash == type->text.bytes || slash == type->text.bytes + type->text.len - 1 ||
            memchr(slash + 1, '/', strlen(slash + 1)) != NULL)
            sieve_check_warning(check, type->line, type->column,
                                "\"%s\" matches no content type: write a type, or a type and a "
                                "subtype with one slash between",
                                type->text.bytes);
    }
}

/* RFC 5173 section 5.2: "" is any type, "text" any subtype; more than one slash, or one at an
 * end, matches nothing, as no type is empty and no subtype has a slash. */
static bool
type_matches(const SievePart *part, SieveText wanted)
{
    SieveText type = sieve_part_type(part), subtype = sieve_part_subtype(part);

    if (wanted.len == 0)
        return true;
    if (wanted.len < type.len || g_ascii_strncasecmp(wanted.bytes, type.bytes, type.len) != 0)
        return false;
    if (wanted.len == type.len)
        return true;
    return wanted.bytes[type.len] == '/' && wanted.len == type.len + 1 + subtype.len &&
           g_ascii_strncasecmp(wanted.bytes + type.len + 1, subtype.bytes, subtype.len) == 0;
}

static bool
is_wanted(const SievePart *part, const SieveText *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (type_matches(part, types[i]))
            return true;
    return false;
}

/* The header of the message that part holds, without the blank line behind it. */
static SieveText
nested_header(const SievePart *part, const SievePart *child)
{
    SieveText header = sieve_part_raw(part);

    header.len = (size_t)(sieve_part_raw(child).bytes - header.bytes);
    if (sieve_part_has_body(child))
        header.len--;
    return header;
}

static bool
match_content(SieveMatching *matching, SieveMime *mime, SievePart *part, GError **error)
{
    SieveText content;

    if (sieve_part_is_multipart(part))
        return sieve_matching_value(matching, sieve_part_prologue(part), error) &&
               (matching->matched ||
                sieve_matching_value(matching, sieve_part_epilogue(part), error));
    if (sieve_part_is_message(part))
        return sieve_matching_value(
            matching, nested_header(part, sieve_mime_part(mime, sieve_part_number(part) + 1)),
            error);
    return sieve_part_content(part, &content, NULL, error) &&
           sieve_matching_value(matching, content, error);
}

static bool
match_text(SieveMatching *matching, SievePart *part, GError **error)
{
    SieveText text;

    return sieve_part_text(part, &text, error) && sieve_matching_value(matching, text, error);
}

static bool
match_parts(SieveRun *run, const SieveNode *node, SieveMatching *matching, GError **error)
{
    const SieveBoundTag *tag = sieve_node_tag(node, "content");
    size_t type_count = 0;
    const SieveText *types = tag == NULL ? NULL : sieve_run_strings(run, tag->value, &type_count);
    SieveMime *mime = sieve_run_mime(run);
    SievePart *part;

    for (size_t i = 0; !matching->matched && (part = sieve_mime_part(mime, i)) != NULL; i++) {
        if (!sieve_run_step(run, 1, error))
            return false;
        if (types != NULL
                ? is_wanted(part, types, type_count) && !match_content(matching, mime, part, error)
                : sieve_part_is_text(part) && !match_text(matching, part, error))
            return false;
    }
    return true;
}

static bool
test_body(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    SieveMatching matching;

    if (!sieve_matching_begin(run, node, node->values[0], &matching, error))
        return false;
    matching.no_variables = true;
    if (sieve_message_has_body(message)) {
        bool is_done = sieve_node_tag(node, "raw") != NULL
                           ? sieve_matching_value(&matching, sieve_message_body(message), error)
                           : match_parts(run, node, &matching, error);

        if (!is_done)
            return false;
    }
    return sieve_matching_end(&matching, result_out, error);
}

static const SieveCommand commands[] = {
    {.name = "body",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH | SIEVE_MATCHES_LINES,
     .signature = "S",
     .check = check_body,
     .test = test_body},
    {0},
};

static const SieveTag tags[] = {
    {.name = "raw", .commands = {"body"}, .group = SIEVE_GROUP_1},
    {.name = "content", .commands = {"body"}, .group = SIEVE_GROUP_1, .argument = 'S'},
    {.name = "text", .commands = {"body"}, .group = SIEVE_GROUP_1},
    {0},
};

const SieveExtension sieve_ext_body = {.name = "body", .commands = commands, .tags = tags};
