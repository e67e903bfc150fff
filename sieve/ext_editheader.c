/* sieve/ext_editheader.c - "editheader": addheader and deleteheader (RFC 5293)
 *
 * What may not be changed is left as it is, silently (section 6): the names in the settings,
 * and deletions of Received and Auto-Submitted, which loops and answering machines need, and
 * of what "replace" keeps (RFC 5703 section 5).
 * Subject may always be changed, whatever the settings say.
 */
#include "sieve/extensions.h"
#include "sieve/index.h"
#include "sieve/limits.h"

/* RFC 5293 section 4: "such a limit MUST NOT be less than 998". */
enum { LEAST_MAX_SIZE = 1024 };

/* ---- names --------------------------------------------------------------------------- */

/* RFC 5322 section 3.6.8. */
static bool
is_field_name(SieveText name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.bytes[i] <= ' ' || name.bytes[i] >= 0x7f || name.bytes[i] == ':')
            return false;
    return name.len > 0;
}

static bool
is_name(SieveText name, const char *other, size_t len)
{
    return name.len == len && g_ascii_strncasecmp(name.bytes, other, len) == 0;
}

/* names: separated by blanks. */
static bool
is_listed(SieveText name, const char *names)
{
    for (;;) {
        names += strspn(names, " \t");

        size_t len = strcspn(names, " \t");

        if (len == 0)
            return false;
        if (is_name(name, names, len))
            return true;
        names += len;
    }
}

static bool
may_add(const SieveSettings *settings, SieveText name)
{
    return is_listed(name, "Subject") || (!is_listed(name, settings->editheader_protected) &&
                                          !is_listed(name, settings->editheader_forbid_add));
}

static bool
may_delete(const SieveSettings *settings, SieveText name)
{
    return is_listed(name, "Subject") ||
           (!is_listed(name, "Received Auto-Submitted Original-Subject Original-From") &&
            !is_listed(name, settings->editheader_protected) &&
            !is_listed(name, settings->editheader_forbid_delete));
}

static guint64
max_size(const SieveSettings *settings)
{
    return MAX(settings->editheader_max_size, (guint64)LEAST_MAX_SIZE);
}

/* ---- compile time --------------------------------------------------------------------- */

static void
check_name(SieveCheck *check, const SieveNode *node)
{
    const SieveString *name = &node->values[0]->strings[0];

    if (name->pieces == NULL && !is_field_name(name->text))
        sieve_check_error(check, name->line, name->column, "'%s' is no name of a header field",
                          name->text.bytes);
}

static void
check_addheader(SieveCheck *check, SieveNode *node)
{
    const SieveString *value = &node->values[1]->strings[0];

    check_name(check, node);
    if (value->pieces == NULL && value->text.len > max_size(sieve_check_settings(check)))
        sieve_check_error(check, value->line, value->column,
                          "the value of the field is longer than %" G_GUINT64_FORMAT " octets",
                          max_size(sieve_check_settings(check)));
}

static void
check_deleteheader(SieveCheck *check, SieveNode *node)
{
    check_name(check, node);
    sieve_index_check(check, node);
}

/* ---- run time ----------------------------------------------------------------------------- */

static bool
run_addheader(SieveRun *run, const SieveNode *node, GError **error)
{
    const SieveSettings *settings = sieve_run_settings(run);
    SieveText name = sieve_run_first(run, node->values[0]);
    SieveText value = sieve_run_first(run, node->values[1]);

    if (!is_field_name(name))
        return sieve_run_fail(run, error, "'%s' is no name of a header field", name.bytes);
    if (value.len > max_size(settings))
        return sieve_run_fail(
            run, error, "the value of the field '%s' is longer than %" G_GUINT64_FORMAT " octets",
            name.bytes, max_size(settings));
    if (!may_add(settings, name)) {
        if (sieve_run_is_tracing(run))
            sieve_run_trace(run, node, "addheader \"%s\": not allowed, ignored", name.bytes);
        return true;
    }
    if (!sieve_message_count_edit(sieve_run_message(run), error))
        return false;
    sieve_message_add_field(sieve_run_message(run), name, value,
                            sieve_node_tag(node, "last") != NULL);
    if (sieve_run_is_tracing(run))
        sieve_run_trace(run, node, "addheader \"%s\" \"%s\"", name.bytes, value.bytes);
    return true;
}

static bool
has_value(SieveRun *run, const SieveNode *node, SieveMessage *message, SieveField *field,
          bool *result_out, GError **error)
{
    SieveMatching matching;

    *result_out = true;
    if (node->values[1] == NULL)
        return true;
    return sieve_matching_begin(run, node, node->values[1], &matching, error) &&
           sieve_matching_value(&matching, sieve_field_value(message, field), error) &&
           sieve_matching_end(&matching, result_out, error);
}

static bool
run_deleteheader(SieveRun *run, const SieveNode *node, GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    SieveText name = sieve_run_first(run, node->values[0]);
    g_autoptr(GPtrArray) deleted = g_ptr_array_new();
    SieveIndex index;

    if (!is_field_name(name))
        return sieve_run_fail(run, error, "'%s' is no name of a header field", name.bytes);
    if (!may_delete(sieve_run_settings(run), name)) {
        if (sieve_run_is_tracing(run))
            sieve_run_trace(run, node, "deleteheader \"%s\": not allowed, ignored", name.bytes);
        return true;
    }
    if (!sieve_message_count_edit(message, error))
        return false;

    sieve_index_begin(&index, node, message, &name, 1);
    for (; index.next != NULL; sieve_index_next(&index)) {
        bool is_wanted;

        if (!sieve_run_step(run, 1, error) ||
            !has_value(run, node, message, index.next, &is_wanted, error))
            return false;
        if (is_wanted)
            g_ptr_array_add(deleted, index.next);
    }
    sieve_message_delete_fields(message, (SieveField *const *)deleted->pdata, deleted->len);
    if (sieve_run_is_tracing(run))
        sieve_run_trace(run, node, "deleteheader \"%s\": %u deleted", name.bytes, deleted->len);
    return true;
}

static const SieveCommand commands[] = {
    {
        .name = "addheader",
        .signature = "ss",
        .check = check_addheader,
        .run = run_addheader,
    },
    {
        .name = "deleteheader",
        .traits = SIEVE_TAKES_MATCH,
        .signature = "s?S",
        .check = check_deleteheader,
        .run = run_deleteheader,
    },
    {.name = NULL},
};

/* Its own: section 5 does not ask for "index" to be required. */
static const SieveTag tags[] = {
    {.name = "index", .commands = {"deleteheader"}, .argument = 'n'},
    {.name = "last", .commands = {"addheader", "deleteheader"}},
    {.name = NULL},
};

const SieveExtension sieve_ext_editheader = {
    .name = "editheader",
    .commands = commands,
    .tags = tags,
};
