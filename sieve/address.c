/* sieve/address.c - RFC 5322 addresses, by hand; see address.h
 *
 *   list    = element *("," element)
 *   element = mailbox / phrase ":" list ";"            (a group: its members count, its name not)
 *   mailbox = local "@" domain / [phrase] "<" [route ":"] local ["@" domain] ">"
 *
 * One pass over the text, without recursion: comments are counted, not descended. What a
 * reader of mail would understand is understood: an unquoted "@" in a display name, a missing
 * ">", dots at odd places of a local part, rubbish behind an address. Strict readers (redirect,
 * :from) see in is_lenient that such a thing happened.
 */
#include "sieve/address.h"

#include "sieve/limits.h"
#include "sieve/words.h"

/* Searches for the end of a comment that has none cost the rest of the text each; so many are
 * allowed, then "(" is no comment any more. */
enum { MAX_OPEN_COMMENTS = 8 };

typedef struct {
    SieveArena *arena;
    const char *at, *end;
    bool is_lenient; /* something was no RFC 5322 */
    bool in_group;
    bool has_group, has_comma;
    bool no_quote_ends; /* no '"' ends a quoted string any more */
    unsigned open_comments;
    GString *phrase; /* words of the element so far, with blanks between them */
    GString *local;  /* the same as a local part */
    GString *domain;
    GString *comment; /* the last one */
    GArray *addresses;
} Reader;

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_atom(char c)
{
    switch (c) {
    case '(':
    case ')':
    case '<':
    case '>':
    case '[':
    case ']':
    case ':':
    case ';':
    case '@':
    case '\\':
    case ',':
    case '"':
    case 0x7f:
        return false;
    default:
        return (uint8_t)c > ' ';
    }
}

/* ---- comments and blanks --------------------------------------------------------- */

/* Reads the comment at "(" into reader->comment. False: it never ends; nothing is consumed. */
static bool
read_comment(Reader *reader)
{
    const char *p = reader->at;
    size_t depth = 0;

    if (reader->open_comments >= MAX_OPEN_COMMENTS)
        return false;
    g_string_truncate(reader->comment, 0);
    for (; p < reader->end; p++) {
        if (*p == '\\' && p + 1 < reader->end) {
            g_string_append_c(reader->comment, *++p);
            continue;
        }
        if (*p == '(' && depth++ == 0)
            continue;
        if (*p == ')' && --depth == 0) {
            reader->at = p + 1;
            return true;
        }
        g_string_append_c(reader->comment, *p);
    }
    g_string_truncate(reader->comment, 0);
    reader->open_comments++;
    return false;
}

/* RFC 5322 section 3.2.2. A comment without end counts for its "(" only. True: there was any. */
static bool
skip_blanks(Reader *reader)
{
    const char *before = reader->at;

    while (reader->at < reader->end) {
        if (is_blank(*reader->at)) {
            reader->at++;
        } else if (*reader->at == '(') {
            if (!read_comment(reader)) {
                reader->is_lenient = true;
                reader->at++;
            }
        } else {
            break;
        }
    }
    return reader->at > before;
}

/* ---- words ------------------------------------------------------------------------- */

/* Appends the quoted string at '"', unquoted. False: it never ends; nothing is consumed. */
static bool
read_quoted(Reader *reader, GString *out)
{
    size_t before = out->len;

    if (reader->no_quote_ends)
        return false;
    for (const char *p = reader->at + 1; p < reader->end; p++) {
        const char *run = p;

        while (p < reader->end && *p != '"' && *p != '\\' && *p != '\r' && *p != '\n')
            p++;
        g_string_append_len(out, run, p - run);
        if (p == reader->end)
            break;
        if (*p == '"') {
            reader->at = p + 1;
            return true;
        }
        if (*p == '\\' && p + 1 < reader->end)
            p++;
        if (*p != '\r' && *p != '\n')
            g_string_append_c(out, *p);
    }
    g_string_truncate(out, before);
    reader->no_quote_ends = true;
    return false;
}

static void
read_atom(Reader *reader, GString *out)
{
    const char *from = reader->at;

    while (reader->at < reader->end && is_atom(*reader->at))
        reader->at++;
    g_string_append_len(out, from, reader->at - from);
}

/* A local part up to "@" or ">": words with dots between them, and blanks only around dots (RFC
 * 5322 section 4.4). */
