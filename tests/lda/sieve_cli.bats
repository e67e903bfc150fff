#!/usr/bin/env bats
# tests/lda/sieve_cli.bats - `lodge sieve` as users and administrators type it
#
# What scripts mean is tested by tests/sieve/cases; here: files, options, exit statuses, output.

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    chmod 755 "$dir"
    cd "$dir"
    real=$LODGE_BUILD/lda/lodge
    message=$BATS_TEST_DIRNAME/../sieve/cases/messages/plain.eml
    export LC_ALL=C.UTF-8
}

teardown() {
    cd /
    rm -rf "$dir"
}

lodge() { "$real" -c "$dir/etc/lodge.conf" "$@"; }

# A map with two users, whose mail belongs to nobody
init() {
    install -d -m 755 -o nobody -g nogroup mail
    "$real" -o "mail.root=$dir/mail" -o mail.user=nobody -o mail.group=nogroup init "$dir/etc" > init.out
    lodge domain add example.org
    lodge user add ana@example.org
    lodge user add ben@example.org
}
home=mail/example.org/ana

fails_with() { # STATUS PATTERN COMMAND...
    local expected=$1 pattern=$2
    shift 2
    run --separate-stderr "$@"
    [ "$status" -eq "$expected" ] || { echo "status $status: $output $stderr"; false; }
    [[ $stderr == *$pattern* ]] || { echo "stderr: $stderr"; false; }
}

# --- test

@test "test says what would be done, a line each" {
    echo 'require "fileinto"; fileinto "Work"; redirect "c@example.net";' > a.sieve
    run "$real" sieve test a.sieve "$message"
    [ "$status" -eq 0 ]
    [[ $output == *'fileinto "Work" (line 1)'* ]]
    [[ $output == *'redirect "c@example.net" (line 1)'* ]]
    [[ $output == *'created mailbox "Work"'* ]]
    [[ $output == *'sent from <ana@example.org> to <c@example.net>'* ]]
}

@test "test shows the implicit keep" {
    : > a.sieve
    run "$real" sieve test a.sieve "$message"
    [[ $output == *"implicit keep"*'stored in "INBOX"'* ]]
}

@test "the trace shows each test with its line and result" {
    printf 'if header "subject" "hello" {\n  keep;\n}\n' > a.sieve
    run "$real" sieve test --trace a.sieve "$message"
    [ "$status" -eq 0 ]
    [[ $output == *'1 | if header "subject" "hello" {'*'true'*'2 |   keep;'* ]]
}

@test "the trace shows each action with its line" {
    printf '%s\n' 'require ["enotify", "vacation", "vnd.dovecot.pipe"];' 'notify "mailto:a@example.org";' \
        'vacation "away";' 'pipe "p";' > a.sieve
    run "$real" -o sieve.program_dir=/tmp sieve test --trace a.sieve "$message"
    [[ $output == *'2 | notify "mailto:a@example.org";'*'3 | vacation "away";'*'4 | pipe "p";'* ]]
    printf 'require "reject";\nreject "no";\n' > a.sieve
    run "$real" sieve test --trace a.sieve "$message"
    [[ $output == *'2 | reject "no";'* ]]
}

@test "the trace is the default on a terminal" {
    echo 'if true { keep; }' > a.sieve
    run script -qec "'$real' sieve test a.sieve '$message'" /dev/null
    [[ $output == *'1 | if true'* ]]
    run "$real" sieve test a.sieve "$message"
    [[ $output != *'1 | if true'* ]]
}

@test "JSON is one object, whatever the message holds" {
    echo 'require "variables"; if header :matches "subject" "*" { set "x" "${1}"; }' > a.sieve
    printf 'Subject: \xff"\\\x01\n\n\x00\xfe\n' > m
    run "$real" sieve test --json a.sieve m
    [ "$status" -eq 0 ]
    [ "$(jq -s length <<< "$output")" -eq 1 ]
    [ "$(jq -r .status <<< "$output")" = ok ]
    jq -r '.messages[0].rfc822_base64' <<< "$output" | base64 -d | cmp - m
}

@test "a message in valid UTF-8 is a string, NUL and all" {
    : > a.sieve
    printf 'Subject: x\n\na\x00b\n' > m
    "$real" sieve test --json a.sieve m | jq -e '.messages[0].rfc822 | contains("a\u0000b")'
}

