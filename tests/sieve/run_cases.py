#!/usr/bin/env python3
"""tests/sieve/run_cases.py - runs Sieve cases; their format is in cases/README

    run_cases.py [--lodge PATH] [--show] [-k WORD] FILE-OR-DIRECTORY...

Speaks TAP: one line for each case, and "not ok" for a file that cannot be read.
"""

import argparse
import base64
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_LIMIT = 60  # seconds; sanitizers are slow

SINGLE = {"rfc", "why", "message", "body", "from", "to", "orig-to", "tz", "command"}
REPEATED = {"header", "no-header", "mailbox", "special-use", "set", "require"}
EXPECTED = {
    "action", "implicit_keep", "keep", "true", "false", "status", "error", "errors", "warning",
    "var", "outgoing", "mail", "has", "hasnt", "line", "created",
}  # fmt: skip
BLOCKS = {"script", "message", "personal", "global", "before", "list", "stored", "then"}
MAIN_FIELD = {
    "fileinto": "mailbox", "redirect": "address", "reject": "reason", "ereject": "reason",
    "vacation": "reason", "notify": "method", "pipe": "program",
}  # fmt: skip
NOT_LISTED = {"addheader", "deleteheader", "setflag", "addflag", "removeflag"}


class BadCase(Exception):
    """The file is not as the README says."""


class Failed(Exception):
    """lodge's answer is not the expected one."""


# ---- reading ------------------------------------------------------------------


class Step:
    """One run: its keys and blocks."""

    def __init__(self, parent=None):
        self.options = dict(parent.options) if parent else {}
        self.blocks = {k: v for k, v in parent.blocks.items() if k[0] != "stored"} if parent else {}
        self.own = set()  # repeated keys and blocks given here, which replace inherited ones
        self.expected = []  # (key, value, line number)


class Case:
    def __init__(self, name, line, step):
        self.name, self.line, self.steps = name, line, [step]


def unescape(text):
    """The bytes that an "escaped" block stands for."""
    simple = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "\\": "\\"}

    def replace(match):
        code = match.group(1)
        if code[0] == "x":
            return bytes([int(code[1:], 16)]).decode("latin-1")
        if code not in simple:
            raise BadCase(f"unknown escape \\{code}")
        return simple[code]

    text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    if text.endswith("\\c\n"):
        text = text[:-3]
    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", replace, text, flags=re.S).encode("latin-1")


def block_bytes(lines, escaped):
    while lines and lines[-1].strip() == "":
        lines.pop()
    text = "".join(line + "\n" for line in lines)
    return unescape(text) if escaped else text.encode("utf-8", "surrogateescape")


