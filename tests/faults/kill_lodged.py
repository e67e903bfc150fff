#!/usr/bin/env python3
"""kill_lodged.py DIRECTORY workers|master KILLS SEED - SIGKILL for `lodged` under load

workers: a random worker is killed at a random instant, KILLS times; the others and the
master go on. master: the master is killed; its workers finish what they are at and end,
and a new server takes over the socket that was left. What was answered with 250 is
there, whole, and nobody sees part of a message.
"""

import os
import random
import signal
import sys
import time

import installation
import lmtp_load

USERS = [f"user{number}@example.org" for number in range(6)]


def kill_workers(lodge, kills, rng):
    """A worker each few milliseconds; never the same instant of a delivery."""
    done = 0
    while done < kills:
        victims = installation.wait_for(lodge.workers, 30, "lodged has workers")
        time.sleep(rng.uniform(0, 0.03))
        try:
            os.kill(rng.choice(victims), signal.SIGKILL)
            done += 1
        except ProcessLookupError:
            pass  # went by itself in the meantime
    if lodge.master.poll() is not None:
        raise AssertionError(f"the master ended with {lodge.master.returncode} because workers were killed")


def has_ended(pid):
    """A zombie counts, should nobody wait for it: its sockets are closed. Its memory goes before them."""
    return installation.status(pid, "State")[:1] in ("", "Z", "X")


def kill_master(lodge, kills, rng):
    for _ in range(kills):
        time.sleep(rng.uniform(0.02, 0.3))
        lodge.master.send_signal(signal.SIGSTOP)  # so that it starts none behind our back
        installation.wait_for(lambda: installation.status(lodge.master.pid, "State").startswith("T"), 10, "the master stops")
        workers = lodge.workers()
        lodge.master.kill()
        lodge.master.wait()
        installation.wait_for(lambda: all(has_ended(pid) for pid in workers), 30,
                              f"the workers {workers} end after their master")
        lodge.start()


def main():
    base, what, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    lodge = installation.Installation(base, USERS, ["mail.spool_memory=16K"])
    rng = random.Random(seed)
    with lodge.running():
        with lmtp_load.Load(lodge, seed) as load:
            (kill_workers if what == "workers" else kill_master)(lodge, kills, rng)
            # Service goes on after all that.
            stored = len(load.account.stored)
            installation.wait_for(lambda: len(load.account.stored) > stored + 20, 30, "deliveries after the last kill")
    print(f"seed {seed}: {load.account.summary()}")
    complaints = load.faults + list(load.account.complaints(lodge.mail))
    if load.account.replies[None] == 0:
        complaints.append("no transaction was broken off: the kills came to nothing")
    installation.finish(lodge, complaints)


if __name__ == "__main__":
    main()
