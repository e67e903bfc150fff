/* sieve/check_strings.c - encoded characters and variables in strings; see check_private.h
 *
 * RFC 5229 section 3.1: backslashes are resolved first (lexer.c), then encoded characters
 * (RFC 5228 section 2.4.2.4), then variables. Each is one pass over the result of the one
 * before.
 */
#include "sieve/check_private.h"
#include "sieve/limits.h"

/* The next "${" at or after at; NULL: none. */
static const char *
find_opening(const char *at, const char *end)
{
    while ((at = memchr(at, '$', (size_t)(end - at))) != NULL) {
        if (at + 1 < end && at[1] == '{')
            return at;
        at++;
    }
    return NULL;
}

/* ---- encoded characters -------------------------------------------------- */

static const char *
skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* Numbers past every character are cut to one that is too large. */
static const char *
read_hex(const char *at, const char *end, guint32 *number_out)
{
    guint32 number = 0;

    for (; at < end && g_ascii_isxdigit(*at); at++)
        number = MIN(number, 0x200000u) * 16 + (guint32)g_ascii_xdigit_value(*at);
    *number_out = number;
    return at;
}

/* The "}" behind a well-formed sequence of numbers; NULL: it is none. */
static const char *
find_sequence_end(const char *at, const char *end, ptrdiff_t max_digits)
{
    size_t count = 0;

    for (;;) {
        const char *number = skip_blanks(at, end);
        guint32 ignored;

        if (number < end && *number == '}' && count > 0)
            return number;
        if (count > 0 && number == at)
            return NULL;
        at = read_hex(number, end, &ignored);
        if (at == number || at - number > max_digits)
            return NULL;
        count++;
    }
}

/* Writes what the sequence from at to end stands for; returns the place behind. */
static char *
put_sequence(SieveCheck *check, const SieveString *string, const char *at, const char *end,
             bool is_unicode, char *to)
{
    for (at = skip_blanks(at, end); at < end; at = skip_blanks(at, end)) {
        guint32 number;

        at = read_hex(at, end, &number);
        if (!is_unicode)
            *to++ = (char)number;
        else if (number <= 0x10ffff && (number < 0xd800 || number > 0xdfff))
            to += g_unichar_to_utf8(number, to);
        else
            sieve_check_error(check, string->line, string->column,
                              "${unicode:...} has a number that is no character: they go from 0 "
                              "to D7FF and from E000 to 10FFFF");
    }
    return to;
}

/* Copies the encoded sequence that begins at at to *to_inout. NULL: it is none. */
static const char *
decode_at(SieveCheck *check, const SieveString *string, const char *at, const char *end,
          char **to_inout)
{
    static const char hex[] = "${hex:", unicode[] = "${unicode:";
    size_t left = (size_t)(end - at);
    bool is_unicode =
        left > strlen(unicode) && g_ascii_strncasecmp(at, unicode, strlen(unicode)) == 0;

    if (!is_unicode && (left <= strlen(hex) || g_ascii_strncasecmp(at, hex, strlen(hex)) != 0))
        return NULL;
    at += is_unicode ? strlen(unicode) : strlen(hex);

    const char *close = find_sequence_end(at, end, is_unicode ? PTRDIFF_MAX : 2);

    if (close == NULL)
        return NULL;
    *to_inout = put_sequence(check, string, at, close, is_unicode, *to_inout);
    return close + 1;
}

static void
decode(SieveCheck *check, SieveString *string)
{
    const char *at = string->text.bytes, *end = at + string->text.len;
    const char *opening = find_opening(at, end);

    if (opening == NULL)
        return;

    /* What is encoded is never shorter than what it stands for. */
    char *decoded = sieve_arena_alloc(check->scratch, string->text.len + 1);
    char *to = decoded;

    for (; opening != NULL; opening = find_opening(at, end)) {
        memcpy(to, at, (size_t)(opening - at));
        to += opening - at;

        const char *behind = decode_at(check, string, opening, end, &to);

        if (behind == NULL) {
            *to++ = *opening;
            behind = opening + 1;
        }
        at = behind;
    }
    memcpy(to, at, (size_t)(end - at));
    to += end - at;
    string->text = (SieveText){.bytes = decoded, .len = (size_t)(to - decoded)};
}

