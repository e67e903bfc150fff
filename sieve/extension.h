/* sieve/extension.h - what an extension adds to the language
 *
 * An extension is one file, ext_<name>.c, with one SieveExtension: tables of its
 * commands, its tests and the tags it adds, also to commands of others. extensions.c
 * lists them all; check.c and eval.c walk the tables and know no command by name,
 * but for the control structures of RFC 5228 section 3.
 */
#ifndef LODGE_SIEVE_EXTENSION_H
#define LODGE_SIEVE_EXTENSION_H

#include "lodge.h"
#include "sieve/check.h"
#include "sieve/run.h"
#include "sieve/tree.h"

typedef enum {
    SIEVE_TEST = 1 << 0,               /* a test; else a command */
    SIEVE_TAKES_MATCH = 1 << 1,        /* match type and comparator; keys are the last positional */
    SIEVE_TAKES_ADDRESS_PART = 1 << 2, /* :all :localpart :domain, and what extensions add */
    SIEVE_TAKES_INDEX = 1 << 3,        /* :index :last (RFC 5260) */
    SIEVE_TAKES_MIME = 1 << 4,         /* :mime :anychild :type ... (RFC 5703) */
    SIEVE_TAKES_FCC = 1 << 5,          /* RFC 8580 */
    SIEVE_TAKES_BLOCK = 1 << 6,
    SIEVE_TAKES_TEST = 1 << 7,     /* exactly one test */
    SIEVE_TAKES_TESTS = 1 << 8,    /* a list of tests */
    SIEVE_IS_CONTROL = 1 << 9,     /* handled by eval.c itself; no run() */
    SIEVE_TAKES_FLAGS = 1 << 10,   /* :flags (RFC 5232) */
    SIEVE_TAKES_COPY = 1 << 11,    /* :copy (RFC 3894) */
    SIEVE_STORES = 1 << 12,        /* into a mailbox: :create, :specialuse, :mailboxid */
    SIEVE_IS_REDIRECT = 1 << 13,   /* :list, :notify, :ret, :bytime.. of redirect */
    SIEVE_MATCHES_LINES = 1 << 14, /* values have LF line ends: keys are compared as if they had */
} SieveCommandTraits;

struct SieveCommand {
    const char *name; /* lower case */
    unsigned traits;  /* SieveCommandTraits */
    /* Positional arguments: n number, s one string, S string list; '?' before one makes it
     * optional (of "?sS" a lone argument is the S). "" for none. */
    const char *signature;
    /* Checks what the tables cannot say and may set node->data; complains with
     * sieve_check_error(). NULL: nothing to check. */
    void (*check)(SieveCheck *check, SieveNode *node);
    /* A command. False with error stops the run. */
    bool (*run)(SieveRun *run, const SieveNode *node, GError **error);
    /* A test. */
    bool (*test)(SieveRun *run, const SieveNode *node, bool *result_out, GError **error);
};

/* How many letters the signature has: the length of SieveNode.values, SIEVE_MAX_POSITIONAL at
 * most. */
size_t sieve_slot_count(const SieveCommand *command);

/* Of tags of one group a command takes at most one; 0 is no group. */
typedef enum {
    SIEVE_GROUP_NONE,
    SIEVE_GROUP_MATCH_TYPE,
    SIEVE_GROUP_COMPARATOR,
    SIEVE_GROUP_ADDRESS_PART,
    SIEVE_GROUP_MIME_PART, /* :type :subtype :contenttype :param */
    SIEVE_GROUP_1,         /* for the command's own: :over or :under, :raw :content :text, ... */
    SIEVE_GROUP_2,
} SieveTagGroup;

struct SieveTag {
    const char *name;        /* without colon, lower case */
    const char *commands[4]; /* names of commands that take it; NULL-padded */
    unsigned traits; /* commands with any of these traits take it, too; 0: only those named */
    SieveTagGroup group;
    /* For SIEVE_GROUP_MATCH_TYPE: the SieveMatchType; for others free. */
    int value;
    char argument; /* 'n', 's', 'S', or 0 for none */
    void (*check)(SieveCheck *check, SieveNode *node, const SieveBoundTag *bound); /* or NULL */
};

typedef struct SieveExtension {
    const char *name;             /* as in require; NULL: the core, always there */
    const SieveCommand *commands; /* ends with a NULL name; NULL: none */
    const SieveTag *tags;         /* the same */
    const char *const *implies;   /* extensions that come with it; NULL: none */
    /* False: as if unknown, e.g. programs when no directory for them is set; NULL: always there. */
    bool (*is_available)(const SieveSettings *settings);
    const char *
        refusal; /* not NULL: require is an error with this text ("... is called imap4flags now") */
} SieveExtension;

/* A row of the dictionary of all names: a command (or test) or a tag, and whose it is. */
typedef struct {
    const char *name;
    const SieveCommand *command; /* or NULL, then: */
    const SieveTag *tag;
    unsigned extension; /* index in sieve_extensions */
} SieveName;

/* The rows of that name, without regard to case: *count_out of them. */
const SieveName *sieve_command_names(SieveText name, size_t *count_out);
const SieveName *sieve_tag_names(SieveText name, size_t *count_out);
/* All rows, for looking for a near name. */
const SieveName *sieve_all_command_names(size_t *count_out);
const SieveName *sieve_all_tag_names(size_t *count_out);

/* For the parser: whether any extension has a command, or a test, of that name; and whether what
 * is so called takes a block, or is known to take no test. */
bool sieve_command_exists(SieveText name, bool is_test);
bool sieve_command_takes_block(SieveText name);
bool sieve_command_takes_no_test(SieveText name, bool is_test);

extern const SieveExtension *const sieve_extensions[]; /* NULL-terminated; the core first */

/* By its name in require; NULL: unknown. "comparator-..." are extensions too. */
const SieveExtension *sieve_extension_find(SieveText name);

#endif
