/* lmtp/policy.c - requests of Postfix's policy delegation protocol; see policy.h
 *
 * The bytes are taken line by line, so that a client which sends one at a time costs no
 * more than another. Only the attributes of the table below are kept. Whoever does not
 * begin a line with a name and "=", or sends too much, does not speak this protocol.
 */
#include "lmtp/policy.h"

struct PolicyParser {
    PolicyRequest request;
    GString *line;  /* as far as it has come */
    size_t octets;  /* of this request */
    bool is_ending; /* the request was handed out: the next byte begins another */
};

#define ATTRIBUTE(name, member)                      \
    {                                                \
        name, G_STRUCT_OFFSET(PolicyRequest, member) \
    }

static const struct {
    const char *name;
    size_t offset;
} attributes[] = {
    ATTRIBUTE("request", request),         ATTRIBUTE("protocol_state", state),
    ATTRIBUTE("sender", sender),           ATTRIBUTE("recipient", recipient),
    ATTRIBUTE("client_name", client_name), ATTRIBUTE("client_address", client_address),
    ATTRIBUTE("helo_name", helo),          ATTRIBUTE("protocol_name", protocol),
    ATTRIBUTE("queue_id", queue_id),
};

static char **
text_of(PolicyRequest *request, size_t index)
{
    return G_STRUCT_MEMBER_P(request, attributes[index].offset);
}

static void
clear(PolicyParser *parser)
{
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++)
        g_clear_pointer(text_of(&parser->request, i), g_free);
    parser->request.size = 0;
    parser->octets = 0;
    parser->is_ending = false;
    g_string_truncate(parser->line, 0);
}

PolicyParser *
policy_parser_new(void)
{
    PolicyParser *parser = g_new0(PolicyParser, 1);

    parser->line = g_string_new(NULL);
    return parser;
}

void
policy_parser_free(PolicyParser *parser)
{
    if (parser == NULL)
        return;
    clear(parser);
    g_string_free(parser->line, TRUE);
    g_free(parser);
}

/* Keeps the value if it is one of ours. The last of several counts. */
static bool
take_value(PolicyRequest *request, const char *name, const char *value)
{
    if (strcmp(name, "size") == 0)
        return g_ascii_string_to_unsigned(*value != '\0' ? value : "0", 10, 0, G_MAXINT64,
                                          &request->size, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        char **text = text_of(request, i);

        if (strcmp(name, attributes[i].name) != 0)
            continue;
        g_free(*text);
        *text = g_utf8_make_valid(value, -1);
    }
    return true;
}

/* One line that is not empty. */
static bool
take_line(PolicyParser *parser)
{
    char *line = parser->line->str;
    char *equals = strchr(line, '=');

    if (strlen(line) != parser->line->len || equals == NULL || equals == line)
        return false;
    *equals = '\0';
    return take_value(&parser->request, line, equals + 1);
}

/* The empty line: is what came before it a request? */
static PolicyResult
end_request(PolicyParser *parser)
{
    if (g_strcmp0(parser->request.request, "smtpd_access_policy") != 0)
        return POLICY_GARBAGE;
    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        char **text = text_of(&parser->request, i);

        if (*text == NULL)
            *text = g_strdup("");
    }
    parser->is_ending = true;
    return POLICY_REQUEST;
}

static PolicyResult
end_line(PolicyParser *parser)
{
    GString *line = parser->line;

    if (line->len > 0 && line->str[line->len - 1] == '\r')
        g_string_truncate(line, line->len - 1);
    if (line->len == 0)
        return end_request(parser);
    if (!take_line(parser))
        return POLICY_GARBAGE;
    g_string_truncate(line, 0);
    return POLICY_MORE;
}

PolicyResult
policy_parser_feed(PolicyParser *parser, const char *bytes, size_t len, size_t *used_out)
{
    PolicyResult result = POLICY_MORE;
    size_t used = 0;

    if (parser->is_ending)
        clear(parser);
    while (result == POLICY_MORE && used < len) {
        const char *start = bytes + used;
        const char *lf = memchr(start, '\n', len - used);
        size_t piece = lf != NULL ? (size_t)(lf - start) : len - used;

        if (parser->line->len + piece > POLICY_LINE_MAX ||
            parser->octets + piece >= POLICY_REQUEST_MAX) {
            result = POLICY_GARBAGE;
            break;
        }
        g_string_append_len(parser->line, start, (gssize)piece);
        parser->octets += piece + 1;
        used += piece + (lf != NULL ? 1 : 0);
        if (lf != NULL)
            result = end_line(parser);
    }
    *used_out = used;
    return result;
}

const PolicyRequest *
policy_parser_request(const PolicyParser *parser)
{
    g_assert(parser->is_ending);
    return &parser->request;
}

void
policy_answer(GString *answers, const char *action)
{
    g_string_append(answers, "action=");
    for (const char *p = action; *p != '\0'; p++)
        g_string_append_c(answers, g_ascii_iscntrl(*p) ? ' ' : *p);
    g_string_append(answers, "\n\n");
}
