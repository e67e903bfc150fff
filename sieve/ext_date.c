/* sieve/ext_date.c - "date": the tests date and currentdate (RFC 5260)
 *
 * The date of a field, or of this delivery, shifted to the wanted zone; then one part of it
 * is matched. All currentdate tests of a run see one time: the host's now_us.
 */
#include "sieve/date.h"
#include "sieve/extensions.h"
#include "sieve/index.h"

/* ---- compile time ----------------------------------------------------------------- */

static const SieveString *
constant(const SieveArgument *argument)
{
    return argument->strings[0].pieces == NULL ? &argument->strings[0] : NULL;
}

static void
check_part(SieveCheck *check, const SieveArgument *argument)
{
    const SieveString *name = constant(argument);
    SieveDatePart part;

    if (name != NULL && !sieve_date_part_find(name->text, &part))
        sieve_check_error(check, name->line, name->column, "'%s' is no part of a date",
                          name->text.bytes);
}

static void
check_date(SieveCheck *check, SieveNode *node)
{
    check_part(check, node->values[1]);
    sieve_index_check(check, node);
}

static void
check_currentdate(SieveCheck *check, SieveNode *node)
{
    check_part(check, node->values[0]);
}

static void
check_zone(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    const SieveString *text = constant(bound->value);
    int zone;

    (void)node;
    if (text != NULL && !sieve_date_parse_zone(text->text, &zone))
        sieve_check_error(check, text->line, text->column,
                          "'%s' is no time zone: it is written \"+hhmm\" or \"-hhmm\"",
                          text->text.bytes);
}

/* ---- run time ----------------------------------------------------------------------- */

static bool
shift(SieveRun *run, const SieveNode *node, SieveDate *date, GError **error)
{
    SieveText zone;

    if (sieve_node_tag(node, "originalzone") != NULL)
        return true;
    if (!sieve_run_tag_text(run, node, "zone", &zone))
        date->zone = sieve_date_local_zone(date->utc);
    else if (!sieve_date_parse_zone(zone, &date->zone))
        return sieve_run_fail(run, error, "'%s' is no time zone", zone.bytes);
    return true;
}

/* date NULL: there is none. */
static bool
match_part(SieveRun *run, const SieveNode *node, SieveDate *date, SieveText part_name,
           const SieveArgument *keys, bool *result_out, GError **error)
{
    SieveMatching matching;
    SieveDatePart part;

    if (!sieve_date_part_find(part_name, &part))
        return sieve_run_fail(run, error, "'%s' is no part of a date", part_name.bytes);
    if (!sieve_matching_begin(run, node, keys, &matching, error))
        return false;
    if (date != NULL) {
        if (!shift(run, node, date, error) ||
            !sieve_matching_value(&matching, sieve_date_part(sieve_run_arena(run), date, part),
                                  error))
            return false;
    }
    return sieve_matching_end(&matching, result_out, error);
}

static bool
test_date(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    SieveText name = sieve_run_first(run, node->values[0]);
    SieveText part = sieve_run_first(run, node->values[1]);
    SieveIndex index;
    SieveDate date;

    sieve_index_begin(&index, node, message, &name, 1);

    bool has_date =
        index.next != NULL && sieve_date_parse(sieve_field_value(message, index.next), &date);

    return match_part(run, node, has_date ? &date : NULL, part, node->values[2], result_out, error);
}

static bool
test_currentdate(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveDate date = {.utc = sieve_run_host(run)->now_us / G_USEC_PER_SEC};
    SieveText part = sieve_run_first(run, node->values[0]);

    return match_part(run, node, &date, part, node->values[1], result_out, error);
}

static const SieveCommand commands[] = {
    {
        .name = "date",
        .traits = SIEVE_TEST | SIEVE_TAKES_MATCH | SIEVE_TAKES_INDEX,
        .signature = "ssS",
        .check = check_date,
        .test = test_date,
    },
    {
        .name = "currentdate",
        .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
        .signature = "sS",
        .check = check_currentdate,
        .test = test_currentdate,
    },
    {.name = NULL},
};

static const SieveTag tags[] = {
    {
        .name = "zone",
        .commands = {"date", "currentdate"},
        .group = SIEVE_GROUP_1,
        .argument = 's',
        .check = check_zone,
    },
    {.name = "originalzone", .commands = {"date"}, .group = SIEVE_GROUP_1},
    {.name = NULL},
};

const SieveExtension sieve_ext_date = {.name = "date", .commands = commands, .tags = tags};
