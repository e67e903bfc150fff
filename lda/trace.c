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

/* Appends text without control characters; where it lands in a comment, what
 * would end the comment is quoted. */
static void
append_text(GString *out, const char *text, bool in_comment)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (in_comment && strchr("()\\", *p) != NULL)
            g_string_append_c(out, '\\');
        g_string_append_c(out, g_ascii_iscntrl(*p) ? '?' : *p);
    }
}

/* Appends a word of Received, such as a client's LHLO name, of the characters that
 * names and address literals are made of. */
static void
append_word(GString *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        bool sane = g_ascii_isalnum(*p) || strchr("-._:[]", *p) != NULL || (uint8_t)*p >= 0x80;

        g_string_append_c(out, sane ? *p : '?');
    }
}

static void
append_field(GString *out, const char *name, const char *before, const char *value,
             const char *after)
{
    g_string_append_printf(out, "%s: %s", name, before);
    append_text(out, value, false);
    g_string_append_printf(out, "%s\n", after);
}

/* RFC 5322 section 3.3, in local time. Not strftime's %a and %b: those follow the locale. */
static void
append_date(GString *out, gint64 now_us)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(now_us / G_USEC_PER_SEC);
    struct tm tm = {0};
    long minutes;

    (void)localtime_r(&now, &tm); /* fails past the year 2^31 only: then it says 1900 */
    minutes = labs(tm.tm_gmtoff) / 60;
    g_string_append_printf(out, "%.3s, %d %.3s %d %02d:%02d:%02d %c%02ld%02ld",
                           days + (size_t)tm.tm_wday * 3, tm.tm_mday,
                           months + (size_t)tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                           tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
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
        append_text(out, envelope->client_address != NULL ? envelope->client_address : "unknown",
                    true);
        g_string_append(out, ")\n\t");
    }
    g_string_append(out, "by ");
    append_word(out, options->host);
    g_string_append(out, " (lodge)");
    if (envelope->protocol != NULL)
        g_string_append_printf(out, " with %s", envelope->protocol);
    g_string_append_printf(out, " id %s\n\t(envelope-from <", options->transaction_id);
    append_text(out, envelope->sender, true);
    g_string_append(out, ">)");
    if (recipient != NULL) {
        g_string_append(out, "\n\tfor <");
        append_text(out, recipient, false);
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
        append_field(out, "Return-Path", "<", envelope->sender, ">");
    if (named && !message_has_prepended(message, "Delivered-To"))
        append_field(out, "Delivered-To", "", recipient->address, "");
    if (named && recipient->original != NULL && !message_has_prepended(message, "X-Original-To"))
        append_field(out, "X-Original-To", "", recipient->original, "");
    append_received(out, options, envelope, named ? recipient->address : NULL);
    return g_string_free(out, false);
}
