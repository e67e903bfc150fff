# tests/e2e/common.bash - Postfix, lodge and Dovecot, all real, all private, around one map

load ../lib/scratch.bash
load ../lib/lodge.bash
load ../lib/postfix.bash
load ../lib/dovecot.bash

# system_start: after lodge_install and the rows that the test needs
system_start() {
    export lodged_pid
    lodged_pid=$(lodged_start lodged)
    until_true 20 test -S "$T/lmtp"
    lodge_steps "Dovecot 2.3" > "$T/dovecot-lodge.conf"
    dovecot_start "$T/dovecot-lodge.conf"
    mapfile -t postfix_lines < <(lodge_steps "Postfix, main.cf")
    postfix_start "${postfix_lines[@]}"
}

system_stop() {
    postfix_stop
    dovecot_stop
    [ -z "${lodged_pid-}" ] || stop_pid "$lodged_pid"
}

smtp_one() { python3 "$lodge_lib/smtp_one.py" "127.0.0.1:$smtp_port" "$@"; }
smtp_one_unchecked() { python3 "$lodge_lib/smtp_one.py" "127.0.0.1:$open_port" "$@"; }
imap_show() { python3 "$lodge_lib/imap_show.py" "127.0.0.1:$imap_port" "$1" "$password" "${@:2}"; }
