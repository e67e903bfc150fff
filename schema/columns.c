/* schema/columns.c - the columns of the map's tables, and their values as text
 *
 * Text comes from a command line or a dump, so each type is read strictly and a
 * complaint names the column, the value and what is expected. What a value may be
 * beyond its type is said once, in the CHECKs of the schema.
 */
#include "schema/columns.h"
#include "schema/fold.h"

#define PATH_COLUMNS                                                                            \
    {"home", MAPEDIT_TEXT, "home directory, absolute or below [mail] root; %u %n %d"},          \
        {"maildir", MAPEDIT_TEXT, "Maildir, absolute or below the home; %u %n %d %h"},          \
        {"sieve", MAPEDIT_TEXT, "path of the active Sieve script, absolute or below the home"}, \
        {"uid", MAPEDIT_NUMBER, "numeric user id that owns the mail"},                          \
        {"gid", MAPEDIT_NUMBER, "numeric group id that owns the mail"},

#define OVER_COLUMNS                                                                       \
    {"max_message_bytes", MAPEDIT_SIZE, "largest message that is stored; 0 for no limit"}, \
    {                                                                                      \
        "quota_over", MAPEDIT_TEXT, "what does not fit meets with reject, defer or ramp"   \
    }

static const MapeditColumn domain_columns[] = {
    {"domain", MAPEDIT_TEXT, "domain name"},
    {"active", MAPEDIT_YES_NO, "whether mail for the domain is accepted"},
    {"max_users", MAPEDIT_NUMBER, "how many users the domain may have"},
    PATH_COLUMNS{"quota_bytes", MAPEDIT_SIZE, "limit of all mailboxes together; 0 for none"},
    {"quota_messages", MAPEDIT_NUMBER, "limit of messages in all of them; 0 for none"},
    {"user_quota_bytes", MAPEDIT_SIZE, "limit of each mailbox; 0 for none"},
    {"user_quota_messages", MAPEDIT_NUMBER, "limit of messages in each mailbox; 0 for none"},
    OVER_COLUMNS,
};

static const MapeditColumn user_columns[] = {
    {"email", MAPEDIT_TEXT, "address, or @domain for a catch-all"},
    {"password", MAPEDIT_SECRET, "crypt(3) hash"},
    {"active", MAPEDIT_YES_NO, "whether mail for the user is accepted"},
    PATH_COLUMNS{"quota_bytes", MAPEDIT_SIZE, "limit of the mailbox; 0 for none"},
    {"quota_messages", MAPEDIT_NUMBER, "limit of messages in the mailbox; 0 for none"},
    OVER_COLUMNS,
};

static const MapeditColumn forwarding_columns[] = {
    {"source", MAPEDIT_TEXT, "address, or @domain for the rest of a domain"},
    {"destination", MAPEDIT_TEXT, "one or more addresses, divided by commas"},
};

static const MapeditColumn transport_columns[] = {
    {"domain", MAPEDIT_TEXT, "domain, .domain for what is below it, address, or *"},
    {"transport", MAPEDIT_TEXT, "transport:nexthop, as in transport(5)"},
};

static const struct {
    const char *table;
    const char *noun;
    const MapeditColumn *columns;
    size_t count;
} tables[MAPEDIT_TABLES] = {
    [MAPEDIT_DOMAINS] = {"domains", "domain", domain_columns, G_N_ELEMENTS(domain_columns)},
    [MAPEDIT_USERS] = {"users", "user", user_columns, G_N_ELEMENTS(user_columns)},
    [MAPEDIT_FORWARDINGS] = {"forwardings", "alias", forwarding_columns,
                             G_N_ELEMENTS(forwarding_columns)},
    [MAPEDIT_TRANSPORT] = {"transport", "transport", transport_columns,
                           G_N_ELEMENTS(transport_columns)},
};

const MapeditColumn *
mapedit_columns(MapeditTable table, size_t *count_out)
{
    *count_out = tables[table].count;
    return tables[table].columns;
}

const char *
columns_table(MapeditTable table)
{
    return tables[table].table;
}

const char *
columns_noun(MapeditTable table)
{
    return tables[table].noun;
}

const MapeditColumn *
columns_find(MapeditTable table, const char *name)
{
    for (size_t i = 1; i < tables[table].count; i++)
        if (strcmp(tables[table].columns[i].name, name) == 0)
            return &tables[table].columns[i];
    return NULL;
}

/* transport(5): "*", "domain", ".domain", "user@domain". */
static char *
fold_transport_key(const char *key, GError **error)
{
    g_autofree char *domain = NULL;

    if (strcmp(key, "*") == 0)
        return g_strdup(key);
    if (strchr(key, '@') != NULL)
        return mailmap_fold_address(key, true, error);
    domain = mailmap_fold_domain(key[0] == '.' ? key + 1 : key, error);
    return domain == NULL ? NULL : g_strconcat(key[0] == '.' ? "." : "", domain, NULL);
}

char *
columns_fold_key(MapeditTable table, const char *key, GError **error)
{
    switch (table) {
    case MAPEDIT_DOMAINS:
        return mailmap_fold_domain(key, error);
    case MAPEDIT_TRANSPORT:
        return fold_transport_key(key, error);
    default:
        return mailmap_fold_address(key, true, error);
    }
}

