/* tests/schema/test_mapedit.c - adding, listing, changing and removing rows */
#include "tests/schema/map_fixture.h"

#include "schema/migrate.h"

#include <sys/stat.h>
#include <sys/wait.h>

static Mapedit *
open_edit(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    Mapedit *edit = mapedit_open(fixture->path, 20, &error);

    if (edit == NULL)
        fail_msg("%s", error->message);
    return edit;
}

/* A new map with the domain example.org, open for editing. */
static Mapedit *
start(const Fixture *fixture)
{
    fixture_map(fixture, "INSERT INTO domains (domain) VALUES ('example.org')");
    return open_edit(fixture);
}

/* Column and value in turn, up to NULL. */
static GHashTable *
make_values(const char *first, ...)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    va_list args;

    va_start(args, first);
    for (const char *name = first; name != NULL; name = va_arg(args, const char *))
        g_hash_table_insert(table, g_strdup(name), g_strdup(va_arg(args, const char *)));
    va_end(args);
    return table;
}

typedef bool (*Change)(Mapedit *, MapeditTable, const char *, GHashTable *, GError **);

static bool
change(Change function, Mapedit *edit, MapeditTable table, const char *key, const char *column,
       const char *value, GError **error)
{
    g_autoptr(GHashTable) table_values =
        column != NULL ? make_values(column, value, NULL) : make_values(NULL);

    return function(edit, table, key, table_values, error);
}

static void
must_add(Mapedit *edit, MapeditTable table, const char *key, const char *column, const char *value)
{
    g_autoptr(GError) error = NULL;

    if (!change(mapedit_add, edit, table, key, column, value, &error))
        fail_msg("%s", error->message);
}

static size_t
column_index(MapeditTable table, const char *name)
{
    size_t count;
    const MapeditColumn *columns = mapedit_columns(table, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(columns[i].name, name) == 0)
            return i;
    fail_msg("no column %s", name);
    return 0;
}

/* The one value of the one row with that key. */
static char *
get(Mapedit *edit, MapeditTable table, const char *key, const char *column)
{
    g_autoptr(GPtrArray) rows = mapedit_list(edit, table, key, NULL, NULL);

    assert_non_null(rows);
    assert_int_equal(rows->len, 1);
    return g_strdup(((char **)g_ptr_array_index(rows, 0))[column_index(table, column)]);
}

static void
assert_value(Mapedit *edit, MapeditTable table, const char *key, const char *column,
             const char *expected)
{
    g_autofree char *found = get(edit, table, key, column);

    if (expected == NULL)
        assert_null(found);
    else
        assert_string_equal(found, expected);
}

static void
new_map_is_readable_for_its_group_only_whatever_the_umask(void **state)
{
    const Fixture *fixture = *state;
    mode_t before = umask(0077);
    struct stat info;

    assert_true(mapedit_create(fixture->path, NULL));
    umask(before);
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

static void
new_map_is_not_in_wal_mode(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *bytes = NULL;

    assert_true(mapedit_create(fixture->path, NULL));
    assert_true(g_file_get_contents(fixture->path, &bytes, NULL, NULL));
    /* SQLite's file format, offsets 18 and 19: 1 is the rollback journal. */
    assert_int_equal(bytes[18], 1);
    assert_int_equal(bytes[19], 1);
}

static void
map_in_wal_mode_is_taken_back(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *bytes = NULL;

    fixture_map(fixture, "PRAGMA journal_mode = WAL");
    mapedit_close(open_edit(fixture));
    assert_true(g_file_get_contents(fixture->path, &bytes, NULL, NULL));
    assert_int_equal(bytes[18], 1);
}

static void
creating_over_an_existing_file_changes_nothing(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;

    assert_true(g_file_set_contents(fixture->path, "precious", -1, NULL));
    assert_false(mapedit_create(fixture->path, &error));
    assert_map_error(error, MAILMAP_ERROR_EXISTS);
    assert_true(g_file_get_contents(fixture->path, &bytes, NULL, NULL));
    assert_string_equal(bytes, "precious");
}

static void
creating_in_a_missing_directory_names_the_cause(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->dir, "none", "map.db", NULL);
    g_autoptr(GError) error = NULL;

    assert_false(mapedit_create(path, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, g_strerror(ENOENT)));
}

