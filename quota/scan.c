/* quota/scan.c - counts what is in a Maildir++; see scan.h
 *
 * The size of a message is the number behind ",S=" in its name, so that a count of 100,000
 * messages reads directories only; else stat(2). A message that a reader moves from new/ to
 * cur/ while we look would be seen twice or never: new/ is read first, and what was seen there is
 * left out of cur/. Whatever else can move shows in the times of the directories. These are as
 * coarse as the clock that the file system takes them from, so a directory that carries the very
 * time at which we began may have changed once more since: it counts as changed.
 */
#include "quota/scan.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#include "quota/rules.h"

typedef struct {
    const QuotaScanRequest *request;
    QuotaScan *out;
    bool is_counted; /* the folder at hand */
    bool is_trash;
    bool is_new;      /* new/, not cur/ */
    GArray *seen_new; /* of guint64, hashes of the names in new/ of this folder */
} Scan;

typedef struct {
    char *path;        /* relative to the Maildir */
    gint64 changed_ns; /* 0: there is none */
} Seen;

static void
seen_clear(void *seen)
{
    g_free(((Seen *)seen)->path);
}

void
quota_scan_clear(QuotaScan *scan)
{
    g_clear_pointer(&scan->directories, g_array_unref);
}

bool
quota_size_of_name(const char *name, guint64 *size_out)
{
    const char *info = strchrnul(name, ':');
    const char *at = strstr(name, ",S=");
    gint64 size = 0;

    if (at == NULL || at > info || !g_ascii_isdigit(at[3]))
        return false;
    for (at += 3; g_ascii_isdigit(*at); at++) {
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, *at - '0', &size))
            return false;
    }
    if (*at != '\0' && *at != ',' && *at != ':')
        return false;
    *size_out = (guint64)size;
    return true;
}

guint64
quota_name_hash(const char *name)
{
    guint64 hash = G_GUINT64_CONSTANT(14695981039346656037); /* FNV-1a */

    for (; *name != '\0' && *name != ':'; name++)
        hash = (hash ^ (uint8_t)*name) * G_GUINT64_CONSTANT(1099511628211);
    return hash == 0 ? 1 : hash;
}

static int
compare_hashes(const void *a, const void *b)
{
    guint64 first = *(const guint64 *)a;
    guint64 second = *(const guint64 *)b;

    return (first > second) - (first < second);
}

/* Reserved for a delivery that enters it itself, or counted in new/ already. */
static bool
is_left_out(const Scan *scan, guint64 hash)
{
    for (size_t i = 0; i < scan->request->except_count; i++) {
        if (scan->request->except[i] == hash)
            return true;
    }
    return !scan->is_new && g_array_binary_search(scan->seen_new, &hash, compare_hashes, NULL);
}

static bool
find_size(int fd, const struct dirent *entry, guint64 *size_out, bool *is_file_out, GError **error)
{
    struct stat status;

    *is_file_out = entry->d_type != DT_DIR && entry->d_name[0] != '.';
    if (!*is_file_out || quota_size_of_name(entry->d_name, size_out))
        return true;
    if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        *is_file_out = false; /* gone */
        return errno == ENOENT || lodge_set_errno(error, "stat '%s'", entry->d_name);
    }
    *is_file_out = S_ISREG(status.st_mode);
    *size_out = (guint64)status.st_size;
    return true;
}

static void
add(QuotaUsage *usage, guint64 size)
{
    usage->octets = quota_add(usage->octets, size); /* sizes in names are anybody's to write */
    usage->messages++;
}

static bool
count_file(Scan *scan, int fd, const struct dirent *entry, GError **error)
{
    const char *info = strchrnul(entry->d_name, ':');
    bool is_deleted = g_str_has_prefix(info, ":2,") && strchr(info, 'T') != NULL;
    guint64 hash = quota_name_hash(entry->d_name);
    guint64 size = 0;
    bool is_file;

    if (is_left_out(scan, hash))
        return true;
    if (!find_size(fd, entry, &size, &is_file, error))
        return false;
    if (!is_file)
        return true;
    if (scan->is_counted && !(is_deleted && scan->request->settings->ignore_deleted))
        add(&scan->out->counted, size);
    if (scan->is_trash)
        add(&scan->out->trash, size);
    else if (is_deleted)
        add(&scan->out->deleted, size);
    if (scan->is_new)
        g_array_append_val(scan->seen_new, hash);
    return true;
}

/* *dir_out is NULL when there is no such directory. */
static bool
open_directory(int parent_fd, const char *name, DIR **dir_out, GError **error)
{
    lodge_autofd fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    *dir_out = fd >= 0 ? fdopendir(fd) : NULL;
    if (*dir_out != NULL)
        (void)lodge_steal_fd(&fd); /* its own now */
    return *dir_out != NULL || errno == ENOENT ||
           lodge_set_errno(error, "open directory '%s'", name);
}

/* *entry_out is the next entry but "." and "..", or NULL at the end. */
static bool
next_entry(DIR *dir, const struct dirent **entry_out, GError **error)
{
    do {
        errno = 0;
        *entry_out = readdir(dir);
    } while (*entry_out != NULL &&
             (strcmp((*entry_out)->d_name, ".") == 0 || strcmp((*entry_out)->d_name, "..") == 0));
    return *entry_out != NULL || errno == 0 || lodge_set_errno(error, "read a directory");
}

static gint64
time_ns(const struct timespec *time)
{
    return (gint64)time->tv_sec * 1000000000 + time->tv_nsec;
}

