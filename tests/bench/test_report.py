"""The benchmark's report: data in, tables and pictures out. Each function is a sentence that must hold; names them."""

import os
import sys
import tempfile
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure import aims, chart, report, rows  # noqa: E402
from measure.host import journal_of_ext4, mount_of  # noqa: E402
from measure.calls import total  # noqa: E402
from measure.programs import TITLES  # noqa: E402
from measure.results import Results, spread  # noqa: E402
from measure.rounds import measure  # noqa: E402
from measure.workspace import Workspace  # noqa: E402

ROW = rows.Row(rows.LMTP, "20 connections", ("limit", "lodge", "dovecot"), 20)
LARGE = rows.Row(rows.SIZES, "25 MB <1>", ("limit", "lodge"), 1, size=25_000_000)
ABSENT = rows.Row(rows.PIPE, "1 at once", ("true", "deliver"))
RATES = {"limit": (1000, 4000, 2000), "lodge": (700, 2000, 1800)}  # of three rounds


def records():
    for program, rates in RATES.items():
        for number, rate in enumerate(rates):
            common = {"program": program, "round": number, "errors": 0, "p50_ms": 1.25, "p99_ms": 3.0}
            yield {"group": ROW.group, "row": ROW.name, "rate": rate, "cpu_us": 100 * (2 if program == "lodge" else 1), **common}
            yield {"group": LARGE.group, "row": LARGE.name, "rate": rate / 100, "cpu_us": 5e4, "peak_kib": 8192, **common}
    yield {"figure": "memory of an idle worker (PSS)", "value": 3000, "unit": "KiB", "at_most": 2048}


RESULTS = Results(list(records()))
ALL = [ROW, LARGE, ABSENT]
POINTS = [{"axis": "users & aliases", "series": series, "x": x, "cpu_us": 200 + index, "calls": 29.5}
          for index, series in enumerate(("plain", "quota")) for x in (0, 1000, 1_000_000)]


def ratios_are_of_the_same_round_and_their_median_is_shown():
    assert RESULTS.ratios(ROW, "lodge", "limit") == [0.7, 0.5, 0.9]
    assert spread(RESULTS.ratios(ROW, "lodge", "limit")) == "0.70 (0.50..0.90)"  # of the medians it would be 0.90
    assert RESULTS.median(ROW, "lodge", "rate") == 1800


def a_round_that_only_one_side_ended_counts_for_no_ratio():
    lonely = Results([record for record in records() if (record.get("program"), record.get("round")) != ("limit", 1)])
    assert lonely.ratios(ROW, "lodge", "limit") == [0.7, 0.9]


def tables_have_a_line_for_each_program_that_was_measured():
    text = report.markdown(RESULTS, ALL, aims.verdicts(RESULTS, ALL), {"kernel": "6.1"}, ["dovecot"])
    lines = [line.replace(" ", "") for line in text.splitlines()]
    assert "|20connections|lodge|3|1,800|0.70(0.50..0.90)|200|1.2|3.0|0|" in lines, text
    assert "|25MB<1>|lodge|3|18|0.70(0.50..0.90)|50,000|1.2|3.0|0|450|8.0|" in lines, text
    assert "-kernel:6.1" in lines and "Leftout,becausenotinstalledhere:Dovecot." in lines
    assert "deliver," not in text and len({len(line) for line in text.splitlines() if line.startswith("| 20")}) == 1


def aims_are_reached_or_missed_and_left_out_without_data():
    verdicts = {verdict.text: verdict for verdict in aims.verdicts(RESULTS, ALL)}
    assert verdicts["LMTP, 4 KiB, 20 connections: lodge / bare disk"].reached
    assert not verdicts["LMTP, large messages, 25 MB <1>: lodge / bare disk"].reached  # 0.7 of at least 0.9
    assert verdicts["LMTP, 4 KiB, 20 connections: CPU µs of a delivery"].value == 200
    assert not verdicts["memory of an idle worker (PSS), KiB"].reached
    assert verdicts["LMTP, 4 KiB, 20 connections: CPU µs beyond the bare disk's"].value == 100
    assert verdicts["errors"].reached and not any("Pipe" in text or "Dovecot" in text for text in verdicts)


def elements(picture, kind):
    return [element for element in xml.fromstring(picture).iter() if element.tag.endswith(kind)]


def bars_are_well_formed_and_as_long_as_the_median():
    picture = chart.bars(RESULTS, ALL, {"cores": 2, "file_system": "ext4, no journal"})
    words = [element.text for element in elements(picture, "text")]
    assert "25 MB <1>" in words and "0.70 (0.50..0.90)" in words and "1,800/s" in words and "1 at once" not in words
    assert "2 cores · ext4, no journal · 3 rounds" in words and "rate, relative to bare disk" in words
    lengths = [float(element.get("width")) for element in elements(picture, "rect") if element.get("class") == "bar"]
    assert len(lengths) == 4 and abs(lengths[1] / lengths[0] - 0.7) < 0.01


