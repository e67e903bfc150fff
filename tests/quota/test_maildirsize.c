/* tests/quota/test_maildirsize.c - "maildirsize" as each program writes it, and what is damage */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "quota/maildirsize.h"

typedef struct {
    const char *behaviour;
    const char *text;
    size_t len; /* 0: strlen(text) */
    MaildirsizeContent expected;
} Row;

#define DAMAGED            \
    {                      \
        .is_damaged = true \
    }

static const Row rows[] = {
    {"courier_pads_to_twelve_columns",
     "1000000S,500C\n      123456           78\n        4312            1\n",
     0,
     {.limits = {1000000, 500}, .counted = {123456, 78}, .sum = {127768, 79}, .lines = 2}},
    {"courier_sees_a_removal",
     "1000000S\n        5000            2\n       -4312           -1\n",
     0,
     {.limits = {1000000, 0}, .counted = {5000, 2}, .sum = {688, 1}, .lines = 2}},
    {"dovecot_writes_plain_numbers",
     "104857600S\n4312 1\n2156 1\n-4312 -1\n",
     0,
     {.limits = {104857600, 0}, .counted = {4312, 1}, .sum = {2156, 1}, .lines = 3}},
    {"dovecot_writes_0S_without_a_limit", "0S\n0 0\n", 0, {.lines = 1}},
    {"dovecot_limits_messages_only",
     "500C\n10 1\n",
     0,
     {.limits = {0, 500}, .counted = {10, 1}, .sum = {10, 1}, .lines = 1}},
    {"exim_writes_both_limits",
     "5000000S,0C\n12 3\n",
     0,
     {.limits = {5000000, 0}, .counted = {12, 3}, .sum = {12, 3}, .lines = 1}},
    {"deliverquota_has_the_messages_first",
     "500C,1000S\n        4312            1\n",
     0,
     {.limits = {1000, 500}, .counted = {4312, 1}, .sum = {4312, 1}, .lines = 1}},
    {"any_blanks_separate",
     "1S , 2C\r\n\t3  \t 4 \r\n",
     0,
     {.limits = {1, 2}, .counted = {3, 4}, .sum = {3, 4}, .lines = 1}},
    {"comma_at_the_end_of_the_limits_is_no_damage",
     "1S,\n3 4\n",
     0,
     {.limits = {1, 0}, .counted = {3, 4}, .sum = {3, 4}, .lines = 1}},
    {"sum_may_be_negative_on_the_way",
     "0S\n-5 -1\n6 2\n",
     0,
     {.counted = {-5, -1}, .sum = {1, 1}, .lines = 2}},
    {"largest_number_of_63_bits_is_read",
     "9223372036854775807S\n9223372036854775807 1\n",
     0,
     {.limits = {G_MAXINT64, 0}, .counted = {G_MAXINT64, 1}, .sum = {G_MAXINT64, 1}, .lines = 1}},

    {"empty_file_is_damaged", "", 0, DAMAGED},
    {"limits_alone_are_damaged", "1000S\n", 0, DAMAGED},
    {"limits_without_line_end_are_damaged", "1000S", 0, DAMAGED},
    {"empty_first_line_is_damaged", "\n5 1\n", 0, DAMAGED},
    {"number_without_letter_is_damaged", "1000\n5 1\n", 0, DAMAGED},
    {"letter_without_number_is_damaged", "S\n5 1\n", 0, DAMAGED},
    {"unknown_letter_is_damaged", "1000X\n5 1\n", 0, DAMAGED},
    {"negative_limit_is_damaged", "-1S\n5 1\n", 0, DAMAGED},
    {"limits_run_together_are_damaged", "1S2C\n5 1\n", 0, DAMAGED},
    {"limit_past_63_bits_is_damaged", "9223372036854775808S\n5 1\n", 0, DAMAGED},
    {"limit_that_wraps_to_a_small_one_is_damaged", "184467440737095516170S\n5 1\n", 0, DAMAGED},
    {"no_first_line_is_damaged", "5 1\n6 1\n", 0, DAMAGED},
    {"one_number_is_damaged", "0S\n5\n", 0, DAMAGED},
    {"three_numbers_are_damaged", "0S\n5 1 1\n", 0, DAMAGED},
    {"word_is_damaged", "0S\n5 1\nfive 1\n", 0, DAMAGED},
    {"plus_is_damaged", "0S\n+5 1\n", 0, DAMAGED},
    {"minus_alone_is_damaged", "0S\n- 1\n", 0, DAMAGED},
    {"numbers_run_together_are_damaged", "0S\n5-1\n", 0, DAMAGED},
    {"blank_line_is_damaged", "0S\n5 1\n\n", 0, DAMAGED},
    {"unterminated_line_is_damaged", "0S\n5 1\n431", 0, DAMAGED},
    {"unterminated_but_whole_line_is_damaged", "0S\n5 1\n4312 1", 0, DAMAGED},
    {"nul_is_damaged", "0S\n5 1\n4\0002 1\n", 13, DAMAGED},
    {"nul_between_lines_is_damaged", "0S\n5 1\n\0\0\0\0", 11, DAMAGED},
    {"negative_octets_are_damaged", "0S\n5 1\n-6 0\n", 0, DAMAGED},
    {"negative_messages_are_damaged", "0S\n5 1\n0 -2\n", 0, DAMAGED},
    {"octets_past_63_bits_are_damaged", "0S\n9223372036854775808 1\n", 0, DAMAGED},
    {"octets_that_wrap_are_damaged", "0S\n18446744073709551617 1\n", 0, DAMAGED},
    {"sum_past_63_bits_is_damaged", "0S\n9223372036854775807 1\n1 0\n", 0, DAMAGED},
    {"messages_past_63_bits_are_damaged", "0S\n1 9223372036854775807\n0 1\n", 0, DAMAGED},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    MaildirsizeContent content =
        maildirsize_parse(row->text, row->len > 0 ? row->len : strlen(row->text));
    const MaildirsizeContent *expected = &row->expected;

    assert_int_equal(content.is_damaged, expected->is_damaged);
    assert_int_equal(content.limits.octets, expected->limits.octets);
    assert_int_equal(content.limits.messages, expected->limits.messages);
    assert_int_equal(content.counted.octets, expected->counted.octets);
    assert_int_equal(content.counted.messages, expected->counted.messages);
    assert_int_equal(content.sum.octets, expected->sum.octets);
    assert_int_equal(content.sum.messages, expected->sum.messages);
    assert_int_equal(content.lines, expected->lines);
}

