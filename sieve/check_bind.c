/* sieve/check_bind.c - the arguments of a command, bound to its definition; see check_private.h
 *
 * RFC 5228 section 2.6: tags come first, in any order and each once; then the positional
 * arguments, all of them and in order. What tags and positions there are, the tables of the
 * extensions say.
 */
#include "sieve/check_private.h"
#include "sieve/complaints.h"
#include "sieve/match.h"
#include "sieve/modules.h"

static const SieveMatcher default_matcher_ascii = {
    .type = SIEVE_MATCH_IS,
    .comparator = &sieve_comparator_ascii_casemap,
};

/* ---- tags ---------------------------------------------------------------- */

static bool
tag_applies(const SieveTag *tag, const SieveCommand *command)
{
    if ((tag->traits & command->traits) != 0)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(tag->commands) && tag->commands[i] != NULL; i++)
        if (strcmp(tag->commands[i], command->name) == 0)
            return true;
    return false;
}

/* The definition of a tag for command: of an extension that is required, or else of one that is
 * not. NULL: it takes no such tag. */
static const SieveName *
find_tag(const SieveCheck *check, const SieveCommand *command, SieveText name)
{
    size_t count;
    const SieveName *rows = sieve_tag_names(name, &count);
    const SieveName *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!tag_applies(rows[i].tag, command) ||
            !sieve_check_is_offered(check, sieve_extensions[rows[i].extension]))
            continue;
        if (check->required[rows[i].extension])
            return &rows[i];
        if (found == NULL)
            found = &rows[i];
    }
    return found;
}

static void
complain_unknown_tag(SieveCheck *check, const SieveNode *node, const SieveArgument *argument)
{
    SieveNearest nearest = sieve_nearest_begin(sieve_text(argument->tag));
    size_t count, same;
    const SieveName *rows = sieve_all_tag_names(&count), *unoffered;

    if (check->is_outdated)
        return; /* a tag of an old extension: its refusal says what to do */
    unoffered = sieve_tag_names(sieve_text(argument->tag), &same);
    for (size_t i = 0; i < same; i++)
        if (tag_applies(unoffered[i].tag, node->command)) {
            sieve_check_needs(check, unoffered[i].extension, argument->line, argument->column, ":",
                              unoffered[i].name);
            return;
        }
    for (size_t i = 0; i < count; i++)
        if (tag_applies(rows[i].tag, node->command))
            sieve_nearest_try(&nearest, rows[i].name);
    if (nearest.name != NULL)
        sieve_check_error(check, argument->line, argument->column,
                          "\"%s\" does not take \":%.40s\": is \":%s\" meant?", node->command->name,
                          argument->tag, nearest.name);
    else if (same == 0 && check->unknown != NULL)
        sieve_check_error(check, argument->line, argument->column,
                          "unknown tag \":%.40s\": perhaps it belongs to \"%s\", which is not "
                          "known here",
                          argument->tag, check->unknown);
    else
        sieve_check_error(check, argument->line, argument->column,
                          "\"%s\" does not take \":%.40s\"", node->command->name, argument->tag);
}

static const char *
kind_name(char type)
{
    switch (type) {
    case 'n':
        return "a number";
    case 's':
        return "a string";
    default:
        return "a string or a list of strings";
    }
}

static bool
is_of_type(const SieveArgument *argument, char type)
{
    if (type == 'n')
        return argument->kind == SIEVE_NUMBER;
    return argument->kind == SIEVE_STRINGS && (type == 'S' || !argument->is_list);
}

/* A tag of the same name, or of the same group, before this one. */
static bool
check_repeated(SieveCheck *check, const SieveNode *node, const SieveTag *tag,
               const SieveArgument *argument)
{
    for (size_t i = 0; i < node->tag_count; i++) {
        const SieveTag *other = node->tags[i].tag;

        if (other == tag)
            sieve_check_error(check, argument->line, argument->column, "\":%s\" is given twice",
                              tag->name);
        else if (tag->group != SIEVE_GROUP_NONE && other->group == tag->group)
            sieve_check_error(check, argument->line, argument->column,
                              "only one of \":%s\" and \":%s\" can be given", other->name,
                              tag->name);
        else
            continue;
        return false;
    }
    return true;
}

/* Binds the tag at *index_inout, which is set to its argument if it takes one. */
static bool
bind_tag(SieveCheck *check, SieveNode *node, size_t *index_inout)
{
    const SieveWritten *written = node->written;
    const SieveArgument *argument = &written->arguments[*index_inout];
    const SieveArgument *value = *index_inout + 1 < written->argument_count ? argument + 1 : NULL;
    const SieveName *row = find_tag(check, node->command, sieve_text(argument->tag));
    bool is_good;

    if (row == NULL) {
        complain_unknown_tag(check, node, argument);
        return false;
    }

    const SieveTag *tag = row->tag;

    sieve_check_needs(check, row->extension, argument->line, argument->column, ":", tag->name);
    is_good = check_repeated(check, node, tag, argument);
    if (tag->argument == 0) {
        value = NULL;
    } else if (value == NULL || !is_of_type(value, tag->argument)) {
        sieve_check_error(check, argument->line, argument->column, "\":%s\" must be followed by %s",
                          tag->name, kind_name(tag->argument));
        is_good = false;
        if (value != NULL && value->kind != SIEVE_TAG)
            ++*index_inout; /* it was meant to be the value */
    } else {
        ++*index_inout;
    }
    if (is_good)
        node->tags[node->tag_count++] =
            (SieveBoundTag){.tag = tag,
                            .value = value == NULL ? NULL : sieve_check_keep(check, value),
                            .line = argument->line,
                            .column = argument->column};
    return is_good;
}

