/* lda/ctl_sieve_report.c - the answer of `lodge sieve test` and `check`
 *
 * One value, TrialReport, in two renderings: the JSON object that other programs rely on, and
 * the same facts for people. What came from a script or a message may hold any octet: JSON
 * strings are made here with their length, since the log's end at a NUL.
 */
#include "lda/ctl_sieve.h"

#include "lda/ctl.h"

/* ---- JSON ---------------------------------------------------------------- */

static void
append_json_char(GString *json, char c)
{
    if (c == '"' || c == '\\')
        g_string_append_printf(json, "\\%c", c);
    else if (c == '\n')
        g_string_append(json, "\\n");
    else if ((uint8_t)c < 0x20 || c == 0x7f)
        g_string_append_printf(json, "\\u%04x", (unsigned)c);
    else
        g_string_append_c(json, c);
}

/* As g_utf8_validate_len(), to which a NUL is an error. */
static bool
is_utf8(const char *octets, size_t len)
{
    const char *end = octets + len;

    while (octets < end && !g_utf8_validate_len(octets, (size_t)(end - octets), &octets)) {
        if (*octets != '\0')
            return false;
        octets++;
    }
    return true;
}

void
trial_json_octets(GString *json, const char *name, const char *octets, size_t len)
{
    if (name != NULL && !is_utf8(octets, len)) {
        g_autofree char *base64_name = g_strconcat(name, "_base64", NULL);
        g_autofree char *base64 = g_base64_encode((const guchar *)octets, len);

        ctl_json_text(json, base64_name, base64);
        return;
    }
    ctl_json_raw(json, name, "\"");
    for (size_t i = 0; i < len; i++)
        append_json_char(json, octets[i]);
    g_string_append_c(json, '"');
}

/* A member for a text that is not NULL; what is no UTF-8 is replaced. */
static void
json_text(GString *json, const char *name, const char *text)
{
    g_autofree char *valid = text == NULL ? NULL : g_utf8_make_valid(text, -1);

    if (valid != NULL)
        trial_json_octets(json, name, valid, strlen(valid));
}

void
trial_json_number(GString *json, const char *name, guint64 number)
{
    g_autofree char *raw = g_strdup_printf("%" G_GUINT64_FORMAT, number);

    ctl_json_raw(json, name, raw);
}

void
trial_json_bool(GString *json, const char *name, bool value)
{
    ctl_json_raw(json, name, value ? "true" : "false");
}

static void
json_list(GString *json, const char *name, char *const *texts)
{
    ctl_json_raw(json, name, "[");
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        json_text(json, NULL, texts[i]);
    g_string_append_c(json, ']');
}

