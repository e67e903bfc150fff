/* lda/quota_warning.c - tells the owner that the mailbox fills up; see quota_warning.h
 *
 * When to tell is decided by quota/, under the lock of the mailbox: each threshold once a day. What
 * is told here comes after the fact, and whoever is killed in between tells nobody.
 */
#include "lda/quota_warning.h"

#include "lda/compose.h"
#include "lda/identity.h"
#include "lda/lda.h"
#include "lda/programs.h"
#include "lda/publish.h"

enum { TEMPLATE_MAX = 64 * 1024 };

struct QuotaWarning {
    Mailbox *mailbox;
    QuotaLimits limits;
    QuotaUsage usage;
    unsigned percent;
    bool is_down;
    char *transaction_id;
    gint64 now_us;
};

static const char built_in[] =
    "Subject: Your mailbox is %{percent}% full\n"
    "\n"
    "Your mailbox %{user} has reached %{percent} percent of what it may hold:\n"
    "\n"
    "    size:      %{used} of %{limit}\n"
    "    messages:  %{used_messages} of %{limit_messages}\n"
    "\n"
    "When it is full, no more mail can be delivered to you. Please delete messages\n"
    "that you do not need any more, large ones first, and empty the trash.\n";

QuotaWarning *
quota_warning_new(const Mailbox *mailbox, const QuotaLimits *limits, const QuotaChange *change,
                  const char *transaction_id, gint64 now_us)
{
    QuotaWarning *warning;

    if (change->warning == 0)
        return NULL;
    warning = g_new0(QuotaWarning, 1);
    warning->mailbox = mailbox_copy(mailbox);
    warning->limits = *limits;
    warning->usage = change->after;
    warning->percent = change->warning;
    warning->is_down = change->is_down;
    warning->transaction_id = g_strdup(transaction_id);
    warning->now_us = now_us;
    return warning;
}

void
quota_warning_free(QuotaWarning *warning)
{
    if (warning == NULL)
        return;
    mailbox_free(warning->mailbox);
    g_free(warning->transaction_id);
    g_free(warning);
}

/* ---- variables ------------------------------------------------------------ */

/* "95.1 MiB". */
static char *
format_size(guint64 octets)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)octets / 1024;
    size_t unit = 0;

    if (octets < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT " octets", octets);
    for (; size >= 1024 && unit + 1 < G_N_ELEMENTS(units); unit++)
        size /= 1024;
    return g_strdup_printf("%.1f %s", size, units[unit]);
}

static char *
format_number(guint64 number)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static char *
format_limit(guint64 limit, char *(*format)(guint64 number))
{
    return limit != 0 ? format(limit) : g_strdup("unlimited");
}

static const char *
direction_of(const QuotaWarning *warning)
{
    return warning->is_down ? "down" : "up";
}

static const char *
domain_of(const QuotaWarning *warning)
{
    const char *at = strrchr(warning->mailbox->user, '@');

    return at != NULL ? at + 1 : "";
}

/* To whom it is addressed: a catch-all has no address of its own. */
static const char *
owner_of(const QuotaWarning *warning)
{
    const Mailbox *mailbox = warning->mailbox;

    return *mailbox->user == '@' ? mailbox->address : mailbox->user;
}

/* Name -> value. */
static GHashTable *
list_variables(const QuotaWarning *warning, const char *hostname)
{
    GHashTable *variables = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    const struct {
        const char *name;
        char *value;
    } list[] = {
        {"user", g_strdup(owner_of(warning))},
        {"domain", g_strdup(domain_of(warning))},
        {"percent", format_number(warning->percent)},
        {"direction", g_strdup(direction_of(warning))},
        {"used", format_size(warning->usage.octets)},
        {"used_bytes", format_number(warning->usage.octets)},
        {"used_messages", format_number(warning->usage.messages)},
        {"limit", format_limit(warning->limits.octets, format_size)},
        {"limit_bytes", format_number(warning->limits.octets)},
        {"limit_messages", format_limit(warning->limits.messages, format_number)},
        {"hostname", g_strdup(hostname)},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++)
        g_hash_table_insert(variables, (char *)list[i].name, list[i].value);
    return variables;
}

/* The value of the variable that text begins with, after "%{"; NULL when it names none. */
static const char *
find_variable(GHashTable *variables, const char *text, size_t *len_out)
{
    size_t len = strcspn(text, "}");
    g_autofree char *name = g_strndup(text, len);

    *len_out = len + 1;
    return text[len] == '}' ? g_hash_table_lookup(variables, name) : NULL;
}

