/* tests/sieve/test_actions.c - the list of actions: equal ones, conflicts, limits, chains */
#include "tests/sieve/runs.h"

typedef struct {
    const char *behaviour;
    const char *scripts[3];
    const char *expected; /* actions; with "failed: " at the end, part of the error's message */
    guint64 max_actions;  /* 0: the default */
} Row;

#define ALL                                                                           \
    "require [\"fileinto\", \"copy\", \"imap4flags\", \"mailbox\", \"special-use\", " \
    "\"mailboxid\","                                                                  \
    "\"reject\", \"ereject\", \"vacation\", \"enotify\", \"editheader\", \"extlists\"];"

static const Row rows[] = {
    {"an_empty_script_keeps", {""}, "keep implicit", 0},
    {"a_keep_is_explicit", {"keep;"}, "keep", 0},
    {"discard_cancels_the_implicit_keep", {"discard;"}, "discard", 0},
    {"a_copy_leaves_the_implicit_keep",
     {ALL "fileinto :copy \"A\";"},
     "fileinto A copy, keep implicit",
     0},
    {"a_redirect_cancels_it", {"redirect \"a@b.c\";"}, "redirect a@b.c", 0},
    {"a_copied_redirect_does_not",
     {ALL "redirect :copy \"a@b.c\";"},
     "redirect a@b.c copy, keep implicit",
     0},

    {"two_keeps_are_one", {"keep; keep;"}, "keep", 0},
    {"a_keep_and_a_fileinto_of_inbox_are_one", {ALL "keep; fileinto \"inBox\";"}, "keep", 0},
    {"a_fileinto_of_inbox_and_a_keep_are_one",
     {ALL "fileinto \"inBox\"; keep;"},
     "fileinto inBox",
     0},
    {"one_mailbox_gets_one_copy", {ALL "fileinto \"A\"; fileinto \"A\";"}, "fileinto A", 0},
    {"mailboxes_have_their_case",
     {ALL "fileinto \"A\"; fileinto \"a\";"},
     "fileinto A, fileinto a",
     0},
    {"one_address_gets_one_redirect",
     {"redirect \"Al <a@b.c>\"; redirect \"a@B.C\"; redirect \"A@b.c\";"},
     "redirect a@b.c, redirect A@b.c",
     0},
    {"the_last_flags_win",
     {ALL "fileinto :flags \"x\" \"A\"; keep; fileinto :flags \"y\" \"A\";"},
     "fileinto A [y], keep",
     0},
    {"what_is_no_mere_copy_once_is_none",
     {ALL "fileinto :copy \"A\"; fileinto \"A\"; redirect \"a@b.c\"; redirect :copy \"a@b.c\";"},
     "fileinto A, redirect a@b.c",
     0},
    {"create_once_is_create",
     {ALL "fileinto \"A\"; fileinto :create \"A\";"},
     "fileinto A create",
     0},
    {"a_copy_into_inbox_is_the_implicit_keep_too",
     {ALL "fileinto :copy :flags \"x\" \"INBOX\";"},
     "fileinto INBOX [x] copy",
     0},
    {"a_special_use_is_the_mailbox_that_has_it",
     {ALL "fileinto \"Spam\"; fileinto :specialuse \"\\\\Junk\" \"Other\";"},
     "fileinto Spam",
     0},
    {"a_special_use_that_nothing_has_is_the_name",
     {ALL "fileinto \"Spam\"; fileinto :specialuse \"\\\\Sent\" \"Other\"; fileinto \"Other\";"},
     "fileinto Spam, fileinto Other",
     0},
    {"an_id_is_the_mailbox_that_has_it",
     {ALL "keep; fileinto :mailboxid \"F1\" \"Other\";"},
     "keep",
     0},

    {"reject_alone", {ALL "reject \"no\";"}, "reject", 0},
    {"reject_and_discard_go_together", {ALL "discard; reject \"no\";"}, "discard, reject", 0},
    {"reject_and_notify_go_together",
     {ALL "notify \"mailto:a@b.c\"; reject \"no\";"},
     "notify, reject",
     0},
    {"keep_then_reject_fails",
     {ALL "keep;\nreject \"no\";"},
     "keep implicit; failed: s0:2: \"reject\" cannot be combined with the \"keep\" of line 1",
     0},
    {"reject_then_keep_fails", {ALL "reject \"no\"; keep;"}, "keep implicit; failed: s0:1: ", 0},
    {"reject_then_copy_fails",
     {ALL "reject \"no\"; fileinto :copy \"A\";"},
     "keep implicit; failed: ",
     0},
    {"redirect_then_ereject_fails",
     {ALL "redirect \"a@b.c\"; ereject \"no\";"},
     "keep implicit; failed: s0:1: \"ereject\"",
     0},
    {"two_rejects_fail", {ALL "reject \"no\"; ereject \"no\";"}, "keep implicit; failed: ", 0},
    {"vacation_then_reject_fails",
     {ALL "vacation \"away\"; reject \"no\";"},
     "keep implicit; failed: ",
     0},
    {"two_vacations_fail", {ALL "vacation \"a\"; vacation \"b\";"}, "keep implicit; failed: ", 0},
    {"a_failed_run_keeps_without_flags",
     {ALL "addflag \"\\\\Seen\"; keep; reject \"no\";"},
     "keep implicit; failed: ",
     0},

    {"as_many_actions_as_allowed",
     {ALL "keep; fileinto \"A\"; fileinto \"A\"; discard; redirect \"a@b.c\";"},
     "keep, fileinto A, discard, redirect a@b.c",
     3},
    {"one_action_too_many_fails",
     {ALL "keep; fileinto \"A\"; fileinto \"B\"; redirect \"a@b.c\";"},
     "keep implicit; failed: s0:1: more than 3 actions are not allowed",
     3},
    {"one_redirect_too_many_fails",
     {"redirect \"a@x.y\"; redirect \"b@x.y\"; redirect \"c@x.y\"; redirect \"d@x.y\"; "
      "redirect \"d@x.y\"; redirect \"e@x.y\";"},
     "keep implicit; failed: s0:1: more than 4 redirects",
     0},

    {"the_next_script_runs_while_an_implicit_keep_holds",
     {"", ALL "fileinto \"A\";"},
     "fileinto A",
     0},
    {"the_next_script_runs_while_an_explicit_keep_holds",
     {ALL "fileinto \"A\"; keep;", ALL "fileinto \"B\";"},
     "fileinto A, fileinto B",
     0},
    {"the_next_script_does_not_run_after_a_discard",
     {"discard;", ALL "fileinto \"B\";"},
     "discard",
     0},
    {"a_keep_means_the_next_script", {"keep;", "discard;"}, "discard", 0},
    {"a_keep_that_nobody_took_back_is_implicit_in_the_end", {"keep;", ""}, "keep implicit", 0},
    {"a_keep_beside_a_fileinto_of_inbox_is_one",
     {ALL "fileinto \"INBOX\"; keep;", ""},
     "fileinto INBOX",
     0},
    {"flags_of_an_earlier_keep_hold", {ALL "keep :flags \"x\";", ""}, "keep [x] implicit", 0},
    {"until_flags_are_changed",
     {ALL "keep :flags \"x\";", ALL "addflag \"y\";"},
     "keep [y] implicit",
     0},
    {"the_internal_flags_go_on",
     {ALL "addflag \"x\";", ALL "addflag \"y\"; keep;"},
     "keep [x y]",
     0},
    {"an_earlier_copy_and_a_later_reject_go_together",
     {ALL "fileinto :copy \"A\";", ALL "reject \"no\";"},
     "fileinto A copy, reject",
     0},
    {"a_later_reject_withholds_an_earlier_vacation",
     {ALL "vacation :addresses \"ben@example.com\" \"away\";", ALL "reject \"no\";"},
     "vacation suppressed, reject",
     0},
    {"of_two_vacations_of_a_chain_the_first_goes_out",
     {ALL "vacation \"away\";", ALL "vacation \"gone\";"},
     "vacation, keep implicit",
     0},
    {"an_error_in_the_last_script_keeps_and_leaves_what_earlier_ones_did",
     {ALL "fileinto :copy \"A\";", ALL "fileinto \"B\"; reject \"no\"; reject \"no\";"},
     "fileinto A copy, keep implicit; failed: s1:1: ",
     0},
    {"stop_ends_its_own_script_only", {"stop;", "discard;"}, "discard", 0},

    {"what_is_no_flag_is_left_out",
     {ALL "keep :flags [\"\\\\Recent \\\\seen\", \"a(b\", \"\xc3\xa4\", \"$ok\", \"\\\\Foo\"];"},
     "keep [\\seen $ok]",
     0},
    {"flags_are_there_once",
     {ALL "setflag [\"a b\", \" A \", \"\", \"c\"]; keep;"},
     "keep [a b c]",
     0},
    {"removing_takes_all_cases", {ALL "setflag \"a b\"; removeflag \"A\"; keep;"}, "keep [b]", 0},
    {"flags_in_a_copy_are_those_of_now",
     {ALL "addflag \"a\"; fileinto :copy \"X\"; addflag \"b\";"},
     "fileinto X [a] copy, keep [a b] implicit",
     0},
};

