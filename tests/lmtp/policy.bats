#!/usr/bin/env bats
# The policy service of lodged as a process: many connections, reload, upgrade, drain, death.
# What it answers to whom is in tests/transcripts-policy and tests/lda/test_check_room.c.

load server.bash

setup() {
    server_setup
    sqlite3 "$T/map.db" 'CREATE TABLE forwardings (source TEXT, destination TEXT);
        INSERT INTO forwardings VALUES ("info@example.org", "ana@example.org");'
    cat >> "$T/lodge.conf" <<CONF
[policy]
listen = unix:$T/policy
socket_group =
workers = 2
[quota]
bytes = 1000
CONF
}

# policy: as python, with a client of the policy service at hand
policy() {
    { echo 'from policy_client import *
path = T + "/policy"
log = lambda: open(T + "/log/deliver.log").read()
FULL, ROOM = "552 5.2.2 Mailbox is full", "DUNNO"'; cat; } | python
}

@test "a message that cannot fit is refused, with its figures in the log; one that fits is not" {
    start
    policy <<'PY'
client = PolicyClient(path)
assert client.ask("ana@example.org", size=1000) == ROOM
assert "event=policy" not in log()
for recipient in ("ana@example.org", "Ana+lists@Example.Org", "info@example.org"):
    assert client.ask(recipient, size=1001) == FULL
    assert client.ask(recipient, size=1001, state="END-OF-MESSAGE") == FULL
for recipient in ("nobody@example.org", "ana@elsewhere.example", "ana", ""):
    assert client.ask(recipient, size=1001) == ROOM
PY
    [ "$(grep -c 'event=policy' "$T/log/deliver.log")" -eq 6 ]
    grep 'event=policy' "$T/log/deliver.log" | grep ' to=info@example.org ' | grep ' from=test@test.example ' |
        grep -F ' client=mail.test.example[192.0.2.1] ' | grep ' user=ana@example.org ' | grep ' size=1001 ' |
        grep ' status=5.2.2 ' | grep -q '1,000'
}

@test "without [policy] listen there is no policy worker" {
    sed -i "s|^listen = unix:$T/policy||" "$T/lodge.conf"
    start
    until_true python <<< 'assert len(children(server)) == 2' # the sweep has ended
    [ ! -e "$T/policy" ]
}

@test "a locked map puts mail off until it is open again" {
    start
    policy <<'PY'
import sqlite3
client = PolicyClient(path)
assert client.ask("ana@example.org") == ROOM
writer = sqlite3.connect(T + "/map.db", isolation_level=None)
writer.execute("BEGIN EXCLUSIVE")
assert client.ask("ana@example.org") == "DEFER_IF_PERMIT 4.3.0 Service temporarily unavailable"
writer.execute("ROLLBACK")
assert client.ask("ana@example.org") == ROOM
PY
    logged 'event=policy .* status=4.3.0 .*locked'
}

@test "thousands of requests over one connection, a hundred at a time" {
    start
    policy <<'PY'
client = PolicyClient(path)
many = [(f"info+{i}@example.org", 900 + i % 200) for i in range(100)]
for turn in range(30):
    client.send("".join(request(recipient, size=size) for recipient, size in many))
    for recipient, size in many:
        assert client.answer() == (FULL if size > 1000 else ROOM)
PY
}

@test "hundreds of idle connections keep neither mail nor another request waiting" {
    replace workers 1
    replace max_workers 2
    replace min_workers 1
    start
    policy <<'PY'
idle = [PolicyClient(path) for _ in range(400)]
for client in idle[::7]:
    assert client.ask("ana@example.org") == ROOM
Client(unix).deliver()
assert PolicyClient(path).ask("ana@example.org", size=1001) == FULL
for client in idle:
    assert client.ask("ana@example.org") == ROOM
PY
}

@test "when there is no room for another connection, the longest silent gives way" {
    replace workers 1
    ulimit -n 2048
    start
    policy <<'PY'
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
silent = PolicyClient(path)
assert silent.ask("ana@example.org") == ROOM
active = PolicyClient(path)
many = []
while len(many) < 1000:
    many.append(PolicyClient(path))
    if len(many) % 100 == 0:
        assert active.ask("ana@example.org") == ROOM
        assert many[-1].ask("ana@example.org") == ROOM
assert silent.has_ended()
assert active.ask("ana@example.org") == ROOM
PY
}

@test "a connection that stays silent is closed" {
    replace workers 1
    start -o policy.idle_timeout=1
    policy <<'PY'
client = PolicyClient(path)
assert client.ask("ana@example.org") == ROOM
half = PolicyClient(path)
half.send("request=smtpd_access_policy\n")
assert client.has_ended() and half.has_ended()
assert PolicyClient(path).ask("ana@example.org") == ROOM
PY
}

@test "a policy worker that is killed is replaced" {
    replace workers 1
    start
    policy <<'PY'
client = PolicyClient(path)
assert client.ask("ana@example.org") == ROOM
lines = os.popen("ss -xpnH").read().splitlines()
own = str(os.fstat(client.socket.fileno()).st_ino)
worker = next(int(line.rpartition("pid=")[2].split(",")[0]) for line in lines if line.split()[7] == own)
assert worker in children(server)
os.kill(worker, signal.SIGKILL)
assert client.has_ended()
assert PolicyClient(path).ask("ana@example.org", size=1001) == FULL
Client(unix).deliver()
PY
    until_true logged 'policy worker .* was killed by signal 9'
}

# Asks all the time from several threads; every request must be answered.
load='
import threading
class Asking:
    def __init__(self):
        self.failures, self.answers, self.is_over = [], 0, False
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]
        for thread in self.threads:
            thread.start()
    def run(self):
        try:
            client = PolicyClient(path, retries=1)
            while not self.is_over:
                assert client.ask("ana@example.org") == ROOM
                self.answers += 1
        except BaseException as failure:
            self.failures.append(repr(failure))
    def wait_for(self, count):
        goal = self.answers + count
        wait_until(lambda: self.failures or self.answers >= goal, what="answers")
    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures
