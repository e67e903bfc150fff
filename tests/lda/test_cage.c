/* tests/lda/test_cage.c - what code in a cage can do, and how it ends when it does more */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "lda/cage.h"

/* Generous where a test is not about it: machines are slow. */
static const CageLimits roomy = {
    .cpu_time = 1000, .memory = 64 << 20, .timeout_ms = 1000 * 1000, .max_answer = 1000};

static void
open_nothing(void *data)
{
    (void)data;
}

/* Runs work; the answer, or NULL with error. */
static GBytes *
run(void (*work)(void *data, GByteArray *answer), void *data, const CageLimits *limits,
    GError **error)
{
    const CageTask task = {.open = open_nothing, .work = work, .data = data};
    GBytes *answer = NULL;

    return cage_run(&task, limits, &answer, error) ? answer : NULL;
}

static void
assert_answer(void (*work)(void *data, GByteArray *answer), void *data, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) answer = run(work, data, &roomy, &error);

    if (answer == NULL)
        fail_msg("%s", error->message);
    assert_int_equal(g_bytes_get_size(answer), strlen(expected));
    assert_memory_equal(g_bytes_get_data(answer, NULL), expected, strlen(expected));
}

static void
assert_ends(void (*work)(void *data, GByteArray *answer), const CageLimits *limits, CageError code,
            const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) answer = run(work, NULL, limits, &error);

    assert_null(answer);
    assert_int_equal(error->domain, CAGE_ERROR);
    assert_string_equal(error->message, message);
    assert_int_equal(error->code, code);
}

static void
say(GByteArray *answer, const char *text)
{
    g_byte_array_append(answer, (const guint8 *)text, (guint)strlen(text));
}

/* ---- what goes well ----------------------------------------------------------- */

static void
repeat(void *data, GByteArray *answer)
{
    say(answer, data);
}

static void
its_answer_comes_out(void **state)
{
    (void)state;
    assert_answer(repeat, "hello", "hello");
    assert_answer(repeat, "", "");
}

static void
answer_of_the_greatest_size_comes_out(void **state)
{
    g_autofree char *text = g_strnfill(roomy.max_answer, 'x');

    (void)state;
    assert_answer(repeat, text, text);
}

static void
open_file(void *data)
{
    *(int *)data = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
report_file(void *data, GByteArray *answer)
{
    say(answer, *(int *)data >= 0 ? "opened" : "not opened");
}

static void
files_can_be_opened_before_it_is_shut(void **state)
{
    int fd = -1;
    const CageTask task = {.open = open_file, .work = report_file, .data = &fd};
    g_autoptr(GBytes) answer = NULL;

    (void)state;
    assert_true(cage_run(&task, &roomy, &answer, NULL));
    assert_memory_equal(g_bytes_get_data(answer, NULL), "opened", 6);
    assert_int_equal(fd, -1); /* what it does in its memory is not seen in ours */
}

static void
write_to_file(void *data, GByteArray *answer)
{
    say(answer, write(*(int *)data, "x", 1) < 0 && errno == EBADF ? "closed" : "open");
}

static void
open_files_are_closed_to_it(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0); /* would stay open over exec(2) as well */
    assert_answer(write_to_file, &ends[1], "closed");
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static volatile uid_t owner_of_the_ended;

static void
remember_owner(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    owner_of_the_ended = info->si_uid;
}

/* Also when root runs this. */
static void
it_is_not_run_by_root(void **state)
{
    const struct sigaction remember = {.sa_sigaction = remember_owner, .sa_flags = SA_SIGINFO};
    struct sigaction before;

    (void)state;
    owner_of_the_ended = 0;
    assert_int_equal(sigaction(SIGCHLD, &remember, &before), 0);
    assert_answer(repeat, "", "");
    (void)sigaction(SIGCHLD, &before, NULL);
    assert_int_not_equal(owner_of_the_ended, 0);
}

static void
map_much(void *data, GByteArray *answer)
{
    void *room = mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)data;
    say(answer, room == MAP_FAILED ? "refused" : "given");
}

static void
memory_past_its_limit_is_refused(void **state)
{
    (void)state;
    assert_answer(map_much, NULL, "refused");
}

/* ---- what ends it ------------------------------------------------------------- */

static void
crash(void *data, GByteArray *answer)
{
    (void)data;
    say(answer, "half of ");
    __builtin_trap();
}