@test "script or message may be standard input, but not both" {
    echo 'discard;' > a.sieve
    [ "$("$real" sieve test --json a.sieve - < "$message" | jq -r '.actions[0].action')" = discard ]
    [ "$("$real" sieve test --json - "$message" < a.sieve | jq -r '.actions[0].action')" = discard ]
    fails_with 64 "both" "$real" sieve test - - < a.sieve
}

@test "options may stand before or behind the operands" {
    echo 'require "envelope"; if envelope "from" "x@example.net" { discard; }' > a.sieve
    for arguments in "--json --from x@example.net a.sieve $message" "a.sieve $message --from=x@example.net --json"; do
        [ "$("$real" sieve test $arguments | jq -r '.actions[0].action')" = discard ]
    done
}

@test "a wrong command line is status 64" {
    : > a.sieve
    fails_with 64 "expected SCRIPT MESSAGE" "$real" sieve test a.sieve
    fails_with 64 "unexpected" "$real" sieve check a.sieve b.sieve
    fails_with 64 "" "$real" sieve test --frobnicate a.sieve "$message"
    fails_with 64 "no setting 'frobnicate'" "$real" sieve test --set frobnicate=1 a.sieve "$message"
    fails_with 64 "'max_actions' is no KEY=VALUE" "$real" sieve check --set max_actions a.sieve
    fails_with 64 "max_actions" "$real" sieve test --set max_actions=many a.sieve "$message"
    fails_with 64 "NAME=VALUE" "$real" sieve test --special-use Junk a.sieve "$message"
    fails_with 64 "NAME=FILE" "$real" sieve test --list friends a.sieve "$message"
}

@test "a file that cannot be read is status 66" {
    : > a.sieve
    fails_with 66 "missing.sieve" "$real" sieve test missing.sieve "$message"
    fails_with 66 "missing.eml" "$real" sieve test a.sieve missing.eml
    fails_with 66 "missing.list" "$real" sieve test --list friends=missing.list a.sieve "$message"
    fails_with 66 "." "$real" sieve check .
}

@test "a refused script is status 1 with the object printed" {
    echo 'frobnicate;' > a.sieve
    run "$real" sieve test --json a.sieve "$message"
    [ "$status" -eq 1 ]
    [ "$(jq -r '.status + " " + (.errors[0].line | tostring)' <<< "$output")" = "compile_error 1" ]
}

@test "an empty value of --set restores the default" {
    printf 'redirect "a@example.net";\nredirect "b@example.net";\n' > a.sieve
    run "$real" sieve test --json --set max_redirects=1 --set max_redirects= a.sieve "$message"
    [ "$(jq -r .status <<< "$output")" = ok ]
}

@test "the configuration of delivery holds, and --set overrides it" {
    printf '[sieve]\nmax_redirects = 1\n' > c.conf
    printf 'redirect "a@example.net";\nredirect "b@example.net";\n' > a.sieve
    run "$real" -c c.conf sieve test --json a.sieve "$message"
    [ "$(jq -r '.status, .errors[0].line' <<< "$output" | tr '\n' ' ')" = "runtime_error 2 " ]
    run "$real" -c c.conf sieve test --json --set max_redirects=2 a.sieve "$message"
    [ "$(jq -r .status <<< "$output")" = ok ]
}

@test "lists, special uses and global scripts are those of the configuration" {
    mkdir global
    echo 'require "fileinto"; fileinto "Global";' > global/g.sieve
    echo 'ana@example.org' > friends
    printf '[sieve]\nlists = friends=%s/friends; others=%%h/others\nspecial_use = \\Junk=Spam\nglobal_dir = %s/global\n' "$dir" "$dir" > c.conf
    cat > a.sieve <<'END'
require ["extlists", "envelope", "special-use", "include", "fileinto"];
if envelope :list "from" "friends" { fileinto "Friends"; }
if specialuse_exists "\\Junk" { fileinto "Junk there"; }
include :global "g";
END
    [ "$("$real" -c c.conf sieve test --json a.sieve "$message" | jq -c '[.actions[].mailbox]')" = '["Friends","Global"]' ]
    [ "$("$real" -c c.conf sieve test --json --mailbox Spam a.sieve "$message" | jq -c '[.actions[].mailbox]')" = \
        '["Friends","Junk there","Global"]' ]
    # A list below the home of a user is one of a user.
    echo 'require ["extlists", "envelope"]; if envelope :list "from" "others" { discard; }' > b.sieve
    run "$real" -c c.conf sieve test b.sieve "$message"
    [ "$status" -ne 0 ]
    [[ $output == *"%h/others"* ]]
}

