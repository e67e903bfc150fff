#!/usr/bin/env bats
# lodged as a process: listening, workers, reload, upgrade, drain, privileges.
# Each test has its own server below a temporary directory. As root the mail user
# is nobody; otherwise everything runs as whoever runs the test.

load server.bash

setup() { server_setup; }

stored() { find "$T/mail" -path '*/new/*' -type f | wc -l; }

@test "lodged delivers over a unix socket, IPv4 and IPv6, and ends with status 0" {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    replace listen "unix:$T/lmtp inet:127.0.0.1:$port inet:[::1]:$port"
    start
    PORT=$port python <<'PY'
port = int(os.environ["PORT"])
for address in (unix, ("127.0.0.1", port), ("::1", port)):
    client = Client(address)
    client.deliver()
    client.quit()
PY
    [ "$(stored)" -eq 3 ]
    grep -rq 'Received:.*\[127.0.0.1\]' "$T/mail"
    grep -rq 'Received:.*\[IPv6:::1\]' "$T/mail"
    kill -TERM $server
    wait $server
    [ ! -e "$T/lmtp" ]
    server=
}

@test "only peers in trusted_networks, and all on the unix socket, may use XFORWARD" {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    replace listen "unix:$T/lmtp inet:127.0.0.1:$port inet:[::1]:$port"
    start -o lmtp.trusted_networks=::1
    PORT=$port python <<'PY'
port = int(os.environ["PORT"])
Client(unix).command("XFORWARD IDENT=4bXq", "250")
Client(("::1", port)).command("XFORWARD IDENT=4bXq", "250")
Client(("127.0.0.1", port)).command("XFORWARD IDENT=4bXq", "5")
PY
}

@test "bad options, configurations and users are refused with a clear line and status" {
    run "$lodged" -c "$T/lodge.conf" --nonsense
    [ "$status" -eq 64 ]
    run "$lodged" -c "$T/lodge.conf" surplus
    [ "$status" -eq 64 ]
    run "$lodged" -c "$T/nothing.conf"
    [ "$status" -eq 78 ] && [[ $output == *nothing.conf* ]]
    run "$lodged" -c "$T/lodge.conf" -t -o lmtp.listen=inet:localhost:24
    [ "$status" -eq 78 ] && [[ $output == *localhost* ]]
    run "$lodged" -c "$T/lodge.conf" -t -o lmtp.trusted_networks=10.0.0.1/8
    [ "$status" -eq 78 ] && [[ $output == *10.0.0.1/8* ]]
    run "$lodged" -c "$T/lodge.conf" -t -o lmtp.min_workers=9
    [ "$status" -eq 78 ] && [[ $output == *max_workers* ]]
    run "$lodged" -c "$T/lodge.conf" -o lmtp.listen=
    [ "$status" -eq 78 ] && [[ $output == *listen* ]]
    run "$lodged" -c "$T/lodge.conf" -o "lmtp.listen=unix:$T/no/such/lmtp"
    [ "$status" -eq 71 ] && [[ $output == *"$T/no/such/lmtp"* ]]
    run "$lodged" -c "$T/lodge.conf" -t
    [ "$status" -eq 0 ]
    [ "$(id -u)" -eq 0 ] || return 0
    run "$lodged" -c "$T/lodge.conf" -o mail.user=no-such-user
    [ "$status" -eq 78 ] && [[ $output == *no-such-user* ]]
    run "$lodged" -c "$T/lodge.conf" -o mail.user=root
    [ "$status" -eq 78 ] && [[ $output == *"never delivered as root"* ]]
    run "$lodged" -c "$T/lodge.conf" -t -o lmtp.socket_group=no-such-group
    [ "$status" -eq 78 ] && [[ $output == *no-such-group* ]]
}

@test "a dead server's socket is replaced, a living server's is left alone" {
    start
    kill -KILL $server
    until_true python <<< 'assert not children(server)'
    [ -S "$T/lmtp" ]
    : > "$T/log/deliver.log"
    start
    run "$lodged" -c "$T/lodge.conf"
    [ "$status" -eq 71 ] && [[ $output == *"another server"* ]]
    python <<< 'Client(unix).deliver()'
}

@test "the unix socket has the configured mode and owner" {
    replace socket_group games
    start -o lmtp.socket_mode=0606 -o lmtp.socket_user=daemon
    [ "$(stat -c %a "$T/lmtp")" = 606 ]
    [ "$(id -u)" -eq 0 ] || skip "giving files away needs root"
    [ "$(stat -c %U:%G "$T/lmtp")" = daemon:games ]
}