static bool
read_local(Reader *reader, GString *local)
{
    bool any = false;
    bool after_blank = false;

    g_string_truncate(local, 0);
    (void)skip_blanks(reader);
    while (reader->at < reader->end) {
        bool after_dot = local->len > 0 && local->str[local->len - 1] == '.';

        if (any && after_blank && !after_dot && *reader->at != '.' &&
            (is_atom(*reader->at) || *reader->at == '"'))
            return false;
        if (*reader->at == '"') {
            if (!read_quoted(reader, local))
                return false;
        } else if (is_atom(*reader->at)) {
            read_atom(reader, local);
        } else {
            break;
        }
        any = true;
        after_blank = skip_blanks(reader);
    }
    return any;
}

/* "[...]" with its brackets. */
static bool
read_literal(Reader *reader, GString *out)
{
    g_string_append_c(out, '[');
    for (reader->at++; reader->at < reader->end; reader->at++) {
        if (*reader->at == ']') {
            g_string_append_c(out, ']');
            reader->at++;
            return out->len > 2;
        }
        if (*reader->at == '[' || *reader->at == '<' || *reader->at == '>')
            return false;
        if (*reader->at == '\\' && reader->at + 1 < reader->end) {
            reader->at++;
            /* SMTP has no quoted pairs here (RFC 5321 section 4.1.3): it could not be written. */
            if (strchr("[]<>\\", *reader->at) != NULL)
                return false;
        }
        if (!is_blank(*reader->at))
            g_string_append_c(out, *reader->at);
    }
    return false;
}

/* The domain behind "@". A dot at its end is dropped. */
static bool
read_domain(Reader *reader, GString *domain)
{
    g_string_truncate(domain, 0);
    (void)skip_blanks(reader);
    if (reader->at < reader->end && *reader->at == '[') {
        if (!read_literal(reader, domain))
            return false;
        (void)skip_blanks(reader);
        return true;
    }
    while (reader->at < reader->end && is_atom(*reader->at)) {
        read_atom(reader, domain);
        if (skip_blanks(reader) && reader->at < reader->end && *reader->at != '.' &&
            domain->str[domain->len - 1] != '.')
            break;
    }
    if (domain->len > 1 && domain->str[domain->len - 1] == '.') {
        reader->is_lenient = true;
        g_string_truncate(domain, domain->len - 1);
    }
    return domain->len > 0;
}

/* "@a,@b:" before the local part (RFC 5322 section 4.4), dropped. */
static bool
skip_route(Reader *reader)
{
    g_autoptr(GString) host = g_string_new(NULL);

    (void)skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != '@')
        return true;
    reader->is_lenient = true; /* RFC 5228 section 2.4.2.3 has none */
    while (reader->at < reader->end && *reader->at != ':') {
        if (*reader->at == '@') {
            reader->at++;
            if (!read_domain(reader, host))
                return false;
        } else if (*reader->at == ',') {
            reader->at++;
            (void)skip_blanks(reader);
        } else {
            return false;
        }
    }
    if (reader->at == reader->end)
        return false;
    reader->at++;
    return true;
}

/* What stands between "<" and ">". */
static bool
read_angle(Reader *reader)
{
    reader->at++;
    g_string_truncate(reader->domain, 0);
    (void)skip_blanks(reader);
    /* RFC 5228 section 2.4.2.3: routes are not permitted in what a script sends to. */
    reader->is_lenient |= reader->at < reader->end && *reader->at == '@';
    if (!skip_route(reader) || !read_local(reader, reader->local))
        return false;
    if (reader->at < reader->end && *reader->at == '@') {
        reader->at++;
        if (!read_domain(reader, reader->domain))
            return false;
    }
    if (reader->at < reader->end && *reader->at == '>') {
        reader->at++;
        return true;
    }
    reader->is_lenient = true; /* no ">": good enough where the element ends as well */
    return reader->at == reader->end || *reader->at == ',' || *reader->at == ';';
}

/* ---- elements ------------------------------------------------------------------------ */

static SieveText
copy(Reader *reader, const GString *text)
{
    return sieve_arena_text(reader->arena, text->str, text->len);
}

/* Whether a local part can only be written with quotes. Dots at odd places need none to be read
 * here, and none to be delivered by Postfix. */
