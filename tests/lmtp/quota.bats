#!/usr/bin/env bats
# Full mailboxes through lodged: what the client is told, and what is on the disk afterwards.

load server.bash

setup() {
    server_setup
    lodge="$LODGE_BUILD/lda/lodge -c $T/lodge.conf"
    $lodge init "$T/etc" > /dev/null
    sed -i '/^preset/d' "$T/lodge.conf"
    replace path "$T/etc/map.db" # of [map]; that of the log is put back
    sed -i "/^\[log\]/,\$s|^path = .*|path = $T/log/deliver.log|" "$T/lodge.conf"
    $lodge domain add example.org
    printf '[quota]\nwarn =\n' >> "$T/lodge.conf" # each file is one of the messages sent
    chmod -R a+rX "$T/etc"
}

# add USER OPTION...
add() { $lodge user add "$@"; }

stored() { find "$T/mail/example.org/${1-}" -path '*/new/*' -type f | wc -l; }

accounts() { sed 1d "$T/mail/example.org/$1/Maildir/maildirsize" | awk '{ s += $1; n += $2 } END { print s, n }'; }

@test "of fifty recipients the one whose mailbox is full is refused, and no other" {
    for n in $(seq 50); do add "user$n@example.org"; done
    $lodge user set user17@example.org --quota-messages 1
    start
    python <<'PY'
client = Client(unix)
client.deliver(recipient="user17@example.org")
client.command("MAIL FROM:<test@test.example>", "250")
for n in range(1, 51):
    client.command(f"RCPT TO:<user{n}@example.org>", "250")
client.command("DATA", "354")
client.send("Subject: test\r\n\r\nhello\r\n.\r\n")
for n in range(1, 51):
    client.expect("552 5.2.2 <user17@example.org>" if n == 17 else "250 2.0.0")
client.quit()
PY
    [ "$(stored)" -eq 50 ]
    [ "$(stored user17)" -eq 1 ]
    [ "$(accounts user17 | cut -d' ' -f2)" -eq 1 ]
    logged 'to=user17@example.org .*status=5.2.2 .*quota="[0-9]* octets, 1/1 messages"'
}

@test "twenty connections at once fill the mailbox exactly" {
    add ana@example.org --quota-messages 10
    start -o lmtp.max_workers=20
    python <<'PY'
codes = []

def connection():
    client = Client(unix)
    for _ in range(3):
        client.begin()
        client.send("Subject: test\r\n\r\nhello\r\n.\r\n")
        codes.append(client.reply()[:9])
    client.quit()

threads = [threading.Thread(target=connection) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(set(codes)))
assert codes.count("250 2.0.0") == 10, codes
assert set(codes) <= {"250 2.0.0", "552 5.2.2", "452 4.2.2"}, codes
assert len(codes) == 60
PY
    [ "$(stored ana)" -eq 10 ]
    [ "$(accounts ana)" = "$(find "$T/mail/example.org/ana" -path '*/new/*' | sed 's/.*,S=\([0-9]*\),.*/\1/' | awk '{ s += $1; n++ } END { print s, n }')" ]
}

