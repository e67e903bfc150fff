/* lda/ctl_sieve_world.c - the world of `lodge sieve test`: what a script may ask, out of options
 *
 *   --mailbox, --special-use, --mailbox-id   the mailboxes there are
 *   --list                                   external lists, besides those of the settings
 *   --script-dir, --global-dir               includes, compiled once each
 *   --state                                  what vacation and duplicate remember
 *
 * Mailboxes are compared by the names of their directories, which the code of delivery makes:
 * what cannot be stored there does not exist here either. Programs are never run.
 */
#include "lda/ctl_sieve.h"

#include "lda/libsieve_child.h"
#include "lda/lists.h"
#include "lda/maildir.h"
#include "lda/scripts.h"
#include "lda/state.h"
#include "sieve/complaints.h"

struct TrialWorld {
    const LdaConfig *config;
    const TrialOptions *options;
    SieveHost host;
    MaildirLayout layout;
    GHashTable *mailboxes;    /* set of directory names */
    GHashTable *special_uses; /* attribute in lower case -> name */
    GHashTable *mailbox_ids;  /* id -> name */
    Mailbox owner;            /* of the lists: whose address is user_email */
    Lists *lists;
    GHashTable *includes; /* "personal/NAME" -> SieveScript */
    GHashTable *sources;  /* script -> char **, its lines */
    GPtrArray *trace;
    GPtrArray *warnings;
    GPtrArray *complaints; /* of what was included */
    State *state;          /* NULL: nothing is remembered */
};

static void
free_trace(void *data)
{
    TrialTrace *step = data;

    g_free(step->script);
    g_free(step->text);
    g_free(step);
}

SieveComplaint *
trial_complaint_new(bool is_error, const char *script, unsigned line, const char *text)
{
    SieveComplaint *complaint = g_new0(SieveComplaint, 1);

    *complaint = (SieveComplaint){
        .is_error = is_error, .script = g_strdup(script), .line = line, .text = g_strdup(text)};
    return complaint;
}

/* ---- mailboxes ----------------------------------------------------------- */

bool
trial_world_has_mailbox(const TrialWorld *world, const char *mailbox, GError **error)
{
    g_autofree char *directory = maildir_folder_to_directory(&world->layout, mailbox, error);

    return directory != NULL &&
           (*directory == '\0' || g_hash_table_contains(world->mailboxes, directory));
}

void
trial_world_add_mailbox(TrialWorld *world, const char *mailbox)
{
    char *directory = maildir_folder_to_directory(&world->layout, mailbox, NULL);

    if (directory != NULL)
        g_hash_table_add(world->mailboxes, directory);
}

static bool
mailbox_exists(void *data, const char *mailbox, bool *exists_out, GError **error)
{
    (void)error; /* a name that cannot be is that of no mailbox */
    *exists_out = trial_world_has_mailbox(data, mailbox, NULL);
    return true;
}

static bool
special_use(void *data, const char *attribute, char **mailbox_out, GError **error)
{
    TrialWorld *world = data;
    g_autofree char *folded = g_ascii_strdown(attribute, -1);
    const char *mailbox = g_hash_table_lookup(world->special_uses, folded);

    (void)error;
    *mailbox_out =
        mailbox != NULL && trial_world_has_mailbox(world, mailbox, NULL) ? g_strdup(mailbox) : NULL;
    return true;
}

static bool
mailbox_by_id(void *data, const char *id, char **mailbox_out, GError **error)
{
    TrialWorld *world = data;

    (void)error;
    *mailbox_out = g_strdup(g_hash_table_lookup(world->mailbox_ids, id));
    return true;
}

/* ---- lists --------------------------------------------------------------- */

static bool
list_known(void *data, const char *list)
{
    return lists_known(((TrialWorld *)data)->lists, list);
}

static bool
list_contains(void *data, const char *list, const char *value, bool *contains_out, GError **error)
{
    return lists_contains(((TrialWorld *)data)->lists, list, value, contains_out, error);
}

static bool
list_members(void *data, const char *list, char ***members_out, GError **error)
{
    return lists_members(((TrialWorld *)data)->lists, list, members_out, error);
}

/* ---- scripts ------------------------------------------------------------- */

SieveScript *
trial_world_compile(TrialWorld *world, const char *name, const char *text, size_t len,
                    GPtrArray *complaints)
{
    g_autofree char *copy = g_utf8_make_valid(text, (gssize)len);

    g_hash_table_insert(world->sources, g_strdup(name), g_strsplit(copy, "\n", -1));
    return scripts_compile(world->config, name, text, len, complaints);
}

const char *
trial_world_source(const TrialWorld *world, const char *script, unsigned line)
{
    char **lines = g_hash_table_lookup(world->sources, script);

    return lines != NULL && line > 0 && line <= g_strv_length(lines) ? lines[line - 1] : NULL;
}

/* RFC 6609 leaves names to us: whatever is one file of that directory. */
static bool
is_script_name(const char *name)
{
    return *name != '\0' && *name != '.' && strchr(name, '/') == NULL;
}

