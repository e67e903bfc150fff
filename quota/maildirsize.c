/* quota/maildirsize.c - the format of "maildirsize"; see maildirsize.h
 *
 * Sources: Courier's README.maildirquota, Dovecot's and Exim's writers. What one of them
 * writes we read; what none of them writes is damage, and damage only costs a count.
 */
#include "quota/maildirsize.h"

enum { COLUMNS = 12, NUMBER_MAX = 20 }; /* of a number in a line: "-9223372036854775808" */

/* A decimal number of at most 63 bits at *at, which is set behind it. */
static bool
take_number(const char **at, const char *end, bool allow_sign, gint64 *number_out)
{
    const char *digit = *at;
    bool is_negative = allow_sign && digit < end && *digit == '-';
    gint64 number = 0;

    if (is_negative)
        digit++;
    if (digit == end || !g_ascii_isdigit(*digit))
        return false;
    for (; digit < end && g_ascii_isdigit(*digit); digit++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *digit - '0', &number))
            return false;
    }
    *at = digit;
    *number_out = is_negative ? -number : number;
    return true;
}

static const char *
skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* "1000000S,500C", in any order; at least one. */
static bool
parse_limits(const char *at, const char *end, QuotaLimits *limits)
{
    do {
        gint64 number;

        at = skip_blanks(at, end);
        if (!take_number(&at, end, false, &number) || at == end)
            return false;
        if (*at == 'S')
            limits->octets = (guint64)number;
        else if (*at == 'C')
            limits->messages = (guint64)number;
        else
            return false;
        at = skip_blanks(at + 1, end);
        if (at < end && *at++ != ',')
            return false;
    } while (at < end);
    return true;
}

static bool
parse_change(const char *at, const char *end, MaildirsizeSum *change)
{
    at = skip_blanks(at, end);
    if (!take_number(&at, end, true, &change->octets))
        return false;

    const char *second = skip_blanks(at, end);

    return second != at && take_number(&second, end, true, &change->messages) &&
           skip_blanks(second, end) == end;
}

/* One line behind the first, without its line end. */
static bool
add_line(const char *at, const char *end, MaildirsizeContent *content)
{
    MaildirsizeSum change;

    if (!parse_change(at, end, &change) ||
        __builtin_add_overflow(content->sum.octets, change.octets, &content->sum.octets) ||
        __builtin_add_overflow(content->sum.messages, change.messages, &content->sum.messages))
        return false;
    if (content->lines++ == 0)
        content->counted = change;
    return true;
}

MaildirsizeContent
maildirsize_parse(const char *bytes, size_t len)
{
    const MaildirsizeContent damaged = {.is_damaged = true};
    MaildirsizeContent content = {0};
    const char *end = bytes + len;
    const char *line_end = len > 0 ? memchr(bytes, '\n', len) : NULL;

    if (line_end == NULL || !parse_limits(bytes, line_end, &content.limits))
        return damaged;
    for (const char *line = line_end + 1; line < end; line = line_end + 1) {
        line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL || !add_line(line, line_end, &content))
            return damaged;
    }
    if (content.lines == 0 || content.sum.octets < 0 || content.sum.messages < 0)
        return damaged;
    return content;
}

bool
maildirsize_limits_agree(const QuotaLimits *theirs, const QuotaLimits *ours)
{
    return (ours->octets == 0 && ours->messages == 0) ||
           (ours->octets == theirs->octets && ours->messages == theirs->messages);
}

char *
maildirsize_format_limits(const QuotaLimits *limits)
{
    GString *line = g_string_new(NULL);

    if (limits->octets != 0 || limits->messages == 0)
        g_string_append_printf(line, "%" G_GUINT64_FORMAT "S", limits->octets);
    if (limits->messages != 0)
        g_string_append_printf(line, "%s%" G_GUINT64_FORMAT "C", line->len > 0 ? "," : "",
                               limits->messages);
    g_string_append_c(line, '\n');
    return g_string_free(line, FALSE);
}

/* A number of so many columns at least, blanks first; returns its end. By hand, since every
 * delivery needs two and nothing else of printf(3). */
static char *
put_number(char *at, gint64 number)
{
    char digits[NUMBER_MAX];
    guint64 rest = number < 0 ? -(guint64)number : (guint64)number;
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[count++] = '-';
    for (size_t i = count; i < COLUMNS; i++)
        *at++ = ' ';
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

char *
maildirsize_format_change(gint64 octets, gint64 messages)
{
    char *line = g_malloc(2 * NUMBER_MAX + sizeof " \n");
    char *at = put_number(line, octets);

    *at++ = ' ';
    at = put_number(at, messages);
    *at++ = '\n';
    *at = '\0';
    return line;
}
