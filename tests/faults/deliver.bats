# tests/faults/deliver.bats - nothing that `deliver` acknowledged is lost

load ../lib/scratch.bash

setup() { scratch_make faults; }
teardown() { scratch_remove; }

faults() { python3 "$lodge_top/tests/faults/$1.py" "$T" "${@:2}"; }

@test "deliver killed at any instant leaves nothing partial, and loses nothing it exited 0 for" {
    faults kill_deliver 100 $RANDOM
}

@test "every system call of deliver may fail: the mail is stored, or to be tried again" {
    faults break_calls
}

@test "every system call may fail where mailboxes are counted, and the accounts are right afterwards" {
    faults break_calls quota
}

@test "a redirect is not sent again, nor anything lost, when a kill at any system call has the MTA retry" {
    faults kill_redirect
}