@test "line ends of the message make no difference" {
    printf 'Subject: x\nTo: b@example.org\n\none\ntwo\n' > lf
    sed 's/$/\r/' lf > crlf
    echo 'if size :over 40 { discard; } if size :under 47 { keep; }' > a.sieve
    "$real" sieve test --json a.sieve lf > 1
    "$real" sieve test --json a.sieve crlf > 2
    cmp 1 2
}

@test "an empty message is legal and has no size" {
    echo 'if not size :over 0 { discard; }' > a.sieve
    [ "$("$real" sieve test --json a.sieve /dev/null | jq -r '.actions[0].action')" = discard ]
}

@test "the envelope is read from the header where no option gives it" {
    echo 'require ["envelope", "variables"]; if envelope :matches "from" "*" { set "f" "${0}"; } if envelope :matches "to" "*" { set "t" "${0}"; }' > a.sieve
    printf 'From: f@example.net\nTo: One <t1@example.net>, t2@example.net\n\n' > m
    [ "$("$real" sieve test --json a.sieve m | jq -r '.variables | .f + " " + .t')" = "f@example.net t1@example.net" ]
    printf 'Sender: s@example.net\nFrom: f@example.net\n\n' > m
    [ "$("$real" sieve test --json a.sieve m | jq -r '.variables | .f + " " + .t')" = "s@example.net " ]
    printf 'Return-Path: <>\nSender: s@example.net\nFrom: f@example.net\n\n' > m
    [ "$("$real" sieve test --json a.sieve m | jq -r '.variables | .f + " " + .t')" = " " ]
}

@test "paths are read as SMTP carries them" {
    echo 'require ["envelope", "variables"]; if envelope :matches "from" "*" { set "f" "${0}"; } if envelope :matches "to" "*" { set "t" "${0}"; }' > a.sieve
    envelope() { "$real" sieve test --json --from "$1" --to "$2" a.sieve "$message" | jq -r '.variables | .f + " " + .t'; }
    [ "$(envelope '<a@example.net>' 'b@example.net')" = "a@example.net b@example.net" ]
    [ "$(envelope '<@r1.example,@r2.example:a@example.net>' '<@r.example:b@example.net>')" = "a@example.net b@example.net" ]
    [ "$(envelope '<>' postmaster)" = " postmaster" ]
    [ "$(envelope '' '<postmaster>')" = " postmaster" ]
}

@test "a broken path is a warning and the null path" {
    echo 'require "envelope"; if envelope "from" "" { discard; }' > a.sieve
    run "$real" sieve test --json --from '<a@b@c' a.sieve "$message"
    [ "$status" -eq 0 ]
    [ "$(jq -r '.actions[0].action' <<< "$output")" = discard ]
    [[ $(jq -r '.warnings[0].message' <<< "$output") == *"<a@b@c"* ]]
}

@test "--state remembers replies between runs, and without it nothing is" {
    echo 'require "vacation"; vacation "gone";' > a.sieve
    sent() { "$real" sieve test --json --to ben@example.com "$@" a.sieve "$message" | jq '.outgoing | length'; }
    [ "$(sent)" -eq 1 ]
    [ "$(sent)" -eq 1 ]
    mkdir state
    [ "$(sent --state state)" -eq 1 ]
    [ "$(sent --state state)" -eq 0 ]
    [ "$(sent --state state --from other@example.net)" -eq 1 ]
    "$real" sieve test --json --to ben@example.com --state state a.sieve "$message" | jq -e '.actions[0].suppressed'
}

@test "nothing is written but by --state" {
    echo 'require ["fileinto", "vacation"]; fileinto "A"; redirect "x@example.net"; vacation "gone";' > a.sieve
    "$real" sieve test a.sieve "$message" > /dev/null
    [ "$(ls -A)" = a.sieve ]
}

