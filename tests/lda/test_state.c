/* tests/lda/test_state.c - what is remembered between deliveries, and for how long */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lda/state.h"

enum { NOW = 1700000000 };

static int
set_up(void **state)
{
    *state = g_dir_make_tmp("lodge-state-XXXXXX", NULL);
    return 0;
}

static int
tear_down(void **state)
{
    g_autofree char *dir = *state;
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);

    return system(command);
}

static State *
open_state(const char *dir)
{
    g_autoptr(GError) error = NULL;
    State *state = state_open(dir, &error);

    if (state == NULL)
        fail_msg("%s", error->message);
    return state;
}

static bool
has(State *state, StateKind kind, const char *key, gint64 now)
{
    bool found = false;
    g_autoptr(GError) error = NULL;

    if (!state_has(state, kind, key, now, &found, &error))
        fail_msg("%s", error->message);
    return found;
}

static void
put(State *state, StateKind kind, const char *key, gint64 now, guint64 seconds)
{
    g_autoptr(GError) error = NULL;

    if (!state_put(state, kind, key, now, seconds, &error))
        fail_msg("%s", error->message);
}

static void
key_is_remembered_until_its_time_is_over(void **data)
{
    g_autoptr(State) state = open_state(*data);

    assert_false(has(state, STATE_VACATION, "a", NOW));
    put(state, STATE_VACATION, "a", NOW, 60);
    assert_true(has(state, STATE_VACATION, "a", NOW));
    assert_true(has(state, STATE_VACATION, "a", NOW + 59));
    assert_false(has(state, STATE_VACATION, "a", NOW + 60));
}

static void
kinds_and_keys_are_apart(void **data)
{
    g_autoptr(State) state = open_state(*data);

    put(state, STATE_VACATION, "a", NOW, 60);
    assert_false(has(state, STATE_DUPLICATE, "a", NOW));
    assert_false(has(state, STATE_VACATION, "A", NOW));
}

static void
later_time_replaces_the_earlier(void **data)
{
    g_autoptr(State) state = open_state(*data);

    put(state, STATE_DUPLICATE, "a", NOW, 10);
    put(state, STATE_DUPLICATE, "a", NOW + 5, 60);
    assert_true(has(state, STATE_DUPLICATE, "a", NOW + 30));
}

static void
memory_outlives_the_process(void **data)
{
    state_free(open_state(*data));
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        State *state = state_open(*data, NULL);

        if (state == NULL || !state_put(state, STATE_NOTICE, "a", NOW, 60, NULL))
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    g_autoptr(State) state = open_state(*data);

    assert_true(has(state, STATE_NOTICE, "a", NOW));
}

static void
missing_directories_are_made_for_the_owner_only(void **data)
{
    g_autofree char *dir = g_build_filename(*data, "home", ".lodge", NULL);
    g_autofree char *file = g_build_filename(dir, "state.db", NULL);
    struct stat info;

    state_free(open_state(dir));
    assert_int_equal(stat(dir, &info), 0);
    assert_int_equal(info.st_mode & 0077, 0);
    assert_int_equal(stat(file, &info), 0);
}

