/* tests/faults/drive.c - a drive that says what is in its cache, for crash_drive.py
 *
 *   drive MOUNTPOINT MEBIBYTES LOG
 *
 *   file system --> loop device --> MOUNTPOINT/image (FUSE, here) --> memory, and LOG
 *
 * The log has an entry for each write, and for each flush of the cache with how long the log was
 * when that began: what is before is on the platter, what is behind may be lost. An entry
 * is there before the drive answers, so whatever happened by then ends at the length of the log.
 * Reads see everything, as those of a drive do. Writes and flushes take a while, and
 * flushes longer: else nothing would ever be under way together.
 *
 * libfuse 3; crash_drive.py compiles it.
 */
#define FUSE_USE_VERSION 314
#include <fuse3/fuse.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE_US = 100, FLUSH_US = 500 };

/* crash_drive.py reads them: "=QQQ". */
typedef struct {
    uint64_t is_flush;
    uint64_t offset; /* of a flush: how long the log was when it began */
    uint64_t length; /* octets that follow */
} Entry;

typedef struct {
    uint8_t *memory;
    size_t size;
    int log;
    uint64_t logged; /* octets */
    pthread_mutex_t lock;
} Drive;

static Drive *
the_drive(void)
{
    return fuse_get_context()->private_data;
}

/* Half the time to one and a half. */
static void
take_a_while(unsigned microseconds)
{
    static _Thread_local unsigned seed;

    if (seed == 0)
        seed = (unsigned)(uintptr_t)&seed;
    (void)usleep(microseconds / 2 + (unsigned)rand_r(&seed) % microseconds);
}

/* The caller holds the lock. A log with holes proves nothing: it ends the drive. */
static void
add_entry(Drive *drive, Entry entry, const char *bytes)
{
    struct iovec parts[] = {{&entry, sizeof entry}, {(char *)bytes, entry.length}};
    ssize_t length = (ssize_t)(sizeof entry + entry.length);

    if (writev(drive->log, parts, 2) != length)
        abort();
    drive->logged += (uint64_t)length;
}

static bool
is_image(const char *path)
{
    return strcmp(path, "/image") == 0;
}

static int
drive_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    (void)file;
    *status = (struct stat){.st_mode = S_IFDIR | 0700, .st_nlink = 2};
    if (is_image(path))
        *status = (struct stat){
            .st_mode = S_IFREG | 0600, .st_nlink = 1, .st_size = (off_t)the_drive()->size};
    return is_image(path) || strcmp(path, "/") == 0 ? 0 : -ENOENT;
}

static int
drive_open(const char *path, struct fuse_file_info *file)
{
    file->direct_io = 1;
    return is_image(path) ? 0 : -ENOENT;
}

static int
drive_read(const char *path, char *bytes, size_t length, off_t offset, struct fuse_file_info *file)
{
    const Drive *drive = the_drive();

    (void)path, (void)file;
    if ((size_t)offset >= drive->size)
        return 0;
    if (length > drive->size - (size_t)offset)
        length = drive->size - (size_t)offset;
    memcpy(bytes, drive->memory + offset, length);
    return (int)length;
}

static int
drive_write(const char *path, const char *bytes, size_t length, off_t offset,
            struct fuse_file_info *file)
{
    Drive *drive = the_drive();

    (void)path, (void)file;
    if ((size_t)offset > drive->size || length > drive->size - (size_t)offset)
        return -ENOSPC;
    take_a_while(WRITE_US);
    (void)pthread_mutex_lock(&drive->lock);
    memcpy(drive->memory + offset, bytes, length);
    add_entry(drive, (Entry){.offset = (uint64_t)offset, .length = length}, bytes);
    (void)pthread_mutex_unlock(&drive->lock);
    return (int)length;
}

static int
drive_fsync(const char *path, int only_data, struct fuse_file_info *file)
{
    Drive *drive = the_drive();

    (void)path, (void)only_data, (void)file;
    (void)pthread_mutex_lock(&drive->lock);
    Entry flush = {.is_flush = 1, .offset = drive->logged};
    (void)pthread_mutex_unlock(&drive->lock);
    take_a_while(FLUSH_US);
    (void)pthread_mutex_lock(&drive->lock);
    add_entry(drive, flush, "");
    (void)pthread_mutex_unlock(&drive->lock);
    return 0;
}

int
main(int argc, char **argv)
{
    static const struct fuse_operations operations = {.getattr = drive_getattr,
                                                      .open = drive_open,
                                                      .read = drive_read,
                                                      .write = drive_write,
                                                      .fsync = drive_fsync};

    if (argc != 4) {
        (void)fputs("usage: drive MOUNTPOINT MEBIBYTES LOG\n", stderr);
        return 2;
    }

    char *words[] = {argv[0], "-f", argv[1], "-o", "max_threads=32,max_idle_threads=32"};
    Drive drive = {.size = (size_t)strtoul(argv[2], NULL, 10) << 20,
                   .log = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                   .lock = PTHREAD_MUTEX_INITIALIZER};

    drive.memory = mmap(NULL, drive.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (drive.memory == MAP_FAILED || drive.log < 0) {
        perror("drive");
        return 1;
    }
    return fuse_main(5, words, &operations, &drive);
}
