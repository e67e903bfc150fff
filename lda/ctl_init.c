/* lda/ctl_init.c - `lodge init`: from nothing to a map, and what to do next
 *
 *   DIRECTORY/lodge.conf     every setting with its help and default (config_settings())
 *   DIRECTORY/map.db         the empty map
 *   DIRECTORY/postfix/...    lookups, schema/postfix and schema/dovecot with the
 *   DIRECTORY/dovecot/...    real paths in place of the default ones
 *
 * What is there already stays as it is, so that it can be run again: after a file
 * was removed by mistake, or only to see the next steps once more. Nothing of
 * Postfix or Dovecot is touched; their part is printed, ready to be pasted.
 */
#include "lda/ctl.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#define POSTFIX_QUEUE "/var/spool/postfix/"

typedef struct {
    CtlContext *ctl;
    char *directory;
    char *config_path;
    GString *report; /* what was written, then the next steps */
} Init;

/* Says what happened to a file. */
static void
report_file(Init *init, const char *path, bool written)
{
    g_string_append_printf(init->report, "%s %s\n", written ? "wrote" : "kept ", path);
}

/* Writes a file that must not be there yet; one that is there is kept. */
static bool
write_new(Init *init, const char *path, const char *text, GError **error)
{
    size_t len = strlen(text);
    lodge_autofd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 && errno == EEXIST) {
        report_file(init, path, false);
        return true;
    }
    if (fd < 0)
        return lodge_set_errno(error, "create '%s'", path);
    if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0) {
        (void)lodge_set_errno(error, "write '%s'", path);
        (void)unlink(path); /* half a file would be kept the next time */
        return false;
    }
    report_file(init, path, true);
    return true;
}

/* Text as comment lines of at most 96 columns. */
static void
append_comment(GString *out, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t column = 0;

    for (size_t i = 0; words[i] != NULL; i++) {
        if (column > 0 && column + 1 + strlen(words[i]) > 96) {
            g_string_append_c(out, '\n');
            column = 0;
        }
        g_string_append_printf(out, "%s %s", column == 0 ? "#" : "", words[i]);
        column += (column == 0) + 1 + strlen(words[i]);
    }
    g_string_append_c(out, '\n');
}

/* The configuration file: what differs from the default is set, the rest shown. */
static char *
config_text(const LdaConfig *config)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);
    GString *out = g_string_new("# lodge.conf - see lodge.conf(5). A setting that is commented out "
                                "shows its default.\n");
    const char *section = "";

    for (size_t i = 0; i < count; i++) {
        const ConfigSetting *s = &settings[i];
        g_autofree char *value = config_format(config, i);
        g_autofree char *help = g_strdup_printf("%s (%s)", s->help, s->type);
        bool is_default = strcmp(value, s->default_text) == 0;

        if (strcmp(section, s->section) != 0)
            g_string_append_printf(out, "\n[%s]\n", s->section);
        section = s->section;
        append_comment(out, help);
        g_string_append_printf(out, "%s%s =%s%s\n", is_default ? "#" : "", s->key,
                               *value == '\0' ? "" : " ", value);
    }
    return g_string_free(out, FALSE);
}

/* Where everything goes: DIRECTORY, or that of -c, or the default. */
static void
choose_paths(Init *init, const char *directory)
{
    g_autofree char *cwd = g_get_current_dir();

    if (directory == NULL && init->ctl->config_path != NULL) {
        init->config_path = g_canonicalize_filename(init->ctl->config_path, cwd);
        init->directory = g_path_get_dirname(init->config_path);
    } else {
        init->directory =
            g_canonicalize_filename(directory != NULL ? directory : LODGE_SYSCONFDIR, cwd);
        init->config_path = g_build_filename(init->directory, "lodge.conf", NULL);
    }
}

/* Reads the configuration that is there, or writes a new one from the -o options. */
static bool
prepare_config(Init *init, GError **error)
{
    CtlContext *ctl = init->ctl;

    g_free(ctl->config_path);
    ctl->config_path = g_strdup(init->config_path);
    if (g_file_test(init->config_path, G_FILE_TEST_EXISTS)) {
        report_file(init, init->config_path, false);
        return ctl_config(ctl, error) != NULL;
    }
    /* First, so that an -o map.path of the caller wins. */
    g_ptr_array_insert(ctl->overrides, 0, g_strdup_printf("map.path=%s/map.db", init->directory));
    ctl->config = config_load("/dev/null", ctl_overrides(ctl), error);
    if (ctl->config == NULL)
        return false;
    g_autofree char *text = config_text(ctl->config);
    return write_new(init, init->config_path, text, error);
}

