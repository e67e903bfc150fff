#!/usr/bin/env python3
"""kill_deliver.py DIRECTORY KILLS SEED - SIGKILL for `deliver` at any instant of its life

Two at a time run and are killed after a random part of the time that an undisturbed
one takes. Who still exited with 0 has stored the message whole; nobody left part of
one where a reader sees it.
"""

import concurrent.futures
import random
import subprocess
import sys
import time

import installation
import proof

USERS = ["ana@example.org", "bob@example.org"]


def run_once(lodge, user, message, delay):
    """Exit status; negative when it was killed in time."""
    with subprocess.Popen(lodge.deliver_command(user), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        started = time.perf_counter()
        try:
            process.stdin.write(message)
            process.stdin.close()
        except BrokenPipeError:
            pass
        while process.poll() is None:
            if delay is not None and time.perf_counter() - started >= delay:
                process.kill()
                return process.wait()
            time.sleep(0.0002)
        return process.returncode


def kill_some(lodge, user, kills, seed, usual):
    rng = random.Random(seed)
    account, killed, number = proof.Account(), 0, 0
    while killed < kills:
        number += 1
        name = f"deliver-{seed}-{number}"
        # Folders are new again and again: their making is killed too.
        target = user.replace("@", f"+f{number // 4}@")
        status = run_once(lodge, target, proof.make(name, rng.choice([300, 20_000, 1_500_000]), rng), rng.uniform(0, 1.2) * usual)
        killed += status == -9
        account.note(name, user, 250 if status == 0 else None if status == -9 else 451 if status == 75 else 550, str(status))
        if number > kills * 20:
            raise AssertionError(f"only {killed} of {number} could be killed: deliver is faster than {usual:.4f} s")
    return account


def main():
    base, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    lodge = installation.Installation(base, USERS, ["mail.detail_folder=create", "mail.separator=."])
    account = proof.Account()
    times = []
    for number in range(5):
        started = time.perf_counter()
        status = run_once(lodge, USERS[0], proof.make(f"first-{number}", 20_000, random.Random(seed)), None)
        times.append(time.perf_counter() - started)
        account.note(f"first-{number}", USERS[0], 250 if status == 0 else 550, str(status))
    usual = sorted(times)[2]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(kill_some, lodge, user, kills // 2, seed + i, usual) for i, user in enumerate(USERS)]
        for job in jobs:
            account.add(job.result())
    print(f"seed {seed}, usual time {usual * 1000:.1f} ms: {account.summary()}")
    installation.finish(lodge, account.complaints(lodge.mail))


if __name__ == "__main__":
    main()
