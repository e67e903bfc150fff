/* tests/lda/test_maildir_twin.c - copies of the same octets share a file, and no others do */
#include "tests/lda/maildir_fixture.h"

static int link_error; /* of every linkat(2); 0: none */

int linkat(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path, int flags);

int
linkat(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path, int flags)
{
    if (link_error == 0)
        return (int)syscall(SYS_linkat, old_dir_fd, old_path, new_dir_fd, new_path, flags);
    errno = link_error;
    return -1;
}

typedef struct {
    const char *behaviour;
    const char *headers; /* of the second copy; NULL: those of the first */
    MaildirStageFlags flags;
    mode_t mode;    /* of the second Maildir; 0: as it is */
    bool is_gone;   /* the first was taken back */
    int link_error; /* 0: links can be made */
    nlink_t links;
} TwinRow;

static const TwinRow rows[] = {
    {.behaviour = "copies_of_the_same_octets_share_a_file", .links = 2},
    {.behaviour = "other_headers_are_another_file", .headers = "X: 1\n", .links = 1},
    {.behaviour = "compressed_copy_is_another_file", .flags = MAILDIR_GZIP, .links = 1},
    {.behaviour = "maildir_of_another_mode_has_a_file_of_its_own", .mode = 02770, .links = 1},
    {.behaviour = "copy_that_was_taken_back_is_no_loss_for_the_next", .is_gone = true, .links = 1},
    {.behaviour = "maildir_elsewhere_has_a_file_of_its_own", .link_error = EXDEV, .links = 1},
    {.behaviour = "file_of_too_many_names_is_not_shared", .link_error = EMLINK, .links = 1},
    {.behaviour = "where_there_are_no_links_files_are", .link_error = EPERM, .links = 1},
};

static void
check_twin(void **state)
{
    const TwinRow *row = *state;
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;
    g_autofree char *path = g_build_filename(fixture->root, "example.org", "bob", "Maildir", NULL);
    MaildirCopyOptions options = plain();
    MaildirTwin twin;
    struct stat found;

    maildir_twin_init(&twin);
    options.twin = &twin;
    {
        g_autoptr(Maildir) ana = open_ana(fixture);
        g_autoptr(MaildirCopy) first = stage(fixture, ana, options);

        maildir_free(maildir_open(path, fixture->root, &dots, NULL));
        assert_true(row->mode == 0 || chmod(path, row->mode) == 0);

        g_autoptr(Maildir) bob = maildir_open(path, fixture->root, &dots, NULL);

        assert_non_null(bob);
        if (row->is_gone)
            g_clear_pointer(&first, maildir_copy_free);
        options.headers = row->headers != NULL ? row->headers : options.headers;
        options.stage_flags = row->flags;
        link_error = row->link_error;

        g_autoptr(MaildirCopy) second = stage(fixture, bob, options);

        link_error = 0;
        assert_true(maildir_publish(second, NULL));
        assert_int_equal(stat(maildir_copy_path(second), &found), 0);
        assert_int_equal(found.st_nlink, row->links);
        if (row->headers == NULL && row->flags == 0)
            assert_file(maildir_copy_path(second), HEADERS BODY);
    }
    maildir_twin_clear(&twin);
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
    assert_int_equal(count_entries(path, "tmp"), 0);
    assert_int_equal(tear_down(&inner), 0);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_twin, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
