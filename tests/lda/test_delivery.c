/* tests/lda/test_delivery.c - one message to its recipients, through map, Maildir and log
 *
 * Each test has its own directory with a map, a mail root and a log. fsync(2) is
 * replaced here by one that fails when it is told to. Run by root, the program
 * becomes nobody first: mail is never delivered as root.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lda/journal.h"
#include "lda/lda.h"
#include "schema/mapedit.h"
#include "tests/lda/map_rows.h"
#include "tests/lda/no_io_uring.h"
#include "tests/scratch.h"

/* Counts down with every fsync; the one that reaches zero fails. Negative: none. */
static int syncs_until_failure = -1;
static int syncs;

/* Whatever the machine has: each file and each directory is synced. */
dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    (void)fd;
    return 0;
}

int fsync(int fd);

int
fsync(int fd)
{
    syncs++;
    if (syncs_until_failure > 0 && --syncs_until_failure == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

typedef struct {
    char *dir;
    LdaConfig *config;
    Log *log;
    Lda *lda;
    LdaEnvelope *envelope;
    GPtrArray *outcomes; /* of the latest delivery */
} Fixture;

/* ---- fixture -------------------------------------------------------------- */

static char *
below(const Fixture *fixture, const char *path)
{
    return g_build_filename(fixture->dir, path, NULL);
}

static void
add_row(const Fixture *fixture, MapeditTable table, const char *key, const char *column,
        const char *value)
{
    g_autofree char *path = below(fixture, "map.db");

    map_row(path, table, key, column, value);
}

static void
make_map(const Fixture *fixture)
{
    g_autofree char *path = below(fixture, "map.db");

    assert_true(mapedit_create(path, NULL));
    add_row(fixture, MAPEDIT_DOMAINS, "example.org", NULL, NULL);
    add_row(fixture, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    add_row(fixture, MAPEDIT_USERS, "eva@example.org", NULL, NULL);
}

static LdaConfig *
load_config(const Fixture *fixture, const char *extra)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *file = below(fixture, "lodge.conf");
    g_autofree char *text = g_strdup_printf(
        "[mail]\nroot = %s/mail\nhostname = mail.example.org\n[map]\npath = %s/map.db\n"
        "busy_timeout = 0s\n[log]\npath = %s/log\n",
        fixture->dir, fixture->dir, fixture->dir);
    const char *overrides[] = {extra, NULL};

    assert_true(g_file_set_contents(file, text, -1, NULL));
    LdaConfig *config = config_load(file, overrides, &error);
    if (config == NULL)
        fail_msg("%s", error->message);
    return config;
}

static void
start(Fixture *fixture, const char *extra)
{
    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    fixture->config = load_config(fixture, extra);
    fixture->log = log_open(fixture->config, "test");
    fixture->lda = lda_new(fixture->config, fixture->log);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *root = NULL;

    fixture->dir = g_dir_make_tmp("lodge-delivery-XXXXXX", NULL);
    root = below(fixture, "mail");
    assert_int_equal(g_mkdir(root, 0700), 0);
    make_map(fixture);
    start(fixture, NULL);
    fixture->envelope = lda_envelope_new("bob@example.com");
    syncs_until_failure = -1;
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    g_clear_pointer(&fixture->outcomes, g_ptr_array_unref);
    lda_envelope_free(fixture->envelope);
    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

/* ---- what the tests say --------------------------------------------------- */

static LdaRecipient *
to(Fixture *fixture, const char *address)
{
    LdaOutcome *refusal = NULL;
    LdaRecipient *recipient = lda_resolve(fixture->lda, address, &refusal);

    if (recipient == NULL)
        fail_msg("%s: %s", address, refusal->text);
    g_ptr_array_add(fixture->envelope->recipients, recipient);
    return recipient;
}

static const LdaOutcome *
outcome(const Fixture *fixture, guint index)
{
    assert_in_range(index, 0, fixture->outcomes->len - 1);
    return fixture->outcomes->pdata[index];
}

static void
deliver_text(Fixture *fixture, const char *text)
{
    g_autofree char *id = lda_transaction_id(fixture->lda);
    g_autoptr(Message) message = lda_message_new(fixture->lda, id, fixture->envelope);

    message_append(message, text, strlen(text));
    assert_true(message_finish(message, NULL));
    g_clear_pointer(&fixture->outcomes, g_ptr_array_unref);
    fixture->outcomes = lda_deliver(fixture->lda, id, fixture->envelope, message, NULL);
    assert_int_equal(fixture->outcomes->len, fixture->envelope->recipients->len);
}

#define MESSAGE \
    "Received: from a by b (Postfix)\n\tid 4XYZ; date\nMessage-ID: <1@x>\nSubject: x\n\nbody\n"

static unsigned
count_files(const Fixture *fixture, const char *path)
{
    g_autofree char *full = below(fixture, path);
    g_autoptr(GDir) dir = g_dir_open(full, 0, NULL);
    unsigned count = 0;

    while (dir != NULL && g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static char *
log_text(const Fixture *fixture)
{
    g_autofree char *path = below(fixture, "log");
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void
assert_status(const Fixture *fixture, guint index, const char *status, const char *text)
{
    if (strcmp(outcome(fixture, index)->status, status) != 0 ||
        strstr(outcome(fixture, index)->text, text) == NULL)
        fail_msg("got %s %s", outcome(fixture, index)->status, outcome(fixture, index)->text);
}

#define ANA "mail/example.org/ana/Maildir/"
#define EVA "mail/example.org/eva/Maildir/"

/* ---- storing -------------------------------------------------------------- */

static void
message_lies_where_the_outcome_says(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;

    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);
    assert_status(fixture, 0, "2.0.0", "stored in INBOX");
    assert_string_equal(outcome(fixture, 0)->folder, "INBOX");
    assert_true(g_file_get_contents(outcome(fixture, 0)->file, &text, NULL, NULL));
    assert_true(g_str_has_prefix(text, "Return-Path: <bob@example.com>\n"));
    assert_true(g_str_has_suffix(text, MESSAGE));
    assert_int_equal(count_files(fixture, ANA "new"), 1);
    assert_int_equal(count_files(fixture, ANA "tmp"), 0);
}

static void
log_line_says_it_all(void **state)
{
    Fixture *fixture = *state;
    static const char *const fields[] = {"event=deliver",
                                         " id=",
                                         " queue_id=4XYZ",
                                         " message_id=<1@x>",
                                         "from=",
                                         "to=",
                                         "user=ana@example.org",
                                         "folder=INBOX",
                                         "orig_to=info@x.org",
                                         "status=2.0.0",
                                         "file=",
                                         " ms=",
                                         "size=82",
                                         "client=unix socket"};

    to(fixture, "ana@example.org")->original = g_strdup("info@x.org");
    fixture->envelope->client_address = g_strdup("unix socket");
    deliver_text(fixture, MESSAGE);
    g_autofree char *text = log_text(fixture);
    /* Quotes and brackets are the log's business. */
    g_auto(GStrv) parts = g_strsplit(text, "\"", -1);
    g_autofree char *plain = g_strjoinv("", parts);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strstr(plain, fields[i]) == NULL)
            fail_msg("no '%s' in %s", fields[i], text);
    }
}

static void
xforward_wins_over_the_header(void **state)
{
    Fixture *fixture = *state;

    g_hash_table_insert(fixture->envelope->forwarded, g_strdup("IDENT"), g_strdup("4IDENT"));
    g_hash_table_insert(fixture->envelope->forwarded, g_strdup("ADDR"), g_strdup("192.0.2.7"));
    g_hash_table_insert(fixture->envelope->forwarded, g_strdup("NAME"), g_strdup("[UNAVAILABLE]"));
    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);
    g_autofree char *text = log_text(fixture);
    assert_non_null(strstr(text, "4IDENT"));
    assert_null(strstr(text, "4XYZ"));
    assert_non_null(strstr(text, "unknown[192.0.2.7]"));
}

static void
everything_the_mta_says_is_logged(void **state)
{
    Fixture *fixture = *state;
    static const char *const said[][2] = {{"NAME", "mx.x.org"},   {"ADDR", "192.0.2.7"},
                                          {"PORT", "4711"},       {"PROTO", "ESMTP"},
                                          {"HELO", "helo.x.org"}, {"SOURCE", "REMOTE"}};
    static const char *const fields[] = {" client=mx.x.org[192.0.2.7]:4711 ",
                                         " helo=helo.x.org ",
                                         " proto=ESMTP ",
                                         " source=REMOTE ",
                                         " envid=e1 ",
                                         " ret=HDRS ",
                                         " notify=NEVER "};

    for (size_t i = 0; i < G_N_ELEMENTS(said); i++)
        g_hash_table_insert(fixture->envelope->forwarded, g_strdup(said[i][0]),
                            g_strdup(said[i][1]));
    fixture->envelope->envid = g_strdup("e1");
    fixture->envelope->ret = g_strdup("HDRS");
    to(fixture, "ana@example.org")->notify = g_strdup("NEVER");
    deliver_text(fixture, MESSAGE);
    g_autofree char *text = log_text(fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strstr(text, fields[i]) == NULL)
            fail_msg("no '%s' in %s", fields[i], text);
    }
}

static void
equal_recipients_get_one_copy_and_one_outcome(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;

    to(fixture, "ana@example.org");
    to(fixture, "eva@example.org");
    to(fixture, "ANA@Example.ORG");
    deliver_text(fixture, MESSAGE);
    assert_int_equal(count_files(fixture, ANA "new"), 1);
    assert_int_equal(count_files(fixture, EVA "new"), 1);
    assert_string_equal(outcome(fixture, 0)->file, outcome(fixture, 2)->file);
    assert_string_not_equal(outcome(fixture, 0)->file, outcome(fixture, 1)->file);
    text = log_text(fixture);
    assert_non_null(strstr(text, "ANA@Example.ORG"));
}

/* The address is what makes recipients equal, not the mailbox: the owner is told of both. */
static void
addresses_of_one_mailbox_get_a_copy_each(void **state)
{
    Fixture *fixture = *state;

    to(fixture, "ana@example.org");
    to(fixture, "ana+lists@example.org");
    deliver_text(fixture, MESSAGE);
    assert_int_equal(count_files(fixture, ANA "new"), 2);
    assert_string_not_equal(outcome(fixture, 0)->file, outcome(fixture, 1)->file);
}

static void
single_delivered_to_counts_equal_recipients_once(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;

    start(fixture, "mail.delivered_to=single");
    to(fixture, "ana@example.org");
    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);
    assert_true(g_file_get_contents(outcome(fixture, 0)->file, &text, NULL, NULL));
    assert_non_null(strstr(text, "Delivered-To: ana@example.org\n"));
}

