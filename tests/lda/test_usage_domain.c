/* tests/lda/test_usage_domain.c - the total of a domain, against mailboxes that change by
 * themselves
 *
 * Mailboxes are directories with files whose names say how large they are, and a "maildirsize" as
 * a mail reader leaves it. Run by root, the program becomes nobody first.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <grp.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lda/usage_domain.h"
#include "schema/mapedit.h"
#include "tests/lda/map_rows.h"
#include "tests/scratch.h"

#define MINUTE_US (G_GINT64_CONSTANT(60) * G_USEC_PER_SEC)

typedef struct {
    char *dir;
    LdaConfig *config;
    Mailmap *map;
    Usage *usage;
    UsageDomain domain;
    unsigned made; /* files, for their names */
} Fixture;

/* ---- fixture -------------------------------------------------------------- */

static char *
below(const Fixture *fixture, const char *path)
{
    return g_build_filename(fixture->dir, path, NULL);
}

static void
edit(const Fixture *fixture, MapeditTable table, const char *key, const char *column,
     const char *value)
{
    g_autofree char *path = below(fixture, "map.db");

    map_row(path, table, key, column, value);
}

static void
remove_user(const Fixture *fixture, const char *user)
{
    g_autofree char *path = below(fixture, "map.db");
    g_autoptr(Mapedit) map = mapedit_open(path, 1000, NULL);

    assert_true(mapedit_remove(map, MAPEDIT_USERS, user, NULL));
}

