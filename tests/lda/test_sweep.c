/* tests/lda/test_sweep.c - which files the sweep removes, and which it must not */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/maildir.h"
#include "lda/sweep.h"

#include <glib/gstdio.h>

/* The age of a file is its ctime, which cannot be set: the clock is moved instead. */
#define IN_37_HOURS (g_get_real_time() + G_GINT64_CONSTANT(37) * 3600 * G_USEC_PER_SEC)
#define IN_35_HOURS (g_get_real_time() + G_GINT64_CONSTANT(35) * 3600 * G_USEC_PER_SEC)

typedef struct {
    char *top; /* of the test; the mail root is top/mail */
    char *root;
    LdaConfig *config;
} Fixture;

static char *
put(const char *base, const char *path)
{
    char *full = g_build_filename(base, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents(full, "x", -1, NULL));
    return full;
}

static void
make_maildir(const char *base, const char *path)
{
    static const char *const parts[] = {"cur", "new", "tmp"};

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *full = g_build_filename(base, path, parts[i], NULL);

        assert_int_equal(g_mkdir_with_parents(full, 0755), 0);
    }
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->top = g_dir_make_tmp("lodge-sweep-XXXXXX", NULL);
    fixture->root = g_build_filename(fixture->top, "mail", NULL);
    assert_int_equal(g_mkdir(fixture->root, 0755), 0);
    g_autofree char *file = g_build_filename(fixture->top, "lodge.conf", NULL);
    g_autofree char *text = g_strdup_printf("[mail]\nroot = %s\n", fixture->root);
    assert_true(g_file_set_contents(file, text, -1, NULL));
    fixture->config = config_load(file, NULL, NULL);
    assert_non_null(fixture->config);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"rm", "-rf", fixture->top, NULL};

    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                             NULL, NULL));
    config_free(fixture->config);
    g_free(fixture->root);
    g_free(fixture->top);
    g_free(fixture);
    return 0;
}

static void
old_files_in_tmp_go_and_all_others_stay(void **state)
{
    const Fixture *fixture = *state;

    make_maildir(fixture->root, "example.org/ana/Maildir");
    g_autofree char *stale = put(fixture->root, "example.org/ana/Maildir/tmp/1.M1P1.host");
    g_autofree char *fresh_mail = put(fixture->root, "example.org/ana/Maildir/new/2.M1P1.host");
    g_autofree char *read_mail = put(fixture->root, "example.org/ana/Maildir/cur/3.M1P1.host:2,S");
    g_autofree char *script = put(fixture->root, "example.org/ana/tmp/script.sieve");

    assert_int_equal(lda_sweep(fixture->config, IN_35_HOURS), 0);
    assert_int_equal(g_access(stale, F_OK), 0);
    assert_int_equal(lda_sweep(fixture->config, IN_37_HOURS), 1);
    assert_int_equal(g_access(stale, F_OK), -1);
    assert_int_equal(g_access(fresh_mail, F_OK), 0);
    assert_int_equal(g_access(read_mail, F_OK), 0);
    assert_int_equal(g_access(script, F_OK), 0); /* a tmp/ that is not a Maildir's */
}

static void
folders_and_maildirs_at_any_usual_depth_are_swept(void **state)
{
    const Fixture *fixture = *state;

    make_maildir(fixture->root, "example.org/ana/Maildir/.Lists.ietf");
    make_maildir(fixture->root, "example.org/ana/Maildir");
    make_maildir(fixture->root, "flat.example/bo");
    make_maildir(fixture->root, "vmail1/example.net/c/a/r/carl-2024/Maildir");
    g_free(put(fixture->root, "example.org/ana/Maildir/.Lists.ietf/tmp/1.M1P1.host"));
    g_free(put(fixture->root, "flat.example/bo/tmp/1.M1P1.host"));
    g_free(put(fixture->root, "vmail1/example.net/c/a/r/carl-2024/Maildir/tmp/1.M1P1.host"));

    assert_int_equal(lda_sweep(fixture->config, IN_37_HOURS), 3);
}

static void
symbolic_links_lead_nowhere(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *link_path = g_build_filename(fixture->root, "away", NULL);

    make_maildir(fixture->top, "elsewhere/Maildir");
    g_autofree char *target = g_build_filename(fixture->top, "elsewhere", NULL);
    g_autofree char *file = put(fixture->top, "elsewhere/Maildir/tmp/1.M1P1.host");
    assert_int_equal(symlink(target, link_path), 0);

    assert_int_equal(lda_sweep(fixture->config, IN_37_HOURS), 0);
    assert_int_equal(g_access(file, F_OK), 0);
}

static void
missing_root_is_an_empty_one(void **state)
{
    const Fixture *fixture = *state;

    assert_int_equal(g_rmdir(fixture->root), 0);
    assert_int_equal(lda_sweep(fixture->config, IN_37_HOURS), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(old_files_in_tmp_go_and_all_others_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_and_maildirs_at_any_usual_depth_are_swept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(symbolic_links_lead_nowhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_root_is_an_empty_one, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
