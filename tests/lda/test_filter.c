/* tests/lda/test_filter.c - what scripts may ask, and what comes of a chain of them */
#include "sieve_fixture.h"

#include <sqlite3.h>

#include "lda/filter.h"

/* One run of the filter over MESSAGE, with all that it borrows. */
typedef struct {
    Message *message;
    LdaEnvelope *envelope;
    Maildir *maildir;
    Scripts *scripts;
    Filter *filter; /* NULL: no script, or error */
    GError *error;
} Run;

static void
run_clear(Run *run)
{
    filter_free(run->filter);
    scripts_free(run->scripts);
    maildir_free(run->maildir);
    lda_envelope_free(run->envelope);
    message_free(run->message);
    g_clear_error(&run->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static void
begin(const Fixture *fixture, Run *run)
{
    const MaildirLayout dots = {.separator = '.', .prefix = ""};
    g_autofree char *maildir = g_build_filename(fixture->home, "Maildir", NULL);
    LdaOutcome *refusal = NULL;

    run->message = message_of(fixture, MESSAGE);
    run->envelope = lda_envelope_new("bob@example.com");
    g_hash_table_insert(run->envelope->forwarded, g_strdup("ADDR"), g_strdup("IPv6:2001:db8::1"));
    g_hash_table_insert(run->envelope->forwarded, g_strdup("NAME"), g_strdup("mx.example.com"));
    g_ptr_array_add(run->envelope->recipients,
                    lda_resolve(fixture->lda, "ana@example.org", &refusal));
    run->maildir = maildir_open(maildir, fixture->config->mail.root, &dots, NULL);
    run->scripts = scripts_new(fixture->config);
}

static void
filter_message(const Fixture *fixture, Run *run)
{
    begin(fixture, run);

    const FilterContext context = {
        .config = fixture->config,
        .envelope = run->envelope,
        .recipient = run->envelope->recipients->pdata[0],
        .message = run->message,
        .maildir = run->maildir,
        .scripts = run->scripts,
        .home = fixture->home,
        .hostname = "mail.example.org",
        .now_us = G_GINT64_CONSTANT(1700000000000000),
    };

    run->filter = filter_run(&context, &run->error);
}

/* "fileinto A, keep": what the scripts want; "implicit" for the implicit keep. */
static char *
wanted(const Filter *filter)
{
    const GPtrArray *actions = filter_actions(filter);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < actions->len; i++) {
        const SieveAction *action = actions->pdata[i];

        g_string_append(text, i > 0 ? ", " : "");
        if (action->kind == SIEVE_ACTION_FILEINTO)
            g_string_append_printf(text, "fileinto %s", action->mailbox);
        else if (action->kind == SIEVE_ACTION_KEEP)
            g_string_append(text, action->implicit ? "implicit" : "keep");
        else if (action->kind == SIEVE_ACTION_REDIRECT)
            g_string_append_printf(text, "redirect %s", action->address);
        else
            g_string_append(text, "discard");
    }
    return g_string_free(text, FALSE);
}

static void
assert_wanted(const Fixture *fixture, const char *expected)
{
    g_auto(Run) run = {0};
    g_autofree char *text = NULL;

    filter_message(fixture, &run);
    if (run.error != NULL)
        fail_msg("%s", run.error->message);
    assert_non_null(run.filter);
    if (filter_failure(run.filter) != NULL)
        fail_msg("%s", filter_failure(run.filter));
    text = wanted(run.filter);
    assert_string_equal(text, expected);
}

static void
assert_temporary(const Fixture *fixture, const char *part)
{
    g_auto(Run) run = {0};
    g_autoptr(LdaOutcome) outcome = NULL;

    filter_message(fixture, &run);
    assert_null(run.filter);
    assert_non_null(run.error);
    assert_non_null(strstr(run.error->message, part));
    outcome = lda_outcome_from_error(run.error);
    assert_int_equal(outcome->status[0], '4');
}

/* Asks one test of the language: whether it is true. */
static void
assert_test(const Fixture *fixture, const char *extension, const char *test, bool expected)
{
    g_autofree char *script = g_strdup_printf(
        "require [\"fileinto\", \"%s\"]; if %s { fileinto \"yes\"; } else { fileinto \"no\"; }",
        extension, test);

    write_script(fixture, script);
    assert_wanted(fixture, expected ? "fileinto yes" : "fileinto no");
}

/* ---- chains ------------------------------------------------------------------- */

static void
no_script_is_no_filter(void **state)
{
    g_auto(Run) run = {0};

    filter_message(*state, &run);
    assert_null(run.filter);
    assert_null(run.error);
}

static void
start_with_before_and_after(Fixture *fixture)
{
    g_autofree char *setting = g_strdup_printf("before = %s/before.sieve\nafter = %s/after.sieve\n",
                                               fixture->dir, fixture->dir);

    start(fixture, setting);
}

static void
next_script_runs_while_a_keep_is_in_force(void **state)
{
    Fixture *fixture = *state;

    start_with_before_and_after(fixture);
    write_below(fixture, "before.sieve", "require [\"fileinto\", \"copy\"]; fileinto :copy \"B\";");
    write_below(fixture, "after.sieve", "require \"fileinto\"; fileinto \"A\";");
    write_script(fixture, "keep;");
    assert_wanted(fixture, "fileinto B, fileinto A");
}

static void
script_that_cancels_the_keep_is_the_last(void **state)
{
    Fixture *fixture = *state;

    start_with_before_and_after(fixture);
    write_below(fixture, "before.sieve", "discard;");
    write_script(fixture, "require \"fileinto\"; fileinto \"Mine\";");
    assert_wanted(fixture, "discard");
}

static void
failure_names_its_script_and_ends_the_chain_with_a_keep(void **state)
{
    Fixture *fixture = *state;
    g_auto(Run) run = {0};
    g_autofree char *text = NULL;

    start_with_before_and_after(fixture);
    write_below(fixture, "before.sieve", "keep;\nfrobnicate;\n");
    write_script(fixture, "discard;");
    filter_message(fixture, &run);
    text = wanted(run.filter);
    assert_string_equal(text, "implicit");
    assert_true(g_str_has_prefix(filter_failure(run.filter), "before:2: "));
    assert_true(g_str_has_suffix(filter_script(run.filter), "/before.sieve"));
    assert_false(filter_failed_link(run.filter)->is_personal);
}

static void
includes_come_from_the_users_and_the_global_directory(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *setting = g_strdup_printf("global_dir = %s/global\n", fixture->dir);

    write_home(fixture, "sieve/a.sieve", "require [\"fileinto\", \"copy\"]; fileinto :copy \"P\";");
    write_below(fixture, "global/a.sieve",
                "require [\"fileinto\", \"copy\"]; fileinto :copy \"G\";");
    write_script(fixture, "require \"include\"; include :optional :global \"a\";");
    assert_wanted(fixture, "implicit");
    start(fixture, setting);
    write_script(fixture, "require \"include\"; include \"a\"; include :global \"a\";");
    assert_wanted(fixture, "fileinto P, fileinto G, implicit");
}

static void
script_included_once_is_the_same_though_it_was_just_written(void **state)
{
    Fixture *fixture = *state;

    write_home(fixture, "sieve/a.sieve", "require [\"duplicate\"]; redirect \"a@example.net\";");
    write_home(fixture, "sieve/b.sieve", "require [\"include\"]; include :once \"a\";");
    start(fixture, "include_max_scripts = 2\n");
    write_script(fixture, "require \"include\"; include \"b\"; include \"b\"; include :once \"a\";"
                          "include \"a\";");
    touch_home(fixture, "sieve/a.sieve");
    touch_home(fixture, "sieve/b.sieve");
    assert_wanted(fixture, "redirect a@example.net");
}

/* ---- questions ---------------------------------------------------------------- */

static void
mailboxes_are_those_of_the_maildir(void **state)
{
    Fixture *fixture = *state;

    write_home(fixture, "Maildir/.Lists.ietf/maildirfolder", "");
    assert_test(fixture, "mailbox", "mailboxexists \"Lists.ietf\"", true);
    assert_test(fixture, "mailbox", "mailboxexists \"INBOX\"", true);
    assert_test(fixture, "mailbox", "mailboxexists \"Lists\"", false);
    assert_test(fixture, "mailbox", "mailboxexists \"../..\"", false);
}

static void
special_use_is_that_of_an_existing_mailbox(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "special_use = Junk=Spam; Sent=Sent Items\n");
    write_home(fixture, "Maildir/.Spam/maildirfolder", "");
    assert_test(fixture, "special-use", "specialuse_exists \"\\\\Junk\"", true);
    assert_test(fixture, "special-use", "specialuse_exists \"\\\\Sent\"", false);
}

