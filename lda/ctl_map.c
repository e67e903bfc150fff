/* lda/ctl_map.c - `lodge domain|user|alias|transport add|list|show|set|remove`
 *
 *   command's table --mapedit_columns()--> options, headings, JSON types
 *
 * One piece of code for four tables: which columns there are, and how each is
 * spoken of, is said by schema/mapedit.h. Forwardings and transports have one
 * column besides their key, which is therefore an argument and not an option.
 * A column that is secret is never shown, and given by ctl_read_password().
 */
#include "lda/ctl.h"

typedef struct {
    const MapeditColumn *columns;
    size_t count;
    GOptionEntry *entries; /* one for each column but the key, and the terminator */
    char **names;          /* of the options */
    char **texts;          /* what was given for each column; NULL: nothing */
    gboolean secret;       /* the option of the secret column was given */
} Form;

/* "quota_bytes" is --quota-bytes. */
static Form *
form_new(MapeditTable table, bool with_options)
{
    Form *form = g_new0(Form, 1);
    size_t entry = 0;

    form->columns = mapedit_columns(table, &form->count);
    form->entries = g_new0(GOptionEntry, form->count + 1);
    form->names = g_new0(char *, form->count + 1);
    form->texts = g_new0(char *, form->count + 1);
    for (size_t i = 1; with_options && i < form->count; i++) {
        static const char *const kinds[] = {"TEXT", "yes|no", "SIZE", "NUMBER"};
        const MapeditColumn *column = &form->columns[i];
        bool secret = column->type == MAPEDIT_SECRET;

        form->names[entry] = g_strdelimit(g_strdup(column->name), "_", '-');
        form->entries[entry] = (GOptionEntry){
            .long_name = form->names[entry],
            .arg = secret ? G_OPTION_ARG_NONE : G_OPTION_ARG_FILENAME,
            .arg_data = secret ? (void *)&form->secret : (void *)&form->texts[i],
            .description =
                secret ? "Ask for one, or read it as a line of standard input" : column->help,
            .arg_description = secret ? NULL : kinds[column->type],
        };
        entry++;
    }
    return form;
}

static void
form_free(Form *form)
{
    for (size_t i = 0; i < form->count; i++)
        g_free(form->texts[i]);
    g_free(form->texts);
    g_strfreev(form->names);
    g_free(form->entries);
    g_free(form);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Form, form_free)

/* What was given, as mapedit_add() and mapedit_set() want it. */
static GHashTable *
form_values(const Form *form, GError **error)
{
    g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);

    for (size_t i = 1; i < form->count; i++) {
        char *text = g_strdup(form->texts[i]);

        if (form->columns[i].type == MAPEDIT_SECRET && form->secret) {
            text = ctl_read_password(error);
            if (text == NULL)
                return NULL;
        }
        if (text != NULL)
            g_hash_table_insert(values, (void *)form->columns[i].name, text);
    }
    return g_steal_pointer(&values);
}

/* The one column besides the key, where there is only one. */
static bool
has_rest(MapeditTable table)
{
    return table == MAPEDIT_FORWARDINGS || table == MAPEDIT_TRANSPORT;
}

bool
ctl_is_own_schema(const LdaConfig *config)
{
    return strcmp(config->map.preset, "lodge") == 0 && *config->map.mailbox_query == '\0';
}

typedef Mapedit *OpenMap(const char *path, unsigned busy_timeout_ms, GError **error);

static Mapedit *
open_own_map(CtlContext *ctl, OpenMap *open_map, GError **error)
{
    const LdaConfig *config = ctl_config(ctl, error);

    if (config == NULL)
        return NULL;
    if (!ctl_is_own_schema(config)) {
        g_set_error(error, MAILMAP_ERROR, MAILMAP_ERROR_REFUSED,
                    "'%s' has a schema that is not lodge's ([map] preset, mailbox_query); its rows "
                    "are looked after by the program it belongs to",
                    config->map.path);
        return NULL;
    }
    return open_map(config->map.path, (unsigned)config->map.busy_timeout * 1000, error);
}

Mapedit *
ctl_open_map(CtlContext *ctl, GError **error)
{
    return open_own_map(ctl, mapedit_open, error);
}

Mapedit *
ctl_read_map(CtlContext *ctl, GError **error)
{
    return open_own_map(ctl, mapedit_open_reading, error);
}

typedef bool Change(Mapedit *edit, MapeditTable table, const char *key, GHashTable *values,
                    GError **error);

static int
change_row(CtlContext *ctl, const char *key, GHashTable *values, Change *change)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mapedit) edit = ctl_open_map(ctl, &error);

    if (edit == NULL || !change(edit, (MapeditTable)ctl->command->table, key, values, &error))
        return ctl_fail(ctl, error);
    return CTL_OK;
}

/* add and set differ in what they call, and in that set must be told something. */
static int
add_or_set(CtlContext *ctl, int argc, char **argv, Change *change)
{
    MapeditTable table = (MapeditTable)ctl->command->table;
    bool rest = has_rest(table);
    int most = table == MAPEDIT_FORWARDINGS ? G_MAXINT : rest ? 2 : 1;
    g_autoptr(Form) form = form_new(table, !rest);
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, form->entries, rest ? 2 : 1, most, &status))
        return status;
    if (rest)
        form->texts[1] = g_strjoinv(", ", argv + 2);
    g_autoptr(GHashTable) values = form_values(form, &error);
    if (values == NULL)
        return ctl_fail(ctl, error);
    if (change == mapedit_set && g_hash_table_size(values) == 0)
        return ctl_usage(ctl, "nothing to set");
    return change_row(ctl, argv[1], values, change);
}

int
ctl_map_add(CtlContext *ctl, int argc, char **argv)
{
    return add_or_set(ctl, argc, argv, mapedit_add);
}

