"""Results as SVG, written by hand: bars with their range, and curves."""

import math
import statistics
from xml.sax.saxutils import escape

from . import report
from .programs import TITLES

COLOURS = {"lodge": "#2a6f4e", "limit": "#9aa0a6", "true": "#9aa0a6", "deliver": "#2a6f4e", "policy": "#2a6f4e"}
OTHER = "#b5651d"
SERIES = ("#2a6f4e", "#b5651d", "#4a6fa5", "#8a4f7d")
WIDTH, NAMES, BARS, LINE = 900, 330, 380, 20


def text(x, y, words, size=12, anchor="start", weight="normal", colour="#202124"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, colour="#202124", width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def box(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def document(width, height, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif">', box(0, 0, width, height, "#ffffff"), *parts, "</svg>\n"])


def colour_of(program):
    return COLOURS.get(program.split("-")[0] if not program.startswith("dovecot") else "", OTHER)


def bar(results, row, program, y, scale):
    """One program: its name, a bar as long as the median ratio, the range as a thin line, and the rate."""
    ratios = results.ratios(row, program, results.programs(row)[0])
    middle = statistics.median(ratios)
    centre = y + LINE / 2
    return [
        text(NAMES - 8, centre + 4, TITLES.get(program, program), anchor="end"),
        box(NAMES, y + 3, middle * scale, LINE - 6, colour_of(program)),
        line(NAMES + min(ratios) * scale, centre, NAMES + max(ratios) * scale, centre),
        text(NAMES + max(ratios) * scale + 6, centre + 4,
             f"{middle:.2f}  ·  {results.median(row, program, 'rate'):,.0f}/s", 11),
    ]


def group_bars(results, group, group_rows, y):
    base = results.programs(group_rows[0])[0]
    parts = [text(10, y + 16, f"{group}: rate relative to {TITLES.get(base, base)}", 14, weight="bold")]
    y += 26
    greatest = max(max(results.ratios(row, program, results.programs(row)[0]))
                   for row in group_rows for program in results.programs(row))
    for row in group_rows:
        parts.append(text(10, y + LINE / 2 + 4, row.name, weight="bold"))
        for program in results.programs(row):
            parts += bar(results, row, program, y, BARS / max(greatest, 1e-9))
            y += LINE
        y += 6
    return parts, y + 12


def bars(results, all_rows):
    """A picture of all groups."""
    parts, y = [], 10
    for group, group_rows in report.groups(results, all_rows):
        more, y = group_bars(results, group, group_rows, y)
        parts += more
    return document(WIDTH, y, parts)


PANEL_WIDTH, PANEL_HEIGHT, PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, PLOT_HEIGHT = 440, 260, 60, 40, 350, 160


def place(x, greatest):
    """Sizes lie on a logarithmic axis that has room for 0."""
    return PLOT_LEFT + PLOT_WIDTH * math.log10(x + 1) / math.log10(greatest + 1)


def short(value):
    for size, letter in ((10 ** 9, "G"), (10 ** 6, "M"), (10 ** 3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def frame(title, sizes, highest, left, top):
    """Title, axes and their numbers."""
    bottom = top + PLOT_TOP + PLOT_HEIGHT
    parts = [text(left + PLOT_LEFT, top + 22, title, 13, weight="bold"),
             line(left + PLOT_LEFT, bottom, left + PLOT_LEFT + PLOT_WIDTH, bottom)]
    for share in (0, 0.5, 1):
        y = bottom - share * PLOT_HEIGHT
        parts += [line(left + PLOT_LEFT, y, left + PLOT_LEFT + PLOT_WIDTH, y, "#dadce0", 0.5),
                  text(left + PLOT_LEFT - 6, y + 4, f"{share * highest:.0f}", 10, "end")]
    parts += [text(left + place(x, max(sizes)), bottom + 14, short(x), 10, "middle") for x in sizes]
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
    parts = frame(f"{unit} by {axis}", sizes, highest, left, top)
    for index, name in enumerate(dict.fromkeys(point["series"] for point in here)):
        colour = SERIES[index % len(SERIES)]
        parts += curve([point for point in here if point["series"] == name], field, name, colour, max(sizes), highest, left, top)
        parts.append(text(left + PLOT_LEFT + index * 110, top + PLOT_TOP + PLOT_HEIGHT + 34, f"● {name}", 11, colour=colour))
    return parts


def curves(points):
    """Two panels for each axis: CPU and system calls of a delivery."""
    parts, top = [], 0
    for axis in dict.fromkeys(point["axis"] for point in points):
        parts += panel(points, axis, "cpu_us", "CPU µs", 0, top)
        parts += panel(points, axis, "calls", "system calls", PANEL_WIDTH, top)
        top += PANEL_HEIGHT
    return document(2 * PANEL_WIDTH, top, parts)