/* What is no variable stays as it is. */
static char *
expand(const char *template, GHashTable *variables)
{
    GString *out = g_string_new(NULL);

    for (const char *p = template; *p != '\0'; p++) {
        size_t len = 0;
        const char *value =
            p[0] == '%' && p[1] == '{' ? find_variable(variables, p + 2, &len) : NULL;

        if (value != NULL) {
            g_string_append(out, value);
            p += len + 1;
        } else {
            g_string_append_c(out, *p);
        }
    }
    return g_string_free(out, FALSE);
}

/* ---- the message ---------------------------------------------------------- */

/* Takes the field of that name off the start of *text; NULL when something else stands there. */
static char *
take_field(const char **text, const char *name)
{
    size_t len = strlen(name);
    const char *end = strchrnul(*text, '\n');
    char *value;

    if (g_ascii_strncasecmp(*text, name, len) != 0 || (*text)[len] != ':')
        return NULL;
    value = g_strstrip(g_strndup(*text + len + 1, (gsize)(end - *text) - len - 1));
    *text = *end == '\0' ? end : end + 1;
    return value;
}

/* Takes the fields that may stand at the start, in any order, and the blank line behind them. */
static const char *
take_fields(const char *text, char **subject, char **from)
{
    bool has_fields = false;

    for (;;) {
        char **slot = subject;
        char *value = take_field(&text, "Subject");

        if (value == NULL) {
            slot = from;
            value = take_field(&text, "From");
        }
        if (value == NULL)
            break;
        g_free(*slot);
        *slot = value;
        has_fields = true;
    }
    text += has_fields && *text == '\r';
    return text + (has_fields && *text == '\n');
}

static char *
postmaster(const LdaConfig *config, const char *hostname)
{
    if (*config->sieve.postmaster_address != '\0')
        return g_strdup(config->sieve.postmaster_address);
    return g_strdup_printf("Postmaster <postmaster@%s>", hostname);
}

char *
quota_warning_compose(const QuotaWarning *warning, const LdaConfig *config, const char *hostname,
                      const char *template)
{
    g_autoptr(GHashTable) variables = list_variables(warning, hostname);
    g_autofree char *valid = g_utf8_make_valid(template != NULL ? template : built_in, -1);
    g_autofree char *text = expand(valid, variables);
    g_autofree char *subject = expand("Your mailbox is %{percent}% full", variables);
    g_autofree char *from = postmaster(config, hostname);
    const char *body = take_fields(text, &subject, &from);
    /* One delivery may pass two thresholds, with the message and with the copy of a reply. */
    g_autofree char *id = g_strdup_printf("<lodge.quota.%s.%u@%s>", warning->transaction_id,
                                          warning->percent, hostname);
    g_autofree char *date = compose_date(warning->now_us);
    GString *out = g_string_new(NULL);

    compose_words(out, "Message-ID", (const char *const[]){id, NULL}, "");
    compose_field(out, "Date", date);
    compose_mailboxes(out, "From", from);
    compose_mailboxes(out, "To", owner_of(warning));
    compose_field(out, "Subject", subject);
    compose_field(out, "Auto-Submitted", "auto-generated");
    compose_field(out, "Precedence", "bulk");
    compose_field(out, "MIME-Version", "1.0");
    compose_text(out, body);
    return g_string_free(out, FALSE);
}

/* The template; the text we have for one that cannot be read, since the warning is what counts. */
static char *
read_template(const LdaConfig *config)
{
    const char *path = config->quota.warn_template;
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    size_t len = 0;

    if (*path == '\0')
        return NULL;
    if (!g_file_get_contents(path, &text, &len, &error)) {
        g_warning("quota.warn_template: %s", error->message);
        return NULL;
    }
    if (len <= TEMPLATE_MAX && memchr(text, '\0', len) == NULL)
        return text;
    g_warning("quota.warn_template: '%s' is no text of at most %d octets", path, TEMPLATE_MAX);
    g_free(text);
    return NULL;
}

static Message *
make_message(const QuotaWarning *warning, const QuotaWarningContext *context, GError **error)
{
    const LdaConfig *config = context->config;
    const MessageOptions options = {.spool_memory = (size_t)config->mail.spool_memory,
                                    .spool_dir = config->mail.spool_dir};
    g_autofree char *template = read_template(config);
    g_autofree char *text = quota_warning_compose(warning, config, context->hostname, template);
    g_autoptr(Message) message = message_new(&options);

    message_append(message, text, strlen(text));
    return message_finish(message, error) ? g_steal_pointer(&message) : NULL;
}

