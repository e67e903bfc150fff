#!/usr/bin/env python3
"""crash_runs.py DIRECTORY pipe|lmtp SEED - real deliveries, and a power failure after each of their calls

Records what `deliver` or `lodged` asks of the file system (calls.py) and tries every state
that a crash may leave (crash_model.py): no promise may be broken. Then every fsync is
taken out of the recording, one at a time, and that must be found; for what is found the
worst state, and some drawn at random, are written out as files and judged as those
that a killed program leaves.

An fsync of a directory may be without effect in one run: another one follows, or the
directory was made durable by somebody else before. So it is enough that one run of a kind
needs it, but each fsync of a message or of its new/ or cur/ must be needed where it is.
"""

import collections
import itertools
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import calls
import crash_model
import installation
import lmtp_load
import proof
import smtp_sink

FIFTY = [f"user{number}@many.example" for number in range(50)]
KILLED = [f"user@killed{number}.example" for number in range(20)]
SKIPPED = [f"user@skipped{number}.example" for number in range(10)]
PIPE_USERS = ["ana@example.org", "new@example.net", "journal@example.net", *KILLED, *SKIPPED]
LMTP_USERS = ["ana@example.org", "bob@example.net", "flags@example.org", "copy@example.org", *FIFTY]
FLAGS_SCRIPT = 'require "imap4flags"; setflag ["\\\\Seen", "\\\\Flagged", "todo", "$work"]; keep;'
COPY_SCRIPT = 'require "copy"; redirect :copy "eva@example.net"; keep;'
LARGE = 5_000_000  # the disk begins with it before all of it is there
SMALL_MEMORY = "mail.spool_memory=16K"  # and with what is larger than that

# What fstatfs(2) answers, whatever the machine has: nothing of which more is known than POSIX says (tmpfs), or
# XFS. Then lodge waits for data, and one fsync is for all.
POSIX = ["-e", "inject=fstatfs:poke_exit=@arg2=9419020100000000"]
JOURNAL = ["-e", "inject=fstatfs:poke_exit=@arg2=4253465800000000"]
# As on a file system that cannot rename without replacing: link(2) and unlink(2).
NO_NOREPLACE = ["-e", "inject=renameat2:error=EINVAL"]


def tree(root):
    """What is there: path -> whether it is a directory."""
    found = {}
    for directory, directories, files in os.walk(root):
        found.update({os.path.join(directory, name): True for name in directories})
        found.update({os.path.join(directory, name): False for name in files})
    return found


def what_is_synced(run, call):
    """A word for it, the same for all users."""
    path = os.path.relpath(call.descriptor, run.root)
    levels = path.split("/")
    if path == ".":
        return "the mail root"
    if levels[-1] in crash_model.BOXES:
        return "new/ or cur/"
    if levels[-2:-1] == ["tmp"] and levels[-1][0].isdigit() and ",S=0," not in levels[-1]:
        return "a message"
    if len(levels) <= 3:
        return ("a domain", "a home", "a Maildir")[len(levels) - 1]
    return "a folder" if levels[-1].startswith(".") else "a file that is replaced"


EACH = ("a message", "new/ or cur/")  # needed wherever they are
FILES_OF_EACH = 10                      # faults of a kind that are written out as files


