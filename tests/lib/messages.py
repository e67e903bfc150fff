#!/usr/bin/env python3
"""messages.py DIRECTORY COUNT SEED [CORPUS [LIMIT]] - makes mail for the end-to-end tests

Writes DIRECTORY/<id>.eml, CRLF line ends, each beginning with the header field
"X-Lodge-Test: <id>", by which it is found again. COUNT are generated, the first
of each kind with the kind's extremes; then come up to LIMIT of the real messages
in CORPUS. Real messages that Postfix itself would change (NUL, bare CR, no proper
header) are left out: they say nothing about us.
"""

import base64
import pathlib
import random
import re
import sys

WORDS = "the mail lies in its box until somebody comes to read it and then another arrives".split()
SCRIPTS = ["Grüße aus Köln", "日本語の本文です", "Привет, мир", "شكرا جزيلا", "naïve café", "🐈‍⬛ and 🦉"]


def words(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


def lines(rng, count):
    return "".join(words(rng, rng.randint(0, 14)) + "\n" for _ in range(count))


def header(rng, name, subject=None, more=""):
    subject = subject or words(rng, 5)
    return (
        f"From: Test <{name}@sender.test>\nTo: somebody@example.org\nSubject: {subject}\n"
        f"Date: Fri, 24 Nov 2023 10:0{rng.randint(0, 9)}:00 +0100\nMessage-ID: <{name}@sender.test>\n{more}"
    )


def text(rng, name):
    return header(rng, name) + "\n" + lines(rng, rng.randint(1, 60))


def latin1(rng, name):
    body = "".join(rng.choice(["Gr\xfc\xdfe", "fa\xe7ade", "\xa7 5", "\x80\xff"]) + "\n" for _ in range(20))
    more = "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n"
    return header(rng, name, more=more).encode() + b"\n" + body.encode("latin-1")


def utf8(rng, name):
    more = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    body = "".join(rng.choice(SCRIPTS) + " " + words(rng, 4) + "\n" for _ in range(30))
    return header(rng, name, more=more) + "\n" + body


def attachments(rng, name):
    parts = []
    for number in range(rng.randint(1, 4)):
        data = base64.encodebytes(rng.randbytes(rng.randint(1, 40000))).decode()
        parts.append(
            f"--=_b{name}\nContent-Type: application/octet-stream; name=part{number}.bin\n"
            f"Content-Transfer-Encoding: base64\n\n{data}"
        )
    more = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_b{name}"\n'
    return header(rng, name, more=more) + "\npreamble\n" + "".join(parts) + f"--=_b{name}--\n"


def long_lines(rng, name):
    """Around and beyond 998 octets, Postfix's 2048 buffer, and 64 KiB."""
    sizes = [997, 998, 999, 1000, 2046, 2047, 2048, 2049, 4096, rng.randint(1000, 100000), 65536]
    return header(rng, name) + "\n" + "\n".join("x" * size + rng.choice(WORDS) for size in sizes) + "\n"


def dots(rng, name):
    rows = [".", "..", "...", ".leading", "..two", "", " .", ".\t", "From here it looks like an mbox", ">From", ".", ""]
    rng.shuffle(rows)
    return header(rng, name) + "\n" + "\n".join(rows * rng.randint(1, 5)) + "\n"


def empty_body(rng, name):
    return header(rng, name) + rng.choice(["\n", "\n\n", "\n\n\n"])


def huge_header(rng, name):
    """Folded references, one very long line, and a few hundred fields."""
    references = "References:" + "".join(f"\n <{rng.getrandbits(100):x}@sender.test>" for _ in range(rng.randint(100, 1500)))
    long_field = "X-Long: " + "y" * rng.randint(5000, 60000)
    many = "".join(f"X-Field-{number}: {words(rng, 6)}\n\t{words(rng, 3)}\n" for number in range(300))
    return header(rng, name, more=f"{references}\n{long_field}\n{many}") + "\n" + lines(rng, 5)


def utf8_header(rng, name):
    return header(rng, name, subject=rng.choice(SCRIPTS), more=f"X-Name: {rng.choice(SCRIPTS)}\n") + "\n" + rng.choice(SCRIPTS) + "\n"


def control(rng, name):
    """Every octet a line may hold but NUL, CR and LF."""
    return header(rng, name).encode() + b"\n" + bytes(b for b in range(1, 256) if b not in b"\r\n") * 3 + b"\n\x1a\x04\n\x0c\n"


def trailing_blanks(rng, name):
    return header(rng, name) + "\n" + "line with blanks   \n\t\n   \n" * rng.randint(1, 9) + "\n\n\n"


def familiar_headers(rng, name):
    """Fields that a delivery writes itself, already there: they are content."""
    more = (
        "Return-Path: <older@elsewhere.test>\nDelivered-To: another@elsewhere.test\n"
        "X-Original-To: third@elsewhere.test\nReceived: from a.test by b.test with ESMTP id 4711; Fri, 24 Nov 2023 10:00:00 +0100\n"
        "Status: RO\nX-UID: 17\nLines: 3\nContent-Length: 5\n"
    )
    return header(rng, name, more=more) + "\n" + lines(rng, 3)


def big(rng, name):
    """5 MB at first, then anything around the size kept in memory."""
    size = 5_000_000 if name.endswith("-0") else rng.randint(900_000, 1_300_000)
    data = base64.encodebytes(rng.randbytes(size * 3 // 4)).decode()
    more = "MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
    return header(rng, name, more=more) + "\n" + data


# Kind, and how often it comes for each time a text comes.
KINDS = [
    (text, 1.0), (latin1, 0.5), (utf8, 0.8), (attachments, 0.6), (long_lines, 0.4), (dots, 0.6), (empty_body, 0.4),
    (huge_header, 0.3), (utf8_header, 0.4), (control, 0.4), (trailing_blanks, 0.4), (familiar_headers, 0.5), (big, 0.03),
]


def generate(count, seed):
    rng = random.Random(seed)
    total = sum(weight for _, weight in KINDS)
    counts = [max(1, round(count * weight / total)) for _, weight in KINDS]
    counts[0] += count - sum(counts)
    for (kind, _), number in zip(KINDS, counts):
        for index in range(number):
            name = f"{kind.__name__}-{index}"
            raw = kind(rng, name)
            yield name, raw.encode("utf-8") if isinstance(raw, str) else raw


def corpus(directory, limit, seed):
    paths = sorted(pathlib.Path(directory).glob("*.eml"))
    random.Random(seed).shuffle(paths)
    taken = 0
    for file in paths:
        raw = file.read_bytes().replace(b"\r\n", b"\n")
        head, blank, _ = raw.partition(b"\n\n")
        if b"\0" in raw or b"\r" in raw or not blank or len(raw) > 3_000_000:
            continue
        rows = head.split(b"\n")
        if rows[0][:1].isspace() or not all(re.match(rb"[!-9;-~]+[ \t]*:|[ \t]", row) for row in rows):
            continue
        if head.lower().count(b"\nreceived:") > 30:
            continue
        yield "real-" + re.sub(r"[^0-9A-Za-z.-]", "_", file.stem), raw
        taken += 1
        if taken == limit:
            return


def main():
    directory, count, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    messages = list(generate(count, seed))
    if len(sys.argv) > 4 and pathlib.Path(sys.argv[4]).is_dir():
        messages += corpus(sys.argv[4], int(sys.argv[5]), seed)
    for name, raw in messages:
        if not raw.endswith(b"\n"):
            raw += b"\n"
        whole = b"X-Lodge-Test: %s\n" % name.encode() + raw
        (directory / f"{name}.eml").write_bytes(whole.replace(b"\n", b"\r\n"))
    print(len(messages))


if __name__ == "__main__":
    main()
