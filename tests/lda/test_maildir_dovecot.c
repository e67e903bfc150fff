/* tests/lda/test_maildir_dovecot.c - the files we share with Dovecot, and their locks */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "lda/maildir_parts.h"

typedef struct {
    char *dir; /* stands for a folder */
    int fd;
    gint64 now_us;
    MaildirNamer namer;
    MaildirAccess access;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *tmp = NULL;

    fixture->dir = g_dir_make_tmp("lodge-dovecot-XXXXXX", NULL);
    tmp = g_build_filename(fixture->dir, "tmp", NULL);
    assert_int_equal(mkdir(tmp, 0700), 0);
    fixture->fd = open(fixture->dir, O_PATH | O_DIRECTORY);
    fixture->now_us = g_get_real_time();
    maildir_namer_init(&fixture->namer, "host", getpid(), 1);
    assert_true(maildir_access_read(fixture->fd, &fixture->access));
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->dir);

    assert_int_equal(system(command), 0);
    maildir_namer_clear(&fixture->namer);
    (void)close(fixture->fd);
    g_free(fixture->dir);
    g_free(fixture);
    return 0;
}

static void
put(const Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->dir, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static bool
is_there(const Fixture *fixture, const char *name)
{
    struct stat st;

    return fstatat(fixture->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
assert_text(const Fixture *fixture, const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(fixture->dir, name, NULL);
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, expected);
}

/* ---- keywords ------------------------------------------------------------ */

static char *
letters(Fixture *fixture, const char *words, GError **error)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    return maildir_keywords_letters(fixture->fd, &fixture->access, (const char *const *)list,
                                    &fixture->namer, fixture->now_us, 0, error);
}

typedef struct {
    const char *behaviour;
    const char *file; /* NULL: none */
    const char *words;
    const char *letters;
    const char *file_after; /* NULL: none */
    bool complaint;
} KeywordRow;

static const KeywordRow keyword_rows[] = {
    {"first_keyword_makes_the_file", NULL, "todo", "a", "0 todo\n", false},
    {"known_keyword_changes_nothing", "0 $Junk\n1 todo\n", "todo", "b", "0 $Junk\n1 todo\n", false},
    {"keyword_has_no_case", "0 ToDo\n", "todo", "a", "0 ToDo\n", false},
    {"new_keyword_takes_the_first_free_letter", "0 a\n2 c\n", "x", "b", "0 a\n1 x\n2 c\n", false},
    {"letters_are_ascending_and_once", "0 a\n1 b\n", "b a B", "ab", "0 a\n1 b\n", false},
    {"keyword_that_is_no_atom_is_left_out", NULL, "ok (bad)", "a", "0 ok\n", true},
    {"keyword_with_newline_cannot_write_a_line", NULL, "x\n1", "", NULL, true},
    {"keyword_in_utf8_is_no_atom", NULL, "wichtig-ä", "", NULL, true},
    {"twenty_seventh_keyword_is_left_out",
     "0 A\n1 B\n2 C\n3 D\n4 E\n5 F\n6 G\n7 H\n8 I\n9 J\n10 K\n11 L\n12 M\n13 N\n14 O\n15 P\n"
     "16 Q\n17 R\n18 S\n19 T\n20 U\n21 V\n22 W\n23 X\n24 Y\n25 Z\n",
     "z extra a", "az",
     "0 A\n1 B\n2 C\n3 D\n4 E\n5 F\n6 G\n7 H\n8 I\n9 J\n10 K\n11 L\n12 M\n13 N\n14 O\n15 P\n"
     "16 Q\n17 R\n18 S\n19 T\n20 U\n21 V\n22 W\n23 X\n24 Y\n25 Z\n",
     true},
    {"damaged_file_is_left_alone", "zero todo\n", "todo", "", "zero todo\n", true},
    {"index_past_the_letters_is_not_a_letter", "26 todo\n", "todo", "a", "0 todo\n", false},
};

static void
check_keywords(void **state)
{
    const KeywordRow *row = *state;
    g_autoptr(GError) error = NULL;
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;

    if (row->file != NULL)
        put(fixture, "dovecot-keywords", row->file);

    g_autofree char *found = letters(fixture, row->words, &error);

    assert_string_equal(found, row->letters);
    assert_int_equal(error != NULL, row->complaint);
    if (row->file_after != NULL)
        assert_text(fixture, "dovecot-keywords", row->file_after);
    else
        assert_false(is_there(fixture, "dovecot-keywords"));
    assert_false(is_there(fixture, "dovecot-uidlist.lock"));
    assert_int_equal(tear_down(&inner), 0);
}

static void
keyword_is_left_out_while_dovecot_holds_the_lock(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    put(fixture, "dovecot-keywords", "0 known\n");
    put(fixture, "dovecot-uidlist.lock", "1:elsewhere");

    g_autofree char *found = letters(fixture, "known new", &error);

    assert_string_equal(found, "a");
    assert_non_null(error);
    assert_text(fixture, "dovecot-keywords", "0 known\n");
    assert_text(fixture, "dovecot-uidlist.lock", "1:elsewhere");
}

static void
known_keyword_needs_no_lock(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    put(fixture, "dovecot-keywords", "0 known\n");
    put(fixture, "dovecot-uidlist.lock", "1:elsewhere");

    g_autofree char *found = letters(fixture, "known", &error);

    assert_string_equal(found, "a");
    assert_null(error);
}

static void
link_for_dovecot_keywords_is_neither_read_nor_written_through(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->dir, "dovecot-keywords", NULL);
    g_autoptr(GError) error = NULL;

    put(fixture, "other", "0 secret\n");
    assert_int_equal(symlink("other", link), 0);

    g_autofree char *found = letters(fixture, "todo", &error);

    assert_string_equal(found, "");
    assert_non_null(error);
    assert_text(fixture, "other", "0 secret\n");
}

