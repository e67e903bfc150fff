/* lda/journal.c - whether a file system makes a name durable only after what it names; see
 * journal.h */
#include "lda/journal.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum {
    ANSWERS = 8, /* mounts remembered */
    ANSWER_TTL_US = 10 * G_USEC_PER_SEC,
};

typedef struct {
    guint64 mount;
    dev_t device;
    gint64 until_us;
    bool is_ordered;
} Answer;

/* ext4 has a directory in /proc for a journal that is a file of its own, always inode 8. The
 * options name the mode only when there is a journal; data=ordered excludes journal_async_commit.
 */
static bool
ext4_is_ordered(dev_t device)
{
    g_autofree char *link = g_strdup_printf("/sys/dev/block/%u:%u", major(device), minor(device));
    g_autofree char *target = g_file_read_link(link, NULL);

    if (target == NULL)
        return false;

    g_autofree char *name = g_path_get_basename(target);
    g_autofree char *journal = g_strdup_printf("/proc/fs/jbd2/%s-8", name);
    g_autofree char *path = g_strdup_printf("/proc/fs/ext4/%s/options", name);
    g_autofree char *options = NULL;

    return access(journal, F_OK) == 0 && g_file_get_contents(path, &options, NULL, NULL) &&
           strstr(options, "\ndata=ordered\n") != NULL;
}

/* All on one device: then the options of the mount name no other. */
static bool
xfs_is_ordered(guint64 mount)
{
    g_autofree char *start = g_strdup_printf("%" G_GUINT64_FORMAT " ", mount);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
        return false;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (g_str_has_prefix(*line, start))
            return strstr(*line, "logdev=") == NULL && strstr(*line, "rtdev=") == NULL;
    }
    return false;
}

static bool
ask(int fd, const Answer *about)
{
    struct statfs info;

    if (fstatfs(fd, &info) != 0)
        return false;
    switch (info.f_type) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3 as well: they have no such option, or the same promise
                            */
        return ext4_is_ordered(about->device);
    case XFS_SUPER_MAGIC:
        return xfs_is_ordered(about->mount);
    default:
        return false;
    }
}

static dev_t
journal_of_mount(int fd, const struct statx *info)
{
    static Answer answers[ANSWERS];
    gint64 now_us = g_get_monotonic_time();
    dev_t device = makedev(info->stx_dev_major, info->stx_dev_minor);
    Answer *answer = &answers[info->stx_mnt_id % ANSWERS];

    if (answer->mount != info->stx_mnt_id || answer->device != device ||
        answer->until_us <= now_us) {
        *answer = (Answer){
            .mount = info->stx_mnt_id, .device = device, .until_us = now_us + ANSWER_TTL_US};
        answer->is_ordered = ask(fd, answer);
    }
    return answer->is_ordered ? device : 0;
}

dev_t
journal_of(int fd, const struct statx *info)
{
    struct statx asked;

    if (info == NULL && statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &asked) != 0)
        return 0;
    if (info == NULL)
        info = &asked;
    return (info->stx_mask & STATX_MNT_ID) != 0 ? journal_of_mount(fd, info) : 0;
}