static void
json_complaints(GString *json, const char *name, const TrialReport *report, bool errors)
{
    ctl_json_raw(json, name, "[");
    for (unsigned i = 0; i < report->complaints->len; i++) {
        const SieveComplaint *complaint = report->complaints->pdata[i];

        if (complaint->is_error != errors)
            continue;
        ctl_json_raw(json, NULL, "{");
        if (complaint->script != NULL && *complaint->script != '\0' &&
            strcmp(complaint->script, report->main_name) != 0)
            json_text(json, "script", complaint->script);
        if (complaint->line > 0)
            trial_json_number(json, "line", complaint->line);
        if (complaint->column > 0)
            trial_json_number(json, "column", complaint->column);
        json_text(json, "message", complaint->text);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
}

static const char *
action_name(const SieveAction *action)
{
    static const char *const names[] = {
        [SIEVE_ACTION_KEEP] = "keep",         [SIEVE_ACTION_FILEINTO] = "fileinto",
        [SIEVE_ACTION_REDIRECT] = "redirect", [SIEVE_ACTION_DISCARD] = "discard",
        [SIEVE_ACTION_REJECT] = "reject",     [SIEVE_ACTION_VACATION] = "vacation",
        [SIEVE_ACTION_NOTIFY] = "notify",     [SIEVE_ACTION_PIPE] = "pipe",
    };

    return action->ereject ? "ereject" : names[action->kind];
}

static void
json_fcc(GString *json, const SieveFcc *fcc)
{
    if (fcc->mailbox == NULL)
        return;
    json_text(json, "fcc", fcc->mailbox);
    if (fcc->flags != NULL)
        json_list(json, "fcc_flags", fcc->flags);
}

static void
json_vacation(GString *json, const SieveAction *action)
{
    json_text(json, "to", action->to);
    json_text(json, "from", action->from != NULL ? action->from : action->reply_from);
    json_text(json, "subject", action->subject);
    json_text(json, "reason", action->reason);
    json_text(json, "handle", action->handle);
    trial_json_number(json, "seconds", action->seconds);
    trial_json_bool(json, "mime", action->mime);
    json_fcc(json, &action->fcc);
}

static void
json_notify(GString *json, const SieveAction *action)
{
    json_text(json, "method", action->method);
    json_text(json, "importance", action->importance);
    json_text(json, "from", action->from);
    json_text(json, "message", action->reason);
    if (action->options != NULL && action->options[0] != NULL)
        json_list(json, "options", action->options);
    json_fcc(json, &action->fcc);
}

static void
json_action(GString *json, const TrialReport *report, const SieveAction *action)
{
    ctl_json_raw(json, NULL, "{");
    ctl_json_text(json, "action", action_name(action));
    json_text(json, "mailbox", action->mailbox);
    if (action->kind == SIEVE_ACTION_KEEP || action->kind == SIEVE_ACTION_FILEINTO)
        json_list(json, "flags", action->flags);
    if (action->create)
        trial_json_bool(json, "create", true);
    json_text(json, "special_use", action->special_use);
    json_text(json, "mailboxid", action->mailboxid);
    json_text(json, "address", action->address);
    json_text(json, "ret", action->ret);
    if (action->kind == SIEVE_ACTION_REDIRECT)
        json_text(json, "notify", action->notify);
    if (action->copy)
        trial_json_bool(json, "copy", true);
    if (action->kind == SIEVE_ACTION_REJECT)
        json_text(json, "reason", action->reason);
    if (action->kind == SIEVE_ACTION_VACATION)
        json_vacation(json, action);
    if (action->kind == SIEVE_ACTION_NOTIFY)
        json_notify(json, action);
    if (action->kind == SIEVE_ACTION_PIPE) {
        json_text(json, "program", action->program);
        json_list(json, "arguments", action->arguments);
    }
    json_text(json, "suppressed", trial_effect_suppressed(report->effect, action));
    trial_json_number(json, "line", action->line);
    g_string_append_c(json, '}');
}

static bool
json_actions(GString *json, const TrialReport *report)
{
    bool implicit = false;

    ctl_json_raw(json, "actions", "[");
    for (unsigned i = 0; i < report->actions->len; i++) {
        const SieveAction *action = report->actions->pdata[i];

        implicit |= action->implicit;
        if (!action->implicit)
            json_action(json, report, action);
    }
    g_string_append_c(json, ']');
    return implicit;
}

static void
json_message(GString *json, GBytes *bytes)
{
    size_t len = 0;
    const char *octets = g_bytes_get_data(bytes, &len);

    trial_json_octets(json, "rfc822", octets, len);
}

static void
json_outgoing(GString *json, const GPtrArray *outgoing)
{
    ctl_json_raw(json, "outgoing", "[");
    for (unsigned i = 0; i < outgoing->len; i++) {
        const OutgoingMail *mail = outgoing->pdata[i];

        for (size_t r = 0; mail->to[r] != NULL; r++) {
            ctl_json_raw(json, NULL, "{");
            json_text(json, "from", mail->from);
            json_text(json, "to", mail->to[r]);
            json_text(json, "ret", mail->ret);
            json_text(json, "notify", mail->notify);
            json_message(json, mail->bytes);
            g_string_append_c(json, '}');
        }
    }
    g_string_append_c(json, ']');
}

static void
json_stored(GString *json, const GPtrArray *stored)
{
    ctl_json_raw(json, "messages", "[");
    for (unsigned i = 0; i < stored->len; i++) {
        const TrialStored *message = stored->pdata[i];

        ctl_json_raw(json, NULL, "{");
        json_text(json, "mailbox", message->mailbox);
        json_list(json, "flags", message->flags);
        json_message(json, message->bytes);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
}

static void
json_variables(GString *json, const GPtrArray *variables)
{
    ctl_json_raw(json, "variables", "{");
    for (unsigned i = 0; i < variables->len; i++) {
        const TrialVariable *variable = variables->pdata[i];

        trial_json_octets(json, variable->name, variable->value, variable->len);
    }
    g_string_append_c(json, '}');
}

/* The trace if asked for, and what vnd.dovecot.debug said. */
static void
json_trace(GString *json, const TrialReport *report)
{
    const GPtrArray *trace = trial_world_trace(report->world);

    if (trace->len == 0)
        return;
    ctl_json_raw(json, "trace", "[");
    for (unsigned i = 0; i < trace->len; i++) {
        const TrialTrace *step = trace->pdata[i];

        ctl_json_raw(json, NULL, "{");
        if (step->line > 0) {
            json_text(json, "script", step->script);
            trial_json_number(json, "line", step->line);
        }
        json_text(json, step->line > 0 ? "text" : "debug", step->text);
        g_string_append_c(json, '}');
    }
    g_string_append_c(json, ']');
}

char *
trial_report_json(const TrialReport *report)
{
    GString *json = g_string_new(NULL);
    const TrialEffect *effect = report->effect;

    ctl_json_raw(json, NULL, "{");
    ctl_json_text(json, "status", report->status);
    json_complaints(json, "errors", report, true);
    json_complaints(json, "warnings", report, false);
    if (effect != NULL) {
        bool implicit = json_actions(json, report);

        trial_json_bool(json, "implicit_keep", implicit);
        if (report->variables != NULL)
            json_variables(json, report->variables);
        json_outgoing(json, effect->outgoing);
        json_stored(json, effect->stored);
        g_ptr_array_add(effect->created, NULL);
        json_list(json, "mailboxes_created", (char **)effect->created->pdata);
        g_ptr_array_set_size(effect->created, (int)effect->created->len - 1);
        json_trace(json, report);
    }
    g_string_append_c(json, '}');
    return g_string_free(json, FALSE);
}

/* ---- for people ---------------------------------------------------------- */

/* One line of text, its control characters shown, so that a message cannot paint the terminal. */
static void
append_text(GString *out, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text == NULL ? "" : text, -1);

    for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '\n')
            g_string_append(out, "\\n");
        else if (c == '\t' || !(c < 0x20 || (c >= 0x7f && c < 0xa0)))
            g_string_append_unichar(out, c);
        else
            g_string_append_printf(out, "\\x%02x", c);
    }
}

