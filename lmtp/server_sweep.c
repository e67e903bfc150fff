/* lmtp/server_sweep.c - remove what killed deliveries left in tmp/; see server_sweep.h */
#include "lmtp/server_sweep.h"

#include "lda/sweep.h"

#include <linux/ioprio.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sysexits.h>

/* Deliveries come first, at the processor and at the disk. A kernel that does not
 * know one of the two sweeps a little louder. */
static void
step_back(void)
{
    (void)setpriority(PRIO_PROCESS, 0, 19);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

int
server_sweep(const ServerSettings *settings)
{
    g_autoptr(GError) error = NULL;
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* SIGTERM ends it, at any point */
    if (settings->privileges != NULL &&
        !privileges_drop(settings->privileges, settings->config->mail.per_user_ids, &error)) {
        g_critical("sweep of tmp/: %s", error->message);
        return EX_NOPERM;
    }
    step_back();
    unsigned removed = lda_sweep(settings->config, g_get_real_time());
    if (removed > 0)
        g_message("removed %u files of abandoned deliveries from tmp/", removed);
    return EX_OK;
}
