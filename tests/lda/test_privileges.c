/* tests/lda/test_privileges.c - becoming the mail user, and never root
 *
 * What changes the process for good is tried in a child.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/outcome.h"
#include "lda/privileges.h"

#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

typedef struct {
    const char *behaviour;
    const char *user;
    const char *group;
    const char *complaint;
} BadRow;

static const BadRow bad_rows[] = {
    {"unknown_user_is_named", "no-such-user-here", "", "no such user"},
    {"unknown_group_is_named", "nobody", "no-such-group-here", "no such group"},
    {"root_is_refused_by_name", "root", "", "never delivered as root"},
    {"root_is_refused_by_number", "0", "", "never delivered as root"},
    {"root_is_refused_by_number_with_a_group", "0", "65534", "never delivered as root"},
    {"number_without_an_entry_needs_a_group", "123456789", "", "no such user"},
    {"empty_user_is_refused", "", "", "no such user"},
    {"negative_number_is_refused", "-1", "65534", "no such user"},
    {"number_that_means_unchanged_is_refused", "4294967295", "65534", "no such user"},
};

static void
check_bad(void **state)
{
    const BadRow *row = *state;
    g_autoptr(GError) error = NULL;

    assert_null(privileges_find(row->user, row->group, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
    assert_non_null(strstr(error->message, row->complaint));
}

static void
user_is_found_with_its_primary_group(void **state)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);

    (void)state;
    assert_non_null(found);
    assert_int_equal(found->uid, 65534);
    assert_int_equal(found->gid, 65534);
    assert_true(found->group_count >= 1);
}

static void
number_with_a_group_needs_no_entry(void **state)
{
    g_autoptr(Privileges) found = privileges_find("123456789", "4242", NULL);

    (void)state;
    assert_non_null(found);
    assert_int_equal(found->uid, 123456789);
    assert_int_equal(found->gid, 4242);
}

static void
becoming_root_is_refused(void **state)
{
    const Privileges root = {0};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_false(privileges_drop(&root, false, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED));
}

/* Runs check in a child; true when it returned true there. */
static bool
holds_in_child(bool (*check)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(check() ? 0 : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
dropping_is_final(void)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);
    uid_t real, effective, saved;

    return privileges_drop(found, false, NULL) && getresuid(&real, &effective, &saved) == 0 &&
           real == 65534 && effective == 65534 && saved == 65534 && getegid() == 65534 &&
           setuid(0) != 0 && setgid(0) != 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool
switching_is_kept(void)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);

    /* Between users it can move, and it can do nothing else that root can. */
    return privileges_drop(found, true, NULL) && setegid(4242) == 0 && seteuid(4242) == 0 &&
           seteuid(65534) == 0 && chroot("/") != 0 && errno == EPERM;
}

static bool
borrowing_is_returned(void)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);
    bool borrowed = privileges_borrow(found, NULL) && geteuid() == 65534 && getegid() == 65534;

    privileges_return();
    return borrowed && geteuid() == 0 && getegid() == 0;
}

static bool
can_take(uid_t uid)
{
    (void)setfsuid(uid);
    return (uid_t)setfsuid((uid_t)-1) == uid;
}

static bool
borrowing_can_switch(void)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);
    bool plain = privileges_borrow(found, NULL) && !can_take(4242);

    privileges_return();
    bool switching = privileges_borrow_switching(found, NULL) && geteuid() == 65534 &&
                     can_take(4242) && can_take(65534) && chroot("/") != 0 && errno == EPERM;

    privileges_return();
    return plain && switching && geteuid() == 0 && can_take(0) && chroot("/") == 0;
}

static bool
limited_root_can_still_start_workers(void)
{
    g_autoptr(Privileges) found = privileges_find("nobody", "", NULL);

    return privileges_limit_root(NULL) && chroot("/") != 0 && errno == EPERM &&
           privileges_borrow(found, NULL) && (privileges_return(), geteuid() == 0) &&
           privileges_drop(found, false, NULL) && geteuid() == 65534;
}

static bool
dropping_changes_no_user(void)
{
    g_autoptr(Privileges) found = privileges_find("123456789", "4242", NULL);

    if (setresuid(65534, 65534, 65534) != 0)
        return false;
    return privileges_drop(found, false, NULL) && geteuid() == 65534 &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

#define ROOT_TEST(name, check)              \
    static void name(void **state)          \
    {                                       \
        (void)state;                        \
        if (geteuid() != 0)                 \
            skip();                         \
        assert_true(holds_in_child(check)); \
    }

ROOT_TEST(root_becomes_the_user_and_cannot_return, dropping_is_final)
ROOT_TEST(per_user_ids_keeps_only_the_right_to_switch, switching_is_kept)
ROOT_TEST(borrowed_rights_are_given_back, borrowing_is_returned)
ROOT_TEST(borrowed_rights_can_take_the_rights_of_others_if_that_is_asked_for, borrowing_can_switch)
ROOT_TEST(limited_master_can_only_do_what_it_must, limited_root_can_still_start_workers)
ROOT_TEST(started_unprivileged_the_user_stays, dropping_changes_no_user)

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(user_is_found_with_its_primary_group),
        cmocka_unit_test(number_with_a_group_needs_no_entry),
        cmocka_unit_test(becoming_root_is_refused),
        cmocka_unit_test(root_becomes_the_user_and_cannot_return),
        cmocka_unit_test(per_user_ids_keeps_only_the_right_to_switch),
        cmocka_unit_test(borrowed_rights_are_given_back),
        cmocka_unit_test(borrowed_rights_can_take_the_rights_of_others_if_that_is_asked_for),
        cmocka_unit_test(limited_master_can_only_do_what_it_must),
        cmocka_unit_test(started_unprivileged_the_user_stays),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(bad_rows) + G_N_ELEMENTS(others)];

    for (size_t i = 0; i < G_N_ELEMENTS(bad_rows); i++)
        tests[i] = (struct CMUnitTest){.name = bad_rows[i].behaviour,
                                       .test_func = check_bad,
                                       .initial_state = (void *)&bad_rows[i]};
    memcpy(tests + G_N_ELEMENTS(bad_rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
