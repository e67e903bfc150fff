/* tests/lda/test_carry_out.c - what scripts ask for, done: files, mail, outcomes and log */
#include "sieve_fixture.h"

static void
assert_text(const LdaOutcome *outcome, const char *status, const char *text)
{
    assert_string_equal(outcome->status, status);
    assert_string_equal(outcome->text, text);
}

/* ---- mailboxes ------------------------------------------------------------ */

static void
message_without_a_script_is_stored_as_ever(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *memory = g_build_filename(fixture->home, ".lodge", NULL);

    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 1);
    assert_false(g_file_test(memory, G_FILE_TEST_EXISTS));
    assert_false(log_has(fixture, "script="));
}

static void
fileinto_makes_and_subscribes_a_missing_folder(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"fileinto\"; fileinto \"Lists.ietf\";");
    assert_text(deliver(fixture), "2.0.0", "stored in Lists.ietf");
    assert_string_equal(((LdaOutcome *)fixture->outcomes->pdata[0])->folder, "Lists.ietf");
    assert_int_equal(count_in(fixture, ".Lists.ietf/new"), 1);
    assert_int_equal(count_in(fixture, "new"), 0);
    g_autofree char *subscriptions =
        read_below(fixture, "mail/example.org/ana/Maildir/subscriptions");
    assert_non_null(strstr(subscriptions, "Lists\tietf"));
    assert_true(log_has(fixture, "actions=\"fileinto Lists.ietf\""));
}

static void
folder_is_not_subscribed_where_that_is_off(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mailbox_autosubscribe = no\n");
    write_script(fixture, "require \"fileinto\"; fileinto \"Lists\";");
    deliver(fixture);
    assert_int_equal(count_in(fixture, ".Lists/new"), 1);
    g_autofree char *subscriptions =
        read_below(fixture, "mail/example.org/ana/Maildir/subscriptions");
    assert_null(strstr(subscriptions, "Lists"));
}

static void
missing_folder_falls_to_inbox_where_none_is_made(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mailbox_autocreate = no\n");
    write_script(fixture, "require \"fileinto\"; fileinto \"Lists\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 1);
    assert_true(log_has(fixture, "note=\"not in 'Lists': "));
}

static void
create_makes_a_folder_where_none_is_made_by_default(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mailbox_autocreate = no\n");
    write_script(fixture, "require [\"fileinto\", \"mailbox\"]; fileinto :create \"Lists\";");
    assert_text(deliver(fixture), "2.0.0", "stored in Lists");
}

static void
folder_that_cannot_be_named_falls_to_inbox(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"fileinto\"; fileinto \"a/b\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_true(log_has(fixture, "not in 'a/b'"));
}

static void
two_folders_that_cannot_be_had_make_one_copy(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"fileinto\"; fileinto \"a/b\"; fileinto \"c/d\"; keep;");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 1);
}

static void
each_mailbox_gets_its_copy_and_the_reply_names_all(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture,
                 "require \"fileinto\"; fileinto \"A\"; fileinto \"B\"; fileinto \"C\"; keep;");
    assert_text(deliver(fixture), "2.0.0", "stored in A, B, C and INBOX");
    assert_int_equal(count_in(fixture, ".A/new"), 1);
    assert_int_equal(count_in(fixture, ".B/new"), 1);
    assert_int_equal(count_in(fixture, ".C/new"), 1);
    assert_int_equal(count_in(fixture, "new"), 1);
}

static void
flags_and_keywords_are_those_of_the_maildir(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, "Maildir/cur", NULL);
    g_autoptr(GDir) dir = NULL;

    write_script(fixture, "require \"imap4flags\"; keep :flags [\"\\\\Seen\", \"\\\\flagged\","
                          "\"\\\\Answered\", \"work\", \"\\\\Strange\"];");
    deliver(fixture);
    dir = g_dir_open(path, 0, NULL);
    assert_true(g_str_has_suffix(g_dir_read_name(dir), ":2,FRSa"));
    g_autofree char *keywords =
        read_below(fixture, "mail/example.org/ana/Maildir/dovecot-keywords");
    assert_string_equal(keywords, "0 work\n");
}