class Reader:
    def __init__(self, path):
        self.path = path
        self.file = Step()  # what holds for all cases
        self.fixtures = {}
        self.cases = []
        self.step = self.file

    def fail(self, number, text):
        raise BadCase(f"{self.path}:{number}: {text}")

    def read(self):
        lines = self.path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        number = 0
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.startswith("=== "):
                self.begin_case(line[4:].strip(), number)
            elif line.startswith("--- "):
                end = number
                while end < len(lines) and not re.match(r"=== |--- ", lines[end]):
                    end += 1
                if line.split()[1] == "then":
                    end = number
                self.add_block(line[4:].split(), lines[number:end], number)
                number = end
            elif line.strip() and not line.startswith("#"):
                self.add_key(line, number)
        for case in self.cases:
            self.check(case)
        if not self.cases:
            self.fail(number, "no case")
        return self.cases

    def begin_case(self, name, number):
        if not name or any(name == case.name for case in self.cases):
            self.fail(number, f"a case needs a name of its own: '{name}'")
        self.step = Step(self.file)
        self.cases.append(Case(name, number, self.step))

    def add_key(self, line, number):
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon:
            self.fail(number, f"neither key nor block: '{line}'")
        if key in SINGLE:
            self.step.options[key] = value
            if key in ("message", "body"):
                self.step.blocks.pop(("message", None), None)
        elif key in REPEATED:
            # Cases add to what the file says; what follows "then" replaces it.
            inherited = self.step.options.get(key, [])
            if key not in self.step.own and self.cases and self.step is not self.cases[-1].steps[0]:
                inherited = []
            self.step.own.add(key)
            self.step.options[key] = inherited + [value]
        elif key in EXPECTED:
            if self.step is self.file:
                self.fail(number, f"'{key}' belongs to a case")
            self.step.expected.append((key, value, number))
        else:
            self.fail(number, f"unknown key '{key}'")

    def add_block(self, words, lines, number):
        kind, name, escaped = words[0], None, words[-1] == "escaped"
        words = words[1:-1] if escaped else words[1:]
        if kind not in BLOCKS:
            self.fail(number, f"unknown block '{kind}'")
        if words:
            name = words[0]
        named = kind in ("personal", "global", "list")
        if len(words) > 1 or named != bool(name) and kind != "message":
            self.fail(number, f"'{kind}' and its name")
        if kind == "then":
            if not self.cases:
                self.fail(number, "'then' belongs to a case")
            self.step = Step(self.step)
            self.cases[-1].steps.append(self.step)
            return
        try:
            data = block_bytes(list(lines), escaped)
        except BadCase as bad:
            self.fail(number, str(bad))
        if kind == "message" and name:
            if self.cases:
                self.fail(number, "a named message comes before the first case")
            self.fixtures[name] = data
        elif kind == "before":
            if "before" not in self.step.own:
                self.step.blocks = {k: v for k, v in self.step.blocks.items() if k[0] != "before"}
            self.step.own.add("before")
            count = sum(1 for k in self.step.blocks if k[0] == "before")
            self.step.blocks["before", str(count + 1)] = data
        else:
            self.step.blocks[kind, name] = data

    def check(self, case):
        for step in case.steps:
            if not ({"rfc", "why"} & step.options.keys()):
                self.fail(case.line, f"'{case.name}' says neither rfc nor why")
            if not step.expected and ("stored", None) not in step.blocks:
                self.fail(case.line, f"'{case.name}' expects nothing")
            has_tests = any(key in ("true", "false") for key, _, _ in step.expected)
            if has_tests == (("script", None) in step.blocks):
                self.fail(case.line, f"'{case.name}' needs a script or tests")
            name = step.options.get("message")
            if name and name not in self.fixtures:
                fixture = HERE / "cases" / "messages" / f"{name}.eml"
                if not fixture.exists():
                    self.fail(case.line, f"'{case.name}': no message '{name}'")
                self.fixtures[name] = fixture.read_bytes()


# ---- running ------------------------------------------------------------------


def text_value(value):
    """A JSON string where it begins with a quote, else the text itself."""
    return json.loads(value) if value.startswith('"') and value.endswith('"') and len(value) > 1 else value


def edited_plain(options):
    plain = (HERE / "cases" / "messages" / "plain.eml").read_bytes().decode()
    head, _, body = plain.partition("\n\n")
    fields = re.split(r"\n(?![ \t])", head)
    given = [header.partition(":")[0].lower() for header in options.get("header", [])]
    gone = [name.lower() for name in options.get("no-header", [])] + given
    fields = [field for field in fields if field.partition(":")[0].lower() not in gone]
    fields += options.get("header", [])
    if "body" in options:
        body = text_value(options["body"])
        body += "" if body.endswith("\n") or not body else "\n"
    return ("\n".join(fields) + "\n\n" + body).encode("utf-8", "surrogateescape")


def message_bytes(step, fixtures):
    if ("message", None) in step.blocks:
        return step.blocks["message", None]
    name = step.options.get("message")
    return fixtures[name] if name else edited_plain(step.options)


def tests_as_script(step):
    tests = [(key, value) for key, value, _ in step.expected if key in ("true", "false")]
    names = ["fileinto", "copy"] + " ".join(step.options.get("require", [])).split()
    script = "require [" + ", ".join(f'"{name}"' for name in names) + "];\n"
    for number, (_, test) in enumerate(tests, 1):
        script += f'if {test} {{ fileinto :copy "test {number}"; }}\n'
    return script.encode("utf-8", "surrogateescape"), tests


