"""The figures to reach: each an aim, and whether the results reach it.

An aim of which a part was not measured, because a peer is not installed or the run is a quick one, is left out.
"""

import dataclasses
import statistics

from . import rows
from .programs import TITLES


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    value: float
    relation: str  # "at least" or "at most"
    aim: float

    @property
    def reached(self):
        return self.value >= self.aim if self.relation == "at least" else self.value <= self.aim


# group, connections, program, base, least ratio of the rates, and what to know about it
RATIOS = (
    (rows.LMTP, 20, "lodge", "limit", 0.7, ""),
    (rows.LMTP, 20, "lodge", "limit", 1, "hoped for where a journal orders what is written"),
    (rows.LMTP, 50, "lodge", "limit", 1, "hoped for where a journal orders what is written"),
    (rows.FIFTY, 1, "lodge-links", "dovecot-links", 8, "equal content: one file, links"),
    (rows.FIFTY, 1, "lodge-copies", "limit-together", 0.8, ""),
    (rows.FIFTY, 1, "lodge-links", "limit-links", 0.8, ""),
    (rows.OPTIONS, 20, "lodge-quota", "lodge-beside", 0.95, ""),
    (rows.OPTIONS, 20, "lodge-sieve", "lodge-beside", 0.9, ""),
    (rows.PIPE, 1, "deliver", "true", 0.6, ""),
    (rows.PIPE, 1, "deliver", "dovecot-lda", 8, ""),
    (rows.PIPE_QUOTA, 1, "deliver-unsynced", "deliverquota", 1, "equal promises"),
    (rows.SIZES, 1, "lodge", "limit", 0.9, ""),
)
CPU_BEYOND_LIMIT_US = 250
CPU_US = 600  # of a delivery, at CPU_CONNECTIONS
CPU_CONNECTIONS = 20
DELIVER_CPU_MS = 6
IDLE_KIB = 2048  # memory of a worker (PSS): idle,
WORKER_KIB = 3072  # and with mail delivered
CALLS = 25  # system calls of a delivery
GROWTH = 1.5  # times what the smallest costs: more is more than what two measurements differ by
LARGE_PEAK_KIB = 16 * 1024
POLICY_RATE = 2000


def find(all_rows, group, connections):
    return next((row for row in all_rows if row.group == group and row.connections == connections), None)


def ratio_verdicts(results, all_rows):
    for group, connections, program, base, aim, remark in RATIOS:
        row = find(all_rows, group, connections)
        if row and results.has(row, program) and results.has(row, base):
            value = statistics.median(results.ratios(row, program, base))
            text = f"{group}, {row.name}: {TITLES[program]} / {TITLES[base]}"
            yield Verdict(f"{text} ({remark})" if remark else text, value, "at least", aim)


def cpu_verdicts(results, all_rows):
    for row in all_rows:
        if row.group == rows.LMTP and results.has(row, "lodge") and results.has(row, "limit"):
            value = statistics.median(results.differences(row, "lodge", "limit", "cpu_us"))
            yield Verdict(f"{row.group}, {row.name}: CPU µs beyond the bare disk's", value, "at most", CPU_BEYOND_LIMIT_US)
    row = find(all_rows, rows.LMTP, CPU_CONNECTIONS)
    if row and results.has(row, "lodge"):
        yield Verdict(f"{row.group}, {row.name}: CPU µs of a delivery", results.median(row, "lodge", "cpu_us"), "at most", CPU_US)
    row = find(all_rows, rows.PIPE, 1)
    if row and results.has(row, "deliver") and results.has(row, "true"):
        floor = results.median(row, "true", "cpu_us") / 1000
        yield Verdict(f"{row.group}, {row.name}: CPU ms of deliver ({floor:.1f} of /bin/true)",
                      results.median(row, "deliver", "cpu_us") / 1000, "at most", DELIVER_CPU_MS)


def other_verdicts(results, all_rows):
    large = find(all_rows, rows.SIZES, 1)
    if large and results.has(large, "lodge"):
        value = max(results.values(large, "lodge", "peak_kib"))
        yield Verdict(f"{large.name}: peak memory of a worker, KiB", value, "at most", LARGE_PEAK_KIB)
    policy = find(all_rows, rows.POLICY, 100)
    for program in results.programs(policy) if policy else ():
        yield Verdict(f"{rows.POLICY}: requests/s, {TITLES[program]}", results.median(policy, program, "rate"), "at least", POLICY_RATE)
    for name, figure in results.figures.items():
        if "at_most" in figure:
            yield Verdict(f"{name}, {figure['unit']}", figure["value"], "at most", figure["at_most"])
    yield Verdict("errors", results.errors(), "at most", 0)


def verdicts(results, all_rows):
    return [*ratio_verdicts(results, all_rows), *cpu_verdicts(results, all_rows), *other_verdicts(results, all_rows)]


def growth(points, field):
    """(ratio, point): the point that costs most in relation to the smallest of its axis and series; None without points."""
    first = {}
    for point in sorted((point for point in points if point.get(field)), key=lambda point: point["x"]):
        first.setdefault((point["axis"], point["series"]), point)
    ratios = [(point[field] / first[point["axis"], point["series"]][field], point) for point in points if point.get(field)]
    return max(ratios, key=lambda pair: pair[0], default=None)


def scaling_verdicts(points):
    """Nothing makes a delivery dearer as it grows: the worst point of all tells."""
    for field, name in (("cpu_us", "CPU"), ("calls", "system calls")):
        worst = growth(points, field)
        if worst:
            ratio, point = worst
            yield Verdict(f"worst growth of {name}: {point['x']:,} {point['axis']}, {point['series']}", ratio, "at most", GROWTH)
