/* lmtp/peer.c - who is on the other end, and do we trust it? See peer.h.
 *
 * Everything is compared as 128 bits, so that there is one comparison and not
 * three: IPv4 with IPv4, IPv4 with v4-mapped, IPv6 with IPv6.
 */
#include "lmtp/peer.h"

#include "lda/outcome.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define MAPPED_BITS 96
#define MAPPED_BYTES (MAPPED_BITS / 8)
static const uint8_t mapped_prefix[16] = {[10] = 0xff, [11] = 0xff};

static void
map_ipv4(const struct in_addr *ipv4, uint8_t address[16])
{
    memcpy(address, mapped_prefix, MAPPED_BYTES);
    memcpy(address + MAPPED_BYTES, ipv4, sizeof *ipv4);
}

/* True when the first prefix bits of a and b are equal. */
static bool
equal_bits(const uint8_t a[16], const uint8_t b[16], unsigned prefix)
{
    unsigned bytes = prefix / 8;
    unsigned bits = prefix % 8;

    if (memcmp(a, b, bytes) != 0)
        return false;
    return bits == 0 || (a[bytes] ^ b[bytes]) >> (8 - bits) == 0;
}

/* The address of a text without "/prefix"; stores the bits before its own first one. */
static bool
parse_address(const char *text, uint8_t address[16], unsigned *offset_out)
{
    struct in_addr ipv4;
    size_t len = strlen(text);
    g_autofree char *bare =
        len > 2 && text[0] == '[' && text[len - 1] == ']' ? g_strndup(text + 1, len - 2) : NULL;

    if (bare == NULL && inet_pton(AF_INET, text, &ipv4) == 1) {
        map_ipv4(&ipv4, address);
        *offset_out = MAPPED_BITS;
        return true;
    }
    *offset_out = 0;
    return inet_pton(AF_INET6, bare != NULL ? bare : text, address) == 1;
}

bool
peer_network_parse(const char *text, PeerNetwork *out, GError **error)
{
    static const uint8_t zero[16] = {0};
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    PeerNetwork network;
    unsigned offset;
    guint64 prefix;

    if (parts[0] == NULL || !parse_address(parts[0], network.address, &offset)) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "'%s' is not an IP address or network",
                    text);
        return false;
    }
    prefix = 128 - offset;
    if (parts[1] != NULL &&
        !g_ascii_string_to_unsigned(parts[1], 10, 0, 128 - offset, &prefix, NULL)) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                    "'%s': the number after '/' must be 0 to %u", text, 128 - offset);
        return false;
    }
    network.prefix = offset + (unsigned)prefix;

    PeerNetwork rest = network;
    for (unsigned bit = 0; bit < network.prefix; bit++)
        rest.address[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
    if (memcmp(rest.address, zero, sizeof zero) != 0) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                    "'%s': the address has bits set beyond its prefix", text);
        return false;
    }
    *out = network;
    return true;
}

GArray *
peer_networks_parse(const char *const *texts, GError **error)
{
    g_autoptr(GArray) networks = g_array_new(FALSE, FALSE, sizeof(PeerNetwork));

    for (; *texts != NULL; texts++) {
        PeerNetwork network;

        if (!peer_network_parse(*texts, &network, error)) {
            g_prefix_error(error, "[lmtp] trusted_networks: ");
            return NULL;
        }
        g_array_append_val(networks, network);
    }
    return g_steal_pointer(&networks);
}

/* The peer's address as 128 bits; false when it is not an IP address. */
static bool
get_address(const struct sockaddr *peer, uint8_t address[16])
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (peer->sa_family == AF_INET) {
        memcpy(&ipv4, peer, sizeof ipv4);
        map_ipv4(&ipv4.sin_addr, address);
        return true;
    }
    if (peer->sa_family == AF_INET6) {
        memcpy(&ipv6, peer, sizeof ipv6);
        memcpy(address, &ipv6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool
peer_is_trusted(const struct sockaddr *peer, const GArray *networks)
{
    uint8_t address[16];

    if (peer->sa_family == AF_UNIX)
        return true; /* whoever may connect was let in by the socket's mode */
    if (!get_address(peer, address))
        return false;
    for (guint i = 0; i < networks->len; i++) {
        const PeerNetwork *network = &g_array_index(networks, PeerNetwork, i);

        if (equal_bits(address, network->address, network->prefix))
            return true;
    }
    return false;
}

char *
peer_describe(const struct sockaddr *peer)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];

    if (!get_address(peer, address))
        return g_strdup("unix socket");
    if (equal_bits(address, mapped_prefix, MAPPED_BITS)) {
        inet_ntop(AF_INET, address + MAPPED_BYTES, text, sizeof text);
        return g_strdup_printf("[%s]", text);
    }
    inet_ntop(AF_INET6, address, text, sizeof text);
    return g_strdup_printf("[IPv6:%s]", text);
}
