/* lda/filter.c - runs the scripts of one recipient over one message; see filter.h
 *
 * The host of the engine: each callback answers one question of a script, and opens what
 * it needs for that only when it is asked.
 */
#include "lda/filter.h"

#include "lda/libsieve_child.h"
#include "lda/lists.h"
#include "lda/outcome.h"
#include "lda/programs.h"

enum {
    REMARKS_MAX = 50,              /* of one run, for the user's log */
    PROGRAM_OUTPUT_MAX = 64 << 20, /* octets of a filter's output: a message */
};

struct Filter {
    FilterContext context;
    char *home;             /* of the context */
    SieveSettings settings; /* the configuration's, with the user's address: nothing is owned */
    SieveInput input;
    SieveHost host;
    SieveRun *run;
    GPtrArray *chain;
    const GPtrArray *actions;
    const ScriptLink *current;
    const ScriptLink *failed;
    char *failure;
    GPtrArray *remarks;
    GHashTable *includes; /* path -> script: one object for each in a run (RFC 6609 :once) */
    Lists *lists;
    State *state;
    char **own_addresses;
    char *client_ip; /* of the environment; NULL: unknown */
};

/* ---- what went wrong ----------------------------------------------------- */

G_GNUC_PRINTF(2, 3)
static void
remark(Filter *filter, const char *format, ...)
{
    va_list args;

    if (filter->remarks->len >= REMARKS_MAX)
        return;
    va_start(args, format);
    g_ptr_array_add(filter->remarks, g_strdup_vprintf(format, args));
    va_end(args);
}

/* This script does not count, and none behind it is run: the message is kept. */
static void
fail(Filter *filter, const ScriptLink *link, const char *text)
{
    filter->failed = link;
    filter->failure = g_strdup(text);
}

/* ---- scripts ------------------------------------------------------------- */

static char *
include_directory(const Filter *filter, SieveIncludeFrom from, GError **error)
{
    const FilterContext *context = &filter->context;
    const char *template = from == SIEVE_INCLUDE_PERSONAL ? context->config->sieve.script_dir
                                                          : context->config->sieve.global_dir;

    return scripts_path(template, context->recipient->mailbox, context->home, error);
}

static bool
include(void *data, SieveIncludeFrom from, const char *name, SieveScript **script_out,
        GPtrArray *complaints, GError **error)
{
    Filter *filter = data;
    g_autofree char *directory = NULL;
    g_autofree char *path = NULL;
    SieveScript *known;

    *script_out = NULL;
    if (from == SIEVE_INCLUDE_GLOBAL && *filter->context.config->sieve.global_dir == '\0')
        return true;
    directory = include_directory(filter, from, error);
    if (directory == NULL)
        return false;
    path = g_strconcat(directory, "/", name, NULL);
    known = g_hash_table_lookup(filter->includes, path);
    if (known != NULL) {
        *script_out = sieve_script_ref(known);
        return true;
    }
    if (!scripts_include(filter->context.scripts, directory, name, script_out, complaints, error))
        return false;
    if (*script_out != NULL)
        g_hash_table_insert(filter->includes, g_steal_pointer(&path),
                            sieve_script_ref(*script_out));
    return true;
}

/* ---- mailboxes ----------------------------------------------------------- */

static bool
mailbox_exists(void *data, const char *mailbox, bool *exists_out, GError **error)
{
    Filter *filter = data;

    return maildir_has_folder(filter->context.maildir, mailbox, exists_out, error);
}

/* The first mailbox of [sieve] special_use with the attribute that is there. */
static bool
find_special_use(const LdaConfig *config, Maildir *maildir, const char *attribute,
                 char **mailbox_out, GError **error)
{
    const char *name = *attribute == '\\' ? attribute + 1 : attribute;

    *mailbox_out = NULL;
    for (char **pair = config->sieve.special_use; *pair != NULL; pair++) {
        const char *equals = strchr(*pair, '=');
        const char *mailbox = equals + 1;
        size_t len = (size_t)(equals - *pair);
        bool exists = false;

        if (strlen(name) != len || g_ascii_strncasecmp(*pair, name, len) != 0)
            continue;
        if (!maildir_has_folder(maildir, mailbox, &exists, error))
            return false;
        if (exists) {
            *mailbox_out = g_strdup(mailbox);
            return true;
        }
    }
    return true;
}

static bool
special_use(void *data, const char *attribute, char **mailbox_out, GError **error)
{
    Filter *filter = data;

    return find_special_use(filter->context.config, filter->context.maildir, attribute, mailbox_out,
                            error);
}

