#!/usr/bin/env bats
# tests/lda/cli.bats - `lodge` as an administrator types it, in a directory of its own

bats_require_minimum_version 1.5.0

setup() {
    dir=$(mktemp -d)
    cd "$dir"
    real=$LODGE_BUILD/lda/lodge
}

teardown() {
    cd /
    rm -rf "$dir"
}

# lodge on the configuration below $dir
lodge() { "$real" -c "$dir/etc/lodge.conf" "$@"; }

# A map with one domain, as `lodge init` makes it
init() {
    "$real" init "$dir/etc" -o "mail.root=$dir/mail" "$@" > init.out
    lodge domain add example.org
}

# The exit status and the whole of stderr
fails_with() { # STATUS TEXT COMMAND...
    local expected=$1 text=$2
    shift 2
    run --separate-stderr "$@"
    [ "$status" -eq "$expected" ] || { echo "status $status: $output $stderr"; false; }
    [ "$stderr" = "$text" ] || { echo "stderr: $stderr"; false; }
    [ -z "$output" ]
}

# --- help and usage

@test "help lists every command, and each command has its own" {
    run --separate-stderr "$real" --help
    [ "$status" -eq 0 ]
    local listed
    listed=$(sed -n 's/^  \([a-z]* [a-z]*\|[a-z]*\)\( [A-Z[].*\|  .*\|\)$/\1/p' <<< "$output")
    [ "$(wc -l <<< "$listed")" -ge 24 ]
    while read -r noun verb; do
        run --separate-stderr "$real" $noun $verb --help
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [[ $output == *"lodge $noun${verb:+ $verb} [OPTION"* ]]
        [[ $output == *--json* ]]
    done <<< "$listed"
}

@test "help works in front of a command, and for a noun alone" {
    [ "$("$real" help domain add)" = "$("$real" domain add --help)" ]
    [ "$("$real" help domain)" = "$("$real" domain --help)" ]
    [[ $("$real" help user) == *"user password USER"* ]]
    [[ $("$real" help user) != *"domain add"* ]]
}

@test "columns of the map are options" {
    [[ $("$real" user add --help) == *--quota-bytes=SIZE* ]]
    [[ $("$real" user add --help) == *--active=yes\|no* ]]
    [[ $("$real" domain set --help) == *--max-users=NUMBER* ]]
}

@test "version is told" {
    [[ $("$real" --version) =~ ^lodge\ [0-9]+\.[0-9]+ ]]
}

@test "wrong command lines end with status 2 and say where to look" {
    fails_with 2 $'lodge: which command?\nSee lodge --help.' "$real"
    fails_with 2 $'lodge: there is no command \'domian\'\nSee lodge --help.' "$real" domian list
    fails_with 2 $'lodge: there is no command \'domain lsit\'\nSee lodge --help.' "$real" domain lsit
    fails_with 2 $'lodge: \'map\' needs one of: resolve\nSee lodge --help.' "$real" map
    fails_with 2 $'lodge domain add: expected DOMAIN\nSee lodge domain add --help.' "$real" domain add
    fails_with 2 $'lodge domain add: unexpected \'b\'\nSee lodge domain add --help.' "$real" domain add a b
    fails_with 2 $'lodge domain add: Unknown option --quota\nSee lodge domain add --help.' "$real" domain add a --quota 1
    fails_with 2 $'lodge alias add: expected ADDRESS DESTINATION...\nSee lodge alias add --help.' "$real" alias add a@b
}

# --- init

