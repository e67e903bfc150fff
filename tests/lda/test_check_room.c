/* tests/lda/test_check_room.c - would a message for this address find room?
 *
 * Each test has its own map, mail root and log. Run by root, the program becomes nobody first.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <grp.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "lda/check_room.h"
#include "schema/mapedit.h"
#include "tests/scratch.h"

/* A mailbox holds at most 1000 octets; that of full has 600 in it, that of gone is not there. The
 * mailboxes of total.example and later.example may hold 1000 octets together, and that of half,
 * without a limit of its own, has 600. */
static const char rows_sql[] =
    "INSERT INTO domains (domain, user_quota_bytes) VALUES ('example.org', 1000);"
    "INSERT INTO domains (domain, user_quota_bytes) VALUES ('all.example', 1000);"
    "INSERT INTO users (email) VALUES ('full@example.org'), ('room@example.org'),"
    " ('gone@example.org'), ('broken@example.org'), ('outside@example.org');"
    "INSERT INTO users (email, active) VALUES ('off@example.org', 0);"
    "INSERT INTO users (email, quota_bytes) VALUES ('free@example.org', 0);"
    "INSERT INTO users (email, quota_over) VALUES ('later@example.org', 'defer');"
    "INSERT INTO users (email, max_message_bytes) VALUES ('small@example.org', 500);"
    "INSERT INTO users (email, home) VALUES ('@all.example', 'example.org/full');"
    "INSERT INTO domains (domain, quota_bytes, quota_over) VALUES ('total.example', 1000, NULL),"
    " ('later.example', 1000, 'defer');"
    "INSERT INTO users (email, home) VALUES ('half@total.example', 'example.org/free'),"
    " ('ana@total.example', 'example.org/gone'), ('half@later.example', 'example.org/free');"
    "INSERT INTO users (email, home, max_message_bytes) VALUES"
    " ('small@total.example', 'example.org/small', 300);"
    "UPDATE users SET home = '/etc' WHERE email = 'outside@example.org';"
    "INSERT INTO forwardings VALUES ('alias@example.org', 'full@example.org'),"
    " ('chain@example.org', 'alias@example.org'), ('some@example.org', 'full@example.org, "
    "room@example.org'), ('none@example.org', 'full@example.org, full+x@example.org'),"
    " ('away@example.org', 'full@example.org, ana@elsewhere.example'),"
    " ('unknown@example.org', 'full@example.org, nobody@example.org'),"
    " ('soon@example.org', 'full@example.org, later@example.org'),"
    " ('doubt@example.org', 'full@example.org, broken@example.org'),"
    " ('hope@example.org', 'broken@example.org, room@example.org'),"
    " ('loop@example.org', 'loop@example.org, pool@example.org'),"
    " ('pool@example.org', 'loop@example.org'), ('root@example.org', 'root'),"
    " ('full2@example.org', 'full2@example.org, full@example.org');";

typedef struct {
    char *dir;
    char *map;
    LdaConfig *config;
    Log *log;
    Lda *lda;
} Fixture;

/* A Maildir with one message of that many octets. */
static void
make_maildir(const Fixture *fixture, const char *name, int octets)
{
    static const char *const boxes[] = {"tmp", "new", "cur"};
    g_autofree char *message = g_strnfill((gsize)octets, 'x');

    for (size_t i = 0; i < G_N_ELEMENTS(boxes); i++) {
        g_autofree char *box =
            g_build_filename(fixture->dir, "mail/example.org", name, "Maildir", boxes[i], NULL);
        g_autofree char *file = g_strdup_printf("%s/1.M1P1.host,S=%d", box, octets);

        assert_int_equal(g_mkdir_with_parents(box, 0700), 0);
        if (octets > 0 && strcmp(boxes[i], "new") == 0)
            assert_true(g_file_set_contents(file, message, octets, NULL));
    }
}

static void
run_sql(const Fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->map, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void
start(Fixture *fixture, const char *extra)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *root = g_strdup_printf("mail.root=%s/mail", fixture->dir);
    g_autofree char *map = g_strdup_printf("map.path=%s", fixture->map);
    g_autofree char *log = g_strdup_printf("log.path=%s/log", fixture->dir);
    g_autofree char *usage = g_strdup_printf("quota.database=%s/quota.db", fixture->dir);
    const char *overrides[] = {root, map, log, usage, "map.busy_timeout=0s", extra, NULL};

    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    fixture->config = config_load("/dev/null", overrides, &error);
    if (fixture->config == NULL)
        fail_msg("%s", error->message);
    fixture->log = log_open(fixture->config, "test");
    fixture->lda = lda_new(fixture->config, fixture->log);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *broken = NULL;

    fixture->dir = g_dir_make_tmp("lodge-room-XXXXXX", NULL);
    fixture->map = g_build_filename(fixture->dir, "map.db", NULL);
    broken = g_build_filename(fixture->dir, "mail/example.org/broken/Maildir", NULL);
    assert_true(mapedit_create(fixture->map, NULL));
    run_sql(fixture, rows_sql);
    make_maildir(fixture, "full", 600);
    make_maildir(fixture, "later", 600);
    make_maildir(fixture, "room", 0);
    make_maildir(fixture, "small", 0);
    make_maildir(fixture, "free", 600);
    make_maildir(fixture, "broken", 0);
    g_autofree char *size = g_build_filename(broken, "maildirsize", NULL);
    assert_int_equal(g_mkdir(size, 0700), 0); /* a directory is no usage */
    start(fixture, NULL);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->map);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