static bool
needs_quotes(const GString *local)
{
    for (size_t i = 0; i < local->len; i++)
        if (!is_atom(local->str[i]))
            return true;
    return local->len == 0;
}

static void
append_quoted(GString *out, const char *text, size_t len)
{
    g_string_append_c(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, text[i]);
    }
    g_string_append_c(out, '"');
}

static void
add_valid(Reader *reader, const GString *name)
{
    SieveAddress address = {.is_valid = true, .name = sieve_text(""), .domain = sieve_text("")};

    address.local_part = copy(reader, reader->local);
    if (needs_quotes(reader->local)) {
        g_string_truncate(reader->local, 0);
        append_quoted(reader->local, address.local_part.bytes, address.local_part.len);
    }
    if (reader->domain->len > 0) {
        g_string_append_c(reader->local, '@');
        g_string_append_len(reader->local, reader->domain->str, (gssize)reader->domain->len);
    }
    address.all = copy(reader, reader->local);
    if (reader->domain->len > 0)
        address.domain =
            (SieveText){.bytes = address.all.bytes + address.all.len - reader->domain->len,
                        .len = reader->domain->len};
    if (name->len > 0)
        address.name = sieve_decode_words(reader->arena, copy(reader, name));
    g_array_append_val(reader->addresses, address);
}

static void
add_invalid(Reader *reader, const char *from, const char *to)
{
    SieveAddress address = {
        .local_part = sieve_text(""), .domain = sieve_text(""), .name = sieve_text("")};

    reader->is_lenient = true;
    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    if (from == to)
        return;
    address.all = sieve_arena_text(reader->arena, from, (size_t)(to - from));
    g_array_append_val(reader->addresses, address);
}

/* Up to the next ",", ";" or "<" of the element. */
static void
skip_rubbish(Reader *reader)
{
    g_autoptr(GString) ignored = g_string_new(NULL);

    for (;;) {
        (void)skip_blanks(reader);
        if (reader->at == reader->end || *reader->at == ',' || *reader->at == ';' ||
            *reader->at == '<')
            return;
        reader->is_lenient = true;
        if (*reader->at != '"' || !read_quoted(reader, ignored))
            reader->at++;
    }
}

/* One element being read. */
typedef struct {
    const char *from;
    bool is_broken;   /* no bare address can come of it; "<" still can */
    bool has_address; /* local "@" domain has been read */
    bool is_local;    /* the words so far are a local part */
} Element;

static void
take_word(Reader *reader, Element *element, bool after_blank)
{
    size_t before = reader->phrase->len;
    bool is_quoted = *reader->at == '"';
    bool is_first = before == 0 && !element->has_address;
    bool after_dot = before > 0 && reader->phrase->str[before - 1] == '.';

    if (element->has_address || (after_blank && !is_first && !after_dot && *reader->at != '.'))
        element->is_local = false;
    if (after_blank && before > 0)
        g_string_append_c(reader->phrase, ' ');

    size_t start = reader->phrase->len;

    if (!is_quoted) {
        read_atom(reader, reader->phrase);
    } else if (!read_quoted(reader, reader->phrase)) {
        element->is_broken = true;
        reader->is_lenient = true;
        reader->at++;
        return;
    }
    if (is_first)
        element->is_local = true;
    if (element->is_local)
        g_string_append_len(reader->local, reader->phrase->str + start,
                            (gssize)(reader->phrase->len - start));
}

/* "@" outside of angle brackets. */
static void
take_at(Reader *reader, Element *element)
{
    reader->at++;
    if (!element->is_broken && !element->has_address && element->is_local &&
        read_domain(reader, reader->domain)) {
        element->has_address = true;
        g_string_append_c(reader->phrase, '@');
        g_string_append_len(reader->phrase, reader->domain->str, (gssize)reader->domain->len);
    } else {
        element->is_broken = true;
        g_string_append_c(reader->phrase, '@');
    }
}

static void
take_angle(Reader *reader, Element *element)
{
    reader->is_lenient |= element->is_broken || element->has_address;
    if (read_angle(reader)) {
        add_valid(reader, reader->phrase);
        skip_rubbish(reader);
        return;
    }
    /* To the end of the element; "<" begins no other address in it. */
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != ';')
        reader->at++;
    add_invalid(reader, element->from, reader->at);
}

