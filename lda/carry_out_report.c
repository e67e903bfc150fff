/* lda/carry_out_report.c - what was done, in words: for the reply and the log; see carry_out.h
 *
 *   stored in INBOX and Lists; redirected to 1 address
 *   discarded by sieve line 12
 *   actions="fileinto Lists, vacation to bob@example.com (not done: answered lately)"
 */
#include "lda/carry_out_parts.h"

/* ---- the outcome ---------------------------------------------------------- */

G_GNUC_PRINTF(2, 3)
static void
say(GString *text, const char *format, ...)
{
    va_list args;

    if (text->len > 0)
        g_string_append(text, "; ");
    va_start(args, format);
    g_string_append_vprintf(text, format, args);
    va_end(args);
}

static void
say_folders(GString *text, const GPtrArray *copies)
{
    for (guint i = 0; i < copies->len; i++) {
        const char *folder = maildir_copy_folder(copies->pdata[i]);

        if (i == 0)
            say(text, "stored in %s", folder);
        else
            g_string_append_printf(text, "%s%s", i + 1 == copies->len ? " and " : ", ", folder);
    }
}

/* The first action that is carried out; NULL: none. */
static const SieveAction *
deciding(const Effects *effects)
{
    for (guint i = 0; i < effects->actions->len; i++) {
        const SieveAction *action = effects->actions->pdata[i];

        if (action->suppressed == NULL && action->kind != SIEVE_ACTION_VACATION &&
            action->kind != SIEVE_ACTION_NOTIFY)
            return action;
    }
    return effects->actions->len > 0 ? effects->actions->pdata[0] : NULL;
}

LdaOutcome *
effects_outcome(const Effects *effects)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const SieveAction *action = deciding(effects);
    const MaildirCopy *first = effects->copies->len > 0 ? effects->copies->pdata[0] : NULL;

    if (effects->refusal != NULL)
        return lda_outcome_rejected(effects->refusal->reason);
    say_folders(text, effects->copies);
    if (effects->redirected > 0)
        say(text, "redirected to %u address%s", effects->redirected,
            effects->redirected > 1 ? "es" : "");
    if (effects->piped > 0)
        say(text, "piped to %u program%s", effects->piped, effects->piped > 1 ? "s" : "");
    if (effects->reported > 0)
        say(text, "rejected by sieve line %u, its sender was told", action->line);
    if (text->len == 0)
        say(text, "discarded by sieve line %u", action != NULL ? action->line : 0);
    return lda_outcome_done(text->str, first != NULL ? maildir_copy_folder(first) : NULL,
                            first != NULL ? maildir_copy_path(first) : NULL);
}

/* ---- the log -------------------------------------------------------------- */

static void
describe(GString *text, const SieveAction *action)
{
    switch (action->kind) {
    case SIEVE_ACTION_KEEP:
        g_string_append(text, action->implicit ? "implicit keep" : "keep");
        break;
    case SIEVE_ACTION_FILEINTO:
        g_string_append_printf(text, "fileinto %s", action->mailbox);
        break;
    case SIEVE_ACTION_REDIRECT:
        g_string_append_printf(text, "redirect %s", action->address);
        break;
    case SIEVE_ACTION_DISCARD:
        g_string_append(text, "discard");
        break;
    case SIEVE_ACTION_REJECT:
        g_string_append(text, action->ereject ? "ereject" : "reject");
        break;
    case SIEVE_ACTION_VACATION:
        g_string_append_printf(text, "vacation %s", action->to != NULL ? action->to : "<>");
        break;
    case SIEVE_ACTION_NOTIFY:
        g_string_append_printf(text, "notify %s", action->method);
        break;
    case SIEVE_ACTION_PIPE:
        g_string_append_printf(text, "pipe %s", action->program);
        break;
    }
}

static char *
describe_all(const Effects *effects)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < effects->actions->len; i++) {
        const SieveAction *action = effects->actions->pdata[i];

        if (i > 0)
            g_string_append(text, ", ");
        describe(text, action);
        if (action->suppressed != NULL)
            g_string_append_printf(text, " (not done: %s)", action->suppressed);
        else if (effects->results[i] != NULL)
            g_string_append_printf(text, " (%s)", effects->results[i]);
    }
    return g_string_free(text, FALSE);
}

EffectsReport *
effects_report(const Effects *effects)
{
    const SieveAction *action = deciding(effects);
    EffectsReport *report = g_new0(EffectsReport, 1);

    report->script = g_strdup(filter_script(effects->filter));
    report->line = action != NULL ? action->line : 0;
    report->actions = describe_all(effects);
    report->failure = g_strdup(filter_failure(effects->filter));
    report->note = effects->notes->len > 0 ? g_strdup(effects->notes->str) : NULL;
    return report;
}

void
effects_report_free(EffectsReport *report)
{
    if (report == NULL)
        return;
    g_free(report->script);
    g_free(report->actions);
    g_free(report->failure);
    g_free(report->note);
    g_free(report);
}
