# tests/e2e/addresses.bats - who gets it, who does not, and what Postfix tells the sender

load common.bash

setup_file() {
    need_root "Postfix and Dovecot do"
    scratch_make addresses
    lodge_install mail.detail_folder=create mail.separator=/
    for domain in example.org catchall.test aliased.test bücher.example piped.test locked.test; do lodge domain add $domain; done
    lodge_users ana@example.org bob@example.org gone@example.org jörg@bücher.example ana@piped.test ana@locked.test
    lodge user set gone@example.org --active no
    lodge user add @catchall.test --home catchall.test/all
    lodge alias add info@example.org ana@example.org bob@example.org
    lodge alias add @aliased.test bob@example.org
    lodge transport add piped.test lodge:
    # A server with a map of its own, so that Postfix can still read the other while this one is locked.
    lodge transport add locked.test "lmtp:unix:$T/lmtp-locked"
    cp -p "$T/etc/map.db" "$T/etc/other.db"
    system_start
    other_start
}

# The process id lies in a file: tests that start it anew run in other shells than teardown_file.
other_start() {
    lodged_start lodged-locked "map.path=$T/etc/other.db" "lmtp.listen=unix:$T/lmtp-locked" > "$T/other.pid"
    until_true 20 test -S "$T/lmtp-locked"
}

other_stop() { stop_pid "$(cat "$T/other.pid")"; }

teardown_file() {
    system_stop
    other_stop
    scratch_remove
}

teardown() { show_logs; }

# send RECIPIENT ID: from ana, accepted by Postfix, out of the queue
send() {
    smtp_one ana@example.org "$@" | grep '^250 '
    postfix_drain 30
}

is_in() { # USER FOLDER ID: there, and once
    [ "$(imap_show "$1" "$2" | grep -cx "$3")" -eq 1 ] || { echo "$3 is not in $2 of $1:"; imap_show "$1" "$2"; return 1; }
}

bounce_says() { # TEXT: in a message in ana's INBOX
    imap_show ana@example.org --text INBOX | tr -s ' \r\n' ' ' | grep -qF -- "$1" ||
        { imap_show ana@example.org --text INBOX | tail -n 60; return 1; }
}

@test "an alias in forwardings reaches each of its destinations" {
    send info@example.org alias-1
    is_in ana@example.org INBOX alias-1
    is_in bob@example.org INBOX alias-1
}

@test "an alias for a whole domain reaches its destination" {
    send anybody@aliased.test alias-2
    is_in bob@example.org INBOX alias-2
}

