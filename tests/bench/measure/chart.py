"""Results as SVG, written by hand: bars with their range, and curves."""

import dataclasses
import math
import statistics
from xml.sax.saxutils import escape

from . import report
from .programs import TITLES
from .results import spread

INK, PALE, GRID = "#202124", "#5f6368", "#dadce0"
OWN, OTHERS, BOUND = "#2a6f4e", "#c77f3a", "#b4b8bd"
MEANING = ((OWN, "lodge"), (OTHERS, "other programs"), (BOUND, "the bare minimum: file operations and syncs only, or /bin/true"))
SERIES = ("#2a6f4e", "#b5651d", "#4a6fa5", "#8a4f7d")
WIDTH, MARGIN, LINE = 940, 16, 20
BARS_LEFT, BARS_WIDTH, RATIO_RIGHT, RATE_RIGHT = 330, 370, 836, 924


def text(x, y, words, size=12, anchor="start", weight="normal", colour=INK):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour=INK, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def box(x, y, width, height, colour, kind="box"):
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def document(width, height, parts):
    """On white whatever is around it: a page may be dark."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="DejaVu Sans, Verdana, Arial, sans-serif">', box(0, 0, width, height, "#ffffff"), *parts, "</svg>\n"])


def colour_of(program):
    if program in ("true", "limit", "limit-together", "limit-links"):
        return BOUND
    return OWN if program.split("-")[0] in ("lodge", "deliver", "policy") else OTHERS


def round_numbers(greatest):
    """0 and up to five round numbers, none above greatest."""
    size = 10 ** math.floor(math.log10(greatest))
    step = next(step for step in (size / 5, size / 2, size, 2 * size) if greatest / step <= 5)
    return [number * step for number in range(int(greatest / step) + 1)]


@dataclasses.dataclass(frozen=True)
class Scale:
    """From 0 to the greatest ratio; what is beyond, of a range, is cut off."""
    greatest: float

    def x(self, ratio):
        return BARS_LEFT + BARS_WIDTH * min(ratio / self.greatest, 1)


def scale_of(group_ratios):
    """A range that is several times as wide as what it is about would leave no room for the bars."""
    medians = max(statistics.median(ratios) for ratios in group_ratios)
    return Scale(max(min(max(map(max, group_ratios)), 1.5 * medians), 1e-9) * 1.02)


def bar(results, row, program, y, scale):
    """One program: its name, a bar as long as the median ratio, the range as a line with ends, ratio and rate."""
    ratios = results.ratios(row, program, results.programs(row)[0])
    rate, middle, least, greatest = results.median(row, program, "rate"), statistics.median(ratios), min(ratios), max(ratios)
    centre = y + LINE / 2
    parts = [
        text(BARS_LEFT - 8, centre + 4, TITLES.get(program, program), anchor="end"),
        box(BARS_LEFT, y + 3, scale.x(middle) - BARS_LEFT, LINE - 6, colour_of(program), "bar"),
        text(RATIO_RIGHT, centre + 4, spread(ratios) if len(set(ratios)) > 1 else f"{middle:.2f}", 11, "end"),
        text(RATE_RIGHT, centre + 4, f"{rate:,.{0 if rate >= 10 else 1}f}/s", 11, "end"),
    ]
    if greatest > least:
        ends = [least] if greatest > scale.greatest else [least, greatest]
        parts += [line(scale.x(least), centre, scale.x(greatest), centre, width=1.4),
                  *(line(scale.x(end), centre - 3, scale.x(end), centre + 3, width=1.4) for end in ends)]
    return parts


def axis(scale, base, top, bottom):
    parts = [text(BARS_LEFT + BARS_WIDTH / 2, bottom + 30, f"rate, relative to {base}", 11, "middle", colour=PALE)]
    for tick in round_numbers(scale.greatest):
        parts += [line(scale.x(tick), top, scale.x(tick), bottom + 3, GRID),
                  text(scale.x(tick), bottom + 15, f"{tick:g}", 11, "middle", colour=PALE)]
    return parts


def group_bars(results, group, group_rows, y):
    base = results.programs(group_rows[0])[0]
    scale = scale_of([results.ratios(row, program, results.programs(row)[0])
                      for row in group_rows for program in results.programs(row)])
    parts = [text(MARGIN, y + 16, group, 14, weight="bold"),
             text(RATIO_RIGHT, y + 16, "ratio (range)", 11, "end", colour=PALE),
             text(RATE_RIGHT, y + 16, "rate", 11, "end", colour=PALE)]
    bars_parts, top = [], y + 26
    y = top
    for row in group_rows:
        bars_parts.append(text(MARGIN, y + LINE / 2 + 4, row.name, weight="bold"))
        for program in results.programs(row):
            bars_parts += bar(results, row, program, y, scale)
            y += LINE
        y += 6
    return parts + axis(scale, TITLES.get(base, base), top, y) + bars_parts, y + 46


def heading(facts, rounds):
    """Title, machine, and what the colours and lines mean."""
    machine = [f"{before}{facts[name]}{after}" for before, name, after in
               (("", "processor", ""), ("", "cores", " cores"), ("", "file_system", ""), ("Linux ", "kernel", "")) if name in facts]
    parts = [text(MARGIN, 28, "Deliveries a second, side by side on one machine", 18, weight="bold"),
             text(MARGIN, 48, " · ".join([*machine, f"{rounds} rounds"]), 11, colour=PALE)]
    x = MARGIN
    for colour, words in MEANING:
        parts += [box(x, 60, 12, 12, colour), text(x + 17, 70, words)]
        x += 38 + 7 * len(words)
    x = MARGIN
    return parts + [line(x, 86, x + 30, 86, width=1.4), *(line(end, 83, end, 89, width=1.4) for end in (x, x + 30)),
                    text(x + 36, 90, "from the least to the greatest of the rounds; the bar ends at the median")], 112


def bars(results, all_rows, facts):
    """A picture of all groups."""
    parts, y = heading(facts, max((len(rounds) for rounds in results.cells.values()), default=0))
    for group, group_rows in report.groups(results, all_rows):
        more, y = group_bars(results, group, group_rows, y)
        parts += more
    return document(WIDTH, y, parts)


PANEL_WIDTH, PANEL_HEIGHT, PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, PLOT_HEIGHT = 470, 270, 60, 40, 370, 160


def place(x, greatest):
    """Sizes lie on a logarithmic axis that has room for 0."""
    return PLOT_LEFT + PLOT_WIDTH * math.log10(x + 1) / math.log10(greatest + 1)


def short(value):
    for size, letter in ((10 ** 9, "G"), (10 ** 6, "M"), (10 ** 3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def frame(axis_name, unit, sizes, highest, left, top):
    """Title, axes and their numbers."""
    bottom, right = top + PLOT_TOP + PLOT_HEIGHT, left + PLOT_LEFT + PLOT_WIDTH
    parts = [text(left + PLOT_LEFT, top + 22, f"{unit} of a delivery", 13, weight="bold"),
             text(left + PLOT_LEFT + PLOT_WIDTH / 2, bottom + 32, axis_name, 11, "middle", colour=PALE)]
    for tick in round_numbers(highest):
        y = bottom - tick / highest * PLOT_HEIGHT
        parts += [line(left + PLOT_LEFT, y, right, y, GRID if tick else INK),
                  text(left + PLOT_LEFT - 6, y + 4, f"{tick:,g}", 10, "end", colour=PALE)]
    parts += [text(left + place(x, max(sizes)), bottom + 15, short(x), 10, "middle", colour=PALE) for x in sizes]
    return parts


def curve(points, field, name, colour, greatest, highest, left, top):
    at = [(left + place(point["x"], greatest), top + PLOT_TOP + PLOT_HEIGHT * (1 - point[field] / highest))
          for point in sorted(points, key=lambda point: point["x"])]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in at)]


def panel(points, axis, field, unit, left, top):
    here = [point for point in points if point["axis"] == axis and point.get(field) is not None]
    if not here:
        return []
    sizes, highest = sorted({point["x"] for point in here}), max(point[field] for point in here) * 1.15
    parts = frame(axis, unit, sizes, highest, left, top)
    for index, name in enumerate(dict.fromkeys(point["series"] for point in here)):
        colour = SERIES[index % len(SERIES)]
        parts += curve([point for point in here if point["series"] == name], field, name, colour, max(sizes), highest, left, top)
        parts.append(text(left + PLOT_LEFT + index * 110, top + PLOT_TOP + PLOT_HEIGHT + 52, f"● {name}", 11, colour=colour))
    return parts


def curves(points):
    """Two panels for each axis: CPU and system calls of a delivery."""
    parts, top = [text(MARGIN, 28, "What a delivery costs while something grows (logarithmic from left to right)", 16, weight="bold")], 44
    for axis in dict.fromkeys(point["axis"] for point in points):
        parts += panel(points, axis, "cpu_us", "CPU µs", 0, top)
        parts += panel(points, axis, "calls", "system calls", PANEL_WIDTH, top)
        top += PANEL_HEIGHT
    return document(2 * PANEL_WIDTH, top, parts)
