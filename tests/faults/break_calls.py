#!/usr/bin/env python3
"""break_calls.py DIRECTORY [quota] - every system call of a delivery fails once

`deliver` runs under strace, which makes the Nth call of one kind fail. N goes up until
there is no Nth call. Whatever fails: the exit status is 0 and the message is there, or
it is 75 and the MTA tries again; never another, and never part of a message in new/.
An abort is as good as 75: pipe(8) defers when its command dies of a signal.
With quota the mailboxes are counted, and after the next delivery the accounts are right.
"""

import concurrent.futures
import pathlib
import random
import re
import signal
import sys

import installation
import proof

# Calls, and what each of them fails with; strace counts every one of a list for itself.
FAULTS = [
    (call, error)
    for calls, error in [
        ("openat openat2", "EMFILE"), ("openat openat2", "EIO"), ("write writev pwrite64", "ENOSPC"), ("write writev", "EIO"),
        ("read pread64", "EIO"), ("fsync fdatasync", "EIO"), ("rename renameat renameat2", "ENOSPC"), ("renameat2", "EIO"),
        ("mkdir mkdirat", "EDQUOT"), ("fstat newfstatat statx", "EIO"), ("close", "EIO"), ("fchmod fchown fchmodat fchownat", "EPERM"),
        ("flock fcntl", "ENOLCK"), ("getrandom", "ENOSYS"), ("unlinkat unlink", "EIO"), ("ftruncate fallocate", "ENOSPC"),
    ]
    for call in calls.split()
]
USERS = [f"user{number}@example.org" for number in range(len(FAULTS))]


def is_loaders(status, output):
    """The program was not even loaded: no code of ours could answer."""
    return status == 127 and "error while loading shared libraries" in output


def not_durable(line):
    """The fsync that failed was that of the message, or of the directory it lies in."""
    return bool(re.search(r"fsync\(\d+<[^>]*/(tmp/[^/>]+|new|cur)>", line))


def break_kind(lodge, user, call, error, folder):
    """Into a folder that is new each time, or the INBOX; all need a spool file."""
    account, broken = proof.Account(), 0
    rng = random.Random(user + folder)
    trace = pathlib.Path(lodge.base) / f"trace-{user}-{folder}"
    for number in range(1, 1000):
        name = f"{user.partition('@')[0]}-{call}-{error}-{folder}{number}"
        target = user.replace("@", f"+{folder}{number}@") if folder else user
        before = ["strace", "-f", "-y", "-o", trace, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"]
        status, output = lodge.deliver(target, proof.make(name, 20_000, rng), "-o", "mail.spool_memory=4K", before=before)
        injected = [line for line in trace.read_text(errors="replace").splitlines() if "(INJECTED)" in line]
        if not injected:
            account.note(name, user, 250 if status == 0 else 550, f"undisturbed: {status} {output}")
            return account, broken
        if is_loaders(status, output):
            continue
        broken += 1
        if status == 0 and not_durable(injected[0]):
            status = -1  # what it said of the message is not true
        code = 250 if status == 0 else 451 if status in (75, -signal.SIGABRT) else 550
        account.note(name, user, code, f"exit status {status} after {injected[0]}: {output}")
    raise AssertionError(f"{call}: no end of calls")


def miscounted(lodge):
    """Delivers once more to each user, and tells whose accounts are wrong then."""
    rng = random.Random(0)
    for user in USERS:
        maildir = pathlib.Path(lodge.mail) / "example.org" / user.partition("@")[0] / "Maildir"
        status, output = lodge.deliver(user, proof.make(f"last-{user}", 100, rng))
        if status != 0:
            yield f"{user}: exit status {status} in the end: {output}"
            continue
        sizes = [int(re.search(r",S=(\d+)", file.name)[1]) for file in proof.visible(maildir)]
        lines = [line.split() for line in (maildir / "maildirsize").read_text().splitlines()[1:]]
        sums = [sum(int(line[column]) for line in lines) for column in (0, 1)]
        if sums != [sum(sizes), len(sizes)]:
            yield f"{user}: maildirsize says {sums}, stored is {[sum(sizes), len(sizes)]}"


def main():
    quota = sys.argv[2:] == ["quota"]
    settings = ["mail.detail_folder=create"] + (["quota.bytes=1G"] if quota else [])
    lodge = installation.Installation(sys.argv[1], USERS, settings)
    account, broken = proof.Account(), 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(break_kind, lodge, user, *fault, folder) for user, fault in zip(USERS, FAULTS) for folder in ("", "new")]
        for job in jobs:
            result, count = job.result()
            account.add(result)
            broken += count
    print(f"{broken} calls broken: {account.summary()}")
    complaints = list(account.complaints(lodge.mail))
    if quota:
        complaints += miscounted(lodge)
    if broken < 200:
        complaints.append(f"only {broken} calls were broken: does strace inject?")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
