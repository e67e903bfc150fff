/* tests/sieve/test_lexer.c - the tokens of a script (RFC 5228 section 8.1) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/lexer.h"

/* tokens: one letter each, i identifier, t tag, n number, s string, or itself; then their values,
 * separated by "|"; then the first complaint, or NULL. */
typedef struct {
    const char *behaviour;
    const char *text;
    size_t len; /* 0: strlen */
    const char *tokens;
    const char *values;
    const char *complaint;
} Row;

static char
letter(SieveTokenKind kind)
{
    switch (kind) {
    case SIEVE_TOKEN_IDENTIFIER:
        return 'i';
    case SIEVE_TOKEN_TAG:
        return 't';
    case SIEVE_TOKEN_NUMBER:
        return 'n';
    case SIEVE_TOKEN_STRING:
        return 's';
    default:
        return (char)kind;
    }
}

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(GString) tokens = g_string_new(NULL);
    g_autoptr(GString) values = g_string_new(NULL);
    SieveLexer lexer;

    sieve_lexer_init(&lexer, "test", row->text, row->len > 0 ? row->len : strlen(row->text), arena,
                     complaints);
    for (sieve_lexer_next(&lexer); lexer.token.kind != SIEVE_TOKEN_END; sieve_lexer_next(&lexer)) {
        g_string_append_c(tokens, letter(lexer.token.kind));
        if (lexer.token.kind == SIEVE_TOKEN_NUMBER)
            g_string_append_printf(values, "%" G_GUINT64_FORMAT "|", lexer.token.number);
        else if (strchr("its", letter(lexer.token.kind)) != NULL)
            g_string_append_printf(values, "%s|", lexer.token.text.bytes);
    }
    assert_string_equal(tokens->str, row->tokens);
    assert_string_equal(values->str, row->values);
    if (row->complaint == NULL) {
        assert_int_equal(complaints->len, 0);
        return;
    }
    assert_int_equal(complaints->len, 1);

    const SieveComplaint *complaint = complaints->pdata[0];
    g_autofree char *said =
        g_strdup_printf("%u:%u: %s", complaint->line, complaint->column, complaint->text);

    if (!g_str_has_prefix(said, row->complaint))
        fail_msg("expected: %s\n    said: %s", row->complaint, said);
}