static void
fifo_for_dovecot_keywords_does_not_hang(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    assert_int_equal(mkfifoat(fixture->fd, "dovecot-keywords", 0600), 0);

    g_autofree char *found = letters(fixture, "todo", &error);

    assert_string_equal(found, "");
    assert_non_null(error);
}

static void
processes_that_enter_keywords_at_once_lose_none(void **state)
{
    enum { CHILDREN = 10 };
    Fixture *fixture = *state;
    int status;

    for (int i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            g_autofree char *word = g_strdup_printf("word%d", i);
            const char *const words[] = {word, NULL};

            fixture->namer.pid = getpid();

            g_autofree char *found =
                maildir_keywords_letters(fixture->fd, &fixture->access, words, &fixture->namer,
                                         fixture->now_us, 60 * 1000, NULL);

            _exit(strlen(found) == 1 ? 0 : 1);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }

    g_autofree char *all =
        letters(fixture, "word0 word1 word2 word3 word4 word5 word6 word7 word8 word9", NULL);

    assert_string_equal(all, "abcdefghij");
}

/* ---- locks --------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *content;
    int age_s;
    bool broken;
} LockRow;

static const LockRow lock_rows[] = {
    {"fresh_lock_of_another_host_is_respected", "7:elsewhere", 100, false},
    {"lock_untouched_for_two_minutes_is_broken", "7:elsewhere", 122, true},
    {"lock_of_a_process_that_is_gone_is_broken_at_once", "2147483000:host", 0, true},
    {"lock_of_a_living_process_is_respected", "1:host", 0, false},
    {"dead_pid_of_another_host_says_nothing", "2147483000:elsewhere", 0, false},
    {"empty_lock_is_respected", "", 0, false},
    {"nonsense_in_a_lock_is_respected", "-1:host", 0, false},
};

static void
check_lock(void **state)
{
    const LockRow *row = *state;
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;
    const MaildirLockRequest request = {
        .owner = &fixture->namer,
        .now_us = fixture->now_us + row->age_s * G_USEC_PER_SEC,
    };

    put(fixture, "x.lock", row->content);

    lodge_autofd lock = maildir_lock(fixture->fd, "x.lock", &request);

    assert_int_equal(lock >= 0, row->broken);
    if (!row->broken)
        assert_text(fixture, "x.lock", row->content);
    assert_int_equal(tear_down(&inner), 0);
}

/* ---- subscriptions ------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *file; /* NULL: none */
    const char *directory;
    const char *file_after;
} SubscriptionRow;

