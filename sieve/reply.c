/* sieve/reply.c - what every answer needs; see reply.h
 *
 *   header of the message --> Message-ID, References, Subject as C strings of one line
 *
 * Message-IDs are taken as "<" to ">" without blanks within, wherever they stand: fields
 * of threads are often damaged, and a part of one is better than none.
 */
#include "sieve/reply.h"

/* Message-IDs in References: a thread may be longer than a header should be. The first and the
 * latest are what mail programs thread by. */
enum { MAX_REFERENCES = 30, MAX_MESSAGE_ID = 500 };

/* Replacement is one octet for one, so that the result never grows but by make_valid(). */
static char *
sanitize(SieveArena *arena, SieveText text, bool lines)
{
    g_autofree char *valid = g_utf8_make_valid(text.bytes, (gssize)text.len);
    g_autoptr(GString) out = g_string_sized_new(text.len);

    for (const char *p = valid; *p != '\0'; p++) {
        bool control = g_ascii_iscntrl(*p);

        if (lines && control && *p != '\n' && *p != '\t')
            continue;
        g_string_append_c(out, !lines && control ? ' ' : *p);
    }
    return sieve_arena_strdup(arena, lines ? out->str : g_strstrip(out->str));
}

static SieveText
without_nul(SieveArena *arena, SieveText text)
{
    if (memchr(text.bytes, '\0', text.len) == NULL)
        return text;
    char *copy = (char *)sieve_arena_text(arena, text.bytes, text.len).bytes;

    for (size_t i = 0; i < text.len; i++) {
        if (copy[i] == '\0')
            copy[i] = ' ';
    }
    return (SieveText){copy, text.len};
}

char *
sieve_reply_line(SieveArena *arena, SieveText text)
{
    return sanitize(arena, without_nul(arena, text), false);
}

char *
sieve_reply_lines(SieveArena *arena, SieveText text)
{
    return sanitize(arena, without_nul(arena, text), true);
}

bool
sieve_reply_has_controls(SieveText text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (g_ascii_iscntrl(text.bytes[i]))
            return true;
    }
    return false;
}

static SieveField *
first_field(SieveRun *run, const char *name)
{
    size_t position = 0;

    return sieve_message_next_field(sieve_run_message(run), sieve_text(name), &position);
}

char *
sieve_reply_header(SieveRun *run, const char *name)
{
    SieveField *field = first_field(run, name);
    char *line;

    if (field == NULL)
        return NULL;
    line = sieve_reply_line(sieve_run_arena(run), sieve_field_value(sieve_run_message(run), field));
    return *line == '\0' ? NULL : line;
}

char *
sieve_reply_subject(SieveRun *run)
{
    return sieve_reply_header(run, "subject");
}

char *
sieve_reply_auto_submitted(SieveRun *run)
{
    char *value = sieve_reply_header(run, "auto-submitted");

    if (value == NULL)
        return NULL;
    g_autofree char *keyword = g_strndup(value, strcspn(value, ";( \t"));
    return g_ascii_strcasecmp(keyword, "no") == 0 ? NULL : value;
}

static bool
is_message_id(SieveText id)
{
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = (uint8_t)id.bytes[i];

        if (c <= ' ' || c >= 0x7f)
            return false;
    }
    return id.len > 2 && id.len <= MAX_MESSAGE_ID;
}

/* The next "<...>" of text at or after *at_inout. */
static bool
next_message_id(SieveText text, size_t *at_inout, SieveText *id_out)
{
    size_t open = 0;
    bool is_open = false;

    for (size_t i = *at_inout; i < text.len; i++) {
        if (text.bytes[i] == '<') {
            open = i;
            is_open = true;
        } else if (text.bytes[i] == '>' && is_open) {
            *id_out = (SieveText){text.bytes + open, i + 1 - open};
            is_open = false;
            if (is_message_id(*id_out)) {
                *at_inout = i + 1;
                return true;
            }
        }
    }
    return false;
}

/* Appends the Message-IDs of a field to ids, as strings of the arena. */
static void
collect_ids(SieveRun *run, const char *name, GPtrArray *ids)
{
    SieveField *field = first_field(run, name);
    size_t at = 0;
    SieveText text, id;

    if (field == NULL)
        return;
    text = sieve_field_unfolded(sieve_run_message(run), field);
    while (next_message_id(text, &at, &id)) {
        if (ids->len >= MAX_REFERENCES) /* the first stays, the second goes */
            g_ptr_array_remove_index(ids, 1);
        g_ptr_array_add(ids,
                        (char *)sieve_arena_text(sieve_run_arena(run), id.bytes, id.len).bytes);
    }
}

char *
sieve_reply_message_id(SieveRun *run)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();

    collect_ids(run, "message-id", ids);
    return ids->len == 0 ? NULL : ids->pdata[0];
}

char *
sieve_reply_references(SieveRun *run)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    char *own = sieve_reply_message_id(run);

    /* RFC 5230 section 5.8: without a Message-ID, References need not be made. */
    if (own == NULL)
        return NULL;
    collect_ids(run, "references", ids);
    if (ids->len == 0) {
        collect_ids(run, "in-reply-to", ids);
        if (ids->len != 1) /* RFC 5322 section 3.6.4 */
            g_ptr_array_set_size(ids, 0);
    }
    g_ptr_array_add(ids, own);
    g_ptr_array_add(ids, NULL);
    g_autofree char *joined = g_strjoinv(" ", (char **)ids->pdata);
    return sieve_arena_strdup(sieve_run_arena(run), joined);
}

static void
append_quoted(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *text);
    }
    g_string_append_c(out, '"');
}

char *
sieve_reply_mailbox(SieveArena *arena, const SieveAddress *address)
{
    g_autofree char *formatted = sieve_address_format(address);
    char *bare = sieve_reply_line(arena, sieve_text(formatted));
    const char *name = sieve_reply_line(arena, address->name);

    if (*name == '\0')
        return bare;
    g_autoptr(GString) out = g_string_new(NULL);
    append_quoted(out, name);
    g_string_append_printf(out, " <%s>", bare);
    return sieve_arena_strdup(arena, out->str);
}
