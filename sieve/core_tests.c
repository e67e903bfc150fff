/* sieve/core_tests.c - the tests of RFC 5228 section 5, and "envelope"
 *
 * address, envelope, exists, header and size; allof, anyof and not are eval.c's. The match
 * types, comparators and address parts of section 2.7 are tags here; extensions add theirs.
 */
#include "sieve/dsn.h"
#include "sieve/extensions.h"
#include "sieve/index.h"
#include "sieve/limits.h"

/* ---- names of header fields --------------------------------------------------- */

/* RFC 5322 section 2.2: printable ASCII but the colon. */
static bool
is_field_name(SieveText name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.bytes[i] <= ' ' || name.bytes[i] > '~' || name.bytes[i] == ':')
            return false;
    }
    return name.len > 0;
}

/* RFC 5228 section 2.4.2.2: a test must not fail for a name that no header can have. */
static void
check_field_names(SieveCheck *check, const SieveArgument *argument)
{
    for (size_t i = 0; i < argument->string_count; i++) {
        const SieveString *name = &argument->strings[i];

        if (name->pieces == NULL && !is_field_name(name->text))
            sieve_check_warning(check, name->line, name->column,
                                "'%s' is no name of a header field: it is written without colon "
                                "and blanks, like \"subject\"",
                                name->text.bytes);
    }
}

static void
check_header(SieveCheck *check, SieveNode *node)
{
    check_field_names(check, node->values[0]);
    sieve_index_check(check, node);
}

static void
check_exists(SieveCheck *check, SieveNode *node)
{
    check_field_names(check, node->values[0]);
}

/* ---- header ------------------------------------------------------------------- */

static bool
match_field(SieveRun *run, const SieveNode *node, SieveMessage *message, SieveField *field,
            SieveMatching *matching, GError **error)
{
    size_t count;
    const SieveText *values = sieve_run_field_values(run, node, message, field, &count);

    for (size_t i = 0; i < count && !matching->matched; i++) {
        if (!sieve_matching_value(matching, values[i], error))
            return false;
    }
    return sieve_arena_room(sieve_run_arena(run), 0, error);
}

typedef bool (*FieldMatch)(SieveRun *run, const SieveNode *node, SieveMessage *message,
                           SieveField *field, SieveMatching *matching, GError **error);

/* Looking for names among fields is quick, but both can be many. */
static bool
step_over_fields(SieveRun *run, SieveMessage *header, size_t name_count, GError **error)
{
    size_t field_count;

    (void)sieve_message_fields(header, &field_count);
    return sieve_run_step(run, 1 + name_count * (field_count / 16), error);
}

static bool
match_fields(SieveRun *run, const SieveNode *node, FieldMatch match, bool *result_out,
             GError **error)
{
    SieveMessage *const *headers;
    SieveMatching matching;
    size_t header_count, name_count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &name_count);

    if (!sieve_matching_begin(run, node, node->values[1], &matching, error) ||
        !sieve_run_headers(run, node, &headers, &header_count, error))
        return false;
    for (size_t i = 0; i < header_count && !matching.matched; i++) {
        SieveIndex index;

        if (!step_over_fields(run, headers[i], name_count, error))
            return false;
        sieve_index_begin(&index, node, headers[i], names, name_count);
        for (; index.next != NULL && !matching.matched; sieve_index_next(&index)) {
            if (!match(run, node, headers[i], index.next, &matching, error))
                return false;
        }
    }
    return sieve_matching_end(&matching, result_out, error);
}

static bool
test_header(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    return match_fields(run, node, match_field, result_out, error);
}

/* ---- address and envelope ----------------------------------------------------- */

bool
sieve_run_address_part(SieveRun *run, const SieveNode *node, const SieveAddress *address,
                       SieveText *part_out)
{
    SieveText user;

    *part_out = address->all;
    for (size_t i = 0; i < node->tag_count; i++) {
        const char *part = node->tags[i].tag->name;

        if (node->tags[i].tag->group != SIEVE_GROUP_ADDRESS_PART || strcmp(part, "all") == 0)
            continue;
        if (!address->is_valid && address->all.len > 0)
            return false; /* RFC 5228 section 5.1: only :all may see what is no address */
        if (strcmp(part, "localpart") == 0)
            *part_out = address->local_part;
        else if (strcmp(part, "domain") == 0)
            *part_out = address->domain;
        else if (strcmp(part, "user") == 0)
            (void)sieve_address_detail(sieve_run_arena(run), address->local_part,
                                       sieve_run_settings(run)->recipient_delimiter, part_out,
                                       &user);
        else if (!sieve_address_detail(sieve_run_arena(run), address->local_part,
                                       sieve_run_settings(run)->recipient_delimiter, &user,
                                       part_out))
            return false;
    }
    return true;
}

