/* tests/lda/test_delivery_quota.c - deliveries into mailboxes that are full, or nearly
 *
 * The clock is the test's, and so is fsync(2): it lets something happen between the reservation
 * and the entry in "maildirsize".
 */
#include "tests/lda/quota_fixture.h"

#include "quota/quota.h"

#include <sys/syscall.h>

static gint64 clock_us;

gint64
g_get_real_time(void)
{
    return clock_us;
}

static const char *broken_at_sync;  /* a file that becomes a directory at the next fsync(2) */
static const char *counted_at_sync; /* a Maildir that another process counts at each of them */

static void
count_mailbox(const char *path)
{
    const QuotaSettings settings = {.limits.octets = 1 << 20, .lock_timeout_ms = 1000};
    lodge_autofd fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(Quota) quota = quota_open(fd, &settings);
    QuotaUsage usage;

    assert_true(quota_recalculate(quota, &usage, NULL));
}

int fsync(int fd);

int
fsync(int fd)
{
    if (broken_at_sync != NULL) {
        assert_int_equal(unlink(broken_at_sync), 0);
        assert_int_equal(g_mkdir(broken_at_sync, 0700), 0);
        broken_at_sync = NULL;
    }
    if (counted_at_sync != NULL)
        count_mailbox(counted_at_sync);
    return (int)syscall(SYS_fsync, fd);
}

static int
set_up_clock(void **state)
{
    clock_us = 1700000000 * (gint64)G_USEC_PER_SEC;
    return set_up(state);
}

/* ---- what the tests say --------------------------------------------------- */

/* Octets of MESSAGE as it is stored. */
static int
stored_size(Fixture *fixture)
{
    const LdaOutcome *outcome = deliver(fixture);
    const char *size;
    int octets;

    assert_string_equal(outcome->status, "2.0.0");
    size = strstr(outcome->file, ",S=");
    assert_non_null(size);
    octets = (int)g_ascii_strtoll(size + 3, NULL, 10);
    assert_int_equal(unlink(outcome->file), 0);
    return octets;
}

/* The sum of "maildirsize": "OCTETS MESSAGES". Free with g_free(). */
static char *
accounts(const Fixture *fixture)
{
    g_autofree char *text = read_below(fixture, "mail/example.org/ana/Maildir/maildirsize");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gint64 octets = 0, messages = 0;

    for (char **line = lines; *line != NULL; line++) {
        char *rest;
        gint64 number = g_ascii_strtoll(*line, &rest, 10);

        if (line == lines || **line == '\0')
            continue;
        octets += number;
        messages += g_ascii_strtoll(rest, NULL, 10);
    }
    return g_strdup_printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, octets, messages);
}

G_GNUC_PRINTF(2, 3)
static void
assert_accounts(const Fixture *fixture, const char *format, ...)
{
    g_autofree char *found = accounts(fixture);
    va_list args;

    va_start(args, format);
    g_autofree char *expected = g_strdup_vprintf(format, args);
    va_end(args);
    assert_string_equal(found, expected);
}

static bool
has_file(const Fixture *fixture, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* ---- limits --------------------------------------------------------------- */

static void
mailbox_is_filled_to_the_last_octet(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n", 2 * size);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_int_equal(count_in(fixture, "tmp"), 0);
    assert_accounts(fixture, "%d 2", 2 * size);
}

static void
one_octet_too_little_is_too_little(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n", 2 * size - 1);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
    assert_int_equal(count_in(fixture, "new"), 1);
}

static void
grace_lets_the_message_in_that_fills_the_mailbox(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\ngrace = 1\n", 2 * size - 1);
    deliver(fixture);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
}

static void
messages_are_limited_in_number(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\n");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "1 of 1 messages");
}

static void
message_larger_than_the_mailbox_takes_is_refused(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "max_message = %d\n", size);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    limit(fixture, "max_message = %d\n", size - 1);
    assert_outcome(deliver(fixture), "5.2.3", "message of");
    assert_int_equal(count_in(fixture, "new"), 1);
}

static void
without_limits_nothing_is_counted(void **state)
{
    Fixture *fixture = *state;

    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_false(has_file(fixture, "maildirsize"));
    assert_false(has_file(fixture, "lodge-quota"));
    assert_false(log_has(fixture, "quota="));
}

