/* lda/fuzz_folder.c - folder names from scripts, arguments and addresses
 *
 * Whatever comes in, what comes out is one directory entry that begins with one
 * dot and has no way to another directory.
 */
#include "lda/maildir_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_directory(const char *directory)
{
    size_t len = strlen(directory);

    if (len == 0)
        return;
    g_assert(len <= 255 && directory[0] == '.' && directory[len - 1] != '.');
    g_assert(strstr(directory, "..") == NULL);
    for (const char *p = directory; *p != '\0'; p++)
        g_assert(g_ascii_isprint(*p) && *p != '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const MaildirLayout layouts[] = {
        {'.', ""}, {'/', ""}, {'.', "INBOX."}, {'/', "INBOX/"}, {'/', "Mail/"},
    };
    g_autofree char *folder = g_strndup((const char *)bytes, len);

    for (size_t i = 0; i < G_N_ELEMENTS(layouts); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *directory = maildir_folder_to_directory(&layouts[i], folder, &error);

        g_assert((directory == NULL) == (error != NULL));
        if (directory != NULL)
            check_directory(directory);
        else
            g_assert(g_utf8_validate(error->message, -1, NULL));
    }
    return 0;
}