static void
more_recipients_than_a_group_are_all_stored(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mail.durability=none");
    for (int i = 0; i < 230; i++) {
        g_autofree char *user = g_strdup_printf("u%d@example.org", i);

        add_row(fixture, MAPEDIT_USERS, user, NULL, NULL);
        to(fixture, user);
    }
    to(fixture, "u3@example.org"); /* its first copy is in another group */
    deliver_text(fixture, MESSAGE);
    for (guint i = 0; i < 231; i++) {
        assert_status(fixture, i, "2.0.0", "stored in INBOX");
        assert_int_equal(g_access(outcome(fixture, i)->file, R_OK), 0);
    }
    assert_string_equal(outcome(fixture, 3)->file, outcome(fixture, 230)->file);
}

static void
durability_none_syncs_nothing_of_the_message(void **state)
{
    Fixture *fixture = *state;

    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE); /* the Maildir is made, durably */
    syncs = 0;
    deliver_text(fixture, MESSAGE);
    assert_int_equal(syncs, 2);
    start(fixture, "mail.durability=none");
    syncs = 0;
    deliver_text(fixture, MESSAGE);
    assert_int_equal(syncs, 0);
    assert_status(fixture, 0, "2.0.0", "stored in INBOX");
}

/* Names are unique by the process id in them; a process may have been forked meanwhile. */
static void
child_names_its_files_after_itself(void **state)
{
    Fixture *fixture = *state;
    int status;

    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);

    pid_t pid = fork();

    if (pid == 0) {
        g_autofree char *own = g_strdup_printf("P%dQ", (int)getpid());

        deliver_text(fixture, MESSAGE);
        _exit(strstr(outcome(fixture, 0)->file, own) != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- refusing ------------------------------------------------------------- */

static void
message_that_was_here_before_is_a_loop(void **state)
{
    Fixture *fixture = *state;

    to(fixture, "ana@example.org");
    to(fixture, "eva@example.org");
    deliver_text(fixture, "Received: by x\nDelivered-To: Ana@example.org\n\n");
    assert_status(fixture, 0, "5.4.6", "mail loop");
    assert_status(fixture, 1, "2.0.0", "stored");
    assert_int_equal(count_files(fixture, ANA "new"), 0);
    assert_null(outcome(fixture, 0)->file);
}

static void
hops_at_the_limit_pass_and_one_more_is_a_loop(void **state)
{
    Fixture *fixture = *state;

    start(fixture, "mail.hopcount_limit=2");
    to(fixture, "ana@example.org");
    deliver_text(fixture, "Received: a\nReceived: b\n\n");
    assert_status(fixture, 0, "2.0.0", "stored");
    deliver_text(fixture, "Received: a\nReceived: b\nReceived: c\n\n");
    assert_status(fixture, 0, "5.4.6", "3 Received");
}

static void
message_larger_than_the_quota_is_refused(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "small@example.org", "quota_bytes", "10");
    to(fixture, "small@example.org");
    deliver_text(fixture, MESSAGE);
    assert_status(fixture, 0, "5.2.2", "");
}

static void
failure_to_receive_is_everybodys(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Message) message = lda_message_new(fixture->lda, "id1", fixture->envelope);
    g_autoptr(GError) failure =
        g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOSPC, "cannot store: disk full");

    to(fixture, "ana@example.org");
    to(fixture, "eva@example.org");
    fixture->outcomes = lda_deliver(fixture->lda, "id1", fixture->envelope, message, failure);
    assert_int_equal(fixture->outcomes->len, 2);
    assert_status(fixture, 0, "4.3.1", "disk full");
    assert_status(fixture, 1, "4.3.1", "disk full");
    g_autofree char *text = log_text(fixture);
    assert_non_null(strstr(text, "eva@example.org"));
}

