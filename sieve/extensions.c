/* sieve/extensions.c - every extension of this build; see extension.h
 *
 * What is refused is listed too: an old script deserves to be told the new name of what it
 * requires, not that nobody knows it.
 */
#include "sieve/extensions.h"

/* Changes nothing but how strings are read (RFC 5228 section 2.4.2.4): check.c does it. */
static const SieveExtension encoded_character = {.name = "encoded-character"};

static const char *const imapflags_now[] = {"imap4flags", NULL};
static const char *const notify_now[] = {"enotify", NULL};

static const SieveExtension refused[] = {
    {.name = "imapflags",
     .implies = imapflags_now,
     .refusal = "the extension \"imapflags\" is called \"imap4flags\" now: require that one; "
                "\"mark\" is addflag \"\\\\Flagged\" there, \"unmark\" is removeflag"},
    {.name = "notify",
     .implies = notify_now,
     .refusal = "the extension \"notify\" is called \"enotify\" now: require that one; it is "
                "written notify :message \"text\" \"mailto:somebody@example.org\""},
    {.name = "mboxmetadata",
     .refusal = "\"mboxmetadata\" is not offered here: mailboxes have no annotations while mail "
                "is delivered"},
    {.name = "servermetadata",
     .refusal = "\"servermetadata\" is not offered here: there are no server annotations while "
                "mail is delivered"},
    {.name = "convert",
     .refusal = "\"convert\" is not offered here: no part of a message is converted to another "
                "type while mail is delivered"},
    {.name = "imapsieve",
     .refusal = "\"imapsieve\" is for scripts that an IMAP server runs when mail is moved; this "
                "script is run when mail is delivered"},
    {.name = "vnd.proton.expire",
     .refusal =
         "\"vnd.proton.expire\" is Proton Mail's own: nothing in a Maildir expires by "
         "itself; take it and every \"expire\" out, and let the IMAP server expunge old mail"},
};

const SieveExtension *const sieve_extensions[] = {
    &sieve_ext_core_commands,
    &sieve_ext_core_tests,
    &sieve_ext_copy,
    &sieve_ext_duplicate,
    &sieve_ext_envelope,
    &sieve_ext_environment,
    &sieve_ext_extlists,
    &sieve_ext_fileinto,
    &sieve_ext_imap4flags,
    &sieve_ext_mailbox,
    &sieve_ext_mailboxid,
    &sieve_ext_special_use,
    &sieve_ext_variables,
    &sieve_ext_vnd_dovecot_debug,
    &sieve_ext_vnd_dovecot_environment,
    &encoded_character,
    &refused[0],
    &refused[1],
    &refused[2],
    &refused[3],
    &refused[4],
    &refused[5],
    &refused[6],
    &sieve_ext_body,
    &sieve_ext_enclose,
    &sieve_ext_enotify,
    &sieve_ext_envelope_dsn,
    &sieve_ext_ereject,
    &sieve_ext_extracttext,
    &sieve_ext_fcc,
    &sieve_ext_foreverypart,
    &sieve_ext_ihave,
    &sieve_ext_include,
    &sieve_ext_mime,
    &sieve_ext_redirect_dsn,
    &sieve_ext_reject,
    &sieve_ext_replace,
    &sieve_ext_vacation,
    &sieve_ext_vacation_seconds,
    &sieve_ext_vnd_dovecot_execute,
    &sieve_ext_vnd_dovecot_filter,
    &sieve_ext_vnd_dovecot_pipe,
    &sieve_ext_comparator_ascii_casemap,
    &sieve_ext_comparator_ascii_numeric,
    &sieve_ext_comparator_octet,
    &sieve_ext_comparator_unicode_casemap,
    &sieve_ext_date,
    &sieve_ext_editheader,
    &sieve_ext_index,
    &sieve_ext_regex,
    &sieve_ext_relational,
    &sieve_ext_spamtest,
    &sieve_ext_spamtestplus,
    &sieve_ext_subaddress,
    &sieve_ext_virustest,
    NULL,
};

