/* sieve/message.c - fields of a header, read when asked for; see message.h
 *
 *   bytes --split()--> prefix, fields, body       once, at the first question
 *   field --sieve_field_unfolded()--> unfolded --sieve_field_value()--> decoded
 *
 * A field's source reaches to the start of the next field, so that lines which are no field
 * (and are seen by no test) stay where they are when the header is written again; those
 * before the first field, as an mbox "From " line, are the prefix. Nothing is copied
 * before it is unfolded. Line ends may be LF or CRLF; what is written has LF.
 */
#include "sieve/message.h"

#include "sieve/limits.h"

struct SieveMessage {
    SieveArena *arena;
    SieveText bytes; /* the whole, or of a part its header */
    SieveText part_body;
    bool is_part;
    bool is_replaced;
    bool is_edited;
    unsigned edits;

    /* set by split() */
    GPtrArray *fields; /* of SieveField; NULL: not split yet */
    SieveText prefix;
    SieveText body;
    bool has_body;

    SieveEdition *edition; /* NULL: none since the last edit */
    GBytes *replaced_bytes;
};

/* RFC 5322 section 2.2: a line holds at most 78 characters without its end. */
enum { FOLD_AT = 78 };

static void
release_array(void *array)
{
    g_ptr_array_unref(array);
}

static void
release_bytes(void *bytes)
{
    g_bytes_unref(bytes);
}

static guint
hash_name(SieveText name)
{
    guint hash = 5381;

    for (size_t i = 0; i < name.len; i++)
        hash = hash * 33 + (guint)g_ascii_tolower(name.bytes[i]);
    return hash;
}

/* ---- splitting --------------------------------------------------------------- */

/* Behind the line at at. */
static const char *
line_end(const char *at, const char *end)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));

    return lf == NULL ? end : lf + 1;
}

/* Half a line end at the end of the message is one. */
static bool
is_blank_line(const char *at, const char *end)
{
    return at < end && (*at == '\n' || (*at == '\r' && (end - at == 1 || at[1] == '\n')));
}

/* RFC 5322 section 3.6.8 and, for blanks before the colon, 4.5. The name's length, 0 when the
 * line is no field; *colon_out is the place of the colon. */
static size_t
field_name_len(const char *at, const char *end, const char **colon_out)
{
    const char *p = at;

    while (p<end && * p> ' ' && *p < 0x7f && *p != ':')
        p++;

    size_t len = (size_t)(p - at);

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end || *p != ':')
        return 0;
    *colon_out = p;
    return len;
}

static SieveText
slice(const char *from, const char *to)
{
    return (SieveText){.bytes = from, .len = (size_t)(to - from)};
}

/* Without its last line end, and without stray CRs before it: written again with LF, they would be
 * taken for a part of it. */
static SieveText
without_line_end(SieveText text)
{
    if (text.len > 0 && text.bytes[text.len - 1] == '\n')
        text.len--;
    while (text.len > 0 && text.bytes[text.len - 1] == '\r')
        text.len--;
    return text;
}

static SieveField *
new_field(SieveArena *arena, SieveText name, SieveText raw, SieveText source)
{
    SieveField *field = sieve_arena_new0(arena, SieveField, 1);

    field->name = name;
    field->raw = without_line_end(raw);
    field->source = source;
    field->hash = hash_name(name);
    return field;
}

static void
end_source(SieveMessage *message, const char *from, const char *to)
{
    if (message->fields->len == 0)
        message->prefix = slice(from, to);
    else
        ((SieveField *)message->fields->pdata[message->fields->len - 1])->source.len +=
            (size_t)(to - from);
}

static void
split(SieveMessage *message)
{
    const char *at = message->bytes.bytes;
    const char *end = at + message->bytes.len;
    const char *lost = at; /* start of lines that belong to no field */

    if (message->fields != NULL)
        return;
    message->fields = g_ptr_array_new();
    sieve_arena_own(message->arena, message->fields, 0, release_array);
    while (at < end && !is_blank_line(at, end)) {
        const char *colon = NULL, *start = at;
        const char *next = line_end(at, end);
        size_t name_len = field_name_len(at, next, &colon);

        while (next < end && (*next == ' ' || *next == '\t'))
            next = line_end(next, end);
        at = next;
        if (name_len == 0 || message->fields->len == SIEVE_MAX_FIELDS)
            continue;
        end_source(message, lost, start);
        lost = next;
        g_ptr_array_add(message->fields, new_field(message->arena, slice(start, start + name_len),
                                                   slice(colon + 1, next), slice(start, next)));
    }
    end_source(message, lost, at);
    message->has_body = message->is_part || at < end;
    message->body = message->is_part ? message->part_body
                    : at < end       ? slice(line_end(at, end), end)
                                     : (SieveText){.bytes = "", .len = 0};
}

