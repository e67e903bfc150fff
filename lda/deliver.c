/* lda/deliver.c - main of `deliver`: one message from standard input to one mailbox
 *
 *   Postfix pipe(8) --argv, stdin--> deliver --> lda_resolve(), lda_deliver()
 *                   <--exit status, "D.S.N text" on stdout--
 *
 * Takes the options of dovecot-lda. Postfix reads every exit status it does not know,
 * and that of a usage error too, as permanent and returns the mail; so whatever a
 * retry or a corrected master.cf may cure ends with 75. Where dovecot-lda exits with
 * 64 (usage) or 78 (configuration), this program exits with 75 as well. Only a
 * refusal of the message itself is permanent: lda/outcome.c decides.
 *
 * No bounce is ever made here: the MTA makes better ones. Nor does a value of -f, -a
 * or -r that is no address stop the mail: senders choose them.
 */
#include "lodge.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "lda/address.h"
#include "lda/descriptors.h"
#include "lda/lda.h"
#include "lda/privileges.h"

enum {
    READ_CHUNK = 64 * 1024,
    HEAP = 192 * 1024, /* what a delivery touches, and a multiple of any page's size */
};

static const char usage[] =
    "usage: deliver [-ek] [-a address] [-c file] [-f sender] [-m folder]\n"
    "               [-o section.key=value] [-p path] [-r address] -d recipient < message\n"
    "\n"
    "  -d recipient   whose mailbox: an address that the map knows\n"
    "  -f sender      envelope sender; \"\", \"<>\" and MAILER-DAEMON are the null sender\n"
    "  -a address     original recipient, before aliases: becomes X-Original-To\n"
    "  -r address     final recipient as the MTA knows it: becomes Delivered-To\n"
    "  -m folder      deliver to this folder; \"\" is ignored\n"
    "  -p path        read the message from a file\n"
    "  -c file        configuration, instead of " CONFIG_DEFAULT_PATH "\n"
    "  -o setting     override one setting, as in -o log.target=stderr\n"
    "  -e             say why a message is refused on stderr too\n"
    "  -k             accepted and ignored\n"
    "Exit status: 0 stored, 67 unknown user, 77 refused for good, 75 try again.\n";

/* Values are borrowed from argv; NULL: not given. */
typedef struct {
    const char *config;
    const char *recipient;
    const char *sender;
    const char *original;
    const char *final;
    const char *folder;
    const char *path;
    GPtrArray *overrides;
    bool explain; /* -e */
} Options;

typedef struct {
    const Options *options;
    const LdaConfig *config;
    Log *log;
    Lda *lda;
    char *id;
} Run;

/* Ends with "try again", and tells what to mend. stdout goes first: Postfix looks
 * for the status at the start of what both streams gave. */
G_GNUC_PRINTF(1, 2)
static int
defer(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    printf("4.3.5 mail system configuration error\n");
    (void)fflush(stdout); /* nobody may be reading: the exit status says it all */
    fprintf(stderr, "deliver: %s\n", text);
    return EX_TEMPFAIL;
}

/* ---- options -------------------------------------------------------------- */

static bool
take_option(Options *options, int letter)
{
    switch (letter) {
    case 'a':
        options->original = optarg;
        return true;
    case 'c':
        options->config = optarg;
        return true;
    case 'd':
        options->recipient = optarg;
        return true;
    case 'e':
        options->explain = true;
        return true;
    case 'f':
        options->sender = optarg;
        return true;
    case 'k':
        return true;
    case 'm':
        options->folder = *optarg != '\0' ? optarg : NULL;
        return true;
    case 'o':
        g_ptr_array_add(options->overrides, optarg);
        return true;
    case 'p':
        options->path = optarg;
        return true;
    case 'r':
        options->final = optarg;
        return true;
    default:
        return false;
    }
}

