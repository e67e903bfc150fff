/* sieve/ext_duplicate.c - "duplicate": has this been seen before? (RFC 7352)
 *
 * The host remembers; the run only says what is to be remembered once the delivery has
 * succeeded (section 3). A second test for the same thing in one run says what the first
 * said.
 */
#include "sieve/extensions.h"

enum { DEFAULT_SECONDS = 7 * 24 * 3600, MAX_SECONDS = 90 * 24 * 3600 };

static void
check_duplicate(SieveCheck *check, SieveNode *node)
{
    const SieveBoundTag *header = sieve_node_tag(node, "header");

    if (header != NULL && sieve_node_tag(node, "uniqueid") != NULL)
        sieve_check_error(check, header->line, header->column,
                          ":header and :uniqueid exclude each other");
}

/* What identifies the message; false: nothing does, and it is no duplicate of any. */
static bool
unique_id(SieveRun *run, const SieveNode *node, SieveText *id_out)
{
    SieveMessage *message = sieve_run_message(run);
    SieveText name = sieve_text("message-id");
    size_t position = 0;

    if (sieve_run_tag_text(run, node, "uniqueid", id_out))
        return true;
    (void)sieve_run_tag_text(run, node, "header", &name);

    SieveField *field = sieve_message_next_field(message, name, &position);

    if (field != NULL)
        *id_out = sieve_field_value(message, field);
    return field != NULL;
}

/* Handle and id, each with its length in front: no two pairs make the same key. */
static char *
key_of(SieveRun *run, const SieveNode *node, SieveText id)
{
    SieveText handle = sieve_text("");
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *lengths = NULL;

    (void)sieve_run_tag_text(run, node, "handle", &handle);
    lengths = g_strdup_printf("%zu,%zu,", handle.len, id.len);
    g_checksum_update(checksum, (const guchar *)lengths, -1);
    g_checksum_update(checksum, (const guchar *)handle.bytes, (gssize)handle.len);
    g_checksum_update(checksum, (const guchar *)id.bytes, (gssize)id.len);
    return g_strdup(g_checksum_get_string(checksum));
}

static guint64
seconds_of(const SieveNode *node)
{
    const SieveBoundTag *seconds = sieve_node_tag(node, "seconds");

    return seconds == NULL ? DEFAULT_SECONDS : MIN(seconds->value->number, (guint64)MAX_SECONDS);
}

static bool
test_duplicate(SieveRun *run, const SieveNode *node, bool *result_out, GError **error)
{
    const SieveHost *host = sieve_run_host(run);
    SieveText id;

    *result_out = false;
    if (seconds_of(node) == 0 || !unique_id(run, node, &id))
        return true;

    g_autofree char *key = key_of(run, node, id);

    if (host->is_duplicate != NULL && !host->is_duplicate(host->data, key, result_out, error))
        return sieve_run_host_failed(run, error);
    /* Section 3.1: with :last the time begins again at each duplicate. */
    if (!*result_out || sieve_node_tag(node, "last") != NULL)
        sieve_run_remember(run, key, seconds_of(node));
    return sieve_run_step(run, 1, error);
}

static const SieveCommand commands[] = {
    {.name = "duplicate",
     .traits = SIEVE_TEST,
     .signature = "",
     .check = check_duplicate,
     .test = test_duplicate},
    {0},
};

static const SieveTag tags[] = {
    {.name = "handle", .commands = {"duplicate"}, .argument = 's'},
    {.name = "header", .commands = {"duplicate"}, .argument = 's'},
    {.name = "uniqueid", .commands = {"duplicate"}, .argument = 's'},
    {.name = "seconds", .commands = {"duplicate"}, .argument = 'n'},
    {.name = "last", .commands = {"duplicate"}},
    {0},
};

const SieveExtension sieve_ext_duplicate = {
    .name = "duplicate", .commands = commands, .tags = tags};