static void
list_is_a_file_with_a_member_a_line(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "lists = tag:example.org,2024:friends=%h/friends; empty=%h/missing\n");
    write_home(fixture, "friends", "carl@example.com\n\n  BOB@example.com  \n");
    assert_test(fixture, "extlists\", \"envelope",
                "envelope :list \"from\" \"tag:example.org,2024:friends\"", true);
    assert_test(fixture, "extlists\", \"envelope",
                "envelope :list \"to\" "
                "\"tag:example.org,2024:friends\"",
                false);
    assert_test(fixture, "extlists\", \"envelope", "envelope :list \"from\" \"empty\"", false);
    assert_test(fixture, "extlists", "valid_ext_list \"unknown\"", false);
    assert_test(fixture, "extlists", "valid_ext_list \"empty\"", true);
}

static void
list_is_a_table(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = below(fixture, "lists.db");
    g_autofree char *setting = g_strdup_printf("list_database = %s\n", path);
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE lists(list TEXT, member TEXT);"
                                  "INSERT INTO lists VALUES('friends', 'Bob@example.com')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    start(fixture, setting);
    assert_test(fixture, "extlists\", \"envelope", "envelope :list \"from\" \"friends\"", true);
    assert_test(fixture, "extlists\", \"envelope", "envelope :list \"to\" \"friends\"", false);
    assert_test(fixture, "extlists", "valid_ext_list \"unknown\"", false);
    write_script(fixture, "require \"extlists\"; redirect :list \"friends\";");
    assert_wanted(fixture, "redirect Bob@example.com");
}

