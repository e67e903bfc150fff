/* tests/schema/test_lookups.c - what other programs ask the tables: the tutorial's SELECTs,
 * Postfix's and Dovecot's
 *
 * The queries are read from the files that are installed, and their variables filled in as
 * Postfix and Dovecot do.
 */
#include "tests/schema/map_fixture.h"

static const char rows_sql[] =
    "INSERT INTO domains (domain) VALUES ('example.org'), ('catch.example');"
    "INSERT INTO domains (domain, domain_utf8) VALUES ('xn--mnchen-3ya.example', "
    "'münchen.example');"
    "INSERT INTO domains (domain, active) VALUES ('off.example', 0);"
    "INSERT INTO domains (domain, home, maildir, uid, gid, user_quota_bytes)"
    " VALUES ('rules.example', '/srv/%d/%%/%n', '%h/m', 2000, 2001, 1000);"
    "INSERT INTO users (email, password) VALUES ('ana@example.org', '$6$ana'),"
    " ('ana@xn--mnchen-3ya.example', '$6$ana'), ('ana@off.example', '$6$ana'),"
    " ('a%d@rules.example', '$6$ana'), ('\"a b\"@example.org', '$6$ana'), ('o''neil@example.org', "
    "'x');"
    "INSERT INTO users (email, active, password) VALUES ('gone@example.org', 0, '$6$gone'),"
    " ('gone@catch.example', 0, '$6$gone');"
    "INSERT INTO users (email) VALUES ('nopassword@example.org');"
    "INSERT INTO users (email, home, password) VALUES ('@example.org', 'example.org/rest', 'x');"
    "INSERT INTO users (email, home, maildir, uid, quota_bytes, quota_messages)"
    " VALUES ('own@rules.example', 'here/%u', '.', 3000, 0, 7),"
    " ('far@rules.example', 'h', '/far/%n', 3000, NULL, NULL);"
    "INSERT INTO forwardings VALUES ('info@example.org', 'ana@example.org,x@elsewhere.example'),"
    " ('@catch.example', 'ana@example.org'), ('info@off.example', 'ana@example.org'),"
    " ('info@xn--mnchen-3ya.example', 'ana@example.org');"
    "INSERT INTO transport VALUES ('example.org', 'lmtp:unix:private/lodge'),"
    " ('xn--mnchen-3ya.example', 'smtp:[other]'), ('ana@example.org', 'smtp:[third]');";

/* What stands behind "query = " or the like, with its continuation lines: Postfix's are
 * indented, Dovecot's follow a backslash. */
static char *
read_query(const char *file, const char *name)
{
    const char *more =
        g_str_has_suffix(file, ".cf") ? "(\\n +\\S.*)*" : "(?<=\\\\)(\\n.*(?<=\\\\))*\\n.*";
    g_autofree char *path = g_build_filename(SOURCE_DIR, "schema", file, NULL);
    g_autofree char *content = NULL;
    g_autofree char *pattern = g_strdup_printf("^ *%s = *(.*(%s)?)", name, more);
    g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    char *query;

    assert_non_null(regex);
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    if (!g_regex_match(regex, content, 0, &match))
        fail_msg("no %s in %s", name, path);
    query = g_match_info_fetch(match, 1);
    return g_strdelimit(query, "\\\n", ' ');
}

static char *
replace(char *text, const char *from, const char *to)
{
    g_auto(GStrv) parts = g_strsplit(text, from, -1);

    g_free(text);
    return g_strjoinv(to, parts);
}

/* As Postfix: values are quoted for SQL, and a query with a part that the key does
 * not have is not run. NULL then. */
static char *
expand_postfix(char *query, const char *key)
{
    const char *at = strrchr(key, '@');
    g_autofree char *quoted = replace(g_strdup(key), "'", "''");

    if (at == NULL && strstr(query, "%d") != NULL) {
        g_free(query);
        return NULL;
    }
    assert_null(strstr(query, "%u"));
    query = replace(query, "%d", at != NULL ? at + 1 : "");
    return replace(query, "%s", quoted);
}

static char *
ask_postfix(const char *path, const char *file, const char *key)
{
    g_autofree char *name = g_strdup_printf("postfix/%s.cf", file);
    g_autofree char *query = expand_postfix(read_query(name, "query"), key);

    return query == NULL ? g_strdup("") : fixture_query(path, query);
}

typedef struct {
    const char *behaviour;
    const char *file;
    const char *key;
    const char *answer; /* "" for none */
} Lookup;