static const Row rows[] = {
    {"punctuation_tags_and_words", "if :is_1 _a{}()[],;", 0, "iti{}()[],;", "if|is_1|_a|", NULL},
    {"words_and_numbers_need_no_blank_before_punctuation", "a;1K,b", 0, "i;n,i", "a|1024|b|", NULL},

    /* "the non-negative range 0 to 2^31 - 1, MAY support larger" */
    {"quantifiers_are_powers_of_two", "0 7 1k 1K 2m 3G", 0, "nnnnnn",
     "0|7|1024|1024|2097152|3221225472|", NULL},
    {"largest_number", "9223372036854775807", 0, "n", "9223372036854775807|", NULL},
    {"number_past_the_largest", "9223372036854775808", 0, "n", "9223372036854775807|",
     "1:1: this number is too large"},
    {"quantifier_past_the_largest", "9999999999999G", 0, "n", "9223372036854775807|",
     "1:1: this number is too large"},
    {"unit_that_is_none", " 10KB;", 0, "n;", "10240|", "1:2: a number may end with"},
    {"fraction", "1.5M;", 0, "n;", "1|", "1:1: a number has no fraction"},
    {"negative_number", "-5;", 0, "n;", "5|", "1:1: numbers are not negative"},

    {"escapes", "\"a\\\"b\\\\c\\d\"", 0, "s", "a\"b\\cd|", NULL},
    {"empty_string", "\"\"", 0, "s", "|", NULL},
    {"line_ends_in_strings_become_crlf", "\"a\nb\r\nc\"", 0, "s", "a\r\nb\r\nc|", NULL},
    {"control_characters_in_strings", "\"\t\x01\x7f\"", 0, "s", "\t\x01\x7f|", NULL},
    {"comment_signs_in_strings", "\"/* # */\"", 0, "s", "/* # */|", NULL},
    {"string_without_end", "a \"bc;\nd", 0, "is;i", "a|bc|d|", "1:3: this string has no end"},
    {"quote_forgotten_before_another_string", "a \"bc;\nd \"e\";", 0, "is;is;", "a|bc|d|e|",
     "1:3: this string has no end"},
    {"quotes_of_a_word_processor",
     "\xe2\x80\x9c"
     "a b\xe2\x80\x9d;",
     0, "s;", "a b|", "1:1: strings stand in straight double quotes"},
    {"single_quotes", "'a b';", 0, "s;", "a b|", "1:1: strings stand in straight double quotes"},

    {"multi_line_string", "text:\na\n b\n.\n;", 0, "s;", "a\r\n b\r\n|", NULL},
    {"multi_line_string_is_case_insensitive", "TeXt: \t# comment\r\na\r\n.\r\n;", 0, "s;", "a\r\n|",
     NULL},
    {"empty_multi_line_string", "text:\n.\n", 0, "s", "|", NULL},
    /* "Remove a leading '.' if followed by another '.'": ".foo" is interpreted as ".foo" */
    {"dot_stuffing", "text:\n..\n.foo\n..foo\n...\n.\n", 0, "s", ".\r\n.foo\r\n.foo\r\n..\r\n|",
     NULL},
    {"multi_line_string_at_the_end_of_the_script", "text:\na\n.", 0, "s", "a\r\n|", NULL},
    {"no_escapes_in_multi_line_strings", "text:\n\\\"${\n.\n", 0, "s", "\\\"${\r\n|", NULL},
    {"multi_line_string_without_end", "a\n text:\nb\n", 0, "is", "a|b\r\n|",
     "2:2: this text has no end"},
    {"something_behind_the_dot", "text:\nb\n.;\nc", 0, "s;i", "b\r\n|c|",
     "3:1: the line that ends a text"},
    {"something_behind_text", "text: a\nb\n.\n", 0, "s", "b\r\n|", "1:7: behind \"text:\""},
    {"text_without_colon_is_a_word", "text :a", 0, "it", "text|a|", NULL},

    {"comments", "a # b\n/* c\n * d **/ e#f", 0, "ii", "a|e|", NULL},
    {"bracket_comments_do_not_nest", "/* /* */ a", 0, "i", "a|", NULL},
    {"comment_of_stars", "/***/a/**/", 0, "i", "a|", NULL},
    {"comment_without_end", "a\n  /* b", 0, "i", "a|", "2:3: this comment has no end"},
    {"end_of_no_comment", "a */ b", 0, "ii", "a|b|", "1:3: \"*/\" ends no comment"},
    {"comment_of_another_language", "a // b\nc", 0, "ii", "a|c|", "1:3: a comment begins with"},

    {"byte_order_mark",
     "\xef\xbb\xbf"
     "a",
     0, "i", "a|", NULL},
    {"zero_octet", "a\0b", 3, "ii", "a|b|", "1:2: a zero octet"},
    {"carriage_return_alone", "a\rb", 0, "ii", "a|b|", "1:2: a carriage return"},
    {"text_that_is_not_utf8", "# \xe4\n\"\xe4\"", 0, "s", "\xe4|", "1:3: this is not UTF-8"},
    {"characters_without_meaning", "a\n = b", 0, "ii", "a|b|", "2:2: \"=\" has no meaning here"},
    {"columns_count_characters", "\"\xc3\xa4\xe2\x82\xac\" =", 0, "s", "\xc3\xa4\xe2\x82\xac|",
     "1:6: \"=\" has"},
    {"colon_alone", "a : b", 0, "ii", "a|b|", "1:3: a colon is followed by"},
};

static void
tokens_know_where_they_begin_and_end(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveLexer lexer;
    static const char text[] = "\n  ab \"c\nd\" text:\nx\n..y\n.\n :z";
    static const unsigned places[][4] = {
        {2, 3, 2, 5},
        {2, 6, 3, 3},
        {3, 4, 6, 2},
        {7, 2, 7, 4},
    };

    (void)state;
    sieve_lexer_init(&lexer, "test", text, strlen(text), arena, complaints);
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        sieve_lexer_next(&lexer);
        assert_int_equal(lexer.token.line, places[i][0]);
        assert_int_equal(lexer.token.column, places[i][1]);
        assert_int_equal(lexer.token.end_line, places[i][2]);
        assert_int_equal(lexer.token.end_column, places[i][3]);
    }
    sieve_lexer_next(&lexer);
    assert_int_equal(lexer.token.kind, SIEVE_TOKEN_END);
}

int
main(void)
{
    static struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    tests[G_N_ELEMENTS(rows)] =
        (struct CMUnitTest)cmocka_unit_test(tokens_know_where_they_begin_and_end);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
