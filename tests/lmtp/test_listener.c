/* tests/lmtp/test_listener.c - addresses, stale sockets, owners, refusals */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/outcome.h"
#include "lmtp/listener.h"

#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#define REPLY "421 4.3.2 not now\r\n"
static const ListenerPermissions mode_0600 = {0600, (uid_t)-1, (gid_t)-1};

/* ---- parsing ------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *text;
    const char *again; /* as it is formatted; NULL: refused */
} Row;

static const Row rows[] = {
    {"unix_path_is_taken_as_it_stands", "unix:/run/a b:c", "unix:/run/a b:c"},
    {"ipv4_and_port", "inet:127.0.0.1:2424", "inet:127.0.0.1:2424"},
    {"ipv6_stands_in_brackets", "inet:[::1]:2424", "inet:[::1]:2424"},
    {"ipv6_is_shown_in_its_canonical_form", "inet:[0:0:0:0:0:0:0:1]:24", "inet:[::1]:24"},
    {"star_is_every_address", "inet:*:24", "inet:*:24"},
    {"unspecified_ipv6_is_not_a_star", "inet:[::]:24", "inet:[::]:24"},
    {"relative_unix_path_is_refused", "unix:lmtp", NULL},
    {"unix_path_that_does_not_fit_is_refused",
     "unix:/234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
     "901234567890123456789",
     NULL},
    {"host_name_is_refused", "inet:localhost:24", NULL},
    {"ipv6_without_brackets_is_refused", "inet:::1:24", NULL},
    {"brackets_without_address_are_refused", "inet:[]:24", NULL},
    {"port_zero_is_refused", "inet:127.0.0.1:0", NULL},
    {"port_past_16_bits_is_refused", "inet:127.0.0.1:65536", NULL},
    {"missing_port_is_refused", "inet:127.0.0.1", NULL},
    {"port_must_be_a_number", "inet:127.0.0.1:lmtp", NULL},
    {"unknown_kind_is_refused", "tcp:127.0.0.1:24", NULL},
    {"empty_text_is_refused", "", NULL},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    ListenerAddress address;

    if (row->again == NULL) {
        assert_false(listener_parse(row->text, &address, &error));
        assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
        return;
    }
    assert_true(listener_parse(row->text, &address, &error));
    g_autofree char *again = listener_address_format(&address);
    assert_string_equal(again, row->again);
}

/* ---- sockets ------------------------------------------------------------- */

typedef struct {
    char *folder;
    char *path;
    ListenerAddress address;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->folder = g_dir_make_tmp("lodge-listener-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "socket", NULL);
    g_autofree char *text = g_strconcat("unix:", fixture->path, NULL);
    assert_true(listener_parse(text, &fixture->address, NULL));
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    (void)g_unlink(fixture->path);
    assert_int_equal(g_rmdir(fixture->folder), 0);
    g_free(fixture->path);
    g_free(fixture->folder);
    g_free(fixture);
    return 0;
}

static int
connect_to(const ListenerAddress *address)
{
    int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address->address, address->length) == 0)
        return fd;
    lodge_close(&fd);
    return -1;
}

