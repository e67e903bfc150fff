/* tests/lda/test_message.c - bytes in, one message out; what its header says */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "lda/message.h"
#include "lda/outcome.h"

static const MessageOptions in_memory = {.spool_memory = 1 << 20, .spool_dir = "/nonexistent"};
static const MessageOptions in_file = {.spool_memory = 0, .spool_dir = "/tmp"};

/* The whole message, read in windows of at most step octets. */
static GString *
contents(Message *message, size_t step)
{
    GString *all = g_string_new(NULL);
    size_t len = 0;

    for (guint64 offset = 0; offset < message_size(message); offset += len) {
        const uint8_t *window = message_peek(message, offset, step, &len, NULL);

        assert_non_null(window);
        assert_true(len > 0);
        g_string_append_len(all, (const char *)window, (gssize)len);
    }
    assert_non_null(message_peek(message, message_size(message), step, &len, NULL));
    assert_int_equal(len, 0);
    assert_memory_equal(message_bytes(message, NULL), all->str, all->len);
    return all;
}

/* The message of text, handed over in pieces of step octets. */
static Message *
build(const MessageOptions *options, const char *text, size_t len, size_t step)
{
    g_autoptr(GError) error = NULL;
    Message *message = message_new(options);

    for (size_t at = 0; at < len; at += step)
        message_append(message, text + at, MIN(step, len - at));
    assert_true(message_finish(message, &error));
    assert_null(error);
    return message;
}

typedef struct {
    const char *behaviour;
    const char *text;
    size_t len; /* 0: strlen */
    const char *expected;
    size_t expected_len;
    guint64 virtual_size;
} Row;

static const Row rows[] = {
    {"crlf_becomes_lf", "a: b\r\n\r\nc\r\n", 0, "a: b\n\nc\n", 0, 11},
    {"lf_stays_lf", "a: b\n\nc\n", 0, "a: b\n\nc\n", 0, 11},
    {"bare_cr_stays", "a: b\r\n\r\nc\rd\r\n", 0, "a: b\n\nc\rd\n", 0, 13},
    {"cr_cr_lf_keeps_one_cr", "a\r\r\nb\r\n", 0, "a\r\nb\n", 0, 6},
    {"message_of_crs", "\r\r\r", 0, "\r\r\r", 0, 3},
    {"cr_at_the_end_stays", "a: b\r\n\r\nc\r", 0, "a: b\n\nc\r", 0, 10},
    {"no_newline_at_the_end", "a: b\r\n\r\nc", 0, "a: b\n\nc", 0, 9},
    {"nul_is_an_octet", "a: \0\r\n\r\n\0", 9, "a: \0\n\n\0", 7, 9},
    {"eight_bit_is_kept", "\xff\xfe\r\n", 0, "\xff\xfe\n", 0, 4},
    {"mbox_line_is_removed", "From ana@x.org Mon Jan 1\r\na: b\r\n", 0, "a: b\n", 0, 6},
    {"mbox_line_with_lf", "From ana@x.org Mon Jan 1\na: b\n", 0, "a: b\n", 0, 6},
    {"from_field_stays", "From: ana@x.org\r\n", 0, "From: ana@x.org\n", 0, 17},
    {"from_without_line_end_stays", "From ana", 0, "From ana", 0, 8},
    {"from_in_the_body_stays", "\nFrom ana\n", 0, "\nFrom ana\n", 0, 12},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    size_t len = row->len > 0 ? row->len : strlen(row->text);
    size_t expected_len = row->expected_len > 0 ? row->expected_len : strlen(row->expected);

    for (size_t step = 1; step <= len; step++) {
        for (int kind = 0; kind < 2; kind++) {
            g_autoptr(Message) message =
                build(kind == 0 ? &in_memory : &in_file, row->text, len, step);
            g_autoptr(GString) all = contents(message, step);

            assert_int_equal(all->len, expected_len);
            assert_memory_equal(all->str, row->expected, expected_len);
            assert_int_equal(message_virtual_size(message), row->virtual_size);
        }
    }
}

static void
sender_of_the_mbox_line_is_kept(void **state)
{
    const char *text = "From bob@example.com  Thu Jan  1 00:00:00 1970\nSubject: x\n\n";
    g_autoptr(Message) message = build(&in_memory, text, strlen(text), 7);
    g_autoptr(Message) without = build(&in_memory, "Subject: x\n", 11, 7);

    (void)state;
    assert_string_equal(message_mbox_sender(message), "bob@example.com");
    assert_null(message_mbox_sender(without));
}

