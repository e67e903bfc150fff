"""tests/e2e/quota_peers.py - one mailbox, and three programs that keep its quota

    lodge        deliver, LMTP, `lodge quota get|recalc`
    Dovecot      APPEND, EXPUNGE, MOVE, GETQUOTAROOT; doveadm quota recalc
    maildrop     deliverquota

    quota_peers.py history SEED STEPS    one step after the other: all agree after each
    quota_peers.py parallel SEED COUNT   IMAP clients and deliveries at the same time

What is really there is counted here once more, by its own rules: not .Trash, for that is the one
convention that all three can be brought to.
"""

import imaplib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import threading

from lmtp_client import Client

USER = "ana@q.test"
BASE = pathlib.Path(os.environ["T"])
BUILD = os.environ["LODGE_BUILD"]
MAILDIR = BASE / "mail/q.test/ana/Maildir"
IMAP_PORT = int(os.environ["imap_port"])
PASSWORD = os.environ["password"]
FOLDERS = ("INBOX", "Trash", "Lists")
AS_OWNER = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")


def run(*argv, data=None, allowed=(0,)):
    result = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    if result.returncode not in allowed:
        raise AssertionError(f"{argv} ended with {result.returncode}: {result.stdout} {result.stderr}")
    return result


def lodge(*argv, allowed=(0,)):
    return run(f"{BUILD}/lda/lodge", "-c", f"{BASE}/etc/lodge.conf", *argv, allowed=allowed).stdout


# ---- what each of them says ---------------------------------------------------


def count():
    """(octets, messages) that are really there."""
    sizes = []
    for folder in [MAILDIR, *(p for p in MAILDIR.glob(".?*") if p.is_dir() and p.name != ".Trash")]:
        for directory in ("new", "cur"):
            sizes += [entry.stat().st_size for entry in (folder / directory).iterdir()]
    return sum(sizes), len(sizes)


def by_lodge():
    row = json.loads(lodge("quota", "get", USER, "--json"))["mailboxes"][0]
    return row["bytes"], row["messages"]


def by_file():
    """The sum of all lines, which is what deliverquota goes by; None without a file."""
    try:
        lines = (MAILDIR / "maildirsize").read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:
        return None
    numbers = [[int(word) for word in line.split()] for line in lines]
    return sum(n[0] for n in numbers), sum(n[1] for n in numbers)


def by_dovecot(imap):
    """(KiB rounded up, messages)"""
    answer = ok(imap.getquotaroot("INBOX"))[1][0].decode()
    used = dict(re.findall(r"(STORAGE|MESSAGE) (\d+) \d+", answer))
    return int(used["STORAGE"]), int(used["MESSAGE"])


