# tests/e2e/sieve.bats - scripts between a real Postfix, which takes what they send, and a real Dovecot
#
#   sender --SMTP--> Postfix --LMTP or pipe--> lodge --SMTP--> Postfix --> other mailboxes
#                                                \--> folders and flags --> Dovecot --IMAP

load common.bash

setup_file() {
    need_root "Postfix and Dovecot do"
    scratch_make sieve
    lodge_install mail.separator=/ sieve.special_use="Junk=Spam"
    for domain in example.org piped.test; do lodge domain add $domain; done
    lodge_users ana@example.org bob@example.org carl@example.org ana@piped.test
    lodge alias add sales@example.org ana@example.org
    lodge transport add piped.test lodge:
    mapfile -t postfix_lines < <(lodge_steps "Postfix, main.cf")
    postfix_start "${postfix_lines[@]}"
    sed -i '/^\[submission\]/d' "$T/etc/lodge.conf"
    printf '[submission]\nurl = smtp://127.0.0.1:%s\n' "$smtp_port" >> "$T/etc/lodge.conf"
    lodge_steps "Dovecot 2.3" > "$T/dovecot-lodge.conf"
    dovecot_start "$T/dovecot-lodge.conf"
    export lodged_pid
    lodged_pid=$(lodged_start lodged)
    until_true 20 test -S "$T/lmtp"
}

teardown_file() {
    system_stop
    scratch_remove
}

teardown() { show_logs; }

