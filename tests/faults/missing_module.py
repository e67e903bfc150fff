#!/usr/bin/env python3
"""missing_module.py DIRECTORY - a module that is away for a while

Scripts that need it defer their mail until it is back; scripts that do not are not disturbed, and
the same worker goes on.
"""

import pathlib
import shutil
import sys

import installation
import lmtp_load
import proof

SCRIPTS = {
    "body": 'require ["body", "fileinto"]; if body :contains "hello" { fileinto "found"; }',
    "folded": 'require ["comparator-i;unicode-casemap", "fileinto"];'
              ' if header :comparator "i;unicode-casemap" "subject" "ΠΆΝΤΑ" { fileinto "found"; }',
    "plain": 'require "fileinto"; if header :is "x-found" "yes" { fileinto "found"; }',
}
MESSAGE = "Subject: πάντα\r\nX-Found: yes\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n".encode()


def send(lodge, name, user):
    (code, _), = lmtp_load.send_one(lodge, name, MESSAGE, [user]).replies.items()
    return code


def main():
    base = pathlib.Path(sys.argv[1])
    for folder in ("lda", "lmtp", "modules"):
        shutil.copytree(installation.BUILD / folder, base / "build" / folder, ignore=shutil.ignore_patterns("CMakeFiles", "*.a"))
    installation.BUILD = base / "build"
    users = {kind: f"{kind}@example.org" for kind in SCRIPTS}
    lodge = installation.Installation(base, users.values(), ["lmtp.min_workers=1", "lmtp.max_workers=1"])
    for kind, script in SCRIPTS.items():
        home = lodge.mail / "example.org" / kind
        home.mkdir(parents=True)
        (home / ".dovecot.sieve").write_text(script, encoding="utf-8")
        for path in (home.parent, home):
            shutil.chown(path, installation.MAIL_USER, installation.MAIL_GROUP)
    complaints = []
    away = base / "away"
    (base / "build/modules").rename(away)
    (base / "build/modules").mkdir()
    with lodge.running():
        worker = installation.wait_for(lambda: len(lodge.workers()) == 1 and lodge.workers(), 20, "one worker")
        for expected in ({"body": 451, "folded": 451, "plain": 250}, dict.fromkeys(SCRIPTS, 250)):
            answers = {kind: send(lodge, kind, user) for kind, user in users.items()}
            if answers != expected:
                complaints.append(f"{answers} instead of {expected}")
            for module in away.iterdir():
                shutil.move(module, base / "build/modules")
        if lodge.workers() != worker:
            complaints.append(f"worker {lodge.workers()}, not {worker}")
    for kind in SCRIPTS:
        if len(list(proof.visible(lodge.mail / "example.org" / kind / "Maildir/.found"))) != (2 if kind == "plain" else 1):
            complaints.append(f"{kind}: not found")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
