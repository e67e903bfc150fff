/* tests/lda/test_maildir.c - staging and publishing, in real directories */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <zlib.h>

#include "lda/maildir_parts.h"
#include "lda/outcome.h"

static const gint64 now_us = G_GINT64_CONSTANT(1700000000000042);
static const MaildirLayout dots = {.separator = '.', .prefix = ""};

#define HEADERS "Return-Path: <>\nDelivered-To: ana@example.org\n"
#define BODY "Subject: x\n\nhello\n"

typedef struct {
    char *dir;  /* everything of the test */
    char *root; /* the mail root in it */
    char *path; /* root/example.org/ana/Maildir */
    MaildirNamer namer;
    Message *message;
} Fixture;

static Message *
message_of(const char *bytes, size_t len)
{
    Message *message = message_new(&(MessageOptions){.spool_memory = 4096, .spool_dir = "/tmp"});

    message_append(message, bytes, len);
    assert_true(message_finish(message, NULL));
    return message;
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    umask(022);
    fixture->dir = g_dir_make_tmp("lodge-maildir-XXXXXX", NULL);
    fixture->root = g_build_filename(fixture->dir, "mail", NULL);
    fixture->path = g_build_filename(fixture->root, "example.org", "ana", "Maildir", NULL);
    assert_int_equal(mkdir(fixture->root, 0700), 0);
    maildir_namer_init(&fixture->namer, "host", 42, 1);
    fixture->message = message_of(BODY, strlen(BODY));
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
    message_free(fixture->message);
    g_free(fixture->dir);
    g_free(fixture->root);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static Maildir *
open_ana(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    Maildir *maildir = maildir_open(fixture->path, fixture->root, &dots, &error);

    if (maildir == NULL)
        print_message("%s\n", error->message);
    assert_non_null(maildir);
    return maildir;
}

static MaildirCopyOptions
plain(void)
{
    return (MaildirCopyOptions){.headers = HEADERS, .flags = "", .gzip_level = 6, .now_us = now_us};
}

static MaildirCopy *
stage(Fixture *fixture, Maildir *maildir, MaildirCopyOptions options)
{
    g_autoptr(GError) error = NULL;
    MaildirCopy *copy = maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error);

    if (copy == NULL)
        print_message("%s\n", error->message);
    assert_non_null(copy);
    return copy;
}

static unsigned
count_entries(const char *base, const char *box)
{
    g_autofree char *path = g_build_filename(base, box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    while (dir != NULL && g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static void
assert_file(const char *path, const char *expected)
{
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, expected);
}

static mode_t
mode_of(const char *base, const char *name)
{
    g_autofree char *path = g_build_filename(base, name, NULL);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static bool
exists(const char *base, const char *name)
{
    g_autofree char *path = g_build_filename(base, name, NULL);
    struct stat st;

    return lstat(path, &st) == 0;
}

static void
write_file(const char *base, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(base, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* ---- the straight path --------------------------------------------------- */

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

/* A message that is spooled to a file and takes several windows. */
static char *
large_text(size_t *len_out)
{
    g_autoptr(GString) text = g_string_new("Subject: large\n\n");

    for (unsigned i = 0; text->len < 1200 * 1000; i++)
        g_string_append_printf(text, "line %u of a message that does not fit\n", i);
    *len_out = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
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

/* ---- creating ------------------------------------------------------------ */

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
    assert_int_equal(mode_of(fixture->root, "example.org"), 0775);
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

/* ---- links that lead out -------------------------------------------------- */

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

static bool
deliver(Fixture *fixture, const LinkRow *row)
{
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);
    MaildirCopyOptions options = plain();

    if (maildir == NULL)
        return false;
    options.folder = row->folder;
    options.flags = row->flags;
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) copy =
        maildir_stage(maildir, &fixture->namer, fixture->message, &options, NULL);

    return copy != NULL && maildir_publish(copy, NULL);
}

static void
replace_with_link(const char *path, const char *target)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", path);

    assert_int_equal(system(command), 0);
    assert_int_equal(symlink(target, path), 0);
}

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
    assert_true(deliver(fixture, row));
    replace_with_link(link, outside);
    assert_false(deliver(fixture, row));
    replace_with_link(link, "../../../../../outside");
    assert_false(deliver(fixture, row));

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

/* ---- failures ------------------------------------------------------------ */

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

/* Runs body in a child that is not root, since root may write everywhere. */
static void
as_nobody(Fixture *fixture, int (*body)(Fixture *))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(100);
        _exit(body(fixture));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
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

/* ---- kernels and file systems that lack a call ---------------------------- */

static void
forbid(int call, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = G_N_ELEMENTS(code), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(101);
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
    const LinkRow lists = {.folder = "Lists.ietf", .flags = ""};
    const LinkRow outside = {.folder = "Out", .flags = ""};

    forbid(row->call, row->error);
    if (row->call_too >= 0)
        forbid(row->call_too, row->error_too);
    if (!deliver(fixture, &lists))
        return 1;
    if (row->call == SYS_openat2 && deliver(fixture, &outside))
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
    Fixture *fixture = *state;
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(expect_link_not_to_replace(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- sweeping ------------------------------------------------------------ */

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

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

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
        TEST(missing_maildir_is_made_with_the_mode_of_the_root),
        TEST(message_has_the_mode_of_its_maildir_without_x),
        TEST(private_maildir_stays_private_under_a_lax_umask),
        TEST(sticky_and_world_writable_bits_are_not_handed_down),
        TEST(group_of_the_parent_is_handed_down_without_setgid),
        TEST(maildirfolder_marks_folders_and_never_the_maildir),
        TEST(created_folder_is_subscribed_and_named_as_the_client_sees_it),
        TEST(missing_folder_is_not_made_unasked),
        TEST(bad_folder_name_is_refused_and_touches_nothing),
        TEST(delivery_goes_on_when_subscribing_cannot),
        TEST(maildir_without_tmp_new_or_cur_is_repaired),
        TEST(processes_that_create_one_folder_at_once_all_succeed),
        TEST(link_that_stays_inside_is_followed),
        TEST(tmp_replaced_by_a_link_after_staging_changes_nothing),
        TEST(maildir_outside_the_root_is_a_mistake_in_the_configuration),
        TEST(missing_root_is_not_made),
        TEST(root_itself_may_be_the_maildir_and_end_in_slashes),
        TEST(copy_that_is_freed_unpublished_leaves_nothing),
        TEST(withdrawn_copy_is_gone_from_new),
        TEST(file_of_the_same_name_in_new_is_never_replaced),
        TEST(file_of_the_same_name_in_tmp_is_never_written_to),
        TEST(failed_write_leaves_nothing_in_tmp),
        TEST(refused_access_names_who_we_are_and_the_directory_in_the_way),
        TEST(read_only_maildir_fails_and_keeps_what_it_has),
        TEST(parents_that_may_only_be_searched_are_no_obstacle),
        TEST(without_rename_noreplace_a_file_is_not_replaced_either),
        TEST(abandoned_files_go_after_36_hours_from_every_tmp),
        TEST(sweeping_does_not_follow_links),
        TEST(one_delivery_in_64_sweeps_the_tmp_it_uses),
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