static void
special_use_leads_to_the_mailbox_of_the_settings(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "special_use = Junk=Spam; Junk=Other\n");
    write_script(fixture, "require [\"fileinto\", \"special-use\"];"
                          "fileinto :specialuse \"\\\\Junk\" \"Elsewhere\";");
    assert_text(deliver(fixture), "2.0.0", "stored in Elsewhere");
    write_script(fixture, "require \"fileinto\"; fileinto \"Other\";");
    deliver(fixture);
    write_script(fixture, "require [\"fileinto\", \"special-use\"];"
                          "fileinto :specialuse \"\\\\junk\" \"Elsewhere\";");
    assert_text(deliver(fixture), "2.0.0", "stored in Other");
}

static void
mailbox_is_found_by_the_id_dovecot_gave_it(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"fileinto\"; fileinto \"K\xc3\xa4se.x\";");
    deliver(fixture);
    write_home(fixture, "Maildir/.K&AOQ-se.x/dovecot-uidlist", "3 V17 N1 Gabcdef0123\n");
    write_script(fixture, "require [\"fileinto\", \"mailboxid\"];"
                          "fileinto :mailboxid \"abcdef0123\" \"Elsewhere\";");
    assert_text(deliver(fixture), "2.0.0", "stored in K\xc3\xa4se.x");
    assert_int_equal(count_in(fixture, ".K&AOQ-se.x/new"), 2);
    write_script(fixture, "require [\"fileinto\", \"mailboxid\"];"
                          "fileinto :mailboxid \"unknown\" \"Elsewhere\";");
    assert_text(deliver(fixture), "2.0.0", "stored in Elsewhere");
}

/* What lies in the only file of a box. */
static char *
only_file(const Fixture *fixture, const char *box)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = dir != NULL ? g_dir_read_name(dir) : NULL;
    g_autofree char *file = NULL;
    char *text = NULL;

    assert_non_null(name);
    file = g_build_filename(path, name, NULL);
    assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return text;
}

static void
edited_message_is_stored_as_it_was_at_each_action(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require [\"fileinto\", \"editheader\"]; fileinto \"Before\";"
                          "addheader \"X-New\" \"a\"; deleteheader \"subject\"; keep;");
    assert_text(deliver(fixture), "2.0.0", "stored in Before and INBOX");
    g_autofree char *before = only_file(fixture, ".Before/new");
    g_autofree char *after = only_file(fixture, "new");
    assert_non_null(strstr(before, "Subject: hello\n"));
    assert_null(strstr(before, "X-New"));
    assert_null(strstr(after, "Subject:"));
    assert_non_null(strstr(after, "X-New: a\n"));
    assert_true(g_str_has_prefix(after, "Return-Path: <bob@example.com>\n"));
    assert_true(g_str_has_suffix(after, "\n\nbody\n"));
}

static void
large_message_in_the_spool_is_filtered_and_edited(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) text = g_string_new("Subject: large\n\n");

    for (int i = 0; i < 200000; i++)
        g_string_append(text, "a line of text\n");
    write_script(fixture, "require [\"fileinto\", \"editheader\", \"body\"];"
                          "if allof (size :over 2M, body :contains \"line of\")"
                          " { addheader \"X-Large\" \"yes\"; fileinto \"Large\"; }");
    assert_text(deliver_text(fixture, "bob@example.com", "ana@example.org", text->str), "2.0.0",
                "stored in Large");
    g_autofree char *stored = only_file(fixture, ".Large/new");
    assert_non_null(strstr(stored, "X-Large: yes\n"));
    assert_true(g_str_has_suffix(stored, text->str + strlen("Subject: large\n")));
}

/* ---- no copy ------------------------------------------------------------- */

static void
discard_is_a_success_that_says_so(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "# a comment\ndiscard;");
    assert_text(deliver(fixture), "2.0.0", "discarded by sieve line 2");
    assert_null(((LdaOutcome *)fixture->outcomes->pdata[0])->file);
    assert_int_equal(count_in(fixture, "new"), 0);
}

static void
reject_refuses_with_the_reason(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"reject\"; reject \"not\nnow\";");
    assert_text(deliver(fixture), "5.7.1", "not now");
    assert_int_equal(lda_outcome_reply_code(fixture->outcomes->pdata[0]), 550);
    assert_int_equal(lda_outcome_exit_status(fixture->outcomes->pdata[0]), 77);
    assert_int_equal(count_sent(fixture), 0);
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_true(log_has(fixture, "actions=reject"));
}

static void
start_with_archive(Fixture *fixture)
{
    g_autofree char *setting = g_strdup_printf("before = %s/before.sieve\n", fixture->dir);

    start(fixture, setting);
    write_below(fixture, "before.sieve",
                "require [\"fileinto\", \"copy\"]; fileinto :copy \"Archive\";");
}

