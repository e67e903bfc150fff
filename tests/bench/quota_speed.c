/* tests/bench/quota_speed.c - what quota costs: quota_speed DIRECTORY [MESSAGES]
 *
 * Makes a Maildir of so many messages (100,000), with S= in their names, in DIRECTORY, which must
 * not exist, and prints the CPU time of a count of it and of a delivery (reserve, name, settle).
 */
#include "lodge.h"

#include <sys/stat.h>
#include <time.h>

#include "quota/quota.h"

enum { COUNTS = 5, DELIVERIES = 2000 };

static gint64
cpu_us(void)
{
    return (gint64)clock() * G_USEC_PER_SEC / CLOCKS_PER_SEC;
}

static void
make_maildir(const char *path, unsigned messages)
{
    const char *const parts[] = {"", "tmp", "new", "cur"};

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *part = g_build_filename(path, parts[i], NULL);

        if (mkdir(part, 0700) != 0)
            g_error("cannot make '%s': %s", part, g_strerror(errno));
    }
    for (unsigned i = 0; i < messages; i++) {
        g_autofree char *file =
            g_strdup_printf("%s/cur/%u.M%uP4711Q%u.mail.example.org,S=4312,W=4400:2,S", path,
                            1700000000 + i, i % 1000000, i % 100);
        lodge_autofd fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0)
            g_error("cannot make '%s': %s", file, g_strerror(errno));
    }
}

static void
time_counts(int dir_fd, const QuotaSettings *settings)
{
    for (unsigned i = 0; i < COUNTS; i++) {
        g_autoptr(Quota) quota = quota_open(dir_fd, settings);
        gint64 start_us = cpu_us();
        QuotaUsage usage;

        if (!quota_recalculate(quota, &usage, NULL))
            g_error("cannot count");
        printf("count of %" G_GUINT64_FORMAT " messages: %.1f ms\n", usage.messages,
               (double)(cpu_us() - start_us) / 1000);
    }
}

static void
time_deliveries(int dir_fd, const QuotaSettings *settings)
{
    gint64 now_us = g_get_real_time();
    gint64 start_us = cpu_us();

    for (unsigned i = 0; i < DELIVERIES; i++) {
        g_autoptr(Quota) quota = quota_open(dir_fd, settings);
        QuotaChange change;

        if (!quota_reserve(quota, "", 1, now_us, NULL) || !quota_name(quota, "1.name", NULL) ||
            !quota_settle(quota, now_us, &change, NULL))
            g_error("cannot deliver");
    }
    printf("delivery: %.1f us\n", (double)(cpu_us() - start_us) / (double)DELIVERIES);
}

int
main(int argc, char **argv)
{
    const QuotaSettings settings = {.limits.octets = G_MAXINT64 / 2, .lock_timeout_ms = 10000};

    if (argc < 2)
        g_error("usage: quota_speed DIRECTORY [MESSAGES]");
    make_maildir(argv[1], argc > 2 ? (unsigned)g_ascii_strtoull(argv[2], NULL, 10) : 100000);

    lodge_autofd dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    time_counts(dir_fd, &settings);
    time_deliveries(dir_fd, &settings);
    return 0;
}
