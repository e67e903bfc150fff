/* tests/lda/test_usage.c - the database of what mailboxes hold, and many who write to it */
#include "tests/lda/usage_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- rows ---------------------------------------------------------------- */

static void
noted_usage_is_in_the_table_after_the_flush(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 4312, now_us, 0);
    note(fixture->usage, "bob@example.org", 50, now_us, 0);
    note(fixture->usage, "ana@example.org", 5000, now_us + 1, 0);
    assert_true(usage_has_notes(fixture->usage));
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    flush(fixture->usage);
    assert_false(usage_has_notes(fixture->usage));
    ASSERT_SQL(fixture,
               "SELECT group_concat(username || ' ' || bytes || ' ' || messages, ', ')"
               " FROM (SELECT * FROM quota_usage ORDER BY username)",
               "ana@example.org 5000 500, bob@example.org 50 5");
}

static void
row_is_that_of_the_latest_moment_whoever_writes_last(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 200, now_us + 2, 0);
    flush(fixture->usage);
    note(fixture->usage, "ana@example.org", 100, now_us + 1, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "200");
    note(fixture->usage, "ana@example.org", 300, now_us + 3, 0);
    note(fixture->usage, "ana@example.org", 250, now_us + 2, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "300");
}

static void
row_of_a_clock_that_was_far_ahead_is_replaced(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 200, now_us + G_GINT64_CONSTANT(86400000000), 0);
    flush(fixture->usage);
    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "100");
}

static void
row_that_a_panel_made_is_taken_over(void **state)
{
    Fixture *fixture = *state;

    assert_true(usage_open(fixture->usage, NULL));
    sqlite3_close(write_sql(fixture, "INSERT INTO quota_usage(username, bytes, messages)"
                                     " VALUES('ana@example.org', 7, 1)"));
    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes || domain FROM quota_usage", "100example.org");
}

static void
file_can_be_read_by_its_group_but_not_by_others(void **state)
{
    Fixture *fixture = *state;
    mode_t before = umask(077);
    struct stat info;

    note(fixture->usage, "ana@example.org", 1, now_us, 0);
    flush(fixture->usage);
    umask(before);
    for (size_t i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        g_autofree char *path = g_strconcat(fixture->path, suffixes[i], NULL);

        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0640);
    }
}

static void
locked_file_keeps_the_notes_for_the_next_flush(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    sqlite3 *locker;

    assert_true(usage_open(fixture->usage, NULL));
    locker = write_sql(fixture, "BEGIN IMMEDIATE");
    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    assert_false(usage_flush(fixture->usage, 0, &error));
    assert_non_null(strstr(error->message, fixture->path));
    assert_non_null(strstr(error->message, "locked"));
    sqlite3_close(locker);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "100");
}

static void
reader_in_the_middle_of_its_reading_does_not_hold_up_the_writer(void **state)
{
    Fixture *fixture = *state;
    sqlite3 *reader;

    note(fixture->usage, "ana@example.org", 1, now_us, 0);
    flush(fixture->usage);
    reader = write_sql(fixture, "BEGIN; SELECT * FROM quota_usage");
    note(fixture->usage, "ana@example.org", 2, now_us + 1, 0);
    assert_true(usage_flush(fixture->usage, 0, NULL));
    sqlite3_close(reader);
}

static void
file_that_is_no_database_is_named_and_left_alone(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_path_get_dirname(fixture->path);
    g_autofree char *text = NULL;
    const UsageRequest request = {
        .user = "ana@example.org", .wanted = {1, 1}, .total = {.octets = 1000}};
    UsageVerdict verdict = {0};

    assert_int_equal(g_mkdir_with_parents(dir, 0700), 0);
    assert_true(g_file_set_contents(fixture->path, "this is a text and not a database", -1, NULL));
    assert_false(usage_admit(fixture->usage, &request, &verdict, &error));
    assert_non_null(strstr(error->message, fixture->path));
    assert_true(g_file_get_contents(fixture->path, &text, NULL, NULL));
    assert_string_equal(text, "this is a text and not a database");
    /* And once it is out of the way, a new one is made. */
    assert_int_equal(unlink(fixture->path), 0);
    note(fixture->usage, "ana@example.org", 3, now_us, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "3");
}

