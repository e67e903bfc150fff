/* tests/lmtp/test_faults.c - one transaction, and every system call of it failing once
 *
 * A session delivers a message that does not fit into memory to three folders,
 * none of which exists yet, in a child process whose calls into the file system
 * pass through here; so do the questions to the kernel that are asked with io_uring. The copies
 * are files of their own, or links to one file. The first run counts them; then each is made to
 * fail in turn, or to write only half, or to be the last thing the process does. Whatever happens:
 * who was told "stored" has the message, whole and once, who was told anything else has nothing,
 * nobody is refused for good, and the next delivery works. Besides, the calls themselves are
 * watched: no file is published and no reply given before what it rests on was synced.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "lda/journal.h"
#include "lda/ring.h"
#include "lmtp/session.h"
#include "schema/mapedit.h"
#include "tests/scratch.h"
#include "tests/syscall_arguments.h"

/* ---- calls into the file system ------------------------------------------- */

enum { CALLS_MAX = 1000 };

typedef enum { FAULT_NONE, FAULT_ERROR, FAULT_SHORT, FAULT_KILL } FaultKind;

/* Shared with the parent, who reads it when the child is gone. */
typedef struct {
    unsigned calls;
    char names[CALLS_MAX][12];
    char failed[12];     /* the call that was made to fail */
    char violation[128]; /* an order of calls that a power failure would punish */
} Watch;

static Watch *watch;
static bool watching; /* in the child, during the session */
static FaultKind fault_kind;
static unsigned fault_at;
static int fault_errno;

/* The C library's syscall(); ours stands in front of it, for openat2(2). */
static long (*real_syscall)(long number, ...);

#define call(...) (find_real_syscall(), real_syscall(__VA_ARGS__))

static void
find_real_syscall(void)
{
    if (real_syscall == NULL)
        *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
}

/* What a power failure would take: the entry of child in the directory parent, or,
 * where child is 0, the bytes of the file parent. */
typedef struct {
    dev_t dev;
    ino_t parent;
    ino_t child;
} Unsynced;

static Unsynced unsynced[256];
static unsigned unsynced_count;

/* What was published so far: by the descriptor of its directory, and its name. */
static struct {
    int dir_fd;
    char name[256];
} published[16];
static unsigned published_count;

/* True when this call is the one to fail with fault_errno. */
static bool
fails(const char *name)
{
    if (!watching)
        return false;
    if (watch->calls < CALLS_MAX)
        (void)g_strlcpy(watch->names[watch->calls], name, sizeof watch->names[0]);
    if (++watch->calls != fault_at || fault_kind == FAULT_NONE)
        return false;
    (void)g_strlcpy(watch->failed, name, sizeof watch->failed);
    if (fault_kind == FAULT_KILL)
        (void)kill(getpid(), SIGKILL);
    errno = fault_errno;
    return fault_kind == FAULT_ERROR;
}

/* The length for a write: half of it when this call is to be short. */
static size_t
shorten(size_t len)
{
    return watching && watch->calls == fault_at && fault_kind == FAULT_SHORT ? (len + 1) / 2 : len;
}

