/* lda/trace.c - the header fields that a delivery puts in front of a message; see trace.h
 *
 *   Return-Path: <bob@example.com>
 *   Delivered-To: ana@example.org
 *   X-Original-To: info@example.org
 *   Received: from mx.example.org (unix socket)
 *   	by mail.example.org (lodge) with LMTP id 2hTQ0aXb01Kd
 *   	(envelope-from <bob@example.com>)
 *   	for <ana@example.org>; Tue, 24 Nov 2026 06:49:56 +0000
 *
 * UTF-8 addresses stay as they are (RFC 6532). Control characters cannot occur in
 * a parsed address; they are blanked all the same, because a header that an
 * attacker may add to would decide about spam and authentication.
 */
#include "lda/trace.h"

#include <time.h>

#include "lda/decimal.h"

/* Blanks control characters in what was appended behind the first start octets. */
static void
blank_controls(GString *out, size_t start)
{
    for (char *p = out->str + start; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p))
            *p = '?';
    }
}

static void
append_text(GString *out, const char *text)
{
    size_t start = out->len;

    g_string_append(out, text);
    blank_controls(out, start);
}

/* The same inside a comment: what would end it is quoted. */
static void
append_comment(GString *out, const char *text)
{
    static const char special[] = "()\\";
    size_t start = out->len;

    for (size_t run = strcspn(text, special);; run = 1 + strcspn(text + 1, special)) {
        g_string_append_len(out, text, (gssize)run);
        text += run;
        if (*text == '\0')
            break;
        g_string_append_c(out, '\\');
    }
    blank_controls(out, start);
}

/* Appends a word of Received, such as a client's LHLO name, of the characters that
 * names and address literals are made of. */
static void
append_word(GString *out, const char *text)
{
    size_t start = out->len;

    g_string_append(out, text);
    for (char *p = out->str + start; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && strchr("-._:[]", *p) == NULL && (uint8_t)*p < 0x80)
            *p = '?';
    }
}

/* start is the name and what goes before the value. */
static void
append_field(GString *out, const char *start, const char *value, const char *end)
{
    g_string_append(out, start);
    append_text(out, value);
    g_string_append(out, end);
}

/* RFC 5322 section 3.3, in local time. Not strftime's %a and %b: those follow the locale. */
static void
append_date(GString *out, gint64 now_us)
{
    static const char days[][6] = {"Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "};
    static const char months[][6] = {" Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ",
                                     " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec "};
    time_t now = (time_t)(now_us / G_USEC_PER_SEC);
    struct tm tm = {0};
    unsigned minutes;

    (void)localtime_r(&now, &tm); /* fails past the year 2^31 only: then it says 1900 */
    minutes = (unsigned)labs(tm.tm_gmtoff) / 60;
    g_string_append(out, days[tm.tm_wday]);
    decimal_append(out, (unsigned)tm.tm_mday, 1);
    g_string_append(out, months[tm.tm_mon]);
    decimal_append(out, (unsigned)tm.tm_year + 1900, 4);
    g_string_append_c(out, ' ');
    decimal_append(out, (unsigned)tm.tm_hour, 2);
    g_string_append_c(out, ':');
    decimal_append(out, (unsigned)tm.tm_min, 2);
    g_string_append_c(out, ':');
    decimal_append(out, (unsigned)tm.tm_sec, 2);
    g_string_append(out, tm.tm_gmtoff < 0 ? " -" : " +");
    decimal_append(out, minutes / 60 * 100 + minutes % 60, 4);
}

static void
append_received(GString *out, const TraceOptions *options, const LdaEnvelope *envelope,
                const char *recipient)
{
    g_string_append(out, "Received: ");
    if (envelope->client_name != NULL) {
        g_string_append(out, "from ");
        append_word(out, envelope->client_name);
        g_string_append(out, " (");
        append_comment(out,
                       envelope->client_address != NULL ? envelope->client_address : "unknown");
        g_string_append(out, ")\n\t");
    }
    g_string_append(out, "by ");
    append_word(out, options->host);
    g_string_append(out, " (lodge)");
    if (envelope->protocol != NULL) {
        g_string_append(out, " with ");
        g_string_append(out, envelope->protocol);
    }
    g_string_append(out, " id ");
    g_string_append(out, options->transaction_id);
    g_string_append(out, "\n\t(envelope-from <");
    append_comment(out, envelope->sender);
    g_string_append(out, ">)");
    if (recipient != NULL) {
        g_string_append(out, "\n\tfor <");
        append_text(out, recipient);
        g_string_append_c(out, '>');
    }
    g_string_append(out, "; ");
    append_date(out, options->now_us);
    g_string_append_c(out, '\n');
}

char *
trace_headers(const TraceOptions *options, const LdaEnvelope *envelope,
              const LdaRecipient *recipient, const Message *message)
{
    GString *out = g_string_sized_new(512);
    bool named = options->delivered_to == DELIVERED_TO_ALWAYS ||
                 (options->delivered_to == DELIVERED_TO_SINGLE && options->single);

    if (!message_has_prepended(message, "Return-Path"))
        append_field(out, "Return-Path: <", envelope->sender, ">\n");
    if (named && !message_has_prepended(message, "Delivered-To"))
        append_field(out, "Delivered-To: ", recipient->address, "\n");
    if (named && recipient->original != NULL && !message_has_prepended(message, "X-Original-To"))
        append_field(out, "X-Original-To: ", recipient->original, "\n");
    append_received(out, options, envelope, named ? recipient->address : NULL);
    return g_string_free(out, false);
}
