/* lda/quota_rules.c - [quota] folders; see quota_rules.h
 *
 *   "Lists.Käse=+50M" --> pattern ".Lists.K&AOQ-se", extra_octets 52428800
 *
 * Patterns are matched with the names of directories, which have what is not ASCII in modified
 * UTF-7: whole runs of such characters become one piece, so that a wildcard in the midst of one
 * could not be told what it stands for. It is refused, not guessed.
 */
#include "lda/quota_rules.h"

#include "lda/config_value.h"
#include "lda/outcome.h"

G_GNUC_PRINTF(3, 4)
static bool
refuse(GError **error, const char *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *why = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "rule '%s': %s", text, why);
    return false;
}

/* ---- the folder ----------------------------------------------------------- */

static bool
is_wildcard(char c)
{
    return c == '*' || c == '?';
}

static bool
check_wildcards(const char *text, const char *folder, GError **error)
{
    for (const char *p = folder; *p != '\0'; p++) {
        bool beside = (p > folder && ((guchar)p[-1] & 0x80)) || ((guchar)p[1] & 0x80);

        if (is_wildcard(*p) && beside)
            return refuse(error, text, "'%c' cannot stand beside a character that is not ASCII",
                          *p);
    }
    return true;
}

static char *
parse_folder(const char *text, const char *folder, const MaildirLayout *layout, GError **error)
{
    g_autoptr(GError) why = NULL;
    char *directory;

    if (!check_wildcards(text, folder, error))
        return NULL;
    if (strcmp(folder, "*") == 0)
        return g_strdup("*");
    directory = maildir_folder_to_directory(layout, folder, &why);
    if (directory == NULL)
        (void)refuse(error, text, "%s", why->message);
    return directory;
}

/* ---- the rule ------------------------------------------------------------- */

static bool
parse_extra(const char *word, QuotaFolderRule *rule)
{
    size_t len = strlen(word);
    g_autofree char *number = NULL;
    guint64 percent = 0;

    if (len == 0 || word[len - 1] != '%')
        return config_parse_size(word, &rule->extra_octets);
    number = g_strndup(word, len - 1);
    if (!g_ascii_string_to_unsigned(number, 10, 0, 1000, &percent, NULL))
        return false;
    rule->extra_percent = (unsigned)percent;
    return true;
}

/* One word of the rule; "max" takes the one behind it too. Returns how many it took, 0 when it
 * means nothing. */
static size_t
parse_word(char *const *words, QuotaFolderRule *rule)
{
    if (g_ascii_strcasecmp(words[0], "ignore") == 0) {
        rule->is_ignored = true;
        return 1;
    }
    if (words[0][0] == '+')
        return parse_extra(words[0] + 1, rule) ? 1 : 0;
    if (g_ascii_strcasecmp(words[0], "max") == 0 && words[1] != NULL)
        return config_parse_size(words[1], &rule->max_octets) && rule->max_octets > 0 ? 2 : 0;
    return 0;
}

static bool
parse_rule(const char *text, const char *words_text, QuotaFolderRule *rule, GError **error)
{
    g_autofree char *stripped = g_strstrip(g_strdup(words_text));
    g_auto(GStrv) words = g_regex_split_simple("[ \t]+", stripped, 0, 0);
    size_t taken = 0;

    for (size_t i = 0; i == 0 || words[i] != NULL; i += taken) {
        taken = words[i] != NULL ? parse_word(words + i, rule) : 0;
        if (taken == 0)
            return refuse(error, text, "'%s' is none of ignore, +SIZE, +PERCENT%% and max SIZE",
                          stripped);
    }
    if (rule->is_ignored &&
        (rule->extra_octets > 0 || rule->extra_percent > 0 || rule->max_octets > 0))
        return refuse(error, text, "what is ignored has no limit to change");
    return true;
}

/* ---- all ------------------------------------------------------------------ */

static bool
parse_one(const char *text, const MaildirLayout *layout, QuotaFolderRule *rule, GError **error)
{
    const char *equals = strrchr(text, '=');
    g_autofree char *folder = NULL;

    if (equals == NULL)
        return refuse(error, text, "it must be folder=rule");
    if (!parse_rule(text, equals + 1, rule, error))
        return false;
    folder = g_strstrip(g_strndup(text, (gsize)(equals - text)));
    rule->pattern = parse_folder(text, folder, layout, error);
    return rule->pattern != NULL;
}

static void
clear_rule(void *rule)
{
    g_free((char *)((QuotaFolderRule *)rule)->pattern);
}

GArray *
quota_rules_parse(char *const *texts, const MaildirLayout *layout, GError **error)
{
    g_autoptr(GArray) rules = g_array_new(FALSE, FALSE, sizeof(QuotaFolderRule));

    g_array_set_clear_func(rules, clear_rule);
    for (; *texts != NULL; texts++) {
        QuotaFolderRule rule = {0};

        if (!parse_one(*texts, layout, &rule, error))
            return NULL;
        g_array_append_val(rules, rule);
    }
    return g_steal_pointer(&rules);
}
