"""A private lodged: configuration, map, users and their scripts in the workspace."""

import glob
import os
import sqlite3
import subprocess

from .processes import children, stop, wait_for
from .workspace import give_to_nobody

COMPARED = 100  # users of each other domain: with those of PLAIN they fit into the memory of a worker (1,024)
PLAIN = "example.org"  # has as many users as is asked for
QUOTA = "quota.example"  # whose users have limits that they do not reach
SIEVE = "sieve.example"  # whose users have a script each
BOTH = "both.example"
BESIDE = "plain.example"  # as PLAIN, and gets no more mail than those it is compared with
DOMAINS = (PLAIN, QUOTA, SIEVE, BOTH, BESIDE)
LIMIT = 1 << 40


def program(build, name):
    return next(iter(glob.glob(f"{build}/*/{name}")))


class Lodge:
    def __init__(self, build, workspace, name="lodge", workers=50, settings=None):
        """One installation; workers wait from the start, settings are more of lodge.conf."""
        self.build = build
        self.dir = workspace.directory(name)
        self.mail = workspace.directory(name, "mail")
        self.conf = f"{self.dir}/lodge.conf"
        self.log = f"{self.dir}/deliver.log"
        self.socket = f"{workspace.sockets}/{name}"
        self.policy = f"{workspace.sockets}/{name}-policy"
        self.server = None
        self.warm = workers
        give_to_nobody(self.mail)
        self.configure({
            "mail.root": self.mail,
            "lmtp.listen": f"unix:{self.socket}",
            "lmtp.socket_mode": "0666",
            "lmtp.socket_group": "",
            "lmtp.min_workers": str(workers),
            "lmtp.max_workers": str(workers + 10),
            "log.path": self.log,
            "quota.database": f"{self.mail}/.quota.db",
            "policy.listen": f"unix:{self.policy}",
            "policy.socket_mode": "0666",
            "policy.socket_group": "",
            **({"mail.user": "nobody"} if os.getuid() == 0 else {}),
            **(settings or {}),
        })

    def configure(self, settings):
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        subprocess.run([program(self.build, "lodge"), *options, "init", self.dir], check=True, stdout=subprocess.DEVNULL)
        open(self.log, "w").close()
        give_to_nobody(self.log)

    def provision(self, users):
        """Domains and users in one go: `lodge user add` for each would take long."""
        limits = [(domain, LIMIT if domain in (QUOTA, BOTH) else None) for domain in DOMAINS]
        with sqlite3.connect(f"{self.dir}/map.db") as map_db:
            map_db.executemany("INSERT INTO domains (domain, user_quota_bytes) VALUES (?, ?)", limits)
            map_db.executemany("INSERT INTO users (email) VALUES (?)",
                               ((f"user{number}@{domain}",) for domain in DOMAINS for number in range(users)))
            map_db.executemany("INSERT INTO forwardings (source, destination) VALUES (?, ?)",
                               ((f"alias{number}@{QUOTA}", f"user{number}@{QUOTA}") for number in range(users)))
        os.chmod(f"{self.dir}/map.db", 0o644)

    def write_scripts(self, script):
        """The script for each user of the domains with Sieve, as a file of his own."""
        for domain in (SIEVE, BOTH):
            os.makedirs(f"{self.mail}/{domain}")
            give_to_nobody(f"{self.mail}/{domain}")
            for number in range(COMPARED):
                write_script(f"{self.mail}/{domain}/user{number}", script)

    def start(self):
        self.server = subprocess.Popen([program(self.build, "lodged"), "-c", self.conf])
        wait_for(lambda: len(self.workers()) >= self.warm, "lodged did not start", self.server)
        # What was left in tmp/ is looked for once, with the lowest priority: not part of any delivery. That process is
        # started before the workers, all of which are there.
        wait_for(lambda: not any(is_sweeper(pid) for pid in self.workers()), "the sweep does not end", self.server, seconds=600)

    def workers(self):
        return children(self.server.pid)

    def stop(self):
        if self.server is not None:
            stop(self.server)
            self.server = None


def is_sweeper(pid):
    try:
        return os.getpriority(os.PRIO_PROCESS, pid) == 19
    except ProcessLookupError:
        return False


def write_script(home, script):
    os.makedirs(home)
    path = f"{home}/.dovecot.sieve"
    with open(path, "wb") as file:
        file.write(script)
    give_to_nobody(home, path)
