/* tests/sieve/test_address.c - addresses out of header fields and envelopes */
#include "lodge.h"

#include "sieve/address.h"
#include "tests/sieve/rows.h"

/* Lists: "{all}" for each valid address with its name behind it, "!{text}" for an invalid one. */
typedef struct {
    const char *behaviour;
    const char *text, *expected;
} Row;

static const Row lists[] = {
    {"one_address", "ana@example.org", "{ana@example.org}"},
    {"two_addresses", "a@x.org, b@y.org", "{a@x.org}{b@y.org}"},
    {"no_blank_behind_the_comma", "a@x.org,b@y.org", "{a@x.org}{b@y.org}"},
    {"empty_elements_do_not_count", ", a@x.org,, ,b@y.org,", "{a@x.org}{b@y.org}"},
    {"an_empty_field", "", ""},
    {"a_field_of_blanks", " \t ", ""},
    {"display_name", "Ana B <a@x.org>", "{a@x.org}Ana B"},
    {"display_name_in_quotes", "\"Ana, B\" <a@x.org>", "{a@x.org}Ana, B"},
    {"quoted_pair_in_a_name", "\"Ana \\\"B\\\"\" <a@x.org>", "{a@x.org}Ana \"B\""},
    {"display_name_with_dots", "A. B. Cee <a@x.org>", "{a@x.org}A. B. Cee"},
    {"encoded_display_name", "=?utf-8?Q?Andr=C3=A9?= <a@x.org>", "{a@x.org}Andr\xc3\xa9"},
    {"a_comma_in_an_encoded_name", "=?utf-8?Q?B=2C_A?= <a@x.org>, b@y.org",
     "{a@x.org}B, A{b@y.org}"},
    {"brackets_without_name", "<a@x.org>", "{a@x.org}"},
    {"no_blank_before_the_bracket", "Ana<a@x.org>", "{a@x.org}Ana"},
    {"blanks_in_the_brackets", "< a@x.org >", "{a@x.org}"},
    {"blanks_around_at_and_dots", "a . b @ x . org", "{a.b@x.org}"},
    {"a_comment_is_the_name_where_there_is_none", "a@x.org (Ana B)", "{a@x.org}Ana B"},
    {"comments_everywhere", "(1) Ana (2) <(3) a (4) @ (5) x.org (6)> (7)", "{a@x.org}Ana"},
    {"comments_within_each_other", "a@x.org (b (c) (d (e)))", "{a@x.org}b (c) (d (e))"},
    {"a_comma_in_a_comment", "a@x.org (b, c), d@y.org", "{a@x.org}b, c{d@y.org}"},
    {"an_escaped_parenthesis", "a@x.org (b\\) c), d@y.org", "{a@x.org}b) c{d@y.org}"},
    {"quoted_local_part", "\"a b\"@x.org", "{\"a b\"@x.org}"},
    {"quoted_local_part_with_at", "\"a@b\"@x.org", "{\"a@b\"@x.org}"},
    {"quoted_local_part_with_comma", "\"a,b\"@x.org, c@y.org", "{\"a,b\"@x.org}{c@y.org}"},
    {"quoted_word_in_a_local_part", "a.\"b c\".d@x.org", "{\"a.b c.d\"@x.org}"},
    {"empty_quoted_local_part", "\"\"@x.org", "{\"\"@x.org}"},
    {"group", "Friends: a@x.org, Bea <b@y.org>;", "{a@x.org}{b@y.org}Bea"},
    {"empty_group", "undisclosed-recipients:;", ""},
    {"group_without_end", "Friends: a@x.org, b@y.org", "{a@x.org}{b@y.org}"},
    {"group_between_addresses", "c@z.org, G: a@x.org;, b@y.org", "{c@z.org}{a@x.org}{b@y.org}"},
    {"group_with_a_quoted_name", "\"A: b\": a@x.org;", "{a@x.org}"},
    {"two_groups", "A: a@x.org; B: b@y.org;", "{a@x.org}{b@y.org}"},
    {"source_route", "<@r.org,@s.org:a@x.org>", "{a@x.org}"},
    {"address_literal", "a@[192.0.2.1]", "{a@[192.0.2.1]}"},
    {"ipv6_literal", "<a@[IPv6:2001:db8::1]>", "{a@[IPv6:2001:db8::1]}"},
    {"utf8_everywhere", "\xc3\x81na <\xc3\xa1na@ex\xc3\xa4mple.org>",
     "{\xc3\xa1na@ex\xc3\xa4mple.org}\xc3\x81na"},
    {"latin1_is_made_utf8", "\xc1na <a@x.org>", "{a@x.org}\xc3\x81na"},
    {"bare_local_part", "postmaster", "{postmaster}"},
    {"bare_local_part_in_brackets", "Post <postmaster>", "{postmaster}Post"},
    {"words_are_no_address", "not an address", "!{not an address}"},
    {"words_do_not_hide_the_next", "not an address, a@x.org", "!{not an address}{a@x.org}"},
    {"at_in_an_unquoted_name", "a@x.org <b@y.org>", "{b@y.org}a@x.org"},
    {"rubbish_in_a_name", "[list] a@ <b@y.org>", "{b@y.org}[list] a@"},
    {"colon_in_an_unquoted_name", "Re: a <b@y.org>", "{b@y.org}a"},
    {"missing_bracket", "Ana <a@x.org", "{a@x.org}Ana"},
    {"missing_bracket_before_a_comma", "Ana <a@x.org, b@y.org", "{a@x.org}Ana{b@y.org}"},
    {"rubbish_behind_an_address", "Ana <a@x.org> foo bar, b@y.org", "{a@x.org}Ana{b@y.org}"},
    {"missing_comma", "A <a@x.org> B <b@y.org>", "{a@x.org}A{b@y.org}"},
    {"open_quote", "\"Ana <a@x.org>, b@y.org", "{a@x.org}Ana{b@y.org}"},
    {"stray_bracket", "a@x.org>, b@y.org", "{a@x.org}{b@y.org}"},
    {"words_behind_a_bare_address", "a@x.org b, b@y.org", "!{a@x.org b}{b@y.org}"},
    {"open_comment", "a@x.org (b, c@y.org", "!{a@x.org (b}{c@y.org}"},
    {"open_comment_at_the_end", "a@x.org (", "{a@x.org}"},
    {"closed_comment", "a@x.org), b@y.org", "{a@x.org}{b@y.org}"},
    {"empty_brackets", "Ana <>, b@y.org", "!{Ana <>}{b@y.org}"},
    {"no_domain", "a@, b@y.org", "!{a@}{b@y.org}"},
    {"no_local_part", "@x.org, b@y.org", "!{@x.org}{b@y.org}"},
    {"two_ats", "a@b@x.org, b@y.org", "!{a@b@x.org}{b@y.org}"},
    {"dots_at_odd_places", ".a..b.@x.org", "{.a..b.@x.org}"},
    {"dot_behind_the_domain_goes", "a@x.org.", "{a@x.org}"},
    {"semicolons_between_addresses", "a@x.org; b@y.org", "{a@x.org}{b@y.org}"},
    {"outlook_mailto", "<mailto:a@x.org>, b@y.org", "!{<mailto:a@x.org>}{b@y.org}"},
    {"blanks_in_a_local_part", "<a b@x.org>, b@y.org", "!{<a b@x.org>}{b@y.org}"},
    {"folded_quotes", "\"Ana\t B\" <a@x.org>", "{a@x.org}Ana\t B"},
};