def compare(imap):
    """Raises unless all three say what is there."""
    octets, messages = there = count()
    said = {"lodge": (by_lodge(), there), "Dovecot": (by_dovecot(imap), (-(-octets // 1024), messages))}
    if (in_file := by_file()) is not None:
        said["the file"] = (in_file, there)
    wrong = [f"{who} says {says}, not {expected}" for who, (says, expected) in said.items() if says != expected]
    if wrong:
        raise AssertionError("; ".join(wrong))


# ---- what each of them does ---------------------------------------------------


def message(size):
    """Of exactly size octets, in lines."""
    lines = b"Subject: quota\n\n" + (b"0123456789" * 7 + b"\n") * (size // 71 + 1)
    return lines[: size - 1] + b"\n"


def log_in():
    imap = imaplib.IMAP4("127.0.0.1", IMAP_PORT, timeout=60)
    imap.login(USER, PASSWORD)
    return imap


def ok(answer):
    if answer[0] != "OK":
        raise AssertionError(f"IMAP: {answer}")
    return answer[1]


def deliver(data):
    """True: stored; False: no room."""
    argv = (*AS_OWNER, f"{BASE}/deliver", "-e", "-c", f"{BASE}/etc/lodge.conf", "-f", "bob@far.test", "-d", USER)
    return run(*argv, data=data, allowed=(0, 77)).returncode == 0


def lmtp(data):
    client = Client(str(BASE / "lmtp"))
    client.begin(USER)
    client.send(data.decode().replace("\n", "\r\n") + "\r\n.\r\n")
    reply = client.reply()
    client.quit()
    if not reply.startswith(("250 2.0.0", "552 5.2.2")):
        raise AssertionError(f"LMTP: {reply}")
    return reply.startswith("250")


def deliverquota(data):
    # With Dovecot's marker in it maildrop takes the mailbox for a folder, without a quota of its own.
    (MAILDIR / "maildirfolder").unlink(missing_ok=True)
    return run(*AS_OWNER, "deliverquota.maildrop", str(MAILDIR), data=data, allowed=(0, 77)).returncode == 0


def append(imap, folder, data):
    status, answer = imap.append(folder, None, None, data.replace(b"\n", b"\r\n"))
    if status != "OK" and b"OVERQUOTA" not in answer[0]:
        raise AssertionError(f"APPEND: {answer}")
    return status == "OK"


def pick(imap, folder, chance):
    """The UID of a message of the folder, selected now; None when it is empty."""
    ok(imap.select(folder))
    uids = ok(imap.uid("SEARCH", "ALL"))[0].split()
    return chance.choice(uids).decode() if uids else None


def expunge(imap, folder, chance):
    if (uid := pick(imap, folder, chance)) is not None:
        ok(imap.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
        ok(imap.uid("EXPUNGE", uid))


def move(imap, source, target, chance):
    """Out of the Trash there may be no room."""
    if (uid := pick(imap, source, chance)) is not None:
        status, answer = imap.uid("MOVE", uid, target)
        if status != "OK" and not (source == "Trash" and b"OVERQUOTA" in answer[0]):
            raise AssertionError(f"MOVE: {answer}")


def doveadm_recalc():
    run("doveadm", "-c", f"{BASE}/dovecot/dovecot.conf", "quota", "recalc", "-u", USER)


# ---- one step after the other -------------------------------------------------


class History:
    def __init__(self, seed, limits):
        self.chance = random.Random(seed)
        self.limits = limits
        self.imap = log_in()
        for folder in FOLDERS[1:]:
            ok(self.imap.create(folder))
        self.overhead = {}  # what headers add, by who stores
        self.refused = {}
        self.steps = {}

    def store(self, who, how):
        """Whoever stores it must take what fits and refuse what does not."""
        before, data = count(), message(self.size(who))
        stored = how(data)
        grown = count()[0] - before[0]
        if stored:  # Return-Path, Delivered-To and Received are always as long as the first time
            overhead = self.overhead.setdefault(who, grown - len(data))
        else:
            overhead = self.overhead.get(who, 0)
            self.refused[who] = self.refused.get(who, 0) + 1
        fits = before[0] + len(data) + overhead <= self.limits[0] and before[1] < self.limits[1]
        if stored != fits or grown != (len(data) + overhead if fits else 0):
            raise AssertionError(f"{who}: {len(data)} octets grew by {grown}, there were {before}")

    def size(self, who):
        """Now and then exactly what is left, or one more."""
        left = self.limits[0] - count()[0] - self.overhead.get(who, 0)
        if left > 100 and who in self.overhead and self.chance.random() < 0.2:
            return left + self.chance.randint(0, 1)
        return self.chance.randint(100, 8000)

    def step(self):
        chance = self.chance
        folder = chance.choice(FOLDERS)
        kinds = (
            (4, "deliver", lambda: self.store("deliver", deliver)),
            (4, "LMTP", lambda: self.store("LMTP", lmtp)),
            (4, "deliverquota", lambda: self.store("deliverquota", deliverquota)),
            (4, "APPEND", self.append),
            (1, "APPEND to Trash", lambda: append(self.imap, "Trash", message(500))),
            (4, "EXPUNGE", lambda: expunge(self.imap, folder, chance)),
            (3, "MOVE to Trash", lambda: move(self.imap, chance.choice(("INBOX", "Lists")), "Trash", chance)),
            (2, "MOVE from Trash", lambda: move(self.imap, "Trash", "INBOX", chance)),
            (2, "MOVE to Lists", lambda: move(self.imap, "INBOX", "Lists", chance)),
            (1, "SELECT", lambda: pick(self.imap, folder, chance)),
            (1, "doveadm recalc", doveadm_recalc),
            (1, "lodge recalc", lambda: lodge("quota", "recalc", USER)),
            (1, "no file", lambda: (MAILDIR / "maildirsize").unlink(missing_ok=True)),
        )
        name, action = self.chance.choices([k[1:] for k in kinds], [k[0] for k in kinds])[0]
        self.steps[name] = self.steps.get(name, 0) + 1
        action()
        return name

    def append(self):
        data = message(self.size("APPEND"))
        lines = data.count(b"\n")
        # Dovecot may measure it with CRLF, as it came, or as it is stored.
        before = count()
        stored = append(self.imap, "INBOX", data)
        room = self.limits[0] - before[0] if before[1] < self.limits[1] else -1
        if stored != (len(data) <= room) and not room - lines < len(data) <= room:
            raise AssertionError(f"APPEND of {len(data)} octets: {stored}, room {room}")
        if not stored:
            self.refused["APPEND"] = self.refused.get("APPEND", 0) + 1


def history(seed, steps):
    print(f"seed {seed}")
    row = json.loads(lodge("quota", "get", USER, "--json"))["mailboxes"][0]
    run_of = History(seed, (row["bytes_limit"], row["messages_limit"]))
    for number in range(steps):
        name = "?"
        try:
            name = run_of.step()
            compare(run_of.imap)
        except Exception as failure:
            print((MAILDIR / "maildirsize").read_text() if (MAILDIR / "maildirsize").exists() else "no file")
            raise AssertionError(f"seed {seed}, step {number} ({name}): {failure}") from failure
    print(f"{steps} steps: {run_of.steps}; refused: {run_of.refused}")
    for who in ("deliver", "LMTP", "deliverquota", "APPEND"):
        assert run_of.refused.get(who), f"{who} never met a full mailbox: choose another seed"


# ---- at the same time ---------------------------------------------------------


def imap_client(seed, number):
    chance, imap = random.Random(seed), log_in()
    for _ in range(number):
        if not append(imap, chance.choice(("INBOX", "Lists")), message(chance.randint(100, 3000))):
            raise AssertionError("APPEND: no room")
        if chance.random() < 0.6:
            expunge(imap, chance.choice(("INBOX", "Lists")), chance)
    imap.logout()


def delivering(how, seed, number):
    chance = random.Random(seed)
    for _ in range(number):
        if not how(message(chance.randint(100, 3000))):
            raise AssertionError("no room")


def rewriting(is_over):
    """Writes the file anew, by turns as Dovecot and as lodge do."""
    while not is_over.is_set():
        doveadm_recalc()
        lodge("quota", "recalc", USER)


def together(jobs, disturber=None):
    """disturber goes on until the first of the jobs has ended."""
    failures = []
    done = threading.Event()

    def guard(job, *arguments):
        try:
            job(*arguments)
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(f"{job.__name__}: {failure}")
        finally:
            done.set()

    threads = [threading.Thread(target=guard, args=job) for job in jobs]
    disturbing = [threading.Thread(target=guard, args=(disturber, done))] if disturber else []
    for thread in threads + disturbing:
        thread.start()
    for thread in threads + disturbing:
        thread.join()
    assert not failures, failures


def parallel(seed, number, disturber=None):
    print(f"seed {seed}")
    imap = log_in()
    ok(imap.create("Lists"))
    lodge("quota", "recalc", USER)
    together(
        [(imap_client, seed + i, number) for i in range(2)]
        + [(delivering, how, seed + 10 + i, number) for i, how in enumerate((lmtp, lmtp, deliver, deliver))],
        disturber,
    )
    print(f"there are {count()}, the file says {by_file()}")
    return imap


def parallel_exact(seed, number):
    """Fewer lines than anybody rewrites the file for: nothing may get lost."""
    compare(parallel(seed, number))
    lodge("quota", "verify", USER)


def parallel_healed(seed, number):
    """Dovecot appends to files that are no longer there, and counts what is being stored."""
    imap = parallel(seed, number, rewriting)
    answer = json.loads(lodge("quota", "verify", USER, "--repair", "--json"))
    print(answer)
    assert answer["drifted"] == answer["repaired"]
    compare(imap)


if __name__ == "__main__":
    {"history": history, "parallel": parallel_exact, "rewritten": parallel_healed}[sys.argv[1]](
        int(sys.argv[2]), int(sys.argv[3])
    )
