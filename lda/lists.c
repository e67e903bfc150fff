/* lda/lists.c - external lists of Sieve; see lists.h
 *
 * A file is read once for a delivery, and only when a script asks for it.
 */
#include "lda/lists.h"

#include <sqlite3.h>

#include "lda/maildir_parts.h"
#include "lda/scripts.h"

enum {
    FILE_MAX = 16 << 20,    /* octets: half a million addresses */
    BUSY_TIMEOUT_MS = 1000, /* of the database */
};

struct Lists {
    const LdaConfig *config;
    const Mailbox *mailbox;
    const char *home;
    GHashTable *files; /* name -> GPtrArray of members as written */
    sqlite3 *db;       /* NULL until needed */
};

Lists *
lists_new(const LdaConfig *config, const Mailbox *mailbox, const char *home)
{
    Lists *lists = g_new0(Lists, 1);

    lists->config = config;
    lists->mailbox = mailbox;
    lists->home = home;
    lists->files =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    return lists;
}

void
lists_free(Lists *lists)
{
    if (lists == NULL)
        return;
    g_hash_table_unref(lists->files);
    (void)sqlite3_close_v2(lists->db); /* cannot fail */
    g_free(lists);
}

/* ---- files --------------------------------------------------------------- */

/* The template of the list's path; NULL: it is no file. Names are URIs and may hold "=". */
static const char *
template_of(const Lists *lists, const char *list)
{
    for (char **pair = lists->config->sieve.lists; *pair != NULL; pair++) {
        const char *equals = strrchr(*pair, '=');
        size_t len = (size_t)(equals - *pair);

        if (strlen(list) == len && strncmp(*pair, list, len) == 0)
            return equals + 1;
    }
    return NULL;
}

static GPtrArray *
split_lines(char *text)
{
    GPtrArray *members = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (size_t i = 0; lines[i] != NULL; i++) {
        g_strstrip(lines[i]);
        if (*lines[i] != '\0' && g_utf8_validate(lines[i], -1, NULL))
            g_ptr_array_add(members, g_strdup(lines[i]));
    }
    return members;
}

bool
lists_add_file(Lists *lists, const char *name, const char *path, GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error))
        return false;
    g_hash_table_insert(lists->files, g_strdup(name), split_lines(text));
    return true;
}

static bool
is_file(const Lists *lists, const char *list)
{
    return g_hash_table_contains(lists->files, list) || template_of(lists, list) != NULL;
}

/* The members of a list that is_file(); NULL with error. Belongs to lists. */
static GPtrArray *
read_file(Lists *lists, const char *list, GError **error)
{
    GPtrArray *members = g_hash_table_lookup(lists->files, list);
    const char *template = template_of(lists, list);
    g_autofree char *path = NULL;
    GString *text;

    if (members != NULL)
        return members;
    path = scripts_path(template, lists->mailbox, lists->home, error);
    if (path == NULL)
        return NULL;
    text = maildir_read_file(AT_FDCWD, path, FILE_MAX);
    if (text == NULL && errno != ENOENT && errno != ENOTDIR)
        return (maildir_set_errno(error, "read the list", path), NULL);
    members = text != NULL ? split_lines(text->str) : g_ptr_array_new_with_free_func(g_free);
    if (text != NULL)
        g_string_free(text, TRUE);
    g_hash_table_insert(lists->files, g_strdup(list), members);
    return members;
}

static bool
has_member(const GPtrArray *members, const char *value)
{
    g_autofree char *folded = g_utf8_strdown(value, -1);

    for (guint i = 0; i < members->len; i++) {
        g_autofree char *member = g_utf8_strdown(members->pdata[i], -1);

        if (strcmp(member, folded) == 0)
            return true;
    }
    return false;
}

/* ---- the database -------------------------------------------------------- */

static bool
set_error(const Lists *lists, GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot read the lists in '%s': %s",
                lists->config->sieve.list_database, sqlite3_errmsg(lists->db));
    return false;
}

static bool
open_database(Lists *lists, GError **error)
{
    if (lists->db != NULL)
        return true;
    if (sqlite3_open_v2(lists->config->sieve.list_database, &lists->db,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return set_error(lists, error);
    (void)sqlite3_busy_timeout(lists->db, BUSY_TIMEOUT_MS); /* cannot fail */
    return true;
}

/* Members of the list, only value when that is not NULL, at most limit. NULL with error. */
static GPtrArray *
query(Lists *lists, const char *list, const char *value, int limit, GError **error)
{
    static const char sql[] = "SELECT member FROM lists WHERE list = ?1 AND"
                              " (?2 IS NULL OR member = ?2 COLLATE NOCASE) LIMIT ?3";
    g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func(g_free);
    sqlite3_stmt *stmt = NULL;
    int code;

    if (!open_database(lists, error))
        return NULL;
    if (sqlite3_prepare_v2(lists->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return (set_error(lists, error), NULL);
    (void)sqlite3_bind_text(stmt, 1, list, -1, SQLITE_STATIC); /* these fail in the step */
    (void)sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 3, limit);
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
        g_ptr_array_add(members, g_strdup((const char *)sqlite3_column_text(stmt, 0)));
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    if (code != SQLITE_DONE)
        return (set_error(lists, error), NULL);
    return g_steal_pointer(&members);
}

/* ---- questions ----------------------------------------------------------- */

static bool
has_database(const Lists *lists)
{
    return *lists->config->sieve.list_database != '\0';
}

bool
lists_known(Lists *lists, const char *list)
{
    g_autoptr(GPtrArray) members = NULL;

    if (is_file(lists, list))
        return true;
    /* What cannot be told now fails when the list is asked. */
    members = has_database(lists) ? query(lists, list, NULL, 1, NULL) : NULL;
    return members != NULL ? members->len > 0 : has_database(lists);
}

bool
lists_contains(Lists *lists, const char *list, const char *value, bool *contains_out,
               GError **error)
{
    g_autoptr(GPtrArray) found = NULL;

    if (is_file(lists, list)) {
        const GPtrArray *members = read_file(lists, list, error);

        if (members == NULL)
            return false;
        *contains_out = has_member(members, value);
        return true;
    }
    *contains_out = false;
    if (!has_database(lists))
        return true;
    found = query(lists, list, value, 1, error);
    if (found == NULL)
        return false;
    *contains_out = found->len > 0;
    return true;
}

bool
lists_members(Lists *lists, const char *list, char ***members_out, GError **error)
{
    bool in_file = is_file(lists, list);
    GStrvBuilder *builder;
    GPtrArray *members = NULL;

    if (in_file)
        members = read_file(lists, list, error);
    else if (has_database(lists))
        members = query(lists, list, NULL, LISTS_MAX_MEMBERS, error);
    if (members == NULL && (in_file || has_database(lists)))
        return false;
    builder = g_strv_builder_new();
    for (guint i = 0; members != NULL && i < members->len && i < LISTS_MAX_MEMBERS; i++)
        g_strv_builder_add(builder, members->pdata[i]);
    *members_out = g_strv_builder_end(builder);
    g_strv_builder_unref(builder);
    if (!in_file && members != NULL)
        g_ptr_array_unref(members);
    return true;
}
