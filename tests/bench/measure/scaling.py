"""The cost of a delivery while one thing grows: users, messages, folders, memory of what was seen, usage, log.

Each axis is one lodged with one worker. A point is the CPU time of lodged for a delivery, the median of a few
runs over one connection, and the number of its system calls, counted in a run of its own under strace(1).
The messages that fill a mailbox are hard links to a few files: what a delivery could stumble over is their number.
"""

import os
import shutil
import sqlite3
import statistics

from . import calls
from .lodge import PLAIN, QUOTA, SIEVE, Lodge, program, write_script
from .processes import run_json, tree_cpu_us
from .workspace import give_to_nobody

SPREAD = 1100  # users who get mail in turn: more than a worker remembers
RUNS, DELIVERIES, TRACED, WARM = 3, 200, 100, 50
MESSAGE = 4096
LINKS_MAX = 60000  # of one inode; ext4 takes 65,000
TOTAL = "total.example"  # a domain whose mailboxes have a limit together

DUPLICATES = b'require ["duplicate"];\nif duplicate :seconds 864000 { discard; stop; }\nkeep;\n'


def make_directories(*paths):
    for path in paths:
        os.makedirs(path, exist_ok=True)
    give_to_nobody(*paths)


def make_maildir(path):
    """What a first delivery would make, with syncs."""
    make_directories(os.path.dirname(path), path, *(f"{path}/{part}" for part in ("cur", "new", "tmp")))


class Axis:
    """One lodged and the points measured with it."""

    def __init__(self, build, workspace, log, name):
        self.build, self.log, self.name = build, log, name
        self.lodge = Lodge(build, workspace, f"scaling-{name.split()[0]}", workers=1)
        self.scratch = workspace.dir
        self.sent = 0

    def load(self, domain, users, deliveries):
        result = run_json([program(self.build, "lmtp_load"), "--to", f"unix:{self.lodge.socket}", "-s", str(MESSAGE), "--users",
                           str(users), "--first", str(self.sent), "--recipient", f"user#@{domain}", "-n", str(deliveries)])
        self.sent += deliveries
        if result["errors"] or result["deliveries"] != deliveries:
            raise SystemExit(f"bench: {self.name}: {result}")

    def cpu_us(self, domain, users):
        before = tree_cpu_us(self.lodge.server.pid)
        self.load(domain, users, DELIVERIES)
        return (tree_cpu_us(self.lodge.server.pid) - before) / DELIVERIES

    def point(self, x, series, domain, users=1):
        """Measures and notes one point; the first deliveries find what is new and are not counted."""
        self.load(domain, users, max(users, WARM))
        values = {"cpu_us": round(statistics.median(self.cpu_us(domain, users) for _ in range(RUNS)), 1)}
        if calls.is_available():
            count = calls.count(self.lodge.workers(), lambda: self.load(domain, users, TRACED), f"{self.scratch}/strace")
            values["calls"] = round(count / TRACED, 1)
        self.log.add(axis=self.name, x=x, series=series, **values)
        print(f"{self.name} {x:,}, {series}: {values}", flush=True)

    def maildir(self, domain):
        """Maildir of the only user of a domain."""
        return f"{self.lodge.mail}/{domain}/user0/Maildir"

    def map_db(self):
        return sqlite3.connect(f"{self.lodge.dir}/map.db")

    def add_users(self, domain, first, end):
        """Users number first to end - 1: SPREAD who get mail, and others who lie between them in the index."""
        make_directories(f"{self.lodge.mail}/{domain}")
        for number in range(first, min(end, SPREAD)):
            make_maildir(f"{self.lodge.mail}/{domain}/user{number}/Maildir")
        with self.map_db() as map_db:
            map_db.executemany("INSERT INTO users (email) VALUES (?)",
                               ((f"user{number}@{domain}" if number < SPREAD else f"user{number % SPREAD}x{number}@{domain}",)
                                for number in range(first, end)))


