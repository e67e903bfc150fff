/* sieve/run.h - one run, as the commands and tests of extensions see it
 *
 * Values come from the run's arena and live as long as the run. Whatever can be made
 * long by a script or message costs steps: sieve_run_step().
 */
#ifndef LODGE_SIEVE_RUN_H
#define LODGE_SIEVE_RUN_H

#include "lodge.h"
#include "sieve/address.h"
#include "sieve/match.h"
#include "sieve/message.h"
#include "sieve/tree.h"

typedef struct SieveCheck SieveCheck; /* check.h */

const SieveInput *sieve_run_input(const SieveRun *run);
const SieveHost *sieve_run_host(const SieveRun *run);
const SieveSettings *sieve_run_settings(const SieveRun *run);
SieveArena *sieve_run_arena(SieveRun *run);
SieveMessage *sieve_run_message(SieveRun *run); /* with its edits so far */
const SieveScript *sieve_run_script_now(const SieveRun *run);

/* Counts steps and looks at the clocks now and then: SIEVE_ERROR_LIMIT. */
bool sieve_run_step(SieveRun *run, guint64 steps, GError **error);

/* Fails the run: sets error (SIEVE_ERROR_RUNTIME) and returns false. */
bool sieve_run_fail(SieveRun *run, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
void sieve_run_warn(SieveRun *run, const SieveNode *node, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Makes an error of a host callback one of SIEVE_ERROR; returns false. */
bool sieve_run_host_failed(SieveRun *run, GError **error);

bool sieve_run_is_tracing(const SieveRun *run);
void sieve_run_trace(SieveRun *run, const SieveNode *node, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* ---- values of arguments ------------------------------------------------- */

/* The value of a string with its variables expanded. What the script wrote is never cut; what
 * variables add to one string is, at SIEVE_MAX_EXPANSION. */
SieveText sieve_run_string(SieveRun *run, const SieveString *string);
/* The first string of an argument, or of the argument of a tag. */
SieveText sieve_run_first(SieveRun *run, const SieveArgument *argument);
/* All, as a NULL-terminated array of texts (bytes NULL at the end). */
const SieveText *sieve_run_strings(SieveRun *run, const SieveArgument *argument, size_t *count_out);
/* Value of the tag's string argument; false: the tag is not there. */
bool sieve_run_tag_text(SieveRun *run, const SieveNode *node, const char *tag, SieveText *text_out);

/* ---- variables (RFC 5229): variables.c ----------------------------------- */

/* name is lower case, "x" or "global.x". Unknown variables are "". */
SieveText sieve_variable_get(SieveRun *run, SieveText name);
/* Cuts at variables_max_size, on a UTF-8 boundary. */
void sieve_variable_set(SieveRun *run, SieveText name, SieveText value);
/* From here on name, in the script being run, is the variable of all scripts (RFC 6609 "global").
 */
void sieve_variable_make_global(SieveRun *run, SieveText name);
/* The modifiers among the tags of node (RFC 5229 section 4.1), applied to value by precedence: for
 * set and extracttext. */
SieveText sieve_variable_modify(SieveRun *run, const SieveNode *node, SieveText value);
/* For check(): a constant that "set" may name; its lower-case form. Complains if it is not. */
bool sieve_variable_check_name(SieveCheck *check, const SieveString *string, SieveText *name_out);
/* ${0}, ${1}, ...: of the last successful match, if the script requires "variables". */
void sieve_match_variables_set(SieveRun *run, const SieveText *values, size_t count);

/* ---- tests with a match type --------------------------------------------- */

/* One evaluation of a test with keys:
 *     SieveMatching matching;
 *     if (!sieve_matching_begin(run, node, keys, &matching, error)) return false;
 *     while (... && !matching.matched)
 *         if (!sieve_matching_value(&matching, value, error)) return false;
 *     return sieve_matching_end(&matching, result_out, error);
 * For :count the values are counted and compared at the end; for :list the host is asked. */
typedef struct {
    SieveRun *run;
    const SieveNode *node;
    SievePattern **patterns;
    size_t pattern_count;
    const SieveText *keys;        /* their values; NULL: those of written are constant */
    const SieveArgument *written; /* the keys in the script */
    guint64 count;
    bool matched;
    bool no_variables; /* set it behind begin: match variables stay (RFC 5173 section 6) */
} SieveMatching;

bool sieve_matching_begin(SieveRun *run, const SieveNode *node, const SieveArgument *keys,
                          SieveMatching *matching, GError **error);
bool sieve_matching_value(SieveMatching *matching, SieveText value, GError **error);
bool sieve_matching_end(SieveMatching *matching, bool *result_out, GError **error);

/* The part of an address that the node's address part tag names; false: it has no such
 * part (RFC 5233: no detail) and does not match anything. tag NULL is :all. */
bool sieve_run_address_part(SieveRun *run, const SieveNode *node, const SieveAddress *address,
                            SieveText *part_out);

/* ---- actions: actions.c -------------------------------------------------- */

/* A new action of node, from the arena, with script, line and the edition of now. */
SieveAction *sieve_action_new(SieveRun *run, const SieveNode *node, SieveActionKind kind);
/* Adds it, or drops it as a duplicate; checks conflicts (RFC 5228 section 2.10.4-5, RFC 5429
 * section 2.1) and limits. Cancels the implicit keep unless the action says otherwise. */
bool sieve_action_add(SieveRun *run, SieveAction *action, GError **error);
/* Flags in force for keep and fileinto without :flags (RFC 5232 internal variable). */
char **sieve_run_flags(SieveRun *run);
void sieve_run_set_flags(SieveRun *run, char **flags); /* from the arena */
/* Normalises a list: splits at blanks, removes duplicates (without case), keeps order. */
char **sieve_flags_normalize(SieveArena *arena, const SieveText *texts, size_t count);
/* The same without what is no flag that can be set (RFC 5232 section 2), with a warning for each.
 */
char **sieve_flags_valid(SieveRun *run, const SieveNode *node, const SieveText *texts,
                         size_t count);
/* Tags of SIEVE_STORES and SIEVE_TAKES_FLAGS into action; of SIEVE_TAKES_FCC into action->fcc. */
bool sieve_action_take_tags(SieveRun *run, const SieveNode *node, SieveAction *action,
                            GError **error);

/* Remembers a duplicate key for sieve_run_duplicates(). */
void sieve_run_remember(SieveRun *run, const char *key, guint64 seconds);

/* ---- control: eval.c ----------------------------------------------------- */

bool sieve_eval_block(SieveRun *run, const SieveNode *first, GError **error);
bool sieve_eval_test(SieveRun *run, const SieveNode *test, bool *result_out, GError **error);
/* Ends this script (stop), the included one (return), or foreverypart loops (break). */
typedef enum { SIEVE_FLOW_ON, SIEVE_FLOW_STOP, SIEVE_FLOW_RETURN, SIEVE_FLOW_BREAK } SieveFlow;
SieveFlow sieve_run_flow(const SieveRun *run);
void sieve_run_set_flow(SieveRun *run, SieveFlow flow);
/* Runs an included script in a scope of variables of its own (RFC 6609). */
bool sieve_run_include(SieveRun *run, SieveScript *script, bool once, GError **error);
bool sieve_run_was_included(const SieveRun *run, const SieveScript *script);

/* ---- parts of the message (RFC 5703): ext_mime.c, ext_foreverypart.c ------ */

typedef struct SieveMime SieveMime; /* mime.h */
typedef struct SievePart SievePart;
typedef struct SieveLoop SieveLoop;

/* What ext_mime.c keeps for a run; zeroed at its start. */
typedef struct {
    SieveMime *mime; /* the parts of the message as it was at that edition */
    const SieveEdition *edition;
    SieveLoop *loop;           /* the innermost foreverypart */
    const SieveNode *breaking; /* the foreverypart that break ends */
    bool is_enclosed;
    const SieveEdition *before_enclose; /* what redirect sends all the same (RFC 5703 section 6) */
    guint64 edited;                     /* octets of messages made by replace, enclose and filter */
} SieveRunMime;
SieveRunMime *sieve_run_mime_state(SieveRun *run); /* run.c */

SieveMime *sieve_run_mime(SieveRun *run); /* of the message with its edits so far */
SievePart *sieve_run_part(SieveRun *run); /* the current one; NULL outside of foreverypart */
/* The message with its edits in one piece, as programs read it and enclose wraps it. Free with
 * g_bytes_unref(). */
GBytes *sieve_run_whole_message(SieveRun *run);
/* The message is this from now on. False with SIEVE_ERROR_LIMIT: too much was made. */
bool sieve_run_set_message(SieveRun *run, GBytes *bytes, GError **error);
/* The edition that an action of this kind captures. */
const SieveEdition *sieve_run_edition(SieveRun *run, SieveActionKind kind);

/* The headers that header, address or exists is about: the message's, or with :mime that of
 * the current part, and with :anychild those of its children too. False: a limit. */
bool sieve_run_headers(SieveRun *run, const SieveNode *node, SieveMessage *const **headers_out,
                       size_t *count_out, GError **error);
/* What "header" compares of a field: its value, or what :type, :subtype, :contenttype or
 * :param asks for, which may be nothing at all. */
const SieveText *sieve_run_field_values(SieveRun *run, const SieveNode *node, SieveMessage *message,
                                        SieveField *field, size_t *count_out);

#endif
