/* schema/sqlvalue.c - one value of an INSERT; see sqlvalue.h
 *
 *   'text'   _binary 'text'   x'6a'   0x6a   b'1'   -12.5   TRUE   NULL
 *
 * Expressions are none: what a function would return only MySQL knows.
 */
#include "schema/sqlvalue.h"

static int
hex_digit(const GString *text, size_t index)
{
    return index < text->len ? g_ascii_xdigit_value(text->str[index]) : -1;
}

static bool
decode_hex(const SqlLexer *lexer, size_t start, GString *out, GError **error)
{
    const GString *text = lexer->token.text;

    if ((text->len - start) % 2 != 0)
        return sqllex_unexpected(lexer, "an even number of hexadecimal digits", error);
    for (size_t i = start; i < text->len; i += 2) {
        int high = hex_digit(text, i), low = hex_digit(text, i + 1);

        if (high < 0 || low < 0)
            return sqllex_unexpected(lexer, "hexadecimal digits", error);
        g_string_append_c(out, (char)(high << 4 | low));
    }
    return true;
}

/* b'101' of a BIT column, as a number. */
static bool
decode_bits(const SqlLexer *lexer, GString *out, GError **error)
{
    const GString *text = lexer->token.text;
    guint64 number = 0;

    if (text->len == 0 || text->len > 64 || strspn(text->str, "01") != text->len)
        return sqllex_unexpected(lexer, "binary digits", error);
    for (size_t i = 0; i < text->len; i++)
        number = number << 1 | (guint64)(text->str[i] - '0');
    g_string_append_printf(out, "%" G_GUINT64_FORMAT, number);
    return true;
}

/* _binary 'x', _utf8mb4'x', x'6a', b'1': the current token is the string. */
static bool
read_prefixed(const SqlLexer *lexer, const char *prefix, GString *out, GError **error)
{
    if (lexer->token.type != SQL_STRING)
        return sqllex_unexpected(lexer, "a string", error);
    if (g_ascii_strcasecmp(prefix, "x") == 0)
        return decode_hex(lexer, 0, out, error);
    if (g_ascii_strcasecmp(prefix, "b") == 0)
        return decode_bits(lexer, out, error);
    g_string_append_len(out, lexer->token.text->str, (gssize)lexer->token.text->len);
    return true;
}

static bool
is_number(const char *word)
{
    return g_ascii_isdigit(word[word[0] == '-' || word[0] == '+']);
}

/* A word in the place of a value; NULL is left to the caller. */
static bool
read_word_value(SqlLexer *lexer, GString *out, GError **error)
{
    g_autofree char *word = g_strdup(lexer->token.text->str);

    if (g_ascii_strncasecmp(word, "0x", 2) == 0)
        return decode_hex(lexer, 2, out, error);
    if (is_number(word) || sqllex_is_word(lexer, "TRUE") || sqllex_is_word(lexer, "FALSE")) {
        g_string_append(out, sqllex_is_word(lexer, "TRUE")    ? "1"
                             : sqllex_is_word(lexer, "FALSE") ? "0"
                                                              : word);
        return true;
    }
    if (word[0] != '_' && g_ascii_strcasecmp(word, "x") != 0 && g_ascii_strcasecmp(word, "b") != 0)
        return sqllex_unexpected(lexer, "a value", error);
    return sqllex_next(lexer, error) && read_prefixed(lexer, word, out, error);
}

bool
sqlvalue_read(SqlLexer *lexer, MysqldumpValue *value_out, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    bool null = sqllex_is_word(lexer, "NULL");

    if (lexer->token.type == SQL_STRING)
        g_string_append_len(text, lexer->token.text->str, (gssize)lexer->token.text->len);
    else if (lexer->token.type != SQL_WORD)
        return sqllex_unexpected(lexer, "a value", error);
    else if (!null && !read_word_value(lexer, text, error))
        return false;
    if (!sqllex_next(lexer, error))
        return false;
    value_out->len = null ? 0 : text->len;
    value_out->text = null ? NULL : g_string_free(g_steal_pointer(&text), FALSE);
    return true;
}