def a_range_beyond_the_picture_is_cut_off():
    scale = chart.scale_of([[1, 1, 1], [0.5, 0.5, 40]])
    assert scale.x(40) == scale.x(99) == chart.BARS_LEFT + chart.BARS_WIDTH and scale.x(1) > chart.BARS_LEFT + chart.BARS_WIDTH / 2


def axes_have_round_numbers_up_to_their_end():
    assert chart.round_numbers(1.2) == [0, 0.5, 1] and chart.round_numbers(34.7) == [0, 10, 20, 30]
    assert chart.round_numbers(5000) == [0, 1000, 2000, 3000, 4000, 5000]


def curves_are_well_formed_and_have_a_line_for_each_series():
    picture = xml.fromstring(chart.curves(POINTS))
    lines = [element.get("points").split() for element in picture.iter() if element.tag.endswith("polyline")]
    assert [len(line) for line in lines] == [3, 3, 3, 3]  # two series, in two panels
    across = [float(point.split(",")[0]) for point in lines[0]]
    assert abs((across[1] - across[0]) - (across[2] - across[1])) < 1  # 0, 1,000, 1,000,000 on a logarithmic axis


def curves_are_tables_too():
    text = report.curves_markdown(POINTS, [], {})
    assert "|1,000,000|200|29.5|201|29.5|" in text.replace(" ", ""), text


def fifty_recipients_are_judged_by_equal_content():
    row = next(row for row in rows.ROWS if row.group == rows.FIFTY and row.connections == 1)
    rates = {"lodge-copies": 2000, "lodge-links": 4500, "dovecot-links": 500}
    results = Results([{"group": row.group, "row": row.name, "program": program, "round": 0, "rate": rate, "errors": 0}
                       for program, rate in rates.items()])
    aim = next(verdict for verdict in aims.verdicts(results, rows.ROWS) if "Dovecot" in verdict.text)
    assert aim.reached and aim.value == 9 and "delivered_to = single" in aim.text and "equal content" in aim.text


def every_program_of_a_row_has_a_title():
    assert all(program in TITLES for row in rows.ROWS for program in row.programs)


def every_aim_is_about_a_row_that_is_measured():
    for group, connections, program, base, *_ in aims.RATIOS:
        row = aims.find(rows.ROWS, group, connections)
        assert program in row.programs and base in row.programs, (group, connections, program, base)


def growth_is_that_of_the_worst_point_to_the_smallest_of_its_curve():
    points = [*POINTS, {"axis": "folders", "series": "plain", "x": 10, "cpu_us": 50, "calls": 90},
              {"axis": "folders", "series": "plain", "x": 0, "cpu_us": 100, "calls": 30}]
    cpu, calls = aims.scaling_verdicts(points)
    assert (cpu.value, calls.value, calls.reached) == (1, 3, False) and calls.text.endswith("10 folders, plain")
    assert list(aims.scaling_verdicts([])) == []


class Notes(list):
    def add(self, **record):
        self.append(record)


def each_row_is_measured_once_even_when_there_is_no_time():
    notes = Notes()
    measure([ROW, LARGE], {"limit": lambda row: {"rate": 1}, "lodge": lambda row: {"rate": 2}}, notes, 0)
    assert sorted((note["row"], note["program"], note["round"], note["rate"]) for note in notes) == [
        ("20 connections", "limit", 0, 1), ("20 connections", "lodge", 0, 2), ("25 MB <1>", "limit", 0, 1), ("25 MB <1>", "lodge", 0, 2)]


def the_file_system_of_a_path_is_found():
    assert mount_of("/proc/self/fd")[1] == "proc"


def whether_ext4_has_a_journal_is_read_from_its_options():
    with tempfile.TemporaryDirectory() as proc:
        for name, options in (("vda", "rw\ndelalloc\n"), ("loop0", "rw\ndata=ordered\n"), ("loop1", "rw\nfc_debug_force\ndata=journal\n")):
            os.makedirs(f"{proc}/ext4/{name}")
            with open(f"{proc}/ext4/{name}/options", "w") as file:
                file.write(options)
        said = [journal_of_ext4(f"/dev/{name}", proc) for name in ("vda", "loop0", "loop1", "sda")]
    assert said == ["no journal", "journal, data=ordered", "journal, data=journal, fast_commit", "journal unknown"], said


def everything_below_a_workspace_is_removed():
    with tempfile.TemporaryDirectory() as top:
        workspace = Workspace(top)
        deep = workspace.directory("user0", "Maildir", "new")
        os.symlink("/nowhere", f"{deep}/link")
        open(f"{deep}/message", "w").close()
        workspace.remove(keep=False)
        assert os.listdir(top) == [] and not os.path.exists(workspace.sockets)


def the_total_of_strace_is_read():
    assert total("    calls syscall\n--------- --------\n       12 read\n        7 fsync\n--------- ----\n       19 total\n") == 19


SENTENCES = [value for value in list(globals().values())
             if getattr(value, "__module__", None) == __name__ and value not in (records, elements, Notes)]

if __name__ == "__main__":
    for sentence in SENTENCES:
        print(sentence.__name__.replace("_", " "))
        sentence()
