"""Records of measurements, asked for medians and ratios. Knows nothing of how they came to be."""

import collections
import statistics


class Results:
    def __init__(self, records):
        """Records as rounds.Log keeps them; those without a round are figures: name, value, unit."""
        self.figures = {record["figure"]: record for record in records if "figure" in record}
        self.cells = collections.defaultdict(dict)  # (group, row, program) -> round -> record
        for record in records:
            if "round" in record:
                self.cells[record["group"], record["row"], record["program"]][record["round"]] = record

    def has(self, row, program):
        return (row.group, row.name, program) in self.cells

    def programs(self, row):
        return [program for program in row.programs if self.has(row, program)]

    def rounds(self, row, program):
        return self.cells[row.group, row.name, program]

    def values(self, row, program, field):
        return [record[field] for record in self.rounds(row, program).values() if field in record]

    def median(self, row, program, field):
        values = self.values(row, program, field)
        return statistics.median(values) if values else None

    def pairs(self, row, program, base, field):
        """Both values of each round in which both were measured."""
        mine, theirs = self.rounds(row, program), self.rounds(row, base)
        return [(mine[number][field], theirs[number][field]) for number in sorted(mine) if number in theirs]

    def ratios(self, row, program, base):
        return [mine / theirs for mine, theirs in self.pairs(row, program, base, "rate")]

    def differences(self, row, program, base, field):
        return [mine - theirs for mine, theirs in self.pairs(row, program, base, field)]

    def errors(self):
        return sum(record["errors"] for rounds in self.cells.values() for record in rounds.values())


def spread(values, digits=2):
    """Median, least and greatest: "0.77 (0.70..0.83)"."""
    middle, least, greatest = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}..{greatest})"
