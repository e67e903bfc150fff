/* schema/mapedit.h - the administrator's side of the map
 *
 * Adding, listing, changing and removing rows of the four tables. One table of
 * columns describes them all, so that `lodge domain|user|alias|transport` is one
 * piece of code. Values travel as text, as typed on a command line or found in a
 * dump: "yes", "10G", "5000"; NULL is "not set: the default holds".
 *
 * Errors are MAILMAP_ERROR (mailmap.h); REFUSED and BAD_ADDRESS messages name the
 * column, the value and what is expected.
 */
#ifndef LODGE_SCHEMA_MAPEDIT_H
#define LODGE_SCHEMA_MAPEDIT_H

#include "lodge.h"
#include "schema/mailmap.h"

typedef enum {
    MAPEDIT_DOMAINS,     /* key: domain */
    MAPEDIT_USERS,       /* key: email */
    MAPEDIT_FORWARDINGS, /* key: source ("a@b" or "@b"); destination is a comma list */
    MAPEDIT_TRANSPORT,   /* key: domain, or an address */
    MAPEDIT_TABLES
} MapeditTable;

typedef enum {
    MAPEDIT_TEXT,
    MAPEDIT_YES_NO, /* stored 1 or 0; printed yes or no */
    MAPEDIT_SIZE,   /* octets; "10M", "2G" accepted */
    MAPEDIT_NUMBER,
    MAPEDIT_SECRET, /* password hash: never listed or shown */
} MapeditType;

typedef struct {
    const char *name; /* column, and name of the option: "quota_bytes" is --quota-bytes */
    MapeditType type;
    const char *help; /* one line */
} MapeditColumn;

/* The columns of a table, its key first. */
const MapeditColumn *mapedit_columns(MapeditTable table, size_t *count_out);

typedef struct Mapedit Mapedit;

/* Makes a new map at path (which must not exist), mode 0640, with the current
 * schema. Fails with EXISTS or UNAVAILABLE. */
bool mapedit_create(const char *path, GError **error);

/* Opens an existing map for writing and migrates it to the current schema. */
Mapedit *mapedit_open(const char *path, unsigned busy_timeout_ms, GError **error);

/* Opens it to list rows only: nothing is written, and an older schema is MAILMAP_ERROR_SCHEMA. */
Mapedit *mapedit_open_reading(const char *path, unsigned busy_timeout_ms, GError **error);
void mapedit_close(Mapedit *edit); /* NULL is fine; an open transaction is rolled back */

/* Several changes as one: all or nothing. Without, each change is its own. */
bool mapedit_begin(Mapedit *edit, GError **error);
bool mapedit_commit(Mapedit *edit, GError **error);

/* values: column name -> text (GHashTable of strings, borrowed), without the key;
 * a column that is missing keeps its default (add) or its value (set); the value
 * "" sets NULL. Keys and addresses are folded as in mailmap.h. Adding a user or
 * forwarding whose domain is not there fails with REFUSED and says how to add it;
 * removing a domain that has users fails with REFUSED and says how many. */
bool mapedit_add(Mapedit *edit, MapeditTable table, const char *key, GHashTable *values,
                 GError **error);
bool mapedit_set(Mapedit *edit, MapeditTable table, const char *key, GHashTable *values,
                 GError **error);
bool mapedit_remove(Mapedit *edit, MapeditTable table, const char *key, GError **error);

/* Rows as arrays of text in the order of mapedit_columns(), NULL for NULL; secrets
 * are replaced by "set" or NULL. key NULL: all rows, ordered by key. With a key:
 * that row, or MISSING. domain not NULL: only rows of that domain. */
GPtrArray *mapedit_list(Mapedit *edit, MapeditTable table, const char *key, const char *domain,
                        GError **error); /* of char **, freed with the array */

/* One step of forwarding, in the order Postfix would follow it. */
typedef struct {
    unsigned depth;    /* 0 for what the address itself forwards to */
    char *source;      /* the row's key that matched */
    char *destination; /* one address of its list */
    bool loops;        /* destination was met before on this path: Postfix stops here */
} MapeditForwarding;

/* Follows forwardings from address as Postfix's virtual_alias_maps does (full address,
 * without detail, "@domain" unless a user row exists), to at most 100 steps. An
 * empty array when nothing forwards. */
GPtrArray *mapedit_forwardings(Mapedit *edit, const char *address, const char *recipient_delimiter,
                               GError **error); /* of MapeditForwarding */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mapedit, mapedit_close)
#endif
