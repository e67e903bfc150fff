/* sieve/ext_spamtest.c - "spamtest", "spamtestplus", "virustest" (RFC 5235)
 *
 *   settings: header, type, maximum --> score / maximum = 0..1 --> "0" to "10", "100" or "5"
 *
 * Which header says what is the administrator's business: a field by its name, with a
 * regular expression whose first group is the score where the value holds more than that.
 * The topmost field of that name counts: it was put there last. Whatever cannot be read as
 * a score leaves the message untested, "0", which :count sees as well.
 */
#include "sieve/extensions.h"
#include "sieve/regex.h"

enum { SPAM_SCALE = 10, VIRUS_SCALE = 5, PERCENT = 100 };

/* The settings of one of the two tests. */
typedef struct {
    const char *header;
    int type;
    const char *max_header, *max_value;
    char *const *texts;
    int scale; /* the highest score */
} Source;

static Source
spam_source(const SieveSettings *settings)
{
    return (Source){
        .header = settings->spamtest_header,
        .type = settings->spamtest_type,
        .max_header = settings->spamtest_max_header,
        .max_value = settings->spamtest_max_value,
        .texts = settings->spamtest_text,
        .scale = SPAM_SCALE,
    };
}

static Source
virus_source(const SieveSettings *settings)
{
    return (Source){
        .header = settings->virustest_header,
        .type = settings->virustest_type,
        .max_header = settings->virustest_max_header,
        .max_value = settings->virustest_max_value,
        .texts = settings->virustest_text,
        .scale = VIRUS_SCALE,
    };
}

/* ---- what the message says ------------------------------------------------------------- */

