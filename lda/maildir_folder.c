/* lda/maildir_folder.c - folder names, as users see them and on disk
 *
 *   INBOX.Lists.Käse --(prefix "INBOX.")--> Lists, Käse --> .Lists.K&AOQ-se
 *
 * Follows Dovecot's Maildir++ layout, so that both programs find the same folder:
 * levels in modified UTF-7 (RFC 3501 section 5.1.3), each after a dot. The prefix
 * of the namespace may be left out: a script that files into "Lists" where clients
 * say "INBOX.Lists" means that folder. Pure: bytes in, bytes out.
 */
#include "lda/maildir_parts.h"

#include "lda/outcome.h"

enum { DIRECTORY_MAX = 255 }; /* NAME_MAX of every file system that matters */

static bool
set_bad_folder(GError **error, const char *folder, const char *why)
{
    g_set_error(error, LDA_ERROR, LDA_ERROR_BAD_FOLDER, "folder '%s' cannot exist: %s", folder,
                why);
    return false;
}

/* Six bits a character, from the top; the last one is filled up with zeros. */
static void
append_base64(GString *out, const GByteArray *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    guint32 pending = 0;
    unsigned bits = 0;

    for (guint i = 0; i < bytes->len; i++) {
        pending = pending << 8 | bytes->data[i];
        for (bits += 8; bits >= 6; bits -= 6)
            g_string_append_c(out, digits[pending >> (bits - 6) & 63]);
    }
    if (bits > 0)
        g_string_append_c(out, digits[pending << (6 - bits) & 63]);
}

static void
append_utf16(GByteArray *out, guint32 unit)
{
    const guint8 bytes[2] = {(guint8)(unit >> 8), (guint8)unit};

    g_byte_array_append(out, bytes, sizeof bytes);
}

static void
append_character(GByteArray *out, gunichar c)
{
    if (c < 0x10000) {
        append_utf16(out, c);
    } else {
        append_utf16(out, 0xd800 + ((c - 0x10000) >> 10));
        append_utf16(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
    }
}

/* RFC 3501 section 5.1.3. The text is valid UTF-8 without control characters. */
static void
append_modified_utf7(GString *out, const char *text)
{
    g_autoptr(GByteArray) shifted = g_byte_array_new();

    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        if ((guchar)*p >= 0x80) {
            append_character(shifted, g_utf8_get_char(p));
            continue;
        }
        if (shifted->len > 0) {
            g_string_append_c(out, '&');
            append_base64(out, shifted);
            g_string_append_c(out, '-');
            g_byte_array_set_size(shifted, 0);
        }
        g_string_append(out, *p == '&' ? "&-" : (char[]){*p, '\0'});
    }
    if (shifted->len > 0) {
        g_string_append_c(out, '&');
        append_base64(out, shifted);
        g_string_append_c(out, '-');
    }
}

static bool
check_text(const char *folder, GError **error)
{
    if (!g_utf8_validate(folder, -1, NULL)) {
        g_autofree char *shown = g_utf8_make_valid(folder, -1);

        return set_bad_folder(error, shown, "not UTF-8");
    }
    for (const char *p = folder; *p != '\0'; p = g_utf8_next_char(p)) {
        if (g_unichar_iscntrl(g_utf8_get_char(p)))
            return set_bad_folder(error, folder, "a control character");
    }
    return true;
}

/* The folder without the namespace's prefix, when it stands there: "INBOX" of a
 * prefix is the mailbox and has no case. */
static const char *
without_prefix(const MaildirLayout *layout, const char *folder)
{
    size_t len = strlen(layout->prefix);
    size_t inbox_len = strlen("INBOX");

    if (len == 0)
        return folder;
    if (len > inbox_len && g_ascii_strncasecmp(layout->prefix, "INBOX", inbox_len) == 0 &&
        g_ascii_strncasecmp(folder, "INBOX", inbox_len) == 0 &&
        strncmp(folder + inbox_len, layout->prefix + inbox_len, len - inbox_len) == 0)
        return folder + len;
    return strncmp(folder, layout->prefix, len) == 0 ? folder + len : folder;
}

static bool
check_level(const MaildirLayout *layout, const char *folder, const char *level, GError **error)
{
    if (level[0] == '\0')
        return set_bad_folder(error, folder, "an empty level");
    if (strchr(level, '/') != NULL)
        return set_bad_folder(error, folder, "'/' is not the separator");
    if (strchr(level, '.') != NULL)
        return set_bad_folder(error, folder,
                              layout->separator == '/' ? "'.' separates levels on disk"
                                                       : "'.' is not the separator");
    return true;
}

