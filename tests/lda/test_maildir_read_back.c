/* tests/lda/test_maildir_read_back.c - Dovecot reads what we have stored
 *
 * Delivers through maildir.h and asks `doveadm` of a private configuration, without
 * any server, what it finds. Skipped where Dovecot is not installed.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "lda/maildir.h"

#define HEADERS "Return-Path: <>\nDelivered-To: ana@example.org\n"
#define BODY "Subject: hello\nFrom: b@example.org\n\nöne\n.\nFrom x\n"

typedef struct {
    char *dir;
    char *config;
    char *path;
    MaildirLayout layout;
    MaildirNamer namer;
    Message *message;
    Maildir *maildir;
    uid_t uid; /* Dovecot reads no mail as root */
} Fixture;

static void
write_config(const Fixture *fixture)
{
    g_autofree char *text = g_strdup_printf(
        "base_dir=%s/run\nlog_path=/dev/stderr\nssl=no\nprotocols=\nfirst_valid_uid=1\n"
        "mail_location=maildir:%s\nmail_plugins=zlib\nmail_uid=%u\nmail_gid=%u\n"
        "default_internal_user=root\ndefault_login_user=root\ndefault_internal_group=root\n"
        "namespace inbox {\n inbox=yes\n separator=%c\n prefix=%s\n}\n",
        fixture->dir, fixture->path, (unsigned)fixture->uid, (unsigned)fixture->uid,
        fixture->layout.separator, fixture->layout.prefix);

    assert_true(g_file_set_contents(fixture->config, text, -1, NULL));
}

static Fixture *
new_fixture(char separator, const char *prefix)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-read-back-XXXXXX", NULL);
    fixture->config = g_build_filename(fixture->dir, "dovecot.conf", NULL);
    fixture->path = g_build_filename(fixture->dir, "mail", NULL);
    fixture->layout = (MaildirLayout){.separator = separator, .prefix = prefix};
    fixture->uid = geteuid() == 0 ? 65534 : geteuid();
    maildir_namer_init(&fixture->namer, "host", getpid(), 1);
    fixture->message = message_new(&(MessageOptions){.spool_memory = 4096, .spool_dir = "/tmp"});
    message_append(fixture->message, BODY, strlen(BODY));
    assert_true(message_finish(fixture->message, NULL));
    fixture->maildir = maildir_open(fixture->path, fixture->dir, &fixture->layout, NULL);
    assert_non_null(fixture->maildir);
    write_config(fixture);
    return fixture;
}

static int
set_up(void **state)
{
    *state = new_fixture('.', "");
    return 0;
}

static int
set_up_with_prefix(void **state)
{
    *state = new_fixture('/', "INBOX/");
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->dir);

    assert_int_equal(system(command), 0);
    maildir_free(fixture->maildir);
    message_free(fixture->message);
    maildir_namer_clear(&fixture->namer);
    g_free(fixture->dir);
    g_free(fixture->config);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static void
deliver(Fixture *fixture, const char *folder, const char *flags, const char *const *keywords,
        MaildirStageFlags stage_flags)
{
    const MaildirCopyOptions options = {
        .folder = folder,
        .headers = HEADERS,
        .flags = flags,
        .keywords = keywords,
        .stage_flags = stage_flags | MAILDIR_CREATE_FOLDER,
        .gzip_level = 6,
        .now_us = g_get_real_time(),
    };
    g_autoptr(MaildirCopy) copy =
        maildir_stage(fixture->maildir, &fixture->namer, fixture->message, &options, NULL);

    assert_non_null(copy);
    assert_true(maildir_publish(copy, NULL));
}

static void
become_reader(gpointer data)
{
    const Fixture *fixture = data;

    if (geteuid() == 0 && (setgid(fixture->uid) != 0 || setuid(fixture->uid) != 0))
        _exit(100);
}

/* What `doveadm` says to the arguments, its complaints included. */
static char *
doveadm(Fixture *fixture, const char *arguments)
{
    g_autofree char *program = g_find_program_in_path("doveadm");
    g_autofree char *own = g_strdup_printf("chown -R %u:%u '%s'", (unsigned)fixture->uid,
                                           (unsigned)fixture->uid, fixture->dir);
    g_autofree char *line =
        g_strdup_printf("sh -c \"exec doveadm -c '%s' %s 2>&1\"", fixture->config, arguments);
    g_autofree char *home = g_strconcat("HOME=", fixture->dir, NULL);
    g_autofree char *path = g_strconcat("PATH=", g_getenv("PATH"), NULL);
    char *environment[] = {home, path, (char[]){"USER=ana"}, NULL};
    g_auto(GStrv) argv = NULL;
    g_autofree char *text = NULL;

    if (program == NULL)
        skip();
    if (geteuid() == 0)
        assert_int_equal(system(own), 0);
    assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    assert_true(g_spawn_sync(fixture->dir, argv, environment, G_SPAWN_SEARCH_PATH, become_reader,
                             fixture, &text, NULL, NULL, NULL));
    return g_steal_pointer(&text);
}

