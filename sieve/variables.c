/* sieve/variables.c - values of variables, and of strings that name them (RFC 5229)
 *
 *   "${x}"         of the script being run
 *   "${global.x}"  shared by all scripts of the run, and so is an x that "global" declared
 *   "${env.x}"     an item of the environment (vnd.dovecot.environment)
 *   "${1}"         what the last :matches or :regex captured
 *
 * Names are lower case here already. A value longer than variables_max_size is cut where a
 * character begins.
 */
#include "sieve/environment.h"
#include "sieve/extension.h"
#include "sieve/limits.h"
#include "sieve/run_private.h"

guint
sieve_text_hash(const void *text)
{
    const SieveText *key = text;
    guint hash = 5381;

    for (size_t i = 0; i < key->len; i++)
        hash = hash * 33 + (uint8_t)key->bytes[i];
    return hash;
}

gboolean
sieve_text_equal_pointers(const void *a, const void *b)
{
    return sieve_text_equal(*(const SieveText *)a, *(const SieveText *)b);
}

/* ---- scopes ------------------------------------------------------------------- */

static bool
take_prefix(SieveText *name, const char *prefix)
{
    size_t len = strlen(prefix);

    if (name->len <= len || memcmp(name->bytes, prefix, len) != 0)
        return false;
    *name = (SieveText){.bytes = name->bytes + len, .len = name->len - len};
    return true;
}

/* The table of name, whose "global." is taken off; NULL: it has no value yet. */
static GHashTable **
table_of(SieveRun *run, SieveText *name)
{
    GHashTable *global_names = run->scope->global_names;

    if (take_prefix(name, "global.") ||
        (global_names != NULL && g_hash_table_contains(global_names, name)))
        return &run->globals;
    return &run->scope->variables;
}

SieveText
sieve_variable_get(SieveRun *run, SieveText name)
{
    if (take_prefix(&name, "env.")) {
        const char *item = sieve_environment_variable(run, name);

        return sieve_text(item == NULL ? "" : item);
    }

    GHashTable **table = table_of(run, &name);
    const SieveText *value = *table != NULL ? g_hash_table_lookup(*table, &name) : NULL;

    return value != NULL ? *value : sieve_text("");
}

/* The longest beginning of text that is no longer than max octets and ends with a character. */
static SieveText
cut(SieveText text, size_t max)
{
    if (text.len <= max)
        return text;
    for (size_t back = 0; back < 3 && max > 0 && ((uint8_t)text.bytes[max] & 0xC0) == 0x80; back++)
        max--;
    return (SieveText){.bytes = text.bytes, .len = max};
}

void
sieve_variable_set(SieveRun *run, SieveText name, SieveText value)
{
    GHashTable **table = table_of(run, &name);
    SieveText *key;

    value = cut(value, run->settings->variables_max_size);
    if (*table == NULL)
        *table = g_hash_table_new(sieve_text_hash, sieve_text_equal_pointers);

    SieveText *old = g_hash_table_lookup(*table, &name);

    if (old != NULL) {
        *old = sieve_arena_text(run->arena, value.bytes, value.len);
        return;
    }
    key = sieve_arena_new0(run->arena, SieveText, 2);
    key[0] = sieve_arena_text(run->arena, name.bytes, name.len);
    key[1] = sieve_arena_text(run->arena, value.bytes, value.len);
    g_hash_table_insert(*table, &key[0], &key[1]);
}

void
sieve_variable_make_global(SieveRun *run, SieveText name)
{
    SieveScope *scope = run->scope;
    SieveText *key = sieve_arena_new0(run->arena, SieveText, 1);

    *key = name;
    if (scope->global_names == NULL)
        scope->global_names = g_hash_table_new(sieve_text_hash, sieve_text_equal_pointers);
    g_hash_table_add(scope->global_names, key);
}

