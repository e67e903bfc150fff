/* tests/schema/test_answers.c - what the map said lately, and when it is asked again
 *
 * That an answer was remembered shows while another process holds the map's exclusive
 * lock: a question to the file fails then.
 */
#include "tests/schema/map_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "schema/answers.h"

#define ANA "ana@example.org"

static const char rows_sql[] =
    "INSERT INTO domains (domain) VALUES ('example.org');"
    "INSERT INTO users (email, home) VALUES ('ana@example.org', 'old'), ('bob@example.org', 'b')";

static Mailmap *
open_map(const Fixture *fixture)
{
    const MailmapOptions options = fixture_options(fixture);

    return fixture_open(&options);
}

static void
assert_home(Mailmap *map, const char *address, const char *home)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, address, &error);

    if (mailbox == NULL)
        fail_msg("%s: %s", address, error->message);
    assert_string_equal(mailbox->home, home);
}

static void
assert_fails(Mailmap *map, const char *address, MailmapError code)
{
    g_autoptr(GError) error = NULL;

    assert_null(mailmap_lookup(map, address, &error));
    assert_map_error(error, code);
}

static sqlite3 *
open_other(const Fixture *fixture, const char *sql)
{
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    if (sqlite3_exec(other, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(other));
    return other;
}

/* Whether the next lookup of address needs no question to the file. */
static bool
is_remembered(const Fixture *fixture, Mailmap *map, const char *address)
{
    g_autoptr(GError) error = NULL;
    sqlite3 *other = open_other(fixture, "BEGIN EXCLUSIVE");
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, address, &error);

    sqlite3_close(other);
    if (mailbox == NULL)
        assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    return mailbox != NULL;
}

static void
mailbox_is_remembered_whole_and_by_its_spelling(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    fixture_sql(fixture->path, "UPDATE users SET maildir = 'M', sieve = 's', uid = 5, gid = 6,"
                               " quota_bytes = 7, quota_messages = 8 WHERE email = '" ANA "'");
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, "Ana+Lists@Example.ORG", "old");
    assert_true(is_remembered(fixture, map, "Ana+Lists@Example.ORG"));
    assert_false(is_remembered(fixture, map, "Ana+lists@Example.ORG"));
    assert_false(is_remembered(fixture, map, ANA));

    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "Ana+Lists@Example.ORG", NULL);
    assert_non_null(mailbox);
    assert_string_equal(mailbox->address, "ana+lists@example.org");
    assert_string_equal(mailbox->user, ANA);
    assert_string_equal(mailbox->detail, "Lists");
    assert_string_equal(mailbox->home, "old");
    assert_string_equal(mailbox->maildir, "M");
    assert_string_equal(mailbox->sieve, "s");
    assert_int_equal(mailbox->uid, 5);
    assert_int_equal(mailbox->gid, 6);
    assert_int_equal(mailbox->quota_bytes, 7);
    assert_int_equal(mailbox->quota_messages, 8);
    assert_int_equal(mailbox->match, MAILMAP_MATCH_WITHOUT_DETAIL);
}

static void
case_variants_answer_alike_before_and_after_a_change(void **state)
{
    static const char *const spellings[] = {ANA, "ANA@example.org", "ana@EXAMPLE.org",
                                            "\"ana\"@example.org"};
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = open_map(fixture);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < G_N_ELEMENTS(spellings); i++)
            assert_home(map, spellings[i], "old");
    fixture_sql(fixture->path, "UPDATE users SET home = 'new' WHERE email = '" ANA "'");
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < G_N_ELEMENTS(spellings); i++)
            assert_home(map, spellings[i], "new");
}

/* ---- changes by others ---------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *sql;
    const char *home; /* NULL: the lookup fails with code */
    MailmapError code;
} ChangeRow;

static const ChangeRow change_rows[] = {
    {"changed_home_is_seen_by_the_next_lookup", "UPDATE users SET home = 'new'", "new", 0},
    {"removed_user_is_unknown_to_the_next_lookup", "DELETE FROM users WHERE email = '" ANA "'",
     NULL, MAILMAP_ERROR_UNKNOWN_ADDRESS},
    {"switched_off_user_is_refused_by_the_next_lookup",
     "UPDATE users SET active = 0 WHERE email = '" ANA "'", NULL, MAILMAP_ERROR_INACTIVE},
    {"switched_off_domain_is_refused_by_the_next_lookup", "UPDATE domains SET active = 0", NULL,
     MAILMAP_ERROR_INACTIVE},
    {"change_of_another_row_changes_no_answer",
     "UPDATE users SET home = 'new' WHERE email = 'bob@example.org'", "old", 0},
    {"rolled_back_transaction_changes_no_answer", "BEGIN; UPDATE users SET home = 'new'; ROLLBACK",
     "old", 0},
    {"rewritten_file_changes_no_answer", "VACUUM", "old", 0},
};