/* As many entries as there may be, named "0" and on. */
static void
fill(const char *dir)
{
    g_autofree char *file = g_build_filename(dir, "state.db", NULL);
    g_autofree char *sql = g_strdup_printf(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " INSERT INTO entries SELECT %d, i, %d + i, %d FROM n",
        STATE_MAX_ENTRIES - 1, STATE_DUPLICATE, NOW, NOW + 1000000);
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
number_of_entries_is_bounded_and_the_oldest_go_first(void **data)
{
    g_autoptr(State) state = open_state(*data);

    put(state, STATE_VACATION, "other kind", NOW, 1000000);
    fill(*data);
    for (int i = STATE_MAX_ENTRIES; i < STATE_MAX_ENTRIES + 10; i++) {
        g_autofree char *key = g_strdup_printf("%d", i);

        put(state, STATE_DUPLICATE, key, NOW + i, 1000000);
    }
    assert_false(has(state, STATE_DUPLICATE, "0", NOW));
    assert_false(has(state, STATE_DUPLICATE, "9", NOW));
    assert_true(has(state, STATE_DUPLICATE, "10", NOW));
    assert_true(has(state, STATE_DUPLICATE, "10009", NOW));
    assert_true(has(state, STATE_VACATION, "other kind", NOW));
}

/* As files were before counts were kept. */
static void
forget_counts(const char *dir)
{
    g_autofree char *file = g_build_filename(dir, "state.db", NULL);
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TRIGGER one_more; DROP TRIGGER one_less; DROP TABLE counts",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
file_from_before_counts_were_kept_is_bounded_too(void **data)
{
    {
        g_autoptr(State) state = open_state(*data);
        put(state, STATE_DUPLICATE, "oldest", NOW - 1, 1000000);
        put(state, STATE_VACATION, "again", NOW, 60);
    }
    fill(*data);
    forget_counts(*data);
    g_autoptr(State) state = open_state(*data);
    put(state, STATE_VACATION, "again", NOW, 60);
    put(state, STATE_DUPLICATE, "newest", NOW, 1000000);
    assert_false(has(state, STATE_DUPLICATE, "oldest", NOW));
    assert_true(has(state, STATE_DUPLICATE, "newest", NOW));
    assert_true(has(state, STATE_VACATION, "again", NOW));
}

/* What this process has read so far with system calls. */
static guint64
octets_read(void)
{
    g_autofree char *text = NULL;
    const char *found;

    assert_true(g_file_get_contents("/proc/self/io", &text, NULL, NULL));
    found = strstr(text, "rchar: ");
    assert_non_null(found);
    return g_ascii_strtoull(found + strlen("rchar: "), NULL, 10);
}

/* What opening the file and remembering one thing reads. */
static guint64
cost_of_a_put(const char *dir, const char *key)
{
    guint64 before = octets_read();
    g_autoptr(State) state = open_state(dir);

    put(state, STATE_DUPLICATE, key, NOW, 1000000);
    return octets_read() - before;
}

static void
to_remember_costs_the_same_however_much_is_remembered(void **data)
{
    g_autofree char *file = g_build_filename(*data, "state.db", NULL);
    struct stat info;
    guint64 first, last;

    (void)cost_of_a_put(*data, "a");
    first = cost_of_a_put(*data, "b");
    fill(*data);
    last = cost_of_a_put(*data, "c");
    assert_int_equal(stat(file, &info), 0);
    assert_true(info.st_size > 400 * 1024);
    assert_in_range(last - first, 0, 64 * 1024); /* a page or two more of each tree */
}

static void
key_of_any_length_and_any_octets_is_remembered(void **data)
{
    g_autoptr(State) state = open_state(*data);
    g_autofree char *near = g_strnfill(100000, 'x');
    g_autofree char *far = g_strnfill(100001, 'x');

    put(state, STATE_DUPLICATE, near, NOW, 60);
    put(state, STATE_DUPLICATE, "\xff\xfe", NOW, 60);
    assert_true(has(state, STATE_DUPLICATE, near, NOW));
    assert_false(has(state, STATE_DUPLICATE, far, NOW));
    assert_true(has(state, STATE_DUPLICATE, "\xff\xfe", NOW));
}

static void
damaged_file_is_set_aside(void **data)
{
    g_autofree char *file = g_build_filename(*data, "state.db", NULL);
    g_autofree char *aside = g_build_filename(*data, "state.db.damaged", NULL);
    g_autofree char *noise = g_strnfill(4096, '#');

    assert_true(g_file_set_contents(file, noise, 4096, NULL));
    g_autoptr(State) state = open_state(*data);
    put(state, STATE_DUPLICATE, "a", NOW, 60);
    assert_true(has(state, STATE_DUPLICATE, "a", NOW));
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
}

static void
damage_within_the_file_is_noticed_later(void **data)
{
    g_autofree char *file = g_build_filename(*data, "state.db", NULL);
    g_autofree char *aside = g_build_filename(*data, "state.db.damaged", NULL);
    g_autofree char *noise = g_strnfill(8192, '#');
    struct stat info;

    {
        g_autoptr(State) state = open_state(*data);

        for (int i = 0; i < 200; i++) {
            g_autofree char *key = g_strdup_printf("some key that takes room %d", i);

            put(state, STATE_DUPLICATE, key, NOW, 60);
        }
    }
    assert_int_equal(stat(file, &info), 0);
    lodge_autofd fd = open(file, O_WRONLY | O_CLOEXEC);
    for (off_t at = 4096; at < info.st_size; at += 4096)
        assert_int_equal(pwrite(fd, noise, 4096, at), 4096);

    g_autoptr(State) state = open_state(*data);

    put(state, STATE_DUPLICATE, "a", NOW, 60);
    assert_true(has(state, STATE_DUPLICATE, "a", NOW));
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
}

static void
link_in_place_of_the_file_is_refused(void **data)
{
    g_autofree char *file = g_build_filename(*data, "state.db", NULL);
    g_autoptr(GError) error = NULL;

    assert_int_equal(symlink("/tmp/elsewhere", file), 0);
    assert_null(state_open(*data, &error));
    assert_non_null(strstr(error->message, "not a regular file"));
}

static void
directory_that_cannot_be_made_is_named(void **data)
{
    g_autofree char *file = g_build_filename(*data, "file", NULL);
    g_autofree char *dir = g_build_filename(file, "home", NULL);
    g_autoptr(GError) error = NULL;

    assert_true(g_file_set_contents(file, "", 0, NULL));
    assert_null(state_open(dir, &error));
    assert_int_equal(error->domain, G_FILE_ERROR);
    assert_non_null(strstr(error->message, dir));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(key_is_remembered_until_its_time_is_over),
        TEST(kinds_and_keys_are_apart),
        TEST(later_time_replaces_the_earlier),
        TEST(memory_outlives_the_process),
        TEST(missing_directories_are_made_for_the_owner_only),
        TEST(number_of_entries_is_bounded_and_the_oldest_go_first),
        TEST(file_from_before_counts_were_kept_is_bounded_too),
        TEST(to_remember_costs_the_same_however_much_is_remembered),
        TEST(key_of_any_length_and_any_octets_is_remembered),
        TEST(damaged_file_is_set_aside),
        TEST(damage_within_the_file_is_noticed_later),
        TEST(link_in_place_of_the_file_is_refused),
        TEST(directory_that_cannot_be_made_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
