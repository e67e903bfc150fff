/* lda/config.c - every setting, read once; see config.h
 *
 *   file --scan_lines()--> Entry{section, key, line} --+
 *        --GKeyFile------> values, unescaped ----------+--apply_entry()--> LdaConfig, complaints
 *
 * GKeyFile forgets lines and lets a later key silently win over an earlier one,
 * so a small scan of the same text keeps where each key stands. config_load()
 * stops at the first complaint and config_check() collects them all, by the same
 * code: what the check lets pass is what the programs take.
 */
#include "lda/config.h"

#include "lda/config_value.h"
#include "lda/libsieve_child.h"
#include "lda/outgoing.h"
#include "lda/quota_rules.h"

G_DEFINE_QUARK(lodge - config - error, config_error)

typedef struct {
    char *section; /* NULL before the first header */
    char *key;     /* NULL: the header of a section; both NULL: a line that is nothing */
    unsigned line;
} Entry;

typedef struct {
    const char *path;
    LdaConfig *config;
    GPtrArray *complaints; /* of GError, in the order of the file */
} Reading;

static void
entry_free(void *data)
{
    Entry *entry = data;

    g_free(entry->section);
    g_free(entry->key);
    g_free(entry);
}

G_GNUC_PRINTF(4, 5)
static void
complain(Reading *reading, unsigned line, ConfigError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(
        reading->complaints,
        line > 0 ? g_error_new(CONFIG_ERROR, (int)code, "%s:%u: %s", reading->path, line, text)
                 : g_error_new(CONFIG_ERROR, (int)code, "%s: %s", reading->path, text));
}

/* Levenshtein distance: how many characters to type, drop or change. */
static size_t
distance(const char *a, const char *b)
{
    size_t width = strlen(b) + 1;
    g_autofree size_t *row = g_new(size_t, width);

    for (size_t j = 0; j < width; j++)
        row[j] = j;
    for (; *a != '\0'; a++) {
        size_t diagonal = row[0]++;

        for (size_t j = 1; j < width; j++) {
            size_t change = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[width - 1];
}

static const ConfigSetting *
find_setting(const char *section, const char *key)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        if ((section == NULL || strcmp(settings[i].section, section) == 0) &&
            (key == NULL || strcmp(settings[i].key, key) == 0))
            return &settings[i];
    }
    return NULL;
}

/* ": did you mean 'x'?", or what else helps with an unknown name; section NULL
 * when it is the section that is unknown. */
static char *
hint(const char *section, const char *name)
{
    size_t count = 0, best = MAX(2, strlen(name) / 3) + 1;
    const ConfigSetting *settings = config_settings(&count);
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        const char *candidate = section == NULL ? settings[i].section : settings[i].key;
        size_t d = 0;

        if (section != NULL && strcmp(settings[i].section, section) != 0)
            continue;
        d = distance(name, candidate);
        if (d < best) {
            best = d;
            nearest = candidate;
        }
    }
    if (section != NULL && find_setting(NULL, name) != NULL)
        return g_strdup_printf("; it belongs in [%s]", find_setting(NULL, name)->section);
    return nearest == NULL ? g_strdup("") : g_strdup_printf("; did you mean '%s'?", nearest);
}

/* The line as an Entry, NULL for a blank line or a comment. section is the
 * current one, and is replaced by a header. */
static Entry *
scan_line(char *line, unsigned number, char **section)
{
    char *text = g_strstrip(line);
    char *equals = strchr(text, '=');
    size_t len = strlen(text);
    Entry *entry = NULL;

    if (*text == '\0' || *text == '#')
        return NULL;
    entry = g_new0(Entry, 1);
    entry->line = number;
    if (*text == '[' && len > 2 && strcspn(text + 1, "[]") == len - 2) {
        g_free(*section);
        *section = g_strndup(text + 1, len - 2);
    } else if (equals != NULL && equals != text) {
        *equals = '\0';
        entry->key = g_strdup(g_strchomp(text));
    } else {
        return entry;
    }
    entry->section = g_strdup(*section);
    return entry;
}

/* What lodge init writes is comments, nearly all of it, and `deliver` reads it for each message. */
static bool
is_comment(const char *line)
{
    while (*line == ' ' || *line == '\t')
        line++;
    return *line == '#' || *line == '\n' || *line == '\0';
}

/* Appends the lines that say something to settings. */
static GPtrArray *
scan_lines(const char *text, GString *settings)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    g_autofree char *section = NULL;
    unsigned number = 1;

    for (const char *start = text, *end; *start != '\0'; start = end, number++) {
        end = strchrnul(start, '\n');
        end += *end != '\0' ? 1 : 0;
        if (is_comment(start))
            continue;
        g_string_append_len(settings, start, end - start);

        g_autofree char *line = g_strndup(start, (gsize)(end - start));
        Entry *entry = scan_line(line, number, &section);

        if (entry != NULL)
            g_ptr_array_add(entries, entry);
    }
    return g_steal_pointer(&entries);
}

