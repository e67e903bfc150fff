/* tests/sieve/test_message.c - fields of a header, their decoding, and edits */
#include "lodge.h"

#include "sieve/limits.h"
#include "sieve/message.h"
#include "tests/sieve/rows.h"

/* Fields as "[name=value]", then what the body is. */
typedef struct {
    const char *behaviour;
    const char *message, *fields, *body; /* body NULL: there is none */
} SplitRow;

static const SplitRow splits[] = {
    {"fields_and_body", "From: a\nTo: b\n\nBody\n", "[From=a][To=b]", "Body\n"},
    {"crlf_is_as_lf", "From: a\r\nTo: b\r\n\r\nBody\r\n", "[From=a][To=b]", "Body\r\n"},
    {"no_blank_line", "From: a\nTo: b\n", "[From=a][To=b]", NULL},
    {"no_line_end", "From: a\nTo: b", "[From=a][To=b]", NULL},
    {"no_header", "\nBody", "", "Body"},
    {"nothing_at_all", "", "", NULL},
    {"half_a_line_end_is_the_blank_line", "From: a\n\r", "[From=a]", ""},
    {"an_empty_body", "From: a\n\n", "[From=a]", ""},
    {"an_empty_value", "Subject:\nTo: b\n\n", "[Subject=][To=b]", ""},
    {"no_blank_behind_the_colon", "Subject:x\n\n", "[Subject=x]", ""},
    {"blanks_before_the_colon", "Subject : x\n\n", "[Subject=x]", ""},
    {"blanks_around_a_value_go", "Subject: \t x y \t\n\n", "[Subject=x y]", ""},
    {"folded_lines_are_joined", "Subject: x\n y\n\tz\n\n", "[Subject=x y\tz]", ""},
    {"folded_crlf_lines_are_joined", "Subject: x\r\n y\r\n\r\n", "[Subject=x y]", ""},
    {"a_value_on_the_second_line", "Subject:\n x\n\n", "[Subject=x]", ""},
    {"a_line_of_blanks_is_folding", "Subject: x\n \nTo: b\n\n", "[Subject=x][To=b]", ""},
    {"a_colon_in_a_value", "Subject: Re: x\n\n", "[Subject=Re: x]", ""},
    {"mbox_line_first", "From a@x Tue Nov 24\nTo: b\n\n", "[To=b]", ""},
    {"a_line_that_is_no_field", "From: a\nrubbish\nTo: b\n\n", "[From=a][To=b]", ""},
    {"what_follows_rubbish_belongs_to_it", "From: a\nrubbish\n folded\nTo: b\n\n", "[From=a][To=b]",
     ""},
    {"a_folded_line_first", " x\nTo: b\n\n", "[To=b]", ""},
    {"a_line_that_begins_with_a_colon", ": x\nTo: b\n\n", "[To=b]", ""},
    {"a_name_with_blanks_is_none", "Sub ject: x\nTo: b\n\n", "[To=b]", ""},
    {"a_name_with_8bit_is_none",
     "Subj\xe9"
     "ct: x\nTo: b\n\n",
     "[To=b]", ""},
    {"raw_utf8", "Subject: \xc3\xa9\n\n", "[Subject=\xc3\xa9]", ""},
    {"raw_latin1_is_made_utf8", "Subject: \xe9\n\n", "[Subject=\xc3\xa9]", ""},
    {"encoded_words_are_decoded", "Subject: =?iso-8859-1?Q?=E9?= x\n\n", "[Subject=\xc3\xa9 x]",
     ""},
    {"encoded_words_on_two_lines", "Subject: =?utf-8?Q?a?=\n =?utf-8?Q?b?=\n\n", "[Subject=ab]",
     ""},
};

static SieveMessage *
new_message(SieveArena *arena, const char *text)
{
    return sieve_message_new(arena, (const uint8_t *)text, strlen(text));
}

static char *
show_fields(SieveMessage *message)
{
    GString *out = g_string_new(NULL);
    size_t count;
    SieveField *const *fields = sieve_message_fields(message, &count);

    for (size_t i = 0; i < count; i++) {
        SieveText value = sieve_field_value(message, fields[i]);

        assert_int_equal(value.len, strlen(value.bytes));
        g_string_append_printf(out, "[%.*s=%s]", (int)fields[i]->name.len, fields[i]->name.bytes,
                               value.bytes);
    }
    return g_string_free(out, FALSE);
}