@test "init writes configuration, map and lookups with the real paths, and the next steps" {
    run --separate-stderr "$real" init "$dir/etc" -o "mail.root=$dir/mail" -o map.recipient_delimiter=+-
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(stat -c %a etc/map.db)" = 640 ]
    for file in domains mailboxes forwardings email2email transport; do
        grep -qx "dbpath = $dir/etc/map.db" "etc/postfix/$file.cf"
        [[ $output == *"proxy:sqlite:$dir/etc/postfix/$file.cf"* ]]
    done
    grep -qx "connect = $dir/etc/map.db" etc/dovecot/dovecot-sql-2.3.conf.ext
    grep -q "'$dir/mail/'" etc/dovecot/dovecot-sql-2.3.conf.ext
    grep -qx "sqlite_path = $dir/etc/map.db" etc/dovecot/dovecot-sql-2.4.conf
    [ -z "$(grep -r -e ' /etc/lodge/' -e :/etc/lodge/ -e /var/vmail etc/postfix etc/dovecot)" ]
    [[ $output == *"virtual_transport = lmtp:unix:private/lodge"* ]]
    [[ $output == *"listen = unix:/var/spool/postfix/private/lodge-policy"* ]]
    [[ $output == *"check_policy_service { unix:private/lodge-policy, default_action=DUNNO }"* ]]
    [[ $output == *"recipient_delimiter = +-"* ]]
    for made in "$dir/mail" /var/log/lodge /var/lib/lodge; do [[ $output == *"install -d "*" $made"* ]]; done
    [[ $output == *"args = $dir/etc/dovecot/dovecot-sql-2.3.conf.ext"* ]]
    [[ $output == *"!include $dir/etc/dovecot/dovecot-sql-2.4.conf"* ]]
    [[ $output == *"lodge -c $dir/etc/lodge.conf domain add example.org"* ]]
}

