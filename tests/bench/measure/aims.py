"""The figures to reach: each an aim, and whether the results reach it.

An aim of which a part was not measured, because a peer is not installed or the run is a quick one, is left out.
"""

import dataclasses
import statistics

from . import rows


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    value: float
    relation: str  # "at least" or "at most"
    aim: float

    @property
    def reached(self):
        return self.value >= self.aim if self.relation == "at least" else self.value <= self.aim


# group, connections, program, base, least ratio of the rates
RATIOS = (
    (rows.LMTP, 20, "lodge", "limit", 0.7),
    (rows.LMTP, 50, "lodge", "limit", 0.7),
    (rows.FIFTY, 1, "lodge", "dovecot", 8),
    (rows.FIFTY, 1, "lodge", "limit-together", 0.8),
    (rows.FIFTY, 1, "lodge-links", "limit-links", 0.8),
    (rows.OPTIONS, 20, "lodge-quota", "lodge-beside", 0.95),
    (rows.OPTIONS, 20, "lodge-sieve", "lodge-beside", 0.9),
    (rows.PIPE, 1, "deliver", "true", 0.6),
    (rows.PIPE, 1, "deliver", "dovecot-lda", 8),
    (rows.PIPE_QUOTA, 1, "deliver-quota", "deliverquota", 1),
    (rows.SIZES, 1, "lodge", "limit", 0.9),
)
CPU_BEYOND_LIMIT_US = 250
LARGE_PEAK_KIB = 16 * 1024
POLICY_RATE = 2000


def find(all_rows, group, connections):
    return next((row for row in all_rows if row.group == group and row.connections == connections), None)


def ratio_verdicts(results, all_rows):
    for group, connections, program, base, aim in RATIOS:
        row = find(all_rows, group, connections)
        if row and results.has(row, program) and results.has(row, base):
            value = statistics.median(results.ratios(row, program, base))
            yield Verdict(f"{group}, {row.name}: {program} to {base}", value, "at least", aim)


def cpu_verdicts(results, all_rows):
    for row in all_rows:
        if row.group == rows.LMTP and results.has(row, "lodge") and results.has(row, "limit"):
            value = statistics.median(results.differences(row, "lodge", "limit", "cpu_us"))
            yield Verdict(f"{row.group}, {row.name}: CPU µs beyond the bare disk's", value, "at most", CPU_BEYOND_LIMIT_US)


def other_verdicts(results, all_rows):
    large = find(all_rows, rows.SIZES, 1)
    if large and results.has(large, "lodge"):
        value = max(results.values(large, "lodge", "peak_kib"))
        yield Verdict(f"{large.name}: peak memory of a worker, KiB", value, "at most", LARGE_PEAK_KIB)
    policy = find(all_rows, rows.POLICY, 100)
    for program in results.programs(policy) if policy else ():
        yield Verdict(f"{rows.POLICY}: requests/s, {program}", results.median(policy, program, "rate"), "at least", POLICY_RATE)
    for name, figure in results.figures.items():
        if "at_most" in figure:
            yield Verdict(f"{name}, {figure['unit']}", figure["value"], "at most", figure["at_most"])
    yield Verdict("errors", results.errors(), "at most", 0)


def verdicts(results, all_rows):
    return [*ratio_verdicts(results, all_rows), *cpu_verdicts(results, all_rows), *other_verdicts(results, all_rows)]