const SieveExtension *
sieve_extension_find(SieveText name)
{
    for (size_t i = 0; sieve_extensions[i] != NULL; i++) {
        const char *known = sieve_extensions[i]->name;

        if (known != NULL && known[0] == name.bytes[0] && strlen(known) == name.len &&
            memcmp(known, name.bytes, name.len) == 0)
            return sieve_extensions[i];
    }
    return NULL;
}

/* ---- the dictionary ------------------------------------------------------ */

enum { LONGEST_NAME = 64 };

/* Sorted by name; made once, at the first compilation. */
typedef struct {
    SieveName *rows;
    size_t count;
} Dictionary;

static Dictionary commands, tags;

static int
compare_rows(const void *a, const void *b)
{
    const SieveName *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : (int)x->extension - (int)y->extension;
}

static void
add_row(GArray *rows, SieveName row)
{
    g_array_append_val(rows, row);
}

static Dictionary
take_rows(GArray *rows)
{
    Dictionary dictionary = {.count = rows->len};

    qsort(rows->data, rows->len, sizeof(SieveName), compare_rows);
    dictionary.rows = (SieveName *)(void *)g_array_free(rows, FALSE);
    return dictionary;
}

static void
make_dictionaries(void)
{
    static gsize is_made;

    if (!g_once_init_enter(&is_made))
        return;

    GArray *command_rows = g_array_new(FALSE, FALSE, sizeof(SieveName));
    GArray *tag_rows = g_array_new(FALSE, FALSE, sizeof(SieveName));

    for (unsigned i = 0; sieve_extensions[i] != NULL; i++) {
        const SieveExtension *extension = sieve_extensions[i];

        for (const SieveCommand *c = extension->commands; c != NULL && c->name != NULL; c++)
            add_row(command_rows, (SieveName){.name = c->name, .command = c, .extension = i});
        for (const SieveTag *t = extension->tags; t != NULL && t->name != NULL; t++)
            add_row(tag_rows, (SieveName){.name = t->name, .tag = t, .extension = i});
    }
    commands = take_rows(command_rows);
    tags = take_rows(tag_rows);
    g_once_init_leave(&is_made, 1);
}

static const SieveName *
find_rows(const Dictionary *dictionary, SieveText name, size_t *count_out)
{
    char lower[LONGEST_NAME + 1];
    size_t low = 0, high = dictionary->count;

    *count_out = 0;
    if (name.len > LONGEST_NAME)
        return NULL;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = g_ascii_tolower(name.bytes[i]);
    lower[name.len] = '\0';
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(dictionary->rows[middle].name, lower) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + *count_out < dictionary->count &&
           strcmp(dictionary->rows[low + *count_out].name, lower) == 0)
        ++*count_out;
    return dictionary->rows + low;
}

const SieveName *
sieve_command_names(SieveText name, size_t *count_out)
{
    make_dictionaries();
    return find_rows(&commands, name, count_out);
}

const SieveName *
sieve_tag_names(SieveText name, size_t *count_out)
{
    make_dictionaries();
    return find_rows(&tags, name, count_out);
}

const SieveName *
sieve_all_command_names(size_t *count_out)
{
    make_dictionaries();
    *count_out = commands.count;
    return commands.rows;
}

const SieveName *
sieve_all_tag_names(size_t *count_out)
{
    make_dictionaries();
    *count_out = tags.count;
    return tags.rows;
}

/* The first command, or test, of that name; NULL. */
static const SieveCommand *
find_command(SieveText name, bool is_test)
{
    size_t count;
    const SieveName *rows = sieve_command_names(name, &count);

    for (size_t i = 0; i < count; i++)
        if (((rows[i].command->traits & SIEVE_TEST) != 0) == is_test)
            return rows[i].command;
    return NULL;
}

bool
sieve_command_exists(SieveText name, bool is_test)
{
    return find_command(name, is_test) != NULL;
}

bool
sieve_command_takes_block(SieveText name)
{
    const SieveCommand *command = find_command(name, false);

    return command != NULL && (command->traits & SIEVE_TAKES_BLOCK) != 0;
}

bool
sieve_command_takes_no_test(SieveText name, bool is_test)
{
    const SieveCommand *command = find_command(name, is_test);

    return command != NULL && (command->traits & (SIEVE_TAKES_TEST | SIEVE_TAKES_TESTS)) == 0;
}
