/* lda/address.c - mail addresses as the envelope carries them; see address.h
 *
 *   <@relay.example:"ana maria"@example.org>   bytes off the wire
 *     source route   local part   domain
 *
 * The parser works on bytes: each piece is read into its raw form (quotes and
 * quoted pairs undone), then the whole is written again in one canonical form,
 * so that two spellings of an address are one string from here on. What comes
 * out never holds a control character, is valid UTF-8 and has a bounded length.
 *
 * RFC 5321 section 4.1.2, but as tolerant as MTAs have to be: dots may stand
 * anywhere in a local part, and a local part may be longer than 64 octets (VERP),
 * because Postfix passes both on.
 */
#include "lda/address.h"

/* Octets of an address. RFC 5321 section 4.5.3.1 says 254; encoded return paths
 * in the wild go well past it, nothing sensible comes near a thousand. */
enum { ADDRESS_MAX = 1000, DOMAIN_MAX = 255 };

typedef struct {
    const char *at;
    const char *end;
} Cursor;

static bool
next_is(const Cursor *cursor, char c)
{
    return cursor->at < cursor->end && *cursor->at == c;
}

static bool
skip(Cursor *cursor, char c)
{
    if (!next_is(cursor, c))
        return false;
    cursor->at++;
    return true;
}

/* RFC 5322 atext, the dot, and any byte of a UTF-8 sequence (checked at the end). */
static bool
is_local_char(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL) ||
           (uint8_t)c >= 0x80;
}

/* The underscore is no host name, but is used as one. */
static bool
is_domain_char(char c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || (uint8_t)c >= 0x80;
}

/* Valid UTF-8 without control characters, those of Latin-1 included; plain ASCII
 * unless flags allow more. */
static bool
is_clean(const char *text, AddressFlags flags)
{
    if (!g_utf8_validate(text, -1, NULL))
        return false;
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x80 && !(flags & ADDRESS_UTF8)))
            return false;
    }
    return true;
}

/* Reads a quoted string, whose opening quote is next, to its raw content. */
static bool
read_quoted(Cursor *cursor, GString *raw)
{
    cursor->at++;
    while (cursor->at < cursor->end) {
        char c = *cursor->at++;

        if (c == '"')
            return true;
        if (c == '\\') {
            if (cursor->at == cursor->end)
                return false;
            c = *cursor->at++;
        }
        if (c == '\0')
            return false;
        g_string_append_c(raw, c);
    }
    return false;
}

/* Reads a local part: atoms, dots and quoted strings in any order. */
static bool
read_local(Cursor *cursor, GString *raw)
{
    const char *start = cursor->at;

    while (cursor->at < cursor->end) {
        if (*cursor->at == '"') {
            if (!read_quoted(cursor, raw))
                return false;
        } else if (is_local_char(*cursor->at)) {
            g_string_append_c(raw, *cursor->at++);
        } else {
            break;
        }
    }
    return cursor->at > start;
}

/* Reads an address literal, RFC 5321 section 4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
static bool
read_literal(Cursor *cursor, GString *domain)
{
    g_string_append_c(domain, *cursor->at++);
    while (cursor->at < cursor->end && (g_ascii_isalnum(*cursor->at) || *cursor->at == ':' ||
                                        *cursor->at == '.' || *cursor->at == '-'))
        g_string_append_c(domain, *cursor->at++);
    if (domain->len < 2 || !skip(cursor, ']'))
        return false;
    g_string_append_c(domain, ']');
    return true;
}

/* Reads a domain. A dot at its end, as in a zone file, is dropped. */
static bool
read_domain(Cursor *cursor, GString *domain)
{
    if (next_is(cursor, '['))
        return read_literal(cursor, domain);
    while (cursor->at < cursor->end && is_domain_char(*cursor->at))
        g_string_append_c(domain, *cursor->at++);
    if (domain->len > 1 && domain->str[domain->len - 1] == '.')
        g_string_truncate(domain, domain->len - 1);
    return domain->len > 0 && domain->len <= DOMAIN_MAX && domain->str[0] != '.' &&
           domain->str[domain->len - 1] != '.' && strstr(domain->str, "..") == NULL;
}

/* Reads past "@relay.example,@other.example:". */
static bool
skip_route(Cursor *cursor)
{
    do {
        g_autoptr(GString) relay = g_string_new(NULL);

        if (!skip(cursor, '@') || !read_domain(cursor, relay))
            return false;
    } while (skip(cursor, ','));
    return skip(cursor, ':');
}

static void
append_local(GString *address, const GString *raw)
{
    bool plain = raw->len > 0;

    for (size_t i = 0; i < raw->len && plain; i++)
        plain = is_local_char(raw->str[i]);
    if (plain) {
        g_string_append_len(address, raw->str, (gssize)raw->len);
        return;
    }
    g_string_append_c(address, '"');
    for (size_t i = 0; i < raw->len; i++) {
        if (raw->str[i] == '"' || raw->str[i] == '\\')
            g_string_append_c(address, '\\');
        g_string_append_c(address, raw->str[i]);
    }
    g_string_append_c(address, '"');
}

/* The canonical form; domain may be NULL. NULL when it breaks a rule that holds
 * for the whole. */
static char *
compose(const GString *raw_local, const GString *domain, AddressFlags flags)
{
    g_autoptr(GString) address = g_string_new(NULL);

    append_local(address, raw_local);
    if (domain != NULL) {
        g_string_append_c(address, '@');
        g_string_append_len(address, domain->str, (gssize)domain->len);
    }
    if (address->len > ADDRESS_MAX || !is_clean(address->str, flags))
        return NULL;
    return g_strdup(address->str);
}