@test "file that init writes has every setting, and sets what -o said" {
    init -o log.format=json
    lodge config check
    [ "$(lodge config -n)" = "[mail]
root = $dir/mail

[map]
path = $dir/etc/map.db

[log]
format = json" ]
    local settings shown
    settings=$(lodge config --json | jq length)
    shown=$(grep -c '^#\?[a-z_0-9]* =' etc/lodge.conf)
    [ "$settings" -gt 30 ]
    [ "$settings" -eq "$shown" ]
    # Uncommenting everything changes nothing.
    sed 's/^#\([a-z_0-9]* =\)/\1/' etc/lodge.conf > all.conf
    [ "$("$real" -c all.conf config --json)" = "$(lodge config --json)" ]
}

@test "init again keeps everything that is there and brings back what is not" {
    init
    lodge user add ana@example.org
    echo "# mine" >> etc/lodge.conf
    rm etc/postfix/domains.cf
    cp etc/lodge.conf before.conf
    run "$real" init "$dir/etc"
    [ "$status" -eq 0 ]
    [[ $output == *"kept  $dir/etc/lodge.conf"* ]]
    [[ $output == *"kept  $dir/etc/map.db"* ]]
    [[ $output == *"wrote $dir/etc/postfix/domains.cf"* ]]
    cmp etc/lodge.conf before.conf
    lodge user show ana@example.org
    grep -qx "dbpath = $dir/etc/map.db" etc/postfix/domains.cf
}

@test "files of init can be read by Postfix and Dovecot whatever the umask" {
    (umask 077 && init)
    [ "$(stat -c %a etc etc/postfix etc/dovecot etc/map.db etc/lodge.conf etc/postfix/domains.cf | xargs)" = "755 755 755 640 644 644" ]
}

@test "init takes the place from -c, and the transport from the listener" {
    "$real" -c "$dir/a/my.conf" init -o lmtp.listen=inet:127.0.0.1:2424 > out
    [ -f a/my.conf ]
    [ -f a/map.db ]
    grep -q "virtual_transport = lmtp:inet:127.0.0.1:2424" out
    "$real" -c a/my.conf domain add example.org
}

@test "init that cannot write says what, and fails" {
    touch file
    fails_with 1 "lodge init: cannot create '$dir/file/etc': Not a directory" "$real" init "$dir/file/etc"
    fails_with 1 "lodge init: -o: unknown setting 'rot' in [mail]; did you mean 'root'?" "$real" init "$dir/etc" -o mail.rot=/x
    [ ! -e etc/lodge.conf ]
}

# --- config

@test "config prints a file that means the same" {
    init -o "mail.prefix=INBOX." -o "lmtp.listen=unix:/a inet:[::1]:24" -o "mail.spool_memory=65536"
    lodge config > effective.conf
    grep -qx 'spool_memory = 64K' effective.conf
    grep -qx 'group =' effective.conf
    "$real" -c effective.conf config check
    [ "$("$real" -c effective.conf config --json)" = "$(lodge config --json)" ]
}

@test "config of one setting is its value" {
    init
    [ "$(lodge config mail.root)" = "$dir/mail" ]
    [ "$(lodge -o mail.root=/x config mail.root)" = /x ]
    [ "$(lodge config -o mail.root=/x -o mail.root=/y mail.root)" = /y ]
    [ "$(lodge config --json lmtp.socket_mode | jq -r '.value, .type')" = $'0660\noctal mode' ]
    fails_with 2 $'lodge config: there is no setting \'mail.rot\'\nSee lodge config --help.' lodge config mail.rot
}

@test "config check prints all complaints with their lines and fails" {
    printf '[mail]\nuser = a\nspol_dir = /x\n[lmpt]\n[log]\nformat = xml\n' > bad.conf
    run --separate-stderr "$real" -c bad.conf config check
    [ "$status" -eq 1 ]
    [ "$output" = "bad.conf:3: unknown setting 'spol_dir' in [mail]; did you mean 'spool_dir'?
bad.conf:4: unknown section [lmpt]; did you mean 'lmtp'?
bad.conf:6: log.format: 'xml' is not one of: logfmt, json" ]
    run --separate-stderr "$real" -c bad.conf config check --json
    [ "$status" -eq 1 ]
    [ "$(jq length <<< "$output")" -eq 3 ]
    printf '[mail]\nuser = a\n' > good.conf
    run --separate-stderr "$real" -c good.conf -o mail.usr=a config check
    [ "$status" -eq 1 ]
    [ "$output" = "-o: unknown setting 'usr' in [mail]; did you mean 'user'?" ]
    run "$real" -c good.conf config check
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "command on a broken configuration names file and line" {
    printf '[map]\npath = map.db\n' > bad.conf
    fails_with 1 "lodge user list: bad.conf:2: map.path: 'map.db' is not an absolute path" "$real" -c bad.conf user list
    fails_with 1 "lodge user list: none.conf: cannot read it: there is no such file" "$real" -c none.conf user list
}

# --- the map

@test "domain is added, listed, shown, changed and removed" {
    init
    lodge domain add Example.NET --quota-bytes 10G --max-users 3
    [ "$(lodge domain list)" = "domain       active  max_users  quota_bytes
example.net  yes     3          10G
example.org  yes     -          -" ]
    [ "$(lodge domain list --json | jq -c '.[0] | [.domain, .active, .quota_bytes, .home]')" = '["example.net",true,10737418240,null]' ]
    lodge domain set example.net --active no --quota-bytes ""
    [ "$(lodge domain show example.net --json | jq -c '[.active, .quota_bytes, .max_users]')" = '[false,null,3]' ]
    [[ $(lodge domain show example.net) == *"active              no"* ]]
    lodge domain remove example.net
    fails_with 1 "lodge domain show: there is no domain 'example.net'" lodge domain show example.net
}

@test "internationalised domain is found under both of its names" {
    init
    LC_ALL=C lodge domain add bücher.example
    lodge domain show xn--bcher-kva.example
    LC_ALL=C lodge domain show BÜCHER.example
}

@test "user is added, listed by domain, changed and removed" {
    init
    lodge domain add example.net
    lodge user add ana@example.org --quota-bytes 5M --home=/srv/ana
    lodge user add bob@example.net
    [ "$(lodge user list --json | jq -c 'map(.email)')" = '["ana@example.org","bob@example.net"]' ]
    [ "$(lodge user list example.net)" = "email            active
bob@example.net  yes" ]
    lodge user set bob@example.net --active=no
    [ "$(lodge user show bob@example.net --json | jq -c '[.active, .password]')" = '[false,null]' ]
    lodge user remove bob@example.net
    [ "$(lodge user list example.net)" = "" ]
    [ "$(lodge user list example.net --json)" = "[]" ]
}

@test "nonsense is refused with a reason and changes nothing" {
    init
    lodge user add ana@example.org
    lodge user list --json > before
    fails_with 1 "lodge user add: user 'ana@example.org' exists already" lodge user add ana@example.org
    fails_with 1 "lodge user add: user 'x@example.com': domain 'example.com' is not in the map; add it first: lodge domain add example.com" lodge user add x@example.com
    fails_with 1 "lodge user set: there is no user 'x@example.org'" lodge user set x@example.org --active no
    fails_with 1 "lodge user remove: there is no user 'x@example.org'" lodge user remove x@example.org
    fails_with 1 "lodge user set: active: 'maybe' is not yes or no" lodge user set ana@example.org --active maybe
    fails_with 1 "lodge user set: quota_bytes: '1X' is not a size: octets, or a number with K, M, G or T" lodge user set ana@example.org --quota-bytes 1X
    fails_with 2 $'lodge user set: nothing to set\nSee lodge user set --help.' lodge user set ana@example.org
    run --separate-stderr lodge domain remove example.org
    [ "$status" -eq 1 ]
    [[ $stderr == "lodge domain remove: domain 'example.org' still has 1 user"* ]]
    run --separate-stderr lodge user add 'no address'
    [ "$status" -eq 1 ]
    [[ $stderr == "lodge user add: "*"no address"* ]]
    lodge user list --json | cmp - before
}

@test "address that looks like an option is taken behind two dashes" {
    init
    lodge user add -- -x@example.org
    [ "$(lodge user list --json | jq -r '.[0].email')" = -x@example.org ]
}

@test "alias has one or more destinations" {
    init
    lodge alias add Sales@example.org ana@example.org bob@example.com
    [ "$(lodge alias list --json | jq -c '.[0]')" = '{"source":"sales@example.org","destination":"ana@example.org,bob@example.com"}' ]
    lodge alias set sales@example.org eva@example.org
    [ "$(lodge alias show sales@example.org --json | jq -r .destination)" = eva@example.org ]
    fails_with 1 "lodge alias show: there is no alias 'x@example.org'" lodge alias show x@example.org
    lodge alias remove sales@example.org
    [ "$(lodge alias list --json)" = "[]" ]
}

@test "transport is added, changed and removed" {
    init
    lodge transport add example.net 'smtp:[mx.example.net]'
    lodge transport set example.net lmtp:unix:private/other
    [ "$(lodge transport list --json | jq -c '.[0]')" = '{"domain":"example.net","transport":"lmtp:unix:private/other"}' ]
    lodge transport remove example.net
    [ "$(lodge transport list)" = "" ]
}

@test "map that is missing or locked is a temporary failure" {
    init
    mkfifo locked done
    sqlite3 etc/map.db 'BEGIN EXCLUSIVE' '.shell echo > locked; cat done' > /dev/null &
    cat locked > /dev/null
    run --separate-stderr lodge -o map.busy_timeout=0 domain list
    echo > done
    wait
    [ "$status" -eq 75 ]
    [[ $stderr == *"$dir/etc/map.db"*locked* ]]
    rm etc/map.db
    run --separate-stderr lodge domain list
    [ "$status" -eq 75 ]
    [[ $stderr == "lodge domain list: "*"$dir/etc/map.db"* ]]
    [ ! -e etc/map.db ]
}

@test "schema of somebody else is not edited" {
    init
    fails_with 1 "lodge user add: '$dir/etc/map.db' has a schema that is not lodge's ([map] preset, mailbox_query); its rows are looked after by the program it belongs to" \
        lodge -o map.preset=postfixadmin user add ana@example.org
}

@test "output that cannot be written is a failure" {
    init
    run --separate-stderr bash -c "'$real' config > /dev/full"
    [ "$status" -eq 1 ]
    [ "$stderr" = "lodge config: cannot write the output: No space left on device" ]
}

# --- passwords

@test "password from standard input is verified by Dovecot, and only that one" {
    init
    lodge user add ana@example.org
    printf 'gehe im\xc3\xa4\n' | lodge user password ana@example.org
    hash=$(sqlite3 etc/map.db 'SELECT password FROM users')
    [[ $hash == '{CRYPT}$y$'* ]]
    doveadm -c /dev/null pw -t "$hash" -p $'gehe im\xc3\xa4'
    run ! doveadm -c /dev/null pw -t "$hash" -p 'gehe im'
    # The same again has another salt.
    printf 'gehe im\xc3\xa4' | lodge user password ana@example.org
    [ "$hash" != "$(sqlite3 etc/map.db 'SELECT password FROM users')" ]
}

@test "password can be given along with a new user, and is never shown" {
    init
    lodge user add ana@example.org --password <<< geheim
    doveadm -c /dev/null pw -t "$(sqlite3 etc/map.db 'SELECT password FROM users')" -p geheim
    [[ $(lodge user list) != *"\$y\$"* ]]
    [[ $(lodge user show ana@example.org --json) != *"\$y\$"* ]]
    [ "$(lodge user show ana@example.org --json | jq -r .password)" = set ]
}

@test "bad password is refused and changes nothing" {
    init
    lodge user add ana@example.org --password <<< geheim
    hash=$(sqlite3 etc/map.db 'SELECT password FROM users')
    fails_with 1 "lodge user password: the password is empty" lodge user password ana@example.org < /dev/null
    fails_with 1 "lodge user password: the password is empty" lodge user password ana@example.org <<< ""
    fails_with 1 "lodge user password: the password has control characters in it" lodge user password ana@example.org <<< $'a\tb'
    fails_with 1 "lodge user password: there is no user 'x@example.org'" lodge user password x@example.org <<< geheim
    head -c 600 /dev/zero | tr '\0' x > long
    fails_with 1 "lodge user password: the password is too long" lodge user password ana@example.org < long
    [ "$hash" = "$(sqlite3 etc/map.db 'SELECT password FROM users')" ]
}

# Types each line when the prompt for it is there; prints what the terminal showed.
at_terminal() { # LINE... -- COMMAND...
    python3 - "$@" << 'PYTHON'
import os, pty, signal, sys
signal.alarm(60)  # a prompt that never comes is a failure, not a hang
split = sys.argv.index("--")
lines, command = sys.argv[1:split], sys.argv[split + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown = b""
waiting = b""
while True:
    try:
        data = os.read(fd, 1024)
    except OSError:
        break
    if not data:
        break
    shown += data
    waiting += data
    if waiting.endswith(b": ") and lines:
        os.write(fd, lines.pop(0).encode() + b"\n")
        waiting = b""
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
}

@test "password at a terminal is asked for twice and not echoed" {
    init
    lodge user add ana@example.org
    run at_terminal geheim geheim -- "$real" -c etc/lodge.conf user password ana@example.org
    [ "$status" -eq 0 ]
    [ "$output" = $'New password: \r\nOnce more: \r' ]
    doveadm -c /dev/null pw -t "$(sqlite3 etc/map.db 'SELECT password FROM users')" -p geheim
    run at_terminal geheim gehiem -- "$real" -c etc/lodge.conf user password ana@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"the two are not the same"* ]]
    [[ $output != *gehiem* ]]
    doveadm -c /dev/null pw -t "$(sqlite3 etc/map.db 'SELECT password FROM users')" -p geheim
}

# --- map resolve

@test "resolve shows the mailbox and where it lies" {
    init
    lodge user add ana@example.org --quota-bytes 5M --sieve .dovecot.sieve
    run --separate-stderr lodge -o mail.user=root map resolve Ana+Lists@Example.org
    [ "$status" -eq 0 ]
    [ "$output" = "address     ana+lists@example.org
domain      example.org
mailbox     ana+lists@example.org
  user      ana@example.org (without detail)
  detail    lists
  home      $dir/mail/example.org/ana
  maildir   $dir/mail/example.org/ana/Maildir
  sieve     $dir/mail/example.org/ana/.dovecot.sieve
  rights    root:root
  quota     5M octets (user)
  when full reject ([quota])" ]
    [ "$(lodge map resolve ana@example.org --json | jq -c '.destinations[0] | [.user, .match, .detail, .maildir, .quota_bytes]')" = \
        "[\"ana@example.org\",\"full address\",null,\"$dir/mail/example.org/ana/Maildir\",5242880]" ]
}

@test "resolve shows each limit, and who says so" {
    init
    lodge domain set example.org --quota-bytes 10G --user-quota-bytes 1G --user-quota-messages 0 --max-message-bytes 20M
    lodge user add ana@example.org --max-message-bytes 30M --quota-over ramp
    local quota=(-o quota.messages=500 -o quota.grace=1K -o "quota.folders=Trash=ignore; Junk=+10%" -o quota.count_deleted=no)
    run lodge "${quota[@]}" map resolve ana@example.org
    echo "$output"
    [[ $output == *"
  quota     1G octets (domain)
  quota     30M octets in one message (user)
  quota     10G octets in all of example.org (domain)
  when full ramp (user)
  grace     1K octets ([quota])
  folders   Trash=ignore; Junk=+10% ([quota])
  uncounted mail flagged as deleted ([quota])" ]]
    lodge domain set example.org --user-quota-messages ""
    [[ $(lodge "${quota[@]}" map resolve ana@example.org) == *"
  quota     500 messages ([quota])"* ]]
    [ "$(lodge "${quota[@]}" map resolve ana@example.org --json | jq -c '.destinations[0] | [.quota_bytes, .quota_bytes_from, .quota_messages_from, .max_message_bytes, .domain_quota_bytes, .quota_over, .quota_folders]')" = \
        '[1073741824,"domain","[quota]",31457280,10737418240,"ramp","Trash=ignore; Junk=+10%"]' ]
}

@test "resolve changes nothing in the map" {
    init
    lodge user add ana@example.org
    lodge domain set example.org --quota-bytes 1G
    sqlite3 etc/map.db "PRAGMA journal_mode = WAL" # commands that write turn it off
    cp etc/map.db before.db
    [[ $(lodge map resolve ana@example.org) == *"
  quota     1G octets in all of example.org (domain)
  when full reject ([quota])" ]]
    cmp etc/map.db before.db
}

@test "resolve follows forwardings to mailboxes and to other hosts" {
    init
    lodge user add ana@example.org
    lodge alias add team@example.org sales@example.org eva@example.com
    lodge alias add sales@example.org ana@example.org
    lodge transport add example.org lmtp:unix:private/lodge
    run --separate-stderr lodge map resolve team@example.org
    [ "$status" -eq 0 ]
    [[ $output == *"
transport   lmtp:unix:private/lodge
forwarding  team@example.org -> sales@example.org
forwarding    sales@example.org -> ana@example.org
forwarding  team@example.org -> eva@example.com
mailbox     ana@example.org
"*"
elsewhere   eva@example.com: its domain is not in the map" ]]
    [ "$(lodge map resolve team@example.org --json | jq -c '[.transport, (.forwardings | map(.depth)), (.destinations | map([.address, .elsewhere]))]')" = \
        '["lmtp:unix:private/lodge",[0,1,0],[["ana@example.org",false],["eva@example.com",true]]]' ]
}

@test "resolve of a loop ends and says where" {
    init
    lodge alias add a@example.org b@example.org
    lodge alias add b@example.org a@example.org
    run --separate-stderr lodge map resolve a@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"b@example.org -> a@example.org (again: Postfix stops here)"* ]]
}

@test "resolve falls to the catch-all" {
    init
    lodge user add @example.org --home example.org/.rest
    [ "$(lodge map resolve who@example.org --json | jq -r '.destinations[0] | .user, .match, .home')" = "@example.org
catch-all
$dir/mail/example.org/.rest" ]
}

@test "resolve of what gets no mail says why and fails" {
    init
    lodge user add off@example.org --active no
    run --separate-stderr lodge map resolve nobody@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"  refused   'nobody@example.org' has no mailbox here" ]]
    run --separate-stderr lodge map resolve off@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"  refused   mailbox 'off@example.org' is switched off" ]]
    lodge domain set example.org --active no
    run --separate-stderr lodge map resolve nobody@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"domain      example.org, which is not active"* ]]
    run --separate-stderr lodge map resolve ana@example.com
    [ "$status" -eq 1 ]
    [[ $output == *"domain      example.com, which is not in the map"* ]]
    run --separate-stderr lodge map resolve nonsense
    [ "$status" -eq 1 ]
    [[ $stderr == "lodge map resolve: "*nonsense* ]]
    [ -z "$output" ]
}

@test "resolve of a home outside the mail root is refused" {
    init
    lodge user add ana@example.org --home /srv/ana
    run --separate-stderr lodge map resolve ana@example.org
    [ "$status" -eq 1 ]
    [[ $output == *"refused"*"/srv/ana"*"$dir/mail"* ]]
}

@test "resolve looks an address up in the tutorial's own tables" {
    init
    sqlite3 old.db "CREATE TABLE domains (domain varchar(50) NOT NULL PRIMARY KEY);
        CREATE TABLE users (email varchar(80) NOT NULL PRIMARY KEY, password varchar(20) NOT NULL);
        INSERT INTO domains VALUES ('example.org'); INSERT INTO users VALUES ('ana@example.org', 'x');"
    run --separate-stderr lodge -o map.preset=tutorial -o "map.path=$dir/old.db" map resolve ana@example.org --json
    [ "$status" -eq 0 ]
    [ "$(jq -r '.destinations[0].maildir' <<< "$output")" = "$dir/mail/example.org/ana" ]
}