static void
copy_of_an_earlier_script_is_stored_when_a_later_one_rejects(void **state)
{
    Fixture *fixture = *state;

    start_with_archive(fixture);
    write_script(fixture, "require \"reject\"; reject \"no\";");
    assert_text(deliver(fixture), "5.7.1", "no");
    assert_int_equal(count_in(fixture, ".Archive/new"), 1);
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_true(log_has(fixture, "actions=\"fileinto Archive, reject\""));
}

static void
copy_of_an_earlier_script_is_stored_when_a_later_one_fails(void **state)
{
    static const char *const broken[] = {
        "frobnicate;",
        "require [\"variables\", \"fileinto\"]; fileinto \"Gone\"; redirect \"${x}\";",
    };
    Fixture *fixture = *state;

    start_with_archive(fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        write_script(fixture, broken[i]);
        assert_string_equal(deliver(fixture)->status, "2.0.0");
        assert_int_equal(count_in(fixture, ".Archive/new"), i + 1);
        assert_int_equal(count_in(fixture, ".Gone/new"), 0);
    }
}

static void
reject_sends_a_report_where_the_setting_says_so(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "reject_method = mdn\n");
    write_script(fixture, "require \"reject\"; reject \"not now\";");
    assert_text(deliver(fixture), "2.0.0", "rejected by sieve line 1, its sender was told");
    g_autofree char *sent = read_below(fixture, "sent");
    assert_non_null(strstr(sent, "disposition-notification"));
}

static void
reason_that_smtp_cannot_carry_goes_into_a_report(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"reject\"; reject \"sch\xc3\xb6n\";");
    assert_text(deliver(fixture), "2.0.0", "rejected by sieve line 1, its sender was told");
    write_script(fixture, "require \"ereject\"; ereject \"sch\xc3\xb6n\";");
    assert_string_equal(deliver(fixture)->status, "5.7.1");
}

static void
report_that_cannot_be_sent_is_tried_again(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "reject_method = mdn\n");
    write_below(fixture, "mta", "75");
    write_script(fixture, "require \"reject\"; reject \"not now\";");
    assert_int_equal(deliver(fixture)->status[0], '4');
}

/* ---- redirect ------------------------------------------------------------- */

static void
redirect_hands_the_message_to_the_mta(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "redirect \"eva@example.net\";");
    assert_text(deliver(fixture), "2.0.0", "redirected to 1 address");
    g_autofree char *sent = read_below(fixture, "sent");
    assert_non_null(strstr(sent, "-f bob@example.com"));
    assert_non_null(strstr(sent, "eva@example.net"));
    assert_non_null(strstr(sent, "X-Sieve-Redirected-From: ana@example.org\n"));
    assert_int_equal(count_in(fixture, "new"), 0);
}

static void
redirect_that_cannot_be_handed_over_is_temporary_and_nothing_is_stored(void **state)
{
    Fixture *fixture = *state;

    write_below(fixture, "mta", "75");
    write_script(fixture, "require [\"copy\", \"fileinto\"]; redirect :copy \"eva@example.net\";"
                          "fileinto \"A\"; keep;");
    assert_int_equal(deliver(fixture)->status[0], '4');
    assert_int_equal(count_in(fixture, "new"), 0);
    assert_int_equal(count_in(fixture, ".A/new"), 0);
    assert_int_equal(count_in(fixture, "tmp"), 0);
    assert_int_equal(count_in(fixture, ".A/tmp"), 0);
    /* The MTA comes again. */
    assert_text(deliver(fixture), "2.0.0", "stored in A and INBOX; redirected to 1 address");
}

static void
retry_does_not_send_again_what_was_sent(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sendmail = below(fixture, "sendmail");
    g_autofree char *program = NULL;

    /* The second message to go out is refused for now. */
    program = g_strdup_printf("#!/bin/sh\ncd %s\ncase \"$*\" in *second*)"
                              " [ -f ready ] || exit 75;; esac\n"
                              "{ echo \"ARGS $*\"; cat; } >> sent\n",
                              fixture->dir);
    write_file(sendmail, program);
    assert_int_equal(chmod(sendmail, 0755), 0);
    write_script(fixture, "redirect \"first@example.net\"; redirect \"second@example.net\"; keep;");
    assert_int_equal(deliver(fixture)->status[0], '4');
    assert_int_equal(count_sent(fixture), 1);
    assert_int_equal(deliver(fixture)->status[0], '4');
    assert_int_equal(count_sent(fixture), 1);
    write_below(fixture, "ready", "");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX; redirected to 2 addresses");
    assert_int_equal(count_sent(fixture), 2);
    assert_true(log_has(fixture, "redirect first@example.net (done by an earlier try)"));
}