/* ---- positional arguments ------------------------------------------------ */

typedef struct {
    char type;
    bool is_optional;
} Slot;

static size_t
read_signature(const char *signature, Slot slots[SIEVE_MAX_POSITIONAL], size_t *required_out)
{
    size_t count = 0;

    *required_out = 0;
    for (const char *p = signature; *p != '\0'; p++) {
        bool is_optional = *p == '?';

        p += is_optional;
        g_assert(count < SIEVE_MAX_POSITIONAL);
        slots[count++] = (Slot){.type = *p, .is_optional = is_optional};
        *required_out += !is_optional;
    }
    return count;
}

/* "a string, then a list of strings" */
static char *
describe_slots(const Slot *slots, size_t count)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            g_string_append(text, ", then ");
        g_string_append(text, kind_name(slots[i].type));
        if (slots[i].is_optional)
            g_string_append(text, " (or nothing)");
    }
    return g_string_free(text, FALSE);
}

/* Too few or too many arguments. */
static void
complain_count(SieveCheck *check, const SieveNode *node, const Slot *slots, size_t slot_count,
               const SieveArgument *extra)
{
    g_autofree char *wanted = describe_slots(slots, slot_count);

    if (extra == NULL)
        sieve_check_error(check, node->line, node->column,
                          "an argument is missing: \"%s\" takes %s", node->command->name, wanted);
    else
        sieve_check_error(check, extra->line, extra->column,
                          "one argument too many: \"%s\" takes %s", node->command->name,
                          slot_count == 0 ? "none" : wanted);
}

static bool
bind_positional(SieveCheck *check, SieveNode *node, const SieveArgument **given, size_t count)
{
    Slot slots[SIEVE_MAX_POSITIONAL] = {{0}};
    size_t required;
    size_t slot_count = read_signature(node->command->signature, slots, &required);
    size_t spare = count > required ? count - required : 0;
    size_t next = 0;
    bool is_good = true;

    if (count < required || count > slot_count) {
        complain_count(check, node, slots, slot_count,
                       count > slot_count ? given[slot_count] : NULL);
        return false;
    }
    if (count > 0)
        node->values = sieve_arena_new0(check->arena, const SieveArgument *, slot_count);
    for (size_t i = 0; i < slot_count; i++) {
        if (slots[i].is_optional && spare == 0)
            continue;
        spare -= slots[i].is_optional;
        g_assert(given[next] != NULL);
        node->values[i] = sieve_check_keep(check, given[next++]);
        if (is_of_type(node->values[i], slots[i].type))
            continue;
        sieve_check_error(check, node->values[i]->line, node->values[i]->column,
                          "\"%s\" takes %s here, and this is %s", node->command->name,
                          slots[i].type == 'n' ? "a number" : kind_name(slots[i].type),
                          node->values[i]->kind == SIEVE_NUMBER ? "a number"
                          : node->values[i]->is_list            ? "a list of strings"
                                                                : "a string");
        is_good = false;
    }
    return is_good;
}

/* ---- match type and comparator ------------------------------------------- */

static const SieveBoundTag *
find_group(const SieveNode *node, SieveTagGroup group)
{
    for (size_t i = 0; i < node->tag_count; i++)
        if (node->tags[i].tag->group == group)
            return &node->tags[i];
    return NULL;
}

static bool
find_comparator(SieveCheck *check, const SieveBoundTag *bound, const SieveComparator **found_out)
{
    const SieveString *name = &bound->value->strings[0];
    const SieveComparator *comparator;

    if (!sieve_check_constant(check, bound->value, "the name of a comparator"))
        return false;
    comparator = sieve_comparator_find(name->text);
    if (comparator == NULL) {
        sieve_check_error(check, name->line, name->column,
                          "unknown comparator \"%.60s\": there are \"i;octet\", "
                          "\"i;ascii-casemap\", \"i;ascii-numeric\" and \"i;unicode-casemap\"",
                          name->text.bytes);
        return false;
    }
    if (comparator->needs_require) {
        g_autofree char *extension = g_strconcat("comparator-", comparator->name, NULL);

        for (unsigned i = 0; sieve_extensions[i] != NULL; i++)
            if (g_strcmp0(sieve_extensions[i]->name, extension) == 0)
                sieve_check_needs(check, i, name->line, name->column, "", comparator->name);
    }
    *found_out = comparator;
    return true;
}

