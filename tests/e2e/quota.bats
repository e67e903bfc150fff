# tests/e2e/quota.bats - one maildirsize, kept by lodge, Dovecot and maildrop in turns and at once
#
#   deliver, lodged --+
#   Dovecot's IMAP ---+--> Maildir, maildirsize --> lodge quota get = GETQUOTA = the sum of the file
#   deliverquota -----+
#
# Dovecot has its driver "maildir", whose limits come from the map. .Trash counts for nobody:
# maildrop knows no other way.

load common.bash

setup_file() {
    need_root "Dovecot does"
    scratch_make quota
    lodge_install quota.count_trash=no quota.warn= # a warning lies there uncounted
    lodge domain add q.test
    export lodged_pid
    lodged_pid=$(lodged_start lodged)
    until_true 20 test -S "$T/lmtp"
    lodge_steps "Dovecot 2.3" > "$T/dovecot-quota.conf"
    cat >> "$T/dovecot-quota.conf" << 'CONFIG'
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule2 = Trash:ignore
  quota_grace = 0
}
CONFIG
    dovecot_start "$T/dovecot-quota.conf"
    export dovecot_pid imap_port password
}

teardown_file() {
    dovecot_stop
    stop_pid "$lodged_pid"
    scratch_remove
}

# Each test with a mailbox that nobody has touched.
user() { # LIMIT...
    lodge user remove ana@q.test 2> /dev/null || true
    rm -rf "$T/mail/q.test/ana"
    lodge_users ana@q.test
    lodge user set ana@q.test "$@"
    maildir=$T/mail/q.test/ana/Maildir
}

peers() { python3 "$BATS_TEST_DIRNAME/quota_peers.py" "$@"; }

as_owner() { setpriv --reuid $mail_user --regid $mail_group --clear-groups "$@"; }
deliver() { as_owner "$T/deliver" -c "$T/etc/lodge.conf" -e -f bob@far.test -d ana@q.test; }
of_size() { printf 'Subject: x\n\n%*s\n' $(($1 - 13)) x; }

teardown() { show_logs; }

@test "lodge, Dovecot and maildrop agree after each of 150 random steps" {
    user --quota-bytes 100000 --quota-messages 40
    peers history "${LODGE_QUOTA_SEED-1}" 150
}

@test "deliveries and IMAP clients at the same time leave an exact count" {
    user --quota-bytes 100M --quota-messages 10000
    # Below 5120 octets of lines, from where on everybody counts anew.
    peers parallel 1 15
}

@test "what Dovecot loses while the file is rewritten all the time, one count puts right" {
    user --quota-bytes 100M --quota-messages 10000
    peers rewritten 1 40
}

# --- where they do not agree; doc/quota.md has the list

# The ids of what verify finds about ana, behind its exit status
verify() {
    run --separate-stderr lodge quota verify ana@q.test --json "$@"
    echo "$status $(jq -r '[.mailboxes[0].findings[].id] | join(" ")' <<< "$output")"
}

deliverquota() { of_size "$1" | as_owner deliverquota.maildrop "$maildir" "${@:2}"; }

@test "maildrop passes the limit of a mailbox that has a maildirfolder, and verify says why" {
    user --quota-bytes 20K
    of_size 500 | deliver
    lodge quota recalc ana@q.test
    as_owner touch "$maildir/maildirfolder"
    deliverquota 30000
    [ "$(verify)" = "1 entered_above root_marker" ]
    rm "$maildir/maildirfolder"
    [ "$(verify --repair)" = "0 added" ]
    run deliverquota 300
    [ "$status" -eq 77 ]
}

@test "what maildrop counts anew lacks mail with the flag T, which Dovecot counts" {
    user --quota-bytes 20K
    of_size 500 | deliver
    deliverquota 700 20480S # Debian's build; counts, since there is no file
    file=$(basename "$(find "$maildir/new" -name '*,S=700')")
    mv "$maildir/new/$file" "$maildir/cur/$file:2,ST"
    rm "$maildir/maildirsize"
    deliverquota 300 20480S
    [ "$(verify)" = "1 deleted_left_out" ]
    [ "$(verify -o quota.count_deleted=no)" = "0 " ]
    doveadm -c "$T/dovecot/dovecot.conf" quota recalc -u ana@q.test
    [ "$(verify)" = "0 " ]
    [ "$(verify -o quota.count_deleted=no)" = "1 deleted_counted" ]
}
