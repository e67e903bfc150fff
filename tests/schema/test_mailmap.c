/* tests/schema/test_mailmap.c - whose mailbox is this address? */
#include "tests/schema/map_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

static const char rows_sql[] =
    "INSERT INTO domains (domain) VALUES ('example.org'), ('catch.example'), ('strasse.example');"
    "INSERT INTO domains (domain, domain_utf8) VALUES ('xn--mnchen-3ya.example', "
    "'münchen.example'),"
    " ('xn--strae-oqa.example', 'straße.example');"
    "INSERT INTO domains (domain, active) VALUES ('off.example', 0);"
    "INSERT INTO domains (domain, home, maildir, uid, gid, user_quota_bytes,"
    " user_quota_messages, sieve, quota_bytes, quota_messages, max_message_bytes, quota_over)"
    " VALUES ('defaults.example', '/srv/%d/%n', 'mail', 2000, 2001, 1000, 10, '%h/dom.sieve',"
    " 5000, 50, 200, 'ramp');"
    "INSERT INTO users (email) VALUES ('ana@example.org'), ('bob+lists@example.org'),"
    " ('bob@example.org'), ('\"a b\"@example.org'), ('+plus@example.org'), "
    "('owner-list@example.org'),"
    " ('owner@example.org'), ('ana@xn--mnchen-3ya.example'), ('jörg@example.org'),"
    " ('ana@strasse.example'), ('ana@catch.example'), ('ix@example.org'), ('ana@off.example'),"
    " ('inherits@defaults.example');"
    "INSERT INTO users (email, active) VALUES ('gone@example.org', 0), ('gone@catch.example', 0);"
    "INSERT INTO users (email, home) VALUES ('@catch.example', 'catch.example/all');"
    "INSERT INTO users (email, home, maildir, uid, gid, quota_bytes, quota_messages, sieve,"
    " max_message_bytes, quota_over)"
    " VALUES ('own@defaults.example', 'own', '.', 3000, 3001, 0, 5, 'own.sieve', 0, 'defer');";

typedef struct {
    const char *behaviour;
    const char *address;
    const char *user; /* NULL: code is the error */
    MailmapMatch match;
    const char *detail;
    MailmapError code;
} Row;

#define FOUND(behaviour, address, user, match, detail)             \
    {                                                              \
        behaviour, address, user, MAILMAP_MATCH_##match, detail, 0 \
    }
#define FAILS(behaviour, address, code)                         \
    {                                                           \
        behaviour, address, NULL, 0, NULL, MAILMAP_ERROR_##code \
    }

