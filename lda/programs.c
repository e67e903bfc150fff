/* lda/programs.c - runs the programs that scripts may call; see programs.h
 *
 *   input ──▶ pipe ──▶ program ──▶ pipe ──▶ output       one poll(2) loop: neither side can block
 *                         └──▶ pidfd: it has ended        the other; it has a deadline
 *
 * The name is looked up below the directory (openat2, RESOLVE_BENEATH): a symbolic link may
 * point to a neighbour, not out. Whatever the program has started and left is killed with it:
 * nothing of a delivery runs on behind it.
 */
#include "lda/programs.h"

#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>

G_DEFINE_QUARK(lodge - program - error, program_error)

/* One program that runs. */
typedef struct {
    pid_t pid;
    int pid_fd, in_fd, out_fd;
    const uint8_t *input;
    size_t input_left;
    GByteArray *output; /* NULL: thrown away */
    guint64 max_output;
    gint64 deadline; /* monotonic, microseconds */
    bool has_ended;
} Child;

/* ---- finding it ---------------------------------------------------------- */

static bool
set_unknown(GError **error, const char *name, const char *why)
{
    g_set_error(error, PROGRAM_ERROR, PROGRAM_ERROR_UNKNOWN, "cannot run program \"%s\": %s", name,
                why);
    return false;
}

/* That name is a program of the directory, and nobody else's. */
static bool
check_program(const ProgramOptions *options, const char *name, GError **error)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    struct stat status;
    lodge_autofd dir = open(options->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return set_unknown(error, name, "it is no file name");
    if (dir < 0)
        return lodge_set_errno(error, "open the directory of programs '%s'", options->directory);

    lodge_autofd fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);

    if (fd < 0 && (errno == ENOENT || errno == ENAMETOOLONG))
        return set_unknown(error, name, "there is none of that name");
    if (fd < 0 && (errno == EXDEV || errno == ELOOP || errno == ENOTDIR))
        return set_unknown(error, name, "it is a link out of the directory of programs");
    if (fd < 0 || fstat(fd, &status) != 0)
        return lodge_set_errno(error, "look at program '%s'", name);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0)
        return set_unknown(error, name, "it is not an executable file");
    if ((status.st_mode & S_IWOTH) != 0)
        return set_unknown(error, name, "anybody may write to it");
    return true;
}

/* ---- starting it --------------------------------------------------------- */

static void
limit(int resource, guint64 value)
{
    struct rlimit rlimit = {.rlim_cur = value, .rlim_max = value};

    (void)setrlimit(resource, &rlimit); /* the parent's deadline holds all the same */
}

/* In the child: only what is safe between fork and exec. Tells errno on report_fd. */
G_NORETURN static void
become_program(const ProgramOptions *options, const char *path, char *const *arguments,
               char *const *environment, int in_fd, int out_fd, int report_fd)
{
    sigset_t none;
    int failure;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, options->timeout_ms / 1000 + 1);
    (void)umask(077);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);

    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    /* Numbers above 2, so that no dup2() closes what the next one needs. */
    in_fd = fcntl(in_fd < 0 ? null_fd : in_fd, F_DUPFD_CLOEXEC, 10);
    out_fd = fcntl(out_fd < 0 ? null_fd : out_fd, F_DUPFD_CLOEXEC, 10);
    null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, 10);
    report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, 10);
    if (dup2(in_fd, 0) == 0 && dup2(out_fd, 1) == 1 && dup2(null_fd, 2) == 2 && chdir("/") == 0 &&
        /* What others have opened without O_CLOEXEC. */
        syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
        (void)execve(path, arguments, environment);
    failure = errno;
    (void)write(report_fd, &failure, sizeof failure); /* or it looks like exit status 127 */
    _exit(127);
}

static GPtrArray *
with_path(const char *const *environment)
{
    GPtrArray *all = g_ptr_array_new();

    g_ptr_array_add(all, (char *)"PATH=/usr/local/bin:/usr/bin:/bin");
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        g_ptr_array_add(all, (char *)environment[i]);
    g_ptr_array_add(all, NULL);
    return all;
}

static GPtrArray *
with_name(const char *name, const char *const *arguments)
{
    GPtrArray *all = g_ptr_array_new();

    g_ptr_array_add(all, (char *)name);
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
        g_ptr_array_add(all, (char *)arguments[i]);
    g_ptr_array_add(all, NULL);
    return all;
}

/* Waits until the child has become the program, or has told why it could not. */
static bool
check_started(int report_fd, const char *name, GError **error)
{
    int failure = 0;
    ssize_t len;

    do {
        len = read(report_fd, &failure, sizeof failure);
    } while (len < 0 && errno == EINTR);
    if (len == 0)
        return true;
    errno = len == (ssize_t)sizeof failure ? failure : EIO;
    /* The "#!" line names what is not there: no retry will cure it. */
    if (errno == ENOENT || errno == ENOEXEC || errno == EACCES)
        return set_unknown(error, name, g_strerror(errno));
    return lodge_set_errno(error, "run program '%s'", name);
}

