# tests/faults/crash.bats - a power failure at any instant loses nothing that was acknowledged

load ../lib/scratch.bash

setup() { scratch_make crash; }
teardown() { scratch_remove; }

@test "whatever a crash leaves of deliver's files, what it stored is there and whole, and each fsync is needed" {
    python3 "$lodge_top/tests/faults/crash_runs.py" "$T" pipe $RANDOM
}

@test "whatever a crash leaves of lodged's files, what it stored is there and whole, and each fsync is needed" {
    python3 "$lodge_top/tests/faults/crash_runs.py" "$T" lmtp $RANDOM
}
