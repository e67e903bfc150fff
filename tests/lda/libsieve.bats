#!/usr/bin/env bats
# [sieve] engine = libsieve through deliver and lodge: what happens to a message. Run by root, the
# deliveries are made as nobody.

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    chmod 755 "$dir" # not bats' own directory: nobody must get through
    cp "$LODGE_BUILD/lda/deliver" "$dir/"
    mkdir "$dir/mail" "$dir/logs" "$dir/sent"
    home=$dir/mail/example.org/ana
    cat > "$dir/lodge.conf" <<-CONF
	[mail]
	user = nobody
	root = $dir/mail
	hostname = mail.example.org
	[map]
	path = $dir/map.db
	[log]
	path = $dir/logs/deliver.log
	[submission]
	sendmail = $dir/sendmail
	CONF
    printf '#!/bin/sh\n{ echo "TO $*"; cat; } >> %s/sent/mail\n' "$dir" > "$dir/sendmail"
    chmod 755 "$dir/sendmail"
    lodge() { "$LODGE_BUILD/lda/lodge" -c "$dir/lodge.conf" "$@"; }
    lodge init "$dir" > /dev/null
    lodge domain add example.org > /dev/null
    lodge user add ana@example.org > /dev/null
    chmod 644 "$dir/map.db"
    mkdir -p "$home"
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        chown -R 65534:65534 "$dir/mail" "$dir/logs" "$dir/sent"
    fi
}

teardown() { rm -rf "$dir"; }

# by_libsieve [FIELD...]: delivers a message to ana, whose script is on stdin
by_libsieve() {
    cat > "$home/.dovecot.sieve"
    { printf '%s\n' 'From: Bob <bob@example.com>' 'To: ana@example.org' 'Message-ID: <1@example.com>' "$@" '' body; } > "$dir/msg"
    run --separate-stderr "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -o sieve.engine=libsieve -e \
        -f bob@example.com -d ana@example.org < "$dir/msg"
}

# in_folder FOLDER: how many messages are there ("" is INBOX)
in_folder() { find "$home/Maildir${1:+/.$1}/new" -type f 2> /dev/null | wc -l; }

logged() { grep -qF "$1" "$dir/logs/deliver.log" || { cat "$dir/logs/deliver.log"; false; }; }

@test "fileinto: by a decoded subject, and once for two of them" {
    by_libsieve 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=' <<-'SIEVE'
	require "fileinto";
	if header :contains "subject" "grüße" { fileinto "A"; fileinto "A"; }
	SIEVE
    [ "$status" -eq 0 ]
    [ "$(in_folder A)" -eq 1 ]
    [ "$(in_folder)" -eq 0 ]
    logged 'folder=A'
    logged 'script='
}

@test "keep and fileinto together" {
    by_libsieve <<< 'require "fileinto"; fileinto "A"; keep;'
    [ "$(in_folder A)" -eq 1 ]
    [ "$(in_folder)" -eq 1 ]
}

@test "nothing at all is the implicit keep" {
    by_libsieve <<< 'if false { discard; }'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 1 ]
}

@test "reject: exit status 77 with the reason, quotes and all" {
    by_libsieve <<< 'require "reject"; if address :domain "from" "EXAMPLE.COM" { reject "I \"like\" no mail"; }'
    [ "$status" -eq 77 ]
    [[ $output == '5.7.1 '*'I "like" no mail'* ]]
    [ "$(in_folder)" -eq 0 ]
}

@test "discard: gone without a trace but in the log" {
    by_libsieve <<< 'require "envelope"; if envelope "from" "bob@example.com" { discard; }'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 0 ]
    logged 'discard'
}

@test "redirect: sent on, and not kept" {
    by_libsieve <<< 'redirect "ben@example.net"; stop; keep;'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 0 ]
    grep -q '^TO .*ben@example.net' "$dir/sent/mail"
}

@test "vacation: answered once, and kept" {
    for _ in 1 2; do by_libsieve 'Subject: where are you' <<< 'require "vacation"; vacation :days 7 "I am away";'; done
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 2 ]
    [ "$(grep -c '^TO .*bob@example.com' "$dir/sent/mail")" -eq 1 ]
    grep -q '^I am away' "$dir/sent/mail"
}

@test "reject and keep together: a runtime error, and the message is kept" {
    by_libsieve <<< $'require "reject";\nkeep;\nreject "no";'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 2 ] # with the notice to ana
    logged ':3: '
}

@test "what libsieve does not know: an error of the script, and the message is kept" {
    by_libsieve <<< $'require ["variables"];\nset "a" "b"; discard;'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 2 ]
    logged ':1: the engine libsieve does not support the extension'
}

@test "a pattern that libsieve does not come to an end with: the message is kept" {
    by_libsieve "Subject: $(printf '%0500d' 0)" <<< $'keep;\nif header :matches "subject" "*0*0*0*0*0*0*0*0*1" { discard; }'
    [ "$status" -eq 0 ]
    [ "$(in_folder)" -eq 2 ]
    logged 'libsieve took more than 2 seconds of CPU time'
}

@test "libsieve that cannot be loaded puts the mail off and says what to install" {
    mkdir "$dir/broken"
    : > "$dir/broken/libsieve.so.1"
    chmod 755 "$dir/broken"
    export LD_LIBRARY_PATH=$dir/broken
    by_libsieve <<< 'discard;'
    [ "$status" -eq 75 ]
    [[ $output$stderr == *"install libsieve2-1"* ]]
    [ "$(in_folder)" -eq 0 ]
}

@test "lodge sieve check says what libsieve does not know" {
    echo 'require "variables"; keep;' > "$dir/script"
    run lodge sieve check "$dir/script"
    [ "$status" -eq 0 ]
    run lodge -o sieve.engine=libsieve sieve check "$dir/script"
    [ "$status" -eq 1 ]
    [[ $output == *':1:9: error: the engine libsieve does not support the extension "variables"'* ]]
}

@test "lodge sieve test runs the engine that delivers" {
    printf 'Subject: %s\n\nbody\n' "$(printf '%0500d' 0)" > "$dir/msg"
    echo 'if header :matches "subject" "*0*0*0*0*0*0*0*0*1" { discard; }' > "$dir/script"
    run lodge sieve test "$dir/script" "$dir/msg"
    [ "$status" -eq 0 ]
    run lodge -o sieve.engine=libsieve sieve test "$dir/script" "$dir/msg"
    [ "$status" -eq 1 ]
    [[ $output == *':1: error: libsieve took more than 2 seconds of CPU time'* ]]
}

@test "neither deliver nor lodge is linked with libsieve" {
    for program in lda/deliver lda/lodge lmtp/lodged; do
        run ldd "$LODGE_BUILD/$program"
        [ "$status" -eq 0 ]
        [[ $output != *libsieve* ]]
    done
}