static const char *
global_dir(const TrialWorld *world)
{
    const char *setting = world->config->sieve.global_dir;

    if (world->options->global_dir != NULL || *setting == '\0')
        return world->options->global_dir;
    return setting;
}

static SieveScript *
compile_included(TrialWorld *world, const char *name, const char *text, size_t len,
                 GPtrArray *complaints)
{
    g_autoptr(GPtrArray) found = sieve_complaints_new();
    SieveScript *script = trial_world_compile(world, name, text, len, found);

    for (unsigned i = 0; i < found->len; i++) {
        const SieveComplaint *c = found->pdata[i];

        sieve_complaints_add(world->complaints, c->is_error, c->script, c->line, c->column, "%s",
                             c->text);
        if (complaints != NULL)
            sieve_complaints_add(complaints, c->is_error, c->script, c->line, c->column, "%s",
                                 c->text);
    }
    return script;
}

static bool
include(void *data, SieveIncludeFrom from, const char *name, SieveScript **script_out,
        GPtrArray *complaints, GError **error)
{
    TrialWorld *world = data;
    bool personal = from == SIEVE_INCLUDE_PERSONAL;
    const char *directory = personal ? world->options->script_dir : global_dir(world);
    g_autofree char *key = g_strconcat(personal ? "personal/" : "global/", name, NULL);
    SieveScript *script = g_hash_table_lookup(world->includes, key);
    g_autoptr(GError) missing = NULL;
    g_autofree char *text = NULL;
    size_t len = 0;

    *script_out = NULL;
    if (script == NULL && directory != NULL && is_script_name(name)) {
        g_autofree char *path = g_strdup_printf("%s/%s.sieve", directory, name);

        if (g_file_get_contents(path, &text, &len, &missing))
            script = compile_included(world, name, text, len, complaints);
        else if (!g_error_matches(missing, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            g_propagate_error(error, g_steal_pointer(&missing));
            return false;
        }
        if (script != NULL)
            g_hash_table_insert(world->includes, g_steal_pointer(&key), script);
    }
    *script_out = script != NULL ? sieve_script_ref(script) : NULL;
    return true;
}

/* ---- what is told and remembered ----------------------------------------- */

static void
add_trace(TrialWorld *world, const char *script, unsigned line, const char *text)
{
    TrialTrace *step = g_new0(TrialTrace, 1);

    *step = (TrialTrace){.script = g_strdup(script), .line = line, .text = g_strdup(text)};
    g_ptr_array_add(world->trace, step);
}

static void
trace(void *data, const char *script, unsigned line, const char *text)
{
    add_trace(data, script, line, text);
}

static void
debug(void *data, const char *text)
{
    add_trace(data, "", 0, text);
}

static void
warn(void *data, const char *script, unsigned line, const char *text)
{
    TrialWorld *world = data;

    g_ptr_array_add(world->warnings, trial_complaint_new(false, script, line, text));
}

static gint64
seconds_now(const TrialWorld *world)
{
    return world->host.now_us / G_USEC_PER_SEC;
}

static bool
is_duplicate(void *data, const char *key, bool *duplicate_out, GError **error)
{
    TrialWorld *world = data;

    *duplicate_out = false;
    return world->state == NULL ||
           state_has(world->state, STATE_DUPLICATE, key, seconds_now(world), duplicate_out, error);
}

bool
trial_world_remember(TrialWorld *world, const GPtrArray *duplicates, GError **error)
{
    for (unsigned i = 0; world->state != NULL && i < duplicates->len; i++) {
        const SieveDuplicate *duplicate = duplicates->pdata[i];

        if (!state_put(world->state, STATE_DUPLICATE, duplicate->key, seconds_now(world),
                       duplicate->seconds, error))
            return false;
    }
    return true;
}

bool
trial_world_answered(TrialWorld *world, const SieveAction *vacation, bool *answered_out,
                     GError **error)
{
    g_autofree char *folded = g_utf8_strdown(vacation->to, -1);
    g_autofree char *key = g_strconcat(vacation->handle, "\n", folded, NULL);

    *answered_out = false;
    if (world->state == NULL || vacation->seconds == 0)
        return true;
    if (!state_has(world->state, STATE_VACATION, key, seconds_now(world), answered_out, error))
        return false;
    return *answered_out || state_put(world->state, STATE_VACATION, key, seconds_now(world),
                                      vacation->seconds, error);
}

static const char *
environment(void *data, const char *item)
{
    const TrialWorld *world = data;

    if (strcmp(item, "host") == 0)
        return *world->config->mail.hostname != '\0' ? world->config->mail.hostname
                                                     : g_get_host_name();
    if (strcmp(item, "vnd.dovecot.username") == 0)
        return world->config->sieve.engine.user_email;
    return NULL;
}

/* ---- life ---------------------------------------------------------------- */

/* Splits "NAME=VALUE" at its first "="; false with error when there is none. */
static bool
split_pair(const char *option, const char *text, char **name_out, const char **value_out,
           GError **error)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text || equals[1] == '\0') {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "--%s: '%s' is no NAME=VALUE", option,
                    text);
        return false;
    }
    *name_out = g_strndup(text, (size_t)(equals - text));
    *value_out = equals + 1;
    return true;
}

