/* sieve/fuzz_mime.c - a message of any bytes: its parts, what they say and hold, and HTML
 *
 * Checked besides memory: slices stay within the message, children within their parents, and
 * text is UTF-8.
 */
#include "sieve/mime.h"
#include "sieve/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_part(SieveArena *arena, SievePart *part, SieveText body)
{
    SievePart *parent = sieve_part_parent(part);
    SieveText raw = sieve_part_raw(part), text, value;
    size_t start, end, count;

    sieve_part_extent(part, &start, &end);
    g_assert(start <= end && end <= body.len);
    g_assert(raw.bytes >= body.bytes && raw.bytes + raw.len <= body.bytes + body.len);
    if (parent != NULL)
        g_assert(raw.bytes >= sieve_part_raw(parent).bytes &&
                 raw.bytes + raw.len <= sieve_part_raw(parent).bytes + sieve_part_raw(parent).len);
    g_assert(sieve_part_prologue(part).len + sieve_part_epilogue(part).len <= raw.len);
    (void)sieve_message_fields(sieve_part_header(part), &count);
    if (sieve_part_text(part, &text, NULL) && sieve_part_is_text(part))
        g_assert(sieve_text_is_utf8(text));
    (void)sieve_mime_parameter(arena, raw, sieve_text("filename"), &value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(1 << 24);
    SieveMessage *message = sieve_message_new(arena, data, size);
    SieveMime *mime = sieve_mime_parse(arena, message);
    SievePart *part;

    for (size_t i = 0; (part = sieve_mime_part(mime, i)) != NULL; i++)
        check_part(arena, part, sieve_message_body(message));
    (void)sieve_html_to_text(arena, (SieveText){.bytes = (const char *)data, .len = size});
    return 0;
}
