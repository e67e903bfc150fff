/* tests/lda/test_publish.c - a copy by itself is seen when it is durable, and not before
 *
 * fsync(2) and renameat2(2) are the test's, which notes when they are called.
 */
#include "tests/lda/maildir_fixture.h"

#include "lda/journal.h"
#include "lda/publish.h"

static GString *calls; /* "file", "rename", "directory" */
static const char *failing_call;

/* Whatever the machine has: file and directory are synced. */
dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    (void)fd;
    return 0;
}

static bool
fails(const char *call)
{
    g_string_append_printf(calls, "%s ", call);
    errno = EIO;
    return failing_call != NULL && strcmp(call, failing_call) == 0;
}

int fsync(int fd);

int
fsync(int fd)
{
    struct stat info;

    assert_int_equal(fstat(fd, &info), 0);
    return fails(S_ISDIR(info.st_mode) ? "directory" : "file") ? -1 : 0;
}

int renameat2(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path,
              unsigned flags);

int
renameat2(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path,
          unsigned flags)
{
    if (fails("rename"))
        return -1;
    return (int)syscall(SYS_renameat2, old_dir_fd, old_path, new_dir_fd, new_path, flags);
}

typedef struct {
    const char *behaviour;
    Durability durability;
    const char *failing;
    const char *calls; /* that were made */
} PublishRow;

static const PublishRow rows[] = {
    {"copy_is_synced_then_seen_then_its_name_is_synced", DURABILITY_FULL, NULL,
     "file rename directory "},
    {"copy_that_may_not_be_whole_is_never_seen", DURABILITY_FULL, "file", "file "},
    {"copy_that_cannot_be_moved_is_told", DURABILITY_FULL, "rename", "file rename "},
    {"name_that_may_be_lost_is_told", DURABILITY_FULL, "directory", "file rename directory "},
    {"without_durability_nothing_is_synced", DURABILITY_NONE, NULL, "rename "},
};

static void
check_publish(void **state)
{
    const PublishRow *row = *state;
    LdaConfig config = {.mail.durability = row->durability};
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;

    calls = g_string_new(NULL);
    {
        g_autoptr(GError) error = NULL;
        g_autoptr(Maildir) ana = open_ana(fixture);
        g_autoptr(MaildirCopy) copy = stage(fixture, ana, plain());

        (void)g_string_truncate(calls, 0); /* the Maildir was made */
        failing_call = row->failing;
        assert_int_equal(publish_durably(&config, copy, &error), row->failing == NULL);
        failing_call = NULL;
        assert_string_equal(calls->str, row->calls);
        assert_int_equal(error == NULL, row->failing == NULL);
        assert_true(error == NULL || strstr(error->message, maildir_copy_path(copy)) != NULL);
    }
    (void)g_string_free(calls, TRUE);
    assert_int_equal(tear_down(&inner), 0);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].behaviour,
                                       .test_func = check_publish,
                                       .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
