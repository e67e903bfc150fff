/* lda/commit.c - the durability barrier; see commit.h
 *
 * One fsync(2) an item, in order. Of several files all are first told to start
 * writing, so that the disk works on them together and the journal's first commit
 * serves them all: measured on ext4, fifty 4 KiB files take half the time. fsync
 * and not fdatasync: a new file's size and a directory's entries are what must
 * survive. EINTR cannot lose the sync: it is simply asked for again. Any other
 * failure is final, since Linux drops the dirty pages that could not be written; a
 * second fsync would lie.
 */
#include "lda/commit.h"

#include <sys/stat.h>

/* The item before index that names the same file, or index. */
static size_t
first_of(const struct stat *stats, const CommitItem *items, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (items[i].fd >= 0 && stats[i].st_ino == stats[index].st_ino &&
            stats[i].st_dev == stats[index].st_dev)
            return i;
    }
    return index;
}

static int
sync_one(int fd)
{
    while (fsync(fd) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* Only a hint: whether it worked, fsync tells. */
static void
start_writing(const CommitItem *item, const struct stat *info)
{
    if (S_ISREG(info->st_mode))
        (void)sync_file_range(item->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void
commit_sync(CommitItem *items, size_t count)
{
    g_autofree struct stat *stats = g_new0(struct stat, count);

    for (size_t i = 0; i < count && count > 1; i++) {
        if (items[i].fd >= 0 && fstat(items[i].fd, &stats[i]) == 0)
            start_writing(&items[i], &stats[i]);
    }
    for (size_t i = 0; i < count; i++) {
        size_t first = i;

        items[i].error = 0;
        if (items[i].fd < 0)
            continue;
        if (stats[i].st_ino != 0)
            first = first_of(stats, items, i);
        items[i].error = first < i ? items[first].error : sync_one(items[i].fd);
    }
}
