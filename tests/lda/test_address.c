/* tests/lda/test_address.c - paths, command-line addresses, xtext, ORCPT */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/address.h"

typedef struct {
    const char *behaviour;
    const char *text;
    AddressFlags flags;
    const char *expected; /* NULL: refused */
} Row;

static const Row paths[] = {
    {"plain_path", "<ana@example.org>", 0, "ana@example.org"},
    {"bytes_after_the_path_are_left", "<ana@example.org> SIZE=5", 0, "ana@example.org"},
    {"null_path_where_allowed", "<>", ADDRESS_NULL, ""},
    {"null_path_where_not_allowed", "<>", 0, NULL},
    {"detail_stays", "<ana+lists@example.org>", 0, "ana+lists@example.org"},
    {"case_is_kept", "<Ana@Example.ORG>", 0, "Ana@Example.ORG"},
    {"dots_at_odd_places", "<.ana..b.@example.org>", 0, ".ana..b.@example.org"},
    {"quotes_that_are_not_needed_go", "<\"ana\"@example.org>", 0, "ana@example.org"},
    {"quotes_that_are_needed_stay", "<\"ana b\"@example.org>", 0, "\"ana b\"@example.org"},
    {"quoted_pair_is_undone", "<\"a\\na\"@example.org>", 0, "ana@example.org"},
    {"quote_in_quotes", "<\"a\\\"b\\\\\"@example.org>", 0, "\"a\\\"b\\\\\"@example.org"},
    {"at_and_bracket_in_quotes", "<\"a@b>c\"@example.org>", 0, "\"a@b>c\"@example.org"},
    {"empty_quoted_local_part", "<\"\"@example.org>", 0, "\"\"@example.org"},
    {"quoted_word_between_atoms", "<a.\"b\".c@example.org>", 0, "a.b.c@example.org"},
    {"source_route_is_dropped", "<@a.example,@b.example:ana@example.org>", 0, "ana@example.org"},
    {"source_route_without_colon", "<@a.example ana@example.org>", 0, NULL},
    {"source_route_without_address", "<@a.example:>", 0, NULL},
    {"ipv4_literal", "<ana@[192.0.2.1]>", 0, "ana@[192.0.2.1]"},
    {"ipv6_literal", "<ana@[IPv6:2001:db8::1]>", 0, "ana@[IPv6:2001:db8::1]"},
    {"empty_literal", "<ana@[]>", 0, NULL},
    {"open_literal", "<ana@[192.0.2.1>", 0, NULL},
    {"utf8_where_allowed", "<ána@exämple.org>", ADDRESS_UTF8, "ána@exämple.org"},
    {"utf8_where_not_allowed", "<ána@example.org>", 0, NULL},
    {"invalid_utf8", "<\xe1na@example.org>", ADDRESS_UTF8, NULL},
    {"overlong_utf8", "<\xc0\xafna@example.org>", ADDRESS_UTF8, NULL},
    {"latin1_control", "<a\xc2\x85z@example.org>", ADDRESS_UTF8, NULL},
    {"bare_local_part_where_allowed", "<postmaster>", ADDRESS_LOCAL_ONLY, "postmaster"},
    {"bare_local_part_where_not_allowed", "<postmaster>", 0, NULL},
    {"underscore_in_domain", "<ana@my_host.example.org>", 0, "ana@my_host.example.org"},
    {"dot_after_the_domain_goes", "<ana@example.org.>", 0, "ana@example.org"},
    {"two_dots_after_the_domain", "<ana@example.org..>", 0, NULL},
    {"dot_before_the_domain", "<ana@.example.org>", 0, NULL},
    {"two_dots_in_the_domain", "<ana@example..org>", 0, NULL},
    {"domain_missing", "<ana@>", 0, NULL},
    {"domain_is_a_dot", "<ana@.>", 0, NULL},
    {"local_part_missing", "<@example.org>", 0, NULL},
    {"two_ats", "<ana@b@example.org>", 0, NULL},
    {"slash_in_domain", "<ana@exam/ple.org>", 0, NULL},
    {"space_in_local_part", "<ana b@example.org>", 0, NULL},
    {"space_before_the_address", "< ana@example.org>", 0, NULL},
    {"tab_in_quotes", "<\"a\tb\"@example.org>", 0, NULL},
    {"newline_in_quotes", "<\"a\nb\"@example.org>", 0, NULL},
    {"newline_as_quoted_pair", "<\"a\\\nb\"@example.org>", 0, NULL},
    {"delete_in_local_part", "<a\x7f@example.org>", 0, NULL},
    {"quote_left_open", "<\"ana@example.org>", 0, NULL},
    {"backslash_at_the_end", "<\"ana\\", 0, NULL},
    {"no_closing_bracket", "<ana@example.org", 0, NULL},
    {"no_opening_bracket", "ana@example.org>", 0, NULL},
    {"nothing", "", ADDRESS_NULL, NULL},
};

static const Row arguments[] = {
    {"bare_address", "ana@example.org", 0, "ana@example.org"},
    {"address_in_brackets", "<ana@example.org>", 0, "ana@example.org"},
    {"bytes_after_the_brackets", "<ana@example.org>x", 0, NULL},
    {"empty_is_null_where_allowed", "", ADDRESS_NULL, ""},
    {"empty_where_not_allowed", "", 0, NULL},
    {"empty_brackets", "<>", ADDRESS_NULL, ""},
    {"unquoted_space_as_pipe_passes_it", "ana b@example.org", 0, "\"ana b\"@example.org"},
    {"unquoted_at_as_pipe_passes_it", "a@b@example.org", 0, "\"a@b\"@example.org"},
    {"unquoted_newline", "a\nb@example.org", 0, NULL},
    {"space_after_the_domain", "ana@example.org ", 0, NULL},
    {"word_without_domain", "MAILER-DAEMON", ADDRESS_LOCAL_ONLY, "MAILER-DAEMON"},
    {"word_where_an_address_is_needed", "MAILER-DAEMON", 0, NULL},
    {"utf8_argument", "用户@例え.jp", ADDRESS_UTF8, "用户@例え.jp"},
};

