/* lmtp/lodged.c - main of the LMTP server
 *
 * Options, configuration, then server_run(). Stays in the foreground: a service
 * manager keeps it better than it could keep itself. What goes wrong before the
 * log is open is said on standard error.
 */
#include "lodge.h"

#include "lda/descriptors.h"
#include "lda/outcome.h"
#include "lmtp/server.h"

#include <getopt.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char usage[] =
    "usage: lodged [-c FILE] [-o SECTION.KEY=VALUE]... [-t]\n"
    "LMTP server that delivers into Maildirs.\n"
    "\n"
    "  -c, --config FILE             configuration (" CONFIG_DEFAULT_PATH ")\n"
    "  -o, --option SECTION.KEY=VALUE  one setting, over the one in the file\n"
    "  -t, --test                    check the configuration and exit\n"
    "      --help, --version\n"
    "\n"
    "SIGHUP reads the configuration again, SIGUSR2 starts the program again,\n"
    "SIGTERM ends it; no connection is refused or cut by the first two.\n";

enum { OPTION_HELP = 256, OPTION_VERSION };

typedef struct {
    const char *config_path; /* NULL: the default */
    GPtrArray *overrides;    /* NULL-terminated once parsed */
    bool only_test;
} Arguments;

/* Returns -1 to go on, else an exit status. */
static int
parse_arguments(int argc, char **argv, Arguments *arguments)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"option", required_argument, NULL, 'o'},
        {"test", no_argument, NULL, 't'},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:o:t", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config_path = optarg;
            break;
        case 'o':
            g_ptr_array_add(arguments->overrides, optarg);
            break;
        case 't':
            arguments->only_test = true;
            break;
        case OPTION_HELP:
            fputs(usage, stdout);
            return EX_OK;
        case OPTION_VERSION:
            puts("lodged " LODGE_VERSION);
            return EX_OK;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "lodged: unexpected argument '%s'\n%s", argv[optind], usage);
        return EX_USAGE;
    }
    g_ptr_array_add(arguments->overrides, NULL);
    return -1;
}

/* A path to this program that stays good when the file is replaced by an upgrade. */
static char *
find_program(const char *name)
{
    char *path = NULL;

    if (strchr(name, '/') == NULL)
        path = g_find_program_in_path(name);
    if (path == NULL)
        path = g_canonicalize_filename(name, NULL);
    return path;
}

static int
fail(const GError *error)
{
    bool is_config = error->domain == CONFIG_ERROR || error->domain == LDA_ERROR;

    fprintf(stderr, "lodged: %s\n", error->message);
    return is_config ? EX_CONFIG : EX_OSERR;
}

static int
run(const Arguments *arguments, char **argv)
{
    const char *const *overrides = (const char *const *)arguments->overrides->pdata;
    g_autoptr(GError) error = NULL;
    g_autoptr(ServerSettings) settings =
        server_settings_load(arguments->config_path, overrides, &error);

    if (settings == NULL)
        return fail(error);
    if (arguments->only_test) {
        puts("the configuration is good");
        return EX_OK;
    }
    g_autofree char *program = find_program(argv[0]);
    argv[0] = program;
    ServerOptions options = {
        .config_path = arguments->config_path, .overrides = overrides, .argv = argv};
    if (!server_run(g_steal_pointer(&settings), &options, &error))
        return fail(error);
    return EX_OK;
}

int
main(int argc, char **argv)
{
    g_autoptr(GPtrArray) overrides = g_ptr_array_new();
    Arguments arguments = {.overrides = overrides};
    int status = parse_arguments(argc, argv, &arguments);

    umask(077); /* whatever we create is nobody else's until something says otherwise */
    descriptors_raise_limit();
    return status >= 0 ? status : run(&arguments, argv);
}
