#!/usr/bin/env python3
"""memory.py DIRECTORY SIZE_MB - peak memory does not grow with the message

A small message, then one of SIZE_MB megabytes, to a worker of `lodged` and to
`deliver`. VmHWM, the peak of the resident set as the kernel knows it, may differ by the
space that keeping a message in memory takes ([mail] spool_memory) and a little more.
"""

import hashlib
import subprocess
import sys
import time

import installation
import proof
import wire

USER = "ana@example.org"
ALLOWED_KIB = 3 * 1024
BLOCK = (b"x" * 70 + b"\r\n") * 15_000


def large(name, blocks):
    """A proof message in pieces: it is in no process's memory as a whole."""
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK.replace(b"\r\n", b"\n"))
    yield f"X-Proof: {name} {digest.hexdigest()}\r\n\r\n".encode()
    for _ in range(blocks):
        yield BLOCK


def by_lmtp(lodge, name, blocks, account):
    """Sends on a session whose worker is the only one; returns its peak in KiB."""
    client = wire.Client(lodge.socket, timeout=120)
    client.expect(220)
    client.expect(250, "LHLO memory.lodge.test")
    client.expect(250, "MAIL FROM:<>")
    client.expect(250, f"RCPT TO:<{USER}>")
    client.expect(354, "DATA")
    for piece in large(name, blocks):
        client.send(piece)
    client.send(b".\r\n")
    account.note(name, USER, *client.reply())
    peak = max(installation.status_kib(pid, "VmHWM") for pid in lodge.workers())
    client.expect(221, "QUIT")
    client.close()
    return peak


def by_pipe(lodge, name, blocks, account):
    """Runs deliver and looks at its peak until it ends."""
    with subprocess.Popen(lodge.deliver_command(USER), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for piece in large(name, blocks):
            process.stdin.write(piece)
        process.stdin.close()
        peak = 0
        while process.poll() is None:
            peak = max(peak, installation.status_kib(process.pid, "VmHWM"))
            time.sleep(0.001)
        account.note(name, USER, 250 if process.returncode == 0 else 550, process.stdout.read().decode())
    return peak


def main():
    base, blocks = sys.argv[1], int(sys.argv[2]) * 1_000_000 // len(BLOCK)
    lodge = installation.Installation(base, [USER], ["mail.message_size_limit=0", "lmtp.min_workers=1", "lmtp.max_workers=1"])
    account, complaints = proof.Account(), []
    with lodge.running():
        for way in (by_lmtp, by_pipe):
            small = way(lodge, f"small-{way.__name__}", 1, account)
            peak = way(lodge, f"large-{way.__name__}", blocks, account)
            print(f"{way.__name__}: peak {small} KiB with {len(BLOCK) >> 10} KiB, {peak} KiB with {blocks * len(BLOCK) >> 10} KiB")
            if small == 0 or peak - small > ALLOWED_KIB:
                complaints.append(f"{way.__name__}: the peak grew by {peak - small} KiB")
    installation.finish(lodge, complaints + list(account.complaints(lodge.mail)))


if __name__ == "__main__":
    main()