'

@test "SIGHUP under load: every request is answered, and the new configuration holds" {
    start
    policy <<PY
$load
asking = Asking()
kept = PolicyClient(path)
assert kept.ask("ana@example.org", size=1500) == FULL
for turn in range(3):
    asking.wait_for(50)
    before = set(children(server))
    text = open(T + "/lodge.conf").read().replace("bytes = 1000", "bytes = 2000")
    open(T + "/lodge.conf", "w").write(text)
    os.kill(server, signal.SIGHUP)
    wait_until(lambda: not before & set(children(server)), what="end of the old workers")
assert kept.has_ended()
assert PolicyClient(path).ask("ana@example.org", size=1500) == ROOM
asking.wait_for(50)
asking.stop()
PY
}

@test "SIGHUP opens and closes the policy socket as the configuration says" {
    start
    policy <<'PY'
conf = open(T + "/lodge.conf").read()
line = f"listen = unix:{T}/policy\n"
def reload(text):
    count = log().count("configuration reloaded")
    open(T + "/lodge.conf", "w").write(text)
    os.kill(server, signal.SIGHUP)
    wait_until(lambda: log().count("configuration reloaded") > count, what="reload")
client = PolicyClient(path)
assert client.ask("ana@example.org") == ROOM
reload(conf.replace(line, ""))
assert client.has_ended() and not os.path.exists(path)
reload(conf.replace(line, f"listen = unix:{T}/other\n"))
assert PolicyClient(T + "/other").ask("ana@example.org") == ROOM
Client(unix).deliver()
PY
}

