/* lda/compose.c - header fields and text, encoded; see compose.h
 *
 *   value --is ASCII?--> words, folded at blanks before column 76
 *         \--else------> =?utf-8?q?...?= or =?utf-8?b?...?=, each whole characters (RFC 2047)
 *   text  --is ASCII with short lines?--> 7bit; else quoted-printable (RFC 2045 section 6.7)
 */
#include "lda/compose.h"

enum {
    LINE = 76,       /* columns of a line of a header, and of quoted-printable */
    LONG_LINE = 998, /* RFC 5322 section 2.1.1 */
};

/* Value with every control as a blank, as valid UTF-8. */
static char *
one_line(const char *value)
{
    char *line = g_utf8_make_valid(value, -1);

    for (char *p = line; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p))
            *p = ' ';
    }
    return g_strstrip(line);
}

static size_t
column(const GString *out)
{
    const char *newline = memrchr(out->str, '\n', out->len);

    return newline == NULL ? out->len : out->len - (size_t)(newline + 1 - out->str);
}

/* Appends a word behind a blank, or on a line of its own when it would be too long. */
static void
append_word(GString *out, const char *word)
{
    g_string_append(out, column(out) + 1 + strlen(word) > LINE ? "\n " : " ");
    g_string_append(out, word);
}

static bool
is_plain(const char *value)
{
    size_t length = 0;

    if (!g_str_is_ascii(value) || strstr(value, "=?") != NULL)
        return false;
    for (const char *p = value; *p != '\0'; p++) {
        length = *p == ' ' ? 0 : length + 1;
        if (length > LONG_LINE / 2) /* cannot be folded */
            return false;
    }
    return true;
}

/* Folds at blanks; all blanks stay, so that unfolding gives back the value. */
static void
append_folded(GString *out, const char *value)
{
    while (*value != '\0') {
        size_t blanks = strspn(value, " ");
        size_t len = blanks + strcspn(value + blanks, " ");

        if (blanks > 0 && column(out) + len > LINE)
            g_string_append_c(out, '\n');
        g_string_append_len(out, value, (gssize)len);
        value += len;
    }
}

/* ---- RFC 2047 ------------------------------------------------------------ */

static bool
is_q_literal(char c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr("!*+-/", c) != NULL); /* legal in phrases */
}

static char *
encode_q(const char *text, size_t len)
{
    GString *out = g_string_new("=?utf-8?q?");

    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ')
            g_string_append_c(out, '_');
        else if (is_q_literal(text[i]))
            g_string_append_c(out, text[i]);
        else
            g_string_append_printf(out, "=%02X", (uint8_t)text[i]);
    }
    g_string_append(out, "?=");
    return g_string_free(out, FALSE);
}

static char *
encode_b(const char *text, size_t len)
{
    g_autofree char *base64 = g_base64_encode((const guchar *)text, len);

    return g_strconcat("=?utf-8?b?", base64, "?=", NULL);
}

static size_t
q_length(const char *text, size_t len)
{
    size_t length = strlen("=?utf-8?q?"
                           "?=");

    for (size_t i = 0; i < len; i++)
        length += text[i] == ' ' || is_q_literal(text[i]) ? 1 : 3;
    return length;
}

static size_t
b_length(size_t len)
{
    return strlen("=?utf-8?b?"
                  "?=") +
           (len + 2) / 3 * 4;
}

/* How much of text, whole characters, goes into one word of at most 75 columns. */
static size_t
word_octets(const char *text, bool use_q)
{
    size_t len = 0;

    while (text[len] != '\0') {
        size_t next = (size_t)(g_utf8_next_char(text + len) - text);

        if ((use_q ? q_length(text, next) : b_length(next)) > LINE - 1)
            break;
        len = next;
    }
    return len;
}

static void
append_encoded(GString *out, const char *text)
{
    /* Where most of it can be read as it stands, it should be. */
    bool use_q = q_length(text, strlen(text)) <= 2 * strlen(text) + q_length("", 0);

    while (*text != '\0') {
        size_t len = word_octets(text, use_q);
        g_autofree char *word = use_q ? encode_q(text, len) : encode_b(text, len);

        append_word(out, word);
        text += len;
    }
}

void
compose_field(GString *out, const char *name, const char *value)
{
    g_autofree char *line = one_line(value);

    g_string_append_printf(out, "%s:", name);
    if (is_plain(line)) {
        g_autofree char *spaced = g_strconcat(" ", line, NULL);
        append_folded(out, spaced);
    } else {
        append_encoded(out, line);
    }
    g_string_append_c(out, '\n');
}

/* ---- mailboxes ----------------------------------------------------------- */

/* The end of the mailbox at text: a comma outside of quotes, brackets and comments. */
static size_t
mailbox_length(const char *text)
{
    bool quoted = false;
    int depth = 0;
    size_t i = 0;

    for (; text[i] != '\0'; i++) {
        if (text[i] == '\\' && text[i + 1] != '\0')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '<' || text[i] == '('))
            depth++;
        else if (!quoted && depth > 0 && (text[i] == '>' || text[i] == ')'))
            depth--;
        else if (!quoted && depth == 0 && text[i] == ',')
            break;
    }
    return i;
}