char **
maildir_folder_levels(const MaildirLayout *layout, const char *folder, GError **error)
{
    const char separator[] = {layout->separator, '\0'};

    if (!check_text(folder, error))
        return NULL;

    const char *name = without_prefix(layout, folder);

    if (g_ascii_strcasecmp(name, "INBOX") == 0)
        return g_new0(char *, 1);
    /* Dovecot refuses it too: it would expand to a home directory in other layouts. */
    if (name[0] == '~') {
        set_bad_folder(error, folder, "it begins with '~'");
        return NULL;
    }

    g_auto(GStrv) levels = g_strsplit(name[0] == '\0' ? separator : name, separator, -1);

    for (char **level = levels; *level != NULL; level++) {
        if (!check_level(layout, folder, *level, error))
            return NULL;
        if (level == levels && g_ascii_strcasecmp(*level, "INBOX") == 0)
            memcpy(*level, "INBOX", strlen("INBOX"));
    }
    return g_steal_pointer(&levels);
}

char *
maildir_folder_name(const MaildirLayout *layout, const char *const *levels)
{
    const char separator[] = {layout->separator, '\0'};

    if (levels[0] == NULL)
        return g_strdup("INBOX");

    g_autofree char *name = g_strjoinv(separator, (char **)levels);

    return g_strconcat(layout->prefix, name, NULL);
}

char *
maildir_levels_to_directory(const char *folder, const char *const *levels, GError **error)
{
    g_autoptr(GString) directory = g_string_new(NULL);

    for (const char *const *level = levels; *level != NULL; level++) {
        g_string_append_c(directory, '.');
        append_modified_utf7(directory, *level);
    }
    if (directory->len > DIRECTORY_MAX) {
        set_bad_folder(error, folder, "its name is longer than 255 octets on disk");
        return NULL;
    }
    return g_string_free(g_steal_pointer(&directory), FALSE);
}

char *
maildir_folder_to_directory(const MaildirLayout *layout, const char *folder, GError **error)
{
    g_auto(GStrv) levels = maildir_folder_levels(layout, folder, error);

    if (levels == NULL)
        return NULL;
    return maildir_levels_to_directory(folder, (const char *const *)levels, error);
}

/* ---- the other way -------------------------------------------------------- */

/* The text between "&" and "-", to UTF-16; false when it is not base64. */
static bool
take_base64(const char *text, size_t len, GArray *units)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    guint32 pending = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);

        if (digit == NULL)
            return false;
        pending = pending << 6 | (guint32)(digit - digits);
        bits += 6;
        if (bits >= 16) {
            guint16 unit = (guint16)(pending >> (bits - 16));

            g_array_append_val(units, unit);
            bits -= 16;
        }
    }
    return true;
}

/* Appends what stands at "&"; returns where it ends, NULL when it is nothing. */
static const char *
decode_shift(const char *text, GString *out)
{
    const char *end = strchr(text, '-');
    g_autoptr(GArray) units = g_array_new(FALSE, FALSE, sizeof(guint16));
    g_autofree char *decoded = NULL;

    if (end == NULL)
        return NULL;
    if (end == text + 1) {
        g_string_append_c(out, '&');
        return end + 1;
    }
    if (!take_base64(text + 1, (size_t)(end - text) - 1, units))
        return NULL;
    decoded = g_utf16_to_utf8((const gunichar2 *)(const void *)units->data, (glong)units->len, NULL,
                              NULL, NULL);
    if (decoded == NULL)
        return NULL;
    g_string_append(out, decoded);
    return end + 1;
}

char *
maildir_directory_to_folder(const MaildirLayout *layout, const char *directory)
{
    g_autoptr(GString) name = g_string_new(layout->prefix);
    g_autofree char *back = NULL;

    if (directory[0] == '\0')
        return g_strdup("INBOX");
    if (directory[0] != '.')
        return NULL;
    for (const char *p = directory + 1; *p != '\0';) {
        if (*p == '&') {
            p = decode_shift(p, name);
            if (p == NULL)
                return NULL;
        } else {
            g_string_append_c(name, *p == '.' ? layout->separator : *p);
            p++;
        }
    }
    /* Whatever would not come back to this directory is not its name. */
    back = maildir_folder_to_directory(layout, name->str, NULL);
    return g_strcmp0(back, directory) == 0 ? g_string_free(g_steal_pointer(&name), FALSE) : NULL;
}
