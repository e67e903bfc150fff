/* schema/query.h - the mailbox query: checked once, run for each lookup
 *
 * Internal to schema/. What a query must and may return is in mailmap.h.
 */
#ifndef LODGE_SCHEMA_QUERY_H
#define LODGE_SCHEMA_QUERY_H

#include "lodge.h"
#include "schema/database.h"
#include "schema/mailmap.h"

typedef struct MailboxQuery MailboxQuery;

/* Prepares sql on db (both outlive the result; path is for messages) and
 * watches what is prepared on db from then on. Fails with
 * MAILMAP_ERROR_SCHEMA when it is not a mailbox query, or with UNAVAILABLE. */
MailboxQuery *query_new(sqlite3 *db, const char *path, const char *sql, GError **error);
void query_free(MailboxQuery *query);

/* Whether the same question to the same state of the file has always the same answer:
 * false if the query, or a view it reads, looks at the clock, for example. */
bool query_is_repeatable(const MailboxQuery *query);

/* Asks for local@domain. Stores a mailbox with the row's values in *mailbox_out,
 * NULL when there is no row. Fails with INACTIVE, BAD_ROW or UNAVAILABLE. */
bool query_run(MailboxQuery *query, const char *local, const char *domain, Mailbox **mailbox_out,
               GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MailboxQuery, query_free)
#endif
