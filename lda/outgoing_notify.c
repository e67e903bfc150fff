/* lda/outgoing_notify.c - a notification by mail (RFC 5436) */
#include "lda/outgoing_parts.h"

#include "lda/compose.h"

/* Not of the RFC, but what mail programs show (RFC 5436 section 2.4). */
static void
append_importance(GString *out, const SieveAction *action)
{
    const char *importance = action->importance;

    for (size_t i = 0; action->fields[i] != NULL; i += 2) {
        if (strcmp(action->fields[i], "Importance") == 0 ||
            strcmp(action->fields[i], "X-Priority") == 0)
            return;
    }
    if (g_strcmp0(importance, "1") == 0)
        g_string_append(out, "X-Priority: 1 (Highest)\nImportance: High\n");
    if (g_strcmp0(importance, "3") == 0)
        g_string_append(out, "X-Priority: 5 (Lowest)\nImportance: Low\n");
}

/* "Auto-Submitted: auto-notified; owner-email=..." (RFC 5436 section 2.7.1). */
static void
append_auto_notified(GString *out, const OutgoingContext *context)
{
    GString *owner = g_string_new("owner-email=\"");

    for (const char *p = outgoing_owner(context); *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(owner, '\\');
        g_string_append_c(owner, *p);
    }
    g_string_append_c(owner, '"');
    compose_words(out, "Auto-Submitted", (const char *const[]){"auto-notified;", owner->str, NULL},
                  "");
    g_string_free(owner, TRUE);
}

/* RFC 5436 section 2.7: null for null; else :from, unless the administrator wants another. */
static char *
notification_sender(const OutgoingContext *context, const SieveAction *action, GError **error)
{
    const char *setting = context->config->sieve.notify_envelope_from;
    char *from = NULL;

    if (action->from != NULL && *context->input->sender != '\0' && strcmp(setting, "sender") == 0)
        from = outgoing_bare_address(action->from);
    return from != NULL ? from : outgoing_envelope_from(context, setting, error);
}

static char **
all_recipients(const SieveAction *action)
{
    GPtrArray *all = g_ptr_array_new();

    for (size_t i = 0; action->notify_to[i] != NULL; i++)
        g_ptr_array_add(all, action->notify_to[i]);
    for (size_t i = 0; action->notify_cc[i] != NULL; i++)
        g_ptr_array_add(all, action->notify_cc[i]);
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

OutgoingMail *
outgoing_notification(const OutgoingContext *context, const SieveAction *action, GError **error)
{
    g_autofree char **to = all_recipients(action); /* the strings are the action's */
    char *from = notification_sender(context, action, error);

    if (from == NULL)
        return NULL;
    GString *out = g_string_new(NULL);
    append_auto_notified(out, context);
    outgoing_append_id_and_date(out, context, "notify", action->line, action->method);
    compose_mailboxes(out, "From", action->from != NULL ? action->from : outgoing_owner(context));
    if (action->notify_to[0] != NULL)
        compose_words(out, "To", (const char *const *)action->notify_to, ",");
    if (action->notify_cc[0] != NULL)
        compose_words(out, "Cc", (const char *const *)action->notify_cc, ",");
    compose_field(out, "Subject", action->subject != NULL ? action->subject : "Notification");
    outgoing_append_thread(out, action);
    append_importance(out, action);
    for (size_t i = 0; action->fields[i] != NULL; i += 2) {
        if (strcmp(action->fields[i], "Reply-To") == 0)
            compose_mailboxes(out, action->fields[i], action->fields[i + 1]);
        else
            compose_field(out, action->fields[i], action->fields[i + 1]);
    }
    compose_field(out, "MIME-Version", "1.0");
    compose_text(out, action->body);
    return outgoing_mail_new(from, (const char *const *)to, out);
}