@test "SIGHUP under load replaces every worker and no client notices" {
    start
    python <<'PY'
load = Load(unix)
for turn in range(5):
    load.wait_for(20)
    before = set(children(server))
    os.kill(server, signal.SIGHUP)
    wait_until(lambda: len(set(children(server)) - before) >= 2, what="start of new workers")
load.wait_for(20)
print(load.stop())
wait_until(lambda: not before & set(children(server)), what="end of the old workers")
PY
    [ "$(grep -c 'configuration reloaded' "$T/log/deliver.log")" -eq 5 ]
}

@test "SIGHUP with a bad configuration keeps the old one and says so" {
    start
    replace max_workers many
    kill -HUP $server
    until_true logged 'the configuration stays as it was'
    logged max_workers
    python <<< 'Client(unix).deliver()'
}

@test "SIGHUP reopens the log after rotation even when the configuration is bad" {
    start
    replace max_workers many
    mv "$T/log/deliver.log" "$T/log/deliver.log.1"
    kill -HUP $server
    until_true logged 'the configuration stays as it was'
    python <<'PY'
Client(unix).deliver()
# A file that is compressed and removed later would otherwise still fill the disk.
def holds_old(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").endswith(".log.1") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False  # it has just ended
assert not holds_old(server)
wait_until(lambda: not any(map(holds_old, children(server))), what="closing of the old log")
PY
    until_true logged 'to=ana@example.org'
}

@test "SIGHUP opens new listeners and closes those that are gone" {
    start
    replace listen "unix:$T/other"
    python <<'PY'
client = Client(unix)
client.begin()
os.kill(server, signal.SIGHUP)
wait_until(lambda: os.path.exists(T + "/other") and not os.path.exists(unix))
Client(T + "/other").deliver()
client.finish()
client.quit()
PY
}

@test "SIGTERM lets a transaction end, tells idle sessions, and waits for both" {
    start
    python <<'PY'
busy, idle = Client(unix), Client(unix)
busy.begin()
os.kill(server, signal.SIGTERM)
idle.expect("421")
assert idle.reply() == ""
assert not os.path.exists(unix)
busy.finish()
wait_until(lambda: not children(server), what="end of the workers")
PY
    wait $server
    server=
    [ "$(stored)" -eq 1 ]
}

@test "SIGTERM waits no longer than drain_timeout" {
    start -o lmtp.drain_timeout=1
    python <<'PY'
client = Client(unix)
client.begin()
os.kill(server, signal.SIGTERM)
assert client.reply() == ""
PY
    wait $server
    server=
    logged 'did not end in time'
    [ "$(stored)" -eq 0 ]
}

@test "a master that is killed takes its workers along" {
    start
    python <<'PY'
workers = children(server)
client = Client(unix)
os.kill(server, signal.SIGKILL)
client.expect("421")
wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), what="end of the workers")
PY
}

@test "a message over the file size limit of the process is put off and kills no worker" {
    ulimit -f 1024
    start
    python <<'PY'
client = Client(unix)
client.begin()
worker = client.worker()
client.finish(("x" * 70 + "\r\n") * 30000, "451 4.3.0")
client.deliver()
assert client.worker() == worker
PY
}

@test "a worker that is killed harms only its own transaction and is replaced" {
    start
    python <<'PY'
victim, other = Client(unix), Client(unix)
victim.begin()
other.begin()
os.kill(victim.worker(), signal.SIGKILL)
assert victim.reply() == ""
other.finish()
other.quit()
wait_until(lambda: len(children(server)) >= 2)
Client(unix).deliver()
PY
    until_true logged 'killed by signal 9'
    [ "$(stored)" -eq 2 ]
}

@test "workers that die one after the other are started more and more slowly" {
    replace min_workers 1
    start
    python <<'PY'
log = lambda: open(T + "/log/deliver.log").read()
for death in range(5):
    wait_until(lambda: children(server))
    for pid in children(server):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: log().count("killed by signal") > death)
assert "next start is in 0.1 s" in log() and "next start is in 0.8 s" in log(), log()
start = time.monotonic()
Client(unix).deliver()
assert time.monotonic() - start > 0.3
PY
}

@test "beyond max_workers a connection waits, and is served when one is free" {
    replace min_workers 1
    replace max_workers 1
    start -o lmtp.busy_wait=60
    python <<'PY'
first = Client(unix)
second = Client(unix, greet=False)
first.deliver()
first.quit()
second.greet()
second.deliver()
PY
}

