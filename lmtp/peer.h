/* lmtp/peer.h - who is on the other end, and do we trust it?
 *
 * Pure: addresses in, answers out. An IPv4 address and its v4-mapped IPv6 form
 * (as a dual-stack socket reports it) are the same peer.
 */
#ifndef LODGE_LMTP_PEER_H
#define LODGE_LMTP_PEER_H

#include "lodge.h"

#include <sys/socket.h>

/* An address block; IPv4 is held as ::ffff:0:0/96 and below. */
typedef struct {
    uint8_t address[16];
    unsigned prefix; /* bits that count, 0 to 128 */
} PeerNetwork;

/* Parses "192.0.2.0/24", "192.0.2.1", "2001:db8::/32", "[::1]/128", as Postfix's
 * mynetworks writes them. Fails with LDA_ERROR_CONFIG, also when bits are set past
 * the prefix: it is then not clear which network was meant. */
bool peer_network_parse(const char *text, PeerNetwork *out, GError **error);

/* All of a NULL-terminated list. Free with g_array_unref(). */
GArray *peer_networks_parse(const char *const *texts, GError **error); /* of PeerNetwork */

/* True for a unix socket, and for an address in one of the networks. */
bool peer_is_trusted(const struct sockaddr *peer, const GArray *networks);

/* As in a Received field: "unix socket", "[192.0.2.1]", "[IPv6:2001:db8::1]". */
char *peer_describe(const struct sockaddr *peer);

#endif