static void
append_quoted(GString *out, const char *label, const char *text)
{
    if (text == NULL)
        return;
    g_string_append_printf(out, " %s\"", label);
    append_text(out, text);
    g_string_append_c(out, '"');
}

void
trial_append_complaints(GString *out, const GPtrArray *complaints)
{
    for (unsigned i = 0; i < complaints->len; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];

        append_text(out, complaint->script);
        if (complaint->line > 0)
            g_string_append_printf(out, ":%u", complaint->line);
        if (complaint->column > 0)
            g_string_append_printf(out, ":%u", complaint->column);
        g_string_append_printf(out, ": %s: ", complaint->is_error ? "error" : "warning");
        append_text(out, complaint->text);
        g_string_append_c(out, '\n');
    }
}

static void
append_flags(GString *out, char *const *flags)
{
    if (flags == NULL || flags[0] == NULL)
        return;
    g_string_append(out, " with flags");
    for (size_t i = 0; flags[i] != NULL; i++) {
        g_string_append_c(out, ' ');
        append_text(out, flags[i]);
    }
}

static void
append_action(GString *out, const TrialReport *report, const SieveAction *action)
{
    const char *suppressed = trial_effect_suppressed(report->effect, action);

    g_string_append_printf(out, "%s%s%s", action->implicit ? "implicit " : "", action_name(action),
                           action->copy ? " :copy" : "");
    append_quoted(out, "", action->mailbox);
    append_quoted(out, "", action->address);
    append_quoted(out, "", action->method);
    append_quoted(out, "", action->program);
    append_quoted(out, "to ", action->to);
    append_quoted(out, "subject ", action->subject);
    append_quoted(out, "", action->reason);
    append_flags(out, action->flags);
    if (action->line > 0)
        g_string_append_printf(out, " (line %u)", action->line);
    if (suppressed != NULL) {
        g_string_append(out, ", but nothing is sent: ");
        append_text(out, suppressed);
    }
    g_string_append_c(out, '\n');
}

