# tests/lib/lodge.bash - lodge installed below $T, as `lodge init` says it should be
#
# The lines for main.cf and dovecot.conf that it prints are used as printed.

# lodge_install SETTING...: over those that any test needs
lodge_install() {
    local setting options=()
    for setting in mail.user=$mail_user mail.group=$mail_group mail.root="$T/mail" mail.hostname=lodge.test \
        mail.spool_dir="$T/spool" lmtp.listen="unix:$T/lmtp" lmtp.socket_mode=0660 lmtp.socket_group=postfix \
        lmtp.min_workers=2 log.path="$T/log/deliver.log" map.busy_timeout=1s "$@"; do
        options+=(-o "$setting")
    done
    "$LODGE_BUILD/lda/lodge" "${options[@]}" init "$T/etc" > "$T/steps"
    chmod 644 "$T/etc/map.db" # instead of the group "lodge", which a test does not make
    install -d -m 750 -o $mail_user -g $mail_group "$T/mail" "$T/spool" "$T/log"
    # Where Postfix may run it: nobody knows who may enter the build directory.
    install -m 755 "$LODGE_BUILD/lda/deliver" "$T/deliver"
}

# The lines printed below a heading, as they are to be pasted.
lodge_steps() { # HEADING
    awk -v heading="$1" 'index($0, heading) == 1 {found = 1; next} found && /^[^ ]/ {exit} found {print substr($0, 5)}' "$T/steps"
}

lodge() { "$LODGE_BUILD/lda/lodge" -c "$T/etc/lodge.conf" "$@"; }

# Each with the password of all tests.
lodge_users() { # USER...
    local user
    for user in "$@"; do
        lodge user add "$user"
        echo "$password" | lodge user password "$user"
    done
}
password='correct horse "battery" staple'

# lodged_start NAME OVERRIDE...: prints the process id
lodged_start() {
    local name=$1 override options=()
    for override in "${@:2}"; do options+=(-o "$override"); done
    "$LODGE_BUILD/lmtp/lodged" -c "$T/etc/lodge.conf" "${options[@]}" > "$T/$name.log" 2>&1 3>&- &
    echo $!
}
