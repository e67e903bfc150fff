"""The machine and the file system that the figures are about."""

import os
import platform
import subprocess


def mount_of(path):
    """Device, type and options of the file system that holds path."""
    path = os.path.realpath(path)
    best = None
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            before, after = line.split(" - ")
            point, options = before.split()[4:6]
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and (best is None or len(point) >= len(best[0])):
                best = (point, options, after.split())
    _, options, (kind, device, more) = best
    return device, kind, ",".join(dict.fromkeys(f"{options},{more}".split(",")))


def processor():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def journal_of_ext4(device, proc="/proc/fs"):
    """How much it promises decides how many flushes a delivery needs: the mode is named only where there is a journal.
    The kernel shows the feature fast_commit under the name of an option that has the same bit."""
    name = os.path.basename(os.path.realpath(device))
    try:
        with open(f"{proc}/ext4/{name}/options") as lines:
            options = lines.read().split()
    except FileNotFoundError:
        return "journal unknown"
    mode = next((option for option in options if option.startswith("data=")), None)
    if mode is None:
        return "no journal"
    return f"journal, {mode}" + (", fast_commit" if "fc_debug_force" in options else "")


def facts(path):
    device, kind, options = mount_of(path)
    if kind == "ext4":
        kind = f"ext4, {journal_of_ext4(device)}"
    return {"kernel": os.uname().release, "processor": processor(), "cores": os.cpu_count(), "file_system": kind,
            "mount_options": options, "load_before": round(os.getloadavg()[0], 2)}


def version(*command):
    """First line of what a program says about its version; empty when it is not installed."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        return ""
    return result.stdout.split("\n", 1)[0].strip()
