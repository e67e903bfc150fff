/* tests/lda/test_scripts.c - which scripts run for a recipient, and when they are compiled
 *
 * A compiled script that is the same object was not opened again. The clock is the test's; times of
 * files are those of the kernel.
 */
#include "sieve_fixture.h"

#include <time.h>

static gint64 clock_us; /* before any change of a file, until let_it_settle() */

gint64
g_get_real_time(void)
{
    return clock_us;
}

static GPtrArray *
chain_of(const Fixture *fixture, Scripts *scripts, const char *sieve)
{
    const Mailbox mailbox = {.user = (char *)"ana@example.org", .sieve = (char *)sieve};
    g_autoptr(GError) error = NULL;
    GPtrArray *chain = scripts_chain(scripts, &mailbox, fixture->home, &error);

    if (error != NULL)
        fail_msg("%s", error->message);
    return chain != NULL ? chain : g_ptr_array_new();
}

/* The names of the chain's files, joined by blanks. */
static char *
names_of(const GPtrArray *chain)
{
    GString *names = g_string_new(NULL);

    for (guint i = 0; i < chain->len; i++) {
        g_autofree char *name = g_path_get_basename(((ScriptLink *)chain->pdata[i])->path);

        g_string_append_printf(names, "%s%s", i > 0 ? " " : "", name);
    }
    return g_string_free(names, FALSE);
}

static void
assert_chain(const Fixture *fixture, const char *sieve, const char *expected)
{
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) chain = chain_of(fixture, scripts, sieve);
    g_autofree char *names = names_of(chain);

    assert_string_equal(names, expected);
}

/* Past the time in which changes of a file may look the same. */
static void
let_it_settle(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    clock_us = (now.tv_sec + 60) * (gint64)G_USEC_PER_SEC;
}

static int
set_up_clock(void **state)
{
    clock_us = 0;
    return set_up(state);
}

/* ---- which ----------------------------------------------------------------- */

static void
user_without_a_script_has_no_chain(void **state)
{
    assert_chain(*state, NULL, "");
}

static void
script_of_the_user_is_where_dovecot_has_it(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->home, ".dovecot.sieve", NULL);

    write_home(fixture, "sieve/mine.sieve", "keep;");
    assert_int_equal(symlink("sieve/mine.sieve", link), 0);
    assert_chain(fixture, NULL, ".dovecot.sieve");
}

static void
link_may_be_absolute_below_the_root(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->home, ".dovecot.sieve", NULL);
    g_autofree char *target = g_build_filename(fixture->home, "sieve/mine.sieve", NULL);

    write_home(fixture, "sieve/mine.sieve", "keep;");
    assert_int_equal(symlink(target, link), 0);
    assert_chain(fixture, NULL, ".dovecot.sieve");
}

static void
link_that_leads_nowhere_is_no_script(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->home, ".dovecot.sieve", NULL);

    assert_int_equal(symlink("sieve/gone.sieve", link), 0);
    assert_chain(fixture, NULL, "");
}

static void
link_out_of_the_mail_root_is_refused(void **state)
{
    Fixture *fixture = *state;
    const Mailbox mailbox = {.user = (char *)"ana@example.org"};
    g_autofree char *link = g_build_filename(fixture->home, ".dovecot.sieve", NULL);
    g_autofree char *secret = below(fixture, "secret");
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GError) error = NULL;

    write_file(secret, "password");
    assert_int_equal(symlink(secret, link), 0);
    assert_null(scripts_chain(scripts, &mailbox, fixture->home, &error));
    assert_non_null(strstr(error->message, "leads out of the mail root"));
}

static void
row_of_the_map_names_another_script(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "keep;");
    write_home(fixture, "other.sieve", "keep;");
    assert_chain(fixture, "other.sieve", "other.sieve");
    assert_chain(fixture, "%h/other.sieve", "other.sieve");
    assert_chain(fixture, "%h/missing.sieve", "");
}

static void
default_runs_for_those_who_have_none(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *setting = g_strdup_printf("default = %s/default.sieve\n", fixture->dir);

    start(fixture, setting);
    assert_chain(fixture, NULL, "");
    write_below(fixture, "default.sieve", "keep;");
    assert_chain(fixture, NULL, "default.sieve");
    write_script(fixture, "keep;");
    assert_chain(fixture, NULL, ".dovecot.sieve");
}

static void
before_and_after_are_files_and_sorted_directories(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *setting = g_strdup_printf(
        "before = %s/first.sieve %s/many\nafter = %%h/last.sieve\n", fixture->dir, fixture->dir);

    start(fixture, setting);
    write_below(fixture, "first.sieve", "keep;");
    write_below(fixture, "many/20.sieve", "keep;");
    write_below(fixture, "many/10.sieve", "keep;");
    write_below(fixture, "many/.hidden.sieve", "keep;");
    write_below(fixture, "many/README", "keep;");
    write_script(fixture, "keep;");
    write_home(fixture, "last.sieve", "keep;");
    assert_chain(fixture, NULL, "first.sieve 10.sieve 20.sieve .dovecot.sieve last.sieve");
}