static MaildirCopy *
stage(const QuotaWarning *warning, const QuotaWarningContext *context, Message *message,
      GError **error)
{
    const LdaConfig *config = context->config;
    const MaildirLayout layout = {.separator = config->mail.separator[0],
                                  .prefix = config->mail.prefix};
    const MaildirCopyOptions options = {
        .headers = "Return-Path: <>\n",
        .flags = "",
        .stage_flags = config->mail.compress == COMPRESS_GZIP ? MAILDIR_GZIP : 0,
        .gzip_level = (int)config->mail.compress_level,
        .now_us = warning->now_us,
    };
    g_autofree char *home = NULL;
    g_autofree char *path = NULL;
    g_autoptr(Maildir) maildir = NULL;

    if (!lda_mailbox_paths(config, warning->mailbox, &home, &path, error))
        return NULL;
    maildir = maildir_open(path, config->mail.root, &layout, error);
    return maildir != NULL ? maildir_stage(maildir, context->namer, message, &options, error)
                           : NULL;
}

static bool
store(const QuotaWarning *warning, const QuotaWarningContext *context, Message *message,
      GError **error)
{
    g_autoptr(MaildirCopy) copy = stage(warning, context, message, error);

    return copy != NULL && publish_durably(context->config, copy, error);
}

static bool
send_message(const QuotaWarning *warning, const QuotaWarningContext *context, GError **error)
{
    g_autoptr(Message) message = make_message(warning, context, error);
    Identity identity = {0};
    bool done;

    if (message == NULL)
        return false;
    done = identity_take(&identity, context->config, warning->mailbox, error) &&
           store(warning, context, message, error);
    identity_give_back(&identity);
    return done;
}

/* ---- the program ---------------------------------------------------------- */

static char **
make_environment(const QuotaWarning *warning, const LdaConfig *config)
{
    g_autoptr(GStrvBuilder) environment = g_strv_builder_new();
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;
    char *texts[9];

    if (!lda_mailbox_paths(config, warning->mailbox, &home, &maildir, NULL))
        home = g_strdup(""); /* there was a delivery: it cannot be so wrong */
    texts[0] = g_strdup_printf("LODGE_USER=%s", warning->mailbox->user);
    texts[1] = g_strdup_printf("LODGE_DOMAIN=%s", domain_of(warning));
    texts[2] = g_strdup_printf("LODGE_PERCENT=%u", warning->percent);
    texts[3] = g_strdup_printf("LODGE_DIRECTION=%s", direction_of(warning));
    texts[4] = g_strdup_printf("LODGE_USED=%" G_GUINT64_FORMAT, warning->usage.octets);
    texts[5] = g_strdup_printf("LODGE_LIMIT=%" G_GUINT64_FORMAT, warning->limits.octets);
    texts[6] = g_strdup_printf("LODGE_USED_MESSAGES=%" G_GUINT64_FORMAT, warning->usage.messages);
    texts[7] = g_strdup_printf("LODGE_LIMIT_MESSAGES=%" G_GUINT64_FORMAT, warning->limits.messages);
    texts[8] = g_strdup_printf("LODGE_HOME=%s", home);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_strv_builder_add(environment, texts[i]);
        g_free(texts[i]);
    }
    return g_strv_builder_end(environment);
}

/* How it ended, in words for the log. */
static char *
run_program(const QuotaWarning *warning, const LdaConfig *config)
{
    g_auto(GStrv) environment = make_environment(warning, config);
    const ProgramOptions options = {
        .directory = config->quota.program_dir,
        .timeout_ms = config->quota.program_timeout * 1000,
        .environment = (const char *const *)environment,
    };
    g_autoptr(GError) error = NULL;
    int status = 0;

    if (!program_run(&options, config->quota.warn_program, NULL, NULL, 0, &status, NULL, &error))
        return g_strdup(error->message);
    return status == 0 ? g_strdup("done") : program_describe(&options, status);
}

/* ---- both ----------------------------------------------------------------- */

void
quota_warning_carry_out(const QuotaWarning *warning, const QuotaWarningContext *context)
{
    const LdaConfig *config = context->config;
    LogLine *line = log_line_new(context->log, "quota_warning");
    g_autofree char *program = NULL;
    g_autoptr(GError) error = NULL;

    log_line_add(line, "id", warning->transaction_id);
    log_line_add(line, "user", warning->mailbox->user);
    log_line_add_number(line, "percent", warning->percent);
    log_line_add(line, "direction", direction_of(warning));
    log_line_add_number(line, "used", (gint64)warning->usage.octets);
    log_line_add_number(line, "used_messages", (gint64)warning->usage.messages);
    if (!warning->is_down)
        log_line_add(line, "message",
                     send_message(warning, context, &error) ? "stored" : error->message);
    if (*config->quota.warn_program != '\0')
        program = run_program(warning, config);
    log_line_add(line, "program", program);
    log_line_write(line);
}