static void
row_of_the_user_overrides_the_configuration(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = below(fixture, "map.db");
    g_autoptr(Mapedit) edit = mapedit_open(path, 1000, NULL);
    g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);

    limit(fixture, "bytes = 10\n");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox may hold: 10");
    g_hash_table_insert(values, (char *)"quota_bytes", (char *)"0");
    assert_true(mapedit_set(edit, MAPEDIT_USERS, "ana@example.org", values, NULL));
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    g_hash_table_insert(values, (char *)"quota_bytes", (char *)"20");
    g_hash_table_insert(values, (char *)"quota_over", (char *)"defer");
    assert_true(mapedit_set(edit, MAPEDIT_USERS, "ana@example.org", values, NULL));
    assert_outcome(deliver(fixture), "5.2.2", "may hold: 20");
}

/* What ana is told of a message that declares so many octets; "" when nothing is known. Free with
 * g_free(). */
static char *
declared(Fixture *fixture, guint64 octets)
{
    g_autoptr(LdaOutcome) refusal = NULL;
    g_autoptr(LdaRecipient) recipient = lda_resolve(fixture->lda, "ana@example.org", &refusal);

    refusal = lda_check_declared(fixture->lda, recipient, octets);
    return g_strdup(refusal != NULL ? refusal->status : "");
}

static void
declared_size_is_refused_when_line_ends_cannot_make_up_for_it(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "bytes = 100\n");
    g_autofree char *none = declared(fixture, 0);
    g_autofree char *perhaps = declared(fixture, 201);
    g_autofree char *never = declared(fixture, 202);

    assert_string_equal(none, "");
    assert_string_equal(perhaps, "");
    assert_string_equal(never, "5.2.2");
}

static void
declared_size_is_no_matter_where_a_script_has_a_say(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "max_message = 100\n");
    g_autofree char *without = declared(fixture, 1000);
    write_script(fixture, "discard;");
    g_autofree char *with = declared(fixture, 1000);

    assert_string_equal(without, "5.2.3");
    assert_string_equal(with, "");
}

/* ---- what a full mailbox answers ------------------------------------------ */

static void
full_mailbox_defers_where_that_is_wished(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\nover = defer\n", size);
    deliver(fixture);
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
    clock_us += (gint64)365 * 86400 * G_USEC_PER_SEC;
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
}

static void
ramp_defers_for_its_time_and_then_refuses(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\nover = ramp\nramp_time = 2d\n", size);
    deliver(fixture);
    clock_us += (gint64)86400 * G_USEC_PER_SEC; /* full for a day, and nobody noticed */
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
    clock_us += (gint64)2 * 86400 * G_USEC_PER_SEC - 1;
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
    clock_us += 1;
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
}

static void
ramp_begins_anew_when_there_was_room(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\nover = ramp\nramp_time = 2d\n", size);
    deliver(fixture);
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
    clock_us += (gint64)3 * 86400 * G_USEC_PER_SEC;
    empty_box(fixture, "new");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "4.2.2", "mailbox is full");
}

static void
what_can_never_fit_is_refused_for_good(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "bytes = 10\nover = defer\n");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox may hold");
}

static void
accounts_that_cannot_be_read_put_the_delivery_off(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "Maildir/maildirsize", NULL);

    limit(fixture, "bytes = 1M\n");
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    assert_outcome(deliver(fixture), "4.3.0", "maildirsize");
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_int_equal(count_in(fixture, "tmp"), 0);
    assert_int_equal(rmdir(path), 0);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
}

static void
entry_that_fails_is_a_note_and_no_failed_delivery(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "Maildir/maildirsize", NULL);
    int size = stored_size(fixture);

    limit(fixture, "bytes = 1M\n");
    deliver(fixture);
    broken_at_sync = path;
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_null(broken_at_sync);
    assert_true(log_has(fixture, "maildirsize"));
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_int_equal(rmdir(path), 0);
    deliver(fixture);
    assert_accounts(fixture, "%d 3", 3 * size);
}

static void
entry_that_fails_is_noted_beside_what_scripts_did(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "Maildir/maildirsize", NULL);

    limit(fixture, "bytes = 1M\n");
    deliver(fixture);
    write_script(fixture, "require \"fileinto\"; fileinto \"Lists\";");
    broken_at_sync = path;
    assert_outcome(deliver(fixture), "2.0.0", "stored in Lists");
    assert_true(log_has(fixture, "note=\"cannot "));
    assert_int_equal(rmdir(path), 0);
}

/* ---- folders -------------------------------------------------------------- */