/* Reads "[route]local[@domain]" and stops at the first byte that belongs to none. */
static char *
read_address(Cursor *cursor, AddressFlags flags)
{
    g_autoptr(GString) local = g_string_new(NULL);
    g_autoptr(GString) domain = g_string_new(NULL);

    if (next_is(cursor, '@') && !skip_route(cursor))
        return NULL;
    if (!read_local(cursor, local))
        return NULL;
    if (!skip(cursor, '@'))
        return flags & ADDRESS_LOCAL_ONLY ? compose(local, NULL, flags) : NULL;
    if (!read_domain(cursor, domain))
        return NULL;
    return compose(local, domain, flags);
}

char *
address_parse_path(const char *text, size_t len, AddressFlags flags, size_t *used_out)
{
    Cursor cursor = {text, text + len};
    g_autofree char *address = NULL;

    if (!skip(&cursor, '<'))
        return NULL;
    if (next_is(&cursor, '>'))
        address = flags & ADDRESS_NULL ? g_strdup("") : NULL;
    else
        address = read_address(&cursor, flags);
    if (address == NULL || !skip(&cursor, '>'))
        return NULL;
    *used_out = (size_t)(cursor.at - text);
    return g_steal_pointer(&address);
}

/* An address as Postfix holds it inside, without any quotes: "ana maria@example.org".
 * This is what pipe(8) passes in ${recipient} without its flag q. */
static char *
parse_unquoted(const char *text, AddressFlags flags)
{
    const char *at = strrchr(text, '@');
    g_autoptr(GString) local = NULL;
    g_autoptr(GString) domain = g_string_new(NULL);

    if (at == NULL || at == text || strchr("<\"@", text[0]) != NULL)
        return NULL;
    Cursor cursor = {at + 1, text + strlen(text)};
    local = g_string_new_len(text, at - text);
    if (!read_domain(&cursor, domain) || cursor.at < cursor.end)
        return NULL;
    return compose(local, domain, flags);
}

char *
address_parse(const char *text, AddressFlags flags)
{
    size_t len = strlen(text);
    Cursor cursor = {text, text + len};
    size_t used = 0;
    g_autofree char *address = NULL;

    if (len == 0)
        return flags & ADDRESS_NULL ? g_strdup("") : NULL;
    if (text[0] == '<') {
        address = address_parse_path(text, len, flags, &used);
        return used == len ? g_steal_pointer(&address) : NULL;
    }
    address = read_address(&cursor, flags);
    if (address != NULL && cursor.at == cursor.end)
        return g_steal_pointer(&address);
    return parse_unquoted(text, flags);
}

char *
address_decode_xtext(const char *text, size_t len)
{
    g_autoptr(GString) decoded = g_string_sized_new(len);

    for (size_t i = 0; i < len; i++) {
        int value = (uint8_t)text[i];

        if (value == '+') {
            if (len - i < 3 || !g_ascii_isxdigit(text[i + 1]) || !g_ascii_isxdigit(text[i + 2]))
                return NULL;
            value = g_ascii_xdigit_value(text[i + 1]) * 16 + g_ascii_xdigit_value(text[i + 2]);
            i += 2;
        } else if (value < '!' || value > '~' || value == '=') {
            return NULL;
        }
        if (value == '\0')
            return NULL;
        g_string_append_c(decoded, (char)value);
    }
    return g_string_free(g_steal_pointer(&decoded), false);
}

/* Reads "\x{3B1}" and appends the character. */
static bool
read_embedded(Cursor *cursor, GString *decoded)
{
    gunichar c = 0;

    if (cursor->end - cursor->at < 5 || memcmp(cursor->at, "\\x{", 3) != 0)
        return false;
    cursor->at += 3;
    for (int digits = 0; cursor->at < cursor->end && g_ascii_isxdigit(*cursor->at); digits++) {
        if (digits == 6)
            return false;
        c = c * 16 + (gunichar)g_ascii_xdigit_value(*cursor->at++);
    }
    if (c == 0 || !g_unichar_validate(c) || !skip(cursor, '}'))
        return false;
    g_string_append_unichar(decoded, c);
    return true;
}

/* RFC 6533 section 3: utf-8-addr-xtext or utf-8-addr-unitext. "+" and "=" should be
 * embedded too; a client that forgot is understood all the same. */
static char *
decode_unitext(const char *text, size_t len)
{
    Cursor cursor = {text, text + len};
    g_autoptr(GString) decoded = g_string_sized_new(len);

    while (cursor.at < cursor.end) {
        if (*cursor.at == '\\') {
            if (!read_embedded(&cursor, decoded))
                return NULL;
        } else if (*cursor.at == '\0') {
            return NULL;
        } else {
            g_string_append_c(decoded, *cursor.at++);
        }
    }
    return g_string_free(g_steal_pointer(&decoded), false);
}

char *
address_decode_orcpt(const char *text, size_t len)
{
    const char *semicolon = memchr(text, ';', len);
    g_autofree char *decoded = NULL;

    if (semicolon == NULL)
        return NULL;
    size_t type_len = (size_t)(semicolon - text);
    size_t value_len = len - type_len - 1;
    if (type_len == 6 && g_ascii_strncasecmp(text, "rfc822", 6) == 0)
        decoded = address_decode_xtext(semicolon + 1, value_len);
    else if (type_len == 5 && g_ascii_strncasecmp(text, "utf-8", 5) == 0)
        decoded = decode_unitext(semicolon + 1, value_len);
    /* An original recipient may well be "root", without a domain. */
    return decoded != NULL ? address_parse(decoded, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY) : NULL;
}
