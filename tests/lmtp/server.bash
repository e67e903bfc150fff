# tests/lmtp/server.bash - lodged as a process, below a directory of the test's own
#
# server_setup makes configuration and map below $T; as root the mail user is nobody,
# otherwise everything runs as whoever runs the test. start waits until lodged serves.

server_setup() {
    lodged=$LODGE_BUILD/lmtp/lodged
    T=$(mktemp -d /tmp/lodge-server-XXXXXX)
    mkdir "$T/mail" "$T/log"
    chmod 755 "$T"
    sqlite3 "$T/map.db" 'CREATE TABLE users (email TEXT, password TEXT);
        INSERT INTO users VALUES ("ana@example.org", "");'
    cat > "$T/lodge.conf" <<CONF
[mail]
user = nobody
root = $T/mail
[map]
path = $T/map.db
preset = tutorial
[lmtp]
listen = unix:$T/lmtp
socket_group =
min_workers = 2
max_workers = 8
[log]
path = $T/log/deliver.log
CONF
    [ "$(id -u)" -ne 0 ] || chown nobody "$T/mail" "$T/log"
    server=
    export PYTHONPATH=$BATS_TEST_DIRNAME/../lib T
    export PYTHONDONTWRITEBYTECODE=1
}

teardown() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill -TERM "$server"
        wait_gone "$server" 40 || kill -KILL "$server"
    fi
    rm -rf "$T"
}

# until_true COMMAND...: polls it for at most 20 seconds
until_true() {
    local deadline=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never true: $*"; cat "$T/err" "$T/log/deliver.log"; return 1; } >&2
        sleep 0.05
    done
}

wait_gone() { # PID SECONDS
    local deadline=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

logged() { grep -q -- "$1" "$T/log/deliver.log" 2>/dev/null; }

# start [ARGUMENT...]: until it serves; its process id is in $server
start() {
    "$lodged" -c "$T/lodge.conf" "$@" 2> "$T/err" 3>&- 4>&- &
    server=$!
    export server
    until_true logged 'serves'
}

# python: the script on standard input, with the client at hand
python() { python3 -c "
import os, signal, socket, subprocess, sys, time
from lmtp_client import *
T, server = os.environ['T'], int(os.environ.get('server') or 0)
unix = T + '/lmtp'
$(cat)"; }

# replace KEY VALUE: in the configuration file
replace() { sed -i "s|^$1 =.*|$1 = $2|" "$T/lodge.conf"; }

status_line() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; }

# A service manager of a few lines: holds sockets by name, passes them, starts lodged again.
# The variable passed, set before it, says which: {"name": "file name"}.
manager='
def listen_at(name):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(T + "/" + name)
    listener.listen(16)
    os.chmod(T + "/" + name, 0o666)
    return fcntl.fcntl(listener, fcntl.F_DUPFD, 100)  # out of the way of those below

import fcntl
sockets = [listen_at(name) for name in passed.values()]
notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notices.bind(T + "/notify")
notices.settimeout(30)
os.chmod(T + "/notify", 0o666)

def pass_sockets():
    for number, fd in enumerate(sockets):
        os.dup2(fd, 3 + number, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)),
                      LISTEN_FDNAMES=":".join(passed), NOTIFY_SOCKET=T + "/notify")

def launch():
    return subprocess.Popen([os.environ["LODGED"], "-c", T + "/lodge.conf"],
                            preexec_fn=pass_sockets, close_fds=False)

def notice(start):
    while True:
        text = notices.recv(4096).decode()
        if text.startswith(start):
            return text
'
