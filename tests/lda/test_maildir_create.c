/* tests/lda/test_maildir_create.c - Maildirs and folders that are not there yet */
#include "tests/lda/maildir_fixture.h"

static void
missing_maildir_is_made_with_the_mode_of_the_root(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(chmod(fixture->root, 02770), 0);
    umask(077); /* must not take away what the root gives */
    maildir_free(open_ana(fixture));

    assert_int_equal(mode_of(fixture->root, "example.org"), 02770);
    assert_int_equal(mode_of(fixture->root, "example.org/ana"), 02770);
    assert_int_equal(mode_of(fixture->path, "."), 02770);
    assert_int_equal(mode_of(fixture->path, "tmp"), 02770);
    assert_int_equal(mode_of(fixture->path, "new"), 02770);
    assert_int_equal(mode_of(fixture->path, "cur"), 02770);
}

static void
message_has_the_mode_of_its_maildir_without_x(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(chmod(fixture->root, 0750), 0);
    umask(077);

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(mode_of(maildir_copy_path(copy), ""), 0640);
}

static void
private_maildir_stays_private_under_a_lax_umask(void **state)
{
    Fixture *fixture = *state;

    umask(0);

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(mode_of(fixture->path, "new"), 0700);
    assert_int_equal(mode_of(maildir_copy_path(copy), ""), 0600);
}

static void
sticky_and_world_writable_bits_are_not_handed_down(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(chmod(fixture->root, 01777), 0);
    maildir_free(open_ana(fixture));
    assert_int_equal(mode_of(fixture->root, "example.org"), 0700);
}

static void
mail_below_a_root_open_to_everybody_is_not(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(chmod(fixture->root, 0755), 0);

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(mode_of(fixture->path, "new"), 0750);
    assert_int_equal(mode_of(maildir_copy_path(copy), ""), 0640);
}

static void
group_of_the_parent_is_handed_down_without_setgid(void **state)
{
    Fixture *fixture = *state;
    struct stat st;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(fixture->root, 0, 12), 0);
    assert_int_equal(chmod(fixture->root, 0770), 0);

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(stat(maildir_copy_path(copy), &st), 0);
    assert_int_equal(st.st_gid, 12);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void
maildirfolder_marks_folders_and_never_the_maildir(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    options.folder = "Lists.ietf";
    options.stage_flags = MAILDIR_CREATE_FOLDER;
    maildir_copy_free(stage(fixture, maildir, options));

    assert_true(exists(fixture->path, ".Lists.ietf/maildirfolder"));
    assert_int_equal(mode_of(fixture->path, ".Lists.ietf/maildirfolder"), 0600);
    assert_false(exists(fixture->path, "maildirfolder"));
}

static void
created_folder_is_subscribed_and_named_as_the_client_sees_it(void **state)
{
    Fixture *fixture = *state;
    const MaildirLayout layout = {.separator = '/', .prefix = "INBOX/"};
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &layout, NULL);
    g_autofree char *file = g_build_filename(fixture->path, "subscriptions", NULL);
    MaildirCopyOptions options = plain();

    options.folder = "Käse/Brie";
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    assert_true(maildir_publish(copy, NULL));
    assert_string_equal(maildir_copy_folder(copy), "INBOX/Käse/Brie");
    assert_non_null(strstr(maildir_copy_path(copy), "/.K&AOQ-se.Brie/new/"));
    assert_file(file, "V\t2\n\nK&AOQ-se\tBrie\n");
}

/* Makes these directories of a folder "Lists" and stages a message in it. */
static void
stage_in_part_of_a_folder(Fixture *fixture, const char *const *parts)
{
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    for (; *parts != NULL; parts++) {
        g_autofree char *path = g_build_filename(fixture->path, ".Lists", *parts, NULL);

        assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    }
    options.folder = "Lists";
    maildir_copy_free(stage(fixture, maildir, options));
    assert_true(exists(fixture->path, ".Lists/tmp"));
    assert_true(exists(fixture->path, ".Lists/new"));
}

static void
folder_that_somebody_began_is_finished_and_subscribed(void **state)
{
    static const char *const begun[] = {"cur", "new", NULL};
    Fixture *fixture = *state;
    g_autofree char *file = g_build_filename(fixture->path, "subscriptions", NULL);

    stage_in_part_of_a_folder(fixture, begun);
    assert_file(file, "V\t2\n\nLists\n");
}

