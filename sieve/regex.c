/* sieve/regex.c - POSIX extended regular expressions by PCRE2; see regex.h
 *
 * The expression is read here, piece by piece, and written anew for PCRE2:
 *
 *   - brackets mean what POSIX says: a backslash in them is a backslash;
 *   - "a+?" is "(a+)?", as regcomp() has it, not Perl's lazy "+";
 *   - back references, which the draft forbids, and escapes of letters without meaning are
 *     refused instead of being taken for something else;
 *   - under i;ascii-casemap each letter becomes "[aA]": PCRE2_CASELESS would fold
 *     all of Unicode.
 *
 * PCRE2 takes the first alternative that matches, POSIX the longest match. When captures are
 * wanted, pcre2_dfa_match() tells how far the longest goes, and the expression is matched
 * again up to there.
 */
#include "sieve/regex.h"

#include "sieve/limits.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct SieveRegex {
    pcre2_code *code;
    pcre2_match_context *context;
};

/* ---- translation ------------------------------------------------------------- */

typedef struct {
    const char *at, *end;
    bool folds_ascii;
    bool can_repeat;   /* there is something before this place to repeat */
    size_t atom_start; /* in out: the atom a repetition applies to */
    GString *out;
    GArray *open; /* of size_t: where in out each open group begins */
} Reader;

static bool
refuse(GError **error, const char *why)
{
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME, "bad regular expression: %s", why);
    return false;
}

static void
begin_atom(Reader *reader)
{
    reader->atom_start = reader->out->len;
    reader->can_repeat = true;
}

/* One character of the pattern, which is valid UTF-8. */
static size_t
character_len(const Reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at);
    size_t len = (size_t)g_utf8_skip[(uint8_t)*reader->at];

    return MIN(left, len);
}

static void
write_escaped(GString *out, char octet)
{
    if (g_ascii_ispunct(octet))
        g_string_append_c(out, '\\');
    if (octet == '\0')
        g_string_append(out, "\\x00");
    else
        g_string_append_c(out, octet);
}

static void
read_literal(Reader *reader)
{
    size_t len = character_len(reader);
    char octet = *reader->at;

    begin_atom(reader);
    if (reader->folds_ascii && g_ascii_isalpha(octet))
        g_string_append_printf(reader->out, "[%c%c]", g_ascii_tolower(octet),
                               g_ascii_toupper(octet));
    else if (len > 1)
        g_string_append_len(reader->out, reader->at, (gssize)len);
    else
        write_escaped(reader->out, octet);
    reader->at += len;
}

static bool
read_escape(Reader *reader, GError **error)
{
    static const struct {
        const char *meaning;
        char letter;
        bool is_anchor;
    } escapes[] = {
        {"\\w", 'w', false},        {"\\W", 'W', false},   {"\\s", 's', false},
        {"\\S", 'S', false},        {"[0-9]", 'd', false}, {"[^0-9]", 'D', false},
        {"\\b", 'b', true},         {"\\B", 'B', true},    {"\\b(?=\\w)", '<', true},
        {"\\b(?<=\\w)", '>', true}, {"\\A", '`', true},    {"\\z", '\'', true},
        {"\\t", 't', false},        {"\\n", 'n', false},   {"\\r", 'r', false},
    };

    if (++reader->at == reader->end)
        return refuse(error, "a backslash at its end");
    for (size_t i = 0; i < G_N_ELEMENTS(escapes); i++) {
        if (*reader->at == escapes[i].letter) {
            begin_atom(reader);
            reader->can_repeat = !escapes[i].is_anchor;
            g_string_append(reader->out, escapes[i].meaning);
            reader->at++;
            return true;
        }
    }
    if (g_ascii_isdigit(*reader->at))
        return refuse(error, "back references are not supported");
    if (g_ascii_isalpha(*reader->at))
        return refuse(error, "unknown escape of a letter");
    read_literal(reader);
    return true;
}

/* ---- brackets ---------------------------------------------------------------- */

static void
write_in_class(GString *out, gunichar character)
{
    if (character < 0x80 && !g_ascii_isalnum((char)character))
        g_string_append_printf(out, "\\x%02x", character);
    else
        g_string_append_unichar(out, character);
}

static void
write_range(GString *out, gunichar from, gunichar to)
{
    write_in_class(out, from);
    if (to == from)
        return;
    g_string_append_c(out, '-');
    write_in_class(out, to);
}

/* The letters of the other case of those ASCII letters that are in the range. */
static void
write_other_case(GString *out, gunichar from, gunichar to)
{
    gunichar lower_from = MAX(from, (gunichar)'a'), lower_to = MIN(to, (gunichar)'z');
    gunichar upper_from = MAX(from, (gunichar)'A'), upper_to = MIN(to, (gunichar)'Z');

    if (lower_from <= lower_to)
        write_range(out, lower_from - ('a' - 'A'), lower_to - ('a' - 'A'));
    if (upper_from <= upper_to)
        write_range(out, upper_from + ('a' - 'A'), upper_to + ('a' - 'A'));
}

