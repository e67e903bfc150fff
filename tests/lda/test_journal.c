/* tests/lda/test_journal.c - which file systems keep a name back until what it names is durable
 *
 * What the kernel says of the file system is made up here: functions of libc and GLib are replaced.
 */
#include "lda/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define ORDERED "rw\nbarrier\ndata=ordered\ncommit=5\n"
#define MOUNTS                                                                  \
    "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"                            \
    "2 20 8:3 / /log rw - xfs /dev/sdc1 rw,logdev=/dev/sdd1\n"                  \
    "21 20 8:2 / /mail rw,relatime shared:2 - xfs /dev/sdb1 rw,attr2,noquota\n" \
    "22 20 8:4 / /time rw - xfs /dev/sde1 rw,rtdev=/dev/sdf1\n"

static struct {
    long type;
    guint64 mount;
    unsigned mask;
    const char *options; /* of ext4; NULL: no such file */
    const char *mounts;
    bool has_journal;
    gint64 now_us;
    int asked;
} kernel;

/* Every test has mounts of its own: answers are remembered. */
static guint64 next_mount = 1000;

static int
start(void **state)
{
    (void)state;
    kernel.type = EXT4_SUPER_MAGIC;
    kernel.mount = next_mount++;
    kernel.mask = STATX_BASIC_STATS | STATX_MNT_ID;
    kernel.options = ORDERED;
    kernel.mounts = MOUNTS;
    kernel.has_journal = true;
    kernel.now_us = 1;
    kernel.asked = 0;
    return 0;
}

int
statx(int fd, const char *path, int flags, unsigned mask, struct statx *info)
{
    (void)path;
    assert_int_equal(flags & AT_EMPTY_PATH, AT_EMPTY_PATH);
    assert_int_equal(mask & STATX_MNT_ID, STATX_MNT_ID);
    if (fd < 0) {
        errno = EBADF;
        return -1;
    }
    memset(info, 0, sizeof *info);
    info->stx_mask = kernel.mask;
    info->stx_mnt_id = kernel.mount;
    info->stx_dev_major = 8;
    info->stx_dev_minor = 1;
    return 0;
}

int
fstatfs(int fd, struct statfs *info)
{
    (void)fd;
    kernel.asked++;
    memset(info, 0, sizeof *info);
    info->f_type = kernel.type;
    return 0;
}

gint64
g_get_monotonic_time(void)
{
    return kernel.now_us;
}

char *
g_file_read_link(const char *path, GError **error)
{
    (void)error;
    assert_string_equal(path, "/sys/dev/block/8:1");
    return g_strdup("../../devices/pci0000:00/virtio0/block/sda/sda1");
}

int
access(const char *path, int mode)
{
    (void)mode;
    return kernel.has_journal && strcmp(path, "/proc/fs/jbd2/sda1-8") == 0 ? 0 : -1;
}

gboolean
g_file_get_contents(const char *path, char **text, gsize *size, GError **error)
{
    const char *answer = NULL;

    (void)size;
    (void)error;
    if (strcmp(path, "/proc/fs/ext4/sda1/options") == 0)
        answer = kernel.options;
    else if (strcmp(path, "/proc/self/mountinfo") == 0)
        answer = kernel.mounts;
    *text = g_strdup(answer);
    return answer != NULL;
}

static bool
is_ordered(void)
{
    return journal_of(0, NULL) != 0;
}

static void
ext4_with_its_own_journal_keeps_order(void **state)
{
    (void)state;
    assert_true(journal_of(0, NULL) == makedev(8, 1));
}

static void
ext4_without_journal_or_with_one_elsewhere_does_not(void **state)
{
    (void)state;
    kernel.has_journal = false;
    assert_false(is_ordered());
}

static void
ext4_in_another_mode_does_not(void **state)
{
    (void)state;
    kernel.options = "rw\nbarrier\ndata=writeback\njournal_async_commit\n";
    assert_false(is_ordered());
    (void)start(NULL);
    kernel.options = "rw\nbarrier\n";
    assert_false(is_ordered());
    (void)start(NULL);
    kernel.options = NULL;
    assert_false(is_ordered());
}

static void
xfs_on_one_device_keeps_order(void **state)
{
    (void)state;
    kernel.type = XFS_SUPER_MAGIC;
    kernel.mount = 21;
    assert_true(is_ordered());
}

static void
xfs_with_another_device_for_log_or_data_does_not(void **state)
{
    (void)state;
    kernel.type = XFS_SUPER_MAGIC;
    kernel.mount = 2;
    assert_false(is_ordered());
    kernel.mount = 22;
    assert_false(is_ordered());
}

static void
xfs_of_a_mount_that_is_not_told_does_not(void **state)
{
    (void)state;
    kernel.type = XFS_SUPER_MAGIC;
    kernel.mount = 210;
    assert_false(is_ordered());
    kernel.mount = 211;
    kernel.mounts = NULL;
    assert_false(is_ordered());
}

static void
other_file_systems_do_not(void **state)
{
    static const long types[] = {BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, NFS_SUPER_MAGIC,
                                 F2FS_SUPER_MAGIC,  TMPFS_MAGIC,           FUSE_SUPER_MAGIC};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        (void)start(NULL);
        kernel.type = types[i];
        assert_false(is_ordered());
    }
}

static void
kernel_that_does_not_tell_the_mount_is_not_believed(void **state)
{
    (void)state;
    kernel.mask = STATX_BASIC_STATS;
    assert_false(is_ordered());
    assert_true(journal_of(-1, NULL) == 0);
}

static void
answer_is_remembered_for_ten_seconds(void **state)
{
    (void)state;
    assert_true(is_ordered());
    kernel.has_journal = false;
    kernel.now_us += 9 * G_USEC_PER_SEC;
    assert_true(is_ordered());
    assert_int_equal(kernel.asked, 1);
    kernel.now_us += 2 * G_USEC_PER_SEC;
    assert_false(is_ordered());
}

static void
mounts_that_share_a_place_in_memory_are_told_apart(void **state)
{
    guint64 first = kernel.mount;

    (void)state;
    assert_true(is_ordered());
    kernel.mount = first + 8000;
    kernel.type = BTRFS_SUPER_MAGIC;
    assert_false(is_ordered());
    kernel.mount = first;
    kernel.type = EXT4_SUPER_MAGIC;
    assert_true(is_ordered());
}

#define TEST(function) cmocka_unit_test_setup(function, start)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ext4_with_its_own_journal_keeps_order),
        TEST(ext4_without_journal_or_with_one_elsewhere_does_not),
        TEST(ext4_in_another_mode_does_not),
        TEST(xfs_on_one_device_keeps_order),
        TEST(xfs_with_another_device_for_log_or_data_does_not),
        TEST(xfs_of_a_mount_that_is_not_told_does_not),
        TEST(other_file_systems_do_not),
        TEST(kernel_that_does_not_tell_the_mount_is_not_believed),
        TEST(answer_is_remembered_for_ten_seconds),
        TEST(mounts_that_share_a_place_in_memory_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
