/* schema/fold.c - addresses in the form in which they are compared
 *
 * Domain: ASCII is put in lower case, as the DNS compares it; anything else goes
 * through UTS #46 (libidn2), without the transitional mapping: IDNA2003 makes
 * "ss" of a sharp s and so would hand the mail of one domain to another. An
 * "xn--" name is ASCII and needs no library; many that IDNA2008 would refuse
 * (emoji) are registered and get mail.
 *
 * Local part: quotes are taken off and put back only where RFC 5321 needs them,
 * then lower case and NFC. Case is mapped on the decomposed form and without the
 * locale, so that a dotted capital I does not become somebody else's plain i.
 */
#include "schema/fold.h"
#include "schema/mailmap.h"

#include <idn2.h>

#define DOMAIN_MAX 253 /* RFC 1035 section 2.3.4, as text without the root's dot */
#define LABEL_MAX 63

static bool
bad_address(GError **error, const char *text, const char *why)
{
    g_autofree char *shown = g_utf8_make_valid(text, -1);

    g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ADDRESS, "'%s' is not a mail address: %s",
                shown, why);
    return false;
}

static bool
bad_domain(GError **error, const char *text, const char *why)
{
    g_autofree char *shown = g_utf8_make_valid(text, -1);

    g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ADDRESS, "'%s' is not a domain name: %s",
                shown, why);
    return false;
}

static bool
is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* What Postfix takes for a host name: letters, digits, hyphens and, since they
 * occur, underscores. NULL when good, else the complaint. */
