/* tests/sieve/test_mime.c - where the parts of a message lie and what they say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/limits.h"
#include "sieve/mime.h"

static SieveMime *
parse(SieveArena *arena, const char *bytes, size_t len)
{
    return sieve_mime_parse(arena, sieve_message_new(arena, (const uint8_t *)bytes, len));
}

/* "multipart/mixed(text/plain[Hello] text/html[x])": types, children, contents of leaves; before
 * and behind the children of a multipart what is there: "<prologue>". */
static size_t
describe(SieveMime *mime, size_t number, GString *out)
{
    SievePart *part = sieve_mime_part(mime, number);
    size_t next = number + 1, end = sieve_part_end(part);
    g_autoptr(GError) error = NULL;
    SieveText content;

    g_string_append_printf(out, "%s/%s", sieve_part_type(part).bytes,
                           sieve_part_subtype(part).bytes);
    if (next == end && !sieve_part_is_multipart(part)) {
        assert_true(sieve_part_content(part, &content, NULL, &error));
        g_string_append_printf(out, "[%.*s]", (int)content.len, content.bytes);
        return next;
    }
    g_string_append_c(out, '(');
    if (sieve_part_prologue(part).len > 0 && sieve_part_is_multipart(part))
        g_string_append_printf(out, "<%.*s>", (int)sieve_part_prologue(part).len,
                               sieve_part_prologue(part).bytes);
    while (next < end) {
        if (out->str[out->len - 1] != '(')
            g_string_append_c(out, ' ');
        assert_ptr_equal(sieve_part_parent(sieve_mime_part(mime, next)), part);
        next = describe(mime, next, out);
    }
    assert_int_equal(next, end);
    if (sieve_part_epilogue(part).len > 0)
        g_string_append_printf(out, "<%.*s>", (int)sieve_part_epilogue(part).len,
                               sieve_part_epilogue(part).bytes);
    g_string_append_c(out, ')');
    return next;
}

typedef struct {
    const char *behaviour, *message, *structure;
} Row;

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"

