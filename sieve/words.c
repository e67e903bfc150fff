/* sieve/words.c - RFC 2047, both ways; see words.h
 *
 * By hand and not by GMime: its decoder returns C strings, so that an encoded NUL would hide
 * the rest of a field from every test, and this one is linear in its text. Charsets are iconv's.
 */
#include "sieve/words.h"

/* Charsets under names that iconv does not know, or that senders use for more than they mean. */
static const struct {
    const char *name, *iconv;
} charset_names[] = {
    {"us-ascii", "utf-8"},
    {"ascii", "utf-8"},
    {"ks_c_5601-1987", "cp949"},
    {"euc-kr", "cp949"},
    {"gb2312", "gb18030"},
    {"x-gbk", "gb18030"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"x-sjis", "cp932"},
    {"shift_jis", "cp932"},
    {"x-unknown", "utf-8"},
    {"cp-850", "cp850"},
};

enum {
    LONGEST_CHARSET = 64,
    /* Octets of UTF-8 in one encoded word: 60 in base64 and 12 around them keep RFC 2047
     * section 2's 75. */
    ENCODED_OCTETS = 45,
};

bool
sieve_text_is_utf8(SieveText text)
{
    const char *at = text.bytes, *end = text.bytes + text.len, *bad;

    while (!g_utf8_validate_len(at, (size_t)(end - at), &bad)) {
        if (*bad != '\0')
            return false;
        at = bad + 1; /* GLib takes NUL for invalid */
    }
    return true;
}

static void
append_latin1(GString *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        g_string_append_unichar(out, (uint8_t)bytes[i]);
}

SieveText
sieve_text_to_utf8(SieveArena *arena, SieveText text)
{
    if (sieve_text_is_utf8(text))
        return text;

    g_autoptr(GString) out = g_string_sized_new(text.len * 2);

    append_latin1(out, text.bytes, text.len);
    return sieve_arena_text(arena, out->str, out->len);
}

/* ---- charsets ------------------------------------------------------------------ */

/* False: the charset is unknown. */
static bool
open_charset(const char *name, GIConv *converter_out)
{
    for (const char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalnum(*p) && strchr("-_.:+", *p) == NULL)
            return false;
    for (size_t i = 0; i < G_N_ELEMENTS(charset_names); i++)
        if (g_ascii_strcasecmp(name, charset_names[i].name) == 0)
            name = charset_names[i].iconv;
    *converter_out = g_iconv_open("UTF-8", name);
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): this is how iconv_open(3) fails. */
    return *converter_out != (GIConv)-1;
}

static void
append_converted(GString *out, GIConv converter, char *in, size_t left)
{
    char buffer[512];
    char *to = buffer;
    size_t room = sizeof buffer;

    for (;;) {
        bool finished = left == 0;
        size_t converted = finished ? g_iconv(converter, NULL, NULL, &to, &room)
                                    : g_iconv(converter, &in, &left, &to, &room);

        g_string_append_len(out, buffer, to - buffer);
        to = buffer;
        room = sizeof buffer;
        if (finished)
            return;
        if (converted == (size_t)-1 && errno != E2BIG) {
            /* EILSEQ, or EINVAL at its end: one octet is lost. */
            g_string_append(out, "\xef\xbf\xbd");
            in++;
            left--;
        }
    }
}

static void
append_octets(GString *out, const char *charset, GString *octets)
{
    SieveText text = {.bytes = octets->str, .len = octets->len};
    bool is_utf8 = g_ascii_strcasecmp(charset, "utf-8") == 0;

    if (is_utf8 && sieve_text_is_utf8(text)) {
        g_string_append_len(out, octets->str, (gssize)octets->len);
        return;
    }

    GIConv converter;

    if (!open_charset(charset, &converter)) {
        if (sieve_text_is_utf8(text))
            g_string_append_len(out, octets->str, (gssize)octets->len);
        else
            append_latin1(out, octets->str, octets->len);
        return;
    }
    append_converted(out, converter, octets->str, octets->len);
    (void)g_iconv_close(converter); /* cannot fail for an open one */
}

/* ---- decoding -------------------------------------------------------------------- */

/* One encoded word, its texts within the field. */
typedef struct {
    char charset[LONGEST_CHARSET + 1];
    bool is_base64;
    const char *content, *content_end;
    const char *end; /* behind "?=" */
} Word;

/* Reads the word at "=?". *is_last_out: no word can end any more. */
static bool
read_word(const char *at, const char *end, Word *word, bool *is_last_out)
{
    const char *charset = at + 2;
    const char *mark = memchr(charset, '?', MIN((size_t)(end - charset), (size_t)LONGEST_CHARSET));

    if (mark == NULL || mark == charset || end - mark < 5 || mark[2] != '?')
        return false;
    switch (mark[1]) {
    case 'b':
    case 'B':
        word->is_base64 = true;
        break;
    case 'q':
    case 'Q':
        word->is_base64 = false;
        break;
    default:
        return false;
    }

    const char *language = memchr(charset, '*', (size_t)(mark - charset)); /* RFC 2231 section 5 */
    size_t len = (size_t)((language == NULL ? mark : language) - charset);

    memcpy(word->charset, charset, len);
    word->charset[len] = '\0';
    word->content = mark + 3;
    word->content_end = memmem(word->content, (size_t)(end - word->content), "?=", 2);
    *is_last_out = word->content_end == NULL;
    if (*is_last_out)
        return false;
    word->end = word->content_end + 2;
    return true;
}

