/* quota/rules.c - what the rules say about one folder; see rules.h
 *
 * Patterns are matched here and not by fnmatch(3): folder names are made by users and scripts,
 * and this one needs no more than length times length steps for any of them.
 */
#include "quota/rules.h"

bool
quota_pattern_matches(const char *pattern, const char *name)
{
    const char *star = NULL; /* the last '*', and what it was taken to end before */
    const char *resume = NULL;

    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

/* The first that matches, or NULL. */
static const QuotaFolderRule *
rule_for(const QuotaSettings *settings, const char *directory)
{
    for (size_t i = 0; i < settings->folder_count; i++) {
        if (quota_pattern_matches(settings->folders[i].pattern, directory))
            return &settings->folders[i];
    }
    return NULL;
}

bool
quota_folder_counts(const QuotaSettings *settings, const char *directory)
{
    const QuotaFolderRule *rule = rule_for(settings, directory);

    if (settings->ignore_trash && strcmp(directory, ".Trash") == 0)
        return false;
    return rule == NULL || !rule->is_ignored;
}

guint64
quota_add(guint64 a, guint64 b)
{
    guint64 sum;

    return __builtin_add_overflow(a, b, &sum) ? G_MAXINT64 : MIN(sum, G_MAXINT64);
}

guint64
quota_allowed_octets(const QuotaSettings *settings, const char *directory)
{
    const QuotaFolderRule *rule = rule_for(settings, directory);
    guint64 limit = settings->limits.octets;
    guint64 allowed = quota_add(limit, settings->grace);

    if (limit == 0)
        return 0;
    if (rule != NULL) {
        allowed = quota_add(allowed, rule->extra_octets);
        /* Divided first where the product would not fit: exact wherever it matters. */
        allowed = quota_add(allowed, rule->extra_percent == 0 ? 0
                                     : limit <= G_MAXINT64 / rule->extra_percent
                                         ? limit * rule->extra_percent / 100
                                         : limit / 100 * rule->extra_percent);
    }
    return allowed;
}

guint64
quota_folder_limit(const QuotaSettings *settings, const char *directory)
{
    const QuotaFolderRule *rule = rule_for(settings, directory);

    return rule != NULL ? rule->max_octets : 0;
}
