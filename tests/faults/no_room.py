#!/usr/bin/env python3
"""no_room.py DIRECTORY SCENARIO - what must not fail for good, and must not be half there

  full_disk       the mail lies on a file system of 2 MB; run inside `unshare --mount`
  full_log        the log lies on a full file system; mail goes on; likewise
  full_spool      the spool does, the mail does not; likewise
  read_only       tmp/, new/, the Maildir or its parent may not be written
  locked_map      another process has changed the map and holds it; after that it is delivered
  missing_map     the map is away, is empty, is no database
Each is tried by LMTP and with `deliver`.
"""

import contextlib
import os
import pathlib
import random
import sqlite3
import subprocess
import sys

import installation
import lmtp_load
import proof

USERS = ["ana@example.org", "bob@example.org"]


class Trial:
    """One installation, and the accounts of all that was sent to it."""

    def __init__(self, base, settings=()):
        self.lodge = installation.Installation(base, USERS, settings)
        self.rng = random.Random(1)
        self.account = proof.Account()
        self.complaints = []
        self.number = 0

    def send(self, size, users=USERS):
        """One message by LMTP to users, one with `deliver` to the first. Returns their codes."""
        self.number += 1
        name = f"lmtp-{self.number}"
        answers = lmtp_load.send_one(self.lodge, name, proof.make(name, size, self.rng), users)
        name = f"pipe-{self.number}"
        status, output = self.lodge.deliver(users[0], proof.make(name, size, self.rng))
        answers.note(name, users[0], {0: 250, 75: 451}.get(status, 550), f"exit status {status}: {output}")
        self.account.add(answers)
        return answers.replies

    def expect(self, what, replies, *codes):
        if not replies or set(replies) - set(codes):
            self.complaints.append(f"{what}: answers {dict(replies)}, expected only {codes}")

    def finish(self):
        print(self.account.summary())
        installation.finish(self.lodge, self.complaints + list(self.account.complaints(self.lodge.mail)))


def mount_small(path, size):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", path], check=True)


def fill(path):
    """A file there takes all that is left."""
    with contextlib.suppress(OSError), open(pathlib.Path(path) / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def full_disk(base):
    trial = Trial(base)
    mount_small(trial.lodge.mail, "2M")
    with trial.lodge.running():
        for _ in range(12):
            for size in (200_000, 30_000, 1_000):
                trial.send(size)
        if trial.account.replies[250] < 6 or not any(400 <= (code or 0) < 500 for code in trial.account.replies):
            trial.complaints.append("the disk did not become full in the middle")
        # Room again, nothing restarted: mail is taken again.
        for file in list(proof.visible(trial.lodge.mail)):
            name, _ = proof.judge(file)
            trial.account.stored = {entry for entry in trial.account.stored if entry[0] != name}
            file.unlink()
        trial.expect("with room again", trial.send(30_000), 250)
        leftovers = [file for file in trial.lodge.mail.rglob("tmp/*")]
        if leftovers:
            trial.complaints.append(f"left in tmp/ by failures that were not crashes: {leftovers[:3]}")
    trial.finish()


def full_log(base):
    trial = Trial(base)
    (trial.lodge.base / "log").mkdir()
    mount_small(trial.lodge.base / "log", "16K")
    place = trial.lodge.base / "log/deliver.log"
    trial.lodge.config.write_text(trial.lodge.config.read_text().replace(str(trial.lodge.log), str(place)))
    with trial.lodge.running():
        trial.expect("with a log that has room", trial.send(1_000), 250)
        fill(trial.lodge.base / "log")
        for size in (1_000, 200_000, 3_000_000):
            trial.expect("with a log that has none", trial.send(size), 250)
    trial.lodge.config.write_text(trial.lodge.config.read_text().replace(str(place), "/nonexistent/deliver.log"))
    with trial.lodge.running():
        trial.expect("with a log without a directory", trial.send(1_000), 250)
    trial.finish()


def full_spool(base):
    trial = Trial(base, ["mail.spool_memory=64K"])
    mount_small(trial.lodge.base / "spool", "256K")
    fill(trial.lodge.base / "spool")
    with trial.lodge.running():
        trial.expect("too large for the spool", trial.send(600_000), 451, 452)
        trial.expect("small enough for the memory", trial.send(10_000), 250)
        (trial.lodge.base / "spool/ballast").unlink()
        trial.expect("fits into the spool", trial.send(100_000), 250)
    trial.finish()


def read_only(base):
    trial = Trial(base)
    maildir = trial.lodge.mail / "example.org/ana/Maildir"
    with trial.lodge.running():
        trial.expect("before", trial.send(1_000), 250)
        for directory, mode in [(maildir / "tmp", 0o555), (maildir / "new", 0o555), (maildir, 0o000), (maildir.parent, 0o000)]:
            before = directory.stat().st_mode & 0o777
            directory.chmod(mode)
            trial.expect(f"{directory} with mode {mode:o}", trial.send(1_000, USERS[:1]), 450, 451, 452)
            directory.chmod(before)
        (trial.lodge.mail / "example.org/ana").rename(trial.lodge.mail / "moved")
        domain = trial.lodge.mail / "example.org"
        domain.chmod(0o555)
        trial.expect("a Maildir that cannot be made", trial.send(1_000, USERS[:1]), 450, 451, 452)
        # The trouble of one is nobody else's.
        answers = trial.send(1_000, USERS)
        if answers[250] != 1:
            trial.complaints.append(f"bob's mail suffers from ana's directory: {dict(answers)}")
        domain.chmod(0o755)
        (trial.lodge.mail / "moved").rename(trial.lodge.mail / "example.org/ana")
        trial.expect("after", trial.send(1_000), 250)
    trial.finish()


def locked_map(base):
    trial = Trial(base)
    with trial.lodge.running():
        trial.expect("before", trial.send(1_000), 250)
        other = sqlite3.connect(trial.lodge.map, isolation_level=None)
        # Of a map that is as it was, workers know what they have looked up before.
        other.execute("INSERT INTO domains (domain) VALUES ('new.example')")
        other.execute("BEGIN EXCLUSIVE")
        trial.expect("with the map locked", trial.send(1_000), 451)
        other.execute("ROLLBACK")
        other.close()
        trial.expect("after", trial.send(1_000), 250)
    trial.finish()


def missing_map(base):
    trial = Trial(base)
    kept = trial.lodge.base / "kept.db"
    with trial.lodge.running():
        trial.expect("before", trial.send(1_000), 250)
        trial.lodge.map.rename(kept)
        for what, content in [("no map", None), ("an empty map", b""), ("a map that is text", b"no database\n" * 500), ("half a map", kept.read_bytes()[:5000])]:
            if content is not None:
                trial.lodge.map.write_bytes(content)
            trial.expect(what, trial.send(1_000), 451)
        trial.lodge.map.unlink()
        trial.lodge.map.mkdir()
        trial.expect("a directory for a map", trial.send(1_000), 451)
        trial.lodge.map.rmdir()
        kept.rename(trial.lodge.map)
        trial.lodge.map.chmod(0o000)
        trial.expect("a map that may not be read", trial.send(1_000), 451)
        trial.lodge.map.chmod(0o644)
        trial.expect("after", trial.send(1_000), 250)
    trial.finish()


SCENARIOS = [full_disk, full_log, full_spool, read_only, locked_map, missing_map]

if __name__ == "__main__":
    os.umask(0o022)
    {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[2]](sys.argv[1])
