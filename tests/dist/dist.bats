#!/usr/bin/env bats
# What is installed beside the programs, checked by the programs that read it.

setup() {
    dist=$BATS_TEST_DIRNAME/../../dist
    T=$(mktemp -d)
    chmod 755 "$T"
}

teardown() { rm -rf "$T"; }

@test "installed files are where Debian looks for them" {
    DESTDIR=$T cmake --install "$LODGE_BUILD" > "$T/log" 2>&1 || { cat "$T/log"; false; }
    for file in usr/sbin/lodged usr/bin/lodge usr/libexec/lodge/deliver usr/lib/systemd/system/lodge.service \
        usr/lib/systemd/system/lodge.socket usr/lib/sysusers.d/lodge.conf usr/lib/tmpfiles.d/lodge.conf \
        etc/logrotate.d/lodge usr/share/man/man8/lodged.8; do
        [ -f "$T/$file" ] || { echo "missing: $file"; find "$T" -type f; false; }
    done
    grep -qx 'ExecStart=/usr/sbin/lodged' "$T/usr/lib/systemd/system/lodge.service"
}

@test "systemd finds no fault in the units" {
    command -v systemd-analyze > /dev/null || skip "no systemd-analyze"
    # Only what is not installed here is replaced: the program.
    sed "s|/usr/sbin/lodged|$LODGE_BUILD/lmtp/lodged|" "$LODGE_BUILD/dist/lodge.service" > "$T/lodge.service"
    cp "$dist/lodge.socket" "$T"
    run systemd-analyze verify --man=no "$T/lodge.service" "$T/lodge.socket"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output != *lodge.s* ]]
}

@test "users and directories are made as described" {
    command -v systemd-sysusers > /dev/null && [ "$(id -u)" -eq 0 ] || skip "no systemd, or not root"
    mkdir -p "$T/etc"
    echo 'root:x:0:0::/root:/bin/sh' > "$T/etc/passwd"
    printf 'root:x:0:\nadm:x:4:\n' > "$T/etc/group"
    systemd-sysusers --root="$T" "$dist/lodge.sysusers"
    grep -q '^vmail:.*:/var/vmail:' "$T/etc/passwd"
    systemd-tmpfiles --root="$T" --create "$dist/lodge.tmpfiles"
    [ "$(stat -c %a "$T/var/log/lodge")" = 750 ]
    [ "$(stat -c %u "$T/var/vmail")" = "$(sed -n 's/^vmail:x:\([0-9]*\):.*/\1/p' "$T/etc/passwd")" ]
}

@test "logrotate rotates the log and wakes the server" {
    [ "$(id -u)" -eq 0 ] || skip "logrotate changes owners, which needs root"
    mkdir "$T/log"
    chown nobody "$T/log"
    sed -e "s|/var/log/lodge|$T/log|; s/vmail adm/nobody nogroup/" \
        -e "s|systemctl kill .*|echo woken > $T/woken|" "$dist/lodge.logrotate" > "$T/conf"
    chmod 644 "$T/conf"
    echo one > "$T/log/deliver.log"
    chown nobody:nogroup "$T/log/deliver.log"
    run logrotate -d "$T/conf"
    [[ $output != *error* ]]
    logrotate --force --state "$T/state" "$T/conf"
    [ "$(cat "$T/log/deliver.log.1")" = one ]
    [ "$(stat -c '%U %a %s' "$T/log/deliver.log")" = "nobody 640 0" ]
    [ "$(cat "$T/woken")" = woken ]
}