@test "the catch-all of a domain gets what has no mailbox" {
    send nobody.special@catchall.test catchall-1
    grep -q '^Delivered-To: nobody.special@catchall.test' "$T"/mail/catchall.test/all/Maildir/new/*
    grep -q '^X-Lodge-Test: catchall-1' "$T"/mail/catchall.test/all/Maildir/new/*
}

@test "local parts and domains are found in any case" {
    send ANA@Example.ORG case-1
    is_in ana@example.org INBOX case-1
}

@test "an unknown user is refused by Postfix during SMTP" {
    run smtp_one ana@example.org nobody@example.org unknown-1
    [[ $output == "550 5.1.1 <nobody@example.org>"* ]]
}

@test "an unknown user that Postfix let through by LMTP is returned with our text" {
    smtp_one_unchecked ana@example.org unknown.lmtp@example.org unknown-2 | grep '^250 '
    postfix_drain 30
    has_line "$T/maillog.log" 'to=<unknown.lmtp@example.org>.*dsn=5.1.1, status=bounced.*550 5.1.1'
    bounce_says "550 5.1.1 <unknown.lmtp@example.org>"
}

@test "an unknown user that Postfix let through by pipe is returned with our text" {
    smtp_one_unchecked ana@example.org unknown.pipe@piped.test unknown-3 | grep '^250 '
    postfix_drain 30
    has_line "$T/maillog.log" 'to=<unknown.pipe@piped.test>, relay=lodge,.*dsn=5.1.1, status=bounced'
    bounce_says "unknown.pipe@piped.test"
}

@test "a user who is switched off is refused by Postfix, and by us with 5.2.1" {
    run smtp_one ana@example.org gone@example.org inactive-1
    [[ $output == "550 5."* ]]
    smtp_one_unchecked ana@example.org gone@example.org inactive-2 | grep '^250 '
    postfix_drain 30
    has_line "$T/maillog.log" 'to=<gone@example.org>.*dsn=5.2.1, status=bounced.*550 5.2.1'
    bounce_says "550 5.2.1 <gone@example.org>"
    [ -z "$(find "$T/mail/example.org/gone" -type f)" ]
}

@test "a detail is a folder that Dovecot lists, and that is subscribed" {
    send ana+lists@example.org detail-1
    is_in ana@example.org lists detail-1
    imap_show ana@example.org --subscribed | grep -x lists
}

@test "a detail in UTF-8 is a folder with that name, by LMTP and by pipe" {
    for domain in example.org piped.test; do
        send "ana+été@$domain" "detail-2-$domain"
        # Modified UTF-7, as IMAP says it.
        is_in ana@$domain '&AOk-t&AOk-' "detail-2-$domain"
        imap_show ana@$domain --subscribed | grep -xF '&AOk-t&AOk-'
    done
}

@test "a detail that is no folder name is delivered to the INBOX" {
    send 'ana+..@example.org' detail-3
    is_in ana@example.org INBOX detail-3
    [ -z "$(find "$T/mail" -name '.*..*' -o -name '*detail*')" ]
}

@test "an address in UTF-8 is found by its U-label, and its owner logs in with it" {
    send jörg@bücher.example utf8-1
    is_in jörg@bücher.example INBOX utf8-1
}

@test "the null sender's mail is delivered, by LMTP and by pipe" {
    for domain in example.org piped.test; do
        smtp_one "" ana@$domain "null-$domain" | grep '^250 '
        postfix_drain 30
        is_in ana@$domain INBOX "null-$domain"
        grep -q "from=\"\" to=ana@$domain" "$T/log/deliver.log"
    done
}

@test "Postfix's queue id leads to the line in our log, and our id to Postfix's" {
    for user in bob@example.org ana@piped.test; do
        queue=$(smtp_one ana@example.org "$user" "queue-$user" | sed -n 's/^250 //p')
        postfix_drain 30
        line=$(grep " queue_id=$queue " "$T/log/deliver.log")
        id=$(sed -n 's/.* id=\([^ ]*\).*/\1/p' <<< "$line")
        [ -n "$id" ]
        has_line "$T/maillog.log" "$queue: to=<$user>.* $id "
        # The file the line names is the message.
        file=$(sed -n 's/.* file="\{0,1\}\([^" ]*\).*/\1/p' <<< "$line")
        grep -q "^X-Lodge-Test: queue-$user" "$file" || grep -q "^X-Lodge-Test: queue-$user" "${file/new/cur}":2,*
    done
}

@test "a locked map puts mail off, and it arrives when the map is free" {
    exec {lock}> >(exec sqlite3 "$T/etc/other.db" > "$T/locked" 3>&-)
    sqlite=$!
    echo "BEGIN EXCLUSIVE; SELECT 'locked';" >&$lock
    until_true 10 has_line "$T/locked" locked
    smtp_one ana@example.org ana@locked.test locked-1 | grep '^250 '
    until_true 20 has_line "$T/maillog.log" 'to=<ana@locked.test>.*dsn=4.3.0, status=deferred.*451 4.3.0 .*other.db'
    [ "$(postfix_queue | jq -r .queue_name)" = deferred ]
    exec {lock}>&-
    until_true 10 is_gone $sqlite
    postfix_flush
    postfix_drain 30
    is_in ana@locked.test INBOX locked-1
}

@test "a server that is away puts mail off, and it arrives when the server is back" {
    other_stop
    smtp_one ana@example.org ana@locked.test away-1 | grep '^250 '
    until_true 20 has_line "$T/maillog.log" 'to=<ana@locked.test>.*status=deferred \(connect to'
    other_start
    postfix_flush
    postfix_drain 30
    is_in ana@locked.test INBOX away-1
}
