/* sieve/ext_redirect_dsn.c - "redirect-dsn" and "envelope-dsn" (RFC 6009)
 *
 * Two tags of redirect, whose values go into RET of MAIL and NOTIFY of RCPT (RFC 3461)
 * where the MTA knows them; and four more parts of the envelope for the envelope test of
 * ext_envelope.c, which asks here for their values.
 */
#include "sieve/dsn.h"

#include "sieve/extensions.h"
#include "sieve/reply.h"

/* ---- redirect-dsn -------------------------------------------------------- */

/* RFC 3461 section 4.1: NEVER alone, or a list of the others. */
static bool
is_notify(const char *value)
{
    static const char *const conditions[] = {"SUCCESS", "FAILURE", "DELAY", NULL};
    g_autofree char *upper = g_ascii_strup(value, -1);
    g_auto(GStrv) words = g_strsplit(upper, ",", -1);

    if (strcmp(upper, "NEVER") == 0)
        return true;
    for (size_t i = 0; words[i] != NULL; i++) {
        if (!g_strv_contains(conditions, words[i]))
            return false;
    }
    return words[0] != NULL;
}

static bool
is_ret(const char *value)
{
    return g_ascii_strcasecmp(value, "FULL") == 0 || g_ascii_strcasecmp(value, "HDRS") == 0;
}

static bool
is_good(const char *tag, const char *value)
{
    return strcmp(tag, "ret") == 0 ? is_ret(value) : is_notify(value);
}

static void
check_dsn_tag(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    const SieveString *text = &bound->value->strings[0];

    (void)node;
    if (text->pieces == NULL && !is_good(bound->tag->name, text->text.bytes))
        sieve_check_error(check, text->line, text->column, "\"%s\" is no value for :%s",
                          text->text.bytes, bound->tag->name);
}

static bool
take_tag(SieveRun *run, const SieveNode *node, const char *tag, char **value_out, GError **error)
{
    SieveText text;

    if (!sieve_run_tag_text(run, node, tag, &text))
        return true;
    char *value = sieve_reply_line(sieve_run_arena(run), text);
    if (!is_good(tag, value))
        return sieve_run_fail(run, error, "redirect: \"%s\" is no value for :%s", value, tag);
    for (char *p = value; *p != '\0'; p++)
        *p = g_ascii_toupper(*p);
    *value_out = value;
    return true;
}

bool
sieve_redirect_take_dsn(SieveRun *run, const SieveNode *node, SieveAction *action, GError **error)
{
    return take_tag(run, node, "ret", &action->ret, error) &&
           take_tag(run, node, "notify", &action->notify, error);
}

static const SieveTag redirect_tags[] = {
    {.name = "notify", .traits = SIEVE_IS_REDIRECT, .argument = 's', .check = check_dsn_tag},
    {.name = "ret", .traits = SIEVE_IS_REDIRECT, .argument = 's', .check = check_dsn_tag},
    {0},
};

const SieveExtension sieve_ext_redirect_dsn = {.name = "redirect-dsn", .tags = redirect_tags};

/* ---- envelope-dsn -------------------------------------------------------- */

bool
sieve_envelope_dsn_is_part(SieveText part)
{
    static const char *const parts[] = {"notify", "orcpt", "ret", "envid"};

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (part.len == strlen(parts[i]) &&
            g_ascii_strncasecmp(part.bytes, parts[i], part.len) == 0)
            return true;
    }
    return false;
}

/* Each condition of NOTIFY is a value of its own (RFC 6009 section 4). */
static const SieveText *
split_conditions(SieveArena *arena, const char *notify, size_t *count_out)
{
    g_auto(GStrv) words = g_strsplit_set(notify, ", ", -1);
    SieveText *values = sieve_arena_new0(arena, SieveText, g_strv_length(words) + 1);
    size_t count = 0;

    for (size_t i = 0; words[i] != NULL; i++) {
        if (*words[i] != '\0')
            values[count++] = sieve_arena_text(arena, words[i], strlen(words[i]));
    }
    *count_out = count;
    return values;
}

/* The type in front is always there; the address of a recipient is of no other but these two
 * (RFC 6533 section 3). */
static char *
original_recipient(SieveArena *arena, const char *address)
{
    bool ascii = g_str_is_ascii(address);
    g_autofree char *value = g_strconcat(ascii ? "rfc822;" : "utf-8;", address, NULL);

    return sieve_arena_strdup(arena, value);
}

const SieveText *
sieve_envelope_dsn_values(SieveRun *run, SieveText part, size_t *count_out)
{
    const SieveInput *input = sieve_run_input(run);
    SieveArena *arena = sieve_run_arena(run);
    SieveText *value = sieve_arena_new0(arena, SieveText, 1);
    const char *text = NULL;

    *count_out = 0;
    switch (g_ascii_tolower(part.bytes[0])) {
    case 'n':
        return input->notify == NULL ? value : split_conditions(arena, input->notify, count_out);
    case 'o':
        if (input->original_recipient != NULL)
            text = original_recipient(arena, input->original_recipient);
        break;
    case 'r':
        text = input->ret;
        break;
    default:
        text = input->envid;
    }
    if (text != NULL) {
        *value = sieve_text(text);
        *count_out = 1;
    }
    return value;
}

const SieveExtension sieve_ext_envelope_dsn = {.name = "envelope-dsn"};
