/* lda/config.h - every setting, read once into a const struct
 *
 * /etc/lodge/lodge.conf is an INI file read with GLib's GKeyFile. One table in
 * config.c lists section, key, type, default, unit and a line of help for each
 * setting; the parser, the strict check, `lodge config` and the manual page all
 * come from it. Every default works on a fresh `lodge init`.
 */
#ifndef LODGE_LDA_CONFIG_H
#define LODGE_LDA_CONFIG_H

#include "lodge.h"
#include "sieve/sieve.h"

#define CONFIG_DEFAULT_PATH "/etc/lodge/lodge.conf"

typedef enum { DELIVERED_TO_ALWAYS, DELIVERED_TO_SINGLE, DELIVERED_TO_NEVER } DeliveredTo;
typedef enum { DETAIL_FOLDER_NO, DETAIL_FOLDER_EXISTING, DETAIL_FOLDER_CREATE } DetailFolder;
typedef enum { COMPRESS_NO, COMPRESS_GZIP } Compress;
typedef enum { DURABILITY_FULL, DURABILITY_NONE } Durability;
typedef enum { REJECT_SMTP, REJECT_MDN } RejectMethod;
typedef enum { SIEVE_ENGINE_LODGE, SIEVE_ENGINE_LIBSIEVE } SieveEngine;
typedef enum { SUBMISSION_TLS_NO, SUBMISSION_TLS_TRY, SUBMISSION_TLS_YES } SubmissionTls;
typedef enum { LOG_TARGET_FILE, LOG_TARGET_SYSLOG, LOG_TARGET_STDERR } LogTarget;
typedef enum { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON } LogFormat;

/* Strings are never NULL; an unset one is "". Sizes are octets, times seconds. */
typedef struct LdaConfig {
    struct {
        char *user;        /* whose rights deliveries run with when started as root */
        char *group;       /* "": the user's primary group */
        char *root;        /* mail root; nothing is written outside it */
        char *home;        /* default home, relative to root: "%d/%n" */
        char *maildir;     /* default Maildir, relative to home: "Maildir" */
        bool per_user_ids; /* take uid and gid of the map row for each delivery */
        char *hostname;    /* in Received, replies and file names; "": this host's */
        guint64 spool_memory;
        char *spool_dir;
        guint64 message_size_limit; /* 0: none */
        guint64 hopcount_limit;
        int delivered_to;  /* DeliveredTo */
        int detail_folder; /* DetailFolder */
        char *separator;   /* one character */
        char *prefix;
        int compress; /* Compress */
        guint64 compress_level;
        int durability; /* Durability */
    } mail;
    struct {
        char *path;
        char *preset;
        char *mailbox_query;
        char *recipient_delimiter;
        bool fold_local_part;
        guint64 busy_timeout;
    } map;
    struct {
        char **listen;       /* "unix:/run/lodge/lmtp", "inet:127.0.0.1:2424", "inet:[::1]:2424" */
        guint64 socket_mode; /* octal in the file */
        char *socket_user;
        char *socket_group;
        guint64 min_workers;
        guint64 max_workers;
        guint64 busy_wait;       /* seconds all workers may be busy before 421 4.3.2 */
        char **trusted_networks; /* may use XFORWARD over TCP: "127.0.0.0/8" "::1" */
        guint64 max_recipients;
        guint64 max_errors;
        guint64 command_timeout;
        guint64 data_timeout;
        guint64 transaction_timeout;
        guint64 drain_timeout;
    } lmtp;
    struct {
        char **listen; /* as for lmtp */
        guint64 socket_mode;
        char *socket_user;
        char *socket_group;
        guint64 workers;
        guint64 idle_timeout;
    } policy;
    struct {
        SieveSettings engine; /* what the engine itself is told */
        int chosen_engine;    /* SieveEngine; the key "engine" */
        char *script;         /* templates for config_expand() */
        char *default_script; /* "": none; the key "default" */
        char **before;        /* templates of files and directories */
        char **after;
        char *script_dir;    /* of include :personal, template */
        char *global_dir;    /* of include :global; "": none */
        char **lists;        /* "NAME=TEMPLATE" (RFC 6134) */
        char *list_database; /* SQLite file with a table lists(list, member); "": none */
        char **special_use;  /* "Junk=Spam": attribute without backslash, mailbox */
        bool mailbox_autocreate;
        bool mailbox_autosubscribe;
        int reject_method;  /* RejectMethod */
        bool own_addresses; /* what forwardings lead to the user is his own */
        char *program_dir;  /* "": no programs */
        guint64 program_timeout;
        bool error_notice;
        char *user_log; /* template; "": none */
        char *postmaster_address;
        char *redirect_envelope_from; /* how these two are written: outgoing.h */
        char *notify_envelope_from;
        bool vacation_send_from_recipient;
        char *srs_domain;
        char *srs_secrets; /* path */
    } sieve;
    struct {
        char *url;
        int tls; /* SubmissionTls */
        char *ca_file;
        char *user;
        char *password_file;
        guint64 timeout;
        char *sendmail; /* "": SMTP to url */
    } submission;
    struct {
        guint64 bytes;       /* of a mailbox whose row and domain say nothing; 0: no limit */
        guint64 messages;    /* likewise */
        guint64 max_message; /* likewise */
        guint64 grace;
        int over; /* QuotaOver */
        guint64 ramp_time;
        char **folders; /* "Trash=ignore": quota_rules.h */
        bool count_trash;
        bool count_deleted;
        bool shared_storage;
        guint64 lock_timeout;
        char **warn;         /* "80": percent, ascending */
        char *warn_template; /* path; "": the text we have */
        char *warn_program;  /* name; "": none */
        char *program_dir;
        guint64 program_timeout;
        bool publish;
        char *database;
    } quota;
    struct {
        int target; /* LogTarget */
        char *path;
        int format; /* LogFormat */
        char *time_format;
    } log;
} LdaConfig;