static bool
mailbox_by_id(void *data, const char *id, char **mailbox_out, GError **error)
{
    Filter *filter = data;

    return maildir_folder_by_id(filter->context.maildir, id, mailbox_out, error);
}

bool
filter_find_mailbox(Filter *filter, Maildir *maildir, const char *attribute, const char *mailboxid,
                    char **mailbox_out, GError **error)
{
    *mailbox_out = NULL;
    if (mailboxid != NULL && !maildir_folder_by_id(maildir, mailboxid, mailbox_out, error))
        return false;
    return *mailbox_out != NULL || attribute == NULL ||
           find_special_use(filter->context.config, maildir, attribute, mailbox_out, error);
}

/* ---- lists, state, programs ---------------------------------------------- */

static Lists *
lists(Filter *filter)
{
    const FilterContext *context = &filter->context;

    if (filter->lists == NULL)
        filter->lists = lists_new(context->config, context->recipient->mailbox, context->home);
    return filter->lists;
}

static bool
list_known(void *data, const char *list)
{
    return lists_known(lists(data), list);
}

static bool
list_contains(void *data, const char *list, const char *value, bool *contains_out, GError **error)
{
    return lists_contains(lists(data), list, value, contains_out, error);
}

static bool
list_members(void *data, const char *list, char ***members_out, GError **error)
{
    return lists_members(lists(data), list, members_out, error);
}

bool
filter_has_state(const Filter *filter)
{
    g_autofree char *path = g_strconcat(filter->context.home, "/.lodge/state.db", NULL);

    /* What cannot be looked at is opened, and then says why not. */
    return filter->state != NULL || access(path, F_OK) == 0 || errno != ENOENT;
}

char *
filter_path(const Filter *filter, const char *template, GError **error)
{
    return scripts_path(template, filter->context.recipient->mailbox, filter->context.home, error);
}

State *
filter_state(Filter *filter, GError **error)
{
    if (filter->state == NULL) {
        g_autofree char *directory = g_strconcat(filter->context.home, "/.lodge", NULL);

        filter->state = state_open(directory, error);
    }
    return filter->state;
}

static bool
is_duplicate(void *data, const char *key, bool *duplicate_out, GError **error)
{
    Filter *filter = data;
    State *state = filter_state(filter, error);

    return state != NULL &&
           state_has(state, STATE_DUPLICATE, key, filter->context.now_us / G_USEC_PER_SEC,
                     duplicate_out, error);
}

/* The environment of a program: what Pigeonhole's programs have. */
static char **
program_environment(const Filter *filter)
{
    const FilterContext *context = &filter->context;
    char **environment = NULL;

    environment = g_environ_setenv(environment, "HOME", context->home, TRUE);
    environment = g_environ_setenv(environment, "USER", context->recipient->mailbox->user, TRUE);
    environment = g_environ_setenv(environment, "HOST", context->hostname, TRUE);
    environment = g_environ_setenv(environment, "SENDER", context->envelope->sender, TRUE);
    environment = g_environ_setenv(environment, "RECIPIENT", context->recipient->address, TRUE);
    return g_environ_setenv(environment, "ORIG_RECIPIENT",
                            filter->input.original_recipient != NULL
                                ? filter->input.original_recipient
                                : context->recipient->address,
                            TRUE);
}