static void
missing_map_is_not_created_by_opening_it(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    assert_null(mapedit_open(fixture->path, 20, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
}

static void
empty_file_is_brought_to_the_current_schema(void **state)
{
    const Fixture *fixture = *state;

    assert_true(g_file_set_contents(fixture->path, "", 0, NULL));
    g_autoptr(Mapedit) edit = open_edit(fixture);
    must_add(edit, MAPEDIT_DOMAINS, "example.org", NULL, NULL);
}

static void
limits_of_a_domain_from_before_its_total_become_those_of_its_users(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);

    fixture_sql(fixture->path, migrate_files[0].sql);
    fixture_sql(fixture->path, "PRAGMA application_id = 0x6c6f6467; PRAGMA user_version = 1;"
                               "INSERT INTO domains (domain, quota_bytes, quota_messages) VALUES"
                               " ('example.org', 1000, 10);"
                               "INSERT INTO users (email) VALUES ('ana@example.org')");
    g_autoptr(Mapedit) edit = open_edit(fixture);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);

    assert_value(edit, MAPEDIT_DOMAINS, "example.org", "quota_bytes", NULL);
    assert_value(edit, MAPEDIT_DOMAINS, "example.org", "quota_messages", NULL);
    assert_int_equal(mailbox->quota_bytes, 1000);
    assert_int_equal(mailbox->quota_messages, 10);
    assert_int_equal(mailbox->domain_quota_bytes, 0);
}

static void
newer_map_is_refused_and_left_alone(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *version = NULL;

    fixture_map(fixture, "PRAGMA user_version = 9999");
    assert_null(mapedit_open(fixture->path, 20, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_non_null(strstr(error->message, "9999"));
    version = fixture_query(fixture->path, "PRAGMA user_version");
    assert_string_equal(version, "9999");
}

static void
database_of_something_else_is_refused_and_left_alone(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    fixture_sql(fixture->path, "CREATE TABLE mailbox (username TEXT)");
    assert_null(mapedit_open(fixture->path, 20, &error));
    assert_map_error(error, MAILMAP_ERROR_SCHEMA);
    assert_int_equal(fixture_try_sql(fixture->path, "SELECT 1 FROM domains"), SQLITE_ERROR);
}

static void
opening_a_current_map_writes_nothing(void **state)
{
    const Fixture *fixture = *state;
    struct stat before;
    struct stat after;

    fixture_map(fixture, "");
    assert_int_equal(stat(fixture->path, &before), 0);
    mapedit_close(open_edit(fixture));
    assert_int_equal(stat(fixture->path, &after), 0);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void
change_while_another_process_writes_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Mapedit) edit = start(fixture);
    g_autoptr(GError) error = NULL;
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_false(change(mapedit_add, edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->message, "locked"));
    sqlite3_close(other);
    must_add(edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
}

static void
change_in_a_directory_that_is_read_only_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    pid_t child;
    int status = 0;

    fixture_map(fixture, "INSERT INTO domains (domain) VALUES ('example.org')");
    assert_int_equal(chmod(fixture->path, 0666), 0);
    assert_int_equal(chmod(fixture->dir, 0555), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        g_autoptr(GError) error = NULL;
        Mapedit *edit;

        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        edit = mapedit_open(fixture->path, 20, &error);
        if (edit != NULL &&
            change(mapedit_add, edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL, &error))
            _exit(3);
        _exit(g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE) &&
                      strstr(error->message, fixture->path) != NULL
                  ? 0
                  : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(fixture->dir, 0755), 0);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
added_user_is_found_by_a_lookup_with_all_its_values(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(Mapedit) edit = start(fixture);
    g_autoptr(GHashTable) values =
        make_values("password", "$6$salt$hash", "home", "/srv/ana", "maildir", "%h/M", "sieve",
                    "x.sieve", "uid", "5000", "gid", "5001", "quota_bytes", "2G", "quota_messages",
                    "100", "active", "yes", NULL);

    assert_true(mapedit_add(edit, MAPEDIT_USERS, "Ana@Example.org", values, NULL));
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, "ana@example.org", NULL);
    assert_non_null(mailbox);
    assert_string_equal(mailbox->home, "/srv/ana");
    assert_string_equal(mailbox->maildir, "%h/M");
    assert_string_equal(mailbox->sieve, "x.sieve");
    assert_int_equal(mailbox->uid, 5000);
    assert_int_equal(mailbox->gid, 5001);
    assert_int_equal(mailbox->quota_bytes, G_GUINT64_CONSTANT(2147483648));
    assert_int_equal(mailbox->quota_messages, 100);
}

static void
listing_never_shows_a_password(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);

    must_add(edit, MAPEDIT_USERS, "ana@example.org", "password", "$6$salt$hash");
    must_add(edit, MAPEDIT_USERS, "bob@example.org", NULL, NULL);
    assert_value(edit, MAPEDIT_USERS, "ana@example.org", "password", "set");
    assert_value(edit, MAPEDIT_USERS, "bob@example.org", "password", NULL);
}