/* Complains about what is not INI; what is left over is safe for GKeyFile. */
static bool
check_syntax(Reading *reading, GPtrArray *entries)
{
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = entries->pdata[i];

        if (entry->section == NULL && entry->key != NULL)
            complain(reading, entry->line, CONFIG_ERROR_FILE,
                     "'%s' stands before the first [section]", entry->key);
        else if (entry->section == NULL)
            complain(reading, entry->line, CONFIG_ERROR_FILE,
                     "expected 'key = value', '[section]' or '# comment'");
    }
    return reading->complaints->len == 0;
}

static void
apply_value(Reading *reading, const Entry *entry, GKeyFile *file)
{
    const ConfigSetting *setting = find_setting(entry->section, entry->key);
    g_autoptr(GError) error = NULL;

    if (setting == NULL) {
        g_autofree char *help = hint(entry->section, entry->key);

        complain(reading, entry->line, CONFIG_ERROR_UNKNOWN, "unknown setting '%s' in [%s]%s",
                 entry->key, entry->section, help);
        return;
    }
    g_autofree char *value = g_key_file_get_string(file, entry->section, entry->key, &error);
    if (value == NULL || !config_value_set(reading->config, setting, value, &error))
        complain(reading, entry->line, CONFIG_ERROR_VALUE, "%s.%s: %s", entry->section, entry->key,
                 error->message);
}

static void
apply_entry(Reading *reading, const Entry *entry, GKeyFile *file, GHashTable *seen)
{
    if (find_setting(entry->section, NULL) == NULL) {
        g_autofree char *help = hint(NULL, entry->section);

        if (entry->key == NULL)
            complain(reading, entry->line, CONFIG_ERROR_UNKNOWN, "unknown section [%s]%s",
                     entry->section, help);
        return;
    }
    if (entry->key == NULL)
        return;
    char *name = g_strdup_printf("%s.%s", entry->section, entry->key);
    unsigned first = GPOINTER_TO_UINT(g_hash_table_lookup(seen, name));
    if (first > 0) {
        complain(reading, entry->line, CONFIG_ERROR_VALUE, "%s is set twice, first in line %u",
                 name, first);
        g_free(name);
        return;
    }
    g_hash_table_insert(seen, name, GUINT_TO_POINTER(entry->line));
    apply_value(reading, entry, file);
}

static void
apply_text(Reading *reading, const char *text)
{
    g_autoptr(GString) settings = g_string_new(NULL);
    g_autoptr(GPtrArray) entries = scan_lines(text, settings);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GError) error = NULL;

    if (!check_syntax(reading, entries))
        return;
    if (settings->len > 0 &&
        !g_key_file_load_from_data(file, settings->str, settings->len, G_KEY_FILE_NONE, &error)) {
        complain(reading, 0, CONFIG_ERROR_FILE, "%s", error->message);
        return;
    }
    for (unsigned i = 0; i < entries->len; i++)
        apply_entry(reading, entries->pdata[i], file, seen);
}

/* One "section.key=value" from a command line, with the escapes of the file. */
static void
apply_override(Reading *reading, const char *text)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    const char *dot = strchr(text, '.');
    const char *equals = dot == NULL ? NULL : strchr(dot, '=');

    if (equals == NULL || dot == text || equals == dot + 1) {
        complain(reading, 0, CONFIG_ERROR_VALUE, "'%s' is not section.key=value", text);
        return;
    }
    g_autofree char *section = g_strstrip(g_strndup(text, (size_t)(dot - text)));
    g_autofree char *key = g_strstrip(g_strndup(dot + 1, (size_t)(equals - dot - 1)));
    const Entry entry = {.section = section, .key = key};
    if (find_setting(section, NULL) == NULL) {
        g_autofree char *help = hint(NULL, section);

        complain(reading, 0, CONFIG_ERROR_UNKNOWN, "unknown section [%s]%s", section, help);
        return;
    }
    g_key_file_set_value(file, section, key, equals + 1);
    apply_value(reading, &entry, file);
}

static void
apply_defaults(LdaConfig *config)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        bool ok = config_value_set(config, &settings[i], settings[i].default_text, NULL);

        g_assert(ok);
    }
}

/* How a folder is written depends on [mail] separator and prefix. */
static void
check_quota_rules(Reading *reading)
{
    const LdaConfig *config = reading->config;
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) rules = quota_rules_parse(config->quota.folders, &layout, &error);

    if (rules == NULL)
        complain(reading, 0, CONFIG_ERROR_VALUE, "quota.folders: %s", error->message);
}

