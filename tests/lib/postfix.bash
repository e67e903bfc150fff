# tests/lib/postfix.bash - a private Postfix below $T/postfix
#
# Real programs, own configuration, queue, data and log; nothing of the system's
# instance is read but its list of lookup types. No mail can leave: every
# destination that is not ours is an error.

# postfix_start LINE...: lines to add to main.cf. Sets
#   postfix_base  the instance's directory
#   smtp_port     as an MX would: unknown recipients are refused at RCPT
#   open_port     the same without that check, so that the answer is ours
postfix_start() {
    export postfix_base=$T/postfix smtp_port open_port
    read -r smtp_port open_port <<< "$(free_ports 2)"
    mkdir -p "$postfix_base"/{etc,queue,data}
    chown postfix "$postfix_base/data"
    postfix_main_cf > "$postfix_base/etc/main.cf"
    printf '%s\n' "$@" >> "$postfix_base/etc/main.cf"
    postfix_master_cf > "$postfix_base/etc/master.cf"
    touch -d '1 minute ago' "$postfix_base"/etc/*.cf # each program of Postfix waits until they are no longer new
    postfix -c "$postfix_base/etc" start > "$T/postfix-start.log" 2>&1 3>&- || { cat "$T/postfix-start.log"; return 1; }
    until_true 20 postfix_answers
}

postfix_answers() {
    (exec 4<> "/dev/tcp/127.0.0.1/$smtp_port" && read -r -t 5 line <&4 && [[ $line == 220* ]]) 2> /dev/null
}

postfix_stop() {
    local pid_file=$postfix_base/queue/pid/master.pid
    [ -s "$pid_file" ] || return 0
    stop_pid "$(tr -d ' ' < "$pid_file")"
}

postfix_flush() { postqueue -c "$postfix_base/etc" -f; }
postfix_queue() { postqueue -c "$postfix_base/etc" -j; }

# Waits until nothing is left in the queue.
postfix_drain() { # SECONDS
    until_true "$1" is_empty postfix_queue || { postfix_queue | head -n 5; return 1; }
}

postfix_main_cf() {
    cat <<CONFIG
compatibility_level = 3.6
queue_directory = $postfix_base/queue
data_directory = $postfix_base/data
maillog_file = $T/maillog.log
maillog_file_prefixes = $T
myhostname = mx.lodge.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
default_transport = error:5.7.1 no mail leaves the test
relay_transport = error:5.7.1 no mail leaves the test
smtputf8_enable = yes
lodge_destination_recipient_limit = 1
lodgezip_destination_recipient_limit = 1
lmtp_line_length_limit = 0
lmtp_destination_concurrency_limit = 8
message_size_limit = 50000000
# What is sent must be what is stored: Postfix is told to leave headers alone.
header_size_limit = 4000000
local_header_rewrite_clients =
message_drop_headers =
# As fast as a test wants it.
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
CONFIG
}

postfix_master_cf() {
    cat <<CONFIG
127.0.0.1:$smtp_port inet n - n - - smtpd
127.0.0.1:$open_port inet n - n - - smtpd
    -o smtpd_reject_unlisted_recipient=no
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
lodge unix - n n - 8 pipe
    flags=DRhu user=$mail_user:$mail_group argv=$T/deliver -c $T/etc/lodge.conf -f \${sender} -d \${recipient}
lodgezip unix - n n - 8 pipe
    flags=DRhu null_sender= user=$mail_user:$mail_group argv=$T/deliver -c $T/etc/lodge.conf -o mail.compress=gzip -f \${sender} -a \${original_recipient} -d \${recipient}
CONFIG
}
