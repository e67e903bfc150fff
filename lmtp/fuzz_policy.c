/* lmtp/fuzz_policy.c - any bytes as policy requests, in pieces of any size
 *
 * Besides not crashing: where the pieces end makes no difference, and whatever a request
 * holds, an answer made of it stays one line and an empty one.
 */
#include "lodge.h"

#include "lmtp/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Describes what was understood, fed piece octets at a time. */
static char *
understand(const char *bytes, size_t len, size_t piece)
{
    g_autoptr(PolicyParser) parser = policy_parser_new();
    GString *text = g_string_new(NULL);
    PolicyResult result = POLICY_MORE;

    for (size_t done = 0; done < len && result != POLICY_GARBAGE;) {
        size_t used = 0;

        result = policy_parser_feed(parser, bytes + done, MIN(piece, len - done), &used);
        g_assert(used <= MIN(piece, len - done) && (used > 0 || result == POLICY_GARBAGE));
        done += used;
        if (result == POLICY_REQUEST) {
            const PolicyRequest *request = policy_parser_request(parser);

            g_assert(g_utf8_validate(request->recipient, -1, NULL));
            policy_answer(text, request->recipient);
            policy_answer(text, request->state);
            g_string_append_printf(text, "%" G_GUINT64_FORMAT "\n", request->size);
        }
    }
    if (result == POLICY_GARBAGE)
        g_string_append(text, "garbage\n");
    return g_string_free(text, FALSE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    g_autofree char *whole = understand((const char *)bytes, len, MAX(len, 1));
    g_autofree char *pieces = understand((const char *)bytes, len, len > 0 ? bytes[0] % 16 + 1 : 1);

    g_assert(strcmp(whole, pieces) == 0);
    return 0;
}
