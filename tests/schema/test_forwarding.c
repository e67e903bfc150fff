/* tests/schema/test_forwarding.c - where Postfix would send an address */
#include "tests/schema/map_fixture.h"

static const char rows_sql[] =
    "INSERT INTO domains (domain) VALUES ('example.org'), ('a.example'), ('b.example'), "
    "('u.example');"
    "INSERT INTO domains (domain, domain_utf8) VALUES ('xn--mnchen-3ya.example', "
    "'münchen.example');"
    "INSERT INTO domains (domain, active) VALUES ('off.example', 0);"
    "INSERT INTO users (email) VALUES ('ana@example.org'), ('ana@a.example');"
    "INSERT INTO users (email, active) VALUES ('gone@a.example', 0);"
    "INSERT INTO forwardings VALUES"
    " ('info@example.org', 'ana@example.org'),"
    " ('team@example.org', 'ana@example.org, info@example.org,x@elsewhere.example'),"
    " ('chain@example.org', 'team@example.org'),"
    " ('self@example.org', 'self@example.org,x@elsewhere.example'),"
    " ('ping@example.org', 'pong@example.org'), ('pong@example.org', 'PING@example.org'),"
    " ('list+x@example.org', 'special@elsewhere.example'), ('list@example.org', "
    "'l@elsewhere.example'),"
    " ('root@example.org', 'root'),"
    " ('@a.example', 'ana@example.org'), ('@b.example', '@example.org'),"
    " ('info@off.example', 'ana@example.org'),"
    " ('info@xn--mnchen-3ya.example', 'ana@example.org');";

typedef struct {
    const char *behaviour;
    const char *address;
    const char *steps; /* "depth source>destination" each, "!" for a loop */
} Row;

static const Row rows[] = {
    {"user_is_forwarded_nowhere", "ana@example.org", ""},
    {"unknown_address_is_forwarded_nowhere", "who@example.org", ""},
    {"alias_leads_to_a_user", "info@example.org", "0 info@example.org>ana@example.org\n"},
    {"case_of_the_address_does_not_count", "INFO@Example.org",
     "0 info@example.org>ana@example.org\n"},
    {"u_label_finds_its_row", "info@münchen.example",
     "0 info@xn--mnchen-3ya.example>ana@example.org\n"},
    {"destinations_are_followed_one_after_the_other", "chain@example.org",
     "0 chain@example.org>team@example.org\n"
     "1 team@example.org>ana@example.org\n"
     "1 team@example.org>info@example.org\n"
     "2 info@example.org>ana@example.org\n"
     "1 team@example.org>x@elsewhere.example\n"},
    {"address_that_keeps_a_copy_is_a_loop_of_one", "self@example.org",
     "0 self@example.org>self@example.org!\n"
     "0 self@example.org>x@elsewhere.example\n"},
    {"circle_is_found_whatever_its_spelling", "ping@example.org",
     "0 ping@example.org>pong@example.org\n"
     "1 pong@example.org>PING@example.org!\n"},
    {"full_address_with_detail_comes_first", "list+x@example.org",
     "0 list+x@example.org>special@elsewhere.example\n"},
    {"detail_is_carried_to_the_destination", "list+Y@example.org",
     "0 list@example.org>l+Y@elsewhere.example\n"},
    {"detail_is_carried_along_a_chain", "info+x@example.org",
     "0 info@example.org>ana+x@example.org\n"},
    {"local_account_ends_the_path", "root@example.org", "0 root@example.org>root\n"},
    {"catch_all_takes_the_rest", "who@a.example", "0 @a.example>ana@example.org\n"},
    {"catch_all_leaves_a_user_alone", "ana@a.example", ""},
    {"catch_all_leaves_a_user_with_detail_alone", "ana+x@a.example", ""},
    {"catch_all_leaves_an_inactive_user_alone", "gone@a.example", ""},
    {"domain_for_a_domain_keeps_the_local_part", "info@b.example",
     "0 @b.example>info@example.org\n"
     "1 info@example.org>ana@example.org\n"},
    {"inactive_domain_forwards_nothing", "info@off.example", ""},
};

