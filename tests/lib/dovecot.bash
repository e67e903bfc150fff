# tests/lib/dovecot.bash - a private Dovecot IMAP server below $T/dovecot

# dovecot_start FILE: with the passdb and userdb blocks and what else the test needs.
# Sets imap_port and dovecot_pid.
dovecot_start() {
    export imap_port dovecot_pid
    local base=$T/dovecot
    imap_port=$(free_ports 1)
    mkdir -p "$base"
    cat > "$base/dovecot.conf" <<CONFIG
base_dir = $base/run
state_dir = $base/state
log_path = $T/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
# Empty is all: a login may be an address in UTF-8.
auth_username_chars =
mail_plugins = zlib
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
# The tests log in as everybody from one address.
mail_max_userip_connections = 100
auth_failure_delay = 0
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  inet_listener imap {
    port = $imap_port
  }
  inet_listener imaps {
    port = 0
  }
}
!include $1
CONFIG
    dovecot -F -c "$base/dovecot.conf" > "$T/dovecot-start.log" 2>&1 3>&- &
    dovecot_pid=$!
    until_true 20 dovecot_answers || { cat "$T/dovecot-start.log"; return 1; }
}

dovecot_answers() {
    (exec 4<> "/dev/tcp/127.0.0.1/$imap_port" && read -r -t 5 line <&4 && [[ $line == "* OK"* ]]) 2> /dev/null
}

dovecot_stop() { [ -z "${dovecot_pid-}" ] || stop_pid "$dovecot_pid"; }