static const Row rows[] = {
    FOUND("full_address_is_found", "ana@example.org", "ana@example.org", ADDRESS, NULL),
    FOUND("case_does_not_count", "ANA@Example.ORG", "ana@example.org", ADDRESS, NULL),
    FOUND("trailing_dot_names_the_same_domain", "ana@example.org.", "ana@example.org", ADDRESS,
          NULL),
    FOUND("detail_is_taken_off_when_the_full_address_has_no_row", "Ana+Lists@example.org",
          "ana@example.org", WITHOUT_DETAIL, "Lists"),
    FOUND("full_address_with_detail_comes_first", "bob+lists@example.org", "bob+lists@example.org",
          ADDRESS, NULL),
    FOUND("split_is_at_the_first_delimiter", "bob+a+b@example.org", "bob@example.org",
          WITHOUT_DETAIL, "a+b"),
    FOUND("delimiter_at_the_start_is_part_of_the_name", "+plus@example.org", "+plus@example.org",
          ADDRESS, NULL),
    FAILS("name_that_begins_with_the_delimiter_is_not_split", "+plus+x@example.org",
          UNKNOWN_ADDRESS),
    FOUND("quoted_local_part_is_found", "\"a b\"@example.org", "\"a b\"@example.org", ADDRESS,
          NULL),
    FOUND("quotes_that_are_not_needed_do_not_count", "\"ana\"@example.org", "ana@example.org",
          ADDRESS, NULL),
    FOUND("quoted_pairs_are_undone", "\"\\a\\n\\a\"@example.org", "ana@example.org", ADDRESS, NULL),
    FOUND("detail_of_a_quoted_local_part", "\"ana+x y\"@example.org", "ana@example.org",
          WITHOUT_DETAIL, "x y"),
    FOUND("u_label_finds_the_a_label_row", "ana@münchen.example", "ana@xn--mnchen-3ya.example",
          ADDRESS, NULL),
    FOUND("u_label_in_capitals_too", "ana@MÜNCHEN.example", "ana@xn--mnchen-3ya.example", ADDRESS,
          NULL),
    FOUND("u_label_decomposed_too", "ana@mu\xcc\x88nchen.example", "ana@xn--mnchen-3ya.example",
          ADDRESS, NULL),
    FOUND("a_label_in_capitals_too", "ana@XN--MNCHEN-3YA.example", "ana@xn--mnchen-3ya.example",
          ADDRESS, NULL),
    FAILS("sharp_s_is_not_double_s_of_another_domain", "ana@straße.example", UNKNOWN_ADDRESS),
    FOUND("utf8_local_part_is_folded", "JÖRG@example.org", "jörg@example.org", ADDRESS, NULL),
    FOUND("utf8_local_part_is_composed", "jo\xcc\x88rg@example.org", "jörg@example.org", ADDRESS,
          NULL),
    FAILS("dotted_capital_i_is_not_a_plain_i", "İx@example.org", UNKNOWN_ADDRESS),
    FOUND("catch_all_takes_who_has_no_row", "who@catch.example", "@catch.example", CATCH_ALL, NULL),
    FOUND("catch_all_keeps_the_detail", "who+x@catch.example", "@catch.example", CATCH_ALL, "x"),
    FOUND("catch_all_leaves_real_users_alone", "ana+y@catch.example", "ana@catch.example",
          WITHOUT_DETAIL, "y"),
    FAILS("inactive_user_is_a_distinct_answer", "gone@example.org", INACTIVE),
    FAILS("inactive_user_does_not_fall_into_the_catch_all", "gone@catch.example", INACTIVE),
    FAILS("inactive_user_with_detail_does_not_either", "gone+x@catch.example", INACTIVE),
    FAILS("user_of_an_inactive_domain_is_inactive", "ana@off.example", INACTIVE),
    FAILS("unknown_user", "nobody@example.org", UNKNOWN_ADDRESS),
    FAILS("unknown_domain", "ana@elsewhere.example", UNKNOWN_ADDRESS),
    FAILS("address_literal_has_no_mailbox", "ana@[192.0.2.1]", UNKNOWN_ADDRESS),
    FAILS("catch_all_row_is_no_address", "@catch.example", BAD_ADDRESS),
    FAILS("no_at_sign", "ana", BAD_ADDRESS),
    FAILS("empty_address", "", BAD_ADDRESS),
    FAILS("empty_domain", "ana@", BAD_ADDRESS),
    FAILS("two_at_signs", "ana@b@example.org", BAD_ADDRESS),
    FAILS("blank_without_quotes", "a b@example.org", BAD_ADDRESS),
    FAILS("open_quote", "\"ana@example.org", BAD_ADDRESS),
    FAILS("open_quoted_pair", "\"ana\\", BAD_ADDRESS),
    FAILS("line_feed", "ana\n@example.org", BAD_ADDRESS),
    FAILS("bytes_that_are_not_utf8", "an\xff@example.org", BAD_ADDRESS),
    FAILS("empty_label", "ana@example..org", BAD_ADDRESS),
    FAILS("slash_in_the_domain", "ana@../../etc", BAD_ADDRESS),
    FAILS("injection_is_only_a_strange_name", "'or'1'='1@example.org", UNKNOWN_ADDRESS),
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_map(fixture, rows_sql);
    {
        const MailmapOptions options = fixture_options(fixture);
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_autoptr(Mailbox) mailbox = mailmap_lookup(map, row->address, &error);

        if (row->user == NULL) {
            assert_null(mailbox);
            assert_map_error(error, row->code);
        } else {
            if (mailbox == NULL)
                fail_msg("%s", error->message);
            assert_string_equal(mailbox->user, row->user);
            assert_int_equal(mailbox->match, row->match);
            if (row->detail == NULL)
                assert_null(mailbox->detail);
            else
                assert_string_equal(mailbox->detail, row->detail);
        }
    }
    fixture_tear_down((void **)&fixture);
}

