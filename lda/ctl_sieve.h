/* lda/ctl_sieve.h - the pieces of `lodge sieve test` and `lodge sieve check`
 *
 *   ctl_sieve.c         options, files, the run; the exit status
 *   ctl_sieve_world.c   the world a script may ask about: SieveHost out of options
 *   ctl_sieve_effect.c  actions -> messages stored and sent, composed as delivery does
 *   ctl_sieve_report.c  the answer, as JSON or for people
 */
#ifndef LODGE_LDA_CTL_SIEVE_H
#define LODGE_LDA_CTL_SIEVE_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/outgoing.h"
#include "sieve/sieve.h"

/* ---- the world ----------------------------------------------------------- */

/* What the command line says about it. Strings and lists may be NULL. */
typedef struct {
    const char *script_dir; /* of include :personal */
    const char *global_dir;
    char **mailboxes;    /* names that exist */
    char **special_uses; /* "\\Junk=Spam" */
    char **mailbox_ids;  /* "ID=NAME" */
    char **lists;        /* "NAME=FILE" */
    const char *state_dir;
    bool tracing;
} TrialOptions;

typedef struct TrialWorld TrialWorld;

/* One step of the trace, or a line of vnd.dovecot.debug (then line is 0). */
typedef struct {
    char *script;
    unsigned line;
    char *text;
} TrialTrace;

/* Opens lists and state. options and config are borrowed. Fails with CONFIG_ERROR_VALUE for an
 * option that is not as it should be, with G_FILE_ERROR for a file that cannot be read. */
TrialWorld *trial_world_new(const LdaConfig *config, const TrialOptions *options, GError **error);
void trial_world_free(TrialWorld *world); /* NULL is fine */

const SieveHost *trial_world_host(const TrialWorld *world);

/* Compiles text, and remembers it for trial_world_source(). As sieve_script_compile(). */
SieveScript *trial_world_compile(TrialWorld *world, const char *name, const char *text, size_t len,
                                 GPtrArray *complaints);

/* The line of a script compiled here; NULL: there is none. */
const char *trial_world_source(const TrialWorld *world, const char *script, unsigned line);

const GPtrArray *trial_world_trace(const TrialWorld *world);    /* of TrialTrace */
const GPtrArray *trial_world_warnings(const TrialWorld *world); /* of SieveComplaint */

/* Of the scripts that a run included (of SieveComplaint). */
const GPtrArray *trial_world_complaints(const TrialWorld *world);

bool trial_world_has_mailbox(const TrialWorld *world, const char *mailbox, GError **error);
void trial_world_add_mailbox(TrialWorld *world, const char *mailbox);

/* Whether the vacation reply was sent lately; if not it is remembered now. */
bool trial_world_answered(TrialWorld *world, const SieveAction *vacation, bool *answered_out,
                          GError **error);
/* Remembers what the run wants remembered. */
bool trial_world_remember(TrialWorld *world, const GPtrArray *duplicates, GError **error);

/* ---- the effect ---------------------------------------------------------- */

typedef struct {
    char *mailbox; /* UTF-8; "INBOX" */
    char **flags;  /* NULL-terminated */
    GBytes *bytes; /* LF line ends */
} TrialStored;

typedef struct {
    GPtrArray *outgoing; /* of OutgoingMail */
    GPtrArray *stored;   /* of TrialStored */
    GPtrArray *created;  /* of char *: mailboxes */
    GPtrArray *failures; /* of SieveComplaint: what could not be done */
    /* By SieveAction *: why it is not carried out. */
    GHashTable *suppressed;
} TrialEffect;

void trial_effect_init(TrialEffect *effect);
void trial_effect_clear(TrialEffect *effect);

/* What delivery would do with actions. Fails as the world does. */
bool trial_effect_carry_out(TrialEffect *effect, TrialWorld *world, const OutgoingContext *context,
                            const GPtrArray *actions, GError **error);

/* Why the action is not carried out: the engine's reason, or delivery's; NULL: it is. */
const char *trial_effect_suppressed(const TrialEffect *effect, const SieveAction *action);

/* ---- the report ---------------------------------------------------------- */

typedef struct {
    char *name;
    char *value;
    size_t len;
} TrialVariable;

typedef struct {
    const char *status;         /* "ok", "compile_error", "runtime_error", "action_error" */
    const char *main_name;      /* name of the main script: left out of errors */
    const TrialWorld *world;    /* for the trace */
    GPtrArray *complaints;      /* of SieveComplaint, in the order of the source */
    const GPtrArray *actions;   /* NULL: nothing was run */
    const GPtrArray *variables; /* of TrialVariable; NULL: not required */
    const TrialEffect *effect;  /* NULL: nothing was run */
} TrialReport;

char *trial_report_json(const TrialReport *report);
char *trial_report_text(const TrialReport *report);

/* A list of complaints as "NAME:LINE:COLUMN: error: TEXT". */
void trial_append_complaints(GString *out, const GPtrArray *complaints);

/* len octets as the JSON string name; as base64 under name_base64 if they are no UTF-8. name
 * NULL: an element of an array, for valid UTF-8 only. */
void trial_json_octets(GString *json, const char *name, const char *octets, size_t len);

/* A number, or a yes or no, as a member. */
void trial_json_number(GString *json, const char *name, guint64 number);
void trial_json_bool(GString *json, const char *name, bool value);

SieveComplaint *trial_complaint_new(bool is_error, const char *script, unsigned line,
                                    const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrialWorld, trial_world_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TrialEffect, trial_effect_clear)
#endif
