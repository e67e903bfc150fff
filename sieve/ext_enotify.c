/* sieve/ext_enotify.c - "enotify": tell somebody that there is mail (RFC 5435)
 *
 *   notify, valid_notify_method, notify_method_capability, and :encodeurl of "set"
 *
 * The one method is mailto (RFC 5436). A constant URI that is wrong is an error of the
 * compiler; one of another scheme is only a warning there, and an error when the command
 * is reached (RFC 5435 section 3.2), because scripts ask valid_notify_method first.
 */
#include "sieve/extensions.h"
#include "sieve/fcc.h"
#include "sieve/mailto.h"
#include "sieve/reply.h"

/* ---- arguments ----------------------------------------------------------- */

static bool
is_importance(SieveText text)
{
    return text.len == 1 && text.bytes[0] >= '1' && text.bytes[0] <= '3';
}

/* RFC 5435 section 3.5: name=value without NUL, CR and LF. */
static bool
is_option(SieveText text)
{
    size_t i = 0;

    while (i < text.len && (g_ascii_isalnum(text.bytes[i]) ||
                            (i > 0 && text.bytes[i] != '\0' && strchr(".-_", text.bytes[i]))))
        i++;
    if (i == 0 || i == text.len || text.bytes[i] != '=')
        return false;
    for (; i < text.len; i++) {
        if (text.bytes[i] == '\0' || text.bytes[i] == '\r' || text.bytes[i] == '\n')
            return false;
    }
    return true;
}

/* RFC 3986 section 3.1: a scheme and a colon. */
static bool
has_scheme(SieveText uri)
{
    size_t i = 0;

    while (i < uri.len && (g_ascii_isalnum(uri.bytes[i]) ||
                           (uri.bytes[i] != '\0' && strchr("+-.", uri.bytes[i]) != NULL)))
        i++;
    return i > 0 && g_ascii_isalpha(uri.bytes[0]) && i < uri.len && uri.bytes[i] == ':';
}

static bool
is_author(SieveArena *arena, SieveText from)
{
    SieveAddress address;

    return !sieve_reply_has_controls(from) && sieve_address_parse(arena, from, &address) &&
           address.domain.len > 0;
}

static const SieveString *
constant_of(const SieveNode *node, const char *tag)
{
    const SieveBoundTag *bound = sieve_node_tag(node, tag);

    return bound == NULL || bound->value->strings[0].pieces != NULL ? NULL
                                                                    : &bound->value->strings[0];
}

static void
check_method(SieveCheck *check, const SieveString *method)
{
    SieveMailto mailto;
    const char *problem = NULL;

    if (method->pieces != NULL)
        return;
    if (!has_scheme(method->text))
        sieve_check_error(check, method->line, method->column, "'%s' is no URI",
                          method->text.bytes);
    else if (!sieve_mailto_is(method->text))
        sieve_check_warning(check, method->line, method->column,
                            "notify with '%s' will fail: only mailto: is supported",
                            method->text.bytes);
    else if (!sieve_mailto_parse(sieve_check_scratch(check), method->text, &mailto, &problem))
        sieve_check_error(check, method->line, method->column, "'%s' has %s", method->text.bytes,
                          problem);
}

static void
check_notify(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *options = sieve_node_tag(node, "options");
    const SieveString *text;

    if (node->values[0] != NULL)
        check_method(check, &node->values[0]->strings[0]);
    if ((text = constant_of(node, "importance")) != NULL && !is_importance(text->text))
        sieve_check_error(check, text->line, text->column,
                          ":importance is \"1\", \"2\" or \"3\", not \"%s\"", text->text.bytes);
    if ((text = constant_of(node, "from")) != NULL &&
        !is_author(sieve_check_scratch(check), text->text))
        sieve_check_error(check, text->line, text->column, "'%s' is no address for :from",
                          text->text.bytes);
    for (size_t i = 0; options != NULL && i < options->value->string_count; i++) {
        text = &options->value->strings[i];
        if (text->pieces == NULL && !is_option(text->text))
            sieve_check_error(check, text->line, text->column,
                              "an option is \"name=value\", not \"%s\"", text->text.bytes);
    }
    sieve_fcc_check(check, node);
}

/* ---- notify -------------------------------------------------------------- */

static bool
take_method(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    SieveArena *arena = sieve_run_arena(run);
    SieveText method = sieve_run_first(run, node->values[0]);
    const char *problem = NULL;
    SieveMailto mailto;

    action->method = sieve_reply_line(arena, method);
    if (!sieve_mailto_is(method))
        return sieve_run_fail(run, error, "notify: '%s' is no supported method", action->method);
    if (!sieve_mailto_parse(arena, method, &mailto, &problem))
        return sieve_run_fail(run, error, "notify: '%s' has %s", action->method, problem);
    action->notify_to = mailto.to;
    action->notify_cc = mailto.cc;
    action->fields = mailto.fields;
    action->subject = mailto.subject;
    action->body = mailto.body;
    return true;
}

static bool
take_tags(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    SieveArena *arena = sieve_run_arena(run);
    const SieveBoundTag *options = sieve_node_tag(node, "options");
    SieveText text = sieve_text("2"); /* RFC 5435 section 3.4 */
    size_t count = 0;

    (void)sieve_run_tag_text(run, node, "importance", &text);
    if (!is_importance(text))
        return sieve_run_fail(run, error, "notify: '%s' is no importance",
                              sieve_reply_line(arena, text));
    action->importance = sieve_reply_line(arena, text);
    if (sieve_run_tag_text(run, node, "from", &text)) {
        if (!is_author(arena, text))
            return sieve_run_fail(run, error, "notify: '%s' is no address for :from",
                                  sieve_reply_line(arena, text));
        action->from = sieve_reply_line(arena, text);
    }
    if (sieve_run_tag_text(run, node, "message", &text))
        action->reason = sieve_reply_lines(arena, text);
    const SieveText *texts =
        options == NULL ? NULL : sieve_run_strings(run, options->value, &count);
    action->options = sieve_arena_new0(arena, char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (!is_option(texts[i]))
            return sieve_run_fail(run, error, "notify: '%s' is no option",
                                  sieve_reply_line(arena, texts[i]));
        action->options[i] = sieve_reply_line(arena, texts[i]);
    }
    return sieve_action_take_tags(run, node, action, error);
}

