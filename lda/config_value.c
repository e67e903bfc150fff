/* lda/config_value.c - one value of the configuration; see config_value.h
 *
 *   "64K" --config_value_set()--> guint64 65536 in LdaConfig --config_value_format()--> "64K"
 *
 * Each kind of setting has one parser and one formatter. A parser either takes
 * the whole text or says what it would have taken; nothing is rounded, cut or
 * guessed. Formatting gives the shortest text that means the same, so that what
 * `lodge config` prints can be pasted back into the file.
 */
#include "lda/config_value.h"

#include "quota/quota.h"

#include <arpa/inet.h>
#include <sys/un.h>

typedef struct {
    char letter;
    guint64 factor;
} Unit;

static const Unit size_units[] = {{'T', G_GUINT64_CONSTANT(1) << 40},
                                  {'G', G_GUINT64_CONSTANT(1) << 30},
                                  {'M', 1 << 20},
                                  {'K', 1 << 10},
                                  {0}};
static const Unit time_units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}, {0}};

static void *
member(const LdaConfig *config, const ConfigSetting *setting)
{
    return (char *)config + setting->offset;
}

static bool
expect(GError **error, const char *text, const char *expected)
{
    g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "'%s' is not %s", text, expected);
    return false;
}

static bool
parse_units(const char *text, const Unit *units, guint64 *value_out)
{
    size_t len = strlen(text);
    guint64 factor = 1, number = 0;

    for (const Unit *unit = units; len > 0 && unit->letter != 0; unit++) {
        if (g_ascii_tolower(text[len - 1]) == g_ascii_tolower(unit->letter)) {
            factor = unit->factor;
            len--;
            break;
        }
    }
    g_autofree char *digits = g_strndup(text, len);
    if (!g_ascii_string_to_unsigned(g_strchomp(digits), 10, 0, G_MAXUINT64 / factor, &number, NULL))
        return false;
    *value_out = number * factor;
    return true;
}

bool
config_parse_size(const char *text, guint64 *size_out)
{
    return parse_units(text, size_units, size_out);
}

static bool
parse_number(ConfigKind kind, const char *text, guint64 *value_out)
{
    switch (kind) {
    case CONFIG_SIZE:
        return parse_units(text, size_units, value_out);
    case CONFIG_TIME:
        return parse_units(text, time_units, value_out);
    default:
        return g_ascii_string_to_unsigned(text, kind == CONFIG_MODE ? 8 : 10, 0, G_MAXUINT64,
                                          value_out, NULL);
    }
}

static char *
format_number(ConfigKind kind, guint64 value)
{
    const Unit *unit = kind == CONFIG_SIZE ? size_units : time_units;

    if (kind == CONFIG_MODE)
        return g_strdup_printf("%04" G_GINT64_MODIFIER "o", value);
    while (unit->letter != 0 && (value == 0 || value % unit->factor != 0))
        unit++;
    if (kind == CONFIG_COUNT || unit->letter == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT, value);
    return g_strdup_printf("%" G_GUINT64_FORMAT "%c", value / unit->factor, unit->letter);
}

static bool
set_number(guint64 *slot, const ConfigSetting *setting, const char *text, GError **error)
{
    guint64 value = 0;

    if (!parse_number(setting->kind, text, &value)) {
        static const char *const expected[] = {
            [CONFIG_SIZE] = "a size such as 512, 64K, 10M or 2G",
            [CONFIG_TIME] = "a time such as 30s, 5m, 1h or 7d",
            [CONFIG_COUNT] = "a number",
            [CONFIG_MODE] = "an octal mode such as 0660",
        };
        return expect(error, text, expected[setting->kind]);
    }
    if (value < setting->min || value > setting->max) {
        g_autofree char *min = format_number(setting->kind, setting->min);
        g_autofree char *max = format_number(setting->kind, setting->max);

        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "'%s' is not between %s and %s", text,
                    min, max);
        return false;
    }
    *slot = value;
    return true;
}

