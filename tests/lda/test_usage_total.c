/* tests/lda/test_usage_total.c - may a domain take that much more? */
#include "tests/lda/usage_fixture.h"

#include "lda/usage_parts.h"

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

/* What is kept for the domain, and what it is the sum of. */
#define ASSERT_TOTAL(fixture, expected)                                                         \
    do {                                                                                        \
        ASSERT_SQL(fixture,                                                                     \
                   "SELECT bytes || ' ' || messages FROM quota_totals WHERE domain = '" DOMAIN  \
                   "'",                                                                         \
                   expected);                                                                   \
        ASSERT_SQL(fixture,                                                                     \
                   "SELECT sum(max(bytes, 0)) || ' ' || sum(max(messages, 0)) FROM quota_usage" \
                   " WHERE domain = '" DOMAIN "'",                                              \
                   expected);                                                                   \
    } while (0)

static void
sum_of_a_domain_follows_its_rows(void **state)
{
    Fixture *fixture = *state;
    Usage *usage = fixture->usage;

    note(usage, "ana@" DOMAIN, 600, now_us, 0);
    note(usage, "bob@" DOMAIN, 50, now_us, 0);
    note(usage, "eva@elsewhere.example", 7000, now_us, 0);
    flush(usage);
    ASSERT_TOTAL(fixture, "650 65");
    note(usage, "ana@" DOMAIN, 500, now_us + 1, 0);
    note(usage, "bob@" DOMAIN, 40, now_us - 1, 0); /* older than the row */
    flush(usage);
    ASSERT_TOTAL(fixture, "550 55");
    assert_true(usage_forget(usage, "ana@" DOMAIN, NULL));
    ASSERT_TOTAL(fixture, "50 5");
    sqlite3_close(write_sql(fixture,
                            "INSERT INTO quota_usage(username, bytes, messages)"
                            " VALUES('panel@example.org', 7, 1);"
                            "UPDATE quota_usage SET bytes = -5 WHERE username LIKE 'bob%'"));
    ASSERT_TOTAL(fixture, "0 5");
    note(usage, "panel@" DOMAIN, 100, now_us, 0);
    flush(usage);
    ASSERT_TOTAL(fixture, "100 15");
    sqlite3_close(write_sql(fixture, "DELETE FROM quota_usage WHERE domain = '" DOMAIN "'"));
    ASSERT_SQL(fixture, "SELECT bytes + messages FROM quota_totals WHERE domain = '" DOMAIN "'",
               "0");
}

static void
change_that_is_taken_back_changes_no_sum(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@" DOMAIN, 600, now_us, 0);
    flush(fixture->usage);
    /* As a process that is killed leaves it: begun, and not committed. */
    sqlite3_close(write_sql(fixture, "BEGIN IMMEDIATE; UPDATE quota_usage SET bytes = 999;"
                                     "DELETE FROM quota_usage"));
    ASSERT_TOTAL(fixture, "600 60");
}

static void
sum_that_is_wrong_is_added_up_anew_by_the_next_refresh(void **state)
{
    Fixture *fixture = *state;

    note(fixture->usage, "ana@" DOMAIN, 600, now_us, 0);
    flush(fixture->usage);
    sqlite3_close(write_sql(fixture, "UPDATE quota_totals SET bytes = 5, messages = -7"));
    know_domain(fixture->usage);
    ASSERT_TOTAL(fixture, "600 60");
}

static void
number_past_all_reason_fills_the_domain_and_is_forgotten_with_its_row(void **state)
{
    Fixture *fixture = *state;

    know_domain(fixture->usage);
    for (unsigned i = 0; i < 100; i++) {
        g_autofree char *user = g_strdup_printf("user%u@" DOMAIN, i);

        note(fixture->usage, user, G_MAXUINT64, now_us, 0);
    }
    note(fixture->usage, "ana@" DOMAIN, 600, now_us, 0);
    assert_int_equal(admit(fixture->usage, "ana@" DOMAIN, 1, 1000).answer, USAGE_FULL);
    sqlite3_close(write_sql(fixture, "DELETE FROM quota_usage WHERE username LIKE 'user%'"));
    ASSERT_TOTAL(fixture, "600 60");
}

/* The file of a version that had no sums, and an index instead. */
static void
file_without_sums_gets_them(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Usage) other = usage_new(fixture->path, PATIENCE_MS);
    QuotaUsage used = {0};

    note(fixture->usage, "ana@" DOMAIN, 600, now_us, 0);
    know_domain(fixture->usage);
    sqlite3_close(write_sql(
        fixture, "DROP TRIGGER quota_usage_comes; DROP TRIGGER quota_usage_goes;"
                 "DROP TRIGGER quota_usage_changes; DROP TABLE quota_totals;"
                 "DROP INDEX quota_usage_of_domain;"
                 "CREATE INDEX quota_usage_domain ON quota_usage(domain, bytes, messages);"
                 "INSERT INTO quota_usage(username, domain, bytes, messages)"
                 " VALUES('bob@example.org', 'example.org', 50, 5);"
                 "PRAGMA user_version = 1"));
    assert_true(usage_sum(other, DOMAIN, &used, NULL));
    assert_int_equal(used.octets, 650);
    assert_int_equal(used.messages, 65);
    note(other, "bob@" DOMAIN, 40, now_us, 0);
    flush(other);
    ASSERT_TOTAL(fixture, "640 64");
}

/* Steps of SQLite's machine are the measure of what is read. */
static unsigned steps;

static int
count_step(void *data)
{
    (void)data;
    steps++;
    return 0;
}

static unsigned
steps_of_a_question(Usage *usage)
{
    sqlite3_progress_handler(usage->db, 1, count_step, NULL);
    steps = 0;
    assert_int_equal(put_question(usage_ask, usage, "ana@" DOMAIN, 1, 1 << 30).answer,
                     USAGE_ADMITTED);
    sqlite3_progress_handler(usage->db, 0, NULL, NULL);
    return steps;
}

static void
question_costs_the_same_for_any_number_of_mailboxes(void **state)
{
    Fixture *fixture = *state;
    unsigned alone;

    note(fixture->usage, "ana@" DOMAIN, 100, now_us, 0);
    know_domain(fixture->usage);
    alone = steps_of_a_question(fixture->usage);
    for (unsigned i = 0; i < 1000; i++) {
        g_autofree char *user = g_strdup_printf("user%u@" DOMAIN, i);

        note(fixture->usage, user, 100, now_us, 0);
    }
    flush(fixture->usage);
    assert_true(alone > 0);
    assert_int_equal(steps_of_a_question(fixture->usage), alone);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
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
        TEST(sum_of_a_domain_follows_its_rows),
        TEST(change_that_is_taken_back_changes_no_sum),
        TEST(sum_that_is_wrong_is_added_up_anew_by_the_next_refresh),
        TEST(number_past_all_reason_fills_the_domain_and_is_forgotten_with_its_row),
        TEST(file_without_sums_gets_them),
        TEST(question_costs_the_same_for_any_number_of_mailboxes),
        TEST(locked_file_puts_the_delivery_off_with_the_name_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
