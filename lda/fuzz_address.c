/* lda/fuzz_address.c - any bytes as a path, a command-line address, xtext and ORCPT
 *
 * Beyond "no crash": what is accepted holds no control character and means the
 * same when it is parsed again, or one address could be two mailboxes.
 */
#include "lda/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_address(const char *address)
{
    const AddressFlags all = ADDRESS_NULL | ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY;
    g_autofree char *again = NULL;

    if (address == NULL)
        return;
    for (const char *p = address; *p != '\0'; p++)
        g_assert(!g_ascii_iscntrl(*p));
    g_assert(g_utf8_validate(address, -1, NULL));
    again = address_parse(address, all);
    g_assert(g_strcmp0(address, again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    AddressFlags flags = data[0] & 7;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    size_t used = 0;
    g_autofree char *whole = g_strndup(text, len);
    g_autofree char *path = address_parse_path(text, len, flags, &used);
    g_autofree char *bare = address_parse(whole, flags);
    g_autofree char *xtext = address_decode_xtext(text, len);
    g_autofree char *orcpt = address_decode_orcpt(text, len);

    g_assert(path == NULL || (used >= 2 && used <= len && text[used - 1] == '>'));
    check_address(path);
    check_address(bare);
    check_address(orcpt);
    return 0;
}