static void
only_the_users_own_is_personal(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *setting = g_strdup_printf("before = %s/first.sieve\n", fixture->dir);
    g_autoptr(GPtrArray) chain = NULL;
    g_autoptr(Scripts) scripts = NULL;

    start(fixture, setting);
    scripts = scripts_new(fixture->config);
    write_below(fixture, "first.sieve", "keep;");
    write_script(fixture, "keep;");
    chain = chain_of(fixture, scripts, NULL);
    assert_false(((ScriptLink *)chain->pdata[0])->is_personal);
    assert_true(((ScriptLink *)chain->pdata[1])->is_personal);
}

static void
empty_setting_turns_users_scripts_off(void **state)
{
    Fixture *fixture = *state;

    write_script(fixture, "keep;");
    start(fixture, "script =\n");
    assert_chain(fixture, NULL, "");
}

/* ---- what cannot be read ----------------------------------------------------- */

static void
script_without_permission_is_an_error(void **state)
{
    Fixture *fixture = *state;
    const Mailbox mailbox = {.user = (char *)"ana@example.org"};
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GError) error = NULL;

    write_script(fixture, "keep;");
    assert_int_equal(chmod(path, 0), 0);
    assert_null(scripts_chain(scripts, &mailbox, fixture->home, &error));
    assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES));
    assert_non_null(strstr(error->message, path));
}

/* A script that cannot be run, for the reason of its first complaint. */
static void
assert_unusable(Fixture *fixture, const char *reason)
{
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) chain = chain_of(fixture, scripts, NULL);
    const ScriptLink *link = chain->pdata[0];

    assert_null(link->script);
    assert_non_null(strstr(((SieveComplaint *)link->complaints->pdata[0])->text, reason));
}

static void
fifo_and_directory_are_no_scripts_and_nobody_waits(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_unusable(fixture, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_unusable(fixture, "not a regular file");
}

static void
script_past_the_limit_is_not_read_to_its_end(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);

    start(fixture, "max_script_size = 1K\n");
    write_script(fixture, "keep;");
    assert_int_equal(truncate(path, G_GINT64_CONSTANT(1) << 40), 0);
    assert_unusable(fixture, "");
}

/* ---- the cache ---------------------------------------------------------------- */

static void
unchanged_script_is_compiled_once(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) first = NULL, second = NULL;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    second = chain_of(fixture, scripts, NULL);
    assert_ptr_equal(((ScriptLink *)first->pdata[0])->script,
                     ((ScriptLink *)second->pdata[0])->script);
}

/* Another change may follow that looks the same to stat(2). */
static void
script_written_just_now_is_read_again(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) first = NULL, second = NULL;
    struct stat info;

    write_script(fixture, "keep;");
    assert_int_equal(stat(path, &info), 0);
    clock_us = info.st_ctim.tv_sec * (gint64)G_USEC_PER_SEC + info.st_ctim.tv_nsec / 1000;
    first = chain_of(fixture, scripts, NULL);
    second = chain_of(fixture, scripts, NULL);
    assert_ptr_not_equal(((ScriptLink *)first->pdata[0])->script,
                         ((ScriptLink *)second->pdata[0])->script);
}

static void
changed_script_is_compiled_again(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) first = NULL, second = NULL;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    write_script(fixture, "stop;");
    second = chain_of(fixture, scripts, NULL);
    assert_ptr_not_equal(((ScriptLink *)first->pdata[0])->script,
                         ((ScriptLink *)second->pdata[0])->script);
    assert_string_not_equal(((ScriptLink *)first->pdata[0])->version,
                            ((ScriptLink *)second->pdata[0])->version);
}

static void
script_changed_in_place_with_its_old_mtime_is_seen(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->home, ".dovecot.sieve", NULL);
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(GPtrArray) first = NULL, second = NULL;
    struct stat info;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    assert_int_equal(stat(path, &info), 0);
    lodge_autofd fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "stop;", 5), 5);
    assert_int_equal(futimens(fd, (struct timespec[]){info.st_atim, info.st_mtim}), 0);
    second = chain_of(fixture, scripts, NULL);
    assert_ptr_not_equal(((ScriptLink *)first->pdata[0])->script,
                         ((ScriptLink *)second->pdata[0])->script);
}

/* A script that takes a little more than so many octets of memory. */
static char *
bulky_script(int octets)
{
    return g_strdup_printf("require \"fileinto\"; fileinto \"%0*d\";", octets, 0);
}

/* Runs count other scripts, of that text, past the cache. */
static void
run_others(Fixture *fixture, Scripts *scripts, int count, const char *text)
{
    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("many/%d.sieve", i);

        write_home(fixture, name, text);
    }
    let_it_settle();
    for (int i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("many/%d.sieve", i);

        g_ptr_array_unref(chain_of(fixture, scripts, name));
    }
}

