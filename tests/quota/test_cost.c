/* tests/quota/test_cost.c - what a delivery reads of "maildirsize", and what it tells of it */
#include "tests/quota/mailbox.h"

#include <dlfcn.h>

static struct {
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

    calls.reads += is_maildirsize(fd) ? 1 : 0;
    return real(fd, bytes, len, offset);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");

    calls.writes += is_maildirsize(fd) ? 1 : 0;
    return real(fd, bytes, len);
}

/* ---- tests ---------------------------------------------------------------- */

static void
a_delivery_reads_the_file_once_and_appends_to_it_once(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 100); /* counts */
    calls.reads = calls.writes = 0;
    mailbox_deliver(mailbox, 200);
    assert_int_equal(calls.reads, 1);
    assert_int_equal(calls.writes, 1);
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
        mailbox_test(a_delivery_reads_the_file_once_and_appends_to_it_once),
        mailbox_test(what_others_added_meanwhile_is_in_what_is_told),
        mailbox_test(what_others_removed_meanwhile_is_not_told_as_less_than_nothing),
        mailbox_test(the_next_delivery_knows_of_all_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
