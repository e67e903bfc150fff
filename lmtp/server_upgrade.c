/* lmtp/server_upgrade.c - a new program takes over the sockets; see server_upgrade.h
 *
 * LISTEN_FDS would want the sockets at descriptors 3, 4, ... where others of ours
 * are: a failed execve could not be undone. So the descriptors stay where they are
 * and the variable names them: a GVariant, (pid, stop, stop, [(fd, ours)], [worker]).
 * The format may grow only at its end, in a new variable: old and new differ in version.
 */
#include "lmtp/server_upgrade.h"

#include "lda/outcome.h"
#include "lmtp/listener.h"

#include <signal.h>
#include <sysexits.h>

#define VARIABLE "LODGE_UPGRADE"
#define VARIABLE_TYPE "(iiia(ib)ai)"

static void
set_close_on_exec(int fd, bool on)
{
    /* Fails only on a descriptor that is not open: then its user will notice. */
    (void)fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

static bool
adopt_listeners(GVariantIter *iter, GPtrArray *listeners, GError **error)
{
    gint32 fd;
    gboolean is_ours;

    while (g_variant_iter_next(iter, "(ib)", &fd, &is_ours)) {
        set_close_on_exec(fd, true);
        Listener *listener = listener_adopt(fd, is_ours, error);
        if (listener == NULL)
            return false;
        g_ptr_array_add(listeners, listener);
    }
    return true;
}

bool
upgrade_inherit(GPtrArray *listeners, Handover *out, GError **error)
{
    g_autofree char *text = g_strdup(getenv(VARIABLE));
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GVariantIter) sockets = NULL;
    g_autoptr(GVariantIter) workers = NULL;
    gint32 pid;
    gint32 worker;

    *out = (Handover){.stop_read_fd = -1, .stop_write_fd = -1};
    unsetenv(VARIABLE);
    if (text != NULL)
        value = g_variant_parse(G_VARIANT_TYPE(VARIABLE_TYPE), text, NULL, NULL, error);
    if (text != NULL && value == NULL)
        return false;
    out->pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    if (value == NULL)
        return true;
    g_variant_get(value, VARIABLE_TYPE, &pid, &out->stop_read_fd, &out->stop_write_fd, &sockets,
                  &workers);
    if (pid != getpid()) { /* leaked into a stranger's environment */
        out->stop_read_fd = out->stop_write_fd = -1;
        return true;
    }
    set_close_on_exec(out->stop_read_fd, true);
    set_close_on_exec(out->stop_write_fd, true);
    while (g_variant_iter_next(workers, "i", &worker))
        g_array_append_val(out->pids, worker);
    return adopt_listeners(sockets, listeners, error);
}

static void
unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
}

pid_t
upgrade_start_check(char *const *argv)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new();

    for (; *argv != NULL; argv++)
        g_ptr_array_add(arguments, *argv);
    g_ptr_array_add(arguments, (gpointer) "-t");
    g_ptr_array_add(arguments, NULL);

    pid_t pid = fork();
    if (pid == 0) {
        unblock_signals();
        execv(arguments->pdata[0], (char *const *)arguments->pdata);
        _exit(EX_OSERR);
    }
    return pid;
}

static char *
describe(const GPtrArray *listeners, const Handover *handover)
{
    GVariantBuilder sockets = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(ib)"));
    GVariantBuilder workers = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("ai"));

    for (guint i = 0; i < listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(listeners, i);

        g_variant_builder_add(&sockets, "(ib)", listener_fd(listener), listener_is_ours(listener));
    }
    for (guint i = 0; i < handover->pids->len; i++)
        g_variant_builder_add(&workers, "i", g_array_index(handover->pids, pid_t, i));
    g_autoptr(GVariant) value =
        g_variant_ref_sink(g_variant_new(VARIABLE_TYPE, (gint32)getpid(), handover->stop_read_fd,
                                         handover->stop_write_fd, &sockets, &workers));
    return g_variant_print(value, FALSE);
}

static void
keep_over_exec(const GPtrArray *listeners, const Handover *handover, bool keep)
{
    set_close_on_exec(handover->stop_read_fd, !keep);
    set_close_on_exec(handover->stop_write_fd, !keep);
    for (guint i = 0; i < listeners->len; i++)
        set_close_on_exec(listener_fd(g_ptr_array_index(listeners, i)), !keep);
}

bool
upgrade_exec(char *const *argv, const GPtrArray *listeners, const Handover *handover,
             GError **error)
{
    g_autofree char *text = describe(listeners, handover);

    if (setenv(VARIABLE, text, 1) != 0)
        return lodge_set_errno(error, "set %s", VARIABLE);
    keep_over_exec(listeners, handover, true);
    execv(argv[0], argv);
    int saved = errno;
    keep_over_exec(listeners, handover, false);
    unsetenv(VARIABLE);
    errno = saved;
    return lodge_set_errno(error, "execute '%s'", argv[0]);
}