class Proof:
    """Runs of one program, checked as they come."""

    def __init__(self, base, seed):
        self.base, self.seed, self.rng = pathlib.Path(base), seed, random.Random(seed)
        self.complaints, self.replayed, self.needed = [], 0, collections.Counter()
        self.seen = set()

    def check(self, name, run):
        """Every state of the run as it is; then without each fsync. Returns the numbers of those it needs."""
        faults = run.faults()
        self.complaints += [f"{name}: {fault.text}" for fault in faults]
        self.complaints += [f"{name}: a reply promises nothing that is there: {reply}" for reply in run.unanswered()]
        if not run.replies or not run.syncs:
            self.complaints.append(f"{name}: {len(run.replies)} replies, {len(run.syncs)} fsyncs: it proves nothing")
        print(f"{name}: {len(run.items)} files, {len(run.syncs)} fsyncs, {run.points} crashes, {run.states} states")
        self._replay(name, run)
        return {sync for sync in run.syncs if self._is_needed(name, run, sync)}

    def _is_needed(self, name, run, sync):
        what = what_is_synced(run, run.calls[sync])
        self.seen.add(what)
        faults = [run.fault_without(sync)]
        if what == "a message":
            faults.append(run.fault_when_late(sync))
        if None in faults and what in EACH:
            self.complaints.append(f"{name}: nobody needs the fsync of {what}, or it may be late: {run.calls[sync]}")
        for fault in filter(None, faults):
            if self.needed[what] < FILES_OF_EACH:
                self._replay_fault(name, run, fault)
        self.needed[what] += faults[0] is not None
        return faults[0] is not None

    def finish(self):
        print(*(f"  {what}: {self.needed[what]} fsyncs that must not be left out" for what in sorted(self.seen)), sep="\n")
        print(f"  {self.replayed} states written out")
        self.complaints += [f"nobody ever needs the fsync of {what}" for what in self.seen if not self.needed[what]]

    # ---- as files ----------------------------------------------------------------

    def _judge(self, run, calls_made, choose, items):
        self.replayed += 1
        with tempfile.TemporaryDirectory(dir=self.base) as directory:
            account = run.leave(directory, calls_made, choose, items)
            return list(account.complaints(directory))

    def _replay(self, name, run):
        """Crashes at random, with random losses, and what some of the users see."""
        for _ in range(10):
            when = self.rng.randrange(len(run.calls))
            items = self.rng.sample(run.items, min(5, len(run.items)))
            bad = self._judge(run, run.calls[:when], lambda _, possible: self.rng.choice(possible), items)
            self.complaints += [f"{name}, seed {self.seed}, after {when} calls: {text}" for text in bad[:2]]

    def _replay_fault(self, name, run, fault):
        """The verdict of the model is that of the files: something is wrong with this state."""
        if fault.item.reply is None or fault.text.endswith(crash_model.FEW_LINKS):
            return  # proof judges messages only, and before anybody removes one

        def choose(part, possible):
            return fault.state.get(part, frozenset() if isinstance(part, int) else possible[-1])

        if not self._judge(run, fault.calls, choose, [fault.item]):
            self.complaints.append(f"{name}: the files show nothing of: {fault.text}")


# ---- recording --------------------------------------------------------------------


class Recorder:
    def __init__(self, base, lodge, seed):
        self.trace, self.lodge, self.seed = f"{base}/trace", lodge, seed
        self.account, self.number = proof.Account(), 0

    def message(self, size):
        self.number += 1
        name = f"crash-{self.seed}-{self.number}"
        return name, proof.make(name, size, random.Random(self.number))

    def run_of(self, existing):
        with open(self.trace, encoding="utf-8", errors="replace") as lines:
            return crash_model.Run(self.lodge.mail, existing, calls.read(lines), self.seed)

    def by_pipe(self, user, *settings, size=4_000, inject=(), before=None, disk=POSIX):
        """One `deliver`; inject: for strace; before: the trace of one that came earlier."""
        name, message = self.message(size)
        existing = tree(self.lodge.mail) if before is None else before.existing
        earlier = "" if before is None else pathlib.Path(self.trace).read_text(errors="replace")
        status, output = self.lodge.deliver(user, message, *settings, before=calls.strace(self.trace, *disk, *inject))
        if status >= 0:
            self.account.note(name, re.sub(r"\+[^@]*", "", user), 250 if status == 0 else 550, output)
        if earlier:
            later = pathlib.Path(self.trace).read_text(errors="replace")
            pathlib.Path(self.trace).write_text(earlier + later)
        return self.run_of(existing)

    def by_lmtp(self, users, size=4_000, inject=(), disk=POSIX):
        """One transaction with the one worker there is."""
        name, message = self.message(size)
        existing = tree(self.lodge.mail)
        with subprocess.Popen([*calls.strace(self.trace, *disk, *inject), "-p", str(self.lodge.workers()[0])], stderr=subprocess.PIPE, text=True) as tracer:
            tracer.stderr.readline()  # "attached": from here on nothing is missed
            account = lmtp_load.send_one(self.lodge, name, message, users)
            tracer.terminate()
        account.stored = {(name, re.sub(r"\+[^@]*", "", user)) for name, user in account.stored}
        self.account.add(account)
        return self.run_of(existing)


def with_journal(proven, name, run, names):
    """names: of how many directories' names there must be an fsync, and no more."""
    proven.check(f"{name}, with a journal", run)
    kinds = collections.Counter(what_is_synced(run, run.calls[sync]) for sync in run.syncs)
    if not run.has_journal or kinds["new/ or cur/"] != names:
        proven.complaints.append(f"{name}, with a journal: {dict(kinds)} were synced, a journal made no difference")


