/* schema/presets.h - mailbox queries for the schemas administrators already have */
#ifndef LODGE_SCHEMA_PRESETS_H
#define LODGE_SCHEMA_PRESETS_H

#include "lodge.h"

typedef struct {
    const char *name;
    bool own_schema; /* the file must be a lodge map of the current version */
    const char *query;
    /* All that is forwarded: source, and destinations divided by commas. */
    const char *forwardings;
    /* Where one key, ?1 ("ana@example.org", "@example.org"), is forwarded: one row at most, with
     * destinations divided by commas, or NULL for a user that nothing forwards. */
    const char *destinations;
    const char *users; /* keys of all mailboxes of the domain ?1 */
} Preset;

/* NULL when there is none of that name. */
const Preset *preset_find(const char *name);

/* "lodge, tutorial, ...", for messages. Free with g_free(). */
char *preset_names(void);

#endif
