/* sieve/fuzz_sieve_address.c - any bytes as a list of addresses, as one, and as a path
 *
 * Beyond "no crash": texts end with NUL and are UTF-8, an address is its parts, and one that is
 * accepted as single is the same when it is written and read again.
 */
#include "sieve/address.h"
#include "sieve/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(SieveText text)
{
    g_assert(text.bytes[text.len] == '\0');
    g_assert(sieve_text_is_utf8(text));
}

static void
check_address(const SieveAddress *address)
{
    check_text(address->all);
    check_text(address->local_part);
    check_text(address->domain);
    check_text(address->name);
    if (address->is_valid)
        g_assert(address->all.len >=
                 address->local_part.len + address->domain.len + (address->domain.len > 0 ? 1 : 0));
    else
        g_assert(address->all.len > 0 && address->local_part.len == 0);
}

static void
check_again(SieveArena *arena, const SieveAddress *address,
            bool (*parse)(SieveArena *, SieveText, SieveAddress *))
{
    g_autofree char *written = sieve_address_format(address);
    SieveAddress again;

    if (strlen(written) != address->all.len && memchr(address->all.bytes, '\0', address->all.len))
        return;
    g_assert(parse(arena, sieve_text(written), &again));
    g_assert(sieve_text_equal(again.all, address->all));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveText text = sieve_arena_text(arena, (const char *)data, size);
    SieveAddress address;
    SieveText user, detail;
    size_t count;
    const SieveAddress *addresses = sieve_addresses_parse(arena, text, &count);

    for (size_t i = 0; i < count; i++)
        check_address(&addresses[i]);
    if (sieve_address_parse(arena, text, &address)) {
        check_address(&address);
        check_again(arena, &address, sieve_address_parse);
    }
    if (sieve_path_parse(arena, text, &address)) {
        check_address(&address);
        if (address.all.len > 0)
            check_again(arena, &address, sieve_path_parse);
    }
    if (sieve_address_detail(arena, text, "+-", &user, &detail))
        g_assert(user.len + 1 + detail.len == text.len);
    return 0;
}