static void
socket_has_the_mode_that_was_asked_for_whatever_the_umask(void **state)
{
    const Fixture *fixture = *state;
    const ListenerPermissions wanted = {0666, (uid_t)-1, (gid_t)-1};
    mode_t previous = umask(0077);
    g_autoptr(Listener) listener = listener_open(&fixture->address, &wanted, NULL);
    struct stat file;

    umask(previous);
    assert_non_null(listener);
    assert_int_equal(stat(fixture->path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0666);
    assert_true(listener_set_permissions(listener, &mode_0600, NULL));
    assert_int_equal(stat(fixture->path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
}

static void
socket_is_given_to_the_owner_that_was_asked_for(void **state)
{
    const Fixture *fixture = *state;
    const ListenerPermissions wanted = {0660, 65534, 65533};
    struct stat file;

    if (geteuid() != 0)
        skip();
    g_autoptr(Listener) listener = listener_open(&fixture->address, &wanted, NULL);
    assert_non_null(listener);
    assert_int_equal(stat(fixture->path, &file), 0);
    assert_int_equal(file.st_uid, 65534);
    assert_int_equal(file.st_gid, 65533);
}

static void
socket_of_a_dead_server_is_replaced(void **state)
{
    const Fixture *fixture = *state;

    listener_free(listener_open(&fixture->address, &mode_0600, NULL)); /* closed, file left */
    assert_int_equal(g_access(fixture->path, F_OK), 0);
    g_autoptr(Listener) listener = listener_open(&fixture->address, &mode_0600, NULL);
    assert_non_null(listener);
    lodge_autofd client = connect_to(&fixture->address);
    assert_true(client >= 0);
}

static void
socket_of_a_living_server_is_left_alone(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) first = listener_open(&fixture->address, &mode_0600, NULL);
    g_autoptr(GError) error = NULL;

    assert_null(listener_open(&fixture->address, &mode_0600, &error));
    assert_non_null(strstr(error->message, fixture->path));
    assert_non_null(strstr(error->message, "another server"));
    lodge_autofd client = connect_to(&fixture->address);
    struct sockaddr_storage peer;
    lodge_autofd probe = listener_accept(first, &peer); /* the second server's look */
    lodge_autofd accepted = listener_accept(first, &peer);
    assert_true(client >= 0 && probe >= 0 && accepted >= 0);
}

static void
file_that_is_no_socket_is_left_alone(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *contents = NULL;

    assert_true(g_file_set_contents(fixture->path, "precious", -1, NULL));
    assert_null(listener_open(&fixture->address, &mode_0600, &error));
    assert_non_null(strstr(error->message, "not a socket"));
    assert_true(g_file_get_contents(fixture->path, &contents, NULL, NULL));
    assert_string_equal(contents, "precious");
}

static void
missing_directory_is_named(void **state)
{
    ListenerAddress address;
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(listener_parse("unix:/nonexistent/lodge/socket", &address, NULL));
    assert_null(listener_open(&address, &mode_0600, &error));
    assert_non_null(strstr(error->message, "/nonexistent/lodge/socket"));
}

static void
shutting_down_answers_who_waits_and_removes_the_file(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) listener = listener_open(&fixture->address, &mode_0600, NULL);
    lodge_autofd client = connect_to(&fixture->address);
    /* As in a worker that is still busy: the socket must end there as well. */
    lodge_autofd shared = dup(listener_fd(listener));
    char reply[64] = "";

    listener_shut_down(listener, REPLY);
    assert_int_equal(read(client, reply, sizeof reply - 1), strlen(REPLY));
    assert_string_equal(reply, REPLY);
    assert_int_equal(read(client, reply, sizeof reply), 0);
    assert_int_equal(g_access(fixture->path, F_OK), -1);
    assert_true(shared >= 0);
}

static void
shutting_down_leaves_the_socket_of_a_successor(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) old = listener_open(&fixture->address, &mode_0600, NULL);

    assert_int_equal(g_unlink(fixture->path), 0);
    g_autoptr(Listener) successor = listener_open(&fixture->address, &mode_0600, NULL);
    listener_shut_down(old, REPLY);
    lodge_autofd client = connect_to(&fixture->address);
    assert_true(client >= 0 && successor != NULL);
}

static void
socket_of_the_service_manager_outlives_us(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) opened = listener_open(&fixture->address, &mode_0600, NULL);
    g_autoptr(Listener) adopted = listener_adopt(dup(listener_fd(opened)), false, NULL);

    assert_non_null(adopted);
    assert_false(listener_is_ours(adopted));
    assert_true(listener_is_at(adopted, &fixture->address));
    listener_shut_down(adopted, REPLY);
    lodge_autofd client = connect_to(&fixture->address);
    assert_true(client >= 0);
}