bool
filter_run_program(Filter *filter, const SieveProgramCall *call, int *status_out,
                   GBytes **output_out, GError **error)
{
    const LdaConfig *config = filter->context.config;
    g_auto(GStrv) environment = program_environment(filter);
    const ProgramOptions options = {
        .directory = config->sieve.program_dir,
        .timeout_ms = config->sieve.program_timeout * 1000,
        .max_output = PROGRAM_OUTPUT_MAX,
        .environment = (const char *const *)environment,
    };
    g_autoptr(GError) failure = NULL;

    if (program_run(&options, call->program, call->arguments, call->input, call->input_len,
                    status_out, output_out, &failure)) {
        if (*status_out != 0) {
            g_autofree char *why = program_describe(&options, *status_out);

            remark(filter, "program '%s' %s", call->program, why);
        }
        return true;
    }
    if (!g_error_matches(failure, PROGRAM_ERROR, PROGRAM_ERROR_UNKNOWN)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    remark(filter, "%s", failure->message);
    *status_out = 127; /* as shells say it */
    if (output_out != NULL)
        *output_out = NULL;
    return true;
}

static bool
run_program(void *data, const SieveProgramCall *call, int *status_out, GBytes **output_out,
            GError **error)
{
    return filter_run_program(data, call, status_out, output_out, error);
}

/* ---- environment --------------------------------------------------------- */

/* XFORWARD values that say "not known" are as good as none. */
static const char *
forwarded(const LdaEnvelope *envelope, const char *attribute)
{
    const char *value = g_hash_table_lookup(envelope->forwarded, attribute);

    return value != NULL && value[0] != '[' ? value : NULL;
}

static const char *
environment(void *data, const char *item)
{
    Filter *filter = data;
    const FilterContext *context = &filter->context;
    const char *dot = strchr(context->hostname, '.');
    const struct {
        const char *item;
        const char *value;
    } items[] = {
        {"host", context->hostname},
        {"domain", dot != NULL ? dot + 1 : context->hostname},
        {"remote-host", forwarded(context->envelope, "NAME")},
        {"remote-ip", filter->client_ip},
        {"vnd.dovecot.default-mailbox",
         context->recipient->folder != NULL ? context->recipient->folder : "INBOX"},
        {"vnd.dovecot.username", context->recipient->mailbox->user},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        if (strcmp(items[i].item, item) == 0)
            return items[i].value;
    }
    return NULL;
}

/* RFC 5183 section 4.1: an address, without what SMTP puts around it. */
static char *
client_ip(const LdaEnvelope *envelope)
{
    const char *address = forwarded(envelope, "ADDR");

    if (address == NULL)
        return NULL;
    return g_strdup(g_ascii_strncasecmp(address, "IPv6:", 5) == 0 ? address + 5 : address);
}

static void
debug(void *data, const char *text)
{
    Filter *filter = data;

    g_message("script of '%s': %s", filter->context.recipient->mailbox->user, text);
    remark(filter, "debug: %s", text);
}

static void
warn(void *data, const char *script, unsigned line, const char *text)
{
    remark(data, "%s:%u: warning: %s", script, line, text);
}

/* ---- one run ------------------------------------------------------------- */

static bool
requires_any(const SieveScript *script, const char *const *extensions)
{
    const char *const *requires = sieve_script_requires(script);

    for (; *requires != NULL; requires ++) {
        if (g_strv_contains(extensions, *requires))
            return true;
    }
    return false;
}

/* The user's other addresses are looked up for those who may ask. */
static bool
needs_own_addresses(const Filter *filter)
{
    static const char *const askers[] = {"vacation", "vacation-seconds", "include", NULL};

    if (filter->context.map == NULL || !filter->context.config->sieve.own_addresses ||
        *filter->context.envelope->sender == '\0')
        return false;
    for (guint i = 0; i < filter->chain->len; i++) {
        const ScriptLink *link = filter->chain->pdata[i];

        if (link->script != NULL && requires_any(link->script, askers))
            return true;
    }
    return false;
}

static bool
prepare_input(Filter *filter, GError **error)
{
    const FilterContext *context = &filter->context;
    const Mailbox *mailbox = context->recipient->mailbox;
    SieveInput *input = &filter->input;

    *input = (SieveInput){
        .bytes = message_bytes(context->message, error),
        .len = (size_t)message_size(context->message),
        .virtual_size = message_virtual_size(context->message),
        .sender = context->envelope->sender,
        .recipient = context->recipient->address,
        .original_recipient = context->recipient->original,
        .ret = context->envelope->ret,
        .envid = context->envelope->envid,
        .notify = context->recipient->notify,
    };
    if (input->bytes == NULL)
        return false;
    filter->settings = context->config->sieve.engine;
    /* A catch-all has no address of its own. */
    if (*filter->settings.user_email == '\0' && mailbox->user[0] != '@' &&
        strchr(mailbox->user, '@') != NULL)
        filter->settings.user_email = mailbox->user;
    if (needs_own_addresses(filter)) {
        filter->own_addresses = mailmap_aliases(context->map, mailbox->user, error);
        if (filter->own_addresses == NULL)
            return false;
        input->own_addresses = (const char *const *)filter->own_addresses;
    }
    return true;
}

static void
prepare_host(Filter *filter)
{
    filter->client_ip = client_ip(filter->context.envelope);
    filter->host = (SieveHost){
        .data = filter,
        .now_us = filter->context.now_us,
        .include = include,
        .mailbox_exists = mailbox_exists,
        .special_use = special_use,
        .mailbox_by_id = mailbox_by_id,
        .list_known = list_known,
        .list_contains = list_contains,
        .list_members = list_members,
        .is_duplicate = is_duplicate,
        .run_program = filter->settings.programs ? run_program : NULL,
        .environment = environment,
        .debug = debug,
        .warn = warn,
        .libsieve = filter->context.config->sieve.chosen_engine == SIEVE_ENGINE_LIBSIEVE
                        ? libsieve_evaluate
                        : NULL,
    };
}

static void
remark_complaints(Filter *filter, const ScriptLink *link)
{
    for (guint i = 0; i < link->complaints->len; i++) {
        const SieveComplaint *complaint = link->complaints->pdata[i];

        remark(filter, "%s:%u:%u: %s: %s", link->path, complaint->line, complaint->column,
               complaint->is_error ? "error" : "warning", complaint->text);
    }
}

static void
fail_uncompiled(Filter *filter, const ScriptLink *link)
{
    remark_complaints(filter, link);
    for (guint i = 0; i < link->complaints->len; i++) {
        const SieveComplaint *complaint = link->complaints->pdata[i];
        g_autofree char *text = NULL;

        if (!complaint->is_error)
            continue;
        text = g_strdup_printf("%s:%u: %s", complaint->script, complaint->line, complaint->text);
        fail(filter, link, text);
        return;
    }
    fail(filter, link, "the script does not compile");
}

/* False with error for what is to be tried again. */
static bool
run_link(Filter *filter, const ScriptLink *link, GError **error)
{
    g_autoptr(GError) failure = NULL;

    filter->current = link;
    if (link->script == NULL) {
        fail_uncompiled(filter, link);
        return true;
    }
    if (sieve_run_script(filter->run, link->script, &failure))
        return true;
    if (g_error_matches(failure, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    remark(filter, "%s: error: %s", link->path, failure->message);
    fail(filter, link, failure->message);
    return true;
}

static bool
run_chain(Filter *filter, GError **error)
{
    filter->run = sieve_run_new(&filter->input, &filter->host, &filter->settings);
    for (guint i = 0; i < filter->chain->len && filter->failure == NULL; i++) {
        if (i > 0 && !sieve_run_keep_in_force(filter->run))
            break;
        if (!run_link(filter, filter->chain->pdata[i], error))
            return false;
    }
    filter->actions = sieve_run_finish(filter->run);
    return true;
}

Filter *
filter_run(const FilterContext *context, GError **error)
{
    GError *failure = NULL;
    GPtrArray *chain =
        scripts_chain(context->scripts, context->recipient->mailbox, context->home, &failure);
    g_autoptr(Filter) filter = NULL;

    if (failure != NULL)
        g_propagate_error(error, failure);
    if (chain == NULL)
        return NULL;
    filter = g_new0(Filter, 1);
    filter->context = *context;
    filter->context.home = filter->home = g_strdup(context->home);
    filter->chain = chain;
    filter->remarks = g_ptr_array_new_with_free_func(g_free);
    filter->includes =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)sieve_script_unref);
    if (!prepare_input(filter, error))
        return NULL;
    prepare_host(filter);
    if (!run_chain(filter, error))
        return NULL;
    return g_steal_pointer(&filter);
}

void
filter_free(Filter *filter)
{
    if (filter == NULL)
        return;
    sieve_run_free(filter->run);
    g_clear_pointer(&filter->chain, g_ptr_array_unref);
    g_ptr_array_unref(filter->remarks);
    g_hash_table_unref(filter->includes);
    lists_free(filter->lists);
    state_free(filter->state);
    g_strfreev(filter->own_addresses);
    g_free(filter->home);
    g_free(filter->failure);
    g_free(filter->client_ip);
    g_free(filter);
}

const GPtrArray *
filter_actions(const Filter *filter)
{
    return filter->actions;
}

const SieveInput *
filter_input(const Filter *filter)
{
    return &filter->input;
}

const char *
filter_user_email(const Filter *filter)
{
    return filter->settings.user_email;
}

const char *
filter_script(const Filter *filter)
{
    return filter->current->path;
}

const char *
filter_script_name(const Filter *filter)
{
    const SieveScript *script = filter->current->script;
    const char *slash = strrchr(filter->current->path, '/');

    return script != NULL ? sieve_script_name(script) : slash != NULL ? slash + 1 : "";
}

const char *
filter_failure(const Filter *filter)
{
    return filter->failure;
}

const ScriptLink *
filter_failed_link(const Filter *filter)
{
    return filter->failed;
}

const GPtrArray *
filter_remarks(const Filter *filter)
{
    return filter->remarks;
}

const GPtrArray *
filter_duplicates(const Filter *filter)
{
    return sieve_run_duplicates(filter->run);
}
