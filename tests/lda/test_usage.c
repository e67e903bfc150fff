/* tests/lda/test_usage.c - the database of what mailboxes hold */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lda/usage.h"

#define DOMAIN "example.org"

enum { PATIENCE_MS = 60000 };

static const gint64 now_us = G_GINT64_CONSTANT(1700000000000042);

typedef struct {
    char *dir;
    char *path;
    Usage *usage;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-usage-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->dir, "state", "quota.db", NULL);
    fixture->usage = usage_new(fixture->path, PATIENCE_MS);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->dir);

    usage_free(fixture->usage);
    assert_int_equal(system(command), 0);
    g_free(fixture->dir);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

/* What an administrator would see: the first column of the first row, as text. */
static char *
ask(const Fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    char *text;

    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, PATIENCE_MS), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    text = sqlite3_step(stmt) == SQLITE_ROW ? g_strdup((const char *)sqlite3_column_text(stmt, 0))
                                            : g_strdup("none");
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return text;
}

#define ASSERT_SQL(fixture, sql, expected)            \
    do {                                              \
        g_autofree char *answer_ = ask(fixture, sql); \
        assert_string_equal(answer_, expected);       \
    } while (0)

static sqlite3 *
write_sql(const Fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, PATIENCE_MS), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void
note(Usage *usage, const char *user, guint64 octets, gint64 measured_us, gint64 hold)
{
    const UsageRow row = {.user = user,
                          .stored = {.octets = octets, .messages = octets / 10},
                          .measured_us = measured_us};

    usage_note(usage, &row, hold);
}

static void
flush(Usage *usage)
{
    g_autoptr(GError) error = NULL;
    bool flushed = usage_flush(usage, PATIENCE_MS, &error);

    if (!flushed)
        print_message("%s\n", error->message);
    assert_true(flushed);
}

typedef bool Question(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out,
                      GError **error);

static UsageVerdict
put_question(Question *question, Usage *usage, const char *user, guint64 octets, guint64 total)
{
    const UsageRequest request = {.user = user,
                                  .wanted = {octets, 1},
                                  .total = {.octets = total},
                                  .now_us = now_us,
                                  .max_age_s = 3600};
    g_autoptr(GError) error = NULL;
    UsageVerdict verdict = {0};
    bool answered = question(usage, &request, &verdict, &error);

    if (!answered)
        print_message("%s\n", error->message);
    assert_true(answered);
    return verdict;
}

static UsageVerdict
admit(Usage *usage, const char *user, guint64 octets, guint64 total)
{
    return put_question(usage_admit, usage, user, octets, total);
}

static void
know_domain(Usage *usage)
{
    assert_true(usage_refreshed(usage, DOMAIN, now_us, NULL));
}

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

/* ---- totals -------------------------------------------------------------- */

static void
message_exactly_at_the_total_is_admitted_and_one_octet_more_is_not(void **state)
{
    Fixture *fixture = *state;
    UsageVerdict verdict;

    note(fixture->usage, "ana@example.org", 300, now_us, 0);
    note(fixture->usage, "bob@example.org", 400, now_us, 0);
    note(fixture->usage, "eva@elsewhere.example", 5000, now_us, 0);
    know_domain(fixture->usage);
    verdict = admit(fixture->usage, "ana@example.org", 301, 1000);
    assert_int_equal(verdict.answer, USAGE_FULL);
    assert_int_equal(verdict.used.octets, 700);
    verdict = admit(fixture->usage, "ana@example.org", 300, 1000);
    assert_int_equal(verdict.answer, USAGE_ADMITTED);
    assert_int_not_equal(verdict.hold, 0);
    verdict = admit(fixture->usage, "bob@example.org", 1, 1000);
    assert_int_equal(verdict.answer, USAGE_FULL);
    assert_int_equal(verdict.used.octets, 700);
    assert_int_equal(verdict.held.octets, 300);
}

static void
number_of_messages_has_a_total_too(void **state)
{
    Fixture *fixture = *state;
    const UsageRequest request = {
        .user = "ana@example.org", .wanted = {1, 2}, .total = {.messages = 34}, .now_us = now_us};
    UsageVerdict verdict = {0};

    note(fixture->usage, "ana@example.org", 200, now_us, 0); /* 20 messages */
    note(fixture->usage, "bob@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
        assert_int_equal(verdict.answer, USAGE_ADMITTED);
    }
    assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
    assert_int_equal(verdict.answer, USAGE_FULL);
    assert_int_equal(verdict.used.messages, 30);
    assert_int_equal(verdict.held.messages, 4);
}

