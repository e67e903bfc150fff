/* tests/schema/test_presets.c - other schemas: the presets, and mailbox queries of one's own */
#include "tests/schema/map_fixture.h"

static const char tutorial_sql[] =
    "CREATE TABLE domains (domain VARCHAR(50) NOT NULL, PRIMARY KEY (domain));"
    "CREATE TABLE users (email VARCHAR(80) NOT NULL, password VARCHAR(20) NOT NULL, PRIMARY KEY "
    "(email));"
    "INSERT INTO domains VALUES ('example.org');"
    "INSERT INTO users VALUES ('ana@example.org', 'x'), ('Bob@Example.org', 'x'), ('@example.org', "
    "'x'), ('x%d@example.org', 'x');";

static const char postfixadmin_sql[] =
    "CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY, quota BIGINT, active TINYINT(1));"
    "CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, maildir VARCHAR(255), quota BIGINT,"
    " domain VARCHAR(255), active TINYINT(1));"
    "CREATE TABLE alias_domain (alias_domain VARCHAR(255) PRIMARY KEY, target_domain VARCHAR(255),"
    " active TINYINT(1));"
    "INSERT INTO domain VALUES ('example.org', 3, 1), ('off.example', 0, 0), ('ALL', 0, 1);"
    "INSERT INTO mailbox VALUES ('ana@example.org', 'example.org/ana/', 1000, 'example.org', 1),"
    " ('none@example.org', 'example.org/none/', 0, 'example.org', 1),"
    " ('minus@example.org', 'example.org/minus/', -1, 'example.org', 1),"
    " ('gone@example.org', 'example.org/gone/', 0, 'example.org', 0),"
    " ('dots@example.org', '../etc/', 0, 'example.org', 1),"
    " ('empty@example.org', '  ', 0, 'example.org', 1),"
    " ('pad@example.org', ' example.org/pad/ ', 0, 'example.org', 1),"
    " ('null@example.org', 'example.org/null/', NULL, 'example.org', NULL),"
    " ('Upper@Example.ORG', 'example.org/upper/', 0, 'example.org', '1'),"
    " ('x%n@example.org', 'example.org/x%n/', 0, 'example.org', 1),"
    " ('ana@off.example', 'off.example/ana/', 0, 'off.example', 1);"
    "INSERT INTO alias_domain VALUES ('alias.example', 'example.org', 1),"
    " ('off-alias.example', 'example.org', 0);";

static const char iredmail_sql[] =
    "CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY, active TINYINT(1));"
    "CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, storagebasedirectory VARCHAR(255),"
    " storagenode VARCHAR(255), maildir VARCHAR(255), mailboxfolder VARCHAR(50), quota BIGINT,"
    " domain VARCHAR(255), active TINYINT(1), enabledeliver TINYINT(1), enablelmtp TINYINT(1));"
    "CREATE TABLE alias_domain (alias_domain VARCHAR(255) PRIMARY KEY, target_domain VARCHAR(255),"
    " active TINYINT(1));"
    "INSERT INTO domain VALUES ('example.org', 1);"
    "INSERT INTO mailbox VALUES"
    " ('ana@example.org', '/var/vmail', 'vmail1', 'example.org/a/n/a/ana-2024/', 'Maildir', 100,"
    " 'example.org', 1, 1, 1),"
    " ('other@example.org', '/var/vmail', 'vmail1', 'o/', 'Mail', 0, 'example.org', 1, 1, 1),"
    " ('gone@example.org', '/var/vmail', 'vmail1', 'g/', 'Maildir', 0, 'example.org', 0, 1, 1),"
    " ('nodeliver@example.org', '/var/vmail', 'vmail1', 'n/', '', 0, 'example.org', 1, 0, 1),"
    " ('nolmtp@example.org', '/var/vmail', 'vmail1', 'n/', '', 0, 'example.org', 1, 1, 0);"
    "INSERT INTO alias_domain VALUES ('alias.example', 'example.org', 1);";

