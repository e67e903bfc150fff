/* lmtp/fuzz_data.c - the data reader against a slow one, in random pieces
 *
 * The first bytes of the input choose DATA or a chunk and where it is cut; the
 * rest is what the client sends. Whatever the cuts, the content and what is left
 * over are those of a reader that looks at one byte after the other.
 */
#include "lodge.h"

#include "lmtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

typedef struct {
    GString *content;
    size_t used;
    bool done;
} Result;

static void
collect(const uint8_t *bytes, size_t len, void *content)
{
    g_assert(len > 0);
    g_string_append_len(content, (const char *)bytes, (gssize)len);
}

static bool
starts_with(const uint8_t *bytes, size_t len, const char *text)
{
    return len >= strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

/* RFC 5321 section 4.5.2 word by word: at the start of each line look for the end,
 * else drop a dot. A dot or dot and CR at the very end is not decided yet. */
static void
read_slowly(const uint8_t *bytes, size_t len, Result *result)
{
    bool line_start = true;
    size_t i = 0;

    while (i < len) {
        if (line_start && starts_with(bytes + i, len - i, ".\r\n")) {
            *result = (Result){result->content, i + 3, true};
            return;
        }
        if (line_start && bytes[i] == '.') {
            i++;
            if (len - i == 1 && bytes[i] == '\r')
                break;
            line_start = false;
            continue;
        }
        g_string_append_c(result->content, (char)bytes[i]);
        line_start = i > 0 && bytes[i] == '\n' && bytes[i - 1] == '\r';
        i++;
    }
    result->used = len;
}

static void
read_in_pieces(LmtpData *data, const uint8_t *cuts, size_t n_cuts, const uint8_t *bytes, size_t len,
               Result *result)
{
    for (size_t i = 0; result->used < len && !lmtp_data_is_done(data); i++) {
        size_t piece = MIN((size_t)cuts[i % n_cuts] + 1, len - result->used);

        result->used += lmtp_data_feed(data, bytes + result->used, piece, collect, result->content);
    }
    result->done = lmtp_data_is_done(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum { CUTS = 4, HEAD = CUTS + 2 };
    g_autoptr(GString) content = g_string_new(NULL);
    g_autoptr(GString) expected_content = g_string_new(NULL);
    Result result = {.content = content};
    Result expected = {.content = expected_content};
    LmtpData data;

    if (len < HEAD)
        return 0;
    const uint8_t *input = bytes + HEAD;
    size_t input_len = len - HEAD;

    if (bytes[CUTS] % 4 == 0) {
        size_t size = bytes[CUTS + 1];

        lmtp_data_begin_chunk(&data, size);
        expected.used = MIN(size, input_len);
        expected.done = size <= input_len;
        g_string_append_len(expected_content, (const char *)input, (gssize)expected.used);
    } else {
        lmtp_data_begin(&data);
        read_slowly(input, input_len, &expected);
    }
    read_in_pieces(&data, bytes, CUTS, input, input_len, &result);
    g_assert(result.used == expected.used);
    g_assert(result.done == expected.done);
    g_assert(g_string_equal(content, expected_content));
    return 0;
}