static bool
match_addresses(SieveRun *run, const SieveNode *node, SieveMessage *message, SieveField *field,
                SieveMatching *matching, GError **error)
{
    size_t count;
    const SieveAddress *addresses = sieve_field_addresses(message, field, &count);

    for (size_t i = 0; i < count && !matching->matched; i++) {
        SieveText part;

        if (node->matcher->type == SIEVE_MATCH_COUNT && !addresses[i].is_valid)
            continue;
        if (sieve_run_address_part(run, node, &addresses[i], &part) &&
            !sieve_matching_value(matching, part, error))
            return false;
    }
    return sieve_arena_room(sieve_run_arena(run), 0, error);
}

/* RFC 5228 section 5.1: the test is restricted to headers that contain addresses. Which of the
 * headers nobody has registered do so is not known; of these it is known that they do not. */
static bool
has_no_addresses(SieveText name)
{
    static const char *const fields[] = {
        "subject",
        "comments",
        "keywords",
        "date",
        "resent-date",
        "message-id",
        "references",
        "in-reply-to",
        "resent-message-id",
        "received",
        "mime-version",
        "content-type",
        "content-disposition",
        "content-transfer-encoding",
        "content-id",
        "content-description",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (g_ascii_strcasecmp(name.bytes, fields[i]) == 0)
            return true;
    }
    return false;
}

static void
check_address(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *names = node->values[0];

    check_header(check, node);
    for (size_t i = 0; i < names->string_count; i++) {
        const SieveString *name = &names->strings[i];

        if (name->pieces == NULL && has_no_addresses(name->text))
            sieve_check_error(check, name->line, name->column,
                              "a field '%s' has no addresses: use the test \"header\"",
                              name->text.bytes);
    }
}

static bool
test_address(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    return match_fields(run, node, match_addresses, result_out, error);
}

static const SieveBoundTag *
address_part_tag(const SieveNode *node)
{
    for (size_t i = 0; i < node->tag_count; i++) {
        if (node->tags[i].tag->group == SIEVE_GROUP_ADDRESS_PART)
            return &node->tags[i];
    }
    return NULL;
}

/* RFC 5228 section 5.4, RFC 6009 sections 3 and 4. */
static void
check_envelope(SieveCheck *check, SieveNode *node)
{
    for (size_t i = 0; i < node->values[0]->string_count; i++) {
        const SieveString *part = &node->values[0]->strings[i];

        if (part->pieces != NULL || g_ascii_strcasecmp(part->text.bytes, "from") == 0 ||
            g_ascii_strcasecmp(part->text.bytes, "to") == 0)
            continue;
        if (!sieve_envelope_dsn_is_part(part->text))
            sieve_check_error(check, part->line, part->column,
                              "the envelope has no part '%s', only \"from\" and \"to\"",
                              part->text.bytes);
        else if (!sieve_check_is_required(check, "envelope-dsn"))
            sieve_check_error(check, part->line, part->column,
                              "the part '%s' of the envelope needs require \"envelope-dsn\"",
                              part->text.bytes);
        else if (address_part_tag(node) != NULL)
            sieve_check_error(check, part->line, part->column,
                              "the part '%s' of the envelope is no address: it takes no :%s",
                              part->text.bytes, address_part_tag(node)->tag->name);
    }
}

/* from and to: the null path is "" for every address part. */
static bool
match_path(SieveRun *run, const SieveNode *node, const char *path, SieveMatching *matching,
           GError **error)
{
    SieveAddress address = {0};
    SieveText part;

    if (!sieve_path_parse(sieve_run_arena(run), sieve_text(path), &address))
        address = (SieveAddress){.all = sieve_text(path),
                                 .local_part = sieve_text(path),
                                 .domain = sieve_text(""),
                                 .name = sieve_text(""),
                                 .is_valid = true};
    /* RFC 5231 section 4.2: of the null path there is no address to count. */
    if (address.all.len == 0 && node->matcher->type == SIEVE_MATCH_COUNT)
        return true;
    return !sieve_run_address_part(run, node, &address, &part) ||
           sieve_matching_value(matching, part, error);
}

static bool
match_envelope_part(SieveRun *run, const SieveNode *node, SieveText name, SieveMatching *matching,
                    GError **error)
{
    const SieveInput *input = sieve_run_input(run);

    if (g_ascii_strcasecmp(name.bytes, "from") == 0)
        return match_path(run, node, input->sender, matching, error);
    if (g_ascii_strcasecmp(name.bytes, "to") == 0)
        return match_path(run, node, input->recipient, matching, error);

    size_t count;
    const SieveText *values = sieve_envelope_dsn_values(run, name, &count);

    for (size_t i = 0; i < count && !matching->matched; i++) {
        if (!sieve_matching_value(matching, values[i], error))
            return false;
    }
    return true;
}

