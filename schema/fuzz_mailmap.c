/* schema/fuzz_mailmap.c - any address, looked up in a map; any text as mailbox query
 *
 * Input is two texts divided by a line feed: an address and a query. What must
 * hold: no address finds another's mailbox ("ana" is found only by what folds to
 * her address), folding a folded address changes nothing, and no query writes.
 */
#include <glib/gstdio.h>

#include "schema/mailmap.h"
#include "schema/mapedit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *map_path;

static void
remove_map(void)
{
    g_autofree char *dir = g_path_get_dirname(map_path);

    (void)g_unlink(map_path);
    (void)g_rmdir(dir);
    g_free(map_path);
}

static void
add(Mapedit *edit, MapeditTable table, const char *key)
{
    g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);

    g_assert(mapedit_add(edit, table, key, none, NULL));
}

/* Made once a process, in a directory of its own. */
static Mailmap *
make_map(void)
{
    g_autofree char *dir = g_dir_make_tmp("lodge-fuzz-XXXXXX", NULL);
    Mailmap *map;

    map_path = g_build_filename(dir, "map.db", NULL);
    (void)atexit(remove_map);
    g_assert(mapedit_create(map_path, NULL));
    g_autoptr(Mapedit) edit = mapedit_open(map_path, 1000, NULL);
    g_assert(edit != NULL);
    add(edit, MAPEDIT_DOMAINS, "example.org");
    add(edit, MAPEDIT_USERS, "ana@example.org");
    map = mailmap_open(&(MailmapOptions){.path = map_path,
                                         .preset = "lodge",
                                         .recipient_delimiter = "+-",
                                         .fold_local_part = true},
                       NULL);
    g_assert(map != NULL);
    return map;
}

static void
check_folding(const char *address)
{
    g_autofree char *once = mailmap_fold_address(address, true, NULL);
    g_autofree char *twice = once != NULL ? mailmap_fold_address(once, true, NULL) : NULL;

    g_assert(once == NULL || g_strcmp0(once, twice) == 0);
}

static void
check_lookup(Mailmap *map, const char *address)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) mailbox = mailmap_lookup(map, address, &error);

    g_assert((mailbox == NULL) == (error != NULL));
    if (mailbox == NULL)
        g_assert(error->code == MAILMAP_ERROR_UNKNOWN_ADDRESS ||
                 error->code == MAILMAP_ERROR_BAD_ADDRESS);
    else
        g_assert(strcmp(mailbox->user, "ana@example.org") == 0 &&
                 g_str_has_suffix(mailbox->address, "@example.org"));
}

static void
check_query(const char *query)
{
    const MailmapOptions options = {.path = map_path,
                                    .preset = "lodge",
                                    .mailbox_query = query,
                                    .recipient_delimiter = "",
                                    .fold_local_part = true};
    g_autoptr(Mailmap) map = mailmap_open(&options, NULL);

    /* Running it could take forever, which is its author's affair. */
    (void)map;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Mailmap *map;
    g_autofree char *text = g_strndup((const char *)data, size);
    char *query = strchr(text, '\n');

    if (map == NULL)
        map = make_map();
    if (query != NULL)
        *query++ = '\0';
    check_folding(text);
    check_lookup(map, text);
    if (query != NULL)
        check_query(query);
    return 0;
}
