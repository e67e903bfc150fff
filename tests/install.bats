#!/usr/bin/env bats
# cmake --install puts everything where Debian would, and the pages are clean mdoc.

setup_file() {
    export DESTDIR=$BATS_FILE_TMPDIR/root
    cmake --install "$LODGE_BUILD" > /dev/null
}

@test "the programs are where README and the manual pages say" {
    [ -x "$DESTDIR/usr/sbin/lodged" ]
    [ -x "$DESTDIR/usr/bin/lodge" ]
    [ -x "$DESTDIR/usr/libexec/lodge/deliver" ]
}

@test "an installed program runs" {
    "$DESTDIR/usr/bin/lodge" --help | grep -q lodge
}

# A script and a message that need GMime.
encoded_mail() {
    echo 'require ["body", "fileinto"]; if body :contains "hello" { fileinto "found"; }' > "$BATS_TEST_TMPDIR/script"
    printf 'Content-Transfer-Encoding: base64\n\naGVsbG8=\n' > "$BATS_TEST_TMPDIR/mail"
}

@test "no program needs GMime, ICU or libcurl to start" {
    for program in sbin/lodged bin/lodge libexec/lodge/deliver; do
        run ldd "$DESTDIR/usr/$program"
        [[ $output == *libc.so* ]]
        [[ ! $output =~ gmime|gobject|libgio|libicu|libcurl ]]
    done
}

@test "of the libraries that have an archive here, deliver needs none to start" {
    run ldd "$DESTDIR/usr/libexec/lodge/deliver"
    [[ $output == *libc.so* ]]
    for package in glib-2.0 sqlite3 zlib libpcre2-8; do
        library=$(pkg-config --libs-only-l "$package") library=lib${library#-l} library=${library%% *}
        [ ! -e "$(pkg-config --variable=libdir "$package")/$library.a" ] || [[ $output != *"$library"* ]]
    done
    [[ $output != *libm.so* ]] # lda/late_math.c
}

@test "modules are found from where the tree is installed" {
    encoded_mail
    "$DESTDIR/usr/bin/lodge" sieve test --json "$BATS_TEST_TMPDIR/script" "$BATS_TEST_TMPDIR/mail" | grep -q '"mailbox":"found"'
}

@test "a module that is missing fails the run and is named" {
    encoded_mail
    cp -r "$DESTDIR" "$BATS_TEST_TMPDIR/without"
    rm "$BATS_TEST_TMPDIR/without/usr/lib/lodge/lodge-mime.so"
    run "$BATS_TEST_TMPDIR/without/usr/bin/lodge" sieve test --json "$BATS_TEST_TMPDIR/script" "$BATS_TEST_TMPDIR/mail"
    [ "$status" -ge 64 ]
    [[ $output == *lib/lodge/lodge-mime.so* ]]
}

@test "each program and the configuration file has its manual page" {
    man=$DESTDIR/usr/share/man
    for page in man1/lodge.1 man1/lodge-quota.1 man1/lodge-sieve.1 man5/lodge.conf.5 man8/lodged.8 man8/deliver.8; do
        [ -s "$man/$page" ]
    done
}

@test "the manual pages are clean mdoc" {
    for page in "$DESTDIR"/usr/share/man/man*/*; do
        # Its own pages are not in the index of this machine's manual.
        run bash -c "mandoc -T lint -W warning '$page' 2>/dev/null"
        echo "$output"
        [ -z "$output" ]
    done
}

@test "lodge.conf(5) describes every setting with its default" {
    page=$(mandoc -T ascii "$DESTDIR/usr/share/man/man5/lodge.conf.5" | sed 's/.\x08//g')
    "$DESTDIR/usr/bin/lodge" -c /dev/null config | sed -n 's/^\([a-z_]*\) *=.*/\1/p' > "$BATS_TEST_TMPDIR/keys"
    [ "$(wc -l < "$BATS_TEST_TMPDIR/keys")" -gt 30 ]
    while read -r key; do
        grep -qE "^ +$key( |\$)" <<<"$page" || { echo "$key is missing"; false; }
    done < "$BATS_TEST_TMPDIR/keys"
}

@test "the guide and the lookups for Postfix and Dovecot are installed as documentation" {
    doc=$DESTDIR/usr/share/doc/lodge
    [ -s "$doc/README.md" ] && [ -s "$doc/install.md" ]
    ls "$doc"/examples/postfix/*.cf
    ls "$doc"/examples/dovecot/*
}
