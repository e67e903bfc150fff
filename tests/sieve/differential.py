#!/usr/bin/env python3
"""tests/sieve/differential.py - generated scripts over generated messages, in three engines

    differential.py [--seed N] [--scripts N] [--show NUMBER]

Each script of RFC 3028, with regex and subaddress, runs over two messages in lodge's engine, in
libsieve (the engine of that name), and in Pigeonhole's sieve-test where that is installed. lodge
and libsieve must say exactly the same; as addresses are read by lodge for both, sieve-test is the
judge of those. Between lodge and sieve-test the table DIFFERENCES says what may differ, and why.
The same seed makes the same scripts and messages. Speaks TAP: one line for each script;
--show prints script and messages of one.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ.get("LODGE_BUILD", "build/release")).resolve()
TIME_LIMIT = 120  # seconds a run; only for what hangs
NOBODY = 65534

# ---- messages -----------------------------------------------------------------

ADDRESSES = [  # of one field, and how they are written
    "ana@example.org", "<ana+lists@example.org>", "Bob Brown <bob@Example.COM>", '"Q., John" <john.q@example.net>',
    "John Q. Public <john@example.net>", "eve@example.org (Eve (nested) comment)", "friends: ann@example.org, bo@example.com;",
    "undisclosed-recipients:;", '"quoted part"@example.org', "ana@example.org, bob@example.com",
    "=?utf-8?q?J=C3=BCrgen?= <j@example.de>", "<@relay.example,@b.example:far@example.org>", "ann @ example.org",
    "x@[192.0.2.1]", "a.b.c@sub.example.org,, d@example.org",
]  # fmt: skip
BROKEN_ADDRESSES = ["a@b (", '"abc', "no address at all", "userabcd@" + ".".join(["l" * 63] * 4), "a@b@c", "<>"]
SUBJECTS = [
    "hello", "Hello World", "Re: [list] a question", "=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Wien", "=?iso-8859-1?q?caf=E9?=",
    "=?utf-8?b?YWJj?= =?utf-8?b?ZGVm?=", "folded\n over\n\ttwo lines", "raw \u00fcmlaut", "aaaaaaaab", "abababab", "100% *free* offer?!",
    "back\\slash", "", "  blanks around  ", "a" * 300, "=?utf-8?q?broken", "tab\tin it", "=?x-unknown?q?abc?=",
]  # fmt: skip
PLAIN = ["alpha", "beta gamma", "ab", "aab", "ba", "ABBA", "a b", "x", "list-one.example.org", "yes", "no", "12", "-"]


class Message:
    def __init__(self, rng):
        self.fields = []
        self.sender = rng.choice(["bob@example.com", "eve+x@example.org", "John.Q@Example.net", ""])
        self.recipient = rng.choice(["ana@example.org", "ana+lists@example.org", "info@sub.example.org"])
        for name in ("From", "To", "Cc"):
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                pool = BROKEN_ADDRESSES if rng.random() < 0.08 else ADDRESSES
                self.fields.append((name, rng.choice(pool)))
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            self.fields.append((rng.choice(["Subject", "subject", "SUBJECT"]), rng.choice(SUBJECTS)))
        for name in ("X-Test", "X-Other", "List-Id", "X-Empty"):
            for _ in range(rng.choice([0, 1, 1, 2])):
                self.fields.append((name, "" if name == "X-Empty" else rng.choice(PLAIN)))
        rng.shuffle(self.fields)
        if not self.fields:
            self.fields.append(("X-Test", "alone"))
        self.body = "".join(f"line {n} of the body\n" for n in range(rng.choice([0, 1, 20, 60])))

    def text(self):
        return "".join(f"{name}: {value}\n" for name, value in self.fields) + "\n" + self.body

    def values(self, names):
        wanted = {name.lower() for name in names}
        return [value for name, value in self.fields if name.lower() in wanted]

    def size(self):
        return len(self.text().encode()) + self.text().count("\n")


# ---- scripts ------------------------------------------------------------------


class Test:
    """A test: its source, and what DIFFERENCES asks about it."""

    def __init__(self, source, kind, names=(), tags=(), keys=(), children=()):
        self.source, self.kind, self.names, self.tags, self.keys = source, kind, names, tags, keys
        self.children = children

    def leaves(self):
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]


class Generator:
    def __init__(self, rng, messages):
        self.rng, self.messages, self.wildcards = rng, messages, "?*"

    def word(self, text):
        """A keyword in any case: they are all the same."""
        return self.rng.choice([text, text, text.upper(), text.capitalize()])

    def quoted(self, text):
        escaped = "".join("\\" + c if c in '\\"' or self.rng.random() < 0.02 and c.isalpha() else c for c in text)
        return f'"{escaped}"'

    def strings(self, items):
        if len(items) == 1 and self.rng.random() < 0.7:
            return self.quoted(items[0])
        return "[" + ", ".join(self.quoted(item) for item in items) + "]"

    def blank(self):
        return self.rng.choice([" ", " ", " ", "\n  ", " /* a\n comment */ ", " # to the end\n"])

    def key(self, pool, match):
        """Something of a value, so that tests are true as often as not."""
        rng = self.rng
        text = rng.choice(pool) if pool and rng.random() < 0.85 else rng.choice(["zzz", "", "a", "example"])
        text = re.sub(r"\n[ \t]", " ", text).strip()
        if match != "is" and text and rng.random() < 0.8:
            start = rng.randrange(len(text))
            text = text[start : start + rng.randint(1, 12)]
        if rng.random() < 0.3:
            text = text.swapcase()
        text = text.replace('"', "")
        if match == "regex":
            return self.expression(text.encode("ascii", "ignore").decode())
        if match == "matches":
            return self.pattern(text.replace("\\", ""))
        return text.rstrip("\\")

    def pattern(self, text):
        rng = self.rng
        out = "".join(rng.choice(self.wildcards) if rng.random() < 0.15 else c for c in text)
        out = rng.choice(["*", ""]) + out + rng.choice(["*", "*", ""])
        return re.sub(r"\*{2,}", "*", out)[:20]

    def expression(self, text):
        """Nothing that stands for one character: to libsieve and sieve-test that is an octet."""
        rng = self.rng
        out = "".join("\\" + c if c in ".[]()*?+^$|{}\\" else ".*" if rng.random() < 0.1 else c for c in text.replace("\t", " "))
        out = rng.choice(["", "^", "(zzz|)", "[a-z]*"]) + (out or "a") + rng.choice(["", "", "$", ".*$"])
        return out + ".*" if out.endswith("\\") else out  # libsieve's strings cannot end so

    def match_tags(self, types):
        rng = self.rng
        match = rng.choice(types)
        tags = [":" + self.word(match)] if match != "is" or rng.random() < 0.6 else []
        comparator = rng.choice(["", "", "i;octet", "i;ascii-casemap"])
        if comparator:
            tags.append(f':{self.word("comparator")} "{comparator}"')
        return match, tags

    def compare(self, kind, names, pool, parts=(), types=("is", "contains", "matches")):
        rng = self.rng
        match, tags = self.match_tags(types)
        part = rng.choice(["", *parts]) if parts else ""
        if part:
            tags.append(":" + self.word(part))
        rng.shuffle(tags)
        keys = [self.key(pool, match) for _ in range(rng.choice([1, 1, 2, 3]))]
        between = self.blank()
        source = f"{self.word(kind)} {' '.join(tags)}{between}{self.strings(names)} {self.strings(keys)}"
        return Test(source, kind, [n.lower() for n in names], [match, part], keys)

    def header(self):
        rng = self.rng
        names = rng.sample(["Subject", "subject", "X-Test", "x-other", "List-Id", "X-Empty", "X-None", "From"], rng.choice([1, 1, 2, 3]))
        pool = [v for m in self.messages for v in m.values(names)]
        return self.compare("header", names, pool, types=["is", "contains", "contains", "matches", "matches", "regex"])

    def address(self):
        rng = self.rng
        names = rng.sample(["From", "to", "CC", "Reply-To"], rng.choice([1, 1, 2]))
        found = [v for m in self.messages for v in m.values(names)]
        pool = [a for v in found for a in re.findall(r"[\w.+-]+@[\w.-]+|[\w.+-]+", v)]
        return self.compare("address", names, pool, ["all", "localpart", "domain", "user", "detail"])

    def envelope(self):
        pool = [part for m in self.messages for path in (m.sender, m.recipient) for part in (path, *path.split("@"))]
        names = self.rng.choice([["from"], ["to"], ["From"], ["from", "to"]])
        return self.compare("envelope", names, pool, ["all", "localpart", "domain", "user", "detail"])

    def exists(self):
        rng = self.rng
        names = rng.sample(["Subject", "x-test", "X-EMPTY", "to", "Cc", "X-None"], rng.choice([1, 1, 2]))
        return Test(f"{self.word('exists')} {self.strings(names)}", "exists", [n.lower() for n in names])

    def size(self):
        rng = self.rng
        limit = max(0, rng.choice(self.messages).size() + rng.choice([-1, 0, 1, -200, 200]))
        number = rng.choice([str(limit), str(limit), f"{limit // 1024}K", "1M", "1g", "0"])
        return Test(f"{self.word('size')} :{self.word(rng.choice(['over', 'under']))} {number}", "size", keys=[number])

    def leaf(self):
        make = self.rng.choice([self.header] * 5 + [self.address] * 3 + [self.envelope, self.exists, self.size])
        return make()

    def test(self, depth=0, leaf=None):
        rng = self.rng
        leaf = leaf or self.leaf
        kind = rng.choice(["leaf"] * 6 + ["not", "anyof", "allof", "constant"]) if depth < 3 else "leaf"
        if kind == "constant":
            return Test(self.word(rng.choice(["true", "false"])), "constant")
        if kind == "not":
            inner = self.test(depth + 1, leaf)
            return Test(f"{self.word('not')} {inner.source}", "not", children=[inner])
        if kind in ("anyof", "allof"):
            inner = [self.test(depth + 1, leaf) for _ in range(rng.randint(1, 3))]
            source = ("," + self.blank()).join(test.source for test in inner)
            return Test(f"{self.word(kind)} ({source})", kind, children=inner)
        return leaf()

    # -- commands

    def plain_leaf(self):
        """A test that no engine sees otherwise."""
        rng = self.rng
        if rng.random() < 0.3:
            return self.exists()
        names = [rng.choice(["X-Test", "X-Other", "List-Id"])]
        self.wildcards = "*"
        test = self.compare("header", names, [v for m in self.messages for v in m.values(names)])
        self.wildcards = "?*"
        return test

    def action(self):
        rng = self.rng
        self.count += 1
        return rng.choice(
            [f'{self.word("fileinto")} "F{self.count}";'] * 5
            + [f'{self.word("keep")};', f'{self.word("discard")};', f'{self.word("stop")};', 'fileinto "Same";', 'fileinto "INBOX";']
            + [f'{self.word("redirect")} "to{rng.randint(1, 3)}@example.net";', f'{self.word("reject")} "no {rng.randint(1, 9)}";']
        )

    def block(self, depth):
        return "{" + self.blank() + self.commands(depth + 1) + "}"

    def commands(self, depth):
        rng = self.rng
        out = []
        for _ in range(rng.randint(0 if depth else 1, 3)):
            if depth < 3 and rng.random() < 0.5:
                out.append(f"{self.word('if')} {self.test(1, self.plain_leaf).source}{self.blank()}{self.block(depth)}")
                while rng.random() < 0.3:
                    out.append(f"{self.word('elsif')} {self.test(1, self.plain_leaf).source} {self.block(depth)}")
                if rng.random() < 0.4:
                    out.append(f"{self.word('else')} {self.block(depth)}")
            else:
                out.append(self.action())
        return "\n".join(out) + "\n"

    def script(self):
        """The source, and the test of each folder "T1", "T2", ..."""
        rng = self.rng
        self.count = 0
        tests = [self.test() for _ in range(0 if rng.random() < 0.15 else rng.randint(4, 10))]
        lines = [f'require ["fileinto", "reject",{self.blank()}"envelope", "regex", "subaddress"];']
        for number, test in enumerate(tests, 1):
            lines.append(f'{self.word("if")} {test.source}{self.blank()}{{ fileinto "T{number}"; }}')
        return "\n".join(lines) + "\n" + self.commands(0), tests


# ---- what may differ ----------------------------------------------------------

# Each row is a reason and a predicate over a leaf test and a message. A difference between lodge
# and sieve-test in whether a test is true is allowed when a row fits a leaf of that test.
DIFFERENCES = []
seen = collections.Counter()  # reasons that were needed


def may_differ(reason):
    def add(predicate):
        DIFFERENCES.append((reason, predicate))
        return predicate

    return add


def number_of(text):
    unit = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1].lower(), 1)
    return int(text if unit == 1 else text[:-1]) * unit


@may_differ("lodge counts a line end as CRLF, as the message was when it came; sieve-test as the octet it is in the file")
def line_ends(test, message):
    return test.kind == "size" and len(message.text().encode()) <= number_of(test.keys[0]) <= message.size()


@may_differ('sieve-test goes wrong where a key of :matches has both wildcards: it finds the c of "?c*" anywhere')
def both_wildcards(test, message):
    return "matches" in test.tags and any("?" in key and "*" in key for key in test.keys)


@may_differ("RFC 5322 section 2.2.3: of a line end and a tab unfolding leaves the tab; sieve-test makes it a blank")
def folded_with_tab(test, message):
    return test.kind == "header" and any("\n\t" in value for value in message.values(test.names))


@may_differ("RFC 5322 section 4.4: a list of addresses may have empty members; sieve-test takes all of it for broken")
def empty_member(test, message):
    return test.kind == "address" and any(",," in value for value in message.values(test.names))


@may_differ("A group without members has no address; for sieve-test it is an address that is broken")
def empty_group(test, message):
    return test.kind == "address" and test.tags[1] in ("", "all") and "undisclosed-recipients:;" in message.values(test.names)


@may_differ("Of a@b@c sieve-test makes the address a@b; for lodge all of it is what is no address (RFC 5228 section 5.1)")
def two_at_signs(test, message):
    return test.kind == "address" and "a@b@c" in message.values(test.names)


@may_differ("A parenthesis that begins no comment counts as a blank in lodge; for sieve-test the address is broken")
def open_parenthesis(test, message):
    return test.kind == "address" and "a@b (" in message.values(test.names)


# ---- running ------------------------------------------------------------------


def run(words, **options):
    return subprocess.run(words, capture_output=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL, **options)


def run_lodge(engine, script, path, message):
    done = run(
        [BUILD / "lda/lodge", "-c", script.parent.parent / "lodge.conf", "-o", f"sieve.engine={engine}", "sieve", "test", "--json",
         f"--from={message.sender}", f"--to={message.recipient}", script, path]
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{engine}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return json.loads(done.stdout)


def run_sieve_test(script, path, message):
    done = run(
        ["sieve-test", "-O", "-o", f"mail_home={script.parent}", "-o", "mail_location=maildir:~/Maildir", "-f", message.sender,
         "-a", message.recipient, "-r", message.recipient, script, path],
        cwd=script.parent, **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}),
    )  # fmt: skip
    if done.returncode not in (0, 1) or b"final result: " not in done.stdout + done.stderr:
        raise RuntimeError(f"sieve-test: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")


def brief(answer):
    return json.dumps({key: answer.get(key) for key in ("status", "errors", "actions", "implicit_keep")}, ensure_ascii=False)


def effects_of_lodge(answer):
    """Set of (what, where): {("store", "INBOX")}; {"error"} when the script failed."""
    if answer["status"] != "ok":
        return {("error", "")}
    effects = {("store", "INBOX")} if answer["implicit_keep"] else set()
    for action in answer["actions"]:
        kind = action["action"]
        if kind in ("keep", "fileinto"):
            effects.add(("store", action.get("mailbox", "INBOX")))
        elif kind == "redirect":
            effects.add(("redirect", action["address"]))
        elif kind == "reject":
            effects.add(("reject", action["reason"]))
    return effects


def effects_of_sieve_test(output):
    if "final result: success" not in output:
        return {("error", "")}
    effects = set()
    for line in output.splitlines():
        if match := re.match(r" \* store message in folder: (.*)", line):
            effects.add(("store", match.group(1)))
        elif match := re.match(r" \* redirect message to: <(.*)>", line):
            effects.add(("redirect", match.group(1)))
        elif match := re.match(r" \* reject message with reason: (.*)", line):
            effects.add(("reject", match.group(1)))
    return effects


def may_be(what, where, tests, message):
    """Whether this is the folder of a test that may differ."""
    match = re.fullmatch(r"T([0-9]+)", where) if what == "store" else None
    leaves = tests[int(match.group(1)) - 1].leaves() if match else []
    reasons = [reason for reason, predicate in DIFFERENCES if any(predicate(leaf, message) for leaf in leaves)]
    seen.update(reasons)
    return bool(reasons)


def allowed(ours, theirs, tests, message):
    folders = {effect for effect in ours ^ theirs if may_be(*effect, tests, message)}
    rest = [ours - folders, theirs - folders]
    # Where nothing else was done the one without the folder has kept the message.
    return rest[0] == rest[1] or bool(folders) and sorted(rest, key=len) == [set(), {("store", "INBOX")}]


class Case:
    def __init__(self, seed, number):
        rng = random.Random(f"{seed}/{number}")
        self.number = number
        self.messages = [Message(rng), Message(rng)]
        self.source, self.tests = Generator(rng, self.messages).script()

    def show(self):
        print(self.source)
        for message in self.messages:
            print(f"--- from <{message.sender}> to <{message.recipient}>\n{message.text()}")

    def explain(self, difference, message):
        lines = [str(sorted(difference))]
        for _, where in difference:
            if re.fullmatch("T[0-9]+", where):
                test = self.tests[int(where[1:]) - 1]
                values = {name: message.values([name]) for leaf in test.leaves() for name in leaf.names}
                lines.append(f"{where}: {test.source}\n{values}")
        return "\n".join(lines)

    def compare(self, message, script, path, with_sieve_test):
        ours = run_lodge("lodge", script, path, message)
        theirs = run_lodge("libsieve", script, path, message)
        if ours != theirs:
            return f"differ\nlodge: {brief(ours)}\nlibsieve: {brief(theirs)}"
        if not with_sieve_test or message.sender == "":  # sieve-test knows no null sender
            return ""
        output = run_sieve_test(script, path, message)
        effects = effects_of_lodge(ours), effects_of_sieve_test(output)
        if not allowed(*effects, self.tests, message):
            return f"differ in {self.explain(effects[0] ^ effects[1], message)}\nlodge: {brief(ours)}\nsieve-test: {output}"
        return ""

    def run(self, directory, with_sieve_test):
        """Complaints; none when all engines agree."""
        place = directory / str(self.number)
        place.mkdir(mode=0o777)
        place.chmod(0o777)
        script = place / "script.sieve"
        script.write_text(self.source, encoding="utf-8")
        complaints = []
        for number, message in enumerate(self.messages):
            path = place / f"message{number}"
            path.write_text(message.text(), encoding="utf-8")
            try:
                complaint = self.compare(message, script, path, with_sieve_test)
            except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                complaint = str(error)
            if complaint:
                complaints.append(f"message {number}: {complaint}")
        shutil.rmtree(place)
        return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=3028)
    parser.add_argument("--scripts", type=int, default=250)
    parser.add_argument("--show", type=int)
    options = parser.parse_args()
    if options.show is not None:
        Case(options.seed, options.show).show()
        return 0
    with_sieve_test = shutil.which("sieve-test") is not None
    engines = "lodge, libsieve and sieve-test" if with_sieve_test else "lodge and libsieve"
    print(f"1..{options.scripts}\n# seed {options.seed}; {engines}", flush=True)
    if os.environ.get("CI") and not with_sieve_test:
        print("not ok - sieve-test is not installed")
    failed = False
    with tempfile.TemporaryDirectory(prefix="lodge-differential-") as directory, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        directory = Path(directory)
        directory.chmod(0o755)
        (directory / "lodge.conf").write_text("")
        cases = [Case(options.seed, number) for number in range(1, options.scripts + 1)]
        for case, complaints in zip(cases, pool.map(lambda case: case.run(directory, with_sieve_test), cases)):
            print(f"{'not ok' if complaints else 'ok'} {case.number} - generated script {case.number} is run alike")
            for line in "\n".join(complaints).splitlines():
                print(f"# {line}")
            failed = failed or bool(complaints)
    for reason, count in seen.most_common():
        print(f"# {count} times: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
