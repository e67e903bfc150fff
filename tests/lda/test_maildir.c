/* tests/lda/test_maildir.c - staging, publishing and sweeping, in real directories */
#include "tests/lda/maildir_fixture.h"

#include <sys/resource.h>

#include <zlib.h>

static void
staged_copy_lies_in_tmp_only_and_publishing_moves_it_to_new(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_int_equal(count_entries(fixture->path, "tmp"), 1);
    assert_int_equal(count_entries(fixture->path, "new"), 0);
    assert_false(exists(maildir_copy_path(copy), ""));

    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
    assert_int_equal(count_entries(fixture->path, "new"), 1);
    assert_file(maildir_copy_path(copy), HEADERS BODY);
    assert_string_equal(maildir_copy_folder(copy), "INBOX");
}

static void
name_tells_the_size_on_disk_and_the_size_with_crlf(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());
    size_t size = strlen(HEADERS BODY);
    g_autofree char *end = g_strdup_printf(",S=%zu,W=%zu", size, size + 5);

    assert_true(g_str_has_suffix(maildir_copy_path(copy), end));
}

static void
descriptors_for_the_commit_are_the_file_and_its_directory(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());
    struct stat file, directory, published;

    assert_int_equal(fsync(maildir_copy_fd(copy)), 0);
    assert_true(maildir_publish(copy, NULL));
    assert_int_equal(fsync(maildir_copy_directory_fd(copy)), 0);
    assert_int_equal(fstat(maildir_copy_fd(copy), &file), 0);
    assert_int_equal(stat(maildir_copy_path(copy), &published), 0);
    assert_int_equal(file.st_ino, published.st_ino);

    g_autofree char *new_path = g_path_get_dirname(maildir_copy_path(copy));

    assert_int_equal(fstat(maildir_copy_directory_fd(copy), &directory), 0);
    assert_int_equal(stat(new_path, &published), 0);
    assert_int_equal(directory.st_ino, published.st_ino);
}

static void
copy_with_flags_goes_to_cur(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    options.flags = "FS";

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    assert_true(maildir_publish(copy, NULL));
    assert_non_null(strstr(maildir_copy_path(copy), "/cur/"));
    assert_true(g_str_has_suffix(maildir_copy_path(copy), ":2,FS"));
    assert_file(maildir_copy_path(copy), HEADERS BODY);
}

static void
keywords_become_letters_after_the_flags(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();
    const char *const keywords[] = {"todo", "$Junk", NULL};

    options.flags = "S";
    options.keywords = keywords;

    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);
    g_autofree char *file = g_build_filename(fixture->path, "dovecot-keywords", NULL);

    assert_true(g_str_has_suffix(maildir_copy_path(copy), ":2,Sab"));
    assert_file(file, "0 todo\n1 $Junk\n");
    assert_false(exists(fixture->path, "dovecot-uidlist.lock"));
    assert_int_equal(count_entries(fixture->path, "tmp"), 1);
}

static void
copies_of_one_message_are_files_of_their_own(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) one = stage(fixture, maildir, plain());
    g_autoptr(MaildirCopy) other = stage(fixture, maildir, plain());

    assert_true(maildir_publish(one, NULL));
    assert_true(maildir_publish(other, NULL));
    assert_int_equal(count_entries(fixture->path, "new"), 2);
}

static void
copy_outlives_its_maildir(void **state)
{
    Fixture *fixture = *state;
    Maildir *maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    maildir_free(maildir);
    assert_true(maildir_publish(copy, NULL));
    assert_file(maildir_copy_path(copy), HEADERS BODY);
}

static void
message_of_many_windows_is_whole(void **state)
{
    Fixture *fixture = *state;
    size_t len;
    g_autofree char *text = large_text(&len);
    g_autofree char *expected = g_strconcat(HEADERS, text, NULL);

    message_free(fixture->message);
    fixture->message = message_of(text, len);

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    assert_file(maildir_copy_path(copy), expected);
}

