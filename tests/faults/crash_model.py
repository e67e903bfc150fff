"""What a crash may leave of a recorded run, and whether a promise is broken then.

A run is replayed call by call onto a model of the mail root. After each call the machine
may stop. The model is that of POSIX and of nothing better:

- A name in a directory (made, removed, moved here, moved away) is durable when an fsync of
  that directory was begun after the call and has returned. Until then it is lost or kept,
  whatever happens to any other name. Changes of the same name keep their order. A
  rename is two such changes, a name gone here and a name come there.
- What was written to a file, and with it its size, is durable when an fsync of the file
  was begun after the write and has returned. Until then each write is lost or kept.
- So it is with the number of a file's links, which is in its inode as the size is: the disk has that
  of some instant since such an fsync was begun, or 0 without one, whatever names it has.
- Nothing else makes anything durable, neither time nor the fsync of something else.

File systems of Linux promise more, and none of it is used, so every state that one of them may
leave is among those that are tried:
  ext4, XFS         names are journaled: what came earlier is kept if what came later is;
                    an fsync of anything makes all names before it durable
  ext4, no journal  as POSIX, but an fsync of a new file syncs its directories too
  btrfs             an fsync writes a log of that file or directory, a commit everything
The data of a file that was not synced may be missing on all of them, and so may whatever is in
a directory that was not. crash_image.py and crash_drive.py ask these file systems themselves.

Only where a run waits for data with sync_file_range it has been told that it is on a file system
with a journal (lda/journal.h), and the model is that of one, and of nothing better:

- Changes of names are made durable in the order in which they were made, whatever the directory: a
  crash keeps all up to some instant, and none after it.
- An fsync of a directory makes its last change durable, and with it all that came before, but nothing later.
- What was written to a file before sync_file_range was begun is whole if the instant is after its
  return. Else each write is lost or kept, even when the name is there.
- A name and the number of links change together.

The promises: a message that was said to be stored is in new/ or cur/, whole, in every state;
a message in new/ or cur/ is whole in every state, said to be stored or not. The small
files that are replaced by a rename (subscriptions, dovecot-keywords) are whole in every state, and
there when whoever replaced them gives his next reply. A file without links is none: fsck, or the next
mount, takes it and its names away. One that several mailboxes share must have at least as many as
they may show names of it, or one of them who removes his takes it from another (fsck would mend that).

The states are as many as two to the number of changes under way. But what becomes of one message
depends on the names of the directories that lead to it, its own, and its writes, and on
nothing else; since losses are independent, it is enough to try every combination of
these few, for each message. If ever there are too many, some are drawn at random.
"""

import collections
import dataclasses
import gzip
import itertools
import math
import os
import random
import re

import proof

INSTANT = "instant"
SHOWN = "shown"
DIRECTORY = -1  # what a name stands for: this, the number of a file, or None
BOXES = ("new", "cur")
FEW_LINKS = "has fewer links on the disk than it may have names"
REPLACED = ("subscriptions", "dovecot-keywords")
STATES_MAX = 4096
REPLY = re.compile(r"250[ -]2\.0\.0 <([^>]*)> (\S+) stored in")
PIPE_REPLY = re.compile(r'^1<[^>]*>, "2\.0\.0 (\S+) stored in')
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
OPENS = ("openat", "openat2", "open")
RESIZES = ("ftruncate", "fallocate")
HARMLESS = ("fstatfs", "sync_file_range")


@dataclasses.dataclass
class Name:
    changes: list  # (when, what it stands for since, the thread that did it)
    durable: int   # so many of them are

    def now(self):
        return self.changes[-1][1] if self.changes else None

    def possible(self, instant):
        """What it may stand for; instant: None, or up to when a journal is kept."""
        if instant is not None:
            kept = max(self.durable, sum(when <= instant for when, _, _ in self.changes))
            return [self.changes[kept - 1][1] if kept else None]
        return [self.changes[count - 1][1] if count else None for count in range(self.durable, len(self.changes) + 1)]