@test "after busy_wait seconds without a free worker a connection gets 421" {
    replace min_workers 1
    replace max_workers 2
    start -o lmtp.busy_wait=1
    python <<'PY'
first, second = Client(unix), Client(unix)
start = time.monotonic()
third = Client(unix, greet=False)
assert third.expect("421").startswith("421 4.3.2 ")
assert third.reply() == ""
assert time.monotonic() - start >= 0.9
first.deliver()
first.quit()
fourth = Client(unix)
fourth.deliver()
second.deliver()
PY
    logged 'refused 1 connections'
}

@test "workers grow with the load up to the maximum and go when it is over" {
    start
    python <<'PY'
clients = [Client(unix) for _ in range(8)]
wait_until(lambda: len(children(server)) == 8)
for client in clients:
    client.deliver()
    client.quit()
wait_until(lambda: len(children(server)) == 2, seconds=60, what="shrinking to the minimum")
Client(unix).deliver()
PY
}

@test "a socket passed by the service manager is served, kept, and a restart refuses nobody" {
    LODGED=$lodged python <<PY
passed = {"lodge.socket": "passed"}
$manager
process = launch()
assert "/passed" in notice("READY=1")
Client(T + "/passed").deliver()
assert not os.path.exists(unix), "[lmtp] listen is not used then"
process.send_signal(signal.SIGHUP)
notice("RELOADING=1")
notice("READY=1")
Client(T + "/passed").deliver()
process.terminate()
notice("STOPPING=1")
assert process.wait(30) == 0
waiting = Client(T + "/passed", greet=False)
process = launch()
waiting.greet()
waiting.deliver()
process.terminate()
assert process.wait(30) == 0
PY
    [ "$(stored)" -eq 3 ]
}

@test "SIGUSR2 under load starts the program again and no client notices" {
    cp "$lodged" "$T/lodged"
    lodged=$T/lodged
    start
    PROGRAM=$lodged python <<'PY'
program = os.environ["PROGRAM"]
log = lambda: open(T + "/log/deliver.log").read()
load = Load(unix)
for turn in range(3):
    load.wait_for(20)
    before = set(children(server))
    with open(program, "rb") as old, open(program + ".new", "wb") as new:
        new.write(old.read())
    os.chmod(program + ".new", 0o755)
    os.rename(program + ".new", program)
    os.kill(server, signal.SIGUSR2)
    wait_until(lambda: log().count(" serves ") == turn + 2, what="start of the new program")
    assert os.readlink(f"/proc/{server}/exe") == program
load.wait_for(20)
load.stop()
wait_until(lambda: not before & set(children(server)), what="end of the old workers")
Client(unix).deliver()
PY
    kill -TERM $server
    wait $server
    server=
    [ ! -e "$T/lmtp" ]
}

@test "SIGUSR2 with a program that cannot start changes nothing" {
    cp "$lodged" "$T/lodged"
    lodged=$T/lodged
    start
    cp /bin/false "$T/lodged.new"
    mv "$T/lodged.new" "$T/lodged"
    kill -USR2 $server
    until_true logged 'not upgraded'
    python <<< 'Client(unix).deliver()'
}

@test "an upgraded server still bounds the drain of workers from before" {
    start -o lmtp.drain_timeout=1
    python <<'PY'
log = lambda: open(T + "/log/deliver.log").read()
client = Client(unix)
client.begin()
worker = client.worker()
os.kill(server, signal.SIGUSR2)
wait_until(lambda: log().count(" serves ") == 2, what="start of the new program")
assert os.path.exists(f"/proc/{worker}")
os.kill(server, signal.SIGTERM)
assert client.reply() == ""
PY
    wait $server
    server=
    logged 'did not end in time'
}


@test "started as root the workers are the mail user's and can do nothing else" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    start
    [ "$(status_line $server Uid)" = "0 0 0 0" ]
    until_true python <<< 'assert len(children(server)) == 2' # the sweep has ended
    for worker in $(python <<< 'print(*children(server))'); do
        [ "$(status_line "$worker" Uid)" = "65534 65534 65534 65534" ]
        [ "$(status_line "$worker" Gid)" = "65534 65534 65534 65534" ]
        [ "$(status_line "$worker" CapPrm)" = 0000000000000000 ]
        [ "$(status_line "$worker" CapEff)" = 0000000000000000 ]
        [ "$(status_line "$worker" NoNewPrivs)" = 1 ]
    done
    # CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE
    [ "$(status_line $server CapEff)" = 00000000000004eb ]
    python <<< 'Client(unix).deliver()'
    [ "$(stat -c %U "$T/mail/example.org/ana")" = nobody ]
    [ "$(stat -c %U "$T/log/deliver.log")" = nobody ]
}