/* Reads the configuration and opens the map again. */
static void
start(Fixture *fixture, const char *extra)
{
    const char *overrides[] = {extra, NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *file = below(fixture, "lodge.conf");
    g_autofree char *map = below(fixture, "map.db");
    g_autofree char *text =
        g_strdup_printf("[mail]\nroot = %s/mail\n[map]\npath = %s\n", fixture->dir, map);

    assert_true(g_file_set_contents(file, text, -1, NULL));
    mailmap_close(fixture->map);
    config_free(fixture->config);
    fixture->config = config_load(file, overrides, &error);
    if (fixture->config == NULL)
        fail_msg("%s", error->message);

    const MailmapOptions options = {.path = fixture->config->map.path,
                                    .preset = fixture->config->map.preset,
                                    .mailbox_query = fixture->config->map.mailbox_query,
                                    .recipient_delimiter = "",
                                    .fold_local_part = true,
                                    .busy_timeout_ms = 60000};

    fixture->map = mailmap_open(&options, &error);
    if (fixture->map == NULL)
        fail_msg("%s", error->message);
    fixture->domain = (UsageDomain){.config = fixture->config,
                                    .map = fixture->map,
                                    .usage = fixture->usage,
                                    .now_us = g_get_real_time()};
}

/* A message in new/ of the mailbox of a user of example.org. Returns its path. */
static char *
put(Fixture *fixture, const char *name, guint64 octets)
{
    g_autofree char *maildir =
        g_build_filename(fixture->dir, "mail", "example.org", name, "Maildir", NULL);
    char *path;

    for (size_t i = 0; i < 3; i++) {
        static const char *const parts[] = {"tmp", "new", "cur"};
        g_autofree char *part = g_build_filename(maildir, parts[i], NULL);

        assert_int_equal(g_mkdir_with_parents(part, 0700), 0);
    }
    path = g_strdup_printf("%s/new/1700000000.M%uP1.test,S=%" G_GUINT64_FORMAT, maildir,
                           fixture->made++, octets);
    assert_true(g_file_set_contents(path, "x", 1, NULL));
    return path;
}

/* "maildirsize" of a user, last changed so many minutes ago. */
static void
write_size(const Fixture *fixture, const char *name, const char *lines, gint64 minutes)
{
    g_autofree char *path =
        g_build_filename(fixture->dir, "mail", "example.org", name, "Maildir", "maildirsize", NULL);
    struct timespec times[2];

    assert_true(g_file_set_contents(path, lines, -1, NULL));
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= minutes * 60;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *database = NULL;
    g_autofree char *root = NULL;
    g_autofree char *map = NULL;

    fixture->dir = g_dir_make_tmp("lodge-domain-XXXXXX", NULL);
    root = below(fixture, "mail");
    map = below(fixture, "map.db");
    database = below(fixture, "quota.db");
    assert_int_equal(g_mkdir(root, 0700), 0);
    assert_true(mapedit_create(map, NULL));
    edit(fixture, MAPEDIT_DOMAINS, "example.org", "quota_bytes", "1000");
    edit(fixture, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    edit(fixture, MAPEDIT_USERS, "bob@example.org", NULL, NULL);
    fixture->usage = usage_new(database, 60000);
    start(fixture, NULL);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    usage_free(fixture->usage);
    mailmap_close(fixture->map);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

/* ---- what the tests say --------------------------------------------------- */

/* Asks for room. 0 when there is some, else -1 with the error. */
static gint64
ask(Fixture *fixture, const char *user, guint64 octets, GError **error)
{
    const QuotaUsage wanted = {.octets = octets, .messages = 1};
    g_autoptr(Mailbox) mailbox = mailmap_user(fixture->map, user, error);
    gint64 hold = 0;

    assert_non_null(mailbox);
    assert_true(usage_domain_has_total(mailbox));
    if (!usage_domain_admit(&fixture->domain, mailbox, &wanted, &hold, error))
        return -1;
    assert_int_not_equal(hold, 0);
    return hold;
}

static void
assert_fits(Fixture *fixture, const char *user, guint64 octets)
{
    g_autoptr(GError) error = NULL;
    gint64 hold = ask(fixture, user, octets, &error);

    if (hold < 0)
        fail_msg("%s", error->message);
    usage_release(fixture->usage, hold);
}

static void
assert_full(Fixture *fixture, const char *user, guint64 octets, QuotaError code)
{
    g_autoptr(GError) error = NULL;

    assert_int_equal(ask(fixture, user, octets, &error), -1);
    if (!g_error_matches(error, QUOTA_ERROR, (int)code))
        fail_msg("%s", error->message);
}

static void
later(Fixture *fixture, gint64 minutes)
{
    fixture->domain.now_us += minutes * MINUTE_US;
}

static void
mailboxes_that_were_there_before_count_from_the_first_delivery_on(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "ana", 300));
    g_free(put(fixture, "bob", 200));
    g_free(put(fixture, "bob", 100));
    assert_fits(fixture, "ana@example.org", 400);
    assert_full(fixture, "ana@example.org", 401, QUOTA_ERROR_FULL);
}

static void
refusal_says_which_domain_and_how_full_it_is(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    g_free(put(fixture, "bob", 700));
    assert_int_equal(ask(fixture, "ana@example.org", 301, &error), -1);
    assert_string_equal(error->message, "the domain example.org is full: 700 of 1,000 octets used, "
                                        "the message has 301");
}

static void
number_of_messages_in_a_domain_is_limited_too(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    edit(fixture, MAPEDIT_DOMAINS, "example.org", "quota_messages", "2");
    g_free(put(fixture, "bob", 1));
    assert_fits(fixture, "ana@example.org", 1);
    write_size(fixture, "bob", "0S\n2 2\n", 0);
    later(fixture, 61);
    assert_int_equal(ask(fixture, "ana@example.org", 1, &error), -1);
    assert_non_null(strstr(error->message, "2 of 2 messages"));
}

static void
mail_deleted_by_its_owner_makes_room_when_the_next_message_does_not_fit(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 900));
    assert_fits(fixture, "ana@example.org", 100);
    write_size(fixture, "bob", "0S\n900 1\n-500 -1\n", 0);
    later(fixture, 2);
    assert_fits(fixture, "ana@example.org", 600);
}

static void
mailboxes_are_looked_at_once_a_minute_at_most(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 900));
    assert_full(fixture, "ana@example.org", 200, QUOTA_ERROR_FULL);
    write_size(fixture, "bob", "0S\n900 1\n-500 -1\n", 0);
    assert_full(fixture, "ana@example.org", 200, QUOTA_ERROR_FULL);
    later(fixture, 2);
    assert_fits(fixture, "ana@example.org", 200);
}

