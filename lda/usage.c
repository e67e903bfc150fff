/* lda/usage.c - what mailboxes hold, all in one database; see usage.h
 *
 *   settle ──▶ notes (memory) ──▶ usage_flush(): BEGIN, rows, COMMIT ──▶ quota_usage
 *
 * The file is in usage_database.c, totals of domains are in usage_total.c.
 */
#include "lda/usage_parts.h"

enum { NOTES_MAX = 10000 }; /* a file that cannot be written must not fill the memory */

typedef struct {
    char *user;
    QuotaUsage stored;
    gint64 measured_us;
    char *stamp;
} Note;

typedef struct {
    gint64 id;
    bool is_stored; /* its octets are to be added to the row */
} EndedHold;

static void
note_free(void *data)
{
    Note *note = data;

    g_free(note->user);
    g_free(note->stamp);
    g_free(note);
}

Usage *
usage_new(const char *path, unsigned timeout_ms)
{
    Usage *usage = g_new0(Usage, 1);

    usage->path = g_strdup(path);
    usage->timeout_ms = timeout_ms;
    usage->lock_fd = -1;
    usage->notes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, note_free);
    usage->ended = g_array_new(FALSE, FALSE, sizeof(EndedHold));
    return usage;
}

void
usage_free(Usage *usage)
{
    if (usage == NULL)
        return;
    usage_close(usage);
    lodge_close(&usage->lock_fd);
    g_hash_table_unref(usage->notes);
    g_array_unref(usage->ended);
    g_free(usage->path);
    g_free(usage);
}

char *
usage_domain(const char *user)
{
    const char *at = strrchr(user, '@');

    return g_ascii_strdown(at != NULL ? at + 1 : "", -1);
}

/* ---- notes --------------------------------------------------------------- */

gint64
usage_to_number(guint64 value)
{
    return (gint64)MIN(value, (guint64)G_MAXINT64);
}

static void
end_hold(Usage *usage, gint64 hold, bool is_stored)
{
    const EndedHold ended = {.id = hold, .is_stored = is_stored};

    if (hold != 0)
        g_array_append_val(usage->ended, ended);
}

void
usage_note(Usage *usage, const UsageRow *row, gint64 hold)
{
    const Note *known = g_hash_table_lookup(usage->notes, row->user);
    Note *note;

    end_hold(usage, hold, false);
    if (known != NULL && known->measured_us > row->measured_us)
        return;
    if (g_hash_table_size(usage->notes) >= NOTES_MAX)
        g_hash_table_remove_all(usage->notes);
    note = g_new0(Note, 1);
    note->user = g_strdup(row->user);
    note->stored = row->stored;
    note->measured_us = row->measured_us;
    note->stamp = g_strdup(row->stamp);
    g_hash_table_replace(usage->notes, note->user, note);
}

void
usage_note_held(Usage *usage, gint64 hold)
{
    end_hold(usage, hold, true);
}

void
usage_release(Usage *usage, gint64 hold)
{
    end_hold(usage, hold, false);
}

bool
usage_has_notes(const Usage *usage)
{
    return g_hash_table_size(usage->notes) > 0 || usage->ended->len > 0;
}

bool
usage_write_notes(Usage *usage)
{
    GHashTableIter notes;
    void *value;
    bool done = true;

    g_hash_table_iter_init(&notes, usage->notes);
    while (done && g_hash_table_iter_next(&notes, NULL, &value)) {
        const Note *note = value;
        g_autofree char *domain = usage_domain(note->user);

        done = usage_run(usage, SQL_PUT, "ttiiit", note->user, domain,
                         usage_to_number(note->stored.octets),
                         usage_to_number(note->stored.messages), note->measured_us, note->stamp) &&
               usage_run(usage, SQL_PUT_DOMAIN, "tt", note->user, domain);
    }
    for (guint i = 0; done && i < usage->ended->len; i++) {
        const EndedHold *hold = &g_array_index(usage->ended, EndedHold, i);

        done = (!hold->is_stored || usage_run(usage, SQL_GROW, "i", hold->id)) &&
               usage_run(usage, SQL_END_HOLD, "i", hold->id);
    }
    return done;
}

void
usage_forget_notes(Usage *usage)
{
    g_hash_table_remove_all(usage->notes);
    g_array_set_size(usage->ended, 0);
}

bool
usage_flush(Usage *usage, unsigned timeout_ms, GError **error)
{
    if (!usage_has_notes(usage))
        return true;
    if (!usage_begin(usage, timeout_ms, error) ||
        !usage_end(usage, usage_write_notes(usage), error))
        return false;
    usage_forget_notes(usage);
    return true;
}