def write_files(directory, step):
    (directory / "personal").mkdir(exist_ok=True)
    (directory / "global").mkdir(exist_ok=True)
    words = []
    for (kind, name), data in step.blocks.items():
        if kind in ("personal", "global"):
            path = directory / kind / f"{name}.sieve"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        elif kind == "before":
            (directory / f"before{name}.sieve").write_bytes(data)
            words += ["--before", str(directory / f"before{name}.sieve")]
        elif kind == "list":
            path = directory / ("list-" + re.sub(r"\W", "_", name))
            path.write_bytes(data)
            words += ["--list", f"{name}={path}"]
    script = step.blocks.get(("script", None))
    if script is None:
        script, _ = tests_as_script(step)
    (directory / "script.sieve").write_bytes(script)
    return words


def command_line(lodge, directory, step, stateful):
    options = step.options
    check = options.get("command") == "check"
    words = [lodge, "sieve", "check" if check else "test", "--json"]
    words += ["--script-dir", str(directory / "personal"), "--global-dir", str(directory / "global")]
    for key in ("from", "to", "orig-to"):
        if key in options:
            words += [f"--{key}", options[key]]
    for key in ("mailbox", "special-use", "set"):
        for value in options.get(key, []):
            words += [f"--{key}", value]
    words += write_files(directory, step)
    if stateful:
        words += ["--state", str(directory / "state")]
    words.append(str(directory / "script.sieve"))
    if not check:
        words.append(str(directory / "message.eml"))
    return words


