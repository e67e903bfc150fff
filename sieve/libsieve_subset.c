/* sieve/libsieve_subset.c - what of the language libsieve may be given; see libsieve.h
 *
 * libsieve 2.2.6 reads RFC 3028. Of the extensions it knows, relational, imap4flags and
 * notify are wrong in it, or crash it; and it never undoes the escapes of a quoted string. So a
 * script that has passed our own checker is looked at once more, for what libsieve would not do
 * as the script means it.
 */
#include "sieve/complaints.h"
#include "sieve/extension.h"
#include "sieve/script.h"

enum {
    /* Its parser has a stack of 10,000 symbols; an elsif takes three, a string of a list two. */
    MAX_PIECES = 3000,
    /* Octets of all keys: it reads the script anew for every message. */
    MAX_KEYS = 64 * 1024,
};

typedef struct {
    const char *script_name;
    GPtrArray *complaints;
    size_t pieces, key_octets;
    bool is_too_large;
} Subset;

G_GNUC_PRINTF(4, 5)
static void
refuse(Subset *subset, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sieve_complaints_add_va(subset->complaints, true, subset->script_name, line, column, format,
                            args);
    va_end(args);
}

static void
check_require(Subset *subset, const SieveArgument *extensions)
{
    static const char *const known[] = {
        "fileinto", "reject",     "envelope",           "vacation",
        "regex",    "subaddress", "comparator-i;octet", "comparator-i;ascii-casemap",
        NULL};

    for (size_t i = 0; i < extensions->string_count; i++) {
        const SieveString *extension = &extensions->strings[i];

        if (!g_strv_contains(known, extension->text.bytes))
            refuse(subset, extension->line, extension->column,
                   "the engine libsieve does not support the extension \"%.60s\"",
                   extension->text.bytes);
    }
}

static bool
check_extensions(Subset *subset, const SieveNode *node)
{
    guint before = subset->complaints->len;

    for (; node != NULL; node = node->next) {
        if (strcmp(node->command->name, "require") == 0)
            check_require(subset, node->values[0]);
    }
    return subset->complaints->len == before;
}

/* ---- keys ---------------------------------------------------------------- */

/* What the library's own regcomp() does not read as ours: escapes of letters, "(?". */
static bool
is_plain_regex(SieveText key)
{
    for (size_t i = 0; i + 1 < key.len; i++) {
        char next = key.bytes[i + 1];

        if ((key.bytes[i] == '\\' && g_ascii_isalnum(next)) || (key.bytes[i] == '(' && next == '?'))
            return false;
        i += key.bytes[i] == '\\'; /* and what it escapes */
    }
    return true;
}

static const char *
trouble_of_key(SieveMatchType type, SieveText key)
{
    if (memchr(key.bytes, '"', key.len) != NULL)
        return "a quotation mark";
    if (memchr(key.bytes, '\0', key.len) != NULL)
        return "NUL";
    if (type == SIEVE_MATCH_MATCHES && memchr(key.bytes, '\\', key.len) != NULL)
        return "a backslash and :matches";
    if (key.len > 0 && key.bytes[key.len - 1] == '\\')
        return "a backslash at its end";
    if (type == SIEVE_MATCH_REGEX && !is_plain_regex(key))
        return "an extension of regular expressions";
    return NULL;
}

static void
check_keys(Subset *subset, const SieveNode *test)
{
    const SieveArgument *keys = test->values[1];

    for (size_t i = 0; i < keys->string_count; i++) {
        const SieveString *key = &keys->strings[i];
        const char *trouble = trouble_of_key(test->matcher->type, key->text);

        if (trouble != NULL)
            refuse(subset, key->line, key->column,
                   "the engine libsieve cannot compare with a string that has %s", trouble);
        subset->key_octets += key->text.len;
    }
}

/* ---- the tree ------------------------------------------------------------ */

static void
count(Subset *subset, const SieveNode *node)
{
    subset->pieces++;
    for (size_t i = 0; i < node->tag_count; i++)
        subset->pieces += node->tags[i].value == NULL ? 0 : node->tags[i].value->string_count;
    for (size_t i = 0; i < sieve_slot_count(node->command); i++)
        subset->pieces += node->values[i] == NULL ? 0 : node->values[i]->string_count;
    if (subset->is_too_large || (subset->pieces <= MAX_PIECES && subset->key_octets <= MAX_KEYS))
        return;
    refuse(subset, node->line, node->column,
           "the script is too large for the engine libsieve: more than %d commands, tests and "
           "strings, or %d octets to compare with",
           MAX_PIECES, MAX_KEYS);
    subset->is_too_large = true;
}

static void
check_test(Subset *subset, const SieveNode *test)
{
    for (size_t i = 0; i < test->test_count; i++)
        check_test(subset, test->tests[i]);
    if (test->matcher != NULL)
        check_keys(subset, test);
    else if (strcmp(test->command->name, "size") == 0 && test->values[0]->number > G_MAXINT)
        refuse(subset, test->line, test->column,
               "the engine libsieve does not know sizes of 2G and more");
    count(subset, test);
}

static void
check_commands(Subset *subset, const SieveNode *node)
{
    for (; node != NULL; node = node->next) {
        for (size_t i = 0; i < node->test_count; i++)
            check_test(subset, node->tests[i]);
        count(subset, node);
        check_commands(subset, node->block);
    }
}

bool
sieve_script_suits_libsieve(const SieveScript *script, GPtrArray *complaints)
{
    Subset subset = {.script_name = sieve_script_name(script), .complaints = complaints};
    guint before = complaints->len;

    if (check_extensions(&subset, sieve_script_first(script)))
        check_commands(&subset, sieve_script_first(script));
    return complaints->len == before;
}
