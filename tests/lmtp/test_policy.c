/* tests/lmtp/test_policy.c - limits of the parser of policy requests
 *
 * What requests mean is in tests/transcripts-policy.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lmtp/policy.h"

#define HEAD "request=smtpd_access_policy\n"

typedef struct {
    const char *behaviour;
    const char *start;
    size_t filler; /* octets "x" between start and end */
    const char *end;
    PolicyResult result;
} Row;

static const Row rows[] = {
    {"line_of_the_greatest_length_is_taken", HEAD "recipient=", POLICY_LINE_MAX - 10, "\n\n",
     POLICY_REQUEST},
    {"line_one_octet_longer_is_not", HEAD "recipient=", POLICY_LINE_MAX - 9, "\n\n",
     POLICY_GARBAGE},
    {"line_without_end_is_not_waited_for", HEAD "recipient=", 10 * POLICY_LINE_MAX, "",
     POLICY_GARBAGE},
    {"half_a_request_is_waited_for", HEAD "recipient=", 100, "", POLICY_MORE},
    {"half_an_end_is_waited_for", HEAD "recipient=", 100, "\n", POLICY_MORE},
    {"nothing_is_waited_for", "", 0, "", POLICY_MORE},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(PolicyParser) parser = policy_parser_new();
    g_autoptr(GString) input = g_string_new(row->start);
    size_t used = 0;

    for (size_t i = 0; i < row->filler; i++)
        g_string_append_c(input, 'x');
    g_string_append(input, row->end);
    assert_int_equal(policy_parser_feed(parser, input->str, input->len, &used), row->result);
    if (row->result != POLICY_GARBAGE)
        assert_int_equal(used, input->len);
}

/* Feeds the same line again and again; after how many octets it was too much. */
static size_t
octets_taken(const char *line)
{
    g_autoptr(PolicyParser) parser = policy_parser_new();
    size_t taken = 0;
    size_t used = 0;

    while (taken < 10 * POLICY_REQUEST_MAX &&
           policy_parser_feed(parser, line, strlen(line), &used) == POLICY_MORE)
        taken += used;
    return taken;
}

static void
request_that_does_not_end_is_garbage(void **state)
{
    (void)state;
    assert_in_range(octets_taken("a=b\n"), POLICY_REQUEST_MAX - 4, POLICY_REQUEST_MAX);
    assert_in_range(octets_taken("sender=0123456789\n"), POLICY_REQUEST_MAX - 18,
                    POLICY_REQUEST_MAX);
}

static void
each_request_may_be_as_large(void **state)
{
    g_autoptr(PolicyParser) parser = policy_parser_new();
    g_autoptr(GString) input = g_string_new(HEAD);
    size_t used = 0;

    (void)state;
    while (input->len < POLICY_REQUEST_MAX - 100)
        g_string_append(input, "a=0123456789012345678901234567890123456789\n");
    g_string_append(input, "\n");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(policy_parser_feed(parser, input->str, input->len, &used), POLICY_REQUEST);
        assert_int_equal(used, input->len);
    }
}

static void
nul_is_garbage(void **state)
{
    static const char input[] = HEAD "recipient=a\0b\n\n";
    g_autoptr(PolicyParser) parser = policy_parser_new();
    size_t used = 0;

    (void)state;
    assert_int_equal(policy_parser_feed(parser, input, sizeof input - 1, &used), POLICY_GARBAGE);
}

static void
what_follows_a_request_is_left_for_the_next_call(void **state)
{
    static const char input[] = HEAD "recipient=a@b\n\n" HEAD "recipient=c@d\n\nreq";
    g_autoptr(PolicyParser) parser = policy_parser_new();
    size_t used = 0;
    size_t more = 0;

    (void)state;
    assert_int_equal(policy_parser_feed(parser, input, strlen(input), &used), POLICY_REQUEST);
    assert_string_equal(policy_parser_request(parser)->recipient, "a@b");
    assert_int_equal(policy_parser_feed(parser, input + used, strlen(input) - used, &more),
                     POLICY_REQUEST);
    assert_string_equal(policy_parser_request(parser)->recipient, "c@d");
    assert_int_equal(used + more, strlen(input) - 3);
}

static void
answer_is_one_line_whatever_is_in_it(void **state)
{
    g_autoptr(GString) answers = g_string_new(NULL);

    (void)state;
    policy_answer(answers, "DUNNO");
    policy_answer(answers, "552 a\nb\r\n\naction=OK");
    assert_string_equal(answers->str, "action=DUNNO\n\naction=552 a b   action=OK\n\n");
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(request_that_does_not_end_is_garbage),
        cmocka_unit_test(each_request_may_be_as_large),
        cmocka_unit_test(nul_is_garbage),
        cmocka_unit_test(what_follows_a_request_is_left_for_the_next_call),
        cmocka_unit_test(answer_is_one_line_whatever_is_in_it),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