/* A display name without its quotes. */
static char *
unquote(const char *phrase)
{
    GString *out = g_string_new(NULL);

    for (const char *p = phrase; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            g_string_append_c(out, *++p);
        else if (*p != '"')
            g_string_append_c(out, *p);
    }
    return g_strstrip(g_string_free(out, FALSE));
}

static bool
is_phrase_of_atoms(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && strchr(" !#$%&'*+-/=?^_`{|}~", *p) == NULL)
            return false;
    }
    return true;
}

static char *
quote(const char *text)
{
    GString *out = g_string_new("\"");

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}

static void
append_phrase(GString *out, const char *phrase)
{
    if (!is_plain(phrase)) {
        append_encoded(out, phrase);
    } else if (is_phrase_of_atoms(phrase)) {
        append_word(out, phrase);
    } else {
        g_autofree char *quoted = quote(phrase);
        append_word(out, quoted);
    }
}

static void
append_mailbox(GString *out, char *mailbox, const char *behind)
{
    /* Of "Name <address>" the last "<": one in the name is within quotes. */
    char *open = g_str_has_suffix(mailbox, ">") ? strrchr(mailbox, '<') : NULL;
    g_autofree char *address = g_strconcat(open == NULL ? mailbox : open, behind, NULL);
    g_autofree char *phrase = NULL;

    if (open != NULL) {
        *open = '\0';
        phrase = unquote(mailbox);
        if (*phrase != '\0')
            append_phrase(out, phrase);
    }
    append_word(out, address);
}

void
compose_mailboxes(GString *out, const char *name, const char *value)
{
    g_autofree char *line = one_line(value);
    const char *rest = line;

    g_string_append_printf(out, "%s:", name);
    while (*rest != '\0') {
        size_t len = mailbox_length(rest);
        g_autofree char *mailbox = g_strstrip(g_strndup(rest, len));
        bool more = rest[len] == ',';

        append_mailbox(out, mailbox, more ? "," : "");
        rest += len + more;
    }
    g_string_append_c(out, '\n');
}

void
compose_words(GString *out, const char *name, const char *const *words, const char *separator)
{
    g_string_append_printf(out, "%s:", name);
    for (size_t i = 0; words[i] != NULL; i++) {
        g_autofree char *line = one_line(words[i]);
        g_autofree char *word = g_strconcat(line, words[i + 1] == NULL ? "" : separator, NULL);

        append_word(out, word);
    }
    g_string_append_c(out, '\n');
}

/* ---- text ---------------------------------------------------------------- */

static bool
is_7bit(const char *text)
{
    size_t length = 0;

    for (const char *p = text; *p != '\0'; p++) {
        length = *p == '\n' ? 0 : length + 1;
        if ((signed char)*p < 0 || *p == '\r' || length > LONG_LINE)
            return false;
    }
    return true;
}

static void
append_quoted_printable(GString *out, const char *text)
{
    size_t columns = 0;

    for (const char *p = text; *p != '\0'; p++) {
        bool at_end = p[1] == '\n' || p[1] == '\0';
        bool literal = (g_ascii_isgraph(*p) && *p != '=') || ((*p == ' ' || *p == '\t') && !at_end);

        if (*p == '\n') {
            g_string_append_c(out, '\n');
            columns = 0;
            continue;
        }
        if (columns + (literal ? 1 : 3) > LINE - 1) {
            g_string_append(out, "=\n");
            columns = 0;
        }
        if (literal)
            g_string_append_c(out, *p);
        else
            g_string_append_printf(out, "=%02X", (uint8_t)*p);
        columns += literal ? 1 : 3;
    }
}

void
compose_text(GString *out, const char *text)
{
    bool plain = is_7bit(text);

    g_string_append(out, "Content-Type: text/plain; charset=utf-8\n");
    g_string_append_printf(out, "Content-Transfer-Encoding: %s\n\n",
                           plain ? "7bit" : "quoted-printable");
    if (plain)
        g_string_append(out, text);
    else
        append_quoted_printable(out, text);
    if (out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
}

char *
compose_date(gint64 now_us)
{
    /* Names of days and months as RFC 5322 has them, not those of the locale. */
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(now_us / G_USEC_PER_SEC);
    g_autofree char *zone = g_date_time_format(time, "%z");

    return g_strdup_printf(
        "%s, %d %s %d %02d:%02d:%02d %s", days[g_date_time_get_day_of_week(time) - 1],
        g_date_time_get_day_of_month(time), months[g_date_time_get_month(time) - 1],
        g_date_time_get_year(time), g_date_time_get_hour(time), g_date_time_get_minute(time),
        g_date_time_get_second(time), zone);
}