static void
row_says_nothing_and_the_domain_neither(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "Ana+X@EXAMPLE.org", NULL);

    assert_non_null(mailbox);
    assert_string_equal(mailbox->address, "ana+x@example.org");
    assert_null(mailbox->home);
    assert_null(mailbox->maildir);
    assert_null(mailbox->sieve);
    assert_int_equal(mailbox->uid, -1);
    assert_int_equal(mailbox->gid, -1);
    assert_int_equal(mailbox->quota_bytes, -1);
    assert_int_equal(mailbox->quota_messages, -1);
    assert_int_equal(mailbox->max_message_bytes, -1);
    assert_int_equal(mailbox->domain_quota_bytes, 0);
    assert_int_equal(mailbox->domain_quota_messages, 0);
    assert_int_equal(mailbox->quota_over, MAILMAP_OVER_DEFAULT);
}

static void
domain_fills_in_what_the_user_leaves_open(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "inherits@defaults.example", NULL);

    assert_non_null(mailbox);
    assert_string_equal(mailbox->home, "/srv/%d/%n");
    assert_string_equal(mailbox->maildir, "mail");
    assert_string_equal(mailbox->sieve, "%h/dom.sieve");
    assert_int_equal(mailbox->uid, 2000);
    assert_int_equal(mailbox->gid, 2001);
    assert_int_equal(mailbox->quota_bytes, 1000);
    assert_int_equal(mailbox->quota_messages, 10);
    assert_int_equal(mailbox->max_message_bytes, 200);
    assert_int_equal(mailbox->domain_quota_bytes, 5000);
    assert_int_equal(mailbox->domain_quota_messages, 50);
    assert_int_equal(mailbox->quota_over, MAILMAP_OVER_RAMP);
}

static void
user_overrides_the_domain_also_with_no_limit(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "own@defaults.example", NULL);

    assert_non_null(mailbox);
    assert_string_equal(mailbox->home, "own");
    assert_string_equal(mailbox->maildir, ".");
    assert_string_equal(mailbox->sieve, "own.sieve");
    assert_int_equal(mailbox->uid, 3000);
    assert_int_equal(mailbox->gid, 3001);
    assert_int_equal(mailbox->quota_bytes, 0);
    assert_int_equal(mailbox->quota_messages, 5);
    assert_int_equal(mailbox->max_message_bytes, 0);
    assert_int_equal(mailbox->domain_quota_bytes, 5000);
    assert_int_equal(mailbox->quota_over, MAILMAP_OVER_DEFER);
}

static void
every_character_of_recipient_delimiter_delimits(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    options.recipient_delimiter = "+-";
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) hyphen = mailmap_lookup(map, "ana-x+y@example.org", NULL);
    g_autoptr(Mailbox) plus = mailmap_lookup(map, "ana+x-y@example.org", NULL);

    assert_non_null(hyphen);
    assert_string_equal(hyphen->detail, "x+y");
    assert_non_null(plus);
    assert_string_equal(plus->detail, "x-y");
}

static void
list_owner_addresses_are_not_split_at_a_hyphen(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    options.recipient_delimiter = "-";
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_null(mailmap_lookup(map, "owner-other@example.org", NULL));
    assert_null(mailmap_lookup(map, "ana-request@example.org", NULL));
}