static void
setting_changes_only_the_named_columns(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);

    must_add(edit, MAPEDIT_USERS, "ana@example.org", "quota_bytes", "10M");
    assert_true(change(mapedit_set, edit, MAPEDIT_USERS, "ANA@example.org", "active", "no", NULL));
    assert_value(edit, MAPEDIT_USERS, "ana@example.org", "quota_bytes", "10485760");
    assert_value(edit, MAPEDIT_USERS, "ana@example.org", "active", "no");
    assert_true(
        change(mapedit_set, edit, MAPEDIT_USERS, "ana@example.org", "quota_bytes", "", NULL));
    assert_value(edit, MAPEDIT_USERS, "ana@example.org", "quota_bytes", NULL);
    assert_value(edit, MAPEDIT_USERS, "ana@example.org", "active", "no");
}

static void
setting_nothing_is_no_error_but_a_missing_row_is(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GError) error = NULL;

    assert_true(change(mapedit_set, edit, MAPEDIT_DOMAINS, "example.org", NULL, NULL, NULL));
    assert_false(change(mapedit_set, edit, MAPEDIT_DOMAINS, "other.org", NULL, NULL, &error));
    assert_map_error(error, MAILMAP_ERROR_MISSING);
    assert_non_null(strstr(error->message, "other.org"));
}

static void
removing_a_missing_row_is_an_error(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GError) error = NULL;

    assert_false(mapedit_remove(edit, MAPEDIT_USERS, "ana@example.org", &error));
    assert_map_error(error, MAILMAP_ERROR_MISSING);
}

static void
adding_twice_says_that_it_exists(void **state)
{
    static const struct {
        MapeditTable table;
        const char *key;
        const char *column;
        const char *value;
    } added[] = {
        {MAPEDIT_DOMAINS, "Example.ORG", NULL, NULL},
        {MAPEDIT_USERS, "ana@example.org", NULL, NULL},
        {MAPEDIT_FORWARDINGS, "info@example.org", "destination", "ana@example.org"},
        {MAPEDIT_TRANSPORT, "example.org", "transport", "smtp:[x]"},
    };
    g_autoptr(Mapedit) edit = start(*state);

    for (size_t i = 0; i < G_N_ELEMENTS(added); i++) {
        g_autoptr(GError) error = NULL;

        if (i > 0)
            must_add(edit, added[i].table, added[i].key, added[i].column, added[i].value);
        assert_false(change(mapedit_add, edit, added[i].table, added[i].key, added[i].column,
                            added[i].value, &error));
        assert_map_error(error, MAILMAP_ERROR_EXISTS);
    }
}

static void
domain_with_rows_is_not_removed_and_says_how_many(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GError) error = NULL;

    must_add(edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    must_add(edit, MAPEDIT_USERS, "bob@example.org", NULL, NULL);
    must_add(edit, MAPEDIT_FORWARDINGS, "@example.org", "destination", "ana@example.org");
    assert_false(mapedit_remove(edit, MAPEDIT_DOMAINS, "example.org", &error));
    assert_map_error(error, MAILMAP_ERROR_REFUSED);
    assert_non_null(strstr(error->message, "2 users and 1 alias"));
    assert_true(mapedit_remove(edit, MAPEDIT_USERS, "ana@example.org", NULL));
    assert_true(mapedit_remove(edit, MAPEDIT_USERS, "bob@example.org", NULL));
    assert_true(mapedit_remove(edit, MAPEDIT_FORWARDINGS, "@example.org", NULL));
    assert_true(mapedit_remove(edit, MAPEDIT_DOMAINS, "example.org", NULL));
}