static const Lookup lookups[] = {
    {"domains_lists_a_domain", "domains", "example.org", "example.org"},
    {"domains_lists_an_inactive_domain", "domains", "off.example", "off.example"},
    {"domains_finds_the_u_label", "domains", "münchen.example", "xn--mnchen-3ya.example"},
    {"domains_does_not_list_others", "domains", "elsewhere.example", ""},
    {"mailboxes_lists_a_user", "mailboxes", "ana@example.org", "example.org/ana/"},
    {"mailboxes_finds_the_u_label", "mailboxes", "ana@münchen.example",
     "xn--mnchen-3ya.example/ana/"},
    {"mailboxes_lists_a_catch_all", "mailboxes", "@example.org", "example.org//"},
    {"mailboxes_lists_a_quoted_name", "mailboxes", "\"a b\"@example.org", "example.org/\"a b\"/"},
    {"mailboxes_lists_an_apostrophe", "mailboxes", "o'neil@example.org", "example.org/o'neil/"},
    {"mailboxes_leaves_out_inactive_users", "mailboxes", "gone@example.org", ""},
    {"mailboxes_leaves_out_users_of_inactive_domains", "mailboxes", "ana@off.example", ""},
    {"mailboxes_leaves_out_the_unknown", "mailboxes", "who@example.org", ""},
    {"mailboxes_takes_no_bare_domain", "mailboxes", "example.org", ""},
    {"inactive_refuses_an_inactive_user", "inactive", "gone@example.org",
     "550 5.2.1 Mailbox is switched off"},
    {"inactive_refuses_the_users_of_an_inactive_domain", "inactive", "ana@off.example",
     "550 5.2.1 Mailbox is switched off"},
    {"inactive_is_silent_about_the_active", "inactive", "ana@example.org", ""},
    {"inactive_is_silent_about_the_unknown", "inactive", "who@example.org", ""},
    {"forwardings_gives_the_destinations", "forwardings", "info@example.org",
     "ana@example.org,x@elsewhere.example"},
    {"forwardings_gives_the_catch_all", "forwardings", "@catch.example", "ana@example.org"},
    {"forwardings_finds_the_u_label", "forwardings", "info@münchen.example", "ana@example.org"},
    {"forwardings_of_an_inactive_domain_do_not_count", "forwardings", "info@off.example", ""},
    {"email2email_gives_a_user_back", "email2email", "ana@example.org", "ana@example.org"},
    {"email2email_gives_no_catch_all_back", "email2email", "@example.org", ""},
    {"email2email_leaves_out_inactive_users", "email2email", "gone@example.org", ""},
    {"email2email_keeps_inactive_users_out_of_a_catch_all_alias", "email2email",
     "gone@catch.example", "gone@catch.example"},
    {"transport_of_a_domain", "transport", "example.org", "lmtp:unix:private/lodge"},
    {"transport_of_a_u_label", "transport", "münchen.example", "smtp:[other]"},
    {"transport_of_a_user", "transport", "ana@example.org", "smtp:[third]"},
    {"transport_of_the_unknown", "transport", "elsewhere.example", ""},
};

static void
check_lookup(void **state)
{
    const Lookup *row = *state;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_map(fixture, rows_sql);
    {
        g_autofree char *answer = ask_postfix(fixture->path, row->file, row->key);

        assert_string_equal(answer, row->answer);
    }
    fixture_tear_down((void **)&fixture);
}

/* The SELECTs of the classic tutorial, to the letter. */
static const struct {
    const char *query;
    const char *key;
    const char *answer;
} tutorial[] = {
    {"SELECT domain AS virtual FROM domains WHERE domain='%s'", "example.org", "example.org"},
    {"SELECT destination FROM forwardings WHERE source='%s'", "info@example.org",
     "ana@example.org,x@elsewhere.example"},
    {"SELECT email FROM users WHERE email='%s'", "ana@example.org", "ana@example.org"},
    {"SELECT transport FROM transport WHERE domain='%s'", "example.org", "lmtp:unix:private/lodge"},
    {"SELECT quota FROM users WHERE email='%s'", "own@rules.example", "0"},
    {"SELECT password FROM users WHERE email='%s'", "ana@example.org", "$6$ana"},
};

static void
selects_of_the_tutorial_run_unchanged(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    for (size_t i = 0; i < G_N_ELEMENTS(tutorial); i++) {
        g_autofree char *query = expand_postfix(g_strdup(tutorial[i].query), tutorial[i].key);
        g_autofree char *answer = fixture_query(fixture->path, query);

        assert_string_equal(answer, tutorial[i].answer);
    }
}

