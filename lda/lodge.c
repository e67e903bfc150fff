/* lda/lodge.c - main of `lodge`, everything an administrator types
 *
 *   lodge [-c FILE] [-o section.key=value] [--json] NOUN [VERB] [ARGUMENT...]
 *
 * One table of commands: dispatch, `lodge --help` and `lodge NOUN --help` walk
 * it. What a command does, and its own options, is in the ctl_*.c of its noun.
 */
#include "lda/ctl.h"

#define MAP_COMMANDS(noun_, table_, key_, rest_, what_)                                        \
    {noun_, "add", key_ rest_, "add " what_, ctl_map_add, table_},                             \
        {noun_, "list", "[DOMAIN]", "list all, or those of one domain", ctl_map_list, table_}, \
        {noun_, "show", key_, "show " what_, ctl_map_show, table_},                            \
        {noun_, "set", key_ rest_, "change " what_, ctl_map_set, table_},                      \
    {                                                                                          \
        noun_, "remove", key_, "remove " what_, ctl_map_remove, table_                         \
    }

static const CtlCommand commands[] = {
    {"init", NULL, "[DIRECTORY]",
     "write configuration, map and lookups into DIRECTORY (" LODGE_SYSCONFDIR
     "), and say what to do next",
     ctl_init, 0},
    MAP_COMMANDS("domain", MAPEDIT_DOMAINS, "DOMAIN", "", "a domain"),
    MAP_COMMANDS("user", MAPEDIT_USERS, "USER", "", "a user, who has a mailbox"),
    {"user", "password", "USER", "set a password, typed or as one line of standard input",
     ctl_user_password, MAPEDIT_USERS},
    MAP_COMMANDS("alias", MAPEDIT_FORWARDINGS, "ADDRESS", " DESTINATION...", "a forwarding"),
    MAP_COMMANDS("transport", MAPEDIT_TRANSPORT, "DOMAIN", " TRANSPORT",
                 "the transport of a domain or an address"),
    {"map", "resolve", "ADDRESS", "say where mail for ADDRESS goes, step by step", ctl_map_resolve,
     0},
    {"import", NULL, "FILE",
     "add what a mysqldump of the tutorial's, ISPmail's or PostfixAdmin's database holds",
     ctl_import, 0},
    {"quota", "get", "USER|DOMAIN...", "show what mailboxes hold and may hold", ctl_quota_get, 0},
    {"quota", "recalc", "USER|DOMAIN...", "count mailboxes anew, whatever maildirsize says",
     ctl_quota_recalc, 0},
    {"quota", "verify", "USER|DOMAIN...",
     "count mailboxes, and say where maildirsize is wrong and why", ctl_quota_verify, 0},
    {"quota", "top", "[DOMAIN]", "show the fullest mailboxes", ctl_quota_top, 0},
    {"srs", "forward", "ADDRESS", "print the sender that a redirect with srs would have",
     ctl_srs_forward, 0},
    {"srs", "reverse", "ADDRESS", "print the sender behind one that srs has rewritten",
     ctl_srs_reverse, 0},
    {"sieve", "test", "SCRIPT MESSAGE", "show what a script would do with a message",
     ctl_sieve_test, 0},
    {"sieve", "check", "SCRIPT", "compile a script and say what is wrong with it", ctl_sieve_check,
     0},
    {"sieve", "lint", "[USER...]", "compile the scripts of all users and count what is wrong",
     ctl_sieve_lint, 0},
    {"sieve", "list", "USER", "list a user's scripts", ctl_sieve_list, 0},
    {"sieve", "get", "USER NAME", "print a script", ctl_sieve_get, 0},
    {"sieve", "put", "USER NAME [FILE]", "store a script, from standard input if no FILE is named",
     ctl_sieve_put, 0},
    {"sieve", "activate", "USER NAME", "make a script the one that runs", ctl_sieve_activate, 0},
    {"sieve", "deactivate", "USER", "let no script of the user run", ctl_sieve_deactivate, 0},
    {"sieve", "delete", "USER NAME", "remove a script that is not active", ctl_sieve_delete, 0},
    {"config", NULL, "[section.key]", "print the settings as they hold", ctl_config_list, 0},
    {"config", "check", "", "print everything that is wrong with the configuration",
     ctl_config_check, 0},
};

/* The command that words name, and in *words_out how many of them are its name. */
static const CtlCommand *
find_command(char **words, int count, int *words_out)
{
    const CtlCommand *found = NULL;

    for (size_t i = 0; count > 0 && i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].noun, words[0]) != 0)
            continue;
        if (commands[i].verb == NULL && found == NULL) {
            found = &commands[i];
            *words_out = 1;
        } else if (commands[i].verb != NULL && count > 1 &&
                   strcmp(commands[i].verb, words[1]) == 0) {
            found = &commands[i];
            *words_out = 2;
        }
    }
    return found;
}