static bool
parse_yes_no(const char *text, bool *value_out)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0) {
            *value_out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* The words of "one of: a, b, c". */
static char **
words_of(const ConfigSetting *setting)
{
    return g_strsplit(setting->type + strlen("one of: "), ", ", -1);
}

static int
word_index(const ConfigSetting *setting, const char *text, GError **error)
{
    g_auto(GStrv) words = words_of(setting);

    for (int i = 0; words[i] != NULL; i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0)
            return i;
    }
    (void)expect(error, text, setting->type);
    return -1;
}

/* "host:port" with a numeric host, in brackets when it is IPv6. */
static bool
is_inet_listener(const char *text)
{
    const char *colon = strrchr(text, ':');
    struct in6_addr ignored;

    if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, NULL, NULL))
        return false;
    g_autofree char *host = g_strndup(text, (size_t)(colon - text));
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &ignored) == 1;
    }
    return inet_pton(AF_INET, host, &ignored) == 1;
}

static bool
is_listener(const char *text)
{
    const char *path = text + strlen("unix:");

    if (g_str_has_prefix(text, "unix:"))
        return *path == '/' && strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
    return g_str_has_prefix(text, "inet:") && is_inet_listener(text + strlen("inet:"));
}

/* An address, or address/bits. */
static bool
is_network(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    struct in6_addr ignored;
    guint64 bits = 0;

    if (inet_pton(AF_INET, parts[0], &ignored) == 1)
        bits = 32;
    else if (inet_pton(AF_INET6, parts[0], &ignored) == 1)
        bits = 128;
    return bits > 0 &&
           (parts[1] == NULL || g_ascii_string_to_unsigned(parts[1], 10, 0, bits, NULL, NULL));
}

static bool
is_template(const char *text, bool with_home)
{
    g_autofree char *expanded =
        config_expand(text, "user@example.org", with_home ? "/home" : NULL, NULL);

    return expanded != NULL && *expanded != '\0';
}

/* "name=value", neither empty. */
static bool
is_pair(const char *text)
{
    const char *equals = strrchr(text, '='); /* names of lists are URIs */

    return equals != NULL && equals > text && equals[1] != '\0';
}

static bool
is_percent(const char *text)
{
    return g_ascii_string_to_unsigned(text, 10, 1, 100, NULL, NULL);
}

/* What an item of a list of this kind must be; NULL when it is that already. */
static const char *
item_complaint(ConfigKind kind, const char *item)
{
    switch (kind) {
    case CONFIG_LISTENERS:
        return is_listener(item) ? NULL
                                 : "a listener such as unix:/run/lodge/lmtp, "
                                   "inet:127.0.0.1:2424 or inet:[::1]:2424";
    case CONFIG_NETWORKS:
        return is_network(item) ? NULL : "a network such as 127.0.0.0/8 or ::1";
    case CONFIG_TEMPLATES:
        return is_template(item, true) ? NULL : "a path made of text, %u, %n, %d, %h and %%";
    case CONFIG_PERCENTS:
        return is_percent(item) ? NULL : "a number from 1 to 100";
    default:
        return is_pair(item) ? NULL : "name=value";
    }
}

/* Ascending, and no more than can be kept. */
static bool
check_list(ConfigKind kind, char **items, const char *text, GError **error)
{
    guint count = g_strv_length(items);

    if (kind != CONFIG_PERCENTS)
        return true;
    for (guint i = 1; i < count; i++) {
        if (g_ascii_strtoull(items[i], NULL, 10) <= g_ascii_strtoull(items[i - 1], NULL, 10))
            return expect(error, text, "a list of ascending numbers");
    }
    return count <= QUOTA_MAX_WARNINGS || expect(error, text, "a list of at most 8 numbers");
}

static bool
set_list(char ***slot, ConfigKind kind, const char *text, GError **error)
{
    g_auto(GStrv) items = g_strsplit_set(text, kind == CONFIG_PAIRS ? ";" : " \t;", -1);
    size_t kept = 0;

    for (size_t i = 0; items[i] != NULL; i++) {
        char *item = g_strstrip(items[i]);
        const char *expected;

        items[i] = NULL;
        items[kept] = item;
        if (*item == '\0') {
            items[kept] = NULL;
            g_free(item);
            continue;
        }
        kept++;
        expected = item_complaint(kind, item);
        if (expected != NULL)
            return expect(error, item, expected);
    }
    if (!check_list(kind, items, text, error))
        return false;
    g_strfreev(*slot);
    *slot = g_steal_pointer(&items);
    return true;
}

