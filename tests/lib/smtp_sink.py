"""An SMTP server that takes everything and keeps it: the MTA which tests send to.

With a certificate it offers STARTTLS; with a login it wants that before MAIL.
"""

import base64
import socketserver
import ssl
import threading


class _Session(socketserver.StreamRequestHandler):
    def setup(self):
        super().setup()
        self.encrypted = self.logged_in = False
        self.server.count_session(1)

    def encrypt(self):
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.encrypted = True

    def finish(self):
        super().finish()
        self.server.count_session(-1)

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        try:
            if self.server.encrypted:
                self.encrypt()
            self.say("220 sink ESMTP")
            while self.step(self.rfile.readline()):
                pass
        except (OSError, ssl.SSLError):
            pass  # the client was killed, or does not like the certificate

    def step(self, line):
        verb = line.split(b" ")[0].strip().upper().decode("latin-1")
        answer = getattr(self, "on_" + verb.lower(), None)
        if line and answer is None:
            self.say("500 what?")
        return bool(line) and (answer is None or answer(line.rstrip(b"\r\n")) is not False)

    def how(self):
        return "encrypted" if self.encrypted else "in clear"

    def on_ehlo(self, _):
        offers = ["sink", "8BITMIME", "DSN"]
        if self.server.tls is not None and not self.encrypted:
            offers.append("STARTTLS")
        if self.server.login is not None:
            offers.append("AUTH PLAIN")
        self.say("\r\n".join(f"250-{offer}" for offer in offers) + "\r\n250 HELP")

    def on_starttls(self, _):
        self.say("220 go on")
        self.encrypt()

    def on_auth(self, line):
        _, user, password = base64.b64decode(line.split(b" ")[2]).decode().split("\0")
        self.server.note("login", f"{user} {self.how()}")
        self.logged_in = (user, password) == self.server.login
        self.say("235 2.7.0 welcome" if self.logged_in else "535 5.7.8 wrong user or password")

    def on_mail(self, line):
        if self.server.login is not None and not self.logged_in:
            self.say("530 5.7.0 log in first")
            return
        self.server.note("mail", f"{line.decode('utf-8', 'replace')} {self.how()}")
        self.say("250 2.1.0 ok")

    def on_rcpt(self, line):
        self.server.note("rcpt", line.decode("utf-8", "replace"))
        self.say("250 2.1.5 ok")

    def on_data(self, _):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[line.startswith(b"."):])
        if line == b"":
            return False
        # From here on it is ours, whether the client hears so or not.
        self.server.note("message", b"".join(lines))
        self.say("250 2.0.0 taken")
        return True

    def on_quit(self, _):
        self.say("221 bye")
        return False


class Sink(socketserver.ThreadingTCPServer):
    """Use it with `with`; url is where it listens."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, certificate=None, key=None, login=None, encrypted=False):
        """encrypted: from the first octet."""
        super().__init__(("127.0.0.1", 0), _Session)
        self.login, self.tls, self.encrypted = login, None, encrypted
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)
        self.port = self.server_address[1]
        self.url = f"smtp://127.0.0.1:{self.port}"
        self.sessions, self.change, self.notes = 0, threading.Condition(), []

    def count_session(self, step):
        with self.change:
            self.sessions += step
            self.change.notify_all()

    def wait_for_end(self, seconds=60):
        """Until no client is connected: what one that was killed had sent is taken by then."""
        with self.change:
            if not self.change.wait_for(lambda: self.sessions == 0, seconds):
                raise AssertionError("an SMTP session does not end")

    def note(self, kind, what):
        with self.change:
            self.notes.append((kind, what))

    def seen(self, kind):
        with self.change:
            return [what for noted, what in self.notes if noted == kind]

    def count(self, octets):
        """Messages with octets in them."""
        return sum(octets in message for message in self.seen("message"))

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
