/* sieve/sieve.h - what should be done with this message?
 *
 *   text --sieve_script_compile()--> SieveScript      immutable, shared by every message
 *   message, envelope, host ------> SieveRun          one message, one recipient
 *   sieve_run_script(), for each script of the chain: before, the user's, after
 *   sieve_run_finish() -----------> list of SieveAction, for lda/carry_out.c
 *
 * RFC 5228 and the extensions listed in extensions.c. The engine does no I/O and
 * carries nothing out: what it must ask of the world (does this mailbox exist, has
 * this been seen before) it asks through SieveHost. No script and no message can
 * make it crash, hang or use unbounded memory: limits.h.
 */
#ifndef LODGE_SIEVE_SIEVE_H
#define LODGE_SIEVE_SIEVE_H

#include "lodge.h"

#define SIEVE_ERROR sieve_error_quark()
GQuark sieve_error_quark(void);
typedef enum {
    SIEVE_ERROR_RUNTIME, /* the script asked for what cannot be: conflicting actions, a bad address
                            out of a variable. Implicit keep. */
    SIEVE_ERROR_LIMIT,   /* the script passed a limit of limits.h. Implicit keep. */
    SIEVE_ERROR_TEMPORARY, /* the host could not answer: the delivery is to be tried again */
} SieveError;

/* Octets with their length: what comes from a message may contain NUL. bytes is
 * never NULL, and bytes[len] is NUL. Whoever returns one says how long it lives. */
typedef struct {
    const char *bytes;
    size_t len;
} SieveText;

/* ---- settings ------------------------------------------------------------ */

/* What the administrator sets of the engine; rows of [sieve] in lda/config_settings.c
 * with the same names. Strings are never NULL; sizes in octets, times in seconds. */
typedef struct {
    char *user_email; /* the user's own address; "": none */
    char *recipient_delimiter;
    guint64 max_script_size;
    guint64 max_actions;       /* 0: no limit */
    guint64 max_redirects;     /* 0: redirect is prohibited */
    guint64 max_notifications; /* 0: notify is prohibited */
    guint64 max_cpu_time;
    guint64 max_steps;
    guint64 variables_max_size;
    guint64 include_max_depth;
    guint64 include_max_scripts;
    guint64 editheader_max_size;
    char *editheader_protected; /* names, separated by blanks */
    char *editheader_forbid_add;
    char *editheader_forbid_delete;
    guint64 vacation_min_period;
    guint64 vacation_max_period; /* 0: none */
    char *vacation_default_subject;
    char *vacation_default_subject_template;
    guint64 vacation_max_subject; /* code points */
    bool vacation_use_original_recipient;
    bool vacation_check_recipient;
    bool vacation_to_header_ignore_envelope;
    char *spamtest_header;
    int spamtest_type; /* SieveScoreType */
    char *spamtest_max_header;
    char *spamtest_max_value;
    char *spamtest_text[11]; /* of the scores 0 to 10 */
    char *virustest_header;
    int virustest_type;
    char *virustest_max_header;
    char *virustest_max_value;
    char *virustest_text[6];
    bool programs; /* vnd.dovecot.pipe, filter and execute exist: a directory of programs is set */
} SieveSettings;

typedef enum { SIEVE_SCORE_NUMBER, SIEVE_SCORE_STRLEN, SIEVE_SCORE_TEXT } SieveScoreType;

/* The defaults of all settings: for tests, and for programs without configuration. */
void sieve_settings_init(SieveSettings *settings);
void sieve_settings_clear(SieveSettings *settings);

/* ---- complaints ---------------------------------------------------------- */

/* One thing the compiler has to say. Lines and columns count from 1. */
typedef struct {
    bool is_error; /* else a warning: the script is good all the same */
    char *script;  /* name of the script it is about */
    unsigned line;
    unsigned column;
    char *text;
} SieveComplaint;

/* Lists of complaints are GPtrArrays made by this; freed with g_ptr_array_unref(). */
GPtrArray *sieve_complaints_new(void);
unsigned sieve_complaints_errors(const GPtrArray *complaints); /* how many are errors */

/* ---- scripts ------------------------------------------------------------- */

typedef struct SieveScript SieveScript;

/* Compiles len octets of text. name is for messages ("main", or the name of the include).
 * Adds every complaint, in the order of the source, to complaints; NULL when any is
 * an error. The result is immutable. */
SieveScript *sieve_script_compile(const char *name, const char *text, size_t len,
                                  const SieveSettings *settings, GPtrArray *complaints);
SieveScript *sieve_script_ref(SieveScript *script);
void sieve_script_unref(SieveScript *script); /* NULL is fine */
const char *sieve_script_name(const SieveScript *script);
size_t sieve_script_size(const SieveScript *script); /* octets of memory */

/* The extensions the script requires, NULL-terminated; belongs to the script. */
const char *const *sieve_script_requires(const SieveScript *script);

/* Whether a run of this process needed the MIME module (modules.h); and loads it before one does,
 * as far as it can be had: a process that forks others shares with them what loading makes of it.
 */
