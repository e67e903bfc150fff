#!/usr/bin/env python3
"""crash_image.py DIRECTORY ext4|ext4-fast-commit|ext4-no-journal|xfs|btrfs [no-sync] - a crash of a real file system

    LODGE_BUILD=build/debug PYTHONPATH=tests/lib unshare --mount python3 tests/faults/crash_image.py DIRECTORY xfs

Delivers to a file system on a loop device, copies first and then links. With the last reply the image is
copied: it has what the kernel had written by then and nothing else, as if the machine stopped and the drive
kept all it was sent. The copy is mounted (its journal is replayed), what was said to be
stored must be there and whole, and no file may have more names than links. Without a journal fsck comes first, as at any start. With
no-sync ([mail] durability = none) something must be missing: it shows that the copy tells.

It needs root and loop devices, which a container seldom has, so it is no part of the test run. crash_drive.py
tries what a drive may lose besides; crash_model.py tries that of a model, and needs no rights.
"""

import pathlib
import random
import sys

import installation
import proof
import real_disks


def deliver_by_pipe(lodge, account):
    rng = random.Random(1)
    for number in range(10):
        name, user = f"pipe-{number}", rng.choice(real_disks.USERS)
        status, output = lodge.deliver(user, proof.make(name, 4_000, rng))
        account.note(name, user, 250 if status == 0 else 451, output)


def deliver_by_lmtp(lodge, account, prefix):
    for name, message, users in real_disks.messages(prefix, 40):
        account.add(real_disks.send(lodge, name, message, users))


def main():
    base, kind, unsafe = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["no-sync"]
    lodge = real_disks.install(base, ["mail.durability=none"] if unsafe else [])
    image, copy, account = base / "image", base / "copy", proof.Account()
    with open(image, "wb") as file:
        file.truncate(real_disks.MEBIBYTES << 20)
    real_disks.run(*real_disks.MKFS[kind], image)
    with real_disks.mounted(image, lodge.mail):
        real_disks.give_to_mail_user(lodge.mail)
        with lodge.running():
            deliver_by_lmtp(lodge, account, "copies")
        deliver_by_pipe(lodge, account)
        with lodge.running(real_disks.SHARED):
            deliver_by_lmtp(lodge, account, "links")
            real_disks.run("cp", "--sparse=always", image, copy)
    real_disks.as_at_the_next_start(kind, copy)
    with real_disks.mounted(copy, lodge.mail):
        complaints = list(real_disks.complaints(account, lodge.mail))
    print(f"{kind}: {len(account.stored)} stored, {len(complaints)} complaints")
    if unsafe:
        complaints = [] if complaints else ["nothing is missing without a sync: the copy proves nothing"]
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
