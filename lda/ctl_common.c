/* lda/ctl_common.c - options, errors and output of the subcommands; see ctl.h
 *
 * Options are GLib's GOption, whose --help is built from the entries. Strings
 * are taken as bytes (file names, in GOption's words), since an address or a
 * password must not depend on the locale of whoever types it.
 */
#include "lda/ctl.h"

#include "lda/log_line.h"

static gboolean
add_override(const char *option, const char *value, void *data, GError **error)
{
    CtlContext *ctl = data;

    (void)option;
    (void)error;
    g_ptr_array_add(ctl->overrides, g_strdup(value));
    return TRUE;
}

static gboolean
set_config_path(const char *option, const char *value, void *data, GError **error)
{
    CtlContext *ctl = data;

    (void)option;
    (void)error;
    g_free(ctl->config_path);
    ctl->config_path = g_strdup(value);
    return TRUE;
}

GOptionGroup *
ctl_common_options(CtlContext *ctl)
{
    GOptionGroup *group = g_option_group_new("", "", "", ctl, NULL);
    const GOptionEntry entries[] = {
        {"config", 'c', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, (void *)set_config_path,
         "Configuration file, instead of " CONFIG_DEFAULT_PATH, "FILE"},
        {"option", 'o', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, (void *)add_override,
         "Override a setting of the configuration", "section.key=value"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &ctl->json, "Print data as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };

    g_option_group_add_entries(group, entries);
    return group;
}

static char *
command_name(const CtlContext *ctl)
{
    const CtlCommand *command = ctl->command;

    if (command == NULL)
        return g_strdup("lodge");
    return g_strjoin(" ", "lodge", command->noun, command->verb, NULL);
}

int
ctl_usage(const CtlContext *ctl, const char *format, ...)
{
    g_autofree char *name = command_name(ctl);
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    (void)fprintf(stderr, "%s: %s\nSee %s --help.\n", name, text, name);
    return CTL_USAGE;
}

int
ctl_fail(const CtlContext *ctl, const GError *error)
{
    g_autofree char *name = command_name(ctl);

    (void)fprintf(stderr, "%s: %s\n", name, error->message);
    return g_error_matches(error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE) ? CTL_TEMPORARY
                                                                            : CTL_REFUSED;
}

bool
ctl_parse(CtlContext *ctl, int *argc, char ***argv, const GOptionEntry *own, int min, int max,
          int *status_out)
{
    g_autoptr(GOptionContext) options = g_option_context_new(ctl->command->arguments);
    g_autofree char *name = command_name(ctl);
    g_autoptr(GError) error = NULL;
    GOptionGroup *group = ctl_common_options(ctl);
    gboolean help = FALSE;
    const GOptionEntry help_entries[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this text", NULL},
        G_OPTION_ENTRY_NULL,
    };

    g_option_group_add_entries(group, help_entries);
    if (own != NULL)
        g_option_group_add_entries(group, own);
    g_option_context_set_help_enabled(options, FALSE);
    g_option_context_set_main_group(options, group);
    g_option_context_set_summary(options, ctl->command->help);
    g_set_prgname(name);
    if (!g_option_context_parse(options, argc, argv, &error)) {
        *status_out = ctl_usage(ctl, "%s", error->message);
        return false;
    }
    /* GOption leaves the "--" that ended the options in place. */
    if (*argc > 1 && strcmp((*argv)[1], "--") == 0) {
        (*argv)[1] = (*argv)[0];
        (*argv)++;
        (*argc)--;
    }
    if (help) {
        g_autofree char *text = g_option_context_get_help(options, TRUE, NULL);

        *status_out = ctl_print(ctl, g_strchomp(text));
        return false;
    }
    if (*argc - 1 < min || *argc - 1 > max) {
        *status_out = *argc - 1 < min ? ctl_usage(ctl, "expected %s", ctl->command->arguments)
                                      : ctl_usage(ctl, "unexpected '%s'", (*argv)[max + 1]);
        return false;
    }
    return true;
}

const char *const *
ctl_overrides(CtlContext *ctl)
{
    /* A terminator that the next -o would have to come before; there is none by now. */
    if (ctl->overrides->len == 0 || ctl->overrides->pdata[ctl->overrides->len - 1] != NULL)
        g_ptr_array_add(ctl->overrides, NULL);
    return (const char *const *)ctl->overrides->pdata;
}

const LdaConfig *
ctl_config(CtlContext *ctl, GError **error)
{
    if (ctl->config == NULL)
        ctl->config = config_load(ctl->config_path, ctl_overrides(ctl), error);
    return ctl->config;
}

static void
json_name(GString *json, const char *name)
{
    if (json->len > 0 && strchr("{[", json->str[json->len - 1]) == NULL)
        g_string_append_c(json, ',');
    if (name != NULL)
        g_string_append_printf(json, "\"%s\":", name);
}

void
ctl_json_raw(GString *json, const char *name, const char *raw)
{
    json_name(json, name);
    g_string_append(json, raw);
}

void
ctl_json_text(GString *json, const char *name, const char *text)
{
    json_name(json, name);
    if (text == NULL)
        g_string_append(json, "null");
    else
        log_append_json(json, text);
}

char *
ctl_format_size(guint64 octets)
{
    size_t unit = 0;

    while (unit < 4 && octets > 0 && octets % 1024 == 0) {
        octets /= 1024;
        unit++;
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT "%.1s", octets, &"\0KMGT"[unit]);
}

int
ctl_print(const CtlContext *ctl, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (fputs(text, stdout) != EOF && fputc('\n', stdout) != EOF && fflush(stdout) == 0)
        return CTL_OK;
    (void)lodge_set_errno(&error, "write the output");
    return ctl_fail(ctl, error);
}
