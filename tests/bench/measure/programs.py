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

from . import peers
from .lodge import BESIDE, BOTH, COMPARED, PLAIN, QUOTA, SIEVE, Lodge, program
from .processes import as_nobody, forget_peak, memory_kib, run_json, tree_cpu_us
from .rows import Row

TITLES = {
    "limit": "bare disk",
    "limit-together": "bare disk, syncs together",
    "limit-links": "bare disk, one file, links",
    "lodge": "lodge",
    "lodge-copies": "lodge, delivered_to = always",
    "lodge-links": "lodge, delivered_to = single",
    "lodge-beside": "lodge, without either",
    "lodge-quota": "lodge, quota",
    "lodge-sieve": "lodge, Sieve",
    "lodge-both": "lodge, quota and Sieve",
    "dovecot": "Dovecot",
    "dovecot-links": "Dovecot, one file, links",
    "dovecot-both": "Dovecot, quota and Sieve",
    "true": "/bin/true",
    "deliver": "deliver",
    "deliver-quota": "deliver, quota",
    "deliver-unsynced": "deliver, quota, syncs nothing",
    "deliver-both": "deliver, quota and Sieve",
    "dovecot-lda": "dovecot-lda",
    "dovecot-lda-both": "dovecot-lda, quota and Sieve",
    "maildrop": "maildrop, syncs the file only",
    "deliverquota": "deliverquota, syncs nothing",
    "policy": "lodge, users",
    "policy-alias": "lodge, aliases",
}