static void
file_that_was_removed_is_made_again(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 1, now_us, 0);
    flush(fixture->usage);
    assert_int_equal(unlink(fixture->path), 0);
    note(fixture->usage, "ana@example.org", 2, now_us, 0);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes FROM quota_usage", "2");
}

/* ---- many processes ------------------------------------------------------ */

enum { PROCESSES = 20, DELIVERIES = 25, OCTETS = 10 };

/* The exit status says how many deliveries were admitted. */
static pid_t
start_deliveries(const Fixture *fixture, unsigned number, guint64 total)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;

    g_autofree char *user = g_strdup_printf("user%u@example.org", number);
    Usage *usage = usage_new(fixture->path, PATIENCE_MS);
    guint64 stored = 0;
    unsigned admitted = 0;

    for (gint64 i = 1; i <= DELIVERIES; i++) {
        const UsageRequest request = {
            .user = user, .wanted = {OCTETS, 1}, .total = {.octets = total}, .now_us = now_us};
        UsageVerdict verdict = {0};

        assert_true(usage_admit(usage, &request, &verdict, NULL));
        if (verdict.answer != USAGE_ADMITTED)
            continue;
        admitted++;
        stored += OCTETS;
        note(usage, user, stored, now_us + i, verdict.hold);
    }
    flush(usage);
    usage_free(usage);
    _exit((int)admitted);
}

static void
know_users(Fixture *fixture)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        g_autofree char *user = g_strdup_printf("user%u@example.org", i);

        note(fixture->usage, user, 0, now_us, 0);
    }
    know_domain(fixture->usage);
    usage_free(fixture->usage);
    fixture->usage = usage_new(fixture->path, PATIENCE_MS);
}

static void
parallel_deliveries_to_one_domain_meet_its_total_exactly(void **state)
{
    Fixture *fixture = *state;
    const guint64 total = PROCESSES * DELIVERIES * OCTETS / 3 / OCTETS * OCTETS + OCTETS / 2;
    pid_t pids[PROCESSES];
    unsigned admitted = 0;

    know_users(fixture);
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = start_deliveries(fixture, i, total);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        admitted += (unsigned)WEXITSTATUS(status);
    }
    g_autofree char *expected = g_strdup_printf("%u", admitted * OCTETS);

    assert_int_equal(admitted, total / OCTETS);
    ASSERT_SQL(fixture, "SELECT sum(bytes) FROM quota_usage", expected);
    ASSERT_SQL(fixture, "SELECT count(*) FROM quota_holds", "0");
}

static void
processes_that_make_the_file_at_once_all_succeed(void **state)
{
    Fixture *fixture = *state;
    pid_t pids[PROCESSES];

    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            g_autofree char *user = g_strdup_printf("user%u@example.org", i);
            Usage *usage = usage_new(fixture->path, PATIENCE_MS);
            g_autoptr(GError) error = NULL;

            note(usage, user, 1, now_us, 0);
            if (!usage_flush(usage, PATIENCE_MS, &error))
                print_message("%s\n", error->message);
            _exit(error != NULL);
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    ASSERT_SQL(fixture, "SELECT count(*) FROM quota_usage", "20");
}

static void
what_a_killed_delivery_had_set_aside_is_dropped_by_the_next_refresh_and_no_other(void **state)
{
    Fixture *fixture = *state;
    int report[2];
    char octet;
    pid_t pid;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 200, 1000).answer, USAGE_ADMITTED);
    assert_int_equal(pipe(report), 0);
    pid = fork();
    if (pid == 0) {
        Usage *usage = usage_new(fixture->path, PATIENCE_MS);

        (void)admit(usage, "ana@example.org", 300, 1000);
        (void)!write(report[1], "x", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(report[0], &octet, 1), 1);
    know_domain(fixture->usage); /* both live */
    ASSERT_SQL(fixture, "SELECT sum(bytes) FROM quota_holds", "500");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 500, 1000).answer, USAGE_FULL);
    know_domain(fixture->usage);
    ASSERT_SQL(fixture, "SELECT sum(bytes) FROM quota_holds", "200");
    assert_int_equal(admit(fixture->usage, "ana@example.org", 500, 1000).answer, USAGE_ADMITTED);
    close(report[0]);
    close(report[1]);
}

