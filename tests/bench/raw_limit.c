/* tests/bench/raw_limit.c - how many deliveries a second the disk allows
 *
 * N processes do nothing but the file operations that a durable Maildir delivery
 * cannot do without, in the order that lda/ keeps:
 *
 *   for each recipient: open tmp/x, write
 *   for each recipient: fsync the file
 *   for each recipient: rename to new/x
 *   for each recipient: fsync new/
 *
 * With one recipient that is the classic sequence; with fifty it is what one
 * LMTP transaction to fifty mailboxes costs when each gets a copy of its own.
 * The syncs go out one after the other: what is gained by overlapping them counts
 * for the program that does so. No names are looked up, no protocol is spoken.
 *
 * With --mode it does the best that is known for many recipients: "together" asks for
 * all syncs of a kind at once (io_uring); "links" also writes one file only, and
 * links it into each mailbox.
 */
#include "tests/bench/bench.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/bench/ring.h"

static char *root, *mode;
static int processes = 1, users = 400, recipients = 1, size = 4096;
static double seconds = 2;

static const GOptionEntry options[] = {
    {"root", 0, 0, G_OPTION_ARG_FILENAME, &root, "directory for the Maildirs, kept", "DIR"},
    {"processes", 'c', 0, G_OPTION_ARG_INT, &processes, "processes at once", "N"},
    {"users", 0, 0, G_OPTION_ARG_INT, &users, "Maildirs", "N"},
    {"recipients", 'r', 0, G_OPTION_ARG_INT, &recipients, "Maildirs written together", "N"},
    {"size", 's', 0, G_OPTION_ARG_INT, &size, "octets of each file", "N"},
    {"mode", 0, 0, G_OPTION_ARG_STRING, &mode, "turn (default), together, links", "MODE"},
    {"seconds", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "how long", "S"},
    G_OPTION_ENTRY_NULL,
};

/* What one process has done; in memory shared with the parent. */
typedef struct {
    gint64 deliveries;
    gint64 ended_us;
} Tally;

typedef struct {
    int fd;
    char *staged, *published, *directory;
} Copy;

/* What one process needs for its messages. */
typedef struct {
    Copy *copies; /* one for each recipient */
    int *fds;     /* the same number: what is synced together */
    const char *data;
    Ring ring;
    unsigned process;
    gint64 sequence;
    bool is_together; /* the syncs of many files */
    int files;        /* written for a message: one, or one for each recipient */
} Writer;

static void
copy_name(Copy *copy, int user, const Writer *writer)
{
    g_autofree char *name =
        g_strdup_printf("%" G_GINT64_FORMAT ".M%uP%dQ%" G_GINT64_FORMAT ".host,S=%d,W=%d",
                        g_get_real_time() / G_USEC_PER_SEC, writer->process, (int)getpid(),
                        writer->sequence, size, size);

    copy->directory = g_strdup_printf("%s/user%d/Maildir/new", root, user);
    copy->published = g_strdup_printf("%s/%s", copy->directory, name);
    copy->staged = g_strdup_printf("%s/user%d/Maildir/tmp/%s", root, user, name);
}