typedef struct {
    const char *behaviour;
    const char *preset;
    const char *sql;
    const char *address;
    const char *user; /* NULL: code is the error */
    const char *home;
    const char *maildir;
    gint64 quota_bytes;
    MailmapError code;
} Row;

#define FOUND(behaviour, preset, address, user, home, maildir, quota)            \
    {                                                                            \
        behaviour, #preset, preset##_sql, address, user, home, maildir, quota, 0 \
    }
#define FAILS(behaviour, preset, address, code)                                              \
    {                                                                                        \
        behaviour, #preset, preset##_sql, address, NULL, NULL, NULL, 0, MAILMAP_ERROR_##code \
    }

static const Row rows[] = {
    FOUND("tutorial_computes_the_path", tutorial, "ana@example.org", "ana@example.org",
          "example.org/ana", ".", -1),
    FOUND("tutorial_compares_without_case_and_keeps_the_rows_path", tutorial, "bob+x@EXAMPLE.org",
          "Bob@Example.org", "Example.org/Bob", ".", -1),
    FOUND("tutorial_name_with_a_percent_sign_is_no_variable", tutorial, "x%d@example.org",
          "x%d@example.org", "example.org/x%%d", ".", -1),
    FAILS("tutorial_has_no_catch_all_mailbox", tutorial, "who@example.org", UNKNOWN_ADDRESS),
    FOUND("postfixadmin_takes_the_stored_path_and_octets", postfixadmin, "ana@example.org",
          "ana@example.org", "example.org/ana/", ".", 1000),
    FOUND("postfixadmin_path_with_a_percent_sign_is_no_variable", postfixadmin, "x%n@example.org",
          "x%n@example.org", "example.org/x%%n/", ".", 0),
    FOUND("postfixadmin_compares_without_case", postfixadmin, "upper@example.org",
          "Upper@Example.ORG", "example.org/upper/", ".", 0),
    FOUND("postfixadmin_quota_0_is_none", postfixadmin, "none@example.org", "none@example.org",
          "example.org/none/", ".", 0),
    FOUND("postfixadmin_quota_below_0_is_none", postfixadmin, "minus@example.org",
          "minus@example.org", "example.org/minus/", ".", 0),
    FOUND("postfixadmin_domain_alias_leads_to_the_target", postfixadmin, "ana+x@alias.example",
          "ana@example.org", "example.org/ana/", ".", 1000),
    FAILS("postfixadmin_inactive_domain_alias", postfixadmin, "ana@off-alias.example", INACTIVE),
    FAILS("postfixadmin_inactive_mailbox", postfixadmin, "gone@example.org", INACTIVE),
    FAILS("postfixadmin_inactive_mailbox_behind_an_alias", postfixadmin, "gone@alias.example",
          INACTIVE),
    FAILS("postfixadmin_inactive_domain", postfixadmin, "ana@off.example", INACTIVE),
    FAILS("postfixadmin_unknown_mailbox", postfixadmin, "nobody@example.org", UNKNOWN_ADDRESS),
    FAILS("path_with_two_dots_holds_the_mail", postfixadmin, "dots@example.org", BAD_ROW),
    FOUND("blank_path_is_an_unset_path", postfixadmin, "empty@example.org", "empty@example.org",
          NULL, ".", 0),
    FOUND("padded_path_is_trimmed", postfixadmin, "pad@example.org", "pad@example.org",
          "example.org/pad/", ".", 0),
    FAILS("active_that_is_null_holds_the_mail", postfixadmin, "null@example.org", BAD_ROW),
    FOUND("iredmail_joins_the_path_and_counts_megabytes", iredmail, "ana@example.org",
          "ana@example.org", "/var/vmail/vmail1/example.org/a/n/a/ana-2024/", "Maildir", 104857600),
    FOUND("iredmail_mailboxfolder_and_no_quota", iredmail, "other@example.org", "other@example.org",
          "/var/vmail/vmail1/o/", "Mail", 0),
    FOUND("iredmail_domain_alias_leads_to_the_target", iredmail, "ana@alias.example",
          "ana@example.org", "/var/vmail/vmail1/example.org/a/n/a/ana-2024/", "Maildir", 104857600),
    FAILS("iredmail_inactive_mailbox", iredmail, "gone@example.org", INACTIVE),
    FAILS("iredmail_delivery_switched_off", iredmail, "nodeliver@example.org", INACTIVE),
    FAILS("iredmail_lmtp_switched_off", iredmail, "nolmtp@example.org", INACTIVE),
    FAILS("iredmail_unknown_mailbox", iredmail, "nobody@example.org", UNKNOWN_ADDRESS),
};