@test "with per_user_ids the workers keep only the right to switch" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    start -o mail.per_user_ids=yes
    until_true python <<< 'assert len(children(server)) == 2'
    for worker in $(python <<< 'print(*children(server))'); do
        [ "$(status_line "$worker" Uid)" = "65534 65534 65534 65534" ]
        [ "$(status_line "$worker" CapPrm)" = 00000000000000c0 ]
        [ "$(status_line "$worker" CapEff)" = 00000000000000c0 ]
    done
}

@test "with per_user_ids each mailbox gets its owner's files, and one without an owner the mail user's" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    sqlite3 "$T/map.db" "INSERT INTO users VALUES ('bo@example.org', ''), ('cy@example.org', '');"
    cat > "$T/query" <<'SQL'
SELECT email AS user, 1 AS active, :local AS home, '.' AS maildir, CASE :local WHEN 'ana' THEN 4001 WHEN 'bo' THEN 4002 END AS uid FROM users WHERE email = :address
SQL
    install -d -m 700 -o 4001 "$T/mail/ana"
    install -d -m 700 -o 4002 "$T/mail/bo"
    start -o mail.per_user_ids=yes -o "map.mailbox_query=$(cat "$T/query")"
    python <<'PY'
client = Client(unix)
for turn in range(2):
    client.command("MAIL FROM:<test@test.example>", "250")
    for name in ("ana", "cy", "bo"):
        client.command(f"RCPT TO:<{name}@example.org>", "250")
    client.command("DATA", "354")
    client.finish()
    client.expect("250 2.0.0 <cy@")
    client.expect("250 2.0.0 <bo@")
PY
    [ "$(find "$T/mail/ana/new" -type f -user 4001 | wc -l)" -eq 2 ]
    [ "$(find "$T/mail/bo/new" -type f -user 4002 | wc -l)" -eq 2 ]
    [ "$(find "$T/mail/cy/new" -type f -user nobody | wc -l)" -eq 2 ]
}

@test "copies of the same octets share a file, but not with the mailbox of another owner" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    sqlite3 "$T/map.db" "INSERT INTO users VALUES ('bo@example.org', ''), ('cy@example.org', '');"
    cat > "$T/query" <<'SQL'
SELECT email AS user, 1 AS active, :local AS home, '.' AS maildir, CASE :local WHEN 'ana' THEN 4001 ELSE 4002 END AS uid, 4000 AS gid FROM users WHERE email = :address
SQL
    # Of one group that may do everything, so that nothing else stands in the way of a link.
    install -d -m 2770 -o 4001 -g 4000 "$T/mail/ana"
    install -d -m 2770 -o 4002 -g 4000 "$T/mail/bo" "$T/mail/cy"
    start -o mail.per_user_ids=yes -o mail.delivered_to=single -o "map.mailbox_query=$(cat "$T/query")"
    python <<'PY'
client = Client(unix)
client.command("MAIL FROM:<test@test.example>", "250")
for name in ("ana", "bo", "cy"):
    client.command(f"RCPT TO:<{name}@example.org>", "250")
client.command("DATA", "354")
client.finish()
client.expect("250 2.0.0 <bo@")
client.expect("250 2.0.0 <cy@")
PY
    [ "$(find "$T/mail/ana/new" -type f -user 4001 -links 1 | wc -l)" -eq 1 ]
    [ "$(find "$T/mail/bo/new" "$T/mail/cy/new" -type f -user 4002 -links 2 | wc -l)" -eq 2 ]
}

@test "with no more rights than the systemd unit grants, upgrade and drop still work" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    unit=$BATS_TEST_DIRNAME/../../dist/lodge.service.in
    capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
    grep -qx NoNewPrivileges=yes "$unit"
    printf '#!/bin/sh\nexec setpriv --no-new-privs --bounding-set=-all,%s %s "$@"\n' "$capabilities" "$lodged" > "$T/confined"
    chmod 755 "$T/confined"
    lodged=$T/confined
    replace socket_group games
    start
    python <<'PY'
log = lambda: open(T + "/log/deliver.log").read()
os.kill(server, signal.SIGUSR2)
wait_until(lambda: log().count(" serves ") == 2, what="start of the new program")
os.kill(server, signal.SIGHUP)
wait_until(lambda: "configuration reloaded" in log())
Client(unix).deliver()
PY
    [ "$(stat -c %U:%G "$T/lmtp")" = root:games ]
    [ "$(stat -c %U "$T/mail/example.org/ana")" = nobody ]
}

