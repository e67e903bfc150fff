# tests/lda/submission.bats - redirects to an MTA that wants TLS, a login, or both

load ../lib/scratch.bash

setup() { scratch_make submission; }
teardown() { scratch_remove; }

login() { python3 "$lodge_top/tests/lda/smtp_login.py" "$T" "$@"; }

@test "an MTA with a certificate to trust gets login and message encrypted" {
    login sent tls=yes ca_file=@DIRECTORY@/own.pem user=lodge password_file=@DIRECTORY@/password mta.password=secret
}

@test "a certificate that nobody trusts is a reason to try again, and is named as that" {
    login certificate tls=yes
}

@test "a certificate of another host is a reason to try again, and is named as that" {
    login certificate tls=yes ca_file=@DIRECTORY@/own.pem mta.certificate=other.test
}

@test "TLS that is only tried does without trust" {
    login sent tls=try
}

@test "TLS that is only tried does without" {
    login "sent in clear" tls=try mta.starttls=no
}

@test "TLS that must be is not done without" {
    login STARTTLS tls=yes mta.starttls=no
}

@test "TLS from the first octet on" {
    login sent url=smtps://127.0.0.1:@PORT@ ca_file=@DIRECTORY@/own.pem mta.tls=yes
}

@test "TLS from the first octet on needs trust, even where TLS is only tried" {
    login certificate url=smtps://127.0.0.1:@PORT@ tls=try mta.tls=yes
}

@test "a wrong password is a reason to try again, and is named as that" {
    login "log in as 'lodge'" tls=yes ca_file=@DIRECTORY@/own.pem user=lodge password_file=@DIRECTORY@/password mta.password=other
}

@test "a login that is missing is a reason to try again, in the words of the MTA" {
    login "530 5.7.0 log in first" mta.starttls=no mta.password=secret
}
