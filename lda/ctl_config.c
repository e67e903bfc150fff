/* lda/ctl_config.c - `lodge config`: what holds, and what is wrong
 *
 *   lodge config [-n] [section.key]     effective values, as a file that can be used again
 *   lodge config check                  every complaint about the file
 */
#include "lda/ctl.h"

static bool
is_default(const LdaConfig *config, size_t index)
{
    size_t count = 0;
    g_autofree char *value = config_format(config, index);

    return strcmp(value, config_settings(&count)[index].default_text) == 0;
}

static void
append_json(GString *out, const ConfigSetting *setting, const char *value)
{
    ctl_json_raw(out, NULL, "{");
    ctl_json_text(out, "section", setting->section);
    ctl_json_text(out, "key", setting->key);
    ctl_json_text(out, "value", value);
    ctl_json_text(out, "default", setting->default_text);
    ctl_json_text(out, "type", setting->type);
    ctl_json_text(out, "help", setting->help);
    g_string_append_c(out, '}');
}

static char *
list_settings(const LdaConfig *config, bool json, bool changed_only)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);
    GString *out = g_string_new(json ? "[" : NULL);
    const char *section = "";

    for (size_t i = 0; i < count; i++) {
        g_autofree char *value = config_format(config, i);

        if (changed_only && is_default(config, i))
            continue;
        if (json) {
            append_json(out, &settings[i], value);
            continue;
        }
        if (strcmp(section, settings[i].section) != 0)
            g_string_append_printf(out, "%s[%s]\n", out->len > 0 ? "\n" : "", settings[i].section);
        section = settings[i].section;
        g_string_append_printf(out, "%s =%s%s\n", settings[i].key, *value == '\0' ? "" : " ",
                               value);
    }
    if (json)
        g_string_append_c(out, ']');
    return g_strchomp(g_string_free(out, FALSE));
}

static int
print_one(const CtlContext *ctl, const char *name)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *full = g_strconcat(settings[i].section, ".", settings[i].key, NULL);
        g_autofree char *value = config_format(ctl->config, i);

        if (strcmp(full, name) != 0)
            continue;
        if (ctl->json) {
            g_autoptr(GString) out = g_string_new(NULL);

            append_json(out, &settings[i], value);
            return ctl_print(ctl, out->str);
        }
        return ctl_print(ctl, value);
    }
    return ctl_usage(ctl, "there is no setting '%s'", name);
}

int
ctl_config_list(CtlContext *ctl, int argc, char **argv)
{
    gboolean changed_only = FALSE;
    const GOptionEntry entries[] = {
        {"non-default", 'n', 0, G_OPTION_ARG_NONE, &changed_only, "Only what is not the default",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, entries, 0, 1, &status))
        return status;
    const LdaConfig *config = ctl_config(ctl, &error);
    if (config == NULL)
        return ctl_fail(ctl, error);
    if (argc > 1)
        return print_one(ctl, argv[1]);
    g_autofree char *text = list_settings(config, ctl->json, changed_only);
    return *text == '\0' ? CTL_OK : ctl_print(ctl, text);
}

int
ctl_config_check(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 0, 0, &status))
        return status;
    g_autoptr(GPtrArray) complaints = config_check(ctl->config_path);
    if (complaints->len == 0 && ctl_config(ctl, &error) == NULL) /* an -o option */
        g_ptr_array_add(complaints, g_strdup(error->message));
    g_autoptr(GString) out = g_string_new(ctl->json ? "[" : NULL);
    for (unsigned i = 0; i < complaints->len; i++) {
        if (ctl->json)
            ctl_json_text(out, NULL, complaints->pdata[i]);
        else
            g_string_append_printf(out, "%s%s", i > 0 ? "\n" : "", (char *)complaints->pdata[i]);
    }
    if (ctl->json)
        g_string_append_c(out, ']');
    if (out->len > 0)
        status = ctl_print(ctl, out->str);
    return status == CTL_OK && complaints->len > 0 ? CTL_REFUSED : status;
}
