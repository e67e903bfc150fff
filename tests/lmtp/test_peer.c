/* tests/lmtp/test_peer.c - networks, trust, and the peer's name in Received */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/outcome.h"
#include "lmtp/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct sockaddr_storage
address_of(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;

    if (text != NULL && inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
        storage.ss_family = AF_INET;
    else if (text != NULL && inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1)
        storage.ss_family = AF_INET6;
    else
        assert_null(text);
    return storage;
}

typedef struct {
    const char *behaviour;
    const char *network; /* NULL: none is configured */
    const char *peer;    /* NULL: a unix socket */
    bool trusted;
} TrustRow;

static const TrustRow trust_rows[] = {
    {"unix_socket_peer_is_trusted_without_networks", NULL, NULL, true},
    {"tcp_peer_is_not_trusted_without_networks", NULL, "127.0.0.1", false},
    {"first_address_of_a_network_is_in_it", "192.0.2.0/24", "192.0.2.0", true},
    {"last_address_of_a_network_is_in_it", "192.0.2.0/24", "192.0.2.255", true},
    {"address_after_the_network_is_not_in_it", "192.0.2.0/24", "192.0.3.0", false},
    {"address_before_the_network_is_not_in_it", "192.0.2.0/24", "192.0.1.255", false},
    {"prefix_inside_an_octet_counts_its_bits", "192.0.2.64/26", "192.0.2.127", true},
    {"prefix_inside_an_octet_ends_where_it_says", "192.0.2.64/26", "192.0.2.128", false},
    {"address_alone_is_a_network_of_one", "192.0.2.7", "192.0.2.7", true},
    {"address_alone_does_not_trust_its_neighbour", "192.0.2.7", "192.0.2.6", false},
    {"ipv4_prefix_zero_is_all_of_ipv4", "0.0.0.0/0", "203.0.113.9", true},
    {"ipv4_prefix_zero_is_nothing_of_ipv6", "0.0.0.0/0", "2001:db8::1", false},
    {"ipv6_prefix_zero_is_everything", "::/0", "2001:db8::1", true},
    {"v4_mapped_peer_is_the_ipv4_peer", "127.0.0.0/8", "::ffff:127.0.0.1", true},
    {"v4_mapped_network_holds_the_ipv4_peer", "::ffff:127.0.0.0/104", "127.9.9.9", true},
    {"ipv6_loopback_is_not_ipv4_loopback", "127.0.0.0/8", "::1", false},
    {"ipv6_network_holds_its_last_address", "2001:db8::/33", "2001:db8:7fff:ffff::1", true},
    {"ipv6_network_ends_at_its_prefix", "2001:db8::/33", "2001:db8:8000::1", false},
    {"brackets_as_in_mynetworks_are_understood", "[2001:db8::]/32", "2001:db8:1::2", true},
};

static void
check_trust(void **state)
{
    const TrustRow *row = *state;
    const char *const texts[] = {row->network, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) networks = peer_networks_parse(texts, &error);
    struct sockaddr_storage peer = address_of(row->peer);

    assert_null(error);
    assert_int_equal(peer_is_trusted((struct sockaddr *)&peer, networks), row->trusted);
}

typedef struct {
    const char *behaviour;
    const char *text;
} BadRow;

static const BadRow bad_rows[] = {
    {"host_name_is_not_a_network", "localhost"},
    {"empty_text_is_not_a_network", ""},
    {"prefix_past_32_is_refused_for_ipv4", "192.0.2.0/33"},
    {"prefix_past_128_is_refused_for_ipv6", "::/129"},
    {"negative_prefix_is_refused", "192.0.2.0/-1"},
    {"empty_prefix_is_refused", "192.0.2.0/"},
    {"second_slash_is_refused", "192.0.2.0/24/8"},
    {"bits_beyond_the_prefix_are_refused", "192.0.2.1/24"},
    {"bits_beyond_the_prefix_are_refused_in_ipv6", "2001:db8::1/64"},
    {"shortened_ipv4_is_refused", "127/8"},
    {"half_a_bracket_is_refused", "[::1"},
    {"ipv4_in_brackets_is_refused", "[127.0.0.1]"},
};

static void
check_bad(void **state)
{
    const BadRow *row = *state;
    g_autoptr(GError) error = NULL;
    PeerNetwork network;

    assert_false(peer_network_parse(row->text, &network, &error));
    assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_CONFIG));
    assert_non_null(strstr(error->message, row->text));
}

static void
one_bad_network_spoils_the_list(void **state)
{
    const char *const texts[] = {"127.0.0.0/8", "nonsense", NULL};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_null(peer_networks_parse(texts, &error));
    assert_non_null(strstr(error->message, "trusted_networks"));
}

typedef struct {
    const char *behaviour;
    const char *peer;
    const char *text;
} NameRow;

static const NameRow name_rows[] = {
    {"unix_socket_has_no_address", NULL, "unix socket"},
    {"ipv4_is_an_address_literal", "192.0.2.1", "[192.0.2.1]"},
    {"ipv6_is_a_tagged_address_literal", "2001:db8::1", "[IPv6:2001:db8::1]"},
    {"v4_mapped_is_shown_as_the_ipv4_it_is", "::ffff:192.0.2.1", "[192.0.2.1]"},
};

static void
check_name(void **state)
{
    const NameRow *row = *state;
    struct sockaddr_storage peer = address_of(row->peer);
    g_autofree char *text = peer_describe((struct sockaddr *)&peer);

    assert_string_equal(text, row->text);
}

#define ADD_ROWS(rows, check)                                                                    \
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)                                              \
        tests[count++] = (struct CMUnitTest)                                                     \
        {                                                                                        \
            .name = (rows)[i].behaviour, .test_func = check, .initial_state = (void *)&(rows)[i] \
        }

int
main(void)
{
    struct CMUnitTest
        tests[G_N_ELEMENTS(trust_rows) + G_N_ELEMENTS(bad_rows) + G_N_ELEMENTS(name_rows) + 1];
    size_t count = 0;

    ADD_ROWS(trust_rows, check_trust);
    ADD_ROWS(bad_rows, check_bad);
    ADD_ROWS(name_rows, check_name);
    tests[count] = (struct CMUnitTest)cmocka_unit_test(one_bad_network_spoils_the_list);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
