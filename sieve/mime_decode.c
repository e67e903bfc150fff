/* sieve/mime_decode.c - what MIME parameters and contents mean: the module lodge-mime.so
 *
 * modules.h says how it is loaded. All by GMime: parameters (RFC 2231, and RFC 2047 where it
 * should not be), transfer encodings (RFC 2045 section 6, and uuencode) and charsets. The rest
 * is tolerance: an unknown encoding leaves the content as it is, and what is not valid in its
 * charset becomes U+FFFD, or, for UTF-8 and us-ascii, is read as ISO 8859-1, as in header
 * fields.
 */
#include "sieve/modules.h"

#include <gmime/gmime.h>

#include "sieve/limits.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GMimeParamList, g_object_unref)

/* GMime's tables, once a process. */
static void
start_gmime(void)
{
    static gsize is_started;

    if (g_once_init_enter(&is_started)) {
        g_mime_init();
        g_once_init_leave(&is_started, 1);
    }
}

static bool
find_parameter(SieveArena *arena, const char *parameters, SieveText name, SieveText *value_out)
{
    start_gmime();

    g_autofree char *wanted = g_strndup(name.bytes, name.len);
    g_autoptr(GMimeParamList) list = g_mime_param_list_parse(NULL, parameters);
    GMimeParam *param = list == NULL ? NULL : g_mime_param_list_get_parameter(list, wanted);

    if (param == NULL || g_mime_param_get_value(param) == NULL)
        return false;
    *value_out = sieve_text(sieve_arena_strdup(arena, g_mime_param_get_value(param)));
    return true;
}

/* ---- transfer encodings -------------------------------------------------- */

static bool
is_identity(GMimeContentEncoding encoding)
{
    return encoding != GMIME_CONTENT_ENCODING_BASE64 &&
           encoding != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE &&
           encoding != GMIME_CONTENT_ENCODING_UUENCODE;
}

/* Behind the line "begin 644 name"; all when there is none. */
static SieveText
behind_begin(SieveText text)
{
    const char *end = text.bytes + text.len, *next;

    for (const char *line = text.bytes; line < end; line = next) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));

        next = line_end == NULL ? end : line_end + 1;
        if (next - line > 6 && memcmp(line, "begin ", 6) == 0)
            return (SieveText){.bytes = next, .len = (size_t)(end - next)};
    }
    return text;
}

static SieveText
undo_encoding(SieveArena *arena, GMimeContentEncoding encoding, SieveText raw)
{
    GMimeEncoding state;

    g_mime_encoding_init_decode(&state, encoding);
    if (encoding == GMIME_CONTENT_ENCODING_UUENCODE) {
        raw = behind_begin(raw);
        state.state |= GMIME_UUDECODE_STATE_BEGIN;
    }

    char *decoded = sieve_arena_alloc(arena, g_mime_encoding_outlen(&state, raw.len) + 8);
    size_t len = g_mime_encoding_step(&state, raw.bytes, raw.len, decoded);

    /* Base64 that was cut off lacks its padding, without which GMime drops its last octets. */
    if (encoding == GMIME_CONTENT_ENCODING_BASE64)
        len += g_mime_encoding_step(&state, "==", 2, decoded + len);
    len += g_mime_encoding_flush(&state, "", 0, decoded + len);
    decoded[len] = '\0';
    return (SieveText){.bytes = decoded, .len = len};
}

/* ---- charsets ------------------------------------------------------------ */

/* CRLF to LF. */
static void
append_lines(GString *out, const char *bytes, size_t len)
{
    const char *end = bytes + len;

    while (bytes < end) {
        const char *cr = memchr(bytes, '\r', (size_t)(end - bytes));
        size_t piece = (size_t)((cr == NULL ? end : cr) - bytes);

        g_string_append_len(out, bytes, (gssize)piece);
        bytes += piece;
        if (cr == NULL)
            break;
        if (bytes + 1 == end || bytes[1] != '\n')
            g_string_append_c(out, '\r');
        bytes++;
    }
}

/* Text that claims to be UTF-8, or nothing. */
static bool
append_utf8(GString *out, SieveText text)
{
    const char *p = text.bytes, *end = text.bytes + text.len, *valid_end;
    bool is_sound = true;

    while (p < end && out->len < SIEVE_MAX_BODY_TEXT) {
        (void)g_utf8_validate(p, end - p, &valid_end);
        append_lines(out, p, (size_t)(valid_end - p));
        p = valid_end;
        if (p == end)
            break;
        is_sound = is_sound && *p == '\0';
        if (*p == '\0')
            g_string_append_c(out, '\0');
        else
            g_string_append_unichar(out, (unsigned char)*p);
        p++;
    }
    return is_sound;
}