static const Row rows[] = {
    {"without_content_type_it_is_text", "Subject: x\n\nHello\n", "text/plain[Hello\n]"},
    {"a_message_may_be_a_body_only", "\nHello\n", "text/plain[Hello\n]"},
    {"a_message_may_be_a_header_only", "Subject: x\n", "text/plain[]"},
    {"a_broken_content_type_is_text", "Content-Type: html\n\nx", "text/plain[x]"},
    {"types_are_compared_without_case", "Content-Type: Text/HTML\n\nx", "text/html[x]"},
    {"comments_in_a_type_do_not_matter", "Content-Type: (a) text (b) / (c) html (d)\n\nx",
     "text/html[x]"},
    {"the_line_end_before_a_boundary_is_part_of_it",
     MIXED "pro\n--b\n\none\n--b\nContent-Type: text/html\n\n\ntwo\n\n--b--\nepi\n",
     "multipart/mixed(<pro> text/plain[one] text/html[\ntwo\n]<epi\n>)"},
    {"a_missing_close_delimiter_costs_nothing", MIXED "--b\n\none\n--b\n\ntwo\n",
     "multipart/mixed(text/plain[one] text/plain[two\n])"},
    {"an_outer_boundary_ends_inner_parts",
     MIXED "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--",
     "multipart/mixed(multipart/alternative(text/plain[one]) text/plain[two])"},
    {"a_boundary_that_was_closed_is_text",
     MIXED
     "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c--\n--c\nx\n--b--",
     "multipart/mixed(multipart/alternative(text/plain[one]<--c\nx>))"},
    {"a_header_may_end_at_a_boundary", MIXED "--b\nX-A: b\n--b\n\ntwo\n--b--\n",
     "multipart/mixed(text/plain[] text/plain[two])"},
    {"parts_may_be_empty", MIXED "--b\n\n--b\n--b\n\n\n--b--\n",
     "multipart/mixed(text/plain[] text/plain[] text/plain[])"},
    {"blanks_behind_a_boundary_do_not_matter", MIXED "--b \t\n\none\n--b-- \n",
     "multipart/mixed(text/plain[one])"},
    {"a_line_that_only_begins_like_a_boundary_is_text",
     MIXED "--b\n\n--bb\n--b-\n --b\n--b--x\n--b--",
     "multipart/mixed(text/plain[--bb\n--b-\n --b\n--b--x])"},
    {"a_boundary_may_end_in_dashes",
     "Content-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\n\none\n--b----\nx",
     "multipart/mixed(text/plain[one]<x>)"},
    {"a_boundary_may_be_quoted_and_folded",
     "Content-Type: multipart/mixed;\n\tcharset=x;\n boundary=\"a b(c)\"\n\n--a b(c)\n\none\n",
     "multipart/mixed(text/plain[one\n])"},
    {"a_multipart_without_boundary_is_a_prologue", "Content-Type: multipart/mixed\n\n--b\n\none\n",
     "multipart/mixed(<--b\n\none\n>)"},
    {"a_boundary_that_never_comes_is_a_prologue", MIXED "hello\n", "multipart/mixed(<hello\n>)"},
    {"an_inner_boundary_equal_to_the_outer_one_is_the_inner_ones",
     MIXED "--b\n" MIXED "--b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
     "multipart/mixed(multipart/mixed(text/plain[one]) text/plain[two])"},
    {"a_message_holds_a_message",
     "Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/html\n\ninner\n",
     "message/rfc822(text/html[inner\n])"},
    {"the_parts_of_a_message_in_a_part_are_found",
     MIXED "--b\nContent-Type: message/rfc822\n\nSubject: y\n"
           "Content-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--\n\n--b\n\ntwo\n--b--\n",
     "multipart/mixed(message/rfc822(multipart/mixed(text/plain[one])) text/plain[two])"},
    {"an_encoded_message_is_a_leaf",
     "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViOiB4Cgp5\n",
     "message/rfc822[Sub: x\n\ny]"},
    {"parts_of_a_digest_are_messages",
     "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b--\n",
     "multipart/digest(message/rfc822(text/plain[one]))"},
    {"crlf_is_a_line_end_as_well",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\ntwo\r\n--b--\r\n",
     "multipart/mixed(text/plain[one\ntwo])"},
    {"quoted_printable_is_decoded",
     "Content-Transfer-Encoding: Quoted-Printable\n\na=3Db=\nc =E2=82=AC\n",
     "text/plain[a=bc \xE2\x82\xAC\n]"},
    {"base64_is_decoded", "Content-Transfer-Encoding: base64\n\naGVs\nbG8=\n", "text/plain[hello]"},
    {"broken_base64_is_decoded_as_far_as_it_goes",
     "Content-Transfer-Encoding: base64\n\naG*Vs\n!bG8\n", "text/plain[hello]"},
    {"uuencode_is_decoded", "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n#0V%T\n`\nend\n",
     "text/plain[Cat]"},
    {"an_unknown_encoding_leaves_the_content", "Content-Transfer-Encoding: rot13\n\nuryyb",
     "text/plain[uryyb]"},
    {"latin_1_becomes_utf8", "Content-Type: text/plain; charset=iso-8859-1\n\n\xFC",
     "text/plain[\xC3\xBC]"},
    {"a_stateful_charset_becomes_utf8",
     "Content-Type: text/plain; charset=\"ISO-2022-JP\"\n\n\x1b$B$\"\x1b(B",
     "text/plain[\xE3\x81\x82]"},
    {"windows_names_of_charsets_are_known",
     "Content-Type: text/plain; charset=windows-1252\n\n\x80", "text/plain[\xE2\x82\xAC]"},
    {"utf8_without_charset_is_read_as_utf8", "Subject: x\n\n\xC3\xBC", "text/plain[\xC3\xBC]"},
    {"what_is_no_utf8_is_read_as_latin_1", "Subject: x\n\n\xFC!\xC3\xBC",
     "text/plain[\xC3\xBC!\xC3\xBC]"},
    {"an_unknown_charset_is_read_as_utf8", "Content-Type: text/plain; charset=nosuch\n\nx\xFC",
     "text/plain[x\xC3\xBC]"},
    {"what_is_not_of_the_charset_is_replaced", "Content-Type: text/plain; charset=gb2312\n\na\xFF.",
     "text/plain[a\xEF\xBF\xBD.]"},
    {"line_ends_of_encoded_text_are_lf", "Content-Transfer-Encoding: base64\n\nYQ0KYg0KDWM=\n",
     "text/plain[a\nb\n\rc]"},
    {"what_is_no_text_is_not_converted",
     "Content-Type: image/x; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n/A0K\n",
     "image/x[\xFC\r\n]"},
    {"the_first_content_type_counts", "Content-Type: text/html\nContent-Type: image/png\n\nx",
     "text/html[x]"},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) out = g_string_new(NULL);
    /* In memory of its own size: ASan sees a step too far. */
    size_t len = strlen(row->message);
    g_autofree char *copy = g_memdup2(row->message, len);

    (void)describe(parse(arena, copy, len), 0, out);
    assert_string_equal(out->str, row->structure);
}

