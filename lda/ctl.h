/* lda/ctl.h - what the subcommands of `lodge` share
 *
 * A subcommand is a row of the table in lodge.c and a function here. It parses
 * its own options with ctl_parse(), prints data to stdout (JSON when asked to),
 * complaints to stderr, and returns the exit status.
 */
#ifndef LODGE_LDA_CTL_H
#define LODGE_LDA_CTL_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/privileges.h"
#include "schema/mailmap.h"
#include "schema/mapedit.h"

/* Exit statuses; lodge(1) promises them. */
enum {
    CTL_OK = 0,
    CTL_REFUSED = 1,    /* not found, not allowed, or a check has complaints */
    CTL_USAGE = 2,      /* the command line is wrong */
    CTL_TEMPORARY = 75, /* the map cannot be used now: EX_TEMPFAIL */
};

typedef struct CtlContext CtlContext;

typedef struct {
    const char *noun;
    const char *verb;                                   /* NULL: the noun alone is the command */
    const char *arguments;                              /* "DOMAIN", "[DOMAIN]"; "" for none */
    const char *help;                                   /* one line */
    int (*run)(CtlContext *ctl, int argc, char **argv); /* argv[0]: the last word of its name */
    int table; /* MapeditTable, where one command serves several */
} CtlCommand;

struct CtlContext {
    const CtlCommand *command;
    char *config_path;    /* -c; NULL: the default */
    GPtrArray *overrides; /* -o; of char *, NULL-terminated by ctl_overrides() */
    gboolean json;        /* --json */
    LdaConfig *config;    /* ctl_config() */
};

/* Parses options (-c, -o, --json, --help and own, which may be NULL) out of argv.
 * What is left, behind argv[0], are between min and max arguments. False: the
 * command is done, with *status_out, since help was asked for or something is
 * wrong. Strings of own are best G_OPTION_ARG_FILENAME: bytes, whatever the locale. */
bool ctl_parse(CtlContext *ctl, int *argc, char ***argv, const GOptionEntry *own, int min, int max,
               int *status_out);

/* The options of every command, for a main group with ctl as its data. */
GOptionGroup *ctl_common_options(CtlContext *ctl);

/* -o options as config_load() wants them; borrowed. */
const char *const *ctl_overrides(CtlContext *ctl);

/* The configuration, read at the first call; borrowed from ctl. */
const LdaConfig *ctl_config(CtlContext *ctl, GError **error);

/* The map of the configuration, open for writing. Fails for schemas that are not
 * ours to write (MAILMAP_ERROR_REFUSED). */
Mapedit *ctl_open_map(CtlContext *ctl, GError **error);

/* The same, to list rows only. */
Mapedit *ctl_read_map(CtlContext *ctl, GError **error);

/* Whether the map has lodge's own schema, with forwardings and all. */
bool ctl_is_own_schema(const LdaConfig *config);

/* The map as delivery asks it, whatever its schema. */
Mailmap *ctl_open_mailmap(CtlContext *ctl, GError **error);

/* Whom the mailbox belongs to. Fails with LDA_ERROR_CONFIG. */
Privileges *ctl_mailbox_owner(const LdaConfig *config, const Mailbox *mailbox, GError **error);

/* "lodge domain add: <message>" on stderr; returns the exit status for error. */
int ctl_fail(const CtlContext *ctl, const GError *error);

/* The same for a wrong command line: adds where to find help, returns CTL_USAGE. */
int ctl_usage(const CtlContext *ctl, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* JSON: a member of the object or element of the array that json ends with; name
 * NULL in an array. NULL text is null; raw is JSON already. */
void ctl_json_text(GString *json, const char *name, const char *text);
void ctl_json_raw(GString *json, const char *name, const char *raw);

/* A size as people read it, and as it can be typed: "10G" where that is exact. */
char *ctl_format_size(guint64 octets);

/* Writes text to stdout, which must take it: a full disk is no success. */
int ctl_print(const CtlContext *ctl, const char *text);

/* A new password, from a prompt that does not echo or as one line of stdin, as
 * crypt(3) hash. Fails with CONFIG_ERROR_VALUE or G_FILE_ERROR. */
char *ctl_read_password(GError **error);

/* The lookups for Postfix and Dovecot of schema/, embedded at build. */
typedef struct {
    const char *name; /* "postfix/domains.cf" */
    const char *text;
} CtlLookup;
extern const CtlLookup ctl_lookups[];
extern const size_t ctl_lookup_count;

int ctl_config_list(CtlContext *ctl, int argc, char **argv);
int ctl_config_check(CtlContext *ctl, int argc, char **argv);
int ctl_import(CtlContext *ctl, int argc, char **argv);
int ctl_init(CtlContext *ctl, int argc, char **argv);
int ctl_map_add(CtlContext *ctl, int argc, char **argv);
int ctl_map_list(CtlContext *ctl, int argc, char **argv);
int ctl_map_show(CtlContext *ctl, int argc, char **argv);
int ctl_map_set(CtlContext *ctl, int argc, char **argv);
int ctl_map_remove(CtlContext *ctl, int argc, char **argv);
int ctl_map_resolve(CtlContext *ctl, int argc, char **argv);
int ctl_quota_get(CtlContext *ctl, int argc, char **argv);
int ctl_quota_recalc(CtlContext *ctl, int argc, char **argv);
int ctl_quota_top(CtlContext *ctl, int argc, char **argv);
int ctl_quota_verify(CtlContext *ctl, int argc, char **argv);
int ctl_srs_forward(CtlContext *ctl, int argc, char **argv);
int ctl_srs_reverse(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_activate(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_check(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_deactivate(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_delete(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_get(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_lint(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_list(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_put(CtlContext *ctl, int argc, char **argv);
int ctl_sieve_test(CtlContext *ctl, int argc, char **argv);
int ctl_user_password(CtlContext *ctl, int argc, char **argv);

#endif