static void
several_changes_are_all_or_nothing(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GPtrArray) before = NULL;
    g_autoptr(GPtrArray) after = NULL;

    assert_true(mapedit_begin(edit, NULL));
    must_add(edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    mapedit_close(g_steal_pointer(&edit));
    edit = open_edit(*state);
    before = mapedit_list(edit, MAPEDIT_USERS, NULL, NULL, NULL);
    assert_int_equal(before->len, 0);

    assert_true(mapedit_begin(edit, NULL));
    must_add(edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    must_add(edit, MAPEDIT_USERS, "bob@example.org", NULL, NULL);
    assert_true(mapedit_commit(edit, NULL));
    after = mapedit_list(edit, MAPEDIT_USERS, NULL, NULL, NULL);
    assert_int_equal(after->len, 2);
}

static void
listing_is_ordered_and_may_be_of_one_domain(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) some = NULL;
    g_autoptr(GPtrArray) transports = NULL;

    must_add(edit, MAPEDIT_DOMAINS, "other.org", NULL, NULL);
    must_add(edit, MAPEDIT_USERS, "zoe@example.org", NULL, NULL);
    must_add(edit, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    must_add(edit, MAPEDIT_USERS, "max@other.org", NULL, NULL);
    must_add(edit, MAPEDIT_TRANSPORT, "ana@example.org", "transport", "smtp:[x]");
    must_add(edit, MAPEDIT_TRANSPORT, "myexample.org", "transport", "smtp:[x]");
    all = mapedit_list(edit, MAPEDIT_USERS, NULL, NULL, NULL);
    assert_int_equal(all->len, 3);
    assert_string_equal(((char **)g_ptr_array_index(all, 0))[0], "ana@example.org");
    assert_string_equal(((char **)g_ptr_array_index(all, 1))[0], "max@other.org");
    some = mapedit_list(edit, MAPEDIT_USERS, NULL, "EXAMPLE.org", NULL);
    assert_int_equal(some->len, 2);
    transports = mapedit_list(edit, MAPEDIT_TRANSPORT, NULL, "example.org", NULL);
    assert_int_equal(transports->len, 1);
}

static void
listing_a_missing_key_is_an_error(void **state)
{
    g_autoptr(Mapedit) edit = start(*state);
    g_autoptr(GError) error = NULL;

    assert_null(mapedit_list(edit, MAPEDIT_USERS, "ana@example.org", NULL, &error));
    assert_map_error(error, MAILMAP_ERROR_MISSING);
}

static void
internationalised_domain_is_one_row_whatever_its_spelling(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Mapedit) edit = start(fixture);
    g_autoptr(GError) error = NULL;

    must_add(edit, MAPEDIT_DOMAINS, "München.example", NULL, NULL);
    assert_false(
        change(mapedit_add, edit, MAPEDIT_DOMAINS, "xn--mnchen-3ya.example", NULL, NULL, &error));
    assert_map_error(error, MAILMAP_ERROR_EXISTS);
    must_add(edit, MAPEDIT_USERS, "ana@MÜNCHEN.example", NULL, NULL);
    assert_value(edit, MAPEDIT_USERS, "ana@xn--mnchen-3ya.example", "email",
                 "ana@xn--mnchen-3ya.example");
    /* The U-label is there for programs that read the table themselves. */
    fixture_sql(fixture->path,
                "UPDATE domains SET active = 0 WHERE domain_utf8 = 'münchen.example'");
    assert_value(edit, MAPEDIT_DOMAINS, "münchen.example", "active", "no");
}

static void
domain_typed_as_a_label_gets_its_u_label(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Mapedit) edit = start(fixture);

    must_add(edit, MAPEDIT_DOMAINS, "XN--STRAE-OQA.example", NULL, NULL);
    fixture_sql(fixture->path,
                "UPDATE domains SET active = 0 WHERE domain_utf8 = 'straße.example'");
    assert_value(edit, MAPEDIT_DOMAINS, "straße.example", "active", "no");
}

/* Additions to a map with the domain example.org that must fail. */
typedef struct {
    const char *behaviour;
    MapeditTable table;
    const char *key;
    const char *column;
    const char *value;
    MailmapError code;
    const char *says;
} Refusal;