static void
gzip_file_unpacks_to_the_same_message_and_is_named_by_its_size(void **state)
{
    Fixture *fixture = *state;
    size_t len;
    g_autofree char *text = large_text(&len);
    g_autofree char *expected = g_strconcat(HEADERS, text, NULL);
    g_autofree char *unpacked = g_malloc0(strlen(expected) + 100);
    g_autofree char *size = g_strdup_printf(",S=%zu,W=", strlen(expected));
    MaildirCopyOptions options = plain();
    struct stat st;

    message_free(fixture->message);
    fixture->message = message_of(text, len);
    options.stage_flags = MAILDIR_GZIP;

    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    assert_true(maildir_publish(copy, NULL));
    assert_non_null(strstr(maildir_copy_path(copy), size));
    assert_int_equal(stat(maildir_copy_path(copy), &st), 0);
    assert_true((size_t)st.st_size < strlen(expected) / 4);

    gzFile packed = gzopen(maildir_copy_path(copy), "rb");

    assert_int_equal(gzread(packed, unpacked, (unsigned)strlen(expected) + 99), strlen(expected));
    assert_int_equal(gzdirect(packed), 0);
    assert_int_equal(gzclose(packed), Z_OK);
    assert_string_equal(unpacked, expected);
}

static void
copy_that_is_freed_unpublished_leaves_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);

    maildir_copy_free(stage(fixture, maildir, plain()));
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
    assert_int_equal(count_entries(fixture->path, "new"), 0);
}

static void
withdrawn_copy_is_gone_from_new(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());

    assert_true(maildir_publish(copy, NULL));
    maildir_withdraw(copy);
    assert_int_equal(count_entries(fixture->path, "new"), 0);
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
}

static void
file_of_the_same_name_in_new_is_never_replaced(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, plain());
    g_autoptr(GError) error = NULL;

    write_file(maildir_copy_path(copy), "", "somebody else's");
    assert_false(maildir_publish(copy, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_EXIST));
    assert_file(maildir_copy_path(copy), "somebody else's");
    maildir_copy_free(g_steal_pointer(&copy));
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
}

static void
file_of_the_same_name_in_tmp_is_never_written_to(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();
    g_autoptr(GError) error = NULL;
    g_autoptr(MaildirCopy) copy = stage(fixture, maildir, options);

    fixture->namer.last_us = 0; /* a process with our pid, clock and sequence */
    fixture->namer.sequence--;
    assert_null(maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_EXIST));
    assert_true(maildir_publish(copy, NULL)); /* the first one's file is still there */
}

/* RLIMIT_FSIZE fails a write(2) half-way, as a full disk does. */
static void
failed_write_leaves_nothing_in_tmp(void **state)
{
    Fixture *fixture = *state;
    size_t len;
    g_autofree char *text = large_text(&len);
    g_autoptr(Maildir) maildir = open_ana(fixture);
    const struct rlimit small = {.rlim_cur = 300 * 1000, .rlim_max = RLIM_INFINITY};
    struct rlimit before;

    message_free(fixture->message);
    fixture->message = message_of(text, len);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);

    for (int gzip = 0; gzip <= 1; gzip++) {
        MaildirCopyOptions options = plain();
        g_autoptr(GError) error = NULL;
        const struct rlimit tiny = {.rlim_cur = gzip ? 5000 : small.rlim_cur,
                                    .rlim_max = before.rlim_max};

        options.stage_flags = gzip ? MAILDIR_GZIP : 0;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);

        MaildirCopy *copy =
            maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error);

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_null(copy);
        assert_int_equal(error->domain, G_FILE_ERROR);
        assert_non_null(strstr(error->message, "File too large"));
        assert_int_equal(count_entries(fixture->path, "tmp"), 0);
    }
}

static int
expect_read_only_tmp_to_fail(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    MaildirCopyOptions options = plain();
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);

    if (maildir == NULL)
        return 1;
    if (maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error) != NULL)
        return 2;
    return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES) ? 0 : 3;
}

static void
read_only_maildir_fails_and_keeps_what_it_has(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *command =
        g_strdup_printf("chmod -R a+rX '%s' && chmod a-w '%s/tmp'", fixture->dir, fixture->path);

    maildir_free(open_ana(fixture));
    assert_int_equal(system(command), 0);
    as_nobody(fixture, expect_read_only_tmp_to_fail);
}