static void
adopting_what_does_not_listen_fails(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) closed_error = NULL;
    lodge_autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_null(listener_adopt(fd, false, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
    assert_true(fcntl(fd, F_GETFD) >= 0); /* not ours to close */
    assert_null(listener_adopt(1000000, false, &closed_error));
    assert_non_null(closed_error);
}

static void
accepted_connection_does_not_block_and_is_not_inherited(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) listener = listener_open(&fixture->address, &mode_0600, NULL);
    struct sockaddr_storage peer = {0};

    assert_int_equal(listener_accept(listener, &peer), -1);
    assert_int_equal(errno, EAGAIN);
    lodge_autofd client = connect_to(&fixture->address);
    lodge_autofd fd = listener_accept(listener, &peer);
    assert_true(client >= 0 && fd >= 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(peer.ss_family, AF_UNIX);
}

/* A port the kernel finds free; somebody else could take it until it is used. */
static ListenerAddress
free_port(const char *format)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof any;
    lodge_autofd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ListenerAddress address;

    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &length), 0);
    g_autofree char *port = g_strdup_printf("%u", ntohs(any.sin_port));
    g_autofree char *text = g_strconcat(format, port, NULL);
    assert_true(listener_parse(text, &address, NULL));
    return address;
}

static void
tcp_connection_sends_small_replies_at_once(void **state)
{
    ListenerAddress address = free_port("inet:127.0.0.1:");
    g_autoptr(Listener) listener = listener_open(&address, &mode_0600, NULL);
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof(int);
    int no_delay = 0;

    (void)state;
    assert_non_null(listener);
    lodge_autofd client = connect_to(&address);
    lodge_autofd fd = listener_accept(listener, &peer);
    assert_true(client >= 0 && fd >= 0);
    assert_int_equal(peer.ss_family, AF_INET);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
    assert_int_not_equal(no_delay, 0);
}

static void
star_takes_ipv4_and_is_recognised_when_adopted(void **state)
{
    ListenerAddress address = free_port("inet:*:");
    struct sockaddr_in ipv4 = {.sin_family = AF_INET,
                               .sin_port = ((struct sockaddr_in6 *)&address.address)->sin6_port,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ListenerAddress loopback = {.length = sizeof ipv4};
    g_autoptr(Listener) listener = listener_open(&address, &mode_0600, NULL);

    (void)state;
    if (listener == NULL && errno == EAFNOSUPPORT)
        skip();
    assert_non_null(listener);
    memcpy(&loopback.address, &ipv4, sizeof ipv4);
    lodge_autofd client = connect_to(&loopback);
    assert_true(client >= 0);
    g_autoptr(Listener) adopted = listener_adopt(dup(listener_fd(listener)), true, NULL);
    assert_true(listener_is_at(adopted, &address));
}

static void
refusing_answers_every_waiting_connection(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Listener) listener = listener_open(&fixture->address, &mode_0600, NULL);
    lodge_autofd first = connect_to(&fixture->address);
    lodge_autofd second = connect_to(&fixture->address);
    char reply[64];

    assert_int_equal(listener_refuse_waiting(listener, REPLY), 2);
    assert_int_equal(read(first, reply, sizeof reply), strlen(REPLY));
    assert_int_equal(read(second, reply, sizeof reply), strlen(REPLY));
    assert_int_equal(listener_refuse_waiting(listener, REPLY), 0);
}

#define SOCKET_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest sockets[] = {
        SOCKET_TEST(socket_has_the_mode_that_was_asked_for_whatever_the_umask),
        SOCKET_TEST(socket_is_given_to_the_owner_that_was_asked_for),
        SOCKET_TEST(socket_of_a_dead_server_is_replaced),
        SOCKET_TEST(socket_of_a_living_server_is_left_alone),
        SOCKET_TEST(file_that_is_no_socket_is_left_alone),
        SOCKET_TEST(shutting_down_answers_who_waits_and_removes_the_file),
        SOCKET_TEST(shutting_down_leaves_the_socket_of_a_successor),
        SOCKET_TEST(socket_of_the_service_manager_outlives_us),
        SOCKET_TEST(accepted_connection_does_not_block_and_is_not_inherited),
        SOCKET_TEST(refusing_answers_every_waiting_connection),
        cmocka_unit_test(missing_directory_is_named),
        cmocka_unit_test(adopting_what_does_not_listen_fails),
        cmocka_unit_test(tcp_connection_sends_small_replies_at_once),
        cmocka_unit_test(star_takes_ipv4_and_is_recognised_when_adopted),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(sockets)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    memcpy(tests + G_N_ELEMENTS(rows), sockets, sizeof sockets);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