static void
mail_deleted_behind_our_back_makes_room_when_the_count_is_old(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = put(fixture, "bob", 900);

    write_size(fixture, "bob", "0S\n900 1\n", 14);
    assert_fits(fixture, "ana@example.org", 100);
    assert_int_equal(unlink(path), 0);
    assert_full(fixture, "ana@example.org", 200, QUOTA_ERROR_FULL);
    later(fixture, 2);
    assert_fits(fixture, "ana@example.org", 200);
}

static void
mail_that_readers_store_counts_after_an_hour(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 100));
    assert_fits(fixture, "ana@example.org", 100);
    write_size(fixture, "bob", "0S\n900 1\n", 0);
    later(fixture, 59);
    assert_fits(fixture, "ana@example.org", 200);
    later(fixture, 2);
    assert_full(fixture, "ana@example.org", 200, QUOTA_ERROR_FULL);
}

static void
mailbox_made_later_counts_with_what_is_in_it(void **state)
{
    Fixture *fixture = *state;

    assert_fits(fixture, "ana@example.org", 1000);
    edit(fixture, MAPEDIT_USERS, "new@example.org", NULL, NULL);
    g_free(put(fixture, "new", 600));
    assert_full(fixture, "new@example.org", 500, QUOTA_ERROR_FULL);
    assert_fits(fixture, "new@example.org", 400);
}

static void
mailbox_of_a_user_who_is_gone_does_not_count(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 900));
    assert_fits(fixture, "ana@example.org", 100);
    remove_user(fixture, "bob@example.org");
    later(fixture, 2);
    assert_fits(fixture, "ana@example.org", 900);
}

static void
user_who_is_switched_off_still_counts(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 900));
    assert_fits(fixture, "ana@example.org", 100);
    edit(fixture, MAPEDIT_USERS, "bob@example.org", "active", "no");
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL);
}

static void
mailbox_that_cannot_be_read_does_not_hold_up_the_mail_of_others(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *home = below(fixture, "mail/example.org/bob");

    g_free(put(fixture, "bob", 900));
    assert_int_equal(chmod(home, 0), 0);
    assert_fits(fixture, "ana@example.org", 500);
    assert_int_equal(chmod(home, 0700), 0);
    later(fixture, 61);
    assert_full(fixture, "ana@example.org", 500, QUOTA_ERROR_FULL);
}

static void
over_defer_refuses_for_now(void **state)
{
    Fixture *fixture = *state;

    edit(fixture, MAPEDIT_DOMAINS, "example.org", "quota_over", "defer");
    g_free(put(fixture, "bob", 900));
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL_FOR_NOW);
    /* What can never fit is not worth another try. */
    assert_full(fixture, "ana@example.org", 1000, QUOTA_ERROR_FULL_FOR_NOW);
    assert_full(fixture, "ana@example.org", 1001, QUOTA_ERROR_FULL);
}

static void
over_ramp_refuses_for_now_and_later_for_good(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "quota.ramp_time=30m");
    edit(fixture, MAPEDIT_DOMAINS, "example.org", "quota_over", "ramp");
    g_free(put(fixture, "bob", 900));
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL_FOR_NOW);
    later(fixture, 29);
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL_FOR_NOW);
    later(fixture, 1);
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL);
    assert_fits(fixture, "ana@example.org", 100);
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL_FOR_NOW);
}

static void
what_only_deliveries_under_way_leave_no_room_for_is_refused_for_now(void **state)
{
    Fixture *fixture = *state;
    gint64 hold = ask(fixture, "ana@example.org", 600, NULL);

    assert_true(hold > 0);
    assert_full(fixture, "bob@example.org", 500, QUOTA_ERROR_FULL_FOR_NOW);
    assert_full(fixture, "bob@example.org", 1001, QUOTA_ERROR_FULL);
    usage_release(fixture->usage, hold);
    assert_fits(fixture, "bob@example.org", 500);
}

