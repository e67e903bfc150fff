/* sieve/lexer.c - the tokens of a script; see lexer.h
 *
 * RFC 5228 section 8.1 to the letter, but for line ends: a script may have LF as well, since
 * files do. Most of this file is about mistakes, because people make the same few: a quote
 * or a "." forgotten, typographic quotes pasted in, "//" comments. Each is told by name, where
 * it begins, and is told once.
 */
#include "sieve/lexer.h"

#include "sieve/complaints.h"
#include "sieve/limits.h"

/* ---- places -------------------------------------------------------------- */

/* Counts lines and columns up to place, which is never before an earlier one, but for the
 * recovery of a string without end. */
static void
count_to(SieveLexer *lexer, const char *place)
{
    for (const char *p = lexer->counted; p < place; p++) {
        if (*p == '\n') {
            lexer->line++;
            lexer->column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            lexer->column++;
        }
    }
    lexer->counted = place;
}

__attribute__((format(printf, 3, 4))) static void
complain(SieveLexer *lexer, const char *place, const char *format, ...)
{
    va_list args;

    count_to(lexer, place);
    va_start(args, format);
    sieve_complaints_add_va(lexer->complaints, true, lexer->script_name, lexer->line, lexer->column,
                            format, args);
    va_end(args);
}

/* The same at the place where the current token begins, unless something is wrong with the line
 * already: what is no Sieve would be told word by word. */
__attribute__((format(printf, 2, 3))) static void
complain_token(const SieveLexer *lexer, const char *format, ...)
{
    va_list args;

    if (sieve_complaints_has_line(lexer->complaints, lexer->token.line))
        return;
    va_start(args, format);
    sieve_complaints_add_va(lexer->complaints, true, lexer->script_name, lexer->token.line,
                            lexer->token.column, format, args);
    va_end(args);
}

/* ---- the text ------------------------------------------------------------ */

/* Copies text with CRLF for every line end. A CR alone stays and is told about later. */
static char *
copy_lines(SieveArena *arena, const char *text, size_t len, size_t *len_out)
{
    const char *end = text + len;
    size_t lines = 0;

    for (const char *p = text; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;

    char *copy = sieve_arena_alloc(arena, len + lines + 1);
    char *to = copy;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_len = (size_t)((newline == NULL ? end : newline) - text);

        if (newline != NULL && line_len > 0 && text[line_len - 1] == '\r')
            line_len--;
        memcpy(to, text, line_len);
        to += line_len;
        if (newline == NULL)
            break;
        *to++ = '\r';
        *to++ = '\n';
        text = newline + 1;
    }
    *to = '\0';
    *len_out = (size_t)(to - copy);
    return copy;
}

/* What is never permitted, wherever it stands: one complaint about each kind. */
static void
check_octets(SieveLexer *lexer)
{
    const char *nul = memchr(lexer->at, '\0', (size_t)(lexer->end - lexer->at));
    const char *invalid = NULL;
    SieveLexer place = *lexer; /* for counting only */

    if (nul != NULL)
        complain(&place, nul, "a zero octet is not permitted in a script: is this a text file?");

    for (const char *p = lexer->at; (p = memchr(p, '\r', (size_t)(lexer->end - p))) != NULL; p++) {
        if (p[1] == '\n')
            continue;
        place = *lexer;
        complain(&place, p,
                 "a carriage return that does not end a line: save the script with the line ends "
                 "LF or CRLF");
        break;
    }
    if (nul == NULL &&
        !g_utf8_validate_len(lexer->at, (size_t)(lexer->end - lexer->at), &invalid)) {
        place = *lexer;
        count_to(&place, invalid);
        sieve_complaints_add(lexer->complaints, false, lexer->script_name, place.line, place.column,
                             "this is not UTF-8: letters with accents will not match what they "
                             "should; save the script as UTF-8");
    }
}

void
sieve_lexer_init(SieveLexer *lexer, const char *script_name, const char *text, size_t len,
                 SieveArena *arena, GPtrArray *complaints)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t copied;

    *lexer = (SieveLexer){.script_name = script_name,
                          .arena = arena,
                          .complaints = complaints,
                          .line = 1,
                          .column = 1};
    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        len -= 3;
    }
    lexer->at = copy_lines(arena, text, len, &copied);
    lexer->end = lexer->at + copied;
    lexer->counted = lexer->at;
    check_octets(lexer);
}

/* ---- whitespace and comments --------------------------------------------- */

