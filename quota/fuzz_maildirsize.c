/* quota/fuzz_maildirsize.c - any bytes as "maildirsize"
 *
 * Besides not crashing: what is believed is no negative usage, is limits that we would write
 * ourselves, and gains exactly what a line of ours adds.
 */
#include "lodge.h"

#include "quota/maildirsize.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_limits(const QuotaLimits *limits)
{
    g_autofree char *first = maildirsize_format_limits(limits);
    g_autofree char *text = g_strconcat(first, "0 0\n", NULL);
    MaildirsizeContent content = maildirsize_parse(text, strlen(text));

    g_assert(!content.is_damaged);
    g_assert(content.limits.octets == limits->octets);
    g_assert(content.limits.messages == limits->messages);
}

static void
check_line(const uint8_t *bytes, size_t len, const MaildirsizeContent *before)
{
    g_autofree char *line = maildirsize_format_change(4312, 1);
    GString *text = g_string_new_len((const char *)bytes, (gssize)len);
    MaildirsizeContent after;

    g_string_append(text, line);
    after = maildirsize_parse(text->str, text->len);
    g_string_free(text, TRUE);
    if (before->sum.octets > G_MAXINT64 - 4312 || before->sum.messages == G_MAXINT64) {
        g_assert(after.is_damaged);
        return;
    }
    g_assert(!after.is_damaged && after.lines == before->lines + 1);
    g_assert(after.sum.octets == before->sum.octets + 4312);
    g_assert(after.sum.messages == before->sum.messages + 1);
    g_assert(after.counted.octets == before->counted.octets);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    MaildirsizeContent content = maildirsize_parse((const char *)bytes, len);

    g_assert(content.sum.octets >= 0 && content.sum.messages >= 0);
    if (content.is_damaged) {
        g_assert(content.lines == 0 && content.sum.octets == 0);
        return 0;
    }
    g_assert(content.lines > 0 && bytes[len - 1] == '\n');
    check_limits(&content.limits);
    check_line(bytes, len, &content);
    return 0;
}
