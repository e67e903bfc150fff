/* quota/room.c - does it fit? See room.h */
#include "quota/room.h"

#include "quota/rules.h"
#include "quota/scan.h"

static bool
fits(const QuotaRefusal *sum)
{
    return sum->allowed == 0 ||
           quota_add(quota_add(sum->used, sum->set_aside), sum->wanted) <= sum->allowed;
}

/* In the folder, or in all of them: NULL. */
static guint64
octets_set_aside(const Ledger *ledger, const char *folder)
{
    guint64 hash = folder != NULL ? quota_name_hash(folder) : 0;
    guint64 sum = 0;

    for (unsigned i = 0; i < ledger->other_count; i++) {
        if (folder == NULL || ledger->others[i].folder == hash)
            sum = quota_add(sum, ledger->others[i].octets);
    }
    return sum;
}

bool
quota_room_in_mailbox(const QuotaSettings *settings, const Ledger *ledger, const QuotaUsage *usage,
                      const char *directory, guint64 octets, QuotaRefusal *refusal_out)
{
    *refusal_out = (QuotaRefusal){.used = usage->octets,
                                  .set_aside = octets_set_aside(ledger, NULL),
                                  .wanted = octets,
                                  .allowed = quota_allowed_octets(settings, directory)};
    if (!fits(refusal_out))
        return false;
    *refusal_out = (QuotaRefusal){.is_messages = true,
                                  .used = usage->messages,
                                  .set_aside = ledger->other_count,
                                  .wanted = 1,
                                  .allowed = settings->limits.messages};
    return fits(refusal_out);
}

bool
quota_room_in_folder(const QuotaSettings *settings, const Ledger *ledger, const QuotaUsage *usage,
                     const char *directory, guint64 octets, QuotaRefusal *refusal_out)
{
    *refusal_out = (QuotaRefusal){.folder = directory,
                                  .used = usage->octets,
                                  .set_aside = octets_set_aside(ledger, directory),
                                  .wanted = octets,
                                  .allowed = quota_folder_limit(settings, directory)};
    return fits(refusal_out);
}

bool
quota_refusal_may_pass(const QuotaRefusal *refusal)
{
    return quota_add(quota_add(refusal->used, refusal->own), refusal->wanted) <= refusal->allowed;
}

/* ---- words ---------------------------------------------------------------- */

char *
quota_format_number(guint64 number)
{
    g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    GString *text = g_string_new(NULL);
    size_t len = strlen(digits);

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            g_string_append_c(text, ',');
        g_string_append_c(text, digits[i]);
    }
    return g_string_free(text, FALSE);
}

/* "mailbox" or "folder '.Trash'". Free with g_free(). */
static char *
describe_place(const char *folder)
{
    return folder == NULL ? g_strdup("mailbox")
                          : g_strdup_printf("folder '%s'", *folder == '\0' ? "INBOX" : folder);
}

char *
quota_refusal_describe(const QuotaRefusal *refusal)
{
    g_autofree char *place = describe_place(refusal->folder);
    g_autofree char *used = quota_format_number(refusal->used);
    g_autofree char *set_aside = quota_format_number(refusal->set_aside);
    g_autofree char *wanted = quota_format_number(refusal->wanted);
    g_autofree char *allowed = quota_format_number(refusal->allowed);
    GString *text = g_string_new(NULL);

    g_string_printf(text, "%s is full: %s of %s %s used", place, used, allowed,
                    refusal->is_messages ? "messages" : "octets");
    if (refusal->set_aside > 0)
        g_string_append_printf(text, ", %s set aside for deliveries under way", set_aside);
    if (!refusal->is_messages)
        g_string_append_printf(text, ", the message has %s", wanted);
    return g_string_free(text, FALSE);
}

/* limit 0: none. */
static bool
is_within(guint64 octets, guint64 limit, QuotaError code, const char *what, GError **error)
{
    if (limit == 0 || octets <= limit)
        return true;

    g_autofree char *size = quota_format_number(octets);
    g_autofree char *most = quota_format_number(limit);

    g_set_error(error, QUOTA_ERROR, (int)code, "message of %s octets is larger than %s: %s", size,
                what, most);
    return false;
}

bool
quota_room_is_possible(const QuotaSettings *settings, const char *directory, guint64 octets,
                       GError **error)
{
    return is_within(octets, settings->max_message, QUOTA_ERROR_TOO_BIG,
                     "any that the mailbox takes", error) &&
           (!quota_folder_counts(settings, directory) ||
            (is_within(octets, quota_allowed_octets(settings, directory), QUOTA_ERROR_FULL,
                       "all that the mailbox may hold", error) &&
             is_within(octets, quota_folder_limit(settings, directory), QUOTA_ERROR_FULL,
                       "all that the folder may hold", error)));
}
