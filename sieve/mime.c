/* sieve/mime.c - where the parts of a message lie; see mime.h
 *
 *   body ──one pass over its lines──▶ SievePart: header, content, children (slices)
 *                  │ asked for ▼
 *            mime_decode.c (GMime): parameters, transfer encodings, charsets
 *
 * RFC 2046 section 5.1. A line is a boundary when "--" is followed by exactly the boundary of
 * an open multipart, innermost first, and blanks; it ends all that is open within that one,
 * so a missing close delimiter costs nothing. A header ends with a blank line or a boundary.
 *
 * GMimeParser is not used for this: it tries each line that begins with "--" against up to 1,024
 * open boundaries (5 MB of "--" in a message nested 1,000 deep: 7.8 s, the limit of all here
 * is 0.1 s), parses all addresses of a header on sight (100,000 of them: 0.23 s), copies headers
 * and prologues, and does not tell where a multipart ends, which replace must know.
 */
#include "sieve/mime.h"

#include "sieve/limits.h"

struct SievePart {
    SieveMime *mime;
    SievePart *parent;
    size_t number, end, depth;
    const char *start, *header_end, *content, *content_end; /* in the body, but of part 0 */
    const char *prologue_end, *epilogue;                    /* NULL: no such boundary */
    SieveMessage *header;
    SieveText type, subtype, boundary;
    bool is_message, has_body;
    SieveText decoded, text; /* bytes NULL: not asked for yet */
    bool is_sound;
};

struct SieveMime {
    SieveArena *arena;
    SieveText body;
    SievePart **parts;
    size_t count, room;
};

/* The pass over the body. */
typedef struct {
    SieveMime *mime;
    SievePart *current;                    /* the innermost open part */
    bool in_header;                        /* of current */
    SievePart *open[SIEVE_MAX_MIME_DEPTH]; /* multiparts whose boundaries count, outermost first */
    size_t open_count;
} Scan;

/* ---- what a header says -------------------------------------------------- */

/* Behind the line and those that continue it. */
static const char *
field_end(const char *line, const char *end)
{
    do {
        line = memchr(line, '\n', (size_t)(end - line));
        line = line == NULL ? end : line + 1;
    } while (line < end && (*line == ' ' || *line == '\t'));
    return line;
}

/* The first field of that name in a header block, folded as it stands; "" when there is none. */
static SieveText
find_field(const char *line, const char *end, const char *name)
{
    size_t len = strlen(name);

    for (const char *next; line < end; line = next) {
        const char *p = line + len;

        next = field_end(line, end);
        if ((size_t)(next - line) <= len || g_ascii_strncasecmp(line, name, len) != 0)
            continue;
        while (p < next && (*p == ' ' || *p == '\t'))
            p++;
        if (p < next && *p == ':')
            return (SieveText){.bytes = p + 1, .len = (size_t)(next - p) - 1};
    }
    return sieve_text("");
}

/* The same of a part. The header of most parts is asked for nothing else, so that no list of
 * fields is made of it. */
static SieveText
field_text(const SievePart *part, const char *name)
{
    size_t position = 0;
    SieveField *field;

    if (part->header == NULL)
        return find_field(part->start, part->header_end, name);
    field = sieve_message_next_field(part->header, sieve_text(name), &position);
    return field == NULL ? sieve_text("") : sieve_field_unfolded(part->header, field);
}

static bool
text_is(SieveText text, const char *lower)
{
    return text.len == strlen(lower) && g_ascii_strncasecmp(text.bytes, lower, text.len) == 0;
}

/* RFC 2046 section 5.2.1: an encapsulated message is not encoded; RFC 6532 allows it for
 * message/global, and then it is a leaf. */
static bool
is_plain_message(const SievePart *part)
{
    SieveText encoding =
        sieve_mime_token(part->mime->arena, field_text(part, "content-transfer-encoding"));

    return text_is(part->type, "message") &&
           (text_is(part->subtype, "rfc822") || text_is(part->subtype, "global") ||
            text_is(part->subtype, "news")) &&
           (encoding.len == 0 || text_is(encoding, "7bit") || text_is(encoding, "8bit") ||
            text_is(encoding, "binary"));
}

/* Type and boundary, with the defaults of RFC 2045 section 5.2 and RFC 2046 section 5.1.5. */
static void
read_header(SievePart *part)
{
    SieveArena *arena = part->mime->arena;
    SieveText field = field_text(part, "content-type");
    bool is_typed = sieve_mime_type_parse(arena, field, &part->type, &part->subtype);

    if (!is_typed || part->subtype.len == 0) {
        bool in_digest = !is_typed && part->parent != NULL &&
                         text_is(part->parent->type, "multipart") &&
                         text_is(part->parent->subtype, "digest");

        part->type = sieve_text(in_digest ? "message" : "text");
        part->subtype = sieve_text(in_digest ? "rfc822" : "plain");
    }
    part->boundary = sieve_text("");
    if (sieve_part_is_multipart(part))
        (void)sieve_mime_parameter(arena, field, sieve_text("boundary"), &part->boundary);
}

