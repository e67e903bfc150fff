/* lda/cage.c - runs code that may crash, hang or be taken over, where it harms nobody; see cage.h
 *
 * The memory of the child is that of any process; that it reads our configuration there is of
 * no use to it, for it cannot tell anybody but us. A file it could open, a process it could
 * signal would be: hence the filter of system calls (seccomp(2)), which is on top of the limits and
 * does not replace them.
 */
#include "lda/cage.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

G_DEFINE_QUARK(lodge - cage - error, cage_error)

enum {
    ANSWER_FD = 3,
    NOBODY = 65534,
    EXIT_UNSHUT = 71, /* the cage could not be shut: nothing was run in it */
};

/* ---- in the child -------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#define ARCHITECTURE 0 /* no machine is that: nothing is run in the cage */
#endif

#define FIELD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define DECIDE(verdict) BPF_STMT(BPF_RET | BPF_K, verdict)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), DECIDE(SECCOMP_RET_ALLOW)

/* A process that calls anything else is killed with SIGSYS. */
static bool
filter_calls(void)
{
    /* The low half of a 64-bit argument, on machines with the little end first. */
    static struct sock_filter program[] = {
        FIELD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        DECIDE(SECCOMP_RET_KILL_PROCESS),
        FIELD(nr),
        ALLOW(write),
        ALLOW(brk),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(rt_sigprocmask), /* sigsetjmp() */
        ALLOW(sigaltstack),    /* what AddressSanitizer calls before it leaves a function */
        ALLOW(exit_group),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        DECIDE(SECCOMP_RET_KILL_PROCESS),
        FIELD(args[2]), /* its protection */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        DECIDE(SECCOMP_RET_KILL_PROCESS),
        DECIDE(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = G_N_ELEMENTS(program), .filter = program};

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static bool
limit(int resource, guint64 value)
{
    /* At the soft limit of CPU time comes SIGXCPU, which says why; at the hard one SIGKILL. */
    struct rlimit rlimit = {.rlim_cur = value,
                            .rlim_max = resource == RLIMIT_CPU ? value + 1 : value};

    return setrlimit(resource, &rlimit) == 0;
}

/* Octets of address space that the process has. */
static bool
get_size(guint64 *size_out)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
        return false;
    *size_out = g_ascii_strtoull(text, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
    return *size_out > 0;
}

static bool
drop_root(void)
{
    return geteuid() != 0 || (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                              setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static bool
close_all_but(int answer_fd)
{
    return (answer_fd == ANSWER_FD || dup2(answer_fd, ANSWER_FD) == ANSWER_FD) &&
           syscall(SYS_close_range, 0, ANSWER_FD - 1, 0) == 0 &&
           syscall(SYS_close_range, ANSWER_FD + 1, ~0U, 0) == 0;
}

static bool
shut(const CageLimits *limits, int answer_fd)
{
    guint64 size;

    return get_size(&size) && close_all_but(answer_fd) && drop_root() && limit(RLIMIT_CORE, 0) &&
           limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_NPROC, 0) &&
           limit(RLIMIT_AS, size + limits->memory) && limit(RLIMIT_CPU, limits->cpu_time) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_calls();
}

static void
reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
write_all(const GByteArray *answer)
{
    for (size_t done = 0; done < answer->len;) {
        ssize_t len = write(ANSWER_FD, answer->data + done, answer->len - done);

        if (len < 0 && errno != EINTR)
            return false;
        done += len > 0 ? (size_t)len : 0;
    }
    return true;
}

G_NORETURN static void
be_caged(const CageTask *task, const CageLimits *limits, int answer_fd)
{
    GByteArray *answer = g_byte_array_new();

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    reset_signals();
    task->open(task->data);
    if (!shut(limits, answer_fd))
        _exit(EXIT_UNSHUT);
    task->work(task->data, answer);
    _exit(write_all(answer) ? 0 : 1);
}

/* ---- outside ------------------------------------------------------------- */

typedef struct {
    const CageLimits *limits;
    pid_t pid;
    int pid_fd, answer_fd;
    gint64 deadline; /* monotonic, microseconds */
    GByteArray *answer;
} Caged;

__attribute__((format(printf, 2, 3))) static bool
set_limit(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, CAGE_ERROR, CAGE_ERROR_LIMIT, text);
    return false;
}

/* Until the pipe is closed and the child has ended. */
static bool
attend(Caged *caged, GError **error)
{
    bool has_ended = false;

    while (caged->answer_fd >= 0 || !has_ended) {
        struct pollfd fds[] = {{.fd = caged->answer_fd, .events = POLLIN},
                               {.fd = has_ended ? -1 : caged->pid_fd, .events = POLLIN}};
        gint64 left = caged->deadline - g_get_monotonic_time();
        uint8_t buffer[4096];

        if (left <= 0)
            return set_limit(error, "took longer than %" G_GUINT64_FORMAT " milliseconds",
                             caged->limits->timeout_ms);
        if (poll(fds, G_N_ELEMENTS(fds), (int)MIN(left / 1000 + 1, G_MAXINT)) < 0)
            continue; /* a signal */
        has_ended = has_ended || fds[1].revents != 0;
        if (fds[0].revents == 0)
            continue;

        ssize_t len = read(caged->answer_fd, buffer, sizeof buffer);

        if (len == 0 || (len < 0 && errno != EINTR))
            lodge_close(&caged->answer_fd);
        if (len > 0)
            g_byte_array_append(caged->answer, buffer, (guint)len);
        if (caged->answer->len > caged->limits->max_answer)
            return set_limit(error, "answered more than %zu octets", caged->limits->max_answer);
    }
    return true;
}

static bool
check_status(const Caged *caged, int status, GError **error)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return set_limit(error, "took more than %" G_GUINT64_FORMAT " seconds of CPU time",
                         caged->limits->cpu_time);
    if (WIFSIGNALED(status))
        g_set_error(error, CAGE_ERROR, CAGE_ERROR_DIED, "crashed (%s)",
                    g_strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == EXIT_UNSHUT)
        g_set_error(error, CAGE_ERROR, CAGE_ERROR_DIED, "cannot be confined on this system");
    else
        g_set_error(error, CAGE_ERROR, CAGE_ERROR_DIED, "ended with status %d",
                    WEXITSTATUS(status));
    return false;
}

/* Ends what has not ended; its status as wait(2) has it. */
static int
reap(const Caged *caged)
{
    int status = 0;

    (void)kill(caged->pid, SIGKILL); /* no other process has this number before it is waited for */
    while (waitpid(caged->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

bool
cage_run(const CageTask *task, const CageLimits *limits, GBytes **answer_out, GError **error)
{
    g_autoptr(GByteArray) answer = g_byte_array_new();
    Caged caged = {.limits = limits, .answer = answer};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return lodge_set_errno(error, "make a pipe");

    lodge_autofd write_end = ends[1];
    bool is_good;
    int status;

    caged.answer_fd = ends[0];
    caged.deadline = g_get_monotonic_time() + (gint64)limits->timeout_ms * 1000;
    caged.pid = fork();
    if (caged.pid == 0)
        be_caged(task, limits, write_end);
    is_good = caged.pid > 0 || lodge_set_errno(error, "start a process");
    lodge_close(&write_end);
    caged.pid_fd = is_good ? (int)syscall(SYS_pidfd_open, caged.pid, 0) : -1;
    is_good = is_good && (caged.pid_fd >= 0 || lodge_set_errno(error, "watch a process")) &&
              attend(&caged, error);
    status = caged.pid > 0 ? reap(&caged) : 0;
    lodge_close(&caged.pid_fd);
    lodge_close(&caged.answer_fd);
    if (!is_good || !check_status(&caged, status, error))
        return false;
    *answer_out = g_byte_array_free_to_bytes(g_steal_pointer(&answer));
    return true;
}
