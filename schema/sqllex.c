/* schema/sqllex.c - MySQL's SQL as tokens; see sqllex.h
 *
 * As MySQL 8.0's manual has it, chapter "Language Structure": "--" begins a comment
 * only before a blank; a quote in a string is doubled or has a backslash, and a
 * backslash before a letter that means nothing is dropped.
 */
#include "schema/sqllex.h"

void
sqllex_init(SqlLexer *lexer, const char *bytes, size_t len)
{
    *lexer = (SqlLexer){
        .at = bytes,
        .end = bytes + len,
        .line = 1,
        .token = {.text = g_string_new(NULL), .line = 1},
    };
}

void
sqllex_clear(SqlLexer *lexer)
{
    g_string_free(lexer->token.text, TRUE);
    lexer->token.text = NULL;
}

bool
sqllex_fail(GError **error, MysqldumpError code, unsigned line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *valid = g_utf8_make_valid(text, -1); /* names in it are the file's bytes */

    g_set_error(error, MYSQLDUMP_ERROR, (int)code, "line %u: %s", line, valid);
    return false;
}

/* The character ahead, NUL at the end. */
static char
peek(const SqlLexer *lexer, size_t ahead)
{
    return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : '\0';
}

static char
take(SqlLexer *lexer)
{
    if (*lexer->at == '\n')
        lexer->line++;
    return *lexer->at++;
}

static void
skip_line(SqlLexer *lexer)
{
    while (lexer->at < lexer->end && take(lexer) != '\n')
        ;
}

static bool
skip_comment(SqlLexer *lexer, GError **error)
{
    unsigned line = lexer->line;

    lexer->at += 2;
    while (lexer->at < lexer->end) {
        if (peek(lexer, 0) == '*' && peek(lexer, 1) == '/') {
            lexer->at += 2;
            return true;
        }
        (void)take(lexer);
    }
    return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, line, "a comment does not end");
}

/* "!40101 SET ..." of MySQL, "M!100616 SET ..." of MariaDB; with the sandbox mode that
 * MariaDB's dumps begin with, which is an option of its client and no SQL. */
static bool
begin_executable(SqlLexer *lexer)
{
    static const char sandbox[] = "/*M!999999\\-";
    size_t mark = peek(lexer, 2) == 'M' ? 4 : 3;

    if (peek(lexer, mark - 1) != '!' || ((size_t)(lexer->end - lexer->at) >= strlen(sandbox) &&
                                         strncmp(lexer->at, sandbox, strlen(sandbox)) == 0))
        return false;
    lexer->at += mark;
    while (g_ascii_isdigit(peek(lexer, 0)))
        lexer->at++;
    lexer->executable = true;
    return true;
}

/* Skips blanks and comments. */
static bool
skip_blanks(SqlLexer *lexer, GError **error)
{
    for (;;) {
        char c = peek(lexer, 0), next = peek(lexer, 1);

        if (lexer->at == lexer->end)
            return true;
        if (g_ascii_isspace(c)) {
            (void)take(lexer);
        } else if (c == '#' || (c == '-' && next == '-' &&
                                (lexer->end - lexer->at == 2 || (guchar)lexer->at[2] <= ' '))) {
            skip_line(lexer);
        } else if (c == '*' && next == '/' && lexer->executable) {
            lexer->executable = false;
            lexer->at += 2;
        } else if (c != '/' || next != '*') {
            return true;
        } else if (!begin_executable(lexer) && !skip_comment(lexer, error)) {
            return false;
        }
    }
}

/* What follows a backslash in a string. */
static void
append_escaped(GString *text, char c)
{
    static const char letters[] = "0nrtbZ", meanings[] = "\0\n\r\t\b\x1a";
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;

    if (c == '%' || c == '_') /* for LIKE: they keep their backslash */
        g_string_append_c(text, '\\');
    g_string_append_c(text, letter != NULL ? meanings[letter - letters] : c);
}