/* As Dovecot 2.3 (%Ln %Ld, %% for a percent sign) or 2.4 (%{user | ...}). */
static char *
expand_dovecot(char *query, const char *user)
{
    const char *at = strrchr(user, '@');
    g_autofree char *local = g_ascii_strdown(user, at - user);
    g_autofree char *domain = g_ascii_strdown(at + 1, -1);
    g_autofree char *local_quoted = replace(g_steal_pointer(&local), "'", "''");

    query = replace(query, "%{user | domain | lower}", domain);
    query = replace(query, "%{user | username | lower}", local_quoted);
    query = replace(query, "%%", "\x01");
    query = replace(query, "%Ld", domain);
    query = replace(query, "%Ln", local_quoted);
    return replace(query, "\x01", "%");
}

static char *
ask_dovecot(const char *path, const char *file, const char *name, const char *column,
            const char *user)
{
    g_autofree char *query = expand_dovecot(read_query(file, name), user);
    g_autofree char *one = g_strdup_printf("SELECT %s FROM (%s)", column, query);

    return fixture_query(path, one);
}

typedef struct {
    const char *user;
    const char *column;
    const char *answer_23;
    const char *answer_24; /* of column mail: mail_path */
} Field;

static const Field passwords[] = {
    {"ana@example.org", "password", "$6$ana", "$6$ana"},
    {"Ana@Example.ORG", "user", "ana@example.org", "ana@example.org"},
    {"ana@münchen.example", "user", "ana@xn--mnchen-3ya.example", "ana@xn--mnchen-3ya.example"},
    {"gone@example.org", "password", "", ""},
    {"ana@off.example", "password", "", ""},
    {"nopassword@example.org", "user", "", ""},
    {"@example.org", "user", "", ""},
    {"who@example.org", "user", "", ""},
};

static const Field users[] = {
    {"ana@example.org", "home", "/var/vmail/example.org/ana", "/var/vmail/example.org/ana"},
    {"ana@example.org", "mail", "maildir:~/Maildir", "~/Maildir"},
    {"ana@example.org", "uid", "", ""},
    {"gone@example.org", "home", "/var/vmail/example.org/gone", "/var/vmail/example.org/gone"},
    {"ANA@münchen.example", "user", "ana@xn--mnchen-3ya.example", "ana@xn--mnchen-3ya.example"},
    {"a%d@rules.example", "home", "/srv/rules.example/%/a%d", "/srv/rules.example/%/a%d"},
    {"a%d@rules.example", "mail", "maildir:~/m", "~/m"},
    {"a%d@rules.example", "uid", "2000", "2000"},
    {"a%d@rules.example", "gid", "2001", "2001"},
    {"own@rules.example", "home", "/var/vmail/here/own@rules.example",
     "/var/vmail/here/own@rules.example"},
    {"own@rules.example", "mail", "maildir:~", "~"},
    {"own@rules.example", "uid", "3000", "3000"},
    {"far@rules.example", "mail", "maildir:/far/far", "/far/far"},
    {"who@example.org", "home", "", ""},
};

static const char dovecot_23[] = "dovecot/dovecot-sql-2.3.conf.ext";
static const char dovecot_24[] = "dovecot/dovecot-sql-2.4.conf";

static void
passwords_for_dovecot(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    for (size_t i = 0; i < G_N_ELEMENTS(passwords); i++) {
        const Field *row = &passwords[i];
        g_autofree char *old =
            ask_dovecot(fixture->path, dovecot_23, "password_query", row->column, row->user);
        g_autofree char *new =
            ask_dovecot(fixture->path, dovecot_24, "query", row->column, row->user);

        assert_string_equal(old, row->answer_23);
        assert_string_equal(new, row->answer_24);
    }
}

/* The second "query" of the 2.4 file is that of userdb. */
static char *
ask_userdb_24(const char *path, const char *column, const char *user)
{
    g_autofree char *query = read_query(dovecot_24, "userdb sql \\{\\n  query");
    g_autofree char *expanded = expand_dovecot(g_steal_pointer(&query), user);
    g_autofree char *one = g_strdup_printf(
        "SELECT %s FROM (%s)", strcmp(column, "mail") == 0 ? "mail_path" : column, expanded);

    return fixture_query(path, one);
}

static void
homes_for_dovecot_are_those_of_lodge(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
        const Field *row = &users[i];
        g_autofree char *old =
            ask_dovecot(fixture->path, dovecot_23, "user_query", row->column, row->user);
        g_autofree char *new = ask_userdb_24(fixture->path, row->column, row->user);

        assert_string_equal(old, row->answer_23);
        assert_string_equal(new, row->answer_24);
    }
}