static SieveText
trim(SieveText text)
{
    while (text.len > 0 && g_ascii_isspace(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    while (text.len > 0 && g_ascii_isspace(text.bytes[text.len - 1]))
        text.len--;
    return text;
}

/* The first group of the expression; false with no error: it does not match. */
static bool
extract(SieveRun *run, SieveText expression, SieveText value, SieveText *found_out, GError **error)
{
    SieveArena *arena = sieve_run_arena(run);
    SieveRegex *regex = sieve_regex_new(arena, expression, SIEVE_REGEX_EXACT, error);
    SieveCaptures captures;
    bool matched;

    if (regex == NULL || !sieve_regex_match(regex, value, arena, &captures, &matched, error) ||
        !matched)
        return false;
    *found_out = trim(captures.values[captures.count > 1 ? 1 : 0]);
    return true;
}

/* The value that setting, "NAME" or "NAME: REGEX", finds. False with no error: none. */
static bool
find_value(SieveRun *run, const char *setting, SieveText *value_out, GError **error)
{
    SieveMessage *message = sieve_run_message(run);
    SieveText whole = sieve_text(setting);
    const char *colon = strchr(setting, ':');
    size_t position = 0;

    if (colon != NULL)
        whole.len = (size_t)(colon - setting);

    SieveField *field = sieve_message_next_field(message, trim(whole), &position);

    if (field == NULL)
        return false;
    *value_out = sieve_field_value(message, field);
    if (colon == NULL)
        return true;
    return extract(run, trim(sieve_text(colon + 1)), *value_out, value_out, error);
}

/* ---- scores ---------------------------------------------------------------------------- */

/* "-1.5", "4", "12.30": digits with one dot at most, and a sign. Rubbish may follow a blank or
 * one of "/,;": "5.1 / 10". */
static bool
parse_number(SieveText text, double *number_out)
{
    g_autofree char *copy = g_strndup(text.bytes, text.len);
    char *end;
    size_t len = strspn(copy, "+-0123456789.");

    if (len == 0 || (copy[len] != '\0' && strchr(" \t/,;", copy[len]) == NULL))
        return false;
    copy[len] = '\0';
    *number_out = g_ascii_strtod(copy, &end);
    return end == copy + len;
}

/* Score 1 is clean (0), the highest is sure (1). False: not tested. */
static bool
ratio_of_text(const Source *source, SieveText value, double *ratio_out)
{
    for (int i = source->scale; i >= 1; i--) {
        SieveText text = sieve_text(source->texts[i]);

        if (text.len > 0 && text.len == value.len &&
            g_ascii_strncasecmp(text.bytes, value.bytes, text.len) == 0) {
            *ratio_out = (double)(i - 1) / (source->scale - 1);
            return true;
        }
    }
    return false;
}

static bool
find_maximum(SieveRun *run, const Source *source, double *maximum_out, GError **error)
{
    SieveText value = sieve_text(source->max_value);

    if (source->max_header[0] != '\0' && !find_value(run, source->max_header, &value, error))
        return false;
    return parse_number(trim(value), maximum_out) && *maximum_out > 0;
}

/* False with no error: the message was not tested, or nobody can tell. */
static bool
find_ratio(SieveRun *run, const Source *source, double *ratio_out, GError **error)
{
    SieveText value;
    double score, maximum;

    if (source->header[0] == '\0' || !find_value(run, source->header, &value, error))
        return false;
    if (source->type == SIEVE_SCORE_TEXT)
        return ratio_of_text(source, value, ratio_out);
    if (!find_maximum(run, source, &maximum, error))
        return false;
    if (source->type == SIEVE_SCORE_STRLEN)
        score = (double)value.len;
    else if (!parse_number(value, &score))
        return false;
    *ratio_out = CLAMP(score / maximum, 0.0, 1.0);
    return true;
}

static int
normalize(double ratio, const Source *source, bool is_percent)
{
    /* The small share undoes what binary fractions lose: 0.3 * 10 is no less than 3. */
    const double share = 0.000001;

    if (is_percent)
        return (int)(ratio * PERCENT + 0.5);
    return 1 + (int)(ratio * (source->scale - 1) + share);
}

/* ---- tests ------------------------------------------------------------------------------ */

static bool
test_score(SieveRun *run, const SieveNode *node, const Source *source, bool *result_out,
           GError **error)
{
    GError *failure = NULL;
    SieveMatching matching;
    char score[16] = "0";
    double ratio;
    bool is_tested = find_ratio(run, source, &ratio, &failure);

    if (failure != NULL) {
        sieve_run_warn(run, node, "the message counts as untested: %s", failure->message);
        g_clear_error(&failure);
    }
    if (is_tested)
        g_snprintf(score, sizeof score, "%d",
                   normalize(ratio, source, sieve_node_tag(node, "percent") != NULL));
    if (!sieve_matching_begin(run, node, node->values[0], &matching, error))
        return false;
    /* Section 3.1: :count is 0 for what was not tested. */
    if ((is_tested || node->matcher->type != SIEVE_MATCH_COUNT) &&
        !sieve_matching_value(&matching,
                              sieve_arena_text(sieve_run_arena(run), score, strlen(score)), error))
        return false;
    return sieve_matching_end(&matching, result_out, error);
}

static bool
test_spamtest(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    Source source = spam_source(sieve_run_settings(run));

    return test_score(run, node, &source, result_out, error);
}

static bool
test_virustest(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    Source source = virus_source(sieve_run_settings(run));

    return test_score(run, node, &source, result_out, error);
}

static const SieveCommand spam_commands[] = {
    {
        .name = "spamtest",
        .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
        .signature = "s",
        .test = test_spamtest,
    },
    {.name = NULL},
};

static const SieveCommand virus_commands[] = {
    {
        .name = "virustest",
        .traits = SIEVE_TEST | SIEVE_TAKES_MATCH,
        .signature = "s",
        .test = test_virustest,
    },
    {.name = NULL},
};

static const SieveTag plus_tags[] = {
    {.name = "percent", .commands = {"spamtest"}},
    {.name = NULL},
};

static const char *const plus_implies[] = {"spamtest", NULL};

const SieveExtension sieve_ext_spamtest = {.name = "spamtest", .commands = spam_commands};
const SieveExtension sieve_ext_spamtestplus = {
    .name = "spamtestplus",
    .tags = plus_tags,
    .implies = plus_implies,
};
const SieveExtension sieve_ext_virustest = {.name = "virustest", .commands = virus_commands};