/* ---- variables ----------------------------------------------------------- */

static SieveText
slice(const char *start, const char *end)
{
    return (SieveText){.bytes = start, .len = (size_t)(end - start)};
}

static SieveText
lower(SieveCheck *check, SieveText text)
{
    SieveText copy = sieve_arena_text(check->scratch, text.bytes, text.len);

    for (char *p = (char *)copy.bytes; *p != '\0'; p++)
        *p = g_ascii_tolower(*p);
    return copy;
}

static bool
is_word(SieveText text)
{
    if (text.len == 0 || !(g_ascii_isalpha(text.bytes[0]) || text.bytes[0] == '_'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!g_ascii_isalnum(text.bytes[i]) && text.bytes[i] != '_')
            return false;
    return true;
}

bool
sieve_is_variable_name(SieveText name)
{
    return is_word(name) && name.len <= SIEVE_MAX_VARIABLE_NAME;
}

/* The number of a match variable; one that is too large for any match stays too large. */
static bool
read_number(SieveText name, unsigned *number_out)
{
    unsigned number = 0;

    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!g_ascii_isdigit(name.bytes[i]))
            return false;
        number = MIN(number * 10 + (unsigned)(name.bytes[i] - '0'), 1000000u);
    }
    *number_out = number;
    return true;
}

static bool
begins_with(SieveText text, const char *prefix)
{
    return text.len > strlen(prefix) &&
           g_ascii_strncasecmp(text.bytes, prefix, strlen(prefix)) == 0;
}

/* Whether text is namespace "." name, as far as the grammar goes. */
static bool
is_namespaced(SieveText text)
{
    const char *end = text.bytes + text.len;
    const char *dot = memchr(text.bytes, '.', text.len);

    if (dot == NULL || !is_word(slice(text.bytes, dot)))
        return false;
    for (const char *part = dot + 1;; part = dot + 1) {
        unsigned ignored;

        dot = memchr(part, '.', (size_t)(end - part));

        SieveText word = slice(part, dot == NULL ? end : dot);

        if (!is_word(word) && !read_number(word, &ignored))
            return false;
        if (dot == NULL)
            return true;
    }
}

/* A reference into a namespace. False: an error, told. */
static bool
take_namespaced(SieveCheck *check, const SieveString *string, SieveText name, SievePiece *piece)
{
    SieveText global_name =
        slice(name.bytes + MIN(name.len, strlen("global.")), name.bytes + name.len);

    if (begins_with(name, "global.") && check->has_global && sieve_is_variable_name(global_name)) {
        *piece = (SievePiece){.kind = SIEVE_PIECE_VARIABLE, .text = lower(check, name)};
        return true;
    }
    if (begins_with(name, "global.") && !check->has_global)
        sieve_check_error(check, string->line, string->column,
                          "\"${%.*s}\" needs the extension \"include\": add require "
                          "[\"include\"]; at the top of the script",
                          (int)MIN(name.len, 80), name.bytes);
    else
        sieve_check_error(check, string->line, string->column,
                          "\"${%.*s}\" names no variable: a name has letters, digits and \"_\", "
                          "and a dot only behind \"global\"",
                          (int)MIN(name.len, 80), name.bytes);
    return false;
}

