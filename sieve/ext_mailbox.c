/* sieve/ext_mailbox.c - what is asked of mailboxes: "copy", "mailbox", "special-use", "mailboxid"
 *
 * RFC 3894, RFC 5490 section 3, RFC 8579, RFC 9042. The host knows the mailboxes; the tags
 * end in the action, for lda/carry_out.c.
 */
#include "sieve/extensions.h"

static bool
mailbox_exists(SieveRun *run, SieveText name, bool *exists_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);

    *exists_out = g_ascii_strcasecmp(name.bytes, "INBOX") == 0;
    if (!sieve_run_step(run, 1, error))
        return false;
    if (*exists_out || host->mailbox_exists == NULL || strlen(name.bytes) != name.len)
        return true;
    return host->mailbox_exists(host->data, name.bytes, exists_out, error) ||
           sieve_run_host_failed(run, error);
}

static bool
test_mailboxexists(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    size_t count;
    const SieveText *names = sieve_run_strings(run, node->values[0], &count);

    *result_out = true;
    for (size_t i = 0; i < count && *result_out; i++) {
        if (!mailbox_exists(run, names[i], result_out, error))
            return false;
    }
    return true;
}

static bool
is_same_mailbox(const char *a, const char *b)
{
    return strcmp(a, b) == 0 ||
           (g_ascii_strcasecmp(a, "INBOX") == 0 && g_ascii_strcasecmp(b, "INBOX") == 0);
}

/* Of one mailbox, when one is named; any of the user's else. */
static bool
test_specialuse_exists(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    size_t count;
    const SieveText *attributes = sieve_run_strings(run, node->values[1], &count);

    *result_out = host->special_use != NULL;
    for (size_t i = 0; i < count && *result_out; i++) {
        g_autofree char *mailbox = NULL;

        if (!sieve_run_step(run, 1, error))
            return false;
        if (!host->special_use(host->data, attributes[i].bytes, &mailbox, error))
            return sieve_run_host_failed(run, error);
        *result_out = mailbox != NULL &&
                      (node->values[0] == NULL ||
                       is_same_mailbox(mailbox, sieve_run_first(run, node->values[0]).bytes));
    }
    return true;
}

static bool
test_mailboxidexists(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    size_t count;
    const SieveText *ids = sieve_run_strings(run, node->values[0], &count);

    *result_out = host->mailbox_by_id != NULL;
    for (size_t i = 0; i < count && *result_out; i++) {
        g_autofree char *mailbox = NULL;

        if (!sieve_run_step(run, 1, error))
            return false;
        if (!host->mailbox_by_id(host->data, ids[i].bytes, &mailbox, error))
            return sieve_run_host_failed(run, error);
        *result_out = mailbox != NULL;
    }
    return true;
}

/* RFC 8579 section 4: an attribute of RFC 6154, with its backslash. */
static void
check_specialuse(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    const SieveString *text = &bound->value->strings[0];

    if (text->pieces == NULL && text->text.bytes[0] != '\\')
        sieve_check_error(check, text->line, text->column,
                          "'%s' is no special use: they are written like \"\\\\Junk\"",
                          text->text.bytes);
    (void)node;
}

/* RFC 9042 section 4: the mailbox is named by one of them. */
static void
check_mailboxid(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound)
{
    if (sieve_node_tag(node, "specialuse") != NULL)
        sieve_check_error(check, bound->line, bound->column,
                          ":mailboxid and :specialuse exclude each other");
}

static const SieveTag copy_tags[] = {{.name = "copy", .traits = SIEVE_TAKES_COPY}, {0}};

const SieveExtension sieve_ext_copy = {.name = "copy", .tags = copy_tags};

static const SieveCommand mailbox_commands[] = {
    {.name = "mailboxexists", .traits = SIEVE_TEST, .signature = "S", .test = test_mailboxexists},
    {0},
};
static const SieveTag mailbox_tags[] = {
    {.name = "create", .traits = SIEVE_STORES | SIEVE_TAKES_FCC}, {0}};

const SieveExtension sieve_ext_mailbox = {
    .name = "mailbox", .commands = mailbox_commands, .tags = mailbox_tags};

static const SieveCommand special_use_commands[] = {
    {.name = "specialuse_exists",
     .traits = SIEVE_TEST,
     .signature = "?sS",
     .test = test_specialuse_exists},
    {0},
};
static const SieveTag special_use_tags[] = {
    {.name = "specialuse",
     .traits = SIEVE_STORES | SIEVE_TAKES_FCC,
     .argument = 's',
     .check = check_specialuse},
    {0},
};

const SieveExtension sieve_ext_special_use = {
    .name = "special-use", .commands = special_use_commands, .tags = special_use_tags};

static const SieveCommand mailboxid_commands[] = {
    {.name = "mailboxidexists",
     .traits = SIEVE_TEST,
     .signature = "S",
     .test = test_mailboxidexists},
    {0},
};
static const SieveTag mailboxid_tags[] = {
    {.name = "mailboxid",
     .traits = SIEVE_STORES | SIEVE_TAKES_FCC,
     .argument = 's',
     .check = check_mailboxid},
    {0},
};

const SieveExtension sieve_ext_mailboxid = {
    .name = "mailboxid", .commands = mailboxid_commands, .tags = mailboxid_tags};