static void
uid_of_somebody_else_is_temporary_and_says_what_to_do(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "uid@example.org", "uid", "4242");
    to(fixture, "uid@example.org");
    deliver_text(fixture, MESSAGE);
    assert_status(fixture, 0, "4.3.5", "per_user_ids");
}

static void
home_outside_the_root_is_refused(void **state)
{
    Fixture *fixture = *state;

    add_row(fixture, MAPEDIT_USERS, "out@example.org", "home", "/tmp/elsewhere");
    to(fixture, "out@example.org");
    deliver_text(fixture, MESSAGE);
    assert_status(fixture, 0, "4.3.5", "[mail] root");
    assert_int_not_equal(g_access("/tmp/elsewhere", F_OK), 0);
}

static void
refusal_is_logged(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(LdaOutcome) refusal = NULL;

    assert_null(lda_resolve(fixture->lda, "nobody@example.org", &refusal));
    assert_string_equal(refusal->status, "5.1.1");
    lda_log_refusal(fixture->lda, "id1", fixture->envelope, "nobody@example.org", refusal);
    g_autofree char *text = log_text(fixture);
    assert_non_null(strstr(text, "event=refuse"));
    assert_non_null(strstr(text, "5.1.1"));
}

static void
missing_map_is_temporary_and_is_found_when_it_is_back(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *map = below(fixture, "map.db");
    g_autofree char *away = below(fixture, "away.db");
    g_autoptr(LdaOutcome) refusal = NULL;

    assert_int_equal(rename(map, away), 0);
    assert_null(lda_resolve(fixture->lda, "ana@example.org", &refusal));
    assert_int_equal(refusal->status[0], '4');
    assert_non_null(strstr(refusal->text, map));
    assert_int_equal(rename(away, map), 0);
    to(fixture, "ana@example.org");
}