/* ---- writing -------------------------------------------------------------- */

static void
limits_are_written_as_others_read_them(void **state)
{
    const struct {
        QuotaLimits limits;
        const char *line;
    } cases[] = {
        {{1000000, 500}, "1000000S,500C\n"},
        {{1000000, 0}, "1000000S\n"},
        {{0, 500}, "500C\n"},
        {{0, 0}, "0S\n"},
        {{G_MAXINT64, G_MAXINT64}, "9223372036854775807S,9223372036854775807C\n"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line = maildirsize_format_limits(&cases[i].limits);

        assert_string_equal(line, cases[i].line);
    }
}

static void
changes_are_padded_as_courier_does(void **state)
{
    g_autofree char *delivery = maildirsize_format_change(4312, 1);
    g_autofree char *removal = maildirsize_format_change(-4312, -1);
    g_autofree char *large = maildirsize_format_change(G_MAXINT64, 1);

    (void)state;
    assert_string_equal(delivery, "        4312            1\n");
    assert_string_equal(removal, "       -4312           -1\n");
    assert_string_equal(large, "9223372036854775807            1\n");
}

static void
who_limits_nothing_is_content_with_any_limits(void **state)
{
    const QuotaLimits none = {0, 0};
    const QuotaLimits some = {1000, 0};
    const QuotaLimits both = {1000, 5};

    (void)state;
    assert_true(maildirsize_limits_agree(&some, &none));
    assert_true(maildirsize_limits_agree(&some, &some));
    assert_false(maildirsize_limits_agree(&none, &some));
    assert_false(maildirsize_limits_agree(&both, &some));
    assert_false(maildirsize_limits_agree(&some, &both));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 3] = {
        cmocka_unit_test(limits_are_written_as_others_read_them),
        cmocka_unit_test(changes_are_padded_as_courier_does),
        cmocka_unit_test(who_limits_nothing_is_content_with_any_limits),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i + 3] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