/* "," or ";" or the end came before any "<". */
static void
end_element(Reader *reader, const Element *element)
{
    bool is_bare = element->is_local && reader->local->len > 0;

    if (!element->is_broken && (element->has_address || is_bare))
        add_valid(reader, reader->comment);
    else
        add_invalid(reader, element->from, reader->at);
}

static bool
begin_group(Reader *reader, const Element *element)
{
    if (element->is_broken || element->has_address || reader->phrase->len == 0 || reader->in_group)
        return false;
    reader->at++;
    reader->in_group = true;
    reader->has_group = true;
    return true;
}

static void
read_element(Reader *reader)
{
    Element element = {.from = reader->at};

    g_string_truncate(reader->phrase, 0);
    g_string_truncate(reader->local, 0);
    g_string_truncate(reader->domain, 0);
    g_string_truncate(reader->comment, 0);
    for (;;) {
        bool after_blank = skip_blanks(reader);
        char c = reader->at < reader->end ? *reader->at : ',';

        if (c == ',' || c == ';') {
            end_element(reader, &element);
            return;
        }
        if (c == '<') {
            take_angle(reader, &element);
            return;
        }
        if (c == ':' && begin_group(reader, &element))
            return;
        if (c == '@') {
            take_at(reader, &element);
        } else if (c == '"' || is_atom(c)) {
            element.is_broken |= element.has_address;
            take_word(reader, &element, after_blank);
        } else {
            /* A stray bracket behind an address does no harm. */
            reader->is_lenient = true;
            element.is_broken |= !element.has_address || (c != '>' && c != ')' && c != ']');
            g_string_append_c(reader->phrase, c);
            reader->at++;
        }
    }
}

static void
read_list(Reader *reader)
{
    for (;;) {
        (void)skip_blanks(reader);
        if (reader->at == reader->end || reader->addresses->len >= SIEVE_MAX_ADDRESSES)
            return;
        if (*reader->at == ',') {
            reader->has_comma = true;
            reader->at++;
        } else if (*reader->at == ';') {
            reader->is_lenient |= !reader->in_group;
            reader->in_group = false;
            reader->at++;
        } else {
            read_element(reader);
        }
    }
}

static void
reader_init(Reader *reader, SieveArena *arena, SieveText text)
{
    text = sieve_text_to_utf8(arena, text);
    *reader = (Reader){
        .arena = arena,
        .at = text.bytes,
        .end = text.bytes + text.len,
        .phrase = g_string_new(NULL),
        .local = g_string_new(NULL),
        .domain = g_string_new(NULL),
        .comment = g_string_new(NULL),
        .addresses = g_array_new(FALSE, FALSE, sizeof(SieveAddress)),
    };
}

static void
reader_clear(Reader *reader)
{
    g_string_free(reader->phrase, TRUE);
    g_string_free(reader->local, TRUE);
    g_string_free(reader->domain, TRUE);
    g_string_free(reader->comment, TRUE);
    g_array_unref(reader->addresses);
}

static void
release_array(void *array)
{
    g_array_unref(array);
}

const SieveAddress *
sieve_addresses_parse(SieveArena *arena, SieveText text, size_t *count_out)
{
    Reader reader;

    reader_init(&reader, arena, text);
    read_list(&reader);

    GArray *addresses = g_array_ref(reader.addresses);

    /* A list can be long: it is not copied. */
    sieve_arena_own(arena, addresses, 0, release_array);
    reader_clear(&reader);
    *count_out = addresses->len;
    return (const SieveAddress *)(void *)addresses->data;
}

/* ---- one address --------------------------------------------------------------------- */

static bool
has_controls(SieveText text)
{
    for (size_t i = 0; i < text.len; i++)
        if (g_ascii_iscntrl(text.bytes[i]))
            return true;
    return false;
}

/* Labels that are not empty (RFC 5321 section 4.1.2), or an address literal. */
static bool
is_domain(SieveText domain)
{
    if (domain.len == 0 || domain.len > 255 || has_controls(domain))
        return false;
    if (domain.bytes[0] == '[')
        return domain.bytes[domain.len - 1] == ']';
    for (size_t i = 0; i < domain.len; i++) {
        uint8_t octet = (uint8_t)domain.bytes[i];
        bool is_edge = i == 0 || i + 1 == domain.len || domain.bytes[i - 1] == '.';

        if (octet == '.' ? is_edge
                         : octet < 0x80 && !g_ascii_isalnum(octet) && octet != '-' && octet != '_')
            return false;
    }
    return true;
}

