#!/usr/bin/env bats
# What others learn of a delivery: owners whose mailbox fills up, programs, panels, and domains
# with a total. All through deliver; run by root, the deliveries are made as nobody.

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    chmod 755 "$dir" # not bats' own directory: nobody must get through
    cp "$LODGE_BUILD/lda/deliver" "$dir/"
    lodge="$LODGE_BUILD/lda/lodge -c $dir/lodge.conf"
    mkdir "$dir/mail" "$dir/logs" "$dir/state" "$dir/programs"
    inbox=$dir/mail/example.org/ana/Maildir
    cat > "$dir/lodge.conf" <<-CONF
	[mail]
	user = nobody
	root = $dir/mail
	hostname = mail.example.org
	[map]
	path = $dir/map.db
	[log]
	path = $dir/logs/deliver.log
	[quota]
	warn = 50 80
	database = $dir/state/quota.db
	program_dir = $dir/programs
	CONF
    $lodge init "$dir" > /dev/null
    $lodge domain add example.org > /dev/null
    $lodge user add ana@example.org > /dev/null
    $lodge user add bob@example.org > /dev/null
    chmod 644 "$dir/map.db"
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        chown 65534:65534 "$dir/mail" "$dir/logs" "$dir/state"
    fi
    printf 'Subject: x\n\nbody\n' > "$dir/msg"
}

teardown() { rm -rf "$dir"; }

# deliver [OPTION...]: $dir/msg, to ana unless -d says otherwise
deliver() {
    run --separate-stderr "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d ana@example.org "$@" < "$dir/msg"
}

# limit NUMBER: messages in ana's mailbox
limit() { $lodge user set ana@example.org --quota-messages "$1" > /dev/null; }

# messages DIRECTORY: also those that are not published, below it
messages() { find "$1" \( -path '*/Maildir/new/*' -o -path '*/Maildir/tmp/*' \) -type f; }

warnings() { grep -lr '^Auto-Submitted: auto-generated$' "$inbox" | sort; }
count_warnings() { warnings | wc -l; }
messages_in_maildirsize() { sed 1d "$inbox/maildirsize" | awk '{ n += $2 } END { print n }'; }
table() { sqlite3 "$dir/state/quota.db" "$1"; }

# program TEXT: what quota.warn_program=tell does
program() {
    printf '#!/bin/sh\n%s\n' "$1" > "$dir/programs/tell"
    chmod 755 "$dir/programs/tell"
}

# ---- warnings to the owner ---------------------------------------------------

@test "the owner is told when a threshold is passed, with how full the mailbox is" {
    limit 10
    for n in 1 2 3 4; do deliver; done
    [ "$(count_warnings)" -eq 0 ]
    deliver
    [ "$status" -eq 0 ]
    [ "$(count_warnings)" -eq 1 ]
    grep -q '^Subject: Your mailbox is 50% full$' "$(warnings)"
    grep -q '^To: ana@example.org$' "$(warnings)"
    grep -q '5 of 10$' "$(warnings)"
    grep -q 'event=quota_warning .*user=ana@example.org percent=50 direction=up .*message=stored' "$dir/logs/deliver.log"
}

