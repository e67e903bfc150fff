# tests/lib/scratch.bash - a directory for one test file, waiting, and stopping
#
# Sourced by the bats files. Everything a test file makes lies below $T, which
# other users may enter: Postfix, Dovecot and the workers run as their own.
# Nothing here sleeps for a result: conditions are asked for until a deadline.

bats_require_minimum_version 1.5.0
lodge_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lodge_lib=$lodge_top/tests/lib
# The user deliveries run as: any without rights will do, and this one always exists.
mail_user=nobody
mail_group=nogroup

export PYTHONPATH=$lodge_lib PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8

need_root() { [ "$(id -u)" -eq 0 ] || skip "needs root: $1"; }

scratch_make() { # NAME
    T=$(mktemp -d "${TMPDIR:-/tmp}/lodge-$1.XXXXXX")
    chmod 755 "$T"
    export T
}

scratch_remove() { rm -rf "${T:?}"; }

# until_true SECONDS COMMAND...: asks again and again; false after SECONDS
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ $SECONDS -ge $deadline ]; then
            echo "not within the time: $*"
            return 1
        fi
        sleep 0.05 # between two looks, never instead of one
    done
}

is_gone() { ! kill -0 "$1" 2> /dev/null; }
is_empty() { [ -z "$("$@")" ]; }
has_line() { grep -qE -- "$2" "$1" 2> /dev/null; }

# Ends the process with TERM; one that stays is killed, and that is a failure.
stop_pid() { # PID [SECONDS]
    kill -TERM "$1" 2> /dev/null || return 0
    if ! until_true "${2:-20}" is_gone "$1"; then
        kill -KILL "$1"
        return 1
    fi
}

free_ports() { # COUNT: that many loopback ports nobody listens on
    python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))
PYTHON
}

# In teardown: what the programs said, when the test failed.
show_logs() {
    [ -z "${BATS_TEST_COMPLETED-}" ] || return 0
    local log
    for log in "$T"/*.log "$T"/log/*.log; do
        [ -s "$log" ] || continue
        echo "--- ${log##*/}"
        tail -n "${1:-12}" "$log" | cut -c 1-400
    done
}