/* The MTA did not hear our reply. */
static void
message_of_an_mta_that_was_delivered_is_not_sent_again(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"copy\"; redirect :copy \"eva@example.net\";");
    deliver(fixture);
    deliver(fixture);
    assert_int_equal(count_sent(fixture), 1);
    assert_int_equal(count_in(fixture, "new"), 2);
}

static void
same_octets_once_more_without_an_mta_are_another_message(void **state)
{
    static const char text[] = "Subject: nightly report\n\nall is well\n";
    Fixture *fixture = *state;

    write_script(fixture, "redirect \"eva@example.net\";");
    deliver_text(fixture, "bob@example.com", "ana@example.org", text);
    deliver_text(fixture, "bob@example.com", "ana@example.org", text);
    assert_int_equal(count_sent(fixture), 2);
}

static void
log_says_what_the_way_out_does_not_carry(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sendmail = below(fixture, "sendmail"), *exim = below(fixture, "exim4");

    assert_int_equal(rename(sendmail, exim), 0);
    assert_int_equal(symlink("exim4", sendmail), 0);
    write_script(fixture,
                 "require \"redirect-dsn\"; redirect :notify \"DELAY\" \"eva@example.net\";");
    assert_text(deliver(fixture), "2.0.0", "redirected to 1 address");
    assert_true(log_has(fixture, "is Exim: NOTIFY and RET are left out"));
}

static void
redirect_refused_for_ever_is_kept(void **state)
{
    Fixture *fixture = *state;

    write_below(fixture, "mta", "77");
    write_script(fixture, "redirect \"eva@example.net\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 1);
    assert_true(log_has(fixture, "note=\"kept: "));
}

/* ---- what may fail -------------------------------------------------------- */

static void
vacation_answers_once_in_its_time(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"vacation\"; vacation :days 3 \"I am away\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    deliver(fixture);
    assert_int_equal(count_sent(fixture), 1);
    assert_int_equal(count_in(fixture, "new"), 2);
    assert_true(log_has(fixture, "vacation bob@example.com (not done: answered lately)"));
    deliver_text(fixture, "eva@example.net", "ana@example.org", MESSAGE);
    assert_int_equal(count_sent(fixture), 2);
}

static void
reply_that_cannot_be_sent_does_not_stop_mail_and_is_tried_at_the_next(void **state)
{
    Fixture *fixture = *state;

    write_below(fixture, "mta", "75");
    write_script(fixture, "require \"vacation\"; vacation \"I am away\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_true(log_has(fixture, "vacation bob@example.com (not done: "));
    deliver(fixture);
    assert_int_equal(count_sent(fixture), 1);
}

static void
withheld_reply_says_why_in_the_log(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"vacation\"; vacation \"I am away\";");
    deliver_text(fixture, "", "ana@example.org", MESSAGE);
    assert_int_equal(count_sent(fixture), 0);
    assert_true(log_has(fixture, "(not done: "));
}

static void
forwarded_address_is_the_users_own(void **state)
{
    Fixture *fixture = *state;
    const char *text = "From: bob@example.com\nTo: sales@example.org\nSubject: x\n\nbody\n";

    add_row(fixture, MAPEDIT_FORWARDINGS, "sales@example.org", "destination",
            "team@example.org, other@example.net");
    add_row(fixture, MAPEDIT_FORWARDINGS, "team@example.org", "destination", "ana@example.org");
    write_script(fixture, "require \"vacation\"; vacation \"I am away\";");
    deliver_text(fixture, "bob@example.com", "ana@example.org", text);
    assert_int_equal(count_sent(fixture), 1);
    start(fixture, "own_addresses = no\n");
    deliver_text(fixture, "carl@example.com", "ana@example.org", text);
    assert_int_equal(count_sent(fixture), 1);
}

static void
copy_of_a_reply_is_filed(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require [\"vacation\", \"fcc\", \"imap4flags\"];"
                          "vacation :fcc \"Sent\" :flags \"\\\\Seen\" \"I am away\";");
    deliver(fixture);
    g_autofree char *copy = only_file(fixture, ".Sent/cur");
    assert_non_null(strstr(copy, "I am away"));
    assert_null(strstr(copy, "Return-Path"));
}

static void
notification_is_sent(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"enotify\"; notify \"mailto:eva@example.net\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_sent(fixture), 1);
}

static void
duplicate_is_known_after_the_first_was_delivered(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require \"duplicate\"; if duplicate { discard; }");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_text(deliver(fixture), "2.0.0", "discarded by sieve line 1");
}

static void
duplicate_of_a_delivery_that_failed_is_none(void **state)
{
    Fixture *fixture = *state;

    write_below(fixture, "mta", "75");
    write_script(fixture, "require [\"duplicate\", \"copy\"];"
                          "if duplicate { discard; stop; } redirect :copy \"eva@example.net\";");
    assert_int_equal(deliver(fixture)->status[0], '4');
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX; redirected to 1 address");
}

/* ---- programs ------------------------------------------------------------- */

static void
write_program(Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->dir, "programs", name, NULL);
    g_autofree char *setting = NULL;

    write_file(path, text);
    assert_int_equal(chmod(path, 0755), 0);
    setting = g_strdup_printf("program_dir = %s/programs\n", fixture->dir);
    start(fixture, setting);
}

