/* sieve/fuzz_sieve_header.c - any bytes as a message: its fields, their values, dates and edits
 *
 * Beyond "no crash": values are UTF-8, and a header that was edited reads the same when its
 * edition is read again.
 */
#include "sieve/date.h"
#include "sieve/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_field(SieveArena *arena, SieveMessage *message, SieveField *field)
{
    SieveText value = sieve_field_value(message, field);
    SieveDate date;
    size_t count;

    g_assert(field->name.len > 0);
    g_assert(value.bytes[value.len] == '\0');
    g_assert(sieve_text_is_utf8(value));
    (void)sieve_field_addresses(message, field, &count);
    if (sieve_date_parse(value, &date)) {
        SieveText std11 = sieve_date_part(arena, &date, SIEVE_DATE_STD11);
        SieveDate again;

        g_assert(sieve_date_parse(std11, &again) || date.zone != again.zone);
    }
}

static void
check_edition(SieveArena *arena, SieveMessage *message)
{
    gsize len;
    const uint8_t *header = g_bytes_get_data(sieve_message_edition(message)->header, &len);
    SieveMessage *again = sieve_message_new(arena, header, len);
    size_t count, count_again;
    SieveField *const *fields = sieve_message_fields(message, &count);
    SieveField *const *fields_again = sieve_message_fields(again, &count_again);

    g_assert(count == count_again);
    for (size_t i = 0; i < count; i++) {
        g_assert(sieve_text_equal(fields[i]->name, fields_again[i]->name));
        g_assert(sieve_text_equal(sieve_field_value(message, fields[i]),
                                  sieve_field_value(again, fields_again[i])));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveMessage *message = sieve_message_new(arena, data, size);
    size_t count;
    SieveField *const *fields = sieve_message_fields(message, &count);

    for (size_t i = 0; i < count; i++)
        read_field(arena, message, fields[i]);
    if (count > 1)
        sieve_message_delete_fields(message, fields + count / 2, 1);
    sieve_message_add_field(message, sieve_text("X-Added"),
                            (SieveText){.bytes = (const char *)data, .len = MIN(size, 300u)},
                            size % 2 == 0);
    check_edition(arena, message);
    return 0;
}