static void
list_that_cannot_be_read_is_temporary(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "friends", NULL);

    start(fixture, "lists = friends=%h/friends\n");
    write_home(fixture, "friends", "bob@example.com\n");
    assert_int_equal(chmod(path, 0), 0);
    write_script(fixture, "require [\"extlists\", \"envelope\"];"
                          "if envelope :list \"from\" \"friends\" { discard; }");
    assert_temporary(fixture, path);
}

static void
environment_tells_of_host_and_client(void **state)
{
    Fixture *fixture = *state;
    static const char *const items[][2] = {
        {"host", "mail.example.org"},
        {"domain", "example.org"},
        {"remote-ip", "2001:db8::1"},
        {"remote-host", "mx.example.com"},
        {"name", "lodge"},
        {"vnd.dovecot.username", "ana@example.org"},
        {"vnd.dovecot.default-mailbox", "INBOX"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        g_autofree char *test =
            g_strdup_printf("environment :is \"%s\" \"%s\"", items[i][0], items[i][1]);

        assert_test(fixture, "vnd.dovecot.environment", test, true);
    }
}

static void
memory_is_opened_only_for_those_who_ask(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *memory = g_build_filename(fixture->home, ".lodge", NULL);

    write_script(fixture, "if header :contains \"subject\" \"x\" { discard; }");
    assert_wanted(fixture, "implicit");
    assert_false(g_file_test(memory, G_FILE_TEST_EXISTS));
    assert_test(fixture, "duplicate", "duplicate", false);
    assert_true(g_file_test(memory, G_FILE_TEST_EXISTS));
}

static void
memory_that_cannot_be_had_is_temporary(void **state)
{
    Fixture *fixture = *state;

    write_home(fixture, ".lodge", "a file where the directory should be");
    write_script(fixture, "require \"duplicate\"; if duplicate { discard; }");
    assert_temporary(fixture, ".lodge");
}

static void
own_address_is_that_of_the_row_unless_set(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "keep;");
    {
        g_auto(Run) run = {0};

        filter_message(fixture, &run);
        assert_string_equal(filter_user_email(run.filter), "ana@example.org");
    }
    start(fixture, "user_email = ana@example.com\n");
    g_auto(Run) run = {0};

    filter_message(fixture, &run);
    assert_string_equal(filter_user_email(run.filter), "ana@example.com");
}

static void
program_knows_whom_the_message_is_for(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *setting = g_strdup_printf("program_dir = %s/programs\n", fixture->dir);
    g_autofree char *path = below(fixture, "programs/answer");

    write_file(path, "#!/bin/sh\n[ \"$USER $SENDER\" = \"ana@example.org bob@example.com\" ]\n");
    assert_int_equal(chmod(path, 0755), 0);
    start(fixture, setting);
    assert_test(fixture, "vnd.dovecot.execute", "execute \"answer\"", true);
    write_file(path, "#!/bin/sh\nexit 1\n");
    assert_int_equal(chmod(path, 0755), 0);
    assert_test(fixture, "vnd.dovecot.execute", "execute \"answer\"", false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_script_is_no_filter),
        TEST(next_script_runs_while_a_keep_is_in_force),
        TEST(script_that_cancels_the_keep_is_the_last),
        TEST(failure_names_its_script_and_ends_the_chain_with_a_keep),
        TEST(includes_come_from_the_users_and_the_global_directory),
        TEST(script_included_once_is_the_same_though_it_was_just_written),
        TEST(mailboxes_are_those_of_the_maildir),
        TEST(special_use_is_that_of_an_existing_mailbox),
        TEST(list_is_a_file_with_a_member_a_line),
        TEST(list_is_a_table),
        TEST(list_that_cannot_be_read_is_temporary),
        TEST(environment_tells_of_host_and_client),
        TEST(memory_is_opened_only_for_those_who_ask),
        TEST(memory_that_cannot_be_had_is_temporary),
        TEST(own_address_is_that_of_the_row_unless_set),
        TEST(program_knows_whom_the_message_is_for),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
