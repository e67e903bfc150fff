/* sieve/mime_field.c - structured MIME fields, and contents that stand as they are; see mime.h
 *
 * What needs no more than looking. For parameters and for what is encoded the module with
 * GMime is loaded: modules.h.
 */
#include "sieve/mime.h"

#include "sieve/limits.h"
#include "sieve/modules.h"
#include "sieve/words.h"

/* RFC 2045 section 5.1: what a token may be made of. */
static bool
is_token_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Behind blanks and comments (RFC 822). */
static const char *
skip_blanks(const char *p, const char *end)
{
    unsigned depth = 0;

    for (; p < end; p++) {
        if (*p == '(')
            depth++;
        else if (*p == ')' && depth > 0)
            depth--;
        else if (*p == '\\' && depth > 0 && p + 1 < end)
            p++;
        else if (depth == 0 && strchr(" \t\r\n", *p) == NULL)
            break;
    }
    return p;
}

static SieveText
lower_token(SieveArena *arena, const char **p_inout, const char *end)
{
    const char *start = *p_inout;

    while (*p_inout < end && is_token_char(**p_inout))
        (*p_inout)++;

    SieveText token = sieve_arena_text(arena, start, (size_t)(*p_inout - start));
    char *bytes = (char *)token.bytes;

    for (size_t i = 0; i < token.len; i++)
        bytes[i] = g_ascii_tolower(bytes[i]);
    return token;
}

bool
sieve_mime_type_parse(SieveArena *arena, SieveText field, SieveText *type_out,
                      SieveText *subtype_out)
{
    const char *end = field.bytes + field.len, *p = skip_blanks(field.bytes, end);
    SieveText type = lower_token(arena, &p, end), subtype = sieve_text("");

    if (type.len == 0)
        return false;
    p = skip_blanks(p, end);
    if (p < end && *p == '/') {
        p = skip_blanks(p + 1, end);
        subtype = lower_token(arena, &p, end);
    }
    *type_out = type;
    *subtype_out = subtype;
    return true;
}

/* What follows the first semicolon, as a C string; NULL when there is none. */
static char *
parameters_of(SieveText field)
{
    const char *end = field.bytes + field.len, *p = skip_blanks(field.bytes, end);

    while (p < end && *p != ';')
        p = skip_blanks(p + 1, end);
    if (p >= end)
        return NULL;

    size_t len = MIN((size_t)(end - p) - 1, SIEVE_MAX_PARAMETERS);
    char *text = g_malloc(len + 1), *to = text;

    /* Folded or not. */
    for (size_t i = 1; i <= len; i++)
        if (p[i] != '\r' && p[i] != '\n')
            *to++ = p[i];
    *to = '\0';
    return text;
}

SieveText
sieve_mime_token(SieveArena *arena, SieveText field)
{
    const char *end = field.bytes + field.len, *p = skip_blanks(field.bytes, end);

    return lower_token(arena, &p, end);
}

bool
sieve_mime_parameter(SieveArena *arena, SieveText field, SieveText name, SieveText *value_out)
{
    g_autofree char *parameters = parameters_of(field);
    const SieveMimeModule *module = parameters == NULL ? NULL : sieve_module_mime();

    return module != NULL && module->parameter(arena, parameters, name, value_out);
}

/* ---- contents ------------------------------------------------------------ */

static bool
is_one_of(SieveText text, const char *const *names)
{
    for (; *names != NULL; names++)
        if (text.len == strlen(*names) && g_ascii_strncasecmp(text.bytes, *names, text.len) == 0)
            return true;
    return false;
}

/* The first SIEVE_MAX_BODY_TEXT octets; of text not within a character. */
static SieveText
cut(SieveText text, bool is_text)
{
    if (text.len <= SIEVE_MAX_BODY_TEXT)
        return text;
    text.len = SIEVE_MAX_BODY_TEXT;
    while (is_text && text.len > 0 && ((unsigned char)text.bytes[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

bool
sieve_mime_decode(SieveArena *arena, SieveText raw, SieveText encoding, bool is_text,
                  SieveText charset, SieveText *content_out, bool *is_sound_out, GError **error)
{
    static const char *const identities[] = {"", "7bit", "8bit", "binary", NULL};
    static const char *const utf8[] = {"", "us-ascii", "utf-8", "utf8", NULL};
    SieveText name = sieve_mime_token(arena, encoding);

    /* No encoding makes more of its input than it is, but for line ends. */
    raw.len = MIN(raw.len, (size_t)SIEVE_MAX_BODY_TEXT * 2);
    if (is_one_of(name, identities) &&
        (!is_text || (is_one_of(charset, utf8) && memchr(raw.bytes, '\r', raw.len) == NULL &&
                      sieve_text_is_utf8(raw)))) {
        *content_out = cut(raw, is_text);
        *is_sound_out = true;
        return true;
    }

    const SieveMimeModule *module = sieve_module_mime();

    if (module != NULL) {
        SieveText content;
        size_t size = 0;

        if (!module->decode(arena, raw, name, is_text, charset, &content, is_sound_out, &size))
            return sieve_arena_room(arena, size, error); /* it says why not */
        *content_out = cut(content, is_text);
        return true;
    }
    *content_out = sieve_text(""); /* the run fails in the end */
    *is_sound_out = false;
    return true;
}

GString *
sieve_mime_text_entity(SieveText text)
{
    const SieveMimeModule *module = sieve_module_mime();
    GString *entity = g_string_new(NULL);

    if (module != NULL)
        module->append_text_entity(text, entity);
    return entity;
}
