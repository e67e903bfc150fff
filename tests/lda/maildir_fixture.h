/* tests/lda/maildir_fixture.h - a mail root of its own for each test */
#ifndef LODGE_TESTS_MAILDIR_FIXTURE_H
#define LODGE_TESTS_MAILDIR_FIXTURE_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lda/maildir_parts.h"
#include "lda/outcome.h"
#include "tests/scratch.h"

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

static inline Message *
message_of(const char *bytes, size_t len)
{
    Message *message = message_new(&(MessageOptions){.spool_memory = 4096, .spool_dir = "/tmp"});

    message_append(message, bytes, len);
    assert_true(message_finish(message, NULL));
    return message;
}

static inline int
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

static inline int
tear_down(void **state)
{
    Fixture *fixture = *state;

    scratch_remove(fixture->dir);
    maildir_namer_clear(&fixture->namer);
    message_free(fixture->message);
    g_free(fixture->dir);
    g_free(fixture->root);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static inline Maildir *
open_ana(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    Maildir *maildir = maildir_open(fixture->path, fixture->root, &dots, &error);

    if (maildir == NULL)
        print_message("%s\n", error->message);
    assert_non_null(maildir);
    return maildir;
}

static inline MaildirCopyOptions
plain(void)
{
    return (MaildirCopyOptions){.headers = HEADERS, .flags = "", .gzip_level = 6, .now_us = now_us};
}

static inline MaildirCopy *
stage(Fixture *fixture, Maildir *maildir, MaildirCopyOptions options)
{
    g_autoptr(GError) error = NULL;
    MaildirCopy *copy = maildir_stage(maildir, &fixture->namer, fixture->message, &options, &error);

    if (copy == NULL)
        print_message("%s\n", error->message);
    assert_non_null(copy);
    return copy;
}

static inline unsigned
count_entries(const char *base, const char *box)
{
    g_autofree char *path = g_build_filename(base, box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    while (dir != NULL && g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static inline void
assert_file(const char *path, const char *expected)
{
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, expected);
}

static inline mode_t
mode_of(const char *base, const char *name)
{
    g_autofree char *path = g_build_filename(base, name, NULL);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static inline bool
exists(const char *base, const char *name)
{
    g_autofree char *path = g_build_filename(base, name, NULL);
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline void
write_file(const char *base, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(base, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* A message that is spooled to a file and takes several windows. */
static inline char *
large_text(size_t *len_out)
{
    g_autoptr(GString) text = g_string_new("Subject: large\n\n");

    for (unsigned i = 0; text->len < 1200 * 1000; i++)
        g_string_append_printf(text, "line %u of a message that does not fit\n", i);
    *len_out = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static inline bool
deliver(Fixture *fixture, const char *folder, const char *flags)
{
    g_autoptr(Maildir) maildir = maildir_open(fixture->path, fixture->root, &dots, NULL);
    MaildirCopyOptions options = plain();

    if (maildir == NULL)
        return false;
    options.folder = folder;
    options.flags = flags;
    options.stage_flags = MAILDIR_CREATE_FOLDER;

    g_autoptr(MaildirCopy) copy =
        maildir_stage(maildir, &fixture->namer, fixture->message, &options, NULL);

    return copy != NULL && maildir_publish(copy, NULL);
}

static inline void
replace_with_link(const char *path, const char *target)
{
    scratch_remove(path);
    assert_int_equal(symlink(target, path), 0);
}

static inline void
in_child(Fixture *fixture, int (*body)(Fixture *))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(body(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* From now on the call fails in this process, as on a kernel or file system without it. */
static inline void
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

/* Runs body in a child that is not root, since root may write everywhere. */
static inline void
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
