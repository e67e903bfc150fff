"""File systems of their own for crash_image.py and crash_drive.py, and the mail that goes there."""

import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess

import installation
import lmtp_load
import proof

# All of it is written at once: what comes later is of the deliveries.
EXT4 = ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]
MKFS = {
    "ext4": EXT4,
    "ext4-fast-commit": [*EXT4, "-O", "fast_commit"],
    "ext4-no-journal": [*EXT4[:-1], "nodiscard,lazy_itable_init=0", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-K"],
}
MEBIBYTES = 512
USERS = [f"user{number}@example.org" for number in range(50)]
SETTINGS = ["mail.detail_folder=create", "mail.spool_memory=32K", "lmtp.min_workers=8"]
SHARED = "mail.delivered_to=single"  # so that copies are links


def run(*words):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


@contextlib.contextmanager
def mounted(image, place, *options):
    """The image, on a loop device; options: of losetup."""
    device = run("losetup", *options, "-f", "--show", image)
    try:
        run("mount", device, place)
        try:
            yield device
        finally:
            run("umount", place)
    finally:
        run("losetup", "-d", device)


def as_at_the_next_start(kind, image):
    """Without a journal fsck comes before mount."""
    if kind == "ext4-no-journal":  # its status says that it mended
        subprocess.run(["e2fsck", "-fy", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def install(base, settings):
    base = pathlib.Path(base)
    base.chmod(0o755)
    return installation.Installation(base, USERS, [*SETTINGS, *settings])


def give_to_mail_user(place):
    shutil.chown(place, installation.MAIL_USER, installation.MAIL_GROUP)


def messages(prefix, count, sizes=(500, 4_000, 300_000)):
    """(name, message, users): to one, to fifty at once, to a few, and to new folders."""
    rng = random.Random(prefix)
    for number in range(count):
        name, users = f"{prefix}-{number}", [rng.choice(USERS)]
        if number in (5, count - 1):
            users = USERS
        elif number % 10 == 3:
            users = rng.sample(USERS, 7)
        elif number % 10 == 9:
            users = [users[0].replace("@", f"+folder{number % 4}@")]
        yield name, proof.make(name, rng.choice(sizes), rng), users


def send(lodge, name, message, users):
    """By LMTP; an account of mailboxes."""
    account = lmtp_load.send_one(lodge, name, message, users)
    account.stored = {(name, re.sub(r"\+[^@]*", "", user)) for name, user in account.stored}
    return account


def complaints(account, mail):
    """About messages that are missing or not whole, and about files with more names than links."""
    yield from account.complaints(mail)
    files = collections.Counter()
    for file in proof.visible(mail):
        status = os.stat(file)
        files[status.st_ino, status.st_nlink] += 1
    for (inode, links), names in files.items():
        if names > links:
            yield f"the file {inode} has {names} names in mailboxes and {links} links"