static void
assert_text(const char *found, const char *expected)
{
    if (expected == NULL)
        assert_null(found);
    else
        assert_string_equal(found, expected);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_sql(fixture->path, row->sql);
    {
        MailmapOptions options = fixture_options(fixture);

        options.preset = row->preset;
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_autoptr(Mailbox) mailbox = mailmap_lookup(map, row->address, &error);

        if (row->user == NULL) {
            assert_null(mailbox);
            assert_map_error(error, row->code);
        } else {
            if (mailbox == NULL)
                fail_msg("%s", error->message);
            assert_string_equal(mailbox->user, row->user);
            assert_text(mailbox->home, row->home);
            assert_text(mailbox->maildir, row->maildir);
            assert_int_equal(mailbox->quota_bytes, row->quota_bytes);
        }
    }
    fixture_tear_down((void **)&fixture);
}

/* What is forwarded where, in the tables of each schema. */
static const char tutorial_forwardings[] =
    "CREATE TABLE forwardings (source VARCHAR(80) PRIMARY KEY, destination TEXT NOT NULL);"
    "INSERT INTO forwardings VALUES ('Info@example.org', 'ana@example.org, x@elsewhere.example'),"
    " ('@example.org', 'ana@example.org');";

static const char postfixadmin_forwardings[] =
    "CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto TEXT, active TINYINT(1));"
    "INSERT INTO alias VALUES ('ana@example.org', 'ana@example.org', 1),"
    " ('info@example.org', 'ana@example.org,none@example.org', 1),"
    " ('all@example.org', 'info@example.org', 1), ('off@example.org', 'ana@example.org', 0),"
    " ('@example.org', 'none@example.org', 1);";

static const char iredmail_forwardings[] =
    "CREATE TABLE forwardings (id INTEGER PRIMARY KEY, address VARCHAR(255),"
    " forwarding VARCHAR(255), active TINYINT(1));"
    "INSERT INTO forwardings (address, forwarding, active) VALUES"
    " ('ana@example.org', 'ana@example.org', 1), ('info@example.org', 'ana@example.org', 1),"
    " ('info@example.org', 'other@example.org', 1), ('info@example.org', 'gone@example.org', 0),"
    " ('example.org', 'other@example.org', 1);";

typedef struct {
    const char *behaviour;
    const char *preset;
    const char *sql;
    const char *forwardings;
    const char *address;
    const char *ends;
} Destination;

#define LEADS(behaviour, preset, address, ends)                               \
    {                                                                         \
        behaviour, #preset, preset##_sql, preset##_forwardings, address, ends \
    }