static void
a_crash_is_an_error_and_nothing_else(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) answer = run(crash, NULL, &roomy, &error);

    (void)state;
    assert_null(answer);
    assert_true(g_error_matches(error, CAGE_ERROR, CAGE_ERROR_DIED));
    assert_true(g_str_has_prefix(error->message, "crashed ("));
    assert_answer(repeat, "the next", "the next");
}

static void
spin(void *data, GByteArray *answer)
{
    volatile unsigned turns = 0;

    (void)data;
    (void)answer;
    for (;;)
        turns++;
}

static void
endless_loop_ends_with_its_cpu_time(void **state)
{
    CageLimits limits = roomy;

    (void)state;
    limits.cpu_time = 1;
    assert_ends(spin, &limits, CAGE_ERROR_LIMIT, "took more than 1 seconds of CPU time");
}

static void
endless_loop_ends_with_its_time(void **state)
{
    CageLimits limits = roomy;

    (void)state;
    limits.timeout_ms = 100;
    assert_ends(spin, &limits, CAGE_ERROR_LIMIT, "took longer than 100 milliseconds");
}

static void
talk_on(void *data, GByteArray *answer)
{
    static const char text[100] = "x";

    (void)data;
    for (size_t i = 0; i < 11; i++)
        g_byte_array_append(answer, (const guint8 *)text, sizeof text);
}

static void
answer_that_is_too_long_is_an_error(void **state)
{
    (void)state;
    assert_ends(talk_on, &roomy, CAGE_ERROR_LIMIT, "answered more than 1000 octets");
}

/* ---- what is forbidden -------------------------------------------------------- */

static void
open_in_it(void *data, GByteArray *answer)
{
    (void)data;
    say(answer, open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? "not opened" : "opened");
}

static void
signal_parent(void *data, GByteArray *answer)
{
    (void)data;
    say(answer, kill(getppid(), 0) == 0 ? "signalled" : "not signalled");
}

static void
start_process(void *data, GByteArray *answer)
{
    (void)data;
    say(answer, fork() >= 0 ? "started" : "not started");
}

static void
run_program(void *data, GByteArray *answer)
{
    char *arguments[] = {"/bin/true", NULL};

    (void)data;
    (void)execv(arguments[0], arguments);
    say(answer, "not run");
}

static void
map_code(void *data, GByteArray *answer)
{
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)data;
    say(answer, code == MAP_FAILED ? "not mapped" : "mapped");
}

static void
look_into_the_network(void *data, GByteArray *answer)
{
    (void)data;
    say(answer, syscall(SYS_socket, 1, 1, 0) >= 0 ? "connected" : "not connected");
}

typedef struct {
    const char *behaviour;
    void (*work)(void *data, GByteArray *answer);
} Forbidden;

static const Forbidden forbidden[] = {
    {"it_cannot_open_files", open_in_it},
    {"it_cannot_send_signals", signal_parent},
    {"it_cannot_start_processes", start_process},
    {"it_cannot_run_programs", run_program},
    {"it_cannot_make_code", map_code},
    {"it_cannot_use_sockets", look_into_the_network},
};

static void
check_forbidden(void **state)
{
    const Forbidden *row = *state;

    assert_ends(row->work, &roomy, CAGE_ERROR_DIED, "crashed (Bad system call)");
}

int
main(void)
{
    const struct CMUnitTest single[] = {
        cmocka_unit_test(its_answer_comes_out),
        cmocka_unit_test(answer_of_the_greatest_size_comes_out),
        cmocka_unit_test(files_can_be_opened_before_it_is_shut),
        cmocka_unit_test(open_files_are_closed_to_it),
        cmocka_unit_test(it_is_not_run_by_root),
        cmocka_unit_test(memory_past_its_limit_is_refused),
        cmocka_unit_test(a_crash_is_an_error_and_nothing_else),
        cmocka_unit_test(endless_loop_ends_with_its_cpu_time),
        cmocka_unit_test(endless_loop_ends_with_its_time),
        cmocka_unit_test(answer_that_is_too_long_is_an_error),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(single) + G_N_ELEMENTS(forbidden)];

    memcpy(tests, single, sizeof single);
    for (size_t i = 0; i < G_N_ELEMENTS(forbidden); i++)
        tests[G_N_ELEMENTS(single) + i] =
            (struct CMUnitTest){.name = forbidden[i].behaviour,
                                .test_func = check_forbidden,
                                .initial_state = (void *)&forbidden[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