static const SubscriptionRow subscription_rows[] = {
    {"first_subscription_makes_a_version_2_file", NULL, ".Lists.ietf", "V\t2\n\nLists\tietf\n"},
    {"subscription_is_added_at_the_end", "V\t2\n\na\n", ".b", "V\t2\n\na\nb\n"},
    {"subscription_is_not_added_twice", "V\t2\n\na\tb\n", ".a.b", "V\t2\n\na\tb\n"},
    {"part_of_a_line_is_not_the_folder", "V\t2\n\na\tb\n", ".b", "V\t2\n\na\tb\nb\n"},
    {"begin_of_a_line_is_not_the_folder", "V\t2\n\nab\n", ".a", "V\t2\n\nab\na\n"},
    {"old_file_stays_in_the_old_format", "a\n", ".b.c", "a\nb.c\n"},
    {"old_file_is_searched_in_the_old_format", "b.c\n", ".b.c", "b.c\n"},
    {"missing_newline_at_the_end_is_mended", "V\t2\n\na", ".b", "V\t2\n\na\nb\n"},
    {"empty_file_becomes_version_2", "", ".b", "V\t2\n\nb\n"},
};

static bool
subscribe(const Fixture *fixture, const char *directory, GError **error)
{
    const MaildirLockRequest request = {.owner = &fixture->namer, .now_us = fixture->now_us};

    return maildir_subscribe(fixture->fd, &fixture->access, directory, &request, error);
}

static void
check_subscription(void **state)
{
    const SubscriptionRow *row = *state;
    g_autoptr(GError) error = NULL;
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;

    if (row->file != NULL)
        put(fixture, "subscriptions", row->file);
    assert_true(subscribe(fixture, row->directory, &error));
    assert_text(fixture, "subscriptions", row->file_after);
    assert_false(is_there(fixture, "subscriptions.lock"));
    assert_int_equal(tear_down(&inner), 0);
}

static void
locked_subscriptions_are_left_alone(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    put(fixture, "subscriptions", "V\t2\n\na\n");
    put(fixture, "subscriptions.lock", "");
    assert_false(subscribe(fixture, ".b", &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN));
    assert_text(fixture, "subscriptions", "V\t2\n\na\n");
    assert_true(is_there(fixture, "subscriptions.lock"));
}

static void
subscriptions_with_a_nul_are_not_cut_short(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->dir, "subscriptions", NULL);
    g_autoptr(GError) error = NULL;
    struct stat st;

    assert_true(g_file_set_contents(path, "V\t2\n\na\0b\n", 10, NULL));
    assert_false(subscribe(fixture, ".c", &error));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 10);
    assert_false(is_there(fixture, "subscriptions.lock"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Each row of a table becomes a test of its own. */
#define RUN_ROWS(rows, check)                                                            \
    ({                                                                                   \
        struct CMUnitTest tests_of_rows[G_N_ELEMENTS(rows)];                             \
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)                                  \
            tests_of_rows[i] = (struct CMUnitTest){.name = (rows)[i].behaviour,          \
                                                   .test_func = (check),                 \
                                                   .initial_state = (void *)&(rows)[i]}; \
        cmocka_run_group_tests(tests_of_rows, NULL, NULL);                               \
    })

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keyword_is_left_out_while_dovecot_holds_the_lock),
        TEST(known_keyword_needs_no_lock),
        TEST(link_for_dovecot_keywords_is_neither_read_nor_written_through),
        TEST(fifo_for_dovecot_keywords_does_not_hang),
        TEST(processes_that_enter_keywords_at_once_lose_none),
        TEST(locked_subscriptions_are_left_alone),
        TEST(subscriptions_with_a_nul_are_not_cut_short),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    failed += RUN_ROWS(keyword_rows, check_keywords);
    failed += RUN_ROWS(lock_rows, check_lock);
    failed += RUN_ROWS(subscription_rows, check_subscription);
    return failed;
}