static bool
make_matcher(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *type = find_group(node, SIEVE_GROUP_MATCH_TYPE);
    const SieveBoundTag *comparator = find_group(node, SIEVE_GROUP_COMPARATOR);

    if (type == NULL && comparator == NULL) {
        node->matcher = &default_matcher_ascii;
        return true;
    }

    SieveMatcher *matcher = sieve_arena_new0(check->arena, SieveMatcher, 1);

    *matcher = default_matcher_ascii;
    node->matcher = matcher;
    if (type != NULL)
        matcher->type = (SieveMatchType)type->tag->value;
    if (type != NULL &&
        (matcher->type == SIEVE_MATCH_VALUE || matcher->type == SIEVE_MATCH_COUNT) &&
        !sieve_relation_parse(type->value->strings[0].text, &matcher->relation))
        return true; /* the check of the tag complains */
    if (comparator != NULL && !find_comparator(check, comparator, &matcher->comparator))
        return false;
    if (type != NULL && comparator != NULL && !matcher->comparator->has_substrings &&
        (matcher->type == SIEVE_MATCH_CONTAINS || matcher->type == SIEVE_MATCH_MATCHES ||
         matcher->type == SIEVE_MATCH_REGEX)) {
        sieve_check_error(check, comparator->line, comparator->column,
                          "the comparator \"%s\" knows no parts of a string: it cannot be used "
                          "with \":%s\"",
                          matcher->comparator->name, type->tag->name);
        return false;
    }
    return true;
}

/* Makes the constant keys ready; a wrong regular expression is found here. */
static bool
make_patterns(SieveCheck *check, SieveNode *node, const SieveArgument *keys)
{
    bool is_good = true, are_constant = true;

    if (node->matcher->type == SIEVE_MATCH_COUNT || node->matcher->type == SIEVE_MATCH_LIST)
        return true;

    SievePattern **patterns = sieve_arena_new0(check->arena, SievePattern *, keys->string_count);

    for (size_t i = 0; i < keys->string_count; i++) {
        const SieveString *key = &keys->strings[i];
        g_autoptr(GError) error = NULL;

        are_constant = are_constant && key->pieces == NULL;
        if (key->pieces != NULL)
            continue;

        SieveText text = (node->command->traits & SIEVE_MATCHES_LINES) != 0
                             ? sieve_arena_lf(check->arena, key->text)
                             : key->text;

        patterns[i] = sieve_pattern_new(check->arena, node->matcher, text, &error);
        if (patterns[i] == NULL) {
            sieve_check_error(check, key->line, key->column, "%s", error->message);
            is_good = false;
        }
    }
    /* Keys that were folded without the module they need are made again by the run. */
    if (are_constant && is_good && sieve_modules_check(NULL))
        node->patterns = patterns;
    return is_good;
}

static bool
bind_matching(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *keys = NULL;

    for (size_t i = 0; i < sieve_slot_count(node->command); i++)
        if (node->values[i] != NULL)
            keys = node->values[i];
    if (!make_matcher(check, node))
        return false;
    return keys == NULL || keys->kind != SIEVE_STRINGS || make_patterns(check, node, keys);
}

/* ---- all of them --------------------------------------------------------- */

static void
prepare_strings(SieveCheck *check, const SieveWritten *written)
{
    for (size_t i = 0; i < written->argument_count; i++)
        for (size_t j = 0; j < written->arguments[i].string_count; j++)
            sieve_check_string(check, &written->arguments[i].strings[j]);
}

bool
sieve_check_bind(SieveCheck *check, SieveNode *node)
{
    const SieveArgument *given[SIEVE_MAX_POSITIONAL + 1] = {NULL};
    const SieveWritten *written = node->written;
    size_t count = 0, tag_count = 0;
    bool is_good = true, is_order_told = false;

    prepare_strings(check, written);
    for (size_t i = 0; i < written->argument_count; i++)
        tag_count += written->arguments[i].kind == SIEVE_TAG;
    if (tag_count > 0)
        node->tags = sieve_arena_new0(check->arena, SieveBoundTag, tag_count);
    for (size_t i = 0; i < written->argument_count; i++) {
        const SieveArgument *argument = &written->arguments[i];

        if (argument->kind != SIEVE_TAG) {
            if (count < G_N_ELEMENTS(given))
                given[count++] = argument;
            continue;
        }
        if (count > 0 && !is_order_told && !check->is_outdated &&
            find_tag(check, node->command, sieve_text(argument->tag)) != NULL) {
            sieve_check_error(check, argument->line, argument->column,
                              "\":%.40s\" must stand before the other arguments of \"%s\"",
                              argument->tag, node->command->name);
            is_order_told = true;
            is_good = false;
        }
        if (!bind_tag(check, node, &i))
            is_good = false;
    }
    if (!is_good || written->is_broken)
        return false; /* what is missing behind a mistake is a consequence of it */
    if (!bind_positional(check, node, given, count))
        return false;
    return (node->command->traits & SIEVE_TAKES_MATCH) == 0 || bind_matching(check, node);
}
