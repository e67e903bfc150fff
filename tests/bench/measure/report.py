"""Results as Markdown: the same tables for the terminal and for the file."""

import unicodedata

from . import rows
from .programs import TITLES
from .results import spread


RATIO_NOTE = """Rates and times are medians of the rounds. A ratio is the median of the ratios of the rounds, with the least and the
greatest, to the first program of the same row: only neighbours in a round can be compared."""


def width(text):
    return sum(not unicodedata.combining(letter) for letter in text)


def table(head, lines, left=1):
    """A Markdown table, also readable as it is; the first left columns are text, the others numbers."""
    cells = [list(map(str, line)) for line in [head, *lines]]
    widths = [max(width(line[column]) for line in cells) for column in range(len(head))]

    def row(line):
        padded = [cell + " " * (size - width(cell)) if column < left else " " * (size - width(cell)) + cell
                  for column, (cell, size) in enumerate(zip(line, widths))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * size if column < left else "-" * (size - 1) + ":" for column, size in enumerate(widths)]
    return "\n".join([row(cells[0]), f"| {' | '.join(rule)} |", *map(row, cells[1:])])


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def small(value):
    return "" if value is None else f"{value:.1f}"


def measurement(results, row, program):
    """One line of a group's table."""
    base = results.programs(row)[0]
    ratio = "1" if program == base else spread(results.ratios(row, program, base))
    return [row.name, TITLES.get(program, program), len(results.rounds(row, program)), number(results.median(row, program, "rate")), ratio,
            number(results.median(row, program, "cpu_us")), small(results.median(row, program, "p50_ms")),
            small(results.median(row, program, "p99_ms")), sum(results.values(row, program, "errors"))]


def large(results, row, program):
    """The columns that large messages have besides."""
    rate, peak = results.median(row, program, "rate"), results.values(row, program, "peak_kib")
    return [number(rate * row.size / 1e6), number(max(peak) / 1024, 1) if peak else ""]


def group_table(results, group, group_rows):
    base = results.programs(group_rows[0])[0]
    unit = rows.UNITS.get(group, "deliveries/s")
    head = ["", "program", "rounds", unit, f"to {TITLES.get(base, base)}", "CPU µs", "p50 ms", "p99 ms", "errors"]
    lines = [(row, program) for row in group_rows for program in results.programs(row)]
    is_large = group == rows.SIZES
    return table(head + (["MB/s", "peak MiB"] if is_large else []),
                 [measurement(results, row, program) + (large(results, row, program) if is_large else []) for row, program in lines],
                 left=2)


def groups(results, all_rows):
    """(group, its rows that were measured), in the order of all_rows."""
    for group in dict.fromkeys(row.group for row in all_rows):
        measured = [row for row in all_rows if row.group == group and results.programs(row)]
        if measured:
            yield group, measured


def figures_table(results):
    figures = results.figures.values()
    return table(["", "measured", ""], [(figure["figure"], number(figure["value"], 1), figure["unit"]) for figure in figures])


def aims_table(verdicts):
    return table(["", "aim", "measured", ""], [("reached" if verdict.reached else "MISSED", verdict.text, f"{verdict.value:.2f}",
                                               f"{verdict.relation} {verdict.aim:g}") for verdict in verdicts], left=2)


def host_lines(facts):
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())


def markdown(results, all_rows, verdicts, facts, left_out):
    """The whole report."""
    parts = ["# Measured", host_lines(facts), RATIO_NOTE]
    for group, measured in groups(results, all_rows):
        parts += [f"## {group}", group_table(results, group, measured)]
    if results.figures:
        parts += ["## Other figures", figures_table(results)]
    parts += ["## Aims", aims_table(verdicts)]
    if left_out:
        parts += [f"Left out, because not installed here: {', '.join(TITLES.get(name, name) for name in left_out)}."]
    return "\n\n".join(parts) + "\n"


def curve_table(points, axis):
    """One line for each size, two columns for each series: CPU and system calls of a delivery."""
    here = [point for point in points if point["axis"] == axis]
    series = list(dict.fromkeys(point["series"] for point in here))
    by_place = {(point["x"], point["series"]): point for point in here}
    head = [axis, *(f"{name}: {what}" for name in series for what in ("CPU µs", "calls"))]
    lines = []
    for x in sorted({point["x"] for point in here}):
        cells = [by_place.get((x, name), {}) for name in series]
        lines.append([f"{x:,}", *(number(cell.get(field), digits) for cell in cells for field, digits in (("cpu_us", 0), ("calls", 1)))])
    return table(head, lines, left=0)


def curves_markdown(points, verdicts, facts):
    parts = ["# The cost of a delivery while something grows", host_lines(facts)]
    for axis in dict.fromkeys(point["axis"] for point in points):
        parts += [f"## {axis}", curve_table(points, axis)]
    parts += ["## Aims", aims_table(verdicts)]
    return "\n\n".join(parts) + "\n"