static void
check_change(void **state)
{
    const ChangeRow *row = *state;
    void *own = NULL;

    fixture_set_up(&own);
    const Fixture *fixture = own;
    fixture_map(fixture, rows_sql);
    {
        g_autoptr(Mailmap) map = open_map(fixture);

        assert_home(map, ANA, "old");
        assert_true(is_remembered(fixture, map, ANA));
        fixture_sql(fixture->path, row->sql);
        for (int i = 0; i < 2; i++)
            if (row->home != NULL)
                assert_home(map, ANA, row->home);
            else
                assert_fails(map, ANA, row->code);
    }
    fixture_tear_down(&own);
}

static void
refusals_are_not_remembered(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_fails(map, "eva@example.org", MAILMAP_ERROR_UNKNOWN_ADDRESS);
    assert_false(is_remembered(fixture, map, "eva@example.org"));
    fixture_sql(fixture->path, "UPDATE users SET active = 0");
    assert_fails(map, ANA, MAILMAP_ERROR_INACTIVE);
    assert_false(is_remembered(fixture, map, ANA));
}

/* Fills more pages than the cache of another connection holds, so that it has
 * written to the file before it is decided whether the change stands. */
static const char half_done_sql[] =
    "PRAGMA cache_size = 2; BEGIN; PRAGMA user_version = 99; UPDATE users SET home = 'new';"
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    " INSERT INTO users (email) SELECT 'u' || i || '@example.org' FROM n";

static void
change_that_is_written_but_undone_was_never_seen(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, ANA, "old");
    sqlite3 *other = open_other(fixture, half_done_sql);
    assert_home(map, ANA, "old");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_home(map, ANA, "old");
    assert_int_equal(sqlite3_exec(other, "UPDATE users SET home = 'newer'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
    assert_home(map, ANA, "newer");
}

/* Writes bytes over the start of the file: the same file, as a writer of it leaves it. */
static void
overwrite(const char *path, off_t at, const void *bytes, size_t size)
{
    lodge_autofd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
}

static void
copy_over(const Fixture *work, const char *suffix, const char *path)
{
    g_autofree char *from = g_strconcat(work->path, suffix, NULL);
    g_autofree char *to = g_strconcat(path, suffix, NULL);
    g_autofree char *bytes = NULL;
    gsize size;

    assert_true(g_file_get_contents(from, &bytes, &size, NULL));
    overwrite(to, 0, bytes, size);
}

/* A writer dies after it has written all of its change, the raised counter too. Its
 * number is given to the next commit, with another content. */
static void
number_of_an_interrupted_commit_is_used_again_without_harm(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *work_path = g_build_filename(fixture->dir, "work.db", NULL);
    const Fixture work = {.dir = fixture->dir, .path = work_path};
    g_autofree char *bytes = NULL;

    fixture_map(fixture, rows_sql);
    copy_over(fixture, "", work_path);
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, ANA, "old");

    sqlite3 *other = open_other(&work, half_done_sql);
    copy_over(&work, "", fixture->path);
    copy_over(&work, "-journal", fixture->path);
    assert_home(map, ANA, "old"); /* nothing is committed */

    assert_true(g_file_get_contents(work_path, &bytes, NULL, NULL));
    uint8_t counter = (uint8_t)bytes[27];
    assert_true(counter < G_MAXUINT8);
    counter++;
    overwrite(fixture->path, 27, &counter, 1);
    assert_fails(map, ANA, MAILMAP_ERROR_UNAVAILABLE); /* a reader cannot undo it */
    sqlite3_close(other);

    fixture_sql(fixture->path, "UPDATE users SET home = 'newer'");
    g_clear_pointer(&bytes, g_free);
    assert_true(g_file_get_contents(fixture->path, &bytes, NULL, NULL));
    assert_int_equal((uint8_t)bytes[27], counter);
    assert_home(map, ANA, "newer");
}

/* ---- other files ---------------------------------------------------------- */

static void
older_copy_with_the_same_counter_is_another_map(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *copy_path = g_build_filename(fixture->dir, "copy.db", NULL);

    fixture_map(fixture, rows_sql);
    copy_over(fixture, "", copy_path);
    fixture_sql(fixture->path, "UPDATE users SET home = 'new'");
    fixture_sql(copy_path, "UPDATE users SET home = 'restored'");
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, ANA, "new");
    assert_int_equal(rename(copy_path, fixture->path), 0);
    assert_home(map, ANA, "restored");
    assert_int_equal(unlink(fixture->path), 0);
    assert_fails(map, ANA, MAILMAP_ERROR_UNAVAILABLE);
}

static void
map_in_wal_mode_is_asked_each_time(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, ANA, "old");
    /* Kept open: nothing is copied from the log into the file. */
    sqlite3 *other = open_other(fixture, "PRAGMA journal_mode = WAL");
    assert_home(map, ANA, "old");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_exec(other,
                                      i == 0 ? "UPDATE users SET home = 'first'"
                                             : "UPDATE users SET home = 'second'",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_home(map, ANA, i == 0 ? "first" : "second");
    }
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* ---- bounds --------------------------------------------------------------- */

