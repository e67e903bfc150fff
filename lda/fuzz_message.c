/* lda/fuzz_message.c - any bytes, in any pieces, in memory and in a file
 *
 * However a message is cut into pieces and wherever it is kept, the result is the
 * same octets; sizes add up; the header scan survives whatever it is given.
 */
#include "lda/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Message *
build(size_t spool_memory, const uint8_t *data, size_t size, size_t step)
{
    const MessageOptions options = {.spool_memory = spool_memory, .spool_dir = "/dev/shm"};
    Message *message = message_new(&options);

    for (size_t at = 0; at < size; at += step)
        message_append(message, data + at, MIN(step, size - at));
    return message;
}

static void
check_same(Message *whole, Message *pieces)
{
    size_t len = 0;
    size_t other_len = 0;
    guint64 size = message_size(whole);
    const uint8_t *bytes = message_peek(whole, 0, (size_t)size, &len, NULL);

    g_assert(size == message_size(pieces));
    g_assert(message_virtual_size(whole) == message_virtual_size(pieces));
    for (guint64 offset = 0; offset < size; offset += other_len) {
        const uint8_t *window = message_peek(pieces, offset, 1000, &other_len, NULL);

        g_assert(window != NULL && other_len > 0);
        g_assert(memcmp(bytes + offset, window, other_len) == 0);
    }
    g_assert(g_strcmp0(message_id(whole), message_id(pieces)) == 0);
    g_assert(g_strcmp0(message_queue_id(whole), message_queue_id(pieces)) == 0);
    g_assert(message_received_count(whole) == message_received_count(pieces));
    g_assert(message_was_delivered_to(whole, "a@b") == message_was_delivered_to(pieces, "a@b"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    g_autoptr(Message) whole = build(1 << 20, data + 1, size - 1, size);
    g_autoptr(Message) pieces =
        build(data[0] & 0x80 ? 0 : 1 << 20, data + 1, size - 1, 1 + (data[0] & 0x7f));
    bool finished = message_finish(whole, NULL);

    g_assert(finished == message_finish(pieces, NULL));
    if (finished)
        check_same(whole, pieces);
    return 0;
}