static bool
prepare_map(Init *init, GError **error)
{
    const char *path = init->ctl->config->map.path;
    const struct group *readers = getgrnam("lodge");

    if (!ctl_is_own_schema(init->ctl->config) || g_file_test(path, G_FILE_TEST_EXISTS)) {
        report_file(init, path, false);
        return true;
    }
    if (!mapedit_create(path, error))
        return false;
    if (readers != NULL && geteuid() == 0 && chown(path, (uid_t)-1, readers->gr_gid) != 0)
        return lodge_set_errno(error, "give '%s' to group lodge", path);
    report_file(init, path, true);
    return true;
}

static bool
write_lookup(Init *init, const CtlLookup *lookup, GError **error)
{
    const LdaConfig *config = init->ctl->config;
    g_autofree char *path = g_build_filename(init->directory, lookup->name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autoptr(GString) text = g_string_new(lookup->text);

    if (g_mkdir_with_parents(parent, 0755) != 0)
        return lodge_set_errno(error, "create '%s'", parent);
    g_autofree char *directory = g_strconcat(init->directory, "/", NULL);
    g_string_replace(text, "/etc/lodge/map.db", "@map@", 0); /* before its directory */
    g_string_replace(text, "/etc/lodge/", directory, 0);
    g_string_replace(text, "@map@", config->map.path, 0);
    g_string_replace(text, "/var/vmail", config->mail.root, 0);
    return write_new(init, path, text->str, error);
}

static bool
prepare_all(Init *init, GError **error)
{
    if (g_mkdir_with_parents(init->directory, 0755) != 0)
        return lodge_set_errno(error, "create '%s'", init->directory);
    if (!prepare_config(init, error) || !prepare_map(init, error))
        return false;
    for (size_t i = 0; ctl_is_own_schema(init->ctl->config) && i < ctl_lookup_count; i++) {
        if (!write_lookup(init, &ctl_lookups[i], error))
            return false;
    }
    return true;
}

/* What Postfix calls the first listener; without any, name in its queue directory. */
static char *
postfix_socket(char *const *listen, const char *name)
{
    if (*listen == NULL)
        return g_strconcat("unix:private/", name, NULL);
    if (g_str_has_prefix(*listen, "unix:" POSTFIX_QUEUE))
        return g_strconcat("unix:", *listen + strlen("unix:" POSTFIX_QUEUE), NULL);
    return g_strdup(*listen);
}

/* Users, groups and directories that are still missing, as commands of a root shell. */
static void
append_system_steps(Init *init)
{
    const LdaConfig *config = init->ctl->config;
    const char *user = config->mail.user;
    g_autofree char *log_dir = g_path_get_dirname(config->log.path);
    g_autofree char *usage_dir = g_path_get_dirname(config->quota.database);

    g_string_append(init->report, "\nAs root, once:\n\n");
    if (getgrnam("lodge") == NULL)
        g_string_append(init->report, "    groupadd --system lodge\n");
    if (getpwnam(user) == NULL)
        g_string_append_printf(init->report,
                               "    useradd --system --user-group --home-dir %s --shell "
                               "/usr/sbin/nologin %s\n",
                               config->mail.root, user);
    g_string_append_printf(init->report,
                           "    for u in %s postfix dovecot; do usermod -aG lodge $u; done\n"
                           "    chgrp lodge %s\n",
                           user, config->map.path);
    g_string_append_printf(init->report,
                           "    install -d -m 0750 -o %s -g %s %s\n"
                           "    install -d -m 0750 -o %s -g adm %s\n"
                           "    install -d -m 2750 -o %s -g lodge %s\n",
                           user, *config->mail.group != '\0' ? config->mail.group : user,
                           config->mail.root, user, log_dir, user, usage_dir);
}

static void
append_postfix_steps(Init *init)
{
    const LdaConfig *config = init->ctl->config;
    /* Without a listener: socket activation, and what the unit in dist/ listens on. */
    g_autofree char *transport = postfix_socket(config->lmtp.listen, "lodge");
    g_autofree char *lookup = g_strdup_printf("proxy:sqlite:%s/postfix", init->directory);

    g_string_append_printf(
        init->report,
        "\nPostfix, main.cf (a domain in virtual_mailbox_domains must not be in mydestination):\n\n"
        "    virtual_mailbox_domains = %s/domains.cf\n"
        "    virtual_mailbox_maps = %s/mailboxes.cf\n"
        "    virtual_alias_maps = %s/forwardings.cf,\n"
        "        %s/email2email.cf\n"
        "    transport_maps = %s/transport.cf\n"
        "    virtual_transport = lmtp:%s\n"
        "    recipient_delimiter = %s\n"
        "    lmtp_send_xforward_command = yes\n",
        lookup, lookup, lookup, lookup, lookup, transport, config->map.recipient_delimiter);
}

/* The policy service is off by default: who turns it on tells Postfix as well. */
static void
append_policy_steps(Init *init)
{
    char **listen = init->ctl->config->policy.listen;
    g_autofree char *socket = postfix_socket(listen, "lodge-policy");

    g_string_append_printf(
        init->report,
        "\nTo refuse what does not fit before it is accepted%s main.cf, after what is there:\n\n"
        "    smtpd_recipient_restrictions =\n"
        "        check_policy_service { %s, default_action=DUNNO }\n"
        "    smtpd_end_of_data_restrictions =\n"
        "        check_policy_service { %s, default_action=DUNNO }\n",
        *listen != NULL ? ","
                        : ", lodge.conf:\n\n    [policy]\n    listen = unix:" POSTFIX_QUEUE
                          "private/lodge-policy\n\nand",
        socket, socket);
}

/* pipe(8) runs deliver with one group: the one that may read the map. */
static void
append_pipe_steps(Init *init)
{
    const LdaConfig *config = init->ctl->config;
    bool default_path = strcmp(init->config_path, CONFIG_DEFAULT_PATH) == 0;

    g_string_append_printf(init->report,
                           "\nOr by pipe instead of LMTP, master.cf:\n\n"
                           "    lodge unix - n n - - pipe\n"
                           "      flags=DRhu null_sender= user=%s:lodge argv=" LODGE_LIBEXECDIR
                           "/lodge/deliver\n"
                           "      %s%s%s-f ${sender} -a ${original_recipient} -d ${recipient}\n"
                           "\nand main.cf:\n\n"
                           "    virtual_transport = lodge\n"
                           "    lodge_destination_recipient_limit = 1\n",
                           config->mail.user, default_path ? "" : "-c ",
                           default_path ? "" : init->config_path, default_path ? "" : " ");
}

static void
append_dovecot_steps(Init *init)
{
    const LdaConfig *config = init->ctl->config;
    const char *user = config->mail.user;
    const char *group = *config->mail.group != '\0' ? config->mail.group : user;

    g_string_append_printf(init->report,
                           "\nDovecot 2.3, dovecot.conf (without auth-system.conf.ext):\n\n"
                           "    passdb {\n      driver = sql\n"
                           "      args = %s/dovecot/dovecot-sql-2.3.conf.ext\n    }\n"
                           "    userdb {\n      driver = sql\n"
                           "      args = %s/dovecot/dovecot-sql-2.3.conf.ext\n    }\n",
                           init->directory, init->directory);
    g_string_append_printf(init->report,
                           "    mail_location = maildir:~/Maildir\n"
                           "    mail_uid = %s\n    mail_gid = %s\n"
                           "\nDovecot 2.4, dovecot.conf:\n\n"
                           "    !include %s/dovecot/dovecot-sql-2.4.conf\n"
                           "    mail_uid = %s\n    mail_gid = %s\n",
                           user, group, init->directory, user, group);
    if (strcmp(config->mail.home, "%d/%n") != 0 || strcmp(config->mail.maildir, "Maildir") != 0)
        g_string_append_printf(init->report,
                               "\nThese files assume home %%d/%%n and Maildir; write %s and %s "
                               "into them.\n",
                               config->mail.home, config->mail.maildir);
}

static void
append_next_steps(Init *init)
{
    bool default_path = strcmp(init->config_path, CONFIG_DEFAULT_PATH) == 0;
    g_autofree char *option =
        default_path ? g_strdup("") : g_strconcat(" -c ", init->config_path, NULL);

    append_system_steps(init);
    if (ctl_is_own_schema(init->ctl->config)) {
        append_postfix_steps(init);
        append_policy_steps(init);
        append_pipe_steps(init);
        append_dovecot_steps(init);
        g_string_append_printf(init->report,
                               "\nThen a domain with a user, and the server:\n\n"
                               "    lodge%s domain add example.org\n"
                               "    lodge%s user add ana@example.org --password\n"
                               "    lodge%s map resolve ana@example.org\n",
                               option, option, option);
    }
    g_string_append_printf(init->report, "    lodged%s\n", option);
}

int
ctl_init(CtlContext *ctl, int argc, char **argv)
{
    g_autoptr(GString) report = g_string_new(NULL);
    Init init = {.ctl = ctl, .report = report};
    g_autoptr(GError) error = NULL;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 0, 1, &status))
        return status;
    /* Postfix and Dovecot read these as users of their own, whatever root's umask. */
    (void)umask(022);
    choose_paths(&init, argc > 1 ? argv[1] : NULL);
    bool done = prepare_all(&init, &error);
    if (done)
        append_next_steps(&init);
    status = ctl_print(ctl, g_strchomp(report->str));
    g_free(init.directory);
    g_free(init.config_path);
    return done ? status : ctl_fail(ctl, error);
}
