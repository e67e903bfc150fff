/* tests/lda/test_programs.c - programs of scripts: which may run, and how they end */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "lda/programs.h"

typedef struct {
    char *directory;
    ProgramOptions options;
} Fixture;

static void
write_program(const Fixture *fixture, const char *name, const char *text, mode_t mode)
{
    g_autofree char *path = g_build_filename(fixture->directory, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_int_equal(chmod(path, mode), 0);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->directory = g_dir_make_tmp("lodge-programs-XXXXXX", NULL);
    assert_non_null(fixture->directory);
    fixture->options = (ProgramOptions){
        .directory = fixture->directory, .timeout_ms = 20000, .max_output = 1 << 20};
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    GDir *dir = g_dir_open(fixture->directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(fixture->directory, name, NULL);

        (void)g_unlink(path);
    }
    g_dir_close(dir);
    assert_int_equal(g_rmdir(fixture->directory), 0);
    g_free(fixture->directory);
    g_free(fixture);
    return 0;
}

/* Runs a script with input; its output, NULL when it failed with *status_out. */
static char *
run_script(const Fixture *fixture, const char *script, const char *const *arguments,
           const char *input, int *status_out)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) output = NULL;
    bool is_run;

    write_program(fixture, "p", script, 0700);
    is_run = program_run(&fixture->options, "p", arguments, (const uint8_t *)input,
                         input == NULL ? 0 : strlen(input), status_out, &output, &error);
    assert_null(error);
    assert_true(is_run);
    return output == NULL ? NULL
                          : g_strndup(g_bytes_get_data(output, NULL), g_bytes_get_size(output));
}

static void
input_goes_in_and_output_comes_out(void **state)
{
    int status;
    g_autofree char *out = run_script(*state, "#!/bin/sh\ntr a-z A-Z\n", NULL, "hello", &status);

    assert_int_equal(status, 0);
    assert_string_equal(out, "HELLO");
}

static void
arguments_are_passed_as_they_are(void **state)
{
    static const char *const arguments[] = {"one two", "$HOME;*", "", NULL};
    int status;
    g_autofree char *out =
        run_script(*state, "#!/bin/sh\nprintf '<%s>' \"$@\"\n", arguments, NULL, &status);

    assert_string_equal(out, "<one two><$HOME;*><>");
}

static void
the_environment_is_made_from_nothing(void **state)
{
    static const char *const environment[] = {"SENDER=ana@example.org", NULL};
    Fixture *fixture = *state;
    int status;

    assert_true(g_setenv("LODGE_SECRET", "x", TRUE));
    fixture->options.environment = environment;
    g_autofree char *out =
        run_script(fixture, "#!/bin/sh\nexec /usr/bin/env\n", NULL, NULL, &status);

    assert_non_null(strstr(out, "PATH=/usr/local/bin:/usr/bin:/bin\n"));
    assert_non_null(strstr(out, "SENDER=ana@example.org\n"));
    assert_null(strstr(out, "LODGE_SECRET"));
}

static void
no_descriptor_of_ours_is_inherited(void **state)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int status, open_fd = fcntl(null_fd, F_DUPFD, 77); /* without O_CLOEXEC */

    assert_int_equal(open_fd, 77);
    g_autofree char *out = run_script(
        *state, "#!/bin/sh\ntest -e /proc/self/fd/77 || echo closed\n", NULL, NULL, &status);

    (void)close(open_fd);
    (void)close(null_fd);
    assert_string_equal(out, "closed\n");
}

static void
more_than_a_pipe_holds_goes_both_ways(void **state)
{
    g_autofree char *input = g_strnfill(900000, 'x');
    int status;
    g_autofree char *out = run_script(*state, "#!/bin/sh\nexec cat\n", NULL, input, &status);

    assert_int_equal(status, 0);
    assert_string_equal(out, input);
}

static void
input_that_is_not_read_is_no_failure(void **state)
{
    g_autofree char *input = g_strnfill(900000, 'x');
    int status;
    g_autofree char *out = run_script(*state, "#!/bin/sh\necho done\n", NULL, input, &status);

    assert_int_equal(status, 0);
    assert_string_equal(out, "done\n");
}

static void
an_exit_status_is_told_and_the_output_dropped(void **state)
{
    Fixture *fixture = *state;
    int status;
    g_autofree char *out = run_script(fixture, "#!/bin/sh\necho x\nexit 3\n", NULL, NULL, &status);
    g_autofree char *text = program_describe(&fixture->options, status);

    assert_null(out);
    assert_int_equal(status, 3);
    assert_string_equal(text, "exited with status 3");
    assert_false(program_is_temporary(3));
    assert_true(program_is_temporary(75));
}

static void
a_signal_is_told(void **state)
{
    Fixture *fixture = *state;
    int status;
    g_autofree char *out = run_script(fixture, "#!/bin/sh\nkill -TERM $$\n", NULL, NULL, &status);
    g_autofree char *text = program_describe(&fixture->options, status);

    assert_null(out);
    assert_string_equal(text, "was ended by signal 15");
}

/* A descriptor that becomes readable when the process has ended; -1 when there is none of that
 * number. */
