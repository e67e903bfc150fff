/* sieve/ext_replace.c - "replace" and "enclose" (RFC 5703 sections 5 and 6)
 *
 * Both make a whole new message out of slices of the one there is and give it to the run:
 * what follows in the script sees it. The octets of parts that stay are not touched, so
 * signatures over them hold.
 */
#include "sieve/extensions.h"
#include "sieve/limits.h"
#include "sieve/loop.h"
#include "sieve/mime.h"
#include "sieve/words.h"

/* Octets that the parts of a message of SIEVE_MAX_MIME_PARTS take. */
enum { FRESH_PARTS = 1024 * 1024 };

/* ---- pieces of messages -------------------------------------------------- */

static void
append(GString *out, SieveText text)
{
    g_string_append_len(out, text.bytes, (gssize)text.len);
}

static void
append_line_end(GString *out)
{
    if (out->len > 0 && out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
}

static bool
name_is(const SieveField *field, const char *lower)
{
    return field->name.len == strlen(lower) &&
           g_ascii_strncasecmp(field->name.bytes, lower, field->name.len) == 0;
}

/* Fields that describe the content, which is replaced. */
static bool
is_mime_field(const SieveField *field)
{
    return name_is(field, "mime-version") ||
           (field->name.len > 8 && g_ascii_strncasecmp(field->name.bytes, "content-", 8) == 0);
}

/* In a header of its own: a line end that the source of a field may lack. */
static void
append_field(GString *out, const SieveField *field)
{
    append(out, field->source);
    append_line_end(out);
}

/* Without line ends and other control characters: for a field. */
static SieveText
one_line(SieveArena *arena, SieveText text)
{
    SieveText line = sieve_arena_text(arena, text.bytes, text.len);
    char *bytes = (char *)line.bytes;

    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f)
            bytes[i] = ' ';
    return line;
}

bool
sieve_run_set_message(SieveRun *run, GBytes *bytes, GError **error)
{
    SieveRunMime *state = sieve_run_mime_state(run);

    state->edited += g_bytes_get_size(bytes);
    if (state->edited > SIEVE_MAX_EDITED) {
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "the messages made by this script have more than %d octets", SIEVE_MAX_EDITED);
        return false;
    }
    sieve_message_replace(sieve_run_message(run), bytes);
    return true;
}

static bool
set_message(SieveRun *run, GString *message, GError **error)
{
    append_line_end(message);

    g_autoptr(GBytes) bytes = g_string_free_to_bytes(message);

    return sieve_run_set_message(run, bytes, error);
}

/* The header block with its blank line. */
static void
append_header(SieveRun *run, GString *out)
{
    const SieveInput *input = sieve_run_input(run);
    const SieveEdition *edition = sieve_message_edition(sieve_run_message(run));

    if (edition != NULL) {
        gsize len;
        const char *bytes = g_bytes_get_data(edition->header, &len);

        g_string_append_len(out, bytes, (gssize)len);
    } else {
        const char *bytes = (const char *)input->bytes;

        g_string_append_len(out, bytes, sieve_message_body(sieve_run_message(run)).bytes - bytes);
        if (!sieve_message_has_body(sieve_run_message(run))) {
            append_line_end(out);
            g_string_append_c(out, '\n');
        }
    }
}

GBytes *
sieve_run_whole_message(SieveRun *run)
{
    const SieveInput *input = sieve_run_input(run);

    if (sieve_message_edition(sieve_run_message(run)) == NULL)
        return g_bytes_new_static(input->bytes, input->len);

    GString *whole = g_string_new(NULL);

    append_header(run, whole);
    append(whole, sieve_message_body(sieve_run_message(run)));
    return g_string_free_to_bytes(whole);
}

/* Room for a copy of the message, and for finding its parts anew, before they are made. */
static bool
has_room(SieveRun *run, GError **error)
{
    const SieveRunMime *state = sieve_run_mime_state(run);
    size_t len = sieve_message_body(sieve_run_message(run)).len;

    if (state->edited + len > SIEVE_MAX_EDITED) {
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "the messages made by this script have more than %d octets", SIEVE_MAX_EDITED);
        return false;
    }
    return sieve_arena_room(sieve_run_arena(run), FRESH_PARTS, error) &&
           sieve_run_step(run, 1 + len / 16, error);
}

/* ---- replace ------------------------------------------------------------- */

static void
check_replace(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *mime = sieve_node_tag(node, "mime");

    /* RFC 5703 section 5: they are ignored beside :mime, which should be an error. */
    for (size_t i = 0; mime != NULL && i < node->tag_count; i++)
        if (node->tags[i].value != NULL)
            sieve_check_error(check, node->tags[i].line, node->tags[i].column,
                              "\":%s\" cannot stand beside \":mime\"", node->tags[i].tag->name);
}

