#!/usr/bin/env bats
# deliver, the program: options, exit statuses, what is on stdout, and what is on the disk.
# Run by root, the deliveries are made as nobody.

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    chmod 755 "$dir" # not bats' own directory: nobody must get through
    cp "$LODGE_BUILD/lda/deliver" "$dir/"
    lodge="$LODGE_BUILD/lda/lodge -c $dir/lodge.conf"
    mkdir "$dir/mail" "$dir/logs"
    inbox=$dir/mail/example.org/ana/Maildir
    cat > "$dir/lodge.conf" <<-CONF
	[mail]
	user = nobody
	root = $dir/mail
	hostname = mail.example.org
	[map]
	path = $dir/map.db
	busy_timeout = 0s
	[log]
	path = $dir/logs/deliver.log
	[quota]
	warn =
	CONF
    $lodge init "$dir" > /dev/null
    $lodge domain add example.org > /dev/null
    $lodge user add ana@example.org > /dev/null
    chmod 644 "$dir/map.db"
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        chown 65534:65534 "$dir/mail" "$dir/logs"
    fi
    printf 'From: Bob <bob@example.com>\nMessage-ID: <1@example.com>\nSubject: x\n\nbody\nEND\n' > "$dir/msg"
}

teardown() {
    [ -z "${locker-}" ] || kill "$locker" 2> /dev/null || true
    rm -rf "$dir"
}

# deliver OPTION...: the message on stdin, the configuration of setup()
deliver() { "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" "$@"; }

# deliver_msg OPTION...: $dir/msg, with stdout in $output, stderr in $stderr
deliver_msg() { run --separate-stderr deliver "$@" < "$dir/msg"; }

# files [FOLDER]: what lies in new/ of INBOX or of a folder
files() { find "$inbox/${1-}" -maxdepth 2 -path '*/new/*' -type f 2> /dev/null; }

# stored [FOLDER]: the text of the one message there
stored() {
    [ "$(files "$@" | wc -l)" -eq 1 ] || { echo "not one file: $(files "$@")"; return 1; }
    cat "$(files "$@")"
}

nothing_stored() { [ -z "$(find "$dir/mail" -type f)" ]; }

# ---- delivered ---------------------------------------------------------------

@test "the map may be asked with mathematical functions, whose library is opened late" {
    deliver_msg -d ana@example.org -o "map.mailbox_query=SELECT email AS user, CAST(pow(3 * sin(acos(0)), 2) = 9 AS INTEGER) AS active, home FROM users WHERE email = :address"
    [ "$status" -eq 0 ]
    stored | grep -q '^body$'
}

@test "a script that needs GMime and ICU has them beside the GLib of the program" {
    mkdir -p "$dir/tree/lda" "${inbox%/Maildir}"
    cp "$dir/deliver" "$dir/tree/lda/"
    cp -r "$LODGE_BUILD/modules" "$dir/tree/"
    cat > "${inbox%/Maildir}/.dovecot.sieve" <<-'SIEVE'
	require ["body", "fileinto", "mailbox", "comparator-i;unicode-casemap"];
	if allof (body :content "text" :contains "héllo",
	          header :comparator "i;unicode-casemap" :matches "subject" "*ÄRGER!*") { fileinto :create "found"; }
	SIEVE
    [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$dir/mail"
    printf 'Subject: =?utf-8?B?w6RyZ2VyIQ==?=\nContent-Type: text/plain; charset=iso-8859-1\n%s\n\naOlsbG8=\n' \
        'Content-Transfer-Encoding: base64' > "$dir/msg"
    run --separate-stderr "${as[@]}" "$dir/tree/lda/deliver" -c "$dir/lodge.conf" -d ana@example.org < "$dir/msg"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ $output == *"stored in found" ]]
}

@test "a delivered message is whole, and stdout says where it is" {
    deliver_msg -f bob@example.com -d ana@example.org
    [ "$status" -eq 0 ]
    [[ $output =~ ^2\.0\.0\ [0-9A-Za-z]{12}\ stored\ in\ INBOX$ ]]
    [ -z "$stderr" ]
    [ "$(stored | tail -n 6)" = "$(cat "$dir/msg")" ]
    [ "$(stored | head -n 2)" = "$(printf 'Return-Path: <bob@example.com>\nDelivered-To: ana@example.org')" ]
}

@test "the log has a line with the id that stdout gave" {
    deliver_msg -f bob@example.com -a info@example.net -d ana@example.org
    id=$(cut -d' ' -f2 <<< "$output")
    grep -q "event=deliver id=$id .*orig_to=info@example.net.*status=2.0.0" "$dir/logs/deliver.log"
}