static void
nothing_at_all_is_an_error(void **state)
{
    g_autoptr(Message) message = message_new(&in_memory);
    g_autoptr(Message) line_only = message_new(&in_memory);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) line_error = NULL;

    (void)state;
    message_append(message, "", 0);
    assert_false(message_finish(message, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_EMPTY));
    message_append(line_only, "From x\n", 7);
    assert_false(message_finish(line_only, &line_error));
    assert_true(g_error_matches(line_error, LDA_ERROR, LDA_ERROR_EMPTY));
}

static bool
finishes_with_limit(const char *text, guint64 limit, GError **error)
{
    MessageOptions options = in_memory;
    g_autoptr(Message) message = NULL;

    options.size_limit = limit;
    message = message_new(&options);
    message_append(message, text, strlen(text));
    return message_finish(message, error);
}

static void
message_exactly_at_the_limit_is_accepted(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(finishes_with_limit("a: b\r\n\r\n1234", 10, NULL));
    assert_true(finishes_with_limit("From x\r\na: b\r\n\r\n1234", 10, NULL));
    assert_false(finishes_with_limit("a: b\r\n\r\n12345", 10, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_TOO_BIG));
}

static void
octets_far_past_the_limit_are_counted_but_not_kept(void **state)
{
    MessageOptions options = {.spool_memory = 1000, .spool_dir = "/nonexistent", .size_limit = 10};
    g_autoptr(Message) message = message_new(&options);
    g_autofree char *chunk = g_strnfill(900, 'x');
    g_autoptr(GError) error = NULL;

    (void)state;
    /* Were they kept, the spool directory that is not there would be the failure. */
    message_append(message, chunk, 900);
    for (int i = 0; i < 10; i++)
        message_append(message, chunk, 900);
    assert_false(message_finish(message, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_TOO_BIG));
    assert_int_equal(message_size(message), 9900);
}

static void
missing_spool_directory_fails_at_the_end_and_is_named(void **state)
{
    MessageOptions options = {.spool_memory = 100, .spool_dir = "/nonexistent"};
    g_autoptr(Message) message = message_new(&options);
    g_autoptr(GError) error = NULL;

    (void)state;
    for (int i = 0; i < 100; i++)
        message_append(message, "0123456789\r\n", 12);
    assert_false(message_finish(message, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    assert_non_null(strstr(error->message, "/nonexistent"));
}

static void
full_disk_is_remembered_as_such(void **state)
{
    /* A file size limit stands in for the full disk; SIGXFSZ must not kill us. */
    struct rlimit saved;
    struct rlimit small;
    g_autoptr(Message) message = message_new(&in_file);
    g_autofree char *chunk = g_strnfill(100 * 1024, 'x');
    g_autoptr(GError) error = NULL;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    small = (struct rlimit){150 * 1024, saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 4; i++)
        message_append(message, chunk, 100 * 1024);
    bool finished = message_finish(message, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_false(finished);
    assert_int_equal(error->domain, G_FILE_ERROR);
    assert_non_null(strstr(error->message, "/tmp"));
}

static void
large_message_is_read_as_it_came_in_and_takes_no_memory(void **state)
{
    const MessageOptions options = {.spool_memory = 256 * 1024, .spool_dir = "/tmp"};
    g_autoptr(Message) message = message_new(&options);
    g_autoptr(GChecksum) in = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GChecksum) out = g_checksum_new(G_CHECKSUM_SHA256);
    guint32 seed = 1;
    struct rusage before;
    struct rusage after;

    (void)state;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    for (int i = 0; i < 500; i++) {
        uint8_t block[40000];

        for (size_t j = 0; j < sizeof block; j++)
            block[j] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24) | 0x10;
        g_checksum_update(in, block, sizeof block);
        message_append(message, block, sizeof block);
    }
    assert_true(message_finish(message, NULL));
    assert_int_equal(message_size(message), 500 * 40000);
    for (guint64 offset = 0; offset < message_size(message);) {
        size_t len;
        const uint8_t *window = message_peek(message, offset, 65536, &len, NULL);

        assert_non_null(window);
        g_checksum_update(out, window, (gssize)len);
        offset += len;
    }
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024); /* KiB; the message has 20 MB */
    assert_string_equal(g_checksum_get_string(in), g_checksum_get_string(out));
}

/* Octets of files that are mapped and in memory. */
static guint64
mapped_octets(void)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;

    assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    fields = g_strsplit(text, " ", -1);
    return g_ascii_strtoull(fields[2], NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
}

