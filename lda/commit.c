/* lda/commit.c - the durability barrier; see commit.h
 *
 *   one item:    fsync(2), here and now
 *   several:     all files are told to start writing; then the kernel is asked for all
 *                fsyncs but the last at once (ring.h), and the last is done here
 *   directories: the kernel is asked already while names in others are being changed
 *   no io_uring: the list is walked by this thread and a few helpers
 *
 * The cost of fsync is waiting: for the data to be written and the drive's cache to
 * be flushed. Flushes asked for at the same time are merged by the kernel, so fifty
 * copies synced by eight threads take a fifth to a tenth of the time that they take
 * one after the other (measured on ext4), and the drive does less. With io_uring the
 * threads are the kernel's and need not be started for each message: 1.4 to 2 times
 * as many deliveries to fifty mailboxes as with threads of our own (doc/performance.md).
 * Containers often forbid io_uring, and old kernels lack it; there our threads live for
 * one call and do nothing but fsync, so that a worker is a process of one thread
 * whenever anything else happens.
 *
 * Where the file system has a journal that keeps names in order and behind their data (journal.h:
 * ext4 as it is made by default, XFS), the contents are only written and waited for,
 * without a flush of the drive's cache and without a commit of the journal, and one fsync of the
 * directory that was changed last commits all names, and the contents with them: 1.1 to 1.8 times
 * the deliveries of lodged, most with few connections or many recipients.
 *
 * More than that deliveries of different connections do not share. They could share
 * syncfs(2), one for all who arrived before it began. It was built and measured
 * (doc/performance.md) and left, for each file system:
 *   ext4, journal    slower: an fsync commits everybody's transaction already, while
 *                    a syncfs writes and waits in several steps, one after another
 *   ext4, no journal slower, and not durable: its syncfs empties the drive's cache
 *                    before the block device's dirty buffers (inodes, directories)
 *                    are written; only one more fsync after it would be a barrier
 *   XFS              durable (the log is forced, with a flush), but no faster than the above
 *   btrfs            durable (commits the tree) and faster, since its fsync is slow
 *   tmpfs            nothing is durable, nothing is to be gained
 * And everywhere it would make mail wait for what other programs have written.
 *
 * The order of fsync, rename, fsync of the directory asks for nothing beyond POSIX; the other
 * asks for what journal.h says. tests/faults/crash_model.py shows for both that none of their syncs
 * can go.
 *
 * O_TMPFILE and link(2) would be faster than the former, but then the link count must be durable
 * with the name, and what does that (asked of Linux 6.18, doc/performance.md) is on
 *   ext4, journal       an fsync of the directory or the file: link(2) is one transaction
 *   with fast_commit    only of the directory: after one of the file a crash leaves a
 *                       file system that is not mounted until e2fsck has been there
 *   ext4, no journal    only of the file: one of the directory leaves its inode unwritten
 *   XFS, btrfs          either
 * No order is right on all three kinds of ext4, and the gain is small.
 *
 * Copies that share a file (maildir_stage()) are linked in tmp/ before the file is made durable,
 * and renamed afterwards: the link count that goes to the disk with the file is that of all its
 * names, also on ext4 without a journal, and elsewhere link(2) is one transaction.
 *
 * fsync and not fdatasync: a new file's size and a directory's entries are what must
 * survive. EINTR cannot lose the sync: it is simply asked for again. Any other
 * failure is final, since Linux drops the dirty pages that could not be written; a
 * second fsync would lie.
 */
#include "lda/commit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "lda/journal.h"
#include "lda/ring.h"

enum {
    HELPERS_MAX = 7,
    ITEMS_A_HELPER = 4,       /* fewer would be done before a helper has started */
    HELPER_STACK = 64 * 1024, /* it calls fsync; glibc's default reserves 8 MiB */
};

struct Commit {
    Ring *ring;                      /* NULL until it is needed */
    bool is_refused;                 /* there is none to be had */
    CommitItem *under_way[RING_MAX]; /* asked of the ring */
    size_t under_way_count;
};

typedef struct {
    CommitItem **items; /* distinct files */
    guint count;
    guint next; /* first that nobody has taken; atomic */
} Work;

