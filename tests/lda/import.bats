#!/usr/bin/env bats
# `lodge import`: dumps of other programs' databases, all or nothing.

setup() {
    build=${LODGE_BUILD:-$BATS_TEST_DIRNAME/../../build/release}
    dir=$(mktemp -d)
    dumps=$BATS_TEST_DIRNAME/dumps
    "$build/lda/lodge" init "$dir/etc" > /dev/null
    map=$(ctl config map.path)
    empty=$(contents)
}

teardown() { rm -rf "$dir"; }

ctl() { "$build/lda/lodge" -c "$dir/etc/lodge.conf" "$@"; }

query() { sqlite3 "$map" "$1"; }

contents() { query '.dump'; }

# refused DUMP: exit status 1, nothing changed; the message is in $output
refused() {
    run ctl import "$1"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$(contents)" = "$empty" ]
}

# with EXPRESSION NAME: a dump changed by a sed expression, as $dir/dump.sql
with() { sed -e "$1" "$dumps/$2.sql" > "$dir/dump.sql"; ! cmp -s "$dir/dump.sql" "$dumps/$2.sql"; }

# says TEXT PATTERN: the message blames the line of $dir/dump.sql that PATTERN finds
says() {
    local line
    line=$(grep -anm 1 -e "$2" "$dir/dump.sql" | cut -d : -f 1)
    [ -n "$line" ]
    [[ $output == *"dump.sql:$line: $1"* ]]
}

@test "the tutorial's database becomes rows of ours" {
    run ctl import "$dumps/tutorial.sql"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"tutorial, domains 2, users 3, forwardings 2, transport 1; imported" ]]
    [ "$(query 'SELECT domain FROM domains ORDER BY domain')" = $'example.net\nexample.org' ]
    [ "$(query "SELECT destination FROM forwardings WHERE source='team@example.org'")" = "ana@example.org,bob@example.org,Carl@elsewhere.example" ]
    [ "$(query "SELECT destination FROM forwardings WHERE source='@example.net'")" = "@example.org" ]
    [ "$(query "SELECT transport FROM transport WHERE domain='mail.example.net'")" = "smtp:[10.0.0.7]" ]
    [ "$(query "SELECT email, password, quota_bytes FROM users ORDER BY email")" = \
'ana@example.org|$1$abcdefgh$G6Y1zqPuqCEaPxlzLV0hW0|10485760
bob@example.org|ab9rQmkz8P.VA|0
o'"'"'hara@example.org|{PLAIN}it'"'"'s|' ]
}

@test "after an import of the tutorial's database mail goes where its Postfix put it" {
    ctl import "$dumps/tutorial.sql"
    run ctl map resolve ana@example.org
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output =~ /example.org/ana($|[[:space:]]) ]]
    run ctl map resolve bob@example.org
    echo "$output"
    [[ $output =~ /example.org/Bob($|[[:space:]]) ]] # as its row is spelled
    [[ $output =~ maildir\ +[^\ ]*/example.org/Bob($|[[:space:]]) ]]
}

@test "ISPmail's database: several rows of one alias become one, an alias to itself none" {
    run ctl import "$dumps/ispmail.sql"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"ISPmail, domains 1, users 1, forwardings 1, transport 0; imported" ]]
    [ "$(query 'SELECT source, destination FROM forwardings')" = "team@example.org|ana@example.org,bob@elsewhere.example" ]
    [ "$(query 'SELECT email, quota_bytes, active FROM users')" = "ana@example.org|5000000|1" ]
}