static void
message_that_rests_takes_no_memory_and_is_still_there(void **state)
{
    const guint64 size = 20 * 1000 * 1000;
    g_autofree char *text = g_strnfill(size, 'x');
    g_autoptr(Message) message = build(&in_file, text, size, 1000 * 1000);
    guint64 before = mapped_octets();

    (void)state;
    assert_memory_equal(message_bytes(message, NULL), text, size);
    assert_true(mapped_octets() > before + size / 2);
    message_rest(message);
    assert_true(mapped_octets() < before + size / 2);
    assert_memory_equal(message_bytes(message, NULL), text, size);
}

/* ---- a better place -------------------------------------------------------- */

enum { LEAD = 300 };

typedef struct {
    MessageOptions options;
    int fd; /* of the file in the place; -1: there is none */
    bool saw_header;
    unsigned freed;
} Place;

static int
open_in(void *data, const Message *message, size_t *lead_out)
{
    Place *place = data;

    place->saw_header = message_has_prepended(message, "Return-Path");
    *lead_out = LEAD;
    return place->fd >= 0 ? fcntl(place->fd, F_DUPFD_CLOEXEC, 0) : -1;
}

static void
count_freed(void *data)
{
    Place *place = data;

    place->freed++;
}

static void
place_init(Place *place, bool has_file)
{
    *place = (Place){.options = {.spool_memory = 1000, .spool_dir = "/tmp"}, .fd = -1};
    place->options.place = (MessagePlace){open_in, count_freed, place};
    place->fd = has_file ? memfd_create("place", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
}

#define PREPENDED "Return-Path: <bob@x>\nSubject: x\n\n"

/* Hands over block after block; from the one at full on the file takes no more. */
static Message *
build_in(Place *place, const char *block, int blocks, int full)
{
    Message *message = message_new(&place->options);

    message_append(message, PREPENDED, strlen(PREPENDED));
    for (int i = 0; i < blocks; i++) {
        if (i == full)
            assert_int_equal(fcntl(place->fd, F_ADD_SEALS, F_SEAL_GROW), 0);
        message_append(message, block, strlen(block));
    }
    assert_true(message_finish(message, NULL));
    return message;
}

static void
check_content(Message *message, const char *block, int blocks)
{
    g_autoptr(GString) expected = g_string_new(PREPENDED);

    for (int i = 0; i < blocks; i++)
        g_string_append(expected, block);

    GString *found = contents(message, 7777);

    assert_int_equal(found->len, expected->len);
    assert_memory_equal(found->str, expected->str, expected->len);
    assert_memory_equal(message_header(message, NULL), PREPENDED, strlen(PREPENDED));
    g_string_free(found, TRUE);
}

static void
message_in_its_place_begins_behind_the_lead(void **state)
{
    g_autofree char *block = g_strnfill(100000, 'x');
    char start[LEAD + sizeof PREPENDED];
    Place place;

    (void)state;
    place_init(&place, true);

    Message *message = build_in(&place, block, 50, -1); /* enough for the disk to begin with it */

    check_content(message, block, 50);
    assert_true(place.saw_header);
    assert_ptr_equal(message_place(message), &place);
    assert_int_equal(place.freed, 0);
    assert_int_equal(pread(place.fd, start, sizeof start, 0), sizeof start);
    for (int i = 0; i < LEAD; i++)
        assert_int_equal(start[i], 0);
    assert_memory_equal(start + LEAD, PREPENDED, strlen(PREPENDED));
    message_free(message);
    assert_int_equal(place.freed, 1);
    lodge_close(&place.fd);
}

static void
message_moves_out_of_a_place_that_is_full(void **state)
{
    g_autofree char *block = g_strnfill(100000, 'x');

    (void)state;
    for (int full = 0; full < 4; full++) {
        Place place;

        place_init(&place, true);

        Message *message = build_in(&place, block, 4, full);

        check_content(message, block, 4);
        assert_null(message_place(message));
        assert_int_equal(place.freed, 1);
        message_free(message);
        assert_int_equal(place.freed, 1);
        lodge_close(&place.fd);
    }
}

static void
message_without_a_place_lies_in_the_spool_directory(void **state)
{
    g_autofree char *block = g_strnfill(100000, 'x');
    Place place;

    (void)state;
    place_init(&place, false);

    Message *message = build_in(&place, block, 4, -1);

    check_content(message, block, 4);
    assert_null(message_place(message));
    assert_int_equal(place.freed, 1);
    message_free(message);
}

static void
message_in_memory_asks_for_no_place(void **state)
{
    Place place;

    (void)state;
    place_init(&place, true);

    Message *message = build_in(&place, "x", 4, -1);

    check_content(message, "x", 4);
    assert_null(message_place(message));
    message_free(message);
    assert_int_equal(place.freed, 1);
    lodge_close(&place.fd);
}

/* ---- header --------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *text;
    const char *message_id;
    const char *queue_id;
    unsigned received;
} HeaderRow;

#define POSTFIX                                                    \
    "Received: from mx.example.com (mx.example.com [192.0.2.1])\n" \
    "\tby mail.example.org (Postfix) with ESMTPS id 4XYZ12abc\n"   \
    "\tfor <ana@example.org>; Mon,  1 Jan 2024 00:00:00 +0000 (UTC)\n"

static const HeaderRow header_rows[] = {
    {"postfix_smtpd", POSTFIX "Message-ID: <1@x>\n\n", "<1@x>", "4XYZ12abc", 1},
    {"postfix_pickup",
     "Received: by mail.example.org (Postfix, from userid 0)\n\tid 4ABC; Mon, 1 Jan 2024\n\n", NULL,
     "4ABC", 1},
    {"exim",
     "Received: from x ([192.0.2.1] helo=id) by y with esmtps (TLS1.3) (Exim 4.96)\n"
     " (envelope-from <a@b>) id 1rXYZ-0001-2c for c@d; date\n\n",
     NULL, "1rXYZ-0001-2c", 1},
    {"host_called_id", "Received: from id by mx with SMTP id Q1; date\n\n", NULL, "Q1", 1},
    {"no_id_in_received", "Received: from a by b; Mon id 5\n\n", NULL, NULL, 1},
    {"id_only_in_a_comment", "Received: from a (id 4X (id 5)) by b; date\n\n", NULL, NULL, 1},
    {"id_without_word", "Received: by b id\n\n", NULL, NULL, 1},
    {"comment_left_open", "Received: by b (id 7 id 8\n\n", NULL, NULL, 1},
    {"id_of_the_top_one", POSTFIX "Received: by z id 999; date\n\n", NULL, "4XYZ12abc", 2},
    {"folded_message_id", "Subject: x\nMESSAGE-Id:\n  <folded@x>\n\n", "<folded@x>", NULL, 0},
    {"first_of_two_message_ids", "Message-ID: <1@x>\nMessage-ID: <2@x>\n\n", "<1@x>", NULL, 0},
    {"message_id_without_brackets", "Message-ID: bare@x trailing\n\n", "bare@x", NULL, 0},
    {"message_id_with_blank_before_colon", "Message-ID : <1@x>\n\n", "<1@x>", NULL, 0},
    {"empty_message_id", "Message-ID: \n\n", NULL, NULL, 0},
    {"message_id_at_the_very_end", "Message-ID: <1@x>", "<1@x>", NULL, 0},
    {"received_in_the_body_is_not_counted", "a: b\n\nReceived: x\nMessage-ID: <1@x>\n", NULL, NULL,
     0},
    {"body_after_a_blank_line_of_cr", "a: b\r\r\n\r\r\nReceived: x\n", NULL, NULL, 0},
    {"line_without_colon_is_stepped_over", "nonsense\nMessage-ID: <1@x>\n\n", "<1@x>", NULL, 0},
    {"message_that_starts_with_a_fold", " fold\nMessage-ID: <1@x>\n\n", "<1@x>", NULL, 0},
    {"message_without_header", "\nMessage-ID: <1@x>\n", NULL, NULL, 0},
    {"name_that_only_begins_alike", "Received-SPF: pass\nX-Message-ID: <1@x>\n\n", NULL, NULL, 0},
};

static void
check_text(const char *actual, const char *expected)
{
    if (expected == NULL) {
        assert_null(actual);
        return;
    }
    assert_non_null(actual);
    assert_string_equal(actual, expected);
}

static void
check_header_row(void **state)
{
    const HeaderRow *row = *state;

    for (int kind = 0; kind < 2; kind++) {
        g_autoptr(Message) message =
            build(kind == 0 ? &in_memory : &in_file, row->text, strlen(row->text), 4096);

        check_text(message_id(message), row->message_id);
        check_text(message_queue_id(message), row->queue_id);
        assert_int_equal(message_received_count(message), row->received);
    }
}

static void
header_ends_with_its_blank_line(void **state)
{
    const char *text = "a: b\r\n\r\nbody\r\n\r\nmore\r\n";
    g_autoptr(Message) small = build(&in_memory, text, strlen(text), 4);
    g_autoptr(Message) spooled = build(&in_file, text, strlen(text), 4);
    size_t len = 0;

    (void)state;
    assert_memory_equal(message_header(small, &len), "a: b\n\n", 6);
    assert_int_equal(len, 6);
    assert_memory_equal(message_header(spooled, &len), "a: b\n\n", 6);
    assert_int_equal(len, 6);
}

static void
header_without_end_is_looked_at_up_to_its_limit(void **state)
{
    const MessageOptions *kinds[] = {&in_memory, &in_file};
    g_autofree char *line = g_strnfill(3 * MESSAGE_HEADER_LIMIT, 'x');
    MessageOptions large = in_memory;
    size_t len = 0;

    (void)state;
    large.spool_memory = 4 * MESSAGE_HEADER_LIMIT;
    kinds[0] = &large;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(Message) message = build(kinds[i], line, 3 * MESSAGE_HEADER_LIMIT, 100000);

        assert_non_null(message_header(message, &len));
        assert_int_equal(len, MESSAGE_HEADER_LIMIT);
        assert_int_equal(message_size(message), 3 * MESSAGE_HEADER_LIMIT);
    }
}

static void
message_id_of_absurd_length_is_cut(void **state)
{
    g_autofree char *id = g_strnfill(100000, 'i');
    g_autofree char *text = g_strconcat("Message-ID: <", id, ">\n\n", NULL);
    g_autoptr(Message) message = build(&in_memory, text, strlen(text), 4096);

    (void)state;
    assert_int_equal(strlen(message_id(message)), 998);
}

static void
fields_above_the_topmost_received_are_prepended(void **state)
{
    const char *text = "Return-Path: <bob@x>\nDelivered-To: ana@example.org\n" POSTFIX
                       "X-Original-To: list@x\nDelivered-To: <Old@Example.org>\n\n";
    g_autoptr(Message) message = build(&in_memory, text, strlen(text), 4096);

    (void)state;
    assert_true(message_has_prepended(message, "return-path"));
    assert_true(message_has_prepended(message, "Delivered-To"));
    assert_false(message_has_prepended(message, "X-Original-To"));
    assert_false(message_has_prepended(message, "Received"));
    assert_false(message_was_delivered_to(message, "ana@example.org"));
    assert_true(message_was_delivered_to(message, "old@example.org"));
    assert_string_equal(message_queue_id(message), "4XYZ12abc");
}

static void
without_any_received_only_the_leading_run_is_prepended(void **state)
{
    const char *text =
        "Delivered-To: ana@x\nSubject: x\nReturn-Path: <b@x>\nDelivered-To: eva@x\n\n";
    g_autoptr(Message) message = build(&in_memory, text, strlen(text), 4096);

    (void)state;
    assert_true(message_has_prepended(message, "Delivered-To"));
    assert_false(message_has_prepended(message, "Return-Path"));
    assert_false(message_was_delivered_to(message, "ana@x"));
    assert_true(message_was_delivered_to(message, "eva@x"));
}

int
main(void)
{
    struct CMUnitTest tests[17 + G_N_ELEMENTS(rows) + G_N_ELEMENTS(header_rows)] = {
        cmocka_unit_test(sender_of_the_mbox_line_is_kept),
        cmocka_unit_test(nothing_at_all_is_an_error),
        cmocka_unit_test(message_exactly_at_the_limit_is_accepted),
        cmocka_unit_test(octets_far_past_the_limit_are_counted_but_not_kept),
        cmocka_unit_test(missing_spool_directory_fails_at_the_end_and_is_named),
        cmocka_unit_test(full_disk_is_remembered_as_such),
        cmocka_unit_test(large_message_is_read_as_it_came_in_and_takes_no_memory),
        cmocka_unit_test(message_that_rests_takes_no_memory_and_is_still_there),
        cmocka_unit_test(message_in_its_place_begins_behind_the_lead),
        cmocka_unit_test(message_moves_out_of_a_place_that_is_full),
        cmocka_unit_test(message_without_a_place_lies_in_the_spool_directory),
        cmocka_unit_test(message_in_memory_asks_for_no_place),
        cmocka_unit_test(header_ends_with_its_blank_line),
        cmocka_unit_test(header_without_end_is_looked_at_up_to_its_limit),
        cmocka_unit_test(message_id_of_absurd_length_is_cut),
        cmocka_unit_test(fields_above_the_topmost_received_are_prepended),
        cmocka_unit_test(without_any_received_only_the_leading_run_is_prepended),
    };
    struct CMUnitTest *next = tests + 17;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        *next++ = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(header_rows); i++)
        *next++ = (struct CMUnitTest){.name = header_rows[i].behaviour,
                                      .test_func = check_header_row,
                                      .initial_state = (void *)&header_rows[i]};
    return _cmocka_run_group_tests("message", tests, (size_t)(next - tests), NULL, NULL);
}