static void
check_list(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) found = g_string_new(NULL);
    size_t count;
    const SieveAddress *addresses = sieve_addresses_parse(arena, sieve_text(row->text), &count);

    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(found, "%s{%s}%s", addresses[i].is_valid ? "" : "!",
                               addresses[i].all.bytes, addresses[i].name.bytes);
        if (!addresses[i].is_valid)
            continue;

        g_autofree char *written = sieve_address_format(&addresses[i]);

        if (addresses[i].all.bytes[0] == '"' || strchr(written, '"') == NULL)
            assert_text(addresses[i].all, written);
    }
    assert_string_equal(found->str, row->expected);
}

static const Row single[] = {
    {"single_address", "a@x.org", "a@x.org"},
    {"single_address_with_blanks", "  a@x.org ", "a@x.org"},
    {"single_address_with_name", "Ana <a@x.org>", "a@x.org"},
    {"single_address_with_quoted_name", "\"Ana, B\" <a@x.org>", "a@x.org"},
    {"single_quoted_local_part", "\"a b\"@x.org", "\"a b\"@x.org"},
    {"single_literal", "a@[192.0.2.1]", "a@[192.0.2.1]"},
    {"single_literal_with_a_quoted_pair", "a@[192\\.0.2.1]", "a@[192.0.2.1]"},
    {"single_literal_with_a_quoted_bracket", "a@[b\\[c]", NULL},
    {"single_literal_with_a_quoted_end", "a@[b\\]c]", NULL},
    {"single_literal_with_a_quoted_backslash", "a@[b\\\\c]", NULL},
    {"single_utf8", "\xc3\xa1@\xc3\xa4.org", "\xc3\xa1@\xc3\xa4.org"},
    {"a_route_is_not_single", "<@r.org:a@x.org>", NULL},
    {"two_are_not_single", "a@x.org, b@y.org", NULL},
    {"a_comma_is_not_single", "a@x.org,", NULL},
    {"a_group_is_not_single", "G: a@x.org;", NULL},
    {"a_local_part_is_not_single", "a", NULL},
    {"nothing_is_not_single", "", NULL},
    {"missing_bracket_is_not_single", "Ana <a@x.org", NULL},
    {"rubbish_behind_is_not_single", "<a@x.org> foo", NULL},
    {"words_are_not_single", "not an address", NULL},
    {"an_unquoted_at_is_not_single", "a@x.org <b@y.org>", NULL},
    {"an_empty_label_is_not_single", "a@x..org", NULL},
    {"a_domain_with_other_signs_is_not_single", "a@x_y|z.org", NULL},
    {"a_line_end_is_not_single", "\"a\001\"@x.org", NULL},
    {"latin1_is_not_single", "\xe1@x.org", NULL},
};