int
ctl_map_set(CtlContext *ctl, int argc, char **argv)
{
    return add_or_set(ctl, argc, argv, mapedit_set);
}

int
ctl_map_remove(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 1, 1, &status))
        return status;
    g_autoptr(Mapedit) edit = ctl_open_map(ctl, &error);
    if (edit == NULL || !mapedit_remove(edit, (MapeditTable)ctl->command->table, argv[1], &error))
        return ctl_fail(ctl, error);
    return CTL_OK;
}

int
ctl_user_password(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 1, 1, &status))
        return status;
    char *hash = ctl_read_password(&error);
    if (hash == NULL)
        return ctl_fail(ctl, error);
    g_hash_table_insert(values, (void *)"password", hash);
    return change_row(ctl, argv[1], values, mapedit_set);
}

static void
append_json_value(GString *out, const MapeditColumn *column, const char *value)
{
    if (value != NULL && column->type == MAPEDIT_YES_NO)
        ctl_json_raw(out, column->name, strcmp(value, "yes") == 0 ? "true" : "false");
    else if (value != NULL && (column->type == MAPEDIT_SIZE || column->type == MAPEDIT_NUMBER))
        ctl_json_raw(out, column->name, value);
    else
        ctl_json_text(out, column->name, value);
}

static void
append_json_row(GString *out, const MapeditColumn *columns, size_t count, char **row)
{
    ctl_json_raw(out, NULL, "{");
    for (size_t i = 0; i < count; i++)
        append_json_value(out, &columns[i], row[i]);
    g_string_append_c(out, '}');
}

/* A cell as people read it: a size with its unit. Free with g_free(). */
static char *
cell_text(const MapeditColumn *column, const char *value)
{
    guint64 size = 0;

    if (value == NULL)
        return g_strdup("-");
    if (column->type == MAPEDIT_SIZE &&
        g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, &size, NULL))
        return ctl_format_size(size);
    return g_strdup(value);
}

/* The width of a column, its heading included; 0 when no row has anything in it. */
static int
width_of(const MapeditColumn *column, GPtrArray *rows, size_t index)
{
    glong width = 0;

    for (unsigned i = 0; i < rows->len; i++) {
        const char *value = ((char **)rows->pdata[i])[index];
        g_autofree char *text = cell_text(column, value);

        if (value != NULL)
            width = MAX(width, MAX(g_utf8_strlen(text, -1), (glong)strlen(column->name)));
    }
    return (int)width;
}

static void
append_cell(GString *out, const char *text, int width)
{
    g_string_append_printf(out, "%s%*s", text, width - (int)g_utf8_strlen(text, -1) + 2, "");
}

static void
end_line(GString *out)
{
    while (out->len > 0 && out->str[out->len - 1] == ' ')
        g_string_truncate(out, out->len - 1);
    g_string_append_c(out, '\n');
}

/* Aligned, with the columns that at least one row fills. */
static void
append_table(GString *out, const MapeditColumn *columns, size_t count, GPtrArray *rows)
{
    g_autofree int *widths = g_new(int, count);

    for (size_t i = 0; i < count; i++) {
        widths[i] = width_of(&columns[i], rows, i);
        if (widths[i] > 0)
            append_cell(out, columns[i].name, widths[i]);
    }
    end_line(out);
    for (unsigned r = 0; r < rows->len; r++) {
        for (size_t i = 0; i < count; i++) {
            g_autofree char *text = cell_text(&columns[i], ((char **)rows->pdata[r])[i]);

            if (widths[i] > 0)
                append_cell(out, text, widths[i]);
        }
        end_line(out);
    }
}

int
ctl_map_list(CtlContext *ctl, int argc, char **argv)
{
    MapeditTable table = (MapeditTable)ctl->command->table;
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;
    size_t count = 0;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 0, 1, &status))
        return status;
    g_autoptr(Mapedit) edit = ctl_open_map(ctl, &error);
    g_autoptr(GPtrArray) rows =
        edit == NULL ? NULL : mapedit_list(edit, table, NULL, argc > 1 ? argv[1] : NULL, &error);
    if (rows == NULL)
        return ctl_fail(ctl, error);
    const MapeditColumn *columns = mapedit_columns(table, &count);
    g_autoptr(GString) out = g_string_new(ctl->json ? "[" : NULL);
    for (unsigned i = 0; ctl->json && i < rows->len; i++)
        append_json_row(out, columns, count, rows->pdata[i]);
    if (ctl->json)
        g_string_append_c(out, ']');
    else if (rows->len > 0)
        append_table(out, columns, count, rows);
    return out->len == 0 ? CTL_OK : ctl_print(ctl, g_strchomp(out->str));
}

int
ctl_map_show(CtlContext *ctl, int argc, char **argv)
{
    MapeditTable table = (MapeditTable)ctl->command->table;
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;
    size_t count = 0;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 1, 1, &status))
        return status;
    g_autoptr(Mapedit) edit = ctl_open_map(ctl, &error);
    g_autoptr(GPtrArray) rows =
        edit == NULL ? NULL : mapedit_list(edit, table, argv[1], NULL, &error);
    if (rows == NULL)
        return ctl_fail(ctl, error);
    const MapeditColumn *columns = mapedit_columns(table, &count);
    char **row = rows->pdata[0];
    g_autoptr(GString) out = g_string_new(NULL);
    if (ctl->json)
        append_json_row(out, columns, count, row);
    for (size_t i = 0; !ctl->json && i < count; i++) {
        g_autofree char *text = cell_text(&columns[i], row[i]);

        g_string_append_printf(out, "%-19s %s\n", columns[i].name, text);
    }
    return ctl_print(ctl, g_strchomp(out->str));
}