static const Destination destinations[] = {
    LEADS("tutorial_list_is_taken_apart", tutorial, "info@example.org",
          "ana@example.org x@elsewhere.example"),
    LEADS("tutorial_user_ends_the_search_in_any_case", tutorial, "bob+x@example.org",
          "bob+x@example.org"),
    LEADS("tutorial_catch_all_takes_the_rest", tutorial, "who@example.org", "ana@example.org"),
    LEADS("postfixadmin_alias_to_itself_is_an_end", postfixadmin, "ana@example.org",
          "ana@example.org"),
    LEADS("postfixadmin_alias_of_an_alias", postfixadmin, "all@example.org",
          "ana@example.org none@example.org"),
    LEADS("postfixadmin_inactive_alias_is_none", postfixadmin, "off@example.org",
          "none@example.org"),
    LEADS("postfixadmin_mailbox_without_alias_is_no_matter_for_the_catch_all", postfixadmin,
          "minus@example.org", "minus@example.org"),
    LEADS("postfixadmin_alias_in_an_alias_domain", postfixadmin, "info@alias.example",
          "ana@example.org none@example.org"),
    LEADS("postfixadmin_inactive_alias_domain_forwards_nothing", postfixadmin,
          "info@off-alias.example", "info@off-alias.example"),
    LEADS("iredmail_rows_are_gathered", iredmail, "info@example.org",
          "ana@example.org other@example.org"),
    LEADS("iredmail_catch_all_is_the_bare_domain", iredmail, "who@example.org",
          "other@example.org"),
    LEADS("iredmail_forwarding_in_an_alias_domain", iredmail, "info@alias.example",
          "ana@example.org other@example.org"),
    LEADS("iredmail_mailbox_without_forwarding_is_no_matter_for_the_catch_all", iredmail,
          "nolmtp@example.org", "nolmtp@example.org"),
};

static void
check_destination(void **state)
{
    const Destination *row = *state;
    g_autoptr(GError) error = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_sql(fixture->path, row->sql);
    fixture_sql(fixture->path, row->forwardings);
    {
        MailmapOptions options = fixture_options(fixture);
        bool is_all = false;

        options.preset = row->preset;
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_auto(GStrv) ends = mailmap_destinations(map, row->address, &is_all, &error);
        if (ends == NULL)
            fail_msg("%s", error->message);
        g_autofree char *text = g_strjoinv(" ", ends);

        assert_string_equal(text, row->ends);
        assert_true(is_all);
    }
    fixture_tear_down((void **)&fixture);
}

static void
own_query_forwards_nothing(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    bool is_all = false;

    fixture_sql(fixture->path, tutorial_sql);
    options.mailbox_query = "SELECT email AS user, 1 AS active, NULL AS home FROM users"
                            " WHERE email = :address";
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_auto(GStrv) ends = mailmap_destinations(map, "info@example.org", &is_all, NULL);

    assert_non_null(ends);
    assert_string_equal(ends[0], "info@example.org");
    assert_null(ends[1]);
    assert_true(is_all);
}

/* Queries that are refused when the map is opened, and a word of the reason. */
typedef struct {
    const char *behaviour;
    const char *query;
    const char *reason;
} Refusal;

