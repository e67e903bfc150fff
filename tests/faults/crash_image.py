#!/usr/bin/env python3
"""crash_image.py DIRECTORY ext4|ext4-fast-commit|ext4-no-journal|xfs|btrfs [no-sync] - a crash of a real file system

    LODGE_BUILD=build/debug PYTHONPATH=tests/lib unshare --mount python3 tests/faults/crash_image.py DIRECTORY xfs

Delivers to a file system on a loop device. With the last reply the image is copied: it has
what the kernel had written by then and nothing else, as if the machine stopped and the drive
kept all it was sent. The copy is mounted (its journal is replayed), what was said to be
stored must be there and whole. Without a journal fsck comes first, as at any start. With
no-sync ([mail] durability = none) something must be missing: it shows that the copy tells.

It needs root and loop devices, which a container seldom has, so it is no part of the test run. crash_model.py
tries what a drive may lose besides, and needs no rights.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import installation
import lmtp_load
import proof

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "ext4-fast-commit": ["mkfs.ext4", "-q", "-F", "-O", "fast_commit"],
    "ext4-no-journal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
USERS = [f"user{number}@example.org" for number in range(50)]


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True, **more).stdout.strip()


class Mounted:
    """The image, on a loop device, in the place of the mail root."""

    def __init__(self, image, place):
        self.image, self.place = image, place

    def __enter__(self):
        self.device = run("losetup", "-f", "--show", self.image)
        try:
            run("mount", self.device, self.place)
        except subprocess.CalledProcessError:
            run("losetup", "-d", self.device)
            raise

    def __exit__(self, *_):
        run("umount", self.place)
        run("losetup", "-d", self.device)


def deliver(lodge, account):
    """One by one, to fifty at once, to new folders, and by pipe."""
    rng = random.Random(1)
    for number in range(40):
        name = f"image-{number}"
        users = USERS if number in (5, 39) else [rng.choice(USERS)]
        if number % 10 == 9 and len(users) == 1:
            users = [users[0].replace("@", f"+folder{number}@")]
        account.add(lmtp_load.send_one(lodge, name, proof.make(name, rng.choice((500, 4_000, 300_000)), rng), users))
    for number in range(10):
        name, user = f"pipe-{number}", rng.choice(USERS)
        status, output = lodge.deliver(user, proof.make(name, 4_000, rng))
        account.note(name, user, 250 if status == 0 else 451, output)
    account.stored = {(name, re.sub(r"\+[^@]*", "", user)) for name, user in account.stored}


def main():
    base, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
    unsafe = sys.argv[3:] == ["no-sync"]
    settings = ["mail.detail_folder=create", *(["mail.durability=none"] if unsafe else [])]
    base.chmod(0o755)
    lodge = installation.Installation(base, USERS, settings)
    image, copy, account = base / "image", base / "copy", proof.Account()
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    run(*MKFS[kind], image, stderr=subprocess.DEVNULL)
    with Mounted(image, lodge.mail):
        shutil.chown(lodge.mail, installation.MAIL_USER, installation.MAIL_GROUP)
        with lodge.running():
            deliver(lodge, account)
            run("cp", "--sparse=always", image, copy)
    if kind == "ext4-no-journal":  # its status says that it mended
        subprocess.run(["e2fsck", "-fy", copy], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    with Mounted(copy, lodge.mail):
        complaints = list(account.complaints(lodge.mail))
    print(f"{kind}: {len(account.stored)} stored, {len(complaints)} complaints")
    if unsafe:
        complaints = [] if complaints else ["nothing is missing without a sync: the copy proves nothing"]
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
