/* lmtp/command.c - parses command lines; see command.h
 *
 *   "RCPT TO:<ana@example.org> NOTIFY=NEVER"
 *    verb  |  path             |  parameters
 *
 * The table of verbs at the end names a parser for the argument of each; MAIL and
 * RCPT have a table of parameters each, with a parser for every value. A parser
 * returns LMTP_ACCEPTED or the refusal, and takes what it understood into the
 * command. Paths and xtext are lda/address.c's.
 */
#include "lmtp/command.h"

#include "lda/address.h"

/* What is left of the line. */
typedef struct {
    const char *at;
    size_t len;
} Text;

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void
skip(Text *text, size_t count)
{
    text->at += count;
    text->len -= count;
}

static void
skip_blanks(Text *text)
{
    while (text->len > 0 && is_blank(*text->at))
        skip(text, 1);
}

/* The next word, and the blanks behind it; empty at the end. */
static Text
take_word(Text *text)
{
    Text word = {.at = text->at};

    while (word.len < text->len && !is_blank(text->at[word.len]))
        word.len++;
    skip(text, word.len);
    skip_blanks(text);
    return word;
}

static bool
equals(Text text, const char *word)
{
    return text.len == strlen(word) && g_ascii_strncasecmp(text.at, word, text.len) == 0;
}

/* Splits "keyword=value" at the first "="; false without one. */
static bool
split_value(Text *keyword, Text *value_out)
{
    const char *sign = memchr(keyword->at, '=', keyword->len);

    if (sign == NULL)
        return false;
    *value_out = *keyword;
    keyword->len = (size_t)(sign - keyword->at);
    skip(value_out, keyword->len + 1);
    return true;
}

/* ---- parameters of MAIL and RCPT ----------------------------------------- */

/* RFC 1870 section 6.1: up to 20 digits, which can be more than 64 bits hold. That
 * much is over every limit, and no error of syntax. */