static void
assert_answer(Fixture *fixture, const char *arguments, const char *expected)
{
    g_autofree char *answer = doveadm(fixture, arguments);

    assert_string_equal(answer, expected);
}

static void
message_is_read_back_as_it_was_written(void **state)
{
    deliver(*state, "INBOX", "", NULL, 0);
    assert_answer(*state, "fetch text ALL", "text:\n" HEADERS BODY);
    assert_answer(*state, "fetch 'size.physical size.virtual' ALL",
                  "size.physical: 96\nsize.virtual: 104\n");
}

static void
gzip_message_is_read_back_unpacked_and_with_its_size(void **state)
{
    deliver(*state, "INBOX", "", NULL, MAILDIR_GZIP);
    assert_answer(*state, "fetch text ALL", "text:\n" HEADERS BODY);
    assert_answer(*state, "fetch 'size.physical size.virtual' ALL",
                  "size.physical: 96\nsize.virtual: 104\n");
}

static void
flags_and_keywords_are_read_back(void **state)
{
    const char *const keywords[] = {"$Junk", "todo", NULL};

    deliver(*state, "INBOX", "FS", keywords, 0);
    assert_answer(*state, "fetch flags ALL", "flags: \\Flagged \\Seen \\Recent $Junk todo\n");
}

static void
keywords_of_both_programs_go_together(void **state)
{
    const char *const ours[] = {"ours", "theirs", NULL};
    g_autofree char *answer = NULL;

    deliver(*state, "INBOX", "", NULL, 0);
    answer = doveadm(*state, "flags add theirs ALL");
    assert_string_equal(answer, "");
    deliver(*state, "INBOX", "", ours, 0);
    assert_answer(*state, "fetch flags KEYWORD ours", "flags: \\Recent theirs ours\n");
    assert_answer(*state, "fetch flags KEYWORD theirs NOT KEYWORD ours",
                  "flags: \\Recent theirs\n");
}

static void
folders_are_listed_and_subscribed_under_their_names(void **state)
{
    deliver(*state, "Käse.Brie & Co", "", NULL, 0);
    deliver(*state, "inbox.sub", "", NULL, 0);
    deliver(*state, "😀", "", NULL, 0);
    assert_answer(*state, "mailbox list -s | sort", "INBOX.sub\nKäse.Brie & Co\n😀\n");
    assert_answer(*state, "mailbox status messages 'Käse.Brie & Co' INBOX.sub 😀 | sort",
                  "INBOX.sub messages=1\nKäse.Brie & Co messages=1\n😀 messages=1\n");
}

static void
subscriptions_of_both_programs_go_together(void **state)
{
    g_autofree char *answer = doveadm(*state, "mailbox create -s theirs.one");

    assert_string_equal(answer, "");
    deliver(*state, "ours.two", "", NULL, 0);
    assert_answer(*state, "mailbox list -s | sort", "ours.two\ntheirs.one\n");
}

static void
folders_below_a_prefix_are_the_ones_dovecot_means(void **state)
{
    deliver(*state, "INBOX/Lists/ietf", "", NULL, 0);
    deliver(*state, "Drafts", "", NULL, 0);
    deliver(*state, "inbox", "", NULL, 0);
    assert_answer(*state, "mailbox list -s | sort", "INBOX/Drafts\nINBOX/Lists/ietf\n");
    assert_answer(*state, "mailbox status messages INBOX INBOX/Drafts INBOX/Lists/ietf | sort",
                  "INBOX messages=1\nINBOX/Drafts messages=1\nINBOX/Lists/ietf messages=1\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_is_read_back_as_it_was_written),
        TEST(gzip_message_is_read_back_unpacked_and_with_its_size),
        TEST(flags_and_keywords_are_read_back),
        TEST(keywords_of_both_programs_go_together),
        TEST(folders_are_listed_and_subscribed_under_their_names),
        TEST(subscriptions_of_both_programs_go_together),
        cmocka_unit_test_setup_teardown(folders_below_a_prefix_are_the_ones_dovecot_means,
                                        set_up_with_prefix, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
