#!/usr/bin/env python3
"""strace_delivery.py DIRECTORY lmtp|pipe TRACE - a delivery under strace, for sync_order.py

The first message to mailboxes that do not exist yet, one into a new folder, and one
into mailboxes that do. Large enough that the message is not written at once.
"""

import random
import subprocess
import sys

import installation
import lmtp_load
import proof

USERS = ["ana@example.org", "bob@example.net", "carl@example.org"]
CALLS = "trace=openat,openat2,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,fsync,fdatasync,write,writev,pwrite64,pwritev,sendfile,copy_file_range,splice,send,sendto,sendmsg"


def strace(trace):
    # Long strings only where replies are; -s cuts messages.
    return ["strace", "-f", "-y", "-s", "200", "-o", trace, "-e", CALLS]


def by_lmtp(lodge, trace, account):
    with lodge.running():
        worker = lodge.workers()[0]
        with subprocess.Popen([*strace(trace), "-p", str(worker)], stderr=subprocess.PIPE, text=True) as tracer:
            tracer.stderr.readline()  # "attached": from here on nothing is missed
            for number, users in enumerate([USERS, ["ana+new@example.org", USERS[1]], USERS]):
                name = f"lmtp-{number}"
                account.add(lmtp_load.send_one(lodge, name, proof.make(name, 700_000, random.Random(1)), users))
            tracer.terminate()


def by_pipe(lodge, trace, account):
    with open(trace, "wb") as out:
        for number, user in enumerate([USERS[0], "ana+new@example.org", USERS[0]]):
            name, part = f"pipe-{number}", f"{trace}.part"
            status, output = lodge.deliver(user, proof.make(name, 700_000, random.Random(1)), before=strace(part))
            account.note(name, user, 250 if status == 0 else 550, output)
            with open(part, "rb") as lines:
                out.write(lines.read())


def main():
    base, way, trace = sys.argv[1:]
    lodge = installation.Installation(base, USERS, ["mail.detail_folder=create", "lmtp.min_workers=1", "lmtp.max_workers=1"])
    account = proof.Account()
    {"lmtp": by_lmtp, "pipe": by_pipe}[way](lodge, trace, account)
    print(account.summary())
    # Mail for a detail lies below its user.
    account.stored = {(name, user.replace("+new", "")) for name, user in account.stored}
    complaints = list(account.complaints(lodge.mail))
    if set(account.replies) != {250}:
        complaints.append("not everything was stored: the trace proves nothing")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