static void
check_single(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveAddress address;
    bool ok = sieve_address_parse(arena, sieve_text(row->text), &address);

    assert_int_equal(ok, row->expected != NULL);
    if (ok)
        assert_text(address.all, row->expected);
}

static const Row paths[] = {
    {"path", "<a@x.org>", "a@x.org"},
    {"path_without_brackets", "a@x.org", "a@x.org"},
    {"null_path", "<>", ""},
    {"empty_path", "", ""},
    {"path_with_route", "<@r.org,@s.org:a@x.org>", "a@x.org"},
    {"path_with_route_without_brackets", "@r.org:a@x.org", "a@x.org"},
    {"path_of_a_local_part", "postmaster", "postmaster"},
    {"path_of_a_local_part_in_brackets", "<postmaster>", "postmaster"},
    {"path_quoted", "<\"a b\"@x.org>", "\"a b\"@x.org"},
    {"path_with_literal", "<a@[192.0.2.1]>", "a@[192.0.2.1]"},
    {"path_utf8", "<\xc3\xa1@x.org>", "\xc3\xa1@x.org"},
    {"path_with_dots_at_odd_places", "<a..b.@x.org>", "a..b.@x.org"},
    {"path_without_end", "<a@x.org", NULL},
    {"path_without_start", "a@x.org>", NULL},
    {"path_with_blanks", "<a @x.org>", NULL},
    {"path_with_comment", "<a@x.org(b)>", NULL},
    {"path_with_name", "Ana <a@x.org>", NULL},
    {"path_with_rubbish", "<a@x.org> SIZE=1", NULL},
    {"path_without_domain", "<a@>", NULL},
    {"path_without_local_part", "<@x.org>", NULL},
    {"path_with_two_ats", "<a@b@x.org>", NULL},
    {"path_with_a_list", "<a@x.org,b@y.org>", NULL},
    {"path_with_an_empty_label", "<a@x..org>", NULL},
};

static void
check_path(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveAddress address;
    bool ok = sieve_path_parse(arena, sieve_text(row->text), &address);

    assert_int_equal(ok, row->expected != NULL);
    if (ok)
        assert_text(address.all, row->expected);
}

typedef struct {
    const char *behaviour;
    const char *local_part, *delimiters, *user, *detail; /* detail NULL: none */
} DetailRow;