/* "[:alpha:]", its name from at to the colon. */
static bool
write_named_class(Reader *reader, const char *name, size_t len, GError **error)
{
    static const char *const names[] = {"alnum", "alpha", "blank", "cntrl", "graph", "lower",
                                        "print", "punct", "space", "upper", "xdigit"};

    if (len == 5 && memcmp(name, "digit", 5) == 0) {
        g_string_append(reader->out, "0-9"); /* with PCRE2_UCP [:digit:] has other digits too */
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strlen(names[i]) != len || memcmp(names[i], name, len) != 0)
            continue;
        g_string_append_printf(reader->out, "[:%s:]", names[i]);
        if (reader->folds_ascii && strcmp(names[i], "upper") == 0)
            g_string_append(reader->out, "a-z");
        if (reader->folds_ascii && strcmp(names[i], "lower") == 0)
            g_string_append(reader->out, "A-Z");
        return true;
    }
    return refuse(error, "unknown character class");
}

/* "[:name:]", "[=x=]" or "[.x.]" at the reader: its inside. */
static bool
read_delimited(Reader *reader, const char **inside_out, size_t *len_out, GError **error)
{
    char closing[2] = {reader->at[1], ']'};
    const char *inside = reader->at + 2;
    const char *close = memmem(inside, (size_t)(reader->end - inside), closing, 2);

    if (close == NULL)
        return refuse(error, "'[' without ']'");
    *inside_out = inside;
    *len_out = (size_t)(close - inside);
    reader->at = close + 2;
    return true;
}

static bool
is_delimiter(const Reader *reader, const char *kinds)
{
    return reader->end - reader->at >= 2 && reader->at[0] == '[' &&
           strchr(kinds, reader->at[1]) != NULL && reader->at[1] != '\0';
}

/* One end of a range: a character, "[.x.]" or "[=x=]". */
static bool
read_class_character(Reader *reader, gunichar *character_out, GError **error)
{
    const char *inside;
    size_t len;

    if (!is_delimiter(reader, ".=")) {
        *character_out = g_utf8_get_char(reader->at);
        reader->at += character_len(reader);
        return true;
    }
    if (!read_delimited(reader, &inside, &len, error))
        return false;
    if (len == 0 || (size_t)g_utf8_skip[(uint8_t)*inside] != len)
        return refuse(error, "unknown collating element");
    *character_out = g_utf8_get_char(inside);
    return true;
}

static bool
read_class_item(Reader *reader, GError **error)
{
    gunichar from, to;

    if (is_delimiter(reader, ":")) {
        const char *name;
        size_t len;

        return read_delimited(reader, &name, &len, error) &&
               write_named_class(reader, name, len, error);
    }
    if (!read_class_character(reader, &from, error))
        return false;
    to = from;
    if (reader->end - reader->at >= 2 && reader->at[0] == '-' && reader->at[1] != ']') {
        reader->at++;
        if (!read_class_character(reader, &to, error))
            return false;
    }
    if (to < from)
        return refuse(error, "a range that ends before it begins");
    write_range(reader->out, from, to);
    if (reader->folds_ascii)
        write_other_case(reader->out, from, to);
    return true;
}

static bool
read_brackets(Reader *reader, GError **error)
{
    const char *first;

    begin_atom(reader);
    g_string_append_c(reader->out, '[');
    if (++reader->at < reader->end && *reader->at == '^') {
        g_string_append_c(reader->out, '^');
        reader->at++;
    }
    first = reader->at; /* a "]" here is a member */
    while (reader->at < reader->end && (*reader->at != ']' || reader->at == first)) {
        if (!read_class_item(reader, error))
            return false;
    }
    if (reader->at == reader->end)
        return refuse(error, "'[' without ']'");
    reader->at++;
    g_string_append_c(reader->out, ']');
    return true;
}

/* ---- repetitions and groups ---------------------------------------------------- */

static bool
read_count(Reader *reader, unsigned *count_out)
{
    unsigned count = 0;
    const char *from = reader->at;

    while (reader->at < reader->end && g_ascii_isdigit(*reader->at) && count <= 65535)
        count = count * 10 + (unsigned)(*reader->at++ - '0');
    *count_out = count;
    return reader->at > from;
}

