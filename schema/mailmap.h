/* schema/mailmap.h - whose mailbox is this address?
 *
 * The map is an SQLite file that Postfix and Dovecot read too. This module is
 * the only code that issues SQL on it. The delivery side opens it read-only and
 * asks one question, mailmap_lookup(); the administrator's side opens it for
 * writing and adds, changes and removes rows (schema/mapedit.h).
 *
 * An address is folded before it is compared: the domain to its lower-case
 * A-label form (UTS #46, so that a U-label finds the same row), the local part
 * to lower case (NFC) unless fold_local_part is off. Looked for are the full
 * address, then the address without its detail, then the catch-all "@domain".
 *
 * Another schema comes in through a mailbox query: one SELECT with the parameters
 * :address :local :domain (folded; "@domain", "" and the domain for the catch-all)
 * and one row a mailbox, of which the first counts. Its columns by name:
 *
 *   user            required  key of the row, "ana@example.org"; %u %n %d of the paths
 *   active          required  1 or 0; also t, true, yes, 2 and f, false, no
 *   home, maildir, sieve      text; home is required, NULL AS home takes the default
 *   uid, gid                  whole numbers above 0
 *   quota_bytes, quota_messages, max_message_bytes
 *                             of the mailbox; whole numbers, 0 for no limit
 *   domain_quota_bytes, domain_quota_messages
 *                             of all mailboxes of the user's domain; likewise
 *   quota_over                what does not fit is met with: reject, defer or ramp
 *
 * NULL and "" are "not set", and blanks around a value do not count. A column of
 * another name is an error when the map is opened, as it would be a misspelt one.
 */
#ifndef LODGE_SCHEMA_MAILMAP_H
#define LODGE_SCHEMA_MAILMAP_H

#include "lodge.h"

typedef struct Mailmap Mailmap;

#define MAILMAP_ERROR mailmap_error_quark()
GQuark mailmap_error_quark(void);
typedef enum {
    MAILMAP_ERROR_UNKNOWN_ADDRESS, /* no such row: permanent */
    MAILMAP_ERROR_INACTIVE,        /* the user or its domain is switched off: permanent */
    MAILMAP_ERROR_BAD_ADDRESS,     /* not an address at all: permanent */
    MAILMAP_ERROR_BAD_ROW,         /* the row is nonsense (home with "..", negative quota) */
    MAILMAP_ERROR_UNAVAILABLE,     /* locked, missing, unreadable or damaged; names the file and the
                                      cause */
    MAILMAP_ERROR_SCHEMA,  /* wrong version, or mailbox_query lacks a column or does not compile */
    MAILMAP_ERROR_EXISTS,  /* add: the row is there already */
    MAILMAP_ERROR_MISSING, /* set, remove: there is no such row */
    MAILMAP_ERROR_REFUSED, /* a constraint of the schema forbids it; the message says which */
} MailmapError;

/* All strings are borrowed for the life of the Mailmap. */
typedef struct {
    const char *path;                /* the SQLite file */
    const char *preset;              /* "lodge", "tutorial", "postfixadmin", "iredmail" */
    const char *mailbox_query;       /* NULL or "": the preset's own query */
    const char *recipient_delimiter; /* "" for none; each character of it delimits, as in Postfix */
    bool fold_local_part;
    unsigned busy_timeout_ms; /* how long to wait for a lock before MAILMAP_ERROR_UNAVAILABLE */
} MailmapOptions;

typedef enum {
    MAILMAP_MATCH_ADDRESS,        /* the full address has a row */
    MAILMAP_MATCH_WITHOUT_DETAIL, /* "ana" of "ana+lists" */
    MAILMAP_MATCH_CATCH_ALL,      /* "@domain" */
} MailmapMatch;

typedef enum {
    MAILMAP_OVER_DEFAULT, /* nothing said */
    MAILMAP_OVER_REJECT,
    MAILMAP_OVER_DEFER,
    MAILMAP_OVER_RAMP,
} MailmapOver;

/* One mailbox as the map describes it. NULL strings and -1 mean that neither
 * the row nor its domain says anything: the configuration's default holds. */
typedef struct {
    char *address; /* as looked up, folded, detail included */
    char *user;    /* key of the row: "ana@example.org" or "@example.org"; Dovecot's %u */
    char *
        detail; /* "lists" of "ana+lists", case kept; NULL without or if the full address matched */
    char *home; /* absolute, or relative to [mail] root; %u %n %d unexpanded */
    char *maildir; /* absolute, or relative to home; %u %n %d %h unexpanded */
    char *sieve;   /* path of the active script, as maildir */
    gint64 uid;
    gint64 gid;
    gint64 quota_bytes;         /* 0: no limit */
    gint64 quota_messages;      /* 0: no limit */
    gint64 max_message_bytes;   /* 0: no limit */
    guint64 domain_quota_bytes; /* of all mailboxes of the domain of user; 0: no limit */
    guint64 domain_quota_messages;
    MailmapOver quota_over;
    MailmapMatch match;
} Mailbox;

/* Opens the map read-only and prepares (and so checks) the mailbox query.
 * Fails with UNAVAILABLE or SCHEMA. */
Mailmap *mailmap_open(const MailmapOptions *options, GError **error);
void mailmap_close(Mailmap *map); /* NULL is fine */

/* Finds the mailbox of address ("local@domain", without brackets; the local
 * part may be a quoted string). Sees each change of the map from its commit on, and
 * follows a map that was replaced by a new file.
 * Fails with any of the first six errors. */
Mailbox *mailmap_lookup(Mailmap *map, const char *address, GError **error);

/* Addresses that the map forwards to user, also by way of others: at most MAILMAP_ALIASES_MAX, no
 * catch-alls; NULL-terminated, free with g_strfreev(). None when mailbox_query is the
 * administrator's own. Reads the table of forwardings: for those who need it. Fails as
 * mailmap_lookup(). */
enum { MAILMAP_ALIASES_MAX = 32 };
char **mailmap_aliases(Mailmap *map, const char *user, GError **error);

/* Where mail to address ends, as Postfix follows forwardings: address itself when nothing forwards
 * it, or when mailbox_query is the administrator's own. An end may be elsewhere, or no address at
 * all (a local account). NULL-terminated, free with g_strfreev(). *is_all_out is false when there
 * are more than were followed. Fails as mailmap_lookup(). */
char **mailmap_destinations(Mailmap *map, const char *address, bool *is_all_out, GError **error);

/* Keys of all mailboxes of a domain (in lower case), in any order, the switched off among them.
 * NULL-terminated, free with g_strfreev(); *users_out is NULL when it cannot be told: mailbox_query
 * is the administrator's own. Fails as mailmap_lookup(). */
bool mailmap_users(Mailmap *map, const char *domain, char ***users_out, GError **error);

/* The mailbox with that key, be it a catch-all, as mailmap_lookup() would find it. Fails likewise.
 */
Mailbox *mailmap_user(Mailmap *map, const char *user, GError **error);

Mailbox *mailbox_copy(const Mailbox *mailbox);
void mailbox_free(Mailbox *mailbox); /* NULL is fine */

/* Folds address as described at the top. Fails with BAD_ADDRESS. */
char *mailmap_fold_address(const char *address, bool fold_local_part, GError **error);

/* Folds a domain name alone. Fails with BAD_ADDRESS. */
char *mailmap_fold_domain(const char *domain, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mailmap, mailmap_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mailbox, mailbox_free)
#endif