static void
check_split(void **state)
{
    const SplitRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, row->message);
    g_autofree char *fields = show_fields(message);
    SieveText body = sieve_message_body(message);

    assert_string_equal(fields, row->fields);
    assert_int_equal(sieve_message_has_body(message), row->body != NULL);
    if (row->body != NULL) {
        assert_int_equal(body.len, strlen(row->body));
        assert_memory_equal(body.bytes, row->body, body.len);
    }
    assert_null(sieve_message_edition(message));
}

typedef struct {
    const char *behaviour;
    const char *text, *decoded;
} WordRow;

static const WordRow words[] = {
    {"no_words", "plain =? text", "plain =? text"},
    {"quoted_printable", "=?utf-8?Q?a=C3=A9_b?=", "a\xc3\xa9 b"},
    {"base64", "=?utf-8?B?YcOpIGI=?=", "a\xc3\xa9 b"},
    {"base64_without_padding", "=?utf-8?B?YcOpIGI?=", "a\xc3\xa9 b"},
    {"lower_case_encoding", "=?UTF-8?q?a?= =?UTF-8?b?Yg==?=", "ab"},
    {"text_around_a_word", "a =?utf-8?Q?b?= c", "a b c"},
    {"text_that_touches_a_word", "a=?utf-8?Q?b?=c", "abc"},
    {"blanks_between_words_go", "=?utf-8?Q?a?= \t =?utf-8?Q?b?=", "ab"},
    {"blanks_between_words_of_two_charsets_go", "=?utf-8?Q?a?= =?iso-8859-1?Q?=E9?=", "a\xc3\xa9"},
    {"a_blank_between_a_word_and_text_stays", "=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"},
    {"a_character_cut_in_two", "=?utf-8?Q?a=C3?= =?utf-8?Q?=A9b?=",
     "a\xc3\xa9"
     "b"},
    {"a_character_cut_in_two_in_base64", "=?utf-8?B?YcM=?= =?utf-8?B?qWI=?=",
     "a\xc3\xa9"
     "b"},
    {"language", "=?utf-8*fr?Q?a?=", "a"},
    {"latin1", "=?ISO-8859-1?Q?Andr=E9?=", "Andr\xc3\xa9"},
    {"latin9", "=?iso-8859-15?Q?=A4?=", "\xe2\x82\xac"},
    {"windows_1252", "=?windows-1252?Q?=80?=", "\xe2\x82\xac"},
    {"koi8", "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
    {"iso_2022_jp", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
    {"gb2312", "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd"},
    {"unknown_charset_is_utf8_where_it_can_be", "=?x-foo?Q?=C3=A9?=", "\xc3\xa9"},
    {"unknown_charset_is_latin1_else", "=?x-foo?Q?=E9?=", "\xc3\xa9"},
    {"ascii_with_more_is_utf8", "=?us-ascii?Q?=C3=A9?=", "\xc3\xa9"},
    {"octets_that_are_none_of_the_charset", "=?utf-8?Q?a=FFb?=",
     "a\xef\xbf\xbd"
     "b"},
    {"a_charset_name_cannot_ask_for_translation", "=?utf-8//TRANSLIT?Q?=C3=A9?=", "\xc3\xa9"},
    {"blanks_in_a_word", "=?utf-8?Q?a b?=", "a b"},
    {"a_question_mark_in_a_word", "=?utf-8?Q?a?b?=", "a?b"},
    {"an_equals_sign_first", "=?utf-8?Q?=3Da?=", "=a"},
    {"broken_hex_is_itself", "=?utf-8?Q?a=ZZ=4?=", "a=ZZ=4"},
    {"an_empty_word", "a =?utf-8?Q?\?= b", "a  b"},
    {"no_end", "=?utf-8?Q?abc", "=?utf-8?Q?abc"},
    {"no_end_after_a_word", "=?utf-8?Q?a?= =?utf-8?Q?b", "a =?utf-8?Q?b"},
    {"unknown_encoding", "=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
    {"no_charset", "=??Q?abc?=", "=??Q?abc?="},
    {"an_end_alone", "abc?= def", "abc?= def"},
};

static void
check_word(void **state)
{
    const WordRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    assert_text(sieve_decode_words(arena, sieve_text(row->text)), row->decoded);
}

static void
an_encoded_nul_hides_nothing(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText text = sieve_decode_words(arena, sieve_text("a=?utf-8?Q?=00b?= c"));

    (void)state;
    assert_int_equal(text.len, 5);
    assert_memory_equal(text.bytes, "a\0b c", 5);
}

static void
many_openings_of_words_are_linear(void **state)
{
    static const char *const openings[] = {"=?", "=?utf-8?Q?", "=?utf-8?B?a?= ", "=?a?Q?\?="};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(openings); i++) {
        g_autoptr(SieveArena) arena = sieve_arena_new(0);
        g_autoptr(GString) text = g_string_new(NULL);

        while (text->len < 1024 * 1024)
            g_string_append(text, openings[i]);
        assert_true(sieve_text_is_utf8(
            sieve_decode_words(arena, (SieveText){.bytes = text->str, .len = text->len})));
    }
}

static const WordRow encoded[] = {
    {"ascii_is_not_encoded", "Hello, world", "Hello, world"},
    {"only_the_words_that_need_it_are_encoded", "a b\xc3\xa9 c", "a =?utf-8?B?YsOp?= c"},
    {"all_between_words_that_need_it_is_encoded", "\xc3\xa9 b \xc3\xa9",
     "=?utf-8?B?w6kgYiDDqQ==?="},
    {"what_looks_encoded_is_encoded", "a =?utf-8?Q?b?=", "a =?utf-8?B?PT91dGYtOD9RP2I/PQ==?="},
    {"control_characters_are_encoded", "a\nBcc: b", "=?utf-8?B?YQpCY2M6?= b"},
};

static void
check_encoded(void **state)
{
    const WordRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) out = g_string_new(NULL);

    sieve_encode_words(sieve_text(row->text), out);
    assert_string_equal(out->str, row->decoded);
    assert_text(sieve_decode_words(arena, (SieveText){out->str, out->len}), row->text);
}

/* ---- edits ------------------------------------------------------------------- */

typedef enum { ADD, ADD_LAST, DELETE } EditKind;

typedef struct {
    EditKind kind;
    const char *name;
    const char *value; /* of DELETE the value it has; NULL: any */
} Edit;

typedef struct {
    const char *behaviour;
    const char *message;
    Edit edits[4];
    const char *header; /* as the edition has it */
} EditRow;

static const EditRow edit_rows[] = {
    {"added_at_the_top", "To: b\n\nB", {{ADD, "X-A", "1"}}, "X-A: 1\nTo: b\n\n"},
    {"added_at_the_end", "To: b\n\nB", {{ADD_LAST, "X-A", "1"}}, "To: b\nX-A: 1\n\n"},
    {"stray_cr_ends_no_header", "\r\rTo: b", {{ADD, "X-A", "1"}}, "\r\rTo: b\nX-A: 1\n\n"},
    {"line_of_cr_stays_a_line",
     "To: b\n\r\r\nCc: c\n\n",
     {{ADD, "X-A", "1"}},
     "X-A: 1\nTo: b\n\r\r\nCc: c\n\n"},
    {"cr_before_a_line_end_goes",
     "To: b\r\r\n c\n\n",
     {{ADD, "X-A", "1"}},
     "X-A: 1\nTo: b\n c\n\n"},
    {"added_twice",
     "To: b\n\nB",
     {{ADD, "X-A", "1"}, {ADD, "X-A", "2"}},
     "X-A: 2\nX-A: 1\nTo: b\n\n"},
    {"added_behind_an_mbox_line",
     "From a Tue\nTo: b\n\nB",
     {{ADD, "X-A", "1"}},
     "From a Tue\nX-A: 1\nTo: b\n\n"},
    {"deleted", "To: b\nX-A: 1\nCc: c\n\nB", {{DELETE, "x-a", NULL}}, "To: b\nCc: c\n\n"},
    {"deleted_by_value", "X-A: 1\nX-A: 2\n\nB", {{DELETE, "X-A", "2"}}, "X-A: 1\n\n"},
    {"a_folded_field_is_deleted_whole",
     "X-A: 1\n 2\nTo: b\n\nB",
     {{DELETE, "X-A", NULL}},
     "To: b\n\n"},
    {"added_and_deleted", "To: b\n\nB", {{ADD, "X-A", "1"}, {DELETE, "X-A", NULL}}, "To: b\n\n"},
    {"all_deleted", "To: b\n\nB", {{DELETE, "To", NULL}}, "\n"},
    {"other_fields_stay_as_they_are",
     "TO :  b\n  c\n\nB",
     {{ADD, "X-A", "1"}},
     "X-A: 1\nTO :  b\n  c\n\n"},
    {"lines_that_are_no_field_stay",
     "To: b\nrubbish\nCc: c\n\nB",
     {{ADD, "X-A", "1"}},
     "X-A: 1\nTo: b\nrubbish\nCc: c\n\n"},
    {"crlf_becomes_lf", "To: b\r\nCc: c\r\n\r\nB", {{ADD, "X-A", "1"}}, "X-A: 1\nTo: b\nCc: c\n\n"},
    {"a_header_without_line_end_gets_one", "To: b", {{ADD_LAST, "X-A", "1"}}, "To: b\nX-A: 1\n\n"},
    {"a_message_without_header", "\nB", {{ADD, "X-A", "1"}}, "X-A: 1\n\n"},
    {"an_empty_message", "", {{ADD, "X-A", "1"}}, "X-A: 1\n\n"},
    {"utf8_is_encoded", "\nB", {{ADD, "X-A", "\xc3\xa9"}}, "X-A: =?utf-8?B?w6k=?=\n\n"},
    {"blanks_around_a_value_are_dropped", "\nB", {{ADD, "X-A", "  x "}}, "X-A: x\n\n"},
    {"a_line_end_in_a_value_makes_no_field",
     "\nB",
     {{ADD, "X-A", "x\nBcc: y"}},
     "X-A: =?utf-8?B?eApCY2M6?= y\n\n"},
    {"an_empty_value_is_written", "\nB", {{ADD, "X-A", ""}}, "X-A: \n\n"},
};

static void
apply(SieveMessage *message, const Edit *edit)
{
    size_t position = 0;
    SieveField *field;

    if (edit->kind != DELETE) {
        sieve_message_add_field(message, sieve_text(edit->name), sieve_text(edit->value),
                                edit->kind == ADD_LAST);
        return;
    }
    while ((field = sieve_message_next_field(message, sieve_text(edit->name), &position)) != NULL) {
        if (edit->value == NULL ||
            sieve_text_equal(sieve_field_value(message, field), sieve_text(edit->value))) {
            sieve_message_delete_fields(message, &field, 1);
            return;
        }
    }
    fail_msg("no field to delete");
}

static void
check_edit(void **state)
{
    const EditRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, row->message);

    for (size_t i = 0; i < G_N_ELEMENTS(row->edits) && row->edits[i].name != NULL; i++)
        apply(message, &row->edits[i]);

    const SieveEdition *edition = sieve_message_edition(message);
    gsize len;
    const char *header;

    assert_non_null(edition);
    assert_null(edition->body);
    assert_ptr_equal(sieve_message_edition(message), edition);
    header = g_bytes_get_data(edition->header, &len);
    assert_int_equal(len, strlen(row->header));
    assert_memory_equal(header, row->header, len);
}