static const Refusal refusals[] = {
    {"query_without_user_column", "SELECT 1 AS active, NULL AS home WHERE :address", "'user'"},
    {"query_without_active_column", "SELECT 'a@b' AS user, NULL AS home WHERE :address",
     "'active'"},
    {"query_without_home_column", "SELECT 'a@b' AS user, 1 AS active WHERE :address", "'home'"},
    {"query_with_a_misspelt_column",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home, 5 AS quota_byte WHERE :address",
     "'quota_byte'"},
    {"query_with_a_column_twice",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home, 2 AS active WHERE :address", "twice"},
    {"query_with_a_misspelt_parameter",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home WHERE :address AND :adress", "':adress'"},
    {"query_with_a_nameless_parameter",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home WHERE :address AND ?", "'?'"},
    {"query_with_another_mark_for_parameters",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home WHERE :address AND @domain", "'@domain'"},
    {"query_that_gives_everybody_the_same_mailbox",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home", "neither"},
    {"query_of_two_statements",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home WHERE :address; SELECT 1", "single"},
    {"query_with_rubbish_behind_it",
     "SELECT 'a@b' AS user, 1 AS active, NULL AS home WHERE :address; rubbish", "single"},
    {"query_that_changes_the_map", "DELETE FROM t WHERE email = :address", "SELECT"},
    {"query_that_changes_the_map_and_answers",
     "DELETE FROM t WHERE email = :address RETURNING email AS user, 1 AS active, NULL AS home",
     "SELECT"},
    {"query_that_is_a_transaction", "BEGIN", "SELECT"},
    {"query_of_a_missing_table",
     "SELECT email AS user, 1 AS active, NULL AS home FROM nonesuch WHERE email = :address",
     "nonesuch"},
    {"query_with_a_syntax_error", "SELEKT", "SELEKT"},
    {"query_of_blanks", "  ", "empty"},
    {"query_that_is_a_comment", "-- nothing", "empty"},
};

static void
check_refusal(void **state)
{
    const Refusal *row = *state;
    g_autoptr(GError) error = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_sql(fixture->path,
                "CREATE TABLE t (email TEXT, value); INSERT INTO t VALUES ('a@b', 1)");
    {
        MailmapOptions options = fixture_options(fixture);

        options.mailbox_query = row->query;
        assert_null(mailmap_open(&options, &error));
    }
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "mailbox_query"));
    if (strstr(error->message, row->reason) == NULL)
        fail_msg("%s", error->message);
    fixture_tear_down((void **)&fixture);
}

/* Values of one column as hand-edited tables have them. */
typedef struct {
    const char *behaviour;
    const char *column;
    const char *value; /* SQL */
    bool good;
    gint64 number;    /* of uid, quota_bytes, quota_over */
    const char *text; /* of home */
} Value;

static const Value values[] = {
    {"uid_that_is_null_is_unset", "uid", "NULL", true, -1, NULL},
    {"uid_that_is_empty_is_unset", "uid", "''", true, -1, NULL},
    {"uid_stored_as_text_is_a_number", "uid", "'5000'", true, 5000, NULL},
    {"uid_of_root_holds_the_mail", "uid", "0", false, 0, NULL},
    {"uid_below_0_holds_the_mail", "uid", "-5", false, 0, NULL},
    {"uid_past_32_bits_holds_the_mail", "uid", "4294967296", false, 0, NULL},
    {"uid_that_is_a_name_holds_the_mail", "uid", "'vmail'", false, 0, NULL},
    {"quota_that_is_null_is_unset", "quota_bytes", "NULL", true, -1, NULL},
    {"quota_of_0_is_none", "quota_bytes", "0", true, 0, NULL},
    {"quota_of_63_bits_is_taken", "quota_bytes", "9223372036854775807", true, G_MAXINT64, NULL},
    {"quota_below_0_holds_the_mail", "quota_bytes", "-1", false, 0, NULL},
    {"quota_with_a_unit_holds_the_mail", "quota_bytes", "'10M'", false, 0, NULL},
    {"quota_with_a_fraction_holds_the_mail", "quota_bytes", "1.5", false, 0, NULL},
    {"quota_over_of_any_case_is_taken", "quota_over", "'Defer '", true, MAILMAP_OVER_DEFER, NULL},
    {"quota_over_that_is_empty_is_unset", "quota_over", "''", true, MAILMAP_OVER_DEFAULT, NULL},
    {"quota_over_of_another_word_holds_the_mail", "quota_over", "'bounce'", false, 0, NULL},
    {"home_with_two_dots_inside_holds_the_mail", "home", "'a/../b'", false, 0, NULL},
    {"home_that_is_two_dots_holds_the_mail", "home", "'..'", false, 0, NULL},
    {"home_with_a_name_of_dots_is_taken", "home", "'a/..b/...'", true, 0, "a/..b/..."},
    {"home_with_nul_holds_the_mail", "home", "'a' || char(0) || 'b'", false, 0, NULL},
    {"home_with_a_line_feed_holds_the_mail", "home", "'a' || char(10)||'b'", false, 0, NULL},
    {"home_that_is_not_utf8_holds_the_mail", "home", "CAST(x'41ff' AS TEXT)", false, 0, NULL},
    {"user_that_is_null_holds_the_mail", "user", "NULL", false, 0, NULL},
    {"user_without_domain_holds_the_mail", "user", "'ana'", false, 0, NULL},
    {"user_with_an_empty_domain_holds_the_mail", "user", "'ana@'", false, 0, NULL},
    {"catch_all_user_without_home_holds_the_mail", "user", "'@b'", false, 0, NULL},
    {"active_true_as_in_postgresql_is_active", "active", "'t'", true, 0, NULL},
    {"active_2_as_in_mailcow_is_active", "active", "2", true, 0, NULL},
    {"active_of_any_other_word_holds_the_mail", "active", "'maybe'", false, 0, NULL},
};

static void
check_value(void **state)
{
    const Value *row = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *query = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_sql(fixture->path, "CREATE TABLE t (email TEXT)");
    query = g_strdup_printf("SELECT %s AS user, %s AS active, %s AS home, %s AS uid, %s AS "
                            "quota_bytes, %s AS quota_over WHERE :address = 'a@b';",
                            strcmp(row->column, "user") == 0 ? row->value : "'a@b'",
                            strcmp(row->column, "active") == 0 ? row->value : "1",
                            strcmp(row->column, "home") == 0 ? row->value : "NULL",
                            strcmp(row->column, "uid") == 0 ? row->value : "NULL",
                            strcmp(row->column, "quota_bytes") == 0 ? row->value : "0",
                            strcmp(row->column, "quota_over") == 0 ? row->value : "NULL");
    {
        MailmapOptions options = fixture_options(fixture);

        options.mailbox_query = query;
        g_autoptr(Mailmap) map = fixture_open(&options);
        g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "a@b", &error);

        if (!row->good) {
            assert_null(mailbox);
            assert_map_error(error, MAILMAP_ERROR_BAD_ROW);
            assert_non_null(strstr(error->message, "a@b"));
        } else {
            assert_non_null(mailbox);
            if (strcmp(row->column, "uid") == 0)
                assert_int_equal(mailbox->uid, row->number);
            if (strcmp(row->column, "quota_bytes") == 0)
                assert_int_equal(mailbox->quota_bytes, row->number);
            if (strcmp(row->column, "quota_over") == 0)
                assert_int_equal(mailbox->quota_over, row->number);
            assert_text(mailbox->home, row->text);
        }
    }
    fixture_tear_down((void **)&fixture);
}

static void
postfixadmin_domain_has_a_total_in_megabytes(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_sql(fixture->path, postfixadmin_sql);
    options.preset = "postfixadmin";
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) own = mailmap_lookup(map, "ana@example.org", NULL);
    g_autoptr(Mailbox) by_alias = mailmap_lookup(map, "ana@alias.example", NULL);

    assert_int_equal(own->domain_quota_bytes, 3 * 1048576);
    assert_int_equal(by_alias->domain_quota_bytes, 3 * 1048576);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
assert_users(const Fixture *fixture, const char *preset, const char *expected)
{
    MailmapOptions options = fixture_options(fixture);
    char **users = NULL;

    options.preset = preset;
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_true(mailmap_users(map, "example.org", &users, NULL));
    qsort(users, g_strv_length(users), sizeof *users, compare_texts);
    g_autofree char *joined = g_strjoinv(" ", users);

    assert_string_equal(joined, expected);
    for (char **user = users; *user != NULL; user++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Mailbox) mailbox = mailmap_user(map, *user, &error);

        if (mailbox != NULL)
            assert_string_equal(mailbox->user, *user);
        else
            assert_true(error->domain == MAILMAP_ERROR);
    }
    g_strfreev(users);
}

static void
tutorial_tells_all_users_of_a_domain(void **state)
{
    const Fixture *fixture = *state;

    fixture_sql(fixture->path, tutorial_sql);
    assert_users(fixture, "tutorial",
                 "@example.org Bob@Example.org ana@example.org x%d@example.org");
}

static void
postfixadmin_tells_all_users_of_a_domain_and_none_of_another(void **state)
{
    const Fixture *fixture = *state;

    fixture_sql(fixture->path, postfixadmin_sql);
    assert_users(fixture, "postfixadmin",
                 "Upper@Example.ORG ana@example.org dots@example.org empty@example.org "
                 "gone@example.org minus@example.org none@example.org null@example.org "
                 "pad@example.org x%n@example.org");
}

static void
iredmail_tells_all_users_of_a_domain(void **state)
{
    const Fixture *fixture = *state;

    fixture_sql(fixture->path, iredmail_sql);
    assert_users(fixture, "iredmail",
                 "ana@example.org gone@example.org nodeliver@example.org nolmtp@example.org "
                 "other@example.org");
}

static void
own_query_cannot_tell_all_users(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    char *nothing[] = {NULL};
    char **users = nothing;

    fixture_sql(fixture->path, tutorial_sql);
    options.preset = "tutorial";
    options.mailbox_query = "SELECT email AS user, 1 AS active, NULL AS home FROM users"
                            " WHERE email = :address";
    g_autoptr(Mailmap) map = fixture_open(&options);

    assert_true(mailmap_users(map, "example.org", &users, NULL));
    assert_null(users);
}

static void
own_query_gets_address_local_part_and_domain(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_sql(fixture->path, "CREATE TABLE t (email TEXT)");
    options.mailbox_query =
        "SELECT :local || '@' || :domain AS user, 1 AS active, :address AS home "
        "WHERE :local <> 'ana+x' -- the end";
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "Ana+x@Example.org", NULL);

    assert_non_null(mailbox);
    assert_string_equal(mailbox->user, "ana@example.org");
    assert_string_equal(mailbox->home, "ana@example.org");
    assert_int_equal(mailbox->match, MAILMAP_MATCH_WITHOUT_DETAIL);
}

/* One row, one mailbox: the query finds it in any case, whatever is folded. */
static void
tutorial_user_has_one_home_though_case_is_kept(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);

    fixture_sql(fixture->path, tutorial_sql);
    options.preset = "tutorial";
    options.fold_local_part = false;
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ANA@example.org", NULL);

    assert_non_null(mailbox);
    assert_string_equal(mailbox->home, "example.org/ana");
}

