# tests/e2e/roundtrip.bats - what goes in by SMTP comes out by IMAP, octet for octet
#
#   client --SMTP--> Postfix --LMTP--> lodged  --> Maildir --> Dovecot --IMAP--> compare
#                            --pipe--> deliver -->
#
# The three domains differ in their transport only, which the map's table of transports says.

load common.bash

lmtp_users=(ana@lmtp.test bob@lmtp.test carl@lmtp.test)
pipe_users=(ana@pipe.test bob@pipe.test carl@pipe.test)
gzip_users=(ana@gzip.test bob@gzip.test)

setup_file() {
    need_root "Postfix and Dovecot do"
    scratch_make roundtrip
    lodge_install
    for domain in lmtp.test pipe.test gzip.test; do lodge domain add $domain; done
    lodge transport add pipe.test lodge:
    lodge transport add gzip.test lodgezip:
    lodge_users "${lmtp_users[@]}" "${pipe_users[@]}" "${gzip_users[@]}"
    system_start
    python3 "$lodge_lib/messages.py" "$T/messages" 500 1 "$lodge_top/../shared/corpus" 300
    mkdir "$T/fewer"
    # Some of each kind, and the largest.
    find "$T/messages" -name '*-[0-9].eml' | xargs -I{} ln {} "$T/fewer"
}

teardown_file() {
    system_stop
    scratch_remove
}

teardown() { show_logs; }

# round_trip DIRECTORY NULL_SENDER USER...
round_trip() {
    local directory=$1 null_sender=$2
    shift 2
    python3 "$lodge_lib/smtp_send.py" "127.0.0.1:$smtp_port" "$directory" "$T/manifest" "$@"
    postfix_drain 100
    python3 "$lodge_lib/imap_compare.py" --null-sender "$null_sender" "127.0.0.1:$imap_port" "$password" "$directory" "$T/manifest" "$@"
}

@test "500 messages of every kind, by LMTP, come back over IMAP as they were sent" {
    round_trip "$T/messages" "" "${lmtp_users[@]}"
}

@test "500 messages of every kind, through a pipe transport, come back over IMAP as they were sent" {
    # Without null_sender= in master.cf Postfix itself writes this Return-Path.
    round_trip "$T/messages" MAILER-DAEMON "${pipe_users[@]}"
}

@test "messages stored compressed come back through Dovecot's zlib plugin as they were sent" {
    round_trip "$T/fewer" "" "${gzip_users[@]}"
    file=$(find "$T/mail/gzip.test/ana/Maildir" -name '*,S=*' | head -n 1)
    # This transport, unlike the others, names the original recipient too.
    zcat "$file" | grep -q '^X-Original-To: ana@gzip.test$'
    [ "$(head -c 2 "$file" | od -An -tx1 | tr -d ' ')" = 1f8b ]
}

# Dovecot says 0x80 for it over IMAP, so the files are looked at.
@test "a NUL octet is stored as it is, by LMTP and by pipe" {
    mkdir "$T/nul"
    printf 'X-Lodge-Test: nul\r\nSubject: nul\r\n\r\na\0b\r\n\0\r\nend\r\n' > "$T/nul/nul.eml"
    for user in ana@lmtp.test ana@pipe.test; do
        python3 "$lodge_lib/smtp_send.py" "127.0.0.1:$smtp_port" "$T/nul" "$T/manifest-nul" $user
        postfix_drain 30
        file=$(grep -lr '^X-Lodge-Test: nul' "$T/mail/${user#*@}/ana/Maildir/new")
        tail -c 12 "$file" | cmp - <(printf '\n\na\0b\n\0\nend\n')
    done
}

@test "every copy of all that is in the log, with Postfix's queue id" {
    # Both programs, as two users, write to one file.
    copies=$(find "$T/mail" -path '*/Maildir/*' -name '*,S=*' | wc -l)
    [ "$(grep -c ' status=2.0.0 ' "$T/log/deliver.log")" -eq "$copies" ]
    while read -r queue; do
        grep -q " queue_id=$queue " "$T/log/deliver.log" || { echo "no queue id $queue"; return 1; }
    done < <(jq -r .queue "$T/manifest")
}
