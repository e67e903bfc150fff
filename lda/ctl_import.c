/* lda/ctl_import.c - `lodge import`: another program's tables, from mysqldump
 *
 *   FILE --mysqldump_parse()--> tables --import_tables()--> one transaction --> summary
 *
 * All or nothing. A dry run is the same run without its COMMIT, so that it refuses
 * just what the real one would.
 */
#include "lda/ctl.h"

#include "schema/import.h"
#include "schema/mysqldump.h"

static const struct {
    MapeditTable table;
    const char *name;
} tables[] = {
    {MAPEDIT_DOMAINS, "domains"},
    {MAPEDIT_USERS, "users"},
    {MAPEDIT_FORWARDINGS, "forwardings"},
    {MAPEDIT_TRANSPORT, "transport"},
};

/* "file:12: text" where the text began with "line 12: ". */
static void
name_file(GError **error, const char *path)
{
    static const char line[] = "line ";
    g_autofree char *text = g_strdup((*error)->message);

    g_free((*error)->message);
    if (g_str_has_prefix(text, line))
        (*error)->message = g_strconcat(path, ":", text + strlen(line), NULL);
    else
        (*error)->message = g_strconcat(path, ": ", text, NULL);
}

static GPtrArray *
parse_dump(GMappedFile *file, const char *path, GError **error)
{
    const char *bytes = g_mapped_file_get_contents(file);
    size_t len = g_mapped_file_get_length(file);
    GPtrArray *dump = mysqldump_parse(bytes != NULL ? bytes : "", len, error);

    if (dump == NULL)
        name_file(error, path);
    return dump;
}

static ImportSummary *
run_import(CtlContext *ctl, const char *path, bool dry_run, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    g_autoptr(GPtrArray) dump = file != NULL ? parse_dump(file, path, error) : NULL;
    g_autoptr(Mapedit) edit = dump != NULL ? ctl_open_map(ctl, error) : NULL;

    if (edit == NULL || !mapedit_begin(edit, error))
        return NULL;

    g_autoptr(ImportSummary) summary = import_tables(edit, dump, error);

    if (summary == NULL) {
        if (!g_error_matches(*error, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE))
            name_file(error, path);
        return NULL;
    }
    if (!mysqldump_is_complete(g_mapped_file_get_contents(file), g_mapped_file_get_length(file)))
        g_ptr_array_add(summary->notes, g_strdup("the dump does not end in \"Dump completed\": "
                                                 "it may be cut off"));
    /* Without COMMIT closing the map takes everything back. */
    return dry_run || mapedit_commit(edit, error) ? g_steal_pointer(&summary) : NULL;
}

static char *
as_text(const ImportSummary *summary, const char *path, bool dry_run)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (guint i = 0; dry_run && i < summary->changes->len; i++)
        g_string_append_printf(out, "would add %s\n", (char *)summary->changes->pdata[i]);
    for (guint i = 0; i < summary->notes->len; i++)
        g_string_append_printf(out, "note: %s\n", (char *)summary->notes->pdata[i]);
    g_string_append_printf(out, "%s: %s, ", path, summary->schema);
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        g_string_append_printf(out, "%s%s %u", i > 0 ? ", " : "", tables[i].name,
                               summary->added[tables[i].table]);
    g_string_append(out, dry_run ? "; dry run, nothing was changed" : "; imported");
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
append_list(GString *out, const char *name, const GPtrArray *list)
{
    ctl_json_raw(out, name, "[");
    for (guint i = 0; i < list->len; i++)
        ctl_json_text(out, NULL, list->pdata[i]);
    g_string_append_c(out, ']');
}

static char *
as_json(const ImportSummary *summary, const char *path, bool dry_run)
{
    g_autoptr(GString) out = g_string_new("{");

    ctl_json_text(out, "file", path);
    ctl_json_text(out, "schema", summary->schema);
    ctl_json_raw(out, "dry_run", dry_run ? "true" : "false");
    ctl_json_raw(out, "added", "{");
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *count = g_strdup_printf("%u", summary->added[tables[i].table]);

        ctl_json_raw(out, tables[i].name, count);
    }
    g_string_append_c(out, '}');
    append_list(out, "changes", summary->changes);
    append_list(out, "notes", summary->notes);
    g_string_append_c(out, '}');
    return g_string_free(g_steal_pointer(&out), FALSE);
}

int
ctl_import(CtlContext *ctl, int argc, char **argv)
{
    gboolean dry_run = FALSE;
    const GOptionEntry entries[] = {
        {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run, "Show what would be done; change nothing",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, entries, 1, 1, &status))
        return status;

    g_autoptr(ImportSummary) summary = run_import(ctl, argv[1], dry_run, &error);

    if (summary == NULL)
        return ctl_fail(ctl, error);

    g_autofree char *text =
        ctl->json ? as_json(summary, argv[1], dry_run) : as_text(summary, argv[1], dry_run);

    return ctl_print(ctl, text);
}