static void
message_larger_than_the_total_never_fits(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 0, now_us, 0);
    know_domain(fixture->usage);
    assert_int_equal(admit(fixture->usage, "ana@example.org", G_MAXUINT64, 1000).answer,
                     USAGE_FULL);
}

static void
what_a_failed_delivery_had_set_aside_is_free_again(void **state)
{
    Fixture *fixture = *state;
    UsageVerdict verdict;

    note(fixture->usage, "ana@example.org", 0, now_us, 0);
    know_domain(fixture->usage);
    verdict = admit(fixture->usage, "ana@example.org", 1000, 1000);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1000, 1000).answer, USAGE_FULL);
    usage_release(fixture->usage, verdict.hold);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1000, 1000).answer, USAGE_ADMITTED);
}

static void
what_was_set_aside_becomes_the_usage_when_it_is_noted(void **state)
{
    Fixture *fixture = *state;
    UsageVerdict verdict;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    verdict = admit(fixture->usage, "ana@example.org", 200, 1000);
    note(fixture->usage, "ana@example.org", 300, now_us + 1, verdict.hold);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT count(*) FROM quota_holds", "0");
    ASSERT_SQL(fixture, "SELECT sum(bytes) FROM quota_usage", "300");
}

static void
delivery_whose_usage_cannot_be_told_counts_with_what_it_had_set_aside(void **state)
{
    Fixture *fixture = *state;
    UsageVerdict verdict;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    verdict = admit(fixture->usage, "ana@example.org", 200, 1000);
    usage_note_held(fixture->usage, verdict.hold);
    flush(fixture->usage);
    ASSERT_SQL(fixture, "SELECT bytes || ' ' || messages FROM quota_usage", "300 11");
    ASSERT_SQL(fixture, "SELECT count(*) FROM quota_holds", "0");
}

static void
domain_or_mailbox_that_was_never_counted_is_unknown(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1, 1000).answer, USAGE_UNKNOWN);
    know_domain(fixture->usage);
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1, 1000).answer, USAGE_ADMITTED);
    assert_int_equal(admit(fixture->usage, "new@example.org", 1, 1000).answer, USAGE_UNKNOWN_USER);
}

static void
domain_that_was_counted_long_ago_is_stale_unless_that_is_said_to_be_fine(void **state)
{
    Fixture *fixture = *state;
    UsageRequest request = {.user = "ana@example.org",
                            .wanted = {1, 1},
                            .total = {.octets = 1000},
                            .now_us = now_us + (gint64)3601 * G_USEC_PER_SEC,
                            .max_age_s = 3600};
    UsageVerdict verdict = {0};

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
    assert_int_equal(verdict.answer, USAGE_STALE);
    request.max_age_s = 0;
    assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
    assert_int_equal(verdict.answer, USAGE_ADMITTED);
}

static bool
claim(Usage *usage, gint64 seconds)
{
    bool claimed = false;

    assert_true(
        usage_claim_refresh(usage, DOMAIN, now_us + seconds * G_USEC_PER_SEC, 60, &claimed, NULL));
    return claimed;
}

static void
one_process_refreshes_a_domain_and_not_before_the_time_is_over(void **state)
{
    Fixture *fixture = *state;

    assert_true(claim(fixture->usage, 0)); /* never yet: everybody's */
    assert_true(claim(fixture->usage, 0));
    know_domain(fixture->usage);
    assert_false(claim(fixture->usage, 59));
    assert_true(claim(fixture->usage, 61));
    assert_false(claim(fixture->usage, 62));
    assert_true(claim(fixture->usage, -1)); /* the clock was set back */
}

static void
first_refusal_is_remembered_until_something_fits(void **state)
{
    Fixture *fixture = *state;
    UsageRequest request = {
        .user = "ana@example.org", .wanted = {1000, 1}, .total = {.octets = 1000}};
    UsageVerdict verdict = {0};

    note(fixture->usage, "ana@example.org", 100, now_us, 0);
    know_domain(fixture->usage);
    for (gint64 later = 0; later < 3; later++) {
        request.now_us = now_us + later;
        assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
        assert_int_equal(verdict.full_since_us, now_us);
    }
    assert_int_equal(admit(fixture->usage, "ana@example.org", 1, 1000).answer, USAGE_ADMITTED);
    request.now_us = now_us + 7;
    assert_true(usage_admit(fixture->usage, &request, &verdict, NULL));
    assert_int_equal(verdict.full_since_us, now_us + 7);
}

/* ---- questions ----------------------------------------------------------- */

