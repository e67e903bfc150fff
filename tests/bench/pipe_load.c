/* tests/bench/pipe_load.c - runs a delivery command as Postfix pipe(8) does
 *
 * Keeps N commands running, each with one message on standard input, and counts
 * how many end well in a second and what CPU time they and their start cost. "%r"
 * in the command, or in a part of it, becomes the recipient. With /bin/true as the command it
 * measures the floor: what starting any program costs on this machine.
 */
#include "tests/bench/bench.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static int parallel = 1, users = 400, size = 4096;
static double seconds = 2;
static char *recipient_pattern;

static const GOptionEntry options[] = {
    {"parallel", 'c', 0, G_OPTION_ARG_INT, &parallel, "commands at once", "N"},
    {"users", 0, 0, G_OPTION_ARG_INT, &users, "recipients to take in turn", "N"},
    {"recipient", 0, 0, G_OPTION_ARG_STRING, &recipient_pattern,
     "address, # is the user's number (user#@example.org)", "PATTERN"},
    {"size", 's', 0, G_OPTION_ARG_INT, &size, "octets of the message", "N"},
    {"seconds", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "how long", "S"},
    G_OPTION_ENTRY_NULL,
};

typedef struct {
    pid_t pid; /* 0: none */
    gint64 started_us;
} Command;

/* A pipe that holds the whole message: nobody has to feed it while the command runs. */
static int
message_pipe(const GString *message)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        bench_die("cannot make a pipe");
    if (message->len > 65536 && fcntl(ends[1], F_SETPIPE_SZ, (int)message->len) < 0)
        bench_die("a pipe cannot hold %zu octets", message->len);
    if (write(ends[1], message->str, message->len) != (ssize_t)message->len)
        bench_die("cannot fill a pipe");
    (void)close(ends[1]);
    return ends[0];
}

static char **
command_for(char **argv, int user)
{
    GStrvBuilder *builder = g_strv_builder_new();
    g_autofree char *number = g_strdup_printf("%d", user);
    g_auto(GStrv) parts = g_strsplit(recipient_pattern, "#", 2);
    g_autofree char *recipient = g_strjoinv(number, parts);

    for (char **arg = argv; *arg != NULL; arg++) {
        g_auto(GStrv) around = g_strsplit(*arg, "%r", -1);
        g_autofree char *filled = g_strjoinv(recipient, around);

        g_strv_builder_add(builder, filled);
    }
    char **command = g_strv_builder_end(builder);
    g_strv_builder_unref(builder);
    return command;
}

static void
command_start(Command *slot, char **argv, int user, const GString *message)
{
    g_auto(GStrv) command = command_for(argv, user);
    lodge_autofd input = message_pipe(message);
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    slot->started_us = g_get_monotonic_time();
    errno = posix_spawn(&slot->pid, command[0], &actions, NULL, command, environ);
    if (errno != 0)
        bench_die("cannot start %s", command[0]);
    posix_spawn_file_actions_destroy(&actions);
}

/* Waits for any command; returns its slot and whether it ended well. */
static Command *
command_wait(Command *slots, bool *good_out)
{
    int status;
    pid_t pid = wait(&status);

    for (int i = 0; i < parallel; i++) {
        if (slots[i].pid == pid) {
            *good_out = status == 0;
            slots[i].pid = 0;
            return &slots[i];
        }
    }
    bench_die("a process ended that was not started here");
}

static int
run(char **argv, const GString *message, GArray *latencies, gint64 end_us)
{
    g_autofree Command *slots = g_new0(Command, (size_t)parallel);
    int errors = 0, user = 0, running = 0;

    for (; running < parallel; running++)
        command_start(&slots[running], argv, user++ % users, message);
    while (running > 0) {
        bool good = false;
        Command *slot = command_wait(slots, &good);
        gint64 now_us = g_get_monotonic_time(), latency_us = now_us - slot->started_us;

        if (good)
            g_array_append_val(latencies, latency_us);
        errors += !good;
        if (now_us < end_us)
            command_start(slot, argv, user++ % users, message);
        else
            running--;
    }
    return errors;
}

int
main(int argc, char **argv)
{
    recipient_pattern = g_strdup("user#@example.org");
    bench_parse_options(options, "Usage: pipe_load [OPTION…] -- COMMAND [ARGUMENT…]", &argc, &argv);
    char **command = argv + 1 + (argc > 1 && strcmp(argv[1], "--") == 0);
    g_autoptr(GString) message = bench_message((guint64)size, "\n");
    g_autoptr(GArray) latencies = g_array_new(FALSE, FALSE, sizeof(gint64));
    gint64 start_us = g_get_monotonic_time();

    g_string_prepend(message, "Message-ID: <bench@example.net>\n");
    if (command[0] == NULL || parallel < 1 || users < 1)
        bench_die("a command is needed");
    int errors = run(command, message, latencies, start_us + (gint64)(seconds * G_USEC_PER_SEC));
    double elapsed = (double)(g_get_monotonic_time() - start_us) / 1e6;
    double cpu_us = (double)bench_cpu_us(RUSAGE_CHILDREN) / MAX(latencies->len, 1);
    g_autofree char *percentiles = bench_percentiles(latencies);

    printf("{\"deliveries\": %u, \"seconds\": %.3f, \"rate\": %.1f, \"cpu_us\": %.1f, "
           "\"errors\": %d%s}\n",
           latencies->len, elapsed, latencies->len / elapsed, cpu_us, errors, percentiles);
    return 0;
}
