/* lda/ctl_sieve_lint.c - `lodge sieve lint [USER...]`: which scripts would fail?
 *
 *   every user of the map --> active script, and all of the directory --> complaints, counted
 *
 * For the day before a migration: all errors with user, file and line, and then each kind of
 * error (an extension that is not known, most of all) with how often it was met.
 */
#include "lda/ctl_sieve_user.h"

#include "lda/ctl_sieve.h"

typedef struct {
    CtlContext *ctl;
    const LdaConfig *config;
    Mailmap *map;
    GString *text;
    GString *json;
    GHashTable *counts; /* text of an error -> how often */
    guint64 users, scripts, bad;
} Lint;

static void
count_error(Lint *lint, const char *text)
{
    size_t count = GPOINTER_TO_SIZE(g_hash_table_lookup(lint->counts, text));

    g_hash_table_insert(lint->counts, g_strdup(text), GSIZE_TO_POINTER(count + 1));
}

static void
add_error(Lint *lint, const UserScripts *scripts, const SieveComplaint *complaint)
{
    const char *user = scripts->mailbox->user;

    count_error(lint, complaint->text);
    g_string_append_printf(lint->text, "%s: %s:%u: error: %s\n", user, complaint->script,
                           complaint->line, complaint->text);
    ctl_json_raw(lint->json, NULL, "{");
    ctl_json_text(lint->json, "user", user);
    ctl_json_text(lint->json, "script", complaint->script);
    trial_json_number(lint->json, "line", complaint->line);
    trial_json_number(lint->json, "column", complaint->column);
    ctl_json_text(lint->json, "message", complaint->text);
    g_string_append_c(lint->json, '}');
}

/* A script that cannot be read is an error of its own. */
static void
lint_file(Lint *lint, const UserScripts *scripts, const char *path)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) complaints = NULL;
    size_t len = 0;

    lint->scripts++;
    if (g_file_get_contents(path, &text, &len, &error)) {
        complaints = user_scripts_check(scripts, lint->config, path, text, len);
    } else {
        complaints = sieve_complaints_new();
        g_ptr_array_add(complaints, trial_complaint_new(true, path, 0, error->message));
    }
    if (sieve_complaints_errors(complaints) > 0)
        lint->bad++;
    for (unsigned i = 0; i < complaints->len; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];

        if (complaint->is_error)
            add_error(lint, scripts, complaint);
    }
}

static bool
lint_files(Lint *lint, const UserScripts *scripts, GError **error)
{
    g_autoptr(GPtrArray) names = user_scripts_list(scripts, error);
    g_autofree char *active = user_scripts_active(scripts);

    if (names == NULL)
        return false;
    for (unsigned i = 0; i < names->len; i++) {
        g_autofree char *path =
            g_strdup_printf("%s/%s.sieve", scripts->directory, (char *)names->pdata[i]);

        lint_file(lint, scripts, path);
    }
    if (active == NULL && g_file_test(scripts->active, G_FILE_TEST_EXISTS))
        lint_file(lint, scripts, scripts->active); /* no link, or one to elsewhere */
    return true;
}

static bool
lint_user(Lint *lint, const char *address, GError **error)
{
    g_autoptr(UserScripts) scripts = user_scripts_find(lint->config, lint->map, address, error);

    if (scripts == NULL)
        return false;
    lint->users++;
    if (scripts->owner != NULL && !privileges_borrow(scripts->owner, error))
        return false;
    bool done = lint_files(lint, scripts, error);
    if (scripts->owner != NULL)
        privileges_return();
    return done;
}

static bool
lint_all(Lint *lint, GError **error)
{
    g_autoptr(Mapedit) edit = ctl_read_map(lint->ctl, error);
    g_autoptr(GPtrArray) rows =
        edit == NULL ? NULL : mapedit_list(edit, MAPEDIT_USERS, NULL, NULL, error);

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows->len; i++) {
        const char *address = ((char **)rows->pdata[i])[0];
        g_autoptr(GError) failure = NULL;

        if (lint_user(lint, address, &failure))
            continue;
        if (g_error_matches(failure, MAILMAP_ERROR, MAILMAP_ERROR_UNAVAILABLE)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        if (!g_error_matches(failure, MAILMAP_ERROR, MAILMAP_ERROR_INACTIVE))
            g_string_append_printf(lint->text, "%s: %s\n", address, failure->message);
    }
    return true;
}

static int
compare_counts(const void *a, const void *b, void *counts)
{
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    size_t left_count = GPOINTER_TO_SIZE(g_hash_table_lookup(counts, left));
    size_t right_count = GPOINTER_TO_SIZE(g_hash_table_lookup(counts, right));

    if (left_count != right_count)
        return left_count > right_count ? -1 : 1;
    return strcmp(left, right);
}

/* Each kind of error, the most frequent first. */
static void
add_counts(Lint *lint)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    GHashTableIter iterator;
    void *text = NULL;

    g_hash_table_iter_init(&iterator, lint->counts);
    while (g_hash_table_iter_next(&iterator, &text, NULL))
        g_ptr_array_add(texts, text);
    g_ptr_array_sort_with_data(texts, compare_counts, lint->counts);
    ctl_json_raw(lint->json, "counts", "[");
    for (unsigned i = 0; i < texts->len; i++) {
        size_t count = GPOINTER_TO_SIZE(g_hash_table_lookup(lint->counts, texts->pdata[i]));

        g_string_append_printf(lint->text, "%6zu times: %s\n", count, (char *)texts->pdata[i]);
        ctl_json_raw(lint->json, NULL, "{");
        ctl_json_text(lint->json, "message", texts->pdata[i]);
        trial_json_number(lint->json, "count", count);
        g_string_append_c(lint->json, '}');
    }
    g_string_append_c(lint->json, ']');
}

static bool
lint_named(Lint *lint, char **addresses, GError **error)
{
    for (size_t i = 0; addresses[i] != NULL; i++) {
        if (!lint_user(lint, addresses[i], error))
            return false;
    }
    return true;
}

static int
print_lint(Lint *lint)
{
    g_string_append_c(lint->json, ']');
    add_counts(lint);
    trial_json_number(lint->json, "users", lint->users);
    trial_json_number(lint->json, "scripts", lint->scripts);
    trial_json_number(lint->json, "bad_scripts", lint->bad);
    g_string_append_c(lint->json, '}');
    g_string_append_printf(lint->text,
                           "%" G_GUINT64_FORMAT " users, %" G_GUINT64_FORMAT
                           " scripts, %" G_GUINT64_FORMAT " with errors",
                           lint->users, lint->scripts, lint->bad);
    int status = ctl_print(lint->ctl, lint->ctl->json ? lint->json->str : lint->text->str);
    return status == CTL_OK && lint->bad > 0 ? CTL_REFUSED : status;
}

int
ctl_sieve_lint(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) json = g_string_new("{");
    g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Lint lint = {.ctl = ctl, .text = text, .json = json, .counts = counts};
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 0, G_MAXINT, &status))
        return status;
    lint.map = ctl_open_mailmap(ctl, &error);
    if (lint.map == NULL)
        return ctl_fail(ctl, error);
    lint.config = ctl_config(ctl, &error);
    ctl_json_raw(json, "errors", "[");
    bool done = argc > 1 ? lint_named(&lint, argv + 1, &error) : lint_all(&lint, &error);
    mailmap_close(lint.map);
    return done ? print_lint(&lint) : ctl_fail(ctl, error);
}