static const Row xtexts[] = {
    {"plain_xtext", "ana@example.org", 0, "ana@example.org"},
    {"encoded_plus", "ana+2Blists@example.org", 0, "ana+lists@example.org"},
    {"lower_case_hex", "ana+2blists", 0, "ana+lists"},
    {"empty_xtext", "", 0, ""},
    {"half_an_escape", "ana+2", 0, NULL},
    {"escape_that_is_not_hex", "ana+ZZ", 0, NULL},
    {"encoded_nul", "ana+00", 0, NULL},
    {"equals_sign", "a=b", 0, NULL},
    {"space", "a b", 0, NULL},
    {"eight_bit", "\xc3\xa1", 0, NULL},
};

static const Row orcpts[] = {
    {"rfc822_orcpt", "rfc822;ana+2Bx@example.org", 0, "ana+x@example.org"},
    {"type_in_upper_case", "RFC822;ana@example.org", 0, "ana@example.org"},
    {"orcpt_without_domain", "rfc822;root", 0, "root"},
    {"utf8_orcpt_escaped", "utf-8;\\x{E1}na@example.org", 0, "ána@example.org"},
    {"utf8_orcpt_as_it_is", "utf-8;ána@example.org", 0, "ána@example.org"},
    {"escape_past_unicode", "utf-8;\\x{110000}@example.org", 0, NULL},
    {"escape_of_a_surrogate", "utf-8;\\x{D800}@example.org", 0, NULL},
    {"escape_of_nothing", "utf-8;\\x{}a@example.org", 0, NULL},
    {"escape_left_open", "utf-8;\\x{E1", 0, NULL},
    {"escape_of_a_newline", "utf-8;\\x{A}ana@example.org", 0, NULL},
    {"encoded_newline_in_orcpt", "rfc822;ana+0Ab@example.org", 0, NULL},
    {"no_type", "ana@example.org", 0, NULL},
    {"type_nobody_knows", "x400;/C=de/", 0, NULL},
    {"type_without_address", "rfc822;", 0, NULL},
};

static void
check_result(const Row *row, const char *result)
{
    if (row->expected == NULL)
        assert_null(result);
    else
        assert_non_null(result);
    if (row->expected != NULL)
        assert_string_equal(result, row->expected);
}

static void
check_path(void **state)
{
    const Row *row = *state;
    size_t used = 0;
    g_autofree char *address = address_parse_path(row->text, strlen(row->text), row->flags, &used);

    check_result(row, address);
    if (address != NULL)
        assert_int_equal(row->text[used - 1], '>');
}

static void
check_argument(void **state)
{
    const Row *row = *state;
    g_autofree char *address = address_parse(row->text, row->flags);

    check_result(row, address);
}

static void
check_xtext(void **state)
{
    const Row *row = *state;
    g_autofree char *text = address_decode_xtext(row->text, strlen(row->text));

    check_result(row, text);
}

static void
check_orcpt(void **state)
{
    const Row *row = *state;
    g_autofree char *address = address_decode_orcpt(row->text, strlen(row->text));

    check_result(row, address);
}

static void
nul_is_refused_wherever_it_stands(void **state)
{
    static const char texts[][16] = {"<a\0b@c.org>", "<\"a\0b\"@c.org>", "<\"a\\\0\"@c.org>",
                                     "<ab@c\0.org>", "<ab@c.org\0>"};
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_null(address_parse_path(texts[i], 12, ADDRESS_UTF8, &used));
    assert_null(address_decode_orcpt("utf-8;a\0b@c.org", 15));
}

static void
address_of_a_thousand_octets_passes_and_one_more_is_refused(void **state)
{
    const char *domain = "@example.org>";
    g_autofree char *fitting = g_strnfill(1000 - strlen("@example.org"), 'v');
    g_autofree char *path = g_strconcat("<", fitting, domain, NULL);
    g_autofree char *longer = g_strconcat("<v", fitting, domain, NULL);
    size_t used = 0;

    (void)state;
    g_autofree char *address = address_parse_path(path, strlen(path), 0, &used);
    assert_non_null(address);
    assert_int_equal(strlen(address), 1000);
    assert_null(address_parse_path(longer, strlen(longer), 0, &used));
}

static size_t
add_rows(struct CMUnitTest *tests, const Row *rows, size_t count, CMUnitTestFunction check)
{
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check, .initial_state = (void *)&rows[i]};
    return count;
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(paths) + G_N_ELEMENTS(arguments) + G_N_ELEMENTS(xtexts) +
                            G_N_ELEMENTS(orcpts) + 2] = {
        cmocka_unit_test(nul_is_refused_wherever_it_stands),
        cmocka_unit_test(address_of_a_thousand_octets_passes_and_one_more_is_refused),
    };
    struct CMUnitTest *next = tests + 2;

    next += add_rows(next, paths, G_N_ELEMENTS(paths), check_path);
    next += add_rows(next, arguments, G_N_ELEMENTS(arguments), check_argument);
    next += add_rows(next, xtexts, G_N_ELEMENTS(xtexts), check_xtext);
    next += add_rows(next, orcpts, G_N_ELEMENTS(orcpts), check_orcpt);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