/* ---- the pass ------------------------------------------------------------ */

static SievePart *
add_part(SieveMime *mime, SievePart *parent, const char *start)
{
    SievePart *part = sieve_arena_new0(mime->arena, SievePart, 1);

    if (mime->count == mime->room) {
        SievePart **parts = sieve_arena_new0(mime->arena, SievePart *, mime->room * 2 + 8);

        if (mime->count > 0)
            memcpy(parts, mime->parts, mime->count * sizeof(SievePart *));
        mime->parts = parts;
        mime->room = mime->room * 2 + 8;
    }
    part->mime = mime;
    part->parent = parent;
    part->depth = parent == NULL ? 0 : parent->depth + 1;
    part->number = mime->count;
    part->start = part->header_end = part->content = part->content_end = start;
    mime->parts[mime->count++] = part;
    return part;
}

static void
begin_child(Scan *scan, const char *start)
{
    scan->current = add_part(scan->mime, scan->current, start);
    scan->in_header = true;
}

/* The header of the current part is complete: its content begins. */
static void
begin_content(Scan *scan)
{
    SievePart *part = scan->current;
    bool may_nest = part->depth < SIEVE_MAX_MIME_DEPTH && scan->mime->count < SIEVE_MAX_MIME_PARTS;

    scan->in_header = false;
    read_header(part);
    part->is_message = may_nest && part->has_body && is_plain_message(part);
    if (part->is_message)
        begin_child(scan, part->content);
    else if (may_nest && part->boundary.len > 0)
        scan->open[scan->open_count++] = part;
}

/* The header of the current part ends at end; its content begins at content. */
static void
end_header(Scan *scan, const char *end, const char *content, bool has_body)
{
    SievePart *part = scan->current;

    part->header_end = end;
    part->content = content;
    part->has_body = has_body;
    begin_content(scan);
}

/* Without the line end before line, but not before content. */
static const char *
before_line(const char *content, const char *line)
{
    if (line > content && line[-1] == '\n')
        line--;
    if (line > content && line[-1] == '\r')
        line--;
    return line;
}

/* Ends all parts within outer at the boundary line, to which the line end before it belongs, or
 * at the end of the message. */
static void
end_parts(Scan *scan, const SievePart *outer, const char *line, bool is_boundary)
{
    const char *inner_end = scan->mime->body.bytes;

    if (scan->in_header)
        end_header(scan, line, line, false);
    for (; scan->current != outer; scan->current = scan->current->parent) {
        SievePart *part = scan->current;

        /* Of an empty part the line end belongs to its header, so to what is around it too. */
        part->content_end = MAX(is_boundary ? before_line(part->content, line) : line, inner_end);
        inner_end = part->content_end;
        part->end = scan->mime->count;
    }
}

/* The open multipart to which the line, without its "--" and its trailing blanks, belongs; its
 * place in scan->open, or -1. */
static gssize
find_boundary(const Scan *scan, const char *text, size_t len, bool *closes_out)
{
    bool may_close = len > 2 && text[len - 1] == '-' && text[len - 2] == '-';

    for (gssize i = (gssize)scan->open_count - 1; i >= 0; i--) {
        const SieveText *boundary = &scan->open[i]->boundary;

        *closes_out = may_close && boundary->len == len - 2;
        if ((boundary->len == len || *closes_out) && boundary->bytes[0] == text[0] &&
            memcmp(boundary->bytes, text, boundary->len) == 0)
            return i;
    }
    return -1;
}

/* False: there is no room for more parts, so the rest of the message is in those there are. */
static bool
take_boundary(Scan *scan, size_t place, bool closes, const char *line, const char *next)
{
    SievePart *multipart = scan->open[place];

    if (!closes && scan->mime->count == SIEVE_MAX_MIME_PARTS)
        return false;
    end_parts(scan, multipart, line, true);
    scan->open_count = closes ? place : place + 1;
    if (multipart->prologue_end == NULL)
        multipart->prologue_end = before_line(multipart->content, line);
    if (closes)
        multipart->epilogue = next;
    else
        begin_child(scan, next);
    return true;
}

static bool
take_line(Scan *scan, const char *line, const char *line_end, const char *next)
{
    const char *text_end = line_end;

    while (text_end > line && strchr(" \t\r", text_end[-1]) != NULL)
        text_end--;
    if (text_end - line > 2 && line[0] == '-' && line[1] == '-' && scan->open_count > 0) {
        bool closes = false;
        gssize place = find_boundary(scan, line + 2, (size_t)(text_end - line) - 2, &closes);

        if (place >= 0)
            return take_boundary(scan, (size_t)place, closes, line, next);
    }
    if (scan->in_header && (line_end == line || (line_end - line == 1 && *line == '\r')))
        end_header(scan, line, next, true);
    return true;
}

