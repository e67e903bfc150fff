/* tests/lda/test_identity.c - never as root; other owners only with the right to
 *
 * What depends on who we are is tried in a child process that becomes that user;
 * becoming somebody needs root, so without it those tests skip themselves.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lda/identity.h"
#include "lda/outcome.h"

enum { OWN = 65534, OTHER = 4242 };

static LdaConfig config;

static void
must(bool done)
{
    if (!done)
        abort();
}

/* Becomes OWN; with_capabilities keeps the right to change ids, as a worker's. */
static void
become_own(bool with_capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t mask = (1U << CAP_SETUID) | (1U << CAP_SETGID);
    struct __user_cap_data_struct data[2] = {{.effective = mask, .permitted = mask}};

    must(!with_capabilities || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    must(setgroups(0, NULL) == 0 && setresgid(OWN, OWN, OWN) == 0);
    must(setresuid(OWN, OWN, OWN) == 0);
    must(!with_capabilities || syscall(SYS_capset, &header, data) == 0);
}

/* Runs check(argument) in a child; true when it returned true. */
static bool
in_child(bool (*check)(const void *argument), const void *argument)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(check(argument) ? 0 : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
is_refused(const Mailbox *mailbox, const char *hint)
{
    Identity identity = {0};
    g_autoptr(GError) error = NULL;

    return !identity_take(&identity, &config, mailbox, &error) && !identity.taken &&
           g_error_matches(error, LDA_ERROR, LDA_ERROR_NOT_PERMITTED) &&
           strstr(error->message, hint) != NULL;
}

static bool
root_is_refused_in_child(const void *argument)
{
    const Mailbox mailbox = {.user = "ana@example.org", .uid = -1, .gid = -1};

    config.mail.per_user_ids = *(const bool *)argument;
    return is_refused(&mailbox, "never delivered as root");
}

static void
root_never_delivers(void **state)
{
    static const bool per_user_ids[] = {false, true};

    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < G_N_ELEMENTS(per_user_ids); i++)
        assert_true(in_child(root_is_refused_in_child, &per_user_ids[i]));
}

typedef struct {
    const char *behaviour;
    bool per_user_ids;
    bool with_capabilities;
    gint64 uid;
    gint64 gid;
    const char *hint; /* NULL: allowed */
    uid_t owner;
    gid_t group;
} Row;

static const Row rows[] = {
    {"row_without_ids_is_ours", false, false, -1, -1, NULL, OWN, OWN},
    {"row_with_our_own_uid_is_ours", false, false, OWN, -1, NULL, OWN, OWN},
    {"other_uid_needs_per_user_ids", false, true, OTHER, OTHER, "per_user_ids = yes", 0, 0},
    {"uid_zero_is_refused_whatever_is_set", true, true, 0, 0, "change uid in the map", 0, 0},
    {"other_uid_needs_the_capability", true, false, OTHER, OTHER, "started as root", 0, 0},
    {"other_gid_needs_the_capability", true, false, -1, OTHER, "started as root", 0, 0},
    {"ids_of_the_row_are_taken", true, true, OTHER, OTHER + 1, NULL, OTHER, OTHER + 1},
    {"our_gid_where_the_row_has_none", true, true, OTHER, -1, NULL, OTHER, OWN},
};

/* Makes a file and tells whether it belongs to uid and gid. */
static bool
makes_file_of(const char *path, uid_t uid, gid_t gid)
{
    struct stat info;
    lodge_autofd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd >= 0 && fstat(fd, &info) == 0 && unlink(path) == 0 && info.st_uid == uid &&
           info.st_gid == gid;
}

static bool
row_holds_in_child(const void *argument)
{
    const Row *row = argument;
    const Mailbox mailbox = {.user = "ana@example.org", .uid = row->uid, .gid = row->gid};
    g_autofree char *path = g_strdup_printf("/tmp/lodge-identity-%d", (int)getpid());
    Identity identity = {0};
    bool held;

    become_own(row->with_capabilities);
    config.mail.per_user_ids = row->per_user_ids;
    if (row->hint != NULL)
        return is_refused(&mailbox, row->hint) && makes_file_of(path, OWN, OWN);
    held = identity_take(&identity, &config, &mailbox, NULL) &&
           makes_file_of(path, row->owner, row->group);
    identity_give_back(&identity);
    return held && makes_file_of(path, OWN, OWN);
}

static void
check_row(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_true(in_child(row_holds_in_child, *state));
}

static bool
outer_rights_hold_again_in_child(const void *argument)
{
    const Mailbox outer = {.user = "ana@example.org", .uid = OTHER, .gid = OTHER};
    const Mailbox own = {.user = "ben@example.org", .uid = OWN, .gid = OWN};
    g_autofree char *path = g_strdup_printf("/tmp/lodge-identity-%d", (int)getpid());
    Identity first = {0}, second = {0};
    bool held;

    (void)argument;
    become_own(true);
    config.mail.per_user_ids = true;
    held = identity_take(&first, &config, &outer, NULL) &&
           identity_take(&second, &config, &own, NULL) && makes_file_of(path, OWN, OWN);
    identity_give_back(&second);
    held = held && makes_file_of(path, OTHER, OTHER);
    identity_give_back(&first);
    return held && makes_file_of(path, OWN, OWN);
}

static void
rights_given_back_are_those_that_held_before(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_true(in_child(outer_rights_hold_again_in_child, NULL));
}

int
main(void)
{
    struct CMUnitTest tests[2 + G_N_ELEMENTS(rows)] = {
        cmocka_unit_test(root_never_delivers),
        cmocka_unit_test(rights_given_back_are_those_that_held_before),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[2 + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