/* ---- failing -------------------------------------------------------------- */

static void
one_bad_mailbox_harms_nobody_else(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *domain = below(fixture, "mail/example.org");
    g_autofree char *in_the_way = below(fixture, "mail/example.org/ana");

    assert_int_equal(g_mkdir(domain, 0700), 0);
    assert_true(g_file_set_contents(in_the_way, "", 0, NULL));
    to(fixture, "ana@example.org");
    to(fixture, "eva@example.org");
    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);
    assert_int_equal(outcome(fixture, 0)->status[0], '4');
    assert_status(fixture, 1, "2.0.0", "stored");
    assert_string_equal(outcome(fixture, 2)->text, outcome(fixture, 0)->text);
}

static void
mailbox_that_cannot_be_written_leaves_nothing_behind(void **state)
{
    Fixture *fixture = *state;
    static const char *const directories[] = {ANA "tmp", ANA "new"};

    to(fixture, "ana@example.org");
    deliver_text(fixture, MESSAGE);
    for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *directory = below(fixture, directories[i]);

        assert_int_equal(chmod(directory, 0500), 0);
        deliver_text(fixture, MESSAGE);
        assert_int_equal(chmod(directory, 0700), 0);
        assert_status(fixture, 0, "4.3.0", "ana");
        assert_int_equal(count_files(fixture, ANA "new"), 1);
        assert_int_equal(count_files(fixture, ANA "tmp"), 0);
    }
}