/* "" when nothing speaks against it. */
static char *
ask(const Fixture *fixture, const char *address, guint64 octets)
{
    const RoomQuestion question = {.address = address,
                                   .octets = octets,
                                   .sender = "bob@example.com",
                                   .client_name = "unknown",
                                   .client_address = "192.0.2.1",
                                   .queue_id = "4bXq"};
    g_autoptr(LdaOutcome) refusal = lda_check_room(fixture->lda, &question);

    return g_strdup(refusal != NULL ? refusal->status : "");
}

static void
assert_status(const Fixture *fixture, const char *address, guint64 octets, const char *status)
{
    g_autofree char *found = ask(fixture, address, octets);

    assert_string_equal(found, status);
}

static char *
read_log(const Fixture *fixture)
{
    g_autofree char *path = g_build_filename(fixture->dir, "log", NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

typedef struct {
    const char *behaviour;
    const char *address;
    guint64 octets;
    const char *status;
    const char *setting; /* NULL: none */
} Row;

static const Row rows[] = {
    {"what_fits_to_the_octet_has_room", "full@example.org", 400, "", NULL},
    {"one_octet_more_has_none", "full@example.org", 401, "5.2.2", NULL},
    {"over_defer_is_temporary", "later@example.org", 401, "4.2.2", NULL},
    {"over_ramp_is_temporary_at_first", "full@example.org", 401, "4.2.2", "quota.over=ramp"},
    {"larger_than_the_mailbox_is_for_good", "later@example.org", 1001, "5.2.2", NULL},
    {"larger_than_the_largest_message", "small@example.org", 501, "5.2.3", NULL},
    {"user_without_limit_has_room", "free@example.org", 1000000, "", NULL},
    {"maildir_that_is_not_there_has_room", "gone@example.org", 1000, "", NULL},
    {"maildir_that_is_not_there_has_limits", "gone@example.org", 1001, "5.2.2", NULL},
    {"detail_is_no_matter", "full+lists@example.org", 401, "5.2.2", NULL},
    {"case_is_no_matter", "FULL@Example.ORG", 401, "5.2.2", NULL},
    {"detail_has_a_folder_with_rules_of_its_own", "full+lists@example.org", 401, "",
     "mail.detail_folder=create"},
    {"folder_that_does_not_exist_is_inbox", "full+lists@example.org", 401, "5.2.2",
     "mail.detail_folder=existing"},
    {"catch_all_mailbox", "anybody@all.example", 401, "5.2.2", NULL},
    {"unknown_address_is_no_matter_of_ours", "nobody@example.org", 5000, "", NULL},
    {"address_elsewhere_is_no_matter_of_ours", "ana@elsewhere.example", 5000, "", NULL},
    {"inactive_user_is_no_matter_of_room", "off@example.org", 5000, "", NULL},
    {"what_is_no_address_is_no_matter_of_ours", "nonsense", 5000, "", NULL},
    {"unreadable_usage_is_not_known", "broken@example.org", 1, "4.3.0", NULL},
    {"maildir_outside_the_root_is_not_known", "outside@example.org", 1, "4.3.5", NULL},
    {"alias_leads_to_the_mailbox", "alias@example.org", 401, "5.2.2", NULL},
    {"alias_of_an_alias_too", "chain@example.org", 401, "5.2.2", NULL},
    {"alias_with_detail_too", "chain+x@example.org", 401, "5.2.2", NULL},
    {"list_where_one_has_room_is_accepted", "some@example.org", 401, "", NULL},
    {"list_where_nobody_has_room_is_not", "none@example.org", 401, "5.2.2", NULL},
    {"list_with_somebody_elsewhere_is_accepted", "away@example.org", 401, "", NULL},
    {"list_with_somebody_unknown_is_accepted", "unknown@example.org", 401, "", NULL},
    {"list_where_one_may_have_room_later_is_put_off", "soon@example.org", 401, "4.2.2", NULL},
    {"list_where_one_is_not_known_is_put_off", "doubt@example.org", 401, "4.3.0", NULL},
    {"one_with_room_makes_up_for_one_not_known", "hope@example.org", 401, "", NULL},
    {"what_fits_into_the_domain_to_the_octet_has_room", "ana@total.example", 400, "", NULL},
    {"one_octet_more_than_the_domain_has_is_refused", "ana@total.example", 401, "5.2.2", NULL},
    {"domain_over_defer_is_temporary", "half@later.example", 401, "4.2.2", NULL},
    {"domain_over_ramp_is_temporary_at_first", "ana@total.example", 401, "4.2.2",
     "quota.over=ramp"},
    {"mailbox_refuses_before_its_domain", "small@total.example", 401, "5.2.3", NULL},
    {"folder_that_does_not_count_is_no_matter_of_the_domain", "ana+lists@total.example", 401, "",
     "mail.detail_folder=create"},
    {"loop_ends", "loop@example.org", 401, "", NULL},
    {"local_account_is_no_matter_of_ours", "root@example.org", 401, "", NULL},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    Fixture *fixture = NULL;

    set_up((void **)&fixture);
    if (row->setting != NULL)
        start(fixture, row->setting);
    /* The rule for folders is for the row about them only: others use INBOX. */
    if (g_strcmp0(row->setting, "mail.detail_folder=create") == 0) {
        g_strfreev(fixture->config->quota.folders);
        fixture->config->quota.folders = g_strsplit("lists=ignore", ";", -1);
    }
    assert_status(fixture, row->address, row->octets, row->status);
    tear_down((void **)&fixture);
}

static void
refusal_is_logged_with_its_figures_and_room_is_not(void **state)
{
    static const char *const fields[] = {
        "event=policy",
        "queue_id=4bXq",
        "from=bob@example.com",
        "to=alias@example.org",
        "client=unknown[192.0.2.1]",
        "user=full@example.org",
        "size=401",
        "status=5.2.2",
        "600 of 1,000 octets",
    };
    const Fixture *fixture = *state;

    assert_status(fixture, "alias@example.org", 400, "");
    g_autofree char *nothing = read_log(fixture);
    assert_string_equal(nothing, "");
    assert_status(fixture, "alias@example.org", 401, "5.2.2");
    g_autofree char *log = read_log(fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strstr(log, fields[i]) == NULL)
            fail_msg("%s is not in %s", fields[i], log);
    }
}

/* With the words of the delivery, which are for the log. */
static void
refusal_by_the_domain_is_logged_with_its_figures(void **state)
{
    const Fixture *fixture = *state;

    assert_status(fixture, "ana@total.example", 401, "5.2.2");
    g_autofree char *log = read_log(fixture);
    if (strstr(log, "the domain total.example is full: 600 of 1,000 octets used, the message has "
                    "401") == NULL)
        fail_msg("%s", log);
}

static void
database_of_usage_that_cannot_be_opened_puts_off_mail_for_domains_with_a_total(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->dir, "quota.db", NULL);

    assert_int_equal(g_mkdir(path, 0700), 0);
    assert_status(fixture, "ana@total.example", 1, "4.3.0");
    assert_status(fixture, "full@example.org", 1, "");
    assert_int_equal(g_rmdir(path), 0);
    assert_status(fixture, "ana@total.example", 1, "");
}