/* What stands between "${" and "}". False: no reference; the text stays as it is. */
static bool
take_reference(SieveCheck *check, const SieveString *string, SieveText name, SievePiece *piece)
{
    unsigned number;

    /* The items of the environment have names of their own: "env.vnd.dovecot.config.x-y". */
    if (begins_with(name, "env.") && sieve_check_is_required(check, "vnd.dovecot.environment")) {
        *piece = (SievePiece){.kind = SIEVE_PIECE_VARIABLE, .text = lower(check, name)};
        return true;
    }
    if (read_number(name, &number)) {
        if (number > SIEVE_MAX_MATCH_VARIABLES) { /* RFC 5229 section 6 */
            sieve_check_error(check, string->line, string->column,
                              "match variables go from ${0} to ${%d}", SIEVE_MAX_MATCH_VARIABLES);
            return false;
        }
        *piece = (SievePiece){.kind = SIEVE_PIECE_MATCH, .number = number};
        return true;
    }
    if (is_namespaced(name))
        return take_namespaced(check, string, name, piece);
    if (!is_word(name))
        return false;
    if (!sieve_is_variable_name(name)) {
        sieve_check_error(check, string->line, string->column,
                          "the name of a variable has at most %d characters",
                          SIEVE_MAX_VARIABLE_NAME);
        return false;
    }
    *piece = (SievePiece){.kind = SIEVE_PIECE_VARIABLE, .text = lower(check, name)};
    return true;
}

static void
add_text(SieveCheck *check, GArray *pieces, const char *start, const char *end)
{
    SievePiece piece = {.kind = SIEVE_PIECE_TEXT,
                        .text = sieve_arena_text(check->scratch, start, (size_t)(end - start))};

    if (start < end)
        g_array_append_val(pieces, piece);
}

static SievePieces *
new_pieces(SieveArena *arena, size_t count)
{
    SievePieces *pieces =
        sieve_arena_alloc(arena, sizeof(SievePieces) + count * sizeof(SievePiece));

    pieces->count = count;
    return pieces;
}

/* The pieces of a string; none when it has no reference. */
static void
find_variables(SieveCheck *check, SieveString *string)
{
    const char *start = string->text.bytes, *end = start + string->text.len;
    const char *opening = find_opening(start, end);

    if (opening == NULL)
        return;

    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(SievePiece));

    for (; opening != NULL; opening = find_opening(opening + 2, end)) {
        const char *close = opening + 2;
        SievePiece piece;

        /* No name has these; so each octet is looked at once, whatever the text. */
        while (close < end && *close != '}' && *close != '$' && *close != '{')
            close++;
        if (close == end)
            break;
        if (*close != '}' || !take_reference(check, string, slice(opening + 2, close), &piece))
            continue;
        add_text(check, pieces, start, opening);
        g_array_append_val(pieces, piece);
        start = close + 1;
        opening = close - 1;
    }
    if (pieces->len == 0)
        return;
    add_text(check, pieces, start, end);
    string->pieces = new_pieces(check->scratch, pieces->len);
    memcpy(string->pieces->items, pieces->data, pieces->len * sizeof(SievePiece));
}

void
sieve_check_string(SieveCheck *check, SieveString *string)
{
    if (check->has_encoded)
        decode(check, string);
    if (check->has_variables)
        find_variables(check, string);
}

/* ---- what the tree keeps ------------------------------------------------- */

static void
keep_string(SieveCheck *check, SieveString *string)
{
    const SievePieces *pieces = string->pieces;

    string->text = sieve_arena_text(check->arena, string->text.bytes, string->text.len);
    if (pieces == NULL)
        return;
    string->pieces = new_pieces(check->arena, pieces->count);
    for (size_t i = 0; i < pieces->count; i++) {
        SieveText text = pieces->items[i].text;

        string->pieces->items[i] = pieces->items[i];
        string->pieces->items[i].text = sieve_arena_text(check->arena, text.bytes, text.len);
    }
}

const SieveArgument *
sieve_check_keep(SieveCheck *check, const SieveArgument *argument)
{
    SieveArgument *kept = sieve_arena_new0(check->arena, SieveArgument, 1);

    *kept = *argument;
    if (kept->kind != SIEVE_STRINGS)
        return kept;
    kept->strings = sieve_arena_new0(check->arena, SieveString, kept->string_count);
    memcpy(kept->strings, argument->strings, kept->string_count * sizeof(SieveString));
    for (size_t i = 0; i < kept->string_count; i++)
        keep_string(check, &kept->strings[i]);
    return kept;
}