def users_in_the_map(axis, sizes):
    """Half of them without and half with a limit."""
    axis.lodge.provision(users=0)
    before = 0
    for size in sizes:
        half = max(size // 2, 1)
        for domain in (PLAIN, QUOTA):
            axis.add_users(domain, before, half)
        axis.lodge.start()  # anew: a worker remembers nobody
        for series, domain in (("plain", PLAIN), ("quota", QUOTA)):
            axis.point(2 * half, series, domain, min(half, SPREAD))
        axis.lodge.stop()
        before = half


def fill(maildir, first, end):
    """Messages number first to end - 1, in new/ and cur/ by turns."""
    source = ""
    for number in range(first, end):
        name = f"{1700000000 + number}.M{number % 1000000}P4711Q{number}.mail.example.org,S={MESSAGE},W={MESSAGE + 80}"
        path = f"{maildir}/cur/{name}:2,S" if number % 2 else f"{maildir}/new/{name}"
        if number == first or number % LINKS_MAX == 0:
            source = path
            with open(source, "wb") as file:
                file.write(b"x" * MESSAGE)
        else:
            os.link(source, path)


def messages_in_the_mailbox(axis, sizes):
    axis.lodge.provision(users=1)
    axis.lodge.start()
    before = 0
    for size in sizes:
        for series, domain in (("plain", PLAIN), ("quota", QUOTA)):
            make_maildir(axis.maildir(domain))
            fill(axis.maildir(domain), before, size)
            if domain == QUOTA and size > 0:
                os.unlink(f"{axis.maildir(domain)}/maildirsize")  # so that they are counted
            axis.point(size, series, domain)
        before = max(before, size)


def folders_of_the_mailbox(axis, sizes):
    axis.lodge.provision(users=1)
    axis.lodge.start()
    before = 0
    for size in sizes:
        for series, domain in (("plain", PLAIN), ("quota", QUOTA)):
            make_maildir(axis.maildir(domain))
            for number in range(before, size):
                make_maildir(f"{axis.maildir(domain)}/.folder{number}")
            axis.point(size, series, domain)
        before = size


def state_path(home):
    return f"{home}/.lodge/state.db"


def duplicates_remembered(axis, sizes):
    """A script that looks for duplicates asks and writes the memory of what was seen: 10,000 at most."""
    axis.lodge.provision(users=1)
    home = f"{axis.lodge.mail}/{SIEVE}/user0"
    make_directories(os.path.dirname(home))
    write_script(home, DUPLICATES)
    axis.lodge.start()
    axis.load(SIEVE, 1, 1)
    for size in sizes:
        with sqlite3.connect(state_path(home)) as state:
            kind, now, expires = state.execute("SELECT kind, remembered, expires FROM entries").fetchone()
            state.executemany("INSERT OR IGNORE INTO entries (kind, key, remembered, expires) VALUES (?, ?, ?, ?)",
                              ((kind, f"{number * 7919 % 1000003:07}@bench.example", now - 60, expires) for number in range(size)))
        axis.point(size, "script with duplicate", SIEVE)


def mailboxes_of_a_domain_with_a_total(axis, sizes):
    """What each holds is a row of the database of usage; a delivery needs their sum."""
    axis.lodge.provision(users=0)
    with axis.map_db() as map_db:
        map_db.execute("INSERT INTO domains (domain, quota_bytes) VALUES (?, ?)", (TOTAL, 1 << 50))
    before = 0
    for size in sizes:
        axis.add_users(TOTAL, before, size)
        axis.lodge.start()
        axis.point(size, "total of a domain", TOTAL, min(size, SPREAD))
        axis.lodge.stop()
        before = size


def octets_of_the_log(axis, sizes):
    axis.lodge.provision(users=1)
    axis.lodge.start()
    for size in sizes:
        os.truncate(axis.lodge.log, size)  # a hole: it takes no room
        axis.point(size, "plain", PLAIN)


# What grows, how, and its sizes; for a quick run the first few.
AXES = (
    ("users in the map", users_in_the_map, (2, 2_000, 100_000, 1_000_000)),
    ("messages in the mailbox", messages_in_the_mailbox, (0, 1_000, 10_000, 100_000, 1_000_000)),
    ("folders of the mailbox", folders_of_the_mailbox, (0, 10, 100, 1_000)),
    ("duplicates remembered", duplicates_remembered, (0, 100, 1_000, 10_000)),
    ("mailboxes of a domain with a total", mailboxes_of_a_domain_with_a_total, (1, 100, 1_000, 10_000)),
    ("octets of the deliver log", octets_of_the_log, (0, 1_000_000, 1_000_000_000)),
)


def measure(build, workspace, log, quick, only):
    """All axes, or those with a word of only in their name; returns the points."""
    for name, grow, sizes in AXES:
        if only and not any(word in name for word in only):
            continue
        axis = Axis(build, workspace, log, name)
        try:
            grow(axis, sizes[:3] if quick else sizes)
        finally:
            axis.lodge.stop()
        shutil.rmtree(axis.lodge.dir, ignore_errors=True)
    return [record for record in log.records if "axis" in record]