def is_subscribed(lodge, user):
    """To its folder; or who was killed has left his lock behind, which counts for minutes."""
    local, _, domain = user.partition("@")
    maildir = lodge.mail / domain / local / "Maildir"
    file = maildir / "subscriptions"
    return (maildir / "subscriptions.lock").exists() or (file.exists() and "folder" in file.read_text().splitlines())


def after_one_was_killed(recorder, proven, first):
    """Somebody dies at each fsync of the making of a mailbox, and the next delivery, to the same
    folder or to INBOX, goes on from there. first: an undisturbed one. Its every fsync must be
    needed by itself or by the next."""
    order = list(first.syncs)
    needed = {order.index(sync) for sync in proven.check("new mailbox and folder", first)}
    users = iter(KILLED)
    for number, target in itertools.product(range(len(order)), ("+folder@", "@")):
        user = next(users)
        killed = recorder.by_pipe(user.replace("@", "+folder@"), inject=["-e", f"inject=fsync:signal=KILL:when={number + 1}"])
        both = recorder.by_pipe(user.replace("@", target), before=killed)
        found = proven.check(f"killed at fsync {number + 1}, then another to {target[:-1] or 'INBOX'}", both)
        if target == "+folder@" and not is_subscribed(recorder.lodge, user):
            proven.complaints.append(f"killed at fsync {number + 1}: nobody subscribed to the folder")
        needed |= {place for place, sync in enumerate(both.syncs) if place < number and sync in found}
    for number in set(range(len(order))) - needed:
        proven.complaints.append(f"nobody needs fsync {number + 1} of a new mailbox: {first.calls[order[number]]}")


def without_one_really(recorder, proven, first):
    """deliver itself leaves one out: strace answers in the kernel's place."""
    found = 0
    for number, sync in enumerate(first.syncs):
        user = SKIPPED[number].replace("@", "+folder@")
        run = recorder.by_pipe(user, inject=["-e", f"inject=fsync:retval=0:when={number + 1}"])
        faults = run.faults()
        if bool(faults) != bool(first.fault_without(sync)):
            proven.complaints.append(f"a deliver without fsync {number + 1} is not what the recording without it is")
        found += bool(faults)
    print(f"of {len(first.syncs)} fsyncs that deliver left out, {found} were found")


def with_quota(proven, name, run):
    proven.check(name, run)
    if not any(call.name == "write" and (call.descriptor or "").endswith("/maildirsize") for call in run.calls):
        proven.complaints.append(f"{name}: no line in maildirsize, it is not about quota")


def with_links(proven, name, run, count):
    """One file for so many; the names come before the fsync."""
    proven.check(name, run)
    messages = [sync for sync in run.syncs if what_is_synced(run, run.calls[sync]) == "a message"]
    if sum(call.name == "linkat" and "/tmp" in call.arguments for call in run.calls) < count - 1 or len(messages) != 1:
        proven.complaints.append(f"{name}: they do not share a file")
    if not all(run.fault_when_linked_late(sync) for sync in messages):
        proven.complaints.append(f"{name}: nothing is found when the links are made after the fsync of the file")


def with_one_refused(recorder, proven):
    """The name of one cannot be moved; its link goes, and the others keep theirs."""
    run = recorder.by_lmtp(FIFTY[:10], inject=["-e", "inject=renameat2:error=EIO:when=3"])
    with_links(proven, "one file, one is refused", run, 10)
    if recorder.account.replies.pop(451, 0) != 1 or len(run.items) != 9:
        proven.complaints.append(f"one file, one is refused: {len(run.items)} files, not 9")


def begun_early(proven, name, run, check=None):
    """check: instead of the plain one."""
    (check or proven.check)(name, run)
    if not any(call.name == "renameat2" and ",S=0,W=0" in call.paths[0] and call.paths[1].endswith(os.path.basename(run.items[0].place)) for call in run.calls):
        proven.complaints.append(f"{name}: what arrived did not become the first copy")