static char *
find_line_end(const SieveLexer *lexer, char *from)
{
    while (from < lexer->end && *from != '\n')
        from++;
    return from;
}

static void
skip_bracket_comment(SieveLexer *lexer)
{
    for (char *p = lexer->at + 2; p < lexer->end; p++) {
        if (p[0] == '*' && p[1] == '/') {
            lexer->at = p + 2;
            return;
        }
    }
    complain(lexer, lexer->at, "this comment has no end: \"*/\" is missing");
    lexer->at = lexer->end;
}

static void
skip_whitespace(SieveLexer *lexer)
{
    for (;;) {
        char c = *lexer->at;

        /* NUL within the text: check_octets() has complained about it. */
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n' ||
            (c == '\0' && lexer->at < lexer->end)) {
            lexer->at++;
        } else if (c == '#') {
            lexer->at = find_line_end(lexer, lexer->at);
        } else if (c == '/' && lexer->at[1] == '*') {
            skip_bracket_comment(lexer);
        } else if (c == '/' && lexer->at[1] == '/') {
            complain(lexer, lexer->at, "a comment begins with \"#\", or stands in \"/* */\"");
            lexer->at = find_line_end(lexer, lexer->at);
        } else {
            return;
        }
    }
}

/* ---- strings ------------------------------------------------------------- */

