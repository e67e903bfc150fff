/* tests/lmtp/test_data.c - the end of the data, wherever the input is cut
 *
 * Each row is fed whole, byte by byte, and cut in two at every place: the result
 * is the same.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lmtp/data.h"

typedef struct {
    const char *behaviour;
    const char *input;
    const char *content;
    const char *rest; /* what is left for the next command; NULL: there is no end */
} Row;

static const Row rows[] = {
    {"crlf_dot_crlf_ends", "a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"},
    {"dot_in_the_first_line_ends", ".\r\nQUIT", "", "QUIT"},
    {"first_dot_of_a_line_is_dropped", "..\r\n.a\r\n.\r\n", ".\r\na\r\n", ""},
    {"dot_within_a_line_stays", "a.\r\nb.c\r\n.\r\n", "a.\r\nb.c\r\n", ""},
    {"lf_dot_lf_is_content", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", ""},
    {"lf_dot_crlf_is_content", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", ""},
    {"cr_dot_cr_is_content", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", ""},
    {"crlf_dot_lf_is_content", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", ""},
    {"crlf_dot_cr_is_content", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
    {"crlf_dot_cr_crlf_starts_a_line", "a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", ""},
    {"cr_crlf_dot_crlf_ends", "a\r\r\n.\r\nX", "a\r\r\n", "X"},
    {"empty_lines_stay", "\r\n\r\n.\r\n", "\r\n\r\n", ""},
    {"without_the_end_all_is_content", "a\r\n.b\r\n", "a\r\nb\r\n", NULL},
    {"half_of_the_end_is_held_back", "a\r\n.\r", "a\r\n", NULL},
};

static void
collect(const uint8_t *bytes, size_t len, void *content)
{
    g_string_append_len(content, (const char *)bytes, (gssize)len);
}

/* Feeds input in pieces, the first of first octets and each further one of size. */
static void
check_pieces(const Row *row, size_t first, size_t size)
{
    g_autoptr(GString) content = g_string_new(NULL);
    size_t len = strlen(row->input), used = 0;
    LmtpData data;

    lmtp_data_begin(&data);
    for (size_t end = first; used < len && !lmtp_data_is_done(&data); end += size)
        used += lmtp_data_feed(&data, (const uint8_t *)row->input + used, MIN(end, len) - used,
                               collect, content);
    assert_string_equal(content->str, row->content);
    assert_int_equal(lmtp_data_is_done(&data), row->rest != NULL);
    if (row->rest != NULL)
        assert_string_equal(row->input + used, row->rest);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    size_t len = strlen(row->input);

    check_pieces(row, 1, 1);
    for (size_t cut = 1; cut <= len; cut++)
        check_pieces(row, cut, len);
}

static void
chunk_takes_its_octets_and_no_more(void **state)
{
    static const uint8_t input[] = "a\r\n.\r\nQUIT";
    g_autoptr(GString) content = g_string_new(NULL);
    LmtpData data;

    (void)state;
    lmtp_data_begin_chunk(&data, 6);
    assert_int_equal(lmtp_data_feed(&data, input, 4, collect, content), 4);
    assert_false(lmtp_data_is_done(&data));
    assert_int_equal(lmtp_data_feed(&data, input + 4, 6, collect, content), 2);
    assert_true(lmtp_data_is_done(&data));
    assert_string_equal(content->str, "a\r\n.\r\n");
}

static void
chunk_of_nothing_is_done_at_once(void **state)
{
    LmtpData data;

    (void)state;
    lmtp_data_begin_chunk(&data, 0);
    assert_true(lmtp_data_is_done(&data));
}

/* One sink call a line would be a function call every seventy octets. */
static void
count_calls(const uint8_t *bytes, size_t len, void *calls)
{
    (void)bytes, (void)len;
    ++*(unsigned *)calls;
}

static void
lines_without_dots_are_handed_on_together(void **state)
{
    static const uint8_t input[] = "one\r\ntwo\r\n\r\nthree\r\n.\r\n";
    unsigned calls = 0;
    LmtpData data;

    (void)state;
    lmtp_data_begin(&data);
    (void)lmtp_data_feed(&data, input, sizeof input - 1, count_calls, &calls);
    assert_true(lmtp_data_is_done(&data));
    assert_int_equal(calls, 1);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 3] = {
        cmocka_unit_test(chunk_takes_its_octets_and_no_more),
        cmocka_unit_test(chunk_of_nothing_is_done_at_once),
        cmocka_unit_test(lines_without_dots_are_handed_on_together),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[3 + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
