/* lmtp/server_upgrade.c - a new program takes over the sockets; see server_upgrade.h
 *
 * LISTEN_FDS would want the sockets at descriptors 3, 4, ... where others of ours
 * are: a failed execve could not be undone. So the descriptors stay where they are
 * and the variable names them: a GVariant, (pid, stop, stop, [(fd, ours)], [worker]).
 * The format may grow only at its end, in a new variable: old and new differ in version.
 * The second variable lists the descriptors where the policy protocol is spoken.
 */
#include "lmtp/server_upgrade.h"

#include "lda/outcome.h"
#include "lmtp/listener.h"

#include <signal.h>
#include <sysexits.h>

#define VARIABLE "LODGE_UPGRADE"
#define VARIABLE_TYPE "(iiia(ib)ai)"
#define POLICY_VARIABLE "LODGE_UPGRADE_POLICY"
#define POLICY_VARIABLE_TYPE "ai"

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

/* What is spoken where. Damage there is none of ours: the program before wrote it. */
static void
assign_policy(const GPtrArray *listeners, const char *text)
{
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GVariantIter) fds = NULL;
    gint32 fd;

    if (text != NULL)
        value = g_variant_parse(G_VARIANT_TYPE(POLICY_VARIABLE_TYPE), text, NULL, NULL, NULL);
    if (value == NULL)
        return;
    fds = g_variant_iter_new(value);
    while (g_variant_iter_next(fds, "i", &fd)) {
        for (guint i = 0; i < listeners->len; i++) {
            if (listener_fd(g_ptr_array_index(listeners, i)) == fd)
                listener_set_service(g_ptr_array_index(listeners, i), LISTENER_POLICY);
        }
    }
}

bool
upgrade_inherit(GPtrArray *listeners, Handover *out, GError **error)
{
    g_autofree char *text = g_strdup(getenv(VARIABLE));
    g_autofree char *policy = g_strdup(getenv(POLICY_VARIABLE));
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GVariantIter) sockets = NULL;
    g_autoptr(GVariantIter) workers = NULL;
    gint32 pid;
    gint32 worker;

    *out = (Handover){.stop_read_fd = -1, .stop_write_fd = -1};
    unsetenv(VARIABLE);
    unsetenv(POLICY_VARIABLE);
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
    if (!adopt_listeners(sockets, listeners, error))
        return false;
    assign_policy(listeners, policy);
    return true;
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

static char *
describe_policy(const GPtrArray *listeners)
{
    GVariantBuilder fds = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE(POLICY_VARIABLE_TYPE));

    for (guint i = 0; i < listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(listeners, i);

        if (listener_service(listener) == LISTENER_POLICY)
            g_variant_builder_add(&fds, "i", listener_fd(listener));
    }
    g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_builder_end(&fds));
    return g_variant_print(value, TRUE);
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
    g_autofree char *policy = describe_policy(listeners);

    if (setenv(VARIABLE, text, 1) != 0 || setenv(POLICY_VARIABLE, policy, 1) != 0)
        return lodge_set_errno(error, "set %s", VARIABLE);
    keep_over_exec(listeners, handover, true);
    execv(argv[0], argv);
    int saved = errno;
    keep_over_exec(listeners, handover, false);
    unsetenv(VARIABLE);
    unsetenv(POLICY_VARIABLE);
    errno = saved;
    return lodge_set_errno(error, "execute '%s'", argv[0]);
}