static int
pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void
one_that_takes_too_long_is_killed_with_its_children(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *pid_file = g_build_filename(fixture->directory, "pid", NULL);
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\nsleep 1000 &\necho $! >%s.new\nmv %s.new %s\nwait\n", pid_file,
                        pid_file, pid_file);
    g_autofree char *pid = NULL;
    int status;

    fixture->options.timeout_ms = 300;
    g_autofree char *out = run_script(fixture, script, NULL, NULL, &status);
    g_autofree char *text = program_describe(&fixture->options, status);

    assert_null(out);
    assert_int_equal(status, PROGRAM_TIMED_OUT);
    assert_string_equal(text, "took longer than 0.3 seconds");
    /* On a very slow machine the script has not come that far: then nothing is left either. */
    if (g_file_get_contents(pid_file, &pid, NULL, NULL)) {
        lodge_autofd child = pidfd_of((pid_t)strtol(pid, NULL, 10));
        struct pollfd ended = {.fd = child, .events = POLLIN};

        /* Gone and waited for, or its end is at most a moment away: the kernel kills in its own
         * time. */
        if (child >= 0)
            assert_int_equal(poll(&ended, 1, 60 * 1000), 1);
    }
}

static void
what_it_leaves_behind_does_not_keep_us_waiting(void **state)
{
    int status;
    gint64 start = g_get_monotonic_time();
    g_autofree char *out =
        run_script(*state, "#!/bin/sh\nsleep 1000 &\necho done\n", NULL, NULL, &status);

    assert_string_equal(out, "done\n");
    assert_true(g_get_monotonic_time() - start < 15 * G_USEC_PER_SEC);
}

static void
output_past_the_limit_is_a_failure(void **state)
{
    Fixture *fixture = *state;
    int status;

    fixture->options.max_output = 1000;
    g_autofree char *enough =
        run_script(fixture, "#!/bin/sh\nprintf %1000s x\n", NULL, NULL, &status);

    assert_int_equal(strlen(enough), 1000);
    g_autofree char *out = run_script(fixture, "#!/bin/sh\nexec yes\n", NULL, NULL, &status);

    assert_null(out);
    assert_int_equal(status, PROGRAM_WROTE_TOO_MUCH);
}

static void
output_that_nobody_wants_is_thrown_away(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    int status;

    write_program(fixture, "p", "#!/bin/sh\nhead -c 3000000 /dev/zero\n", 0700);
    assert_true(program_run(&fixture->options, "p", NULL, NULL, 0, &status, NULL, &error));
    assert_int_equal(status, 0);
}

/* ---- which programs there are -------------------------------------------- */

static void
assert_unknown(const Fixture *fixture, const char *name, const char *why)
{
    g_autoptr(GError) error = NULL;
    int status;

    assert_false(program_run(&fixture->options, name, NULL, NULL, 0, &status, NULL, &error));
    assert_true(g_error_matches(error, PROGRAM_ERROR, PROGRAM_ERROR_UNKNOWN));
    if (strstr(error->message, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error->message, why);
}

static void
only_names_in_the_directory_are_programs(void **state)
{
    assert_unknown(*state, "nosuch", "none of that name");
    assert_unknown(*state, "/bin/true", "no file name");
    assert_unknown(*state, "../p", "no file name");
    assert_unknown(*state, "..", "no file name");
    assert_unknown(*state, ".", "no file name");
    assert_unknown(*state, "", "no file name");
}

static void
a_link_may_point_to_a_neighbour_but_not_out(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *out_link = g_build_filename(fixture->directory, "out", NULL);
    g_autofree char *near_link = g_build_filename(fixture->directory, "near", NULL);
    g_autoptr(GError) error = NULL;
    int status = -1;

    write_program(fixture, "p", "#!/bin/sh\nexit 0\n", 0755);
    assert_int_equal(symlink("/bin/true", out_link), 0);
    assert_int_equal(symlink("p", near_link), 0);
    assert_unknown(fixture, "out", "link out");
    assert_true(program_run(&fixture->options, "near", NULL, NULL, 0, &status, NULL, &error));
    assert_int_equal(status, 0);
}

static void
what_cannot_be_run_or_anybody_may_write_is_no_program(void **state)
{
    const Fixture *fixture = *state;

    write_program(fixture, "plain", "#!/bin/sh\n", 0644);
    assert_unknown(fixture, "plain", "executable");
    write_program(fixture, "open", "#!/bin/sh\n", 0777);
    assert_unknown(fixture, "open", "anybody");
    write_program(fixture, "broken", "#!/nonexistent/interpreter\n", 0755);
    assert_unknown(fixture, "broken", "No such file");
}

static void
a_directory_that_is_not_there_is_not_the_fault_of_the_script(void **state)
{
    const Fixture *fixture = *state;
    ProgramOptions options = fixture->options;
    g_autoptr(GError) error = NULL;
    int status;

    options.directory = "/nonexistent/programs";
    assert_false(program_run(&options, "p", NULL, NULL, 0, &status, NULL, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(input_goes_in_and_output_comes_out),
        TEST(arguments_are_passed_as_they_are),
        TEST(the_environment_is_made_from_nothing),
        TEST(no_descriptor_of_ours_is_inherited),
        TEST(more_than_a_pipe_holds_goes_both_ways),
        TEST(input_that_is_not_read_is_no_failure),
        TEST(an_exit_status_is_told_and_the_output_dropped),
        TEST(a_signal_is_told),
        TEST(one_that_takes_too_long_is_killed_with_its_children),
        TEST(what_it_leaves_behind_does_not_keep_us_waiting),
        TEST(output_past_the_limit_is_a_failure),
        TEST(output_that_nobody_wants_is_thrown_away),
        TEST(only_names_in_the_directory_are_programs),
        TEST(a_link_may_point_to_a_neighbour_but_not_out),
        TEST(what_cannot_be_run_or_anybody_may_write_is_no_program),
        TEST(a_directory_that_is_not_there_is_not_the_fault_of_the_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