#define CONFIG_ERROR config_error_quark()
GQuark config_error_quark(void);
typedef enum {
    CONFIG_ERROR_FILE,    /* missing, unreadable, or not an INI file */
    CONFIG_ERROR_UNKNOWN, /* unknown section or key: names file, line and the nearest name */
    CONFIG_ERROR_VALUE,   /* a value out of its type or range */
} ConfigError;

/* Reads path and then the overrides ("section.key=value", NULL-terminated, may be
 * NULL). path NULL means CONFIG_DEFAULT_PATH, which may be missing: then the
 * defaults hold; an explicit path must exist. Fails with CONFIG_ERROR at the
 * first bad setting; see config_check() for all of them. */
LdaConfig *config_load(const char *path, const char *const *overrides, GError **error);
void config_free(LdaConfig *config); /* NULL is fine */

/* All complaints about the file, one line each ("file:line: text"); empty when good. */
GPtrArray *config_check(const char *path);

/* One setting, for listing: `lodge config`, the manual page, the commented file
 * of `lodge init`. The last four members are for the parser (config_value.c). */
typedef enum {
    CONFIG_TEXT,      /* char * */
    CONFIG_WORD,      /* int: the place of the word in "one of: a, b, c" */
    CONFIG_CHOICE,    /* char *: one of these words */
    CONFIG_YES_NO,    /* bool */
    CONFIG_SIZE,      /* guint64 octets: "512", "64K", "1M", "2G" */
    CONFIG_TIME,      /* guint64 seconds: "30", "30s", "5m", "1h", "7d" */
    CONFIG_COUNT,     /* guint64 */
    CONFIG_MODE,      /* guint64, octal */
    CONFIG_PATH,      /* char *: absolute */
    CONFIG_TEMPLATE,  /* char *: a path for config_expand() */
    CONFIG_CHARACTER, /* char *: one of ASCII, printable */
    CONFIG_LISTENERS, /* char ** */
    CONFIG_NETWORKS,  /* char ** */
    CONFIG_TEMPLATES, /* char **: paths for config_expand(), separated by blanks */
    CONFIG_PAIRS,     /* char **: "name=value", separated by semicolons */
    CONFIG_PERCENTS,  /* char **: numbers from 1 to 100, ascending, at most QUOTA_MAX_WARNINGS */
} ConfigKind;
typedef struct {
    const char *section;
    const char *key;
    const char *type;         /* "text", "yes/no", "size", "seconds", "one of: ...", ... */
    const char *default_text; /* as it would stand in the file */
    const char *help;         /* one sentence */
    ConfigKind kind;
    size_t offset; /* in LdaConfig */
    guint64 min, max;
} ConfigSetting;
const ConfigSetting *config_settings(size_t *count_out);

/* Value of setting number index as it would stand in the file. Free with g_free(). */
char *config_format(const LdaConfig *config, size_t index);

/* Expands %u (user@domain), %n (local part), %d (domain), %h (home) and %%.
 * home may be NULL where %h makes no sense. Fails with CONFIG_ERROR_VALUE on an
 * unknown letter, or when an expanded value contains "/", NUL, or is "." or "..":
 * a name from outside never becomes a path. */
char *config_expand(const char *text, const char *user, const char *home, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdaConfig, config_free)
#endif
