# tests/faults/lodged.bats - nothing that `lodged` acknowledged is lost, whatever is killed, full or locked

load ../lib/scratch.bash

setup() { scratch_make faults; }
teardown() { scratch_remove; }

faults() { python3 "$lodge_top/tests/faults/$1.py" "$T" "${@:2}"; }

# In a mount namespace of its own: what is mounted there is nowhere else, and goes with the program.
faults_mounting() {
    need_root "it mounts small file systems"
    unshare --mount true || skip "a container without the right to mount"
    unshare --mount python3 "$lodge_top/tests/faults/$1.py" "$T" "${@:2}"
}

@test "workers killed at random under load lose nothing that was answered 250" {
    faults kill_lodged workers 160 $RANDOM
}

@test "a killed master takes its workers along, loses nothing, and is followed by the next" {
    faults kill_lodged master 10 $RANDOM
}

@test "a full disk defers mail until there is room, and leaves nothing partial" {
    faults_mounting no_room full_disk
}

@test "a log on a full disk, or without its directory, stops no mail" {
    faults_mounting no_room full_log
}

@test "a full spool defers what does not fit into memory" {
    faults_mounting no_room full_spool
}

@test "directories without write permission defer the mail of their mailbox only" {
    need_root "the workers must run as another user"
    faults no_room read_only
}

@test "a locked map defers mail until it is free" {
    faults no_room locked_map
}

@test "a map that is missing, empty, damaged or unreadable defers mail until it is mended" {
    need_root "the workers must run as another user"
    faults no_room missing_map
}

@test "a module that is missing for a while defers only the mail whose script needs it" {
    need_root "the workers must run as another user"
    faults missing_module
}

@test "peak memory does not grow with a message of 200 MB" {
    faults memory 200
}