static bool
is_mailbox_list(SieveArena *arena, SieveText text)
{
    size_t count;
    const SieveAddress *addresses = sieve_addresses_parse(arena, text, &count);

    for (size_t i = 0; i < count; i++)
        if (!addresses[i].is_valid || addresses[i].domain.len == 0)
            return false;
    return count > 0;
}

static void
check_from(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    const SieveString *from = &bound->value->strings[0];

    (void)node;
    if (from->pieces == NULL && !is_mailbox_list(sieve_check_scratch(check), from->text))
        sieve_check_error(check, from->line, from->column, "\"%s\" is not a list of addresses",
                          from->text.bytes);
}

/* The entity that replaces the part: of :mime as the script gives it, else made of the text. */
static GString *
make_entity(SieveRun *run, const SieveNode *node)
{
    SieveText text = sieve_run_first(run, node->values[0]);

    if (sieve_node_tag(node, "mime") == NULL)
        return sieve_mime_text_entity(text);

    GString *entity = g_string_new(NULL);

    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] != '\r' || i + 1 == text.len || text.bytes[i + 1] != '\n')
            g_string_append_c(entity, text.bytes[i]);
    /* Without a blank line it is a header only. */
    if (strstr(entity->str, "\n\n") == NULL && entity->str[0] != '\n') {
        append_line_end(entity);
        g_string_append_c(entity, '\n');
    }
    return entity;
}

/* A line of the entity must not end the multipart around it. */
static bool
holds_boundary_of(const GString *entity, const SievePart *part)
{
    for (; part != NULL; part = sieve_part_parent(part)) {
        SieveText boundary = sieve_part_boundary(part);
        g_autofree char *line = g_strdup_printf("\n--%s", boundary.bytes);

        if (boundary.len > 0 &&
            (strstr(entity->str, line) != NULL || g_str_has_prefix(entity->str, line + 1)))
            return true;
    }
    return false;
}

/* The header of a message whose content is replaced: its fields but those about MIME. Subject
 * and From are kept under other names when they get new values. */
static void
append_kept_fields(GString *out, SieveMessage *header, bool new_subject, bool new_from)
{
    size_t count;
    SieveField *const *fields = sieve_message_fields(header, &count);

    for (size_t i = 0; i < count; i++) {
        if (is_mime_field(fields[i]))
            continue;
        if ((new_subject && name_is(fields[i], "subject")) ||
            (new_from && name_is(fields[i], "from")))
            g_string_append(out, "Original-");
        append_field(out, fields[i]);
    }
}

/* The header and content of entity behind the fields that are kept: what a message becomes. */
static void
append_message_entity(SieveRun *run, GString *out, const GString *entity)
{
    SieveMessage *message =
        sieve_message_new(sieve_run_arena(run), (const uint8_t *)entity->str, entity->len);
    size_t count;
    SieveField *const *fields = sieve_message_fields(message, &count);

    g_string_append(out, "MIME-Version: 1.0\n");
    for (size_t i = 0; i < count; i++)
        if (is_mime_field(fields[i]) && !name_is(fields[i], "mime-version"))
            append_field(out, fields[i]);
    g_string_append_c(out, '\n');
    append(out, sieve_message_body(message));
}

/* "Name <a@b>, c@d" with the names encoded. */
static char *
format_mailboxes(SieveArena *arena, SieveText text)
{
    size_t count;
    const SieveAddress *addresses = sieve_addresses_parse(arena, text, &count);
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *address = sieve_address_format(&addresses[i]);

        g_string_append(out, i > 0 ? ", " : "");
        if (addresses[i].name.len == 0) {
            g_string_append(out, address);
            continue;
        }
        sieve_encode_phrase(addresses[i].name, out);
        g_string_append_printf(out, " <%s>", address);
    }
    return g_string_free(out, FALSE);
}