def run_step(lodge, directory, step, fixtures, stateful, crlf):
    words = command_line(lodge, directory, step, stateful)
    if step.options.get("command") != "check":
        data = message_bytes(step, fixtures)
        if crlf:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        (directory / "message.eml").write_bytes(data)
    environment = dict(os.environ, TZ=step.options.get("tz", "UTC"))
    try:
        done = subprocess.run(
            [word.encode("utf-8", "surrogateescape") for word in words],
            capture_output=True, env=environment, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {TIME_LIMIT} seconds") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode not in (0, 1):
        raise Failed(f"exit status {done.returncode}: {said}")
    try:
        answer = json.loads(done.stdout.decode("utf-8"))
    except ValueError as error:
        raise Failed(f"no JSON ({error}): {done.stdout[:200]!r} {said}") from None
    if (answer.get("status") == "ok") != (done.returncode == 0):
        raise Failed(f"exit status {done.returncode} with status '{answer.get('status')}'")
    return words, answer


# ---- comparing ----------------------------------------------------------------

WORD = re.compile(r'\s*((?:[^\s"]|"(?:[^"\\]|\\.)*")+)')


def split_words(text):
    words, position = [], 0
    while match := WORD.match(text, position):
        words.append(match.group(1))
        position = match.end()
    if text[position:].strip():
        raise Failed(f"the case is wrong: cannot read '{text}'")
    return words


def flags_of(value):
    return sorted(flag.lower() for flag in value)


def compare_field(got, condition, what):
    match = re.match(r"([\w-]+)(=|~|!)(.*)", condition, re.S)
    if not match:
        raise Failed(f"the case is wrong: '{condition}'")
    name, relation, wanted = match.group(1), match.group(2), text_value(match.group(3))
    value = got.get(name)
    if relation == "!":
        good = not value
    elif relation == "~":
        good = wanted.lower() in str(value).lower()
    elif name == "flags":
        good = flags_of(value or []) == flags_of(wanted.split(",") if wanted else [])
    elif isinstance(value, bool) or value is None and wanted in ("true", "false"):
        good = ("true" if value else "false") == wanted
    else:
        good = ("" if value is None else str(value)) == wanted
    if not good:
        raise Failed(f"{what}: expected {condition}, got {json.dumps(value, ensure_ascii=False)}")


def compare_actions(answer, wanted):
    got = [a for a in answer.get("actions", []) if a.get("action") not in NOT_LISTED]
    shown = json.dumps(got, ensure_ascii=False)
    if wanted == ["none"]:
        wanted = []
    if len(got) != len(wanted):
        raise Failed(f"expected {len(wanted)} actions, got {shown}")
    for action, text in zip(got, wanted):
        words = split_words(text)
        if action.get("action") != words[0]:
            raise Failed(f"expected {words[0]}, got {shown}")
        conditions = words[1:]
        if conditions and not re.match(r"[a-z_]+[=~!]", conditions[0]):
            if words[0] not in MAIN_FIELD:
                raise Failed(f"the case is wrong: '{text}'")
            conditions[0] = f"{MAIN_FIELD[words[0]]}={conditions[0]}"
        for condition in conditions:
            compare_field(action, condition, f"action {words[0]}")


def compare_errors(answer, wanted):
    """The same lines in the same order; what else is said about a line does not count."""
    got = [(error.get("script"), error.get("line"), error) for error in answer.get("errors", [])]
    shown = json.dumps(answer.get("errors", []), ensure_ascii=False)
    position = 0
    for text in wanted:
        while position < len(got) and not complaint_fits(got[position][2], text):
            if position == 0 or got[position][:2] != got[position - 1][:2]:
                break
            position += 1
        if position >= len(got) or not complaint_fits(got[position][2], text):
            raise Failed(f"expected '{text}' among {shown}")
        position += 1
    while 0 < position < len(got) and got[position][:2] == got[position - 1][:2]:
        position += 1
    if position < len(got):
        raise Failed(f"more errors than expected: {shown}")


def complaint_fits(complaint, text):
    place, _, part = text.partition(" ")
    script, _, line = place.rpartition(":")
    return (
        (line == "*" or str(complaint.get("line")) == line)
        and (not script or complaint.get("script") == script)
        and part.strip().lower() in complaint.get("message", "").lower()
    )


def compare_warning(answer, text):
    got = answer.get("warnings", [])
    good = not got if text == "none" else any(complaint_fits(warning, text) for warning in got)
    if not good:
        raise Failed(f"warning '{text}' expected, got {json.dumps(got, ensure_ascii=False)}")


def compare_tests(answer, tests):
    done = {a.get("mailbox") for a in answer.get("actions", [])}
    for number, (truth, test) in enumerate(tests, 1):
        if (f"test {number}" in done) != (truth == "true"):
            raise Failed(f"not {truth}: {test}")


def text_of(message):
    if "rfc822_base64" in message:
        return base64.b64decode(message["rfc822_base64"]).decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return message.get("rfc822", "").replace("\r\n", "\n")


class Texts:
    """Walks "outgoing" and "mail" with the has, hasnt and line that belong to each."""

    def __init__(self, answer):
        self.outgoing = list(answer.get("outgoing", []))
        self.mail = list(answer.get("messages", []))
        self.checks_outgoing = self.checks_mail = False
        self.now = None

    def next_outgoing(self, value):
        self.checks_outgoing = True
        if value == "none":
            return
        if not self.outgoing:
            raise Failed(f"outgoing message {value} is missing")
        self.now = self.outgoing.pop(0)
        for condition in split_words(value):
            compare_field(self.now, condition, "outgoing")

    def next_mail(self, value):
        self.checks_mail = True
        if value == "none":
            return
        words = split_words(value)
        mailbox = text_value(words[0])
        found = [message for message in self.mail if message.get("mailbox") == mailbox]
        if not found:
            raise Failed(f"nothing stored in '{mailbox}', but {[m.get('mailbox') for m in self.mail]}")
        self.now = found[0]
        self.mail.remove(found[0])
        for condition in words[1:]:
            compare_field(self.now, condition, f"mail in '{mailbox}'")

    def check(self, key, value):
        if self.now is None:
            raise Failed(f"the case is wrong: '{key}' without outgoing or mail")
        text, wanted = text_of(self.now), text_value(value)
        if key == "line":
            good = wanted in text.split("\n")
        else:
            good = (wanted in text) == (key == "has")
        if not good:
            raise Failed(f"{key}: {value}\nin: {text}")

    def end(self):
        if self.checks_outgoing and self.outgoing:
            raise Failed(f"more is sent: {json.dumps(self.outgoing, ensure_ascii=False)}")
        if self.checks_mail and self.mail:
            raise Failed(f"more is stored: {[m.get('mailbox') for m in self.mail]}")


def compare_simple(answer, key, value):
    if key in ("implicit_keep", "keep"):
        wanted = value == "implicit" if key == "keep" else value == "true"
        if bool(answer.get("implicit_keep")) != wanted:
            raise Failed(f"{key}: {value} expected")
    elif key == "errors":
        if value != "some" or not answer.get("errors"):
            raise Failed("errors expected")
    elif key == "warning":
        compare_warning(answer, value)
    elif key == "created":
        got = answer.get("mailboxes_created", [])
        if sorted(got) != sorted(text_value(word) for word in split_words(value)):
            raise Failed(f"created: {value} expected, got {got}")
    elif key == "var":
        name, _, wanted = value.partition("=")
        got = answer.get("variables", {}).get(name)
        if (got or "") != text_value(wanted):
            raise Failed(f"variable {name}: expected {wanted}, got {json.dumps(got, ensure_ascii=False)}")


def compare(step, answer):
    keys = [key for key, _, _ in step.expected]
    values = {key: [v for k, v, _ in step.expected if k == key] for key in EXPECTED}
    default = "compile_error" if values["error"] or values["errors"] else "ok"
    wanted = values["status"][-1] if values["status"] else default
    if answer.get("status") != wanted:
        shown = json.dumps(answer.get("errors", []), ensure_ascii=False)
        raise Failed(f"expected status {wanted}, got {answer.get('status')} {shown}")
    if values["error"]:
        compare_errors(answer, values["error"])
    if values["action"] or values["keep"]:
        compare_actions(answer, values["action"] if values["action"] else ["none"])
    if "true" in keys or "false" in keys:
        compare_tests(answer, [(k, v) for k, v, _ in step.expected if k in ("true", "false")])
    texts = Texts(answer)
    for key, value, _ in step.expected:
        if key == "outgoing":
            texts.next_outgoing(value)
        elif key == "mail":
            texts.next_mail(value)
        elif key in ("has", "hasnt", "line"):
            texts.check(key, value)
        else:
            compare_simple(answer, key, value)
    texts.end()
    if ("stored", None) in step.blocks:
        stored = [text_of(message).rstrip("\n") for message in answer.get("messages", [])]
        exact = step.blocks["stored", None].decode("utf-8", "surrogateescape").rstrip("\n")
        if stored != [exact]:
            raise Failed(f"stored: expected {exact!r}, got {stored!r}")


def run_case(lodge, case, fixtures, show):
    """None, or why it failed."""
    for crlf in (False, True):
        with tempfile.TemporaryDirectory(prefix="lodge-case-") as name:
            for number, step in enumerate(case.steps, 1):
                words = answer = None
                try:
                    words, answer = run_step(lodge, Path(name), step, fixtures, len(case.steps) > 1, crlf)
                    compare(step, answer)
                except Failed as failed:
                    where = f"run {number}: " if len(case.steps) > 1 else ""
                    text = ("with CRLF line ends: " if crlf else "") + where + str(failed)
                    if show and words:
                        script = (Path(name) / "script.sieve").read_text("utf-8", "replace")
                        text += "\n" + " ".join(words) + "\n" + script
                        text += json.dumps(answer, ensure_ascii=False, indent=1)
                    return text
        if all(step.options.get("command") == "check" for step in case.steps):
            break
    return None


def default_lodge():
    build = os.environ.get("LODGE_BUILD", str(HERE.parent.parent / "build"))
    return str(Path(build) / "lda" / "lodge")


def main():
    parser = argparse.ArgumentParser(description="Runs Sieve cases.")
    parser.add_argument("--lodge", default=default_lodge(), help="the program")
    parser.add_argument("--show", action="store_true", help="print script and answer of failures")
    parser.add_argument("-k", metavar="WORD", default="", help="only names that contain WORD")
    parser.add_argument("path", nargs="+", type=Path)
    options = parser.parse_args()
    files = []
    for path in options.path:
        files += sorted(path.rglob("*.cases")) if path.is_dir() else [path]
    number = failures = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path in files:
            try:
                reader = Reader(path)
                cases = [case for case in reader.read() if options.k in case.name]
            except (BadCase, OSError) as bad:
                number, failures = number + 1, failures + 1
                print(f"not ok {number} - {path} can be read\n# {bad}", flush=True)
                continue
            jobs = [pool.submit(run_case, options.lodge, c, reader.fixtures, options.show) for c in cases]
            for case, job in zip(cases, jobs):
                why, number = job.result(), number + 1
                title = f"{number} - {path.stem}: {case.name}".replace("#", "\\#")
                print(f"{'not ok' if why else 'ok'} {title}")
                if why:
                    failures += 1
                    place = f"{path}:{case.line}: "
                    print("\n".join("# " + line for line in (place + why).split("\n")), flush=True)
    print(f"1..{number}")
    return 1 if failures or number == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
