/* tests/lda/test_delivery_waiting.c - recipients that lack room, or descriptors, beside others of
 * the same message: they wait until those have ended
 */
#include "tests/lda/failing_syncs.h"
#include "tests/lda/quota_fixture.h"

#include <sys/resource.h>

/* ---- names of one mailbox ------------------------------------------------- */

static const char *const two_names[] = {"ana@example.org", "ana+x@example.org", NULL};

static void
second_name_of_a_mailbox_with_room_for_one_copy_is_refused_at_once(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\n");
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "5.2.2", "1 of 1 messages");
    assert_int_equal(count_in(fixture, "new"), 1);
    assert_int_equal(count_in(fixture, "tmp"), 0);
}

static void
second_name_is_put_off_where_full_mailboxes_are(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\nover = defer\n");
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "4.2.2", "1 of 1 messages");
}

static void
both_names_get_their_copy_where_there_is_room(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 2\n");
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "2.0.0", "stored in INBOX");
    assert_outcome(deliver(fixture), "5.2.2", "2 of 2 messages");
}

static void
room_that_the_first_name_gives_back_is_for_the_second(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 1\n");
    deliver(fixture);
    empty_box(fixture, "new");
    failing_syncs = 1;
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "4.3.0", "cannot make");
    assert_outcome_of(fixture, 1, "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 1);
}

static void
two_users_of_one_mailbox_are_two_names_of_it(void **state)
{
    Fixture *fixture = *state;
    const char *const users[] = {"ana@example.org", "eve@example.org", NULL};

    add_row(fixture, MAPEDIT_USERS, "eve@example.org", "home", "example.org/ana");
    limit(fixture, "messages = 1\n");
    deliver_to(fixture, "bob@example.com", users, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in INBOX");
    assert_outcome_of(fixture, 1, "5.2.2", "1 of 1 messages");
}

static void
name_that_had_to_wait_is_filtered_as_if_it_were_the_first(void **state)
{
    Fixture *fixture = *state;

    limit(fixture, "messages = 2\nwarn =\n");
    write_script(fixture, "require [\"fileinto\", \"subaddress\", \"envelope\"];"
                          "if envelope :detail \"to\" \"x\" { discard; }"
                          "else { fileinto \"A\"; fileinto \"B\"; }");
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in A and B");
    assert_outcome_of(fixture, 1, "2.0.0", "discarded");
    write_script(fixture, "require \"fileinto\"; fileinto \"A\"; fileinto \"B\";");
    limit(fixture, "messages = 5\nwarn =\n");
    deliver_to(fixture, "bob@example.com", two_names, MESSAGE);
    assert_outcome_of(fixture, 0, "2.0.0", "stored in A and B");
    assert_outcome_of(fixture, 1, "5.2.2", "mailbox is full");
    assert_int_equal(count_in(fixture, ".A/new"), 2);
    assert_int_equal(count_in(fixture, ".A/tmp"), 0);
    assert_true(log_has(fixture, "octets, 4/5 messages"));
}

/* ---- many recipients ------------------------------------------------------ */

enum { MANY = 20 };

/* Users u0 to u19, with scripts that file into Lists. Free with g_strfreev(). */
static char **
add_users(const Fixture *fixture)
{
    char **addresses = g_new0(char *, MANY + 1);

    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *script =
            g_strdup_printf("%s/mail/example.org/u%u/.dovecot.sieve", fixture->dir, i);

        addresses[i] = g_strdup_printf("u%u@example.org", i);
        add_row(fixture, MAPEDIT_USERS, addresses[i], NULL, NULL);
        write_file(script, "require \"fileinto\"; fileinto \"Lists\";");
    }
    return addresses;
}

/* Lets so many more files be opened; returns what was allowed before. */
static struct rlimit
allow_descriptors(unsigned number)
{
    struct rlimit before;
    struct rlimit few;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)next + number;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

/* How often each status was told: "2.0.0" and one of 4.x.x. */
static unsigned
count_outcomes(const Fixture *fixture, const char *status)
{
    unsigned count = 0;

    for (guint i = 0; i < fixture->outcomes->len; i++) {
        const LdaOutcome *outcome = fixture->outcomes->pdata[i];

        count += g_str_has_prefix(outcome->status, status);
    }
    return count;
}

static unsigned
count_files(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    unsigned count = 0;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        count += g_file_test(path, G_FILE_TEST_IS_DIR)
                     ? count_files(path)
                     : strstr(path, "/tmp/1") != NULL || strstr(path, "/new/1") != NULL;
    }
    return count;
}

static void
few_descriptors_are_enough_for_many_recipients(void **state)
{
    Fixture *fixture = *state;
    g_auto(GStrv) addresses = add_users(fixture);
    g_autofree char *mail = below(fixture, "mail");

    limit(fixture, "messages = 9\n");
    deliver(fixture); /* what is opened once is open */

    struct rlimit before = allow_descriptors(40);

    deliver_to(fixture, "bob@example.com", (const char *const *)addresses, MESSAGE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(count_outcomes(fixture, "2.0.0"), MANY);
    for (guint i = 0; i < MANY; i++)
        assert_outcome_of(fixture, i, "2.0.0", "stored in Lists");
    assert_int_equal(count_files(mail), MANY + 1);
}

static void
whoever_lacks_descriptors_is_put_off_and_nothing_is_lost(void **state)
{
    Fixture *fixture = *state;
    g_auto(GStrv) addresses = add_users(fixture);
    g_autofree char *mail = below(fixture, "mail");
    unsigned put_off = 0, stored_then = 0;

    limit(fixture, "messages = 1\n");
    deliver(fixture);
    /* From too few for anything to too few for some steps. */
    for (unsigned number = 0; number < 14; number++) {
        struct rlimit before = allow_descriptors(number);
        const char *const one[] = {addresses[number], NULL};

        deliver_to(fixture, "bob@example.com", one, MESSAGE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        put_off += count_outcomes(fixture, "4.");
        assert_null(strstr(((LdaOutcome *)fixture->outcomes->pdata[0])->text, "INBOX"));
        deliver_to(fixture, "bob@example.com", one, MESSAGE);
        stored_then += count_outcomes(fixture, "2.0.0");
        assert_int_equal(stored_then, put_off);
        assert_int_equal(count_files(mail), 2 + number);
    }
    assert_in_range(put_off, 1, 13);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(second_name_of_a_mailbox_with_room_for_one_copy_is_refused_at_once),
        TEST(second_name_is_put_off_where_full_mailboxes_are),
        TEST(both_names_get_their_copy_where_there_is_room),
        TEST(room_that_the_first_name_gives_back_is_for_the_second),
        TEST(two_users_of_one_mailbox_are_two_names_of_it),
        TEST(name_that_had_to_wait_is_filtered_as_if_it_were_the_first),
        TEST(few_descriptors_are_enough_for_many_recipients),
        TEST(whoever_lacks_descriptors_is_put_off_and_nothing_is_lost),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
