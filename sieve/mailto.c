/* sieve/mailto.c - reads a mailto URI; see mailto.h
 *
 *   mailto: <to> , <to> ? <hname> = <hvalue> & <hname> = <hvalue>
 *
 * RFC 6068 section 2. Everything between the delimiters is percent-encoded, so it is split
 * first and decoded afterwards. Strict about the URI, because "Invalid URI syntax ... MUST
 * cause an error" (RFC 5435 section 3.2); but what decodes to controls is only made
 * harmless: with ":encodeurl" it can come out of a message, and must not stop the script.
 */
#include "sieve/mailto.h"

#include "sieve/address.h"
#include "sieve/reply.h"

/* Addresses and fields in one URI: more is an error, not a notification. */
enum { MAX_ADDRESSES = 8, MAX_FIELDS = 16, MAX_NAME = 64 };

typedef struct {
    SieveArena *arena;
    GPtrArray *to, *cc, *fields;
    SieveMailto *mailto;
    const char **problem;
} Parse;

static bool
fail(Parse *parse, const char *text)
{
    *parse->problem = text;
    return false;
}

bool
sieve_mailto_is(SieveText uri)
{
    return uri.len >= strlen("mailto:") &&
           g_ascii_strncasecmp(uri.bytes, "mailto:", strlen("mailto:")) == 0;
}

/* RFC 3986 section 2, and the octets of UTF-8: an IRI is taken as well. */
static bool
is_uri_octet(char c)
{
    return (signed char)c < 0 || g_ascii_isalnum(c) ||
           (c != '\0' && strchr("-._~!$&'()*+,;:@/?=%[]", c) != NULL);
}

static bool
decode(Parse *parse, SieveText text, SieveText *decoded_out)
{
    char *out = sieve_arena_alloc(parse->arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] != '%') {
            out[len++] = text.bytes[i];
            continue;
        }
        if (i + 2 >= text.len || !g_ascii_isxdigit(text.bytes[i + 1]) ||
            !g_ascii_isxdigit(text.bytes[i + 2]))
            return fail(parse, "'%' without two hexadecimal digits");
        out[len++] = (char)(g_ascii_xdigit_value(text.bytes[i + 1]) << 4 |
                            g_ascii_xdigit_value(text.bytes[i + 2]));
        i += 2;
    }
    *decoded_out = (SieveText){out, len};
    return true;
}

/* Cuts the part of *rest_inout up to delimiter off. */
static SieveText
take_until(SieveText *rest_inout, char delimiter)
{
    const char *end = memchr(rest_inout->bytes, delimiter, rest_inout->len);
    SieveText part = {rest_inout->bytes,
                      end == NULL ? rest_inout->len : (size_t)(end - rest_inout->bytes)};
    size_t used = part.len + (end != NULL);

    *rest_inout = (SieveText){rest_inout->bytes + used, rest_inout->len - used};
    return part;
}

static bool
add_address(Parse *parse, GPtrArray *list, const SieveAddress *address)
{
    if (!address->is_valid || address->domain.len == 0)
        return fail(parse, "a recipient that is no address");
    if (parse->to->len + parse->cc->len >= MAX_ADDRESSES)
        return fail(parse, "too many recipients");
    g_autofree char *formatted = sieve_address_format(address);
    for (guint i = 0; i < list->len; i++) {
        if (g_ascii_strcasecmp(list->pdata[i], formatted) == 0)
            return true;
    }
    g_ptr_array_add(list, sieve_arena_strdup(parse->arena, formatted));
    return true;
}

/* Addresses separated by commas, which RFC 2368 section 2 lets stand encoded as well. */
static bool
add_addresses(Parse *parse, GPtrArray *list, SieveText encoded)
{
    SieveText text;
    size_t count = 0;

    if (!decode(parse, encoded, &text))
        return false;
    if (sieve_reply_has_controls(text) || !g_utf8_validate(text.bytes, (gssize)text.len, NULL))
        return fail(parse, "a recipient that is no address");
    const SieveAddress *addresses = sieve_addresses_parse(parse->arena, text, &count);
    for (size_t i = 0; i < count; i++) {
        if (!add_address(parse, list, &addresses[i]))
            return false;
    }
    return true;
}

/* Fields of the notification that its URI has no say in: RFC 5436 section 2.7, what our own
 * encoding of the body needs, and what would make other programs send or hide something. */