static const Refusal refusals[] = {
    {"user_of_an_unknown_domain", MAPEDIT_USERS, "ana@exmaple.org", NULL, NULL,
     MAILMAP_ERROR_REFUSED, "lodge domain add exmaple.org"},
    {"alias_of_an_unknown_domain", MAPEDIT_FORWARDINGS, "a@other.org", "destination", "b@c.org",
     MAILMAP_ERROR_REFUSED, "lodge domain add other.org"},
    {"user_without_domain", MAPEDIT_USERS, "ana", NULL, NULL, MAILMAP_ERROR_BAD_ADDRESS, "'ana'"},
    {"domain_with_a_blank", MAPEDIT_DOMAINS, "exam ple.org", NULL, NULL, MAILMAP_ERROR_BAD_ADDRESS,
     "exam ple.org"},
    {"domain_that_is_an_address_literal", MAPEDIT_DOMAINS, "[192.0.2.1]", NULL, NULL,
     MAILMAP_ERROR_BAD_ADDRESS, "[192.0.2.1]"},
    {"catch_all_without_home", MAPEDIT_USERS, "@example.org", NULL, NULL, MAILMAP_ERROR_REFUSED,
     "home: a catch-all"},
    {"catch_all_with_the_empty_name_in_its_home", MAPEDIT_USERS, "@example.org", "home", "x/%n",
     MAILMAP_ERROR_REFUSED, "home: a catch-all"},
    {"user_with_a_slash_in_the_default_home", MAPEDIT_USERS, "a/b@example.org", NULL, NULL,
     MAILMAP_ERROR_REFUSED, "'/'"},
    {"unknown_column", MAPEDIT_USERS, "ana@example.org", "qouta", "1", MAILMAP_ERROR_REFUSED,
     "qouta"},
    {"key_as_a_column", MAPEDIT_USERS, "ana@example.org", "email", "b@example.org",
     MAILMAP_ERROR_REFUSED, "email"},
    {"uid_of_root", MAPEDIT_USERS, "ana@example.org", "uid", "0", MAILMAP_ERROR_REFUSED,
     "never delivered as root"},
    {"uid_that_is_a_name", MAPEDIT_USERS, "ana@example.org", "uid", "vmail", MAILMAP_ERROR_REFUSED,
     "uid: 'vmail' is not a whole number"},
    {"gid_past_32_bits", MAPEDIT_USERS, "ana@example.org", "gid", "4294967295",
     MAILMAP_ERROR_REFUSED, "gid"},
    {"quota_with_an_unknown_unit", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "10X",
     MAILMAP_ERROR_REFUSED, "quota_bytes: '10X' is not a size"},
    {"quota_below_zero", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "-1",
     MAILMAP_ERROR_REFUSED, "quota_bytes"},
    {"quota_past_63_bits", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "8388608T",
     MAILMAP_ERROR_REFUSED, "quota_bytes"},
    {"quota_that_is_a_unit_only", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "G",
     MAILMAP_ERROR_REFUSED, "quota_bytes"},
    {"messages_below_zero", MAPEDIT_USERS, "ana@example.org", "quota_messages", "-1",
     MAILMAP_ERROR_REFUSED, "quota_messages"},
    {"active_that_is_neither_yes_nor_no", MAPEDIT_USERS, "ana@example.org", "active", "maybe",
     MAILMAP_ERROR_REFUSED, "active: 'maybe' is not yes or no"},
    {"active_that_is_nothing", MAPEDIT_USERS, "ana@example.org", "active", "",
     MAILMAP_ERROR_REFUSED, "active: must have a value"},
    {"home_with_two_dots", MAPEDIT_USERS, "ana@example.org", "home", "a/../../etc",
     MAILMAP_ERROR_REFUSED, "home: must be a path without '..'"},
    {"home_that_ends_in_two_dots", MAPEDIT_DOMAINS, "new.org", "home", "a/..",
     MAILMAP_ERROR_REFUSED, "home"},
    {"home_with_an_unknown_variable", MAPEDIT_USERS, "ana@example.org", "home", "%x/%n",
     MAILMAP_ERROR_REFUSED, "home"},
    {"home_with_itself_as_a_variable", MAPEDIT_USERS, "ana@example.org", "home", "%h/x",
     MAILMAP_ERROR_REFUSED, "home"},
    {"maildir_with_the_home_in_the_middle", MAPEDIT_USERS, "ana@example.org", "maildir", "/x/%h/y",
     MAILMAP_ERROR_REFUSED, "maildir"},
    {"sieve_with_a_line_feed", MAPEDIT_USERS, "ana@example.org", "sieve", "a\nb",
     MAILMAP_ERROR_REFUSED, "sieve"},
    {"password_with_a_line_feed", MAPEDIT_USERS, "ana@example.org", "password", "x\ny",
     MAILMAP_ERROR_REFUSED, "password"},
    {"alias_without_destination", MAPEDIT_FORWARDINGS, "a@example.org", NULL, NULL,
     MAILMAP_ERROR_REFUSED, "destination: must have a value"},
    {"alias_to_commas", MAPEDIT_FORWARDINGS, "a@example.org", "destination", ", ,",
     MAILMAP_ERROR_REFUSED, "destination"},
    {"alias_to_a_command", MAPEDIT_FORWARDINGS, "a@example.org", "destination", "|/bin/sh",
     MAILMAP_ERROR_BAD_ADDRESS, "|/bin/sh"},
    {"alias_to_a_broken_address", MAPEDIT_FORWARDINGS, "a@example.org", "destination",
     "b@example.org, c@", MAILMAP_ERROR_BAD_ADDRESS, "c@"},
    {"transport_with_a_blank", MAPEDIT_TRANSPORT, "example.org", "transport", "smtp: x",
     MAILMAP_ERROR_REFUSED, "transport"},
    {"text_that_is_not_utf8", MAPEDIT_USERS, "ana@example.org", "home", "a\xff",
     MAILMAP_ERROR_REFUSED, "home"},
};

