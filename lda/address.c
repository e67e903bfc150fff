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
        gunichar c = (uint8_t)*p < 0x80 ? (gunichar)*p : g_utf8_get_char(p);

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
        const char *atom = cursor->at;

        while (cursor->at < cursor->end && is_local_char(*cursor->at))
            cursor->at++;
        g_string_append_len(raw, atom, cursor->at - atom);
        if (!next_is(cursor, '"'))
            break;
        if (!read_quoted(cursor, raw))
            return false;
    }
    return cursor->at > start;
}

/* Reads past an address literal, RFC 5321 section 4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
static bool
skip_literal(Cursor *cursor)
{
    const char *start = ++cursor->at;

    while (cursor->at < cursor->end && (g_ascii_isalnum(*cursor->at) || *cursor->at == ':' ||
                                        *cursor->at == '.' || *cursor->at == '-'))
        cursor->at++;
    return cursor->at > start && skip(cursor, ']');
}

/* Reads past a domain and appends it to address. A dot at its end, as in a zone
 * file, is dropped. */
static bool
read_domain(Cursor *cursor, GString *address)
{
    const char *domain = cursor->at;
    size_t len;

    if (next_is(cursor, '[')) {
        if (!skip_literal(cursor))
            return false;
        g_string_append_len(address, domain, cursor->at - domain);
        return true;
    }
    while (cursor->at < cursor->end && is_domain_char(*cursor->at))
        cursor->at++;
    len = (size_t)(cursor->at - domain);
    len -= len > 1 && domain[len - 1] == '.';
    if (len == 0 || len > DOMAIN_MAX || domain[0] == '.' || domain[len - 1] == '.' ||
        memmem(domain, len, "..", 2) != NULL)
        return false;
    g_string_append_len(address, domain, (gssize)len);
    return true;
}

/* Reads past "@relay.example,@other.example:". */
static bool
skip_route(Cursor *cursor)
{
    g_autoptr(GString) relays = g_string_new(NULL);

    do {
        if (!skip(cursor, '@') || !read_domain(cursor, relays))
            return false;
    } while (skip(cursor, ','));
    return skip(cursor, ':');
}

/* Makes the raw local part that address consists of so far canonical: in quotes
 * if it needs them. */
static void
quote_local(GString *address)
{
    size_t plain = 0;

    while (plain < address->len && is_local_char(address->str[plain]))
        plain++;
    if (plain > 0 && plain == address->len)
        return;

    g_autofree char *raw = g_strndup(address->str, address->len);

    g_string_assign(address, "\"");
    for (const char *p = raw; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(address, '\\');
        g_string_append_c(address, *p);
    }
    g_string_append_c(address, '"');
}

/* What is true of every address, however it was written. */
static bool
is_acceptable(const GString *address, AddressFlags flags)
{
    return address->len <= ADDRESS_MAX && is_clean(address->str, flags);
}

/* Reads "[route]local[@domain]" and stops at the first byte that belongs to none. */
static char *
read_address(Cursor *cursor, AddressFlags flags)
{
    g_autoptr(GString) address = g_string_new(NULL);

    if (next_is(cursor, '@') && !skip_route(cursor))
        return NULL;
    if (!read_local(cursor, address))
        return NULL;
    quote_local(address);
    if (skip(cursor, '@')) {
        g_string_append_c(address, '@');
        if (!read_domain(cursor, address))
            return NULL;
    } else if (!(flags & ADDRESS_LOCAL_ONLY)) {
        return NULL;
    }
    if (!is_acceptable(address, flags))
        return NULL;
    return g_string_free(g_steal_pointer(&address), false);
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
    g_autoptr(GString) address = NULL;

    if (at == NULL || at == text || strchr("<\"@", text[0]) != NULL)
        return NULL;
    Cursor cursor = {at + 1, text + strlen(text)};
    address = g_string_new_len(text, at - text);
    quote_local(address);
    g_string_append_c(address, '@');
    if (!read_domain(&cursor, address) || cursor.at < cursor.end || !is_acceptable(address, flags))
        return NULL;
    return g_string_free(g_steal_pointer(&address), false);
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