static bool
special_use(void *data, const char *attribute, char **mailbox_out, GError **error)
{
    (void)data;
    (void)error;
    *mailbox_out = strcmp(attribute, "\\Junk") == 0 ? g_strdup("Spam") : NULL;
    return true;
}

static bool
mailbox_by_id(void *data, const char *id, char **mailbox_out, GError **error)
{
    (void)data;
    (void)error;
    *mailbox_out = strcmp(id, "F1") == 0 ? g_strdup("inbox") : NULL;
    return true;
}

static void
check_row(void **state)
{
    const Row *row = *state;
    bool may_fail = strstr(row->expected, "failed: ") != NULL;
    TestRun test;

    test_run_init(&test);
    memcpy(test.scripts, row->scripts, sizeof test.scripts);
    test.host.special_use = special_use;
    test.host.mailbox_by_id = mailbox_by_id;
    if (row->max_actions != 0)
        test.settings.max_actions = row->max_actions;

    g_autofree char *result = test_run(&test, NULL, NULL);

    if (may_fail && strlen(result) > strlen(row->expected))
        result[strlen(row->expected)] = '\0';
    assert_string_equal(result, row->expected);
    sieve_settings_clear(&test.settings);
}

static bool
fail_special_use(void *data, const char *attribute, char **mailbox_out, GError **error)
{
    (void)data;
    (void)attribute;
    (void)mailbox_out;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "cannot read the disk");
    return false;
}

static void
a_host_that_cannot_answer_fails_the_run(void **state)
{
    TestRun test;

    (void)state;
    test_run_init(&test);
    test.scripts[0] = ALL "fileinto :specialuse \"\\\\Junk\" \"A\";";
    test.host.special_use = fail_special_use;

    g_autofree char *result = test_run(&test, NULL, NULL);

    assert_string_equal(result, "keep implicit; failed: s0:1: cannot read the disk");
    sieve_settings_clear(&test.settings);
}

static void
the_implicit_keep_needs_no_script(void **state)
{
    static const SieveHost host;
    const SieveInput input = {.bytes = (const uint8_t *)"", .sender = "", .recipient = ""};
    SieveSettings settings;

    (void)state;
    sieve_settings_init(&settings);
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, &settings);
    const GPtrArray *actions = sieve_run_finish(run);

    assert_int_equal(actions->len, 1);
    assert_true(((const SieveAction *)actions->pdata[0])->implicit);
    sieve_settings_clear(&settings);
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_host_that_cannot_answer_fails_the_run),
        cmocka_unit_test(the_implicit_keep_needs_no_script),
    };
    GArray *tests = new_tests();

    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    ADD_ROWS(tests, rows, check_row);
    return run_rows("actions", tests);
}