static bool
refuse(const MapeditColumn *column, const char *text, const char *expected, GError **error)
{
    g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_REFUSED, "%s: '%s' is not %s", column->name,
                text, expected);
    return false;
}

static bool
parse_yes_no(const char *text, gint64 *number_out)
{
    static const char *const words[][2] = {
        {"no", "yes"}, {"0", "1"}, {"false", "true"}, {"off", "on"}, {"n", "y"}};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        for (int value = 0; value < 2; value++)
            if (g_ascii_strcasecmp(text, words[i][value]) == 0) {
                *number_out = value;
                return true;
            }
    return false;
}

static bool
parse_number(const char *text, gint64 *number_out)
{
    return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, number_out, NULL);
}

/* "10M", "2G", "512k", "1048576", "10MB", "10MiB": powers of 1024, as quotas are
 * counted everywhere in mail. */
static bool
parse_size(const char *text, gint64 *number_out)
{
    static const char units[] = "KMGT";
    size_t digits = strspn(text, "0123456789");
    g_autofree char *number = g_strndup(text, digits);
    const char *rest = text + digits;
    unsigned shift = 0;
    const char *unit = *rest != '\0' ? strchr(units, g_ascii_toupper(*rest)) : NULL;

    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        rest++;
        if (g_ascii_strcasecmp(rest, "iB") == 0)
            rest += 2;
    }
    if (g_ascii_strcasecmp(rest, "B") == 0)
        rest++;
    if (*rest != '\0' ||
        !g_ascii_string_to_signed(number, 10, 0, G_MAXINT64 >> shift, number_out, NULL))
        return false;
    *number_out <<= shift;
    return true;
}

/* One address of a destination: "user@domain", "@domain" (the same user there),
 * or a bare local name, which Postfix completes. */
static char *
fold_destination(const char *text, GError **error)
{
    if (strchr(text, '@') != NULL)
        return mailmap_fold_address(text, false, error);
    if (*text == '\0' || strpbrk(text, " \"(),:;<>[\\]|/") != NULL) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_BAD_ADDRESS,
                    "destination: '%s' is not a mail address", text);
        return NULL;
    }
    return g_strdup(text);
}

GPtrArray *
columns_split_destinations(const char *text)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    const char *start = text;
    bool quoted = false;

    for (const char *at = text;; at++) {
        if (*at == '"')
            quoted = !quoted;
        else if (quoted && at[0] == '\\' && at[1] != '\0')
            at++;
        if (*at == '\0' || (!quoted && (*at == ',' || g_ascii_isspace(*at)))) {
            if (at > start)
                g_ptr_array_add(list, g_strndup(start, (gsize)(at - start)));
            start = at + 1;
        }
        if (*at == '\0')
            return list;
    }
}

char *
columns_fold_destinations(const char *text, GError **error)
{
    g_autoptr(GPtrArray) list = columns_split_destinations(text);
    g_autoptr(GString) folded = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        g_autofree char *one = fold_destination(g_ptr_array_index(list, i), error);

        if (one == NULL)
            return NULL;
        g_string_append_printf(folded, "%s%s", i > 0 ? "," : "", one);
    }
    return g_strdup(folded->str);
}

static bool
bind_number(sqlite3_stmt *stmt, int index, const MapeditColumn *column, const char *text,
            GError **error)
{
    gint64 number = 0;

    if (column->type == MAPEDIT_YES_NO && !parse_yes_no(text, &number))
        return refuse(column, text, "yes or no", error);
    if (column->type == MAPEDIT_SIZE && !parse_size(text, &number))
        return refuse(column, text, "a size: octets, or a number with K, M, G or T", error);
    if (column->type == MAPEDIT_NUMBER && !parse_number(text, &number))
        return refuse(column, text, "a whole number", error);
    (void)sqlite3_bind_int64(stmt, index, number); /* fails only for an index out of range */
    return true;
}

bool
columns_bind(sqlite3_stmt *stmt, int index, const MapeditColumn *column, const char *text,
             GError **error)
{
    g_autofree char *folded = NULL;

    if (*text == '\0') {
        (void)sqlite3_bind_null(stmt, index);
        return true;
    }
    if (column->type != MAPEDIT_TEXT && column->type != MAPEDIT_SECRET)
        return bind_number(stmt, index, column, text, error);
    if (!g_utf8_validate(text, -1, NULL))
        return refuse(column, "(not UTF-8)", "text", error);
    if (strcmp(column->name, "destination") == 0) {
        folded = columns_fold_destinations(text, error);
        if (folded == NULL)
            return false;
    }
    if (sqlite3_bind_text(stmt, index, folded != NULL ? folded : text, -1, SQLITE_TRANSIENT) !=
        SQLITE_OK)
        return refuse(column, "(too long)", "a text of acceptable length", error);
    return true;
}

char *
columns_format(sqlite3_stmt *stmt, int index, const MapeditColumn *column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, index);

    if (text == NULL)
        return NULL;
    switch (column->type) {
    case MAPEDIT_SECRET:
        return g_strdup("set");
    case MAPEDIT_YES_NO:
        return g_strdup(strcmp(text, "0") == 0 ? "no" : "yes");
    default:
        return g_strdup(text);
    }
}
