"""Messages that prove themselves, and what must hold of the Maildirs they are delivered to.

A proof message carries an id, the length and the SHA-256 of its body. So a file in a
Maildir can be judged without knowing what was sent: it is whole, or it is not.
"""

import collections
import gzip
import hashlib
import pathlib
import re
import zlib


def make(name, size, rng):
    """A message of about size octets, CRLF line ends, with name as its id."""
    rows = []
    left = size
    while left > 0:
        row = rng.randbytes(min(left, 35) // 2 + 1).hex().encode()
        if rng.random() < 0.05:
            row = b"." + row
        rows.append(row)
        left -= len(row) + 2
    body = b"\r\n".join(rows) + b"\r\n"
    digest = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    head = f"From: load@sender.test\r\nMessage-ID: <{name}@sender.test>\r\nX-Proof: {name} {digest}\r\n\r\n"
    return head.encode() + body


def judge(file):
    """(id, None) of a whole message, or (None, what is wrong with it)."""
    raw = file.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            return None, f"{len(raw)} compressed octets: {error}"
    told = re.search(r",S=(\d+)", file.name)
    if told is None or int(told[1]) != len(raw):
        return None, f"{len(raw)} octets, the name says {told and told[1]}"
    head, _, body = raw.partition(b"\n\n")
    proof = re.search(rb"^X-Proof: (\S+) (\S+)$", head, re.M)
    if proof is None:
        return None, f"no proof in its header: {head[-200:]!r}"
    if hashlib.sha256(body).hexdigest() != proof[2].decode():
        return None, f"{proof[1].decode()}: body of {len(body)} octets is not what was sent"
    return proof[1].decode(), None


def visible(root):
    """The files a reader sees: all in new/ and cur/."""
    for place in ("new", "cur"):
        yield from (file for file in pathlib.Path(root).rglob(f"{place}/*") if file.is_file())


class Account:
    """What was answered, to be held against what is there."""

    def __init__(self):
        self.stored = set()  # (id, user) that we were told is stored
        self.refused = []    # (id, user, code, text) told to be permanent failures
        self.replies = collections.Counter()

    def note(self, name, user, code, text=""):
        """code: of LMTP, or None when there was no answer."""
        self.replies[code] += 1
        if code is not None and 200 <= code < 300:
            self.stored.add((name, user))
        elif code is not None and not 400 <= code < 500:
            self.refused.append((name, user, code, text))

    def add(self, other):
        self.stored |= other.stored
        self.refused += other.refused
        self.replies += other.replies

    def complaints(self, root):
        """root/<domain>/<local>/Maildir are the mailboxes."""
        found = collections.Counter()
        for file in visible(root):
            name, fault = judge(file)
            if fault:
                yield f"{file}: {fault}"
            else:
                domain, local = file.relative_to(root).parts[:2]
                found[name, f"{local}@{domain}"] += 1
        for name, user in sorted(self.stored - set(found)):
            yield f"{name} was said to be stored for {user} and is not there"
        for name, user, code, text in self.refused:
            yield f"{name} for {user}: {code} {text}: a fault of ours told as permanent"

    def summary(self):
        return ", ".join(f"{count} x {code or 'no answer'}" for code, count in sorted(self.replies.items(), key=str))