static bool
look_at(int dir_fd, const char *path, struct stat *status)
{
    return call(SYS_newfstatat, dir_fd, path, status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0;
}

static bool
is_unsynced(dev_t dev, ino_t parent, ino_t child)
{
    for (unsigned i = 0; i < unsynced_count; i++) {
        if (unsynced[i].dev == dev && unsynced[i].parent == parent && unsynced[i].child == child)
            return true;
    }
    return false;
}

static void
add_unsynced(dev_t dev, ino_t parent, ino_t child)
{
    if (is_unsynced(dev, parent, child))
        return;
    if (unsynced_count == G_N_ELEMENTS(unsynced))
        abort();
    unsynced[unsynced_count++] = (Unsynced){dev, parent, child};
}

static void
add_entry(int dir_fd, const char *name)
{
    struct stat parent, child;

    if (watching && look_at(dir_fd, "", &parent) && look_at(dir_fd, name, &child))
        add_unsynced(parent.st_dev, parent.st_ino, child.st_ino);
}

static void
add_bytes(int fd)
{
    struct stat status;

    if (watching && look_at(fd, "", &status))
        add_unsynced(status.st_dev, status.st_ino, 0);
}

static void
make_durable(int fd)
{
    struct stat status;
    unsigned kept = 0;

    if (!look_at(fd, "", &status))
        return;
    for (unsigned i = 0; i < unsynced_count; i++) {
        if (unsynced[i].parent != status.st_ino || unsynced[i].dev != status.st_dev)
            unsynced[kept++] = unsynced[i];
    }
    unsynced_count = kept;
}

static void
violate(const char *what, const char *name)
{
    if (watch->violation[0] == '\0')
        (void)snprintf(watch->violation, sizeof watch->violation, "%s: %s", what, name);
}

/* Before a file takes its place its bytes must be on the disk. */
static void
check_bytes(int dir_fd, const char *name)
{
    struct stat status;

    if (watching && look_at(dir_fd, name, &status) && is_unsynced(status.st_dev, status.st_ino, 0))
        violate("published before it was synced", name);
}

static void
add_published(int dir_fd, const char *name)
{
    if (!watching || strstr(name, ",S=") == NULL) /* subscriptions are not promised to anybody */
        return;
    add_entry(dir_fd, name);
    if (published_count == G_N_ELEMENTS(published))
        abort();
    published[published_count].dir_fd = (int)call(SYS_dup, dir_fd);
    (void)g_strlcpy(published[published_count++].name, name, sizeof published[0].name);
}

/* Every directory on the way to what is told to be stored must be durable. */
static void
check_way(int dir_fd, const char *name)
{
    struct stat child, parent;
    int at = (int)call(SYS_dup, dir_fd);

    if (!look_at(at, name, &child)) /* taken back */
        return;
    while (look_at(at, "", &parent) && parent.st_ino != child.st_ino) {
        if (is_unsynced(parent.st_dev, parent.st_ino, child.st_ino))
            violate("answered before a directory on the way was synced", name);
        int up = (int)call(SYS_openat, at, "..", O_PATH | O_DIRECTORY);
        (void)call(SYS_close, at);
        at = up;
        child = parent;
    }
    (void)call(SYS_close, at);
}

long syscall(long number, ...);
int fsync(int fd);
ssize_t write(int fd, const void *bytes, size_t len);
ssize_t writev(int fd, const struct iovec *vector, int count);
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at);
ssize_t send(int fd, const void *bytes, size_t len, int flags);

long
syscall(long number, ...)
{
    long argument[6];
    va_list args;

    va_start(args, number);
    syscall_arguments(number, args, argument);
    va_end(args);
    if (number == SYS_openat2 && fails("openat2"))
        return -1;
    return call(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                argument[5]);
}

/* Whatever the machine has: the kernel syncs for us, and is seen here. */
struct Ring {
    int fds[RING_MAX];
};

Ring *
ring_new(void)
{
    return fails("ring_new") ? NULL : g_new0(Ring, 1);
}

void
ring_free(Ring *ring)
{
    g_free(ring);
}

size_t
ring_start(Ring *ring, const int *fds, size_t count, size_t under_way)
{
    if (fails("ring_start"))
        return 0;
    memcpy(ring->fds + under_way, fds, count * sizeof *fds);
    return shorten(count);
}

void
ring_wait(Ring *ring, int *errors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        errors[i] = fails("ring_fsync") ? fault_errno : 0;
        if (errors[i] == 0)
            make_durable(ring->fds[i]);
    }
}

/* Whatever the machine has: each file and each directory is synced. */
dev_t
journal_of(int fd, const struct statx *info)
{
    (void)info;
    (void)fd;
    return 0;
}

int
fsync(int fd)
{
    if (fails("fsync"))
        return -1;
    make_durable(fd); /* the disk itself is not what is tested */
    return 0;
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
    if (fails("write"))
        return -1;
    return call(SYS_write, fd, bytes, shorten(len));
}

ssize_t
writev(int fd, const struct iovec *vector, int count)
{
    if (fails("writev"))
        return -1;
    add_bytes(fd);
    if (watching && watch->calls == fault_at && fault_kind == FAULT_SHORT)
        return call(SYS_write, fd, vector[0].iov_base, shorten(vector[0].iov_len));
    return call(SYS_writev, fd, vector, count);
}