static char *
describe(const GPtrArray *steps)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < steps->len; i++) {
        const MapeditForwarding *step = g_ptr_array_index(steps, i);

        g_string_append_printf(text, "%u %s>%s%s\n", step->depth, step->source, step->destination,
                               step->loops ? "!" : "");
    }
    return g_string_free(text, FALSE);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    Fixture *fixture = NULL;

    fixture_set_up((void **)&fixture);
    fixture_map(fixture, rows_sql);
    {
        g_autoptr(Mapedit) edit = mapedit_open(fixture->path, 20, NULL);
        g_autoptr(GPtrArray) steps = mapedit_forwardings(edit, row->address, "+", NULL);
        g_autofree char *text = NULL;

        assert_non_null(steps);
        text = describe(steps);
        assert_string_equal(text, row->steps);
    }
    fixture_tear_down((void **)&fixture);
}

static void
fan_of_loops_ends_after_a_hundred_steps(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GString) sql = g_string_new("INSERT INTO domains (domain) VALUES ('a.example');");

    /* Each of fifty leads to all fifty: followed to the end, more paths than atoms. */
    for (int i = 0; i < 50; i++) {
        g_string_append_printf(sql, "INSERT INTO forwardings VALUES ('u%d@a.example', '", i);
        for (int j = 0; j < 50; j++)
            g_string_append_printf(sql, "%su%d@a.example", j > 0 ? "," : "", j);
        g_string_append(sql, "');");
    }
    fixture_map(fixture, sql->str);
    g_autoptr(Mapedit) edit = mapedit_open(fixture->path, 20, NULL);
    g_autoptr(GPtrArray) steps = mapedit_forwardings(edit, "u0@a.example", "+", NULL);
    assert_non_null(steps);
    assert_int_equal(steps->len, 100);
}

/* What the delivery side sees of the same. */
static void
delivery_side_gets_the_ends(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    bool is_all = false;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_auto(GStrv) ends = mailmap_destinations(map, "chain+x@example.org", &is_all, NULL);
    assert_non_null(ends);
    g_autofree char *text = g_strjoinv(" ", ends);
    assert_string_equal(text, "ana+x@example.org ana+x@example.org x+x@elsewhere.example");
    assert_true(is_all);
}

static void
delivery_side_knows_that_a_long_list_was_cut(void **state)
{
    const Fixture *fixture = *state;
    const MailmapOptions options = fixture_options(fixture);
    g_autoptr(GString) sql = g_string_new("INSERT INTO domains (domain) VALUES ('a.example');"
                                          "INSERT INTO forwardings VALUES ('all@a.example', '");
    bool is_all = true;

    for (int i = 0; i < 100; i++)
        g_string_append_printf(sql, "%su%d@a.example", i > 0 ? "," : "", i);
    g_string_append(sql, "');");
    fixture_map(fixture, sql->str);
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_auto(GStrv) ends = mailmap_destinations(map, "all@a.example", &is_all, NULL);
    assert_non_null(ends);
    assert_false(is_all);
}

static void
what_is_no_address_is_an_error(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    fixture_map(fixture, rows_sql);
    g_autoptr(Mapedit) edit = mapedit_open(fixture->path, 20, NULL);
    assert_null(mapedit_forwardings(edit, "nonsense", "+", &error));
    assert_map_error(error, MAILMAP_ERROR_BAD_ADDRESS);
}

static void
locked_map_is_unavailable(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    MailmapOptions options = fixture_options(fixture);
    sqlite3 *other = NULL;
    bool is_all;

    fixture_map(fixture, rows_sql);
    options.busy_timeout_ms = 20;
    g_autoptr(Mailmap) map = fixture_open(&options);
    g_autoptr(Mapedit) edit = mapedit_open(fixture->path, 20, NULL);
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_null(mapedit_forwardings(edit, "info@example.org", "+", &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    assert_null(mailmap_destinations(map, "info@example.org", &is_all, &error));
    assert_map_error(error, MAILMAP_ERROR_UNAVAILABLE);
    sqlite3_close(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(fan_of_loops_ends_after_a_hundred_steps),
        FIXTURE_TEST(delivery_side_gets_the_ends),
        FIXTURE_TEST(delivery_side_knows_that_a_long_list_was_cut),
        FIXTURE_TEST(what_is_no_address_is_an_error),
        FIXTURE_TEST(locked_map_is_unavailable),
    };
    struct CMUnitTest row_tests[G_N_ELEMENTS(rows)];
    int failed;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        row_tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(row_tests, NULL, NULL);
}
