/* tests/lda/test_maildir_links.c - links that lead out, and kernels that lack a call */
#include "tests/lda/maildir_fixture.h"

typedef struct {
    const char *behaviour;
    const char *link;   /* path below the mail root that is a link */
    const char *folder; /* delivered to */
    const char *flags;
} LinkRow;

static const LinkRow link_rows[] = {
    {"link_for_tmp_is_not_followed_out", "example.org/ana/Maildir/tmp", "INBOX", ""},
    {"link_for_new_is_not_followed_out", "example.org/ana/Maildir/new", "INBOX", ""},
    {"link_for_cur_is_not_followed_out", "example.org/ana/Maildir/cur", "INBOX", "S"},
    {"link_for_a_folder_is_not_followed_out", "example.org/ana/Maildir/.Lists", "Lists", ""},
    {"link_for_tmp_of_a_folder_is_not_followed_out", "example.org/ana/Maildir/.Lists/tmp", "Lists",
     ""},
    {"link_for_the_maildir_is_not_followed_out", "example.org/ana/Maildir", "INBOX", ""},
    {"link_for_the_home_is_not_followed_out", "example.org/ana", "INBOX", ""},
};

/* The tree outside has all a Maildir needs: following the link would succeed. */
static void
check_link(void **state)
{
    const LinkRow *row = *state;
    void *inner;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;
    g_autofree char *outside = g_build_filename(fixture->dir, "outside", NULL);
    g_autofree char *link = g_build_filename(fixture->root, row->link, NULL);
    g_autofree char *make = g_strdup_printf(
        "mkdir -p '%s'/tmp '%s'/new '%s'/cur '%s'/Maildir/tmp '%s'/Maildir/new '%s'/Maildir/cur",
        outside, outside, outside, outside, outside, outside);

    assert_int_equal(system(make), 0);
    assert_true(deliver(fixture, row->folder, row->flags));
    replace_with_link(link, outside);
    assert_false(deliver(fixture, row->folder, row->flags));
    replace_with_link(link, "../../../../../outside");
    assert_false(deliver(fixture, row->folder, row->flags));

    g_autofree char *count = g_strdup_printf("test -z \"$(find '%s' -type f)\"", outside);

    assert_int_equal(system(count), 0);
    assert_int_equal(tear_down(&inner), 0);
}

static void
link_that_stays_inside_is_followed(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->path, ".Old", NULL);
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    options.folder = "Lists";
    options.stage_flags = MAILDIR_CREATE_FOLDER;
    maildir_copy_free(stage(fixture, maildir, options));
    assert_int_equal(symlink(".Lists", link), 0);
    options.folder = "Old";

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    assert_true(maildir_publish(copy, NULL));
}

static void
tmp_replaced_by_a_link_after_staging_changes_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *tmp = g_build_filename(fixture->path, "tmp", NULL);
    g_autofree char *aside = g_build_filename(fixture->path, "aside", NULL);
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_int_equal(rename(tmp, aside), 0);
    assert_int_equal(symlink(fixture->dir, tmp), 0);
    assert_true(maildir_publish(copy, NULL));
    assert_file(maildir_copy_path(copy), HEADERS BODY);
}

static void
mail_root_may_be_reached_by_a_link(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *root = g_build_filename(fixture->dir, "link", NULL);
    g_autofree char *path = g_build_filename(root, "example.org", "ana", "Maildir", NULL);

    assert_int_equal(symlink(fixture->root, root), 0);
    for (int i = 0; i < 2; i++) { /* made, then found */
        g_autoptr(Maildir) maildir = maildir_open(path, root, &dots, NULL);

        assert_non_null(maildir);
        maildir_copy_free(stage(fixture, maildir, plain()));
    }
    assert_true(g_file_test(fixture->path, G_FILE_TEST_IS_DIR));
}

static void
maildir_outside_the_root_is_a_mistake_in_the_configuration(void **state)
{
    Fixture *fixture = *state;
    const char *const paths[] = {"/elsewhere/Maildir", "%sx/Maildir", "%s/../outside/Maildir",
                                 "%s/a//b", "relative/Maildir"};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_auto(GStrv) around = g_strsplit(paths[i], "%s", 2);
        g_autofree char *path =
            around[1] == NULL ? g_strdup(paths[i]) : g_strconcat(fixture->root, around[1], NULL);
        g_autoptr(GError) error = NULL;

        assert_null(maildir_open(path, fixture->root, &dots, &error));
        assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
    }
}