@test "the mailbox's files are for its owner alone to write" {
    deliver_msg -d ana@example.org
    [ -z "$(find "$dir/mail" -mindepth 1 -perm /022)" ]
}

@test "-f: the null sender in all its spellings, and what is no address" {
    for sender in "" "<>" MAILER-DAEMON mailer-daemon "not an address" $'a\nb@example.com'; do
        rm -rf "$dir/mail/example.org"
        deliver_msg -f "$sender" -d ana@example.org
        [ "$status" -eq 0 ]
        [ "$(stored | head -n 1)" = "Return-Path: <>" ]
    done
}

@test "-f takes brackets" {
    deliver_msg -f "<bob@example.com>" -d ana@example.org
    [ "$(stored | head -n 1)" = "Return-Path: <bob@example.com>" ]
}

@test "a leading From line is removed; its sender counts unless -f is given" {
    { echo "From eva@example.net Mon Jan  1 00:00:00 2024"; cat "$dir/msg"; } > "$dir/mbox"
    run deliver -d ana@example.org < "$dir/mbox"
    [ "$status" -eq 0 ]
    [ "$(stored | head -n 1)" = "Return-Path: <eva@example.net>" ]
    [ "$(stored | grep -c '^From ')" -eq 0 ]
    rm -rf "$dir/mail/example.org"
    run deliver -f "" -d ana@example.org < "$dir/mbox"
    [ "$(stored | head -n 1)" = "Return-Path: <>" ]
}

@test "-a becomes X-Original-To; without a domain too; nonsense is ignored" {
    deliver_msg -a info@example.net -d ana@example.org
    [[ $(stored) == *$'\nX-Original-To: info@example.net\n'* ]]
    rm -rf "$dir/mail/example.org"
    deliver_msg -a root -d ana@example.org
    [[ $(stored) == *$'\nX-Original-To: root\n'* ]]
    rm -rf "$dir/mail/example.org"
    for original in "" "a b c" $'x\ny'; do
        deliver_msg -a "$original" -d ana@example.org
        [ "$status" -eq 0 ]
    done
    ! grep -rq X-Original-To "$dir/mail"
}

@test "-r is the recipient that the headers name" {
    deliver_msg -r list@example.net -d ana@example.org
    [[ $(stored) == *$'\nDelivered-To: list@example.net\n'* ]]
    [[ $(stored) == *$'\n\tfor <list@example.net>; '* ]]
}

@test "-m: an empty name is ignored, a missing folder is INBOX, an existing one is used" {
    deliver_msg -m "" -d ana@example.org
    [ "$status" -eq 0 ]
    stored
    deliver_msg -m Junk -d ana@example.org
    [[ $output == *"stored in INBOX" ]]
    grep -q 'note="not in .Junk' "$dir/logs/deliver.log"
    deliver_msg -o mail.detail_folder=create -m Junk -d ana@example.org
    [[ $output == *"stored in Junk" ]]
    deliver_msg -m Junk -d ana@example.org
    [[ $output == *"stored in Junk" ]]
    [ "$(files .Junk | wc -l)" -eq 2 ]
}

@test "-m never leads out of the mailbox" {
    for folder in ../../../evil /tmp/evil .. ./. $'new\nline' "a/../b"; do
        deliver_msg -o mail.detail_folder=create -m "$folder" -d ana@example.org
        [ "$status" -eq 0 ]
        [[ $output == *"stored in INBOX" ]]
    done
    [ "$(ls "$dir/mail")" = example.org ]
    [ ! -e /tmp/evil ]
}

@test "-p reads the message from a file" {
    run --separate-stderr deliver -p "$dir/msg" -d ana@example.org < /dev/null
    [ "$status" -eq 0 ]
    [ "$(stored | tail -n 1)" = END ]
}

@test "-k and -e change nothing for a message that is delivered" {
    deliver_msg -e -k -d ana@example.org
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
}

@test "-o overrides a setting" {
    deliver_msg -o mail.delivered_to=never -d ana@example.org
    [[ $(stored) != *Delivered-To* ]]
}

@test "the detail is split off, as in LMTP" {
    deliver_msg -d ana+lists@example.org
    [ "$status" -eq 0 ]
    [[ $(stored) == *$'\nDelivered-To: ana+lists@example.org\n'* ]]
}