/* What a text of this kind must be; NULL when it is that already. */
static const char *
text_complaint(const ConfigSetting *setting, const char *text)
{
    bool with_home = strstr(setting->type, "%h") != NULL;

    if (*text == '\0' && setting->min == 0 && setting->kind != CONFIG_CHARACTER)
        return NULL;
    switch (setting->kind) {
    case CONFIG_PATH:
        return *text == '/' ? NULL : "an absolute path";
    case CONFIG_TEMPLATE:
        if (is_template(text, with_home))
            return NULL;
        return with_home ? "a path made of text, %u, %n, %d, %h and %%"
                         : "a path made of text, %u, %n, %d and %%";
    case CONFIG_CHARACTER:
        return g_ascii_isgraph(text[0]) && text[1] == '\0' ? NULL : "a single character";
    default:
        return NULL;
    }
}

static bool
set_text(char **slot, const ConfigSetting *setting, const char *text, GError **error)
{
    const char *expected = text_complaint(setting, text);

    if (expected != NULL)
        return expect(error, text, expected);
    if (setting->min > 0 && *text == '\0')
        return expect(error, text, "allowed: it must not be empty");
    g_free(*slot);
    *slot = g_strdup(text);
    return true;
}

bool
config_value_set(LdaConfig *config, const ConfigSetting *setting, const char *text, GError **error)
{
    void *slot = member(config, setting);
    int word;

    switch (setting->kind) {
    case CONFIG_YES_NO:
        return parse_yes_no(text, slot) || expect(error, text, "yes or no");
    case CONFIG_WORD:
    case CONFIG_CHOICE:
        word = word_index(setting, text, error);
        if (word < 0)
            return false;
        if (setting->kind == CONFIG_CHOICE)
            return set_text(slot, setting, text, error);
        *(int *)slot = word;
        return true;
    case CONFIG_SIZE:
    case CONFIG_TIME:
    case CONFIG_COUNT:
    case CONFIG_MODE:
        return set_number(slot, setting, text, error);
    case CONFIG_LISTENERS:
    case CONFIG_NETWORKS:
    case CONFIG_TEMPLATES:
    case CONFIG_PAIRS:
    case CONFIG_PERCENTS:
        return set_list(slot, setting->kind, text, error);
    default:
        return set_text(slot, setting, text, error);
    }
}

char *
config_value_format(const LdaConfig *config, const ConfigSetting *setting)
{
    const void *slot = member(config, setting);
    g_auto(GStrv) words = NULL;

    switch (setting->kind) {
    case CONFIG_YES_NO:
        return g_strdup(*(const bool *)slot ? "yes" : "no");
    case CONFIG_WORD:
        words = words_of(setting);
        return g_strdup(words[*(const int *)slot]);
    case CONFIG_SIZE:
    case CONFIG_TIME:
    case CONFIG_COUNT:
    case CONFIG_MODE:
        return format_number(setting->kind, *(const guint64 *)slot);
    case CONFIG_LISTENERS:
    case CONFIG_NETWORKS:
    case CONFIG_TEMPLATES:
    case CONFIG_PERCENTS:
        return g_strjoinv(" ", *(char **const *)slot);
    case CONFIG_PAIRS:
        return g_strjoinv("; ", *(char **const *)slot);
    default:
        return g_strdup(*(char *const *)slot);
    }
}

void
config_value_clear(LdaConfig *config, const ConfigSetting *setting)
{
    void *slot = member(config, setting);

    switch (setting->kind) {
    case CONFIG_LISTENERS:
    case CONFIG_NETWORKS:
    case CONFIG_TEMPLATES:
    case CONFIG_PAIRS:
    case CONFIG_PERCENTS:
        g_clear_pointer((char ***)slot, g_strfreev);
        break;
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
    case CONFIG_PATH:
    case CONFIG_TEMPLATE:
    case CONFIG_CHARACTER:
        g_clear_pointer((char **)slot, g_free);
        break;
    default:
        break;
    }
}