static bool
read_quoted(SqlLexer *lexer, GError **error)
{
    char quote = take(lexer);

    while (lexer->at < lexer->end) {
        char c = take(lexer);

        if (c == quote && peek(lexer, 0) != quote)
            return true;
        if (c == quote)
            (void)take(lexer);
        if (c == '\\' && quote != '`' && lexer->at < lexer->end)
            append_escaped(lexer->token.text, take(lexer));
        else
            g_string_append_c(lexer->token.text, c);
    }
    return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->token.line,
                       quote == '`' ? "a name does not end" : "a string does not end");
}

static bool
is_word_character(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '$' || (guchar)c >= 0x80;
}

/* "-1", "2.5e-3", "0x4a", "domain". */
static void
read_word(SqlLexer *lexer)
{
    GString *text = lexer->token.text;
    bool number = !is_word_character(peek(lexer, 0)) || g_ascii_isdigit(peek(lexer, 0));

    do {
        g_string_append_c(text, take(lexer));
    } while (is_word_character(peek(lexer, 0)) || (number && peek(lexer, 0) == '.') ||
             (number && strchr("+-", peek(lexer, 0)) != NULL && peek(lexer, 0) != '\0' &&
              g_ascii_tolower(text->str[text->len - 1]) == 'e' && text->str[1] != 'x'));
}

bool
sqllex_next(SqlLexer *lexer, GError **error)
{
    if (!skip_blanks(lexer, error))
        return false;
    g_string_truncate(lexer->token.text, 0);
    lexer->token.line = lexer->line;
    if (lexer->at == lexer->end) {
        lexer->token.type = SQL_END;
        return !lexer->executable ||
               sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->line, "a comment does not end");
    }

    char c = peek(lexer, 0);

    if (c == '\'' || c == '"' || c == '`') {
        lexer->token.type = c == '`' ? SQL_NAME : SQL_STRING;
        return read_quoted(lexer, error);
    }
    if (is_word_character(c) ||
        (strchr("+-", c) != NULL && c != '\0' && g_ascii_isdigit(peek(lexer, 1)))) {
        lexer->token.type = SQL_WORD;
        read_word(lexer);
        return true;
    }
    lexer->token.type = SQL_SIGN;
    g_string_append_c(lexer->token.text, take(lexer));
    return true;
}

bool
sqllex_is_word(const SqlLexer *lexer, const char *word)
{
    return lexer->token.type == SQL_WORD && g_ascii_strcasecmp(lexer->token.text->str, word) == 0;
}

bool
sqllex_is_sign(const SqlLexer *lexer, char sign)
{
    return lexer->token.type == SQL_SIGN && lexer->token.text->str[0] == sign;
}

bool
sqllex_unexpected(const SqlLexer *lexer, const char *expected, GError **error)
{
    enum { SHOWN_MAX = 40 };
    g_autofree char *shown = g_strndup(lexer->token.text->str, SHOWN_MAX);

    if (lexer->token.type == SQL_END)
        return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->token.line,
                           "the file ends where %s should stand", expected);
    /* A string may be somebody's password. */
    if (lexer->token.type == SQL_STRING)
        return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->token.line,
                           "a string stands where %s should", expected);
    return sqllex_fail(error, MYSQLDUMP_ERROR_SYNTAX, lexer->token.line,
                       "'%s' stands where %s should", shown, expected);
}

bool
sqllex_expect_sign(SqlLexer *lexer, char sign, GError **error)
{
    const char expected[] = {'\'', sign, '\'', '\0'};

    return sqllex_is_sign(lexer, sign) ? sqllex_next(lexer, error)
                                       : sqllex_unexpected(lexer, expected, error);
}

/* Skips a word if it stands here. */
bool
sqllex_skip_word(SqlLexer *lexer, const char *word, GError **error)
{
    return !sqllex_is_word(lexer, word) || sqllex_next(lexer, error);
}