static void
pipe_feeds_a_program_instead_of_the_mailbox(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *program = g_strdup_printf("#!/bin/sh\ncat > %s/piped\n", fixture->dir);

    write_program(fixture, "take", program);
    write_script(fixture, "require \"vnd.dovecot.pipe\"; pipe \"take\";");
    assert_text(deliver(fixture), "2.0.0", "piped to 1 program");
    g_autofree char *piped = read_below(fixture, "piped");
    assert_string_equal(piped, MESSAGE);
    assert_int_equal(count_in(fixture, "new"), 0);
}

static void
message_whose_program_fails_is_kept(void **state)
{
    Fixture *fixture = *state;

    write_program(fixture, "fail", "#!/bin/sh\nexit 3\n");
    write_script(fixture, "require \"vnd.dovecot.pipe\"; pipe \"fail\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    write_script(fixture, "require \"vnd.dovecot.pipe\"; pipe \"unknown\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
}

/* ---- scripts that fail ----------------------------------------------------- */

static void
script_that_does_not_compile_keeps_and_tells_once(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "keep;\nfrobnicate;\n");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, "new"), 2); /* and the notice */
    deliver(fixture);
    assert_int_equal(count_in(fixture, "new"), 3);
    assert_true(log_has(fixture, "script_error=\".dovecot.sieve:2: "));
    g_autofree char *user_log = read_below(fixture, "mail/example.org/ana/.dovecot.sieve.log");
    assert_int_equal(count_words(user_log, "frobnicate"), 2);
    write_script(fixture, "frobnicate;\n");
    deliver(fixture);
    assert_int_equal(count_in(fixture, "new"), 5);
}

static void
script_that_fails_while_it_runs_keeps(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "require [\"fileinto\", \"variables\"]; fileinto \"A\";"
                          "redirect \"${nothing}\";");
    assert_text(deliver(fixture), "2.0.0", "stored in INBOX");
    assert_int_equal(count_in(fixture, ".A/new"), 0);
    assert_true(log_has(fixture, "script_error="));
    assert_int_equal(count_sent(fixture), 0);
}

static void
notice_is_not_sent_where_it_is_off(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "error_notice = no\nuser_log =\n");
    write_script(fixture, "frobnicate;\n");
    deliver(fixture);
    assert_int_equal(count_in(fixture, "new"), 1);
    g_autofree char *user_log = read_below(fixture, "mail/example.org/ana/.dovecot.sieve.log");
    assert_string_equal(user_log, "");
}

static void
script_that_cannot_be_read_defers(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);

    write_script(fixture, "keep;");
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(deliver(fixture)->status[0], '4');
    assert_int_equal(count_in(fixture, "new"), 0);
}

static void
user_log_stays_small(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *long_log = g_strnfill(20000, 'x');

    write_home(fixture, ".dovecot.sieve.log", long_log);
    write_script(fixture, "frobnicate;\n");
    deliver(fixture);
    g_autofree char *user_log = read_below(fixture, "mail/example.org/ana/.dovecot.sieve.log");
    g_autofree char *old = read_below(fixture, "mail/example.org/ana/.dovecot.sieve.log.0");
    assert_true(strlen(user_log) < 1000);
    assert_int_equal(strlen(old), 20000);
}