static void
without_delimiter_nothing_is_split(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_map(fixture, rows_sql);
    options.recipient_delimiter = "";
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_null(mailmap_lookup(map, "ana+x@example.org", &error));
    assert_map_error(error, MAILMAP_ERROR_UNKNOWN_ADDRESS);
}

static void
local_part_keeps_its_case_when_told_so(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, "INSERT INTO domains (domain) VALUES ('example.org');"
                         "INSERT INTO users (email) VALUES ('Ana@example.org')");
    options.fold_local_part = false;
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) same = mailmap_lookup(map, "Ana+x@EXAMPLE.org", NULL);

    assert_non_null(same);
    assert_null(mailmap_lookup(map, "ana@example.org", NULL));
}

static void
map_locked_by_another_process_is_unavailable_and_then_answers_again(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) open_error = NULL;
    sqlite3 *other = NULL;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);

    assert_null(mailmap_lookup(map, "ana@example.org", &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, fixture->path));
    assert_non_null(strstr(error->message, "locked"));
    assert_null(mailmap_open(&options, &open_error));
    assert_map_error(open_error, MAILMAP_ERROR_UNAVAILABLE);

    sqlite3_close(other);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);
    assert_non_null(mailbox);
}

static void
change_by_another_process_is_seen_at_once(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    assert_null(mailmap_lookup(map, "new@example.org", NULL));
    fixture_sql(fixture->path, "INSERT INTO users (email) VALUES ('new@example.org')");
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "new@example.org", NULL);
    assert_non_null(mailbox);
}

static void
missing_map_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, fixture->path));
    assert_non_null(strstr(error->message, g_strerror(ENOENT)));
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
}

static void
directory_in_place_of_the_map_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    options.path = fixture->dir;
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
}

static void
file_that_is_no_database_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autofree char *noise = g_strnfill(5000, 'x');
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(fixture->path, noise, -1, NULL));
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, fixture->path));
}

/* Overwrites every page but the first, which holds the schema. */
static void
damage(const char *path)
{
    g_autofree char *noise = g_strnfill(4096, 'x');
    lodge_autofd fd = open(path, O_WRONLY | O_CLOEXEC);
    struct stat info;

    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = 4096; at < info.st_size; at += 4096)
        assert_int_equal(pwrite(fd, noise, 4096, at), 4096);
}

static void
damaged_map_is_unavailable_and_never_unknown(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_map(fixture, rows_sql);
    damage(fixture->path);
    Mailmap *map = mailmap_open(&options, &error);
    if (map != NULL)
        assert_null(mailmap_lookup(map, "ana@example.org", &error));
    mailmap_close(map);
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, fixture->path));
}

static void
newer_map_is_refused(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_map(fixture, rows_sql);
    fixture_sql(fixture->path, "PRAGMA user_version = 9999");
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "9999"));
    assert_non_null(strstr(error->message, fixture->path));
}

static void
empty_file_is_an_outdated_map(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(fixture->path, "", 0, NULL));
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
}

static void
database_of_something_else_is_refused(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_sql(fixture->path,
                "CREATE TABLE users (email TEXT); CREATE TABLE domains (domain TEXT)");
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "not a lodge map"));
}

static void
map_replaced_by_another_file_is_followed(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autofree char *other = g_build_filename(fixture->dir, "new.db", NULL);
    const Fixture fresh = {.dir = fixture->dir, .path = other};

    fixture_map(fixture, rows_sql);
    fixture_map(&fresh, "INSERT INTO domains (domain) VALUES ('new.example');"
                        "INSERT INTO users (email) VALUES ('eva@new.example')");
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) before = mailmap_lookup(map, "ana@example.org", NULL);
    assert_non_null(before);

    assert_int_equal(rename(other, fixture->path), 0);
    g_autoptr(Mailbox) after = mailmap_lookup(map, "eva@new.example", NULL);
    assert_non_null(after);
    assert_null(mailmap_lookup(map, "ana@example.org", NULL));
}