@test "PostfixAdmin's database becomes rows of ours" {
    run ctl import "$dumps/postfixadmin.sql"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"PostfixAdmin, domains 2, users 2, forwardings 3, transport 1; imported" ]]
    [ "$(query 'SELECT domain, active, max_users, quota_bytes FROM domains ORDER BY domain')" = $'example.net|1||\nexample.org|1|2|524288000' ]
    [ "$(query 'SELECT email, password, active, home, maildir, quota_bytes FROM users ORDER BY email')" = \
'ana@example.org|{SHA512-CRYPT}$6$abc$def|1|example.org/ana|.|1073741824
bob@example.org|$1$abc$def|0|bob@example.org|.|0' ]
    [ "$(query 'SELECT source, destination FROM forwardings ORDER BY source')" = \
'@example.net|@example.org
@example.org|ana@example.org
team@example.org|ana@example.org,bob@example.org' ]
}

@test "what PostfixAdmin's import leaves out or changes is said" {
    run ctl import "$dumps/postfixadmin.sql"
    echo "$output"
    for text in "'backup.example' left out: backup MX" "'old@example.org' left out: it is not active" \
        "'abuse@backup.example' left out" "vacation reply of 'bob@example.org'" "table 'log' (rows: 2)" \
        "table 'admin' (rows: 1)" "alias domain 'example.net' is the forwarding '@example.net'" \
        "transport of 'example.org' is still 'lmtp:unix:private/dovecot-lmtp'"; do
        [[ $output == *"$text"* ]] || { echo "missing: $text"; false; }
    done
    [[ $output != *secret* ]]
}

@test "after an import of PostfixAdmin's database mail goes where it lay" {
    ctl import "$dumps/postfixadmin.sql"
    run ctl map resolve ana@example.org
    echo "$output"
    [[ $output =~ /example.org/ana($|[[:space:]]) ]]
}

@test "a dry run says what it would do and changes nothing" {
    run ctl import --dry-run "$dumps/tutorial.sql"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"would add user ana@example.org"* ]]
    [[ $output == *"would add alias team@example.org"* ]]
    [[ $output == *"nothing was changed"* ]]
    [ "$(contents)" = "$empty" ]
}

@test "a dry run refuses what the real one refuses" {
    with "s/'o..hara@/'no address@/" tutorial
    run ctl import --dry-run "$dir/dump.sql"
    echo "$output"
    [ "$status" -eq 1 ]
    says "'no address@" 'INTO `users`'
}

@test "the summary is JSON when asked for" {
    run ctl --json import "$dumps/postfixadmin.sql"
    echo "$output"
    [ "$(jq -r '.schema, .dry_run, .added.users, .added.domains, (.notes | length > 5), (.changes | index("user ana@example.org") != null)' <<<"$output" | xargs)" = "PostfixAdmin false 2 2 true true" ]
}

@test "an import into a map that has one of its rows changes nothing" {
    ctl domain add example.org > /dev/null
    empty=$(contents)
    cp "$dumps/tutorial.sql" "$dir/dump.sql"
    refused "$dir/dump.sql"
    says "domain 'example.org' exists already" 'INTO `domains`'
}

@test "an unknown table is refused with its line" {
    with '/DROP TABLE IF EXISTS `users`/i CREATE TABLE `greylist` (a int);\nINSERT INTO greylist VALUES (1);' tutorial
    refused "$dir/dump.sql"
    says "table 'greylist' is none of the schema 'tutorial'" greylist
}

@test "an unknown table without rows does no harm" {
    with '/DROP TABLE IF EXISTS `users`/i CREATE TABLE `greylist` (a int);' tutorial
    ctl import "$dir/dump.sql"
}

@test "an unknown column is refused with the line of its table" {
    with 's/^  `quota` int/  `enabled` int/' tutorial
    refused "$dir/dump.sql"
    says "column 'enabled' of table 'users' is not understood" 'TABLE `users`'
}

@test "a needed column that is missing is named" {
    with 's/^  `goto` text/  `active2` text/' postfixadmin
    refused "$dir/dump.sql"
    says "table 'alias' has no column 'goto'" 'CREATE TABLE `alias`'
}

@test "a password in plain text is refused and not printed" {
    with 's/ab9rQmkz8P.VA/hunter2/' tutorial
    refused "$dir/dump.sql"
    says "user 'Bob@example.org': the password is neither" hunter2
    [[ $output != *hunter2* ]]
}

@test "a user of a domain that is not in the dump is refused" {
    with "s/'ana@example.org','\\$/'ana@missing.example','$/" tutorial
    refused "$dir/dump.sql"
    says "user 'ana@missing.example': domain 'missing.example' is not in the map" ana@missing
}

