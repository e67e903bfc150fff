#!/usr/bin/env python3
"""kill_redirect.py DIRECTORY - SIGKILL at each system call of a delivery that redirects

strace kills `deliver`, or the worker of `lodged`, as it enters the Nth call of a kind: each call
from the handing over of the message to the MTA up to the reply. Then the message comes again, as
from an MTA that got no answer. Whatever the moment:

    nothing is lost         the redirect is with the MTA, a copy is in each folder
    nothing is sent twice   unless the kill came between the MTA's reply and the end of the
                            transaction of state.db, before which nothing may be published
    nothing is stored twice unless it was published before the kill
"""

import collections
import concurrent.futures
import contextlib
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys

import installation
import lmtp_load
import proof
import smtp_sink

COPIES = 'require ["copy", "fileinto"]; redirect :copy "eva@example.net"; fileinto "Lists"; keep;'
REDIRECT = 'redirect "eva@example.net";'


class Pipe:
    """By deliver."""

    def __init__(self, lodge, user, sink):
        self.lodge, self.user, self.options = lodge, user, ["-o", f"submission.url={sink.url}"]

    def send(self, name, message, strace=()):
        return self.lodge.deliver(self.user, message, *self.options, before=strace)[0]

    def open(self):
        return contextlib.nullcontext()


class Lmtp:
    """By the only worker of lodged, which strace is attached to."""

    def __init__(self, lodge, user, sink):
        self.lodge, self.user, self.sink = lodge, user, sink

    def send(self, name, message, strace=()):
        if not strace:
            return self._transact(name, message)
        worker = installation.wait_for(self.lodge.workers, 20, "a worker")[0]
        with subprocess.Popen([*strace, "-p", str(worker)], stderr=subprocess.PIPE, text=True) as tracer:
            tracer.stderr.readline()  # "attached": from here on nothing is missed
            status = self._transact(name, message)
            tracer.kill()  # it may wait for a worker whose io_uring threads have not ended; what it traced goes on
        return status

    def _transact(self, name, message):
        (code, count), = lmtp_load.send_one(self.lodge, name, message, [self.user]).replies.items()
        return {250: 0, None: -9}.get(code, code) if count == 1 else count

    def open(self):
        return self.lodge.running(f"submission.url={self.sink.url}")


class Killer:
    def __init__(self, lodge, way, user, script, folders, forgets):
        """forgets: the user has no state yet, each time."""
        self.sink = smtp_sink.Sink()
        self.way, self.forgets, self.folders = way(lodge, user, self.sink), forgets, folders
        self.home = lodge.mail / "example.org" / user.partition("@")[0]
        self.trace = pathlib.Path(lodge.base) / f"trace-{user}"
        self.user, self.number, self.results, self.complaints = user, 0, collections.Counter(), []
        self.home.mkdir(parents=True)
        (self.home / ".dovecot.sieve").write_text(script, encoding="ascii")
        shutil.chown(lodge.mail / "example.org", installation.MAIL_USER, installation.MAIL_GROUP)
        shutil.chown(self.home, installation.MAIL_USER, installation.MAIL_GROUP)

    def make(self):
        """A message as an MTA hands it over."""
        self.number += 1
        name = f"{self.user.partition('@')[0]}-{self.number}"
        received = f"Received: from sender.test by mta.test with SMTP id Q{self.number}\r\n"
        return name, received.encode() + proof.make(name, 600, random.Random(self.number))

    def calls(self):
        """(name, how many of that name) of each call from the hand-over to the reply."""
        self.way.send(*self.make())  # makes the folders
        if self.forgets:
            shutil.rmtree(self.home / ".lodge", ignore_errors=True)
        status = self.way.send(*self.make(), ["strace", "-f", "-s", "5000", "-o", self.trace])
        if status != 0:
            raise AssertionError(f"undisturbed: {status}")
        counts, begun = collections.Counter(), False
        for line in self.trace.read_text(errors="replace").splitlines():
            call = re.match(r"\d+ +(\w+)\(", line)
            if call:
                counts[call[1]] += 1
                begun = begun or call[1] == "sendto" and r"\r\n.\r\n" in line
                if begun and not call[1].startswith("exit"):
                    yield call[1], counts[call[1]]
                if re.search(r"2\.0\.0 \w+ (stored|redirected)", line):
                    break
        if not begun:
            raise AssertionError("no message was handed over")

    def remembered(self):
        """Redirects that state.db knows; opening it undoes half a transaction, as lodge does."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.home}/.lodge/state.db?mode=rw", uri=True)) as state:
                return state.execute("SELECT count(*) FROM entries WHERE kind = 2").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # no file, or no table yet

    def stored(self, name):
        """How often the message is visible, of each folder."""
        found = collections.Counter()
        for file in proof.visible(self.home):
            which, fault = proof.judge(file)
            if fault:
                self.complaints.append(f"{file}: {fault}")
            elif which == name:
                found[file.parent.parent.name] += 1
        return [found[folder] for folder in self.folders]

    def sent(self, name):
        self.sink.wait_for_end()
        return self.sink.count(f"<{name}@sender.test>".encode())

    def kill(self, call, number):
        if self.forgets:
            shutil.rmtree(self.home / ".lodge", ignore_errors=True)
        name, message = self.make()
        known = self.remembered()
        strace = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}", "-e", f"trace={call}"]
        status = self.way.send(name, message, strace)
        if status == 0:
            self.results["not reached"] += 1
            return
        sent, stored, known = self.sent(name), self.stored(name), self.remembered() - known
        again = self.way.send(name, message)
        after = self.sent(name), self.stored(name)
        due = 1 if known else sent + 1, [count + 1 for count in stored]
        if (status, again) != (-9, 0) or after != due or (not known and sum(stored) > 0):
            self.complaints.append(f"{name}, {call} {number}: status {status}, then {again}; sent {sent}, stored {stored}, known {known};"
                                   f" after the retry {after}, due {due}")
        self.results["before the memory" if not known else "published" if sum(stored) else "remembered"] += 1
        self.results["sent twice"] += after[0] - 1

    def run(self):
        with self.sink, self.way.open():
            for call, number in list(self.calls()):
                self.kill(call, number)
        if self.results["remembered"] < 5 or self.results["before the memory"] < 10:
            self.complaints.append("hardly anything was killed: does strace inject?")
        print(f"{self.user}: {dict(self.results)}")
        return self.complaints


def main():
    users = ["copies@example.org", "redirect@example.org", "lmtp@example.org"]
    lodge = installation.Installation(sys.argv[1], users, ["lmtp.min_workers=1", "lmtp.max_workers=1"])
    folders = [".Lists", "Maildir"]
    killers = [
        Killer(lodge, Pipe, users[0], COPIES, folders, True),
        Killer(lodge, Pipe, users[1], REDIRECT, [], False),
        Killer(lodge, Lmtp, users[2], COPIES, folders, False),
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        complaints = [complaint for result in pool.map(Killer.run, killers) for complaint in result]
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