static const DetailRow details[] = {
    {"detail", "ana+lists", "+", "ana", "lists"},
    {"no_detail", "ana", "+", "ana", NULL},
    {"an_empty_detail_is_one", "ana+", "+", "ana", ""},
    {"the_first_delimiter_counts", "ana+a+b", "+", "ana", "a+b"},
    {"each_character_is_a_delimiter", "ana-a+b", "+-", "ana", "a+b"},
    {"a_delimiter_at_the_start_is_none", "+ana", "+", "+ana", NULL},
    {"without_delimiters_there_is_no_detail", "ana+lists", "", "ana+lists", NULL},
};

static void
check_detail(void **state)
{
    const DetailRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText user, detail;
    bool has_detail =
        sieve_address_detail(arena, sieve_text(row->local_part), row->delimiters, &user, &detail);

    assert_text(user, row->user);
    assert_int_equal(has_detail, row->detail != NULL);
    if (has_detail)
        assert_text(detail, row->detail);
}

static const Row formats[] = {
    {"a_plain_local_part_is_written_as_it_is", "a.b@x.org", "a.b@x.org"},
    {"a_local_part_with_blanks_is_quoted", "\"a b\"@x.org", "\"a b\"@x.org"},
    {"quotes_in_a_local_part_are_escaped", "\"a\\\"b\\\\\"@x.org", "\"a\\\"b\\\\\"@x.org"},
    {"needless_quotes_go", "\"ab\"@x.org", "ab@x.org"},
    {"dots_at_odd_places_are_quoted", "\"a..b\"@x.org", "\"a..b\"@x.org"},
    {"an_empty_local_part_is_quoted", "\"\"@x.org", "\"\"@x.org"},
    {"a_local_part_alone", "ab", "ab"},
};

static void
check_format(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveAddress address;

    assert_true(sieve_path_parse(arena, sieve_text(row->text), &address));

    g_autofree char *text = sieve_address_format(&address);

    assert_string_equal(text, row->expected);
}

static void
a_list_of_100000_addresses_is_read(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) text = g_string_new(NULL);
    size_t count;

    (void)state;
    for (int i = 0; i < 100000; i++)
        g_string_append_printf(text, "\"User %d\" <user%d@example.org>, ", i, i);

    const SieveAddress *addresses =
        sieve_addresses_parse(arena, (SieveText){text->str, text->len}, &count);

    assert_int_equal(count, 100000);
    assert_text(addresses[99999].all, "user99999@example.org");
}

/* Without any end, each of these characters would make a simple reader look to the end of
 * the text again. */
static void
openings_without_end_are_linear(void **state)
{
    static const char *const openings[] = {"(", "\"", "<", "[", "a@[", "<\"", "a(", "\\", "@", ":"};
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(openings); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        size_t count;

        while (text->len < 1024 * 1024)
            g_string_append(text, openings[i]);
        g_string_append(text, ", a@x.org");

        const SieveAddress *addresses =
            sieve_addresses_parse(arena, (SieveText){text->str, text->len}, &count);

        assert_true(count >= 1);
        assert_text(addresses[count - 1].all, "a@x.org");
    }
}

static void
comments_of_any_depth_are_skipped(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) text = g_string_new("a@x.org ");
    size_t count;

    (void)state;
    for (int i = 0; i < 100000; i++)
        g_string_append_c(text, '(');
    for (int i = 0; i < 100000; i++)
        g_string_append_c(text, ')');

    const SieveAddress *addresses =
        sieve_addresses_parse(arena, (SieveText){text->str, text->len}, &count);

    assert_int_equal(count, 1);
    assert_text(addresses[0].all, "a@x.org");
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_list_of_100000_addresses_is_read),
        cmocka_unit_test(openings_without_end_are_linear),
        cmocka_unit_test(comments_of_any_depth_are_skipped),
    };

    ADD_ROWS(tests, lists, check_list);
    ADD_ROWS(tests, single, check_single);
    ADD_ROWS(tests, paths, check_path);
    ADD_ROWS(tests, details, check_detail);
    ADD_ROWS(tests, formats, check_format);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("address", tests);
}