static bool
append_converted(GString *out, SieveText text, iconv_t converter)
{
    char *in = (char *)text.bytes, buffer[4096];
    size_t in_left = text.len;
    bool is_sound = true;

    while (out->len < SIEVE_MAX_BODY_TEXT) {
        char *to = buffer;
        size_t to_left = sizeof buffer;
        /* The last call, without input, ends the shift state. */
        size_t done = iconv(converter, in_left == 0 ? NULL : &in, &in_left, &to, &to_left);
        bool is_stuck = done == (size_t)-1 && errno != E2BIG;

        g_string_append_len(out, buffer, (gssize)(sizeof buffer - to_left));
        if (is_stuck && in_left > 0) {
            g_string_append(out, "\xEF\xBF\xBD");
            in++;
            in_left--;
            is_sound = false;
        } else if (done != (size_t)-1 && to_left == sizeof buffer && in_left == 0) {
            break;
        }
    }
    return is_sound;
}

static bool
is_utf8_name(const char *charset)
{
    return *charset == '\0' || g_ascii_strcasecmp(charset, "utf-8") == 0 ||
           g_ascii_strcasecmp(charset, "us-ascii") == 0 || g_ascii_strcasecmp(charset, "utf8") == 0;
}

/* Appends text as UTF-8 with LF; false: charset is unknown or text not valid in it. */
static bool
append_text(GString *out, SieveText text, const char *charset)
{
    if (is_utf8_name(charset))
        return append_utf8(out, text);

    iconv_t converter = g_mime_iconv_open("utf-8", charset);

    /* NOLINTNEXTLINE(performance-no-int-to-ptr): this is how iconv_open(3) fails. */
    if (converter == (iconv_t)-1) {
        (void)append_utf8(out, text); /* what of it can be read */
        return false;
    }

    g_autoptr(GString) converted = g_string_sized_new(text.len + text.len / 8);
    bool is_sound = append_converted(converted, text, converter);

    (void)g_mime_iconv_close(converter); /* it was open */
    /* Some converters make what no character is: more than U+10FFFF. */
    return append_utf8(out, (SieveText){.bytes = converted->str, .len = converted->len}) &&
           is_sound;
}

static bool
decode(SieveArena *arena, SieveText raw, SieveText encoding, bool is_text, SieveText charset,
       SieveText *content_out, bool *is_sound_out, size_t *size_out)
{
    GMimeContentEncoding transfer = g_mime_content_encoding_from_string(encoding.bytes);
    bool is_sound = transfer != GMIME_CONTENT_ENCODING_DEFAULT || encoding.len == 0;
    SieveText content = raw;

    if (!is_identity(transfer)) {
        *size_out = content.len + 1024;
        if (!sieve_arena_room(arena, *size_out, NULL))
            return false;
        content = undo_encoding(arena, transfer, content);
    }
    if (is_text) {
        g_autofree char *charset_name = g_strndup(charset.bytes, charset.len);
        g_autoptr(GString) text = g_string_sized_new(content.len + content.len / 8);

        start_gmime();
        is_sound = append_text(text, content, charset_name) && is_sound;
        *size_out = text->len;
        if (!sieve_arena_room(arena, *size_out, NULL))
            return false;
        content = sieve_arena_text(arena, text->str, text->len);
    }
    *content_out = content;
    *is_sound_out = is_sound;
    return true;
}

/* ---- writing ------------------------------------------------------------- */

enum { LONGEST_LINE = 998 }; /* RFC 5322 section 2.1.1 */

/* The encoding in which text can stand in any multipart. */
static GMimeContentEncoding
encoding_for(SieveText text)
{
    bool is_plain = true;
    const char *end = text.bytes + text.len;

    for (const char *line = text.bytes; line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));

        if (line_end == NULL)
            line_end = end;
        if (line_end - line >= 2 && line[0] == '-' && line[1] == '-')
            return GMIME_CONTENT_ENCODING_BASE64;
        is_plain = is_plain && line_end - line <= LONGEST_LINE;
        for (const char *p = line; p < line_end && is_plain; p++)
            is_plain = (unsigned char)*p < 0x7f && *p != '\0' && *p != '\r';
        line = line_end + 1;
    }
    return is_plain ? GMIME_CONTENT_ENCODING_7BIT : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
}

static void
append_text_entity(SieveText text, GString *out)
{
    GMimeContentEncoding encoding = encoding_for(text);

    g_string_append(out, "Content-Type: text/plain; charset=utf-8\n");
    g_string_append_printf(out, "Content-Transfer-Encoding: %s\n\n",
                           g_mime_content_encoding_to_string(encoding));
    if (encoding == GMIME_CONTENT_ENCODING_7BIT) {
        g_string_append_len(out, text.bytes, (gssize)text.len);
        return;
    }

    GMimeEncoding state;

    g_mime_encoding_init_encode(&state, encoding);

    g_autofree char *encoded = g_malloc(g_mime_encoding_outlen(&state, text.len) + 1);
    size_t len = g_mime_encoding_step(&state, text.bytes, text.len, encoded);

    len += g_mime_encoding_flush(&state, "", 0, encoded + len);
    g_string_append_len(out, encoded, (gssize)len);
}

const SieveMimeModule sieve_mime_module = {
    .version = LODGE_VERSION,
    .parameter = find_parameter,
    .decode = decode,
    .append_text_entity = append_text_entity,
};
