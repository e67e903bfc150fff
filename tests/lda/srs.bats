#!/usr/bin/env bats
# tests/lda/srs.bats - `lodge srs`, with a secret of its own

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    echo secret > "$dir/secrets"
}

teardown() {
    rm -rf "$dir"
}

srs() {
    "$LODGE_BUILD/lda/lodge" -o "sieve.srs_secrets=$dir/secrets" -o sieve.srs_domain=us.example srs "$@"
}

@test "a rewritten sender comes back" {
    there=$(srs forward ana@example.org)
    [[ "$there" == SRS0=*=example.org=ana@us.example ]]
    [ "$(srs reverse "$there")" = ana@example.org ]
    [ "$(srs reverse --json "$there" | tr -d ' ')" = '{"address":"ana@example.org"}' ]
}

@test "an address of another secret is refused" {
    there=$(srs forward ana@example.org)
    echo other > "$dir/secrets"
    run --separate-stderr srs reverse "$there"
    [ "$status" -eq 1 ]
    [[ "$stderr" == "lodge srs reverse: "*secret* ]]
    [ -z "$output" ]
}

@test "what was never rewritten is refused, what is no address is a wrong command line" {
    run srs reverse ana@example.org
    [ "$status" -eq 1 ]
    run srs reverse "a b"
    [ "$status" -eq 2 ]
    run srs reverse
    [ "$status" -eq 2 ]
}

@test "a missing secret is told as something for later" {
    rm "$dir/secrets"
    run --separate-stderr srs reverse "SRS0=a=b=c=d@us.example"
    [ "$status" -eq 75 ]
    [[ "$stderr" == *"$dir/secrets"* ]]
}