# script USER: from standard input
script() {
    local home=$T/mail/${1#*@}/${1%@*}
    install -d -m 700 -o $mail_user -g $mail_group "$T/mail/${1#*@}" "$home"
    cat > "$home/.dovecot.sieve"
    chown $mail_user:$mail_group "$home/.dovecot.sieve"
}

# send SENDER RECIPIENT ID: accepted by Postfix, and nothing left in the queue
send() {
    smtp_one "$@" | grep '^250 '
    postfix_drain 30
}

is_in() { # USER FOLDER ID: there, and once
    [ "$(imap_show "$1" "$2" | grep -cx "$3")" -eq 1 ] || { echo "$3 is not in $2 of $1:"; imap_show "$1" "$2"; return 1; }
}

is_not_in() { ! imap_show "$1" "$2" | grep -qx "$3"; }

inbox_says() { # USER TEXT
    imap_show "$1" --text INBOX | tr -s ' \r\n' ' ' | grep -qF -- "$2" ||
        { imap_show "$1" --text INBOX | tail -n 60; return 1; }
}

@test "fileinto makes a folder that Dovecot shows, subscribed, with flags and keywords" {
    script ana@example.org <<'SIEVE'
require ["fileinto", "imap4flags"];
if header :contains "subject" "filed" {
    fileinto :flags ["\\Seen", "\\Flagged", "work"] "Lists/K\u00e4se";
}
SIEVE
    # The name is UTF-8 in the script.
    sed -i 's/\\u00e4/ä/' "$T/mail/example.org/ana/.dovecot.sieve"
    send bob@example.org ana@example.org filed-1
    is_in ana@example.org '"Lists/K&AOQ-se"' filed-1
    [ "$(imap_show ana@example.org --flags '"Lists/K&AOQ-se"')" = '\Flagged \Seen work' ]
    imap_show ana@example.org --subscribed | grep -qx 'Lists/K&AOQ-se'
    is_not_in ana@example.org INBOX filed-1
}

@test "redirect goes back into Postfix and arrives, with the sender it had" {
    script ana@example.org <<'SIEVE'
require "copy";
redirect "bob@example.org";
SIEVE
    send carl@example.org ana@example.org redirect-1
    is_in bob@example.org INBOX redirect-1
    is_not_in ana@example.org INBOX redirect-1
    inbox_says bob@example.org "Return-Path: <carl@example.org>"
    inbox_says bob@example.org "X-Sieve-Redirected-From: ana@example.org"
}

@test "redirect and keep leave a copy here and one there" {
    script ana@example.org <<'SIEVE'
redirect "bob@example.org";
keep;
SIEVE
    send carl@example.org ana@example.org redirect-2
    is_in bob@example.org INBOX redirect-2
    is_in ana@example.org INBOX redirect-2
}

@test "two users who redirect to each other make no loop" {
    script ana@example.org <<< 'redirect "carl@example.org";'
    script carl@example.org <<< 'redirect "ana@example.org"; keep;'
    send bob@example.org ana@example.org loop-1
    is_in carl@example.org INBOX loop-1
    rm "$T/mail/example.org/carl/.dovecot.sieve"
}

@test "vacation arrives at the sender, once, also for an address that is forwarded" {
    script ana@example.org <<'SIEVE'
require "vacation";
vacation :days 2 :subject "Gone" "I am at the sea";
SIEVE
    send carl@example.org sales@example.org vacation-1
    send carl@example.org ana@example.org vacation-2
    is_in ana@example.org INBOX vacation-1
    is_in ana@example.org INBOX vacation-2
    inbox_says carl@example.org "I am at the sea"
    [ "$(imap_show carl@example.org --text INBOX | grep -c 'I am at the sea')" -eq 1 ]
    inbox_says carl@example.org "Return-Path: <>"
    inbox_says carl@example.org "Auto-Submitted: auto-replied"
}

@test "reject over LMTP bounces with our text" {
    script ana@example.org <<'SIEVE'
require "reject";
if header :contains "subject" "reject" { reject "ana does not read such mail"; }
SIEVE
    send bob@example.org ana@example.org reject-1
    inbox_says bob@example.org "ana does not read such mail"
    inbox_says bob@example.org "550 5.7.1"
    is_not_in ana@example.org INBOX reject-1
}

@test "reject of a pipe transport bounces with our text" {
    script ana@piped.test <<< 'require "reject"; reject "not through a pipe either";'
    send bob@example.org ana@piped.test reject-2
    inbox_says bob@example.org "not through a pipe either"
}

@test "reject with letters that SMTP cannot carry tells the sender in a report" {
    script ana@example.org <<< 'require "reject"; reject "nein, schönen Dank";'
    send bob@example.org ana@example.org reject-3
    inbox_says bob@example.org "disposition-notification"
}

@test "a redirect that Postfix refuses for ever is kept" {
    script ana@example.org <<< 'redirect "nobody-there@example.org";'
    send bob@example.org ana@example.org refused-1
    is_in ana@example.org INBOX refused-1
    has_line "$T/log/deliver.log" 'note="kept: .*nobody-there'
}

@test "a script with an error keeps the mail and tells its owner once" {
    script bob@example.org <<< 'fileinto "x"; frobnicate;'
    send ana@example.org bob@example.org broken-1
    send ana@example.org bob@example.org broken-2
    is_in bob@example.org INBOX broken-1
    is_in bob@example.org INBOX broken-2
    [ "$(imap_show bob@example.org --text INBOX | grep -c '^Subject: Your Sieve script')" -eq 1 ]
    rm "$T/mail/example.org/bob/.dovecot.sieve"
}

@test "a script made active as Dovecot does it, by a link, runs" {
    local home=$T/mail/example.org/ana
    script ana@example.org <<< 'keep;'
    install -d -m 700 -o $mail_user -g $mail_group "$home/sieve"
    echo 'require "fileinto"; fileinto "Linked";' > "$home/sieve/mine.sieve"
    chown -R $mail_user:$mail_group "$home/sieve"
    ln -sf sieve/mine.sieve "$home/.dovecot.sieve"
    send bob@example.org ana@example.org linked-1
    is_in ana@example.org Linked linked-1
}

@test "a mailbox is found by the id that Dovecot gave it, after it was renamed" {
    local home=$T/mail/example.org/ana id
    rm -f "$home/.dovecot.sieve"
    # By now Dovecot has opened the folder.
    id=$(sed -n '1s/.* G\([0-9a-f]*\).*/\1/p' "$home/Maildir/.Linked/dovecot-uidlist")
    [ -n "$id" ]
    mv "$home/Maildir/.Linked" "$home/Maildir/.Renamed"
    script ana@example.org <<< "require [\"fileinto\", \"mailboxid\"]; fileinto :mailboxid \"$id\" \"Elsewhere\";"
    send bob@example.org ana@example.org renamed-1
    is_in ana@example.org Renamed renamed-1
}

@test "an edited header is what Dovecot shows" {
    script ana@example.org <<'SIEVE'
require "editheader";
addheader "X-Score" "5";
deleteheader "Subject";
addheader "Subject" "changed";
SIEVE
    send bob@example.org ana@example.org edited-1
    is_in ana@example.org INBOX edited-1
    inbox_says ana@example.org "X-Score: 5"
    inbox_says ana@example.org "Subject: changed"
}