/* ---- questions ------------------------------------------------------------------ */

SieveMessage *
sieve_message_new(SieveArena *arena, const uint8_t *bytes, size_t len)
{
    SieveMessage *message = sieve_arena_new0(arena, SieveMessage, 1);

    message->arena = arena;
    message->bytes = (SieveText){.bytes = len == 0 ? "" : (const char *)bytes, .len = len};
    return message;
}

SieveMessage *
sieve_message_new_part(SieveArena *arena, const uint8_t *header, size_t header_len,
                       const uint8_t *body, size_t body_len)
{
    SieveMessage *message = sieve_message_new(arena, header, header_len);

    message->is_part = true;
    message->part_body =
        (SieveText){.bytes = body_len == 0 ? "" : (const char *)body, .len = body_len};
    return message;
}

SieveField *const *
sieve_message_fields(SieveMessage *message, size_t *count_out)
{
    split(message);
    *count_out = message->fields->len;
    return (SieveField *const *)message->fields->pdata;
}

SieveField *
sieve_message_next_field(SieveMessage *message, SieveText name, size_t *position_inout)
{
    guint hash = hash_name(name);

    split(message);
    while (*position_inout < message->fields->len) {
        SieveField *field = message->fields->pdata[(*position_inout)++];

        if (field->hash == hash && field->name.len == name.len &&
            g_ascii_strncasecmp(field->name.bytes, name.bytes, name.len) == 0)
            return field;
    }
    return NULL;
}

/* RFC 5322 section 2.2.3: line ends go, the blanks behind them stay. */
static SieveText
unfold(SieveArena *arena, SieveText raw)
{
    const char *at = raw.bytes;
    const char *end = at + MIN(raw.len, (size_t)SIEVE_MAX_FIELD_TEXT);

    while (at < end && g_ascii_isspace(*at))
        at++;
    while (end > at && g_ascii_isspace(end[-1]))
        end--;

    char *unfolded = sieve_arena_octets(arena, (size_t)(end - at) + 1);
    size_t len = 0;

    while (at < end) {
        const char *next = line_end(at, end);
        size_t count = without_line_end(slice(at, next)).len;

        memcpy(unfolded + len, at, count);
        len += count;
        at = next;
    }
    return (SieveText){.bytes = unfolded, .len = len};
}

SieveText
sieve_field_unfolded(SieveMessage *message, SieveField *field)
{
    if (field->unfolded.bytes == NULL)
        field->unfolded = unfold(message->arena, field->raw);
    return field->unfolded;
}

SieveText
sieve_field_value(SieveMessage *message, SieveField *field)
{
    if (field->decoded.bytes == NULL)
        field->decoded = sieve_decode_words(message->arena, sieve_field_unfolded(message, field));
    return field->decoded;
}

const SieveAddress *
sieve_field_addresses(SieveMessage *message, SieveField *field, size_t *count_out)
{
    if (field->addresses == NULL)
        field->addresses = sieve_addresses_parse(
            message->arena, sieve_field_unfolded(message, field), &field->address_count);
    *count_out = field->address_count;
    return field->addresses;
}

SieveText
sieve_message_body(SieveMessage *message)
{
    split(message);
    return message->body;
}

bool
sieve_message_has_body(SieveMessage *message)
{
    split(message);
    return message->has_body;
}

/* ---- edits -------------------------------------------------------------------- */

bool
sieve_message_count_edit(SieveMessage *message, GError **error)
{
    if (++message->edits <= SIEVE_MAX_HEADER_EDITS)
        return true;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT, "more than %d edits of the header",
                SIEVE_MAX_HEADER_EDITS);
    return false;
}

static void
was_edited(SieveMessage *message)
{
    message->is_edited = true;
    message->edition = NULL;
}

/* Where the line that begins at start is best broken: at the last blank within FOLD_AT, or at
 * the first one behind; 0: nowhere. Never so that only blanks would follow. */
static size_t
fold_place(const GString *text, size_t start, size_t least)
{
    size_t place = 0;

    for (size_t i = MAX(start + 1, least); i + 1 < text->len; i++) {
        bool is_blank = text->str[i] == ' ' || text->str[i] == '\t';

        if (is_blank && (i - start <= FOLD_AT || place == 0) && text->str[i - 1] != ' ' &&
            text->str[i - 1] != '\t')
            place = i;
        if (i - start > FOLD_AT && place != 0)
            break;
    }
    return place;
}