/* What no setting alone can be blamed for. */
static void
check_together(Reading *reading)
{
    const LdaConfig *config = reading->config;

    if (config->lmtp.min_workers > config->lmtp.max_workers)
        complain(reading, 0, CONFIG_ERROR_VALUE,
                 "lmtp.min_workers (%" G_GUINT64_FORMAT ") is more than lmtp.max_workers "
                 "(%" G_GUINT64_FORMAT ")",
                 config->lmtp.min_workers, config->lmtp.max_workers);
    if (!outgoing_is_path_setting(config->sieve.redirect_envelope_from, true))
        complain(reading, 0, CONFIG_ERROR_VALUE,
                 "sieve.redirect_envelope_from: '%s' is not a sender",
                 config->sieve.redirect_envelope_from);
    if (!outgoing_is_path_setting(config->sieve.notify_envelope_from, false))
        complain(reading, 0, CONFIG_ERROR_VALUE, "sieve.notify_envelope_from: '%s' is not a sender",
                 config->sieve.notify_envelope_from);
    check_quota_rules(reading);
    if (config->sieve.chosen_engine == SIEVE_ENGINE_LIBSIEVE && !libsieve_is_built())
        complain(
            reading, 0, CONFIG_ERROR_VALUE,
            "sieve.engine: this lodge was built without libsieve; set engine = lodge, or build "
            "lodge again where libsieve2-dev is installed");
}

static void
read_file(Reading *reading, bool may_be_missing)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    size_t len = 0;

    if (!g_file_get_contents(reading->path, &text, &len, &error)) {
        int code = error->code;

        if (!may_be_missing || code != G_FILE_ERROR_NOENT)
            complain(reading, 0, CONFIG_ERROR_FILE, "cannot read it: %s",
                     code == G_FILE_ERROR_NOENT   ? "there is no such file"
                     : code == G_FILE_ERROR_ACCES ? "permission denied"
                                                  : error->message);
        return;
    }
    if (memchr(text, '\0', len) != NULL || !g_utf8_validate(text, (gssize)len, NULL))
        complain(reading, 0, CONFIG_ERROR_FILE, "not a text file in UTF-8");
    else
        apply_text(reading, text);
}

static void
read_all(Reading *reading, const char *path, const char *const *overrides)
{
    reading->path = path != NULL ? path : CONFIG_DEFAULT_PATH;
    reading->config = g_new0(LdaConfig, 1);
    reading->complaints = g_ptr_array_new_with_free_func((GDestroyNotify)g_error_free);
    apply_defaults(reading->config);
    read_file(reading, path == NULL);
    for (; overrides != NULL && *overrides != NULL; overrides++) {
        reading->path = "-o";
        apply_override(reading, *overrides);
    }
    g_assert(reading->config->sieve.program_dir != NULL); /* by default "" */
    reading->config->sieve.engine.programs = *reading->config->sieve.program_dir != '\0';
    reading->path = path != NULL ? path : CONFIG_DEFAULT_PATH;
    if (reading->complaints->len == 0)
        check_together(reading);
}

LdaConfig *
config_load(const char *path, const char *const *overrides, GError **error)
{
    Reading reading = {0};

    read_all(&reading, path, overrides);
    g_autoptr(LdaConfig) config = reading.config;
    g_autoptr(GPtrArray) complaints = reading.complaints;
    if (complaints->len > 0) {
        g_propagate_error(error, g_error_copy(complaints->pdata[0]));
        return NULL;
    }
    return g_steal_pointer(&config);
}

void
config_free(LdaConfig *config)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    if (config == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        config_value_clear(config, &settings[i]);
    g_free(config);
}

GPtrArray *
config_check(const char *path)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    Reading reading = {0};

    read_all(&reading, path, NULL);
    config_free(reading.config);
    g_autoptr(GPtrArray) complaints = reading.complaints;
    for (unsigned i = 0; i < complaints->len; i++) {
        const GError *complaint = complaints->pdata[i];

        g_ptr_array_add(lines, g_strdup(complaint->message));
    }
    return g_steal_pointer(&lines);
}

char *
config_format(const LdaConfig *config, size_t index)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);
    g_autofree char *value = config_value_format(config, &settings[index]);
    GString *text = g_string_new(NULL);

    g_assert(index < count);
    for (const char *p = value; *p != '\0'; p++) {
        const char *found = strchr("\n\r\t\\", *p);

        /* GKeyFile strips blanks at both ends, unless they are written \s. */
        if (*p == ' ' && (p == value || p[1] == '\0'))
            g_string_append(text, "\\s");
        else if (found != NULL)
            g_string_append_printf(text, "\\%c", "nrt\\"[found - "\n\r\t\\"]);
        else
            g_string_append_c(text, *p);
    }
    return g_string_free(text, FALSE);
}