def pipe(lodge, recorder, proven):
    first = recorder.by_pipe("new+folder@example.net")
    after_one_was_killed(recorder, proven, first)
    without_one_really(recorder, proven, first)
    proven.check("new mailbox", recorder.by_pipe("ana@example.org"))
    proven.check("single", recorder.by_pipe("ana@example.org"))
    begun_early(proven, "large", recorder.by_pipe("ana@example.org", size=LARGE))
    proven.check("compressed", recorder.by_pipe("ana@example.org", "-o", "mail.compress=gzip", size=700_000))
    proven.check("new folder", recorder.by_pipe("ana+folder@example.org"))
    with_quota(proven, "with quota", recorder.by_pipe("ana@example.org", "-o", "quota.bytes=1G"))
    with_journal(proven, "new mailbox and folder", recorder.by_pipe("journal+folder@example.net", disk=JOURNAL), 1)
    with_journal(proven, "large", recorder.by_pipe("journal@example.net", size=LARGE, disk=JOURNAL), 1)


def lmtp(lodge, recorder, proven):
    home = lodge.mail / "example.org"
    with smtp_sink.Sink() as sink, lodge.running(f"submission.url={sink.url}"):
        proven.check("single, new mailbox", recorder.by_lmtp(["ana@example.org"]))
        proven.check("single", recorder.by_lmtp(["ana@example.org"]))
        proven.check("large, two recipients", recorder.by_lmtp(["ana@example.org", "bob@example.net"], size=700_000))
        proven.check("fifty new mailboxes", recorder.by_lmtp(FIFTY))
        proven.check("fifty recipients, copies", recorder.by_lmtp(FIFTY))
        proven.check("new folder", recorder.by_lmtp(["ana+folder@example.org", "bob@example.net"]))
        recorder.by_lmtp(["flags@example.org", "copy@example.org"])  # their homes are there now
        (home / "flags/.dovecot.sieve").write_text(FLAGS_SCRIPT)
        (home / "copy/.dovecot.sieve").write_text(COPY_SCRIPT)
        proven.check("flags and new keywords", recorder.by_lmtp(["flags@example.org"]))
        proven.check("redirected and kept", recorder.by_lmtp(["copy@example.org"]))
        if len(sink.seen("message")) != 1:
            proven.complaints.append("redirected and kept: it was not redirected")
        proven.check("by links", recorder.by_lmtp(FIFTY[:10], inject=NO_NOREPLACE))
    with lodge.running(SMALL_MEMORY):
        begun_early(proven, "begun early, two recipients", recorder.by_lmtp(["ana@example.org", "bob@example.net"], size=300_000))
    with lodge.running("quota.bytes=1G"):
        with_quota(proven, "with quota, fifty recipients", recorder.by_lmtp(FIFTY))
    with lodge.running():
        with_journal(proven, "single", recorder.by_lmtp(["ana@example.org"], disk=JOURNAL), 1)
        with_journal(proven, "fifty recipients, copies", recorder.by_lmtp(FIFTY, disk=JOURNAL), 1)
        with_journal(proven, "by links", recorder.by_lmtp(FIFTY[:10], inject=NO_NOREPLACE, disk=JOURNAL), 1)
    with lodge.running("mail.delivered_to=single"):
        with_links(proven, "fifty recipients, one file", recorder.by_lmtp(FIFTY), len(FIFTY))
        with_links(proven, "one file, by links", recorder.by_lmtp(FIFTY[:10], inject=NO_NOREPLACE), 10)
        with_one_refused(recorder, proven)
    with lodge.running("mail.delivered_to=single", SMALL_MEMORY):
        early = recorder.by_lmtp(FIFTY[:10], size=300_000)
        begun_early(proven, "begun early, one file", early, lambda name, run: with_links(proven, name, run, 10))
    with lodge.running("mail.delivered_to=single"):
        with_journal(proven, "ten recipients, one file", recorder.by_lmtp(FIFTY[:10], disk=JOURNAL), 1)
    with lodge.running("mail.compress=gzip"):
        proven.check("compressed, fifty recipients", recorder.by_lmtp(FIFTY, size=20_000))


def main():
    base, way, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = ["mail.detail_folder=create", "mail.spool_memory=256K", "lmtp.min_workers=1", "lmtp.max_workers=1"]
    lodge = installation.Installation(base, {"pipe": PIPE_USERS, "lmtp": LMTP_USERS}[way], settings)
    recorder, proven = Recorder(base, lodge, seed), Proof(base, seed)
    {"pipe": pipe, "lmtp": lmtp}[way](lodge, recorder, proven)
    proven.finish()
    complaints = proven.complaints + list(recorder.account.complaints(lodge.mail))
    if set(recorder.account.replies) != {250}:
        complaints.append(f"not everything was stored: {recorder.account.summary()}")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
