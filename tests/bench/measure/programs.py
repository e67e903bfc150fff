"""What can be measured, by name: each takes a row and returns what one measurement said.

A measurement has at least rate (per second), cpu_us (of one delivery, user and system) and errors. CPU
is that of the server with all its workers: nanoseconds from /proc/PID/schedstat, and for workers that ended
what the master has inherited from them. For commands that are started for each message it is what wait4(2) says.
"""

import functools
import glob
import os
import shutil
import subprocess

from . import lodge, peers
from .lodge import BESIDE, BOTH, COMPARED, PLAIN, QUOTA, SIEVE, USERS, Lodge, program
from .processes import as_nobody, forget_peak, memory_kib, run_json, tree_cpu_us
from .rows import Row

TITLES = {
    "limit": "bare disk",
    "limit-together": "bare disk, syncs together",
    "limit-links": "bare disk, one file, links",
    "lodge": "lodge",
    "lodge-links": "lodge, delivered_to = single",
    "lodge-beside": "lodge, as many users",
    "lodge-quota": "lodge, quota",
    "lodge-sieve": "lodge, Sieve",
    "lodge-both": "lodge, quota and Sieve",
    "dovecot": "Dovecot",
    "dovecot-both": "Dovecot, quota and Sieve",
    "true": "/bin/true",
    "deliver": "deliver",
    "deliver-quota": "deliver, quota",
    "deliver-both": "deliver, quota and Sieve",
    "dovecot-lda": "dovecot-lda",
    "dovecot-lda-both": "dovecot-lda, quota and Sieve",
    "maildrop": "maildrop",
    "deliverquota": "deliverquota",
    "policy": "lodge, users",
    "policy-alias": "lodge, aliases",
}


