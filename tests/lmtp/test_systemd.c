/* tests/lmtp/test_systemd.c - sd_notify and sd_listen_fds as documented */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lmtp/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>

static void
set_listen_variables(const char *pid, const char *count)
{
    g_autofree char *own = g_strdup_printf("%d", (int)getpid());

    setenv("LISTEN_PID", pid != NULL ? pid : own, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
}

static unsigned
count_passed(void)
{
    g_auto(GStrv) names = NULL;

    return systemd_listen_fds(&names);
}

static void
names_of_passed_sockets_are_told(void **state)
{
    g_auto(GStrv) names = NULL;

    (void)state;
    set_listen_variables(NULL, "2");
    assert_int_equal(systemd_listen_fds(&names), 2);
    assert_int_equal(g_strv_length(names), 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
}

static void
passed_sockets_are_counted_and_hidden_from_children(void **state)
{
    (void)state;
    set_listen_variables(NULL, "2");
    assert_int_equal(count_passed(), 2);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(count_passed(), 0);
}

static void
sockets_for_another_process_are_not_ours(void **state)
{
    (void)state;
    set_listen_variables("1", "2");
    assert_int_equal(count_passed(), 0);
    assert_null(getenv("LISTEN_FDS"));
}

static void
damaged_count_is_no_socket(void **state)
{
    static const char *const counts[] = {"", "-1", "2x", "99999999999999999999", "100000"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        set_listen_variables(NULL, counts[i]);
        assert_int_equal(count_passed(), 0);
    }
}

/* A manager listening on an abstract address, which is also the harder one to write. */
static int
open_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t length = sizeof address;

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0); /* autobind */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    g_autofree char *name = g_strdup_printf(
        "@%.*s", (int)(length - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void
notice_reaches_the_manager_as_one_datagram(void **state)
{
    lodge_autofd manager = open_manager();
    char text[256] = "";

    (void)state;
    systemd_notify("READY=1\nSTATUS=serving");
    assert_true(recv(manager, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "READY=1\nSTATUS=serving");
    systemd_notify_reloading();
    memset(text, 0, sizeof text);
    assert_true(recv(manager, text, sizeof text - 1, 0) > 0);
    assert_true(g_str_has_prefix(text, "RELOADING=1\nMONOTONIC_USEC="));
}

static void
without_a_manager_nothing_is_sent(void **state)
{
    lodge_autofd manager = open_manager();
    char text[16];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    systemd_notify("READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    systemd_notify("READY=1");
    assert_int_equal(recv(manager, text, sizeof text, 0), -1);
    unsetenv("NOTIFY_SOCKET");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_passed_sockets_are_told),
        cmocka_unit_test(passed_sockets_are_counted_and_hidden_from_children),
        cmocka_unit_test(sockets_for_another_process_are_not_ours),
        cmocka_unit_test(damaged_count_is_no_socket),
        cmocka_unit_test(notice_reaches_the_manager_as_one_datagram),
        cmocka_unit_test(without_a_manager_nothing_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
