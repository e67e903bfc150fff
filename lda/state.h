/* lda/state.h - what must be remembered between deliveries to one user
 *
 * One small SQLite file per user, %h/.lodge/state.db: to whom a vacation reply went, which
 * duplicates were seen, which redirects of a message are done, which script version the owner
 * was told about. Entries expire; their number is bounded: the oldest go first.
 */
#ifndef LODGE_LDA_STATE_H
#define LODGE_LDA_STATE_H

#include "lodge.h"

typedef struct State State;

typedef enum {
    STATE_VACATION,  /* key: handle and the address that was answered */
    STATE_DUPLICATE, /* key of RFC 7352 */
    STATE_REDIRECT,  /* key: message and address, so that a retry does not send again */
    STATE_NOTICE,    /* key: script and its version */
} StateKind;

enum { STATE_MAX_ENTRIES = 10000 }; /* of one kind */

/* Opens, or makes, the state in the directory. Fails with G_FILE_ERROR. A damaged file is set
 * aside ("state.db.damaged") and begun anew: a lost memory is no reason to lose mail. */
State *state_open(const char *directory, GError **error);
void state_free(State *state); /* NULL is fine */

/* Whether key is remembered at now (seconds since the epoch). */
bool state_has(State *state, StateKind kind, const char *key, gint64 now, bool *has_out,
               GError **error);

/* Remembers key until now + seconds. */
bool state_put(State *state, StateKind kind, const char *key, gint64 now, guint64 seconds,
               GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(State, state_free)
#endif