/* "{n}", "{n,}", "{n,m}", "{,m}" */
static bool
read_interval(Reader *reader, GError **error)
{
    unsigned least, most;
    bool has_least, has_most = true;

    reader->at++;
    has_least = read_count(reader, &least);
    most = least;
    if (reader->at < reader->end && *reader->at == ',') {
        reader->at++;
        has_most = read_count(reader, &most);
        has_least = has_least || has_most;
    }
    if (!has_least || reader->at == reader->end || *reader->at != '}')
        return refuse(error, "'{' without a count");
    if (least > 32767 || most > 32767 || (has_most && most < least))
        return refuse(error, "a count out of range");
    reader->at++;
    g_string_append_printf(reader->out, "{%u,", least);
    if (has_most)
        g_string_append_printf(reader->out, "%u", most);
    g_string_append_c(reader->out, '}');
    return true;
}

static bool
read_repetition(Reader *reader, GError **error)
{
    if (!reader->can_repeat)
        return refuse(error, "nothing to repeat");
    /* In a group of its own, so that a second one repeats the whole. */
    g_string_insert(reader->out, (gssize)reader->atom_start, "(?:");
    if (*reader->at == '{') {
        if (!read_interval(reader, error))
            return false;
    } else {
        g_string_append_c(reader->out, *reader->at++);
    }
    g_string_append_c(reader->out, ')');
    return true;
}

static bool
open_group(Reader *reader, GError **error)
{
    static const char *const perl[] = {"(?:", "(?i)", "(?i:", "(?=", "(?!"};
    size_t left = (size_t)(reader->end - reader->at);
    const char *opening = "(";

    for (size_t i = 0; i < G_N_ELEMENTS(perl); i++)
        if (left >= strlen(perl[i]) && memcmp(reader->at, perl[i], strlen(perl[i])) == 0)
            opening = perl[i];
    if (strcmp(opening, "(") == 0 && left > 1 && reader->at[1] == '?')
        return refuse(error, "nothing to repeat");

    size_t start = reader->out->len;

    reader->at += strlen(opening);
    g_string_append(reader->out, opening);
    reader->can_repeat = false;
    if (!g_str_has_suffix(opening, ")"))
        g_array_append_val(reader->open, start);
    return true;
}

static bool
close_group(Reader *reader, GError **error)
{
    if (reader->open->len == 0)
        return refuse(error, "')' without '('");
    reader->atom_start = g_array_index(reader->open, size_t, reader->open->len - 1);
    g_array_set_size(reader->open, reader->open->len - 1);
    reader->can_repeat = true;
    g_string_append_c(reader->out, ')');
    reader->at++;
    return true;
}

static void
read_operator(Reader *reader)
{
    reader->can_repeat = false;
    g_string_append_c(reader->out, *reader->at++);
}

static bool
read_piece(Reader *reader, GError **error)
{
    switch (*reader->at) {
    case '\\':
        return read_escape(reader, error);
    case '[':
        return read_brackets(reader, error);
    case '(':
        return open_group(reader, error);
    case ')':
        return close_group(reader, error);
    case '*':
    case '+':
    case '?':
    case '{':
        return read_repetition(reader, error);
    case '|':
    case '^':
    case '$':
        read_operator(reader);
        return true;
    case '.':
        begin_atom(reader);
        g_string_append_c(reader->out, *reader->at++);
        return true;
    default:
        read_literal(reader);
        return true;
    }
}

static GString *
translate(SieveText text, bool folds_ascii, GError **error)
{
    Reader reader = {
        .at = text.bytes,
        .end = text.bytes + text.len,
        .folds_ascii = folds_ascii,
        .out = g_string_new(NULL),
        .open = g_array_new(FALSE, FALSE, sizeof(size_t)),
    };
    bool ok = true;

    while (ok && reader.at < reader.end)
        ok = read_piece(&reader, error);
    if (ok && reader.open->len > 0)
        ok = refuse(error, "'(' without ')'");
    g_array_unref(reader.open);
    if (!ok) {
        g_string_free(reader.out, TRUE);
        return NULL;
    }
    return reader.out;
}

/* ---- compiling ------------------------------------------------------------------ */

static void
release_code(void *code)
{
    pcre2_code_free(code);
}

static void
release_context(void *context)
{
    pcre2_match_context_free(context);
}

static bool
is_utf8(SieveText text)
{
    const char *at = text.bytes, *end = text.bytes + text.len;

    while (at < end) {
        const char *bad;

        if (g_utf8_validate_len(at, (size_t)(end - at), &bad))
            return true;
        if (*bad != '\0')
            return false;
        at = bad + 1; /* GLib takes NUL for invalid; to us it is a character */
    }
    return true;
}