static void
folder_that_lost_its_new_is_repaired_and_its_subscription_left_alone(void **state)
{
    static const char *const damaged[] = {"cur", "tmp", NULL};
    Fixture *fixture = *state;

    stage_in_part_of_a_folder(fixture, damaged);
    assert_false(exists(fixture->path, "subscriptions"));
}

static void
missing_folder_is_not_made_unasked(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(GError) error = NULL;
    MaildirCopyOptions options = plain();

    options.folder = "Lists";
    assert_null(maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    assert_false(exists(fixture->path, ".Lists"));
}

static void
bad_folder_name_is_refused_and_touches_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(GError) error = NULL;
    MaildirCopyOptions options = plain();

    options.folder = "../bob/Maildir";
    options.stage_flags = MAILDIR_CREATE_FOLDER;
    assert_null(maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_BAD_FOLDER));
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
}

static void
delivery_goes_on_when_subscribing_cannot(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autofree char *directory = g_build_filename(fixture->path, "subscriptions", NULL);
    MaildirCopyOptions options = plain();

    assert_int_equal(mkdir(directory, 0700), 0);
    options.folder = "Lists";
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    assert_true(maildir_publish(copy, NULL));
    assert_false(exists(fixture->path, "subscriptions.lock"));
}

static void
maildir_without_tmp_new_or_cur_is_repaired(void **state)
{
    Fixture *fixture = *state;
    const char *const boxes[] = {"tmp", "new", "cur"};
    g_autoptr(Maildir) maildir = open_ana(fixture);

    for (size_t i = 0; i < G_N_ELEMENTS(boxes); i++) {
        g_autofree char *path = g_build_filename(fixture->path, boxes[i], NULL);
        MaildirCopyOptions options = plain();

        assert_int_equal(rmdir(path), 0);
        options.flags = i == 2 ? "S" : "";

        g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

        assert_true(maildir_publish(copy, NULL));
        assert_int_equal(unlink(maildir_copy_path(copy)), 0);
    }
    assert_false(exists(fixture->path, "maildirfolder"));
}

/* Each child creates the same Maildir and folder and delivers into it. */
static int
deliver_in_child(Fixture *fixture, int start_fd)
{
    MaildirCopyOptions options = plain();
    char byte;

    fixture->namer.pid = getpid();
    if (read(start_fd, &byte, 1) != 0)
        return 2;

    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);

    options.folder = "Lists";
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) copy =
        maildir == NULL ? NULL
                        : maildir_stage(maildir, &fixture->namer, fixture->message, &options, NULL);

    return copy != NULL && maildir_publish(copy, NULL) ? 0 : 1;
}

static void
processes_that_create_one_folder_at_once_all_succeed(void **state)
{
    enum { CHILDREN = 12 };
    Fixture *fixture = *state;
    g_autofree char *folder = g_build_filename(fixture->path, ".Lists", NULL);
    g_autofree char *file = g_build_filename(fixture->path, "subscriptions", NULL);
    int start[2];
    int status;

    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            (void)close(start[1]);
            _exit(deliver_in_child(fixture, start[0]));
        }
    }
    (void)close(start[0]);
    (void)close(start[1]); /* they all start at this end of file */
    for (int i = 0; i < CHILDREN; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_entries(folder, "new"), CHILDREN);
    assert_int_equal(count_entries(folder, "tmp"), 0);
    assert_file(file, "V\t2\n\nLists\n");
}

static void
missing_root_is_not_made(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;

    assert_int_equal(rmdir(fixture->root), 0);
    assert_null(maildir_open(fixture->path, fixture->root, &dots, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    assert_false(exists(fixture->root, ""));
}

static void
root_itself_may_be_the_maildir_and_end_in_slashes(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *root = g_strconcat(fixture->root, "//", NULL);
    g_autoptr(Maildir) maildir = maildir_open(fixture->root, root, &dots, NULL);

    assert_non_null(maildir);

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(count_entries(fixture->root, "new"), 1);
}

/* Were one fsync(2) forgotten, or its failure, more than the first level would be there. */
static int
expect_creation_to_need_fsync(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    forbid(SYS_fsync, EIO);
    if (maildir_open(fixture->path, fixture->root, &dots, &error) != NULL)
        return 1;
    if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_IO))
        return 2;
    return exists(fixture->root, "example.org/ana") ? 3 : 0;
}

