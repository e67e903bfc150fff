/* tests/bench/bench.h - what the measuring programs share
 *
 * lmtp_load.c, policy_load.c, pipe_load.c and raw_limit.c each run for a number of seconds and
 * print one JSON line that tests/bench/run reads. Each is a program of one file,
 * so what they have in common is inline here.
 */
#ifndef LODGE_TESTS_BENCH_BENCH_H
#define LODGE_TESTS_BENCH_BENCH_H

#include "lodge.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Says what went wrong and ends the program: a measurement with a fault in it is worth nothing. */
G_GNUC_PRINTF(1, 2)
G_GNUC_NORETURN static inline void
bench_die(const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    fprintf(stderr, "%s: %s (%s)\n", g_get_prgname(), what, g_strerror(saved));
    exit(1);
}

/* Parses the options or ends the program with GLib's complaint. */
static inline void
bench_parse_options(const GOptionEntry *entries, const char *summary, int *argc, char ***argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(context, summary);
    g_option_context_set_strict_posix(context, TRUE); /* options after "--" are the command's */
    if (!g_option_context_parse(context, argc, argv, &error)) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), error->message);
        exit(2);
    }
}

/* User and system time in microseconds of this process (RUSAGE_SELF) or of those it waited for. */
static inline gint64
bench_cpu_us(int who)
{
    struct rusage usage;

    (void)getrusage(who, &usage);
    return ((gint64)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* A message of about size octets with CRLF (LMTP) or LF line ends, but for a Message-ID. */
static inline GString *
bench_message(guint64 size, const char *line_end)
{
    GString *message = g_string_new(NULL);

    g_string_printf(message,
                    "Date: Mon, 4 Mar 2024 10:11:12 +0000%sFrom: Bench <bench@example.net>%s"
                    "To: Users <users@example.org>%sSubject: a message of %" G_GUINT64_FORMAT
                    " octets%s%s",
                    line_end, line_end, line_end, size, line_end, line_end);
    while (message->len < size)
        g_string_append_printf(message, "%06zu the quick brown fox jumps over the lazy dog%s",
                               message->len, line_end);
    return message;
}

static inline int
bench_compare_us(gconstpointer a, gconstpointer b)
{
    gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;

    return (left > right) - (left < right);
}

/* ", \"p50_ms\": …, \"p99_ms\": …, \"max_ms\": …" of latencies (gint64 microseconds, sorted here).
 */
static inline char *
bench_percentiles(GArray *latencies)
{
    double at[3] = {0, 0, 0};
    static const double rank[3] = {0.50, 0.99, 1.0};

    g_array_sort(latencies, bench_compare_us);
    for (int i = 0; i < 3 && latencies->len > 0; i++)
        at[i] =
            (double)g_array_index(latencies, gint64, (guint)(rank[i] * (latencies->len - 1))) / 1e3;
    return g_strdup_printf(", \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f", at[0], at[1],
                           at[2]);
}

/* A non-blocking connection to "unix:PATH" or "inet:IPV4:PORT". */
static inline int
bench_connect(const char *to)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in remote = {.sin_family = AF_INET};
    g_auto(GStrv) parts = g_strsplit(to, ":", 3);
    bool is_unix = g_strcmp0(parts[0], "unix") == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result;

    if (is_unix) {
        g_strlcpy(local.sun_path, to + strlen("unix:"), sizeof local.sun_path);
        result = connect(fd, (struct sockaddr *)&local, sizeof local);
    } else {
        if (g_strv_length(parts) != 3 || inet_pton(AF_INET, parts[1], &remote.sin_addr) != 1)
            bench_die("%s is neither unix:PATH nor inet:IPV4:PORT", to);
        remote.sin_port = htons((uint16_t)g_ascii_strtoull(parts[2], NULL, 10));
        result = connect(fd, (struct sockaddr *)&remote, sizeof remote);
    }
    if (result != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        bench_die("cannot connect to %s", to);
    return fd;
}

#endif
