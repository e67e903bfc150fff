/* schema/import_rules.c - the tutorial, ISPmail and PostfixAdmin, table by table
 *
 * What differs from ours, and what becomes of it:
 *
 *   tutorial      the Maildir is <domain>/<name>/ itself: home "%d/%n", maildir ".";
 *                 a row with capitals has them in its path, ours need a home for that
 *   ISPmail       numeric keys, and one row for each destination of an alias
 *   PostfixAdmin  a domain "ALL", an alias of each mailbox to itself, "maildir" as
 *                 path of the home, alias domains (one forwarding "@alias" to
 *                 "@target", as virtual(5) has it), and aliases to a vacation robot
 */
#include "schema/import_rules.h"

#include "schema/columns.h"

/* A column of 0 or 1; *yes_out is true when the dump does not say. */
static bool
read_active(const MysqldumpRow *row, const char *column, bool *yes_out, GError **error)
{
    const char *text = import_text(row, column);

    if (text != NULL && strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return import_refuse(error, "%s: '%s' is neither 0 nor 1", column, text);
    *yes_out = text == NULL || text[0] == '1';
    return true;
}

/* Something that Dovecot can verify: {SCHEME}..., $id$..., or the 13 characters of the
 * old crypt(3). Anything else is most likely a password in plain text, which would
 * lock its owner out. */
static bool
is_hash(const char *text)
{
    enum { OLD_CRYPT_LEN = 13 };

    if (text[0] == '{')
        return strchr(text, '}') != NULL;
    if (text[0] == '$' || text[0] == '_')
        return true;
    for (const char *p = text; *p != '\0'; p++) {
        if (!g_ascii_isalnum(*p) && *p != '.' && *p != '/')
            return false;
    }
    return strlen(text) == OLD_CRYPT_LEN;
}

static bool
check_user(const MysqldumpRow *row, const char *email, GError **error)
{
    const char *password = import_text(row, "password");

    if (email == NULL)
        return import_refuse(error, "a user without an address");
    if (password != NULL && !is_hash(password))
        return import_refuse(
            error, "user '%s': the password is neither {SCHEME}hash nor a crypt(3) hash", email);
    return true;
}

static bool
check_pair(const char *one, const char *other, const char *what, GError **error)
{
    return (one != NULL && other != NULL) || import_refuse(error, "half of %s is missing", what);
}

/* "example.org/ana/" as a home; "%" is no variable in it. */
static char *
home_of(const char *maildir)
{
    g_autoptr(GString) home = g_string_new(maildir);

    while (home->len > 0 && home->str[home->len - 1] == '/')
        g_string_truncate(home, home->len - 1);
    g_string_replace(home, "%", "%%", 0);
    return g_string_free(g_steal_pointer(&home), FALSE);
}

static bool
add_transport(Import *import, const char *domain, const char *transport, GError **error)
{
    const ImportValue values[] = {{"transport", transport}, {NULL, NULL}};

    if (!import_add(import, MAPEDIT_TRANSPORT, domain, values, error))
        return false;
    import_note(import, "transport of '%s' is still '%s': its mail does not come to lodge", domain,
                transport);
    return true;
}

/* ---- the tutorial -------------------------------------------------------- */

static bool
run_tutorial_domain(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *domain = import_text(row, "domain");
    const ImportValue values[] = {{"home", "%d/%n"}, {"maildir", "."}, {NULL, NULL}};

    if (domain == NULL)
        return import_refuse(error, "a domain without a name");
    return import_add(import, MAPEDIT_DOMAINS, domain, values, error);
}

static bool
add_user(Import *import, const MysqldumpRow *row, const char *home, GError **error)
{
    const ImportValue values[] = {
        {"password", import_text(row, "password")},
        {"quota_bytes", import_text(row, "quota")},
        {"home", home},
        {NULL, NULL},
    };

    return import_add(import, MAPEDIT_USERS, import_text(row, "email"), values, error);
}

/* Where the tutorial's Postfix put the mail of a row that is not spelled as ours will be;
 * NULL for the domain's "%d/%n", or when that is no good name for a folder. */
static char *
tutorial_home(const char *email, const char *folded)
{
    const char *at = strrchr(email, '@');

    if (at == NULL || at == email || strchr(email, '/') != NULL || strcmp(email, folded) == 0)
        return NULL;

    g_autofree char *path = g_strdup_printf("%s/%.*s", at + 1, (int)(at - email), email);

    return home_of(path);
}

static bool
run_tutorial_user(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *email = import_text(row, "email");

    if (!check_user(row, email, error))
        return false;

    g_autofree char *folded = mailmap_fold_address(email, true, error);
    g_autofree char *home = folded != NULL ? tutorial_home(email, folded) : NULL;

    return folded != NULL && add_user(import, row, home, error);
}

static bool
run_forwarding(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *source = import_text(row, "source");
    const char *destination = import_text(row, "destination");

    return check_pair(source, destination, "a forwarding", error) &&
           import_forward(import, row, source, destination, error);
}

static bool
run_tutorial_transport(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *domain = import_text(row, "domain");
    const char *transport = import_text(row, "transport");

    return check_pair(domain, transport, "a transport", error) &&
           add_transport(import, domain, transport, error);
}

static const ImportRule tutorial[] = {
    {"domains", "+domain", run_tutorial_domain, NULL},
    {"users", "+email +password quota", run_tutorial_user, NULL},
    {"forwardings", "+source +destination", run_forwarding, NULL},
    {"transport", "+domain +transport", run_tutorial_transport, NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- ISPmail ------------------------------------------------------------- */

static bool
run_ispmail_domain(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *name = import_text(row, "name");

    if (name == NULL)
        return import_refuse(error, "a domain without a name");
    return import_add(import, MAPEDIT_DOMAINS, name, &(ImportValue){NULL, NULL}, error);
}

static bool
run_ispmail_user(Import *import, const MysqldumpRow *row, GError **error)
{
    return check_user(row, import_text(row, "email"), error) && add_user(import, row, NULL, error);
}

static const ImportRule ispmail[] = {
    {"virtual_domains", "id +name", run_ispmail_domain, NULL},
    {"virtual_users", "id domain_id +email +password quota", run_ispmail_user, NULL},
    {"virtual_aliases", "id domain_id +source +destination", run_forwarding, NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- PostfixAdmin -------------------------------------------------------- */

static bool
is_positive(const char *number)
{
    return number != NULL && g_ascii_strtoll(number, NULL, 10) > 0;
}

/* "virtual" is what PostfixAdmin calls the ordinary case. */
static bool
is_ordinary_transport(const char *transport)
{
    return transport == NULL || strcmp(transport, "virtual") == 0;
}

static bool
add_domain(Import *import, const MysqldumpRow *row, const char *domain, GError **error)
{
    const char *transport = import_text(row, "transport");
    const char *mailboxes = import_text(row, "mailboxes");
    const char *quota = import_text(row, "quota");
    g_autofree char *bytes = is_positive(quota) ? g_strconcat(quota, "M", NULL) : NULL;
    bool active = true;

    if (!read_active(row, "active", &active, error))
        return false;

    const ImportValue values[] = {
        {"active", active ? "yes" : "no"}, {"quota_bytes", bytes}, {NULL, NULL}};

    if (!import_add(import, MAPEDIT_DOMAINS, domain, values, error))
        return false;
    if (is_positive(mailboxes))
        import_limit_users(import, row, domain, mailboxes);
    return is_ordinary_transport(transport) || add_transport(import, domain, transport, error);
}

static bool
run_domain(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *domain = import_text(row, "domain");
    const char *backup = import_text(row, "backupmx");

    if (domain == NULL)
        return import_refuse(error, "a domain without a name");
    if (strcmp(domain, "ALL") == 0) /* stands for the rights of super-administrators */
        return true;
    if (backup != NULL && strcmp(backup, "0") != 0) {
        import_leave_domain(import, domain);
        import_note(import, "domain '%s' left out: backup MX, its mailboxes are elsewhere", domain);
        return true;
    }
    return add_domain(import, row, domain, error);
}

static bool
add_mailbox(Import *import, const MysqldumpRow *row, const char *username, bool active,
            GError **error)
{
    const char *maildir = import_text(row, "maildir");
    const char *quota = import_text(row, "quota");
    g_autofree char *home = maildir != NULL ? home_of(maildir) : NULL;

    if (maildir != NULL && maildir[0] == '/')
        return import_refuse(error, "user '%s': maildir '%s' should be relative", username,
                             maildir);
    /* -1 is how some versions write "no limit". */
    if (quota != NULL && strcmp(quota, "-1") == 0)
        quota = "0";

    const ImportValue values[] = {
        {"password", import_text(row, "password")},
        {"active", active ? "yes" : "no"},
        {"home", home},
        {"maildir", home != NULL ? "." : NULL},
        {"quota_bytes", quota},
        {NULL, NULL},
    };

    return import_add(import, MAPEDIT_USERS, username, values, error);
}

static const char *
domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at != NULL ? at + 1 : NULL;
}

static bool
run_mailbox(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *username = import_text(row, "username");
    bool active = true;

    if (!check_user(row, username, error) || !read_active(row, "active", &active, error))
        return false;
    if (import_is_left(import, domain_of(username)))
        return import_refuse(error, "user '%s' is in a domain that is backup MX", username);
    return add_mailbox(import, row, username, active, error);
}

/* "ana#example.org@autoreply.example.net" is PostfixAdmin's vacation robot. */
static bool
is_vacation(const char *destination, const char *address)
{
    g_autofree char *robot = g_strconcat(address, "@", NULL);

    *strchr(robot, '@') = '#';
    return g_ascii_strncasecmp(destination, robot, strlen(robot)) == 0;
}

/* The destinations without the robot's; "" when nothing is left. */
static char *
without_vacation(Import *import, const char *address, const char *destinations)
{
    g_autoptr(GPtrArray) list = columns_split_destinations(destinations);
    g_autoptr(GString) kept = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        const char *one = g_ptr_array_index(list, i);

        if (is_vacation(one, address))
            import_note(import, "vacation reply of '%s' left out: vacation is Sieve's here",
                        address);
        else
            g_string_append_printf(kept, "%s%s", kept->len > 0 ? "," : "", one);
    }
    return g_string_free(g_steal_pointer(&kept), FALSE);
}

static bool
run_alias(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *address = import_text(row, "address");
    const char *destinations = import_text(row, "goto");
    bool active = true;

    if (!check_pair(address, destinations, "an alias", error) ||
        !read_active(row, "active", &active, error))
        return false;
    if (domain_of(address) == NULL)
        return import_refuse(error, "alias '%s' has no domain", address);
    if (!active || import_is_left(import, domain_of(address))) {
        import_note(import, "alias '%s' left out: %s", address,
                    active ? "its domain is left out" : "it is not active");
        return true;
    }

    g_autofree char *kept = without_vacation(import, address, destinations);

    return kept[0] == '\0' || import_forward(import, row, address, kept, error);
}

static bool
run_alias_domain(Import *import, const MysqldumpRow *row, GError **error)
{
    const char *alias = import_text(row, "alias_domain");
    const char *target = import_text(row, "target_domain");
    bool active = true;

    if (!check_pair(alias, target, "an alias domain", error) ||
        !read_active(row, "active", &active, error))
        return false;
    if (!active || import_is_left(import, alias)) {
        import_note(import, "alias domain '%s' left out: %s", alias,
                    active ? "it is left out as a domain" : "it is not active");
        return true;
    }

    g_autofree char *source = g_strconcat("@", alias, NULL);
    g_autofree char *destination = g_strconcat("@", target, NULL);

    import_note(import,
                "alias domain '%s' is the forwarding '%s' to '%s': Postfix accepts every address "
                "at it, and bounces those that '%s' does not have",
                alias, source, destination, target);
    return import_forward(import, row, source, destination, error);
}

#define DATES " created modified"
#define WEB "only PostfixAdmin's web pages need it"
#define USAGE "counts of used quota are made anew"

static const ImportRule postfixadmin[] = {
    {"domain",
     "+domain description aliases mailboxes maxquota quota transport backupmx active "
     "password_expiry" DATES,
     run_domain, NULL},
    {"mailbox",
     "+username +password name +maildir quota local_part domain active phone email_other token "
     "token_validity password_expiry smtp_active totp_secret" DATES,
     run_mailbox, NULL},
    {"alias", "+address +goto domain active" DATES, run_alias, NULL},
    {"alias_domain", "+alias_domain +target_domain active" DATES, run_alias_domain, NULL},
    {"admin", "", NULL, WEB},
    {"config", "", NULL, WEB},
    {"domain_admins", "", NULL, WEB},
    {"log", "", NULL, WEB},
    {"totp_exception_address", "", NULL, WEB},
    {"mailbox_app_password", "", NULL, "a user has one password here"},
    {"fetchmail", "", NULL, "fetching mail elsewhere is no delivery"},
    {"dkim", "", NULL, "signing is the MTA's"},
    {"dkim_signing", "", NULL, "signing is the MTA's"},
    {"quota", "", NULL, USAGE},
    {"quota2", "", NULL, USAGE},
    {"vacation", "", NULL, "vacation replies are Sieve's here"},
    {"vacation_notification", "", NULL, "vacation replies are Sieve's here"},
    {NULL, NULL, NULL, NULL},
};

const ImportSchema import_schemas[] = {
    {"PostfixAdmin", {"domain", "mailbox"}, postfixadmin},
    {"ISPmail", {"virtual_domains", "virtual_users"}, ispmail},
    {"tutorial", {"domains", "users"}, tutorial},
    {NULL, {NULL, NULL}, NULL},
};