static void
what_is_set_aside_outlives_a_database_that_must_be_opened_again(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Usage) other = usage_new(fixture->path, PATIENCE_MS);
    sqlite3 *locker;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    (void)admit(fixture->usage, "ana@example.org", 200, 1000);
    locker = write_sql(fixture, "DROP TABLE quota_domains");
    assert_false(usage_refreshed(fixture->usage, DOMAIN, now_us, NULL));
    sqlite3_close(locker);
    sqlite3_close(write_sql(fixture, "PRAGMA user_version = 0"));
    know_domain(other);
    ASSERT_SQL(fixture, "SELECT sum(bytes) FROM quota_holds", "200");
}

static void
mailbox_that_is_gone_from_the_map_does_not_count_any_more(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    note(fixture->usage, "gone@example.org", 900, now_us, 0);
    know_domain(fixture->usage);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1, 1000).answer, USAGE_FULL);
    assert_true(usage_forget(fixture->usage, "gone@example.org", NULL));
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1, 1000).answer, USAGE_ADMITTED);
}

static void
stamps_of_a_domain_are_told_by_user(void **state)
{
    Fixture *fixture = *state;
    const UsageRow row = {.user = "ana@example.org", .measured_us = now_us, .stamp = "1:2:3"};

    usage_note(fixture->usage, &row, 0);
    note(fixture->usage, "bob@example.org", 1, now_us, 0);
    note(fixture->usage, "eva@elsewhere.example", 1, now_us, 0);
    flush(fixture->usage);

    g_autoptr(GHashTable) stamps = usage_stamps(fixture->usage, DOMAIN, NULL);

    assert_int_equal(g_hash_table_size(stamps), 2);
    assert_string_equal(g_hash_table_lookup(stamps, "ana@example.org"), "1:2:3");
    assert_string_equal(g_hash_table_lookup(stamps, "bob@example.org"), "");
}

/* A process that is killed may have stored the message: its mailbox must be asked before what it
 * had set aside is dropped. */
static void
mailbox_that_something_is_set_aside_for_has_no_stamp(void **state)
{
    Fixture *fixture = *state;
    const UsageRow row = {.user = "ana@example.org", .measured_us = now_us, .stamp = "1:2:3"};

    usage_note(fixture->usage, &row, 0);
    flush(fixture->usage);
    know_domain(fixture->usage);

    UsageVerdict verdict = admit(fixture->usage, "ana@example.org", 1, 100);
    g_autoptr(GHashTable) during = usage_stamps(fixture->usage, DOMAIN, NULL);

    assert_string_equal(g_hash_table_lookup(during, "ana@example.org"), "");
    usage_release(fixture->usage, verdict.hold);
    flush(fixture->usage);

    g_autoptr(GHashTable) after = usage_stamps(fixture->usage, DOMAIN, NULL);

    assert_string_equal(g_hash_table_lookup(after, "ana@example.org"), "1:2:3");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(noted_usage_is_in_the_table_after_the_flush),
        TEST(row_is_that_of_the_latest_moment_whoever_writes_last),
        TEST(row_of_a_clock_that_was_far_ahead_is_replaced),
        TEST(row_that_a_panel_made_is_taken_over),
        TEST(file_can_be_read_by_its_group_but_not_by_others),
        TEST(locked_file_keeps_the_notes_for_the_next_flush),
        TEST(reader_in_the_middle_of_its_reading_does_not_hold_up_the_writer),
        TEST(file_that_is_no_database_is_named_and_left_alone),
        TEST(file_that_was_removed_is_made_again),
        TEST(parallel_deliveries_to_one_domain_meet_its_total_exactly),
        TEST(processes_that_make_the_file_at_once_all_succeed),
        TEST(what_a_killed_delivery_had_set_aside_is_dropped_by_the_next_refresh_and_no_other),
        TEST(what_is_set_aside_outlives_a_database_that_must_be_opened_again),
        TEST(mailbox_that_is_gone_from_the_map_does_not_count_any_more),
        TEST(stamps_of_a_domain_are_told_by_user),
        TEST(mailbox_that_something_is_set_aside_for_has_no_stamp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
