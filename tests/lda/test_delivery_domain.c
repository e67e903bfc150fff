/* tests/lda/test_delivery_domain.c - deliveries into a domain that is full, or nearly
 *
 * All that is stored counts: the message, copies of what is sent, notices. fsync(2) is the
 * test's, so that it fails when that is asked for.
 */
#include "tests/lda/failing_syncs.h"
#include "tests/lda/quota_fixture.h"

/* What all mailboxes of the domain may hold together, in messages, with more lines for [quota]. */
static void
limit_domain(Fixture *fixture, const char *messages, const char *lines)
{
    g_autofree char *text =
        g_strdup_printf("[quota]\ndatabase = %s/quota.db\n%s", fixture->dir, lines);

    add_row(fixture, MAPEDIT_DOMAINS, "example.org", "quota_messages", messages);
    start(fixture, text);
}

/* ---- mail of ours --------------------------------------------------------- */

#define AWAY "require [\"vacation\", \"fcc\"]; vacation :fcc \"Sent\" \"I am away\";"

static void
copy_of_a_reply_counts(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "2", "");
    write_script(fixture, AWAY);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, ".Sent/new"), 1);
    assert_outcome(deliver(fixture), "5.2.2", "example.org is full: 2 of 2 messages");
}

static void
copy_of_a_reply_that_does_not_fit_is_a_note_and_the_reply_is_sent(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "1", "");
    write_script(fixture, AWAY);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_sent(fixture), 1);
    assert_int_equal(count_in(fixture, ".Sent/new"), 0);
    assert_int_equal(count_in(fixture, ".Sent/tmp"), 0);
    assert_true(log_has(fixture, "no copy in 'Sent': the domain example.org is full"));
}

static void
copy_that_is_not_stored_in_the_end_costs_nothing(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "2", "");
    write_script(fixture, AWAY "discard;");
    deliver(fixture);
    assert_int_equal(count_in(fixture, ".Sent/new"), 1);
    failing_syncs = 1;
    deliver_text(fixture, "eve@example.com", "ana@example.org", MESSAGE);
    assert_int_equal(failing_syncs, 0);
    assert_true(log_has(fixture, "no copy in 'Sent': cannot make"));
    assert_int_equal(count_in(fixture, ".Sent/new"), 1);
    assert_int_equal(count_in(fixture, ".Sent/tmp"), 0);
    write_script(fixture, "keep;");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "2 of 2 messages");
}

static void
notice_is_stored_also_where_the_domain_is_full(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "1", "");
    write_script(fixture, "stop\n");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_int_equal(count_in(fixture, "tmp"), 0);
}

static void
notice_counts_where_there_is_room(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "2", "");
    write_script(fixture, "stop\n");
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_outcome(deliver(fixture), "5.2.2", "2 of 2 messages");
}

/* ---- redirects ------------------------------------------------------------ */

/* The MTA says for ever no, once. */
static void
refuse_mail(const Fixture *fixture)
{
    write_below(fixture, "mta", "67\n");
}

static void
message_that_nobody_takes_counts_when_it_is_kept(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "1", "");
    write_script(fixture, "redirect \"eve@example.com\";");
    refuse_mail(fixture);
    assert_outcome(deliver(fixture), "2.0.0", "stored in INBOX");
    refuse_mail(fixture);
    assert_outcome(deliver(fixture), "5.2.2", "1 of 1 messages");
    assert_int_equal(count_in(fixture, "new"), 1);
    assert_int_equal(count_in(fixture, "tmp"), 0);
}

static void
copy_that_is_kept_as_well_counts_once(void **state)
{
    Fixture *fixture = *state;

    limit_domain(fixture, "2", "");
    write_script(fixture, "require [\"fileinto\", \"copy\"]; fileinto \"A\";"
                          "redirect :copy \"eve@example.com\";");
    refuse_mail(fixture);
    assert_outcome(deliver(fixture), "2.0.0", "stored in A and INBOX");
    write_script(fixture, "keep;");
    assert_outcome(deliver(fixture), "5.2.2", "2 of 2 messages");
}

/* ---- several recipients --------------------------------------------------- */

static const char *const both[] = {"ana@example.org", "eve@example.org", NULL};

static void
second_recipient_in_a_domain_with_room_for_one_is_refused_at_once(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "eve@example.org", NULL, NULL);
    limit_domain(fixture, "1", "");
    deliver_to(fixture, "bob@example.com", both, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "5.2.2", "1 of 1 messages");
    assert_outcome(deliver(fixture), "5.2.2", "1 of 1 messages");
}

static void
second_recipient_is_put_off_where_full_domains_are(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "eve@example.org", NULL, NULL);
    limit_domain(fixture, "1", "over = defer\n");
    deliver_to(fixture, "bob@example.com", both, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "4.2.2", "1 of 1 messages");
}

static void
room_that_the_first_recipient_gives_back_is_for_the_second(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "eve@example.org", NULL, NULL);
    deliver_to(fixture, "bob@example.com", both, MESSAGE); /* the mailboxes are there */
    limit_domain(fixture, "3", "");
    failing_syncs = 1;
    deliver_to(fixture, "bob@example.com", both, MESSAGE);
    assert_outcome_of(fixture, 0, "4.3.0", "cannot make");
    assert_outcome_of(fixture, 1, "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "3 of 3 messages");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copy_of_a_reply_counts),
        TEST(copy_of_a_reply_that_does_not_fit_is_a_note_and_the_reply_is_sent),
        TEST(copy_that_is_not_stored_in_the_end_costs_nothing),
        TEST(notice_is_stored_also_where_the_domain_is_full),
        TEST(notice_counts_where_there_is_room),
        TEST(message_that_nobody_takes_counts_when_it_is_kept),
        TEST(copy_that_is_kept_as_well_counts_once),
        TEST(second_recipient_in_a_domain_with_room_for_one_is_refused_at_once),
        TEST(second_recipient_is_put_off_where_full_domains_are),
        TEST(room_that_the_first_recipient_gives_back_is_for_the_second),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