static ssize_t
write_at(const char *name, int fd, const void *bytes, size_t len, off64_t at)
{
    if (fails(name))
        return -1;
    add_bytes(fd);
    return call(SYS_pwrite64, fd, bytes, shorten(len), at);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return write_at("pwrite", fd, bytes, len, at);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return write_at("pwrite64", fd, bytes, len, at);
}

ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
    bool promises = watching && memmem(bytes, len, " stored in ", 11) != NULL;

    for (unsigned i = 0; promises && i < published_count; i++)
        check_way(published[i].dir_fd, published[i].name);
    return call(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

#define WRAP(type, name, number, parameters, arguments) \
    type name parameters;                               \
    type name parameters                                \
    {                                                   \
        if (fails(#name))                               \
            return -1;                                  \
        return (type)call(number, arguments);           \
    }
#define LIST(...) __VA_ARGS__

WRAP(int, fchmod, SYS_fchmod, (int fd, mode_t mode), LIST(fd, mode))
WRAP(int, fstat, SYS_fstat, (int fd, struct stat *status), LIST(fd, status))
WRAP(int, fstat64, SYS_fstat, (int fd, struct stat64 *status), LIST(fd, status))
WRAP(int, stat, SYS_newfstatat, (const char *path, struct stat *status),
     LIST(AT_FDCWD, path, status, 0))
WRAP(int, stat64, SYS_newfstatat, (const char *path, struct stat64 *status),
     LIST(AT_FDCWD, path, status, 0))
WRAP(ssize_t, read, SYS_read, (int fd, void *bytes, size_t len), LIST(fd, bytes, len))
WRAP(ssize_t, pread, SYS_pread64, (int fd, void *bytes, size_t len, off_t at),
     LIST(fd, bytes, len, at))
WRAP(ssize_t, pread64, SYS_pread64, (int fd, void *bytes, size_t len, off64_t at),
     LIST(fd, bytes, len, at))
WRAP(int, unlinkat, SYS_unlinkat, (int dir_fd, const char *path, int flags),
     LIST(dir_fd, path, flags))

static mode_t
mode_argument(int flags, va_list args)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

static int
open_wrapped(const char *name, int dir_fd, const char *path, int flags, va_list args)
{
    mode_t mode = mode_argument(flags, args);

    if (fails(name))
        return -1;
    return (int)call(SYS_openat, dir_fd, path, flags, mode);
}

#define WRAP_OPEN(name, dir_fd, parameters)                      \
    int name parameters;                                         \
    int name parameters                                          \
    {                                                            \
        va_list args;                                            \
                                                                 \
        va_start(args, flags);                                   \
        int fd = open_wrapped(#name, dir_fd, path, flags, args); \
        va_end(args);                                            \
        return fd;                                               \
    }

WRAP_OPEN(open, AT_FDCWD, (const char *path, int flags, ...))
WRAP_OPEN(open64, AT_FDCWD, (const char *path, int flags, ...))
WRAP_OPEN(openat, at_fd, (int at_fd, const char *path, int flags, ...))

int mkdirat(int dir_fd, const char *path, mode_t mode);
int renameat(int old_fd, const char *old, int new_fd, const char *new);
int renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags);

int
mkdirat(int dir_fd, const char *path, mode_t mode)
{
    if (fails("mkdirat"))
        return -1;
    int made = (int)call(SYS_mkdirat, dir_fd, path, mode);
    if (made == 0)
        add_entry(dir_fd, path);
    return made;
}

static bool
is_in_tmp(int dir_fd, const char *name)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", dir_fd);
    g_autofree char *path = g_file_read_link(link, NULL);

    return g_str_has_prefix(name, "tmp/") || (path != NULL && g_str_has_suffix(path, "/tmp"));
}

int
renameat2(int old_fd, const char *old, int new_fd, const char *new, unsigned flags)
{
    if (fails("renameat2"))
        return -1;
    if (watching && is_in_tmp(new_fd, new)) /* not there yet: a reader does not look into it */
        return (int)call(SYS_renameat2, old_fd, old, new_fd, new, flags);
    check_bytes(old_fd, old);
    int moved = (int)call(SYS_renameat2, old_fd, old, new_fd, new, flags);
    if (moved == 0)
        add_published(new_fd, new);
    return moved;
}

int
renameat(int old_fd, const char *old, int new_fd, const char *new)
{
    return renameat2(old_fd, old, new_fd, new, 0);
}

int
linkat(int old_fd, const char *old, int new_fd, const char *new, int flags)
{
    if (fails("linkat"))
        return -1;
    if (is_in_tmp(new_fd, new)) /* a name for somebody else's copy, published later */
        return (int)call(SYS_linkat, old_fd, old, new_fd, new, flags);
    check_bytes(old_fd, old);
    int linked = (int)call(SYS_linkat, old_fd, old, new_fd, new, flags);
    if (linked == 0)
        add_published(new_fd, new);
    return linked;
}

/* ---- fixture -------------------------------------------------------------- */

#define ANA "ana@example.org"
#define ANA_LISTS "ana+lists@example.org"
#define CY "cy@example.org"

static const char *const recipients[] = {ANA, ANA_LISTS, CY};

typedef struct {
    char *dir;
    LdaConfig *config;
    Log *log;
    char *content; /* of the message, as it should be stored */
    char *input;   /* of the session */
    char *headers; /* how a copy begins */
} Fixture;

static void
make_map(const char *path)
{
    sqlite3 *db = NULL;

    assert_true(mapedit_create(path, NULL));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO domains (domain) VALUES ('example.org');"
                                  "INSERT INTO users (email, password) VALUES"
                                  " ('ana@example.org', 'x'), ('cy@example.org', 'x');",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static void
make_input(Fixture *fixture)
{
    g_autofree char *line = g_strnfill(500, 'x');
    g_autoptr(GString) wire = g_string_new(NULL);

    fixture->content = g_strdup_printf("Subject: x\n\n%1$s\n%1$s\n%1$s\n%1$s\n", line);
    for (const char *p = fixture->content; *p != '\0'; p++)
        g_string_append(wire, *p == '\n' ? "\r\n" : (char[]){*p, '\0'});
    fixture->input = g_strdup_printf("LHLO client.example\r\nMAIL FROM:<bo@example.net>\r\n"
                                     "RCPT TO:<" ANA ">\r\nRCPT TO:<" ANA_LISTS ">\r\n"
                                     "RCPT TO:<" CY ">\r\nDATA\r\n%s.\r\nQUIT\r\n",
                                     wire->str);
}

static Fixture *
set_up(bool shared)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-faults-XXXXXX", NULL);

    g_autofree char *file = g_build_filename(fixture->dir, "lodge.conf", NULL);
    g_autofree char *map = g_build_filename(fixture->dir, "map.db", NULL);
    g_autofree char *root = g_build_filename(fixture->dir, "mail", NULL);
    g_autofree char *text =
        g_strdup_printf("[mail]\nroot = %1$s/mail\nhostname = mx.example.org\nspool_dir = %1$s\n"
                        "spool_memory = 1000\ndetail_folder = create\ndelivered_to = %2$s\n"
                        "[map]\npath = %1$s/map.db\n"
                        "[log]\ntarget = file\npath = %1$s/deliver.log\n",
                        fixture->dir, shared ? "never" : "always");
    g_autoptr(GError) error = NULL;

    assert_int_equal(mkdir(root, 0700), 0);
    assert_true(g_file_set_contents(file, text, -1, NULL));
    make_map(map);
    make_input(fixture);
    fixture->headers = g_strdup_printf("Return-Path: <bo@example.net>\n%s",
                                       shared ? "Received: " : "Delivered-To: ");
    fixture->config = config_load(file, NULL, &error);
    if (fixture->config == NULL)
        fail_msg("%s", error->message);
    fixture->log = log_open(fixture->config, "test");
    return fixture;
}

static void
tear_down(Fixture *fixture)
{
    log_close(fixture->log);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->content);
    g_free(fixture->input);
    g_free(fixture->headers);
    g_free(fixture->dir);
    g_free(fixture);
}

/* ---- one session in a process of its own ---------------------------------- */

G_NORETURN static void
run_child(const Fixture *fixture, int fd)
{
    /* File names, and with them the chance of a sweep of tmp/, are the same each time: calls
     * can then be counted. */
    g_random_set_seed(1);
    Lda *lda = lda_new(fixture->config, fixture->log);
    const LmtpConnection connection = {.fd = fd, .stop_fd = -1, .peer = "unix socket"};

    watching = true;
    lmtp_session_run(lda, fixture->config, &connection);
    watching = false;
    lda_free(lda);
    _exit(0);
}

static char *
read_replies(int fd)
{
    g_autoptr(GString) replies = g_string_new(NULL);
    char bytes[4096];
    ssize_t got;

    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        g_string_append_len(replies, bytes, got);
    return g_string_free(g_steal_pointer(&replies), FALSE);
}

/* Returns the replies; a child that ends in another way than it should is in *watch. */
static char *
run(const Fixture *fixture, FaultKind kind, unsigned at, int error)
{
    int sockets[2];
    int status;

    *watch = (Watch){0};
    fault_kind = kind;
    fault_at = at;
    fault_errno = error;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_int_equal(
        call(SYS_sendto, sockets[0], fixture->input, strlen(fixture->input), 0, NULL, 0),
        strlen(fixture->input));
    (void)shutdown(sockets[0], SHUT_WR);

    pid_t pid = fork();

    if (pid == 0) {
        lodge_close(&sockets[0]);
        run_child(fixture, sockets[1]);
    }
    lodge_close(&sockets[1]);

    char *replies = read_replies(sockets[0]);

    lodge_close(&sockets[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (kind == FAULT_KILL ? !WIFSIGNALED(status) : status != 0)
        violate("ended with another status", watch->failed);
    return replies;
}

/* ---- what must hold ------------------------------------------------------- */

static bool
is_whole(const Fixture *fixture, const char *path)
{
    g_autofree char *content = NULL;
    const char *size = strstr(path, ",S=");
    size_t len = 0;

    return g_file_get_contents(path, &content, &len, NULL) && size != NULL &&
           g_ascii_strtoull(size + 3, NULL, 10) == len &&
           g_str_has_prefix(content, fixture->headers) &&
           g_str_has_suffix(content, fixture->content);
}

/* Messages in a directory of Maildirs; each must be whole where they are shown. */
static unsigned
count_messages(const Fixture *fixture, const char *directory, bool shown)
{
    g_autofree char *path = g_build_filename(fixture->dir, "mail/example.org", directory, NULL);
    g_autoptr(GDir) listing = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    for (const char *name; listing != NULL && (name = g_dir_read_name(listing)) != NULL; count++) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (shown && !is_whole(fixture, file))
            violate("not whole", name);
    }
    return count;
}

/* Replies that say so, for a recipient or for all. */
static unsigned
count_replies(const char *replies, const char *start, const char *address, const char *end)
{
    g_auto(GStrv) lines = g_strsplit(replies, "\r\n", -1);
    unsigned count = 0;

    for (char **line = lines; *line != NULL; line++) {
        if (g_str_has_prefix(*line, start) && strstr(*line, address) != NULL &&
            g_str_has_suffix(*line, end))
            count++;
    }
    return count;
}

static void
check_replies(const char *replies)
{
    for (size_t i = 0; i < G_N_ELEMENTS(recipients); i++) {
        g_autofree char *address = g_strdup_printf("<%s>", recipients[i]);

        if (count_replies(replies, "5", address, "") > 0)
            violate("refused for good", address);
        if (count_replies(replies, "", address, "") != 1)
            violate("not exactly one reply", address);
    }
    if (!g_str_has_suffix(replies, "\r\n221 2.0.0 bye\r\n"))
        violate("no reply to QUIT", "");
}

/* What lies in the Maildirs is what was answered; more only when nobody could be told. */
static void
check_mailboxes(const Fixture *fixture, const char *replies, bool killed)
{
    static const struct {
        const char *directory, *user, *folder;
    } places[] = {
        {"ana/Maildir/new", "<ana", "stored in INBOX"},
        {"ana/Maildir/.lists/new", "<ana", "stored in lists"},
        {"cy/Maildir/new", "<cy", "stored in INBOX"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        unsigned told = count_replies(replies, "250 2.0.0 ", places[i].user, places[i].folder);
        unsigned found = count_messages(fixture, places[i].directory, true);

        if (killed ? found < told : found != told)
            violate("not as it was answered", places[i].directory);
    }
}

static void
check_rests(const Fixture *fixture)
{
    static const char *const places[] = {"ana/Maildir/tmp", "ana/Maildir/.lists/tmp",
                                         "cy/Maildir/tmp"};

    if (strcmp(watch->failed, "unlinkat") == 0)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (count_messages(fixture, places[i], false) > 0)
            violate("left behind", places[i]);
    }
}

static void
empty_box(const Fixture *fixture, const char *box)
{
    g_autofree char *path = g_build_filename(fixture->dir, "mail/example.org", box, NULL);
    g_autoptr(GDir) listing = g_dir_open(path, 0, NULL);

    for (const char *name; (name = g_dir_read_name(listing)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        assert_int_equal(unlink(file), 0);
    }
}

/* Removes the mailboxes, or only what is in them. */
static void
empty_mailboxes(const Fixture *fixture, bool keep)
{
    static const char *const boxes[] = {"ana/Maildir/new",        "ana/Maildir/tmp",
                                        "ana/Maildir/.lists/new", "ana/Maildir/.lists/tmp",
                                        "cy/Maildir/new",         "cy/Maildir/tmp"};
    g_autofree char *path = g_build_filename(fixture->dir, "mail/example.org", NULL);

    for (size_t i = 0; keep && i < G_N_ELEMENTS(boxes); i++)
        empty_box(fixture, boxes[i]);
    if (!keep)
        scratch_remove(path); /* may not be there */
}

static void
fail_if_violated(const char *what, unsigned at, const char *failed, const char *replies)
{
    if (watch->violation[0] != '\0')
        fail_msg("%s call %u (%s): %s\n%s", what, at, failed, watch->violation, replies);
}

/* The next delivery works, whatever the failed one left. */
static void
check_retry(const Fixture *fixture, unsigned at, const char *failed)
{
    g_autofree char *replies = run(fixture, FAULT_NONE, 0, 0);

    if (count_replies(replies, "250 2.0.0 ", "<", "") != G_N_ELEMENTS(recipients))
        violate("not delivered the next time", "");
    fail_if_violated("after", at, failed, replies);
}

typedef struct {
    const char *behaviour;
    const char *const *only; /* these calls; NULL: all */
    FaultKind kind;
    int error;
    unsigned at_least; /* so many calls of a delivery are meant */
    bool is_shared;    /* one file for all */
    bool is_second;    /* the mailboxes are there: the message is written to one as it arrives */
    bool is_harmless;  /* all is delivered as if nothing had happened */
} Row;

static void
check_call(const Fixture *fixture, const Row *row, unsigned at)
{
    g_autofree char *replies = run(fixture, row->kind, at, row->error);
    g_autofree char *failed = g_strdup(watch->failed);

    check_mailboxes(fixture, replies, row->kind == FAULT_KILL);
    if (row->is_harmless &&
        count_replies(replies, "250 2.0.0 ", "<", "") != G_N_ELEMENTS(recipients))
        violate("not gone on with", failed);
    if (row->kind != FAULT_KILL) {
        check_replies(replies);
        check_rests(fixture);
    }
    fail_if_violated("at", at, failed, replies);
    check_retry(fixture, at, failed);
    empty_mailboxes(fixture, row->is_second);
}

/* ---- tests ---------------------------------------------------------------- */

static const char *const interruptible[] = {"open",  "openat",     "openat2", "read",
                                            "pread", "pread64",    "write",   "writev",
                                            "fsync", "ring_fsync", NULL};
static const char *const missing_in_old_kernels[] = {"openat2", "renameat2", NULL};
static const char *const writes[] = {"write", "writev", "pwrite", "pwrite64", "ring_start", NULL};
static const char *const early_writes[] = {"pwrite", "pwrite64", "renameat2", NULL};
static const char *const early_changes[] = {"openat",   "openat2",   "fchmod", "pwrite",
                                            "pwrite64", "renameat2", "fsync",  NULL};
static const char *const of_the_ring[] = {"ring_new", "ring_start", NULL};
static const char *const syncs_of_the_ring[] = {"ring_fsync", NULL};
static const char *const links[] = {"linkat", NULL};
static const char *const with_links[] = {"linkat",     "fsync",     "ring_start",
                                         "ring_fsync", "renameat2", NULL};

static const Row rows[] = {
    {.behaviour = "full_disk_at_any_call_is_answered_truly",
     .kind = FAULT_ERROR,
     .error = ENOSPC,
     .at_least = 50},
    {.behaviour = "signal_at_any_call_is_answered_truly",
     .only = interruptible,
     .kind = FAULT_ERROR,
     .error = EINTR,
     .at_least = 40},
    {.behaviour = "old_kernel_is_answered_truly",
     .only = missing_in_old_kernels,
     .kind = FAULT_ERROR,
     .error = ENOSYS,
     .at_least = 10},
    {.behaviour = "short_write_is_gone_on_with",
     .only = writes,
     .kind = FAULT_SHORT,
     .at_least = 4,
     .is_harmless = true},
    {.behaviour = "process_killed_at_any_call_kept_what_it_promised",
     .kind = FAULT_KILL,
     .at_least = 50},
    {.behaviour = "refused_ring_is_done_without",
     .only = of_the_ring,
     .kind = FAULT_ERROR,
     .error = EPERM,
     .at_least = 3,
     .is_harmless = true},
    {.behaviour = "sync_that_was_not_begun_is_done_here",
     .only = syncs_of_the_ring,
     .kind = FAULT_ERROR,
     .error = ECANCELED,
     .at_least = 4,
     .is_harmless = true},
    {.behaviour = "refused_link_is_a_file_of_its_own",
     .only = links,
     .kind = FAULT_ERROR,
     .error = EMLINK,
     .at_least = 2,
     .is_shared = true,
     .is_harmless = true},
    {.behaviour = "failing_disk_under_a_shared_file_is_answered_truly",
     .only = with_links,
     .kind = FAULT_ERROR,
     .error = EIO,
     .at_least = 8,
     .is_shared = true},
    {.behaviour = "process_killed_with_a_shared_file_kept_what_it_promised",
     .only = with_links,
     .kind = FAULT_KILL,
     .at_least = 8,
     .is_shared = true},
    {.behaviour = "full_disk_under_an_early_copy_is_answered_truly",
     .only = early_changes,
     .kind = FAULT_ERROR,
     .error = ENOSPC,
     .at_least = 20,
     .is_second = true},
    {.behaviour = "short_write_of_an_early_copy_is_gone_on_with",
     .only = early_writes,
     .kind = FAULT_SHORT,
     .at_least = 5,
     .is_second = true,
     .is_harmless = true},
    {.behaviour = "process_killed_with_an_early_copy_kept_what_it_promised",
     .only = early_writes,
     .kind = FAULT_KILL,
     .at_least = 5,
     .is_second = true},
};

/* The calls of a delivery without any fault, which must be as good as one with. */
static GStrv
list_calls(const Fixture *fixture, bool is_second)
{
    if (is_second)
        g_free(run(fixture, FAULT_NONE, 0, 0));
    empty_mailboxes(fixture, is_second);

    g_autofree char *replies = run(fixture, FAULT_NONE, 0, 0);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();

    check_replies(replies);
    check_mailboxes(fixture, replies, false);
    fail_if_violated("without a fault,", 0, "", replies);
    assert_int_equal(count_replies(replies, "250 2.0.0 ", "<", ""), G_N_ELEMENTS(recipients));
    assert_in_range(watch->calls, 50, CALLS_MAX);
    for (unsigned i = 0; i < watch->calls; i++)
        g_strv_builder_add(names, watch->names[i]);
    empty_mailboxes(fixture, is_second);
    return g_strv_builder_end(names);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    Fixture *fresh = set_up(row->is_shared);
    unsigned checked = 0;
    g_auto(GStrv) calls = list_calls(fresh, row->is_second);

    for (unsigned at = 0; calls[at] != NULL; at++) {
        if (row->only != NULL && !g_strv_contains(row->only, calls[at]))
            continue;
        check_call(fresh, row, at + 1);
        checked++;
    }
    assert_in_range(checked, row->at_least, CALLS_MAX);
    tear_down(fresh);
}

/* Nothing is ever delivered as root, in a test neither. */
static void
stop_being_root(void)
{
    enum { NOBODY = 65534 };

    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) != 0))
        g_error("cannot stop being root");
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    (void)domain, (void)level, (void)text, (void)data;
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    g_log_set_default_handler(ignore_message, NULL);
    stop_being_root();
    watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watch == MAP_FAILED)
        g_error("cannot share memory");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