@test "SIGUSR2 under load: the new program serves the policy socket as before" {
    cp "$lodged" "$T/lodged"
    lodged=$T/lodged
    start
    policy <<PY
$load
asking = Asking()
asking.wait_for(50)
before = set(children(server))
os.kill(server, signal.SIGUSR2)
wait_until(lambda: log().count(" serves ") == 2, what="start of the new program")
wait_until(lambda: not before & set(children(server)), what="end of the old workers")
asking.wait_for(50)
asking.stop()
Client(unix).deliver()
PY
    grep ' serves ' "$T/log/deliver.log" | tail -n 1 | grep -qF "unix:$T/policy (policy)"
}

@test "SIGTERM: what has been asked is answered, then all connections end" {
    start
    policy <<'PY'
asked, idle = PolicyClient(path), PolicyClient(path)
assert idle.ask("ana@example.org") == asked.ask("ana@example.org") == ROOM
asked.send(request("ana@example.org", size=1001))
os.kill(server, signal.SIGTERM)
assert asked.answer() == FULL
assert asked.has_ended() and idle.has_ended()
assert not os.path.exists(path)
PY
    wait $server
    server=
}

@test "a socket that the service manager calls policy is served as such" {
    sed -i "s|^listen = unix:$T/policy||" "$T/lodge.conf"
    LODGED=$lodged policy <<PY
passed = {"lodge.socket": "passed", "policy": "asked"}
$manager
process = launch()
assert "/asked (policy)" in notice("READY=1")
assert PolicyClient(T + "/asked").ask("ana@example.org", size=1001) == FULL
Client(T + "/passed").deliver()
process.send_signal(signal.SIGUSR2)
notice("RELOADING=1")
assert "/asked (policy)" in notice("READY=1")
assert PolicyClient(T + "/asked").ask("ana@example.org", size=1001) == FULL
Client(T + "/passed").deliver()
process.terminate()
assert process.wait(30) == 0
PY
}

@test "beside a passed socket for LMTP, [policy] listen is opened all the same" {
    LODGED=$lodged policy <<PY
passed = {"lodge.socket": "passed"}
$manager
process = launch()
notice("READY=1")
assert PolicyClient(path).ask("ana@example.org", size=1001) == FULL
assert not os.path.exists(unix), "[lmtp] listen is not used then"
process.terminate()
assert process.wait(30) == 0
PY
}

@test "the policy socket has a mode and owner of its own" {
    start -o policy.socket_mode=0606 -o policy.socket_group=games
    [ "$(stat -c %a "$T/policy")" = 606 ]
    [ "$(stat -c %a "$T/lmtp")" = 660 ]
    [ "$(id -u)" -eq 0 ] || return 0
    [ "$(stat -c %G "$T/policy")" = games ]
}

@test "settings that cannot work are refused with a clear line" {
    run "$lodged" -c "$T/lodge.conf" -t -o policy.listen=inet:localhost:24
    [ "$status" -eq 78 ] && [[ $output == *localhost* ]]
    run "$lodged" -c "$T/lodge.conf" -t -o "policy.listen=unix:$T/lmtp"
    [ "$status" -eq 78 ] && [[ $output == *"in [lmtp] listen too"* ]]
    [ "$(id -u)" -eq 0 ] || return 0
    run "$lodged" -c "$T/lodge.conf" -t -o policy.socket_group=no-such-group
    [ "$status" -eq 78 ] && [[ $output == *"[policy] socket_group"* ]]
}

@test "started as root, policy workers are the mail user's and can do nothing else" {
    [ "$(id -u)" -eq 0 ] || return 0
    replace min_workers 1
    start
    until_true python <<< 'assert len(children(server)) == 3' # the sweep has ended
    for worker in $(python <<< 'print(*children(server))'); do
        [ "$(status_line "$worker" Uid)" = "65534 65534 65534 65534" ]
        [ "$(status_line "$worker" CapPrm)" = 0000000000000000 ]
        [ "$(status_line "$worker" NoNewPrivs)" = 1 ]
    done
}
