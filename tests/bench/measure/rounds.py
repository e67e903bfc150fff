"""Rounds: each row once, in shuffled order, and its programs one right after the other, in shuffled order too."""

import itertools
import json
import random
import time


class Log:
    """One JSON line for each measurement, with the facts of the machine in it."""

    def __init__(self, path, facts):
        self.path, self.facts, self.records = path, facts, []
        self.file = open(path, "w")

    def add(self, **record):
        self.records.append(record)
        self.file.write(json.dumps({**record, "time": time.strftime("%Y-%m-%d %H:%M:%S"), "host": self.facts}) + "\n")
        self.file.flush()


def measure(rows, programs, log, end):
    """All rows once, and again and again until end (monotonic), which may lie within a round. Nothing is deleted meanwhile:
    ext4 without a journal keeps away from the inodes of deleted files for minutes, and looking for others costs more than a
    delivery."""
    for number in itertools.count():
        for row in random.sample(rows, len(rows)):
            if number > 0 and time.monotonic() > end:
                return
            here = [name for name in row.programs if name in programs]
            for name in random.sample(here, len(here)):
                log.add(group=row.group, row=row.name, program=name, round=number, connections=row.connections,
                        recipients=row.recipients, size=row.size, **programs[name](row))