static void
scan_body(Scan *scan, SieveText body)
{
    const char *end = body.bytes + body.len, *next;

    for (const char *line = body.bytes; line < end && (scan->in_header || scan->open_count > 0);
         line = next) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));

        next = line_end == NULL ? end : line_end + 1;
        if (line_end == NULL)
            line_end = end;
        /* Most lines are neither. */
        if ((scan->in_header || line[0] == '-') && !take_line(scan, line, line_end, next))
            break;
    }
    end_parts(scan, NULL, end, false);
}

SieveMime *
sieve_mime_parse(SieveArena *arena, SieveMessage *message)
{
    SieveMime *mime = sieve_arena_new0(arena, SieveMime, 1);
    Scan scan = {.mime = mime};

    mime->arena = arena;
    mime->body = sieve_message_body(message);
    scan.current = add_part(mime, NULL, mime->body.bytes);
    scan.current->header = message;
    scan.current->has_body = sieve_message_has_body(message);
    begin_content(&scan);
    scan_body(&scan, mime->body);
    return mime;
}

/* ---- questions ----------------------------------------------------------- */

SievePart *
sieve_mime_part(const SieveMime *mime, size_t number)
{
    return number < mime->count ? mime->parts[number] : NULL;
}

SievePart *
sieve_part_parent(const SievePart *part)
{
    return part->parent;
}

size_t
sieve_part_number(const SievePart *part)
{
    return part->number;
}

size_t
sieve_part_end(const SievePart *part)
{
    return part->end;
}

SieveMessage *
sieve_part_header(SievePart *part)
{
    if (part->header == NULL)
        part->header = sieve_message_new_part(part->mime->arena, (const uint8_t *)part->start,
                                              (size_t)(part->header_end - part->start),
                                              (const uint8_t *)part->content, 0);
    return part->header;
}

SieveText
sieve_part_type(const SievePart *part)
{
    return part->type;
}

SieveText
sieve_part_subtype(const SievePart *part)
{
    return part->subtype;
}

bool
sieve_part_is_multipart(const SievePart *part)
{
    return text_is(part->type, "multipart");
}

bool
sieve_part_is_message(const SievePart *part)
{
    return part->is_message;
}

bool
sieve_part_is_text(const SievePart *part)
{
    return text_is(part->type, "text");
}

bool
sieve_part_has_body(const SievePart *part)
{
    return part->has_body;
}

SieveText
sieve_part_boundary(const SievePart *part)
{
    return part->boundary;
}

static SieveText
slice(const char *from, const char *to)
{
    return (SieveText){.bytes = from, .len = (size_t)(to - from)};
}

SieveText
sieve_part_raw(const SievePart *part)
{
    return slice(part->content, part->content_end);
}

SieveText
sieve_part_prologue(const SievePart *part)
{
    return slice(part->content,
                 part->prologue_end == NULL ? part->content_end : part->prologue_end);
}

SieveText
sieve_part_epilogue(const SievePart *part)
{
    /* The line of the close delimiter may be what ends the part around this one. */
    if (part->epilogue == NULL || part->epilogue > part->content_end)
        return slice(part->content_end, part->content_end);
    return slice(part->epilogue, part->content_end);
}

void
sieve_part_extent(const SievePart *part, size_t *start_out, size_t *end_out)
{
    *start_out = (size_t)(part->start - part->mime->body.bytes);
    *end_out = (size_t)(part->content_end - part->mime->body.bytes);
}

bool
sieve_part_content(SievePart *part, SieveText *content_out, bool *is_sound_out, GError **error)
{
    if (part->decoded.bytes == NULL) {
        SieveArena *arena = part->mime->arena;
        SieveText charset = sieve_text("");

        if (sieve_part_is_text(part))
            (void)sieve_mime_parameter(arena, field_text(part, "content-type"),
                                       sieve_text("charset"), &charset);
        if (!sieve_mime_decode(
                arena, sieve_part_raw(part), field_text(part, "content-transfer-encoding"),
                sieve_part_is_text(part), charset, &part->decoded, &part->is_sound, error))
            return false;
    }
    *content_out = part->decoded;
    if (is_sound_out != NULL)
        *is_sound_out = part->is_sound;
    return true;
}

bool
sieve_part_text(SievePart *part, SieveText *text_out, GError **error)
{
    if (part->text.bytes == NULL) {
        bool is_html = sieve_part_is_text(part) && text_is(part->subtype, "html");
        SieveText content;

        if (!sieve_part_content(part, &content, NULL, error) ||
            (is_html && !sieve_arena_room(part->mime->arena, content.len, error)))
            return false;
        part->text = is_html ? sieve_html_to_text(part->mime->arena, content) : content;
    }
    *text_out = part->text;
    return true;
}
