"""System calls of a delivery, counted by strace(1) in workers that run."""

import shutil
import subprocess

from .processes import stop, wait_for


def is_available():
    return shutil.which("strace") is not None


def is_traced(pid):
    with open(f"/proc/{pid}/status") as lines:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines)


def total(summary):
    """Calls in all, of the table that strace -c -U calls,name writes."""
    lines = [line.split() for line in summary.splitlines()]
    return next(int(words[0]) for words in lines if words and words[-1] == "total")


def count(pids, load, summary):
    """System calls of the processes while load() runs; summary: a path for strace's table."""
    tracer = subprocess.Popen(["strace", "-q", "-f", "-c", "-U", "calls,name", "-o", summary,
                               *(word for pid in pids for word in ("-p", str(pid)))])
    wait_for(lambda: all(is_traced(pid) for pid in pids), "strace cannot attach", tracer)
    load()
    stop(tracer)
    with open(summary) as file:
        return total(file.read())
