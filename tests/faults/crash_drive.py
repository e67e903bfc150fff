#!/usr/bin/env python3
"""crash_drive.py DIRECTORY ext4|ext4-fast-commit|ext4-no-journal|xfs|btrfs [--seed N] [--points N] [--no-sync]

    LODGE_BUILD=build/debug PYTHONPATH=tests/lib unshare --mount python3 tests/faults/crash_drive.py DIRECTORY ext4

A power failure of a drive that loses its cache. lodged delivers with several connections at once to a file
system on a loop device, and that lies on the drive of drive.c, which keeps a log of all it is asked. After
that a crash is put at points of the log, most of them where a reply had just been given. It leaves what was
written before the last flush began, and of later writes none, all, or some of their blocks of 4 KiB, drawn at random.
Each image so made is mounted (without a journal after fsck): what was said to be stored by then must be
there, whatever is in new/ or cur/ must be whole, and no file may have more names than links. With --no-sync
something must be missing: it shows that the drive tells.

It needs root, loop devices, FUSE and libfuse3-dev, and takes a minute, so it is started by hand, for a change of
lda/commit.c, lda/journal.c or the order in which lda/delivery.c calls them. DIRECTORY should be on tmpfs (1 GiB).
"""

import argparse
import bisect
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import random
import shlex
import struct
import subprocess
import threading

import installation
import proof
import real_disks

ENTRY = struct.Struct("=QQQ")  # of drive.c
BLOCK = 4096
KEPT = {"none": 0.0, "few": 0.15, "half": 0.5, "most": 0.85, "all": 1.0}  # of what was under way
CLIENTS = 6


# ---- the drive ------------------------------------------------------------------


def compile_drive(program):
    source = pathlib.Path(__file__).with_name("drive.c")
    flags = real_disks.run("pkg-config", "--cflags", "--libs", "fuse3")
    subprocess.run(["cc", "-std=gnu17", "-O2", "-o", program, source, *shlex.split(flags)], check=True)


@contextlib.contextmanager
def drive(base, log):
    """Its one file."""
    program, place = base / "drive", base / "fuse"
    compile_drive(program)
    place.mkdir()
    with subprocess.Popen([program, place, str(real_disks.MEBIBYTES), log]) as process:
        try:
            installation.wait_for((place / "image").exists, 20, "the drive is there")
            yield place / "image"
        finally:
            real_disks.run("umount", place)


class Log:
    def __init__(self, path):
        """Writes: (where its entry ends, offset on the drive, octets); flushes: where it ends and from where it began."""
        self.writes, self.flushes = [], []
        raw, at = memoryview(path.read_bytes()), 0
        while at < len(raw):
            is_flush, offset, length = ENTRY.unpack_from(raw, at)
            at += ENTRY.size + length
            if is_flush:
                self.flushes.append((at, offset))
            else:
                self.writes.append((at, offset, raw[at - length : at]))

    def durable(self, position):
        """Up to where nothing is lost."""
        return max((began for ended, began in self.flushes if ended <= position), default=0)

    def between(self, begin, end):
        first, last = (bisect.bisect_right(self.writes, at, key=lambda write: write[0]) for at in (begin, end))
        return self.writes[first:last]


# ---- delivering -----------------------------------------------------------------


class Deliveries:
    """What was said to be stored, and how long the log was then."""

    def __init__(self, lodge, log):
        self.lodge, self.log, self.replies = lodge, log, []

    def position(self):
        return self.log.stat().st_size

    def _send(self, message):
        account = real_disks.send(self.lodge, *message)
        self.replies.append((self.position(), account))

    def make(self, prefix, count, *settings):
        with self.lodge.running(*settings), concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._send, real_disks.messages(prefix, count, sizes=(500, 4_000, 60_000))))

    def account(self, position):
        together = proof.Account()
        for when, account in self.replies:
            if when <= position:
                together.add(account)
        return together


