/* schema/forwarding.c - where Postfix would send an address
 *
 * Follows the table forwardings as cleanup(8) follows virtual_alias_maps with the
 * two lookups of schema/postfix: for the full address, the address without its
 * detail and "@domain" in turn, a forwarding is looked for, then a user, whose own
 * row ends the search so that a catch-all does not swallow it. What Postfix does
 * besides and an administrator would miss here: a detail is carried over to the
 * destination (propagate_unmatched_extensions), and a destination "@other" keeps
 * the local part.
 */
#include "schema/forwarding.h"

#include "schema/columns.h"
#include "schema/fold.h"
#include "schema/mapedit.h"

typedef struct {
    const char *path;
    const char *delimiter;
    sqlite3_stmt *find;
    GPtrArray *steps;
    GPtrArray *trail; /* addresses between the first and the current one */
} Walk;

static void
step_free(gpointer data)
{
    MapeditForwarding *step = data;

    g_free(step->source);
    g_free(step->destination);
    g_free(step);
}

typedef enum { FOUND_NOTHING, FOUND_USER, FOUND_FORWARDING } Found;

/* *destination_out is set for FOUND_FORWARDING only. */
static bool
find(const Walk *walk, const char *key, Found *found_out, char **destination_out, GError **error)
{
    int rc = sqlite3_bind_text(walk->find, 1, key, -1, SQLITE_STATIC);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(walk->find);
    if (rc == SQLITE_ROW) {
        *destination_out = g_strdup((const char *)sqlite3_column_text(walk->find, 0));
        *found_out = *destination_out != NULL ? FOUND_FORWARDING : FOUND_USER;
    } else if (rc == SQLITE_DONE) {
        *found_out = FOUND_NOTHING;
    } else {
        (void)database_set_error(sqlite3_db_handle(walk->find), walk->path, "read", error);
    }
    (void)sqlite3_reset(walk->find); /* repeats the error of the step */
    return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

/* What forwards an address, and what of it is kept at the destination. */
typedef struct {
    char *source;
    char *destination; /* NULL: nothing forwards it */
    char *detail;      /* to carry over; NULL for none */
} Match;

static void
match_clear(Match *match)
{
    g_free(match->source);
    g_free(match->destination);
    g_free(match->detail);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Match, match_clear)

/* Tries one form of the address; true when the search may go on. */
static bool
try_key(const Walk *walk, const char *local, const char *domain, Match *match, Found *found_out,
        GError **error)
{
    g_autofree char *key = g_strconcat(local, "@", domain, NULL);

    if (!find(walk, key, found_out, &match->destination, error))
        return false;
    if (*found_out == FOUND_FORWARDING)
        match->source = g_steal_pointer(&key);
    return true;
}

static bool
find_match(const Walk *walk, const FoldedAddress *address, Match *match, GError **error)
{
    g_autofree char *base = NULL;
    g_autofree char *detail = NULL;
    Found found;

    if (!try_key(walk, address->local, address->domain, match, &found, error))
        return false;
    if (found == FOUND_NOTHING &&
        fold_split_detail(address, walk->delimiter, true, &base, &detail)) {
        if (!try_key(walk, base, address->domain, match, &found, error))
            return false;
        if (found == FOUND_FORWARDING)
            match->detail = g_steal_pointer(&detail);
    }
    return found != FOUND_NOTHING || try_key(walk, "", address->domain, match, &found, error);
}

/* One address of the list as Postfix makes it: a carried detail keeps the
 * delimiter it came with. */
static char *
complete(const char *text, const FoldedAddress *from, const char *detail)
{
    const char *at = strrchr(text, '@');
    const char *delimiter;

    if (at == text)
        return g_strconcat(from->local, text, NULL);
    if (detail == NULL)
        return g_strdup(text);
    delimiter = from->raw + strlen(from->raw) - strlen(detail) - 1;
    if (at == NULL)
        return g_strconcat(text, delimiter, NULL);
    return g_strdup_printf("%.*s%s%s", (int)(at - text), text, delimiter, at);
}

static bool
on_trail(const Walk *walk, const char *folded)
{
    for (guint i = 0; i < walk->trail->len; i++)
        if (strcmp(g_ptr_array_index(walk->trail, i), folded) == 0)
            return true;
    return false;
}

static bool follow(Walk *walk, const char *address, GError **error);

/* Records one destination and goes on from there. */
static bool
follow_destination(Walk *walk, const char *source, const char *destination, GError **error)
{
    g_autofree char *folded = mailmap_fold_address(destination, true, NULL);
    MapeditForwarding *step = g_new0(MapeditForwarding, 1);

    step->depth = walk->trail->len - 1;
    step->source = g_strdup(source);
    step->destination = g_strdup(destination);
    step->loops = folded != NULL && on_trail(walk, folded);
    g_ptr_array_add(walk->steps, step);
    /* A bare name is a local account: no row of the map forwards it. */
    return step->loops || folded == NULL || follow(walk, destination, error);
}

/* Depth first; the number of steps bounds the recursion. The address comes as
 * written: a carried detail keeps its case. */
static bool
follow(Walk *walk, const char *address, GError **error)
{
    g_auto(FoldedAddress) parts = {0};
    g_auto(Match) match = {0};
    g_autoptr(GPtrArray) list = NULL;
    bool done = true;

    if (!fold_address(address, true, false, &parts, error) ||
        !find_match(walk, &parts, &match, error))
        return false;
    if (match.destination == NULL)
        return true;
    g_ptr_array_add(walk->trail, g_strconcat(parts.local, "@", parts.domain, NULL));
    list = columns_split_destinations(match.destination);
    for (guint i = 0; done && i < list->len && walk->steps->len < FORWARDING_STEPS_MAX; i++) {
        g_autofree char *one = complete(g_ptr_array_index(list, i), &parts, match.detail);

        done = follow_destination(walk, match.source, one, error);
    }
    g_ptr_array_set_size(walk->trail, (int)walk->trail->len - 1);
    return done;
}

GPtrArray *
forwarding_follow(sqlite3_stmt *find, const char *path, const char *address,
                  const char *recipient_delimiter, GError **error)
{
    g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func(step_free);
    g_autoptr(GPtrArray) trail = g_ptr_array_new_with_free_func(g_free);
    Walk walk = {path, recipient_delimiter, find, steps, trail};

    return follow(&walk, address, error) ? g_steal_pointer(&steps) : NULL;
}

/* A step that is followed by a deeper one was forwarded on. */
char **
forwarding_ends(const GPtrArray *steps, const char *address)
{
    g_autoptr(GStrvBuilder) ends = g_strv_builder_new();

    if (steps->len == 0)
        g_strv_builder_add(ends, address);
    for (guint i = 0; i < steps->len; i++) {
        const MapeditForwarding *step = g_ptr_array_index(steps, i);
        const MapeditForwarding *next = i + 1 < steps->len ? steps->pdata[i + 1] : NULL;

        if (next == NULL || next->depth <= step->depth)
            g_strv_builder_add(ends, step->destination);
    }
    return g_strv_builder_end(ends);
}
