"""tests/e2e/shared_owners.py - what each of five users sees while the others change what they have in common

Two messages go to all five and each is one file. Each user does something else with the first, and
all are asked what they see before and after.
"""

import functools
import imaplib
import json
import os
import pathlib
import re
import subprocess

from lmtp_client import Client

USERS = ("ana", "bob", "carl", "dora", "eva")
BASE = pathlib.Path(os.environ["T"])
BODY = "".join(f"line {number} of what all five have\r\n" for number in range(200))


def address(user):
    return f"{user}@s.test"


def maildir(user):
    return BASE / f"mail/s.test/{user}/Maildir"


def ok(answer):
    if answer[0] != "OK":
        raise AssertionError(f"IMAP: {answer}")
    return answer[1]


@functools.cache
def imap_of(user):
    imap = imaplib.IMAP4("127.0.0.1", int(os.environ["imap_port"]), timeout=60)
    imap.login(address(user), "any")
    return imap


def deliver(subject):
    client = Client(str(BASE / "lmtp"))
    client.command("MAIL FROM:<test@far.test>", "250")
    for user in USERS:
        client.command(f"RCPT TO:<{address(user)}>", "250")
    client.command("DATA", "354")
    client.send(f"Subject: {subject}\r\n\r\n{BODY}.\r\n")
    for user in USERS:
        reply = client.reply()
        assert reply.startswith(f"250 2.0.0 <{address(user)}> "), reply
    client.quit()


# ---- what is there --------------------------------------------------------------


def seen(user, folder="INBOX"):
    """subject -> (flags, date, size, text, UID) of each message, as IMAP tells it."""
    imap, found = imap_of(user), {}
    ok(imap.select(folder))
    for part in ok(imap.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")):
        if not isinstance(part, tuple):
            continue
        flags = set(re.search(rb"FLAGS \(([^)]*)\)", part[0])[1].decode().split()) - {r"\Recent"}
        date = re.search(rb'INTERNALDATE "([^"]*)"', part[0])[1]
        size, uid = (int(re.search(rb"%s (\d+)" % word, part[0])[1]) for word in (rb"RFC822\.SIZE", b"UID"))
        subject = re.search(rb"^Subject: (\S+)", part[1], re.M)[1].decode()
        found[subject] = (flags, date, size, part[1], uid)
    return found


def files(user):
    return [file for box in ("new", "cur") for file in maildir(user).rglob(f"{box}/*")]


def inodes():
    """One for each message of all users."""
    return {file.stat().st_ino for user in USERS for file in files(user)}


def check_quota():
    lodge = [f"{os.environ['LODGE_BUILD']}/lda/lodge", "-c", f"{BASE}/etc/lodge.conf", "quota"]
    addresses = [address(user) for user in USERS]
    verified = subprocess.run([*lodge, "verify", *addresses], stdout=subprocess.PIPE, text=True, check=False)
    assert verified.returncode == 0, verified.stdout
    rows = json.loads(subprocess.run([*lodge, "get", *addresses, "--json"], stdout=subprocess.PIPE, check=True).stdout)["mailboxes"]
    for user, row in zip(USERS, rows):
        there = files(user)
        octets = sum(file.stat().st_size for file in there)
        assert (row["bytes"], row["messages"]) == (octets, len(there)), (user, row, octets, len(there))
        answer = ok(imap_of(user).getquotaroot("INBOX"))[1][0].decode()
        assert f"STORAGE {-(-octets // 1024)} " in answer, (user, answer, octets)


# ---- what they do ---------------------------------------------------------------


def flag(imap):
    ok(imap.store("1", "+FLAGS", r"(\Seen \Flagged $label)"))


def expunge(imap):
    ok(imap.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(imap.expunge())


def move(imap):
    ok(imap.create("Kept"))
    ok(imap.uid("MOVE", ok(imap.uid("SEARCH", "1"))[0].decode(), "Kept"))


def copy(imap):
    ok(imap.create("Kept"))
    ok(imap.copy("1", "Kept"))


DEEDS = {"ana": flag, "bob": expunge, "carl": move, "dora": copy}  # eva does nothing


def main():
    for subject in ("first", "second"):
        deliver(subject)
    assert len(inodes()) == 2, f"{len(inodes())} files for two messages"
    check_quota()
    before = {user: seen(user) for user in USERS}
    texts = {(subject, what[1:4]) for user in USERS for subject, what in before[user].items()}
    assert len(texts) == 2, "they did not get the same"

    for user, deed in DEEDS.items():
        deed(imap_of(user))

    after = {user: seen(user) for user in USERS}
    expected = {user: dict(before[user]) for user in USERS}
    expected["ana"]["first"] = ({r"\Seen", r"\Flagged", "$label"}, *before["ana"]["first"][1:])
    for user in ("bob", "carl"):
        del expected[user]["first"]
    for user in USERS:
        assert after[user] == expected[user], f"{user} sees {after[user]}, not {expected[user]}"
    for user in ("carl", "dora"):
        assert seen(user, "Kept")["first"][:4] == before[user]["first"][:4], user
    assert len(inodes()) == 2, "somebody has a file of his own"
    check_quota()
    for user in USERS:
        imap_of(user).logout()


if __name__ == "__main__":
    main()