static void
an_edition_stays_as_it_was_when_edits_follow(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, "To: b\n\nB");

    (void)state;
    sieve_message_add_field(message, sieve_text("X-A"), sieve_text("1"), false);

    const SieveEdition *first = sieve_message_edition(message);

    sieve_message_add_field(message, sieve_text("X-B"), sieve_text("2"), false);

    const SieveEdition *second = sieve_message_edition(message);

    assert_ptr_not_equal(first, second);
    assert_int_equal(g_bytes_get_size(first->header), strlen("X-A: 1\nTo: b\n\n"));
    assert_int_equal(g_bytes_get_size(second->header), strlen("X-B: 2\nX-A: 1\nTo: b\n\n"));
}

static void
an_added_field_is_seen_by_tests(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, "To: b\n\nB");
    size_t position = 0;

    (void)state;
    sieve_message_add_field(message, sieve_text("Subject"), sieve_text("\xc3\xa9 x"), true);

    SieveField *field = sieve_message_next_field(message, sieve_text("SUBJECT"), &position);

    assert_non_null(field);
    assert_text(sieve_field_value(message, field), "\xc3\xa9 x");
}

static void
long_values_are_folded_and_read_back(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) value = g_string_new("begin");
    size_t position = 0, len;

    (void)state;
    for (int i = 0; i < 300; i++)
        g_string_append_printf(value, "%s%s%d", i % 7 == 0 ? "  " : " ",
                               i > 200 ? "\xc3\xa9" : "word", i);

    SieveMessage *message = new_message(arena, "\nB");

    sieve_message_add_field(message, sieve_text("X-Long"), (SieveText){value->str, value->len},
                            false);

    const char *header = g_bytes_get_data(sieve_message_edition(message)->header, &len);
    g_autofree char *copy = g_strndup(header, len);
    g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

    for (size_t i = 0; lines[i] != NULL; i++)
        assert_true(strlen(lines[i]) <= 78);

    SieveMessage *again = new_message(arena, copy);
    SieveField *field = sieve_message_next_field(again, sieve_text("X-Long"), &position);

    assert_text(sieve_field_value(again, field), value->str);
}

