/* lda/header.c - the few header fields that delivery itself looks at; see header.h
 *
 *   Delivered-To: ana@example.org     prepended by the MTA that hands us the
 *   Return-Path: <bob@example.com>    message (Postfix pipe(8) flags D and R)
 *   Received: from ... by ... id 4XYZ   <- topmost: the MTA's queue id
 *   Delivered-To: list@example.net    trace of an earlier delivery: loop check
 *   Received: ...
 *   Message-ID: <1@example.com>
 *
 * A message may have no Received at all (privacy settings remove them). Then only
 * a leading run of the fields that MTAs prepend counts as prepended: otherwise flag
 * D alone would make a loop of every such message.
 */
#include "lda/header.h"

/* Octets of a Message-ID or a queue id that are worth keeping: a line of a message
 * (RFC 5322 section 2.1.1) and twice what any MTA writes. */
enum { MESSAGE_ID_MAX = 998, QUEUE_ID_MAX = 64 };

/* What MTAs write above their Received; position in the table is the bit in Header. */
static const char *const prepended_names[] = {"Return-Path", "Delivered-To", "X-Original-To"};

/* One field, unfolded only when its value is asked for. */
typedef struct {
    const char *name;
    size_t name_len;
    const char *value; /* after the colon; folds are in it */
    size_t value_len;
} Field;

static bool
is_named(const Field *field, const char *name)
{
    return strlen(name) == field->name_len &&
           g_ascii_strncasecmp(field->name, name, field->name_len) == 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t
header_length(const char *text, size_t len)
{
    const char *end = text + len;
    const char *lf;

    for (const char *line = text; line < end; line = lf + 1) {
        lf = memchr(line, '\n', (size_t)(end - line));
        if (lf == NULL)
            break;
        if (lf == line || (lf == line + 1 && *line == '\r'))
            return (size_t)(lf + 1 - text);
    }
    return len;
}

/* End of the field that starts at line: behind the LF of its last folded line. */
static const char *
end_of_field(const char *line, const char *end)
{
    for (const char *at = line; at < end;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));

        if (lf == NULL || lf + 1 == end)
            return end;
        if (lf[1] != ' ' && lf[1] != '\t')
            return lf + 1;
        at = lf + 1;
    }
    return end;
}

/* Takes the field of [line, end) apart; false when it is none. */
static bool
parse_field(const char *line, const char *end, Field *field)
{
    const char *colon = memchr(line, ':', (size_t)(end - line));
    const char *name_end = colon;

    if (colon == NULL)
        return false;
    while (name_end > line && (name_end[-1] == ' ' || name_end[-1] == '\t'))
        name_end--;
    *field = (Field){line, (size_t)(name_end - line), colon + 1, (size_t)(end - colon - 1)};
    return name_end > line;
}

/* The value's first word, or what stands in angle brackets with them: that is a
 * Message-ID, and with the brackets taken off the address of a Delivered-To. */
static char *
first_word(const Field *field, size_t max)
{
    const char *at = field->value;
    const char *end = at + field->value_len;
    const char *stop;

    while (at < end && is_blank(*at))
        at++;
    const char *bracket = memchr(at, '<', (size_t)(end - at));
    stop = bracket != NULL ? memchr(bracket, '>', (size_t)(end - bracket)) : NULL;
    if (stop != NULL) {
        at = bracket;
        stop++;
    } else {
        for (stop = at; stop < end && !is_blank(*stop);)
            stop++;
    }
    return stop > at ? g_strndup(at, MIN((size_t)(stop - at), max)) : NULL;
}

/* Steps over a comment, which may hold others; at is on its opening parenthesis. */
static const char *
skip_comment(const char *at, const char *end)
{
    int depth = 0;

    for (; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        else if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at + 1;
    }
    return end;
}

/* The next word of a Received field; NULL at its end or at the ";" before the date. */
static const char *
next_word(const char **at, const char *end, size_t *len_out)
{
    const char *word = *at;

    while (word < end && (is_blank(*word) || *word == '('))
        word = *word == '(' ? skip_comment(word, end) : word + 1;
    const char *stop = word;
    while (stop < end && !is_blank(*stop) && *stop != ';' && *stop != '(')
        stop++;
    *at = stop;
    *len_out = (size_t)(stop - word);
    return stop > word ? word : NULL;
}