static void
decode_base64(const Word *word, GString *octets)
{
    size_t len = (size_t)(word->content_end - word->content);
    size_t before = octets->len;
    int state = 0;
    guint save = 0;

    g_string_set_size(octets, before + len * 3 / 4 + 6);

    size_t decoded =
        g_base64_decode_step(word->content, len, (guchar *)octets->str + before, &state, &save);

    /* Padding that was left out: so many characters of the last group are there. */
    if (state > 0 && state < 4)
        decoded += g_base64_decode_step("===", (gsize)(4 - state),
                                        (guchar *)octets->str + before + decoded, &state, &save);
    g_string_truncate(octets, before + decoded);
}

static void
decode_quoted(const Word *word, GString *octets)
{
    for (const char *p = word->content; p < word->content_end; p++) {
        if (*p == '=' && word->content_end - p > 2 && g_ascii_isxdigit(p[1]) &&
            g_ascii_isxdigit(p[2])) {
            g_string_append_c(octets,
                              (char)(g_ascii_xdigit_value(p[1]) * 16 + g_ascii_xdigit_value(p[2])));
            p += 2;
        } else {
            g_string_append_c(octets, *p == '_' ? ' ' : *p);
        }
    }
}

static const char *
skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Appends what the words from word on say, as long as one follows the other in the same charset:
 * a character may be cut in two by the end of a word. Returns the place behind them. */
static const char *
decode_run(const Word *first, const char *end, GString *octets, GString *out, bool *is_last)
{
    Word word = *first;
    const char *next;

    g_string_truncate(octets, 0);
    for (;;) {
        Word following;

        if (word.is_base64)
            decode_base64(&word, octets);
        else
            decode_quoted(&word, octets);
        next = skip_blanks(word.end, end);
        if (end - next < 2 || next[0] != '=' || next[1] != '?' ||
            !read_word(next, end, &following, is_last)) {
            next = word.end;
            break;
        }
        if (g_ascii_strcasecmp(following.charset, word.charset) != 0)
            break; /* the blanks between them are not shown either */
        word = following;
    }
    append_octets(out, word.charset, octets);
    return next;
}

SieveText
sieve_decode_words(SieveArena *arena, SieveText text)
{
    text = sieve_text_to_utf8(arena, text);
    if (memmem(text.bytes, text.len, "=?", 2) == NULL)
        return text;

    const char *at = text.bytes, *end = text.bytes + text.len, *start;
    g_autoptr(GString) out = g_string_sized_new(text.len);
    g_autoptr(GString) octets = g_string_new(NULL);
    bool is_last = false;

    while (!is_last && (start = memmem(at, (size_t)(end - at), "=?", 2)) != NULL) {
        Word word;

        g_string_append_len(out, at, start - at);
        if (read_word(start, end, &word, &is_last)) {
            at = decode_run(&word, end, octets, out, &is_last);
        } else {
            g_string_append_len(out, start, 2);
            at = start + 2;
        }
    }
    g_string_append_len(out, at, end - at);
    return sieve_text_to_utf8(arena, sieve_arena_text(arena, out->str, out->len));
}

/* ---- encoding -------------------------------------------------------------------- */

static bool
needs_encoding(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)word[i] < 0x20 || (uint8_t)word[i] >= 0x7f)
            return true;
    return len >= 2 && memmem(word, len, "=?", 2) != NULL;
}

static void
encode_region(const char *bytes, size_t len, GString *out)
{
    for (size_t at = 0; at < len;) {
        size_t count = MIN(len - at, (size_t)ENCODED_OCTETS);

        while (at + count < len && ((uint8_t)bytes[at + count] & 0xc0) == 0x80)
            count--;

        g_autofree char *base64 = g_base64_encode((const guchar *)bytes + at, count);

        g_string_append_printf(out, "%s=?utf-8?B?%s?=", at == 0 ? "" : " ", base64);
        at += count;
    }
}

void
sieve_encode_words(SieveText text, GString *out)
{
    const char *end = text.bytes + text.len;
    const char *first = NULL, *last = NULL;

    /* All from the first word that needs it to the last: blanks between encoded words would have
     * to be encoded anyway. */
    for (const char *word = text.bytes; word < end;) {
        const char *word_end = word;

        while (word_end < end && *word_end != ' ' && *word_end != '\t')
            word_end++;
        if (needs_encoding(word, (size_t)(word_end - word))) {
            first = first == NULL ? word : first;
            last = word_end;
        }
        word = word_end < end ? word_end + 1 : end;
    }
    if (first == NULL) {
        g_string_append_len(out, text.bytes, (gssize)text.len);
        return;
    }
    g_string_append_len(out, text.bytes, first - text.bytes);
    encode_region(first, (size_t)(last - first), out);
    g_string_append_len(out, last, end - last);
}

void
sieve_encode_phrase(SieveText text, GString *out)
{
    if (needs_encoding(text.bytes, text.len)) {
        encode_region(text.bytes, text.len, out);
        return;
    }
    g_string_append_c(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '"' || text.bytes[i] == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, text.bytes[i]);
    }
    g_string_append_c(out, '"');
}
