"""tests/lib/lmtp_client.py - a small LMTP client: every reply is read and checked."""

import os
import socket
import threading
import time


class Client:
    """One connection. address: "/path", or (host, port)."""

    def __init__(self, address, timeout=60, greet=True):
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.file = self.socket.makefile("rb")
        if greet:
            self.greet()

    def greet(self):
        self.expect("220")
        self.command("LHLO test.example", "250")

    def reply(self):
        """The last line of the next reply; "" when the connection has ended."""
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            if line[3:4] != "-":
                return line

    def expect(self, code):
        line = self.reply()
        if not line.startswith(code):
            raise AssertionError(f"expected {code}, got {line!r}")
        return line

    def send(self, text):
        self.socket.sendall(text.encode())

    def command(self, line, code):
        self.send(line + "\r\n")
        return self.expect(code)

    def begin(self, recipient="ana@example.org"):
        """Up to the point where the message is expected."""
        self.command("MAIL FROM:<test@test.example>", "250")
        self.command(f"RCPT TO:<{recipient}>", "250")
        self.command("DATA", "354")

    def finish(self, body="hello", code="250"):
        self.send(f"Subject: test\r\n\r\n{body}\r\n.\r\n")
        return self.expect(code)

    def deliver(self, body="hello", recipient="ana@example.org"):
        self.begin(recipient)
        return self.finish(body)

    def quit(self):
        self.command("QUIT", "221")
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def worker(self):
        """Process id of the worker on the other end (of a unix socket)."""
        own = str(os.fstat(self.socket.fileno()).st_ino)
        for line in os.popen("ss -xpnH").read().splitlines():
            words = line.split()
            if words[7] == own and "pid=" in line:
                return int(line.rpartition("pid=")[2].split(",")[0])
        raise AssertionError("nobody holds the other end of the connection")


def wait_until(condition, seconds=30, what="the condition"):
    """Polls, because nothing tells us; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def children(pid):
    """Process ids of the living children of pid."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry))
    return sorted(found)


class Load:
    """Threads that deliver all the time, half of them on one connection each, half
    with a new connection for each message. Every failure is kept."""

    def __init__(self, address, threads=4, pause=0.01):
        self.address, self.pause = address, pause
        self.failures, self.delivered = [], 0
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i % 2 == 0,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, keeps_connection):
        client = None
        try:
            while not self.stopping.is_set():
                client = client or Client(self.address)
                client.deliver()
                with self.lock:
                    self.delivered += 1
                if not keeps_connection:
                    client.quit()
                    client = None
                time.sleep(self.pause)
            if client:
                client.quit()
        except Exception as failure:  # whatever it is, the server let a client down
            self.failures.append(repr(failure))

    def wait_for(self, count, seconds=60):
        """Until count more messages were delivered, or one was not."""
        goal = self.delivered + count
        wait_until(lambda: self.failures or self.delivered >= goal, seconds, f"delivery of {count} more")

    def stop(self):
        """How many were delivered in all; fails when one was not."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures
        return self.delivered