class Programs:
    def __init__(self, build, workspace, seconds, users, connections):
        """What is measured for so many seconds, at up to so many connections, with so many users of PLAIN."""
        self.build, self.workspace, self.seconds, self.users, self.connections = build, workspace, str(seconds), users, connections
        self.raw = workspace.directory("raw")
        self.stored = {}  # octets of a message of that size as it is stored, header and all
        self.lodge = Lodge(build, workspace, workers=connections)
        self.links = Lodge(build, workspace, "links", workers=connections, settings={"mail.delivered_to": "single"})
        self.servers = [self.lodge, self.links]
        self.script = subprocess.run([program(build, "sieve_speed"), "--script"], check=True, stdout=subprocess.PIPE).stdout
        self.by_name = self.own()
        self.add_peers()

    def own(self):
        deliver = [program(self.build, "deliver"), "-c", self.lodge.conf, "-f", "bench@example.net", "-d", "%r"]
        return {
            "limit": functools.partial(self.limit, "turn"),
            "limit-together": functools.partial(self.limit, "together"),
            "limit-links": functools.partial(self.limit, "links"),
            "lodge": functools.partial(self.lmtp, self.lodge, PLAIN),
            "lodge-copies": functools.partial(self.lmtp, self.lodge, PLAIN),
            "lodge-links": functools.partial(self.lmtp, self.links, PLAIN),
            "lodge-beside": functools.partial(self.lmtp, self.lodge, BESIDE),
            "lodge-quota": functools.partial(self.lmtp, self.lodge, QUOTA),
            "lodge-sieve": functools.partial(self.lmtp, self.lodge, SIEVE),
            "lodge-both": functools.partial(self.lmtp, self.lodge, BOTH),
            "true": functools.partial(self.pipe, ["/bin/true"], PLAIN),
            "deliver": functools.partial(self.pipe, deliver, PLAIN),
            "deliver-quota": functools.partial(self.pipe, deliver, QUOTA),
            "deliver-unsynced": functools.partial(self.pipe, [*deliver, "-o", "mail.durability=none"], QUOTA),
            "deliver-both": functools.partial(self.pipe, deliver, BOTH),
            "policy": functools.partial(self.policy, f"user#@{QUOTA}"),
            "policy-alias": functools.partial(self.policy, f"alias#@{QUOTA}"),
        }

    def add_peers(self):
        if peers.dovecot_is_available():
            plain, both = (peers.Dovecot(self.workspace, name, PLAIN, self.users, script)
                           for name, script in (("dovecot", None), ("dovecot-both", self.script)))
            self.servers += [plain, both]
            self.by_name["dovecot"] = self.by_name["dovecot-links"] = functools.partial(self.lmtp, plain, PLAIN)
            self.by_name["dovecot-both"] = functools.partial(self.lmtp, both, PLAIN)
            if os.access(peers.DOVECOT_LDA, os.X_OK):
                self.by_name["dovecot-lda"] = functools.partial(self.pipe, plain.lda(), PLAIN)
                self.by_name["dovecot-lda-both"] = functools.partial(self.pipe, both.lda(), PLAIN)
        courier = peers.Courier(self.workspace, PLAIN, self.users)
        for name in ("maildrop", "deliverquota"):
            if shutil.which(name):
                self.by_name[name] = functools.partial(self.pipe, getattr(courier, name)(), PLAIN)

    def start(self):
        """To be ended by stop(), also when it does not come to its end."""
        for server in (self.lodge, self.links):
            server.provision(self.users)
        self.lodge.write_scripts(self.script)
        for server in self.servers:
            server.start()

    def stop(self):
        for server in self.servers:
            server.stop()

    def warm(self, *names):
        """As many connections as are measured deliver to all users, with quota and scripts and without: Maildirs are
        there then, scripts compiled, and most workers have met all users. Commands are started for a while."""
        for name in names or self.by_name:
            run = self.by_name[name]
            if run.func == self.lmtp:
                self.warm_server(*run.args)
            elif run.func == self.pipe:
                run(Row("", "", ()))
            elif run.func == self.limit:
                run(Row("", "", (), self.connections))

    def warm_server(self, server, domain):
        """Workers of lodge remember users, so each gets a message to all of them."""
        recipients = self.users_of(domain) if isinstance(server, Lodge) else 20
        result = self.load(server, domain, Row("", "", (), self.connections, recipients), "-n", str(self.connections))
        if result["errors"] or result["deliveries"] != self.connections * recipients:
            raise SystemExit(f"bench: warming up failed: {domain}: {result}")

    # What the names mean.

    def users_of(self, domain):
        return self.users if domain == PLAIN else COMPARED

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
                         str(row.recipients), "-s", str(self.stored_size(row.size)), "--users", str(self.users), "-t", self.seconds])

    def load(self, server, domain, row, *extra):
        return run_json([program(self.build, "lmtp_load"), "--to", f"unix:{server.socket}", "-c", str(row.connections), "-r",
                         str(row.recipients), "-s", str(row.size), "--users", str(self.users_of(domain)), "--recipient",
                         f"user#@{domain}", "-t", self.seconds, *extra])

    def lmtp(self, server, domain, row):
        workers = server.workers() if isinstance(server, Lodge) else []
        for pid in workers:
            forget_peak(pid)
        before = tree_cpu_us(server.server.pid)
        result = self.load(server, domain, row)
        result["cpu_us"] = (tree_cpu_us(server.server.pid) - before) / max(result["deliveries"], 1)
        if workers:
            result["peak_kib"] = max(memory_kib(pid, "status", "VmHWM") for pid in server.workers())
        return result

    def pipe(self, command, domain, row):
        return run_json(as_nobody([program(self.build, "pipe_load"), "-c", str(row.connections), "-s", str(row.size), "--users",
                                   str(self.users_of(domain)), "--recipient", f"user#@{domain}", "-t", self.seconds, "--", *command]))

    def policy(self, recipient, row):
        before = tree_cpu_us(self.lodge.server.pid)
        result = run_json([program(self.build, "policy_load"), "--to", f"unix:{self.lodge.policy}", "-c", str(row.connections),
                           "--users", str(COMPARED), "--recipient", recipient, "-t", self.seconds])
        result["cpu_us"] = (tree_cpu_us(self.lodge.server.pid) - before) / max(result["requests"], 1)
        return result

    def workers_pss_kib(self):
        return [memory_kib(pid, "smaps_rollup", "Pss") for pid in self.lodge.workers()]