@test "fields that pipe(8) has prepended with flags DOR are not repeated and are no loop" {
    { printf 'Return-Path: <bob@example.com>\nX-Original-To: ana@example.org\nDelivered-To: ana@example.org\n'
        printf 'Received: from a by b (Postfix) id 4XYZ; date\n'; cat "$dir/msg"; } > "$dir/pipe"
    run deliver -f bob@example.com -a ana@example.org -d ana@example.org < "$dir/pipe"
    [ "$status" -eq 0 ]
    [ "$(stored | grep -c '^Delivered-To:')" -eq 1 ]
    [ "$(stored | grep -c '^Return-Path:')" -eq 1 ]
    [ "$(stored | grep -c '^X-Original-To:')" -eq 1 ]
    grep -q 'queue_id=4XYZ' "$dir/logs/deliver.log"
}

@test "CRLF becomes LF; NUL, eight-bit and a missing last newline are kept" {
    printf 'Subject: x\r\n\r\nnul:\0 high:\xff bare\rcr\r\nend' > "$dir/odd"
    run deliver -d ana@example.org < "$dir/odd"
    [ "$status" -eq 0 ]
    printf 'Subject: x\n\nnul:\0 high:\xff bare\rcr\nend' > "$dir/expected"
    tail -c "$(stat -c %s "$dir/expected")" "$(files)" | cmp - "$dir/expected"
}

@test "a message larger than spool_memory arrives whole" {
    { cat "$dir/msg"; head -c 5000000 /dev/urandom | base64; } > "$dir/large"
    run deliver -o mail.spool_memory=64K -o "mail.spool_dir=/tmp" -d ana@example.org < "$dir/large"
    [ "$status" -eq 0 ]
    tail -c "$(stat -c %s "$dir/large")" "$(files)" | cmp - "$dir/large"
    [[ $(files) == *",S=$(stat -c %s "$(files)"),"* ]]
}

# ---- refused for good --------------------------------------------------------

@test "an unknown user is 67 with 5.1.1 first on stdout" {
    deliver_msg -d nobody@example.org
    [ "$status" -eq 67 ]
    [[ $output == "5.1.1 "* ]]
    [ -z "$stderr" ]
    nothing_stored
    grep -q 'event=refuse .*to=nobody@example.org .*status=5.1.1' "$dir/logs/deliver.log"
}

@test "-e says the reason on stderr too" {
    deliver_msg -e -d nobody@example.org
    [ "$status" -eq 67 ]
    [[ $stderr == *"5.1.1 "* ]]
}

@test "an inactive user, a message too large or in a loop are 77" {
    $lodge user add off@example.org --active no > /dev/null
    deliver_msg -d off@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.1 "* ]]
    deliver_msg -o mail.message_size_limit=20 -d ana@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.3 "* ]]
    { printf 'Received: by x; date\nDelivered-To: ana@example.org\n'; cat "$dir/msg"; } > "$dir/loop"
    run deliver -d ana@example.org < "$dir/loop"
    [ "$status" -eq 77 ] && [[ $output == "5.4.6 "* ]]
    nothing_stored
}

@test "a message larger than the whole quota is 77" {
    $lodge user add small@example.org --quota-bytes 10 > /dev/null
    deliver_msg -d small@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.2 "* ]]
}

@test "a full mailbox is 77, or 75 where it may be tried again, and -e says why on stderr too" {
    $lodge user set ana@example.org --quota-messages 1 > /dev/null
    deliver_msg -d ana@example.org
    [ "$status" -eq 0 ]
    deliver_msg -d ana@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.2 mailbox is full: "* ]] && [ -z "$stderr" ]
    deliver_msg -e -d ana@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.2 "* ]] && [[ $stderr == *"mailbox is full"* ]]
    deliver_msg -o quota.over=defer -d ana@example.org
    [ "$status" -eq 75 ] && [[ $output == "4.2.2 mailbox is full: "* ]]
    $lodge user set ana@example.org --max-message-bytes 10 > /dev/null
    deliver_msg -d ana@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.3 "* ]]
    [ "$(files | wc -l)" -eq 1 ]
}

@test "a ramp puts the mail off at first, and is over when its time is" {
    $lodge user set ana@example.org --quota-messages 1 > /dev/null
    deliver_msg -d ana@example.org
    deliver_msg -o quota.over=ramp -o quota.ramp_time=60d -d ana@example.org
    [ "$status" -eq 75 ] && [[ $output == "4.2.2 "* ]]
    deliver_msg -o quota.over=ramp -o quota.ramp_time=60d -d ana@example.org
    [ "$status" -eq 75 ]
    deliver_msg -o quota.over=reject -d ana@example.org
    [ "$status" -eq 77 ] && [[ $output == "5.2.2 "* ]]
}