Commit *
commit_new(void)
{
    return g_new0(Commit, 1);
}

void
commit_free(Commit *commit)
{
    if (commit == NULL)
        return;
    ring_free(commit->ring);
    g_free(commit);
}

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

/* Only a hint: whether it worked, is told by who waits. */
static void
start_writing(int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
write_and_wait(int fd)
{
    const unsigned flags =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    return sync_file_range(fd, 0, 0, flags) == 0 ? 0 : errno;
}

static void *
take_and_sync(void *data)
{
    Work *work = data;

    for (;;) {
        guint taken = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED);

        if (taken >= work->count)
            return NULL;
        work->items[taken]->error = sync_one(work->items[taken]->fd);
    }
}

/* Starts helpers, as many as are worth it and can be had; returns how many. They
 * inherit a mask without signals: those are for the thread that waits for them. */
static guint
start_helpers(Work *work, pthread_t *helpers)
{
    guint wanted = MIN(work->count / ITEMS_A_HELPER, (guint)HELPERS_MAX);
    guint started = 0;
    pthread_attr_t attributes;
    sigset_t all, before;

    if (wanted == 0 || pthread_attr_init(&attributes) != 0)
        return 0;
    (void)pthread_attr_setstacksize(&attributes, HELPER_STACK); /* else the default will do */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < wanted &&
           pthread_create(&helpers[started], &attributes, take_and_sync, work) == 0)
        started++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

static void
sync_by_threads(Work *work)
{
    pthread_t helpers[HELPERS_MAX];
    guint started = start_helpers(work, helpers);

    take_and_sync(work); /* with no helper at all it does everything */
    for (guint i = 0; i < started; i++) {
        int failure = pthread_join(helpers[i], NULL);

        g_assert(failure == 0); /* an item it had taken would be without a result */
    }
}

/* True when the kernel did not even begin, so that an fsync of our own tells the truth. */
static bool
is_unsynced(int error)
{
    return error == ECANCELED || error == EAGAIN || error == EINTR;
}

/* Asks the ring for as many as it takes; returns how many. */
static size_t
ask_ring(Commit *commit, CommitItem **items, size_t count)
{
    CommitItem **under_way = commit->under_way + commit->under_way_count;
    int fds[RING_MAX];
    size_t wanted = MIN(count, RING_MAX - commit->under_way_count);

    for (size_t i = 0; i < wanted; i++)
        fds[i] = items[i]->fd;

    size_t started = ring_start(commit->ring, fds, wanted, commit->under_way_count);

    for (size_t i = 0; i < started; i++)
        under_way[i] = items[i];
    commit->under_way_count += started;
    return started;
}

static void
wait_for_ring(Commit *commit)
{
    int errors[RING_MAX];
    size_t count = commit->under_way_count;

    if (count == 0)
        return;
    ring_wait(commit->ring, errors, count);
    for (size_t i = 0; i < count; i++) {
        CommitItem *item = commit->under_way[i];

        item->error = is_unsynced(errors[i]) ? sync_one(item->fd) : errors[i];
    }
    commit->under_way_count = 0;
}

/* Has the kernel sync as many as it takes, but for the last, which is done here meanwhile. */
static void
sync_by_ring(Commit *commit, Work *work)
{
    work->next = (guint)ask_ring(commit, work->items, work->count - 1);
    if (work->next > 0)
        take_and_sync(work);
    wait_for_ring(commit);
}

static bool
has_ring(Commit *commit)
{
    if (commit == NULL || commit->is_refused)
        return false;
    if (commit->ring == NULL)
        commit->ring = ring_new();
    commit->is_refused = commit->ring == NULL;
    return !commit->is_refused;
}

static void
sync_all(Commit *commit, Work *work)
{
    if (work->count > 1 && has_ring(commit))
        sync_by_ring(commit, work);
    if (work->next < work->count)
        sync_by_threads(work);
}

