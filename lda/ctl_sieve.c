/* lda/ctl_sieve.c - `lodge sieve test` and `lodge sieve check`: a script tried before it goes live
 *
 *   lodge sieve check [OPTION...] SCRIPT
 *   lodge sieve test  [OPTION...] SCRIPT MESSAGE
 *
 * The script runs in the engine, under the configuration and with the composition of messages
 * that delivery uses; nothing is delivered, sent or remembered (but by --state). Exit status: 0
 * good; 1 the script was refused, stopped, or asked for what could not be done; from 64 on
 * (sysexits) nothing could be tried.
 */
#include "lda/ctl_sieve.h"

#include "lda/address.h"
#include "lda/ctl.h"
#include "lda/lda.h"

#include <sysexits.h>

/* What main calls a script that has no name: no include can be called so. */
#define STANDARD_INPUT "/dev/stdin"

typedef struct {
    CtlContext *ctl;
    TrialOptions options;
    char **before;
    char **settings;
    char *from, *to, *original_to;
    const LdaConfig *config;
    TrialWorld *world;
    char *main_name;
    GPtrArray *complaints;
    GPtrArray *scripts; /* of SieveScript, the main one last */
    GPtrArray *variables;
} Trial;

static void
unref_script(void *script)
{
    sieve_script_unref(script);
}

static void
free_variable(void *data)
{
    TrialVariable *variable = data;

    g_free(variable->name);
    g_free(variable->value);
    g_free(variable);
}

static void
trial_init(Trial *trial, CtlContext *ctl)
{
    *trial = (Trial){
        .ctl = ctl,
        .complaints = sieve_complaints_new(),
        .scripts = g_ptr_array_new_with_free_func(unref_script),
        .variables = g_ptr_array_new_with_free_func(free_variable),
    };
}

static void
trial_clear(Trial *trial)
{
    g_free((char *)trial->options.script_dir);
    g_free((char *)trial->options.global_dir);
    g_free((char *)trial->options.state_dir);
    g_strfreev(trial->options.mailboxes);
    g_strfreev(trial->options.special_uses);
    g_strfreev(trial->options.mailbox_ids);
    g_strfreev(trial->options.lists);
    g_strfreev(trial->before);
    g_strfreev(trial->settings);
    g_free(trial->from);
    g_free(trial->to);
    g_free(trial->original_to);
    trial_world_free(trial->world);
    g_free(trial->main_name);
    g_ptr_array_unref(trial->complaints);
    g_ptr_array_unref(trial->scripts);
    g_ptr_array_unref(trial->variables);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Trial, trial_clear)

/* ---- failures ------------------------------------------------------------ */

/* The exit status for what kept the script from being tried. */
static int
fail(const Trial *trial, const GError *error)
{
    g_assert(error != NULL);
    (void)ctl_fail(trial->ctl, error);
    if (error->domain == G_FILE_ERROR)
        return EX_NOINPUT;
    if (error->domain == CONFIG_ERROR)
        return EX_CONFIG;
    return EX_SOFTWARE;
}

static int
usage(const Trial *trial, const GError *error)
{
    (void)ctl_usage(trial->ctl, "%s", error->message);
    return EX_USAGE;
}

/* ---- options and files --------------------------------------------------- */

/* The default of [sieve] key; NULL: there is no such setting. */
static const char *
setting_default(const char *key)
{
    size_t count = 0;
    const ConfigSetting *rows = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].section, "sieve") == 0 && strcmp(rows[i].key, key) == 0)
            return rows[i].default_text;
    }
    return NULL;
}

/* --set KEY=VALUE as -o sieve.KEY=VALUE; an empty value is the default. */
static bool
override_setting(Trial *trial, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL) {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, "--set: '%s' is no KEY=VALUE", text);
        return false;
    }
    g_autofree char *key = g_strstrip(g_strndup(text, (size_t)(equals - text)));
    const char *value = setting_default(key);
    if (value == NULL) {
        g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_UNKNOWN, "--set: there is no setting '%s'",
                    key);
        return false;
    }
    if (equals[1] != '\0')
        value = equals + 1;
    g_ptr_array_add(trial->ctl->overrides, g_strconcat("sieve.", key, "=", value, NULL));
    return true;
}

