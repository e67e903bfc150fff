/* sieve/extensions.c - every extension of this build; see extension.h
 *
 * What is refused is listed too: an old script deserves to be told the new name of what it
 * requires, not that nobody knows it.
 */
#include "sieve/extensions.h"

/* Changes nothing but how strings are read (RFC 5228 section 2.4.2.4): check.c does it. */
static const SieveExtension encoded_character = {.name = "encoded-character"};

static const SieveExtension refused[] = {
    {.name = "imapflags",
     .refusal = "the extension \"imapflags\" is called \"imap4flags\" now: require that one; "
                "\"mark\" is addflag \"\\\\Flagged\" there, \"unmark\" is removeflag"},
    {.name = "notify",
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
};

const SieveExtension *const sieve_extensions[] = {
    &encoded_character,
    &refused[0],
    &refused[1],
    &refused[2],
    &refused[3],
    &refused[4],
    &refused[5],
    &sieve_ext_enotify,
    &sieve_ext_envelope_dsn,
    &sieve_ext_ereject,
    &sieve_ext_fcc,
    &sieve_ext_redirect_dsn,
    &sieve_ext_reject,
    &sieve_ext_vacation,
    &sieve_ext_vacation_seconds,
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
    for (size_t i = 0; sieve_extensions[i] != NULL; i++)
        if (sieve_extensions[i]->name != NULL && strlen(sieve_extensions[i]->name) == name.len &&
            memcmp(sieve_extensions[i]->name, name.bytes, name.len) == 0)
            return sieve_extensions[i];
    return NULL;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *
sieve_extension_names(void)
{
    static const char *names[G_N_ELEMENTS(sieve_extensions)];
    static gsize is_made;

    if (g_once_init_enter(&is_made)) {
        size_t count = 0;

        for (size_t i = 0; sieve_extensions[i] != NULL; i++)
            if (sieve_extensions[i]->name != NULL && sieve_extensions[i]->refusal == NULL)
                names[count++] = sieve_extensions[i]->name;
        qsort(names, count, sizeof *names, compare_names);
        g_once_init_leave(&is_made, 1);
    }
    return names;
}