static void
ignored_folder_is_never_full(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\nfolders = Tr*=ignore\n", size);
    write_script(fixture, "require \"fileinto\"; fileinto \"Trash\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in Trash");
    assert_outcome(deliver(fixture), "2.0.0", "stored in Trash");
    write_script(fixture, "keep;");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
    assert_accounts(fixture, "%d 1", size);
}

static void
folder_with_room_on_top_takes_more(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\nfolders = Junk=+%d\n", size, size);
    deliver(fixture);
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
    write_script(fixture, "require \"fileinto\"; fileinto \"Junk\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in Junk");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
}

static void
folder_with_a_limit_of_its_own_does_not_fall_to_inbox(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "folders = Archive=max %d\n", size);
    write_script(fixture, "require \"fileinto\"; fileinto \"Archive\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in Archive");
    assert_outcome(deliver(fixture), "5.2.2", "is full");
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_int_equal(count_in(fixture, ".Archive/new"), 1);
}

static void
folder_of_the_detail_does_not_fall_to_inbox(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "folders = Lists=max 10\n[mail]\ndetail_folder = create\n");
    assert_outcome(deliver_text(fixture, "bob@example.com", "ana+Lists@example.org", MESSAGE),
                   "5.2.2", "the folder may hold");
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_false(has_file(fixture, ".Lists"));
}

static void
folder_that_is_not_there_falls_to_inbox_whatever_it_may_hold(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mailbox_autocreate = no\n[quota]\nfolders = Lists=max 10\n");
    write_script(fixture, "require \"fileinto\"; fileinto \"Lists\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_true(log_has(fixture, "not in 'Lists'"));
}

/* ---- several copies, and none --------------------------------------------- */

static void
two_copies_with_room_for_one_are_none(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n", 2 * size - 1);
    write_script(fixture, "require [\"fileinto\", \"copy\"]; redirect :copy \"eve@example.com\";"
                          "fileinto \"A\"; fileinto \"B\";");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
    assert_int_equal(count_in(fixture, ".A/new"), 0);
    assert_int_equal(count_in(fixture, ".A/tmp"), 0);
    assert_int_equal(count_in(fixture, ".B/new"), 0);
    assert_int_equal(count_sent(fixture), 0);
    limit(fixture, "bytes = %d\n", 2 * size);
    assert_outcome(deliver(fixture), "2.0.0", "stored in A and B");
    assert_accounts(fixture, "%d 2", 2 * size);
}

static void
two_names_of_one_folder_need_room_for_one_copy(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n", size);
    write_script(fixture, "require \"fileinto\"; fileinto \"INBOX.A\"; fileinto \"inbox.A\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX.A");
    assert_accounts(fixture, "%d 1", size);
}

static void
what_is_not_stored_needs_no_room(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "bytes = 10\nmax_message = 10\n");
    write_script(fixture, "discard;");
    assert_outcome(deliver(fixture), "2.0.0", "discarded");
    write_script(fixture, "redirect \"eve@example.com\";");
    assert_outcome(deliver(fixture), "2.0.0", "redirected to 1 address");
    write_script(fixture, "require \"reject\"; reject \"no\";");
    assert_outcome(deliver(fixture), "5.7.1", "no");
    assert_int_equal(count_sent(fixture), 1);
    assert_false(has_file(fixture, "maildirsize"));
}

static void
edited_message_counts_as_it_is_stored(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n", size + (int)strlen("X-Kind: note\n"));
    write_script(fixture, "require \"editheader\"; addheader \"X-Kind\" \"notes\";");
    assert_outcome(deliver(fixture), "5.2.2", "mailbox may hold");
    write_script(fixture, "require \"editheader\"; addheader \"X-Kind\" \"note\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_accounts(fixture, "%d 1", size + (int)strlen("X-Kind: note\n"));
}

static void
compressed_message_counts_as_its_name_says(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);

    limit(fixture, "bytes = %d\n[mail]\ncompress = gzip\n", size);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_accounts(fixture, "%d 1", size);
    assert_outcome(deliver(fixture), "5.2.2", "mailbox is full");
}

/* ---- mail of ours --------------------------------------------------------- */