/* Reads the configuration and makes the world; *status_out is set when it returns false. */
static bool
prepare(Trial *trial, int *status_out)
{
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; trial->settings != NULL && trial->settings[i] != NULL; i++) {
        if (!override_setting(trial, trial->settings[i], &error)) {
            *status_out = usage(trial, error);
            return false;
        }
    }
    trial->config = ctl_config(trial->ctl, &error);
    if (trial->config == NULL) {
        *status_out = trial->settings != NULL ? usage(trial, error) : fail(trial, error);
        return false;
    }
    trial->world = trial_world_new(trial->config, &trial->options, &error);
    if (trial->world == NULL) {
        *status_out = error->domain == CONFIG_ERROR ? usage(trial, error) : fail(trial, error);
        return false;
    }
    return true;
}

/* The whole file, or standard input for "-". */
static GBytes *
read_file(const char *path, GError **error)
{
    lodge_autofd fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t buffer[64 * 1024];
    ssize_t got = 0;

    if (fd < 0) {
        (void)lodge_set_errno(error, "open '%s'", path);
        return NULL;
    }
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        g_byte_array_append(bytes, buffer, (unsigned)got);
    if (got < 0) {
        (void)lodge_set_errno(error, "read '%s'", path);
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

/* A name that cannot be that of an include, which has no slash. */
static char *
name_of(const char *path)
{
    if (strcmp(path, "-") == 0)
        return g_strdup(STANDARD_INPUT);
    return strchr(path, '/') != NULL ? g_strdup(path) : g_strconcat("./", path, NULL);
}

/* Compiles the file; one that is refused leaves errors. */
static bool
compile_file(Trial *trial, const char *path, const char *name, GError **error)
{
    g_autoptr(GBytes) bytes = read_file(path, error);
    size_t len = 0;

    if (bytes == NULL)
        return false;
    const char *text = g_bytes_get_data(bytes, &len);
    SieveScript *script =
        trial_world_compile(trial->world, name, text != NULL ? text : "", len, trial->complaints);
    if (script != NULL)
        g_ptr_array_add(trial->scripts, script);
    return true;
}

static bool
compile_all(Trial *trial, const char *path, GError **error)
{
    trial->main_name = name_of(path);
    for (size_t i = 0; trial->before != NULL && trial->before[i] != NULL; i++) {
        g_autofree char *name = name_of(trial->before[i]);

        if (!compile_file(trial, trial->before[i], name, error))
            return false;
    }
    return compile_file(trial, path, trial->main_name, error);
}

/* The message as delivery stores it: LF line ends, no mbox line. NULL without error: it is
 * empty, which is legal here. */
static Message *
read_message(const char *path, GError **error)
{
    static const MessageOptions whole = {.spool_memory = G_MAXINT32, .spool_dir = "/var/tmp"};
    g_autoptr(GBytes) bytes = read_file(path, error);
    g_autoptr(Message) message = message_new(&whole);
    size_t len = 0;

    const void *octets = bytes == NULL ? NULL : g_bytes_get_data(bytes, &len);
    if (len == 0)
        return NULL;
    message_append(message, octets, len);
    return message_finish(message, error) ? g_steal_pointer(&message) : NULL;
}

/* ---- the envelope -------------------------------------------------------- */

typedef struct {
    char *from;
    char *to;
} Defaults;

static void
keep_default(void *data, const char *name, SieveText value)
{
    Defaults *defaults = data;

    if (strcmp(name, "from") == 0)
        defaults->from = g_strdup(value.bytes);
    else if (strcmp(name, "to") == 0)
        defaults->to = g_strdup(value.bytes);
}

/* What the envelope is where nobody says it, out of the header. The engine knows best how
 * addresses are read, so it is asked. */
static void
find_defaults(const Trial *trial, const SieveInput *input, Defaults *defaults)
{
    static const char text[] =
        "require \"variables\";"
        "if address :matches \"to\" \"*\" { set \"to\" \"${0}\"; }"
        "if header :is \"return-path\" \"<>\" { stop; }"
        "if anyof(address :matches \"return-path\" \"*\", address :matches \"sender\" \"*\","
        "         address :matches \"from\" \"*\") { set \"from\" \"${0}\"; }";
    const SieveHost nothing = {.now_us = 0};
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(SieveScript) script = sieve_script_compile("envelope", text, sizeof text - 1,
                                                         &trial->config->sieve.engine, complaints);
    g_autoptr(SieveRun) run = sieve_run_new(input, &nothing, &trial->config->sieve.engine);

    /* A message that no test gets through has no default envelope. */
    if (script != NULL && sieve_run_script(run, script, NULL))
        sieve_run_variables(run, keep_default, defaults);
}

/* The address of a path as SMTP carries it; "" with a warning for a broken one. */
static char *
parse_path(Trial *trial, const char *option, const char *path)
{
    char *address = NULL;

    if (*path == '\0')
        return g_strdup("");
    address = address_parse(path, ADDRESS_NULL | ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY);
    if (address == NULL) {
        g_autofree char *text =
            g_strdup_printf("%s: '%s' is no address: taken as the null path", option, path);

        g_ptr_array_add(trial->complaints, trial_complaint_new(false, trial->main_name, 0, text));
        return g_strdup("");
    }
    return address;
}

/* Replaces the three options by addresses. */
static void
settle_envelope(Trial *trial, const SieveInput *input)
{
    Defaults defaults = {NULL, NULL};

    if (trial->from == NULL || trial->to == NULL)
        find_defaults(trial, input, &defaults);
    g_autofree char *from = trial->from != NULL ? trial->from : defaults.from;
    g_autofree char *to = trial->to != NULL ? trial->to : defaults.to;
    g_autofree char *original_to = trial->original_to;
    if (trial->from != NULL)
        g_free(defaults.from);
    if (trial->to != NULL)
        g_free(defaults.to);
    trial->from = parse_path(trial, "--from", from != NULL ? from : "");
    trial->to = parse_path(trial, "--to", to != NULL ? to : "");
    trial->original_to =
        original_to != NULL ? parse_path(trial, "--orig-to", original_to) : g_strdup(trial->to);
}

/* ---- the run ------------------------------------------------------------- */

static void
add_variable(void *data, const char *name, SieveText value)
{
    TrialVariable *variable = g_new0(TrialVariable, 1);

    *variable = (TrialVariable){
        .name = g_strdup(name), .value = g_memdup2(value.bytes, value.len + 1), .len = value.len};
    g_ptr_array_add(data, variable);
}

static bool requires(const SieveScript *script, const char *extension)
{
    return g_strv_contains(sieve_script_requires(script), extension);
}

/* "NAME:LINE: TEXT" of a failed run as a complaint. */
static void
add_runtime_error(Trial *trial, const char *message)
{
    g_auto(GStrv) parts = NULL;
    g_autoptr(GRegex) place = g_regex_new("^(.*?):([0-9]+): (.*)$", G_REGEX_DOTALL, 0, NULL);
    g_autofree char *valid = g_utf8_make_valid(message, -1);
    g_autoptr(GMatchInfo) match = NULL;

    if (!g_regex_match(place, valid, 0, &match)) {
        g_ptr_array_add(trial->complaints, trial_complaint_new(true, trial->main_name, 0, valid));
        return;
    }
    parts = g_match_info_fetch_all(match);
    g_ptr_array_add(trial->complaints,
                    trial_complaint_new(true, parts[1],
                                        (unsigned)g_ascii_strtoull(parts[2], NULL, 10), parts[3]));
}

/* Runs the chain. False with error when the host failed. *failure_out: a script did, and why. */
static bool
run_scripts(Trial *trial, SieveRun *run, char **failure_out, GError **error)
{
    for (unsigned i = 0; i < trial->scripts->len; i++) {
        g_autoptr(GError) failure = NULL;

        if (i > 0 && !sieve_run_keep_in_force(run))
            break;
        if (sieve_run_script(run, trial->scripts->pdata[i], &failure))
            continue;
        if (!g_error_matches(failure, SIEVE_ERROR, SIEVE_ERROR_RUNTIME) &&
            !g_error_matches(failure, SIEVE_ERROR, SIEVE_ERROR_LIMIT)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        *failure_out = g_strdup(failure->message);
        break;
    }
    return true;
}

/* Scripts that were included are compiled when the run comes to them, as in a delivery. What is
 * wrong in them says more than that the run was stopped there. */
static const char *
status_of_failure(Trial *trial, const char *failure)
{
    const GPtrArray *included = trial_world_complaints(trial->world);

    if (sieve_complaints_errors(included) > 0)
        return "compile_error";
    add_runtime_error(trial, failure);
    return "runtime_error";
}

static int
print_report(const Trial *trial, const TrialReport *report)
{
    g_autofree char *text =
        trial->ctl->json ? trial_report_json(report) : trial_report_text(report);
    int status = ctl_print(trial->ctl, text);

    if (status != CTL_OK)
        return EX_IOERR;
    return strcmp(report->status, "ok") == 0 ? CTL_OK : CTL_REFUSED;
}

static void
move_complaints(GPtrArray *to, const GPtrArray *from)
{
    for (unsigned i = 0; i < from->len; i++) {
        const SieveComplaint *c = from->pdata[i];

        g_ptr_array_add(to, trial_complaint_new(c->is_error, c->script, c->line, c->text));
    }
}

/* The report of scripts that compiled: runs them over the message. */
static bool
try_message(Trial *trial, const SieveInput *input, TrialEffect *effect, SieveRun *run,
            TrialReport *report, GError **error)
{
    const OutgoingContext context = {
        .config = trial->config,
        .input = input,
        .user_email = trial->config->sieve.engine.user_email,
        .hostname = *trial->config->mail.hostname != '\0' ? trial->config->mail.hostname
                                                          : g_get_host_name(),
        .transaction_id = "test",
        .now_us = trial_world_host(trial->world)->now_us,
    };
    SieveScript *main_script = trial->scripts->pdata[trial->scripts->len - 1];
    g_autofree char *failure = NULL;

    if (!run_scripts(trial, run, &failure, error))
        return false;
    report->actions = sieve_run_finish(run);
    report->effect = effect;
    if (!trial_effect_carry_out(effect, trial->world, &context, report->actions, error) ||
        (failure == NULL && !trial_world_remember(trial->world, sieve_run_duplicates(run), error)))
        return false;
    if (requires(main_script, "variables")) {
        sieve_run_variables(run, add_variable, trial->variables);
        report->variables = trial->variables;
    }
    report->status = failure != NULL             ? status_of_failure(trial, failure)
                     : effect->failures->len > 0 ? "action_error"
                                                 : "ok";
    move_complaints(trial->complaints, trial_world_complaints(trial->world));
    move_complaints(trial->complaints, trial_world_warnings(trial->world));
    move_complaints(trial->complaints, effect->failures);
    return true;
}

/* Reads the message and tries the scripts on it. */
static int
test_message(Trial *trial, const char *path, TrialReport *report)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) message = read_message(path, &error);
    g_auto(TrialEffect) effect = {0};
    SieveInput input = {
        .bytes = (const uint8_t *)"",
        .virtual_size = message == NULL ? 0 : message_virtual_size(message),
        .sender = "",
        .recipient = "",
    };

    if (message != NULL)
        input.bytes = message_peek(message, 0, message_size(message), &input.len, &error);
    if (error != NULL)
        return fail(trial, error);
    settle_envelope(trial, &input);
    input.sender = trial->from;
    input.recipient = trial->to;
    input.original_recipient = trial->original_to;
    trial_effect_init(&effect);
    g_autoptr(SieveRun) run =
        sieve_run_new(&input, trial_world_host(trial->world), &trial->config->sieve.engine);
    int status = try_message(trial, &input, &effect, run, report, &error)
                     ? print_report(trial, report)
                     : fail(trial, error);

    report->effect = NULL; /* which ends here */
    return status;
}

/* ---- the two commands ---------------------------------------------------- */

int
ctl_sieve_check(CtlContext *ctl, int argc, char **argv)
{
    g_auto(Trial) trial;
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    trial_init(&trial, ctl);
    const GOptionEntry entries[] = {
        {"script-dir", 0, 0, G_OPTION_ARG_FILENAME, &trial.options.script_dir,
         "Where include :personal finds NAME.sieve", "DIR"},
        {"global-dir", 0, 0, G_OPTION_ARG_FILENAME, &trial.options.global_dir,
         "Where include :global finds it", "DIR"},
        {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.settings,
         "Override a setting of [sieve]; an empty value is its default", "KEY=VALUE"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ctl_parse(ctl, &argc, &argv, entries, 1, 1, &status))
        return status == CTL_USAGE ? EX_USAGE : status;
    if (!prepare(&trial, &status))
        return status;
    if (!compile_all(&trial, argv[1], &error))
        return fail(&trial, error);
    if (trial.scripts->len > 0)
        (void)sieve_script_check_includes(trial.scripts->pdata[0], trial_world_host(trial.world),
                                          &trial.config->sieve.engine, trial.complaints);
    bool good = sieve_complaints_errors(trial.complaints) == 0;
    const TrialReport report = {
        .status = good ? "ok" : "compile_error",
        .main_name = trial.main_name,
        .world = trial.world,
        .complaints = trial.complaints,
    };
    return print_report(&trial, &report);
}

static int
test(Trial *trial, const char *script, const char *message)
{
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (strcmp(script, "-") == 0 && strcmp(message, "-") == 0) {
        (void)ctl_usage(trial->ctl, "script and message cannot both be standard input");
        return EX_USAGE;
    }
    if (!prepare(trial, &status))
        return status;
    if (!compile_all(trial, script, &error))
        return fail(trial, error);
    TrialReport report = {
        .status = "compile_error",
        .main_name = trial->main_name,
        .world = trial->world,
        .complaints = trial->complaints,
    };
    if (sieve_complaints_errors(trial->complaints) > 0)
        return print_report(trial, &report);
    return test_message(trial, message, &report);
}

int
ctl_sieve_test(CtlContext *ctl, int argc, char **argv)
{
    g_auto(Trial) trial;
    int status = CTL_OK;
    gboolean tracing = FALSE;

    trial_init(&trial, ctl);
    const GOptionEntry entries[] = {
        {"from", 0, 0, G_OPTION_ARG_FILENAME, &trial.from,
         "Envelope sender, instead of Return-Path, Sender or From", "PATH"},
        {"to", 0, 0, G_OPTION_ARG_FILENAME, &trial.to, "Envelope recipient, instead of To", "PATH"},
        {"orig-to", 0, 0, G_OPTION_ARG_FILENAME, &trial.original_to,
         "Original recipient, instead of that of --to", "PATH"},
        {"script-dir", 0, 0, G_OPTION_ARG_FILENAME, &trial.options.script_dir,
         "Where include :personal finds NAME.sieve", "DIR"},
        {"global-dir", 0, 0, G_OPTION_ARG_FILENAME, &trial.options.global_dir,
         "Where include :global finds it", "DIR"},
        {"before", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.before,
         "A script that runs first; may be repeated", "SCRIPT"},
        {"mailbox", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.options.mailboxes,
         "A mailbox that exists; may be repeated", "NAME"},
        {"special-use", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.options.special_uses,
         "A special-use attribute of a mailbox: '\\Junk=Spam'", "FLAG=NAME"},
        {"mailbox-id", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.options.mailbox_ids,
         "The id (RFC 8474) of a mailbox", "ID=NAME"},
        {"list", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.options.lists,
         "An external list, one member a line", "NAME=FILE"},
        {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trial.settings,
         "Override a setting of [sieve]; an empty value is its default", "KEY=VALUE"},
        {"state", 0, 0, G_OPTION_ARG_FILENAME, &trial.options.state_dir,
         "Remember vacation replies and duplicates there", "DIR"},
        {"trace", 0, 0, G_OPTION_ARG_NONE, &tracing,
         "Show what happened at each line, as is done on a terminal", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ctl_parse(ctl, &argc, &argv, entries, 2, 2, &status))
        return status == CTL_USAGE ? EX_USAGE : status;
    trial.options.tracing = tracing || (!ctl->json && isatty(STDOUT_FILENO));
    return test(&trial, argv[1], argv[2]);
}
