/* tests/quota/mailbox.h - a Maildir of its own for each test, and what is done to it */
#ifndef LODGE_QUOTA_TEST_MAILBOX_H
#define LODGE_QUOTA_TEST_MAILBOX_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "quota/quota.h"
#include "tests/scratch.h"

typedef struct {
    char *path;
    int fd;
    QuotaSettings settings; /* tests change them before they open a quota */
    unsigned made;          /* files, for their names */
    gint64 now_us;
} Mailbox;

static inline void
mailbox_make_folder(const Mailbox *mailbox, const char *directory)
{
    const char *const parts[] = {"", "tmp", "new", "cur"};

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *path = g_build_filename(mailbox->path, directory, parts[i], NULL);

        assert_true(g_mkdir_with_parents(path, 0700) == 0);
    }
}

static inline int
mailbox_setup(void **state)
{
    Mailbox *mailbox = g_new0(Mailbox, 1);

    mailbox->path = g_dir_make_tmp("lodge-quota-XXXXXX", NULL);
    mailbox->settings.lock_timeout_ms = 60 * 1000;
    mailbox->now_us = g_get_real_time();
    mailbox_make_folder(mailbox, "");
    mailbox->fd = open(mailbox->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(mailbox->fd >= 0);
    *state = mailbox;
    return 0;
}

static inline int
mailbox_teardown(void **state)
{
    Mailbox *mailbox = *state;

    scratch_remove(mailbox->path);
    (void)close(mailbox->fd);
    g_free(mailbox->path);
    g_free(mailbox);
    return 0;
}

#define mailbox_test(test) cmocka_unit_test_setup_teardown(test, mailbox_setup, mailbox_teardown)

/* A file, as its writer left it: another inode, as all writers of "maildirsize" have it. */
static inline void
mailbox_write_bytes(const Mailbox *mailbox, const char *name, const char *bytes, size_t len)
{
    (void)unlinkat(mailbox->fd, name, 0); /* if there is one */

    lodge_autofd fd = openat(mailbox->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
}

static inline void
mailbox_write(const Mailbox *mailbox, const char *name, const char *text)
{
    mailbox_write_bytes(mailbox, name, text, strlen(text));
}

/* NULL: there is none. Free with g_free(). */
static inline char *
mailbox_read(const Mailbox *mailbox, const char *name)
{
    g_autofree char *path = g_build_filename(mailbox->path, name, NULL);
    char *text = NULL;

    (void)g_file_get_contents(path, &text, NULL, NULL); /* not there is an answer */
    return text;
}

static inline void
mailbox_append(const Mailbox *mailbox, const char *name, const char *text)
{
    lodge_autofd fd = openat(mailbox->fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline bool
mailbox_has(const Mailbox *mailbox, const char *name)
{
    return faccessat(mailbox->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A message that is not accounted for; its size is in its name only. Free with g_free(). */
static inline char *
mailbox_put(Mailbox *mailbox, const char *folder, guint64 octets, const char *flags)
{
    char *name = g_strdup_printf("%s%s%s/1700000000.M%uP1.test,S=%" G_GUINT64_FORMAT "%s", folder,
                                 *folder == '\0' ? "" : "/", *flags == '\0' ? "new" : "cur",
                                 mailbox->made++, octets, flags);

    mailbox_write(mailbox, name, "");
    return name;
}

/* What a delivery of ours does between reservation and settlement. Free with g_free(). */
static inline char *
mailbox_publish(Mailbox *mailbox, Quota *quota, guint64 octets)
{
    g_autofree char *base =
        g_strdup_printf("1700000000.M%uP2.test,S=%" G_GUINT64_FORMAT, mailbox->made++, octets);
    char *name = g_build_filename("new", base, NULL);
    g_autoptr(GError) error = NULL;

    assert_true(quota_name(quota, base, &error));
    mailbox_write(mailbox, name, "");
    return name;
}

static inline Quota *
mailbox_open(const Mailbox *mailbox)
{
    return quota_open(mailbox->fd, &mailbox->settings);
}

/* Code of the refusal, or -1: there is room. Nothing stays set aside. */
static inline int
mailbox_try(const Mailbox *mailbox, const char *folder, guint64 octets)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;

    if (quota_reserve(quota, folder, octets, mailbox->now_us, &error))
        return -1;
    assert_true(error->domain == QUOTA_ERROR);
    return error->code;
}

/* A whole delivery to INBOX, which must succeed. */
static inline QuotaChange
mailbox_deliver(Mailbox *mailbox, guint64 octets)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;
    QuotaChange change;

    if (!quota_reserve(quota, "", octets, mailbox->now_us, &error))
        fail_msg("%s", error->message);
    g_free(mailbox_publish(mailbox, quota, octets));
    if (!quota_settle(quota, mailbox->now_us, &change, &error))
        fail_msg("%s", error->message);
    return change;
}

static inline QuotaUsage
mailbox_usage(const Mailbox *mailbox)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;
    QuotaUsage usage;

    if (!quota_usage(quota, &usage, &error))
        fail_msg("%s", error->message);
    return usage;
}

#define assert_usage(usage, expected_octets, expected_messages) \
    do {                                                        \
        const QuotaUsage checked = (usage);                     \
                                                                \
        assert_int_equal(checked.octets, expected_octets);      \
        assert_int_equal(checked.messages, expected_messages);  \
    } while (0)

#endif