@contextlib.contextmanager
def others_sync(place, kind):
    """On btrfs a commit of somebody else's comes in between all the time."""
    ended = threading.Event()

    def sync():
        while not ended.wait(0.005):
            real_disks.run("sync", "-f", place)

    thread = threading.Thread(target=sync)
    if kind == "btrfs":
        thread.start()
    yield
    ended.set()
    if kind == "btrfs":
        thread.join()


def deliver(base, kind, lodge, log):
    """Returns what was said, and where in the log that began."""
    deliveries = Deliveries(lodge, log)
    with drive(base, log) as image:
        device = real_disks.run("losetup", "--direct-io=on", "-f", "--show", image)
        try:
            real_disks.run(*real_disks.MKFS[kind], device)
        finally:
            real_disks.run("losetup", "-d", device)
        with real_disks.mounted(image, lodge.mail, "--direct-io=on"):
            real_disks.give_to_mail_user(lodge.mail)
            deliveries.make("first", 6)
            real_disks.run("sync", "-f", lodge.mail)
            began = deliveries.position()
            with others_sync(lodge.mail, kind):
                deliveries.make("copies", 100)
                deliveries.make("links", 100, real_disks.SHARED)
    return deliveries, began


# ---- crashes --------------------------------------------------------------------


def put(image, writes):
    with open(image, "r+b", buffering=0) as file:
        for _, offset, octets in writes:
            os.pwrite(file.fileno(), octets, offset)


def blocks(writes):
    for when, offset, octets in writes:
        for at in range(0, len(octets), BLOCK):
            yield when, offset + at, octets[at : at + BLOCK]


class Crashes:
    def __init__(self, base, kind, lodge, seed):
        self.platter, self.crash = base / "platter", base / "crash"
        self.kind, self.lodge, self.rng, self.states = kind, lodge, random.Random(seed), 0
        with open(self.platter, "wb") as file:
            file.truncate(real_disks.MEBIBYTES << 20)

    def points(self, deliveries, began, count):
        ended = max(when for when, _ in deliveries.replies)
        replies = [when for when, _ in deliveries.replies if when >= began]
        return sorted(self.rng.choice([self.rng.randint(began, ended), self.rng.choice(replies)]) for _ in range(count))

    def complaints(self, log, deliveries, points):
        for begin, point in itertools.pairwise([0, *points]):
            put(self.platter, log.between(log.durable(begin), log.durable(point)))
            under_way = log.between(log.durable(point), point)
            for kept, share in KEPT.items() if under_way else [("none", 0.0)]:
                real_disks.run("cp", "--sparse=always", self.platter, self.crash)
                put(self.crash, (block for block in blocks(under_way) if self.rng.random() < share))
                for text in self._look(deliveries.account(point)):
                    yield f"crash at {point}, {kept} kept: {text}"

    def _look(self, account):
        self.states += 1
        real_disks.as_at_the_next_start(self.kind, self.crash)
        try:
            with real_disks.mounted(self.crash, self.lodge.mail):
                return list(real_disks.complaints(account, self.lodge.mail))
        except subprocess.CalledProcessError as error:
            return [f"cannot be mounted: {error}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("kind", choices=real_disks.MKFS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--no-sync", action="store_true")
    options = parser.parse_args()
    base, log = options.directory, options.directory / "log"
    lodge = real_disks.install(base, ["mail.durability=none"] if options.no_sync else [])
    crashes = Crashes(base, options.kind, lodge, options.seed)
    deliveries, began = deliver(base, options.kind, lodge, log)
    complaints = list(crashes.complaints(Log(log), deliveries, crashes.points(deliveries, began, options.points)))
    stored = sum(len(account.stored) for _, account in deliveries.replies)
    print(f"{options.kind}: {stored} stored, {crashes.states} states, {len(complaints)} complaints")
    if options.no_sync:
        complaints = [] if complaints else ["nothing is missing without a sync: the drive proves nothing"]
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