@test "a folder without room does not fall to INBOX as one that is not there does" {
    deliver_msg -o quota.folders="Lists=max 10" -o mail.detail_folder=create -d ana@example.org -m Lists
    [ "$status" -eq 77 ] && [[ $output == "5.2.2 "* ]]
    [ -z "$(files)" ] && [ ! -e "$inbox/.Lists" ]
    deliver_msg -o quota.folders="Lists=max 10" -d ana@example.org -m Lists
    [ "$status" -eq 0 ] && [ "$(files | wc -l)" -eq 1 ]
}

# ---- try again ---------------------------------------------------------------

# deferred TEXT: status 75, a 4.x.x status on stdout, and TEXT somewhere
deferred() {
    [ "$status" -eq 75 ] || { echo "status $status, not 75"; return 1; }
    [[ $output =~ ^4\.[0-9]+\.[0-9]+\  ]] || { echo "stdout: $output"; return 1; }
    [[ "$output$stderr" == *"$1"* ]] || { echo "no '$1' in: $output / $stderr"; return 1; }
}

@test "a wrong command line is 75 and names what to mend, never a bounce" {
    deliver_msg
    deferred "-d \${recipient}"
    deliver_msg -d
    deferred "'-d'"
    deliver_msg -x -d ana@example.org
    deferred "'-x'"
    deliver_msg -d ana@example.org stray
    deferred "'stray'"
    deliver_msg -d ana
    deferred "'ana'"
    deliver_msg -o mail.rot=/x -d ana@example.org
    deferred "did you mean 'root'"
    nothing_stored
}

@test "a missing or broken configuration is 75 and is named" {
    run --separate-stderr "${as[@]}" "$dir/deliver" -c /nonexistent/lodge.conf -d ana@example.org < "$dir/msg"
    deferred /nonexistent/lodge.conf
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    echo "nonsense" >> "$dir/lodge.conf"
    deliver_msg -d ana@example.org
    deferred "$dir/lodge.conf"
    nothing_stored
}

@test "empty input is 75 and stores nothing" {
    run --separate-stderr deliver -d ana@example.org < /dev/null
    deferred "empty"
    nothing_stored
}

@test "standard input that is closed is not taken from somewhere else" {
    # In a shell of its own: run's pipe would take the free place.
    run --separate-stderr bash -c 'exec "$@" <&-' - "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d ana@example.org
    deferred "empty"
    nothing_stored
}

@test "input that cannot be read, and a missing file for -p, are 75" {
    run --separate-stderr deliver -d ana@example.org < "$dir"
    deferred "cannot read the message"
    deliver_msg -p /nonexistent/msg -d ana@example.org
    deferred "/nonexistent/msg"
    nothing_stored
}

@test "a missing, damaged or unreadable map is 75 and is named" {
    mv "$dir/map.db" "$dir/away.db"
    deliver_msg -d ana@example.org
    deferred "$dir/map.db"
    [ "$(wc -l <<< "$stderr")" -eq 1 ]
    printf 'this is no database, but a text that is long enough to be looked at' > "$dir/map.db"
    deliver_msg -d ana@example.org
    deferred "$dir/map.db"
    if [ "$(id -u)" -eq 0 ]; then
        install -m 600 "$dir/away.db" "$dir/map.db"
        deliver_msg -d ana@example.org
        deferred "$dir/map.db"
    fi
    nothing_stored
}

@test "a map locked by another process is 75, and fine again afterwards" {
    mkfifo "$dir/hold" "$dir/held"
    { echo "BEGIN EXCLUSIVE; SELECT 1;"; read -r < "$dir/hold"; } | sqlite3 "$dir/map.db" > "$dir/held" &
    locker=$!
    read -r < "$dir/held"
    deliver_msg -d ana@example.org
    deferred "$dir/map.db"
    nothing_stored
    echo > "$dir/hold"
    wait "$locker"
    locker=
    deliver_msg -d ana@example.org
    [ "$status" -eq 0 ]
}

@test "a Maildir that cannot be written is 75, and leaves nothing in tmp/" {
    deliver_msg -d ana@example.org
    for part in tmp new; do
        chmod 500 "$inbox/$part"
        deliver_msg -d ana@example.org
        chmod 700 "$inbox/$part"
        deferred "$inbox"
    done
    [ "$(files | wc -l)" -eq 1 ]
    [ -z "$(ls "$inbox/tmp")" ]
}

