"""Running programs, and what the kernel says about those that run."""

import json
import os
import subprocess
import sys
import time


def run_json(argv):
    """Runs a measuring program and returns the line it prints."""
    result = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} failed")
    return json.loads(result.stdout)


def as_nobody(argv):
    """Deliveries never run as root; pipe(8) runs commands as its user= as well."""
    if os.getuid() != 0:
        return argv
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *argv]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def tree_cpu_us(master):
    """CPU of the master, its live workers, and the workers it has waited for."""
    total = 0.0
    for pid in [master, *children(master)]:
        try:
            with open(f"/proc/{pid}/schedstat") as file:
                total += int(file.read().split()[0]) / 1e3
        except FileNotFoundError:
            pass  # ended meanwhile: counted below
    with open(f"/proc/{master}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return total + (int(fields[13]) + int(fields[14])) * 1e6 / os.sysconf("SC_CLK_TCK")


def memory_kib(pid, file, field):
    """The line "field: N kB" of /proc/pid/file, e.g. Pss of smaps_rollup, VmHWM of status."""
    with open(f"/proc/{pid}/{file}") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def forget_peak(pid):
    """VmHWM begins anew (proc_pid_clear_refs(5))."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def wait_for(condition, what, process, seconds=60):
    """Asks until condition() holds; ends the benchmark when the process ends before, or when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"bench: {what}")
        time.sleep(0.02)  # between two looks


def stop(process):
    """Ends a server that was started here, by its process id."""
    if process.poll() is None:
        process.terminate()
    process.wait(60)