@test "text of a message cannot paint the terminal" {
    echo 'require ["variables", "fileinto"]; if header :matches "subject" "*" { redirect "c@example.net"; }' > a.sieve
    printf 'Subject: \x1b[31mred\x9b\n\nx\n' > m
    run "$real" sieve test --trace a.sieve m
    [[ $output != *$'\x1b'* ]]
}

# --- check

@test "check prints file, line and column of every error" {
    printf 'keep;\nfrobnicate;\nif nonsense { keep; }\n' > a.sieve
    run "$real" sieve check a.sieve
    [ "$status" -eq 1 ]
    [[ $output == *"a.sieve:2:1: error: "*"a.sieve:3:4: error: "* ]]
}

@test "check says when nothing is wrong" {
    echo 'keep;' > a.sieve
    run "$real" sieve check a.sieve
    [ "$status" -eq 0 ]
    [ "$output" = "no errors" ]
}

@test "check follows includes, and names the script of an error" {
    mkdir personal global
    echo 'frobnicate;' > personal/one.sieve
    printf 'keep;\nnonsense;\n' > global/one.sieve
    printf 'require "include";\ninclude :personal "one";\ninclude :global "one";\n' > a.sieve
    run "$real" sieve check --json --script-dir personal --global-dir global a.sieve
    [ "$status" -eq 1 ]
    [ "$(jq -r '[.errors[] | select(.script == "one") | .line] | join(" ")' <<< "$output")" = "1 2" ]
}

@test "check finds scripts that include each other" {
    mkdir personal
    echo 'require "include"; include "b";' > personal/a.sieve
    echo 'require "include"; include "a";' > personal/b.sieve
    run "$real" sieve check --json --script-dir personal personal/a.sieve
    [ "$status" -eq 1 ]
    [ "$(jq -r .status <<< "$output")" = compile_error ]
}

@test "every extension that the manual page lists can be required, and what it says is refused is" {
    page=$BATS_TEST_DIRNAME/../../doc/lodge-sieve.1
    listed=$(sed -n 's/ *, */ /g; /^\.Bl -column/,/^\.El/s/^\.It Li \(.*\) Ta .*/\1/p' "$page" | sed 's/ Ta .*//')
    [ "$(wc -w <<< "$listed")" -eq 44 ]
    for name in $listed; do
        echo "require \"$name\";" | "$real" sieve check --set program_dir="$dir" -
    done
    for name in imapflags notify mboxmetadata servermetadata convert imapsieve; do
        grep -q "$name" "$page"
        run "$real" sieve check - <<< "require \"$name\";"
        [ "$status" -eq 1 ]
    done
}

# --- a user's scripts

