/* sieve/run_private.h - what run.c, eval.c, actions.c and variables.c share of a run */
#ifndef LODGE_SIEVE_RUN_PRIVATE_H
#define LODGE_SIEVE_RUN_PRIVATE_H

#include "lodge.h"
#include "sieve/run.h"
#include "sieve/script.h"

/* A script being run, and its own variables: scripts that include each other share none but
 * the global ones (RFC 6609 section 3.4). */
typedef struct SieveScope {
    struct SieveScope *outer; /* of the script that included this one */
    SieveScript *script;
    GHashTable *variables;    /* SieveText * -> SieveText *, from the arena; NULL: none yet */
    GHashTable *global_names; /* of SieveText: those that are the variables of all; NULL: none */
    bool has_variables;       /* the script requires "variables" */
    SieveText *match_values;  /* ${0}, ${1}, ... */
    size_t match_count;
} SieveScope;

struct SieveRun {
    const SieveInput *input;
    const SieveHost *host;
    const SieveSettings *settings;
    SieveArena *arena;
    SieveMessage *message;
    SieveRunMime mime;

    SieveScope *scope; /* the innermost; NULL between scripts */
    SieveScope *last;  /* the main script that has ended, for sieve_run_variables() */
    GHashTable *globals;
    GPtrArray *chain;    /* of SieveScript that ran: actions point into them; owned references */
    GPtrArray *included; /* of SieveScript: owned references */
    guint64 include_depth;

    SieveFlow flow;
    unsigned line; /* of the command being run */
    guint64 steps;
    guint64 steps_at_clock; /* when to look at the clock again */
    gint64 cpu_started_us;  /* 0: nobody has looked yet */

    bool exhausted;       /* there was no memory for a string: the next step fails */
    GPtrArray *collected; /* not NULL: values go here and are not compared; libsieve_run.c */

    GPtrArray *actions;    /* of SieveAction */
    SieveAction *spare;    /* one that an earlier one stood for: memory of the next; NULL */
    guint first_duplicate; /* the same of duplicates */
    guint first_action;    /* of the script being run; those before are of earlier scripts */
    guint64 action_count;  /* that count for max_actions */
    bool implicit_keep;    /* in force */
    bool explicit_keep;    /* asked for by the script being run */
    bool failed, finished;
    char **flags;      /* the internal variable of RFC 5232 */
    char **kept_flags; /* of the keep of an earlier script, until flags change; NULL */
    guint64 redirects;
    guint64 notifications;
    GPtrArray *duplicates; /* of SieveDuplicate */
};

/* run.c: there is no memory for what a script wants; the next step fails. */
void sieve_run_exhaust(SieveRun *run);

/* trace.c: node as it was written; free with g_free(). A string of it, quoted. */
char *sieve_node_text(const SieveNode *node);
void sieve_trace_quote(GString *out, SieveText text);

/* actions.c: the next script of the chain begins. */
void sieve_actions_begin_script(SieveRun *run);

void sieve_scope_free(SieveScope *scope); /* and those around it; NULL is fine */

/* The keys of tables of variables. */
guint sieve_text_hash(const void *text);
gboolean sieve_text_equal_pointers(const void *a, const void *b);

#endif