static const char *const ignored[] = {
    "in-reply-to",
    "references",
    "from",
    "sender",
    "date",
    "message-id",
    "received",
    "return-path",
    "auto-submitted",
    "bcc",
    "mime-version",
    "apparently-to",
    "delivered-to",
    "errors-to",
    "dkim-signature",
    "arc-seal",
    "authentication-results",
    "precedence",
    "return-receipt-to",
    "disposition-notification-to",
};

static const char *const ignored_prefixes[] = {"resent-", "content-", "x-sieve-", "list-", "arc-"};

static bool
is_ignored(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ignored); i++) {
        if (strcmp(name, ignored[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ignored_prefixes); i++) {
        if (g_str_has_prefix(name, ignored_prefixes[i]))
            return true;
    }
    return false;
}

/* "x-my-field" as people write it: X-My-Field (RFC 5436 section 2.7 asks for the first). */
static char *
capitalize(Parse *parse, const char *name)
{
    char *out = sieve_arena_strdup(parse->arena, name);

    for (char *p = out; *p != '\0'; p++) {
        if (p == out || p[-1] == '-')
            *p = g_ascii_toupper(*p);
    }
    return out;
}

static bool
is_field_name(SieveText name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!g_ascii_isgraph(name.bytes[i]) || name.bytes[i] == ':')
            return false;
    }
    return name.len > 0 && name.len <= MAX_NAME;
}

static bool
add_field(Parse *parse, const char *name, SieveText value)
{
    char *line = sieve_reply_line(parse->arena, value);

    if (strcmp(name, "subject") == 0) {
        if (parse->mailto->subject == NULL)
            parse->mailto->subject = line;
    } else if (strcmp(name, "body") == 0) {
        if (parse->mailto->body == NULL)
            parse->mailto->body = sieve_reply_lines(parse->arena, value);
    } else if (!is_ignored(name)) {
        if (parse->fields->len >= 2 * MAX_FIELDS)
            return fail(parse, "too many header fields");
        g_ptr_array_add(parse->fields, capitalize(parse, name));
        g_ptr_array_add(parse->fields, line);
    }
    return true;
}

static bool
read_field(Parse *parse, SieveText text)
{
    SieveText encoded_name = take_until(&text, '='), name, value;

    if (encoded_name.bytes + encoded_name.len == text.bytes)
        return fail(parse, "a header field without '='");
    if (!decode(parse, encoded_name, &name))
        return false;
    if (!is_field_name(name))
        return fail(parse, "a header field with a bad name");
    g_autofree char *lower = g_ascii_strdown(name.bytes, (gssize)name.len);
    if (strcmp(lower, "to") == 0)
        return add_addresses(parse, parse->to, text);
    if (strcmp(lower, "cc") == 0)
        return add_addresses(parse, parse->cc, text);
    return decode(parse, text, &value) && add_field(parse, lower, value);
}

static char **
close_list(SieveArena *arena, const GPtrArray *list)
{
    char **out = sieve_arena_new0(arena, char *, list->len + 1);

    for (guint i = 0; i < list->len; i++)
        out[i] = list->pdata[i];
    return out;
}

static bool
read_uri(Parse *parse, SieveText uri)
{
    SieveText rest = {uri.bytes + strlen("mailto:"), uri.len - strlen("mailto:")};

    for (size_t i = 0; i < rest.len; i++) {
        if (!is_uri_octet(rest.bytes[i]))
            return fail(parse, "a character that must be percent-encoded");
    }
    if (!add_addresses(parse, parse->to, take_until(&rest, '?')))
        return false;
    while (rest.len > 0) {
        if (!read_field(parse, take_until(&rest, '&')))
            return false;
    }
    return true;
}

bool
sieve_mailto_parse(SieveArena *arena, SieveText uri, SieveMailto *mailto_out,
                   const char **problem_out)
{
    g_autoptr(GPtrArray) to = g_ptr_array_new(), cc = g_ptr_array_new(), fields = g_ptr_array_new();
    SieveMailto mailto = {0};
    const char *problem = NULL;
    Parse parse = {arena, to, cc, fields, &mailto, &problem};

    if (!sieve_mailto_is(uri))
        (void)fail(&parse, "no mailto URI");
    else
        (void)read_uri(&parse, uri);
    *problem_out = problem;
    if (problem != NULL)
        return false;
    mailto.to = close_list(arena, to);
    mailto.cc = close_list(arena, cc);
    mailto.fields = close_list(arena, fields);
    *mailto_out = mailto;
    return true;
}
