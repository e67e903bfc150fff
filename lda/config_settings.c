/* lda/config_settings.c - the one table of settings
 *
 * A setting is a row here and a member of LdaConfig; parser, strict check,
 * `lodge config`, the file that `lodge init` writes and the manual page follow.
 * Defaults are written the way config_format() would write them, so that "is it
 * the default?" is a comparison of text.
 */
#include "lda/config.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): offsetof() takes a member bare. */
#define MEMBER(section_, key_, member_, kind_, type_, default_, min_, max_, help_)               \
    {                                                                                            \
        .section = #section_, .key = key_, .type = (type_), .default_text = (default_),          \
        .help = (help_), .kind = (kind_), .offset = offsetof(LdaConfig, member_), .min = (min_), \
        .max = (max_)                                                                            \
    }
#define ROW(section, key, kind, type, value, min, max, help) \
    MEMBER(section, #key, section.key, kind, type, value, min, max, help)
/* NOLINTEND(bugprone-macro-parentheses) */
#define TEXT(section, key, value, help) ROW(section, key, CONFIG_TEXT, "text", value, 0, 0, help)
#define NAME(section, key, value, help) ROW(section, key, CONFIG_TEXT, "text", value, 1, 0, help)
#define PATH(section, key, value, help) ROW(section, key, CONFIG_PATH, "path", value, 1, 0, help)
#define OPTIONAL_PATH(section, key, value, help) \
    ROW(section, key, CONFIG_PATH, "path", value, 0, 0, help)
#define TEMPLATE(section, key, letters, value, help) \
    ROW(section, key, CONFIG_TEMPLATE, "path with " letters, value, 1, 0, help)
#define TEMPLATES(key, value, help) \
    ROW(sieve, key, CONFIG_TEMPLATES, "paths with %u %n %d %h", value, 0, 0, help)
#define YES_NO(section, key, value, help) \
    ROW(section, key, CONFIG_YES_NO, "yes/no", value, 0, 0, help)
#define WORD(section, key, words, value, help) \
    ROW(section, key, CONFIG_WORD, "one of: " words, value, 0, 0, help)
#define SIZE(section, key, value, help) \
    ROW(section, key, CONFIG_SIZE, "size", value, 0, G_MAXINT64, help)
#define SECONDS(section, key, value, min, max, help) \
    ROW(section, key, CONFIG_TIME, "seconds", value, min, max, help)
#define COUNT(section, key, value, min, max, help) \
    ROW(section, key, CONFIG_COUNT, "number", value, min, max, help)

/* Settings of the engine: members of SieveSettings, with the same names. */
#define ENGINE(key, kind, type, value, min, max, help) \
    MEMBER(sieve, #key, sieve.engine.key, kind, type, value, min, max, help)
#define ENGINE_TEXT(key, value, help) ENGINE(key, CONFIG_TEXT, "text", value, 0, 0, help)
#define ENGINE_YES_NO(key, value, help) ENGINE(key, CONFIG_YES_NO, "yes/no", value, 0, 0, help)
#define ENGINE_SIZE(key, value, min, help) \
    ENGINE(key, CONFIG_SIZE, "size", value, min, G_MAXINT32, help)
#define ENGINE_SECONDS(key, value, min, help) \
    ENGINE(key, CONFIG_TIME, "seconds", value, min, G_MAXINT32, help)
#define ENGINE_COUNT(key, value, min, max, help) \
    ENGINE(key, CONFIG_COUNT, "number", value, min, max, help)
#define SCORE_TEXT(test, number)                                                                 \
    MEMBER(sieve, #test "_text_" #number, sieve.engine.test##_text[number], CONFIG_TEXT, "text", \
           "", 0, 0, "Value of that header that means " #number ", for type text.")

static const ConfigSetting settings[] = {
    NAME(mail, user, "vmail",
         "User whose rights deliveries run with when lodged is started as root; never root."),
    TEXT(mail, group, "", "Group of the deliveries; empty: the primary group of that user."),
    PATH(mail, root, "/var/vmail", "Directory of all mail; nothing is written outside it."),
    TEMPLATE(mail, home, "%u %n %d", "%d/%n",
             "Home of a user whose row in the map names none, below root unless absolute."),
    TEMPLATE(mail, maildir, "%u %n %d %h", "Maildir",
             "Maildir of a user whose row in the map names none, below home unless absolute."),
    YES_NO(mail, per_user_ids, "no",
           "Deliver with the uid and gid of the row in the map; lodged must then run as root."),
    TEXT(mail, hostname, "",
         "Name of this host in Received, replies and file names; empty: what the system says."),
    SIZE(mail, spool_memory, "1M", "Messages up to this size stay in memory while they arrive."),
    PATH(mail, spool_dir, "/var/tmp",
         "Directory of unlinked files for larger messages that no mailbox can take at once."),
    SIZE(mail, message_size_limit, "100M",
         "Larger messages are refused; 0: none. Keep it above message_size_limit of Postfix."),
    COUNT(mail, hopcount_limit, "50", 1, 1000,
          "Messages with more Received fields than this are in a loop and are refused."),
    WORD(mail, delivered_to, "always, single, never", "always",
         "When to prepend Delivered-To: always, or only for a message with a single recipient. "
         "Copies without it share one file (hard links) where owner, mode and group are the same; "
         "Dovecot then takes the last change by any of their users for the date when a message was "
         "saved (autoexpunge, savedbefore): it may go later, never earlier."),
    WORD(mail, detail_folder, "no, existing, create", "no",
         "Whether mail for user+detail goes to the folder of that name: never, if it exists, or "
         "always."),
    ROW(mail, separator, CONFIG_CHARACTER, "character", ".", 0, 0,
        "Separator of folder names, as in the namespace of Dovecot."),
    TEXT(mail, prefix, "", "Prefix of folder names, as in the namespace of Dovecot: INBOX."),
    WORD(mail, compress, "no, gzip", "no",
         "Store messages compressed; Dovecot then needs its zlib plugin to read them."),
    COUNT(mail, compress_level, "6", 1, 9, "From 1, the fastest, to 9, the smallest."),
    WORD(mail, durability, "full, none", "full",
         "full: on stable storage before the reply; none: for tests and RAM disks only."),

    PATH(map, path, LODGE_SYSCONFDIR "/map.db", "SQLite file that says whose mailbox it is."),
    ROW(map, preset, CONFIG_CHOICE, "one of: lodge, tutorial, postfixadmin, iredmail", "lodge", 0,
        0, "Schema of that file."),
    TEXT(
        map, mailbox_query, "",
        "SELECT for another schema, with :address, :local and :domain; empty: that of the preset."),
    TEXT(map, recipient_delimiter, "+",
         "Characters that begin the detail of user+detail, as in Postfix; empty: none."),
    YES_NO(map, fold_local_part, "yes", "Ana@example.org and ana@example.org are one mailbox."),
    SECONDS(map, busy_timeout, "5s", 0, 600,
            "How long to wait for a locked map before the delivery is put off."),

    ROW(lmtp, listen, CONFIG_LISTENERS, "listeners", "unix:/var/spool/postfix/private/lodge", 0, 0,
        "Sockets, separated by blanks: unix:PATH, inet:ADDRESS:PORT, inet:[ADDRESS]:PORT. Postfix "
        "calls the default lmtp:unix:private/lodge and reaches it from its chroot."),
    ROW(lmtp, socket_mode, CONFIG_MODE, "octal mode", "0660", 0, 0777, "Mode of unix sockets."),
    TEXT(lmtp, socket_user, "", "Owner of unix sockets; empty: who starts lodged."),
    TEXT(lmtp, socket_group, "postfix",
         "Group of unix sockets, set when lodged is started as root; empty: its own."),
    COUNT(lmtp, min_workers, "4", 1, 10000, "Processes that are always ready for a connection."),
    COUNT(lmtp, max_workers, "64", 1, 10000, "Connections served at the same time, at most."),
    SECONDS(lmtp, busy_wait, "5s", 0, 600,
            "How long a connection may wait for a free worker before it is answered 421."),
    ROW(lmtp, trusted_networks, CONFIG_NETWORKS, "networks", "127.0.0.0/8 ::1", 0, 0,
        "Clients that may use XFORWARD over TCP; over a unix socket all may."),
    COUNT(lmtp, max_recipients, "1000", 1, 100000, "Recipients of one message, at most."),
    COUNT(lmtp, max_errors, "10", 1, 1000, "Errors of a client before it is hung up on."),
    SECONDS(lmtp, command_timeout, "5m", 1, 3600, "How long to wait for a command."),
    SECONDS(lmtp, data_timeout, "3m", 1, 3600, "How long to wait for a piece of the message."),
    SECONDS(lmtp, transaction_timeout, "5m", 1, 3600,
            "How long one message may take in all; keep it below lmtp_data_done_timeout of "
            "Postfix (600s)."),
    SECONDS(lmtp, drain_timeout, "30s", 0, 3600,
            "How long to wait for deliveries in progress when lodged is stopped."),

    ROW(policy, listen, CONFIG_LISTENERS, "listeners", "", 0, 0,
        "Sockets where Postfix asks by check_policy_service, before it accepts a message, whether "
        "there is room for it; unix:/var/spool/postfix/private/lodge-policy is reached from its "
        "chroot. Empty: none."),
    ROW(policy, socket_mode, CONFIG_MODE, "octal mode", "0660", 0, 0777, "Mode of unix sockets."),
    TEXT(policy, socket_user, "", "Owner of unix sockets; empty: who starts lodged."),
    TEXT(policy, socket_group, "postfix",
         "Group of unix sockets, set when lodged is started as root; empty: its own."),
    COUNT(policy, workers, "2", 1, 100,
          "Processes that answer; each serves any number of connections."),
    SECONDS(policy, idle_timeout, "20m", 1, 86400,
            "How long a connection may be silent; keep it above smtpd_policy_service_max_ttl of "
            "Postfix (1000s)."),

    ROW(sieve, script, CONFIG_TEMPLATE, "path with %u %n %d %h", "%h/.dovecot.sieve", 0, 0,
        "Active script of a user whose row in the map names none; empty: there are none."),
    MEMBER(sieve, "default", sieve.default_script, CONFIG_TEMPLATE, "path with %u %n %d %h", "", 0,
           0, "Script of users who have none."),
    TEMPLATES(
        before, "",
        "Scripts to run before the user's, in this order: files, or directories whose *.sieve "
        "run in the order of their names."),
    TEMPLATES(after, "",
              "Scripts to run after the user's, the same, as long as a keep is in force."),
    TEMPLATE(sieve, script_dir, "%u %n %d %h", "%h/sieve",
             "Directory of the user's scripts, for include :personal."),
    OPTIONAL_PATH(sieve, global_dir, "", "Directory of scripts for include :global."),
    YES_NO(sieve, mailbox_autocreate, "yes", "fileinto makes a mailbox that is missing."),
    YES_NO(sieve, mailbox_autosubscribe, "yes", "And the user is subscribed to it."),
    ROW(sieve, special_use, CONFIG_PAIRS, "attribute=mailbox", "", 0, 0,
        "Mailboxes with a special use (RFC 8579), separated by semicolons: Junk=Spam; "
        "Sent=Sent Items."),
    ROW(sieve, lists, CONFIG_PAIRS, "name=path with %u %n %d %h", "", 0, 0,
        "External lists (RFC 6134), separated by semicolons: name=/path of a file with one member "
        "a line."),
    OPTIONAL_PATH(sieve, list_database, "",
                  "SQLite file with more of them, in a table lists(list, member)."),
    WORD(sieve, reject_method, "smtp, mdn", "smtp",
         "reject refuses the message in LMTP, or sends a report to its sender."),
    YES_NO(sieve, own_addresses, "yes",
           "Addresses that the map forwards to the user count as the user's own for vacation."),
    OPTIONAL_PATH(sieve, program_dir, "",
                  "Directory of the programs that vnd.dovecot.pipe, filter and execute may start; "
                  "empty: none."),
    SECONDS(sieve, program_timeout, "10s", 1, 600, "How long such a program may run."),
    YES_NO(sieve, error_notice, "yes",
           "Tell the user once, by mail, about each version of a script that fails."),
    MEMBER(sieve, "user_log", sieve.user_log, CONFIG_TEMPLATE, "path with %u %n %d %h",
           "%h/.dovecot.sieve.log", 0, 0,
           "File the user can read with what was wrong with the script; empty: none."),
    TEXT(sieve, postmaster_address, "",
         "From of rejections and notices; empty: postmaster at the name of this host."),
    NAME(sieve, redirect_envelope_from, "sender",
         "Envelope sender of redirected mail: sender, recipient, orig_recipient, user_email, "
         "postmaster, srs, <an@address> or <>. A null sender stays null."),
    MEMBER(sieve, "redirect_sender", sieve.redirect_envelope_from, CONFIG_TEXT, "text", "sender", 1,
           0, "The same under its short name."),
    NAME(sieve, notify_envelope_from, "sender",
         "Envelope sender of notifications by mail, in the same words but srs."),
    YES_NO(sieve, vacation_send_from_recipient, "no",
           "Send vacation replies from the recipient's address, not from the null sender, which is "
           "how RFC 5230 wants it."),
    TEXT(sieve, srs_domain, "",
         "Domain of senders rewritten by srs; empty: the name of this host. Mail to it must come "
         "back here."),
    PATH(sieve, srs_secrets, LODGE_SYSCONFDIR "/srs.secret",
         "File with a secret a line for srs: the first signs, all are accepted."),
    MEMBER(sieve, "engine", sieve.chosen_engine, CONFIG_WORD, "one of: lodge, libsieve", "lodge", 0,
           0,
           "What runs scripts. libsieve is for old scripts only: RFC 3028 and a process for each "
           "message; see lodge-sieve(1)."),
    ENGINE_TEXT(user_email, "", "The user's own address; empty: the one of the row in the map."),
    ENGINE_TEXT(recipient_delimiter, "+",
                "Separators of subaddresses in scripts; each character is one."),
    ENGINE_SIZE(max_script_size, "1M", 1, "Larger scripts are refused."),
    ENGINE_COUNT(max_actions, "32", 0, 1000000, "Actions in one run; 0: no limit."),
    ENGINE_COUNT(max_redirects, "4", 0, 1000, "Redirects in one run; 0: redirect is prohibited."),
    ENGINE_COUNT(max_notifications, "10", 0, 1000,
                 "Notifications in one run; 0: notify is prohibited."),
    ENGINE_SECONDS(max_cpu_time, "30s", 1, "CPU time of one run."),
    ENGINE_COUNT(max_steps, "3000000", 1000, G_MAXINT32,
                 "Tests, fields and patterns looked at in one run."),
    ENGINE_SIZE(variables_max_size, "4K", 1, "Longer values of variables are cut."),
    ENGINE_COUNT(include_max_depth, "10", 0, 100, "Scripts that include each other, at most."),
    ENGINE_COUNT(include_max_scripts, "255", 0, 10000, "Different scripts included, at most."),
    ENGINE_SIZE(editheader_max_size, "2K", 1024, "Size of one added header field."),
    ENGINE_TEXT(editheader_protected, "",
                "Header fields that scripts can neither add nor delete, separated by blanks."),
    ENGINE_TEXT(editheader_forbid_add, "", "Header fields that scripts cannot add."),
    ENGINE_TEXT(editheader_forbid_delete, "", "Header fields that scripts cannot delete."),
    ENGINE_SECONDS(vacation_min_period, "1d", 0,
                   "Shorter times between two replies to one sender become this."),
    ENGINE_SECONDS(vacation_max_period, "0", 0, "Longer ones become this; 0: no limit."),
    ENGINE_TEXT(vacation_default_subject, "Automated reply",
                "Subject of replies when there is none to quote."),
    ENGINE_TEXT(vacation_default_subject_template, "Auto: %{subject}",
                "Subject of replies; %{subject} is that of the message."),
    ENGINE_COUNT(vacation_max_subject, "256", 16, 10000, "Characters of a subject that is made."),
    ENGINE_YES_NO(vacation_use_original_recipient, "no",
                  "The original recipient counts as the user's own address."),
    ENGINE_YES_NO(vacation_check_recipient, "yes",
                  "Reply only to mail that names the user in To, Cc and the like."),
    ENGINE_YES_NO(vacation_to_header_ignore_envelope, "no",
                  "To of the reply names Sender, Resent-From or From, not the envelope sender."),
    ENGINE_TEXT(spamtest_header, "",
                "NAME, or NAME: REGEX whose first group is the score; empty: untested."),
    ENGINE(spamtest_type, CONFIG_WORD, "one of: score, strlen, text", "score", 0, 0,
           "What the score is: a number, the length of a text, or a text listed below."),
    ENGINE_TEXT(spamtest_max_header, "", "NAME: REGEX that gives the highest score."),
    ENGINE_TEXT(spamtest_max_value, "", "The highest score, when no header tells."),
    SCORE_TEXT(spamtest, 0),
    SCORE_TEXT(spamtest, 1),
    SCORE_TEXT(spamtest, 2),
    SCORE_TEXT(spamtest, 3),
    SCORE_TEXT(spamtest, 4),
    SCORE_TEXT(spamtest, 5),
    SCORE_TEXT(spamtest, 6),
    SCORE_TEXT(spamtest, 7),
    SCORE_TEXT(spamtest, 8),
    SCORE_TEXT(spamtest, 9),
    SCORE_TEXT(spamtest, 10),
    ENGINE_TEXT(virustest_header, "", "As spamtest_header."),
    ENGINE(virustest_type, CONFIG_WORD, "one of: score, strlen, text", "score", 0, 0,
           "As spamtest_type."),
    ENGINE_TEXT(virustest_max_header, "", "As spamtest_max_header."),
    ENGINE_TEXT(virustest_max_value, "", "As spamtest_max_value."),
    SCORE_TEXT(virustest, 0),
    SCORE_TEXT(virustest, 1),
    SCORE_TEXT(virustest, 2),
    SCORE_TEXT(virustest, 3),
    SCORE_TEXT(virustest, 4),
    SCORE_TEXT(virustest, 5),

    SIZE(quota, bytes, "0",
         "Limit of a mailbox for which neither its row in the map nor its domain's has one; 0: "
         "none."),
    COUNT(quota, messages, "0", 0, G_MAXINT64, "Limit of its number of messages, the same."),
    SIZE(quota, max_message, "0", "Largest message that is stored in it, the same."),
    SIZE(quota, grace, "0",
         "How far the message that fills a mailbox may go beyond the limit of octets."),
    WORD(quota, over, "reject, defer, ramp", "reject",
         "A message that does not fit is refused for good (552 5.2.2); or for now (452 4.2.2), so "
         "that the MTA tries again; or for now until ramp_time is over, and then for good."),
    /* Long enough for a weekend, shorter than the five days after which MTAs give up by
     * themselves: the sender is told of the full mailbox, not of a time that ran out. */
    SECONDS(quota, ramp_time, "3d", 1, 60 * 86400,
            "How long after the first refusal a full mailbox refuses for now only, for ramp."),
    ROW(quota, folders, CONFIG_PAIRS, "folder=rule", "", 0, 0,
        "Rules for folders, separated by semicolons, by name or pattern with * and ?; the first "
        "that matches holds: Trash=ignore; Junk=+10%; Lists.*=+50M; Archive=max 5G. ignore: "
        "neither counted nor limited; + octets or percent: room on top for what is put there; "
        "max: limit of that folder alone."),
    YES_NO(quota, count_trash, "yes",
           "The folder Trash counts, as Dovecot and Exim have it; no: as Courier."),
    YES_NO(quota, count_deleted, "yes",
           "Mail flagged as deleted counts, as Dovecot and Exim have it; no: as Courier."),
    YES_NO(quota, shared_storage, "no",
           "Other hosts write into the mailboxes too, over NFS or the like."),
    SECONDS(quota, lock_timeout, "30s", 1, 600,
            "How long to wait for the accounts of a mailbox, or (5 seconds at most) for those of "
            "domains, before the delivery is put off. The policy service waits a second."),
    ROW(quota, warn, CONFIG_PERCENTS, "percents", "80 95", 0, 0,
        "Percent of the limit at which the owner is warned, ascending, at most 8; empty: never."),
    OPTIONAL_PATH(quota, warn_template, "",
                  "File with the text of the warning; see QUOTA below. Empty: a text in English."),
    TEXT(quota, warn_program, "",
         "Program of program_dir that is run as well, also when a limit in warn is passed "
         "downwards; empty: none."),
    OPTIONAL_PATH(quota, program_dir, "", "Directory of that program."),
    SECONDS(quota, program_timeout, "10s", 1, 600, "How long it may run."),
    YES_NO(quota, publish, "no",
           "Write what mailboxes hold into the table quota_usage of database, for others to read."),
    PATH(
        quota, database, "/var/lib/lodge/quota.db",
        "SQLite file of that table, and of what the mailboxes of a domain with a total hold. It is "
        "made when it is needed; its directory must be on a local disk."),

    NAME(submission, url, "smtp://127.0.0.1:25",
         "MTA that takes what Sieve scripts send: smtp://HOST:PORT or smtps://HOST:PORT."),
    WORD(submission, tls, "no, try, yes", "no",
         "STARTTLS: no; try, without looking at the certificate; yes, with a valid certificate."),
    TEXT(submission, ca_file, "", "File with the certificates to trust; empty: the system's."),
    TEXT(submission, user, "", "Name to log in with; empty: no login."),
    TEXT(submission, password_file, "", "File whose first line is the password."),
    SECONDS(submission, timeout, "30s", 1, 600, "How long to wait for the MTA at each step."),
    TEXT(submission, sendmail, "",
         "Program to send with instead, such as /usr/sbin/sendmail; empty: send to url."),

    WORD(log, target, "file, syslog, stderr", "file", "Where the log goes."),
    PATH(log, path, "/var/log/lodge/deliver.log", "File of the log."),
    WORD(log, format, "logfmt, json", "logfmt", "logfmt is key=value; json one object a line."),
    NAME(log, time_format, "%Y-%m-%d %H:%M:%S", "Time at the start of each line, as strftime(3)."),
};

const ConfigSetting *
config_settings(size_t *count_out)
{
    *count_out = G_N_ELEMENTS(settings);
    return settings;
}