static void
question_has_the_answer_of_a_delivery_and_sets_nothing_aside(void **state)
{
    Fixture *fixture = *state;
    Usage *usage = fixture->usage;

    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 1, 1000).answer, USAGE_UNKNOWN);
    know_domain(usage);
    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 1, 1000).answer,
                     USAGE_UNKNOWN_USER);
    note(usage, "ana@" DOMAIN, 600, now_us, 0); /* in memory: an answer knows of it */
    for (int i = 0; i < 3; i++)
        assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 400, 1000).answer,
                         USAGE_ADMITTED);
    ASSERT_SQL(fixture, "SELECT count(*) FROM quota_holds", "0");
    assert_true(admit(usage, "ana@" DOMAIN, 400, 1000).hold != 0);

    UsageVerdict verdict = put_question(usage_ask, usage, "ana@" DOMAIN, 1, 1000);

    assert_int_equal(verdict.answer, USAGE_FULL);
    assert_int_equal(verdict.used.octets, 600);
    assert_int_equal(verdict.held.octets, 400);
}

static void
question_remembers_the_first_refusal_and_does_not_end_it(void **state)
{
    Fixture *fixture = *state;
    Usage *usage = fixture->usage;

    know_domain(usage);
    note(usage, "ana@" DOMAIN, 600, now_us, 0);
    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 401, 1000).full_since_us,
                     now_us);
    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 1, 1000).answer, USAGE_ADMITTED);
    ASSERT_SQL(fixture, "SELECT full_since_us FROM quota_domains", "1700000000000042");
}

/* Whoever writes meanwhile holds up deliveries, which write too. */
static void
question_waits_for_nobody_who_writes(void **state)
{
    Fixture *fixture = *state;
    Usage *usage = fixture->usage;
    sqlite3 *writer;

    know_domain(usage);
    note(usage, "ana@" DOMAIN, 600, now_us, 0);
    flush(usage);
    writer = write_sql(fixture, "BEGIN IMMEDIATE; UPDATE quota_usage SET bytes = 999");
    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 400, 1000).answer,
                     USAGE_ADMITTED);
    (void)sqlite3_close(writer);
}

static void
sum_of_a_domain_is_that_of_its_rows(void **state)
{
    Fixture *fixture = *state;
    QuotaUsage used = {1, 1};

    assert_true(usage_sum(fixture->usage, DOMAIN, &used, NULL));
    assert_int_equal(used.octets, 0);
    note(fixture->usage, "ana@" DOMAIN, 600, now_us, 0);
    note(fixture->usage, "bob@" DOMAIN, 50, now_us, 0);
    note(fixture->usage, "eva@elsewhere.example", 7000, now_us, 0);
    assert_true(usage_sum(fixture->usage, DOMAIN, &used, NULL));
    assert_int_equal(used.octets, 650);
    assert_int_equal(used.messages, 65);
}

static void
locked_file_puts_the_delivery_off_with_the_name_of_the_file(void **state)
{
    Fixture *fixture = *state;
    const UsageRequest request = {
        .user = "ana@example.org", .wanted = {1, 1}, .total = {.octets = 1000}};
    g_autoptr(Usage) hasty = usage_new(fixture->path, 0);
    g_autoptr(GError) error = NULL;
    UsageVerdict verdict = {0};
    sqlite3 *locker;

    know_domain(fixture->usage);
    locker = write_sql(fixture, "BEGIN IMMEDIATE");
    assert_false(usage_admit(hasty, &request, &verdict, &error));
    assert_non_null(strstr(error->message, fixture->path));
    sqlite3_close(locker);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(message_exactly_at_the_total_is_admitted_and_one_octet_more_is_not),
        TEST(number_of_messages_has_a_total_too),
        TEST(message_larger_than_the_total_never_fits),
        TEST(what_a_failed_delivery_had_set_aside_is_free_again),
        TEST(what_was_set_aside_becomes_the_usage_when_it_is_noted),
        TEST(delivery_whose_usage_cannot_be_told_counts_with_what_it_had_set_aside),
        TEST(domain_or_mailbox_that_was_never_counted_is_unknown),
        TEST(domain_that_was_counted_long_ago_is_stale_unless_that_is_said_to_be_fine),
        TEST(one_process_refreshes_a_domain_and_not_before_the_time_is_over),
        TEST(first_refusal_is_remembered_until_something_fits),
        TEST(question_has_the_answer_of_a_delivery_and_sets_nothing_aside),
        TEST(question_remembers_the_first_refusal_and_does_not_end_it),
        TEST(question_waits_for_nobody_who_writes),
        TEST(sum_of_a_domain_is_that_of_its_rows),
        TEST(locked_file_puts_the_delivery_off_with_the_name_of_the_file),
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