/* "Name: value" with line ends put in, and one at its end. */
static SieveText
fold(SieveArena *arena, GString *text, size_t name_len)
{
    size_t least = name_len + 2; /* not between the colon and the value */
    size_t start = 0;

    while (text->len - start > FOLD_AT) {
        size_t place = fold_place(text, start, least);

        if (place == 0)
            break;
        g_string_insert_c(text, (gssize)place, '\n');
        start = place + 1;
    }
    g_string_append_c(text, '\n');
    return sieve_arena_text(arena, text->str, text->len);
}

static SieveText
trim(SieveText text)
{
    while (text.len > 0 && g_ascii_isspace(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    while (text.len > 0 && g_ascii_isspace(text.bytes[text.len - 1]))
        text.len--;
    return text;
}

void
sieve_message_add_field(SieveMessage *message, SieveText name, SieveText value, bool last)
{
    g_autoptr(GString) text = g_string_new_len(name.bytes, (gssize)name.len);

    split(message);
    value = sieve_text_to_utf8(message->arena, trim(value));
    g_string_append(text, ": ");
    sieve_encode_words(value, text);

    SieveText source = fold(message->arena, text, name.len);
    SieveField *field =
        new_field(message->arena, slice(source.bytes, source.bytes + name.len),
                  slice(source.bytes + name.len + 1, source.bytes + source.len), source);

    g_ptr_array_insert(message->fields, last ? -1 : 0, field);
    was_edited(message);
}

void
sieve_message_delete_fields(SieveMessage *message, SieveField *const *fields, size_t count)
{
    guint kept = 0;
    size_t deleted = 0;

    if (count == 0)
        return;
    split(message);
    for (guint i = 0; i < message->fields->len; i++) {
        void *field = message->fields->pdata[i];

        if (deleted < count && field == fields[deleted])
            deleted++;
        else
            message->fields->pdata[kept++] = field;
    }
    g_ptr_array_set_size(message->fields, (gint)kept);
    was_edited(message);
}

void
sieve_message_replace(SieveMessage *message, GBytes *bytes)
{
    gsize len;
    const char *data = g_bytes_get_data(bytes, &len);

    sieve_arena_own(message->arena, g_bytes_ref(bytes), 0, release_bytes);
    message->bytes = (SieveText){.bytes = len == 0 ? "" : data, .len = len};
    message->replaced_bytes = bytes;
    message->is_replaced = true;
    message->fields = NULL;
    message->prefix = (SieveText){.bytes = "", .len = 0};
    was_edited(message);
}

/* Appends text with LF line ends, and one at its end. */
static void
append_lines(GString *out, SieveText text)
{
    const char *at = text.bytes, *end = text.bytes + text.len;

    while (at < end) {
        const char *next = line_end(at, end);
        SieveText line = without_line_end(slice(at, next));

        /* Only CRs: without them the line would be blank, and end the header. */
        if (line.len == 0)
            line.len = (size_t)(next - at) - (next[-1] == '\n');
        g_string_append_len(out, line.bytes, (gssize)line.len);
        g_string_append_c(out, '\n');
        at = next;
    }
}

static GBytes *
replaced_body(const SieveMessage *message)
{
    if (message->body.len == 0)
        return g_bytes_new_static("", 0);
    return g_bytes_new_from_bytes(message->replaced_bytes,
                                  (gsize)(message->body.bytes - message->bytes.bytes),
                                  message->body.len);
}

const SieveEdition *
sieve_message_edition(SieveMessage *message)
{
    if (!message->is_edited || message->edition != NULL)
        return message->edition;
    split(message);

    GString *header = g_string_new(NULL);

    append_lines(header, message->prefix);
    for (guint i = 0; i < message->fields->len; i++)
        append_lines(header, ((SieveField *)message->fields->pdata[i])->source);
    g_string_append_c(header, '\n');
    message->edition = sieve_arena_new0(message->arena, SieveEdition, 1);
    message->edition->header = g_string_free_to_bytes(header);
    sieve_arena_own(message->arena, message->edition->header, 0, release_bytes);
    if (message->is_replaced) {
        message->edition->body = replaced_body(message);
        sieve_arena_own(message->arena, message->edition->body, 0, release_bytes);
    }
    return message->edition;
}
