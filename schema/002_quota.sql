-- 002_quota.sql - how full a mailbox, and a domain, may be
--
-- What a domain said in quota_bytes and quota_messages was the default of each of its users; it
-- moves to columns that say so, and the two become the total of all its mailboxes. NULL is "not
-- set" everywhere: at the user the domain's default holds, at the domain that of lodge.conf.

ALTER TABLE domains ADD COLUMN user_quota_bytes INTEGER
    CONSTRAINT "user_quota_bytes: must not be negative (0: no limit)" CHECK (user_quota_bytes >= 0);
ALTER TABLE domains ADD COLUMN user_quota_messages INTEGER
    CONSTRAINT "user_quota_messages: must not be negative (0: no limit)" CHECK (user_quota_messages >= 0);
ALTER TABLE domains ADD COLUMN max_message_bytes INTEGER
    CONSTRAINT "max_message_bytes: must not be negative (0: no limit)" CHECK (max_message_bytes >= 0);
ALTER TABLE domains ADD COLUMN quota_over TEXT
    CONSTRAINT "quota_over: must be reject, defer or ramp" CHECK (quota_over IN ('reject', 'defer', 'ramp'));

UPDATE domains SET user_quota_bytes = quota_bytes, user_quota_messages = quota_messages,
    quota_bytes = NULL, quota_messages = NULL;

ALTER TABLE users ADD COLUMN max_message_bytes INTEGER
    CONSTRAINT "max_message_bytes: must not be negative (0: no limit)" CHECK (max_message_bytes >= 0);
ALTER TABLE users ADD COLUMN quota_over TEXT
    CONSTRAINT "quota_over: must be reject, defer or ramp" CHECK (quota_over IN ('reject', 'defer', 'ramp'));

-- As before, but for the columns of the quota: NULL now says that lodge.conf decides.
DROP VIEW mailboxes;
CREATE VIEW mailboxes AS
SELECT email, local, domain, domain_utf8, active, password, uid, gid, quota_bytes, quota_messages,
       replace(replace(replace(replace(replace(home, '%%', char(1)), '%u', u), '%n', n), '%d', domain), char(1), '%') AS home,
       -- Relative means "below home" without a leading %h/ as well.
       replace(replace(replace(replace(replace(iif(maildir GLOB '%h/*', substr(maildir, 4), maildir),
           '%%', char(1)), '%u', u), '%n', n), '%d', domain), char(1), '%') AS maildir
FROM (SELECT u.email, u.local, d.domain, d.domain_utf8, u.active AND d.active AS active, u.password,
             replace(u.email, '%', char(1)) AS u, replace(u.local, '%', char(1)) AS n,
             coalesce(u.uid, d.uid) AS uid, coalesce(u.gid, d.gid) AS gid,
             coalesce(u.quota_bytes, d.user_quota_bytes) AS quota_bytes,
             coalesce(u.quota_messages, d.user_quota_messages) AS quota_messages,
             coalesce(u.home, d.home) AS home, coalesce(u.maildir, d.maildir) AS maildir
      FROM users AS u JOIN domains AS d ON d.domain = u.domain);