static void
check_refusal(void **state)
{
    const Refusal *row = *state;
    g_autoptr(GError) error = NULL;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    {
        g_autoptr(Mapedit) edit = start(fixture);
        g_autoptr(GPtrArray) rows = NULL;

        assert_false(
            change(mapedit_add, edit, row->table, row->key, row->column, row->value, &error));
        assert_map_error(error, row->code);
        if (strstr(error->message, row->says) == NULL)
            fail_msg("%s", error->message);
        rows = mapedit_list(edit, row->table, NULL, NULL, NULL);
        assert_int_equal(rows->len, row->table == MAPEDIT_DOMAINS ? 1 : 0);
    }
    fixture_tear_down((void **)&fixture);
}

/* Values as typed, and as they are listed afterwards. */
typedef struct {
    const char *behaviour;
    MapeditTable table;
    const char *key;
    const char *column;
    const char *value;
    const char *listed;
} Accepted;

static const Accepted accepted[] = {
    {"size_in_octets", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "1000", "1000"},
    {"size_in_kib", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "1k", "1024"},
    {"size_in_mib_with_its_full_name", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "10MiB",
     "10485760"},
    {"size_in_gb", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "2GB", "2147483648"},
    {"size_in_tib", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "1T", "1099511627776"},
    {"size_of_none", MAPEDIT_USERS, "ana@example.org", "quota_bytes", "0", "0"},
    {"catch_all_with_a_home", MAPEDIT_USERS, "@example.org", "home", "example.org/rest",
     "example.org/rest"},
    {"slash_in_a_name_with_a_home", MAPEDIT_USERS, "a/b@example.org", "home", "x", "x"},
    {"quoted_local_part", MAPEDIT_USERS, "\"a b\"@example.org", "email", NULL,
     "\"a b\"@example.org"},
    {"quotes_without_need_are_dropped", MAPEDIT_USERS, "\"ana\"@example.org", "email", NULL,
     "ana@example.org"},
    {"dots_that_need_quotes_get_them", MAPEDIT_USERS, "a..b@example.org", "email", NULL,
     "\"a..b\"@example.org"},
    {"percent_sign_in_a_home", MAPEDIT_USERS, "ana@example.org", "home", "100%%/%n", "100%%/%n"},
    {"maildir_with_a_leading_home", MAPEDIT_USERS, "ana@example.org", "maildir", "%h/Maildir",
     "%h/Maildir"},
    {"maildir_that_is_the_home", MAPEDIT_USERS, "ana@example.org", "maildir", ".", "."},
    {"destinations_are_folded_and_joined", MAPEDIT_FORWARDINGS, "all@example.org", "destination",
     "Ana@Example.ORG,  bob@münchen.example\n root",
     "Ana@example.org,bob@xn--mnchen-3ya.example,root"},
    {"destination_that_is_a_domain", MAPEDIT_FORWARDINGS, "@example.org", "destination",
     "@Other.org", "@other.org"},
    {"destination_with_a_quoted_comma", MAPEDIT_FORWARDINGS, "a@example.org", "destination",
     "\"b,c\"@other.org", "\"b,c\"@other.org"},
    {"transport_of_all_else", MAPEDIT_TRANSPORT, "*", "transport", "smtp:[relay]:25",
     "smtp:[relay]:25"},
    {"transport_of_what_is_below_a_domain", MAPEDIT_TRANSPORT, ".Example.org", "transport", ":",
     ":"},
    {"transport_of_a_user", MAPEDIT_TRANSPORT, "Ana@Example.org", "transport", "lmtp:unix:x",
     "lmtp:unix:x"},
    {"active_in_another_word", MAPEDIT_USERS, "ana@example.org", "active", "OFF", "no"},
    {"domain_with_an_underscore", MAPEDIT_DOMAINS, "a_b.example", "active", "1", "yes"},
    {"domain_with_the_longest_label", MAPEDIT_DOMAINS,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", "max_users", "0",
     "0"},
};

