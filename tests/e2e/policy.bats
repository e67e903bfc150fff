# tests/e2e/policy.bats - Postfix asks lodged whether there is room, before it accepts
#
# lodged has a copy of the map, so that Postfix can read the other while this one is locked.

load common.bash

setup_file() {
    need_root "Postfix does"
    scratch_make policy
    lodge_install policy.listen="unix:$T/policy" quota.database="$T/state/quota.db"
    install -d -m 750 -o $mail_user -g $mail_group "$T/state"
    lodge domain add example.org
    for user in full later room; do lodge user add $user@example.org --quota-bytes 10K; done
    lodge user set later@example.org --quota-over defer
    lodge user add small@example.org --max-message-bytes 2000
    lodge domain add total.example --quota-bytes 10K
    for user in ana ben; do lodge user add $user@total.example; done
    lodge alias add alias@example.org full@example.org
    lodge alias add team@example.org full@example.org room@example.org
    cp -p "$T/etc/map.db" "$T/etc/other.db"
    server_start
    mapfile -t postfix_lines < <(lodge_steps "Postfix, main.cf"; lodge_steps "To refuse what does not fit")
    postfix_start "${postfix_lines[@]}" \
        "maximal_backoff_time = 1s" "minimal_backoff_time = 1s"
    for user in full@example.org later@example.org ana@total.example; do fill $user; done
}

# The process id lies in a file: tests that start it anew run in other shells than teardown_file.
server_start() {
    lodged_start lodged "map.path=$T/etc/other.db" > "$T/lodged.pid"
    until_true 20 test -S "$T/policy"
}

server_stop() { stop_pid "$(cat "$T/lodged.pid")"; }

teardown_file() {
    postfix_stop
    server_stop
    scratch_remove
}

teardown() { show_logs; }

smtp_size() { python3 "$lodge_lib/smtp_size.py" "127.0.0.1:$smtp_port" "$@"; }

stored() { find "$T/mail" -path "*/$1/Maildir/new/*" -type f | wc -l; }

fill() { # USER: 6,000 octets and what deliveries add
    smtp_size "$1" 6000 | grep '^END 250 '
    postfix_drain 30
    [ "$(stored "${1%@*}")" -eq 1 ]
}

@test "a message larger than the room is refused at RCPT" {
    run smtp_size full@example.org 6000
    [[ $output == "RCPT 552 5.2.2 <full@example.org>: Recipient address rejected: Mailbox is full" ]]
    run smtp_size later@example.org 6000
    [[ $output == "RCPT 452 4.2.2 <later@example.org>: "*"Mailbox is full, try again later" ]]
    run smtp_size small@example.org 2001
    [[ $output == "RCPT 552 5.2.3 <small@example.org>: "*"Message is too large for this mailbox" ]]
    grep 'event=policy' "$T/log/deliver.log" | grep ' to=full@example.org ' | grep ' size=6000 ' |
        grep -q ' client=[^ ]*\[127.0.0.1\] '
}

@test "a message that fits is accepted and delivered" {
    smtp_size full@example.org 500 | grep '^END 250 '
    postfix_drain 30
    [ "$(stored full)" -eq 2 ]
}

@test "a message that the domain has no room for is refused, whoever of its users it is for" {
    run smtp_size ben@total.example 6000
    [[ $output == "RCPT 552 5.2.2 <ben@total.example>: Recipient address rejected: Mailbox is full" ]]
    grep 'event=policy' "$T/log/deliver.log" | grep ' to=ben@total.example ' |
        grep -q 'the domain total.example is full: [0-9,]* of 10,240 octets used, the message has 6,000'
    run smtp_size ben@total.example 6000 --unannounced
    [[ $output == "END 552 5.2.2 "*"Mailbox is full" ]]
    smtp_size ben@total.example 500 | grep '^END 250 '
    postfix_drain 30
    [ "$(stored ben)" -eq 1 ]
}

@test "an alias of a full mailbox is refused, a list where somebody has room is not" {
    run smtp_size alias@example.org 6000
    [[ $output == "RCPT 552 5.2.2 <alias@example.org>: "* ]]
    before=$(stored room)
    smtp_size team@example.org 6000 | grep '^END 250 '
    postfix_drain 30
    [ "$(stored room)" -eq $((before + 1)) ]
}

@test "a message that came larger than the room is refused at its end, and nothing bounces" {
    run smtp_size full@example.org 6000 --unannounced
    [[ $output == "END 552 5.2.2 "*"Mailbox is full" ]]
    is_empty postfix_queue
}

@test "addresses that are not ours are Postfix's business" {
    run smtp_size nobody@example.org 6000
    [[ $output == "RCPT 550 5.1.1 "* ]]
    run smtp_size ana@elsewhere.example 6000
    [[ $output != *"Mailbox is full"* ]]
}

@test "a map that is locked puts mail off, as long as it is" {
    coproc holder { sqlite3 "$T/etc/other.db"; }
    printf 'BEGIN EXCLUSIVE;\nSELECT "locked";\n' >&"${holder[1]}"
    read -r line <&"${holder[0]}"
    [ "$line" = locked ]
    run smtp_size room@example.org 500
    [[ $output == "RCPT 450 4.3.0 <room@example.org>: "*"Service temporarily unavailable" ]]
    printf 'ROLLBACK;\n.quit\n' >&"${holder[1]}"
    wait "$holder_PID" || true
    smtp_size room@example.org 500 | grep '^END 250 '
    postfix_drain 30
}

@test "while lodged is stopped, default_action holds, and mail waits in the queue" {
    server_stop
    smtp_size full@example.org 500 | grep '^END 250 '
    [ -n "$(postfix_queue)" ]
    server_start
    # The connection that smtpd has kept is gone: it opens another.
    run smtp_size full@example.org 6000
    [[ $output == "RCPT 552 5.2.2 "* ]]
    postfix_flush
    postfix_drain 60
}