static void
copy_stage(Copy *copy, const char *data)
{
    copy->fd = open(copy->staged, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (copy->fd < 0 || write(copy->fd, data, (size_t)size) != size)
        bench_die("cannot write %s", copy->staged);
}

/* The others are links to the first, which is renamed last. */
static void
publish(const Writer *writer)
{
    const Copy *copies = writer->copies;

    for (int i = writer->files; i < recipients; i++) {
        if (link(copies[0].staged, copies[i].published) != 0)
            bench_die("cannot link %s", copies[i].published);
    }
    for (int i = 0; i < writer->files; i++) {
        if (rename(copies[i].staged, copies[i].published) != 0)
            bench_die("cannot rename %s", copies[i].staged);
    }
}

static void
sync_and_close(Writer *writer, int count)
{
    if (writer->is_together) {
        for (int i = 0; i < count; i++)
            writer->fds[i] = writer->copies[i].fd;
        ring_fsync(&writer->ring, writer->fds, (unsigned)count);
    }
    for (int i = 0; i < count; i++) {
        if ((!writer->is_together && fsync(writer->copies[i].fd) != 0) ||
            close(writer->copies[i].fd) != 0)
            bench_die("cannot sync %s", writer->copies[i].staged);
    }
}

static void
open_directory(Copy *copy)
{
    copy->fd = open(copy->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy->fd < 0)
        bench_die("cannot open %s", copy->directory);
    g_free(copy->staged);
    g_free(copy->published);
    g_free(copy->directory);
}

static void
deliver_one_message(Writer *writer, int first_user)
{
    for (int i = 0; i < recipients; i++)
        copy_name(&writer->copies[i], (first_user + i) % users, writer);
    for (int i = 0; i < writer->files; i++)
        copy_stage(&writer->copies[i], writer->data);
    sync_and_close(writer, writer->files);
    publish(writer);
    for (int i = 0; i < recipients; i++)
        open_directory(&writer->copies[i]);
    sync_and_close(writer, recipients);
    writer->sequence++;
}

static void
run_process(unsigned process, const char *data, Tally *tally)
{
    g_autofree Copy *copies = g_new0(Copy, (size_t)recipients);
    g_autofree int *fds = g_new0(int, (size_t)recipients);
    g_autoptr(GRand) rand = g_rand_new_with_seed(process);
    Writer writer = {.copies = copies,
                     .fds = fds,
                     .data = data,
                     .process = process,
                     .is_together = strcmp(mode, "turn") != 0,
                     .files = strcmp(mode, "links") == 0 ? 1 : recipients};

    if (writer.is_together)
        ring_open(&writer.ring);
    gint64 end_us = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);

    do {
        deliver_one_message(&writer, g_rand_int_range(rand, 0, users));
        tally->deliveries += recipients;
    } while (g_get_monotonic_time() < end_us);
    tally->ended_us = g_get_monotonic_time();
}

static void
make_maildirs(void)
{
    static const char *const folders[] = {"tmp", "new", "cur"};

    for (int user = 0; user < users; user++) {
        for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
            g_autofree char *path = g_strdup_printf("%s/user%d/Maildir/%s", root, user, folders[i]);

            if (g_mkdir_with_parents(path, 0700) != 0)
                bench_die("cannot create %s", path);
        }
    }
}

/* Starts the processes, which begin together once all of them are there: a server has its
 * workers from before as well. Returns when they began. */
static gint64
start_processes(const char *data, Tally *tallies)
{
    int gate[2];
    char none;

    if (pipe(gate) != 0)
        bench_die("cannot create a pipe");
    for (int i = 0; i < processes; i++) {
        if (fork() == 0) {
            close(gate[1]);
            (void)!read(gate[0], &none, 1); /* until the end of file */
            run_process((unsigned)i, data, &tallies[i]);
            _exit(0);
        }
    }
    gint64 start_us = g_get_monotonic_time();

    close(gate[0]);
    close(gate[1]);
    return start_us;
}

int
main(int argc, char **argv)
{
    mode = g_strdup("turn");
    bench_parse_options(options, "Does only the file operations of durable delivery.", &argc,
                        &argv);
    if (root == NULL || processes < 1 || users < recipients || recipients < 1 || size < 1 ||
        recipients > RING_ENTRIES)
        bench_die("--root is needed, and users must not be fewer than recipients");
    make_maildirs();
    g_autofree char *data = g_malloc((size_t)size);

    memset(data, 'x', (size_t)size); /* here: what costs before the first delivery is not counted */
    Tally *tallies = mmap(NULL, sizeof(Tally) * (size_t)processes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    gint64 deliveries = 0, ended_us = 0;

    if (tallies == MAP_FAILED)
        bench_die("cannot map memory");

    gint64 start_us = start_processes(data, tallies);

    for (int i = 0, status; i < processes; i++) {
        if (wait(&status) < 0 || status != 0)
            bench_die("a process failed");
    }
    for (int i = 0; i < processes; i++) {
        deliveries += tallies[i].deliveries;
        ended_us = MAX(ended_us, tallies[i].ended_us);
    }
    printf("{\"deliveries\": %" G_GINT64_FORMAT
           ", \"seconds\": %.3f, \"rate\": %.1f, \"cpu_us\": %.1f, \"errors\": 0}\n",
           deliveries, (double)(ended_us - start_us) / 1e6,
           (double)deliveries * 1e6 / (double)(ended_us - start_us),
           (double)bench_cpu_us(RUSAGE_CHILDREN) / (double)MAX(deliveries, 1));
    return 0;
}