static void
map_replaced_by_a_broken_file_is_unavailable_until_it_is_mended(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autofree char *aside = g_build_filename(fixture->dir, "aside.db", NULL);
    g_autofree char *noise = g_strnfill(5000, 'x');

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    assert_int_equal(rename(fixture->path, aside), 0);
    for (int i = 0; i < 3; i++) {
        g_autoptr(GError) error = NULL;

        assert_null(mailmap_lookup(map, "ana@example.org", &error));
        assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
        if (i == 0)
            assert_true(g_file_set_contents(fixture->path, noise, -1, NULL));
    }
    assert_int_equal(rename(aside, fixture->path), 0);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);
    assert_non_null(mailbox);
}

/* Exit status of a child that has no rights but those of "nobody". */
static int
look_up_as_nobody(const MailmapOptions *options, MailmapError expected)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        g_autoptr(GError) error = NULL;
        Mailmap *map;

        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        map = mailmap_open(options, &error);
        if (map != NULL)
            _exit(mailmap_lookup(map, "ana@example.org", NULL) != NULL ? 0 : 3);
        _exit(g_error_matches(error, MAILMAP_ERROR, (int)expected) ? 10 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

/* Copies a file as it is now, while SQLite has it open: what a power cut leaves. */
static void
snapshot(const char *from, const char *to, const char *suffix)
{
    g_autofree char *source = g_strconcat(from, suffix, NULL);
    g_autofree char *target = g_strconcat(to, suffix, NULL);
    g_autofree char *bytes = NULL;
    gsize size;

    assert_true(g_file_get_contents(source, &bytes, &size, NULL));
    assert_true(g_file_set_contents(target, bytes, (gssize)size, NULL));
}

/* A map with a change half-way in the file and the journal that undoes it. */
static void
interrupt_a_change(const Fixture *fixture)
{
    g_autofree char *work = g_build_filename(fixture->dir, "work.db", NULL);
    const Fixture other = {.dir = fixture->dir, .path = work};
    sqlite3 *db = NULL;

    fixture_map(&other, rows_sql);
    assert_int_equal(sqlite3_open(work, &db), SQLITE_OK);
    /* A tiny cache makes SQLite write pages before the commit. */
    assert_int_equal(
        sqlite3_exec(
            db,
            "PRAGMA cache_size = 2; BEGIN; UPDATE users SET active = 0;"
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO users (email) SELECT 'u' || i || '@example.org' FROM n",
            NULL, NULL, NULL),
        SQLITE_OK);
    snapshot(work, fixture->path, "");
    snapshot(work, fixture->path, "-journal");
    sqlite3_close(db);
}

static void
interrupted_change_is_undone_when_the_map_is_opened(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    interrupt_a_change(fixture);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);
    assert_non_null(mailbox);
    assert_null(mailmap_lookup(map, "u1@example.org", NULL));
}

static void
interrupted_change_without_the_right_to_undo_it_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autofree char *journal = g_strconcat(fixture->path, "-journal", NULL);

    interrupt_a_change(fixture);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(chmod(journal, 0444), 0);
    assert_int_equal(chmod(fixture->dir, 0555), 0);
    assert_int_equal(look_up_as_nobody(&options, MAILMAP_ERROR_UNAVAILABLE), 10);
    assert_int_equal(chmod(fixture->dir, 0755), 0);
}

static void
lookup_writes_nothing(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    gsize size_before;
    gsize size_after;

    fixture_map(fixture, rows_sql);
    assert_true(g_file_get_contents(fixture->path, &before, &size_before, NULL));
    {
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);

        assert_non_null(mailbox);
    }
    assert_true(g_file_get_contents(fixture->path, &after, &size_after, NULL));
    assert_int_equal(size_before, size_after);
    assert_memory_equal(before, after, size_before);
}