/* ---- many recipients ------------------------------------------------------- */

static void
each_recipient_has_the_outcome_of_its_own_script(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(LdaEnvelope) envelope = lda_envelope_new("bob@example.com");
    g_autoptr(Message) message = message_of(fixture, MESSAGE);
    LdaOutcome *refusal = NULL;

    for (int i = 0; i < 120; i++) {
        g_autofree char *address = g_strdup_printf("u%d@example.org", i);
        g_autofree char *script = g_strdup_printf("mail/example.org/u%d/.dovecot.sieve", i);

        add_row(fixture, MAPEDIT_USERS, address, NULL, NULL);
        if (i % 3 == 1)
            write_below(fixture, script, "require \"fileinto\"; fileinto \"A\"; fileinto \"B\";");
        if (i % 3 == 2)
            write_below(fixture, script, "discard;");
        g_ptr_array_add(envelope->recipients, lda_resolve(fixture->lda, address, &refusal));
    }
    fixture->outcomes = lda_deliver(fixture->lda, "id", envelope, message, NULL);
    assert_int_equal(fixture->outcomes->len, 120);
    for (guint i = 0; i < fixture->outcomes->len; i++) {
        static const char *const texts[] = {"stored in INBOX", "stored in A and B",
                                            "discarded by sieve line 1"};

        assert_text(fixture->outcomes->pdata[i], "2.0.0", texts[i % 3]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_without_a_script_is_stored_as_ever),
        TEST(fileinto_makes_and_subscribes_a_missing_folder),
        TEST(folder_is_not_subscribed_where_that_is_off),
        TEST(missing_folder_falls_to_inbox_where_none_is_made),
        TEST(create_makes_a_folder_where_none_is_made_by_default),
        TEST(folder_that_cannot_be_named_falls_to_inbox),
        TEST(two_folders_that_cannot_be_had_make_one_copy),
        TEST(each_mailbox_gets_its_copy_and_the_reply_names_all),
        TEST(flags_and_keywords_are_those_of_the_maildir),
        TEST(special_use_leads_to_the_mailbox_of_the_settings),
        TEST(mailbox_is_found_by_the_id_dovecot_gave_it),
        TEST(edited_message_is_stored_as_it_was_at_each_action),
        TEST(large_message_in_the_spool_is_filtered_and_edited),
        TEST(discard_is_a_success_that_says_so),
        TEST(reject_refuses_with_the_reason),
        TEST(copy_of_an_earlier_script_is_stored_when_a_later_one_rejects),
        TEST(copy_of_an_earlier_script_is_stored_when_a_later_one_fails),
        TEST(reject_sends_a_report_where_the_setting_says_so),
        TEST(reason_that_smtp_cannot_carry_goes_into_a_report),
        TEST(report_that_cannot_be_sent_is_tried_again),
        TEST(redirect_hands_the_message_to_the_mta),
        TEST(redirect_that_cannot_be_handed_over_is_temporary_and_nothing_is_stored),
        TEST(retry_does_not_send_again_what_was_sent),
        TEST(message_of_an_mta_that_was_delivered_is_not_sent_again),
        TEST(same_octets_once_more_without_an_mta_are_another_message),
        TEST(log_says_what_the_way_out_does_not_carry),
        TEST(redirect_refused_for_ever_is_kept),
        TEST(vacation_answers_once_in_its_time),
        TEST(reply_that_cannot_be_sent_does_not_stop_mail_and_is_tried_at_the_next),
        TEST(withheld_reply_says_why_in_the_log),
        TEST(forwarded_address_is_the_users_own),
        TEST(copy_of_a_reply_is_filed),
        TEST(notification_is_sent),
        TEST(duplicate_is_known_after_the_first_was_delivered),
        TEST(duplicate_of_a_delivery_that_failed_is_none),
        TEST(pipe_feeds_a_program_instead_of_the_mailbox),
        TEST(message_whose_program_fails_is_kept),
        TEST(script_that_does_not_compile_keeps_and_tells_once),
        TEST(script_that_fails_while_it_runs_keeps),
        TEST(notice_is_not_sent_where_it_is_off),
        TEST(script_that_cannot_be_read_defers),
        TEST(user_log_stays_small),
        TEST(each_recipient_has_the_outcome_of_its_own_script),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
