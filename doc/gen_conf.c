/* doc/gen_conf.c - writes the settings into lodge.conf(5)
 *
 *   gen_conf < lodge.conf.5.in > lodge.conf.5
 *
 * Run by the build. The line "@SETTINGS@" of the template becomes a subsection for
 * each section of the file and an item for each setting, from the table that the
 * parser itself walks (lda/config.h): the page cannot say anything else than the code.
 */
#include "lda/config.h"

/* Text as mdoc(7) may have it: no escapes, each sentence on a line of its own, and no
 * line that would be taken for a request. */
static char *
mdoc_escape(const char *text)
{
    GString *escaped = g_string_new(NULL);
    bool is_line_start = true;

    for (; *text != '\0'; text++) {
        bool is_sentence_end = text[0] == '.' && text[1] == ' ';

        if (is_line_start && (*text == '.' || *text == '\''))
            g_string_append(escaped, "\\&");
        if (*text == '\\')
            g_string_append(escaped, "\\e");
        else
            g_string_append_c(escaped, *text);
        if (is_sentence_end) {
            g_string_append_c(escaped, '\n');
            text++;
        }
        is_line_start = is_sentence_end;
    }
    return g_string_free(escaped, FALSE);
}

/* A macro's argument: in quotes, so that no word of it is taken for a macro. */
static char *
mdoc_quote(const char *text)
{
    g_autofree char *escaped = mdoc_escape(text);
    g_auto(GStrv) parts = g_strsplit(escaped, "\"", -1);
    g_autofree char *inner = g_strjoinv("\\(dq", parts);

    return g_strdup_printf("\"%s\"", inner);
}

static void
print_setting(const ConfigSetting *setting)
{
    g_autofree char *help = mdoc_escape(setting->help);
    g_autofree char *type = mdoc_escape(setting->type);
    g_autofree char *value = mdoc_quote(setting->default_text);

    printf(".It Ic %s\n%s\n.br\nValue: %s", setting->key, help, type);
    if (setting->kind == CONFIG_COUNT)
        printf(" from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, setting->min, setting->max);
    printf(".\n");
    if (*setting->default_text != '\0')
        printf("Default:\n.Ql %s .\n", value);
    else
        printf("Not set by default.\n");
}

static void
print_settings(void)
{
    size_t count;
    const ConfigSetting *settings = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        bool is_first = i == 0 || strcmp(settings[i].section, settings[i - 1].section) != 0;
        bool is_last = i + 1 == count || strcmp(settings[i].section, settings[i + 1].section) != 0;

        if (is_first)
            printf(".Ss Section [%s]\n.Bl -tag -width Ds\n", settings[i].section);
        print_setting(&settings[i]);
        if (is_last)
            printf(".El\n");
    }
}

int
main(void)
{
    char *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, stdin) > 0) {
        if (strcmp(line, "@SETTINGS@\n") == 0)
            print_settings();
        else
            fputs(line, stdout);
    }
    free(line);
    return ferror(stdin) != 0 || fflush(stdout) != 0;
}