/* Two recipients: syncs 1 and 2 are the files, 3 and 4 the directories. */
static void
copy_that_is_not_durable_is_never_shown(void **state)
{
    Fixture *fixture = *state;

    to(fixture, "ana@example.org");
    to(fixture, "eva@example.org");
    deliver_text(fixture, MESSAGE);
    for (int failing = 1; failing <= 4; failing++) {
        guint bad = failing % 2 == 1 ? 0 : 1;

        syncs_until_failure = failing;
        deliver_text(fixture, MESSAGE);
        assert_status(fixture, bad, "4.3.0", "durable");
        assert_null(outcome(fixture, bad)->file);
        assert_status(fixture, 1 - bad, "2.0.0", "stored");
        assert_int_equal(count_files(fixture, ANA "tmp") + count_files(fixture, EVA "tmp"), 0);
    }
    /* One at first, and then every second delivery. */
    assert_int_equal(count_files(fixture, ANA "new"), 3);
    assert_int_equal(count_files(fixture, EVA "new"), 3);
}

/* ---- folders -------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *setting;
    const char *address;
    const char *option;   /* deliver -m */
    const char *existing; /* folder made before, by a delivery that may create it */
    const char *folder;
    bool noted;
} FolderRow;

static const FolderRow folder_rows[] = {
    {"detail_goes_to_inbox_by_default", NULL, "ana+lists@example.org", NULL, "lists", "INBOX",
     false},
    {"detail_goes_to_an_existing_folder", "mail.detail_folder=existing", "ana+lists@example.org",
     NULL, "lists", "lists", false},
    {"detail_without_folder_goes_to_inbox", "mail.detail_folder=existing", "ana+lists@example.org",
     NULL, NULL, "INBOX", true},
    {"detail_makes_its_folder", "mail.detail_folder=create", "ana+lists@example.org", NULL, NULL,
     "lists", false},
    {"detail_keeps_its_case", "mail.detail_folder=existing", "ana+Lists@example.org", NULL, "Lists",
     "Lists", false},
    {"detail_that_is_no_folder_name", "mail.detail_folder=create", "ana+..@example.org", NULL, NULL,
     "INBOX", true},
    {"option_names_the_folder", NULL, "ana@example.org", "Junk", "Junk", "Junk", false},
    {"option_wins_over_the_detail", "mail.detail_folder=create", "ana+lists@example.org", "Junk",
     NULL, "Junk", false},
    {"option_without_folder_goes_to_inbox", NULL, "ana@example.org", "Junk", NULL, "INBOX", true},
    {"option_that_is_no_folder_name", NULL, "ana@example.org", "../../x", NULL, "INBOX", true},
    {"option_in_invalid_utf8", "mail.detail_folder=create", "ana@example.org", "\xff", NULL,
     "INBOX", true},
    {"empty_option_is_none", NULL, "ana@example.org", "", NULL, "INBOX", false},
};