/* Of the settings: whether there is such a mailbox is another question. */
static bool
know_special_use(TrialWorld *world, const char *text, GError **error)
{
    g_autofree char *name = NULL;
    const char *mailbox = NULL;

    if (!split_pair("special-use", text, &name, &mailbox, error))
        return false;
    g_hash_table_insert(world->special_uses, g_ascii_strdown(name, -1), g_strdup(mailbox));
    return true;
}

static bool
add_special_use(TrialWorld *world, const char *text, GError **error)
{
    if (!know_special_use(world, text, error))
        return false;
    trial_world_add_mailbox(world, strchr(text, '=') + 1);
    return true;
}

static bool
add_mailbox_id(TrialWorld *world, const char *text, GError **error)
{
    char *name = NULL;
    const char *mailbox = NULL;

    if (!split_pair("mailbox-id", text, &name, &mailbox, error))
        return false;
    trial_world_add_mailbox(world, mailbox);
    g_hash_table_insert(world->mailbox_ids, name, g_strdup(mailbox));
    return true;
}

static bool
add_list(TrialWorld *world, const char *text, GError **error)
{
    const char *equals = strrchr(text, '='); /* names are URIs, and may have one */
    g_autofree char *name = equals == NULL ? NULL : g_strndup(text, (size_t)(equals - text));

    if (name == NULL || *name == '\0' || equals[1] == '\0') {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "--list: '%s' is no NAME=FILE", text);
        return false;
    }
    return lists_add_file(world->lists, name, equals + 1, error);
}

static bool
for_each(char **texts, TrialWorld *world, bool (*add)(TrialWorld *, const char *, GError **),
         GError **error)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        if (!add(world, texts[i], error))
            return false;
    }
    return true;
}

static bool
fill(TrialWorld *world, GError **error)
{
    const TrialOptions *options = world->options;

    for (size_t i = 0; options->mailboxes != NULL && options->mailboxes[i] != NULL; i++)
        trial_world_add_mailbox(world, options->mailboxes[i]);
    if (!for_each(world->config->sieve.special_use, world, know_special_use, error) ||
        !for_each(options->special_uses, world, add_special_use, error) ||
        !for_each(options->mailbox_ids, world, add_mailbox_id, error) ||
        !for_each(options->lists, world, add_list, error))
        return false;
    if (options->state_dir != NULL)
        world->state = state_open(options->state_dir, error);
    return options->state_dir == NULL || world->state != NULL;
}

static void
unref_script(void *script)
{
    sieve_script_unref(script);
}

static void
free_strv(void *strings)
{
    g_strfreev(strings);
}

static GHashTable *
table_new(GDestroyNotify free_value)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_value);
}

TrialWorld *
trial_world_new(const LdaConfig *config, const TrialOptions *options, GError **error)
{
    g_autoptr(TrialWorld) world = g_new0(TrialWorld, 1);

    world->config = config;
    world->options = options;
    world->layout = (MaildirLayout){*config->mail.separator, config->mail.prefix};
    world->mailboxes = table_new(NULL);
    world->special_uses = table_new(g_free);
    world->mailbox_ids = table_new(g_free);
    world->owner.user = config->sieve.engine.user_email;
    world->lists = lists_new(config, &world->owner, NULL);
    world->includes = table_new(unref_script);
    world->sources = table_new(free_strv);
    world->trace = g_ptr_array_new_with_free_func(free_trace);
    world->warnings = sieve_complaints_new();
    world->complaints = sieve_complaints_new();
    world->host = (SieveHost){
        .data = world,
        .now_us = g_get_real_time(),
        .include = include,
        .mailbox_exists = mailbox_exists,
        .special_use = special_use,
        .mailbox_by_id = mailbox_by_id,
        .list_known = list_known,
        .list_contains = list_contains,
        .list_members = list_members,
        .is_duplicate = is_duplicate,
        .environment = environment,
        .debug = debug,
        .trace = options->tracing ? trace : NULL,
        .warn = warn,
        .libsieve = config->sieve.chosen_engine == SIEVE_ENGINE_LIBSIEVE ? libsieve_evaluate : NULL,
    };
    return fill(world, error) ? g_steal_pointer(&world) : NULL;
}

void
trial_world_free(TrialWorld *world)
{
    if (world == NULL)
        return;
    g_hash_table_unref(world->mailboxes);
    g_hash_table_unref(world->special_uses);
    g_hash_table_unref(world->mailbox_ids);
    lists_free(world->lists);
    g_hash_table_unref(world->includes);
    g_hash_table_unref(world->sources);
    g_ptr_array_unref(world->trace);
    g_ptr_array_unref(world->warnings);
    g_ptr_array_unref(world->complaints);
    state_free(world->state);
    g_free(world);
}

const SieveHost *
trial_world_host(const TrialWorld *world)
{
    return &world->host;
}

const GPtrArray *
trial_world_trace(const TrialWorld *world)
{
    return world->trace;
}

const GPtrArray *
trial_world_complaints(const TrialWorld *world)
{
    return world->complaints;
}

const GPtrArray *
trial_world_warnings(const TrialWorld *world)
{
    return world->warnings;
}