static void
preset_on_the_wrong_schema_names_what_is_missing(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_sql(fixture->path, tutorial_sql);
    options.preset = "postfixadmin";
    assert_null(mailmap_open(&options, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "mailbox"));
}

static void
table_that_vanishes_later_is_unavailable_and_not_unknown(void **state)
{
    const Fixture *fixture = *state;
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;

    fixture_sql(fixture->path, tutorial_sql);
    options.preset = "tutorial";
    g_autoptr(Mailmap) map = fixture_open(&options);
    fixture_sql(fixture->path, "DROP TABLE users");
    assert_null(mailmap_lookup(map, "ana@example.org", &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
}

#define RUN_TABLE(table, function)                                                    \
    ({                                                                                \
        struct CMUnitTest row_tests[G_N_ELEMENTS(table)];                             \
                                                                                      \
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++)                              \
            row_tests[i] = (struct CMUnitTest){.name = (table)[i].behaviour,          \
                                               .test_func = (function),               \
                                               .initial_state = (void *)&(table)[i]}; \
        cmocka_run_group_tests(row_tests, NULL, NULL);                                \
    })

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(postfixadmin_domain_has_a_total_in_megabytes),
        FIXTURE_TEST(tutorial_tells_all_users_of_a_domain),
        FIXTURE_TEST(postfixadmin_tells_all_users_of_a_domain_and_none_of_another),
        FIXTURE_TEST(iredmail_tells_all_users_of_a_domain),
        FIXTURE_TEST(own_query_cannot_tell_all_users),
        FIXTURE_TEST(own_query_gets_address_local_part_and_domain),
        FIXTURE_TEST(own_query_forwards_nothing),
        FIXTURE_TEST(tutorial_user_has_one_home_though_case_is_kept),
        FIXTURE_TEST(preset_on_the_wrong_schema_names_what_is_missing),
        FIXTURE_TEST(table_that_vanishes_later_is_unavailable_and_not_unknown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    failed += RUN_TABLE(rows, check_row);
    failed += RUN_TABLE(destinations, check_destination);
    failed += RUN_TABLE(refusals, check_refusal);
    return failed + RUN_TABLE(values, check_value);
}
