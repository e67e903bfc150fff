#!/usr/bin/env python3
"""smtp_login.py DIRECTORY EXPECTED [SETTING...] - a redirect over TLS, with a login

The MTA is tests/lib/smtp_sink.py with a certificate that is made here for its address, as
DIRECTORY/own.pem. SETTING is of [submission], with @DIRECTORY@ and @PORT@ replaced; also of the MTA:

    mta.password=TEXT       what it wants of the user "lodge" (none: no login)
    mta.certificate=NAME    made out to that name instead
    mta.starttls=no         it offers none; mta.tls=yes: TLS from the first octet

EXPECTED is "sent", or what the reply of a temporary failure must contain. A message that was sent
came encrypted, but for "sent in clear".
"""

import pathlib
import subprocess
import sys

import installation
import smtp_sink

MESSAGE = b"Received: from a by b id Q1\r\nSubject: x\r\nMessage-ID: <1@sender.test>\r\n\r\nhello\r\n"


def make_certificate(base, name):
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", base / "key.pem", "-out", base / "own.pem", "-subj", "/CN=mta.test", "-addext", f"subjectAltName={kind}:{name}"],
        check=True, capture_output=True,
    )
    (base / "own.pem").chmod(0o644)


def split_settings(arguments, base):
    """(those of the MTA, those of [submission])"""
    pairs = [argument.replace("@DIRECTORY@", str(base)).split("=", 1) for argument in arguments]
    return {key[4:]: value for key, value in pairs if key.startswith("mta.")}, [pair for pair in pairs if not pair[0].startswith("mta.")]


def main():
    base, expected = pathlib.Path(sys.argv[1]), sys.argv[2]
    mta, settings = split_settings(sys.argv[3:], base)
    make_certificate(base, mta.get("certificate", "127.0.0.1"))
    (base / "password").write_text("secret\n", encoding="ascii")
    (base / "password").chmod(0o644)
    with smtp_sink.Sink(
        *([] if mta.get("starttls") == "no" else [base / "own.pem", base / "key.pem"]),
        login=("lodge", mta["password"]) if "password" in mta else None, encrypted=mta.get("tls") == "yes",
    ) as sink:
        options = [f"submission.{key}={value.replace('@PORT@', str(sink.port))}" for key, value in settings]
        lodge = installation.Installation(base, settings=[f"submission.url={sink.url}", *options])
        script = base / "redirect.sieve"
        script.write_text('redirect "eva@example.net";', encoding="ascii")
        status, output = lodge.deliver(lodge.users[0], MESSAGE, "-o", f"sieve.before={script}")
        sink.wait_for_end()
        messages, logins = sink.seen("message"), sink.seen("login")
    print(f"deliver: {status} {output.strip()}; the MTA has {len(messages)} messages, logins: {logins}")
    wanted = (0, 1) if expected.startswith("sent") else (75, 0)
    encrypted = "in clear" not in expected
    complaints = []
    if (status, len(messages)) != wanted or (status != 0 and expected not in output):
        complaints.append(f"expected: {expected}")
    if messages and sink.seen("mail")[0].endswith("encrypted") != encrypted:
        complaints.append(f"the message came {'in clear' if encrypted else 'encrypted'}")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