bool sieve_mime_is_loaded(void);
void sieve_mime_load(void);

/* ---- another engine ------------------------------------------------------ */

/* Whether libsieve does what script means: else complaints say what it does not. */
bool sieve_script_suits_libsieve(const SieveScript *script, GPtrArray *complaints);

/* A script in the words of libsieve (libsieve_run.c). In the text every action is fileinto "N",
 * where N is its number, and whatever a test compares is the header field "N". */
typedef struct {
    const char *text;
    const char *const *const *fields; /* the values of each, NULL-terminated; none: not there */
    size_t field_count;
    guint64 size;         /* of the message, for "size" */
    guint64 max_cpu_time; /* seconds; 0: no limit */
    /* The answer: */
    GArray *actions; /* of guint32: the actions asked for, in their order */
    unsigned line;   /* of the script, where it failed */
} SieveLibsieveTask;

/* ---- host: what the engine asks ------------------------------------------ */

typedef enum { SIEVE_INCLUDE_PERSONAL, SIEVE_INCLUDE_GLOBAL } SieveIncludeFrom;

/* vnd.dovecot.execute and filter: run a program of the configured directory. */
typedef struct {
    bool is_filter;
    const char *program;
    const char *const *arguments; /* NULL-terminated */
    const uint8_t *input;         /* NULL: none */
    size_t input_len;
} SieveProgramCall;

/* Every member but data may be NULL: then the thing does not exist (no mailbox but
 * INBOX, no list, nothing is a duplicate, no program). A callback that returns
 * false has set error, and the run ends with SIEVE_ERROR_TEMPORARY unless the error
 * is of SIEVE_ERROR already. Mailbox names are UTF-8 as the script wrote them. */
typedef struct SieveHost {
    void *data;
    gint64 now_us; /* real time of this delivery, microseconds since the epoch */

    /* A new reference to the compiled script; NULL in *script_out when there is none or it
     * does not compile (then complaints, which may be NULL, has its errors). */
    bool (*include)(void *data, SieveIncludeFrom from, const char *name, SieveScript **script_out,
                    GPtrArray *complaints, GError **error);
    bool (*mailbox_exists)(void *data, const char *mailbox, bool *exists_out, GError **error);
    /* The mailbox with the attribute (RFC 8579, "\\Junk"), or NULL; free with g_free(). */
    bool (*special_use)(void *data, const char *attribute, char **mailbox_out, GError **error);
    /* The mailbox with this id (RFC 9042), or NULL; free with g_free(). */
    bool (*mailbox_by_id)(void *data, const char *id, char **mailbox_out, GError **error);
    bool (*list_known)(void *data, const char *list); /* RFC 6134 */
    bool (*list_contains)(void *data, const char *list, const char *value, bool *contains_out,
                          GError **error);
    /* Every member of a list, for redirect :list; NULL-terminated, freed with g_strfreev(). */
    bool (*list_members)(void *data, const char *list, char ***members_out, GError **error);
    /* RFC 7352. key is unique to script owner, handle and value. Nothing is remembered now: the
     * run's sieve_run_duplicates() are, once the delivery has succeeded. */
    bool (*is_duplicate)(void *data, const char *key, bool *duplicate_out, GError **error);
    bool (*run_program)(void *data, const SieveProgramCall *call, int *status_out,
                        GBytes **output_out, GError **error);
    /* Items of "environment" that the engine does not know itself ("host", "remote-ip",
     * "vnd.dovecot.username"); NULL: unknown. Lives as long as the host. */
    const char *(*environment)(void *data, const char *item);
    void (*debug)(void *data, const char *text); /* vnd.dovecot.debug */
    /* What happened, for people: "header :contains \"subject\" matched \"x\": true". */
    void (*trace)(void *data, const char *script, unsigned line, const char *text);
    /* A warning at run time: what the script asked for was done otherwise. */
    void (*warn)(void *data, const char *script, unsigned line, const char *text);
    /* Runs the scripts, which must suit libsieve, in the stead of this engine. NULL: this does. */
    bool (*libsieve)(void *data, SieveLibsieveTask *task, GError **error);
} SieveHost;

/* ---- actions: the answer ------------------------------------------------- */

typedef enum {
    SIEVE_ACTION_KEEP,     /* explicit, or implicit when .implicit */
    SIEVE_ACTION_FILEINTO, /* mailbox */
    SIEVE_ACTION_REDIRECT, /* address */
    SIEVE_ACTION_DISCARD,
    SIEVE_ACTION_REJECT, /* RFC 5429; ereject sets .ereject */
    SIEVE_ACTION_VACATION,
    SIEVE_ACTION_NOTIFY,
    SIEVE_ACTION_PIPE, /* vnd.dovecot.pipe */
} SieveActionKind;

/* The message as it was when an action was asked for (RFC 5293 section 6, RFC 5703).
 * Only made where a script edits; shared between actions. */
