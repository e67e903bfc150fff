/* tests/sieve/test_html.c - HTML becomes the text that a reader sees */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/mime.h"

typedef struct {
    const char *behaviour, *html, *text;
} Row;

static const Row rows[] = {
    {"plain_text_stays", "hello world", "hello world"},
    {"inline_markup_leaves_no_trace", "Vi<b></b>a<i class=x>gr</i>a", "Viagra"},
    {"block_elements_end_a_line", "<p>one</p><div>two</div>three<br>four", "one\ntwo\nthree\nfour"},
    {"cells_are_separated_by_a_blank", "<tr><td>a</td><td>b</td></tr>", "a b"},
    {"blanks_collapse", "  a \r\n\t b  ", "a b"},
    {"blanks_around_a_line_end_vanish", "a <p> b", "a\nb"},
    {"entities_become_characters", "&lt;&amp;&gt;&euro;&Auml;", "<&>\xE2\x82\xAC\xC3\x84"},
    {"numeric_entities_become_characters", "&#65;&#x42;&#X43;", "ABC"},
    {"entities_need_no_semicolon", "&lt &#65 b", "< A b"},
    {"unknown_entities_stay", "&nosuch; & &#0; &#xD800; &#1114112;",
     "&nosuch; & &#0; &#xD800; &#1114112;"},
    {"nbsp_is_a_blank", "a&nbsp;b", "a b"},
    {"soft_hyphens_are_not_seen", "vi&shy;agra", "viagra"},
    {"scripts_and_styles_are_no_text", "a<script>if (x < 1) '</b>'</script>b<STYLE>p {}</Style>c",
     "abc"},
    {"comments_are_no_text", "a<!-- <b> -- > -->b<!DOCTYPE x>c<?php x ?>d", "abcd"},
    {"quoted_attributes_may_hold_markup", "<a title=\"x > y\" href='>'>z</a>", "z"},
    {"a_stray_quote_hides_nothing", "<a b\"c>z</a>", "z"},
    {"less_than_is_a_character", "1 < 2 and a<3 </ x", "1 < 2 and a<3 </ x"},
    {"what_is_not_closed_goes_to_the_end", "a<!-- b", "a"},
    {"a_tag_that_is_not_closed_goes_to_the_end", "a<b c", "a"},
    {"utf8_passes", "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
    {"bytes_that_are_no_utf8_are_replaced", "a\xFF", "a\xEF\xBF\xBD"},
    {"nothing_stays_nothing", "", ""},
    {"a_lone_less_than_at_the_end_stays", "a<", "a<"},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText text = sieve_html_to_text(arena, sieve_text(row->html));

    assert_string_equal(text.bytes, row->text);
    assert_int_equal(text.len, strlen(row->text));
}

/* Each of these would be quadratic if anything were searched for again and again. */
static void
hostile_html_takes_linear_time(void **state)
{
    static const char *const pieces[] = {"<!--", "<a b=\"", "<script>", "</script", "&",
                                         "<",    "<?",      "&#",       "<a '=\"",  "<!"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autoptr(SieveArena) arena = sieve_arena_new(0);
        g_autoptr(GString) html = g_string_new("<script>");

        if (i % 2 == 0)
            g_string_truncate(html, 0);
        while (html->len < 1000000)
            g_string_append(html, pieces[i]);

        gint64 start = g_get_monotonic_time();

        (void)sieve_html_to_text(arena, (SieveText){html->str, html->len});
        /* It takes some milliseconds; quadratic would be minutes. */
        assert_true(g_get_monotonic_time() - start < 5 * G_USEC_PER_SEC);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    tests[G_N_ELEMENTS(rows)] = (struct CMUnitTest)cmocka_unit_test(hostile_html_takes_linear_time);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