SieveRegex *
sieve_regex_new(SieveArena *arena, SieveText text, SieveRegexCase letter_case, GError **error)
{
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    int code;
    PCRE2_SIZE offset;

    if (text.len > SIEVE_MAX_REGEX_LENGTH) {
        refuse(error, "it is too long");
        return NULL;
    }
    if (!is_utf8(text)) {
        refuse(error, "it is not UTF-8");
        return NULL;
    }

    g_autoptr(GString) perl = translate(text, letter_case == SIEVE_REGEX_ASCII_CASE, error);

    if (perl == NULL)
        return NULL;
    if (letter_case == SIEVE_REGEX_UNICODE_CASE)
        options |= PCRE2_CASELESS;

    pcre2_compile_context *context = pcre2_compile_context_create(NULL);

    pcre2_set_newline(context, PCRE2_NEWLINE_LF);

    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)perl->str, perl->len, options, &code, &offset, context);

    pcre2_compile_context_free(context);
    if (compiled == NULL) {
        PCRE2_UCHAR why[128] = "";

        (void)pcre2_get_error_message(code, why, sizeof why); /* cut or empty: still an error */
        refuse(error, (const char *)why);
        return NULL;
    }

    SieveRegex *regex = sieve_arena_new0(arena, SieveRegex, 1);

    regex->code = compiled;
    regex->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(regex->context, SIEVE_MAX_REGEX_MATCH);
    pcre2_set_depth_limit(regex->context, SIEVE_MAX_REGEX_DEPTH);
    size_t size = 0;

    (void)pcre2_pattern_info(compiled, PCRE2_INFO_SIZE, &size); /* it knows */
    sieve_arena_own(arena, compiled, size, release_code);
    sieve_arena_own(arena, regex->context, 0, release_context);
    return regex;
}

/* ---- matching ------------------------------------------------------------------- */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(pcre2_match_data, pcre2_match_data_free)

/* Moves the end of the match in data to that of the longest one from the same start. Where that
 * cannot be had, the match stays as it is. */
static void
lengthen(const SieveRegex *regex, SieveText value, pcre2_match_data *data)
{
    enum { WORKSPACE = 1000 };
    int workspace[WORKSPACE];
    size_t start = pcre2_get_ovector_pointer(data)[0];
    size_t end = pcre2_get_ovector_pointer(data)[1];
    g_autoptr(pcre2_match_data) longest = pcre2_match_data_create(1, NULL);
    int found = pcre2_dfa_match(regex->code, (PCRE2_SPTR)value.bytes, value.len, start,
                                PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, longest, regex->context,
                                workspace, WORKSPACE);

    if (found < 0 || pcre2_get_ovector_pointer(longest)[1] <= end)
        return;

    size_t longest_end = pcre2_get_ovector_pointer(longest)[1];
    g_autoptr(pcre2_match_data) again = pcre2_match_data_create_from_pattern(regex->code, NULL);
    uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_UTF_CHECK;

    if (longest_end < value.len)
        options |= PCRE2_NOTEOL;
    if (pcre2_match(regex->code, (PCRE2_SPTR)value.bytes, longest_end, start, options, again,
                    regex->context) <= 0)
        return;
    memcpy(pcre2_get_ovector_pointer(data), pcre2_get_ovector_pointer(again),
           sizeof(PCRE2_SIZE) * 2 * pcre2_get_ovector_count(data));
}

static void
set_captures(SieveText value, pcre2_match_data *data, SieveArena *arena, SieveCaptures *captures)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(data);
    size_t count = MIN((size_t)pcre2_get_ovector_count(data), G_N_ELEMENTS(captures->values));

    *captures = (SieveCaptures){.count = count};
    for (size_t i = 0; i < count; i++) {
        PCRE2_SIZE from = offsets[2 * i], to = offsets[2 * i + 1];

        captures->values[i] = from == PCRE2_UNSET || to < from
                                  ? sieve_text("")
                                  : sieve_arena_text(arena, value.bytes + from, to - from);
    }
}

/* A value that is no UTF-8, read as ISO 8859-1. */
static SieveText
from_latin1(SieveArena *arena, SieveText value)
{
    g_autoptr(GString) text = g_string_sized_new(value.len * 2);

    for (size_t i = 0; i < value.len; i++)
        g_string_append_unichar(text, (uint8_t)value.bytes[i]);
    return sieve_arena_text(arena, text->str, text->len);
}

bool
sieve_regex_match(const SieveRegex *regex, SieveText value, SieveArena *arena,
                  SieveCaptures *captures, bool *matched_out, GError **error)
{
    g_autoptr(pcre2_match_data) data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    SieveText text = is_utf8(value) ? value : from_latin1(arena, value);
    int found = pcre2_match(regex->code, (PCRE2_SPTR)text.bytes, text.len, 0, PCRE2_NO_UTF_CHECK,
                            data, regex->context);

    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT,
                    "a regular expression takes too long to match");
        return false;
    }
    *matched_out = found > 0;
    if (found > 0 && captures != NULL) {
        lengthen(regex, text, data);
        set_captures(text, data, arena, captures);
    }
    return true;
}