void
sieve_match_variables_set(SieveRun *run, const SieveText *values, size_t count)
{
    SieveScope *scope = run->scope;

    if (!scope->has_variables)
        return;
    count = MIN(count, (size_t)SIEVE_MAX_MATCH_VARIABLES + 1);
    scope->match_values = sieve_arena_new0(run->arena, SieveText, count);
    scope->match_count = count;
    for (size_t i = 0; i < count; i++)
        scope->match_values[i] = cut(values[i], run->settings->variables_max_size);
}

/* ---- strings ------------------------------------------------------------------ */

static SieveText
piece_value(SieveRun *run, const SievePiece *piece)
{
    switch (piece->kind) {
    case SIEVE_PIECE_VARIABLE:
        return sieve_variable_get(run, piece->text);
    case SIEVE_PIECE_MATCH:
        return piece->number < run->scope->match_count ? run->scope->match_values[piece->number]
                                                       : sieve_text("");
    case SIEVE_PIECE_TEXT:
        break;
    }
    return piece->text;
}

/* The values of the pieces, what variables add cut at SIEVE_MAX_EXPANSION in all; their length. */
static size_t
piece_values(SieveRun *run, const SieveString *string, SieveText *values)
{
    size_t room = MAX(SIEVE_MAX_EXPANSION, run->settings->variables_max_size);
    size_t len = 0;

    for (size_t i = 0; i < string->pieces->count; i++) {
        values[i] = piece_value(run, &string->pieces->items[i]);
        if (string->pieces->items[i].kind != SIEVE_PIECE_TEXT) {
            values[i] = cut(values[i], room);
            room -= values[i].len;
        }
        len += values[i].len;
    }
    return len;
}

SieveText
sieve_run_string(SieveRun *run, const SieveString *string)
{
    SieveText few[16];
    SieveText *values = few;

    if (string->pieces == NULL)
        return string->text;
    if (string->pieces->count > G_N_ELEMENTS(few))
        values = g_new(SieveText, string->pieces->count);

    size_t len = piece_values(run, string, values);
    SieveText result = sieve_text("");

    run->steps += len / 64; /* long values cost what they take */
    if (sieve_arena_room(run->arena, len + 1, NULL)) {
        char *bytes = sieve_arena_alloc(run->arena, len + 1);

        result = (SieveText){.bytes = bytes, .len = len};
        for (size_t i = 0; i < string->pieces->count; i++) {
            memcpy(bytes, values[i].bytes, values[i].len);
            bytes += values[i].len;
        }
    } else {
        sieve_run_exhaust(run);
    }
    if (values != few)
        g_free(values);
    return result;
}

/* ---- modifiers of set (RFC 5229 section 4.1) ---------------------------------- */

static SieveText
change_case(SieveRun *run, SieveText value, size_t len, gchar (*change)(gchar))
{
    SieveText copy = sieve_arena_text(run->arena, value.bytes, value.len);

    for (size_t i = 0; i < MIN(len, copy.len); i++)
        ((char *)copy.bytes)[i] = change(copy.bytes[i]);
    return copy;
}

/* Puts a backslash before each of the characters of special. */
static SieveText
quote(SieveRun *run, SieveText value, const char *special)
{
    char *bytes = sieve_arena_alloc(run->arena, value.len * 2 + 1);
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.bytes[i] != '\0' && strchr(special, value.bytes[i]) != NULL)
            bytes[len++] = '\\';
        bytes[len++] = value.bytes[i];
    }
    return (SieveText){.bytes = bytes, .len = len};
}

static SieveText
count_characters(SieveRun *run, SieveText value)
{
    guint64 count = 0;

    for (size_t i = 0; i < value.len; i++)
        count += ((uint8_t)value.bytes[i] & 0xC0) != 0x80;

    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, count);

    return sieve_arena_text(run->arena, number, strlen(number));
}

