#!/usr/bin/env bats
# What the demo prints is true: it reads back every file it shows and fails otherwise.
# Here: that it runs for root and for others, shows what it promises, and leaves nothing.

setup() {
    demo=$BATS_TEST_DIRNAME/../dist/demo
    # Another user may not be allowed into the directory of the build.
    copy=$(mktemp -d)
    chmod 755 "$copy"
    mkdir -p "$copy/lda" "$copy/lmtp" "$copy/tmp"
    chmod 1777 "$copy/tmp"
    cp "$LODGE_BUILD"/lda/{lodge,deliver} "$copy/lda/"
    cp "$LODGE_BUILD"/lmtp/lodged "$copy/lmtp/"
    cp "$demo" "$copy/demo"
    export TMPDIR=$copy/tmp
}

teardown() { rm -rf "$copy"; }

check_output() { # USER
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q "deliveries run as $1\." <<<"$output"
    [ "$(grep -c '^  S: 250 2\.0\.0 <.*> [0-9A-Za-z]* stored in ' <<<"$output")" -eq 4 ]
    grep -q '^  S: 250 2\.0\.0 <ana+lists@example.org> [0-9A-Za-z]* stored in lists$' <<<"$output"
    grep -q '^  S: 550 5\.1\.1 ' <<<"$output"
    grep -q '^  S: 552 5\.2\.2 <ben@example.org> ' <<<"$output"
    [ "$(grep -c "^  $TMPDIR/lodge-demo-[^/]*/mail/example.org/\(ana\|ben\)/Maildir/" <<<"$output")" -eq 5 ]
    [ "$(grep -c '^    Return-Path: <berta@example.net>$' <<<"$output")" -eq 5 ]
    [ "$(grep -c '^    .* to=.* status=2\.0\.0' <<<"$output")" -eq 5 ]
    [ "$(grep -c '^    .* to=.* status=5\.1\.1' <<<"$output")" -eq 1 ]
    [ "$(grep -c '^    .* to=ben@example.org .* status=5\.2\.2 .* quota=' <<<"$output")" -eq 1 ]
    grep -q '^  exit status 0$' <<<"$output"
    [ -z "$(ls -A "$TMPDIR")" ]
}

@test "the demo runs as root, delivers as nobody and leaves nothing behind" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    run "$copy/demo" "$copy"
    check_output nobody
}

@test "the demo runs without root and leaves nothing behind" {
    if [ "$(id -u)" -eq 0 ]; then
        run setpriv --reuid=nobody --regid=nogroup --clear-groups "$copy/demo" "$copy"
        check_output nobody
    else
        run "$copy/demo" "$copy"
        check_output "$(id -un)"
    fi
}

@test "a build without programs is an error that says so" {
    run "$copy/demo" "$copy/tmp"
    [ "$status" -ne 0 ]
    [[ $output == *"holds no lodge"* ]]
    [ -z "$(ls -A "$TMPDIR")" ]
}