static bool
start(const ProgramOptions *options, const char *name, const char *const *arguments, Child *child,
      GError **error)
{
    g_autofree char *path = g_build_filename(options->directory, name, NULL);
    g_autoptr(GPtrArray) argv = with_name(name, arguments), envp = with_path(options->environment);
    int in[2] = {-1, -1}, out[2] = {-1, -1}, report[2] = {-1, -1};
    bool is_ready = (child->input == NULL || pipe2(in, O_CLOEXEC) == 0) &&
                    (child->output == NULL || pipe2(out, O_CLOEXEC) == 0) &&
                    pipe2(report, O_CLOEXEC) == 0;
    lodge_autofd in_read = in[0], out_write = out[1], report_read = report[0],
                 report_write = report[1];

    child->in_fd = in[1];
    child->out_fd = out[0];
    if (is_ready)
        child->pid = fork();
    if (!is_ready || child->pid < 0)
        return lodge_set_errno(error, "start program '%s'", name);
    if (child->pid == 0)
        become_program(options, path, (char *const *)argv->pdata, (char *const *)envp->pdata,
                       in_read, out_write, report_write);
    lodge_close(&report_write);
    child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pid_fd < 0)
        return lodge_set_errno(error, "watch program '%s'", name);
    if (child->in_fd >= 0)
        (void)fcntl(child->in_fd, F_SETFL, O_NONBLOCK);
    if (child->out_fd >= 0)
        (void)fcntl(child->out_fd, F_SETFL, O_NONBLOCK);
    return check_started(report_read, name, error);
}

/* ---- feeding and reading it ---------------------------------------------- */

static void
feed(Child *child)
{
    ssize_t len = write(child->in_fd, child->input, MIN(child->input_left, (size_t)65536));

    if (len > 0) {
        child->input += len;
        child->input_left -= (size_t)len;
    }
    /* EPIPE: it does not want the rest. */
    if (child->input_left == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        lodge_close(&child->in_fd);
}

/* False: it has written more than it may. */
static bool
drain(Child *child)
{
    uint8_t buffer[16384];
    ssize_t len;

    while ((len = read(child->out_fd, buffer, sizeof buffer)) > 0) {
        if (child->output->len + (guint64)len > child->max_output)
            return false;
        g_byte_array_append(child->output, buffer, (guint)len);
    }
    if (len == 0 || (errno != EAGAIN && errno != EINTR))
        lodge_close(&child->out_fd);
    return true;
}

/* Until the program has ended. 0, or PROGRAM_TIMED_OUT or PROGRAM_WROTE_TOO_MUCH. */
static int
attend(Child *child)
{
    while (!child->has_ended) {
        struct pollfd fds[] = {{.fd = child->pid_fd, .events = POLLIN},
                               {.fd = child->in_fd, .events = POLLOUT},
                               {.fd = child->out_fd, .events = POLLIN}};
        gint64 left = child->deadline - g_get_monotonic_time();

        if (left <= 0)
            return PROGRAM_TIMED_OUT;
        if (poll(fds, G_N_ELEMENTS(fds), (int)MIN(left / 1000 + 1, G_MAXINT)) < 0)
            continue; /* a signal */
        child->has_ended = fds[0].revents != 0;
        if (fds[1].revents != 0)
            feed(child);
        /* What it wrote before it ended is there by now. */
        if (child->out_fd >= 0 && (fds[2].revents != 0 || child->has_ended) && !drain(child))
            return PROGRAM_WROTE_TOO_MUCH;
    }
    return 0;
}

/* Kills what is left of the group and reaps the program; its status as shells have it. */
static int
finish(Child *child)
{
    int status = 0;

    /* The program is a zombie until it is waited for, so that its group cannot be another's. */
    (void)kill(-child->pid, SIGKILL);
    if (!child->has_ended)
        (void)kill(child->pid, SIGKILL); /* it may not have made its group yet */
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Writes to a program that has gone must not kill us: SIGPIPE is held back, and taken away. */
static int
attend_without_sigpipe(Child *child)
{
    sigset_t pipe_signal, before, pending;
    const struct timespec no_time = {0};

    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigpending(&pending);
    (void)sigprocmask(SIG_BLOCK, &pipe_signal, &before);

    int status = attend(child);

    if (sigismember(&pending, SIGPIPE) == 0)
        (void)sigtimedwait(&pipe_signal, NULL, &no_time); /* there may be none */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

bool
program_run(const ProgramOptions *options, const char *name, const char *const *arguments,
            const uint8_t *input, size_t input_len, int *status_out, GBytes **output_out,
            GError **error)
{
    g_autoptr(GByteArray) output = output_out == NULL ? NULL : g_byte_array_new();
    Child child = {.pid = -1,
                   .pid_fd = -1,
                   .in_fd = -1,
                   .out_fd = -1,
                   .input = input_len == 0 ? NULL : input,
                   .input_left = input_len,
                   .output = output,
                   .max_output = options->max_output,
                   .deadline =
                       g_get_monotonic_time() + (gint64)MIN(options->timeout_ms, 86400000) * 1000};
    int failure = 0, status = 0;
    bool is_started =
        check_program(options, name, error) && start(options, name, arguments, &child, error);

    if (is_started)
        failure = attend_without_sigpipe(&child);
    if (child.pid > 0)
        status = finish(&child);
    lodge_close(&child.pid_fd);
    lodge_close(&child.in_fd);
    lodge_close(&child.out_fd);
    if (!is_started)
        return false;
    *status_out = failure != 0 ? failure : status;
    if (output_out != NULL)
        *output_out =
            *status_out == 0 ? g_byte_array_free_to_bytes(g_steal_pointer(&output)) : NULL;
    return true;
}

char *
program_describe(const ProgramOptions *options, int status)
{
    if (status == PROGRAM_TIMED_OUT)
        return g_strdup_printf("took longer than %g seconds", (double)options->timeout_ms / 1000);
    if (status == PROGRAM_WROTE_TOO_MUCH)
        return g_strdup_printf("wrote more than %" G_GUINT64_FORMAT " octets", options->max_output);
    if (status > 128 && status < 128 + NSIG)
        return g_strdup_printf("was ended by signal %d", status - 128);
    return g_strdup_printf("exited with status %d", status);
}

bool
program_is_temporary(int status)
{
    return status == EX_TEMPFAIL;
}
