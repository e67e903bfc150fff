# tests/e2e/shared.bats - one file in several mailboxes, and each owner has a message of his own
#
#   lodged --> one file --> new/ of five --> Dovecot --IMAP--> flag, expunge, move, copy
#
# Not only the octets are shared but all that is in the inode: the number of links, mtime, ctime.

load common.bash

setup_file() {
    need_root "Dovecot does"
    scratch_make shared
    lodge_install mail.delivered_to=single
    lodge domain add s.test
    for user in ana bob carl dora eva; do lodge user add $user@s.test --quota-bytes 1M; done
    export lodged_pid
    lodged_pid=$(lodged_start lodged)
    until_true 20 test -S "$T/lmtp"
    cat > "$T/dovecot-shared.conf" << 'CONFIG'
passdb {
  driver = static
  args = nopassword=y
}
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = maildir:User quota
}
CONFIG
    lodge_steps "Dovecot 2.3" >> "$T/dovecot-shared.conf"
    dovecot_start "$T/dovecot-shared.conf"
    export dovecot_pid imap_port
}

teardown_file() {
    dovecot_stop
    stop_pid "$lodged_pid"
    scratch_remove
}

teardown() { show_logs; }

@test "what owners of a shared file do with their messages, no other of them sees" {
    python3 "$BATS_TEST_DIRNAME/shared_owners.py"
    run grep -E 'Error|Warning|Panic|Fatal' "$T/dovecot.log"
    [ "$status" -eq 1 ] || { echo "$output"; false; }
}

@test "each line of the log names the file of its own recipient" {
    for user in ana bob carl dora eva; do
        run grep -oE "to=$user@s\.test .* file=\"?[^ \"]*" "$T/log/deliver.log"
        [ "${#lines[@]}" -eq 2 ]
        for line in "${lines[@]}"; do
            [[ $line == *"file="*"$T/mail/s.test/$user/Maildir/new/"* ]]
            [ -z "$(find "$T/mail" ! -path "*/s.test/$user/*" -name "${line##*/}*")" ]
        done
    done
}