static void
append_effect(GString *out, const TrialEffect *effect)
{
    for (unsigned i = 0; i < effect->stored->len; i++) {
        const TrialStored *stored = effect->stored->pdata[i];

        g_string_append_printf(out, "stored in \"%s\", %zu octets", stored->mailbox,
                               g_bytes_get_size(stored->bytes));
        append_flags(out, stored->flags);
        g_string_append_c(out, '\n');
    }
    for (unsigned i = 0; i < effect->created->len; i++)
        g_string_append_printf(out, "created mailbox \"%s\"\n", (char *)effect->created->pdata[i]);
    for (unsigned i = 0; i < effect->outgoing->len; i++) {
        const OutgoingMail *mail = effect->outgoing->pdata[i];
        size_t len = 0;
        const char *octets = g_bytes_get_data(mail->bytes, &len);
        g_autofree char *copy = g_strndup(octets, len);
        g_autofree char *to = g_strjoinv(">, <", mail->to);
        g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

        g_string_append_printf(out, "sent from <%s> to <%s>, %zu octets:\n", mail->from, to, len);
        for (size_t l = 0; lines[l] != NULL && (*lines[l] != '\0' || lines[l + 1] != NULL); l++) {
            g_string_append(out, "    | ");
            append_text(out, lines[l]);
            g_string_append_c(out, '\n');
        }
    }
}

/* Each line of a script with what happened there:
 *     4 | if header :contains "subject" "sale" {
 *       >   header "Subject: Big sale" contains "sale": true
 */
static void
append_trace(GString *out, const TrialReport *report)
{
    const GPtrArray *trace = trial_world_trace(report->world);
    const char *script = "";
    unsigned line = 0;

    for (unsigned i = 0; i < trace->len; i++) {
        const TrialTrace *step = trace->pdata[i];

        if (step->line > 0 && (step->line != line || strcmp(step->script, script) != 0)) {
            const char *source = trial_world_source(report->world, step->script, step->line);

            if (strcmp(step->script, script) != 0)
                g_string_append_printf(out, "%s:\n", step->script);
            g_string_append_printf(out, "%5u | ", step->line);
            append_text(out, source);
            g_string_append_c(out, '\n');
            script = step->script;
            line = step->line;
        }
        g_string_append(out, step->line > 0 ? "      >   " : "  debug >   ");
        append_text(out, step->text);
        g_string_append_c(out, '\n');
    }
    if (trace->len > 0)
        g_string_append_c(out, '\n');
}

char *
trial_report_text(const TrialReport *report)
{
    GString *out = g_string_new(NULL);

    if (report->effect != NULL)
        append_trace(out, report);
    trial_append_complaints(out, report->complaints);
    if (report->effect == NULL) {
        g_string_append(out, strcmp(report->status, "ok") == 0 ? "no errors" : "refused");
        return g_string_free(out, FALSE);
    }
    for (unsigned i = 0; i < report->actions->len; i++)
        append_action(out, report, report->actions->pdata[i]);
    append_effect(out, report->effect);
    return g_strchomp(g_string_free(out, FALSE));
}