static void
check_accepted(void **state)
{
    const Accepted *row = *state;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    {
        g_autoptr(Mapedit) edit = start(fixture);

        must_add(edit, row->table, row->key, row->value != NULL ? row->column : NULL, row->value);
        assert_value(edit, row->table, row->key, row->column, row->listed);
    }
    fixture_tear_down((void **)&fixture);
}

/* SQL as an administrator may type it into sqlite3, without foreign keys enforced. */
typedef struct {
    const char *behaviour;
    const char *sql;
} Nonsense;

static const Nonsense nonsense[] = {
    {"sql_user_of_an_unknown_domain", "INSERT INTO users (email) VALUES ('a@nonesuch.org')"},
    {"sql_user_moved_to_an_unknown_domain", "UPDATE users SET email = 'a@nonesuch.org'"},
    {"sql_user_in_capitals_of_the_domain", "INSERT INTO users (email) VALUES ('a@EXAMPLE.org')"},
    {"sql_user_without_at", "INSERT INTO users (email) VALUES ('example.org')"},
    {"sql_user_that_is_null", "INSERT INTO users (email) VALUES (NULL)"},
    {"sql_user_with_a_blank", "INSERT INTO users (email) VALUES ('a b@example.org')"},
    {"sql_user_with_two_at_signs", "INSERT INTO users (email) VALUES ('a@b@example.org')"},
    {"sql_user_with_a_line_feed",
     "INSERT INTO users (email) VALUES ('a'||char(10)||'@example.org')"},
    {"sql_user_with_nul", "INSERT INTO users (email) VALUES ('a'||char(0)||'b@example.org')"},
    {"sql_user_that_begins_with_a_dot", "INSERT INTO users (email) VALUES ('.a@example.org')"},
    {"sql_user_that_is_two_dots", "INSERT INTO users (email) VALUES ('..@example.org')"},
    {"sql_user_over_the_domains_limit",
     "UPDATE domains SET max_users = 1; INSERT INTO users (email) VALUES ('b@example.org')"},
    {"sql_empty_password", "UPDATE users SET password = ''"},
    {"sql_active_2", "UPDATE users SET active = 2"},
    {"sql_active_null", "UPDATE domains SET active = NULL"},
    {"sql_uid_0", "UPDATE domains SET uid = 0"},
    {"sql_uid_as_a_word", "UPDATE users SET uid = 'vmail'"},
    {"sql_gid_below_0", "UPDATE users SET gid = -1"},
    {"sql_quota_below_0", "UPDATE domains SET quota_bytes = -1"},
    {"sql_quota_with_a_unit", "UPDATE users SET quota_bytes = '10M'"},
    {"sql_user_quota_below_0", "UPDATE domains SET user_quota_bytes = -1"},
    {"sql_user_messages_below_0", "UPDATE domains SET user_quota_messages = -1"},
    {"sql_max_message_below_0", "UPDATE users SET max_message_bytes = -1"},
    {"sql_max_message_of_a_domain_below_0", "UPDATE domains SET max_message_bytes = -1"},
    {"sql_over_of_another_word", "UPDATE users SET quota_over = 'bounce'"},
    {"sql_over_of_a_domain_of_another_word", "UPDATE domains SET quota_over = ''"},
    {"sql_home_empty", "UPDATE users SET home = ''"},
    {"sql_home_root", "UPDATE users SET home = '/'"},
    {"sql_home_up", "UPDATE domains SET home = '/srv/../etc'"},
    {"sql_domain_in_capitals", "INSERT INTO domains (domain) VALUES ('Example.net')"},
    {"sql_domain_as_u_label", "INSERT INTO domains (domain) VALUES ('münchen.example')"},
    {"sql_domain_empty", "INSERT INTO domains (domain) VALUES ('')"},
    {"sql_domain_with_an_empty_label", "INSERT INTO domains (domain) VALUES ('a..example')"},
    {"sql_domain_with_a_dot_at_the_end", "INSERT INTO domains (domain) VALUES ('example.net.')"},
    {"sql_domain_with_a_hyphen_first", "INSERT INTO domains (domain) VALUES ('a.-b.example')"},
    {"sql_domain_with_a_label_of_64",
     "INSERT INTO domains (domain) VALUES (replace(hex(zeroblob(32)), '0', 'a') || '.example')"},
    {"sql_domain_of_254_characters",
     "INSERT INTO domains (domain) VALUES (replace(hex(zeroblob(63)), '0', 'a.') || 'aa')"},
    {"sql_domain_removed_under_its_users", "DELETE FROM domains"},
    {"sql_domain_renamed_under_its_users", "UPDATE domains SET domain = 'example.net'"},
    {"sql_alias_of_an_unknown_domain",
     "INSERT INTO forwardings (source, destination) VALUES ('a@nonesuch.org', 'b@c.org')"},
    {"sql_alias_to_nothing",
     "INSERT INTO forwardings (source, destination) VALUES ('a@example.org', ' , ')"},
    {"sql_transport_to_nothing", "INSERT INTO transport VALUES ('example.org', '')"},
};