/* ---- parameters ---------------------------------------------------------- */

typedef struct {
    const char *behaviour, *field, *name, *value;
} ParameterRow;

static const ParameterRow parameter_rows[] = {
    {"a_parameter_is_found_without_case", "text/plain; Charset=UTF-8", "charset", "UTF-8"},
    {"a_quoted_parameter_is_unquoted", "x; filename=\"a \\\"b\\\" c\"", "filename", "a \"b\" c"},
    {"a_parameter_that_is_not_there_is_none", "text/plain; a=b", "charset", NULL},
    {"without_semicolon_there_are_none", "text/plain", "charset", NULL},
    {"pieces_are_put_together", "x; filename*0=\"ab\"; filename*1=cd", "filename", "abcd"},
    {"an_encoded_parameter_is_decoded", "x; filename*=utf-8'en'%E2%82%AC%20x", "filename",
     "\xE2\x82\xAC x"},
    {"encoded_pieces_in_another_charset_are_converted",
     "x; filename*0*=iso-8859-1''%FC; filename*1*=%E4; filename*2=z", "filename",
     "\xC3\xBC\xC3\xA4z"},
    {"an_encoded_word_is_decoded_where_it_should_not_be", "x; filename=\"=?utf-8?Q?=C3=BC?=\"",
     "filename", "\xC3\xBC"},
    {"eight_bit_values_are_utf8", "x; filename=\"\xC3\xBC\"", "filename", "\xC3\xBC"},
    {"a_semicolon_in_a_comment_begins_nothing", "x (a;b=c); d=e", "d", "e"},
    {"blanks_around_the_equals_sign_do_not_matter", "x; a = b", "a", "b"},
};

static void
check_parameter(void **state)
{
    const ParameterRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText value = {0};
    bool is_there =
        sieve_mime_parameter(arena, sieve_text(row->field), sieve_text(row->name), &value);

    assert_int_equal(is_there, row->value != NULL);
    if (is_there)
        assert_string_equal(value.bytes, row->value);
}

/* ---- soundness, limits --------------------------------------------------- */

static bool
is_sound(const char *message)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText content;
    bool sound;

    assert_true(sieve_part_content(sieve_mime_part(parse(arena, message, strlen(message)), 0),
                                   &content, &sound, NULL));
    return sound;
}

static void
content_is_sound_only_when_encoding_and_charset_hold(void **state)
{
    (void)state;
    assert_true(is_sound("A: b\n\nx"));
    assert_true(is_sound("Content-Type: text/plain; charset=iso-8859-1\n\n\xFC"));
    assert_false(is_sound("A: b\n\n\xFC"));
    assert_false(is_sound("Content-Type: text/plain; charset=nosuch\n\nx"));
    assert_false(is_sound("Content-Type: text/plain; charset=gb2312\n\na\xFF."));
    assert_false(is_sound("Content-Transfer-Encoding: rot13\n\nx"));
}

static void
plain_text_is_a_slice_of_the_message(void **state)
{
    static const char message[] = "A: b\n\nhello\n";
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText content;

    (void)state;
    assert_true(sieve_part_content(sieve_mime_part(parse(arena, message, strlen(message)), 0),
                                   &content, NULL, NULL));
    assert_ptr_equal(content.bytes, message + 6);
}

static void
html_is_text_without_markup(void **state)
{
    static const char message[] = "Content-Type: text/html; charset=iso-8859-1\n\n<b>\xFC</b>&amp;";
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText text;

    (void)state;
    assert_true(
        sieve_part_text(sieve_mime_part(parse(arena, message, strlen(message)), 0), &text, NULL));
    assert_string_equal(text.bytes, "\xC3\xBC&");
}

