#!/usr/bin/env bats
# tests/lda/quota_cli.bats - `lodge quota` as administrators type it
#
# How usage is counted is tested in tests/quota; here: names, output, exit statuses, ownership,
# and what verify makes of the ways in which the count goes wrong.

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    chmod 755 "$dir"
    cd "$dir"
    real=$LODGE_BUILD/lda/lodge
    export LC_ALL=C.UTF-8
    install -d -m 755 -o nobody -g nogroup mail
    install -d -m 755 -o nobody -g nogroup state
    "$real" -o "mail.root=$dir/mail" -o mail.user=nobody -o mail.group=nogroup \
        -o "quota.database=$dir/state/quota.db" init "$dir/etc" > init.out
    lodge domain add example.org
    lodge user add ana@example.org --quota-bytes 10K --quota-messages 20
    lodge user add ben@example.org --quota-bytes 2G
    lodge user add cleo@example.org --quota-bytes 0 --quota-messages 0
}

teardown() {
    cd /
    rm -rf "$dir"
}

lodge() { "$real" -c "$dir/etc/lodge.conf" "$@"; }

maildir() { echo "mail/example.org/$1/Maildir"; }

# mail USER NAME SIZE [FOLDER/]DIRECTORY: a file that is nothing but large
mail() {
    local target
    target=$(maildir "$1")/$4
    mkdir -p "$(dirname "$target")"/{new,cur,tmp}
    head -c "$3" /dev/zero > "$target/$2"
    chown -R nobody:nogroup "mail/example.org"
}

# maildirsize USER LINE...: as somebody else has left it
maildirsize() {
    printf '%s\n' "${@:2}" > "$(maildir "$1")/maildirsize"
    chown nobody:nogroup "$(maildir "$1")/maildirsize"
}

fails_with() { # STATUS PATTERN COMMAND...
    local expected=$1 pattern=$2
    shift 2
    run --separate-stderr "$@"
    [ "$status" -eq "$expected" ] || { echo "status $status: $output $stderr"; false; }
    [[ $stderr == *$pattern* ]] || { echo "stderr: $stderr"; false; }
}

# The ids of what verify has found about ana
findings() { jq -r '[.mailboxes[0].findings[].id] | join(" ")' <<< "$output"; }

verify() { # EXPECTED-STATUS [OPTION...]
    run --separate-stderr lodge quota verify ana@example.org --json "${@:2}"
    [ "$status" -eq "$1" ] || { echo "status $status: $output $stderr"; false; }
}

# --- get