static void
reader_needs_no_right_to_write_file_or_directory(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(chmod(fixture->dir, 0555), 0);
    assert_int_equal(look_up_as_nobody(&options, MAILMAP_ERROR_UNAVAILABLE), 0);
    assert_int_equal(chmod(fixture->dir, 0755), 0);
}

static void
map_that_may_not_be_read_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_map(fixture, rows_sql);
    assert_int_equal(chmod(fixture->path, 0), 0);
    assert_int_equal(chmod(fixture->dir, 0755), 0);
    assert_int_equal(look_up_as_nobody(&options, MAILMAP_ERROR_UNAVAILABLE), 10);
}

static void
preset_that_does_not_exist_is_named_with_those_that_do(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    options.preset = "nonesuch";
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "nonesuch"));
    assert_non_null(strstr(error->message, "postfixadmin"));
}

static void
all_mailboxes_of_a_domain_are_told_and_found_by_their_keys(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    char **users = NULL;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_true(mailmap_users(map, "catch.example", &users, NULL));
    assert_int_equal(g_strv_length(users), 3);
    for (char **user = users; *user != NULL; user++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Mailbox) mailbox = mailmap_user(map, *user, &error);

        if (mailbox != NULL)
            assert_string_equal(mailbox->user, *user);
        else
            assert_true(g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE));
    }
    assert_true(g_strv_contains((const char *const *)users, "@catch.example"));
    g_strfreev(users);
}

static void
key_of_no_mailbox_is_unknown_though_there_is_a_catch_all(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_null(mailmap_user(map, "who@catch.example", &error));
    assert_true(g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNKNOWN_ADDRESS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(row_says_nothing_and_the_domain_neither),
        FIXTURE_TEST(domain_fills_in_what_the_user_leaves_open),
        FIXTURE_TEST(user_overrides_the_domain_also_with_no_limit),
        FIXTURE_TEST(every_character_of_recipient_delimiter_delimits),
        FIXTURE_TEST(list_owner_addresses_are_not_split_at_a_hyphen),
        FIXTURE_TEST(without_delimiter_nothing_is_split),
        FIXTURE_TEST(local_part_keeps_its_case_when_told_so),
        FIXTURE_TEST(map_locked_by_another_process_is_unavailable_and_then_answers_again),
        FIXTURE_TEST(change_by_another_process_is_seen_at_once),
        FIXTURE_TEST(missing_map_is_unavailable),
        FIXTURE_TEST(directory_in_place_of_the_map_is_unavailable),
        FIXTURE_TEST(file_that_is_no_database_is_unavailable),
        FIXTURE_TEST(damaged_map_is_unavailable_and_never_unknown),
        FIXTURE_TEST(newer_map_is_refused),
        FIXTURE_TEST(empty_file_is_an_outdated_map),
        FIXTURE_TEST(database_of_something_else_is_refused),
        FIXTURE_TEST(map_replaced_by_another_file_is_followed),
        FIXTURE_TEST(map_replaced_by_a_broken_file_is_unavailable_until_it_is_mended),
        FIXTURE_TEST(interrupted_change_is_undone_when_the_map_is_opened),
        FIXTURE_TEST(interrupted_change_without_the_right_to_undo_it_is_unavailable),
        FIXTURE_TEST(lookup_writes_nothing),
        FIXTURE_TEST(reader_needs_no_right_to_write_file_or_directory),
        FIXTURE_TEST(map_that_may_not_be_read_is_unavailable),
        FIXTURE_TEST(all_mailboxes_of_a_domain_are_told_and_found_by_their_keys),
        FIXTURE_TEST(key_of_no_mailbox_is_unknown_though_there_is_a_catch_all),
        FIXTURE_TEST(preset_that_does_not_exist_is_named_with_those_that_do),
    };
    struct CMUnitTest row_tests[G_N_ELEMENTS(rows)];
    int failed;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        row_tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(row_tests, NULL, NULL);
}