static void
content_that_passes_the_memory_of_a_run_is_an_error(void **state)
{
    static const char message[] = "Content-Transfer-Encoding: base64\n\naGVsbG8=\n";
    g_autoptr(SieveArena) arena = sieve_arena_new(100);
    g_autoptr(GError) error = NULL;
    SieveText content;

    (void)state;
    assert_false(sieve_part_content(sieve_mime_part(parse(arena, message, strlen(message)), 0),
                                    &content, NULL, &error));
    assert_true(g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT));
}

static size_t
count_parts(SieveMime *mime)
{
    size_t count = 0;

    while (sieve_mime_part(mime, count) != NULL)
        count++;
    return count;
}

static void
depth_and_number_of_parts_are_limited(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) deep = g_string_new(NULL), many = g_string_new(MIXED);

    (void)state;
    for (int i = 0; i < 1000; i++)
        g_string_append_printf(deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i,
                               i);
    assert_int_equal(count_parts(parse(arena, deep->str, deep->len)), SIEVE_MAX_MIME_DEPTH + 1);
    for (int i = 0; i < 2000; i++)
        g_string_append_printf(many, "--b\n\n%d\n", i);

    SieveMime *mime = parse(arena, many->str, many->len);
    SieveText last;

    assert_int_equal(count_parts(mime), SIEVE_MAX_MIME_PARTS);
    assert_int_equal(sieve_part_end(sieve_mime_part(mime, 0)), SIEVE_MAX_MIME_PARTS);
    /* The rest is in the last part there is. */
    last = sieve_part_raw(sieve_mime_part(mime, SIEVE_MAX_MIME_PARTS - 1));
    assert_memory_equal(last.bytes + last.len - 5, "1999\n", 5);
}

/* 5 MB of "--" within 1,000 multiparts, and 1,000 parts with long headers. */
static void
hostile_structure_takes_linear_time(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    g_autoptr(GString) message = g_string_new(NULL);
    gint64 start;

    (void)state;
    for (int i = 0; i < 1000; i++)
        g_string_append_printf(message, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n",
                               i % 10, i % 10);
    while (message->len < 5000000)
        g_string_append(message, "--bx\n");
    g_string_append(message, "Content-Type: text/plain");
    for (int i = 0; i < 100000; i++)
        g_string_append_printf(message, ";a*%d=x", i);
    start = g_get_monotonic_time();
    (void)parse(arena, message->str, message->len);
    /* It takes some 30 milliseconds; GMime's parser needs 8 seconds. */
    assert_true(g_get_monotonic_time() - start < 3 * G_USEC_PER_SEC);
}

static void
a_text_entity_is_read_back_as_it_was(void **state)
{
    static const char *const texts[] = {
        "", "hello", "hello\n", "gr\xC3\xBC\xC3\x9F\n", "--b\nx\n", "x\n--b--", "a=b \n.\n",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(SieveArena) arena = sieve_arena_new(0);
        g_autoptr(GString) entity = sieve_mime_text_entity(sieve_text(texts[i]));
        g_autoptr(GString) message = g_string_new(MIXED "--b\n");
        SieveText content;

        g_string_append_len(message, entity->str, (gssize)entity->len);
        g_string_append(message, "\n--b--\n");

        SieveMime *mime = parse(arena, message->str, message->len);

        assert_int_equal(count_parts(mime), 2);
        assert_true(sieve_part_content(sieve_mime_part(mime, 1), &content, NULL, NULL));
        /* An encoded text ends its last line. */
        if (content.len == strlen(texts[i]) + 1)
            content.len--;
        assert_int_equal(content.len, strlen(texts[i]));
        assert_memory_equal(content.bytes, texts[i], content.len);
    }
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(content_is_sound_only_when_encoding_and_charset_hold),
        cmocka_unit_test(plain_text_is_a_slice_of_the_message),
        cmocka_unit_test(html_is_text_without_markup),
        cmocka_unit_test(content_that_passes_the_memory_of_a_run_is_an_error),
        cmocka_unit_test(depth_and_number_of_parts_are_limited),
        cmocka_unit_test(hostile_structure_takes_linear_time),
        cmocka_unit_test(a_text_entity_is_read_back_as_it_was),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(parameter_rows) + G_N_ELEMENTS(others)];
    size_t count = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[count++] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(parameter_rows); i++)
        tests[count++] = (struct CMUnitTest){.name = parameter_rows[i].behaviour,
                                             .test_func = check_parameter,
                                             .initial_state = (void *)&parameter_rows[i]};
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
