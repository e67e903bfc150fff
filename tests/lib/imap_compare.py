#!/usr/bin/env python3
"""imap_compare.py HOST:PORT PASSWORD DIRECTORY MANIFEST [MAILBOX=RECIPIENT...] - is what IMAP hands back what was sent?

For each mailbox (an IMAP login, followed by the envelope recipient it collects)
every message of INBOX is fetched. From the field X-Lodge-Test on, each must equal
DIRECTORY/<id>.eml octet for octet; above it only the fields that deliveries
prepend may stand, with the envelope of the manifest in them. Exactly the messages
sent to RECIPIENT must be there, each once, and RFC822.SIZE must be true.
Says what differs and exits 1.
"""

import collections
import imaplib
import json
import pathlib
import re
import sys

PREPENDED = {"return-path", "delivered-to", "x-original-to", "received"}
MARK = b"X-Lodge-Test: "


def mailbox(address, login, password, folder="INBOX"):
    """Yields (size as told, octets) of every message of the folder."""
    host, port = address.split(":")
    imap = imaplib.IMAP4(host, int(port))
    imap.authenticate("PLAIN", lambda _: f"\0{login}\0{password}".encode())
    status, answer = imap.select(folder, readonly=True)
    if status != "OK":
        raise SystemExit(f"{login}: cannot select {folder}: {answer}")
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


def check_prepended(head, entry, recipient):
    """Complaints about the fields above the message itself."""
    fields = re.sub(rb"\r\n[ \t]+", b" ", head).decode("utf-8", "replace").split("\r\n")[:-1]
    names = collections.Counter(field.partition(":")[0].lower() for field in fields)
    values = dict(reversed([(f.partition(":")[0].lower(), f.partition(":")[2].strip()) for f in fields]))
    sender = entry["sender"]
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


def compare(address, login, password, recipient, directory, manifest):
    expected = {e["id"]: e for e in manifest if recipient in e["recipients"]}
    seen = collections.Counter()
    for size, raw in mailbox(address, login, password):
        at = raw.find(MARK)
        name = raw[at + len(MARK):raw.find(b"\r\n", at)].decode("utf-8", "replace") if at >= 0 else None
        if name not in expected:
            yield f"{login}: a message nobody sent here: {name}: {raw[:200]!r}"
            continue
        seen[name] += 1
        sent = (directory / f"{name}.eml").read_bytes()
        if raw[at:] != sent:
            yield f"{login}: {name}: {first_difference(raw[at:], sent)}"
        if size != len(raw):
            yield f"{login}: {name}: RFC822.SIZE says {size}, fetched {len(raw)}"
        for complaint in check_prepended(raw[:at], expected[name], recipient):
            yield f"{login}: {name}: {complaint}"
    for name in expected:
        if seen[name] != 1:
            yield f"{login}: {name} is there {seen[name]} times"
    if not expected:
        yield f"{login}: nothing was sent to {recipient}: the comparison means nothing"


def main():
    address, password, directory, manifest_file, *pairs = sys.argv[1:]
    with open(manifest_file, encoding="utf-8") as lines:
        manifest = [json.loads(line) for line in lines]
    complaints = []
    for pair in pairs:
        login, _, recipient = pair.partition("=")
        complaints += compare(address, login, password, recipient or login, pathlib.Path(directory), manifest)
    for complaint in complaints[:15]:
        print(complaint)
    if complaints:
        raise SystemExit(f"{len(complaints)} complaints")
    print(f"{sum(len(e['recipients']) for e in manifest)} copies of {len(manifest)} messages are what was sent")


if __name__ == "__main__":
    main()