class Programs:
    def __init__(self, build, workspace, seconds, with_peers=True):
        self.build, self.workspace, self.seconds = build, workspace, seconds
        self.raw = workspace.directory("raw")
        self.servers = []
        self.stored = {}  # octets of a message of that size as it is stored, header and all
        self.lodge = Lodge(build, workspace)
        self.links = Lodge(build, workspace, "links", settings={"mail.delivered_to": "single"})
        self.script = subprocess.run([program(build, "sieve_speed"), "--script"], check=True, stdout=subprocess.PIPE).stdout
        self.by_name = self.own()
        self.left_out = {}
        if with_peers:
            self.add_peers()

    def own(self):
        deliver = [program(self.build, "deliver"), "-c", self.lodge.conf, "-f", "bench@example.net", "-d", "%r"]
        return {
            "limit": functools.partial(self.limit, "turn"),
            "limit-together": functools.partial(self.limit, "together"),
            "limit-links": functools.partial(self.limit, "links"),
            "lodge": functools.partial(self.lmtp, self.lodge, PLAIN),
            "lodge-links": functools.partial(self.lmtp, self.links, PLAIN),
            "lodge-beside": functools.partial(self.lmtp, self.lodge, BESIDE),
            "lodge-quota": functools.partial(self.lmtp, self.lodge, QUOTA),
            "lodge-sieve": functools.partial(self.lmtp, self.lodge, SIEVE),
            "lodge-both": functools.partial(self.lmtp, self.lodge, BOTH),
            "true": functools.partial(self.pipe, ["/bin/true"], PLAIN),
            "deliver": functools.partial(self.pipe, deliver, PLAIN),
            "deliver-quota": functools.partial(self.pipe, deliver, QUOTA),
            "deliver-both": functools.partial(self.pipe, deliver, BOTH),
            "policy": functools.partial(self.policy, f"user#@{QUOTA}"),
            "policy-alias": functools.partial(self.policy, f"alias#@{QUOTA}"),
        }

    def add_peers(self):
        if peers.dovecot_is_available():
            plain, both = self.start_dovecot("dovecot"), self.start_dovecot("dovecot-both", self.script)
            self.by_name["dovecot"] = functools.partial(self.lmtp, plain, PLAIN)
            self.by_name["dovecot-both"] = functools.partial(self.lmtp, both, PLAIN)
            if os.access(peers.DOVECOT_LDA, os.X_OK):
                self.by_name["dovecot-lda"] = functools.partial(self.pipe, plain.lda(), PLAIN)
                self.by_name["dovecot-lda-both"] = functools.partial(self.pipe, both.lda(), PLAIN)
        courier = peers.Courier(self.workspace, PLAIN)
        for name in ("maildrop", "deliverquota"):
            if shutil.which(name):
                self.by_name[name] = functools.partial(self.pipe, getattr(courier, name)(), PLAIN)

    def start_dovecot(self, name, script=None):
        server = peers.Dovecot(self.workspace, name, PLAIN, script)
        self.servers.append(server)
        return server

    def start(self):
        for server, domains in ((self.lodge, lodge.DOMAINS), (self.links, (PLAIN,))):
            server.provision()
            if len(domains) > 1:
                server.write_scripts(self.script)
            self.servers.append(server)
            server.start()

    def stop(self):
        for server in self.servers:
            server.stop()

    def warm(self, connections):
        """As many connections as are measured deliver to all users, with quota and scripts and without: Maildirs are
        there then, scripts compiled, and most workers have met most users."""
        for name, run in self.by_name.items():
            if run.func == self.lmtp:
                recipients, messages = (50, 8) if name.startswith("lodge") else (20, 2)
                result = run(Row("", "", (), connections, recipients), "-n", str(messages * connections))
                if result["errors"] or result["deliveries"] != messages * connections * recipients:
                    raise SystemExit(f"bench: warming up {name} failed: {result}")

    # What the names mean.

    def stored_size(self, size):
        """The bare disk writes as many octets as lodge stores: one message tells."""
        if size not in self.stored:
            before = set(glob.glob(f"{self.lodge.mail}/{PLAIN}/user0/Maildir/new/*"))
            self.load(self.lodge, PLAIN, Row("", "", (), size=size), "-n", "1")
            new = set(glob.glob(f"{self.lodge.mail}/{PLAIN}/user0/Maildir/new/*")) - before
            self.stored[size] = os.path.getsize(new.pop())
        return self.stored[size]

    def limit(self, mode, row):
        return run_json([program(self.build, "raw_limit"), "--root", self.raw, "--mode", mode, "-c", str(row.connections), "-r",
                         str(row.recipients), "-s", str(self.stored_size(row.size)), "--users", str(USERS), "-t", self.seconds])

    def load(self, server, domain, row, *extra):
        users = USERS if domain == PLAIN else COMPARED
        return run_json([program(self.build, "lmtp_load"), "--to", f"unix:{server.socket}", "-c", str(row.connections), "-r",
                         str(row.recipients), "-s", str(row.size), "--users", str(users), "--recipient", f"user#@{domain}", "-t",
                         self.seconds, *extra])

    def lmtp(self, server, domain, row, *extra):
        workers = server.workers() if isinstance(server, Lodge) else []
        for pid in workers:
            forget_peak(pid)
        before = tree_cpu_us(server.server.pid)
        result = self.load(server, domain, row, *extra)
        result["cpu_us"] = (tree_cpu_us(server.server.pid) - before) / max(result["deliveries"], 1)
        if workers:
            result["peak_kib"] = max(memory_kib(pid, "status", "VmHWM") for pid in server.workers())
        return result

    def pipe(self, command, domain, row):
        return run_json(as_nobody([program(self.build, "pipe_load"), "-c", str(row.connections), "-s", str(row.size), "--users",
                                   str(USERS), "--recipient", f"user#@{domain}", "-t", self.seconds, "--", *command]))

    def policy(self, recipient, row):
        before = tree_cpu_us(self.lodge.server.pid)
        result = run_json([program(self.build, "policy_load"), "--to", f"unix:{self.lodge.policy}", "-c", str(row.connections),
                           "--users", str(USERS), "--recipient", recipient, "-t", self.seconds])
        result["cpu_us"] = (tree_cpu_us(self.lodge.server.pid) - before) / max(result["requests"], 1)
        return result

    def workers_pss_kib(self):
        return [memory_kib(pid, "smaps_rollup", "Pss") for pid in self.lodge.workers()]