bool
sieve_address_parse(SieveArena *arena, SieveText text, SieveAddress *address_out)
{
    Reader reader;

    if (!sieve_text_is_utf8(text))
        return false;
    reader_init(&reader, arena, text);
    read_list(&reader);

    bool ok =
        reader.addresses->len == 1 && !reader.is_lenient && !reader.has_group && !reader.has_comma;

    if (ok) {
        SieveAddress address = g_array_index(reader.addresses, SieveAddress, 0);

        ok = address.is_valid && address.local_part.len > 0 && is_domain(address.domain) &&
             !has_controls(address.all) && !has_controls(address.name);
        if (ok)
            *address_out = address;
    }
    reader_clear(&reader);
    return ok;
}

/* Blanks or comments outside of quotes: SMTP has none (RFC 5321 section 4.1.2). */
static bool
has_blanks(SieveText text)
{
    bool in_quotes = false;

    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '"')
            in_quotes = !in_quotes;
        else if (text.bytes[i] == '\\' && in_quotes)
            i++;
        else if (!in_quotes && (is_blank(text.bytes[i]) || text.bytes[i] == '('))
            return true;
    }
    return false;
}

bool
sieve_path_parse(SieveArena *arena, SieveText text, SieveAddress *address_out)
{
    Reader reader;
    bool is_plain = sieve_text_is_utf8(text) && !has_blanks(text);
    bool in_brackets = text.len > 0 && text.bytes[0] == '<';

    if (text.len == 0 || sieve_text_equal(text, sieve_text("<>"))) {
        *address_out = (SieveAddress){
            .all = sieve_text(""),
            .local_part = sieve_text(""),
            .domain = sieve_text(""),
            .name = sieve_text(""),
            .is_valid = true,
        };
        return true;
    }
    reader_init(&reader, arena, text);
    reader.at += in_brackets;

    bool ok = is_plain && skip_route(&reader) && read_local(&reader, reader.local);

    if (ok && reader.at < reader.end && *reader.at == '@') {
        reader.at++;
        ok = read_domain(&reader, reader.domain);
    }
    if (ok && in_brackets)
        ok = reader.at < reader.end && *reader.at++ == '>';
    ok = ok && reader.at == reader.end;
    if (ok) {
        add_valid(&reader, reader.comment);

        SieveAddress address = g_array_index(reader.addresses, SieveAddress, 0);

        ok = !has_controls(address.all) && (address.domain.len == 0 || is_domain(address.domain));
        if (ok)
            *address_out = address;
    }
    reader_clear(&reader);
    return ok;
}

bool
sieve_address_detail(SieveArena *arena, SieveText local_part, const char *delimiters,
                     SieveText *user_out, SieveText *detail_out)
{
    for (size_t i = 1; i < local_part.len; i++) {
        if (local_part.bytes[i] != '\0' && strchr(delimiters, local_part.bytes[i]) != NULL) {
            *user_out = sieve_arena_text(arena, local_part.bytes, i);
            *detail_out =
                (SieveText){.bytes = local_part.bytes + i + 1, .len = local_part.len - i - 1};
            return true;
        }
    }
    *user_out = local_part;
    return false;
}

/* RFC 5322 section 3.2.3, and RFC 6532 for UTF-8. */
static bool
is_dot_atom(SieveText text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_atom(text.bytes[i]) ||
            (text.bytes[i] == '.' && (i == 0 || i + 1 == text.len || text.bytes[i - 1] == '.')))
            return false;
    return text.len > 0;
}

char *
sieve_address_format(const SieveAddress *address)
{
    GString *out = g_string_new(NULL);

    if (is_dot_atom(address->local_part)) {
        g_string_append_len(out, address->local_part.bytes, (gssize)address->local_part.len);
    } else {
        append_quoted(out, address->local_part.bytes, address->local_part.len);
    }
    if (address->domain.len > 0) {
        g_string_append_c(out, '@');
        g_string_append_len(out, address->domain.bytes, (gssize)address->domain.len);
    }
    return g_string_free(out, FALSE);
}