@dataclasses.dataclass
class File:
    writes: list = dataclasses.field(default_factory=list)  # (when, offset, length)
    durable: int = 0
    waited_for: list = dataclasses.field(default_factory=list)  # (when sync_file_range was done, for so many writes)
    links: list = dataclasses.field(default_factory=lambda: [(-1, 0)])  # (when, so many since)
    links_durable: int = 1  # of these
    places: set = dataclasses.field(default_factory=set)  # names it ever had

    def size(self):
        return sum(length for _, _, length in self.writes)

    def link(self, when, more):
        """What one call does to it is one change."""
        count = self.links[-1][1] + more
        if self.links[-1][0] == when:
            self.links.pop()
        self.links.append((when, count))

    def synced(self, began):
        self.durable = max(self.durable, sum(when < began for when, _, _ in self.writes))
        self.links_durable = max(self.links_durable, sum(when < began for when, _ in self.links))

    def possible_links(self, instant):
        """The least and the most that the disk may say."""
        if instant is not None:
            kept = max(self.links_durable, sum(when <= instant for when, _ in self.links))
            return [self.links[kept - 1][1]]
        counts = [count for _, count in self.links[self.links_durable - 1 :]]
        return sorted({min(counts), max(counts)})

    def possible(self, instant):
        """Sets of writes that are lost: none, one, or all that are not durable."""
        whole = [count for when, count in self.waited_for if instant is not None and when <= instant]
        under_way = range(max([self.durable, *whole]), len(self.writes))
        return [frozenset(), *(frozenset([write]) for write in under_way), *([frozenset(under_way)] if len(under_way) > 1 else [])]


@dataclasses.dataclass
class Item:
    """A message, or one version of a file that is replaced."""
    file: int
    place: str
    reply: tuple | None  # transaction id and user
    named: int           # when it got its name, in what thread
    thread: str

    def way(self, root):
        """The names that lead to it."""
        levels = os.path.relpath(self.place, root).split("/")
        return [os.path.join(root, *levels[: depth + 1]) for depth in range(len(levels))]


def is_promised(path):
    """Something is said of this file, or will be. Quota's books are none: they are made anew from the messages."""
    return os.path.basename(os.path.dirname(path)) in (*BOXES, "tmp") or os.path.basename(path) in REPLACED


def links(file):
    """The part of a state that is the number of its links."""
    return ("links", file)


def is_wait(call):
    return call.name == "sync_file_range" and "SYNC_FILE_RANGE_WAIT_AFTER" in call.arguments


def is_sync(call):
    return call.name in ("fsync", "fdatasync") or is_wait(call)