static void
make_folder(Fixture *fixture, const char *folder)
{
    start(fixture, "mail.detail_folder=create");
    to(fixture, "ana@example.org")->folder = g_strdup(folder);
    deliver_text(fixture, MESSAGE);
    assert_string_equal(outcome(fixture, 0)->folder, folder);
    g_ptr_array_set_size(fixture->envelope->recipients, 0);
}

static void
check_folder(void **state)
{
    const FolderRow *row = *state;
    void *fresh = NULL;

    assert_int_equal(set_up(&fresh), 0);
    Fixture *fixture = fresh;
    if (row->existing != NULL)
        make_folder(fixture, row->existing);
    start(fixture, row->setting);
    to(fixture, row->address)->folder = g_strdup(row->option);
    deliver_text(fixture, MESSAGE);
    assert_status(fixture, 0, "2.0.0", "stored in");
    assert_string_equal(outcome(fixture, 0)->folder, row->folder);
    g_autofree char *text = log_text(fixture);
    assert_int_equal(strstr(text, "note=") != NULL, row->noted);
    tear_down(&fresh);
}

/* ---- ids ------------------------------------------------------------------ */

static void
ids_are_short_unique_and_sorted_by_time(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *last = lda_transaction_id(fixture->lda);

    for (int i = 0; i < 20000; i++) {
        char *id = lda_transaction_id(fixture->lda);

        assert_int_equal(strlen(id), 12);
        assert_true(strncmp(id, last, 8) > 0);
        g_free(last);
        last = id;
    }
    for (const char *p = last; *p != '\0'; p++)
        assert_true(g_ascii_isalnum(*p));
}

/* ---- paths ---------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *root;
    const char *home;     /* of the row; NULL: default */
    const char *maildir;  /* of the row; NULL: default */
    const char *expected; /* Maildir; NULL: refused */
} PathRow;

static const PathRow path_rows[] = {
    {"defaults_are_domain_and_name", "/var/vmail", NULL, NULL,
     "/var/vmail/example.org/ana/Maildir"},
    {"relative_home_is_below_root", "/var/vmail", "a/%n", NULL, "/var/vmail/a/ana/Maildir"},
    {"absolute_home_below_root", "/var/vmail", "/var/vmail/x", NULL, "/var/vmail/x/Maildir"},
    {"home_may_be_named_in_the_maildir", "/var/vmail", "a", "%h/mail", "/var/vmail/a/mail"},
    {"absolute_maildir_below_root", "/var/vmail", NULL, "/var/vmail/m/%n", "/var/vmail/m/ana"},
    {"slashes_are_tidied", "/var/vmail/", "a//b/./c", "./M/", "/var/vmail/a/b/c/M"},
    {"slashes_are_tidied_in_the_maildir_alone", "/var/vmail", "a/b", "M//x/", "/var/vmail/a/b/M/x"},
    {"hidden_directories_are_names", "/var/vmail", ".a/%n", ".M", "/var/vmail/.a/ana/.M"},
    {"dots_within_a_name_are_no_climbing", "/var/vmail", "a..b", "M...", "/var/vmail/a..b/M..."},
    {"absolute_path_is_tidied", "/var/vmail", "/var//vmail/./x/", NULL, "/var/vmail/x/Maildir"},
    {"maildir_may_be_the_home", "/var/vmail", "a/%n", ".", "/var/vmail/a/ana"},
    {"untidy_root", "/var//./vmail/", "/var/vmail/x", "m", "/var/vmail/x/m"},
    {"two_slashes_in_front_are_not_the_root", "/var/vmail", "//var/vmail/x", NULL, NULL},
    {"home_that_is_the_root", "/var/vmail", ".", NULL, NULL},
    {"absolute_home_that_climbs", "/var/vmail", "/var/vmail/../x", NULL, NULL},
    {"home_that_climbs_at_its_end", "/var/vmail", "a/b/..", NULL, NULL},
    {"root_of_everything", "/", "/home/%n", NULL, "/home/ana/Maildir"},
    {"home_elsewhere", "/var/vmail", "/home/ana", NULL, NULL},
    {"home_beside_the_root", "/var/vmail", "/var/vmail2/ana", NULL, NULL},
    {"home_that_climbs", "/var/vmail", "../ana", NULL, NULL},
    {"home_that_climbs_and_comes_back", "/var/vmail", "a/../b", NULL, NULL},
    {"maildir_elsewhere", "/var/vmail", NULL, "/tmp/ana", NULL},
    {"maildir_that_climbs", "/var/vmail", NULL, "../../x", NULL},
    {"maildir_that_is_the_root", "/var/vmail", "a", "/var/vmail", NULL},
    {"letter_nobody_knows", "/var/vmail", "%x", NULL, NULL},
};