static void
more_addresses_than_are_kept_make_room_by_forgetting(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = open_map(fixture);
    assert_home(map, ANA, "old");
    for (int i = 0; i < ANSWERS_MAX; i++) {
        g_autofree char *address = g_strdup_printf("bob+%d@example.org", i);

        if (i == ANSWERS_MAX - 1)
            assert_true(is_remembered(fixture, map, ANA));
        assert_home(map, address, "b");
    }
    assert_false(is_remembered(fixture, map, ANA));
    assert_home(map, ANA, "old");
    assert_true(is_remembered(fixture, map, ANA));
}

typedef struct {
    const char *behaviour;
    const char *schema;
    const char *query; /* NULL: that of the preset "tutorial" */
    bool is_remembered;
} QueryRow;

#define TABLE "CREATE TABLE users (email TEXT); INSERT INTO users VALUES ('" ANA "');"
#define OTHER_TABLE "CREATE TABLE t (e TEXT, until TEXT); INSERT INTO t VALUES ('" ANA "', '9999');"

static const QueryRow query_rows[] = {
    {"answer_of_an_own_query_is_remembered", TABLE,
     "SELECT email AS user, 1 AS active, lower('H') AS home FROM users WHERE email = :address",
     true},
    {"answer_of_a_preset_is_remembered", TABLE, NULL, true},
    {"query_that_looks_at_the_clock_is_asked_each_time", TABLE,
     "SELECT email AS user, '2000' < datetime('now') AS active, 'h' AS home FROM users"
     " WHERE email = :address",
     false},
    {"query_with_current_timestamp_is_asked_each_time", TABLE,
     "SELECT email AS user, '2000' < CURRENT_TIMESTAMP AS active, 'h' AS home FROM users"
     " WHERE email = :address",
     false},
    {"view_that_looks_at_the_clock_is_asked_each_time",
     OTHER_TABLE "CREATE VIEW users AS SELECT e AS email FROM t WHERE until > date('now');", NULL,
     false},
    {"view_over_tables_is_remembered",
     OTHER_TABLE "CREATE VIEW users AS SELECT e AS email FROM t WHERE until > '2000';", NULL, true},
};

static void
check_query(void **state)
{
    const QueryRow *row = *state;
    void *own = NULL;

    fixture_set_up(&own);
    const Fixture *fixture = own;
    MailmapOptions options = fixture_options(fixture);
    options.preset = "tutorial";
    options.mailbox_query = row->query;
    fixture_sql(fixture->path, row->schema);
    {
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_autoptr(Mailbox) mailbox = mailmap_lookup(map, ANA, NULL);

        assert_non_null(mailbox);
        assert_true(is_remembered(fixture, map, ANA) == row->is_remembered);
    }
    fixture_tear_down(&own);
}

static void
view_that_begins_to_look_at_the_clock_is_no_longer_remembered(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    options.preset = "tutorial";
    fixture_sql(fixture->path, OTHER_TABLE "CREATE VIEW users AS SELECT e AS email FROM t;");
    g_autoptr(Mailmap) map = fixture_open(&options);
    assert_home(map, ANA, "example.org/ana");
    assert_true(is_remembered(fixture, map, ANA));
    fixture_sql(fixture->path,
                "DROP VIEW users;"
                "CREATE VIEW users AS SELECT e AS email FROM t WHERE until > date('now');");
    assert_home(map, ANA, "example.org/ana");
    assert_false(is_remembered(fixture, map, ANA));
}

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        FIXTURE_TEST(mailbox_is_remembered_whole_and_by_its_spelling),
        FIXTURE_TEST(case_variants_answer_alike_before_and_after_a_change),
        FIXTURE_TEST(refusals_are_not_remembered),
        FIXTURE_TEST(change_that_is_written_but_undone_was_never_seen),
        FIXTURE_TEST(number_of_an_interrupted_commit_is_used_again_without_harm),
        FIXTURE_TEST(older_copy_with_the_same_counter_is_another_map),
        FIXTURE_TEST(map_in_wal_mode_is_asked_each_time),
        FIXTURE_TEST(more_addresses_than_are_kept_make_room_by_forgetting),
        FIXTURE_TEST(view_that_begins_to_look_at_the_clock_is_no_longer_remembered),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(change_rows) + G_N_ELEMENTS(query_rows)];
    size_t count = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
        tests[count++] = fixed[i];
    for (size_t i = 0; i < G_N_ELEMENTS(change_rows); i++)
        tests[count++] = (struct CMUnitTest){.name = change_rows[i].behaviour,
                                             .test_func = check_change,
                                             .initial_state = (void *)&change_rows[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(query_rows); i++)
        tests[count++] = (struct CMUnitTest){.name = query_rows[i].behaviour,
                                             .test_func = check_query,
                                             .initial_state = (void *)&query_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