class Disk:
    """The mail root while calls are replayed."""

    def __init__(self, root, existing, has_journal):
        self.root, self.has_journal = root, has_journal
        self.names, self.inside, self.files = {}, collections.defaultdict(set), []
        self.replies = {}  # (transaction id, user or None) -> when it was given, by what thread
        for path, is_directory in existing.items():
            target = DIRECTORY if is_directory else self._file()
            self._name(path).changes.append((-1, target, ""))
            self.names[path].durable = 1
            if target != DIRECTORY:
                self.files[target].link(-1, 1)

    def _file(self):
        self.files.append(File())
        return len(self.files) - 1

    def _name(self, path):
        if path not in self.names:
            self.names[path] = Name([], 0)
            self.inside[os.path.dirname(path)].add(path)
        return self.names[path]

    def is_ours(self, path):
        return path is not None and path.startswith(self.root + "/")

    def now(self, path):
        return self.names[path].now() if path in self.names else None

    def _change(self, call, path, target):
        if DIRECTORY in (target, self.now(path)) and self.now(path) is not None:
            raise AssertionError(f"the model knows no directory that is replaced or removed: {call}")
        before = self.now(path)
        self._name(path).changes.append((call.ended, target, call.thread))
        if target not in (None, DIRECTORY):
            self.files[target].link(call.ended, 1)
            self.files[target].places.add(path)
        if before in (None, DIRECTORY):
            return [path]
        self.files[before].link(call.ended, -1)
        return [path, before]

    def _move(self, call):
        old, new = call.paths[:2]
        if not self.is_ours(new):
            return []
        file = self.now(old)
        touched = self._change(call, new, file)
        if call.name.startswith("rename"):
            self._change(call, old, None)
            touched.append(old)  # and the file has as many links as before
        return touched

    def shown(self, file, instant):
        """How many messages of mailboxes may be this file."""
        places = (path for path in self.files[file].places if os.path.basename(os.path.dirname(path)) in BOXES)
        return sum(file in self.names[path].possible(instant) for path in places)

    def _open(self, call):
        path = call.paths[0]
        if not self.is_ours(path) or "O_CREAT" not in call.arguments or self.now(path) is not None:
            return []
        return self._change(call, path, self._file())

    def _write(self, call):
        number = self.now(call.descriptor)
        file = self.files[number]
        offset = int(call.arguments.rpartition(", ")[2]) if call.name == "pwrite64" else file.size()
        file.writes.append((call.ended, offset, call.result))
        return [number]

    def _wait(self, call):
        number = self.now(call.descriptor)
        file = self.files[number]
        file.waited_for.append((call.ended, sum(when < call.began for when, _, _ in file.writes)))
        return [number]

    def instants(self, names, files):
        """Up to when the journal may be kept, as far as these can tell; [None] without one."""
        if not self.has_journal:
            return [None]
        changes = {when for path in names for when, _, _ in self.names[path].changes[self.names[path].durable :]}
        return sorted({-1, *changes, *(when for file in files for when, _ in self.files[file].waited_for)})

    def _sync(self, call):
        path = call.descriptor
        if not self.is_ours(path) and path != self.root:
            return []
        last, changed = call.began, self.inside[path]
        if self.has_journal:
            last = max((when for child in changed for when, _, _ in self.names[child].changes if when < call.began), default=-1)
            changed = self.names
        touched = [child for child in changed if self.names[child].durable < len(self.names[child].changes)]
        for child in touched:
            name = self.names[child]
            name.durable = max(name.durable, sum(when <= last for when, _, _ in name.changes))
        number = self.now(path)
        if number not in (None, DIRECTORY):
            self.files[number].synced(call.began)
            touched.append(number)
        for file in self.files if self.has_journal else ():
            file.durable = max([file.durable, *(count for when, count in file.waited_for if when <= last)])
            file.links_durable = max(file.links_durable, sum(when <= last for when, _ in file.links))
        return touched

    def _reply(self, call):
        found = [(identity, re.sub(r"\+[^@]*", "", user)) for user, identity in REPLY.findall(call.arguments)]
        found += [(identity, None) for identity in PIPE_REPLY.findall(call.arguments)]
        for reply in found:
            self.replies[reply] = (call.began, call.thread)
        return found

    def apply(self, call):
        """Replays it; returns the names, files and replies it touched."""
        if is_wait(call) and self.is_ours(call.descriptor):
            return self._wait(call)
        if is_sync(call):
            return self._sync(call)
        if call.name.startswith("mkdir"):
            return self._change(call, call.paths[0], DIRECTORY) if self.is_ours(call.paths[0]) else []
        if call.name.startswith(("rename", "link")):
            return self._move(call)
        if call.name.startswith("unlink"):
            return self._change(call, call.paths[0], None) if self.is_ours(call.paths[0]) else []
        if call.name in WRITES and self.is_ours(call.descriptor):
            return self._write(call)
        if call.name in WRITES or call.name.startswith("send"):
            return self._reply(call)
        if call.name in OPENS:
            return self._open(call)
        if call.name in HARMLESS:
            return []
        if call.name in RESIZES and self.is_ours(call.descriptor) and not is_promised(call.descriptor):
            return []
        if self.root + "/" in call.arguments:
            raise AssertionError(f"the model does not know {call.name}: {call}")
        return []


@dataclasses.dataclass
class Fault:
    text: str
    item: Item
    calls: list  # the crash came after these
    state: dict  # name -> what it stands for, file -> lost writes, links(file), INSTANT -> up to when a journal was kept