/* RFC 5435 section 6: everything but unreserved characters of RFC 3986. */
static SieveText
encode_url(SieveRun *run, SieveText value)
{
    char *bytes = sieve_arena_alloc(run->arena, value.len * 3 + 1);
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++) {
        uint8_t octet = (uint8_t)value.bytes[i];

        if (g_ascii_isalnum(octet) || (octet != '\0' && strchr("-._~", octet) != NULL)) {
            bytes[len++] = (char)octet;
            continue;
        }
        bytes[len++] = '%';
        bytes[len++] = "0123456789ABCDEF"[octet >> 4];
        bytes[len++] = "0123456789ABCDEF"[octet & 15];
    }
    return (SieveText){.bytes = bytes, .len = len};
}

static SieveText
modify(SieveRun *run, const char *modifier, SieveText value)
{
    if (strcmp(modifier, "lower") == 0)
        return change_case(run, value, value.len, g_ascii_tolower);
    if (strcmp(modifier, "upper") == 0)
        return change_case(run, value, value.len, g_ascii_toupper);
    if (strcmp(modifier, "lowerfirst") == 0)
        return change_case(run, value, 1, g_ascii_tolower);
    if (strcmp(modifier, "upperfirst") == 0)
        return change_case(run, value, 1, g_ascii_toupper);
    if (strcmp(modifier, "quotewildcard") == 0)
        return quote(run, value, "*?\\");
    if (strcmp(modifier, "quoteregex") == 0)
        return quote(run, value, "\\^$.|?*+()[]{}");
    if (strcmp(modifier, "encodeurl") == 0)
        return encode_url(run, value);
    g_assert(strcmp(modifier, "length") == 0);
    return count_characters(run, value);
}

SieveText
sieve_variable_modify(SieveRun *run, const SieveNode *node, SieveText value)
{
    static const int precedences[] = {40, 30, 20, 15, 10};

    for (size_t i = 0; i < G_N_ELEMENTS(precedences); i++) {
        for (size_t k = 0; k < node->tag_count; k++) {
            if (node->tags[k].tag->value == precedences[i] && node->tags[k].value == NULL)
                value = modify(run, node->tags[k].tag->name, value);
        }
    }
    return value;
}

/* ---- for `lodge sieve test` --------------------------------------------------- */

/* A variable as it is told. */
typedef struct {
    char *name;
    SieveText value;
} Told;

static void
free_told(void *object)
{
    Told *told = object;

    g_free(told->name);
    g_free(told);
}

static int
compare_told(const void *a, const void *b)
{
    return strcmp((*(const Told *const *)a)->name, (*(const Told *const *)b)->name);
}

static void
tell(GPtrArray *all, const char *prefix, SieveText name, SieveText value)
{
    Told *told = g_new(Told, 1);

    told->name = g_strdup_printf("%s%s", prefix, name.bytes);
    told->value = value;
    g_ptr_array_add(all, told);
}

/* The script's own, and the global ones: by the plain name where the script declared it. */
static GPtrArray *
collect_variables(const SieveRun *run, const SieveScope *scope)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(free_told);
    GHashTableIter iter;
    void *name, *value;

    if (scope->variables != NULL) {
        g_hash_table_iter_init(&iter, scope->variables);
        while (g_hash_table_iter_next(&iter, &name, &value))
            tell(all, "", *(SieveText *)name, *(SieveText *)value);
    }
    g_hash_table_iter_init(&iter, run->globals);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        bool is_declared =
            scope->global_names != NULL && g_hash_table_contains(scope->global_names, name);

        tell(all, is_declared ? "" : "global.", *(SieveText *)name, *(SieveText *)value);
    }
    g_ptr_array_sort(all, compare_told);
    return all;
}

void
sieve_run_variables(const SieveRun *run,
                    void (*visit)(void *data, const char *name, SieveText value), void *data)
{
    const SieveScope *scope = run->last;

    if (scope == NULL || !scope->has_variables)
        return;
    for (size_t i = 0; i < scope->match_count; i++) {
        g_autofree char *name = g_strdup_printf("%zu", i);

        visit(data, name, scope->match_values[i]);
    }

    g_autoptr(GPtrArray) all = collect_variables(run, scope);

    for (guint i = 0; i < all->len; i++) {
        const Told *told = all->pdata[i];

        visit(data, told->name, told->value);
    }
}