/* RFC 5436 section 2.7: :message, the URI's, that of the message. */
static void
choose_subject(SieveRun *run, SieveAction *action)
{
    if (action->reason != NULL)
        action->subject = sieve_reply_line(sieve_run_arena(run), sieve_text(action->reason));
    else if (action->subject == NULL)
        action->subject = sieve_reply_subject(run);
}

/* What a notification without a body of its own says: who wrote about what. */
static char *
default_body(SieveRun *run)
{
    static const char *const names[] = {"From", "To", "Subject"};
    g_autoptr(GString) body = g_string_new("There is new mail for you.\n\n");

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *value = sieve_reply_header(run, names[i]);

        if (value != NULL)
            g_string_append_printf(body, "%s: %s\n", names[i], value);
    }
    return sieve_arena_strdup(sieve_run_arena(run), body->str);
}

/* RFC 5436 section 2.7: no notification about what a program sent, or there is a loop. The null
 * sender alone is no reason. */
static char *
suppression(SieveRun *run, const SieveAction *action)
{
    const char *submitted = sieve_reply_auto_submitted(run);

    if (submitted != NULL) {
        g_autofree char *reason =
            g_strdup_printf("the message has \"auto-submitted: %s\"", submitted);
        return sieve_arena_strdup(sieve_run_arena(run), reason);
    }
    if (action->notify_to[0] == NULL && action->notify_cc[0] == NULL)
        return sieve_arena_strdup(sieve_run_arena(run), "the URI names no recipient");
    return NULL;
}

static bool
run_notify(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveAction *action = sieve_action_new(run, node, SIEVE_ACTION_NOTIFY);

    if (!take_method(run, node, action, error) || !take_tags(run, node, action, error))
        return false;
    choose_subject(run, action);
    if (action->body == NULL)
        action->body = default_body(run);
    action->in_reply_to = sieve_reply_message_id(run);
    action->references = sieve_reply_references(run);
    action->suppressed = suppression(run, action);
    if (action->suppressed != NULL)
        sieve_run_trace(run, node, "notify: nothing is sent: %s", action->suppressed);
    else
        sieve_run_trace(run, node, "notify \"%s\"", action->method);
    return sieve_action_add(run, action, error);
}

/* ---- tests --------------------------------------------------------------- */

static bool
is_valid_method(SieveRun *run, SieveText uri)
{
    SieveMailto mailto;
    const char *problem = NULL;

    return sieve_mailto_parse(sieve_run_arena(run), uri, &mailto, &problem);
}

static bool
test_valid_notify_method(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    size_t count = 0;
    const SieveText *uris = sieve_run_strings(run, node->values[0], &count);

    if (!sieve_run_step(run, count, error))
        return false;
    *result_out = true;
    for (size_t i = 0; i < count && *result_out; i++) {
        *result_out = is_valid_method(run, uris[i]);
        if (sieve_run_is_tracing(run))
            sieve_run_trace(run, node, "notify method '%s' is %s", uris[i].bytes,
                            *result_out ? "valid" : "not valid");
    }
    return true;
}

/* What we can say of mailto. RFC 5436 section 2.2: whether the recipient is online nobody
 * knows. RFC 8580 section 6.1: what is sent by mail can be filed. */
static const struct {
    const char *capability;
    const char *value;
} capabilities[] = {{"online", "maybe"}, {"fcc", "yes"}};

static bool
test_notify_method_capability(SieveRun *run, const SieveNode *node, bool *result_out,
                              GError **error)
{
    SieveText uri = sieve_run_first(run, node->values[0]);
    const char *name =
        sieve_reply_line(sieve_run_arena(run), sieve_run_first(run, node->values[1]));
    SieveMatching matching;

    *result_out = false;
    if (!is_valid_method(run, uri)) /* RFC 5435 section 5: fails, also for :count */
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        if (g_ascii_strcasecmp(name, capabilities[i].capability) != 0)
            continue;
        return sieve_matching_begin(run, node, node->values[2], &matching, error) &&
               sieve_matching_value(&matching, sieve_text(capabilities[i].value), error) &&
               sieve_matching_end(&matching, result_out, error);
    }
    return true;
}

static const SieveCommand commands[] = {
    {.name = "notify",
     .traits = SIEVE_TAKES_FCC,
     .signature = "s",
     .check = check_notify,
     .run = run_notify},
    {.name = "valid_notify_method",
     .traits = SIEVE_TEST,
     .signature = "S",
     .test = test_valid_notify_method},
    {.name = "notify_method_capability",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
     .signature = "ssS",
     .test = test_notify_method_capability},
    {0},
};

static const SieveTag tags[] = {
    {.name = "from", .commands = {"notify"}, .argument = 's'},
    {.name = "importance", .commands = {"notify"}, .argument = 's'},
    {.name = "options", .commands = {"notify"}, .argument = 'S'},
    {.name = "message", .commands = {"notify"}, .argument = 's'},
    {.name = "encodeurl", .commands = {"set", "extracttext"}, .value = 15},
    {0},
};

const SieveExtension sieve_ext_enotify = {.name = "enotify", .commands = commands, .tags = tags};
