/* sieve/ext_comparator.c - "comparator-...": what a script requires to use a comparator
 *
 * RFC 5228 section 2.7.3. The comparators themselves are in comparator.c; those that need
 * no require may be required all the same.
 */
#include "sieve/extensions.h"

const SieveExtension sieve_ext_comparator_octet = {.name = "comparator-i;octet"};
const SieveExtension sieve_ext_comparator_ascii_casemap = {.name = "comparator-i;ascii-casemap"};
const SieveExtension sieve_ext_comparator_ascii_numeric = {.name = "comparator-i;ascii-numeric"};
const SieveExtension sieve_ext_comparator_unicode_casemap = {
    .name = "comparator-i;unicode-casemap",
};