static void
quota_for_dovecot(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autofree char *own =
        ask_dovecot(fixture->path, dovecot_23, "user_query", "quota_rule", "own@rules.example");
    g_autofree char *inherited =
        ask_dovecot(fixture->path, dovecot_23, "user_query", "quota_rule", "far@rules.example");
    g_autofree char *bytes =
        ask_userdb_24(fixture->path, "quota_storage_size", "far@rules.example");
    g_autofree char *none = ask_userdb_24(fixture->path, "quota_storage_size", "own@rules.example");
    g_autofree char *open_23 =
        ask_dovecot(fixture->path, dovecot_23, "user_query", "quota_rule", "ana@example.org");
    g_autofree char *open_24 =
        ask_userdb_24(fixture->path, "quota_storage_size", "ana@example.org");

    assert_string_equal(own, "*:bytes=0:messages=7");
    assert_string_equal(inherited, "*:bytes=1000");
    assert_string_equal(bytes, "1000B");
    assert_string_equal(none, "unlimited");
    assert_string_equal(open_23, "");
    assert_string_equal(open_24, "");
}

static void
every_user_is_listed_for_doveadm(void **state)
{
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    g_autofree char *old = read_query(dovecot_23, "iterate_query");
    g_autofree char *new = read_query(dovecot_24, "iterate_query");
    g_autofree char *count = g_strdup_printf("SELECT count(*) FROM (%s)", old);
    g_autofree char *listed = fixture_query(fixture->path, count);
    g_autofree char *there = fixture_query(fixture->path, "SELECT count(*) FROM users");

    assert_string_equal(listed, there);
    assert_true(g_str_has_prefix(new, old));
}

/* A lookup must not read the whole table: some have a hundred thousand users. */
static void
lookups_use_an_index(void **state)
{
    static const char *const files[] = {"domains",     "mailboxes",   "inactive",
                                        "forwardings", "email2email", "transport"};
    const Fixture *fixture = *state;

    fixture_map(fixture, rows_sql);
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *name = g_strdup_printf("postfix/%s.cf", files[i]);
        g_autofree char *query = expand_postfix(read_query(name, "query"), "ana@example.org");
        g_autofree char *explain = g_strdup_printf("EXPLAIN QUERY PLAN %s", query);
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;

        assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW)
            assert_false(g_str_has_prefix((const char *)sqlite3_column_text(stmt, 3), "SCAN"));
        sqlite3_finalize(stmt);
        sqlite3_close(db);
    }
}

/* Postfix waits seconds before it reads a file that changed just now. */
static void
write_old_file(const char *path, const char *content)
{
    assert_true(g_file_set_contents(path, content, -1, NULL));
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){0}, 0), 0);
}

/* The same through Postfix itself. */
static void
postmap_reads_the_files(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *postmap = g_find_program_in_path("postmap");

    assert_non_null(postmap); /* of the packages that ./dev deps installs */
    fixture_map(fixture, rows_sql);
    g_autofree char *main_cf = g_build_filename(fixture->dir, "main.cf", NULL);
    write_old_file(main_cf, "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    for (size_t i = 0; i < G_N_ELEMENTS(lookups); i++) {
        g_autofree char *source =
            g_strdup_printf("%s/schema/postfix/%s.cf", SOURCE_DIR, lookups[i].file);
        g_autofree char *copy = g_strdup_printf("%s/%s.cf", fixture->dir, lookups[i].file);
        g_autofree char *table = g_strdup_printf("sqlite:%s", copy);
        g_autofree char *content = NULL;
        g_autofree char *answer = NULL;
        char *argv[] = {postmap, "-c", fixture->dir, "-q", (char *)lookups[i].key, table, NULL};

        assert_true(g_file_get_contents(source, &content, NULL, NULL));
        content = replace(g_steal_pointer(&content), "/etc/lodge/map.db", fixture->path);
        write_old_file(copy, content);
        assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &answer,
                                 NULL, NULL, NULL));
        assert_string_equal(g_strchomp(answer), lookups[i].answer);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(selects_of_the_tutorial_run_unchanged),
        FIXTURE_TEST(passwords_for_dovecot),
        FIXTURE_TEST(homes_for_dovecot_are_those_of_lodge),
        FIXTURE_TEST(quota_for_dovecot),
        FIXTURE_TEST(every_user_is_listed_for_doveadm),
        FIXTURE_TEST(lookups_use_an_index),
        FIXTURE_TEST(postmap_reads_the_files),
    };
    struct CMUnitTest rows[G_N_ELEMENTS(lookups)];
    int failed;

    for (size_t i = 0; i < G_N_ELEMENTS(lookups); i++)
        rows[i] = (struct CMUnitTest){.name = lookups[i].behaviour,
                                      .test_func = check_lookup,
                                      .initial_state = (void *)&lookups[i]};
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(rows, NULL, NULL);
}