@test "a home outside of the mail root is refused" {
    for path in '../../etc/' '/var/vmail/ana/'; do
        with "s#example.org/ana/#$path#" postfixadmin
        refused "$dir/dump.sql"
        says "user 'ana@example.org': " 'INTO `mailbox`'
    done
}

@test "an alias into a program is refused" {
    with 's/ana@example.org,.r.nbob@example.org/|\/usr\/bin\/procmail/' postfixadmin
    refused "$dir/dump.sql"
    says "destination: " procmail
}

@test "a mailbox that Mailcow lets receive only is not guessed at" {
    with "s/12:00:00',0,'','','','2024/12:00:00',2,'','','','2024/" postfixadmin
    refused "$dir/dump.sql"
    [[ $output == *"active: '2' is neither 0 nor 1"* ]]
}

@test "a NUL in a value is refused" {
    with 's/Carl@/x\\0@/' tutorial
    refused "$dir/dump.sql"
    says "a value has a NUL" 'INTO `forwardings`'
}

@test "a trigger, and a dump that was cut off, are refused with their lines" {
    with '$a CREATE TRIGGER x BEFORE INSERT ON users FOR EACH ROW SET a=1;' tutorial
    refused "$dir/dump.sql"
    says "only CREATE TABLE is understood" 'CREATE TRIGGER'
    sed '/INTO `users`/q' "$dumps/tutorial.sql" | head -c -20 > "$dir/dump.sql"
    refused "$dir/dump.sql"
    says "a string does not end" 'INTO `users`'
}

@test "a dump that was cut off between two statements is refused" {
    for dump in "$dumps"/*.sql; do
        sed '/^-- Dump completed/d' "$dump" > "$dir/dump.sql"
        refused "$dir/dump.sql"
        [[ $output == *"dump.sql:$(($(wc -l < "$dir/dump.sql") + 1)): the file ends without"* ]]
    done
}

@test "a dump without comments may have been cut off, and is imported with a warning" {
    run ctl import --dry-run "$dumps/ispmail.sql"
    [[ $output != *"may be cut off"* ]]
    sed '/^--/d' "$dumps/ispmail.sql" > "$dir/dump.sql"
    run ctl import "$dir/dump.sql"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"may be cut off"* ]]
}

@test "one bad row among those of one alias is blamed on its own line" {
    with "s/'bob@elsewhere.example'/':include:\/etc\/list'/" ispmail
    refused "$dir/dump.sql"
    says "destination: ':include:/etc/list'" include
    with "s/'bob@elsewhere.example'/' , '/" ispmail
    refused "$dir/dump.sql"
    says "forwarding 'Team@example.org' has no destination" "' , '"
}

@test "a dump in Latin-1 is refused where it matters, with the option that helps" {
    with 's/Carl@/b\xfccher@/' tutorial
    refused "$dir/dump.sql"
    says "" 'INTO `forwardings`'
    [[ $output == *"--default-character-set=utf8mb4"* ]]
    with "s/'Ana /'\xc4na /" postfixadmin # a name is not needed
    ctl import "$dir/dump.sql"
}

@test "a file that is no dump, or none of a known schema, is refused" {
    : > "$dir/dump.sql"
    refused "$dir/dump.sql"
    [[ $output == *"these are not the tables"* ]]
    refused "$dir/missing.sql"
    [[ $output == *"missing.sql"* ]]
    refused "$map"
}

@test "a locked map is a temporary failure and changes nothing" {
    coproc sqlite3 "$map"
    holder=$COPROC_PID
    echo 'BEGIN EXCLUSIVE; SELECT 1;' >&"${COPROC[1]}"
    read -r <&"${COPROC[0]}"
    run ctl -o map.busy_timeout=1 import "$dumps/tutorial.sql"
    echo "$output"
    echo '.quit' >&"${COPROC[1]}"
    wait "$holder" || true # its status says nothing
    [ "$status" -eq 75 ]
    [ "$(contents)" = "$empty" ]
}