static void
own_query_counts_the_mailboxes_that_had_mail(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "map.mailbox_query=SELECT email AS user, 1 AS active, NULL AS home,"
                   " 1000 AS domain_quota_bytes FROM users WHERE email = :address");
    g_free(put(fixture, "bob", 900));
    assert_fits(fixture, "ana@example.org", 1000);
    assert_fits(fixture, "bob@example.org", 100);
    assert_full(fixture, "ana@example.org", 101, QUOTA_ERROR_FULL);
}

static void
database_that_cannot_be_opened_puts_the_delivery_off_with_its_name(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = below(fixture, "quota.db");
    g_autoptr(GError) error = NULL;

    assert_int_equal(g_mkdir(path, 0700), 0);
    assert_int_equal(ask(fixture, "ana@example.org", 1, &error), -1);
    assert_false(error->domain == QUOTA_ERROR);
    assert_non_null(strstr(error->message, path));
}

/* ---- those who store nothing ---------------------------------------------- */

static bool
check(Fixture *fixture, const char *user, guint64 octets, GError **error)
{
    const QuotaUsage wanted = {.octets = octets, .messages = 1};
    g_autoptr(Mailbox) mailbox = mailmap_user(fixture->map, user, error);

    assert_non_null(mailbox);
    return usage_domain_check(&fixture->domain, mailbox, &wanted, error);
}

static void
question_is_answered_as_a_delivery_would_be_and_takes_no_room(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) question = NULL;
    g_autoptr(GError) delivery = NULL;

    edit(fixture, MAPEDIT_DOMAINS, "example.org", "quota_over", "defer");
    g_free(put(fixture, "bob", 700));
    for (int i = 0; i < 3; i++)
        assert_true(check(fixture, "ana@example.org", 300, NULL));
    assert_false(check(fixture, "ana@example.org", 301, &question));
    assert_int_equal(ask(fixture, "ana@example.org", 301, &delivery), -1);
    assert_true(g_error_matches(question, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW));
    assert_string_equal(question->message, delivery->message);
    assert_fits(fixture, "ana@example.org", 300);
}

/* Refusals are many: they must not hold up what is delivered elsewhere, nor be held up. */
static void
question_of_a_domain_known_to_be_full_waits_for_nobody_who_writes(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = below(fixture, "quota.db");
    sqlite3 *writer = NULL;

    g_free(put(fixture, "bob", 700));
    assert_false(check(fixture, "ana@example.org", 301, NULL));
    assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    g_autoptr(GError) error = NULL;
    assert_false(check(fixture, "ana@example.org", 301, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL));
    (void)sqlite3_close(writer);
}

/* Else it would be refused for ever: without a delivery nobody else looks. */
static void
question_sees_that_mail_was_deleted_before_it_is_refused(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 900));
    assert_false(check(fixture, "ana@example.org", 200, NULL));
    write_size(fixture, "bob", "0S\n900 1\n-500 -1\n", 0);
    assert_false(check(fixture, "ana@example.org", 200, NULL));
    later(fixture, 2);
    assert_true(check(fixture, "ana@example.org", 200, NULL));
}

static void
question_leaves_it_to_deliveries_to_look_once_an_hour(void **state)
{
    Fixture *fixture = *state;

    g_free(put(fixture, "bob", 100));
    assert_true(check(fixture, "ana@example.org", 200, NULL));
    write_size(fixture, "bob", "0S\n900 1\n", 0);
    later(fixture, 61);
    assert_true(check(fixture, "ana@example.org", 200, NULL));
    assert_full(fixture, "ana@example.org", 200, QUOTA_ERROR_FULL);
    assert_false(check(fixture, "ana@example.org", 200, NULL));
}

static void
measure_is_what_the_mailboxes_hold_now(void **state)
{
    Fixture *fixture = *state;
    QuotaUsage used = {0};

    g_free(put(fixture, "ana", 300));
    g_free(put(fixture, "bob", 200));
    assert_true(usage_domain_measure(&fixture->domain, "example.org", &used, NULL));
    assert_int_equal(used.octets, 500);
    assert_int_equal(used.messages, 2);
    write_size(fixture, "bob", "0S\n900 7\n", 0);
    assert_true(usage_domain_measure(&fixture->domain, "example.org", &used, NULL));
    assert_int_equal(used.octets, 1200);
    assert_int_equal(used.messages, 8);
}

