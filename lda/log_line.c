/* lda/log_line.c - fields to one line; see log_line.h
 *
 *   logfmt  time="2026-01-31 12:00:00" event=delivery text="a \"b\" \x1b"
 *   JSON    {"time":"2026-01-31 12:00:00","event":"delivery","text":"a \"b\" \u001b"}
 *
 * Whatever could end the line, the quotes or the terminal's patience is escaped:
 * control characters (C1 and bidirectional ones as well) and what is not UTF-8.
 * logfmt keeps such bytes as \xNN and can be read back exactly; JSON has no way
 * to say "a byte", so what is not UTF-8 becomes U+FFFD there.
 */
#include "lda/log_line.h"

#include "lda/decimal.h"

typedef struct {
    const char *start;
    size_t len;
    gunichar c; /* (gunichar)-1: one byte that is not UTF-8 */
} Piece;

/* Printable ASCII that stands for itself inside quotes, and without them. */
enum { IN_QUOTES = 1 << 0, BARE = 1 << 1 };

static const uint8_t plain_ascii[256] = {
    [' '] = IN_QUOTES, ['!'] = IN_QUOTES | BARE,         ['#' ... '<'] = IN_QUOTES | BARE,
    ['='] = IN_QUOTES, ['>' ... '['] = IN_QUOTES | BARE, [']' ... '~'] = IN_QUOTES | BARE,
};

/* Behind the octets from p on that are plain. Most text is nothing else, and each
 * delivery writes a line: no call for each octet. */
static const char *
skip_plain(const char *p, const char *end, uint8_t kind)
{
    while (p < end && (plain_ascii[(uint8_t)*p] & kind) != 0)
        p++;
    return p;
}

static Piece
next_piece(const char *p, const char *end)
{
    gunichar c = g_utf8_get_char_validated(p, end - p);
    bool valid = c != (gunichar)-1 && c != (gunichar)-2;

    return (Piece){p, valid ? (size_t)(g_utf8_next_char(p) - p) : 1, valid ? c : (gunichar)-1};
}

static bool
is_plain(const Piece *piece)
{
    return piece->c != (gunichar)-1 && piece->c != '"' && piece->c != '\\' &&
           g_unichar_isprint(piece->c);
}

/* The escapes that logfmt and JSON share. */
static const char *
short_escape(gunichar c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

static void
append_bytes(GString *line, const Piece *piece)
{
    for (size_t i = 0; i < piece->len; i++)
        g_string_append_printf(line, "\\x%02x", (uint8_t)piece->start[i]);
}

static void
append_utf16(GString *line, gunichar c)
{
    if (c == (gunichar)-1)
        g_string_append(line, "\\ufffd");
    else if (c < 0x10000)
        g_string_append_printf(line, "\\u%04x", c);
    else
        g_string_append_printf(line, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                               0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void
append_quoted(GString *line, LogFormat format, const char *value, const char *end)
{
    Piece piece;
    const char *p = value;

    g_string_append_c(line, '"');
    for (;;) {
        const char *plain = p;

        p = skip_plain(plain, end, IN_QUOTES);
        g_string_append_len(line, plain, p - plain);
        if (p == end)
            break;
        piece = next_piece(p, end);
        p += piece.len;
        if (is_plain(&piece))
            g_string_append_len(line, piece.start, (gssize)piece.len);
        else if (short_escape(piece.c) != NULL)
            g_string_append(line, short_escape(piece.c));
        else if (format == LOG_FORMAT_JSON)
            append_utf16(line, piece.c);
        else
            append_bytes(line, &piece);
    }
    g_string_append_c(line, '"');
}

static bool
needs_quotes(const char *value, const char *end)
{
    Piece piece;

    if (value == end)
        return true;
    for (const char *p = skip_plain(value, end, BARE); p < end; p += piece.len) {
        piece = next_piece(p, end);
        if (!is_plain(&piece) || piece.c == '=' || g_unichar_isspace(piece.c))
            return true;
    }
    return false;
}

/* Where to stop: at the end, or before the first character past LOG_VALUE_MAX. */
static const char *
end_of(const char *value)
{
    size_t len = strnlen(value, LOG_VALUE_MAX + 1);

    if (len > LOG_VALUE_MAX) {
        len = LOG_VALUE_MAX;
        for (int back = 0; back < 3 && ((uint8_t)value[len] & 0xc0) == 0x80; back++)
            len--;
    }
    return value + len;
}

static void
append_name(GString *line, LogFormat format, const char *field)
{
    bool first = line->len == 0;

    if (format == LOG_FORMAT_JSON) {
        g_string_append(line, first ? "{\"" : ",\"");
        g_string_append(line, field);
        g_string_append(line, "\":");
    } else {
        if (!first)
            g_string_append_c(line, ' ');
        g_string_append(line, field);
        g_string_append_c(line, '=');
    }
}

void
log_format_text(GString *line, LogFormat format, const char *field, const char *value)
{
    const char *end = end_of(value);

    append_name(line, format, field);
    if (format == LOG_FORMAT_JSON || needs_quotes(value, end))
        append_quoted(line, format, value, end);
    else
        g_string_append_len(line, value, end - value);
}

void
log_format_number(GString *line, LogFormat format, const char *field, gint64 value)
{
    append_name(line, format, field);
    if (value < 0)
        g_string_append_c(line, '-');
    decimal_append(line, value < 0 ? 0 - (guint64)value : (guint64)value, 1);
}

void
log_append_json(GString *out, const char *text)
{
    append_quoted(out, LOG_FORMAT_JSON, text, text + strlen(text));
}

void
log_format_end(GString *line, LogFormat format)
{
    g_string_append(line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
}
