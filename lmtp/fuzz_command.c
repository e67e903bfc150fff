/* lmtp/fuzz_command.c - any bytes as a command line
 *
 * Besides not crashing: what was refused is never half accepted into an address
 * that breaks a line, and an accepted verb is one that the session handles.
 */
#include "lodge.h"

#include "lmtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_text(const char *text)
{
    for (const char *p = text; p != NULL && *p != '\0'; p++)
        g_assert(*p != '\r' && *p != '\n');
    g_assert(text == NULL || g_utf8_validate(text, -1, NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    g_autoptr(LmtpCommand) command = lmtp_command_parse((const char *)bytes, len);

    if (command->refusal != LMTP_ACCEPTED)
        return 0;
    g_assert(command->verb < LMTP_VERBS);
    g_assert((command->address != NULL) ==
             (command->verb == LMTP_MAIL || command->verb == LMTP_RCPT));
    g_assert((command->attributes != NULL) == (command->verb == LMTP_XFORWARD));
    check_text(command->address);
    check_text(command->text);
    if (command->attributes != NULL) {
        g_autoptr(GList) values = g_hash_table_get_values(command->attributes);

        for (GList *value = values; value != NULL; value = value->next)
            check_text(value->data);
    }
    return 0;
}