@test "a spool directory that is missing is 75 for large messages that cannot arrive in the Maildir, and no matter for others" {
    deliver_msg -o mail.spool_dir=/nonexistent -o mail.spool_memory=1 -d ana@example.org # has no Maildir yet
    deferred "/nonexistent"
    [ "$(files | wc -l)" -eq 0 ]
    deliver_msg -o mail.spool_dir=/nonexistent -d ana@example.org
    [ "$status" -eq 0 ]
    deliver_msg -o mail.spool_dir=/nonexistent -o mail.spool_memory=1 -d ana@example.org
    [ "$status" -eq 0 ]
    deliver_msg -o mail.spool_dir=/nonexistent -o mail.spool_memory=1 -o mail.compress=gzip -d ana@example.org
    deferred "/nonexistent"
    [ "$(files | wc -l)" -eq 2 ]
}

@test "a mailbox outside [mail] root is 75" {
    $lodge user add out@example.org --home /var/tmp/lodge-out > /dev/null
    deliver_msg -d out@example.org
    deferred "[mail] root"
    [ ! -e /var/tmp/lodge-out ]
}

@test "a row with another uid is 75 and says what to set" {
    $lodge user add other@example.org --uid 4242 > /dev/null
    deliver_msg -d other@example.org
    deferred "per_user_ids"
    nothing_stored
}

# ---- trouble that does not stop mail -----------------------------------------

@test "a log that cannot be written does not stop mail" {
    deliver_msg -o log.path=/nonexistent/deliver.log -d ana@example.org
    [ "$status" -eq 0 ]
    deliver_msg -o log.path=/dev/full -d ana@example.org
    [ "$status" -eq 0 ]
    [ "$(files | wc -l)" -eq 2 ]
}

@test "nobody reading stdout does not stop mail" {
    deliver -d ana@example.org < "$dir/msg" > /dev/full
    deliver -d ana@example.org < "$dir/msg" >&-
    [ "$(files | wc -l)" -eq 2 ]
}

@test "killed while the message comes in: nothing is stored" {
    mkfifo "$dir/in"
    "${as[@]}" "$dir/deliver" -c "$dir/lodge.conf" -d ana@example.org < "$dir/in" &
    victim=$!
    exec 8> "$dir/in"
    printf 'Subject: half\n\nha' >&8
    kill -KILL "$victim"
    exec 8>&-
    status=0
    wait "$victim" || status=$?
    [ "$status" -eq 137 ]
    nothing_stored
}

@test "killed at any moment: what was acknowledged is there, and nothing in new/ is partial" {
    local acknowledged=0
    deliver -d ana@example.org < "$dir/msg"
    for delay in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        if "${as[@]}" timeout -s KILL "0.00$((delay / 2))" "$dir/deliver" -c "$dir/lodge.conf" \
            -d ana@example.org < "$dir/msg" > "$dir/out" 2> /dev/null; then
            acknowledged=$((acknowledged + 1))
        fi
    done
    [ "$(files | wc -l)" -ge $((acknowledged + 1)) ]
    for file in $(files); do
        [ "$(tail -n 1 "$file")" = END ]
        [[ $file == *",S=$(stat -c %s "$file"),"* ]]
    done
}

# ---- root --------------------------------------------------------------------

as_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    as=()
}

@test "started as root it delivers as [mail] user" {
    as_root
    deliver_msg -d ana@example.org
    [ "$status" -eq 0 ]
    [ "$(stat -c %U "$(files)")" = nobody ]
    [ -z "$(find "$dir/mail" -user root)" ]
}

@test "started as root with per_user_ids it delivers as the owner of the mailbox" {
    as_root
    $lodge user add own@example.org --uid 4242 --gid 4243 --home "$dir/mail/own" > /dev/null
    install -d -o 4242 -g 4243 -m 700 "$dir/mail/own"
    deliver_msg -o mail.per_user_ids=yes -d own@example.org
    [ "$status" -eq 0 ]
    [ "$(find "$dir/mail/own" -type f -printf '%U:%G')" = 4242:4243 ]
    deliver_msg -o mail.per_user_ids=yes -d ana@example.org
    [ "$status" -eq 0 ]
    [ "$(stat -c %U "$(files)")" = nobody ]
}

@test "root is never who delivers" {
    as_root
    deliver_msg -o mail.user=root -d ana@example.org
    deferred "never delivered as root"
    deliver_msg -o mail.user=no-such-user -d ana@example.org
    deferred "no-such-user"
    nothing_stored
}