static void
check_path(void **state)
{
    const PathRow *row = *state;
    LdaConfig config = {
        .mail = {.root = (char *)row->root, .home = (char *)"%d/%n", .maildir = (char *)"Maildir"}};
    const Mailbox mailbox = {.user = (char *)"ana@example.org",
                             .home = (char *)row->home,
                             .maildir = (char *)row->maildir};
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;
    g_autoptr(GError) error = NULL;

    assert_int_equal(lda_mailbox_paths(&config, &mailbox, &home, &maildir, &error),
                     row->expected != NULL);
    if (row->expected != NULL)
        assert_string_equal(maildir, row->expected);
    else
        assert_true(error->domain == LDA_ERROR || error->domain == CONFIG_ERROR);
}

static void
become_nobody(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0)
        abort();
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak checker needs to look at us */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest plain[] = {
        TEST(message_lies_where_the_outcome_says),
        TEST(log_line_says_it_all),
        TEST(xforward_wins_over_the_header),
        TEST(everything_the_mta_says_is_logged),
        TEST(equal_recipients_get_one_copy_and_one_outcome),
        TEST(addresses_of_one_mailbox_get_a_copy_each),
        TEST(single_delivered_to_counts_equal_recipients_once),
        TEST(more_recipients_than_a_group_are_all_stored),
        TEST(durability_none_syncs_nothing_of_the_message),
        TEST(child_names_its_files_after_itself),
        TEST(message_that_was_here_before_is_a_loop),
        TEST(hops_at_the_limit_pass_and_one_more_is_a_loop),
        TEST(message_larger_than_the_quota_is_refused),
        TEST(failure_to_receive_is_everybodys),
        TEST(uid_of_somebody_else_is_temporary_and_says_what_to_do),
        TEST(home_outside_the_root_is_refused),
        TEST(refusal_is_logged),
        TEST(missing_map_is_temporary_and_is_found_when_it_is_back),
        TEST(one_bad_mailbox_harms_nobody_else),
        TEST(mailbox_that_cannot_be_written_leaves_nothing_behind),
        TEST(copy_that_is_not_durable_is_never_shown),
        TEST(ids_are_short_unique_and_sorted_by_time),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(folder_rows) + G_N_ELEMENTS(path_rows)];
    struct CMUnitTest *next = tests + G_N_ELEMENTS(plain);

    become_nobody();
    memcpy(tests, plain, sizeof plain);
    for (size_t i = 0; i < G_N_ELEMENTS(folder_rows); i++)
        *next++ = (struct CMUnitTest){.name = folder_rows[i].behaviour,
                                      .test_func = check_folder,
                                      .initial_state = (void *)&folder_rows[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(path_rows); i++)
        *next++ = (struct CMUnitTest){.name = path_rows[i].behaviour,
                                      .test_func = check_path,
                                      .initial_state = (void *)&path_rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