@test "put stores with the rights of the mailbox, list and get show it" {
    init
    echo 'keep; # first' | lodge sieve put ana@example.org first
    [ "$(stat -c %U:%G:%a "$home/sieve/first.sieve")" = "nobody:nogroup:600" ]
    echo 'discard;' > second.sieve
    lodge sieve put ana@example.org second second.sieve
    [ "$(lodge sieve list ana@example.org)" = "first
second" ]
    [ "$(lodge sieve get ana@example.org first)" = "keep; # first" ]
    [ -z "$(lodge sieve list ben@example.org)" ]
    fails_with 1 "nobody@example.org" lodge sieve list nobody@example.org
}

@test "activate makes Dovecot's link, and list shows it" {
    init
    echo 'keep;' | lodge sieve put ana@example.org first
    echo 'discard;' | lodge sieve put ana@example.org second
    lodge sieve activate ana@example.org first
    [ "$(readlink "$home/.dovecot.sieve")" = sieve/first.sieve ]
    [ "$(stat -c %U:%G "$home/.dovecot.sieve")" = nobody:nogroup ]
    lodge sieve activate ana@example.org second
    [ "$(readlink "$home/.dovecot.sieve")" = sieve/second.sieve ]
    lodge sieve list --json ana@example.org | jq -e '. == [{"name": "first", "active": false}, {"name": "second", "active": true}]'
    lodge sieve deactivate ana@example.org
    [ ! -L "$home/.dovecot.sieve" ]
    [ "$(ls "$home")" = sieve ]
}

@test "what does not compile is neither stored nor made active" {
    init
    fails_with 1 "does not compile" lodge sieve put ana@example.org bad <<< 'frobnicate;'
    [ ! -e "$home/sieve/bad.sieve" ]
    echo 'keep;' | lodge sieve put ana@example.org good
    echo 'frobnicate;' > "$home/sieve/bad.sieve"
    fails_with 1 "does not compile" lodge sieve activate ana@example.org bad
    [ ! -L "$home/.dovecot.sieve" ]
    echo 'keep; # again' | lodge sieve put ana@example.org good
    fails_with 1 "does not compile" lodge sieve put ana@example.org good <<< 'nonsense;'
    [ "$(cat "$home/sieve/good.sieve")" = "keep; # again" ]
}

@test "the active script cannot be deleted, another one can" {
    init
    echo 'keep;' | lodge sieve put ana@example.org first
    echo 'keep;' | lodge sieve put ana@example.org second
    lodge sieve activate ana@example.org first
    fails_with 1 "is active" lodge sieve delete ana@example.org first
    lodge sieve delete ana@example.org second
    [ "$(lodge sieve list ana@example.org)" = "first (active)" ]
    fails_with 1 "second" lodge sieve delete ana@example.org second
}

@test "a script that is no link is not lost" {
    init
    install -d -o nobody -g nogroup "$home"
    echo 'keep; # precious' > "$home/.dovecot.sieve"
    echo 'discard;' | lodge sieve put ana@example.org new
    fails_with 1 "no link" lodge sieve activate ana@example.org new
    fails_with 1 "no link" lodge sieve deactivate ana@example.org
    [ "$(cat "$home/.dovecot.sieve")" = "keep; # precious" ]
}

@test "a name of a script cannot lead elsewhere" {
    init
    for name in ../x a/b .hidden ""; do
        fails_with 1 "no name of a script" lodge sieve put ana@example.org "$name" <<< 'keep;'
    done
    [ ! -e "$home/x.sieve" ]
}

@test "a script that includes is checked with the user's others" {
    init
    echo 'keep;' | lodge sieve put ana@example.org part
    echo 'require "include"; include "part";' | lodge sieve put ana@example.org whole
    lodge sieve activate ana@example.org whole
}

# --- lint

@test "lint lists the errors of all users and counts each kind" {
    init
    echo 'keep;' | lodge sieve put ana@example.org good
    echo 'require "vnd.example.nothing";' > "$home/sieve/one.sieve"
    cp "$home/sieve/one.sieve" "$home/sieve/two.sieve"
    install -d mail/example.org/ben
    printf 'keep;\nfrobnicate;\n' > mail/example.org/ben/.dovecot.sieve
    run lodge sieve lint
    [ "$status" -eq 1 ]
    [[ $output == *"ana@example.org: "*"one.sieve:1: error: "*"vnd.example.nothing"* ]]
    [[ $output == *"ben@example.org: "*".dovecot.sieve:2: error: "*"frobnicate"* ]]
    [[ $output == *"     2 times: "*"vnd.example.nothing"* ]]
    [[ $output == *"2 users, 4 scripts, 3 with errors" ]]
}

@test "lint leaves the map as it is" {
    init
    sqlite3 etc/map.db "PRAGMA journal_mode = WAL" # which every command that writes undoes
    lodge sieve lint | grep -q '2 users, 0 scripts, 0 with errors'
    [ "$(sqlite3 etc/map.db "PRAGMA journal_mode")" = wal ]
}

@test "lint as JSON, for one user" {
    init
    echo 'keep;' | lodge sieve put ana@example.org good
    lodge sieve activate ana@example.org good
    run lodge sieve lint --json ana@example.org
    [ "$status" -eq 0 ]
    jq -e '.users == 1 and .scripts == 1 and .bad_scripts == 0 and .errors == [] and .counts == []' <<< "$output"
    echo 'frobnicate;' > "$home/sieve/bad.sieve"
    run lodge sieve lint --json ana@example.org ben@example.org
    [ "$status" -eq 1 ]
    jq -e '.users == 2 and .bad_scripts == 1 and .errors[0].line == 1 and .counts[0].count == 1' <<< "$output"
}