static void
fcc_that_does_not_fit_is_a_note_and_the_reply_is_sent(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\n");
    write_script(fixture, "require [\"vacation\", \"fcc\"]; vacation :fcc \"Sent\" \"I am away\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_sent(fixture), 1);
    assert_int_equal(count_in(fixture, ".Sent/new"), 0);
    assert_true(log_has(fixture, "no copy in 'Sent': mailbox is full"));
}

static void
fcc_that_fits_counts(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 2\n");
    write_script(fixture, "require [\"vacation\", \"fcc\"]; vacation :fcc \"Sent\" \"I am away\";");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, ".Sent/new"), 1);
    assert_outcome(deliver(fixture), "5.2.2", "2 of 2 messages");
}

static void
notice_of_a_broken_script_is_stored_also_where_there_is_no_room(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\n");
    write_script(fixture, "stop\n");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 2);
}

/* ---- the log -------------------------------------------------------------- */

static void
log_says_what_the_mailbox_holds(void **state)
{
    Fixture *fixture = *state;
    int size = stored_size(fixture);
    g_autofree char *figures = g_strdup_printf("quota=\"%d/%d octets, 1 messages\"", size, size);

    limit(fixture, "bytes = %d\n", size);
    deliver(fixture);
    assert_true(log_has(fixture, figures));
    deliver(fixture);
    g_autofree char *log = read_below(fixture, "log");
    assert_int_equal(count_words(log, figures), 2);
    assert_int_equal(count_words(log, "status=5.2.2"), 1);
}

#define QUOTA_TEST(function) cmocka_unit_test_setup_teardown(function, set_up_clock, tear_down)

static void
count_while_the_message_can_be_seen_leaves_it_to_its_delivery(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", NULL);
    int octets;

    start(fixture, "");
    octets = stored_size(fixture);
    limit(fixture, "bytes = 1M\n");
    counted_at_sync = path;

    const LdaOutcome *outcome = deliver(fixture);

    counted_at_sync = NULL;
    assert_string_equal(outcome->status, "2.0.0");
    assert_accounts(fixture, "%d 1", octets);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUOTA_TEST(mailbox_is_filled_to_the_last_octet),
        QUOTA_TEST(one_octet_too_little_is_too_little),
        QUOTA_TEST(grace_lets_the_message_in_that_fills_the_mailbox),
        QUOTA_TEST(messages_are_limited_in_number),
        QUOTA_TEST(message_larger_than_the_mailbox_takes_is_refused),
        QUOTA_TEST(without_limits_nothing_is_counted),
        QUOTA_TEST(row_of_the_user_overrides_the_configuration),
        QUOTA_TEST(declared_size_is_refused_when_line_ends_cannot_make_up_for_it),
        QUOTA_TEST(declared_size_is_no_matter_where_a_script_has_a_say),
        QUOTA_TEST(full_mailbox_defers_where_that_is_wished),
        QUOTA_TEST(ramp_defers_for_its_time_and_then_refuses),
        QUOTA_TEST(ramp_begins_anew_when_there_was_room),
        QUOTA_TEST(what_can_never_fit_is_refused_for_good),
        QUOTA_TEST(accounts_that_cannot_be_read_put_the_delivery_off),
        QUOTA_TEST(entry_that_fails_is_a_note_and_no_failed_delivery),
        QUOTA_TEST(entry_that_fails_is_noted_beside_what_scripts_did),
        QUOTA_TEST(ignored_folder_is_never_full),
        QUOTA_TEST(folder_with_room_on_top_takes_more),
        QUOTA_TEST(folder_with_a_limit_of_its_own_does_not_fall_to_inbox),
        QUOTA_TEST(folder_of_the_detail_does_not_fall_to_inbox),
        QUOTA_TEST(folder_that_is_not_there_falls_to_inbox_whatever_it_may_hold),
        QUOTA_TEST(two_copies_with_room_for_one_are_none),
        QUOTA_TEST(two_names_of_one_folder_need_room_for_one_copy),
        QUOTA_TEST(what_is_not_stored_needs_no_room),
        QUOTA_TEST(edited_message_counts_as_it_is_stored),
        QUOTA_TEST(compressed_message_counts_as_its_name_says),
        QUOTA_TEST(fcc_that_does_not_fit_is_a_note_and_the_reply_is_sent),
        QUOTA_TEST(fcc_that_fits_counts),
        QUOTA_TEST(notice_of_a_broken_script_is_stored_also_where_there_is_no_room),
        QUOTA_TEST(count_while_the_message_can_be_seen_leaves_it_to_its_delivery),
        QUOTA_TEST(log_says_what_the_mailbox_holds),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