static void
exceeded_disk_quota_is_told_as_a_full_disk(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    errno = EDQUOT;
    assert_false(maildir_set_errno(&error, "write", "/mail/x"));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC));
    assert_string_equal(error->message, "cannot write '/mail/x': Disk quota exceeded");
}

/* A file's ctime cannot be set: the clock that is passed in moves instead. */
static gint64
hours_from_now(gint64 hours)
{
    return g_get_real_time() + hours * 3600 * G_USEC_PER_SEC;
}

static void
abandoned_files_go_after_36_hours_from_every_tmp(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    options.folder = "Lists";
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) published = stage(fixture, maildir, options);

    assert_true(maildir_publish(published, NULL));
    write_file(fixture->path, "tmp/one", "x");
    write_file(fixture->path, ".Lists/tmp/two", "x");

    assert_int_equal(maildir_clean_tmp(maildir, hours_from_now(35)), 0);
    assert_int_equal(count_entries(fixture->path, "tmp"), 1);
    assert_int_equal(maildir_clean_tmp(maildir, hours_from_now(37)), 2);
    assert_int_equal(count_entries(fixture->path, "tmp"), 0);
    assert_file(maildir_copy_path(published), HEADERS BODY);
}

static void
sweeping_does_not_follow_links(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    g_autofree char *outside = g_build_filename(fixture->dir, "outside", NULL);
    g_autofree char *outside_tmp = g_build_filename(outside, "tmp", NULL);
    g_autofree char *folder = g_build_filename(fixture->path, ".Out", NULL);
    g_autofree char *tmp = g_build_filename(fixture->path, "tmp", NULL);

    assert_int_equal(g_mkdir_with_parents(outside_tmp, 0700), 0);
    write_file(outside_tmp, "precious", "x");
    assert_int_equal(symlink(outside, folder), 0);
    replace_with_link(tmp, outside_tmp);
    assert_int_equal(maildir_clean_tmp(maildir, hours_from_now(48)), 0);
    assert_true(exists(outside_tmp, "precious"));
}

static void
one_delivery_in_64_sweeps_the_tmp_it_uses(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Maildir) maildir = open_ana(fixture);
    MaildirCopyOptions options = plain();

    write_file(fixture->path, "tmp/abandoned", "x");
    options.now_us = hours_from_now(48);
    for (int i = 0; i < 64; i++) {
        MaildirCopy *copy = stage(fixture, maildir, options);

        assert_true(maildir_publish(copy, NULL));
        maildir_copy_free(copy);
    }
    assert_false(exists(fixture->path, "tmp/abandoned"));
    assert_int_equal(count_entries(fixture->path, "new"), 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(staged_copy_lies_in_tmp_only_and_publishing_moves_it_to_new),
        TEST(name_tells_the_size_on_disk_and_the_size_with_crlf),
        TEST(descriptors_for_the_commit_are_the_file_and_its_directory),
        TEST(copy_with_flags_goes_to_cur),
        TEST(keywords_become_letters_after_the_flags),
        TEST(copies_of_one_message_are_files_of_their_own),
        TEST(copy_outlives_its_maildir),
        TEST(message_of_many_windows_is_whole),
        TEST(gzip_file_unpacks_to_the_same_message_and_is_named_by_its_size),
        TEST(copy_that_is_freed_unpublished_leaves_nothing),
        TEST(withdrawn_copy_is_gone_from_new),
        TEST(file_of_the_same_name_in_new_is_never_replaced),
        TEST(file_of_the_same_name_in_tmp_is_never_written_to),
        TEST(failed_write_leaves_nothing_in_tmp),
        TEST(read_only_maildir_fails_and_keeps_what_it_has),
        TEST(exceeded_disk_quota_is_told_as_a_full_disk),
        TEST(abandoned_files_go_after_36_hours_from_every_tmp),
        TEST(sweeping_does_not_follow_links),
        TEST(one_delivery_in_64_sweeps_the_tmp_it_uses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
