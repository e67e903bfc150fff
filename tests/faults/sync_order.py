#!/usr/bin/env python3
"""sync_order.py TRACE [--without CALL]: was everything durable before it was said to be stored?

TRACE is written by strace -f -y. Of every message that a run published it must show:
the file fsynced after its last write and before it got its name in new/ or cur/; then
that directory fsynced; the parent of every directory made on the way fsynced; and only
after all that the reply. A new tmp/ may be lost: it holds nothing that was promised. --without takes the calls of one kind out first: "file"
or "directory" fsyncs. It proves that the check misses them.
"""

import os
import re
import sys

CALL = re.compile(r"^(?:\[?[pid ]*(\d+)\]? +)?(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?")
SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range", "splice")
REPLY = re.compile(r'"(?:250[ -]2\.0\.0|2\.0\.0 )[^"]*stored')


def calls(lines):
    """(name, arguments, result, descriptor's path or None) of each finished call."""
    pending = {}
    for line in lines:
        unfinished = re.match(r"^(\d+) +(.*) <unfinished \.\.\.>$", line)
        if unfinished:
            pending[unfinished[1]] = unfinished[2]
            continue
        resumed = re.match(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", line)
        if resumed:
            line = f"{resumed[1]} {pending.pop(resumed[1])}{resumed[2]}"
        found = CALL.match(line)
        if found:
            yield found[2], found[3], int(found[4]), (re.match(r"\d+<([^>]*)>", found[3]) or [None, None])[1]


def full_path(directory, name):
    return name if name.startswith("/") else os.path.normpath(os.path.join(directory or "", name))


def paths_at(arguments):
    """Paths that the arguments of a ...at() call name: (directory fd, "name") pairs."""
    pairs = re.findall(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', arguments)
    return [full_path(directory, name) for directory, name in pairs]


def is_published(path):
    return os.path.basename(os.path.dirname(path)) in ("new", "cur")


def is_message(path):
    """A file of a Maildir, wherever it is in its life."""
    return os.path.basename(os.path.dirname(path or "")) in ("tmp", "new", "cur")


class Check:
    def __init__(self):
        self.synced = {}  # path -> True while nothing was written since the last fsync
        self.directories = {}  # directory -> what was last done in it that is not yet durable
        self.published = 0
        self.replies = 0
        self.complaints = []

    def publish(self, source, target):
        self.published += 1
        if not self.synced.get(source):
            self.complaints.append(f"{target} got its name before the file was fsynced")
        self.directories[os.path.dirname(target)] = f"entry {os.path.basename(target)}"

    def reply(self):
        self.replies += 1
        for directory, what in self.directories.items():
            self.complaints.append(f"said to be stored before {directory} was fsynced ({what})")
        if self.published == 0:
            self.complaints.append("said to be stored with nothing in new/ or cur/")

    def see(self, name, arguments, result, path):
        if result < 0:
            return
        if name in SYNCS:
            self.synced[path] = True
            self.directories.pop(path, None)
        elif name in WRITES and is_message(path):
            self.synced[path] = False
        elif name.startswith("mkdir"):
            made = paths_at(arguments)[-1]
            if os.path.basename(made) == "tmp":
                return
            self.directories[os.path.dirname(made)] = f"new directory {os.path.basename(made)}"
        elif name.startswith(("rename", "link")):
            source, target = paths_at(arguments)[:2]
            if is_published(target):
                self.publish(source, target)
        if name in ("write", "writev", "send", "sendto", "sendmsg") and REPLY.search(arguments):
            self.reply()


def left_out(call, kind):
    name, _, _, path = call
    return name in SYNCS and kind is not None and (kind == "file") == is_message(path)


def main():
    kind = sys.argv[3] if sys.argv[2:3] == ["--without"] else None
    check = Check()
    with open(sys.argv[1], encoding="utf-8", errors="replace") as lines:
        for call in calls(line.rstrip("\n") for line in lines):
            if not left_out(call, kind):
                check.see(*call)
    if check.replies == 0:
        check.complaints.append("the trace has no reply: it proves nothing")
    for complaint in check.complaints:
        print(complaint)
    print(f"{check.published} published, {check.replies} replies, {len(check.complaints)} complaints")
    sys.exit(1 if check.complaints else 0)


if __name__ == "__main__":
    main()
