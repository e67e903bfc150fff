/* schema/presets.c - mailbox queries for the schemas administrators already have
 *
 * Each is what [map] mailbox_query may hold: parameters :address :local :domain,
 * result columns by name (mailmap.h). All but our own compare without regard to
 * case, as MySQL does, where these schemas come from: a dump keeps the spelling of
 * each row, while we ask in lower case. An index on the key with COLLATE NOCASE
 * makes that fast in large tables. Their paths are plain ones: a "%" in them is
 * doubled, since in ours it begins a variable.
 */
#include "schema/presets.h"

static const Preset presets[] = {
    {
        .name = "lodge",
        .own_schema = true,
        .query = "SELECT u.email AS user, u.active AND d.active AS active,"
                 " coalesce(u.home, d.home) AS home, coalesce(u.maildir, d.maildir) AS maildir,"
                 " coalesce(u.sieve, d.sieve) AS sieve,"
                 " coalesce(u.uid, d.uid) AS uid, coalesce(u.gid, d.gid) AS gid,"
                 " coalesce(u.quota_bytes, d.user_quota_bytes) AS quota_bytes,"
                 " coalesce(u.quota_messages, d.user_quota_messages) AS quota_messages,"
                 " coalesce(u.max_message_bytes, d.max_message_bytes) AS max_message_bytes,"
                 " coalesce(u.quota_over, d.quota_over) AS quota_over,"
                 " d.quota_bytes AS domain_quota_bytes, d.quota_messages AS domain_quota_messages"
                 " FROM users AS u JOIN domains AS d ON d.domain = u.domain"
                 " WHERE u.email = :address",
        .users = "SELECT email FROM users WHERE domain = ?1",
        .forwardings = "SELECT source, destination FROM forwardings",
        .destinations =
            "SELECT f.destination FROM forwardings AS f JOIN domains AS d ON d.domain = f.domain"
            " WHERE f.source = ?1 AND d.active = 1"
            " UNION ALL SELECT NULL FROM users WHERE email = ?1 LIMIT 1",
    },
    {
        /* A row that exists is live; the mailbox is <root>/example.org/user/, which the
         * tutorial's Postfix builds from the row: Example.org/User/ if it says so. */
        .name = "tutorial",
        .query = "SELECT email AS user, 1 AS active,"
                 " replace(substr(email, -length(:domain)) || '/' || substr(email, 1,"
                 " length(email) - length(:domain) - 1), '%', '%%') AS home, '.' AS maildir"
                 " FROM users WHERE email = :address COLLATE NOCASE AND :local <> ''",
        .users = "SELECT email FROM users WHERE substr(email, -length(?1) - 1) = '@' || ?1 COLLATE "
                 "NOCASE",
        .forwardings = "SELECT source, destination FROM forwardings",
        .destinations = "SELECT destination FROM forwardings WHERE source = ?1 COLLATE NOCASE"
                        " UNION ALL SELECT NULL FROM users WHERE email = ?1 COLLATE NOCASE LIMIT 1",
    },
    {
        /* Column maildir is the Maildir itself, below the root. A quota of 0 or
         * below is none; that of a domain is in megabytes. Domain aliases: the mailbox of the
         * target domain. */
        .name = "postfixadmin",
        .query = "SELECT m.username AS user, m.active = 1 AND d.active = 1 AS active,"
                 " replace(m.maildir, '%', '%%') AS home, '.' AS maildir,"
                 " max(m.quota, 0) AS quota_bytes, max(d.quota, 0) * 1048576 AS domain_quota_bytes"
                 " FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain"
                 " WHERE m.username = :address COLLATE NOCASE"
                 " UNION ALL"
                 " SELECT m.username, m.active = 1 AND d.active = 1 AND a.active = 1,"
                 " replace(m.maildir, '%', '%%'), '.', max(m.quota, 0), max(d.quota, 0) * 1048576"
                 " FROM alias_domain AS a"
                 " JOIN mailbox AS m ON m.username = :local || '@' || a.target_domain COLLATE "
                 "NOCASE"
                 " JOIN domain AS d ON d.domain = m.domain"
                 " WHERE a.alias_domain = :domain COLLATE NOCASE",
        .users = "SELECT username FROM mailbox WHERE domain = ?1 COLLATE NOCASE",
        .forwardings = "SELECT address, goto FROM alias WHERE active = 1",
        .destinations =
            "SELECT goto FROM alias WHERE address = ?1 COLLATE NOCASE AND active = 1"
            " UNION ALL SELECT a.goto FROM alias_domain AS d"
            " JOIN alias AS a ON a.address = substr(?1, 1, instr(?1, '@')) || d.target_domain"
            " COLLATE NOCASE WHERE d.alias_domain = substr(?1, instr(?1, '@') + 1) COLLATE NOCASE"
            " AND d.active = 1 AND a.active = 1"
            " UNION ALL SELECT NULL FROM mailbox WHERE username = ?1 COLLATE NOCASE LIMIT 1",
    },
    {
        /* Quota in megabytes. A domain has no total: its maxquota limits what the panel allots to
         * users, and no mail is refused because of it. enabledeliver is the switch for all
         * delivery, enablelmtp the one that iRedMail's Dovecot looks at. */
        .name = "iredmail",
        .query = "SELECT m.username AS user,"
                 " m.active = 1 AND m.enabledeliver = 1 AND m.enablelmtp = 1 AND d.active = 1"
                 " AS active,"
                 " replace(m.storagebasedirectory || '/' || m.storagenode || '/' || m.maildir,"
                 " '%', '%%') AS home,"
                 " coalesce(nullif(replace(m.mailboxfolder, '%', '%%'), ''), 'Maildir') AS maildir,"
                 " max(m.quota, 0) * 1048576 AS quota_bytes"
                 " FROM mailbox AS m JOIN domain AS d ON d.domain = m.domain"
                 " WHERE m.username = :address COLLATE NOCASE"
                 " UNION ALL"
                 " SELECT m.username, m.active = 1 AND m.enabledeliver = 1 AND m.enablelmtp = 1"
                 " AND d.active = 1 AND a.active = 1,"
                 " replace(m.storagebasedirectory || '/' || m.storagenode || '/' || m.maildir,"
                 " '%', '%%'),"
                 " coalesce(nullif(replace(m.mailboxfolder, '%', '%%'), ''), 'Maildir'), "
                 "max(m.quota, 0) * 1048576"
                 " FROM alias_domain AS a"
                 " JOIN mailbox AS m ON m.username = :local || '@' || a.target_domain COLLATE "
                 "NOCASE"
                 " JOIN domain AS d ON d.domain = m.domain"
                 " WHERE a.alias_domain = :domain COLLATE NOCASE",
        .users = "SELECT username FROM mailbox WHERE domain = ?1 COLLATE NOCASE",
        .forwardings = "SELECT address, forwarding FROM forwardings WHERE active = 1",
        /* A row a destination; a catch-all has the bare domain for its address. */
        .destinations =
            "SELECT group_concat(forwarding) FROM forwardings"
            " WHERE address = ltrim(?1, '@') COLLATE NOCASE AND active = 1 GROUP BY lower(address)"
            " UNION ALL SELECT group_concat(f.forwarding) FROM alias_domain AS d"
            " JOIN forwardings AS f ON f.address = ltrim(substr(?1, 1, instr(?1, '@')) ||"
            " d.target_domain, '@') COLLATE NOCASE"
            " WHERE d.alias_domain = substr(?1, instr(?1, '@') + 1) COLLATE NOCASE"
            " AND d.active = 1 AND f.active = 1 GROUP BY lower(f.address)"
            " UNION ALL SELECT NULL FROM mailbox WHERE username = ?1 COLLATE NOCASE LIMIT 1",
    },
};

const Preset *
preset_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

char *
preset_names(void)
{
    GString *names = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", presets[i].name);
    return g_string_free(names, FALSE);
}
