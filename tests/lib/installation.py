"""lodge installed below a directory: configuration, map, users, server, deliver."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

BUILD = pathlib.Path(os.environ["LODGE_BUILD"])
MAIL_USER, MAIL_GROUP = "nobody", "nogroup"


def wait_for(condition, seconds, what):
    """Asks until condition is true and returns its value; raises after seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return value


def children(pid):
    """Process ids of the children; empty when pid is gone."""
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def status(pid, field):
    """A field of /proc/PID/status; "" when there is none, or no such process."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return line.partition(":")[2].strip()
    except (FileNotFoundError, ProcessLookupError):
        pass
    return ""


def status_kib(pid, field):
    return int(status(pid, field).partition(" ")[0] or 0)


class Installation:
    def __init__(self, directory, users=("ana@example.org",), settings=()):
        """settings: "section.key=value", over those of the test."""
        self.base = pathlib.Path(directory)
        self.mail, self.socket, self.log = self.base / "mail", str(self.base / "lmtp"), self.base / "deliver.log"
        self.config, self.map = self.base / "etc/lodge.conf", self.base / "etc/map.db"
        self.users = list(users)
        self.master = None
        for name in ("mail", "spool", "etc"):
            (self.base / name).mkdir()
        self.log.touch()
        for path in (self.mail, self.base / "spool", self.log):
            self._give(path)
        values = [
            f"mail.user={MAIL_USER}", f"mail.group={MAIL_GROUP}", f"mail.root={self.mail}", "mail.hostname=lodge.test",
            f"mail.spool_dir={self.base}/spool", f"lmtp.listen=unix:{self.socket}", "lmtp.socket_mode=0666",
            "lmtp.socket_group=", f"log.path={self.log}", "map.busy_timeout=1s", "lmtp.min_workers=2", *settings,
        ]
        self.lodge("init", str(self.base / "etc"), options=values)
        self.map.chmod(0o644)
        for domain in sorted({user.partition("@")[2] for user in users}):
            self.lodge("domain", "add", domain)
        for user in users:
            self.lodge("user", "add", user)

    @staticmethod
    def _give(path):
        if os.getuid() == 0:
            import grp
            import pwd
            os.chown(path, pwd.getpwnam(MAIL_USER).pw_uid, grp.getgrnam(MAIL_GROUP).gr_gid)

    def lodge(self, *arguments, options=None):
        """Runs `lodge`, with -c unless there are options; returns what it printed."""
        where = ["-c", str(self.config)] if options is None else [part for option in options for part in ("-o", option)]
        done = subprocess.run([BUILD / "lda/lodge", *where, *arguments], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"lodge {' '.join(arguments)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    # ---- lodged ---------------------------------------------------------------

    def start(self, *settings):
        overrides = [part for setting in settings for part in ("-o", setting)]
        with open(self.base / "lodged.log", "ab") as log:
            self.master = subprocess.Popen([BUILD / "lmtp/lodged", "-c", self.config, *overrides], stdout=log, stderr=log)
        wait_for(self.answers, 20, "lodged answers on its socket")

    def answers(self):
        if self.master.poll() is not None:
            raise AssertionError(f"lodged ended with {self.master.returncode}:\n{self.tail()}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.socket)
            return sock.recv(512).startswith(b"220")
        return False

    def workers(self):
        return children(self.master.pid)

    def stop(self):
        """Ends the server with TERM. It must go by itself."""
        if self.master is None:
            return
        self.master.send_signal(signal.SIGTERM)
        try:
            status = self.master.wait(60)
        except subprocess.TimeoutExpired:
            self.master.kill()
            raise AssertionError(f"lodged did not end after SIGTERM:\n{self.tail()}") from None
        self.master = None
        if status != 0:
            raise AssertionError(f"lodged ended with {status}:\n{self.tail()}")

    @contextlib.contextmanager
    def running(self, *settings):
        try:
            self.start(*settings)
            yield self
        except BaseException:
            if self.master is not None:
                self.master.kill()
                self.master.wait()
            raise
        self.stop()

    # ---- deliver --------------------------------------------------------------

    def deliver_command(self, user, *arguments):
        return [str(BUILD / "lda/deliver"), "-c", str(self.config), "-f", "load@sender.test", "-d", user, *arguments]

    def deliver(self, user, message, *arguments, before=()):
        """Runs deliver, behind the words of before; returns (exit status, output)."""
        done = subprocess.run(
            [*before, *self.deliver_command(user, *arguments)], input=message, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60, check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def tail(self, count=6):
        text = ""
        for file in (self.base / "lodged.log", self.log):
            if file.exists():
                lines = file.read_text(errors="replace").splitlines()[-count:]
                text += f"--- {file.name}\n" + "".join(f"{line[:300]}\n" for line in lines)
        return text


def finish(installation, complaints):
    """Ends a test program: says what is wrong, with the logs, or nothing."""
    complaints = list(complaints)
    if complaints:
        print(*complaints[:12], sep="\n")
        print(f"{len(complaints)} complaints\n{installation.tail()}")
        sys.exit(1)
