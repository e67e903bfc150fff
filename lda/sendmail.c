/* lda/sendmail.c - a sendmail program as the way out; see sendmail.h
 *
 * The message is an unlinked file in memory that the program has as its standard input: no
 * pipe to fill, no SIGPIPE. What it prints goes into another, for the error.
 *
 * "-N" and "-R" carry the DSN parameters (RFC 3461), as Sendmail had them first and Postfix,
 * OpenSMTPD and Courier have them too; they are given only where a report could come. To Exim "-N"
 * is "deliver nothing" and "-R" "run the queue": it goes without.
 */
#include "lda/sendmail.h"

#include "lda/submission.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <sysexits.h>

enum { MAX_COMPLAINT = 500 };

static bool
fail(GError **error, SubmissionError code, const char *why)
{
    g_set_error(error, SUBMISSION_ERROR, (int)code, "sendmail: %s", why);
    return false;
}

static bool
write_all(int fd, GBytes *bytes)
{
    size_t len = 0;
    const char *data = g_bytes_get_data(bytes, &len);

    while (len > 0) {
        ssize_t written = write(fd, data, len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        len -= (size_t)written;
    }
    return lseek(fd, 0, SEEK_SET) == 0;
}

/* Debian's /usr/sbin/sendmail is a link to exim4. */
static bool
is_exim(const char *program)
{
    g_autofree char *path = realpath(program, NULL);
    const char *name = path == NULL ? program : strrchr(path, '/') + 1;

    return g_str_has_prefix(name, "exim");
}

static void
add_option(GPtrArray *arguments, const char *option, const char *value)
{
    if (value == NULL)
        return;
    g_ptr_array_add(arguments, g_strdup(option));
    g_ptr_array_add(arguments, g_ascii_strdown(value, -1));
}

static char **
make_arguments(const char *program, const OutgoingMail *mail, char **remark_out)
{
    GPtrArray *arguments = g_ptr_array_new();

    g_ptr_array_add(arguments, g_strdup(program));
    g_ptr_array_add(arguments, g_strdup("-i"));
    if (outgoing_wants_reports(mail) && is_exim(program)) {
        *remark_out = g_strdup_printf("'%s' is Exim: NOTIFY and RET are left out", program);
    } else if (outgoing_wants_reports(mail)) {
        add_option(arguments, "-N", mail->notify);
        add_option(arguments, "-R", mail->ret);
    }
    g_ptr_array_add(arguments, g_strdup("-f"));
    g_ptr_array_add(arguments, g_strdup(*mail->from == '\0' ? "<>" : mail->from));
    g_ptr_array_add(arguments, g_strdup("--"));
    for (size_t i = 0; mail->to[i] != NULL; i++)
        g_ptr_array_add(arguments, g_strdup(mail->to[i]));
    g_ptr_array_add(arguments, NULL);
    return (char **)g_ptr_array_free(arguments, FALSE);
}

/* Waits for pid; kills it when it takes longer. False: it was killed. */
static bool
wait_for(GPid pid, guint64 seconds, int *status_out)
{
    lodge_autofd pidfd = pidfd_open(pid, 0);
    struct pollfd ready = {.fd = pidfd, .events = POLLIN};
    int timeout = (int)MIN(seconds * 1000, (guint64)G_MAXINT), count;

    do /* a signal begins the wait anew, which is rare and harmless */
        count = pidfd < 0 ? 1 : poll(&ready, 1, timeout);
    while (count < 0 && errno == EINTR);
    if (count <= 0)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, status_out, 0) < 0 && errno == EINTR)
        ;
    return count > 0;
}

/* The first line of what it printed. */
static char *
read_complaint(int fd)
{
    char buffer[MAX_COMPLAINT + 1];
    ssize_t len = pread(fd, buffer, MAX_COMPLAINT, 0);

    buffer[MAX(len, 0)] = '\0';
    buffer[strcspn(buffer, "\r\n")] = '\0';
    return g_utf8_make_valid(buffer, -1);
}

/* sysexits.h: what is wrong with the message or its addresses will be wrong tomorrow. */
static bool
is_refusal(int status)
{
    static const int refusals[] = {EX_DATAERR, EX_NOUSER, EX_NOHOST, EX_NOPERM};

    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == refusals[i])
            return true;
    }
    return false;
}

static bool
judge(int status, int errors_fd, GError **error)
{
    g_autofree char *complaint = read_complaint(errors_fd);
    g_autofree char *text = NULL;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    text = WIFEXITED(status) ? g_strdup_printf("exit status %d: %s", WEXITSTATUS(status), complaint)
                             : g_strdup_printf("killed by signal %d", WTERMSIG(status));
    return fail(error, is_refusal(status) ? SUBMISSION_ERROR_REFUSED : SUBMISSION_ERROR_LATER,
                text);
}

bool
sendmail_run(const LdaConfig *config, const OutgoingMail *mail, char **remark_out, GError **error)
{
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    g_auto(GStrv) arguments = make_arguments(config->submission.sendmail, mail, remark_out);
    lodge_autofd message_fd = memfd_create("message", MFD_CLOEXEC);
    lodge_autofd errors_fd = memfd_create("errors", MFD_CLOEXEC);
    g_autoptr(GError) cause = NULL;
    GPid pid = 0;
    int status = 0;

    if (message_fd < 0 || errors_fd < 0 || !write_all(message_fd, mail->bytes))
        return fail(error, SUBMISSION_ERROR_LATER, g_strerror(errno));
    if (!g_spawn_async_with_fds("/", arguments, (char **)environment, G_SPAWN_DO_NOT_REAP_CHILD,
                                NULL, NULL, &pid, message_fd, errors_fd, errors_fd, &cause))
        return fail(error, SUBMISSION_ERROR_LATER, cause->message);
    if (!wait_for(pid, config->submission.timeout, &status))
        return fail(error, SUBMISSION_ERROR_LATER, "timed out");
    return judge(status, errors_fd, error);
}
