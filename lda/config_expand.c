/* lda/config_expand.c - %u, %n, %d and %h in paths; see config.h
 *
 * The only place where a name from outside (a recipient's local part and domain)
 * becomes part of a path, and therefore the place that refuses the names that
 * would lead somewhere else.
 */
#include "lda/config.h"

static char *
value_of(char letter, const char *user, const char *home)
{
    const char *at = strrchr(user, '@');

    switch (letter) {
    case 'u':
        return g_strdup(user);
    case 'n':
        return g_strndup(user, at == NULL ? strlen(user) : (size_t)(at - user));
    case 'd':
        return g_strdup(at == NULL ? "" : at + 1);
    case 'h':
        return g_strdup(home);
    case '%':
        return g_strdup("%");
    default:
        return NULL;
    }
}

/* Home is a path made here or by the administrator; the others are one name. */
static bool
is_safe(char letter, const char *value)
{
    return letter == 'h' ||
           (strchr(value, '/') == NULL && strcmp(value, ".") != 0 && strcmp(value, "..") != 0);
}

char *
config_expand(const char *text, const char *user, const char *home, GError **error)
{
    g_autoptr(GString) expanded = g_string_new(NULL);

    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '%') {
            g_string_append_c(expanded, *p);
            continue;
        }
        g_autofree char *value = value_of(p[1], user, home);
        if (value == NULL) {
            g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                        "'%s' has a %% that is not %%u, %%n, %%d%s or %%%%", text,
                        home == NULL ? "" : ", %h");
            return NULL;
        }
        if (!is_safe(p[1], value)) {
            g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE,
                        "'%s' cannot be part of a path: it is needed for %%%c in '%s'", value, p[1],
                        text);
            return NULL;
        }
        g_string_append(expanded, value);
        p++;
    }
    return g_string_free(g_steal_pointer(&expanded), FALSE);
}