typedef struct SieveEdition {
    GBytes *header; /* header block with its blank line, LF line ends */
    GBytes *body;   /* NULL: the body of the original */
} SieveEdition;

/* fcc (RFC 8580) of vacation and notify. mailbox NULL: no copy is to be filed. */
typedef struct {
    char *mailbox;
    char **flags;
    bool create;
    char *special_use; /* NULL: none */
    char *mailboxid;   /* NULL: none */
} SieveFcc;

/* Strings belong to the run and may be NULL where that says "none". Lists are
 * NULL-terminated and never NULL. */
typedef struct SieveAction {
    SieveActionKind kind;
    unsigned line;               /* where it was asked for */
    const char *script;          /* and in which script */
    const SieveEdition *edition; /* NULL: the message as received */
    char *suppressed;            /* why it is not to be carried out after all; NULL: it is */

    bool copy;     /* :copy: does not cancel the implicit keep */
    bool implicit; /* of keep */
    bool create;   /* of fileinto */
    bool ereject;  /* of reject */
    bool mime;     /* of vacation */
    bool try;      /* of pipe, :try: a failure is no error */

    /* keep and fileinto */
    char *mailbox; /* UTF-8; NULL for keep */
    char **flags;  /* system flags "\\Seen" and keywords */
    char *special_use;
    char *mailboxid;

    /* redirect */
    char *address;
    char *ret;    /* RFC 6009 :ret "FULL" or "HDRS" */
    char *notify; /* RFC 6009 :notify */

    /* reject and ereject, vacation, notify: what to say */
    char *reason;

    /* vacation */
    char *to;        /* whom to answer: an address */
    char *to_header; /* the same for To, with its name: a mailbox of RFC 5322 in UTF-8 */
    char *from;      /* :from, NULL: from the user; notify has one as well */
    char *subject;   /* ready, after templates */
    char *handle;    /* key of the memory: :handle, or made of the arguments */
    guint64 seconds;
    char *in_reply_to; /* Message-ID of the original; NULL */
    char *references;
    char *reply_from; /* the address of the user the message was sent to: From without :from */

    /* notify */
    char *method; /* URI */
    char *importance;
    char **options;
    /* notify by mailto, out of the URI (RFC 5436); subject is as for vacation */
    char **notify_to; /* addresses */
    char **notify_cc;
    char **fields; /* name, value, name, value, ... */
    char *body;

    SieveFcc fcc;

    /* pipe */
    char *program;
    char **arguments;
} SieveAction;

/* ---- one run ------------------------------------------------------------- */

/* One message for one recipient. Everything is borrowed for the life of the run. */
typedef struct {
    const uint8_t *bytes; /* the whole message as stored, LF line ends */
    size_t len;
    guint64 virtual_size; /* octets with CRLF: what "size" tests */
    const char *sender;   /* envelope addresses without brackets; "" is the null path */
    const char *recipient;
    const char *original_recipient; /* NULL: as recipient */
    const char *ret;                /* RFC 6009 envelope-dsn: RET, ENVID, NOTIFY; NULL: absent */
    const char *envid;
    const char *notify;
    const char *const
        *own_addresses; /* more addresses that are the user's; NULL-terminated or NULL */
} SieveInput;

typedef struct SieveRun SieveRun;

SieveRun *sieve_run_new(const SieveInput *input, const SieveHost *host,
                        const SieveSettings *settings);
void sieve_run_free(SieveRun *run); /* NULL is fine */

/* Runs the next script of the chain. False with a SIEVE_ERROR when it failed; the
 * actions of this script are void then, those of scripts before it are not, and sieve_run_finish()
 * adds the implicit keep. The error's
 * message begins with "NAME:LINE: ". */
bool sieve_run_script(SieveRun *run, SieveScript *script, GError **error);

/* Whether a keep, implicit or explicit, is in force: the next script is to run. */
bool sieve_run_keep_in_force(const SieveRun *run);

/* The list of SieveAction, in order of execution, duplicates and conflicts resolved, with
 * the implicit keep as its last when that holds. Belongs to the run. */
const GPtrArray *sieve_run_finish(SieveRun *run);

/* What to remember once the delivery has succeeded (RFC 7352): list of SieveDuplicate. */
typedef struct {
    char *key;
    guint64 seconds; /* from now */
} SieveDuplicate;
const GPtrArray *sieve_run_duplicates(const SieveRun *run);

/* Value of a variable, or match variable ("0", "1"), at the end of the last script.
 * Calls visit for each, sorted; for `lodge sieve test`. */
void sieve_run_variables(const SieveRun *run,
                         void (*visit)(void *data, const char *name, SieveText value), void *data);

/* Compiles every script that script includes, and theirs, as far as the host finds them:
 * errors, loops, missing ones and passed limits become complaints. True when all are good. */
bool sieve_script_check_includes(SieveScript *script, const SieveHost *host,
                                 const SieveSettings *settings, GPtrArray *complaints);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SieveScript, sieve_script_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SieveRun, sieve_run_free)
#endif