static bool
replace_message(SieveRun *run, const SieveNode *node, const GString *entity, GError **error)
{
    SieveArena *arena = sieve_run_arena(run);
    SieveMessage *message = sieve_run_message(run);
    SieveText subject = {0}, from = {0};
    bool is_mime = sieve_node_tag(node, "mime") != NULL;
    bool has_subject = !is_mime && sieve_run_tag_text(run, node, "subject", &subject);
    bool has_from = !is_mime && sieve_run_tag_text(run, node, "from", &from);

    /* A value that came out of a variable and is no address is ignored. */
    has_from = has_from && is_mailbox_list(arena, from);

    g_autoptr(GString) whole = g_string_new(NULL);

    append_kept_fields(whole, message, has_subject, has_from);
    if (has_from) {
        g_autofree char *mailboxes = format_mailboxes(arena, one_line(arena, from));

        g_string_append_printf(whole, "From: %s\n", mailboxes);
    }
    append_message_entity(run, whole, entity);
    if (!set_message(run, g_steal_pointer(&whole), error))
        return false;
    if (has_subject)
        sieve_message_add_field(message, sieve_text("Subject"), one_line(arena, subject), true);
    return true;
}

/* The message with the slice of part exchanged for entity. */
static bool
replace_part(SieveRun *run, SievePart *part, const GString *entity, GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    SieveText body = sieve_message_body(message);
    SievePart *parent = sieve_part_parent(part);
    g_autoptr(GString) whole = g_string_new(NULL);
    size_t start, end;

    if (holds_boundary_of(entity, parent))
        return sieve_run_fail(run, error,
                              "the replacement has a line that ends the part around it");
    append_header(run, whole);
    sieve_part_extent(part, &start, &end);
    g_string_append_len(whole, body.bytes, (gssize)start);
    if (sieve_part_is_message(parent)) {
        append_kept_fields(whole, sieve_part_header(part), false, false);
        append_message_entity(run, whole, entity);
    } else {
        g_string_append_len(whole, entity->str, (gssize)entity->len);
    }
    /* The line end before the boundary may have been that of the part's header. */
    if (end < body.len && body.bytes[end] == '-')
        append_line_end(whole);
    g_string_append_len(whole, body.bytes + end, (gssize)(body.len - end));
    return set_message(run, g_steal_pointer(&whole), error);
}

static bool
run_replace(SieveRun *run, const SieveNode *node, GError **error)
{
    SievePart *part = sieve_run_part(run);
    g_autoptr(GString) entity = make_entity(run, node);
    bool is_whole = part == NULL || sieve_part_number(part) == 0;

    if (!has_room(run, error) || !(is_whole ? replace_message(run, node, entity, error)
                                            : replace_part(run, part, entity, error)))
        return false;
    sieve_loop_skip_children(run);
    if (sieve_run_is_tracing(run))
        sieve_run_trace(run, node, "replace: %s", is_whole ? "the whole message" : "this part");
    return true;
}

static const SieveCommand replace_commands[] = {
    {.name = "replace", .signature = "s", .check = check_replace, .run = run_replace},
    {0},
};

static const SieveTag replace_tags[] = {
    {.name = "mime", .commands = {"replace"}},
    {.name = "subject", .commands = {"replace"}, .argument = 's'},
    {.name = "from", .commands = {"replace"}, .argument = 's', .check = check_from},
    {0},
};

const SieveExtension sieve_ext_replace = {
    .name = "replace", .commands = replace_commands, .tags = replace_tags};

/* ---- enclose ------------------------------------------------------------- */

/* A boundary that is no line of message: chance alone would do, but costs no more. */
static char *
choose_boundary(SieveRun *run, SieveText message)
{
    guint64 seed = (guint64)sieve_run_host(run)->now_us ^ (guint64)message.len << 40;

    for (;; seed = seed * 6364136223846793005u + 1442695040888963407u) {
        g_autofree char *boundary = g_strdup_printf("=_enclosed_%016" G_GINT64_MODIFIER "x", seed);

        if (memmem(message.bytes, message.len, boundary, strlen(boundary)) == NULL)
            return g_steal_pointer(&boundary);
    }
}

/* RFC 5322 section 3.3, in the local zone. */
static void
append_date(GString *out, gint64 now_us)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_local(now_us / G_USEC_PER_SEC);

    if (now == NULL)
        return;

    g_autofree char *clock = g_date_time_format(now, "%Y %H:%M:%S %z");

    g_string_append_printf(out, "Date: %s, %d %s %s\n", days[g_date_time_get_day_of_week(now) - 1],
                           g_date_time_get_day_of_month(now),
                           months[g_date_time_get_month(now) - 1], clock);
}

static bool
is_listed(const SieveText *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].len == strlen(name) &&
            g_ascii_strncasecmp(names[i].bytes, name, names[i].len) == 0)
            return true;
    return false;
}

