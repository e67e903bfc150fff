#!/usr/bin/env python3
"""imap_compare.py [--null-sender TEXT] HOST:PORT PASSWORD DIRECTORY MANIFEST USER... - is what IMAP hands back what was sent?

Every message of INBOX of each user is fetched. From the field X-Lodge-Test on, each must equal
DIRECTORY/<id>.eml octet for octet; above it only the fields that deliveries
prepend may stand, with the envelope of the manifest in them. Exactly the messages
sent to the user must be there, each once, and RFC822.SIZE must be true.
Says what differs and exits 1.
"""

import argparse
import collections
import imaplib
import json
import pathlib
import re
import sys

PREPENDED = {"return-path", "delivered-to", "x-original-to", "received"}
MARK = b"X-Lodge-Test: "


def login(address, user, password):
    host, port = address.split(":")
    imap = imaplib.IMAP4(host, int(port))
    imap.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    return imap


def mailbox(address, user, password, folder="INBOX"):
    """Yields (size as told, octets) of every message of the folder."""
    imap = login(address, user, password)
    status, answer = imap.select(folder, readonly=True)
    if status != "OK":
        raise SystemExit(f"{user}: cannot select {folder}: {answer}")
    if int(answer[0]) > 0:
        _, answer = imap.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])")
        for part in answer:
            if isinstance(part, tuple):
                yield int(re.search(rb"RFC822.SIZE (\d+)", part[0])[1]), part[1]
    imap.logout()


def first_difference(got, expected):
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    return (
        f"{len(got)} octets, {len(expected)} sent; first difference at octet {at}:\n"
        f"  got  {got[max(0, at - 30):at + 50]!r}\n  sent {expected[max(0, at - 30):at + 50]!r}"
    )


def check_prepended(head, entry, recipient, null_sender):
    """Complaints about the fields above the message itself."""
    fields = re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "replace").split("\r\n")[:-1]
    names = collections.Counter(field.partition(":")[0].lower() for field in fields)
    values = dict(reversed([(f.partition(":")[0].lower(), f.partition(":")[2].strip()) for f in fields]))
    sender = entry["sender"] or null_sender
    if set(names) - PREPENDED:
        yield f"unexpected fields {sorted(set(names) - PREPENDED)}"
    if names["return-path"] != 1 or values["return-path"] != f"<{sender}>":
        yield f"Return-Path {values.get('return-path')!r} ({names['return-path']} times), expected <{sender}>"
    if names["delivered-to"] != 1 or values["delivered-to"] != recipient:
        yield f"Delivered-To {values.get('delivered-to')!r} ({names['delivered-to']} times), expected {recipient}"
    if names["received"] != 2:
        yield f"{names['received']} Received fields, expected ours and Postfix's"
    if f"id {entry['queue']}" not in head.decode("utf-8", "replace"):
        yield f"queue id {entry['queue']} is not in a Received field"


def compare(options, user, manifest):
    expected = {e["id"]: e for e in manifest if user in e["recipients"]}
    seen = collections.Counter()
    for size, raw in mailbox(options.address, user, options.password):
        at = raw.find(MARK)
        name = raw[at + len(MARK):raw.find(b"\r\n", at)].decode("utf-8", "replace") if at >= 0 else None
        if name not in expected:
            yield f"{user}: a message nobody sent here: {name}: {raw[:200]!r}"
            continue
        seen[name] += 1
        sent = (options.directory / f"{name}.eml").read_bytes()
        if raw[at:] != sent:
            yield f"{user}: {name}: {first_difference(raw[at:], sent)}"
        if size != len(raw):
            yield f"{user}: {name}: RFC822.SIZE says {size}, fetched {len(raw)}"
        for complaint in check_prepended(raw[:at], expected[name], user, options.null_sender):
            yield f"{user}: {name}: {complaint}"
    for name in expected:
        if seen[name] != 1:
            yield f"{user}: {name} is there {seen[name]} times"
    if not expected:
        yield f"{user}: nothing was sent: the comparison means nothing"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--null-sender", default="")
    parser.add_argument("address")
    parser.add_argument("password")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("manifest", type=pathlib.Path)
    parser.add_argument("users", nargs="+")
    options = parser.parse_args()
    manifest = [json.loads(line) for line in options.manifest.read_text(encoding="utf-8").splitlines()]
    complaints = [complaint for user in options.users for complaint in compare(options, user, manifest)]
    for complaint in complaints[:15]:
        print(complaint)
    if complaints:
        raise SystemExit(f"{len(complaints)} complaints")
    print(f"{sum(len(e['recipients']) for e in manifest)} copies of {len(manifest)} messages are what was sent")


if __name__ == "__main__":
    main()