/* ---- many processes ------------------------------------------------------- */

enum { PROCESSES = 20, OCTETS = 90 };

/* A delivery as a process of its own. Returns 1 when it was admitted, and 0 when refused for good;
 * what only others' deliveries stand in the way of is tried again. */
static int
deliver(Fixture *fixture, const char *name)
{
    g_autofree char *user = g_strconcat(name, "@example.org", NULL);
    g_autofree char *path = below(fixture, "quota.db");
    gint64 hold;

    fixture->usage = usage_new(path, 60000);
    fixture->map = NULL; /* of another process */
    fixture->config = NULL;
    start(fixture, NULL);
    for (;;) {
        g_autoptr(GError) error = NULL;

        hold = ask(fixture, user, OCTETS, &error);
        if (hold > 0)
            break;
        if (g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL))
            return 0;
        if (!g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW))
            return 2;
    }
    write_size(fixture, name, "0S\n90 2\n", 0);

    const UsageRow row = {.user = user,
                          .stored = {.octets = OCTETS, .messages = 2},
                          .measured_us = g_get_real_time()};

    usage_note(fixture->usage, &row, hold);
    return usage_flush(fixture->usage, 60000, NULL) ? 1 : 2;
}

/* Twenty users, a message each: eleven fit, whoever comes first to count the domain. */
static void
parallel_first_deliveries_do_not_pass_the_total_together(void **state)
{
    Fixture *fixture = *state;
    pid_t pids[PROCESSES];
    unsigned admitted = 0;

    for (unsigned i = 0; i < PROCESSES; i++) {
        g_autofree char *name = g_strdup_printf("user%u", i);
        g_autofree char *user = g_strconcat(name, "@example.org", NULL);

        edit(fixture, MAPEDIT_USERS, user, NULL, NULL);
        g_free(put(fixture, name, 0));
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        g_autofree char *name = g_strdup_printf("user%u", i);

        _exit(deliver(fixture, name));
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_in_range(WEXITSTATUS(status), 0, 1);
        admitted += (unsigned)WEXITSTATUS(status);
    }
    assert_int_equal(admitted, 1000 / OCTETS);
}

static void
become_nobody(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0)
        abort();
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak checker needs to look at us */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mailboxes_that_were_there_before_count_from_the_first_delivery_on),
        TEST(refusal_says_which_domain_and_how_full_it_is),
        TEST(number_of_messages_in_a_domain_is_limited_too),
        TEST(mail_deleted_by_its_owner_makes_room_when_the_next_message_does_not_fit),
        TEST(mailboxes_are_looked_at_once_a_minute_at_most),
        TEST(mail_deleted_behind_our_back_makes_room_when_the_count_is_old),
        TEST(mail_that_readers_store_counts_after_an_hour),
        TEST(mailbox_made_later_counts_with_what_is_in_it),
        TEST(mailbox_of_a_user_who_is_gone_does_not_count),
        TEST(user_who_is_switched_off_still_counts),
        TEST(mailbox_that_cannot_be_read_does_not_hold_up_the_mail_of_others),
        TEST(over_defer_refuses_for_now),
        TEST(over_ramp_refuses_for_now_and_later_for_good),
        TEST(what_only_deliveries_under_way_leave_no_room_for_is_refused_for_now),
        TEST(own_query_counts_the_mailboxes_that_had_mail),
        TEST(database_that_cannot_be_opened_puts_the_delivery_off_with_its_name),
        TEST(question_is_answered_as_a_delivery_would_be_and_takes_no_room),
        TEST(question_of_a_domain_known_to_be_full_waits_for_nobody_who_writes),
        TEST(question_sees_that_mail_was_deleted_before_it_is_refused),
        TEST(question_leaves_it_to_deliveries_to_look_once_an_hour),
        TEST(measure_is_what_the_mailboxes_hold_now),
        TEST(parallel_first_deliveries_do_not_pass_the_total_together),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
