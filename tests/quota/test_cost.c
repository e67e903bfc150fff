/* tests/quota/test_cost.c - what a delivery costs in system calls, and that it knows what it did
 * not read
 */
#include "tests/quota/mailbox.h"

#include <dlfcn.h>

static struct {
    unsigned all;           /* that concern files */
    unsigned reads, writes; /* of "maildirsize" */
} calls;

/* ---- in place of the C library's ------------------------------------------ */

static bool
is_maildirsize(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(link, NULL);

    return path != NULL && g_str_has_suffix(path, "/maildirsize");
}

ssize_t
pread(int fd, void *bytes, size_t len, off_t offset)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");

    calls.all++;
    calls.reads += is_maildirsize(fd) ? 1 : 0;
    return real(fd, bytes, len, offset);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");

    calls.all++;
    calls.writes += is_maildirsize(fd) ? 1 : 0;
    return real(fd, bytes, len);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

    calls.all++;
    return real(fd, bytes, len, offset);
}

int
openat(int dir_fd, const char *name, int flags, ...)
{
    int (*real)(int, const char *, int, mode_t) = dlsym(RTLD_NEXT, "openat");

    calls.all++;
    return real(dir_fd, name, flags, 0600);
}

int
fcntl(int fd, int command, ...)
{
    int (*real)(int, int, void *) = dlsym(RTLD_NEXT, "fcntl");
    va_list rest;

    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    calls.all++;
    return real(fd, command, argument);
}

int
fstat(int fd, struct stat *status)
{
    int (*real)(int, struct stat *) = dlsym(RTLD_NEXT, "fstat");

    calls.all++;
    return real(fd, status);
}

int
fstatat(int dir_fd, const char *name, struct stat *status, int flags)
{
    int (*real)(int, const char *, struct stat *, int) = dlsym(RTLD_NEXT, "fstatat");

    calls.all++;
    return real(dir_fd, name, status, flags);
}

int
close(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "close");

    calls.all++;
    return real(fd);
}

/* ---- tests ---------------------------------------------------------------- */

static void
a_delivery_alone_reads_nothing_it_knows_and_appends_once(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100); /* counts */
    calls.all = calls.reads = calls.writes = 0;
    quota = mailbox_open(mailbox);
    assert_true(quota_name(quota, "1.a,S=200", NULL));
    assert_true(quota_reserve(quota, "", 200, mailbox->now_us, NULL));
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_int_equal(calls.reads, 0);
    assert_int_equal(calls.writes, 1);
    /* Open, lock, look, read; open, look; write a slot, unlock. Lock; append, look; free the slot,
     * close, close. */
    assert_true(calls.all > 0);
    assert_true(calls.all <= 14);
    assert_usage(change.after, 300, 2);
}

/* What others did since the last delivery of ours. */
static void
append(Mailbox *mailbox)
{
    mailbox_append(mailbox, "maildirsize", "50 1\n");
}

static void
replace(Mailbox *mailbox)
{
    /* As long as what we leave there, and another inode: ours is still there when it is made. */
    mailbox_write(mailbox, "new file",
                  "1000S\n           0            0\n"
                  "         150            2\n");
    assert_int_equal(renameat(mailbox->fd, "new file", mailbox->fd, "maildirsize"), 0);
}

static void
overwrite(Mailbox *mailbox)
{
    lodge_autofd fd = openat(mailbox->fd, "maildirsize", O_WRONLY | O_CLOEXEC);
    const struct timespec times[] = {{1700000000, 0}, {1700000000, 0}};
    const char *text = "1000S\n         150            2\n";

    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    text = "           0            0\n";
    assert_int_equal(pwrite(fd, text, strlen(text), 32), strlen(text));
    assert_int_equal(futimens(fd, times), 0);
}

static void
what_others_did_to_the_file_is_read_once(void **state)
{
    Mailbox *mailbox = *state;
    void (*const deeds[])(Mailbox * mailbox) = {append, replace, overwrite};

    mailbox->settings.limits.octets = 1000;
    for (size_t i = 0; i < G_N_ELEMENTS(deeds); i++) {
        mailbox_write(mailbox, "maildirsize", "1000S\n           0            0\n");
        mailbox_deliver(mailbox, 100);
        deeds[i](mailbox);
        calls.reads = 0;
        assert_usage(mailbox_deliver(mailbox, 30).after, 180, 3);
        assert_int_equal(calls.reads, 1);
    }
}

/* What a delivery of 200 octets tells when others have added a line after it was reserved. */
static QuotaChange
deliver_after(Mailbox *mailbox, const char *line)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    QuotaChange change;

    assert_true(quota_reserve(quota, "", 200, mailbox->now_us, NULL));
    g_free(mailbox_publish(mailbox, quota, 200));
    mailbox_append(mailbox, "maildirsize", line);
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    return change;
}

static void
what_others_added_meanwhile_is_in_what_is_told(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100);
    change = deliver_after(mailbox, "50 1\n");
    assert_usage(change.before, 150, 2);
    assert_usage(change.after, 350, 3);
}

static void
what_others_removed_meanwhile_is_not_told_as_less_than_nothing(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100);
    change = deliver_after(mailbox, "-150 -1\n"); /* with 50 octets nobody knew of */
    assert_usage(change.before, 0, 0);
    assert_usage(change.after, 200, 1);
}

static void
the_next_delivery_knows_of_all_before_it(void **state)
{
    Mailbox *mailbox = *state;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100);
    deliver_after(mailbox, "50 1\n");
    change = mailbox_deliver(mailbox, 30);
    assert_usage(change.before, 350, 3);
    assert_usage(change.after, 380, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(a_delivery_alone_reads_nothing_it_knows_and_appends_once),
        mailbox_test(what_others_did_to_the_file_is_read_once),
        mailbox_test(what_others_added_meanwhile_is_in_what_is_told),
        mailbox_test(what_others_removed_meanwhile_is_not_told_as_less_than_nothing),
        mailbox_test(the_next_delivery_knows_of_all_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
