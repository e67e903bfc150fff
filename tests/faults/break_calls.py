#!/usr/bin/env python3
"""break_calls.py DIRECTORY - every system call of a delivery fails once

`deliver` runs under strace, which makes the Nth call of one kind fail. N goes up until
there is no Nth call. Whatever fails: the exit status is 0 and the message is there, or
it is 75 and the MTA tries again; never another, and never part of a message in new/.
An abort is as good as 75: pipe(8) defers when its command dies of a signal.
"""

import concurrent.futures
import pathlib
import random
import signal
import sys

import installation
import proof

# Kind of call, and the error it gives; what does not belong to storing is only tried with one.
FAULTS = [
    ("openat,openat2,open", "EMFILE"), ("openat,openat2,open", "EIO"), ("write,writev,pwrite64", "ENOSPC"), ("write,writev,pwrite64", "EIO"),
    ("read,pread64", "EIO"), ("fsync,fdatasync", "EIO"), ("rename,renameat,renameat2", "EIO"), ("rename,renameat,renameat2", "ENOSPC"),
    ("mkdir,mkdirat", "EDQUOT"), ("fstat,newfstatat,statx", "EIO"), ("close", "EIO"), ("fchmod,fchown,fchmodat,fchownat", "EPERM"),
    ("flock,fcntl", "ENOLCK"), ("getrandom", "ENOSYS"), ("unlinkat,unlink", "EIO"), ("ftruncate,fallocate", "ENOSPC"),
]
USERS = [f"user{number}@example.org" for number in range(len(FAULTS))]


def is_loaders(line):
    """The program was not even loaded: no code of ours could answer."""
    return any(part in line for part in (".so", "ld.so.cache", "/proc/self", "/sys/devices", "locale", "gconv"))


def break_kind(lodge, user, calls, error):
    account, broken = proof.Account(), 0
    rng = random.Random(user)
    trace = pathlib.Path(lodge.base) / f"trace-{user}"
    for number in range(1, 1000):
        name = f"{user.partition('@')[0]}-{error}-{number}"
        # Every other one needs a new folder; all need a spool file.
        target = user.replace("@", f"+f{number}@") if number % 2 else user
        before = ["strace", "-f", "-y", "-o", trace, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={number}"]
        status, output = lodge.deliver(target, proof.make(name, 20_000, rng), "-o", "mail.spool_memory=4K", before=before)
        injected = [line for line in trace.read_text(errors="replace").splitlines() if "(INJECTED)" in line]
        if not injected:
            account.note(name, user, 250 if status == 0 else 550, f"undisturbed: {status} {output}")
            return account, broken
        if status == 127 and is_loaders(injected[0]):
            continue
        broken += 1
        code = 250 if status == 0 else 451 if status in (75, -signal.SIGABRT) else 550
        account.note(name, user, code, f"exit status {status} after {injected[0]}: {output}")
    raise AssertionError(f"{calls}: no end of calls")


def main():
    lodge = installation.Installation(sys.argv[1], USERS, ["mail.detail_folder=create"])
    account, broken = proof.Account(), 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for result, count in pool.map(lambda pair: break_kind(lodge, pair[0], *pair[1]), zip(USERS, FAULTS)):
            account.add(result)
            broken += count
    print(f"{broken} calls broken: {account.summary()}")
    complaints = list(account.complaints(lodge.mail))
    if broken < 100:
        complaints.append(f"only {broken} calls were broken: does strace inject?")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