static bool
count_files(Scan *scan, DIR *dir, gint64 *changed_ns_out, GError **error)
{
    const struct dirent *entry;
    struct stat status;

    if (fstat(dirfd(dir), &status) != 0)
        return lodge_set_errno(error, "stat a directory");
    *changed_ns_out = time_ns(&status.st_mtim);
    for (;;) {
        if (!next_entry(dir, &entry, error))
            return false;
        if (entry == NULL)
            return true;
        if (!count_file(scan, dirfd(dir), entry, error))
            return false;
    }
}

/* new/ or cur/ of the folder at folder_fd. */
static bool
scan_directory(Scan *scan, int folder_fd, const char *folder, const char *name, GError **error)
{
    Seen seen = {.path = g_build_filename(*folder == '\0' ? "." : folder, name, NULL)};
    DIR *dir;
    bool done = open_directory(folder_fd, name, &dir, error);

    if (dir != NULL) {
        done = count_files(scan, dir, &seen.changed_ns, error);
        (void)closedir(dir); /* only read */
    }
    g_array_append_val(scan->out->directories, seen);
    return done;
}

/* The folder with that directory name at folder_fd. */
static bool
scan_folder(Scan *scan, int folder_fd, const char *directory, GError **error)
{
    g_array_set_size(scan->seen_new, 0);
    scan->is_new = true;
    if (!scan_directory(scan, folder_fd, directory, "new", error))
        return false;
    g_array_sort(scan->seen_new, compare_hashes);
    scan->is_new = false;
    return scan_directory(scan, folder_fd, directory, "cur", error);
}

/* A directory of the Maildir whose name begins with a dot. A link leads to a mailbox that
 * counts somewhere else, or out of the mail root. */
static bool
visit_folder(Scan *scan, int dir_fd, const char *directory, GError **error)
{
    scan->is_trash = strcmp(directory, ".Trash") == 0;
    scan->is_counted = quota_folder_counts(scan->request->settings, directory);
    if (!scan->is_counted && !scan->request->is_everything)
        return true;

    lodge_autofd fd = openat(dir_fd, directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
               lodge_set_errno(error, "open folder '%s'", directory);
    return scan_folder(scan, fd, directory, error);
}

/* Each folder of the Maildir, with scan; or, without, only their names. *folders_out stands for the
 * set of names. */
static bool
for_each_folder(Scan *scan, int dir_fd, guint64 *folders_out, GError **error)
{
    const struct dirent *entry = NULL;
    DIR *root;
    bool done = open_directory(dir_fd, ".", &root, error);

    *folders_out = 0;
    while (done && root != NULL) {
        done = next_entry(root, &entry, error);
        if (!done || entry == NULL)
            break;
        if (entry->d_name[0] != '.')
            continue;
        *folders_out += quota_name_hash(entry->d_name);
        done = scan == NULL || visit_folder(scan, dir_fd, entry->d_name, error);
    }
    if (root != NULL)
        (void)closedir(root); /* only read */
    return done;
}

/* What time the file system would give to a change now. A server's clock is not ours. */
static gint64
file_system_now_ns(int clock_fd)
{
    struct stat status;
    struct timespec now;

    if (clock_fd >= 0 && futimens(clock_fd, NULL) == 0 && fstat(clock_fd, &status) == 0)
        return time_ns(&status.st_mtim);
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return time_ns(&now);
}

bool
quota_scan(int dir_fd, const QuotaScanRequest *request, QuotaScan *scan_out, GError **error)
{
    g_autoptr(GArray) seen_new = g_array_new(FALSE, FALSE, sizeof(guint64));
    Scan scan = {.request = request, .out = scan_out, .seen_new = seen_new};

    *scan_out = (QuotaScan){.directories = g_array_new(FALSE, FALSE, sizeof(Seen)),
                            .clock_fd = request->clock_fd,
                            .started_ns = file_system_now_ns(request->clock_fd)};
    g_array_set_clear_func(scan_out->directories, seen_clear);
    scan.is_counted = quota_folder_counts(request->settings, "");
    if ((!scan.is_counted || scan_folder(&scan, dir_fd, "", error)) &&
        for_each_folder(&scan, dir_fd, &scan_out->folders, error))
        return true;
    quota_scan_clear(scan_out);
    return false;
}

/* Whether a change since the scan began could have left that time. One in the future could not. */
static bool
may_be_hidden(const QuotaScan *scan, gint64 changed_ns)
{
    return changed_ns >= scan->started_ns && changed_ns <= file_system_now_ns(scan->clock_fd);
}

bool
quota_scan_is_stable(const QuotaScan *scan, int dir_fd)
{
    guint64 folders;

    for (guint i = 0; i < scan->directories->len; i++) {
        const Seen *seen = &g_array_index(scan->directories, Seen, i);
        struct stat status = {0};

        (void)fstatat(dir_fd, seen->path, &status, AT_SYMLINK_NOFOLLOW); /* not there: time 0 */
        if (time_ns(&status.st_mtim) != seen->changed_ns || may_be_hidden(scan, seen->changed_ns))
            return false;
    }
    return for_each_folder(NULL, dir_fd, &folders, NULL) && folders == scan->folders;
}

bool
quota_scan_folder(int dir_fd, const char *directory, const QuotaScanRequest *request,
                  QuotaUsage *usage_out, GError **error)
{
    g_autoptr(GArray) seen_new = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_auto(QuotaScan) out = {.directories = g_array_new(FALSE, FALSE, sizeof(Seen))};
    Scan scan = {.request = request, .out = &out, .seen_new = seen_new, .is_counted = true};

    g_array_set_clear_func(out.directories, seen_clear);
    if (*directory == '\0' ? !scan_folder(&scan, dir_fd, "", error)
                           : !visit_folder(&scan, dir_fd, directory, error))
        return false;
    *usage_out = out.counted;
    return true;
}