static void
a_replaced_message_is_read_anew(void **state)
{
    static const char text[] = "Subject: new\n\nNew body\n";
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, "Subject: old\nTo: b\n\nOld");
    g_autoptr(GBytes) bytes = g_bytes_new_static(text, sizeof text - 1);
    g_autofree char *fields = NULL;

    (void)state;
    sieve_message_add_field(message, sieve_text("X-A"), sieve_text("1"), false);
    sieve_message_replace(message, bytes);
    fields = show_fields(message);
    assert_string_equal(fields, "[Subject=new]");

    const SieveEdition *edition = sieve_message_edition(message);

    assert_int_equal(g_bytes_get_size(edition->header), strlen("Subject: new\n\n"));
    assert_int_equal(g_bytes_get_size(edition->body), strlen("New body\n"));
    assert_memory_equal(g_bytes_get_data(edition->body, NULL), "New body\n", 9);
}

static void
the_fields_of_a_part_have_its_body(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *part =
        sieve_message_new_part(arena, (const uint8_t *)"A: 1\n", 5, (const uint8_t *)"body", 4);
    g_autofree char *fields = show_fields(part);

    (void)state;
    assert_string_equal(fields, "[A=1]");
    assert_true(sieve_message_has_body(part));
    assert_int_equal(sieve_message_body(part).len, 4);
}