@test "an idle worker uses less than 3 MiB" {
    start
    python <<'PY'
client = Client(unix)
client.deliver()
client.quit()
def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
sizes = [pss(pid) for pid in children(server)]
print(f"# PSS of the workers: {sizes} KiB", file=sys.stderr)
assert max(sizes) < 3072, sizes
PY
}

@test "what a script needs to decode MIME is loaded when it does, and once for the workers that follow" {
    mkdir -p "$T/mail/example.org/ana"
    echo 'require "body"; if body :text :contains "hello" { discard; }' > "$T/mail/example.org/ana/.dovecot.sieve"
    [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/mail/example.org"
    start
    python <<'PY'
def has_module(pid):
    try:
        with open(f"/proc/{pid}/maps") as file:
            return "lodge-mime" in file.read()
    except OSError:  # gone, and who cannot be asked is no better
        return False
client = Client(unix)
client.deliver("no")
client.quit()
assert not any(map(has_module, children(server) + [server]))
client = Client(unix)
client.begin()
client.send("Content-Transfer-Encoding: base64\r\n")
client.finish("aGVsbG8=")
client.quit()
wait_until(lambda: has_module(server), what="the module in the master")
before = children(server)
for pid in before:
    os.kill(pid, signal.SIGKILL)
wait_until(lambda: len(set(children(server)) - set(before)) >= 2, what="two workers more")
assert all(map(has_module, set(children(server)) - set(before)))
PY
    [ "$(stored)" -eq 1 ]
}

@test "200 connections at once for a minute, some of them slow: every message gets its reply" {
    replace max_workers 210
    start
    python <<'PY'
END = time.monotonic() + 50
failures, delivered = [], []

def often(number):
    """One message now and then on one connection, as a busy MTA keeps it."""
    client = Client(unix)
    time.sleep(number % 100 / 10)
    while time.monotonic() < END:
        client.deliver(f"message of {number}")
        delivered.append(number)
        time.sleep(10)
    client.quit()

def slowly(number):
    """One message, a few octets at a time, all the while."""
    client = Client(unix)
    client.begin()
    while time.monotonic() < END:
        client.send("slow ")
        time.sleep(1)
    client.finish(f"message of {number}")
    delivered.append(number)
    client.quit()

def guarded(function, number):
    try:
        function(number)
    except Exception as failure:
        failures.append(f"{function.__name__} {number}: {failure!r}")

threads = [threading.Thread(target=guarded, args=(often if i >= 5 else slowly, i)) for i in range(200)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
assert set(delivered) == set(range(200)), "some connection never delivered"
stored = len(os.listdir(T + "/mail/example.org/ana/new"))
assert stored == len(delivered), (stored, len(delivered))
print(f"# {stored} messages", file=sys.stderr)
PY
}

# The fewest that one of ten deliveries needed: now and then one also sweeps tmp/, or asks what the file system is.
calls_of_a_delivery() {
    strace -D -f -o "$T/trace" "$lodged" -c "$T/lodge.conf" "$@" 2> "$T/err" 3>&- 4>&- &
    server=$!
    until_true logged 'serves'
    python <<'PY'
client = Client(unix)
for _ in range(10):
    client.send("MAIL FROM:<test@test.example>\r\nRCPT TO:<ana@example.org>\r\nDATA\r\n")
    for code in ("250", "250", "354"):
        client.expect(code)
    client.finish()
client.quit()
lines = [line.split(" ", 1) for line in open(T + "/trace") if "<unfinished" not in line]
replies = [(number, pid) for number, (pid, call) in enumerate(lines) if '"250 2.0.0 <' in call]
assert len(replies) == 10 and len({pid for _, pid in replies}) == 1, replies
calls = [[call for pid, call in lines[before + 1 : after + 1] if pid == worker]
         for (before, worker), (after, _) in zip(replies, replies[1:])]
fewest = min(calls, key=len)
print(len(fewest))
sys.stderr.writelines(fewest)
PY
}

@test "a delivery is at most 22 system calls, 36 with quota" {
    chmod 2770 "$T/mail" # what is made there is for the group as well
    calls_of_a_delivery > "$T/plain"
    kill -TERM $server
    wait_gone $server 40
    rm "$T/log/deliver.log"
    calls_of_a_delivery -o quota.bytes=1G > "$T/quota"
    [ "$(cat "$T/plain")" -le 22 ] && [ "$(cat "$T/quota")" -le 36 ]
}
