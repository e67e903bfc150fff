-- 001_tables.sql - the map: the four tables of the classic tutorial, and what delivery needs
--
-- The tutorial's columns keep their names and meaning, so its SELECTs run unchanged. Every
-- other column is optional: NULL at the user means the domain's value, NULL at the domain the
-- default of lodge.conf. Names of constraints are sentences because SQLite's error message
-- consists of nothing else; the part before the colon is the column.
--
-- Domains are lower-case A-labels everywhere. domain_utf8 holds the U-label of an
-- internationalised domain, for Postfix and Dovecot, which look up what the client sent.
-- A path (home, maildir, sieve) may use %u %n %d, in maildir and sieve also a leading %h/.

CREATE TABLE domains (
    domain         TEXT NOT NULL PRIMARY KEY,
    domain_utf8    TEXT UNIQUE,
    active         INTEGER NOT NULL DEFAULT 1,
    max_users      INTEGER,
    home           TEXT,
    maildir        TEXT,
    uid            INTEGER,
    gid            INTEGER,
    quota_bytes    INTEGER,
    quota_messages INTEGER,
    sieve          TEXT,

    CONSTRAINT "domain: must be lower-case letters, digits and hyphens in labels divided by dots (an internationalised domain in its xn-- form)"
        CHECK (domain <> '' AND domain NOT GLOB '*[^a-z0-9._-]*' AND instr(domain, char(0)) = 0
               AND ('.' || domain || '.') NOT GLOB '*..*'
               AND ('.' || domain || '.') NOT GLOB '*.-*' AND ('.' || domain || '.') NOT GLOB '*-.*'),
    -- 64 characters in a row that are no dot: hex(zeroblob(32)) is how SQLite repeats a text.
    CONSTRAINT "domain: is longer than 253 characters, or one of its labels than 63"
        CHECK (length(domain) <= 253
               AND domain NOT GLOB '*' || replace(hex(zeroblob(32)), '0', '[^.]') || '*'),
    CONSTRAINT "domain_utf8: is only for internationalised domains"
        CHECK (domain_utf8 <> domain AND domain_utf8 GLOB '*[^ -~]*'),
    CONSTRAINT "active: must be 1 or 0" CHECK (active IN (0, 1)),
    CONSTRAINT "max_users: must not be negative" CHECK (max_users >= 0),
    CONSTRAINT "home: must be a path without '..' that uses no variables but %u, %n and %d"
        CHECK (home NOT IN ('', '/') AND home NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(home, char(0)) = 0 AND ('/' || home || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(home, '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    CONSTRAINT "maildir: must be a path without '..' that uses no variables but %u, %n, %d and a leading %h/"
        CHECK (maildir NOT IN ('', '/') AND maildir NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(maildir, char(0)) = 0 AND ('/' || maildir || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(CASE WHEN maildir GLOB '%h/?*' THEN substr(maildir, 4) ELSE maildir END,
                   '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    CONSTRAINT "sieve: must be a path without '..' that uses no variables but %u, %n, %d and a leading %h/"
        CHECK (sieve NOT IN ('', '/') AND sieve NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(sieve, char(0)) = 0 AND ('/' || sieve || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(CASE WHEN sieve GLOB '%h/?*' THEN substr(sieve, 4) ELSE sieve END,
                   '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    CONSTRAINT "uid: must be a user id above 0 (mail is never delivered as root)" CHECK (uid BETWEEN 1 AND 4294967294),
    CONSTRAINT "gid: must be a group id above 0 (mail is never delivered as root)" CHECK (gid BETWEEN 1 AND 4294967294),
    CONSTRAINT "quota_bytes: must not be negative (0: no limit)" CHECK (quota_bytes >= 0),
    CONSTRAINT "quota_messages: must not be negative (0: no limit)" CHECK (quota_messages >= 0)
) STRICT;

-- A user is a mailbox. "@example.org" is the catch-all of its domain: who has no row gets there.
CREATE TABLE users (
    email          TEXT NOT NULL PRIMARY KEY,
    password       TEXT, -- crypt(3), optionally after {SCHEME}; NULL: nobody can log in
    active         INTEGER NOT NULL DEFAULT 1,
    home           TEXT,
    maildir        TEXT,
    uid            INTEGER,
    gid            INTEGER,
    quota_bytes    INTEGER,
    quota_messages INTEGER,
    sieve          TEXT,
    -- Everything behind the last "@": rtrim() takes away all characters but "@" from the right.
    domain         TEXT NOT NULL GENERATED ALWAYS AS (substr(email, length(rtrim(email, replace(email, '@', ''))) + 1)) STORED
                   REFERENCES domains (domain),
    local          TEXT NOT NULL GENERATED ALWAYS AS (substr(email, 1, length(rtrim(email, replace(email, '@', ''))) - 1)) VIRTUAL,
    quota          INTEGER GENERATED ALWAYS AS (quota_bytes) VIRTUAL, -- the tutorial's name for it

    -- Quoted only where quotes are needed; dots as in a dot-atom. Upper case is allowed for the
    -- sites that do not fold local parts.
    CONSTRAINT "email: must be local@domain, or @domain for a catch-all"
        CHECK (email GLOB '*@?*' AND length(email) <= 320 AND instr(email, char(0)) = 0
               AND email NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND (local GLOB '"*"' AND length(local) >= 2
                    OR local NOT GLOB '*[] "(),:;<>@\[]*' AND ('.' || local || '.' NOT GLOB '*..*' OR local = ''))),
    CONSTRAINT "password: must be a crypt(3) hash, which is never empty and has no control characters"
        CHECK (password <> '' AND password NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(password, char(0)) = 0),
    CONSTRAINT "active: must be 1 or 0" CHECK (active IN (0, 1)),
    CONSTRAINT "home: must be a path without '..' that uses no variables but %u, %n and %d"
        CHECK (home NOT IN ('', '/') AND home NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(home, char(0)) = 0 AND ('/' || home || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(home, '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    CONSTRAINT "maildir: must be a path without '..' that uses no variables but %u, %n, %d and a leading %h/"
        CHECK (maildir NOT IN ('', '/') AND maildir NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(maildir, char(0)) = 0 AND ('/' || maildir || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(CASE WHEN maildir GLOB '%h/?*' THEN substr(maildir, 4) ELSE maildir END,
                   '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    CONSTRAINT "sieve: must be a path without '..' that uses no variables but %u, %n, %d and a leading %h/"
        CHECK (sieve NOT IN ('', '/') AND sieve NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'
               AND instr(sieve, char(0)) = 0 AND ('/' || sieve || '/') NOT GLOB '*/../*'
               AND instr(replace(replace(replace(replace(CASE WHEN sieve GLOB '%h/?*' THEN substr(sieve, 4) ELSE sieve END,
                   '%%', ''), '%u', ''), '%n', ''), '%d', ''), '%') = 0),
    -- %n of a catch-all is empty: with the usual default its home would be the folder of the
    -- whole domain. A "/" in a local part would make one name two folders.
    CONSTRAINT "home: a catch-all, and a user with '/' in its name, needs a home of its own without %n and %u"
        CHECK ((local <> '' AND instr(local, '/') = 0)
               OR (home IS NOT NULL AND instr(home, '%n') = 0 AND instr(home, '%u') = 0
                   AND instr(coalesce(maildir, ''), '%n') = 0 AND instr(coalesce(maildir, ''), '%u') = 0)),
    CONSTRAINT "uid: must be a user id above 0 (mail is never delivered as root)" CHECK (uid BETWEEN 1 AND 4294967294),
    CONSTRAINT "gid: must be a group id above 0 (mail is never delivered as root)" CHECK (gid BETWEEN 1 AND 4294967294),
    CONSTRAINT "quota_bytes: must not be negative (0: no limit)" CHECK (quota_bytes >= 0),
    CONSTRAINT "quota_messages: must not be negative (0: no limit)" CHECK (quota_messages >= 0)
) STRICT;

CREATE INDEX users_domain ON users (domain);

-- Postfix follows these before anybody asks for a mailbox. "@example.org" catches what has
-- neither a forwarding nor a mailbox. Several destinations are divided by commas.
CREATE TABLE forwardings (
    source      TEXT NOT NULL PRIMARY KEY,
    destination TEXT NOT NULL,
    domain      TEXT NOT NULL GENERATED ALWAYS AS (substr(source, length(rtrim(source, replace(source, '@', ''))) + 1)) STORED
                REFERENCES domains (domain),

    CONSTRAINT "source: must be local@domain, or @domain for the rest of a domain"
        CHECK (source GLOB '*@?*' AND length(source) <= 320 AND instr(source, char(0)) = 0
               AND source NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'),
    CONSTRAINT "destination: must be one or more addresses, divided by commas"
        CHECK (trim(destination, ', ') <> '' AND instr(destination, char(0)) = 0
               AND destination NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*')
) STRICT;

CREATE INDEX forwardings_domain ON forwardings (domain);

-- Postfix's transport_maps: which host holds a domain or a user. Its domains may be foreign.
CREATE TABLE transport (
    domain    TEXT NOT NULL UNIQUE,
    transport TEXT NOT NULL,

    CONSTRAINT "domain: must be a domain, .domain, an address or *"
        CHECK (domain <> '' AND domain NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || ']*'
               AND instr(domain, char(0)) = 0),
    CONSTRAINT "transport: must be transport:nexthop, without blanks"
        CHECK (transport <> '' AND transport NOT GLOB '*[' || char(1) || '-' || char(32) || char(127) || ']*'
               AND instr(transport, char(0)) = 0)
) STRICT;

-- SQLite checks foreign keys only on connections that ask for it, and the sqlite3 shell does
-- not. These hold for everybody.
CREATE TRIGGER users_insert BEFORE INSERT ON users
WHEN NOT EXISTS (SELECT 1 FROM domains WHERE domain = NEW.domain)
BEGIN SELECT RAISE(ABORT, 'email: its domain is not in the table domains'); END;

CREATE TRIGGER users_update BEFORE UPDATE OF email ON users
WHEN NOT EXISTS (SELECT 1 FROM domains WHERE domain = NEW.domain)
BEGIN SELECT RAISE(ABORT, 'email: its domain is not in the table domains'); END;

-- Counts only where there is a limit: counting at each insert makes an import quadratic.
CREATE TRIGGER users_limit BEFORE INSERT ON users
WHEN EXISTS (SELECT 1 FROM domains WHERE domain = NEW.domain AND max_users IS NOT NULL
             AND max_users <= (SELECT count(*) FROM users WHERE domain = NEW.domain))
BEGIN SELECT RAISE(ABORT, 'email: its domain has as many users as its max_users allows'); END;

CREATE TRIGGER forwardings_insert BEFORE INSERT ON forwardings
WHEN NOT EXISTS (SELECT 1 FROM domains WHERE domain = NEW.domain)
BEGIN SELECT RAISE(ABORT, 'source: its domain is not in the table domains'); END;

CREATE TRIGGER forwardings_update BEFORE UPDATE OF source ON forwardings
WHEN NOT EXISTS (SELECT 1 FROM domains WHERE domain = NEW.domain)
BEGIN SELECT RAISE(ABORT, 'source: its domain is not in the table domains'); END;

CREATE TRIGGER domains_delete BEFORE DELETE ON domains
WHEN EXISTS (SELECT 1 FROM users WHERE domain = OLD.domain) OR EXISTS (SELECT 1 FROM forwardings WHERE domain = OLD.domain)
BEGIN SELECT RAISE(ABORT, 'domain: still has users or forwardings'); END;

CREATE TRIGGER domains_update BEFORE UPDATE OF domain ON domains
WHEN NEW.domain <> OLD.domain
     AND (EXISTS (SELECT 1 FROM users WHERE domain = OLD.domain) OR EXISTS (SELECT 1 FROM forwardings WHERE domain = OLD.domain))
BEGIN SELECT RAISE(ABORT, 'domain: still has users or forwardings'); END;

-- One row for each user with the domain's values filled in and %u %n %d expanded, for programs
-- that read the map with plain SQL. A home that is NULL or relative, and a maildir that is, are
-- completed by the reader, who knows lodge.conf. char(1) stands for a % that is not (or no
-- longer) a variable. Kept short: whoever opens the map parses it.
CREATE VIEW mailboxes AS
SELECT email, local, domain, domain_utf8, active, password, uid, gid, quota_bytes, quota_messages,
       replace(replace(replace(replace(replace(home, '%%', char(1)), '%u', u), '%n', n), '%d', domain), char(1), '%') AS home,
       -- Relative means "below home" without a leading %h/ as well.
       replace(replace(replace(replace(replace(iif(maildir GLOB '%h/*', substr(maildir, 4), maildir),
           '%%', char(1)), '%u', u), '%n', n), '%d', domain), char(1), '%') AS maildir
FROM (SELECT u.email, u.local, d.domain, d.domain_utf8, u.active AND d.active AS active, u.password,
             replace(u.email, '%', char(1)) AS u, replace(u.local, '%', char(1)) AS n,
             coalesce(u.uid, d.uid) AS uid, coalesce(u.gid, d.gid) AS gid,
             coalesce(u.quota_bytes, d.quota_bytes, 0) AS quota_bytes,
             coalesce(u.quota_messages, d.quota_messages, 0) AS quota_messages,
             coalesce(u.home, d.home) AS home, coalesce(u.maildir, d.maildir) AS maildir
      FROM users AS u JOIN domains AS d ON d.domain = u.domain);