static void
next_field_finds_all_of_a_name_in_order(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = new_message(arena, "A: 1\nB: 2\na: 3\nAB: 4\n\n");
    size_t position = 0;

    (void)state;
    assert_text(
        sieve_field_value(message, sieve_message_next_field(message, sieve_text("a"), &position)),
        "1");
    assert_text(
        sieve_field_value(message, sieve_message_next_field(message, sieve_text("a"), &position)),
        "3");
    assert_null(sieve_message_next_field(message, sieve_text("a"), &position));
}

static void
fields_past_the_limit_are_not_seen_but_written(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) text = g_string_new(NULL);
    size_t count;

    (void)state;
    for (int i = 0; i < SIEVE_MAX_FIELDS + 10; i++)
        g_string_append(text, "A:\n");
    g_string_append(text, "\nB");

    SieveMessage *message = sieve_message_new(arena, (const uint8_t *)text->str, text->len);

    (void)sieve_message_fields(message, &count);
    assert_int_equal(count, SIEVE_MAX_FIELDS);
    sieve_message_add_field(message, sieve_text("B"), sieve_text("1"), true);
    assert_int_equal(g_bytes_get_size(sieve_message_edition(message)->header),
                     text->len - 1 + strlen("B: 1\n"));
}

static void
edits_are_counted(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GError) error = NULL;
    SieveMessage *message = new_message(arena, "\n");

    (void)state;
    for (int i = 0; i < SIEVE_MAX_HEADER_EDITS; i++)
        assert_true(sieve_message_count_edit(message, &error));
    assert_false(sieve_message_count_edit(message, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT));
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(an_encoded_nul_hides_nothing),
        cmocka_unit_test(many_openings_of_words_are_linear),
        cmocka_unit_test(an_edition_stays_as_it_was_when_edits_follow),
        cmocka_unit_test(an_added_field_is_seen_by_tests),
        cmocka_unit_test(long_values_are_folded_and_read_back),
        cmocka_unit_test(a_replaced_message_is_read_anew),
        cmocka_unit_test(the_fields_of_a_part_have_its_body),
        cmocka_unit_test(next_field_finds_all_of_a_name_in_order),
        cmocka_unit_test(fields_past_the_limit_are_not_seen_but_written),
        cmocka_unit_test(edits_are_counted),
    };

    ADD_ROWS(tests, splits, check_split);
    ADD_ROWS(tests, words, check_word);
    ADD_ROWS(tests, encoded, check_encoded);
    ADD_ROWS(tests, edit_rows, check_edit);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("message", tests);
}