@test "get shows usage, limits and percent, sizes as people read them" {
    mail ana 1.h,S=5000 5000 new
    mail ana 2.h,S=1144 1144 cur
    mail ben 1.h,S=1288490189 1 cur # believed, as by everybody
    run --separate-stderr lodge quota get example.org
    [ "$status" -eq 0 ]
    [ "$stderr" = "" ]
    [ "$output" = "\
mailbox           size   of   %  messages  of   %
ana@example.org     6K  10K  60         2  20  10
ben@example.org   1.2G   2G  60         1   -   -
cleo@example.org     0    -   -         0   -   -" ]
    # No Maildir was made for asking.
    [ ! -e "$(maildir cleo)" ]
}

@test "get as JSON has exact numbers, and null where there is no limit" {
    mail ana 1.h,S=5001 5001 .Lists/new
    run --separate-stderr lodge quota get --json ana@example.org cleo@example.org
    [ "$status" -eq 0 ]
    [ "$(jq -c '.mailboxes[0]' <<< "$output")" = '{"user":"ana@example.org","bytes":5001,"bytes_limit":10240,"bytes_percent":48,"messages":1,"messages_limit":20,"messages_percent":5}' ]
    [ "$(jq -c '.mailboxes[1]' <<< "$output")" = '{"user":"cleo@example.org","bytes":0,"bytes_limit":null,"bytes_percent":null,"messages":0,"messages_limit":null,"messages_percent":null}' ]
    [ "$(jq -c .errors <<< "$output")" = '[]' ]
}

@test "mailbox without a limit is counted, and no file is made in it" {
    mail cleo 1.h,S=300 300 new
    [ "$(lodge quota get cleo@example.org --json | jq '.mailboxes[0].bytes')" = 300 ]
    [ ! -e "$(maildir cleo)/maildirsize" ]
    mail cleo 2.h,S=200 200 new
    [ "$(lodge quota get cleo@example.org --json | jq '.mailboxes[0].bytes')" = 500 ]
}

@test "sizes are rounded to what can be read at a glance" {
    mail ben 1.h,S=1023 1 new
    [[ $(lodge quota get ben@example.org) == *" 1023 "* ]]
    mail ben 2.h,S=1 1 new
    lodge quota recalc ben@example.org > /dev/null
    [[ $(lodge quota get ben@example.org) == *" 1K "* ]]
    mail ben 3.h,S=1047525 1 new # 1023.98K
    lodge quota recalc ben@example.org > /dev/null
    [[ $(lodge quota get ben@example.org) == *" 1M "* ]]
    mail ben 4.h,S=11000000 1 new
    lodge quota recalc ben@example.org > /dev/null
    [[ $(lodge quota get ben@example.org) == *" 11M "* ]]
}

@test "--all is everybody who is not switched off, and a name takes its detail off" {
    lodge user set ben@example.org --active no
    [ "$(lodge quota get --all --json | jq -r '[.mailboxes[].user] | join(" ")')" = "ana@example.org cleo@example.org" ]
    [ "$(lodge quota get Ana+x@EXAMPLE.org --json | jq -r '.mailboxes[0].user')" = ana@example.org ]
    fails_with 1 "lodge quota get: ben@example.org: mailbox 'ben@example.org' is switched off" lodge quota get ben@example.org
}

@test "files that root makes belong to the owner of the mailbox" {
    mail ana 1.h,S=500 500 new
    lodge quota get ana@example.org > /dev/null
    [ "$(stat -c %U:%G "$(maildir ana)/maildirsize")" = nobody:nogroup ]
    rm "$(maildir ana)/maildirsize"
    lodge quota recalc ana@example.org > /dev/null
    lodge quota verify ana@example.org > /dev/null
    [ "$(find "$(maildir ana)" ! -user nobody -o ! -group nogroup)" = "" ]
}

@test "owner of the mail can ask too" {
    mail ana 1.h,S=500 500 new
    chmod 644 etc/map.db
    run --separate-stderr setpriv --reuid nobody --regid nogroup --clear-groups "$real" -c "$dir/etc/lodge.conf" quota get ana@example.org --json
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$(jq '.mailboxes[0].bytes' <<< "$output")" = 500 ]
}

@test "wrong command lines end with status 2" {
    fails_with 2 "for which user or domain? --all is for everybody" lodge quota get
    fails_with 2 "--all is instead of names" lodge quota recalc --all ana@example.org
    fails_with 2 "--by is octets, percent or messages, not 'size'" lodge quota top --by size
    fails_with 2 "-n is 1 or more" lodge quota top -n 0
    fails_with 2 "'ana@example.org' is no domain" lodge quota top ana@example.org
}

@test "who is not there is named, and the others are shown all the same" {
    run --separate-stderr lodge quota get nobody@example.org example.net ana@example.org --json
    [ "$status" -eq 1 ]
    [[ $stderr == *"lodge quota get: nobody@example.org: "* ]]
    [[ $stderr == *"lodge quota get: example.net: there is no domain 'example.net'"* ]]
    [ "$(jq -c '[(.mailboxes | length), (.errors | map(.user))]' <<< "$output")" = '[1,["nobody@example.org","example.net"]]' ]
}

@test "broken mailbox does not stop the others, and the status is 75" {
    mail ana 1.h,S=500 500 new
    mkdir -p "$(dirname "$(maildir ben)")"
    : > "$(maildir ben)"
    for verb in get recalc verify; do
        run --separate-stderr lodge quota $verb --all --json
        [ "$status" -eq 75 ]
        [[ $stderr == "lodge quota $verb: ben@example.org: "*"/ben/Maildir"* ]]
        [ "$(jq -r '[.mailboxes[].user] | join(" ")' <<< "$output")" = "ana@example.org cleo@example.org" ]
        [ "$(jq -r '.errors[0].user' <<< "$output")" = ben@example.org ]
    done
    # Of the domain there is what is known.
    lodge domain set example.org --quota-bytes 100K
    run --separate-stderr lodge quota get example.org --json
    [ "$(jq '.domains[0].bytes' <<< "$output")" = 500 ]
    [[ $stderr == *"lodge quota get: 1 mailboxes of domain example.org cannot be counted, the first is ben@"* ]]
}

@test "map that cannot be read is status 75" {
    rm etc/map.db
    fails_with 75 "$dir/etc/map.db" lodge quota get --all
    fails_with 75 "$dir/etc/map.db" lodge quota top
}

# --- totals of domains

@test "get of a domain with a total shows what all its mailboxes hold, the switched off among them" {
    lodge domain set example.org --quota-bytes 100K --quota-messages 8
    lodge domain add unlimited.example
    lodge user add eva@unlimited.example
    mail ana 1.h,S=5000 5000 new
    mail ben 1.h,S=15480 1 cur
    lodge quota get --all > /dev/null
    lodge user set ben@example.org --active no
    run --separate-stderr lodge quota get example.org unlimited.example
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$output" = "\
mailbox                size   of   %  messages  of  %
ana@example.org        4.9K  10K  48         1  20  5
cleo@example.org          0    -   -         0   -  -
eva@unlimited.example     0    -   -         0   -  -

domain       size    of   %  messages  of   %
example.org   20K  100K  20         2   8  25" ]
    [ "$(lodge quota get --all --json | jq -c .domains)" = '[{"domain":"example.org","bytes":20480,"bytes_limit":102400,"bytes_percent":20,"messages":2,"messages_limit":8,"messages_percent":25}]' ]
    # Of one user it is no matter, and of no other command.
    [ "$(lodge quota get ana@example.org --json | jq -c .domains)" = '[]' ]
    [ "$(lodge quota top --json | jq -c .domains)" = null ]
}

@test "what get shows of a domain is what the mailboxes hold now, and what recalc counts" {
    lodge domain set example.org --quota-bytes 100K
    total() { lodge quota "$1" example.org --json | jq '.domains[0].bytes'; }
    mail ana 1.h,S=5000 5000 new
    [ "$(total get)" = 5000 ]
    printf -- '-2000 -1\n' >> "$(maildir ana)/maildirsize"
    [ "$(total get)" = 3000 ]
    [ "$(total recalc)" = 5000 ]
}

@test "database of domains that root has made is the mail user's" {
    lodge domain set example.org --quota-bytes 100K
    lodge quota get example.org > /dev/null
    [ -e state/quota.db ]
    [ "$(find state ! -user nobody)" = "" ]
}

@test "domain whose usage cannot be told is named, and its mailboxes are shown" {
    lodge domain set example.org --quota-bytes 100K
    mkdir state/quota.db
    run --separate-stderr lodge quota get example.org --json
    [ "$status" -eq 75 ]
    [[ $stderr == "lodge quota get: example.org: cannot open '$dir/state/quota.db': "* ]]
    [ "$(jq -c '[(.mailboxes | length), .domains, .errors[0].user]' <<< "$output")" = '[3,[],"example.org"]' ]
}

@test "mailboxes of users of their own are looked at with their rights for the total" {
    lodge domain set example.org --quota-bytes 100K
    for n in 1 2; do
        lodge user add user$n@example.org --uid 1234$n --gid 1234$n
        mail user$n 1.h,S=1000 1000 new
    done
    for n in 1 2; do
        chown -R 1234$n:1234$n "mail/example.org/user$n"
        chmod 700 "mail/example.org/user$n"
    done
    run --separate-stderr lodge quota get example.org --json -o mail.per_user_ids=yes
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$stderr" = "" ]
    [ "$(jq '.domains[0].bytes' <<< "$output")" = 2000 ]
}

@test "catch-all is a mailbox as any other" {
    lodge user add @example.org --home "$dir/mail/catch"
    lodge quota get --all > /dev/null
    [ "$(lodge quota get @Example.org --json | jq -r '.mailboxes[0].user')" = @example.org ]
    [ "$(lodge quota get example.org --json | jq -r '.mailboxes[0].user')" = @example.org ]
}

@test "in a schema of others a domain has a list of users too" {
    sqlite3 other.db "CREATE TABLE domain (domain TEXT, active INT, quota INT);
        CREATE TABLE mailbox (username TEXT, maildir TEXT, quota INT, domain TEXT, active INT);
        CREATE TABLE alias (address TEXT, goto TEXT, active INT);
        CREATE TABLE alias_domain (alias_domain TEXT, target_domain TEXT, active INT);
        INSERT INTO domain VALUES ('example.org', 1, 2);
        INSERT INTO mailbox VALUES ('ben@example.org', 'example.org/ben/Maildir/', 0, 'example.org', 1),
            ('Ana@Example.org', 'example.org/ana/Maildir/', 10240, 'example.org', 1),
            ('off@example.org', 'example.org/off/', 0, 'example.org', 0)"
    other() { "$real" -o "map.path=$dir/other.db" -o map.preset=postfixadmin -c etc/lodge.conf "$@"; }
    mail ana 1.h,S=5000 5000 new
    run --separate-stderr other quota get EXAMPLE.org --json
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$(jq -c '[.mailboxes[].user]' <<< "$output")" = '["Ana@Example.org","ben@example.org"]' ]
    [ "$(jq -c '.domains[0] | [.domain, .bytes, .bytes_limit]' <<< "$output")" = '["example.org",5000,2097152]' ]
    fails_with 1 "example.net: there is no mailbox in the domain 'example.net'" other quota get example.net
    fails_with 1 "has a schema that is not lodge's" other quota get --all
}

# --- recalc

@test "recalc counts anew whatever the file says, and shows the result" {
    mail ana 1.h,S=500 500 new
    maildirsize ana 10240S,20C "9000 3"
    [ "$(lodge quota get ana@example.org --json | jq '.mailboxes[0].bytes')" = 9000 ]
    [ "$(lodge quota recalc ana@example.org --json | jq -c '.mailboxes[0] | [.bytes, .messages]')" = '[500,1]' ]
    [ "$(lodge quota get ana@example.org --json | jq -c '.mailboxes[0] | [.bytes, .messages]')" = '[500,1]' ]
}

# --- top

@test "top shows the largest first, by octets, percent or messages" {
    mail ana 1.h,S=9000 1 new
    mail ben 1.h,S=100000 1 new
    for i in 1 2 3; do mail cleo $i.h,S=10 1 new; done
    users() { lodge quota top "$@" --json | jq -r '[.mailboxes[].user[:1]] | join("")'; }
    [ "$(users)" = bac ]
    [ "$(users --by octets -n 2)" = ba ]
    [ "$(users --by percent example.org)" = abc ]
    [ "$(users --by messages)" = cab ]
    [ "$(lodge quota top -n 1)" = "\
mailbox          size  of  %  messages  of  %
ben@example.org   98K  2G  0         1   -  -" ]
}

# --- verify

@test "verify of a right count is silent about it in lists, and says so for one" {
    mail ana 1.h,S=5000 5000 new
    lodge quota get --all > /dev/null
    run --separate-stderr lodge quota verify ana@example.org
    [ "$status" -eq 0 ]
    [ "$output" = "ana@example.org: ok: 1 message of 5000 octets (4.9K)" ]
    run --separate-stderr lodge quota verify --all
    [ "$status" -eq 0 ]
    [ "$output" = "3 mailboxes, 0 with drift, 0 repaired" ]
}

@test "verify changes nothing, and with --repair writes what is there" {
    mail ana 1.h,S=5000 5000 new
    maildirsize ana 10240S,20C "7000 2"
    cp "$(maildir ana)/maildirsize" before
    run --separate-stderr lodge quota verify ana@example.org
    [ "$status" -eq 1 ]
    [ "$output" = "ana@example.org: drift: 1 message of 5000 octets (4.9K), but \"maildirsize\" says 2 messages of 7000 octets (6.8K)
    probably: messages were removed by something that does not take them out: find -delete, rm, rsync --delete, an IMAP server without quota" ]
    cmp before "$(maildir ana)/maildirsize"
    run --separate-stderr lodge quota verify --all --repair
    [ "$status" -eq 0 ]
    [[ $output == *"    repaired
3 mailboxes, 1 with drift, 1 repaired" ]]
    verify 0
    [ "$(jq -c '.mailboxes[0] | [.drift, .file.bytes, .file.messages]' <<< "$output")" = '[false,5000,1]' ]
}

@test "messages that nobody entered or took out are told apart" {
    mail ana 1.h,S=500 500 new
    mail ana 2.h,S=300 300 new
    maildirsize ana 10240S,20C "500 1"
    verify 1
    [ "$(findings)" = added ]
    maildirsize ana 10240S,20C "900 3"
    verify 1
    [ "$(findings)" = removed ]
    maildirsize ana 10240S,20C "900 2"
    verify 1
    [ "$(findings)" = sizes ]
}

@test "count by the rules of Courier is known by what lies in Trash or has the flag T" {
    mail ana 1.h,S=500 500 new
    mail ana 2.h,S=300:2,S 300 .Trash/cur
    mail ana 3.h,S=70:2,ST 70 cur
    maildirsize ana 10240S,20C "570 2"
    verify 1
    [ "$(findings)" = trash_left_out ]
    maildirsize ana 10240S,20C "800 2"
    verify 1
    [ "$(findings)" = deleted_left_out ]
    maildirsize ana 10240S,20C "500 1"
    verify 1
    [ "$(findings)" = trash_and_deleted ]
    # The advice is good.
    verify 0 -o quota.count_trash=no -o quota.count_deleted=no
    [ "$(findings)" = "" ]
    # And the other way round.
    maildirsize ana 10240S,20C "870 3"
    verify 1 -o quota.count_trash=no
    [ "$(findings)" = trash_counted ]
    verify 1 -o quota.count_deleted=no
    [ "$(findings)" = deleted_counted ]
    verify 1 -o quota.count_trash=no -o quota.count_deleted=no
    [ "$(findings)" = trash_and_deleted ]
}

@test "damaged file is drift" {
    mail ana 1.h,S=500 500 new
    maildirsize ana 10240S,20C "500 1" "x"
    verify 1
    [ "$(findings)" = damaged ]
    [ "$(jq -c '.mailboxes[0].file.bytes' <<< "$output")" = null ]
    run lodge quota verify ana@example.org
    [[ $output == *'but "maildirsize" is damaged'* ]]
    verify 0 --repair
    verify 0
}

@test "file made under other limits is told of, and drift only if the count is old" {
    mail ana 1.h,S=500 500 new
    maildirsize ana 99S "500 1"
    verify 0
    [ "$(findings)" = other_limits ]
    maildirsize ana 99S "200 1"
    verify 1
    [ "$(findings)" = "old_count other_limits" ]
}

@test "maildirfolder in the mailbox itself explains what maildrop did not enter" {
    mail ana 1.h,S=500 500 new
    maildirsize ana 10240S,20C "500 1"
    : > "$(maildir ana)/maildirfolder"
    verify 0
    [ "$(findings)" = root_marker ]
    mail ana 2.h,S=500 500 new
    verify 1
    [ "$(findings)" = "entered_above root_marker" ]
}

@test "plain dot-file in the mailbox is pointed out" {
    mail ana 1.h,S=500 500 new
    : > "$(maildir ana)/.dovecot.sieve"
    : > "$(maildir ana)/.nfs000000000000000100000001"
    lodge quota get ana@example.org > /dev/null
    verify 0
    [ "$(findings)" = dot_file ]
}

@test "file in a mailbox without a limit is no drift" {
    mail cleo 1.h,S=500 500 new
    maildirsize cleo 0S "200 1"
    run --separate-stderr lodge quota verify cleo@example.org --json
    [ "$status" -eq 0 ]
    [ "$(findings)" = not_kept ]
    # What it holds matters to its domain: then the file is kept, and believed.
    lodge domain set example.org --quota-bytes 100K
    run --separate-stderr lodge quota verify cleo@example.org --json
    [ "$status" -eq 1 ]
    [ "$(findings)" = sizes ]
    [ "$(lodge quota get example.org --json | jq '.domains[0].bytes')" = 200 ]
    lodge quota verify cleo@example.org --repair
    [ "$(lodge quota get example.org --json | jq '.domains[0].bytes')" = 500 ]
}