@test "a full mailbox that defers is answered 452, and takes mail again when there is room" {
    add ana@example.org --quota-messages 1 --quota-over defer
    start
    python <<'PY'
client = Client(unix)
client.deliver()
client.begin()
client.finish(code="452 4.2.2 <ana@example.org>")
client.quit()
PY
    [ "$(stored ana)" -eq 1 ]
    # As IMAP servers do it: the message goes, and a line that says so comes.
    printf -- '-%d -1\n' "$(accounts ana | cut -d' ' -f1)" >> "$T/mail/example.org/ana/Maildir/maildirsize"
    rm "$T"/mail/example.org/ana/Maildir/new/*
    python <<'PY'
Client(unix).deliver()
PY
}

@test "a change of the map holds for the next message" {
    add ana@example.org --max-message-bytes 10
    start
    python <<'PY'
client = Client(unix)
client.begin()
client.finish(code="552 5.2.3")
PY
    $lodge user set ana@example.org --max-message-bytes ""
    python <<'PY'
Client(unix).deliver()
PY
}

@test "accounts that cannot be read put the delivery off, and nothing is lost or stored" {
    add ana@example.org --quota-messages 5
    start
    python <<'PY'
client = Client(unix)
client.deliver()
directory = T + "/mail/example.org/ana/Maildir/"
os.rename(directory + "maildirsize", T + "/kept")
os.mkdir(directory + "maildirsize")
client.begin()
client.finish(code="451 4.3.0")
os.rmdir(directory + "maildirsize")
client.deliver()
client.quit()
PY
    [ "$(stored ana)" -eq 2 ]
    [ "$(accounts ana | cut -d' ' -f2)" -eq 2 ]
}

@test "accounts belong to the owner of the mailbox" {
    [ "$(id -u)" -eq 0 ] || return 0
    chmod 777 "$T/mail"
    add ana@example.org --quota-messages 5 --uid 12345 --gid 12345
    start -o mail.per_user_ids=yes -o log.path="$T/log/deliver.log"
    python <<'PY'
Client(unix).deliver()
PY
    [ "$(stat -c %u:%g "$T/mail/example.org/ana/Maildir/maildirsize")" = 12345:12345 ]
    [ "$(stat -c %u:%g "$T/mail/example.org/ana/Maildir/lodge-quota")" = 12345:12345 ]
    [ "$(accounts ana | cut -d' ' -f2)" -eq 1 ]
}

@test "a warning program that does not end holds up no reply" {
    add ana@example.org --quota-messages 2
    mkdir "$T/programs"
    mkfifo -m 666 "$T/begun" "$T/gate"
    printf '#!/bin/sh\necho begun > %s/begun\nread line < %s/gate\n' "$T" "$T" > "$T/programs/tell"
    chmod 755 "$T/programs" "$T/programs/tell"
    start -o quota.warn=50 -o quota.program_dir="$T/programs" -o quota.warn_program=tell -o quota.program_timeout=10m
    python <<'PY'
begun, gate = (os.open(T + name, os.O_RDWR) for name in ("/begun", "/gate"))
client = Client(unix)
client.begin()
client.send("Subject: test\r\n\r\nhello\r\n.\r\n")
assert os.read(begun, 100) == b"begun\n"
client.expect("250 2.0.0")  # the gate is still closed
os.write(gate, b"\n")
client.deliver()
client.quit()
PY
    until_true logged 'event=quota_warning .*percent=50 .*program=done'
}

@test "what mailboxes hold is published while the connection stays open" {
    add ana@example.org
    add eva@example.org
    mkdir -m 777 "$T/state"
    start -o quota.publish=yes -o quota.database="$T/state/quota.db"
    python <<'PY'
import glob, re, sqlite3

def published():
    if not os.path.exists(T + "/state/quota.db"):
        return []
    with sqlite3.connect(T + "/state/quota.db", timeout=30) as panel:
        if not panel.execute("SELECT 1 FROM sqlite_master WHERE name = 'quota_usage'").fetchall():
            return []
        return panel.execute("SELECT username, bytes, messages FROM quota_usage ORDER BY username").fetchall()

def stored(name):
    files = glob.glob(f"{T}/mail/example.org/{name}/Maildir/new/*")
    return (name + "@example.org", sum(int(re.search(r",S=(\d+)", file)[1]) for file in files), len(files))

client = Client(unix)
for name in ["ana", "ana", "eva"]:
    client.deliver(recipient=name + "@example.org")
assert stored("ana")[2] == 2
wait_until(lambda: published() == [stored("ana"), stored("eva")], what="the table")
client.deliver(recipient="eva@example.org")
wait_until(lambda: published() == [stored("ana"), stored("eva")], what="the table")
client.quit()
PY
}

@test "a thousand recipients with a quota get their message under a usual limit of descriptors" {
    sqlite3 "$T/etc/map.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO users(email) SELECT 'u' || i || '@example.org' FROM n"
    mkdir -p "$T"/mail/example.org/u{1..1000}/Maildir/{tmp,new,cur} # to make them takes syncs
    [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/mail"
    ulimit -Sn 1024
    start -o quota.messages=5 -o lmtp.max_recipients=1000 -o mail.durability=none
    python <<'PY'
client = Client(unix)
client.send("MAIL FROM:<test@test.example>\r\n" + "".join(f"RCPT TO:<u{n}@example.org>\r\n" for n in range(1, 1001)))
for _ in range(1001):
    client.expect("250")
client.command("DATA", "354")
client.send("Subject: test\r\n\r\nhello\r\n.\r\n")
for n in range(1, 1001):
    client.expect("250 2.0.0")
client.quit()
PY
    [ "$(stored)" -eq 1000 ]
}

@test "the soft limit of descriptors is raised" {
    ulimit -Sn 100
    ulimit -Hn 3000
    start
    [ "$(sed -n 's/^Max open files *//p' "/proc/$server/limits" | awk '{ print $1, $2 }')" = "3000 3000" ]
}