static bool
is_noun(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].noun, word) == 0)
            return true;
    }
    return false;
}

/* "add, list, show": the verbs of a noun that needs one. */
static char *
list_verbs(const char *noun)
{
    g_autoptr(GPtrArray) verbs = g_ptr_array_new();

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].noun, noun) == 0)
            g_ptr_array_add(verbs, (void *)commands[i].verb);
    }
    g_ptr_array_add(verbs, NULL);
    return g_strjoinv(", ", (char **)verbs->pdata);
}

/* The commands, of one noun unless it is NULL. */
static char *
list_commands(const char *noun)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        const CtlCommand *c = &commands[i];

        if (noun != NULL && strcmp(c->noun, noun) != 0)
            continue;
        g_autofree char *name = g_strjoin(" ", c->noun, c->verb, NULL);
        g_autofree char *call = g_strjoin(" ", name, c->arguments, NULL);
        if (strlen(call) > 32)
            g_string_append_printf(out, "\n  %s\n  %-32s  %s", call, "", c->help);
        else
            g_string_append_printf(out, "\n  %-32s  %s", g_strchomp(call), c->help);
    }
    return g_string_free(out, FALSE);
}

static int
show_help(const CtlContext *ctl, const char *noun)
{
    g_autofree char *list = list_commands(noun);
    g_autofree char *text =
        g_strdup_printf("Usage: lodge [OPTION...] %s ...\n%s\n\n"
                        "  -c FILE                 configuration file, instead of %s\n"
                        "  -o section.key=value    override a setting\n"
                        "  --json                  print data as JSON\n"
                        "  --version\n"
                        "  --help                  also behind a command, for its own options\n\n"
                        "Exit status: 0 done; 1 refused, not found, or there are complaints;\n"
                        "2 wrong command line; 75 the map cannot be used now.",
                        noun == NULL ? "COMMAND" : noun, list, CONFIG_DEFAULT_PATH);

    return ctl_print(ctl, text);
}

static int
run_command(CtlContext *ctl, int argc, char **argv)
{
    int words = 0;

    /* `lodge help domain add` is `lodge domain add --help`. */
    bool help = argc > 0 && strcmp(argv[0], "help") == 0;
    ctl->command = find_command(argv + help, argc - help, &words);
    if (ctl->command != NULL) {
        char *ask[] = {argv[help], (char *)"--help", NULL};

        return help ? ctl->command->run(ctl, 2, ask)
                    : ctl->command->run(ctl, argc - words + 1, argv + words - 1);
    }
    argc -= help;
    argv += help;
    if (argc == 0 && !help)
        return ctl_usage(ctl, "which command?");
    if (argc == 0)
        return show_help(ctl, NULL);
    if (!is_noun(argv[0]))
        return ctl_usage(ctl, "there is no command '%s'", argv[0]);
    if (help || (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)))
        return show_help(ctl, argv[0]);
    if (argc > 1)
        return ctl_usage(ctl, "there is no command '%s %s'", argv[0], argv[1]);
    g_autofree char *verbs = list_verbs(argv[0]);
    return ctl_usage(ctl, "'%s' needs one of: %s", argv[0], verbs);
}

/* What the library remarks looks as a command's own complaints do. */
static void
print_remark(const char *domain, GLogLevelFlags level, const char *message, void *data)
{
    (void)domain;
    (void)level;
    (void)data;
    (void)fprintf(stderr, "%s: %s\n", g_get_prgname(), message);
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) overrides = g_ptr_array_new_with_free_func(g_free);
    CtlContext ctl = {.overrides = overrides};
    g_autoptr(GOptionContext) options = g_option_context_new(NULL);
    GOptionGroup *group = ctl_common_options(&ctl);
    g_autoptr(GError) error = NULL;
    gboolean help = FALSE, version = FALSE;
    const GOptionEntry entries[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show help", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    int status = CTL_OK;

    g_log_set_default_handler(print_remark, NULL);
    g_option_group_add_entries(group, entries);
    g_option_context_set_main_group(options, group);
    g_option_context_set_help_enabled(options, FALSE);
    g_option_context_set_strict_posix(options, TRUE); /* the rest belongs to the command */
    if (!g_option_context_parse(options, &argc, &argv, &error))
        status = ctl_usage(&ctl, "%s", error->message);
    else if (help)
        status = show_help(&ctl, NULL);
    else if (version)
        status = ctl_print(&ctl, "lodge " LODGE_VERSION);
    else
        status = run_command(&ctl, argc - 1, argv + 1);
    config_free(ctl.config);
    g_free(ctl.config_path);
    return status;
}