/* False when there is nothing to deliver: *status_out is then the exit status. */
static bool
parse_options(Options *options, int argc, char **argv, int *status_out)
{
    static const struct option words[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    int letter;

    opterr = 0;
    *status_out = EX_OK;
    while ((letter = getopt_long(argc, argv, "+:a:c:d:ef:km:o:p:r:", words, NULL)) != -1) {
        if (letter == 'h' || letter == 'V') {
            printf("%s", letter == 'h' ? usage : "deliver (lodge) " LODGE_VERSION "\n");
            return false;
        }
        if (letter == ':' || !take_option(options, letter)) {
            *status_out =
                defer("%s '%s': correct argv in master.cf; see deliver --help",
                      letter == ':' ? "no value for option" : "unknown option", argv[optind - 1]);
            return false;
        }
    }
    if (optind < argc)
        *status_out = defer("unexpected argument '%s': correct argv in master.cf", argv[optind]);
    else if (options->recipient == NULL)
        *status_out = defer("no recipient: add -d ${recipient} to argv in master.cf");
    g_ptr_array_add(options->overrides, NULL);
    return optind == argc && options->recipient != NULL;
}

/* ---- envelope ------------------------------------------------------------- */

/* The envelope sender: -f, else that of the mbox line, else the null sender. What
 * is no address is the null sender: nothing must ever be sent there. */
static char *
sender_address(const char *option, const char *mbox_sender)
{
    const char *given = option != NULL ? option : mbox_sender;
    char *address = NULL;

    /* pipe(8) says it so, whatever null_sender was meant for. */
    if (given != NULL && g_ascii_strcasecmp(given, "MAILER-DAEMON") != 0)
        address = address_parse(given, ADDRESS_NULL | ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY);
    return address != NULL ? address : g_strdup("");
}

static char *
optional_address(char letter, const char *option)
{
    char *address = NULL;

    if (option == NULL || *option == '\0')
        return NULL;
    address = address_parse(option, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY);
    if (address == NULL)
        g_warning("the value of -%c is not an address and is ignored: %s", letter, option);
    return address;
}

static void
apply_options(LdaRecipient *recipient, const Options *options)
{
    char *final = optional_address('r', options->final);

    recipient->original = optional_address('a', options->original);
    recipient->folder = g_strdup(options->folder);
    if (final != NULL) {
        g_free(recipient->address);
        recipient->address = final;
    }
}

/* ---- message -------------------------------------------------------------- */

/* Reads fd to its end. Fails only for reading; what cannot be stored is told by
 * message_finish(). */
static bool
read_all(int fd, Message *message, GError **error)
{
    g_autofree char *chunk = g_malloc(READ_CHUNK);
    ssize_t got;

    while ((got = read(fd, chunk, READ_CHUNK)) != 0) {
        if (got > 0)
            message_append(message, chunk, (size_t)got);
        else if (errno != EINTR)
            return lodge_set_errno(error, "read the message");
    }
    return true;
}

static bool
read_message(const Options *options, Message *message, GError **error)
{
    lodge_autofd file = -1;

    if (options->path == NULL)
        return read_all(STDIN_FILENO, message, error) && message_finish(message, error);
    file = open(options->path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return lodge_set_errno(error, "open the message '%s'", options->path);
    return read_all(file, message, error) && message_finish(message, error);
}

/* ---- delivery ------------------------------------------------------------- */

/* Says how it ended: Postfix puts it into its log, also when it went well. */
static int
report(const Run *run, const LdaOutcome *outcome)
{
    if (lda_outcome_is_success(outcome))
        printf("%s %s %s\n", outcome->status, run->id, outcome->text);
    else
        printf("%s %s\n", outcome->status, outcome->text);
    (void)fflush(stdout); /* as in defer() */
    if (run->options->explain && !lda_outcome_is_success(outcome))
        fprintf(stderr, "deliver: %s %s\n", outcome->status, outcome->text);
    return lda_outcome_exit_status(outcome);
}

static int
refuse(const Run *run, const char *address, const LdaOutcome *outcome)
{
    g_autofree char *sender = sender_address(run->options->sender, NULL);
    g_autoptr(LdaEnvelope) envelope = lda_envelope_new(sender);
    int status = 0;

    lda_log_refusal(run->lda, run->id, envelope, address, outcome);
    status = report(run, outcome);
    if (outcome->status[0] == '4' && !run->options->explain)
        fprintf(stderr,
                "deliver: %s: check [map] in the configuration, and that uid %u may read '%s'\n",
                outcome->text, (unsigned)geteuid(), run->config->map.path);
    return status;
}

/* Started as root: from here on we are the owner of the mailbox, or the mail user. */
static bool
give_up_root(const LdaConfig *config, const Mailbox *mailbox, GError **error)
{
    if (geteuid() != 0)
        return true;
    g_autoptr(Privileges) user = privileges_find(config->mail.user, config->mail.group, error);
    if (user == NULL)
        return false;
    if (mailbox != NULL && mailbox->uid >= 0) {
        user->uid = (uid_t)mailbox->uid;
        user->gid = mailbox->gid >= 0 ? (gid_t)mailbox->gid : user->gid;
        user->groups[0] = user->gid; /* the owner's other groups are no concern of a delivery */
        user->group_count = 1;
    }
    return privileges_drop(user, false, error);
}

static int
deliver_to(Run *run, LdaRecipient *recipient)
{
    g_autofree char *sender = sender_address(run->options->sender, NULL);
    g_autoptr(LdaEnvelope) envelope = lda_envelope_new(sender);
    g_autoptr(Message) message = lda_message_new(run->lda, run->id, envelope);
    g_autoptr(GPtrArray) outcomes = NULL;
    g_autoptr(GError) failure = NULL;

    g_ptr_array_add(envelope->recipients, recipient);
    apply_options(recipient, run->options);
    if (give_up_root(run->config, recipient->mailbox, &failure))
        (void)read_message(run->options, message, &failure);
    g_free(envelope->sender);
    envelope->sender = sender_address(run->options->sender, message_mbox_sender(message));
    outcomes = lda_deliver(run->lda, run->id, envelope, message, failure);
    return report(run, outcomes->pdata[0]);
}

static int
deliver(Run *run)
{
    g_autofree char *address = address_parse(run->options->recipient, ADDRESS_UTF8);
    g_autoptr(LdaOutcome) outcome = NULL;
    LdaRecipient *recipient = NULL;

    /* Without "@" it is master.cf that is wrong, not the message. */
    if (address == NULL && strchr(run->options->recipient, '@') == NULL)
        return defer("'%s' is not a full address: correct -d in master.cf to -d ${recipient}",
                     run->options->recipient);
    recipient =
        lda_resolve(run->lda, address != NULL ? address : run->options->recipient, &outcome);
    if (recipient == NULL)
        return refuse(run, run->options->recipient, outcome);
    return deliver_to(run, recipient);
}

static int
run_with(const Options *options, const LdaConfig *config)
{
    Run run = {.options = options, .config = config};
    g_autoptr(GError) error = NULL;
    int status = 0;

    /* With per_user_ids root looks the owner up first. */
    if (!config->mail.per_user_ids && !give_up_root(config, NULL, &error))
        return defer("%s", error->message);
    run.log = log_open(config, "deliver");
    log_capture_messages(run.log);
    run.lda = lda_new(config, run.log);
    run.id = lda_transaction_id(run.lda);
    status = deliver(&run);
    g_free(run.id);
    lda_free(run.lda);
    log_close(run.log);
    return status;
}

/* From the first symbol of ours to the end of the code; the linker's. */
extern const char __executable_start[], etext[];

static void
populate(const char *start, uintptr_t end, int how)
{
    size_t before = (uintptr_t)start % (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)madvise((void *)(start - before), before + (end - (uintptr_t)start), how);
}

/* The heap of a delivery and the code in two system calls, in place of seventy page faults: at a
 * start, first accesses are what costs most. Before GLib's own constructor, which allocates. Of
 * no consequence where it fails (Linux before 5.14) or where malloc() is another. */
__attribute__((constructor(101))) static void
prepare_memory(void)
{
    (void)mallopt(M_TOP_PAD, HEAP + 2 * READ_CHUNK); /* and what is not touched: one brk(2) */

    char *first = malloc(1);

    populate(first, (uintptr_t)first + HEAP, MADV_POPULATE_WRITE);
    free(first);
    populate(__executable_start, (uintptr_t)etext, MADV_POPULATE_READ);
}

/* The three standard descriptors must exist: a database opened as descriptor 0
 * would be read as the message. A reader that went away, or a file size limit,
 * must be an error and not a signal. */
static void
prepare_process(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)umask(077);
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort(); /* a signal: Postfix tries again */
    }
    descriptors_raise_limit();
}

int
main(int argc, char **argv)
{
    Options options = {0};
    g_autoptr(GPtrArray) overrides = g_ptr_array_new();
    g_autoptr(LdaConfig) config = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    prepare_process();
    options.overrides = overrides;
    if (!parse_options(&options, argc, argv, &status))
        return status;
    config = config_load(options.config, (const char *const *)overrides->pdata, &error);
    if (config == NULL)
        return defer("%s; 'lodge config check' lists all complaints", error->message);
    return run_with(&options, config);
}