/* The quote that ends the string whose text begins at start; NULL: there is none. */
static char *
find_quote(const SieveLexer *lexer, char *start)
{
    for (char *p = start; p < lexer->end; p++) {
        if (*p == '"')
            return p;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

/* Resolves "\x" to "x" from start to end, in place. */
static SieveText
unescape(char *start, char *end)
{
    char *from = memchr(start, '\\', (size_t)(end - start));
    char *to = from;

    if (from == NULL) {
        *end = '\0';
        return (SieveText){.bytes = start, .len = (size_t)(end - start)};
    }
    while (from < end) {
        if (*from == '\\' && from + 1 < end)
            from++;
        *to++ = *from++;
    }
    *to = '\0';
    return (SieveText){.bytes = start, .len = (size_t)(to - start)};
}

/* Whether a string that ends there, some lines below its start, ends by accident: at the opening
 * quote of the next string, because its own closing quote was forgotten. */
static bool
is_opening_quote(char before, char after)
{
    return (before == ' ' || before == '[' || before == ',' || before == '(' || before == '\t') &&
           (g_ascii_isalnum(after) || after == '"' || after == '\\' || after == '*' ||
            after == '/' || (unsigned char)after >= 0x80);
}

/* A string whose closing quote is missing is taken to end with its line, before what looks like
 * punctuation of the language. */
static void
end_with_line(SieveLexer *lexer, char *start)
{
    char *end = find_line_end(lexer, start);

    while (end > start && strchr("\r\n \t;,{)]", end[-1]) != NULL)
        end--;
    complain_token(lexer, "this string has no end: its closing quote (\") is missing");
    lexer->token.text = sieve_arena_text(lexer->arena, start, (size_t)(end - start));
    lexer->at = end;
}

static void
lex_quoted(SieveLexer *lexer)
{
    char *start = lexer->at + 1;
    char *quote = find_quote(lexer, start);

    if (quote == NULL || (is_opening_quote(quote[-1], quote[1]) &&
                          memchr(start, '\n', (size_t)(quote - start)) != NULL)) {
        end_with_line(lexer, start);
        return;
    }
    count_to(lexer, quote);
    lexer->token.text = unescape(start, quote);
    lexer->at = quote + 1;
}

/* Whether a line of a multi-line string is one that was meant to end it: a dot with something
 * behind it that is seldom text. */
static bool
is_bad_end(const char *line, const char *line_end)
{
    if (*line != '.')
        return false;
    for (line++; line < line_end; line++)
        if (strchr(" \t;\r", *line) == NULL || *line == '\0')
            return false;
    return true;
}

/* Behind "text:": blanks and perhaps a comment, then the line must end. */
static char *
first_text_line(SieveLexer *lexer)
{
    char *p = lexer->at;

    while (*p == ' ' || *p == '\t')
        p++;
    if (*p != '#' && *p != '\r' && *p != '\n' && p < lexer->end)
        complain(lexer, p, "behind \"text:\" the line must end: the text begins on the next one");
    p = find_line_end(lexer, p);
    return p < lexer->end ? p + 1 : p;
}

/* The text ends at bad_end, or at the end of the script; neither is right. */
static char *
end_badly(SieveLexer *lexer, char *bad_end)
{
    if (bad_end == NULL) {
        complain_token(lexer, "this text has no end: a line with nothing but a dot (.) is missing");
        return lexer->end;
    }
    complain(lexer, bad_end,
             "the line that ends a text has nothing but a dot (.): what follows belongs on the "
             "next line");
    return bad_end;
}

static void
lex_multi_line(SieveLexer *lexer)
{
    char *start = first_text_line(lexer);
    char *bad_end = NULL, *text_end = NULL;
    char *line = start;

    while (line < lexer->end && text_end == NULL && !(bad_end != NULL && lexer->lacks_text_end)) {
        char *line_end = find_line_end(lexer, line);

        if (line[0] == '.' && (line + 1 == lexer->end || (line[1] == '\r' && line[2] == '\n')))
            text_end = line;
        else if (bad_end == NULL && is_bad_end(line, line_end))
            bad_end = line;
        line = line_end < lexer->end ? line_end + 1 : line_end;
    }
    if (text_end == NULL) {
        lexer->lacks_text_end = true;
        text_end = end_badly(lexer, bad_end);
    }
    lexer->at = text_end < lexer->end ? text_end + 1 : text_end;
    count_to(lexer, lexer->at);

    /* Undoes dot-stuffing in place; the final dot makes room for the NUL. */
    char *to = start;

    for (char *from = start; from < text_end;) {
        char *line_end = find_line_end(lexer, from);

        line_end = line_end < text_end ? line_end + 1 : text_end;
        if (from[0] == '.' && from[1] == '.')
            from++;
        memmove(to, from, (size_t)(line_end - from));
        to += line_end - from;
        from = line_end;
    }
    *to = '\0';
    lexer->token.text = (SieveText){.bytes = start, .len = (size_t)(to - start)};
}

/* ---- words and numbers --------------------------------------------------- */

static bool
is_word_start(char c)
{
    return g_ascii_isalpha(c) || c == '_';
}

static bool
is_word(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

static void
lex_word(SieveLexer *lexer)
{
    char *start = lexer->at;
    char *end = start;

    while (is_word(*end))
        end++;
    lexer->token.text = sieve_arena_text(lexer->arena, start, (size_t)(end - start));
    lexer->at = end;
}

static void
lex_identifier(SieveLexer *lexer)
{
    lexer->token.kind = SIEVE_TOKEN_IDENTIFIER;
    lex_word(lexer);
    if (*lexer->at != ':' || lexer->token.text.len != 4 ||
        g_ascii_strncasecmp(lexer->token.text.bytes, "text", 4) != 0)
        return;
    lexer->at++;
    lexer->token.kind = SIEVE_TOKEN_STRING;
    lex_multi_line(lexer);
}

static void
lex_tag(SieveLexer *lexer)
{
    lexer->token.kind = SIEVE_TOKEN_TAG;
    lexer->at++;
    lex_word(lexer);
}

static unsigned
quantifier_shift(char c)
{
    switch (g_ascii_toupper(c)) {
    case 'K':
        return 10;
    case 'M':
        return 20;
    case 'G':
        return 30;
    default:
        return 0;
    }
}

static void
lex_number(SieveLexer *lexer)
{
    char *start = lexer->at;
    char *p = start;
    guint64 number = 0;
    bool is_too_large = false;

    for (; g_ascii_isdigit(*p); p++) {
        guint64 digit = (guint64)(*p - '0');

        is_too_large = is_too_large || number > (G_MAXINT64 - digit) / 10;
        if (!is_too_large)
            number = number * 10 + digit;
    }

    unsigned shift = quantifier_shift(*p);

    if (shift > 0)
        p++;
    is_too_large = is_too_large || number > (guint64)G_MAXINT64 >> shift;
    lexer->token.kind = SIEVE_TOKEN_NUMBER;
    lexer->token.number = is_too_large ? G_MAXINT64 : number << shift;
    if (is_word(*p) || (*p == '.' && g_ascii_isdigit(p[1]))) {
        complain_token(lexer, *p == '.' ? "a number has no fraction"
                                        : "a number may end with one of K, M and G, and with "
                                          "nothing else");
        while (is_word(*p) || *p == '.')
            p++;
    } else if (is_too_large) {
        complain_token(lexer, "this number is too large: the largest is 9223372036854775807");
    }
    lexer->at = p;
}

/* ---- what is no token ---------------------------------------------------- */

enum { LONGEST_WRONGLY_QUOTED = 1000 }; /* looking for the end of each must not take long */

/* The closing quote on the same line of a string in wrong quotes; NULL: none. */
static char *
find_wrong_quote(const SieveLexer *lexer, char *start, size_t *len_out)
{
    static const char *const closing[] = {"'",
                                          "`",
                                          "\xc2\xb4",
                                          "\xe2\x80\x98",
                                          "\xe2\x80\x99",
                                          "\xe2\x80\x9c",
                                          "\xe2\x80\x9d",
                                          "\xc2\xbb",
                                          "\xc2\xab",
                                          "\""};
    char *end = MIN(find_line_end(lexer, start), start + LONGEST_WRONGLY_QUOTED);

    for (char *p = start; p < end; p++)
        for (size_t i = 0; i < G_N_ELEMENTS(closing); i++)
            if (strncmp(p, closing[i], strlen(closing[i])) == 0) {
                *len_out = strlen(closing[i]);
                return p;
            }
    return NULL;
}

/* Text in quotes that are none in Sieve is read as the string it is meant to be. */
static bool
lex_wrong_quotes(SieveLexer *lexer)
{
    static const char *const opening[] = {"'",
                                          "`",
                                          "\xc2\xb4",
                                          "\xe2\x80\x98",
                                          "\xe2\x80\x9c",
                                          "\xe2\x80\x9d",
                                          "\xe2\x80\x9e",
                                          "\xc2\xab",
                                          "\xc2\xbb"};

    for (size_t i = 0; i < G_N_ELEMENTS(opening); i++) {
        size_t len = strlen(opening[i]), closing_len = 0;

        if (strncmp(lexer->at, opening[i], len) != 0)
            continue;

        char *start = lexer->at + len;
        char *end = find_wrong_quote(lexer, start, &closing_len);

        if (end == NULL)
            return false;
        complain_token(lexer, "strings stand in straight double quotes: \"...\"");
        lexer->token.kind = SIEVE_TOKEN_STRING;
        lexer->token.text = sieve_arena_text(lexer->arena, start, (size_t)(end - start));
        lexer->at = end + closing_len;
        return true;
    }
    return false;
}

static bool
is_junk(char c)
{
    return c != '\0' && !is_word(c) && strchr(" \t\r\n#/\"{}()[],;:", c) == NULL;
}

/* Reports a run of characters that begin no token, and skips it. */
static void
skip_junk(SieveLexer *lexer)
{
    char *start = lexer->at;
    char *p = start + 1;

    if (*start == ':') {
        complain_token(lexer, "a colon is followed by the name of a tag, as in \":is\"");
        lexer->at = p;
        return;
    }
    if (*start == '*' && *p == '/') {
        complain_token(lexer, "\"*/\" ends no comment here: comments do not nest");
        lexer->at = p + 1;
        return;
    }
    if (*start == '-' && g_ascii_isdigit(*p)) {
        complain_token(lexer, "numbers are not negative");
        lexer->at = p;
        return;
    }
    while (p < lexer->end && is_junk(*p))
        p++;
    complain_token(lexer, "\"%.*s\" has no meaning here", (int)MIN(p - start, 40), start);
    lexer->at = p;
}

static bool
lex_token(SieveLexer *lexer)
{
    char c = *lexer->at;

    if (lexer->at == lexer->end) {
        lexer->token.kind = SIEVE_TOKEN_END;
    } else if (is_word_start(c)) {
        lex_identifier(lexer);
    } else if (c == '"') {
        lexer->token.kind = SIEVE_TOKEN_STRING;
        lex_quoted(lexer);
    } else if (c == ':' && is_word_start(lexer->at[1])) {
        lex_tag(lexer);
    } else if (g_ascii_isdigit(c)) {
        lex_number(lexer);
    } else if (strchr(";,[](){}", c) != NULL) {
        lexer->token.kind = (SieveTokenKind)c;
        lexer->at++;
    } else if (!lex_wrong_quotes(lexer)) {
        skip_junk(lexer);
        return false;
    }
    return true;
}

void
sieve_lexer_next(SieveLexer *lexer)
{
    do {
        if (lexer->complaints->len >= SIEVE_MAX_COMPLAINTS)
            lexer->at = lexer->end; /* nobody wants more of them */
        skip_whitespace(lexer);
        count_to(lexer, lexer->at);
        lexer->token = (SieveToken){
            .line = lexer->line, .column = lexer->column, .text = {.bytes = "", .len = 0}};
    } while (!lex_token(lexer));
    count_to(lexer, lexer->at);
    lexer->token.end_line = lexer->line;
    lexer->token.end_column = lexer->column;
}
