/* lda/filter.h - runs the scripts of one recipient over one message
 *
 *   scripts_chain() --> sieve_run_script() for each --> list of SieveAction --> carry_out.c
 *                            |  ^
 *          mailboxes, lists, state, programs, environment: what a script may ask
 *
 * A script that fails, or does not compile, never stops mail: the message is kept, and the
 * owner is told once. What could not be asked (a disk error, a locked database) is
 * a temporary failure of this recipient.
 */
#ifndef LODGE_LDA_FILTER_H
#define LODGE_LDA_FILTER_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/envelope.h"
#include "lda/maildir.h"
#include "lda/message.h"
#include "lda/scripts.h"
#include "lda/state.h"
#include "sieve/sieve.h"

/* Borrowed for the life of the filter, but what says so only for filter_run(). */
typedef struct {
    const LdaConfig *config;
    const LdaEnvelope *envelope;
    const LdaRecipient *recipient;
    Message *message;
    Maildir *maildir; /* only for filter_run() */
    Scripts *scripts;
    Mailmap *map;     /* for the user's other addresses; NULL: none are known; filter_run() only */
    const char *home; /* only for filter_run() */
    const char *hostname;
    gint64 now_us;
} FilterContext;

typedef struct Filter Filter;

/* Runs the chain. NULL without error: there is no script at all. Call with the rights of the
 * recipient. Fails with G_FILE_ERROR, SIEVE_ERROR_TEMPORARY or CONFIG_ERROR. */
Filter *filter_run(const FilterContext *context, GError **error);
void filter_free(Filter *filter); /* NULL is fine */

const GPtrArray *filter_actions(const Filter *filter); /* of SieveAction; belong to filter */
const SieveInput *filter_input(const Filter *filter);
const char *filter_user_email(const Filter *filter); /* "": the recipient */

const char *filter_script_name(const Filter *filter); /* for people: "vacation" */

/* For the log: path of the last script that ran, and what was wrong first ("line 3: ..."), or NULL.
 */
const char *filter_script(const Filter *filter);
const char *filter_failure(const Filter *filter);
/* The script that failed; NULL: none did. Its version names it for the notice. */
const ScriptLink *filter_failed_link(const Filter *filter);
/* Everything there is to tell the owner, a line each; may be empty. */
const GPtrArray *filter_remarks(const Filter *filter);

/* The state of the user, opened at the first call; NULL with error. Belongs to filter. */
State *filter_state(Filter *filter, GError **error);
/* Whether there is anything to be opened: most users have none. With the rights of anybody. */
bool filter_has_state(const Filter *filter);
/* A path of the configuration for this recipient. Free with g_free(). */
char *filter_path(const Filter *filter, const char *template, GError **error);
const GPtrArray *filter_duplicates(const Filter *filter); /* of SieveDuplicate, to be remembered */

/* Runs a program with the environment of this delivery; as SieveHost.run_program. */
bool filter_run_program(Filter *filter, const SieveProgramCall *call, int *status_out,
                        GBytes **output_out, GError **error);

/* A mailbox by attribute or id, as the scripts see it; *mailbox_out is NULL when there is none. */
bool filter_find_mailbox(Filter *filter, Maildir *maildir, const char *special_use,
                         const char *mailboxid, char **mailbox_out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Filter, filter_free)
#endif