static bool
word_is(const char *word, size_t len, const char *keyword)
{
    return len == strlen(keyword) && g_ascii_strncasecmp(word, keyword, len) == 0;
}

/* The id of "from x by y with z id 4XYZ for w" (RFC 5321 section 4.4). A host may
 * be called "id", so a word behind another keyword is not taken for one. */
static char *
queue_id_of(const Field *received)
{
    static const char *const keywords[] = {"from", "by", "via", "with", "for"};
    const char *at = received->value;
    const char *end = at + received->value_len;
    const char *word;
    size_t len;
    bool is_value = false;

    while ((word = next_word(&at, end, &len)) != NULL) {
        if (!is_value && word_is(word, len, "id")) {
            word = next_word(&at, end, &len);
            return word != NULL && len <= QUEUE_ID_MAX ? g_strndup(word, len) : NULL;
        }
        bool is_keyword = false;
        for (size_t i = 0; i < G_N_ELEMENTS(keywords) && !is_value; i++)
            is_keyword = is_keyword || word_is(word, len, keywords[i]);
        is_value = is_keyword;
    }
    return NULL;
}

static void
add_delivered_to(Header *header, const Field *field)
{
    g_autofree char *word = first_word(field, field->value_len);

    if (word == NULL)
        return;
    size_t len = strlen(word);
    bool in_brackets = len > 2 && word[0] == '<';
    /* A set: a hostile header may hold tens of thousands, and each recipient asks. */
    if (header->delivered_to == NULL)
        header->delivered_to = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(header->delivered_to, g_ascii_strdown(in_brackets ? word + 1 : word,
                                                           (gssize)(in_brackets ? len - 2 : len)));
}

/* The bit of a field that MTAs prepend; 0 for any other. */
static unsigned
prepended_bit(const Field *field)
{
    for (size_t i = 0; i < G_N_ELEMENTS(prepended_names); i++) {
        if (is_named(field, prepended_names[i]))
            return 1U << i;
    }
    return 0;
}

static void
take_field(Header *header, const Field *field)
{
    if (is_named(field, "Received")) {
        if (header->received_count++ == 0)
            header->queue_id = queue_id_of(field);
    } else if (is_named(field, "Message-ID")) {
        if (header->message_id == NULL)
            header->message_id = first_word(field, MESSAGE_ID_MAX);
    } else if (is_named(field, "Delivered-To")) {
        add_delivered_to(header, field);
    }
}

/* Where the topmost Received starts; NULL when there is none. */
static const char *
find_top_received(const char *text, const char *end)
{
    Field field;

    for (const char *line = text; line < end;) {
        const char *next = end_of_field(line, end);

        if (parse_field(line, next, &field) && is_named(&field, "Received"))
            return line;
        line = next;
    }
    return NULL;
}

void
header_scan(Header *header, const char *text, size_t len)
{
    const char *end = text + len;
    const char *top = find_top_received(text, end);
    bool above = true;
    Field field;

    for (const char *line = text; line < end;) {
        const char *next = end_of_field(line, end);

        if (parse_field(line, next, &field)) {
            above = above && (top != NULL ? line < top : prepended_bit(&field) != 0);
            if (above)
                header->prepended |= prepended_bit(&field);
            if (!above || is_named(&field, "Message-ID"))
                take_field(header, &field);
        }
        line = next;
    }
}

void
header_clear(Header *header)
{
    g_free(header->message_id);
    g_free(header->queue_id);
    if (header->delivered_to != NULL)
        g_hash_table_unref(header->delivered_to);
    *header = (Header){0};
}

bool
header_has_prepended(const Header *header, const char *field)
{
    const Field asked = {.name = field, .name_len = strlen(field)};

    return (header->prepended & prepended_bit(&asked)) != 0;
}

bool
header_was_delivered_to(const Header *header, const char *address)
{
    g_autofree char *lower = NULL;

    if (header->delivered_to == NULL)
        return false;
    lower = g_ascii_strdown(address, -1);
    return g_hash_table_contains(header->delivered_to, lower);
}
