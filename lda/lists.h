/* lda/lists.h - external lists of Sieve (RFC 6134): files, and a table in SQLite
 *
 *   [sieve] lists = tag:example.org,2024:friends=%h/friends; blocked=/etc/lodge/blocked
 *   [sieve] list_database = a file with the table lists(list, member)
 *
 * A file has one member a line. Members are compared without regard to case. A file that is not
 * there is an empty list: most users have none. The database may belong to a whole host.
 */
#ifndef LODGE_LDA_LISTS_H
#define LODGE_LDA_LISTS_H

#include "lodge.h"
#include "lda/config.h"
#include "schema/mailmap.h"

typedef struct Lists Lists; /* as one recipient sees them */

enum { LISTS_MAX_MEMBERS = 1000 }; /* that lists_members() gives: for redirect :list */

/* All borrowed for the life of the result. home NULL: lists below it cannot be read. */
Lists *lists_new(const LdaConfig *config, const Mailbox *mailbox, const char *home);
void lists_free(Lists *lists); /* NULL is fine */

/* The list of that name is what the file at path holds now, whatever the settings say. A name
 * given before is replaced. Fails with G_FILE_ERROR. */
bool lists_add_file(Lists *lists, const char *name, const char *path, GError **error);

/* Whether there is such a list, as far as can be told. */
bool lists_known(Lists *lists, const char *list);

/* Fails with G_FILE_ERROR when the list cannot be read, CONFIG_ERROR when its path is nonsense. */
bool lists_contains(Lists *lists, const char *list, const char *value, bool *contains_out,
                    GError **error);
bool lists_members(Lists *lists, const char *list, char ***members_out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lists, lists_free)
#endif
