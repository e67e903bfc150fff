/* sieve/ext_subaddress.c - "subaddress": the address parts :user and :detail (RFC 5233)
 *
 * sieve_address_detail() (address.h) takes them apart.
 */
#include "sieve/extensions.h"

static const SieveTag tags[] = {
    {.name = "user", .traits = SIEVE_TAKES_ADDRESS_PART, .group = SIEVE_GROUP_ADDRESS_PART},
    {.name = "detail", .traits = SIEVE_TAKES_ADDRESS_PART, .group = SIEVE_GROUP_ADDRESS_PART},
    {.name = NULL},
};

const SieveExtension sieve_ext_subaddress = {.name = "subaddress", .tags = tags};