static const char *
domain_complaint(const char *domain)
{
    size_t label = 0;

    for (const char *at = domain;; at++) {
        if (*at == '.' || *at == '\0') {
            if (label == 0)
                return "it has an empty label";
            if (label > LABEL_MAX)
                return "a label is longer than 63 characters";
            if (at[-1] == '-' || at[-(ptrdiff_t)label] == '-')
                return "a label begins or ends with a hyphen";
            label = 0;
            if (*at == '\0')
                break;
        } else if (g_ascii_isalnum(*at) || *at == '-' || *at == '_') {
            label++;
        } else {
            return "it has a character that is not allowed";
        }
    }
    return strlen(domain) > DOMAIN_MAX ? "it is longer than 253 characters" : NULL;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": never a domain of the map, but an address. */
static bool
is_literal(const char *domain)
{
    size_t len = strlen(domain);

    return len > 2 && domain[0] == '[' && domain[len - 1] == ']' &&
           strspn(domain + 1,
                  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-") == len - 2;
}

char *
mailmap_fold_domain(const char *domain, GError **error)
{
    g_autofree char *text = NULL;
    const char *complaint;

    if (is_ascii(domain)) {
        size_t len = strlen(domain);

        /* A trailing dot names the same domain. */
        text = g_ascii_strdown(domain, len > 1 && domain[len - 1] == '.' ? (gssize)len - 1 : -1);
    } else {
        uint8_t *found = NULL;
        int rc;

        if (strlen(domain) > 4 * DOMAIN_MAX || !g_utf8_validate(domain, -1, NULL))
            return (bad_domain(error, domain, "it is not UTF-8, or too long"), NULL);
        rc = idn2_lookup_u8((const uint8_t *)domain, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        if (rc != IDN2_OK)
            return (bad_domain(error, domain, idn2_strerror(rc)), NULL);
        text = g_ascii_strdown((const char *)found, -1);
        idn2_free(found);
    }
    complaint = domain_complaint(text);
    if (complaint != NULL)
        return (bad_domain(error, domain, complaint), NULL);
    return g_steal_pointer(&text);
}

char *
fold_domain_utf8(const char *domain)
{
    char *found = NULL;
    char *copy = NULL;

    if (strstr(domain, "xn--") == NULL)
        return NULL;
    if (idn2_to_unicode_8z8z(domain, &found, IDN2_NONTRANSITIONAL) == IDN2_OK && !is_ascii(found))
        copy = g_strdup(found);
    idn2_free(found);
    return copy;
}

/* Lower case and NFC of UTF-8 text. */
static char *
fold_text(const char *text)
{
    g_autofree char *decomposed = NULL;
    g_autoptr(GString) lower = NULL;

    if (is_ascii(text))
        return g_ascii_strdown(text, -1);
    decomposed = g_utf8_normalize(text, -1, G_NORMALIZE_NFD);
    lower = g_string_sized_new(strlen(decomposed));
    for (const char *at = decomposed; *at != '\0'; at = g_utf8_next_char(at))
        g_string_append_unichar(lower, g_unichar_tolower(g_utf8_get_char(at)));
    return g_utf8_normalize(lower->str, -1, G_NORMALIZE_NFC);
}

static bool
needs_quotes(const char *local)
{
    size_t len = strlen(local);

    return len == 0 || local[0] == '.' || local[len - 1] == '.' || strstr(local, "..") != NULL ||
           strpbrk(local, " \"(),:;<>@[\\]") != NULL;
}

/* The local part as it stands in an address. */
static char *
quote_local(const char *local)
{
    GString *quoted;

    if (!needs_quotes(local))
        return g_strdup(local);
    quoted = g_string_new("\"");
    for (; *local != '\0'; local++) {
        if (*local == '"' || *local == '\\')
            g_string_append_c(quoted, '\\');
        g_string_append_c(quoted, *local);
    }
    g_string_append_c(quoted, '"');
    return g_string_free(quoted, FALSE);
}

static char *
fold_local(const char *raw, bool fold)
{
    g_autofree char *folded = NULL;

    folded = fold            ? fold_text(raw)
             : is_ascii(raw) ? g_strdup(raw)
                             : g_utf8_normalize(raw, -1, G_NORMALIZE_NFC);
    return quote_local(folded);
}

/* Takes the quotes off the local part at the start of text. Returns its end (the
 * "@"), or NULL when it is not one. */
static const char *
read_quoted(const char *text, GString *raw)
{
    for (text++; *text != '"'; text++) {
        if (*text == '\\')
            text++;
        if (*text == '\0')
            return NULL;
        g_string_append_c(raw, *text);
    }
    return text + 1;
}

/* The same for one without quotes. Dots are not looked at: "a..b" is no dot-atom,
 * but it is what some sites send, and Postfix takes it. */
static const char *
read_unquoted(const char *text, GString *raw)
{
    size_t len = strcspn(text, " \"(),:;<>@[\\]");

    g_string_append_len(raw, text, (gssize)len);
    return text + len;
}

static bool
has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (g_ascii_iscntrl(*text))
            return true;
    return false;
}

bool
fold_address(const char *text, bool fold_local_part, bool catch_all, FoldedAddress *address_out,
             GError **error)
{
    g_autoptr(GString) raw = g_string_new(NULL);
    g_autofree char *domain = NULL;
    const char *at;

    if (has_control(text) || !g_utf8_validate(text, -1, NULL))
        return bad_address(error, text, "it has control characters or is not UTF-8");
    at = text[0] == '"' ? read_quoted(text, raw) : read_unquoted(text, raw);
    if (at == NULL || *at != '@')
        return bad_address(error, text, "it must be local@domain");
    if (at == text && !catch_all)
        return bad_address(error, text, "nothing stands before the @");
    if (at[1] == '\0')
        return bad_address(error, text, "nothing stands after the @");
    domain = is_literal(at + 1) ? g_ascii_strdown(at + 1, -1) : mailmap_fold_domain(at + 1, error);
    if (domain == NULL)
        return false;

    *address_out = (FoldedAddress){
        .local = at == text ? g_strdup("") : fold_local(raw->str, fold_local_part),
        .domain = g_steal_pointer(&domain),
        .raw = g_strdup(raw->str),
    };
    return true;
}

void
fold_address_clear(FoldedAddress *address)
{
    g_clear_pointer(&address->local, g_free);
    g_clear_pointer(&address->domain, g_free);
    g_clear_pointer(&address->raw, g_free);
}

bool
fold_split_detail(const FoldedAddress *address, const char *delimiters, bool fold_local_part,
                  char **local_out, char **detail_out)
{
    const char *raw = address->raw;
    size_t len = strcspn(raw, delimiters);
    g_autofree char *before = NULL;

    /* "+a" is a name of its own. With "-" among the delimiters Postfix keeps
     * the old list addresses whole (owner_request_special). */
    if (len == 0 || raw[len] == '\0')
        return false;
    if (strchr(delimiters, '-') != NULL &&
        (g_ascii_strncasecmp(raw, "owner-", 6) == 0 ||
         (strlen(raw) > 8 && g_ascii_strcasecmp(raw + strlen(raw) - 8, "-request") == 0)))
        return false;
    before = g_strndup(raw, len);
    *local_out = fold_local(before, fold_local_part);
    *detail_out = g_strdup(raw + len + 1);
    return true;
}

char *
mailmap_fold_address(const char *address, bool fold_local_part, GError **error)
{
    g_auto(FoldedAddress) folded = {0};

    if (!fold_address(address, fold_local_part, true, &folded, error))
        return NULL;
    return g_strconcat(folded.local, "@", folded.domain, NULL);
}