static bool
test_envelope(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMatching matching;
    size_t count;
    const SieveText *parts = sieve_run_strings(run, node->values[0], &count);

    if (!sieve_matching_begin(run, node, node->values[1], &matching, error))
        return false;
    for (size_t i = 0; i < count && !matching.matched; i++) {
        if (!match_envelope_part(run, node, parts[i], &matching, error))
            return false;
    }
    return sieve_matching_end(&matching, result_out, error);
}

/* ---- exists, size, true, false ------------------------------------------------ */

/* True when every one of the fields is there. */
static bool
test_exists(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    SieveMessage *const *headers;
    size_t header_count, name_count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &name_count);

    if (!sieve_run_headers(run, node, &headers, &header_count, error))
        return false;
    for (size_t i = 0; i < header_count; i++) {
        if (!step_over_fields(run, headers[i], name_count, error))
            return false;
    }
    *result_out = true;
    for (size_t i = 0; i < name_count && *result_out; i++) {
        bool found = false;

        for (size_t k = 0; k < header_count && !found; k++) {
            size_t position = 0;

            found = sieve_message_next_field(headers[k], names[i], &position) != NULL;
        }
        *result_out = found;
    }
    return true;
}

static void
check_size(SieveCheck *check, SieveNode *node)
{
    if (sieve_node_tag(node, "over") == NULL && sieve_node_tag(node, "under") == NULL)
        sieve_check_error(check, node->line, node->column,
                          "size needs :over or :under, as in: size :over 100K");
}

static bool
test_size(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    guint64 size = sieve_run_input(run)->virtual_size;
    guint64 limit = node->values[0]->number;

    (void)error;
    *result_out = sieve_node_tag(node, "over") != NULL ? size > limit : size < limit;
    return true;
}

static bool
test_true(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    (void)run;
    (void)error;
    *result_out = strcmp(node->command->name, "true") == 0;
    return true;
}

/* ---- tables ------------------------------------------------------------------- */

static const SieveCommand tests[] = {
    {.name = "address",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH | SIEVE_TAKES_ADDRESS_PART | SIEVE_TAKES_INDEX |
               SIEVE_TAKES_MIME,
     .signature = "SS",
     .check = check_address,
     .test = test_address},
    {.name = "header",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH | SIEVE_TAKES_INDEX | SIEVE_TAKES_MIME,
     .signature = "SS",
     .check = check_header,
     .test = test_header},
    {.name = "exists",
     .traits = SIEVE_TEST | SIEVE_TAKES_MIME,
     .signature = "S",
     .check = check_exists,
     .test = test_exists},
    {.name = "size",
     .traits = SIEVE_TEST,
     .signature = "n",
     .check = check_size,
     .test = test_size},
    {.name = "true", .traits = SIEVE_TEST, .signature = "", .test = test_true},
    {.name = "false", .traits = SIEVE_TEST, .signature = "", .test = test_true},
    {.name = "not", .traits = SIEVE_TEST | SIEVE_IS_CONTROL | SIEVE_TAKES_TEST, .signature = ""},
    {.name = "allof", .traits = SIEVE_TEST | SIEVE_IS_CONTROL | SIEVE_TAKES_TESTS, .signature = ""},
    {.name = "anyof", .traits = SIEVE_TEST | SIEVE_IS_CONTROL | SIEVE_TAKES_TESTS, .signature = ""},
    {0},
};

static const SieveTag tags[] = {
    {.name = "is",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_MATCH_TYPE,
     .value = SIEVE_MATCH_IS},
    {.name = "contains",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_MATCH_TYPE,
     .value = SIEVE_MATCH_CONTAINS},
    {.name = "matches",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_MATCH_TYPE,
     .value = SIEVE_MATCH_MATCHES},
    {.name = "comparator",
     .traits = SIEVE_TAKES_MATCH,
     .group = SIEVE_GROUP_COMPARATOR,
     .argument = 's'},
    {.name = "all", .traits = SIEVE_TAKES_ADDRESS_PART, .group = SIEVE_GROUP_ADDRESS_PART},
    {.name = "localpart", .traits = SIEVE_TAKES_ADDRESS_PART, .group = SIEVE_GROUP_ADDRESS_PART},
    {.name = "domain", .traits = SIEVE_TAKES_ADDRESS_PART, .group = SIEVE_GROUP_ADDRESS_PART},
    {.name = "over", .commands = {"size"}, .group = SIEVE_GROUP_1},
    {.name = "under", .commands = {"size"}, .group = SIEVE_GROUP_1},
    {0},
};

const SieveExtension sieve_ext_core_tests = {.commands = tests, .tags = tags};

static const SieveCommand envelope_tests[] = {
    {.name = "envelope",
     .traits = SIEVE_TEST | SIEVE_TAKES_MATCH | SIEVE_TAKES_ADDRESS_PART,
     .signature = "SS",
     .check = check_envelope,
     .test = test_envelope},
    {0},
};

const SieveExtension sieve_ext_envelope = {.name = "envelope", .commands = envelope_tests};