/* Of each item the first that is the same file. */
static void
find_firsts(const CommitItem *items, size_t count, size_t *first)
{
    g_autofree struct stat *stats = g_new0(struct stat, count);

    for (size_t i = 0; i < count; i++) {
        bool is_known = items[i].fd >= 0 && count > 1 && fstat(items[i].fd, &stats[i]) == 0;

        first[i] = is_known ? first_of(stats, items, i) : i;
    }
}

/* Items of which no two are the same file. */
static void
sync_items(Commit *commit, CommitItem *items, size_t count)
{
    if (count == 1 && items[0].fd >= 0) { /* nearly every message */
        items[0].error = sync_one(items[0].fd);
        return;
    }

    g_autofree CommitItem **distinct = g_new0(CommitItem *, count);
    Work work = {.items = distinct};

    for (size_t i = 0; i < count; i++) {
        items[i].error = 0;
        if (items[i].fd >= 0)
            distinct[work.count++] = &items[i];
    }
    sync_all(commit, &work);
}

void
commit_contents(Commit *commit, CommitItem *items, size_t count)
{
    g_autofree CommitItem *others = g_new0(CommitItem, count);
    g_autofree size_t *first = g_new0(size_t, count);

    find_firsts(items, count, first);
    for (size_t i = 0; i < count; i++) {
        bool is_new = items[i].fd >= 0 && first[i] == i;
        bool is_ordered = is_new && journal_of(items[i].fd, items[i].info) != 0;

        others[i].fd = is_new && !is_ordered ? items[i].fd : -1;
        if (is_new && count > 1)
            start_writing(items[i].fd);
    }
    sync_items(commit, others, count);
    /* Who waits for a file a second time is not told again that it failed. */
    for (size_t i = 0; i < count; i++) {
        bool is_ordered = first[i] == i && others[i].fd != items[i].fd;

        items[i].error = is_ordered      ? write_and_wait(items[i].fd)
                         : first[i] == i ? others[i].error
                                         : items[first[i]].error;
    }
}

/* The last item of the same journal, or index. */
static size_t
last_of(const dev_t *journals, size_t count, size_t index)
{
    for (size_t i = count; journals[index] != 0 && i-- > index + 1;) {
        if (journals[i] == journals[index])
            return i;
    }
    return index;
}

/* Those of which none is under way. */
static void
sync_names(Commit *commit, CommitItem *items, size_t count, bool is_single)
{
    g_autofree CommitItem *needed = g_new0(CommitItem, count);
    g_autofree dev_t *journals = g_new0(dev_t, count);
    g_autofree size_t *first = g_new0(size_t, count);

    find_firsts(items, count, first);
    for (size_t i = 0; !is_single && i < count; i++)
        journals[i] = items[i].fd >= 0 ? journal_of(items[i].fd, items[i].info) : 0;
    for (size_t i = 0; i < count; i++) {
        /* The last change of a journal, and of other directories the first descriptor. */
        size_t last = last_of(journals, count, i);

        needed[i].fd = last == i && (journals[i] != 0 || first[i] == i) ? items[i].fd : -1;
    }
    sync_items(commit, needed, count);
    for (size_t i = 0; i < count; i++) {
        size_t from = journals[i] != 0 ? last_of(journals, count, i) : first[i];

        items[i].error = needed[from].error;
    }
}

void
commit_names(Commit *commit, CommitItem *items, size_t count)
{
    size_t begun = commit != NULL ? commit->under_way_count : 0;

    sync_names(commit, items + begun, count - begun, count == 1);
    if (begun > 0)
        wait_for_ring(commit);
}

/* Where one fsync of what is changed last is for all, none may be early. */
void
commit_names_begin(Commit *commit, CommitItem *items, size_t count)
{
    size_t begun = commit->under_way_count;
    CommitItem *ready[RING_MAX] = {NULL};
    size_t ready_count = 0;

    if (begun >= count || journal_of(items[begun].fd, items[begun].info) != 0 || !has_ring(commit))
        return;
    for (size_t i = begun; i < MIN(count, (size_t)RING_MAX) && items[i].fd >= 0; i++)
        ready[ready_count++] = &items[i];
    (void)ask_ring(commit, ready, ready_count); /* the rest is commit_names()'s */
}