static void
cache_is_bounded_and_scripts_in_use_stay(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autofree char *text = bulky_script(100000);
    g_autoptr(GPtrArray) first = NULL, again = NULL;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    run_others(fixture, scripts, 45, text);
    /* It was thrown out, and is compiled anew; the old one is still whole. */
    again = chain_of(fixture, scripts, NULL);
    assert_ptr_not_equal(((ScriptLink *)first->pdata[0])->script,
                         ((ScriptLink *)again->pdata[0])->script);
    assert_string_equal(sieve_script_name(((ScriptLink *)first->pdata[0])->script),
                        ".dovecot.sieve");
}

static void
comments_take_no_room_in_the_cache(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autofree char *text = g_strdup_printf("#%*s\nkeep;", 100000, "");
    g_autoptr(GPtrArray) first = NULL, again = NULL;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    run_others(fixture, scripts, 45, text);
    again = chain_of(fixture, scripts, NULL);
    assert_ptr_equal(((ScriptLink *)first->pdata[0])->script,
                     ((ScriptLink *)again->pdata[0])->script);
}

static void
script_used_lately_is_thrown_out_after_those_that_were_not(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autofree char *before = bulky_script(100000), *after = bulky_script(100001);
    g_autoptr(GPtrArray) first = NULL, again = NULL;

    write_script(fixture, "keep;");
    let_it_settle();
    first = chain_of(fixture, scripts, NULL);
    run_others(fixture, scripts, 30, before);
    g_ptr_array_unref(chain_of(fixture, scripts, NULL));
    run_others(fixture, scripts, 30, after); /* other files by now, though of the same names */
    again = chain_of(fixture, scripts, NULL);
    assert_ptr_equal(((ScriptLink *)first->pdata[0])->script,
                     ((ScriptLink *)again->pdata[0])->script);
}

/* ---- include ------------------------------------------------------------------ */

static bool
include(Fixture *fixture, const char *name)
{
    g_autofree char *directory = g_build_filename(fixture->home, "sieve", NULL);
    g_autoptr(Scripts) scripts = scripts_new(fixture->config);
    g_autoptr(SieveScript) script = NULL;
    g_autoptr(GError) error = NULL;

    if (!scripts_include(scripts, directory, name, &script, NULL, &error))
        fail_msg("%s", error->message);
    return script != NULL;
}

static void
included_script_is_found_by_its_name(void **state)
{
    write_home(*state, "sieve/inner.sieve", "keep;");
    assert_true(include(*state, "inner"));
    assert_false(include(*state, "missing"));
}

static void
name_of_an_include_is_never_a_path(void **state)
{
    g_autofree char *long_name = g_strnfill(300, 'x');

    write_home(*state, "outside.sieve", "keep;");
    write_home(*state, "sieve/deep/inner.sieve", "keep;");
    write_home(*state, "sieve/.hidden.sieve", "keep;");
    assert_false(include(*state, "../outside"));
    assert_false(include(*state, "deep/inner"));
    assert_false(include(*state, ".hidden"));
    assert_false(include(*state, ""));
    assert_false(include(*state, "a\nb"));
    assert_false(include(*state, long_name));
}

#define SCRIPTS_TEST(function) cmocka_unit_test_setup_teardown(function, set_up_clock, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SCRIPTS_TEST(user_without_a_script_has_no_chain),
        SCRIPTS_TEST(script_of_the_user_is_where_dovecot_has_it),
        SCRIPTS_TEST(link_may_be_absolute_below_the_root),
        SCRIPTS_TEST(link_that_leads_nowhere_is_no_script),
        SCRIPTS_TEST(link_out_of_the_mail_root_is_refused),
        SCRIPTS_TEST(row_of_the_map_names_another_script),
        SCRIPTS_TEST(default_runs_for_those_who_have_none),
        SCRIPTS_TEST(before_and_after_are_files_and_sorted_directories),
        SCRIPTS_TEST(only_the_users_own_is_personal),
        SCRIPTS_TEST(empty_setting_turns_users_scripts_off),
        SCRIPTS_TEST(script_without_permission_is_an_error),
        SCRIPTS_TEST(fifo_and_directory_are_no_scripts_and_nobody_waits),
        SCRIPTS_TEST(script_past_the_limit_is_not_read_to_its_end),
        SCRIPTS_TEST(unchanged_script_is_compiled_once),
        SCRIPTS_TEST(script_written_just_now_is_read_again),
        SCRIPTS_TEST(changed_script_is_compiled_again),
        SCRIPTS_TEST(script_changed_in_place_with_its_old_mtime_is_seen),
        SCRIPTS_TEST(cache_is_bounded_and_scripts_in_use_stay),
        SCRIPTS_TEST(comments_take_no_room_in_the_cache),
        SCRIPTS_TEST(script_used_lately_is_thrown_out_after_those_that_were_not),
        SCRIPTS_TEST(included_script_is_found_by_its_name),
        SCRIPTS_TEST(name_of_an_include_is_never_a_path),
    };

    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