static void
asking_sets_nothing_aside_and_creates_no_mailbox(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *gone = g_build_filename(fixture->dir, "mail/example.org/gone", NULL);

    for (int i = 0; i < 100; i++) {
        assert_status(fixture, "full@example.org", 400, "");
        assert_status(fixture, "gone@example.org", 1000, "");
        assert_status(fixture, "ana@total.example", 400, "");
    }
    assert_false(g_file_test(gone, G_FILE_TEST_EXISTS));
}

static void
missing_map_puts_off_until_it_is_back(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *aside = g_strconcat(fixture->map, ".aside", NULL);

    assert_status(fixture, "full@example.org", 1, "");
    assert_int_equal(g_rename(fixture->map, aside), 0);
    assert_status(fixture, "full@example.org", 1, "4.3.0");
    assert_status(fixture, "elsewhere@example.com", 1, "4.3.0");
    assert_int_equal(g_rename(aside, fixture->map), 0);
    assert_status(fixture, "full@example.org", 1, "");
}

static void
list_too_long_to_follow_is_accepted(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GString) sql = g_string_new("INSERT INTO forwardings VALUES ('many@example.org', '");

    for (int i = 0; i < 101; i++)
        g_string_append_printf(sql, "%sfull+%d@example.org", i > 0 ? "," : "", i);
    g_string_append(sql, "');");
    run_sql(fixture, sql->str);
    assert_status(fixture, "many@example.org", 401, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refusal_is_logged_with_its_figures_and_room_is_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(refusal_by_the_domain_is_logged_with_its_figures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            database_of_usage_that_cannot_be_opened_puts_off_mail_for_domains_with_a_total, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(asking_sets_nothing_aside_and_creates_no_mailbox, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(missing_map_puts_off_until_it_is_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(list_too_long_to_follow_is_accepted, set_up, tear_down),
    };
    struct CMUnitTest row_tests[G_N_ELEMENTS(rows)];
    int failed;

    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
                           setresuid(65534, 65534, 65534) != 0))
        return 1;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        row_tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(row_tests, NULL, NULL);
}