class Run:
    """A recorded run: its calls, and what was there before it and is there after it."""

    def __init__(self, root, existing, calls, seed=0):
        self.root, self.existing, self.seed = str(root), existing, seed
        calls = [call for call in calls if not call.injected]
        self.points = self.states = 0
        self.has_journal = any(is_wait(call) for call in calls)
        disk = self._disk()
        touched = [(call, disk.apply(call)) for call in calls]
        touched = [(call, parts) for call, parts in touched if parts or is_sync(call) and self._is_ours(call)]
        self.calls = [call for call, _ in touched]
        self.data = {name.now(): self._bytes(path) for path, name in disk.names.items() if name.now() not in (None, DIRECTORY)}
        self.items = list(self._items(disk))
        self.replies = disk.replies
        self.syncs = {number: parts for number, (call, parts) in enumerate(touched) if is_sync(call) and self._is_ours(call)}
        self.by_part = collections.defaultdict(list)
        for item in self.items:
            for part in (*item.way(self.root), item.file, *self._replies_for(item)):
                self.by_part[part].append(item)

    def _disk(self):
        return Disk(self.root, self.existing, self.has_journal)

    @staticmethod
    def _bytes(path):
        with open(path, "rb") as file:
            return file.read()

    def _is_ours(self, call):
        path = call.descriptor or ""
        return path == self.root or path.startswith(self.root + "/")

    def _items(self, disk):
        for path, name in disk.names.items():
            is_message = os.path.basename(os.path.dirname(path)) in BOXES
            if not is_message and os.path.basename(path) not in REPLACED:
                continue
            for when, target, thread in name.changes:
                if when >= 0 and target not in (None, DIRECTORY):
                    yield Item(target, path, self._reply_to(path, target) if is_message else None, when, thread)

    def _reply_to(self, path, file):
        """What a reply that is about this message says."""
        domain, local = os.path.relpath(path, self.root).split("/")[:2]
        identity = re.search(rb"\n?Received: [^\0]*?\(lodge\)(?: with \S+)? id (\S+)", self._plain(file))
        return (identity[1].decode(), f"{local}@{domain}")

    def _plain(self, file):
        raw = self.data[file]
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw

    def _replies_for(self, item):
        """Those that promise it: its own; of a file that was replaced the next of who did it."""
        if item.reply is None:
            after = {reply: when for reply, (when, thread) in self.replies.items() if when > item.named and thread == item.thread}
            return [min(after, key=after.get)] if after else []
        return [reply for reply in (item.reply, (item.reply[0], None)) if reply in self.replies]

    def unanswered(self):
        """Replies that promise no message: then the trace proves nothing of them."""
        promised = {reply for item in self.items if item.reply for reply in self._replies_for(item)}
        return [reply for reply in self.replies if reply not in promised]

    # ---- one message, every state ------------------------------------------------

    def _states(self, disk, item):
        names = [path for path in item.way(self.root) if path in disk.names]
        files = [item.file] if item.file < len(disk.files) else []
        for instant in disk.instants(names, files):
            parts = {item.file: [frozenset()], INSTANT: [instant]}
            parts |= {path: disk.names[path].possible(instant) for path in names}
            parts |= {file: disk.files[file].possible(instant) for file in files}
            parts |= {links(file): disk.files[file].possible_links(instant) for file in files}
            parts |= {SHOWN: [disk.shown(file, instant)] for file in files}
            yield from self._combinations(parts)

    def _combinations(self, parts):
        count = math.prod(len(choices) for choices in parts.values())
        self.states += min(count, STATES_MAX)
        if count <= STATES_MAX:
            return (dict(zip(parts, choice)) for choice in itertools.product(*parts.values()))
        rng = random.Random(self.seed)
        return ({part: rng.choice(choices) for part, choices in parts.items()} for _ in range(STATES_MAX))

    def _judge(self, item, state, promised):
        *directories, place = item.way(self.root)
        found = state.get(place) if all(state.get(path) == DIRECTORY for path in directories) else None
        if found == item.file and state[links(item.file)] == 0:
            found = None
        if found == item.file and state[item.file]:
            return "is there and not whole"
        if found == item.file and state[links(item.file)] < state[SHOWN]:
            return FEW_LINKS
        newer = item.reply is None and found is not None and found > item.file
        if promised and found != item.file and not newer:
            return "was said to be stored and is not there"
        return None

    def _look(self, disk, item, calls):
        promised = any(reply in disk.replies for reply in self._replies_for(item))
        for state in self._states(disk, item):
            wrong = self._judge(item, state, promised)
            if wrong:
                return Fault(f"{os.path.relpath(item.place, self.root)} {wrong}", item, calls, state)
        return None

    def _items_of(self, parts):
        return list({id(item): item for part in parts for item in self.by_part.get(part, ())}.values())

    def faults(self):
        """The first fault of each message of the run as it is."""
        return list(self._faults(self.calls, self.items))

    def fault_without(self, sync):
        """The first that an fsync, by its number, prevents; None if it prevents none."""
        calls = [call for number, call in enumerate(self.calls) if number != sync]
        return next(self._faults(calls, self._items_of(self.syncs[sync])), None)

    def fault_when_late(self, sync):
        """The same when the file is synced after it got its name, and not before."""
        items = self._items_of(self.syncs[sync])
        named = max(item.named for item in items)
        late = dataclasses.replace(self.calls[sync], began=named + 0.1, ended=named + 0.2)
        calls = sorted([*self.calls[:sync], late, *self.calls[sync + 1 :]], key=lambda call: call.ended)
        return next(self._faults(calls, items), None)

    def fault_when_linked_late(self, sync):
        """The same when a file gets its other names in tmp/ after it was synced, and not before."""
        def late(number, call):
            when = self.calls[sync].ended + (number + 1) / (len(self.calls) + 1)
            return dataclasses.replace(call, began=when, ended=when) if call.name == "linkat" and number < sync else call

        calls = sorted(itertools.starmap(late, enumerate(self.calls)), key=lambda call: call.ended)
        return next(self._faults(calls, self._items_of(self.syncs[sync])), None)

    def _faults(self, calls, items):
        disk, left = self._disk(), {id(item) for item in items}
        for when, call in enumerate(calls):
            touched = disk.apply(call)
            self.points += bool(touched)
            for item in self._items_of(touched):
                if id(item) in left and (fault := self._look(disk, item, calls[: when + 1])):
                    left.discard(id(item))
                    yield fault

    # ---- a state as real files ----------------------------------------------------

    def leave(self, directory, calls, choose, items):
        """Writes what choose(part, possible) left of the items after these calls into the directory;
        returns the account of what had been promised of them."""
        disk, account = self._disk(), proof.Account()
        for call in calls:
            disk.apply(call)
        instant = choose(INSTANT, disk.instants(disk.names, range(len(disk.files))))
        ways = {path for item in items for path in item.way(self.root)}
        for path, name in sorted((path, name) for path, name in disk.names.items() if path in ways):
            target, there = choose(path, name.possible(instant)), os.path.join(directory, os.path.relpath(path, self.root))
            if target == DIRECTORY and os.path.isdir(os.path.dirname(there)):
                os.mkdir(there)
            elif target is not None and os.path.isdir(os.path.dirname(there)):
                file = disk.files[target]
                lost = choose(target, file.possible(instant))
                if choose(links(target), file.possible_links(instant)) > 0:
                    self._leave_file(there, target, file, lost)
        for item in items:
            if item.reply and any(reply in disk.replies for reply in self._replies_for(item)):
                named = re.search(rb"^X-Proof: (\S+)", self._plain(item.file), re.M)
                account.stored.add((named[1].decode(), item.reply[1]))
        return account

    def _leave_file(self, there, number, file, lost):
        with open(there, "wb") as out:
            for write, (_, offset, length) in enumerate(file.writes):
                if write not in lost:
                    out.seek(offset)
                    out.write(self.data.get(number, b"")[offset : offset + length])
