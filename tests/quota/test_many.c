/* tests/quota/test_many.c - fifty processes at the edge of the limit, killed at random
 *
 * Each worker delivers as a program does: reserve, name, publish by rename, settle. It tells the
 * parent, in memory they share, how far it came: what is killed may lie in the mailbox or not, but
 * whatever lies there has to be in the sum when all is over. Nothing depends on time: the parent
 * kills each time the workers have made so many steps together, and waits for all of them.
 */
#include "tests/quota/mailbox.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    WORKERS = 50,
    DELIVERIES = 200,
    KILLS = 120,
    STEPS_A_KILL = 20,
    LIMIT = 300 * 1000,
    LARGEST = 600
};

/* Written by all workers. */
typedef struct {
    unsigned stored;
    unsigned refused; /* for good */
    unsigned put_off;
    unsigned errors;
    char error[256];
} Shared;

static Shared *shared;
static int steps[2]; /* a pipe: one octet for each delivery that was tried */

static void
count(unsigned *number)
{
    __atomic_fetch_add(number, 1, __ATOMIC_SEQ_CST);
}

static void
note_error(const char *message)
{
    if (__atomic_fetch_add(&shared->errors, 1, __ATOMIC_SEQ_CST) == 0)
        g_strlcpy(shared->error, message, sizeof shared->error);
}

/* Everything that is in the mailbox, whoever put it there. */
static guint64
sum_of(const Mailbox *mailbox, unsigned *count_out)
{
    g_autofree char *path = g_build_filename(mailbox->path, "new", NULL);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    guint64 sum = 0;

    *count_out = 0;
    while ((name = g_dir_read_name(dir)) != NULL) {
        sum += g_ascii_strtoull(strstr(name, ",S=") + 3, NULL, 10);
        ++*count_out;
    }
    g_dir_close(dir);
    return sum;
}

/* Full for good: then what is there, which only grows, leaves no room. */
static void
note_refusal(const Mailbox *mailbox, guint64 octets, const GError *error)
{
    unsigned messages;

    if (g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL_FOR_NOW))
        count(&shared->put_off);
    else if (!g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_FULL))
        note_error(error->message);
    else if (sum_of(mailbox, &messages) + octets <= LIMIT)
        note_error("what fits was refused");
    else
        count(&shared->refused);
}

static void
deliver_one(Mailbox *mailbox, unsigned worker, unsigned number)
{
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;
    guint64 octets = 1 + g_random_int_range(0, LARGEST);
    g_autofree char *base =
        g_strdup_printf("1%u.M%uP%d,S=%" G_GUINT64_FORMAT, worker, number, (int)getpid(), octets);
    g_autofree char *staged = g_build_filename("tmp", base, NULL);
    g_autofree char *published = g_build_filename("new", base, NULL);
    QuotaChange change;

    if (!quota_reserve(quota, "", octets, mailbox->now_us, &error)) {
        note_refusal(mailbox, octets, error);
        return;
    }
    mailbox_write(mailbox, staged, "");
    if (number % 16 == 3)
        return; /* gives the room back */
    if (!quota_name(quota, base, &error) ||
        renameat(mailbox->fd, staged, mailbox->fd, published) != 0 ||
        !quota_settle(quota, mailbox->now_us, &change, &error))
        note_error(error != NULL ? error->message : "rename");
    else if (change.after.octets > LIMIT)
        note_error("the limit is passed");
    else
        count(&shared->stored);
}

static void
work(Mailbox *mailbox, unsigned worker)
{
    for (unsigned number = 0; number < DELIVERIES; number++) {
        deliver_one(mailbox, worker, number);
        (void)write(steps[1], "x", 1); /* a full pipe waits for the parent, or the end */
    }
    _exit(0);
}

static pid_t
start(Mailbox *mailbox, unsigned worker)
{
    pid_t pid = fork();

    if (pid == 0)
        work(mailbox, worker);
    assert_true(pid > 0);
    return pid;
}

/* Kills one of them each time they have made some steps, and starts another in its place. */
static void
kill_some(Mailbox *mailbox, pid_t *pids)
{
    unsigned killed = 0;

    for (unsigned i = 0; i < KILLS; i++) {
        unsigned victim = (unsigned)g_random_int_range(0, WORKERS);
        char made[STEPS_A_KILL];
        int status;

        assert_true(read(steps[0], made, sizeof made) > 0);
        (void)kill(pids[victim], SIGKILL); /* not waited for yet: it is ours */
        assert_int_equal(waitpid(pids[victim], &status, 0), pids[victim]);
        killed += WIFSIGNALED(status) ? 1 : 0;
        pids[victim] = start(mailbox, victim);
    }
    assert_true(killed > 0); /* the first cannot have ended by itself */
}

/* Until all have ended. */
static void
wait_for_all(const pid_t *pids)
{
    char made[4096];

    (void)close(steps[1]);
    while (read(steps[0], made, sizeof made) > 0)
        ;
    (void)close(steps[0]);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
}

static void
deliveries_at_the_edge_of_the_limit_are_exact_though_many_are_killed(void **state)
{
    Mailbox *mailbox = *state;
    pid_t pids[WORKERS];
    unsigned messages;

    mailbox->settings.limits.octets = LIMIT;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_int_equal(pipe(steps), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        pids[i] = start(mailbox, i);
    kill_some(mailbox, pids);
    wait_for_all(pids);

    print_message("%u stored, %u refused, %u put off\n", shared->stored, shared->refused,
                  shared->put_off);
    if (shared->errors > 0)
        fail_msg("%u errors, the first: %s", shared->errors, shared->error);
    /* Both sides of the edge were seen. */
    assert_true(shared->stored > 0 && shared->refused > 0);

    guint64 sum = sum_of(mailbox, &messages);

    assert_true(sum <= LIMIT);
    assert_usage(mailbox_usage(mailbox), sum, messages);
    /* Nothing is left set aside, and the last octet can be used. */
    assert_int_equal(mailbox_try(mailbox, "", LIMIT - sum), -1);
    assert_int_equal(mailbox_try(mailbox, "", LIMIT - sum + 1), QUOTA_ERROR_FULL);
    assert_int_equal(munmap(shared, sizeof *shared), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(deliveries_at_the_edge_of_the_limit_are_exact_though_many_are_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