static void
maildir_that_cannot_be_made_durable_is_no_maildir(void **state)
{
    in_child(*state, expect_creation_to_need_fsync);
}

/* Every other level is there and durable: what fails is the Maildir's own entries. */
static int
expect_no_tmp_before_the_rest_is_durable(Fixture *fixture)
{
    MaildirCopyOptions options = plain();
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);
    g_autofree char *tmp = g_build_filename(fixture->path, "tmp", NULL);
    g_autoptr(GError) error = NULL;

    if (maildir == NULL || rmdir(tmp) != 0)
        return 1;
    forbid(SYS_fsync, EIO);
    if (maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error) != NULL)
        return 2;
    return exists(fixture->path, "tmp") ? 3 : 0;
}

static void
tmp_appears_only_when_all_above_it_is_durable(void **state)
{
    in_child(*state, expect_no_tmp_before_the_rest_is_durable);
}

static int
expect_refusal_that_names_the_directory(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *uid = g_strdup_printf("uid %u,", (unsigned)geteuid());

    if (maildir_open(fixture->path, fixture->root, &dots, &error) != NULL)
        return 1;
    if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
        return 2;
    return strstr(error->message, uid) != NULL && strstr(error->message, fixture->root) != NULL &&
                   strstr(error->message, "mode 0555") != NULL
               ? 0
               : 3;
}

static void
refused_access_names_who_we_are_and_the_directory_in_the_way(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(chmod(fixture->dir, 0755), 0);
    assert_int_equal(chmod(fixture->root, 0555), 0);
    as_nobody(fixture, expect_refusal_that_names_the_directory);
}

static int
expect_unreadable_parents_to_do(Fixture *fixture)
{
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);
    MaildirCopyOptions options = plain();

    if (maildir == NULL)
        return 1;

    g_autoptr(MaildirCopy) copy =
        maildir_stage(maildir, &fixture->namer, fixture->message, &options, NULL);

    return copy != NULL && maildir_publish(copy, NULL) ? 0 : 2;
}

static void
parents_that_may_only_be_searched_are_no_obstacle(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *home = g_path_get_dirname(fixture->path);

    if (geteuid() != 0)
        skip();
    assert_int_equal(g_mkdir_with_parents(home, 0711), 0);
    assert_int_equal(chown(home, 65534, 65534), 0);
    assert_int_equal(chmod(fixture->dir, 0711), 0);
    assert_int_equal(chmod(fixture->root, 0711), 0);
    as_nobody(fixture, expect_unreadable_parents_to_do);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(missing_maildir_is_made_with_the_mode_of_the_root),
        TEST(message_has_the_mode_of_its_maildir_without_x),
        TEST(private_maildir_stays_private_under_a_lax_umask),
        TEST(sticky_and_world_writable_bits_are_not_handed_down),
        TEST(mail_below_a_root_open_to_everybody_is_not),
        TEST(group_of_the_parent_is_handed_down_without_setgid),
        TEST(maildirfolder_marks_folders_and_never_the_maildir),
        TEST(created_folder_is_subscribed_and_named_as_the_client_sees_it),
        TEST(folder_that_somebody_began_is_finished_and_subscribed),
        TEST(folder_that_lost_its_new_is_repaired_and_its_subscription_left_alone),
        TEST(missing_folder_is_not_made_unasked),
        TEST(bad_folder_name_is_refused_and_touches_nothing),
        TEST(delivery_goes_on_when_subscribing_cannot),
        TEST(maildir_without_tmp_new_or_cur_is_repaired),
        TEST(processes_that_create_one_folder_at_once_all_succeed),
        TEST(missing_root_is_not_made),
        TEST(root_itself_may_be_the_maildir_and_end_in_slashes),
        TEST(maildir_that_cannot_be_made_durable_is_no_maildir),
        TEST(tmp_appears_only_when_all_above_it_is_durable),
        TEST(refused_access_names_who_we_are_and_the_directory_in_the_way),
        TEST(parents_that_may_only_be_searched_are_no_obstacle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