@test "each threshold is told once a day, whatever goes and comes" {
    limit 10
    for n in 1 2 3 4 5; do deliver; done
    grep -L '^Auto-Submitted' "$inbox"/new/* | xargs rm
    rm "$inbox/maildirsize"
    for n in 1 2 3 4 5; do deliver; done
    [ "$(count_warnings)" -eq 1 ]
    for n in 1 2 3; do deliver; done
    [ "$(count_warnings)" -eq 2 ]
}

@test "the warning has no line in maildirsize, and comes though the mailbox is full" {
    $lodge user set ana@example.org --quota-messages 1 > /dev/null
    deliver
    [ "$status" -eq 0 ]
    [ "$(count_warnings)" -eq 1 ]
    [ "$(messages_in_maildirsize)" -eq 1 ]
    grep -q '^Subject: Your mailbox is 80% full$' "$(warnings)"
}

@test "a template of one's own, with its subject and its variables" {
    limit 2
    printf 'Subject: %%{user} at %%{percent}\n\n%%{used_messages} %%{direction} %%{unknown}\n' > "$dir/warn.txt"
    deliver -o quota.warn_template="$dir/warn.txt"
    grep -q '^Subject: ana@example.org at 50$' "$(warnings)"
    grep -q '^1 up %{unknown}$' "$(warnings)"
}

@test "a template that is not there is said in the log, and the usual text is sent" {
    limit 2
    deliver -o quota.warn_template="$dir/none.txt"
    [ "$status" -eq 0 ]
    grep -q '^Subject: Your mailbox is 50% full$' "$(warnings)"
    grep -q "warn_template.*none.txt" "$dir/logs/deliver.log"
}

@test "no thresholds, no warnings" {
    limit 1
    deliver -o quota.warn=
    [ "$status" -eq 0 ]
    [ "$(count_warnings)" -eq 0 ]
}

# ---- programs ----------------------------------------------------------------

@test "a program gets what there is to say in its environment" {
    limit 2
    mkdir -m 777 "$dir/out"
    program "env | grep ^LODGE_ | sort > $dir/out/env"
    deliver -o quota.warn_program=tell
    [ "$(cat "$dir/out/env")" = "$(printf '%s\n' LODGE_DIRECTION=up LODGE_DOMAIN=example.org \
        "LODGE_HOME=$dir/mail/example.org/ana" LODGE_LIMIT=0 LODGE_LIMIT_MESSAGES=2 LODGE_PERCENT=50 \
        "LODGE_USED=$(sed 1d "$inbox/maildirsize" | awk '{ n += $1 } END { print n }')" LODGE_USED_MESSAGES=1 \
        LODGE_USER=ana@example.org)" ]
    grep -q 'event=quota_warning .*program=done' "$dir/logs/deliver.log"
}

@test "a threshold passed downwards is told to the program and not to the owner" {
    limit 10
    mkdir -m 777 "$dir/out"
    program "echo \$LODGE_PERCENT \$LODGE_DIRECTION >> $dir/out/told"
    for n in 1 2 3 4 5 6; do deliver -o quota.warn_program=tell; done
    rm "$inbox"/new/* "$inbox/maildirsize"
    deliver -o quota.warn_program=tell
    [ "$(cat "$dir/out/told")" = "$(printf '50 up\n50 down')" ]
    [ "$(count_warnings)" -eq 0 ]
}

@test "a program that fails, is missing, or takes too long is only said in the log" {
    limit 2
    program 'exit 3'
    deliver -o quota.warn_program=tell
    [ "$status" -eq 0 ]
    [[ $output == "2.0.0 "* ]]
    grep -q 'program="exited with status 3"' "$dir/logs/deliver.log"
    $lodge user set bob@example.org --quota-messages 2 > /dev/null
    run "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d bob@example.org -o quota.warn_program=gone < "$dir/msg"
    [ "$status" -eq 0 ]
    grep -q 'user=bob@example.org .*there is none of that name' "$dir/logs/deliver.log"
    $lodge user add eva@example.org --quota-messages 2 > /dev/null
    program 'sleep 1000'
    run "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d eva@example.org -o quota.warn_program=tell \
        -o quota.program_timeout=1s < "$dir/msg"
    [ "$status" -eq 0 ]
    grep -q 'user=eva@example.org .*took longer than 1 seconds' "$dir/logs/deliver.log"
}

@test "the soft limit of descriptors is raised, for programs too" {
    limit 2
    mkdir -m 777 "$dir/out"
    program "ulimit -Sn > $dir/out/limit"
    (
        ulimit -Sn 100
        ulimit -Hn 3000
        deliver -o quota.warn_program=tell
    )
    [ "$(cat "$dir/out/limit")" -eq 3000 ]
}

# ---- usage for others --------------------------------------------------------

@test "usage is published in the table that panels read" {
    deliver -o quota.publish=yes
    deliver -o quota.publish=yes
    [ "$(table 'SELECT username, messages FROM quota_usage')" = "ana@example.org|2" ]
    [ "$(table 'SELECT bytes FROM quota_usage')" -eq "$(sed 1d "$inbox/maildirsize" | awk '{ n += $1 } END { print n }')" ]
}

@test "without publish and totals there is no database" {
    limit 10
    deliver
    [ "$status" -eq 0 ]
    [ -z "$(ls "$dir/state")" ]
}

@test "a database that cannot be written is a line in the log, and the mail is delivered" {
    mkdir "$dir/state/quota.db"
    deliver -o quota.publish=yes
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    grep -q "not published: .*$dir/state/quota.db" "$dir/logs/deliver.log"
}

# ---- totals of domains -------------------------------------------------------

@test "a domain with a total takes what fits into all its mailboxes together, and no more" {
    $lodge domain set example.org --quota-messages 3 > /dev/null
    deliver
    deliver -d bob@example.org
    deliver
    [ "$status" -eq 0 ]
    deliver -d bob@example.org
    [ "$status" -eq 77 ]
    [[ $output == "5.2.2 the domain example.org is full: 3 of 3 messages used"* ]]
    [ "$(messages "$dir/mail" | wc -l)" -eq 3 ]
    deliver -d bob@example.org -o quota.over=defer
    [ "$status" -eq 75 ]
    [[ $output == "4.2.2 "* ]]
}

@test "octets of a domain are limited with what was there before" {
    deliver -d bob@example.org
    octets=$(sed -n 's/.*,S=\([0-9]*\).*/\1/p' <<< "$(ls "$dir"/mail/example.org/bob/Maildir/new)")
    $lodge domain set example.org --quota-bytes $((2 * octets - 1)) > /dev/null
    deliver
    [ "$status" -eq 77 ]
    $lodge domain set example.org --quota-bytes $((2 * octets)) > /dev/null
    deliver
    [ "$status" -eq 0 ]
}

@test "a total that cannot be looked up puts the delivery off, and names the file" {
    $lodge domain set example.org --quota-messages 3 > /dev/null
    mkdir "$dir/state/quota.db"
    deliver
    [ "$status" -eq 75 ]
    [[ $output == "4.3."*"$dir/state/quota.db"* ]]
    [ -z "$(messages "$inbox")" ]
}

@test "twenty deliveries at once do not pass the total of their domain together" {
    $lodge domain set example.org --quota-messages 7 --quota-over defer > /dev/null
    for n in $(seq 20); do $lodge user add "user$n@example.org" > /dev/null; done
    for n in $(seq 20); do
        "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d "user$n@example.org" < "$dir/msg" > "$dir/out.$n" &
    done
    wait
    stored=$(find "$dir/mail" -path '*/new/*' -type f | wc -l)
    [ "$stored" -le 7 ]
    [ "$(cat "$dir"/out.* | grep -c '^2.0.0')" -eq "$stored" ]
    [ "$(cat "$dir"/out.* | grep -c '^4.2.2')" -eq $((20 - stored)) ]
    # Whoever had to wait for others gets what is left.
    for n in $(seq 20); do
        "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d "user$n@example.org" < "$dir/msg" > "$dir/out.$n" || true
    done
    [ "$(find "$dir/mail" -path '*/new/*' -type f | wc -l)" -eq 7 ]
}