static void
refused_link_is_named_as_the_reason(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *home = g_path_get_dirname(fixture->path);
    g_autofree char *domain = g_path_get_dirname(home);
    g_autoptr(GError) error = NULL;

    assert_int_equal(symlink("/tmp", domain), 0);
    assert_null(maildir_open(fixture->path, fixture->root, &dots, &error));
    assert_non_null(strstr(error->message, "a symbolic link leads out of the mail root"));
}

typedef struct {
    const char *behaviour;
    int call;
    int error;
    int call_too;
    int error_too;
} LackRow;

static const LackRow lack_rows[] = {
    {"delivery_works_before_openat2", SYS_openat2, ENOSYS, -1, 0},
    {"delivery_works_where_a_filter_forbids_openat2", SYS_openat2, EPERM, -1, 0},
    {"delivery_works_on_file_systems_without_rename_noreplace", SYS_renameat2, EINVAL, -1, 0},
    {"delivery_works_on_file_systems_without_links", SYS_renameat2, EINVAL, SYS_linkat, EPERM},
};

static int
deliver_without(Fixture *fixture, const LackRow *row)
{
    forbid(row->call, row->error);
    if (row->call_too >= 0)
        forbid(row->call_too, row->error_too);
    if (!deliver(fixture, "Lists.ietf", ""))
        return 1;
    if (row->call == SYS_openat2 && deliver(fixture, "Out", ""))
        return 2;
    return 0;
}

static void
check_lack(void **state)
{
    const LackRow *row = *state;
    void *inner;
    int status;

    assert_int_equal(set_up(&inner), 0);

    Fixture *fixture = inner;
    g_autofree char *link = g_build_filename(fixture->path, ".Out", NULL);
    g_autofree char *folder = g_build_filename(fixture->path, ".Lists.ietf", NULL);

    maildir_free(open_ana(fixture));
    assert_int_equal(symlink(fixture->dir, link), 0);

    pid_t child = fork();

    if (child == 0)
        _exit(deliver_without(fixture, row));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_entries(folder, "new"), 1);
    assert_int_equal(count_entries(folder, "tmp"), 0);
    assert_int_equal(tear_down(&inner), 0);
}

static int
expect_link_not_to_replace(Fixture *fixture)
{
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);
    g_autoptr(GError) error = NULL;
    MaildirCopyOptions options = plain();
    g_autoptr(MaildirCopy) copy =
        maildir_stage(maildir, &fixture->namer, fixture->message, &options, NULL);

    forbid(SYS_renameat2, EINVAL);
    if (copy == NULL || !g_file_set_contents(maildir_copy_path(copy), "other", -1, NULL))
        return 1;
    if (maildir_publish(copy, &error))
        return 2;
    return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_EXIST) ? 0 : 3;
}

static void
without_rename_noreplace_a_file_is_not_replaced_either(void **state)
{
    in_child(*state, expect_link_not_to_replace);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(link_that_stays_inside_is_followed),
        TEST(tmp_replaced_by_a_link_after_staging_changes_nothing),
        TEST(mail_root_may_be_reached_by_a_link),
        TEST(maildir_outside_the_root_is_a_mistake_in_the_configuration),
        TEST(refused_link_is_named_as_the_reason),
        TEST(without_rename_noreplace_a_file_is_not_replaced_either),
    };
    struct CMUnitTest links[G_N_ELEMENTS(link_rows)];
    struct CMUnitTest lacks[G_N_ELEMENTS(lack_rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(link_rows); i++)
        links[i] = (struct CMUnitTest){.name = link_rows[i].behaviour,
                                       .test_func = check_link,
                                       .initial_state = (void *)&link_rows[i]};

    for (size_t i = 0; i < G_N_ELEMENTS(lack_rows); i++)
        lacks[i] = (struct CMUnitTest){.name = lack_rows[i].behaviour,
                                       .test_func = check_lack,
                                       .initial_state = (void *)&lack_rows[i]};

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    failed += cmocka_run_group_tests(links, NULL, NULL);
    failed += cmocka_run_group_tests(lacks, NULL, NULL);
    return failed;
}
