# tests/lda/programs.bats - programs of [sieve] program_dir, called by scripts, in whole deliveries

load ../lib/scratch.bash
load ../lib/lodge.bash

setup() {
    scratch_make programs
    mkdir "$T/programs"
    lodge_install sieve.program_dir="$T/programs" sieve.program_timeout=2s lmtp.socket_group= lmtp.socket_mode=0666
    lodge domain add example.org
    lodge user add ana@example.org
    home=$T/mail/example.org/ana
    install -d -m 700 -o $mail_user -g $mail_group "$T/mail/example.org" "$home" "$T/out"
    # All that the programs write.
    export T
}

teardown() {
    show_logs
    [ -z "${lodged_pid-}" ] || stop_pid "$lodged_pid"
    scratch_remove
}

program() { # NAME: from standard input
    { echo '#!/bin/sh'; cat; } > "$T/programs/$1"
    chmod 755 "$T/programs/$1"
}

script() { cat > "$home/.dovecot.sieve"; }

message=$'Subject: hello\nMessage-ID: <1@example.com>\n\nbody of the mail\n'

deliver() { "$LODGE_BUILD/lda/deliver" -c "$T/etc/lodge.conf" -f bob@example.com -d ana@example.org <<< "${message%$'\n'}"; }

stored() { cat "$home/Maildir/${1:+.$1/}new/"*; }
is_empty_inbox() { [ -z "$(find "$home/Maildir/new" -type f 2> /dev/null)" ]; }

@test "pipe gives message, arguments and envelope to the program, and the mailbox nothing" {
    program take <<< "{ echo \"\$*\"; echo \"\$SENDER \$RECIPIENT\"; pwd; id -un; cat; } > $T/out/taken"
    script <<< 'require "vnd.dovecot.pipe"; pipe "take" ["one", "two words"];'
    run deliver
    [ "$status" -eq 0 ]
    [[ $output == *"piped to 1 program" ]]
    sed '3d;4d' "$T/out/taken" | diff - <(printf 'one two words\nbob@example.com ana@example.org\n%s' "$message")
    [ "$(id -u)" -ne 0 ] || [ "$(sed -n 4p "$T/out/taken")" = $mail_user ]
    is_empty_inbox
}

@test "pipe after an edit gives the message as it is then" {
    program take <<< "cat > $T/out/taken"
    script <<< 'require ["vnd.dovecot.pipe", "editheader", "copy"]; addheader "X-New" "yes"; pipe :copy "take";'
    deliver
    grep -qx 'X-New: yes' "$T/out/taken"
    stored | grep -qx 'X-New: yes'
}

@test "a message whose program fails is kept; one that asks for another try is deferred" {
    program fail <<< 'exit 3'
    program later <<< 'exit 75'
    script <<< 'require "vnd.dovecot.pipe"; pipe "later";'
    run deliver
    [ "$status" -eq 75 ]
    is_empty_inbox
    script <<< 'require "vnd.dovecot.pipe"; pipe "fail";'
    run deliver
    [ "$status" -eq 0 ]
    stored | grep -qx 'body of the mail'
    grep -q "note=\"kept: program 'fail' failed" "$T/log/deliver.log"
}

@test "pipe :try that fails is no error, and loses nothing" {
    program fail <<< 'exit 75'
    script <<< 'require ["vnd.dovecot.pipe", "fileinto"]; pipe :try "fail"; fileinto "Other";'
    deliver
    stored Other | grep -qx 'body of the mail'
    is_empty_inbox
    grep -q 'actions="pipe fail (failed), fileinto Other"' "$T/log/deliver.log"
    program worse <<< 'exit 3'
    script <<< 'require "vnd.dovecot.pipe"; pipe :try "fail"; pipe :try "worse";'
    run deliver
    [ "$status" -eq 0 ]
    stored | grep -qx 'body of the mail'
    grep -q "note=\"kept: program 'worse' failed" "$T/log/deliver.log"
}

@test "filter changes the message that is stored, and the tests behind it see that" {
    program shout <<< 'sed "s/^Subject: .*/Subject: HELLO/; s/body/BODY/"'
    script <<'SIEVE'
require ["vnd.dovecot.filter", "fileinto", "body"];
filter "shout";
if allof (header :is :comparator "i;octet" "subject" "HELLO", body :contains :comparator "i;octet" "BODY") { fileinto "Loud"; }
SIEVE
    deliver
    stored Loud | grep -qx 'BODY of the mail'
    stored Loud | grep -qx 'Subject: HELLO'
}

@test "a filter that fails leaves the message as it was" {
    program broken <<< 'cat > /dev/null; echo rubbish; exit 1'
    script <<< 'require ["vnd.dovecot.filter", "fileinto"]; if not filter "broken" { fileinto "Whole"; }'
    deliver
    stored Whole | grep -qx 'body of the mail'
    ! stored Whole | grep -q rubbish
}

@test "execute asks a program, whose answer becomes a variable" {
    program which <<< 'read -r word; echo -n "Box-$word-$1"'
    script <<'SIEVE'
require ["vnd.dovecot.execute", "variables", "fileinto"];
if header :matches "subject" "*" { set "s" "${1}"; }
if execute :input "${s}" :output "folder" "which" "x" { fileinto "${folder}"; }
SIEVE
    deliver
    stored Box-hello-x | grep -qx 'body of the mail'
}

@test "execute is a test of the exit status, and can read the message" {
    program has <<< 'grep -q "$1"'
    script <<'SIEVE'
require ["vnd.dovecot.execute", "fileinto"];
if execute :pipe "has" "nowhere" { fileinto "Wrong"; }
elsif execute :pipe "has" "body of" { fileinto "Right"; }
SIEVE
    deliver
    stored Right | grep -qx 'body of the mail'
}

@test "a program that does not end is ended, with its children" {
    program hang <<< "sleep 1000 & echo \$! > $T/out/child; wait"
    script <<< 'require ["vnd.dovecot.execute", "fileinto"]; if not execute "hang" { fileinto "Late"; }'
    deliver
    stored Late | grep -qx 'body of the mail'
    until_true 20 is_gone "$(cat "$T/out/child")"
}

@test "only programs of the directory can be named" {
    for name in ../programs/take /bin/true sub/take ..; do
        script <<< "require \"vnd.dovecot.pipe\"; pipe \"$name\";"
        run deliver
        [ "$status" -eq 0 ]
        [[ $output == *"stored in INBOX" ]]
    done
    script <<< 'require "vnd.dovecot.pipe"; pipe "none-such";'
    run deliver
    [[ $output == *"stored in INBOX" ]]
}

@test "lodged runs them too, in the cage of its workers" {
    program shout <<< 'sed "s/body/BODY/"'
    program which <<< 'echo -n Caged'
    program take <<< "cat > $T/out/taken"
    script <<'SIEVE'
require ["vnd.dovecot.filter", "vnd.dovecot.execute", "vnd.dovecot.pipe", "copy", "variables", "fileinto"];
filter "shout";
pipe :copy "take";
if execute :output "folder" "which" { fileinto "${folder}"; }
SIEVE
    lodged_pid=$(lodged_start lodged)
    until_true 20 test -S "$T/lmtp"
    python3 - "$T/lmtp" <<'PYTHON'
import sys
import lmtp_client
client = lmtp_client.Client(sys.argv[1])
print(client.deliver("body of the mail"))
client.quit()
PYTHON
    stored Caged | grep -qx 'BODY of the mail'
    grep -qx 'BODY of the mail' "$T/out/taken" || grep -q 'BODY of the mail' "$T/out/taken"
}
