/* sieve/ext_mime.c - "mime": header, address and exists on parts (RFC 5703 section 4)
 *
 * The tests themselves are core_tests.c's. It asks here which headers a test is about, and what
 * of a field it compares: the value, or an element of a structured MIME field.
 */
#include "sieve/extensions.h"
#include "sieve/mime.h"

static void
check_needs_mime(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    if (sieve_node_tag(node, "mime") == NULL)
        sieve_check_error(check, bound->line, bound->column, "\":%s\" needs \":mime\" beside it",
                          bound->tag->name);
}

/* ---- which headers ------------------------------------------------------- */

SieveMime *
sieve_run_mime(SieveRun *run)
{
    SieveRunMime *state = sieve_run_mime_state(run);
    const SieveEdition *edition = sieve_message_edition(sieve_run_message(run));

    if (state->mime == NULL || state->edition != edition) {
        state->mime = sieve_mime_parse(sieve_run_arena(run), sieve_run_message(run));
        state->edition = edition;
    }
    return state->mime;
}

static bool
child_headers(SieveRun *run, SieveMessage *const **headers_out, size_t *count_out, GError **error)
{
    SieveMime *mime = sieve_run_mime(run);
    SievePart *part = sieve_run_part(run);
    size_t first = part == NULL ? 0 : sieve_part_number(part);
    size_t count = sieve_part_end(sieve_mime_part(mime, first)) - first;

    if (!sieve_run_step(run, count, error))
        return false;

    SieveMessage **headers = sieve_arena_new0(sieve_run_arena(run), SieveMessage *, count);

    for (size_t i = 0; i < count; i++)
        headers[i] = sieve_part_header(sieve_mime_part(mime, first + i));
    *headers_out = headers;
    *count_out = count;
    return true;
}

bool
sieve_run_headers(SieveRun *run, const SieveNode *node, SieveMessage *const **headers_out,
                  size_t *count_out, GError **error)
{
    bool is_mime = sieve_node_tag(node, "mime") != NULL;

    if (is_mime && sieve_node_tag(node, "anychild") != NULL)
        return child_headers(run, headers_out, count_out, error);

    SieveMessage **header = sieve_arena_new0(sieve_run_arena(run), SieveMessage *, 1);
    SievePart *part = is_mime ? sieve_run_part(run) : NULL;

    *header = part == NULL ? sieve_run_message(run) : sieve_part_header(part);
    *headers_out = header;
    *count_out = 1;
    return true;
}

/* ---- what of a field ----------------------------------------------------- */

static bool
name_is(SieveText name, const char *lower)
{
    return name.len == strlen(lower) && g_ascii_strncasecmp(name.bytes, lower, name.len) == 0;
}

/* The element that option names; *count_out is 0 when the field cannot be parsed. Fields that
 * are neither Content-Type nor Content-Disposition have blank ones. */
static const SieveText *
field_element(SieveRun *run, const SieveField *field, SieveText value, const char *option,
              size_t *count_out)
{
    SieveArena *arena = sieve_run_arena(run);
    SieveText *element = sieve_arena_new0(arena, SieveText, 1), type, subtype;
    bool is_type = name_is(field->name, "content-type");
    bool is_whole = strcmp(option, "contenttype") == 0;

    *count_out = 1;
    *element = sieve_text("");
    if (!is_type && !name_is(field->name, "content-disposition"))
        return element;
    if (!sieve_mime_type_parse(arena, value, &type, &subtype) || (is_type && subtype.len == 0)) {
        *count_out = 0;
    } else if (strcmp(option, "subtype") == 0) {
        *element = is_type ? subtype : sieve_text("");
    } else if (is_whole && is_type) {
        g_autofree char *whole = g_strdup_printf("%s/%s", type.bytes, subtype.bytes);

        *element = sieve_arena_text(arena, whole, strlen(whole));
    } else {
        *element = type;
    }
    return element;
}

static const SieveText *
field_parameters(SieveRun *run, SieveText value, const SieveBoundTag *tag, size_t *count_out)
{
    SieveArena *arena = sieve_run_arena(run);
    size_t name_count, count = 0;
    const SieveText *names = sieve_run_strings(run, tag->value, &name_count);
    SieveText *values = sieve_arena_new0(arena, SieveText, name_count);

    for (size_t i = 0; i < name_count; i++)
        if (sieve_mime_parameter(arena, value, names[i], &values[count]))
            count++;
    *count_out = count;
    return values;
}

const SieveText *
sieve_run_field_values(SieveRun *run, const SieveNode *node, SieveMessage *message,
                       SieveField *field, size_t *count_out)
{
    static const char *const options[] = {"type", "subtype", "contenttype"};
    const SieveBoundTag *parameters = sieve_node_tag(node, "param");

    if (parameters != NULL)
        return field_parameters(run, sieve_field_unfolded(message, field), parameters, count_out);
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
        if (sieve_node_tag(node, options[i]) != NULL)
            return field_element(run, field, sieve_field_unfolded(message, field), options[i],
                                 count_out);

    (void)sieve_field_value(message, field); /* decoded now */
    *count_out = 1;
    return &field->decoded;
}

static const SieveTag tags[] = {
    {.name = "mime", .traits = SIEVE_TAKES_MIME},
    {.name = "anychild", .traits = SIEVE_TAKES_MIME, .check = check_needs_mime},
    {.name = "type",
     .commands = {"header"},
     .group = SIEVE_GROUP_MIME_PART,
     .check = check_needs_mime},
    {.name = "subtype",
     .commands = {"header"},
     .group = SIEVE_GROUP_MIME_PART,
     .check = check_needs_mime},
    {.name = "contenttype",
     .commands = {"header"},
     .group = SIEVE_GROUP_MIME_PART,
     .check = check_needs_mime},
    {.name = "param",
     .commands = {"header"},
     .group = SIEVE_GROUP_MIME_PART,
     .argument = 'S',
     .check = check_needs_mime},
    {0},
};

const SieveExtension sieve_ext_mime = {.name = "mime", .tags = tags};