static void
check_nonsense(void **state)
{
    const Nonsense *row = *state;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_map(fixture, "INSERT INTO domains (domain) VALUES ('example.org');"
                         "INSERT INTO users (email) VALUES ('ana@example.org')");
    assert_int_equal(fixture_try_sql(fixture->path, row->sql), SQLITE_CONSTRAINT);
    fixture_tear_down((void **)&fixture);
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
        FIXTURE_TEST(new_map_is_readable_for_its_group_only_whatever_the_umask),
        FIXTURE_TEST(new_map_is_not_in_wal_mode),
        FIXTURE_TEST(map_in_wal_mode_is_taken_back),
        FIXTURE_TEST(creating_over_an_existing_file_changes_nothing),
        FIXTURE_TEST(creating_in_a_missing_directory_names_the_cause),
        FIXTURE_TEST(missing_map_is_not_created_by_opening_it),
        FIXTURE_TEST(empty_file_is_brought_to_the_current_schema),
        FIXTURE_TEST(limits_of_a_domain_from_before_its_total_become_those_of_its_users),
        FIXTURE_TEST(newer_map_is_refused_and_left_alone),
        FIXTURE_TEST(database_of_something_else_is_refused_and_left_alone),
        FIXTURE_TEST(opening_a_current_map_writes_nothing),
        FIXTURE_TEST(change_while_another_process_writes_is_unavailable),
        FIXTURE_TEST(change_in_a_directory_that_is_read_only_is_unavailable),
        FIXTURE_TEST(added_user_is_found_by_a_lookup_with_all_its_values),
        FIXTURE_TEST(listing_never_shows_a_password),
        FIXTURE_TEST(setting_changes_only_the_named_columns),
        FIXTURE_TEST(setting_nothing_is_no_error_but_a_missing_row_is),
        FIXTURE_TEST(removing_a_missing_row_is_an_error),
        FIXTURE_TEST(adding_twice_says_that_it_exists),
        FIXTURE_TEST(domain_with_rows_is_not_removed_and_says_how_many),
        FIXTURE_TEST(several_changes_are_all_or_nothing),
        FIXTURE_TEST(listing_is_ordered_and_may_be_of_one_domain),
        FIXTURE_TEST(listing_a_missing_key_is_an_error),
        FIXTURE_TEST(internationalised_domain_is_one_row_whatever_its_spelling),
        FIXTURE_TEST(domain_typed_as_a_label_gets_its_u_label),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    failed += RUN_TABLE(refusals, check_refusal);
    failed += RUN_TABLE(accepted, check_accepted);
    return failed + RUN_TABLE(nonsense, check_nonsense);
}