/* The fields of message that are listed; of Subject also when it is not, unless it is new. */
static void
append_copied_fields(GString *out, SieveMessage *message, const SieveText *names, size_t count,
                     bool copy_subject)
{
    size_t field_count;
    SieveField *const *fields = sieve_message_fields(message, &field_count);

    for (size_t i = 0; i < field_count; i++) {
        g_autofree char *name = g_strndup(fields[i]->name.bytes, fields[i]->name.len);
        bool is_subject = name_is(fields[i], "subject");

        if (is_subject ? copy_subject : is_listed(names, count, name) && !is_mime_field(fields[i]))
            append_field(out, fields[i]);
    }
}

static bool
is_ascii(SieveText text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.bytes[i] >= 0x80)
            return false;
    return true;
}

/* The header of the new message up to its Content-Type. */
static void
append_outer_header(SieveRun *run, const SieveNode *node, GString *out, bool copy_subject)
{
    const SieveBoundTag *headers = sieve_node_tag(node, "headers");
    size_t count = 0;
    const SieveText *names =
        headers == NULL ? NULL : sieve_run_strings(run, headers->value, &count);
    const SieveSettings *settings = sieve_run_settings(run);
    const char *user =
        settings->user_email[0] != '\0' ? settings->user_email : sieve_run_input(run)->recipient;

    append_copied_fields(out, sieve_run_message(run), names, count, copy_subject);
    if (!is_listed(names, count, "date"))
        append_date(out, sieve_run_host(run)->now_us);
    if (!is_listed(names, count, "from") && user[0] != '\0')
        g_string_append_printf(out, "From: %s\n", user);
    g_string_append(out, "MIME-Version: 1.0\n");
}

static void
append_outer_body(GString *out, const char *boundary, const GString *text, SieveText message)
{
    const char *encoding = is_ascii(message) ? "7bit" : "8bit";

    g_string_append_printf(out,
                           "Content-Type: multipart/mixed; boundary=\"%s\"\n"
                           "Content-Transfer-Encoding: %s\n\n--%s\n",
                           boundary, encoding, boundary);
    g_string_append_len(out, text->str, (gssize)text->len);
    g_string_append_printf(out,
                           "\n--%s\nContent-Type: message/rfc822\n"
                           "Content-Transfer-Encoding: %s\nContent-Disposition: attachment\n\n",
                           boundary, encoding);
    append(out, message);
    g_string_append_printf(out, "\n--%s--\n", boundary);
}

static bool
run_enclose(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveRunMime *state = sieve_run_mime_state(run);
    SieveMessage *message = sieve_run_message(run);
    const SieveEdition *before = sieve_message_edition(message);
    SieveText subject = {0};
    bool has_subject = sieve_run_tag_text(run, node, "subject", &subject);

    if (!has_room(run, error))
        return false;

    g_autoptr(GBytes) bytes = sieve_run_whole_message(run);
    SieveText inner = {.bytes = g_bytes_get_data(bytes, NULL), .len = g_bytes_get_size(bytes)};
    g_autoptr(GString) text = sieve_mime_text_entity(sieve_run_first(run, node->values[0]));
    g_autoptr(GString) whole = g_string_new(NULL);
    g_autofree char *boundary = choose_boundary(run, inner);

    append_outer_header(run, node, whole, !has_subject);
    append_outer_body(whole, boundary, text, inner);
    if (!set_message(run, g_steal_pointer(&whole), error))
        return false;
    if (has_subject)
        sieve_message_add_field(message, sieve_text("Subject"),
                                one_line(sieve_run_arena(run), subject), true);
    if (!state->is_enclosed)
        state->before_enclose = before;
    state->is_enclosed = true;
    sieve_loop_shift(run, 3); /* the new message, its text and the part that holds the old one */
    return true;
}

/* RFC 5703 section 6: a redirected message is not enclosed. Answers about the message go by
 * the original (RFC 5293 section 6). */
const SieveEdition *
sieve_run_edition(SieveRun *run, SieveActionKind kind)
{
    const SieveRunMime *state = sieve_run_mime_state(run);

    if (kind == SIEVE_ACTION_REJECT || kind == SIEVE_ACTION_VACATION)
        return NULL;
    if (kind == SIEVE_ACTION_REDIRECT && state->is_enclosed)
        return state->before_enclose;
    return sieve_message_edition(sieve_run_message(run));
}

static const SieveCommand enclose_commands[] = {
    {.name = "enclose", .signature = "s", .run = run_enclose},
    {0},
};

static const SieveTag enclose_tags[] = {
    {.name = "subject", .commands = {"enclose"}, .argument = 's'},
    {.name = "headers", .commands = {"enclose"}, .argument = 'S'},
    {0},
};

const SieveExtension sieve_ext_enclose = {
    .name = "enclose", .commands = enclose_commands, .tags = enclose_tags};