static LmtpRefusal
parse_size(LmtpCommand *command, Text value)
{
    guint64 size = 0;

    if (value.len == 0 || value.len > 20)
        return LMTP_BAD_PARAMETER;
    for (size_t i = 0; i < value.len; i++) {
        if (!g_ascii_isdigit(value.at[i]))
            return LMTP_BAD_PARAMETER;
        if (!g_uint64_checked_mul(&size, size, 10) ||
            !g_uint64_checked_add(&size, size, (guint64)(value.at[i] - '0')))
            size = G_MAXUINT64;
    }
    command->size = size;
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_body(LmtpCommand *command, Text value)
{
    if (equals(value, "7BIT"))
        command->body = LMTP_BODY_7BIT;
    else if (equals(value, "8BITMIME"))
        command->body = LMTP_BODY_8BITMIME;
    else if (equals(value, "BINARYMIME"))
        command->body = LMTP_BODY_BINARYMIME;
    else
        return LMTP_BAD_PARAMETER;
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_smtputf8(LmtpCommand *command, Text value)
{
    (void)value;
    command->utf8 = true;
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_ret(LmtpCommand *command, Text value)
{
    if (!equals(value, "FULL") && !equals(value, "HDRS"))
        return LMTP_BAD_PARAMETER;
    command->ret = g_ascii_strup(value.at, (gssize)value.len);
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_envid(LmtpCommand *command, Text value)
{
    command->envid = address_decode_xtext(value.at, value.len);
    return command->envid != NULL ? LMTP_ACCEPTED : LMTP_BAD_PARAMETER;
}

static LmtpRefusal
parse_orcpt(LmtpCommand *command, Text value)
{
    command->original = address_decode_orcpt(value.at, value.len);
    return command->original != NULL ? LMTP_ACCEPTED : LMTP_BAD_PARAMETER;
}

/* RFC 3461 section 4.1: NEVER alone, or a list of the others. */
static LmtpRefusal
parse_notify(LmtpCommand *command, Text value)
{
    g_autofree char *given = g_strndup(value.at, value.len);
    g_auto(GStrv) words = g_strsplit(given, ",", -1);
    bool alone = words[0] != NULL && words[1] == NULL;

    if (words[0] == NULL)
        return LMTP_BAD_PARAMETER;
    for (char **word = words; *word != NULL; word++) {
        bool known = g_ascii_strcasecmp(*word, "SUCCESS") == 0 ||
                     g_ascii_strcasecmp(*word, "FAILURE") == 0 ||
                     g_ascii_strcasecmp(*word, "DELAY") == 0 ||
                     (alone && g_ascii_strcasecmp(*word, "NEVER") == 0);

        if (!known)
            return LMTP_BAD_PARAMETER;
    }
    command->notify = g_steal_pointer(&given);
    return LMTP_ACCEPTED;
}

typedef struct {
    const char *keyword;
    bool has_value;
    LmtpRefusal (*parse)(LmtpCommand *command, Text value);
} Parameter;

static const Parameter mail_parameters[] = {
    {"SIZE", true, parse_size}, {"BODY", true, parse_body},   {"SMTPUTF8", false, parse_smtputf8},
    {"RET", true, parse_ret},   {"ENVID", true, parse_envid}, {NULL, false, NULL},
};

static const Parameter rcpt_parameters[] = {
    {"ORCPT", true, parse_orcpt},
    {"NOTIFY", true, parse_notify},
    {NULL, false, NULL},
};

/* Parses one parameter; seen has a bit for each row that was met before. */
static LmtpRefusal
parse_parameter(LmtpCommand *command, Text keyword, const Parameter *known, unsigned *seen)
{
    Text value = {0};
    bool has_value = split_value(&keyword, &value);

    for (unsigned i = 0; known[i].keyword != NULL; i++) {
        if (!equals(keyword, known[i].keyword))
            continue;
        if ((*seen & (1U << i)) != 0)
            return LMTP_REPEATED_PARAMETER;
        if (has_value != known[i].has_value)
            return LMTP_BAD_PARAMETER;
        *seen |= 1U << i;
        return known[i].parse(command, value);
    }
    return LMTP_UNKNOWN_PARAMETER;
}

static LmtpRefusal
parse_parameters(LmtpCommand *command, Text rest, const Parameter *known)
{
    unsigned seen = 0;

    while (rest.len > 0) {
        LmtpRefusal refusal = parse_parameter(command, take_word(&rest), known, &seen);

        if (refusal != LMTP_ACCEPTED)
            return refusal;
    }
    return LMTP_ACCEPTED;
}

/* ---- arguments ------------------------------------------------------------ */

/* Takes "FROM:" or "TO:" and the path; blanks after the colon are forgiven, as
 * everywhere (RFC 5321 section 4.1.1.2 forbids them, but such clients exist). */
static LmtpRefusal
parse_path(LmtpCommand *command, Text *rest, const char *label, AddressFlags flags,
           LmtpRefusal syntax, LmtpRefusal bad_address)
{
    Text word = {.at = rest->at, .len = MIN(strlen(label), rest->len)};
    size_t used = 0;

    if (!equals(word, label))
        return syntax;
    skip(rest, word.len);
    skip_blanks(rest);
    if (rest->len == 0)
        return syntax;
    command->address = address_parse_path(rest->at, rest->len, flags, &used);
    if (command->address == NULL)
        return bad_address;
    skip(rest, used);
    if (rest->len > 0 && !is_blank(*rest->at))
        return syntax;
    skip_blanks(rest);
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_mail(LmtpCommand *command, Text rest)
{
    const AddressFlags flags = ADDRESS_NULL | ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY;
    LmtpRefusal refusal =
        parse_path(command, &rest, "FROM:", flags, LMTP_MAIL_SYNTAX, LMTP_BAD_SENDER);

    return refusal != LMTP_ACCEPTED ? refusal : parse_parameters(command, rest, mail_parameters);
}

static LmtpRefusal
parse_rcpt(LmtpCommand *command, Text rest)
{
    const AddressFlags flags = ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY; /* "<postmaster>" */
    LmtpRefusal refusal =
        parse_path(command, &rest, "TO:", flags, LMTP_RCPT_SYNTAX, LMTP_BAD_RECIPIENT);

    return refusal != LMTP_ACCEPTED ? refusal : parse_parameters(command, rest, rcpt_parameters);
}

static LmtpRefusal
parse_bdat(LmtpCommand *command, Text rest)
{
    Text size = take_word(&rest);
    Text last = take_word(&rest);
    g_autofree char *digits = g_strndup(size.at, size.len);

    if (!g_ascii_string_to_unsigned(digits, 10, 0, G_MAXUINT64, &command->size, NULL))
        return LMTP_BDAT_SYNTAX;
    if (rest.len > 0 || (last.len > 0 && !equals(last, "LAST")))
        return LMTP_BDAT_SYNTAX;
    command->last = last.len > 0;
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_lhlo(LmtpCommand *command, Text rest)
{
    Text name = take_word(&rest);

    if (name.len == 0 || rest.len > 0)
        return LMTP_LHLO_SYNTAX;
    command->text = g_utf8_make_valid(name.at, (gssize)name.len);
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_vrfy(LmtpCommand *command, Text rest)
{
    (void)command; /* the answer is the same for all */
    return rest.len > 0 ? LMTP_ACCEPTED : LMTP_VRFY_SYNTAX;
}

static LmtpRefusal
parse_anything(LmtpCommand *command, Text rest)
{
    (void)command;
    (void)rest;
    return LMTP_ACCEPTED;
}

static LmtpRefusal
parse_nothing(LmtpCommand *command, Text rest)
{
    (void)command;
    return rest.len == 0 ? LMTP_ACCEPTED : LMTP_NO_ARGUMENT_ALLOWED;
}

/* ---- XFORWARD ------------------------------------------------------------- */

static const char *const xforward_attributes[] = {"NAME", "ADDR",  "PORT",  "PROTO",
                                                  "HELO", "IDENT", "SOURCE"};

/* The value for the log and for Received: valid UTF-8 in one line, "" when the
 * MTA does not know it. NULL when it is not xtext. */
static char *
decode_attribute(Text value)
{
    g_autofree char *decoded = address_decode_xtext(value.at, value.len);

    if (decoded == NULL)
        return NULL;
    if (g_ascii_strcasecmp(decoded, "[UNAVAILABLE]") == 0 ||
        g_ascii_strcasecmp(decoded, "[TEMPUNAVAIL]") == 0)
        return g_strdup("");

    char *valid = g_utf8_make_valid(decoded, -1);

    return g_strdelimit(valid,
                        "\001\002\003\004\005\006\007\b\t\n\v\f\r\016\017\020\021\022\023"
                        "\024\025\026\027\030\031\032\033\034\035\036\037\177",
                        '?');
}

static LmtpRefusal
parse_attribute(LmtpCommand *command, Text name)
{
    Text value;

    if (!split_value(&name, &value) || value.len == 0)
        return LMTP_XFORWARD_SYNTAX;
    for (size_t i = 0; i < G_N_ELEMENTS(xforward_attributes); i++) {
        if (!equals(name, xforward_attributes[i]))
            continue;
        char *decoded = decode_attribute(value);

        if (decoded == NULL)
            return LMTP_BAD_PARAMETER;
        g_hash_table_replace(command->attributes, g_strdup(xforward_attributes[i]), decoded);
        return LMTP_ACCEPTED;
    }
    return LMTP_XFORWARD_SYNTAX;
}

static LmtpRefusal
parse_xforward(LmtpCommand *command, Text rest)
{
    if (rest.len == 0)
        return LMTP_XFORWARD_SYNTAX;
    command->attributes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    while (rest.len > 0) {
        LmtpRefusal refusal = parse_attribute(command, take_word(&rest));

        if (refusal != LMTP_ACCEPTED)
            return refusal;
    }
    return LMTP_ACCEPTED;
}

/* ---- verbs ---------------------------------------------------------------- */

static const struct {
    const char *name;
    LmtpVerb verb;
    LmtpRefusal refusal; /* of the verb as such */
    LmtpRefusal (*parse)(LmtpCommand *command, Text rest);
} verbs[] = {
    {"LHLO", LMTP_LHLO, LMTP_ACCEPTED, parse_lhlo},
    {"MAIL", LMTP_MAIL, LMTP_ACCEPTED, parse_mail},
    {"RCPT", LMTP_RCPT, LMTP_ACCEPTED, parse_rcpt},
    {"DATA", LMTP_DATA, LMTP_ACCEPTED, parse_nothing},
    {"BDAT", LMTP_BDAT, LMTP_ACCEPTED, parse_bdat},
    {"RSET", LMTP_RSET, LMTP_ACCEPTED, parse_nothing},
    {"NOOP", LMTP_NOOP, LMTP_ACCEPTED, parse_anything},
    {"VRFY", LMTP_VRFY, LMTP_ACCEPTED, parse_vrfy},
    {"HELP", LMTP_HELP, LMTP_ACCEPTED, parse_anything},
    {"QUIT", LMTP_QUIT, LMTP_ACCEPTED, parse_nothing},
    {"XFORWARD", LMTP_XFORWARD, LMTP_ACCEPTED, parse_xforward},
    /* RFC 2033 section 4.1: HELO and EHLO must not be accepted, with 500. */
    {"HELO", LMTP_VERBS, LMTP_SMTP_GREETING, NULL},
    {"EHLO", LMTP_VERBS, LMTP_SMTP_GREETING, NULL},
    {"AUTH", LMTP_VERBS, LMTP_NOT_IMPLEMENTED, NULL},
    {"ETRN", LMTP_VERBS, LMTP_NOT_IMPLEMENTED, NULL},
    {"EXPN", LMTP_VERBS, LMTP_NOT_IMPLEMENTED, NULL},
    {"STARTTLS", LMTP_VERBS, LMTP_NOT_IMPLEMENTED, NULL},
    {"XCLIENT", LMTP_VERBS, LMTP_NOT_IMPLEMENTED, NULL},
};

static bool
has_control(Text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (g_ascii_iscntrl(text.at[i]) && text.at[i] != '\t')
            return true;
    }
    return false;
}

static LmtpRefusal
parse(LmtpCommand *command, Text line)
{
    bool control = has_control(line);
    Text verb = take_word(&line);

    while (line.len > 0 && is_blank(line.at[line.len - 1]))
        line.len--;
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (!equals(verb, verbs[i].name))
            continue;
        command->verb = verbs[i].verb;
        if (control)
            return LMTP_BAD_CHARACTER;
        return verbs[i].refusal != LMTP_ACCEPTED ? verbs[i].refusal : verbs[i].parse(command, line);
    }
    return control ? LMTP_BAD_CHARACTER : LMTP_UNKNOWN_COMMAND;
}

LmtpCommand *
lmtp_command_parse(const char *line, size_t len)
{
    LmtpCommand *command = g_new0(LmtpCommand, 1);

    command->verb = LMTP_VERBS;
    command->refusal = parse(command, (Text){.at = line, .len = len});
    return command;
}

void
lmtp_command_free(LmtpCommand *command)
{
    if (command == NULL)
        return;
    g_free(command->text);
    g_free(command->address);
    g_free(command->ret);
    g_free(command->envid);
    g_free(command->original);
    g_free(command->notify);
    g_clear_pointer(&command->attributes, g_hash_table_unref);
    g_free(command);
}

const char *
lmtp_verb_name(LmtpVerb verb)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (verbs[i].verb == verb)
            return verbs[i].name;
    }
    return NULL;
}
