"""What strace -f -y wrote down, as finished system calls in the order in which they ended."""

import dataclasses
import functools
import os
import re

LINE = re.compile(r"^(\d+) +(.*)$")
UNFINISHED = re.compile(r"^(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?(.*)$")
AT = re.compile(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
# What may change a file or directory, or tells somebody about it.
CHANGES = (
    "openat openat2 open creat mkdir mkdirat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat rmdir "
    "fsync fdatasync sync syncfs sync_file_range fstatfs write writev pwrite64 pwritev pwritev2 truncate ftruncate fallocate copy_file_range sendfile "
    "splice send sendto sendmsg io_uring_setup"
).split()
# What is asked of io_uring is not seen; who is refused it asks for the same with calls that are.
REFUSED = "inject=io_uring_setup:error=ENOSYS"


@dataclasses.dataclass
class Call:
    thread: str
    name: str
    arguments: str
    result: int
    began: int  # line of the trace where it was entered
    ended: int  # and where it returned
    opened: str | None  # path of the descriptor it returned
    injected: bool      # strace gave the answer, the kernel did nothing

    @functools.cached_property
    def descriptor(self):
        """Path of the descriptor that is its first argument."""
        found = re.match(r"\d+<([^>]*)>", self.arguments)
        return found and found[1]

    @functools.cached_property
    def paths(self):
        """The paths that a ...at() call names."""
        return [os.path.normpath(os.path.join(directory or "", name)) for directory, name in AT.findall(self.arguments)]


def strace(trace, *more):
    """The words to put before a command; long strings only because replies are."""
    return ["strace", "-f", "-y", "-s", "8192", "-e", "signal=none", "-o", str(trace), "-e", "trace=" + ",".join(CHANGES), "-e", REFUSED, *more]


def read(lines):
    """A Call for each call that returned with success."""
    pending = {}
    for number, line in enumerate(lines):
        pid, text = LINE.match(line.rstrip("\n")).groups()
        began = number
        if unfinished := UNFINISHED.match(text):
            pending[pid] = (number, unfinished[1])
            continue
        if resumed := RESUMED.match(text):
            began, head = pending.pop(pid)
            text = head + resumed[1]
        call = CALL.match(text)
        if call and int(call[3]) >= 0:
            yield Call(pid, call[1], call[2], int(call[3]), began, number, call[4], "(INJECTED)" in call[5])
