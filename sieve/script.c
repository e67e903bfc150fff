/* sieve/script.c - a compiled script, and what it includes; see script.h, sieve.h
 *
 *   text -> lexer.c -> parser.c -> tree -> check.c -> bound tree, which nothing changes any more
 *
 * A script owns the arena of its tree and counts its references, from any thread.
 */
#include "sieve/script.h"

#include "sieve/check.h"
#include "sieve/complaints.h"
#include "sieve/limits.h"
#include "sieve/parser.h"

struct SieveScript {
    gatomicrefcount references;
    char *name;
    SieveArena *arena;
    const SieveNode *first;
    SieveChecked checked;
};

static SieveScript *
compile(const char *name, const char *text, size_t len, const SieveSettings *settings,
        GPtrArray *complaints)
{
    if (len > settings->max_script_size) {
        sieve_complaints_add(complaints, true, name, 1, 1,
                             "the script is too large: %zu octets, and at most %" G_GUINT64_FORMAT
                             " are allowed",
                             len, settings->max_script_size);
        return NULL;
    }

    SieveScript *script = g_new0(SieveScript, 1);

    g_atomic_ref_count_init(&script->references);
    script->name = g_strdup(name);
    script->arena = sieve_arena_new_tight(); /* max_script_size bounds it */

    g_autoptr(SieveArena) scratch = sieve_arena_new(0);
    SieveNode *first = sieve_parse(script->name, text, len, script->arena, scratch, complaints);

    sieve_check_tree(first, script->name, settings, script->arena, scratch, complaints,
                     &script->checked);
    script->first = first;
    return script;
}

SieveScript *
sieve_script_compile(const char *name, const char *text, size_t len, const SieveSettings *settings,
                     GPtrArray *complaints)
{
    GPtrArray *own = sieve_complaints_new();
    g_autoptr(SieveScript) script = compile(name, text, len, settings, own);
    bool is_good = sieve_complaints_errors(own) == 0;

    sieve_complaints_sort(own);
    g_ptr_array_extend_and_steal(complaints, own);
    return is_good ? g_steal_pointer(&script) : NULL;
}

SieveScript *
sieve_script_ref(SieveScript *script)
{
    g_atomic_ref_count_inc(&script->references);
    return script;
}

void
sieve_script_unref(SieveScript *script)
{
    if (script == NULL || !g_atomic_ref_count_dec(&script->references))
        return;
    sieve_arena_free(script->arena);
    g_free(script->name);
    g_free(script);
}

const char *
sieve_script_name(const SieveScript *script)
{
    return script->name;
}

size_t
sieve_script_size(const SieveScript *script)
{
    return sizeof *script + strlen(script->name) + 1 + sieve_arena_size(script->arena);
}

const char *const *
sieve_script_requires(const SieveScript *script)
{
    return script->checked.requires;
}

const SieveNode *
sieve_script_first(const SieveScript *script)
{
    return script->first;
}

bool
sieve_script_has_required(const SieveScript *script, const char *extension)
{
    return g_strv_contains(script->checked.requires, extension);
}

/* ---- included scripts ---------------------------------------------------- */

/* One script that is included somewhere. */
typedef struct {
    bool is_being_checked; /* it includes what is looked at now */
    guint64 height;        /* how deep the scripts go that it includes */
} Included;

typedef struct {
    const SieveHost *host;
    const SieveSettings *settings;
    GPtrArray *complaints;
    GHashTable *known; /* "p:name" or "g:name" -> Included */
    bool is_too_many;
} Walk;

static void walk_includes(Walk *walk, const SieveScript *script, guint64 depth,
                          guint64 *height_out);

__attribute__((format(printf, 5, 6))) static void
complain(Walk *walk, bool is_error, const SieveScript *script, const SieveInclude *include,
         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sieve_complaints_add_va(walk->complaints, is_error, script->name, include->line,
                            include->column, format, args);
    va_end(args);
}

/* What script includes there; NULL with nothing added to complaints: there is none. */
static SieveScript *
find_included(Walk *walk, const SieveScript *script, const SieveInclude *include)
{
    g_autoptr(GError) error = NULL;
    SieveScript *included = NULL;
    guint before = walk->complaints->len;

    if (walk->host->include != NULL &&
        !walk->host->include(walk->host->data, include->from, include->name, &included,
                             walk->complaints, &error)) {
        complain(walk, true, script, include, "\"%.100s\" cannot be read: %s", include->name,
                 error->message);
        return NULL;
    }
    if (included == NULL && walk->complaints->len == before && !include->optional)
        complain(walk, false, script, include,
                 "there is no %s script \"%.100s\" to include yet: until there is one, this "
                 "script will fail",
                 include->from == SIEVE_INCLUDE_GLOBAL ? "global" : "personal", include->name);
    return included;
}

/* A script met for the first time. */
static void
walk_new(Walk *walk, const SieveScript *script, const SieveInclude *include, guint64 depth,
         Included *place)
{
    g_autoptr(SieveScript) included = NULL;

    if (g_hash_table_size(walk->known) > walk->settings->include_max_scripts) {
        if (!walk->is_too_many)
            complain(walk, true, script, include,
                     "more than %" G_GUINT64_FORMAT " scripts are included",
                     walk->settings->include_max_scripts);
        walk->is_too_many = true;
        return;
    }
    included = find_included(walk, script, include);
    if (included == NULL)
        return;
    place->is_being_checked = true;
    walk_includes(walk, included, depth + 1, &place->height);
    place->is_being_checked = false;
}

static void
walk_include(Walk *walk, const SieveScript *script, const SieveInclude *include, guint64 depth,
             guint64 *height_inout)
{
    g_autofree char *key =
        g_strconcat(include->from == SIEVE_INCLUDE_GLOBAL ? "g:" : "p:", include->name, NULL);
    Included *place = g_hash_table_lookup(walk->known, key);

    if (place != NULL && place->is_being_checked) {
        if (!include->once)
            complain(walk, true, script, include,
                     "\"%.100s\" includes itself by way of this include", include->name);
        return;
    }
    if (depth >= walk->settings->include_max_depth ||
        (place != NULL && depth + 1 + place->height > walk->settings->include_max_depth)) {
        complain(walk, true, script, include,
                 "scripts include each other more than %" G_GUINT64_FORMAT " deep here",
                 walk->settings->include_max_depth);
        return;
    }
    if (place == NULL) {
        place = g_new0(Included, 1);
        g_hash_table_insert(walk->known, g_steal_pointer(&key), place);
        walk_new(walk, script, include, depth, place);
    }
    *height_inout = MAX(*height_inout, place->height + 1);
}

static void
walk_includes(Walk *walk, const SieveScript *script, guint64 depth, guint64 *height_out)
{
    *height_out = 0;
    for (size_t i = 0; i < script->checked.include_count && !walk->is_too_many; i++)
        walk_include(walk, script, &script->checked.includes[i], depth, height_out);
}

bool
sieve_script_check_includes(SieveScript *script, const SieveHost *host,
                            const SieveSettings *settings, GPtrArray *complaints)
{
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Walk walk = {.host = host, .settings = settings, .complaints = complaints, .known = known};
    unsigned errors = sieve_complaints_errors(complaints);
    guint64 height;

    walk_includes(&walk, script, 0, &height);
    return sieve_complaints_errors(complaints) == errors;
}
